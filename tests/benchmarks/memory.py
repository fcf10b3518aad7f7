"""Resident memory of training on memory-mapped features of ActivityNet's size (simulated, 4,819
videos of 1024 + 1024 channels): one round of one epoch."""
from copl import COPL, anet_like, tiny
from copl.config import Config
from tests.benchmarks import main, measure


def benchmark(size, repeats):
    "Opening, clustering and training; making the set is not part of it."
    videos = tiny() if size == 'tiny' else anet_like(0, verbose=True)
    train, _ = videos.split()
    config = Config.preset('activitynet', len(train.annotations.classes), iteration_num=1,
                           epoch_num=1)
    figures = dict(videos=len(train), file_gib=sum(
        x.nbytes for arrays in train.streams.values() for x in arrays)/2**30)
    yield measure('features checked', train.check, **figures)
    yield measure('one epoch', lambda: COPL(config=config).fit(train), **figures)


if __name__ == '__main__': main(benchmark, sizes=('tiny', 'anet'))
