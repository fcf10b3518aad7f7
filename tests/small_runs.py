"What the tests of whole runs share: a small set, small options, a command called in this process."
import contextlib
import io

import numpy as np
import pandas as pd
import torch

from copl.cli import main
from copl.simulation import Simulation, simulate
from copl.videos import Annotations, VideoSet

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


NAMES = ['calm', 'dive', 'jump', 'swim']


def four_videos(**widths):
    "Two training and two test videos of 20 to 23 snippets, with streams of these widths."
    rng = np.random.default_rng(0)
    streams = {s: [rng.random((20 + i, d)).astype('float32') for i in range(4)]
               for s, d in widths.items()}
    segments = pd.DataFrame([('dive', 1., 2.5, 'Diving'), ('dive', 3., 4., 'Diving'),
                             ('jump', .1, 9., 'HighJump'), ('swim', 0., 1/3, 'Diving')],
                            columns=['video', 'start', 'end', 'label'])
    table = pd.DataFrame({'video': NAMES, 'subset': ['train', 'train', 'test', 'test'],
                          'duration': [(20 + i)*16/25 for i in range(4)]})
    return VideoSet(NAMES, streams, annotations=Annotations(segments, table))


def write_truth(folder, names, **columns):
    "Annotations as W-TALC keeps them: lists of lists become arrays of objects."
    n = len(names)
    arrays = {'videoname': [name.encode() for name in names], 'subset': [b'test']*n,
              'duration': [20.]*n, 'segments': [[[1., 2.]]]*n, 'labels': [['A']]*n}
    folder.mkdir(parents=True)
    for key, values in (arrays | columns).items():
        ragged = key in ('segments', 'labels') and isinstance(values, list)
        np.save(folder/f'{key}.npy', np.fromiter(values, object, n) if ragged else values)
    return folder


def files(folder):
    "What lies in a folder, but for locks: {path inside it: content}."
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob('*')
            if p.is_file() and p.suffix != '.lock'}
