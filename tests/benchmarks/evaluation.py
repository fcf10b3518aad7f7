"""mAP: copl against the ActivityNet toolkit's way, on simulated detections of three sizes and,
where given, on published ones; and `copl evaluate` as a whole process."""
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from copl.annotations import load_annotations, load_detections, save_detections
from copl.evaluation import average_precision
from copl.videos import Annotations

from ..reference.evaluation import toolkit_average_precision
from . import compare, main

TIOU = [.1, .2, .3, .4, .5, .6, .7, .8, .9]
# videos, classes, instances, detections per video
SIZES = {'tiny': (20, 5, 100, 20), 'thumos': (212, 20, 3358, 100), 'anet': (2383, 100, 3582, 50)}


def simulated(videos, classes, instances, per_video, seed=0):
    """(detections, annotations): half of the detections near an instance of their video, the
    others anywhere; one score in ten is shared by many."""
    rng = np.random.default_rng(seed)
    length = 200.0
    # each video has an instance at least
    video = np.sort(np.r_[np.arange(videos), rng.integers(videos, size=instances - videos)])
    start = rng.uniform(0, length, instances).round(1)
    duration = rng.gamma(2, 4, instances).round(1) + .5
    def name(kind, codes): return np.char.add(kind, codes.astype(str))
    truth = pd.DataFrame({'video': name('video', video), 'start': start, 'end': start + duration,
                          'label': name('class', video % classes)})
    where = np.repeat(np.arange(videos), per_video)
    near = rng.integers(np.searchsorted(video, where), np.searchsorted(video, where, side='right'))
    n = len(where)
    known = rng.random(n) < .5
    begin = np.where(known, start[near] + rng.normal(0, 2, n), rng.uniform(0, length, n)).round(1)
    end = np.where(known, start[near] + duration[near] + rng.normal(0, 2, n),
                   begin + rng.gamma(2, 4, n)).round(1)
    score = np.where(rng.random(n) < .1, .5, rng.random(n))
    label = np.where(known | (rng.random(n) < .7), where % classes, rng.integers(classes, size=n))
    found = pd.DataFrame({'video': name('video', where), 'start': begin,
                          'end': np.maximum(end, begin + .1), 'label': name('class', label),
                          'score': score})
    return found, Annotations(truth, pd.DataFrame({'video': name('video', np.arange(videos)),
                                                   'subset': 'test', 'duration': length + 60}))


def same(reference, ours):
    "All digits that a float has, but for the order of the sum."
    np.testing.assert_allclose(ours, reference, rtol=0, atol=1e-12)


def rows(name, found, truth, repeats):
    "The toolkit's loops with pandas, and copl."
    size = dict(detections=len(found), instances=len(truth.segments), classes=len(truth.classes),
                tiou=len(TIOU))
    def ours(): return average_precision(found, truth, TIOU)
    def toolkit(): return toolkit_average_precision(found, truth.segments, TIOU)
    yield compare(f'{name}, toolkit', toolkit, ours, repeats, same, **size)


def whole_process(found, truth, repeats):
    "The toolkit's loops alone against the command: its start, reading both files, mAP, printing."
    with tempfile.TemporaryDirectory() as folder:
        detections, annotations = (Path(folder)/name for name in ('found.json', 'truth.json'))
        save_detections(found, detections)
        annotations.write_text(json.dumps({'database': {
            v.video: {'subset': v.subset, 'duration': v.duration, 'annotations': [
                {'segment': [s.start, s.end], 'label': s.label}
                for s in truth.segments[truth.segments.video == v.video].itertuples()]}
            for v in truth.videos.itertuples()}}))
        command = [sys.executable, '-m', 'copl', 'evaluate', detections, annotations, '--tiou',
                   *map(str, TIOU), '--json', '-']
        def ours():
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            return json.loads(done.stdout)
        read = load_detections(detections), load_annotations(annotations)
        def toolkit(): return toolkit_average_precision(read[0], read[1].segments, TIOU)
        def check(AP, result):
            expected = (100*AP.mean()).to_numpy()
            np.testing.assert_allclose([*result['mAP'].values()], expected, rtol=0, atol=.006)
        yield compare('copl evaluate, whole process, toolkit', toolkit, ours, repeats, check,
                      detections=len(found), classes=len(truth.classes), tiou=len(TIOU))


def benchmark(size, repeats):
    """AP of every class at nine thresholds; for `--size thumos` the command too, and with
    COPL_TEST_DATA the STPN detections."""
    warnings.simplefilter('ignore')
    yield from rows('AP, simulated detections', *simulated(*SIZES[size]), repeats)
    if size == 'thumos':
        found, truth = simulated(212, 20, 3358, 149)
        yield from whole_process(found[:31587], truth, repeats)
    data = Path(os.environ.get('COPL_TEST_DATA',
                               Path(__file__).parents[3]/'shared'/'data'))/'detections'
    if size == 'thumos' and data.exists():
        yield from rows('AP, STPN detections', load_detections(data/'stpn_thumos14_test.json'),
                        load_annotations(data/'stpn_thumos14_gt.json', 'test'), repeats)


if __name__ == '__main__': main(benchmark)
