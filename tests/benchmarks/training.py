"A training step at batch 16, T = 750, and D = 2048 but for tiny: the public code's way (tests/reference) and copl's, in both precisions."
import numpy as np
import torch

from copl import Config, VideoSet
from copl.data import sample_snippets
from copl.devices import launch
from copl.training import new_state, snippet_reader, train_epoch
from tests.benchmarks import compare, main
from tests.reference.training import Step

SIZES = {'tiny': dict(videos=16, length=100, dim=64, hidden=64, snippets=96, classes=6),
         'thumos': dict(videos=32, length=400, dim=1024, hidden=512, snippets=750, classes=20),
         'anet': dict(videos=32, length=225, dim=1024, hidden=512, snippets=750, classes=100)}


def benchmark(size, repeats):
    "One epoch of the same videos by both, per step of 16 videos."
    s, rng = SIZES[size], np.random.default_rng(0)
    streams = [[rng.random((s['length'], s['dim']), dtype=np.float32) for _ in range(s['videos'])] for _ in range(2)]
    videos = VideoSet([f'v{i}' for i in range(s['videos'])], *streams)
    y = np.arange(s['videos']) % s['classes']
    targets, trusted = torch.eye(s['classes'])[y], torch.ones(s['videos'])
    for precision in ('float32', 'bfloat16'):
        config = Config(n_classes=s['classes'], hidden=s['hidden'], snippets=s['snippets'], precision=precision)
        fabric = launch(torch.device('cpu'), precision=precision)
        state = new_state(videos, config)
        state.y, state.trusted = y, np.ones(len(y), bool)
        student = fabric.setup_module(state.student)
        read, step = snippet_reader(videos, config.snippets, fabric.device, getattr(torch, precision)), Step(state.student, config)
        step.student.train()

        def plain(config=config, step=step):
            for part in np.split(rng.permutation(len(videos)), len(videos)//16):
                places = [sample_snippets(t, config.snippets, rng) for t in videos.lengths[part]]
                moved = [torch.randperm(s['dim'])[:round(config.shift*s['dim'])] for _ in range(2)]
                step(videos, part, places, moved, targets[part], trusted[part])

        def ours(config=config, state=state, read=read, fabric=fabric, student=student): return train_epoch(state, read, targets, config, fabric, student)

        yield compare(f'training, {precision}', plain, ours, repeats, steps=len(videos)//16, **s)



if __name__ == '__main__': main(benchmark)
