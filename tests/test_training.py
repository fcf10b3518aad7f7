"The training step against a plain reference, and one run in two processes against the same run in one."
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from threadpoolctl import threadpool_limits
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from copl import COPL, Config, IOCNet, tiny
from copl.iocnet import PAYS, Snippets, losses, shifted_channels, temporal_feature_shift, update_teacher
from copl.simulate import Simulation, simulate
from copl.training import minibatches, new_state, snippet_reader, train_epoch

from .reference import training as reference


@pytest.mark.parametrize('supervision', ['none', 'weak'])
def test_the_losses_and_gradients_equal_the_plain_reference(supervision):
    torch.manual_seed(0)
    config = Config(n_classes=4, hidden=16, dropout=0, lambda1=.7, lambda2=1.3, top_k=5)
    student, teacher = (IOCNet(12, 8, 4, hidden=16, dropout=0).double() for _ in range(2))
    rgb, flow = torch.rand(6, 23, 12).double(), torch.rand(6, 23, 8).double()
    targets = torch.eye(4)[[0, 1, 2, 3, 0, 1]].double()
    if supervision == 'weak': targets[0] = torch.tensor([.5, .5, 0, 0])
    trusted = torch.tensor([1., 1, 0, 1, 0, 1])
    ours = losses(student(rgb, flow), teacher(rgb, flow), targets, trusted, config)
    sum(ours.values()).backward()
    plain = reference.Network(student, 0), reference.Network(teacher, 0)
    x = torch.cat([rgb, flow], -1)
    with torch.no_grad(): seen = plain[1](x)
    theirs = reference.losses(plain[0](x), seen, targets, trusted, config)
    sum(theirs.values()).backward()
    for name in ours: assert ours[name].item() == pytest.approx(theirs[name].item(), abs=1e-9), name
    for p, q in zip(student.parameters(), plain[0].parameters(), strict=True): torch.testing.assert_close(p.grad, q.grad.view_as(p), atol=1e-9, rtol=1e-6)


def test_the_shift_equals_the_plain_reference():
    x = torch.rand(3, 7, 9)
    moved = torch.randperm(9, generator=torch.Generator().manual_seed(5))[:round(.5*9)]
    assert torch.equal(temporal_feature_shift(x, .5, torch.Generator().manual_seed(5)), reference.shifted(x, moved))


