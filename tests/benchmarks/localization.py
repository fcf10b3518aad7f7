"From network outputs to detections, a split at a time: loops over videos, classes, thresholds and runs (tests/reference), and copl. Simulated videos."
import numpy as np

from copl import COPL, Config, anet_like, thumos_like, tiny
from copl.config import ACTIVITYNET
from copl.iocnet import Snippets
from copl.localize import TOGETHER, _localize
from tests.benchmarks import compare, main
from tests.reference import localization as reference

SETS = {'tiny': tiny, 'thumos': lambda: thumos_like(0, dim=128), 'anet': lambda: anet_like(0, dim=64)}


def outputs(size):
    "What a network says about the test videos after a short training on video labels; the time grid; durations."
    train, test = SETS[size]().split()
    names = train.annotations.classes
    options = dict(hidden=128, snippets=64, supervision='weak', iteration_num=1, epoch_num=1 if size == 'anet' else 10)
    outs = COPL(len(names), **options, **(ACTIVITYNET if size == 'anet' else {})).fit(train).snippets(test)
    return outs, test.grid, list(test.durations().values()), names


def benchmark(size, repeats):
    "Everything after the network, hard and soft NMS (soft NMS not for anet, where the loops take minutes)."
    outs, grid, durations, names = outputs(size)
    for nms in ('hard', 'soft')[:1 if size == 'anet' else 2]:
        config = Config(n_classes=len(names), nms=nms, **(ACTIVITYNET if size == 'anet' else {}))

        def plain(outs=outs, config=config):
            return [reference.localize(*(x.numpy() for x in o), config, grid.edges, d, names) for o, d in zip(outs, durations, strict=True)]

        def ours(outs=outs, config=config):
            return [_localize(outs[i:i + TOGETHER], config, grid, durations[i:i + TOGETHER], names) for i in range(0, len(outs), TOGETHER)]

        def check(*_, plain=plain, ours=ours):                # in double precision, where no value lies on both sides of a threshold
            doubles = [Snippets(*(x.double() for x in o)) for o in outs]
            theirs, mine = [d[3] for found in plain(doubles) for d in found], np.concatenate([t.score for t in ours(doubles)])
            np.testing.assert_allclose(np.sort(mine), np.sort(theirs), atol=1e-6)

        yield compare(f'localization, {nms} NMS', plain, ours, repeats, check, videos=len(outs), snippets=sum(len(o.cas) for o in outs), classes=len(names))


if __name__ == '__main__': main(benchmark)
