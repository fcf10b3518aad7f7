"TV-L1 and DIS flow: time of a pair at 340 x 256, and what clusters of drawn videos lose."
import tempfile
import time
from pathlib import Path

import numpy as np

from copl import CLUSTERINGS, Config, load_videos
from copl.evaluation import clustering_scores
from copl.extraction import FLOWS, extract, moving_shapes, read_frames


def pair_seconds(folder, n=4):
    "Median seconds of a pair, by the kind of flow; pairs alternate."
    moving_shapes(folder/'large', n=1, seconds=3, size=(340, 256))
    frames = list(read_frames(folder/'large/shape_00.mp4', 25, 256))[20:20 + n + 1]
    took = {name: [] for name in FLOWS}
    for before, after in zip(frames[:-1], frames[1:], strict=True):
        for name, flow in FLOWS.items():
            began = time.perf_counter()
            flow(before, after)
            took[name].append(time.perf_counter() - began)
    return {name: float(np.median(t)) for name, t in took.items()}


def purities(folder, seeds=3):
    "Purity of spectral clusters of mean-pooled features of drawn videos, for each seed."
    found = {name: [] for name in FLOWS}
    for seed in range(seeds):
        truth = moving_shapes(folder/f'{seed}/videos', n=16, seconds=10, seed=seed)
        labels = truth.segments.groupby('video').label.first()
        for name in FLOWS:
            extract(folder/f'{seed}/videos', folder/f'{seed}/{name}', short_side=72, crop=64,
                    flow=name, workers=1)
            videos = load_videos(folder/f'{seed}/{name}')
            F = np.stack([np.concatenate([x.mean(0) for x in v]) for v in videos])
            F /= np.linalg.norm(F, axis=1, keepdims=True)
            y = CLUSTERINGS['spectral'](F, Config(4, seed=seed))
            found[name].append(clustering_scores(y, list(labels[videos.names]))['purity'])
    return found


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as name:
        took = pair_seconds(Path(name))
        print({k: f'{v:.3f} s' for k, v in took.items()},
              f'ratio {took["tvl1"]/took["dis"]:.0f}x')
        for kind, values in purities(Path(name)).items():
            print(kind, 'purity by seed', np.round(values, 3), f'mean {np.mean(values):.3f}')
