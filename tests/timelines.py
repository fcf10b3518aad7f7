"""Measure the timelines of real data sets and store what `copl.simulation` needs of them:
`python tests/timelines.py DATA`.

DATA holds thumos14/gt_test210.json, thumos14/wtalc/{videoname,duration}.npy (the JSON names no
durations) and anet12/activity_net.v1-2.min.json. Writes copl/timelines.json: figures only, no
video and no segment.
"""
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from copl.annotations import load_annotations

QUANTILES = (0, .1, .25, .5, .75, .9, 1)
OUT = Path(__file__).parents[1]/'copl'/'timelines.json'


def union(segments):
    "Seconds covered by an (n, 2) array of segments that may overlap."
    covered = 0.0
    reach = -np.inf
    for start, end in segments[segments[:, 0].argsort()]:
        covered += max(end - max(start, reach), 0)
        reach = max(reach, end)
    return covered


def video_table(annotations, durations):
    """(one row per video: subset, main class, duration, instances, share; all segments,
    of which each instance once)"""
    segments = annotations.segments.assign(duration=annotations.segments.video.map(durations))
    segments['start'] = segments.start.clip(0)
    segments['end'] = segments[['end', 'duration']].min(axis=1)
    segments = segments[segments.end > segments.start]
    counts = segments.groupby(['video', 'label']).size().reset_index(name='n').sort_values(
        ['n', 'label'], ascending=[False, True])
    main = counts.drop_duplicates('video').set_index('video').label
    segments['main'] = segments.video.map(main)
    once = segments.sort_values('label').drop_duplicates(['video', 'start', 'end'])
    groups = once.groupby('video')
    videos = pd.DataFrame({
        'main': main, 'duration': durations, 'instances': groups.size(),
        'share': groups[['start', 'end']].apply(lambda g: union(g.to_numpy()))/durations,
    }).loc[main.index]
    videos['subset'] = annotations.videos.set_index('video').subset
    return videos, segments, once


def others(segments, once):
    """Of the videos of one class: (doubled, share of instances, class), (share of instances of
    another class, the class) with None where there is none."""
    main = segments.main.iloc[0]
    own = segments[segments.label == main][['video', 'start', 'end']]
    away = segments[segments.label != main]
    doubled = away.merge(own, on=['video', 'start', 'end'])
    alone = away.merge(own, on=['video', 'start', 'end'], how='left', indicator=True).query(
        '_merge == "left_only"')
    def first(t): return None if t.empty else t.label.value_counts().index[0]
    return {'doubled': [round(len(doubled)/len(own), 3), first(doubled)],
            'second': [round(len(alone)/len(once), 3), first(alone)]}


def measure(annotations, durations, train, test):
    "The figures of one data set."
    parts = [video_table(annotations.subset(s), durations) for s in (train, test)]
    videos, segments, once = (pd.concat(p, ignore_index=k > 0)
                              for k, p in enumerate(zip(*parts, strict=True)))
    logs = np.log((once.end - once.start).clip(lower=.04))
    spread = logs.groupby(once.video).agg(['std', 'size']).query('size > 1')
    once = once.sort_values(['video', 'start'], ignore_index=True)
    gaps = (once.start.shift(-1) - once.end).clip(lower=0)[once.video == once.video.shift(-1)]
    gaps = gaps.groupby(once.video).agg(['mean', 'std', 'size']).query('size > 4 and mean > 0')
    classes = {}
    for label, group in videos.groupby('main'):
        mine = segments.main == label
        quantiles = {c: [float(f'{q:.3g}') for q in group[c].quantile(QUANTILES)]
                     for c in ('duration', 'instances', 'share')}
        classes[label] = {'train': int((group.subset == train).sum()),
                          'test': int((group.subset == test).sum()), **quantiles,
                          **others(segments[mine], once[once.main == label])}
    ranks = videos[['duration', 'instances', 'share']].rank()
    return {'quantiles': QUANTILES, 'rank_correlation': ranks.corr().round(3).to_numpy().tolist(),
            'within_video_log_std': round(float(spread['std'].median()), 3),
            'gap_concentration': round(float(((gaps['mean']/gaps['std'])**2).median()), 3),
            'classes': classes}


def main(data):
    thumos = load_annotations(data/'thumos14/gt_test210.json')
    wtalc = data/'thumos14/wtalc'
    names = [n.decode() for n in np.load(wtalc/'videoname.npy')]
    anet = load_annotations(data/'anet12/activity_net.v1-2.min.json')
    return {'thumos14': measure(thumos, pd.Series(np.load(wtalc/'duration.npy')[:, 0], names),
                                'train', 'test'),
            'anet12': measure(anet, anet.videos.set_index('video').duration,
                              'training', 'validation')}


def dumps(tables):
    "JSON with one class on a line."
    def rows(classes):
        return ',\n'.join(f'   {json.dumps(c)}: {json.dumps(v)}' for c, v in classes.items())
    parts = [f' {json.dumps(name)}: {{' +
             ', '.join(f'{json.dumps(k)}: {json.dumps(v)}'
                       for k, v in t.items() if k != 'classes') +
             f',\n  "classes": {{\n{rows(t["classes"])}}}}}' for name, t in tables.items()]
    return '{\n' + ',\n'.join(parts) + '\n}\n'


if __name__ == '__main__':
    OUT.write_text(dumps(main(Path(sys.argv[1]))), encoding='utf-8')
