"From network outputs to detections, a split at a time: loops over videos, classes, thresholds and runs (tests/reference), and copl."
import numpy as np
import torch

from copl import Config
from copl.annotations import TimeGrid
from copl.config import ACTIVITYNET
from copl.iocnet import Snippets
from copl.localize import TOGETHER, _localize
from tests.benchmarks import compare, main
from tests.reference import localization as reference

SIZES = {'tiny': (36, 100, 6), 'thumos': (210, 420, 20), 'anet': (2383, 225, 100)}


def outputs(videos, length, classes):
    "What a trained network might say: a few actions of one class in noise."
    rng = np.random.default_rng(0)
    for t in rng.integers(length//4, 2*length, videos):
        action = np.zeros(t)
        for _ in range(rng.integers(1, 16)):
            start = rng.integers(t)
            action[start:start + rng.integers(2, 15)] = 1
        cas = rng.normal(size=(t, classes))
        cas[:, rng.integers(classes)] += 8*action - 2
        yield Snippets(*(torch.from_numpy(x) for x in (cas, *(.7*action + .3*rng.random((2, t))))))


def benchmark(size, repeats):
    "Everything after the network, hard and soft NMS."
    videos, length, classes = SIZES[size]
    outs, grid, names = list(outputs(videos, length, classes)), TimeGrid(), [f'class {c}' for c in range(classes)]
    durations = [grid.duration(len(o.cas)) for o in outs]
    for nms in ('hard', 'soft'):
        config = Config(n_classes=classes, nms=nms, **(ACTIVITYNET if size == 'anet' else {}))

        def plain(config=config):
            return [reference.localize(*(x.numpy() for x in o), config, grid.edges, d, names) for o, d in zip(outs, durations, strict=True)]

        def ours(config=config):
            return [_localize(outs[i:i + TOGETHER], config, grid, durations[i:i + TOGETHER], names) for i in range(0, len(outs), TOGETHER)]

        def check(theirs, mine):
            scores = np.concatenate([t.score for t in mine])
            np.testing.assert_allclose(scores, [d[3] for found in theirs for d in found], atol=1e-6)

        yield compare(f'localization, {nms} NMS', plain, ours, repeats, check, videos=videos, snippets=sum(len(o.cas) for o in outs), classes=classes)


if __name__ == '__main__': main(benchmark)