@pytest.mark.parametrize('pays', [PAYS, -1000])
def test_an_epoch_equals_the_plain_reference(pays, monkeypatch):
    monkeypatch.setattr('copl.iocnet.PAYS', pays)
    videos = simulate(Simulation(n_train=10, n_test=0, n_classes=3, dim=24)).subset('train')
    config = Config(n_classes=3, hidden=16, dropout=0, batch_size=4, snippets=20, precision='float32')
    from copl.devices import launch
    fabric = launch(torch.device('cpu'), precision='float32')
    state = new_state(videos, config)
    step = reference.Step(state.student, config)
    state.y, state.trusted = np.arange(10) % 3, np.arange(10) % 4 > 0
    targets = torch.eye(3)[state.y]
    read = snippet_reader(videos, 20, torch.device('cpu'), torch.float32)
    means = train_epoch(state, read, targets, config, fabric, fabric.setup_module(state.student))

    rng = np.random.default_rng([0, 0, 0])                       # the same random numbers, drawn in the same order
    channels = torch.Generator().manual_seed(int(rng.integers(2**62)))
    rng.integers(2**62)
    totals = dict.fromkeys(means, 0)
    for indices in minibatches(10, 4, rng):
        places = [np.minimum(((np.arange(20) + rng.random(20))*t/20).astype(int), t - 1) for t in videos.lengths[indices]]
        moved = [torch.randperm(d, generator=channels)[:round(.25*d)] for d in (24, 24)]
        terms = step(videos, indices, places, moved, targets[indices], torch.from_numpy(state.trusted).float()[indices])
        for name in totals: totals[name] += terms[name]*len(indices)/10
    assert means == pytest.approx(totals, abs=1e-5)
    for p, q in zip(state.student.parameters(), step.student.parameters(), strict=True): torch.testing.assert_close(p, q.view_as(p), atol=1e-4, rtol=1e-4)
    for p, q in zip(state.teacher.parameters(), step.teacher.parameters(), strict=True): torch.testing.assert_close(p, q.view_as(p), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('share, length', [(.25, 20), (.25, 500), (0, 20)])
def test_distinct_snippets_give_what_every_place_would(share, length):
    torch.manual_seed(0)
    network, places = IOCNet(300, 300, 4, hidden=16, dropout=0).double(), torch.rand(3, 200).mul(length).long().sort(1).values
    distinct, rows = (torch.arange(3)[:, None]*length + places).unique(return_inverse=True)
    rgb, flow = (torch.rand(len(distinct), 300).double() for _ in range(2))
    assert (300*(1 - len(distinct)/600) > PAYS) == (length == 20)
    moved = [shifted_channels(300, share, torch.Generator().manual_seed(i)) for i in range(2)]
    results = []
    for out in (network(rgb, flow, rows, moved),
                network(*(temporal_feature_shift(x[rows], share, torch.Generator().manual_seed(i)) for i, x in enumerate((rgb, flow))))):
        network.zero_grad()
        sum((o**2).sum() for o in out).backward()
        results.append([*out, *(p.grad.clone() for p in network.parameters())])
    for a, b in zip(*results, strict=True): torch.testing.assert_close(a, b, atol=1e-9, rtol=1e-9)


class OneDevice(TorchDispatchMode):
    "Refuses what a GPU would refuse: an operation on tensors of two devices, other than a copy or an index."
    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        devices = {x.device.type for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor) and x.ndim}
        copies = ('_to_copy', 'copy_', 'index.Tensor', 'index_put')
        assert len(devices) < 2 or any(name in str(operation) for name in copies), f'{operation} on {devices}'
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize('drawn', ['cpu', 'meta'])
@pytest.mark.parametrize('pays', [-1000, 1000])
def test_a_step_keeps_to_the_device_of_its_network(pays, drawn, monkeypatch):
    monkeypatch.setattr('copl.iocnet.PAYS', pays)
    moved = [[c.to(drawn) for c in shifted_channels(60)] for _ in range(2)]     # DDP takes them to the device
    with torch.device('meta'):                                                  # stands for a GPU: shapes and devices without numbers
        student, teacher = IOCNet(60, 60, 4, hidden=16), IOCNet(60, 60, 4, hidden=16).eval()
        rgb, flow, rows, targets, trusted = torch.rand(50, 60), torch.rand(50, 60), torch.zeros(3, 100).long(), torch.zeros(3, 4), torch.ones(3)
    with OneDevice():
        seen = Snippets(*(o[rows] for o in teacher(rgb, flow)))
        sum(losses(student(rgb, flow, rows, moved), seen, targets, trusted, Config(4)).values()).backward()
        update_teacher(teacher, student, 1)
    assert all(p.grad.device.type == 'meta' for p in student.parameters())


def test_no_mini_batch_is_compiled_anew(monkeypatch):
    monkeypatch.setattr('copl.iocnet.PAYS', -1000)
    network = IOCNet(60, 60, 4, hidden=16, dropout=0)
    compiled = torch.compile(network, dynamic=True, backend='eager')
    for n in range(20, 28):                                                     # distinct snippets
        batch = torch.rand(n, 60), torch.rand(n, 60), torch.arange(n).repeat(5)[:90].view(3, 30), [shifted_channels(60) for _ in range(2)]
        with torch._dynamo.config.patch(error_on_recompile=n > 20):
            for a, b in zip(compiled(*batch), network(*batch), strict=True): torch.testing.assert_close(a, b)


@pytest.mark.parametrize('pays', [-1000, 1000])
def test_hidden_units_have_the_format_of_the_products(pays, monkeypatch):
    monkeypatch.setattr('copl.iocnet.PAYS', pays)
    network = IOCNet(60, 60, 4, hidden=16)
    seen, moved = [], [shifted_channels(60) for _ in range(2)]
    for branch in network.branches(): branch[2].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    with torch.autocast('cpu', torch.bfloat16): network(torch.rand(7, 60), torch.rand(7, 60), torch.arange(6).view(2, 3), moved)
    assert seen == [torch.bfloat16]*3


