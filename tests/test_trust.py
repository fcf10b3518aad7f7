"What tells good runs from bad ones without labels, and what is chosen by it."
import contextlib
import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from copl import COPL, Config, CoplError, VideoSet, algorithm_1, estimate_n_classes
from copl.algorithm import taking_part
from copl.cli import main
from copl.engine import Batches, train
from copl.simulation import Simulation, simulate
from copl.trust import (
    between_runs,
    consensus,
    nearest_clusters,
    split_half,
    trust,
    unseen_agreement,
    verdict,
)

SMALL = dict(hidden=16, snippets=16, iteration_num=3, epoch_num=2, batch_size=5,
             precision='float32')
VIDEOS = simulate(Simulation(n_train=20, n_test=24, n_classes=3, dim=12, max_length=40), 2)
TRAIN, UNSEEN = VIDEOS.split()
QUICK = ['--epoch-num', 2, '--iteration-num', 2, '--hidden', 16, '--snippets', 32,
         '--device', 'cpu']


def weights(network):
    "All of them, one after another."
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def copl(*args):
    "The command, here: (exit status, what it printed, what it complained about)."
    out = io.StringIO()
    err = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(a) for a in args])
    return status, out.getvalue(), err.getvalue()


def by_hand(videos, network, config):
    "Features and classes of videos, one at a time and from the definitions."
    F = []
    said = []
    for streams in videos:
        x = [torch.tensor(s) for s in streams]
        with torch.no_grad(): out = network(*x)
        A_ca = sum(out.attention)/len(out.attention)
        pooled = torch.cat([sum(a*row for a, row in zip(A_ca, s, strict=True)) for s in x])
        F.append((pooled/pooled.norm()).numpy())
        h = out.cas.softmax(-1) + out.attention.sum(0)[:, None]         # Eq. 14, but for a factor
        k = max(1, len(h)//config.top_k)
        scores = [out.cas[h[:, c].argsort(descending=True)[:k], c].mean() for c in range(3)]
        said.append(int(torch.stack(scores).argmax()))
    return np.stack(F), np.array(said)


def agreement_by_hand(network, y, held, config, unseen):
    "The definition, without any of copl's functions."
    F, said = by_hand(TRAIN, network, config)
    F_unseen, said_unseen = (by_hand(unseen, network, config) if unseen is not None else
                             (F[:0], said[:0]))
    kept = np.setdiff1d(np.arange(len(F)), held)
    asked = [*zip(F[held], said[held], strict=True), *zip(F_unseen, said_unseen, strict=True)]
    centroids = {c: F[kept][y[kept] == c].sum(0) for c in set(y[kept].tolist())}
    nearest = [max(centroids, key=lambda c: f @ centroids[c]/np.linalg.norm(centroids[c]))
               for f, _ in asked]
    return np.mean([c == x for c, (_, x) in zip(nearest, asked, strict=True)])


# Agreement in every round, and videos held out


@pytest.mark.parametrize('hold_out, unseen', [(0., UNSEEN), (.2, None), (.2, UNSEEN)])
def test_agreement_of_every_round_is_that_of_its_definition(hold_out, unseen):
    config = Config(3, **SMALL | {'epoch_num': 8}, attention='class_agnostic', hold_out=hold_out)
    held = np.setdiff1d(np.arange(20), taking_part(20, config))
    assert len(held) == 20*hold_out
    found = [(r.agreement, agreement_by_hand(r.network, r.y, held, config, unseen),
              unseen_agreement(TRAIN, r.y, unseen, r.network, config))
             for r in train(TRAIN, config, unseen=unseen)]
    for one, definition, again in found:
        assert one == pytest.approx(definition) == pytest.approx(again)


def test_looking_at_unseen_videos_changes_nothing_else():
    config = Config(3, **SMALL)
    for with_them, without in zip(train(TRAIN, config, unseen=UNSEEN), train(TRAIN, config),
                                  strict=True):
        assert np.isnan(without.agreement) and not np.isnan(with_them.agreement)
        assert (with_them.F == without.F).all() and (with_them.y == without.y).all()
        assert torch.equal(weights(with_them.network), weights(without.network))


def test_no_loss_sees_what_is_held_out(monkeypatch):
    config = Config(3, **SMALL, hold_out=.3)
    seen = []
    read = Batches.__call__
    def watched(self, indices, *args):
        seen.append(indices)
        return read(self, indices, *args)
    monkeypatch.setattr(Batches, '__call__', watched)
    fast = [(r.y, weights(r.network), r.losses) for r in train(TRAIN, config)]
    assert (np.unique(np.concatenate(seen)).tolist() == taking_part(20, config).tolist() and
            len(taking_part(20, config)) == 14)
    assert taking_part(20, config).tolist() != taking_part(20, replace(config, seed=1)).tolist()
    for plain, (y, network, losses) in zip(algorithm_1(TRAIN, config), fast, strict=True):
        assert (plain.y == y).all() and len(y) == 20
        torch.testing.assert_close(weights(plain.network), network, atol=1e-6, rtol=0)
        pd.testing.assert_frame_equal(plain.losses, losses, atol=1e-5)


@pytest.mark.parametrize('hold_out, message', [
    (.01, 'leaves out 0 of 20 videos, expected at least 1 left out and 3'),
    (.9, 'leaves out 18 of 20 videos')])
def test_a_hold_out_that_leaves_nothing_is_refused(hold_out, message):
    config = Config(3, **SMALL, hold_out=hold_out)
    for run in (lambda: COPL(config=config, device='cpu').fit(TRAIN),
                lambda: list(algorithm_1(TRAIN, config))):
        with pytest.raises(CoplError, match=message): run()


def test_without_unseen_videos_there_is_no_agreement_and_asking_for_it_says_so():
    model = COPL(3, **SMALL, device='cpu').fit(TRAIN)
    assert 'agreement' not in model.rounds_
    with pytest.raises(CoplError, match='found 0 classes and 0 clusters, expected one of each '
                                        'for one unseen video or more'):
        model.agreement(TRAIN)
    assert COPL(3, **SMALL, hold_out=.2, device='cpu').fit(TRAIN).rounds_.agreement.between(
        0, 1).all()


def test_unseen_videos_that_cannot_be_are_refused():
    model = COPL(3, **SMALL, device='cpu')
    with pytest.raises(CoplError, match='found 5 of the unseen videos in training, '
                                        f'the first: {TRAIN.names[2]!r}'):
        model.fit(TRAIN, unseen=TRAIN[2:7])
    narrow = VideoSet(UNSEEN.names, {'rgb': [x[:, :4] for x in UNSEEN.streams['rgb']],
                                     'flow': UNSEEN.streams['flow']})
    with pytest.raises(CoplError, match=r"streams \{'rgb': 4, 'flow': 12\}, "
                                        r"expected \{'rgb': 12, 'flow': 12\}"):
        model.fit(TRAIN, unseen=narrow)
    broken = [x.copy() for x in UNSEEN.streams['rgb']]
    broken[1][0, 3] = np.nan
    with pytest.raises(CoplError,
                       match=f'{UNSEEN.names[1]!r}, rgb, snippet 0, channel 3: found nan'):
        model.fit(TRAIN, unseen=VideoSet(UNSEEN.names, {'rgb': broken,
                                                        'flow': UNSEEN.streams['flow']}))


def test_labels_of_unseen_videos_are_not_looked_at():
    model = COPL(3, **SMALL, device='cpu').fit(TRAIN, unseen=UNSEEN)
    blind = COPL(3, **SMALL, device='cpu').fit(TRAIN, unseen=VideoSet(UNSEEN.names, UNSEEN.streams))
    assert blind.rounds_.agreement.tolist() == model.rounds_.agreement.tolist()


class Stopped(Exception): pass


def test_a_run_with_unseen_videos_resumes_to_the_same_rounds(tmp_path):
    whole = COPL(3, **SMALL, device='cpu').fit(TRAIN, unseen=UNSEEN)
    def stop(model):
        if len(model.iterations_) == 2: raise Stopped
        return {}
    with pytest.raises(Stopped):
        COPL(3, **SMALL, device='cpu').fit(TRAIN, tmp_path/'c.pt', after_round=stop, unseen=UNSEEN)
    with pytest.raises(CoplError, match='cannot resume with other data'):
        COPL(3, **SMALL, device='cpu').fit(TRAIN, tmp_path/'c.pt', True)
    resumed = COPL(3, **SMALL, device='cpu').fit(TRAIN, tmp_path/'c.pt', True, unseen=UNSEEN)
    pd.testing.assert_frame_equal(resumed.rounds_, whole.rounds_)
    assert torch.equal(weights(resumed.network_), weights(whole.network_))


def test_a_checkpoint_from_before_an_option_existed_resumes(tmp_path):
    model = COPL(3, **SMALL, device='cpu').fit(TRAIN, tmp_path/'c.pt')
    saved = torch.load(tmp_path/'c.pt', weights_only=True)
    del saved['config']['hold_out']
    torch.save(saved, tmp_path/'c.pt')
    again = COPL(3, **SMALL, device='cpu').fit(TRAIN, tmp_path/'c.pt', resume=True)
    assert again.pseudolabels_.tolist() == model.pseudolabels_.tolist()
    with pytest.raises(CoplError, match=r'hold_out: 0.0 then, 0.2 now'):
        COPL(3, **SMALL, hold_out=.2, device='cpu').fit(TRAIN, tmp_path/'c.pt', True)


# Figures


def test_a_cluster_without_videos_is_nobodys_nearest():
    rng = np.random.default_rng(0)
    F = rng.normal(size=(30, 5))
    y = rng.choice([0, 2], 30)
    found = nearest_clusters(F, y, -F, 4)
    assert set(found.tolist()) <= {0, 2}
    centroids = np.stack([F[y == c].mean(0)/np.linalg.norm(F[y == c].mean(0)) for c in (0, 2)])
    assert found.tolist() == [[0, 2][i] for i in (-F @ centroids.T).argmax(1)]


def test_split_half_is_high_for_groups_and_low_for_none():
    rng = np.random.default_rng(0)
    def unit(x): return x/np.linalg.norm(x, axis=1, keepdims=True)
    groups = unit(np.repeat(np.eye(4, 8), 10, 0) + .1*rng.normal(size=(40, 8)))
    none = unit(rng.normal(size=(40, 8)))
    config = Config(4)
    assert split_half(groups, config) > .95 and split_half(none, config) < .4
    assert (split_half(none, config) == split_half(none, config) !=
            split_half(none, replace(config, seed=1)))


def test_likeness_and_consensus_do_not_depend_on_the_numbers_of_clusters():
    rng = np.random.default_rng(1)
    truth = np.repeat(np.arange(3), 12)
    noisy = [np.where(rng.random(36) < .25, rng.integers(0, 3, 36), truth) for _ in range(5)]
    renamed = [rng.permutation(3)[y] for y in noisy]
    assert between_runs(renamed) == pytest.approx(between_runs(noisy))
    assert between_runs(noisy)[0, 1] == pytest.approx(adjusted_rand_score(noisy[0], noisy[1]))
    found = consensus(renamed, [1]*5, Config(3))
    assert adjusted_rand_score(found, truth) > max(adjusted_rand_score(y, truth) for y in noisy)
    assert adjusted_rand_score(consensus(noisy[:2], [1, 1e-9], Config(3)), noisy[0]) == 1
    with pytest.raises(CoplError, match='expected 5 from 0, not all 0'):
        consensus(noisy, [1, 1, 1, 1, -1], Config(3))


def test_a_verdict_weighs_what_is_known():
    assert [verdict(a).believe for a in (.749, .75, .899, .9)] == [False, None, None, True]
    assert ([verdict(.95, a).believe for a in (.39, .4)] == [False, True] and
            not verdict(.5, .9).believe)
    assert (verdict(np.nan).believe is None and verdict(np.nan, .8).believe and
            verdict(np.nan, .2).believe is False)
    assert ('45%' in verdict(.45).why and 'Mean pooling' in verdict(.45).why and
            '--hold-out' in verdict(np.nan).why)
    assert trust(.5, .4) == pytest.approx(.2) and trust(np.nan, .4) == .4 and trust(.9, -.2) == 0


@pytest.mark.parametrize('n', [4, 7])
def test_the_number_of_separated_groups_is_found(n):
    rng = np.random.default_rng(n)
    F = np.repeat(np.eye(n, 16), 12, 0) + .12*rng.normal(size=(12*n, 16))
    assert estimate_n_classes(F/np.linalg.norm(F, axis=1, keepdims=True)) == n


# By the command line


def test_the_number_of_classes_by_the_command_line(tmp_path):
    status, printed, _ = copl('train', 'sim:tiny', '--n-classes', 'auto', *QUICK,
                              '--out', tmp_path/'run')
    found = json.loads((tmp_path/'run/metrics.json').read_text())['config']['n_classes']
    assert status == 0 and printed.startswith(
        f'number of classes: {found}, estimated (half of 20 subsamples say ')
    assert copl('train', 'sim:tiny', '--n-classes', 'auto', *QUICK, '--out', tmp_path/'run',
                '--resume')[0] == 0
