"""From network outputs to detections: copl against the loops of tests/reference over videos,
classes, thresholds and segments. Simulated videos."""
import numpy as np

from copl.algorithm import algorithm_1
from copl.config import PRESETS, Config
from copl.data import anet_like
from copl.iocnet import full_length
from copl.localization import localize_outputs, name_weights
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
    "Everything after the network, hard and soft NMS."
    outs, grid, durations, names = outputs(size)
    weights = name_weights(names, len(names))
    arrays = [(out.cas.numpy().astype(float), out.attention.numpy().astype(float)) for out in outs]
    options = PRESETS['activitynet'] if size == 'anet' else {}
    for nms in ('hard', 'soft'):
        config = Config(n_classes=len(names), nms=nms, **options)

        def loops(config=config):
            return [row for out, duration in zip(arrays, durations, strict=True)
                    for row in reference.localize(*out, config, grid, duration, weights)]

        def ours(config=config): return localize_outputs(outs, config, grid, durations, names)

        def check(rows, table):
            scores = np.array([score for *_, score in rows])
            # the loops have float64: a chain of nearly equal scores may be rounded otherwise
            np.testing.assert_allclose(np.sort(table.score), np.sort(scores), rtol=0, atol=2e-4)

        yield compare(f'localization, {nms} NMS', loops, ours, repeats, check, videos=len(outs),
                      snippets=sum(len(o.cas) for o in outs), classes=len(names))


if __name__ == '__main__': main(benchmark)
