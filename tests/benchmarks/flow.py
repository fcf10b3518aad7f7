"""TV-L1 and DIS flow: the time of a pair at 340 x 256, and what clusters of drawn videos lose.

    python -m tests.benchmarks.flow --size thumos --out tests/benchmarks/results/flow.json

`thumos` is five sets of drawn videos, `tiny` one."""
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from copl import CLUSTERINGS, Config, load_videos
from copl.evaluation import clustering_scores
from copl.extraction import FLOWS, extract, moving_shapes, optical_flow, read_frames

from . import compare, main, measure

SETS = {'tiny': 1, 'thumos': 5}


def pair(folder):
    "Two pictures in which a shape moves."
    moving_shapes(folder/'large', n=1, seconds=3, size=(340, 256))
    return list(read_frames(folder/'large/shape_00.mp4', 25, 256))[20:22]


def purity(folder, labels, streams):
    "Of spectral clusters of mean-pooled features."
    videos = load_videos(folder)
    F = np.stack([np.concatenate([np.asarray(videos.streams[s][i]).mean(0) for s in streams])
                  for i in range(len(videos))])
    F /= np.linalg.norm(F, axis=1, keepdims=True)
    y = CLUSTERINGS['spectral'](F, Config(4))
    return clustering_scores(y, list(labels[videos.names]))['purity']


def purities(folder, flow, sets):
    "(both streams, flow alone) of each set of sixteen drawn videos of four motions."
    found = []
    for seed in range(sets):
        here = folder/f'{flow}-{seed}'
        truth = moving_shapes(here/'videos', n=16, seconds=10, seed=seed)
        extract(here/'videos', here/'features', short_side=72, crop=64, flow=flow)
        labels = truth.segments.groupby('video').label.first()
        found.append([purity(here/'features', labels, s) for s in (('rgb', 'flow'), ('flow',))])
    return found


def column(which, found):
    "Purity of each set, rounded."
    return [round(float(row[which]), 3) for row in found]


def benchmark(size, repeats):
    "Both kinds of flow in turn on one pair, then the clusters that each gives."
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = pair(folder)
        tvl1, dis = (partial(optical_flow, *pictures, kind) for kind in FLOWS)
        yield compare('a pair of 340 x 256, TV-L1 and DIS', tvl1, dis, repeats)
        for kind in FLOWS:
            yield measure(f'extraction of {SETS[size]} sets, {kind}',
                          partial(purities, folder, kind, SETS[size]),
                          purity=partial(column, 0), purity_of_flow=partial(column, 1))


if __name__ == '__main__': main(benchmark, tuple(SETS))
