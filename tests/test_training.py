"""Training against a plain version of it, the fast loop against the plain one,
and one run in several processes against the same run in one."""
import functools
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import normalized_mutual_info_score as nmi
from threadpoolctl import threadpool_limits
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from copl import COPL, CoplError, algorithm_1, spectral_clusters, tiny
from copl import files as files_module
from copl.algorithm import at_rows, epoch, pseudolabels, sampled
from copl.config import PRESETS, Config
from copl.engine import Batches, Parts, train
from copl.has import ATTENTIONS, global_features, has_attention
from copl.iocnet import (
    Dropout,
    IOCNet,
    build_network,
    full_length,
    shift,
    shifted_channels,
    update_teacher,
)
from copl.losses import LOSSES, Minibatch, total_loss
from copl.plri import (
    CLUSTERINGS,
    SELECTIONS,
    confidence_scores,
    match_clusters,
    rbf_affinity,
)
from copl.simulation import Simulation, simulate
from copl.videos import VideoSet

from .reference import clustering
from .reference import training as reference
from .small_runs import weights


def some_videos(n=12, streams=2, seed=2):
    "Simulated videos, three of them short: the first has one snippet."
    videos = simulate(Simulation(n_train=n, n_test=0, n_classes=3, dim=16, max_length=60), seed)
    lengths = dict(enumerate([1, 7, 30]))
    arrays = [[x[:lengths.get(i)] for i, x in enumerate(xs)] for xs in videos.streams.values()]
    third = [np.abs(a - b)[:, :9] for a, b in zip(*arrays, strict=True)]
    return VideoSet(videos.names, dict(zip(('rgb', 'flow', 'third'), [*arrays, third][:streams],
                                           strict=False)), annotations=videos.annotations)


# The losses


@pytest.mark.parametrize('streams, kernel, supervision', [
    (1, 3, 'none'), (2, 1, 'none'), (2, 3, 'weak'), (3, 1, 'weak')])
def test_losses_and_gradients_equal_the_plain_ones(streams, kernel, supervision):  # kills i, p, q
    torch.manual_seed(streams)
    config = Config(n_classes=4, hidden=16, lambda1=.7, lambda2=1.3, top_k=5, q=.6,
                    supervision=supervision, kernel=kernel, lambda_streams=2.5,
                    co_classes=streams == 2)
    widths = dict(zip('abc', (12, 8, 5)[:streams], strict=False))
    student, teacher = (IOCNet(widths, 4, hidden=16, dropout=0, kernel=kernel).double()
                        for _ in range(2))
    for p in (*student.parameters(), *teacher.parameters()): p.data *= 2
    x = [torch.rand(6, 41, d).double() for d in widths.values()]
    targets = torch.eye(4)[[0, 1, 2, 3, 0, 1]].double()
    if supervision == 'weak': targets[0] = torch.tensor([.5, .5, 0, 0])
    selected = torch.tensor([1., 1, 0, 1, 0, 1]) if supervision == 'none' else torch.ones(6)
    ours = total_loss(student(*x), teacher(*x), targets, selected, config, LOSSES)
    plain = reference.Network.like(student)
    seen = reference.Network.like(teacher)
    theirs = reference.losses(plain(torch.cat(x, -1)), seen(torch.cat(x, -1)), targets, selected,
                              config)
    torch.testing.assert_close(plain.weights(), weights(student), atol=0, rtol=0)
    assert list(ours) == list(theirs)
    for name in ours:
        assert (ours[name].item() == pytest.approx(theirs[name].item(), abs=1e-9) and
                ours[name] > 1e-3), name
        student.zero_grad()
        plain.zero_grad()
        ours[name].backward(retain_graph=True)
        theirs[name].backward(retain_graph=True)
        for p in (*student.parameters(), *plain.parameters()):
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        found = torch.cat([p.grad.flatten() for p in student.parameters()])
        gradients = plain.weights(lambda parameter: parameter.grad)
        torch.testing.assert_close(found, gradients, atol=1e-9, rtol=1e-9, msg=name)
        assert found.abs().max() > 1e-4, name


