"What agreement in every round costs: training with unseen videos or without, on one simulated set."
import numpy as np

from copl.config import Config
from copl.engine import train
from copl.simulation import Simulation, simulate, thumos_like
from tests.benchmarks import compare, main

SIZES = {'tiny': (lambda: simulate(Simulation()), dict(hidden=32, snippets=48, stream_norm=True)),
         'small': (lambda: thumos_like(dim=128), dict(hidden=128, snippets=128, stream_norm=True))}


def same(without, with_them):
    "Looking changes nothing."
    np.testing.assert_array_equal(without, with_them)


def benchmark(size, repeats):
    "The ratio is time without over time with: 0.98 is a cost of 2 %."
    make, options = SIZES[size]
    videos = make()
    seen, unseen = videos.split()
    config = Config(n_classes=len(videos.annotations.classes), **options)
    def run(other): return list(train(seen, config, unseen=other))[-1].y
    yield compare('agreement in every round', lambda: run(None), lambda: run(unseen), repeats, same,
                  videos=len(seen), unseen=len(unseen), rounds=config.iteration_num)


if __name__ == '__main__': main(benchmark, sizes=tuple(SIZES))
