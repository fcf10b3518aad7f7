"""From network outputs to detections, a split at a time: loops over videos, classes, thresholds and
segments (tests/reference), and copl. Simulated videos."""
import numpy as np

from copl.algorithm import algorithm_1
from copl.config import PRESETS, Config
from copl.data import anet_like
from copl.iocnet import Outputs, full_length
from copl.localization import TOGETHER, _localize
from copl.simulation import thumos_like, tiny
from tests.benchmarks import compare, main
from tests.reference import localization as reference

SETS = {'tiny': tiny, 'thumos': lambda: thumos_like(dim=128), 'anet': lambda: anet_like(dim=64)}


def outputs(size):
    """What a network says about the test videos after a short training on video labels; the time
    grid; durations; class names."""
    train, test = SETS[size]().split()
    names = train.annotations.classes
    options = dict(PRESETS['activitynet']) if size == 'anet' else {}
    options |= dict(hidden=128, snippets=64, iteration_num=1, epoch_num=1 if size == 'anet' else 10)
    config = Config(len(names), supervision='weak', **options)
    *_, last = algorithm_1(train, config)
    outs = [out for _, out in full_length(test, last.network)]
    return outs, test.grid, list(test.durations().values()), names


def benchmark(size, repeats):
    """Everything after the network, hard and soft NMS (soft NMS not for anet, where the loops take
    minutes)."""
    outs, grid, durations, names = outputs(size)
    options = PRESETS['activitynet'] if size == 'anet' else {}
    for nms in ('hard',) if size == 'anet' else ('hard', 'soft'):
        config = Config(n_classes=len(names), nms=nms, **options)

        def plain(outs=outs, config=config):
            arrays = [(o.cas.numpy(), list(o.attention.numpy())) for o in outs]
            return [reference.localize(*a, config, grid.edges, d, names)
                    for a, d in zip(arrays, durations, strict=True)]

        def ours(outs=outs, config=config):
            starts = range(0, len(outs), TOGETHER)
            parts = [slice(i, i + TOGETHER) for i in starts]
            return [_localize(outs[part], config, grid, durations[part], names) for part in parts]

        def check(*_, plain=plain, ours=ours):            # in double precision
            doubles = [Outputs(o.cas.double(), o.attention.double()) for o in outs]
            theirs = [d[3] for found in plain(doubles) for d in found]
            mine = np.concatenate([table.score for table in ours(doubles)])
            np.testing.assert_allclose(np.sort(mine), np.sort(theirs), atol=1e-6)

        yield compare(f'localization, {nms} NMS', plain, ours, repeats, check, videos=len(outs),
                      snippets=sum(len(o.cas) for o in outs), classes=len(names))


if __name__ == '__main__': main(benchmark)
