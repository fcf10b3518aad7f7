"""From network outputs to detections, a split at a time: a video, a class and a threshold at a time
(copl.localization), and all at once (copl.scale). Simulated videos."""
import numpy as np

from copl.algorithm import algorithm_1
from copl.config import PRESETS, Config
from copl.data import anet_like
from copl.iocnet import full_length
from copl.localization import localize
from copl.scale import TOGETHER, localize_outputs
from copl.simulation import thumos_like, tiny
from tests.benchmarks import compare, main

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
            return [localize(out, config, grid, duration, names)
                    for out, duration in zip(outs, durations, strict=True)]

        def ours(outs=outs, config=config):
            parts = [slice(i, i + TOGETHER) for i in range(0, len(outs), TOGETHER)]
            return [localize_outputs(outs[part], config, grid, durations[part], names)
                    for part in parts]

        def check(*_, plain=plain, ours=ours):
            theirs = np.concatenate([table.score for table in plain()])
            mine = np.concatenate([table.score for table in ours()])
            np.testing.assert_allclose(np.sort(mine), np.sort(theirs), atol=3e-5)

        yield compare(f'localization, {nms} NMS', plain, ours, repeats, check, videos=len(outs),
                      snippets=sum(len(o.cas) for o in outs), classes=len(names))


if __name__ == '__main__': main(benchmark)