def test_a_group_that_is_empty_leaves_its_video_out():
    config = Config(n_classes=2, lambda1=1)
    network = IOCNet({'a': 3}, 2, hidden=4, dropout=0, kernel=1)
    x = torch.rand(2, 9, 3)
    x[1] = x[1, :1]                            # a still picture: nobody is below a median
    out = network(x)
    plain = reference.Network.like(network)(x)
    ours = LOSSES['C'](Minibatch(out, out, torch.eye(2), torch.ones(2), None, config))
    theirs = reference.losses(plain, plain, torch.eye(2), torch.ones(2), config)['C']
    assert ours[1] == 0 and ours.mean().item() == pytest.approx(theirs.item(), abs=1e-6)


# High actionness snippets, and features


@pytest.mark.parametrize('length', [1, 2, 9, 100])
def test_has_equals_the_plain_version(length):                       # kills d, h, i
    torch.manual_seed(length)
    cas = torch.randn(length, 3)
    attention = torch.rand(2, length)
    for alpha in (.05, .07, .25, .5, 1):
        expected = reference.has(cas, list(attention), alpha)
        for found in (has_attention(cas, attention, alpha),
                      ATTENTIONS['has'](cas, attention, Config(3, alpha=alpha))):
            np.testing.assert_allclose(found, expected, atol=1e-6)
    torch.testing.assert_close(ATTENTIONS['class_agnostic'](cas, attention, Config(3)),
                               (attention[0] + attention[1])/2)             # hears every stream
    x = [torch.rand(length, 4), torch.rand(length, 5)]
    np.testing.assert_allclose(global_features(x, torch.tensor(expected)),
                               reference.feature(torch.cat(x, -1), expected), atol=1e-6)


# Clusters


def random_features(seed, n=40, dims=6, apart=2):
    rng = np.random.default_rng(seed)
    F = rng.normal(size=(n, dims)) + apart*np.eye(dims)[rng.integers(dims, size=n)]
    return F/np.linalg.norm(F, axis=1, keepdims=True), rng.integers(0, 5, n)


def test_affinity_and_confidence_equal_the_double_loops():
    F, y = random_features(0)
    y[0] = 9  # alone in its cluster
    for given in (F, F.astype(np.float32), np.concatenate([F, F[:5]])):
        np.testing.assert_allclose(rbf_affinity(given), clustering.rbf_affinity(given), atol=1e-6)
    np.testing.assert_allclose(rbf_affinity(F, .7), clustering.rbf_affinity(F, .7), atol=1e-12)
    for given in (F, -abs(F), F.astype(np.float32), np.where(y[:, None] == 1, 0, F)):
        np.testing.assert_allclose(confidence_scores(given, y),
                                   clustering.confidence_scores(given, y), rtol=0,
                                   atol=1e-6 if given.dtype == 'f4' else 1e-12)


def test_a_configuration_says_which_affinity_and_how_wide():        # kills d
    F, _ = random_features(3, 60, 5, apart=1)
    found = {}
    for options in ({}, dict(beta=.2), dict(beta=2.), dict(affinity='cosine'),
                    dict(affinity='neighbors')):
        config = Config(n_classes=4, **options)
        found[str(options)] = y = CLUSTERINGS['spectral'](F, config)
        assert (y == spectral_clusters(F, 4, 0, config.beta, config.affinity)).all()
        if config.affinity == 'rbf':
            assert nmi(y, reference.spectral(F, config)) == pytest.approx(1)
    assert len({tuple(y) for y in found.values()}) == len(found)


