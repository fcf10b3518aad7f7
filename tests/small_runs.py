"What the tests of whole runs share: a small set, small options, a command called in this process."
import contextlib
import io

import torch

from copl.cli import main
from copl.simulation import Simulation, simulate

SMALL = dict(hidden=16, snippets=16, iteration_num=3, epoch_num=2, batch_size=5,
             precision='float32')
QUICK = ['--epoch-num', 2, '--iteration-num', 2, '--hidden', 16, '--snippets', 32,
         '--device', 'cpu'] # the same for commands
VIDEOS = simulate(Simulation(n_train=20, n_test=24, n_classes=3, dim=12, max_length=40), 2)
TRAIN, UNSEEN = VIDEOS.split()


def weights(network):
    "All of them, one after another."
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def command(*args):
    "The command, here: (exit status, what it printed, what it complained about)."
    out = io.StringIO()
    err = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(a) for a in args])
    return status, out.getvalue(), err.getvalue()


def files(folder):
    "What lies in a folder, but for locks: {path inside it: content}."
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob('*')
            if p.is_file() and p.suffix != '.lock'}