def test_another_number_of_threads_changes_last_bits_only():
    videos, models = tiny().subset('train')[:40], []
    before = torch.get_num_threads()
    for n in (1, 2, 2):
        torch.set_num_threads(n)
        try:
            model = COPL(6, hidden=64, snippets=64, iteration_num=2, epoch_num=4, precision='float32', device='cpu')
            with threadpool_limits(n): models.append(model.fit(videos))
        finally: torch.set_num_threads(before)
    one, two, again = models
    assert (one.pseudolabels_ == two.pseudolabels_).all()
    np.testing.assert_allclose(one.confidence_, two.confidence_, atol=1e-4)
    np.testing.assert_array_equal(two.confidence_, again.confidence_)
    for p, q in zip(two.network_.parameters(), again.network_.parameters(), strict=True): assert torch.equal(p, q)


def test_compiled_training_gives_the_same_losses_and_goes_on_without_a_compiler(tmp_path):
    command = [sys.executable, '-c', 'import sys; from copl.cli import main; sys.exit(main())', 'train', 'sim:tiny', '--hidden', '8', '--snippets', '32',
               '--dropout', '0', '--iteration-num', '1', '--epoch-num', '2', '--precision', 'float32', '--device', 'cpu']
    rounds = []
    for name, more, environment in (('plain', [], {}), ('compiled', ['--compile'], {}), ('without', ['--compile'], {'CXX': '/no/compiler'})):
        cache = {'TORCHINDUCTOR_CACHE_DIR': str(tmp_path/'cache'/name)}
        done = subprocess.run([*command, *more, '--out', str(tmp_path/name)], capture_output=True, text=True, env=os.environ | environment | cache)
        assert done.returncode == 0, done.stderr
        if name == 'without' or shutil.which('g++') is None: assert ('torch.compile does not work here' in done.stderr) == (name != 'plain')
        else: assert 'torch.compile' not in done.stderr
        rounds.append(pd.read_csv(tmp_path/name/'rounds.csv'))
    trial = 'import torch; torch.compile(lambda x: x + 1)(torch.zeros(1))'
    if shutil.which('g++'):                                                                    # more was compiled than the trial
        subprocess.run([sys.executable, '-c', trial], check=True, env=os.environ | {'TORCHINDUCTOR_CACHE_DIR': str(tmp_path/'cache/trial')})
        programs = {name: len([*(tmp_path/'cache'/name).rglob('*.cpp')]) for name in ('trial', 'compiled')}
        assert programs['compiled'] > programs['trial'] > 0
    for other in rounds[1:]: pd.testing.assert_frame_equal(other, rounds[0], atol=1e-5)


SCRIPT = '''
import sys, torch
from copl import Config, tiny
from copl.devices import launch
from copl.config import world
from copl.training import algorithm_1
videos = tiny().subset('train')[:44]
config = Config(6, hidden=32, snippets=32, dropout=0, iteration_num=2, epoch_num=4, batch_size=7, precision='float32')
fabric = launch(torch.device('cpu'), devices=int(sys.argv[1]), precision='float32')
rounds = list(algorithm_1(videos, config, fabric=fabric))
if world()[0] == 0: torch.save([(r.y, r.trusted, r.F, r.losses.to_dict('list')) for r in rounds], sys.argv[2])
'''


def test_two_processes_reach_the_clusters_and_losses_of_one(tmp_path):
    (tmp_path/'run.py').write_text(SCRIPT)
    results = []
    for n in (1, 2, 3):                                          # 44 videos in batches of 7: the last holds 2, so that one of 3 processes has none
        subprocess.run([sys.executable, 'run.py', str(n), f'{n}.pt'], cwd=tmp_path, check=True, env=os.environ | {'OMP_NUM_THREADS': '1'}, timeout=300)
        results.append(torch.load(tmp_path/f'{n}.pt', weights_only=False))
    for other in results[1:]:
        for (y, trusted, F, losses_), (y2, trusted2, F2, losses2) in zip(results[0], other, strict=True):
            assert (y == y2).all() and (trusted == trusted2).all()
            np.testing.assert_allclose(F2, F, atol=1e-5)
            for name in losses_: np.testing.assert_allclose(losses2[name], losses_[name], atol=1e-4)