def test_clusters_keep_their_numbers_from_round_to_round():          # kills c
    dealt = iter(([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2], [2, 2, 2, 2, 0, 0, 0, 1, 1, 1, 1, 1],
                  [1, 1, 1, 1, 2, 2, 2, 0, 0, 0, 0, 0])*2)
    config = Config(n_classes=3, hidden=4, snippets=8, epoch_num=1, iteration_num=3,
                    precision='float32')
    expected = [[0]*4 + [1]*4 + [2]*4] + [[0]*4 + [1]*3 + [2]*5]*2
    for loop in (algorithm_1(some_videos(), config,
                             cluster=lambda F, config: np.array(next(dealt))),
                 train(some_videos(), config,
                       parts=Parts(cluster=lambda F, config: np.array(next(dealt))))):
        assert [r.y.tolist() for r in loop] == expected


def test_nobody_alone_in_a_cluster_is_in_P():                        # kills r
    F = np.eye(4)[[0, 0, 1, 1, 2]] + .01
    F /= np.linalg.norm(F, axis=1, keepdims=True)
    config = Config(n_classes=3, delta=-1.)
    found = pseudolabels(F, None, 0, config, lambda F, config: np.array([0, 0, 1, 1, 2]),
                         SELECTIONS['delta'])
    assert found.selected.tolist() == [True]*4 + [False] and found.s[-1] == 0


# One step


@pytest.mark.parametrize('held', [0, 2**31])
# kills o, t
def test_the_student_sees_the_neighbouring_snippet_not_the_neighbouring_sample(held):
    videos = VideoSet(['a', 'b'], [np.arange(1., 101)[:, None]*[1, 1, 1],
                                   np.arange(1001., 1006)[:, None]*[1, 1, 1]])
    positions = [np.array([10, 50, 99]), np.array([0, 0, 4])]
    channels = [(torch.tensor([0]), torch.tensor([2]))]
    X = Batches(videos, torch.device('cpu'), torch.float32, held)(
        np.array([0, 1]), positions, channels, 0., 1)
    blank = [0., 0, 0]
    assert X.original[0].tolist() == [
        [11.]*3, [51.]*3, [100.]*3, blank, [1001.]*3, [1005.]*3, blank]
    assert X.augmented[0].tolist() == [
        [12., 11, 10], [52, 51, 50], [0, 100, 99], blank,
        [1002, 1001, 0], [0, 1005, 1004], blank]
    assert X.rows.tolist() == [[0, 1, 2], [4, 4, 5]]


class Counted(np.ndarray):
    "Features in a file, which counts the rows that are read."
    read = 0

    def __getitem__(self, i):
        Counted.read += len(i)
        return np.asarray(self)[i]


@pytest.mark.parametrize('shifted, rows', [(.25, 3), (0., 1)])
def test_a_set_that_is_not_held_in_memory_is_read_only_where_it_is_seen(shifted, rows):
    "Each sampled snippet with the one before and the one after, if features are shifted at all."
    x = np.random.default_rng(0).random((1000, 8)).astype(np.float32)
    videos = VideoSet(['a', 'b'], [x, x[::-1].copy()])
    positions = [np.array([0, 10, 10, 500, 999]), np.array([3, 4, 5, 700, 998])]
    channels = [shifted_channels(8, shifted, torch.Generator().manual_seed(0))]
    def read(held): return Batches(videos, torch.device('cpu'), torch.float32, held)(
        np.array([0, 1]), positions, channels, 0., 1)
    expected = read(2**31)
    arrays = videos.streams['features']
    for i in range(2): arrays[i] = arrays[i].view(Counted)
    Counted.read = 0
    for one, other in zip(expected, read(0), strict=True):
        for a, b in zip(one, other, strict=True): assert torch.equal(a, b)
    assert 9 <= Counted.read <= 9*rows


