"""A training step at batch 16, T = 750, and D = 2048 but for tiny: the public code's way
(tests/reference) and copl's, in both precisions; and ASL's own step (one network, two losses)."""
import dataclasses
import functools

import numpy as np
import torch

from copl.config import Config
from copl.engine import Batches, launch, matmul_dtype, new_state, train_epoch
from copl.iocnet import Outputs
from copl.losses import chosen_losses, total_loss
from copl.videos import VideoSet, sample_snippets
from tests.benchmarks import compare, main
from tests.reference.training import Step

SIZES = {'tiny': dict(videos=16, length=100, dim=64, hidden=64, snippets=96, classes=6),
         'thumos': dict(videos=32, length=400, dim=1024, hidden=512, snippets=750, classes=20),
         'anet': dict(videos=32, length=225, dim=1024, hidden=512, snippets=750, classes=100)}


def all_at_once(student, teacher, targets, selected, config):
    """The losses of the whole mini-batch: those of tests/reference take each video by itself,
    which nobody would train with."""
    student, teacher = (Outputs(cas, torch.stack(attention), tuple(hidden))
                        for cas, attention, hidden in (student, teacher))
    return total_loss(student, teacher, targets, selected, config, chosen_losses(config))


def benchmark(size, repeats):
    "One epoch of the same videos by both, per step of 16 videos, with every loss."
    s = SIZES[size]
    rng = np.random.default_rng(0)
    arrays = [[rng.random((s['length'], s['dim']), dtype=np.float32) for _ in range(s['videos'])]
              for _ in range(2)]
    videos = VideoSet([f'v{i}' for i in range(s['videos'])],
                      dict(zip(('rgb', 'flow'), arrays, strict=True)))
    y = np.arange(s['videos']) % s['classes']
    targets = torch.eye(s['classes'])[y]
    selected = torch.ones(s['videos'])
    for kernel in (1, 3):
        for precision in ('float32', 'bfloat16'):
            config = Config(n_classes=s['classes'], hidden=s['hidden'], snippets=s['snippets'],
                            precision=precision, kernel=kernel)
            fabric = launch(torch.device('cpu'), precision=precision)
            state = new_state(videos, config)
            state.y = y
            state.selected = np.ones(len(y), bool)
            state.targets = targets.numpy()
            dtype = matmul_dtype(precision, fabric.device)
            student = fabric.setup_module(state.student)
            read = Batches(videos, fabric.device, dtype)
            losses = chosen_losses(config)
            two = dataclasses.replace(config, losses=('cls', 'asl'))
            steps = {'training': Step(state.student, config, dtype, all_at_once),
                     'ASL': Step(state.student, two, dtype, all_at_once, alone=True)}

            def plain(step):
                for part in np.split(rng.permutation(len(videos)), len(videos)//16):
                    positions = [sample_snippets(t, s['snippets'], rng)
                                 for t in videos.lengths[part]]
                    moved = [torch.randperm(s['dim'])[:s['dim']//4] for _ in range(2)]
                    step(videos, part, positions, moved, targets[part], selected[part])

            def ours(config=config, state=state, read=read, losses=losses, fabric=fabric,
                     student=student):
                return train_epoch(state, read, config, losses, fabric, student)

            for name, step in steps.items():
                yield compare(f'{name}, {precision}, kernel {kernel}',
                              functools.partial(plain, step), ours, repeats,
                              steps=len(videos)//16, **s)


if __name__ == '__main__': main(benchmark)