def test_dropout_keeps_the_mean_and_spares_the_teacher():    # kills k, n
    torch.manual_seed(0)
    for p in (.1, .8):
        x = Dropout(p)(torch.ones(400, 500))
        kept = 1 - round(256*p)/256
        assert x.unique().tolist() == pytest.approx([0, 1/kept])
        assert (x > 0).float().mean() == pytest.approx(kept, abs=.01)
    videos = VideoSet(['a'], {'x': [np.ones((50, 40))], 'y': [np.ones((50, 30))]})
    config = Config(n_classes=2, snippets=50, input_dropout=.7, shift=0.)
    (i, *drawn), = epoch(videos, config, 0, 0)
    X = sampled(videos, i, *drawn, config.input_dropout, 0)
    for seen, dropped in zip(X.original, X.augmented, strict=True):
        assert seen.unique().tolist() == [1]
        assert (dropped == 0).float().mean() == pytest.approx(.7, abs=.05)


@pytest.mark.parametrize('kernel', [1, 3])
def test_videos_one_behind_the_other_do_not_see_each_other(kernel):    # kills t
    videos = some_videos()
    network = IOCNet(videos.widths, 3, hidden=8, kernel=kernel).eval()
    plain = reference.Network.like(network)
    together = list(full_length(videos, network, 100))
    pieces = list(full_length(videos, network, 7))               # of at most 7 snippets
    positions = [np.arange(n) for n in videos.lengths[:4]]
    still = [shifted_channels(d, 0) for d in videos.widths.values()]
    X = sampled(videos, range(4), [np.resize(p, 60) if len(p) < 60 else p for p in positions],
                still, 0, network.reach)
    for i, (streams, (_, out)) in enumerate(zip(videos, together, strict=True)):
        with torch.no_grad():
            cas, attention, _ = plain(torch.cat([torch.tensor(x) for x in streams], -1)[None])
        torch.testing.assert_close(out.cas, cas[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(out.attention, torch.cat(attention), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(pieces[i][1][:2], out[:2], atol=1e-5, rtol=1e-5)
        assert all(map(torch.equal, pieces[i][0], map(torch.tensor, streams)))
        if i < 4:
            with torch.no_grad(): again = at_rows(network(*X.original), X.rows)
            torch.testing.assert_close(again.cas[i][:len(cas[0])], cas[0], atol=1e-5, rtol=1e-5)


# The oracle: the fast loop, the plain loop, and one that shares nothing with either

# dropout 0.6 of 48: nearly no snippet loses all its hidden units, after which it would be as good
# as the next, and the last bit would decide
SMALL = dict(hidden=48, dropout=.6, snippets=24, batch_size=5, iteration_num=2, epoch_num=2,
             alpha=.25, delta=.03, precision='float32')
RUNS = {'COPL': {}, 'conventional': PRESETS['conventional'],
        'everything else': dict(beta=.4, weight_decay=.3, lambda1=.2, lambda2=.5, input_dropout=.2,
                                gamma=.9, shift=.5, top_k=3, q=.5, seed=7, kernel=1,
                                carry_weights=False)}


def rounds(loop):
    "What each round of a loop leaves: the next one changes the networks."
    return [(r.F, r.y, r.s, r.selected, weights(r.network), weights(r.student), r.losses)
            for r in loop]


def same_weights(found, expected):
    """To 1e-6; Adam divides by gradients that may be all rounding, so one weight in a thousand
    may differ by more."""
    difference = (found - expected).abs()
    assert (difference < 1e-6).float().mean() > .999 and difference.max() < 1e-4, difference.max()


@pytest.mark.parametrize('run, streams', [('COPL', 1), ('COPL', 3), ('conventional', 2),
                                          ('everything else', 2)])
def test_both_loops_reach_the_weights_of_an_independent_one(run, streams, monkeypatch):
    videos = some_videos(streams=streams)
    config = Config(n_classes=3, **SMALL | RUNS[run])
    expected = list(reference.run(videos, config))
    plain = rounds(algorithm_1(videos, config))
    fast = rounds(train(videos, config))
    monkeypatch.setattr('copl.engine.Batches', functools.partial(Batches, held=0))
    read = rounds(train(videos, config))
    for theirs, *ours in zip(expected, plain, fast, read, strict=True):
        F, y, s, selected, teacher, student, log = theirs
        for F_, y_, s_, selected_, teacher_, student_, losses in ours:
            assert y_.tolist() == y.tolist() and selected_.tolist() == selected.tolist()
            np.testing.assert_allclose(F_, F, atol=2e-6)
            np.testing.assert_allclose(s_, s, atol=2e-6)
            same_weights(teacher_, teacher)
            same_weights(student_, student)
            pd.testing.assert_frame_equal(losses, pd.DataFrame(log), atol=1e-5)
    # these two differ by rounding at most
    for one, other, third in zip(plain, fast, read, strict=True):
        for k in (4, 5):
            torch.testing.assert_close(other[k], one[k], atol=1e-6, rtol=0)
            torch.testing.assert_close(third[k], one[k], atol=1e-6, rtol=0)


def test_weak_supervision_is_the_same_in_both_loops_and_rounds_keep_their_networks():
    videos = some_videos()
    config = Config(n_classes=3, supervision='weak', **SMALL)
    plain = list(algorithm_1(videos, config))
    fast = rounds(train(videos, config))
    for one, other in zip(plain, fast, strict=True):
        assert one.selected.all() and (one.y == other[1]).all()
        torch.testing.assert_close(other[4], weights(one.network), atol=1e-6, rtol=0)
        torch.testing.assert_close(other[5], weights(one.student), atol=1e-6, rtol=0)
    assert (weights(plain[0].network) - weights(plain[-1].network)).abs().max() > 1e-4


def test_a_run_goes_on_from_a_finished_one(tmp_path):
    train_set, test_set = tiny().split()
    small = dict(n_classes=6, hidden=16, snippets=32, iteration_num=1, epoch_num=2,
                 stream_norm=True)
    first = COPL(**small).fit(train_set)
    path = first.save(tmp_path/'first.pt')
    # its first round pools by the attention of the network that it goes on from
    other = COPL(**small | {'lr': 1e-9, 'weight_decay': 0.}, start=path).fit(test_set)
    np.testing.assert_allclose(other.features_, first.transform(test_set), atol=1e-6)
    # clusters have the numbers of the classes that the network knows
    said = first.predict(test_set)
    assert (other.predict(test_set) == said).all()
    matched = match_clusters(said, other.pseudolabels_, 6)
    assert (other.pseudolabels_ == said).sum() == (matched == said).sum()
    with pytest.raises(CoplError, match=r'start: .*first\.pt: found weights of another network'):
        COPL(**small | {'hidden': 32}, start=path).fit(train_set)
    with pytest.raises(CoplError, match='to train on from a finished run, use start'):
        COPL(**small | {'lr': 1e-5}).fit(train_set, checkpoint=path, resume=True)


# Random numbers


def test_random_streams_never_collide(monkeypatch):
    drawn = []
    seeds = []
    real = np.random.default_rng
    torch_real = torch.manual_seed
    def recorded(address=None):
        if isinstance(address, list): drawn.append(tuple(address))    # scipy asks for others
        return real(address)
    monkeypatch.setattr(files_module.np.random, 'default_rng', recorded)
    monkeypatch.setattr(torch, 'manual_seed', lambda seed: seeds.append(seed) or torch_real(seed))
    for seed in (0, 1):
        videos = simulate(Simulation(n_train=12, n_test=2, n_classes=3, dim=8),
                          seed).subset('train')
        for _ in train(videos, Config(3, seed=seed, hidden=8, snippets=8, iteration_num=3,
                                      epoch_num=3, carry_weights=False)): pass
    # no address is drawn from twice, and no two mean the same numbers; torch looks at 32 bits
    streams = {tuple(np.random.SeedSequence(a).generate_state(4)) for a in drawn}
    assert len(drawn) > 80 and len({*drawn}) == len(streams) == len(drawn)
    assert len(seeds) == 2*(3 + 9) and len({seed % 2**32 for seed in seeds}) == len(seeds)


# What the machine adds: devices, threads, processes


class OneDevice(TorchDispatchMode):
    """Refuses what a GPU would refuse: an operation on tensors of two devices,
    other than a copy or an index."""
    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        devices = {x.device.type for x in tree_leaves((args, kwargs))
                   if isinstance(x, torch.Tensor) and x.ndim}
        copies = ('_to_copy', 'copy_', 'index.Tensor', 'index_put')
        assert len(devices) < 2 or any(name in str(operation) for name in copies), (
            f'{operation} on {devices}')
        return operation(*args, **(kwargs or {}))


def test_a_step_keeps_to_the_device_of_its_network():
    # meta stands for a GPU: shapes and devices without numbers
    config = Config(4, hidden=16, kernel=3)
    device = torch.device('meta')
    with device:
        student, teacher = (build_network({'a': 60, 'b': 50}, config) for _ in range(2))
        targets = torch.zeros(3, 4)
        selected = torch.ones(3)
        rows = torch.zeros(3, 100).long()
    videos = VideoSet(list('xyz'), {'a': [np.ones((9, 60))]*3, 'b': [np.ones((9, 50))]*3})
    positions = [np.arange(100)*9//100]*3
    channels = [shifted_channels(d) for d in videos.widths.values()]
    for held in (0, 2**31):
        X = Batches(videos, torch.device('cpu'), torch.float32, held)(
            np.arange(3), positions, channels, 0., teacher.reach)
        X = [[x.to(device) for x in part] for part in X[:2]]
        with OneDevice():
            seen = at_rows(teacher.eval()(*X[0]), rows)
            sum(total_loss(at_rows(student(*X[1]), rows), seen, targets, selected, config,
                           LOSSES).values()).backward()
            update_teacher(teacher, student, 1)
        assert all(p.grad.device.type == 'meta' for p in student.parameters())
    with OneDevice():
        shift(torch.ones(3, 60, device=device), *(c.to(device) for c in shifted_channels(60)))


def test_half_precision_is_that_of_hidden_units_alone_and_changes_the_losses_little():
    network = IOCNet({'a': 60, 'b': 60}, 4, hidden=16)
    seen = []
    for branch in (network.class_branch, *network.attention_branches):
        branch.drop.register_forward_hook(
            lambda module, inputs, output: seen.append(output.dtype))
    with torch.autocast('cpu', torch.bfloat16):
        out = network(torch.rand(7, 60), torch.rand(7, 60))
    assert seen == [torch.bfloat16]*3
    assert {x.dtype for x in (out.cas, out.attention, *out.hidden)} == {torch.float32}
    losses = [list(train(some_videos(), Config(3, **SMALL | {'precision': p})))[0].losses
              for p in ('float32', 'bfloat16')]
    assert (losses[0] != losses[1]).any(axis=None)
    pd.testing.assert_frame_equal(*losses, rtol=.02, atol=1e-3)


def test_the_number_of_threads_is_that_of_the_run_and_not_of_the_machine():
    videos = tiny().subset('train')[:12]
    def train_on(threads, machine):
        with threadpool_limits(machine):
            torch.set_num_threads(machine)
            model = COPL(6, hidden=16, snippets=24, iteration_num=1, epoch_num=1, device='cpu',
                         precision='float32', threads=threads).fit(videos)
            assert torch.get_num_threads() == machine
        return model
    before = torch.get_num_threads()
    try: one, two, more = train_on(1, 1), train_on(1, 2), train_on(2, 2)
    finally: torch.set_num_threads(before)
    assert torch.equal(weights(one.network_), weights(two.network_))     # to the last bit
    np.testing.assert_allclose(weights(more.network_), weights(one.network_), atol=1e-3)
    for threads in (-1, 1.5):
        with pytest.raises(CoplError, match='threads is .*, expected a whole number from 0'):
            COPL(6, threads=threads).fit(videos)


def test_a_resume_on_another_number_of_threads_warns(tmp_path):
    videos = tiny().subset('train')[:12]
    small = dict(hidden=8, snippets=16, iteration_num=2, epoch_num=1, device='cpu')
    path = tmp_path/'c.pt'
    def stop(model): raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        COPL(6, **small).fit(videos, checkpoint=path, after_round=stop)
    with pytest.warns(UserWarning, match='begun on 1 CPU threads, resumed on 2'):
        model = COPL(6, **small, threads=2).fit(videos, checkpoint=path, resume=True)
    assert model.threads_ == COPL.load(path).threads_ == 2


SCRIPT = '''
import sys, torch
import copl.engine
import copl.runs
from copl import Config, tiny
from copl.cli import main
from copl.files import CoplError, world
def run(devices):
    fabric = copl.engine.launch(torch.device('cpu'), devices, 1, 'float32')
    config = Config(6, hidden=16, snippets=24, dropout=0, input_dropout=0, iteration_num=2, \
epoch_num=2, batch_size=7, precision='float32', hold_out=.1)
    videos = tiny().subset('train')[:49]
    return [(r.y, r.selected, r.F, r.losses.to_dict('list'), r.agreement) \
for r in copl.engine.train(videos, config, fabric=fabric)]
def failing(own, rank):
    def method(*args, **options):
        if world()[0] == rank: raise CoplError("video 'x': found it torn")
        return own(*args, **options)
    return method
if len(sys.argv) > 1:
    devices, module, name, rank = sys.argv[1:]
    rounds = run(3) if devices == '3' else None
    module = getattr(copl, module)
    if world()[0] == 0 and rounds: torch.save(rounds, 'rounds.pt')
    setattr(module, name, failing(getattr(module, name), int(rank)))
    sys.exit(main(['train', 'sim:tiny', '--devices', devices, '--device', 'cpu', '--epoch-num', \
'1', '--iteration-num', '1', '--hidden', '8', '--snippets', '16', '--precision', 'float32', \
'--out', 'run']))
'''


@pytest.fixture(scope='module')
def processes(tmp_path_factory):
    "A function that runs the script in several, and gives its folder and what it complained about."
    @functools.cache
    def started(*args):
        folder = tmp_path_factory.mktemp('processes')
        (folder/'run.py').write_text(SCRIPT)
        done = subprocess.run([sys.executable, 'run.py', *args], cwd=folder, timeout=300,
                              env=os.environ | {'OMP_NUM_THREADS': '1'}, capture_output=True,
                              text=True)
        assert done.returncode != 0
        return folder, done.stderr
    return started


# between two gradients of three processes, after a whole run; as if on a full disk
STOPS = [('3', 'engine', 'total_loss', '1'), ('2', 'runs', 'atomic_write', '0')]


def test_three_processes_reach_the_clusters_and_losses_of_one(processes, monkeypatch):
    # 44 videos in batches of 7: the last holds 2, so that one of 3 processes has none
    monkeypatch.setattr(sys, 'argv', ['run.py'])
    alone = {}
    exec(SCRIPT, alone)
    together = torch.load(processes(*STOPS[0])[0]/'rounds.pt', weights_only=False)
    for one, three in zip(alone['run'](1), together, strict=True):
        assert (one[0] == three[0]).all() and (one[1] == three[1]).all() and one[4] == three[4]
        np.testing.assert_allclose(three[2], one[2], atol=1e-5)
        for name in one[3]: np.testing.assert_allclose(three[3][name], one[3][name], atol=1e-4)


@pytest.mark.parametrize('where', STOPS, ids=lambda s: s[2])
def test_where_one_process_stops_the_others_end_too_and_no_file_is_half_written(processes, where):
    folder, complaints = processes(*where)
    assert complaints.count("copl: error: video 'x': found it torn") == 1, complaints
    assert 'Traceback' not in complaints
    assert not [*folder.glob('run/*.pt'), *folder.glob('run/.*.pt')]
