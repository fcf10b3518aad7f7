"What users bring: names, times, subsets, labels and drives that are not as one would have them."
import datetime
import json
import os
import pickle
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import torch

from copl import (
    COPL,
    CoplError,
    as_videos,
    load_videos,
    mean_average_precision,
)
from copl.annotations import (
    as_annotations,
    load_annotations,
    load_detections,
    matched_names,
    save_detections,
    time_remarks,
)
from copl.arrays import read_grid
from copl.config import load_config
from copl.data import convert_videos, inspect_videos
from copl.evaluation import average_precision
from copl.files import atomic_write
from copl.plri import spectral_clusters
from copl.simulation import Simulation, simulate
from copl.videos import Annotations, TimeGrid, VideoSet

from .small_runs import command, write_truth


def a_set(subsets, scored=True):
    "One video of five snippets in each subset, annotated unless said otherwise."
    names = [f'v{i}' for i in range(len(subsets))]
    rows = [(n, .5, 2., 'A') for n in names] if scored else []
    segments = pd.DataFrame(rows, columns=['video', 'start', 'end', 'label'])
    table = pd.DataFrame({'video': names, 'subset': subsets, 'duration': np.nan})
    return VideoSet(names, [np.ones((5, 3), np.float32)]*len(names),
                    annotations=Annotations(segments, table))


@pytest.mark.parametrize('subsets', [
    ('training', 'testing'), ('train', 'val'), ('Train ', 'TEST'), ('trn', 'tst'), ('train', 'dev'),
    ('validation', 'test'), ('training', 'validation'), ('val', 'test')])
def test_usual_names_of_subsets_are_recognised(subsets):
    train, test = a_set(subsets).split()
    assert (train.names, test.names) == (['v0'], ['v1'])


@pytest.mark.parametrize('subsets', [
    ('train', 'fold 2'), ('a', 'b'), ('test',), ('train', 'test2'), ('entrenamiento', 'prueba')])
def test_no_test_video_trains_in_silence(subsets):
    with pytest.raises(CoplError, match='expected names such as'): a_set(subsets).split()
    if len(subsets) < 2: return
    train, test = a_set(subsets).split(test=subsets[-1])
    assert (train.names, test.names) == (['v0'], ['v1'])


def test_videos_without_a_part_are_left_out_and_said_unless_asked_for():
    videos = a_set(('train', 'test', None))
    with pytest.warns(UserWarning, match='1 videos are in neither'):
        assert videos.split()[0].names == ['v0']
    with pytest.warns(UserWarning, match='1 videos are in neither'):
        assert a_set(('train', 'val', 'test')).split()[1].names == ['v2']
    videos = a_set(('train', 'val', 'test'))
    videos.annotations = replace(videos.annotations, segments=videos.annotations.segments[:2])
    with pytest.warns(UserWarning, match='1 videos are in neither'):    # test without labels
        assert videos.split()[1].names == ['v1']
    assert a_set((None, 'test', None)).split(test='test')[0].names == ['v0', 'v2']
    assert a_set((None, None)).split()[0].names == ['v0', 'v1']
    videos = a_set(('train', 'test'))
    with pytest.raises(CoplError, match="no subset 'dev'; it has 'train', 'test'"):
        videos.split(test='dev')
    with pytest.raises(CoplError, match="'train' cannot both train and be tested"):
        videos.split('train', 'Train')


def test_a_set_of_test_videos_stays_one_when_converted(tmp_path):
    convert_videos(a_set(('test', 'test')), tmp_path/'cola', 'cola')
    assert set(load_videos(tmp_path/'cola').annotations.videos.subset) == {'test'}


@pytest.mark.parametrize(('names', 'known', 'expected'), [
    (['v_abc', 'b'], ['abc', 'b'], {'v_abc': 'abc', 'b': 'b'}),
    (['abc'], ['v_abc'], {'abc': 'v_abc'}),
    (['abc.mp4', 'B.MKV'], ['ABC', 'b'], {'abc.mp4': 'ABC', 'B.MKV': 'b'}),
    (['abc', 'ABC'], ['abc'], {'abc': 'abc'}),
    (['x'], ['y'], {})])
def test_names_are_matched_where_only_one_video_can_be_meant(names, known, expected):
    assert matched_names(names, known) == expected
    with pytest.warns(UserWarning, match="1 names could mean several videos .* 'ab', 'aB', 'AB'"):
        assert matched_names(['ab', 'aB'], ['AB']) == {}


@pytest.mark.parametrize(('entry', 'said'), [
    ({'annotations': [{'segment': [2, 1], 'label': 'A'}]}, r'\[2, 1\] ends before it starts'),
    ({'annotations': [{'segment': [0, 'x'], 'label': 'A'}]}, "segment in seconds: found 'x'"),
    ({'annotations': [{'segment': [0, 1], 'label': '\x1b[31mred'}]}, r"label is '\\x1b"),
    ({'annotations': [{'segment': 3, 'label': 'A'}]}, "'segment': 3"),
    ({'annotations': 3}, 'found 3, expected a list'), (3, 'found 3, expected a dictionary'),
    ({'duration': 0}, 'duration is 0, expected more than 0'),
    ({'subset': 7}, 'subset is 7, expected text')])
def test_errors_of_annotations_name_the_video_and_the_value(tmp_path, entry, said):
    (tmp_path/'gt.json').write_text(json.dumps({'database': {'a': entry}}))
    with pytest.raises(CoplError, match=f"gt.json: video 'a'.*{said}"):
        load_annotations(tmp_path/'gt.json')


def test_labels_that_are_nearly_the_same_and_a_byte_order_mark(tmp_path):
    items = [{'segment': [0, 1], 'label': s} for s in ('Long Jump', 'LongJump', 'longjump', 'Golf')]
    text = json.dumps({'database': {'a': {'annotations': items}}})
    (tmp_path/'gt.json').write_text('\ufeff' + text, encoding='utf-8')
    with pytest.warns(UserWarning, match="'Long Jump', 'LongJump', 'longjump' differ only in"):
        assert load_annotations(tmp_path/'gt.json').videos.video.tolist() == ['a']


def detections(*rows):
    return pd.DataFrame(rows, columns=['video', 'start', 'end', 'label', 'score'])


@pytest.mark.parametrize('ending', ['json', 'csv', 'parquet'])
def test_detections_by_the_ending_of_their_file(tmp_path, ending):
    if ending == 'parquet': pytest.importorskip('pyarrow')
    found = detections(('001', 0., 1.5, 'NA', .25), ('b', 2., 3., 'Golf', .5))
    path = save_detections(found, tmp_path/f'd.{ending}')
    pd.testing.assert_frame_equal(load_detections(path), found, check_dtype=False)


FOUND = detections(('a', 3., 5.5, 'Diving', .9), ('a', 4., 7., 'Diving', .5),
                   ('a', 7., 3661.25, 'é <&> "', .7), ('b', 0., .0002, 'Golf', .1))


def test_an_elan_file_has_the_structure_of_its_schema(tmp_path):
    assert save_detections(FOUND, tmp_path/'x.eaf', ['empty']) == tmp_path/'x'
    roots = {p.stem: ElementTree.parse(p).getroot() for p in (tmp_path/'x').iterdir()}
    assert roots.keys() == {'a', 'b', 'empty'}
    root = roots['a']
    assert root.tag == 'ANNOTATION_DOCUMENT' and {'AUTHOR', 'DATE', 'VERSION'} <= root.attrib.keys()
    datetime.datetime.fromisoformat(root.get('DATE'))
    assert [x.tag for x in root] == ['HEADER', 'TIME_ORDER', *['TIER']*3, 'LINGUISTIC_TYPE']
    slots = {x.get('TIME_SLOT_ID'): int(x.get('TIME_VALUE')) for x in root.iter('TIME_SLOT')}
    assert len(slots) == 6 and list(slots.values()) == sorted(slots.values())
    tiers = {tier.get('TIER_ID'): [
        (slots[x.get('TIME_SLOT_REF1')], slots[x.get('TIME_SLOT_REF2')],
         x.find('ANNOTATION_VALUE').text) for x in tier.findall('ANNOTATION/*')]
        for tier in root.iter('TIER')}
    assert tiers == {'Diving': [(3000, 5500, '0.900')], 'Diving / 2': [(4000, 7000, '0.500')],
                     'é <&> "': [(7000, 3661250, '0.700')]}
    kinds = {tier.get('LINGUISTIC_TYPE_REF') for tier in root.iter('TIER')}
    assert kinds == {root.find('LINGUISTIC_TYPE').get('LINGUISTIC_TYPE_ID')}
    ids = {x.get('ANNOTATION_ID') for x in root.iter('ALIGNABLE_ANNOTATION')}
    assert len(ids) == 3 and not ids & slots.keys()
    assert [x.get('TIME_VALUE') for x in roots['b'].iter('TIME_SLOT')] == ['0', '1']
    assert not list(roots['empty'].iter('TIER'))


def test_webvtt_holds_the_best_where_detections_overlap(tmp_path):
    path = save_detections(FOUND[FOUND.video == 'a'], tmp_path/'x.VTT', ['a'])
    assert path == tmp_path/'x.VTT' and path.read_text(encoding='utf-8') == (
        'WEBVTT\n\n00:00:03.000 --> 00:00:05.500\nDiving\n\n'
        '00:00:07.000 --> 01:01:01.250\né &lt;&amp;&gt; "\n')
    assert save_detections(FOUND[:0], tmp_path/'none.vtt').read_text() == 'WEBVTT\n'


@pytest.mark.parametrize('name', ['d.srt', 'd', 'd.json.gz'])
def test_another_ending_for_detections_is_refused_with_the_list(tmp_path, name):
    endings = 'expected one of .json, .csv, .tsv, .parquet, .eaf, .vtt'
    with pytest.raises(CoplError, match=endings): save_detections(FOUND, tmp_path/name)
    status, _, err = command('localize', tmp_path, 'sim:tiny', '--out', tmp_path/name)
    assert status == 1 and endings in err                               # before anything is read
    with pytest.raises(CoplError, match=r"'\.\./b' is not usable as a file name"):
        save_detections(FOUND.replace('b', '../b'), tmp_path/'d.vtt')


@pytest.mark.parametrize(('name', 'text', 'said'), [
    ('d.csv', 'video,start,end\na,0,1\n', 'expected video, start, end, label, score'),
    ('d.csv', 'video,start,end,label,score\na,0,1,A,high\n',
     "row 2: video 'a', score: found 'high'"),
    ('d.json', '{"results": {"a": [{"segment": [0, 1], "label": "A", "score": "high"}]}}',
     "'a', item 0, score: found 'high'")])
def test_a_table_of_detections_says_what_is_wrong(tmp_path, name, text, said):
    (tmp_path/name).write_text(text)
    with pytest.raises(CoplError, match=said): load_detections(tmp_path/name)


def truth_of(*rows, duration=10.):
    segments = pd.DataFrame(rows, columns=['video', 'start', 'end', 'label'])
    videos = pd.DataFrame({'video': segments.video.unique(), 'subset': 'test',
                           'duration': duration})
    return Annotations(segments, videos)


def test_of_equal_scores_the_last_detection_comes_first():
    truth = truth_of(('a', 0, 1, 'A'))
    found = detections(('a', 0, 1, 'A', .5), ('a', 5, 6, 'A', .5))
    for score in (average_precision, mean_average_precision):
        assert np.isclose(score(found, truth, [.5]).to_numpy().item(), .5)
        assert np.isclose(score(found[::-1], truth, [.5]).to_numpy().item(), 1)


def test_detections_beyond_the_end_of_a_video_are_counted():
    truth = truth_of(('a', 0, 1, 'A'))
    with pytest.warns(UserWarning, match='2 detections that end after the end of their video'):
        mean_average_precision(detections(('a', 0, 10.4, 'A', .5), ('a', 0, 12, 'A', .4),
                                          ('a', 99, 120, 'A', .4)), truth)


def test_files_are_written_where_permissions_cannot_be_changed(tmp_path, monkeypatch):
    def refused(*given, **options): raise PermissionError(1, 'Operation not permitted')
    with monkeypatch.context() as m:
        for module, name in ((os, 'chmod'), (os, 'umask'), (Path, 'chmod')):
            m.setattr(module, name, refused)
        atomic_write(tmp_path/'a.txt', lambda p: p.write_text('x'))
        convert_videos(a_set((None, None)), tmp_path/'joint', 'joint')
    (tmp_path/'usual').write_text('x')
    (tmp_path/'usual_folder').mkdir()
    for name, usual in (('a.txt', 'usual'), ('joint', 'usual_folder')):
        assert (tmp_path/name).stat().st_mode == (tmp_path/usual).stat().st_mode


def timed(folder, factor=1., stride=16, snippets=94):
    "Ten videos of a minute with three segments each, their times multiplied."
    rng = np.random.default_rng(0)
    (folder/'rgb').mkdir(parents=True)
    database = {}
    for i in range(10):
        np.save(folder/f'rgb/v{i}.npy',
                rng.random(((snippets + i)*16//stride, 4)).astype('float32'))
        starts = rng.random(3)*55
        database[f'v{i}'] = {'subset': 'train', 'annotations': [
            {'segment': [s*factor, (s + 4)*factor], 'label': 'A'} for s in starts]}
    (folder/'annotations.json').write_text(json.dumps({'database': database}))
    return folder


@pytest.mark.parametrize(('factor', 'unit'), [
    (25, 'frames'), (25/16, 'snippets'), (1000, 'milliseconds'), (1/60, 'fractions'),
    (1e6, 'microseconds'), (9e4, 'ticks of 1/90000 s'), (100, 'hundredths'), (1e9, 'nanoseconds'),
    (1/60, 'minutes'), (1/3600, 'hours'), (3e7, 'no unit of time explains them')])
def test_times_in_other_units_are_refused(tmp_path, factor, unit):
    path = timed(tmp_path/'a', factor)
    truth = load_annotations(path/'annotations.json')
    for durations in (np.nan, (94 + np.arange(10))*.64):
        truth.videos['duration'] = durations
        with pytest.raises(CoplError, match=unit) as e: load_videos(path, truth)
        report = inspect_videos(path, truth)
        said = [str(e.value), *report.errors, *report.warnings]
        assert any(unit in e for e in report.errors)
        assert not any('is the stride smaller' in s for s in said), said
        if unit not in ('frames', 'snippets'): assert not any('stride is about' in s for s in said)


def test_a_stride_that_does_not_match_is_refused_or_remarked_on(tmp_path):
    path = timed(tmp_path/'64', stride=64)
    with pytest.raises(CoplError, match=r'grid of the features: the stride is about 6\d or more'):
        load_videos(path)
    assert len(load_videos(path, grid=TimeGrid(64, 64))) == 10
    (path/'grid.yaml').write_text('stride: 64')
    assert len(load_videos(path)) == 10
    path = timed(tmp_path/'4', stride=4)
    with pytest.warns(UserWarning, match='is the stride smaller'): load_videos(path)
    found = inspect_videos(path)
    assert found.grid_assumed and 'assumed: no grid.yaml' in str(found)
    assert any('is the stride smaller' in w for w in found.warnings)
    found = inspect_videos(path, grid=TimeGrid(4, 4))
    assert not found.grid_assumed and found.grid['stride'] == 4 and not found.warnings


def test_long_quiet_ends_are_believed_where_durations_confirm_the_grid(tmp_path):
    truth = load_annotations(timed(tmp_path/'4', stride=4)/'annotations.json')
    lengths = {f'v{i}': 400 + i for i in range(10)}
    for duration, said in ((np.nan, True), (256., False), (64., True)):
        truth.videos['duration'] = duration
        found = ''.join(time_remarks(lengths, TimeGrid(), truth, assumed=True))
        assert ('is the stride smaller' in found) == said


def test_a_few_segments_beyond_the_end_are_no_reason_to_refuse_and_make_no_stride(tmp_path):
    path = timed(tmp_path/'few')
    truth = load_annotations(path/'annotations.json')
    truth.segments.loc[[0, 3, 6], ['start', 'end']] = 70, 80
    assert len(load_videos(path, truth)) == 10
    truth = load_annotations(path/'annotations.json')
    np.save(path/'rgb/v0.npy', np.ones((2, 4), 'f4'))
    twice = pd.concat([truth.segments, truth.segments[truth.segments.video == 'v0']])
    with pytest.raises(CoplError, match='it is 1 of 10 videos: their features may be cut off'):
        load_videos(path, Annotations(twice, truth.videos))


@pytest.mark.parametrize('length', ['same', 'own'])
def test_transposed_arrays_are_recognised_without_annotations(tmp_path, length):
    rng = np.random.default_rng(0)
    means = rng.random(16)
    right = [rng.standard_normal((100 if length == 'same' else 40 + i, 16)) + means
             for i in range(6)]
    assert len(as_videos(right)) == 6
    with pytest.raises(CoplError, match=r'found \(channels, snippets\)'):
        as_videos([x.T for x in right])
    for i, x in enumerate(right): np.save(tmp_path/f'{i}.npy', x.T)
    assert 'found (channels, snippets)' in str(inspect_videos(tmp_path))


def test_arrays_on_their_sides_are_named_where_many_share_a_length():
    with pytest.raises(CoplError, match='8 is the first number in all 12 videos'):
        as_videos([np.zeros((8, 20 + i % 3), np.float32) for i in range(12)])    # three lengths


def test_inspection_remarks_on_videos_that_hold_little(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.random((9, 4)).astype('float32')
    content = {'a': x, 'copy': x, 'zero': 0*x, 'still': np.repeat(x[:1], 9, 0), 'b': x[::-1] + 1}
    for name, array in content.items():
        for stream, size in (('rgb', 1), ('flow', 100)):
            (tmp_path/stream).mkdir(exist_ok=True)
            np.save(tmp_path/f'{stream}/{name}.npy', size*array)
    found = '\n'.join(inspect_videos(tmp_path).warnings)
    assert "'zero': all features are 0" in found and "'still': every snippet is the same" in found
    assert "'copy': the same features as video 'a'" in found
    assert 'features of flow are 100 times as large as those of rgb' in found
    for path in [tmp_path/f'{s}/v{i}.npy' for s in ('rgb', 'flow') for i in range(50)]:
        np.save(path, 0*x)
    line, = [s for s in str(inspect_videos(tmp_path)).splitlines() if 'all features are 0' in s]
    assert '(and 50 more like it)' in line


def test_few_videos_that_differ_cannot_make_more_clusters():
    rng = np.random.default_rng(0)
    F = rng.random((3, 8))[[0, 1] + [2]*10]
    with pytest.raises(CoplError, match='5 clusters asked for and only 3 of the 12 videos differ'):
        spectral_clusters(F/np.linalg.norm(F, axis=1, keepdims=True), 5)


def test_groups_without_any_likeness_are_told_in_plain_words():
    F = np.repeat(np.eye(3), 15, 0) + .001*np.random.default_rng(0).random((45, 3))
    with pytest.warns(UserWarning, match='fall into 3 groups without any similarity') as caught:
        spectral_clusters(F, 2, affinity='neighbors')
    assert not any('fully connected' in str(w.message) for w in caught)


# The command line

@pytest.fixture(scope='module')
def run(tmp_path_factory):
    "A finished run on videos of which three hold little, the videos on disk, what training said."
    folder = tmp_path_factory.mktemp('run')
    videos = simulate(Simulation(n_train=24, n_test=12, n_classes=3, dim=8))
    for xs in videos.streams.values():
        xs[0] = 0*xs[0]
        xs[1] = np.repeat(xs[1][:1], len(xs[1]), 0)
        xs[3] = xs[2].copy()
        xs[5] = xs[4] + np.eye(len(xs[4]), 8, dtype='f4')
    videos.simulated = False
    videos.annotations.videos['duration'] = np.nan
    convert_videos(videos, folder/'videos', 'folder')
    status, _, err = command(
        'train', folder/'videos', '--hidden', 8, '--snippets', 16, '--epoch-num', 2,
        '--iteration-num', 1, '--stream-norm', '--device', 'cpu', '--n-classes', 3,
        '--out', folder/'run')
    assert status == 0, err
    (folder/'said').write_text(err)
    return folder


def test_training_and_localization_remark_on_videos_that_hold_little(run, tmp_path):
    names = [f'sim_train_000{i}' for i in range(4)]
    asked = ['localize', run/'run', run/'videos', '--out', tmp_path/'found.json']
    for said in ((run/'said').read_text(), command(*asked)[2]):
        assert f"'{names[0]}': all features are 0" in said
        assert f"'{names[1]}': every snippet is the same" in said
        assert f"'{names[3]}': the same features as video '{names[2]}'" in said
        assert said.count('same') == 2 and 'sim_train_0005' not in said    # nearly a copy
    assert command('--quiet', *asked) == (0, '', '')
    status, out, err = command('localize', run/'run', 'nowhere', '--quiet')
    assert (status, out) == (1, '') and err.startswith('copl: error: nowhere')
    assert not [p.name for p in (run/'run').iterdir() if p.name.startswith('.')]   # no lock


def test_localize_writes_what_evaluate_reads(run, tmp_path):
    path = tmp_path/'found.csv'
    assert command('localize', run/'run', run/'videos', '--subset', 'test', '--out', path)[0] == 0
    found = load_detections(path)
    assert len(found) and set(found.video) <= set(load_videos(run/'videos').subset('test').names)
    status, out, err = command('evaluate', path, run/'videos', '--json', '-')
    assert status == 0 and 'subset test' in err and json.loads(out)['mAP']


def test_scores_are_tables_of_every_snippet(run, tmp_path):
    assert command('scores', run/'run', run/'videos', '--subset', 'test', '--out',
                 tmp_path/'scores')[0] == 0
    videos = load_videos(run/'videos').subset('test')
    for name, length in zip(videos.names, videos.lengths, strict=True):
        table = pd.read_csv(tmp_path/f'scores/{name}.csv')
        assert len(table) == length and table.A_cs.between(0, 1).all()
        np.testing.assert_allclose(table.filter(regex='^p_').sum(axis=1), 1, atol=1e-4)
    assert 'exists, expected a new folder' in command(
        'scores', run/'run', run/'videos', '--out', tmp_path/'scores')[2]


def test_clusters_get_names_by_hand_from_a_table_and_from_annotations(run, tmp_path):
    table = tmp_path/'names.csv'
    table.write_text('cluster,name\n1,walk\n')
    status, out, _ = command('name', run/'run', '0=long jump', table)
    assert status == 0 and 'long jump' in out and 'walk' in out
    path = tmp_path/'found.csv'
    command('localize', run/'run', run/'videos', '--class-threshold', '0', '--out', path)
    assert {'long jump', 'walk'} <= set(load_detections(path).label)
    assert 'cluster 7, expected 0 to 2' in command('name', run/'run', '7=swim')[2]
    assert "cluster 'x', expected a number" in command('name', run/'run', 'x=swim')[2]
    status, out, _ = command('name', run/'run', '--annotations', run/'videos')
    assert status == 0 and 'sim_' in out and 'walk' not in out


def test_clusters_are_mapped_to_classes_for_evaluation(run, tmp_path):
    found = pd.DataFrame({'video': load_videos(run/'videos').subset('test').names[:1],
                          'start': 0., 'end': 1., 'label': 'cluster_01', 'score': 1.})
    save_detections(found, tmp_path/'found.json')
    (tmp_path/'map.csv').write_text('cluster,name\n1,no such class\n')
    asked = ['evaluate', tmp_path/'found.json', run/'videos', '--map']
    assert '(ignored)' in command(*asked, tmp_path/'map.csv')[2]
    assert '(ignored)' in command(*asked[:-1])[2]
    assert '(ignored)' not in command(*asked, run/'run')[2]             # by its videos


def test_a_command_says_each_warning_once(run, tmp_path, monkeypatch):
    def convert(*given):
        warnings.warn('the same', stacklevel=1)
        warnings.warn('the same', stacklevel=1)
    monkeypatch.setattr('copl.cli.convert_videos', convert)
    said = command('convert', run/'videos', '--to', 'flat', '--out', tmp_path/'flat')[2]
    assert said.splitlines() == ['copl: warning: the same']


def test_a_folder_of_a_run_loads_and_other_types_are_told(run):
    model = COPL.load(run/'run')
    assert len(model.localize(load_videos(run/'videos')))
    for call in (lambda: model.localize('videos'), lambda: COPL(3).fit([1, 2]),
                 lambda: COPL.load(3), lambda: mean_average_precision([1], None)):
        with pytest.raises(CoplError, match='expected'): call()


def test_what_does_not_change_in_time_has_no_detection(run):
    model = COPL.load(run/'run')
    one = VideoSet(['one'], {s: [np.ones((1, 8), np.float32)] for s in ('rgb', 'flow')})
    with pytest.warns(UserWarning, match='1 videos have no detection.*1 have a single snippet'):
        model.localize(one)
    rng = np.random.default_rng(0)
    usual = {s: rng.normal(size=(30, 8)).astype(np.float32) for s in ('rgb', 'flow')}
    frozen = {s: np.repeat(x[:1], 30, 0) for s, x in usual.items()}
    half = {'rgb': usual['rgb'], 'flow': frozen['flow']}
    names = ['usual', 'frozen', 'half']
    videos = VideoSet(names, {s: [usual[s], frozen[s], half[s]] for s in usual})
    with pytest.warns(UserWarning, match="'frozen': 1 do not change in time"):
        found = model.localize(videos)
    assert {*found.video} == {'usual', 'half'}
    alone = model.localize(videos[[0]])
    pd.testing.assert_frame_equal(found[found.video == 'usual'].reset_index(drop=True), alone)
    assert model.localize(videos, everything=True).video.tolist() == names


# Rules of a data set, in whatever format it comes

@pytest.mark.parametrize('form', ['json', 'csv', 'frame', 'texts', 'wtalc'])
def test_ambiguous_stretches_do_not_count_in_any_format(tmp_path, form):
    rows = [(.5, 2., 'A'), (3., 4., 'Ambiguous'), (5., 6., 'B')]
    source = tmp_path/f'gt.{form}'
    table = pd.DataFrame(rows, columns=['start', 'end', 'label']).assign(video='v', subset='test')
    if form == 'json':
        items = [{'segment': [s, e], 'label': k} for s, e, k in rows]
        text = json.dumps({'database': {'v': {'subset': 'test', 'annotations': items}}})
        source.write_text(text)
    elif form == 'csv': table.to_csv(source, index=False)
    elif form == 'frame': source = table
    elif form == 'texts':
        source.mkdir()
        for s, e, k in rows: (source/f'{k}_test.txt').write_text(f'v {s} {e}\n')
    else: write_truth(source, ['v'], segments=[[[s, e] for s, e, _ in rows]],
                      labels=[[k for *_, k in rows]])
    with pytest.warns(UserWarning, match='1 segments with the label Ambiguous are left out'):
        truth = as_annotations(source, allow_pickle=True)
    assert truth.classes == ['A', 'B'] and len(truth.segments) == 2
    perfect = truth.segments.assign(score=[.9, .8])
    assert mean_average_precision(perfect, truth, [.5]).item() == 1


def test_videos_rescaled_to_one_number_of_snippets_are_refused_whatever_the_stride(tmp_path):
    ends = 20. + 10*np.arange(12)
    names = [f'v{i}' for i in range(12)]
    for i, name in enumerate(names):
        np.save(tmp_path/f'{name}.npy', np.random.default_rng(i).random((100, 4)).astype('f4'))
    table = pd.DataFrame({'video': names, 'start': ends - 9, 'end': ends - 1, 'label': 'A'})
    known = as_annotations(table.assign(duration=ends))
    for grid in (None, TimeGrid(33, 33)):
        with pytest.raises(CoplError, match='all 12 videos have 100 snippets and last 20.0 to 130'):
            load_videos(tmp_path, known, grid=grid)
    assert any('were rescaled' in e for e in inspect_videos(tmp_path, known).errors)
    with pytest.raises(CoplError, match='if they were rescaled .* no stride holds') as e:
        load_videos(tmp_path, table)
    assert 'the stride is about' not in str(e.value)
    with pytest.warns(UserWarning, match='if they were rescaled .* every time is wrong'):
        load_videos(tmp_path, table, grid=TimeGrid(33, 33))


def rated(folder, form, name, x, said):
    "Features of a video with what a file says about its time."
    file = folder/f'{name}.{form}'
    if form == 'npz': np.savez(file, feats=x, **said)
    elif form == 'pt': torch.save({'features': torch.tensor(x)} | said, file)
    elif form == 'h5':
        with pytest.importorskip('h5py').File(folder/'a.h5', 'a') as f:
            f[name] = x
            f[name].attrs.update(said)
    else: np.save(folder/f'{name}.npy', x)
    if form != 'beside': return
    np.save(folder/f'{name}_fps.npy', np.array(said['fps']))
    times = 1000*np.arange(len(x))*said.get('stride', 16)/said['fps']
    np.save(folder/f'{name}_timestamps_ms.npy', times)


def with_rates(folder, form, rates, durations=None, **more):
    "Annotations of videos of 40 to 44 snippets; their frame rates are said in one of the ways."
    folder.mkdir()
    names = [f'v{i}' for i in range(len(rates))]
    for i, (name, fps) in enumerate(zip(names, rates, strict=True)):
        x = np.random.default_rng(i).random((40 + i, 4)).astype('f4')
        rated(folder, form, name, x, {'fps': fps} | more)
    if form == 'wtalc':
        if durations is None: durations = (40 + np.arange(5))*16/30
        arrays = write_truth(folder.with_suffix('.truth'), names, extracted_fps=rates,
                             duration=durations)
        return as_annotations(arrays, allow_pickle=True)
    table = pd.DataFrame({'video': names, 'start': 1., 'end': 3., 'label': 'A'})
    if durations is not None: table['duration'] = durations
    if form in ('csv', 'json'): table = table.assign(fps=rates, **more)
    if form != 'json': return table
    entries = table.drop(columns=['start', 'end', 'label']).set_index('video').to_dict('index')
    for entry in entries.values(): entry['annotations'] = [{'segment': [1, 3], 'label': 'A'}]
    (folder/'gt.json').write_text(json.dumps({'database': entries}))
    return folder/'gt.json'


RATES = ['json', 'csv', 'npz', 'pt', 'h5', 'beside', 'wtalc']


@pytest.mark.parametrize('form', RATES)
@pytest.mark.filterwarnings('ignore:.*durations are over')
def test_frame_rates_that_files_say_are_used_or_refused(tmp_path, form):
    stride = {} if form == 'wtalc' else {'stride': 8}
    truth = with_rates(tmp_path/'a', form, [30.]*5, **stride)
    assert load_videos(tmp_path/'a', truth).grid == TimeGrid(**stride, fps=30.)
    report = inspect_videos(tmp_path/'a', truth)
    assert report.grid['fps'] == 30 and not report.grid_assumed and not report.errors
    with pytest.raises(CoplError, match='5 of 5 videos name another'):
        load_videos(tmp_path/'a', truth, TimeGrid(16, 16, 25))

    truth = with_rates(tmp_path/'b', form, [15., 24., 25., 30., 60.])
    said = r"the files of 4 of 5 videos name another time grid.*15 fps in video 'v0'"
    with pytest.raises(CoplError, match=said): load_videos(tmp_path/'b', truth)
    assert any('4 of 5 videos' in e for e in inspect_videos(tmp_path/'b', truth).errors)

    truth = with_rates(tmp_path/'c', form, [30.]*5, durations=(40 + np.arange(5))*16/25)
    with pytest.warns(UserWarning, match='their durations confirm it'):
        assert load_videos(tmp_path/'c', truth).grid == TimeGrid()


def test_what_files_say_of_time_is_compared(tmp_path):
    for i in range(3): np.savez(tmp_path/f'{i}.npz', feats=np.ones((40, 3), 'f4'), duration=90.)
    with pytest.warns(UserWarning, match="3 durations .* '0': annotated as 90.0 s, expected 25.6"):
        load_videos(tmp_path)
    np.savez(tmp_path/'0.npz', feats=np.ones((40, 3), 'f4'), fps='fast')
    with pytest.raises(CoplError, match='0.npz: fps is .*expected a number over 0'):
        load_videos(tmp_path)
    for times in (['a', 'b'], [5., 4., 3.], [np.nan, 1., 2.]):
        np.savez(tmp_path/'0.npz', feats=np.ones((40, 3), 'f4'))
        np.save(tmp_path/'0_timestamps_ms.npy', np.array(times))
        with pytest.raises(CoplError, match='0_timestamps_ms.npy: found .*expected rising'):
            load_videos(tmp_path)


# Tables of annotations

def test_ground_truth_from_tables(tmp_path):
    table = pd.DataFrame({'video': ['001', '001', 'b'], 'start': [0., 2., 1.], 'end': [1., 3., 4.],
                          'label': ['A', 'NA', 'A'], 'subset': ['train', 'train', 'test'],
                          'duration': [9., 9., np.nan]})
    table.to_csv(tmp_path/'a.csv', index=False)
    table.to_csv(tmp_path/'a.tsv', index=False, sep='\t')
    first = as_annotations(table)
    assert first.videos.to_dict('list') == {'video': ['001', 'b'], 'subset': ['train', 'test'],
                                            'duration': [9., pytest.approx(np.nan, nan_ok=True)]}
    for ending in ('csv', 'tsv'):
        truth = load_annotations(tmp_path/f'a.{ending}')
        assert truth.segments.equals(first.segments) and truth.videos.equals(first.videos)
    assert len(load_annotations(tmp_path/'a.csv', subset='test').segments) == 1


@pytest.mark.parametrize(('name', 'text', 'said'), [
    ('a.csv', 'video,type,start,end\nv,A,1,2\n', "'type', .*expected ActivityNet JSON, a table"),
    ('a.csv', 'video,start,end,label\nv,0:01,2,A\n', "row 2: video 'v', segment .*'0:01'"),
    ('a.csv', 'video,start,end,label,subset\nv,1,2,A,train\nv,3,4,A,test\n',
     "row 3: video 'v': found {'subset': 'test'}, expected {'subset': 'train'}"),
    ('a.xml', '<annotation/>', 'found a .xml file, expected ActivityNet JSON'),
    ('a.mat', 'MATLAB', 'found a .mat file, expected ActivityNet JSON')])
def test_other_files_of_annotations_are_told_what_can_be_read(tmp_path, name, text, said):
    (tmp_path/name).write_text(text)
    with pytest.raises(CoplError, match=said): load_annotations(tmp_path/name)
    with pytest.raises(CoplError, match='annotations: found int, expected a path, or a table'):
        as_annotations(3)


# Two entries for one key

ONE = '"v": {"annotations": []}'
ITEM = '{"segment": [1, 2], "label": "A", "segment": [3, 4]}'


@pytest.mark.parametrize(('read', 'name', 'text', 'said'), [
    (load_annotations, 'gt.json', f'{{"database": {{{ONE}, {ONE}}}}}', "key 'v'"),
    (load_annotations, 'gt.json', f'{{"database": {{{ONE}}}, "database": {{}}}}', "key 'database'"),
    (load_annotations, 'gt.json', f'{{"database": {{"v": {{"annotations": [{ITEM}]}}}}}}',
     "key 'segment'"),
    (load_annotations, 'gt.csv', 'video,start,end,start,label\nv,1,2,3,A\n', "column 'start'"),
    (load_detections, 'det.json', '{"results": {"v": [], "v": []}}', "key 'v'"),
    (lambda file: read_grid(file.parent), 'grid.yaml', 'stride: 4\nfps: 25\nfps: 30\n',
     "line 1: key 'fps'"),
    (load_config, 'c.yaml', 'n_classes: 3\nlr: 0.1\nlr: 0.2\n', "line 1: key 'lr'"),
    (lambda file: as_annotations(write_truth(file, ['v', 'w', 'v']), True), 'arrays', None,
     "video 'v'")])
def test_a_key_that_occurs_twice_is_refused_in_every_format(tmp_path, read, name, text, said):
    if text: (tmp_path/name).write_text(text)
    with pytest.raises(CoplError, match=f'{name}.*{said} occurs more than once'):
        read(tmp_path/name)


def test_a_cluster_that_is_named_twice_is_refused(tmp_path):
    (tmp_path/'names.csv').write_text('cluster,name\n1,walk\n01,run\n')
    for names in ([tmp_path/'names.csv'], ['1=a', '1=b']):
        assert 'cluster 1 occurs more than once' in command('name', tmp_path, *names)[2]


# Ties, and what can never be found

def test_ties_are_counted_once_and_so_are_instances_of_no_length():
    truth = truth_of(('a', 0, 1, 'A'), ('a', 5, 5, 'A'), ('a', 3, 4, 'B'))
    found = detections(*[('a', i, i + 1, 'A', .5) for i in range(7)], ('a', 3, 4, 'B', .5))
    for score in (average_precision, mean_average_precision):
        with pytest.warns(UserWarning) as caught: score(found, truth, [.5])
        said, = [str(w.message) for w in caught]
        assert '7 detections share their score with another of their class' in said
        assert '1 annotated instances have no length' in said
    with warnings.catch_warnings(action='error'):
        mean_average_precision(found.iloc[[0, 7]], truth_of(('a', 0, 1, 'A'), ('a', 3, 4, 'B')))


# A full disk

@pytest.mark.parametrize('errno', [28, None])
def test_a_full_disk_says_what_is_missing(tmp_path, monkeypatch, errno):
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: SimpleNamespace(free=1000))
    small = tmp_path/'small'
    def write(path, errno=errno):
        if small in path.parents: raise OSError(errno, 'No space left on device')
        path.write_bytes(bytes(4000))
    small.mkdir()
    (small/'a.pt').write_bytes(b'old')
    said = (r'cannot write .*a.pt: no space left in .*small: room for 1000 bytes, '
            r'3000 bytes of 4000 are missing')
    with pytest.raises(CoplError, match=said): atomic_write(small/'a.pt', write)
    assert [(p.name, p.read_bytes()) for p in small.iterdir()] == [('a.pt', b'old')]
    with pytest.raises(CoplError, match='a.pt: No space left'):       # another reason
        atomic_write(small/'a.pt', lambda p: write(p, 13))
    monkeypatch.setattr(np, 'save', lambda *given: write(small/'x', 28))
    with pytest.raises(CoplError, match='no space left in .*, 0 bytes of 120 are missing'):
        convert_videos(a_set((None, None)), small/'joint', 'joint')
    assert [p.name for p in small.iterdir()] == ['a.pt']


# What is no video

def test_folders_of_videos_pictures_and_pickles_say_the_way(tmp_path):
    for folder, file, said in (
            ('films', 'a.MP4', 'films: these are videos, such as a.MP4, expected features: '
                               'copl extract'),
            ('films2', 'part/a.mkv', 'these are videos, such as a.mkv'),
            ('clip', 'img_00001.jpg', 'these are pictures, such as img_00001.jpg.*img_%05d.jpg'),
            ('pickles', 'a.pkl', r'these are pickles, .* a.pkl, .*pickle.load\(open')):
        (tmp_path/folder/file).parent.mkdir(parents=True)
        (tmp_path/folder/file).write_bytes(b'')
        with pytest.raises(CoplError, match=said): load_videos(tmp_path/folder)
        assert len(inspect_videos(tmp_path/folder).errors) == 1
    with pytest.raises(CoplError, match='these are videos'): load_videos(tmp_path/'films/a.MP4')


def test_a_pickle_becomes_a_npy_file_by_the_line_that_is_said(tmp_path):
    (tmp_path/'a.pkl').write_bytes(pickle.dumps(np.ones((5, 3), 'f4')))
    with pytest.raises(CoplError) as e: load_videos(tmp_path)
    line = str(e.value).partition('python -c ')[2]
    subprocess.run(f'{sys.executable} -c {line}', shell=True, check=True, cwd=tmp_path)
    (tmp_path/'a.pkl').unlink()
    assert load_videos(tmp_path).lengths.tolist() == [5]


# Files of torch, axes of length one

@pytest.mark.parametrize('form', ['each', 'named', 'half', 'old', 'one'])
def test_tensors_in_files_are_features(tmp_path, form):
    x = {n: torch.arange(4.*(9 + i)).reshape(-1, 4) for i, n in enumerate('abc')}
    for name, tensor in x.items():
        file = tmp_path/f'{name}.pt'
        if form == 'each': torch.save(tensor, file)
        if form == 'named': torch.save({'features': tensor, 'label': 3}, tmp_path/f'{name}.pth')
        if form == 'half': torch.save(tensor.bfloat16(), file)
        if form == 'old': torch.save(tensor, file, _use_new_zipfile_serialization=False)
    if form == 'one': torch.save(x, tmp_path/'all.pt')
    videos = load_videos(tmp_path/'all.pt' if form == 'one' else tmp_path)
    assert videos.names == ['a', 'b', 'c'] and videos.widths == {'features': 4}
    for name in x: np.testing.assert_array_equal(videos[name][0], x[name])


class Trap:
    "Unpickling this leaves a file behind."
    def __init__(self, path): self.path = str(path)
    def __reduce__(self): return open, (self.path, 'w')


def test_files_of_torch_run_no_code(tmp_path):
    (tmp_path/'data').mkdir()
    for zipped in (True, False):
        torch.save(Trap(tmp_path/'sprung'), tmp_path/'data/a.pt',
                   _use_new_zipfile_serialization=zipped)
        with pytest.raises(CoplError, match='a.pt: not readable as tensors'):
            load_videos(tmp_path/'data')
        assert not (tmp_path/'sprung').exists()
    torch.save({'features': torch.zeros(1).expand(10**6, 100)}, tmp_path/'data/a.pt')
    with pytest.raises(CoplError, match='unpacks to 400000000 bytes'): load_videos(tmp_path/'data')


@pytest.mark.parametrize('shape', [(-1, 1, 4), (1, -1, 1, 4)])
@pytest.mark.parametrize('form', ['npy', 'npz', 'pt', 'hdf5', 'list'])
def test_axes_of_length_one_are_dropped_and_said(tmp_path, shape, form):
    arrays = [np.random.default_rng(i).random((n, 4)).astype('f4') for i, n in enumerate((1, 6, 9))]
    source = tmp_path
    if form == 'list': source = [x.reshape(shape) for x in arrays]
    for i, x in enumerate(arrays):
        y = x.reshape(shape)
        if form == 'npy': np.save(tmp_path/f'{i}.npy', y)
        elif form == 'npz': np.savez(tmp_path/f'{i}.npz', feats=y)
        elif form == 'pt': torch.save(torch.tensor(y), tmp_path/f'{i}.pt')
        elif form == 'hdf5':
            with pytest.importorskip('h5py').File(tmp_path/'a.h5', 'a') as f: f[str(i)] = y
    with pytest.warns(UserWarning, match='axes of length one are dropped, such as in'):
        videos = as_videos(source)
    for i, x in enumerate(arrays): np.testing.assert_array_equal(videos[i][0], x)
    if form != 'list': assert not inspect_videos(tmp_path).errors


# One door

def arrays_of(n=6):
    rng = np.random.default_rng(0)
    return {f'v{i}': rng.random((30 + i, 4)).astype('f4') for i in range(n)}


def test_as_videos_takes_what_people_have(tmp_path):
    x = arrays_of()
    table = pd.DataFrame({'video': list(x), 'start': 1., 'end': 3., 'label': ['A', 'B']*3})
    table.to_csv(tmp_path/'gt.csv', index=False)
    (tmp_path/'data').mkdir()
    for name, a in x.items(): np.save(tmp_path/f'data/{name}.npy', a)
    tensors = {n: torch.tensor(a, requires_grad=True) for n, a in x.items()}
    sets = [as_videos(x), as_videos(tensors), as_videos(tmp_path/'data'),
            as_videos(str(tmp_path/'data')), as_videos(VideoSet(list(x), list(x.values())))]
    assert len({videos.sha256 for videos in sets}) == 1
    assert as_videos(list(x.values())).names == [f'video_{i}' for i in range(6)]
    for source in (x, tmp_path/'data', sets[0]):
        for truth in (table, tmp_path/'gt.csv', as_annotations(table)):
            assert as_videos(source, truth).labels() == ['A', 'B']*3
    assert as_videos(sets[0]) is sets[0] and sets[0].annotations is None
    np.testing.assert_array_equal(sets[0]['v3'][0], x['v3'])
    np.testing.assert_array_equal(VideoSet(list(x), list(tensors.values()))[3][0], x['v3'])


def test_as_videos_takes_several_streams():
    x = arrays_of()
    pairs = [(a, a[:, :2]) for a in x.values()]
    assert as_videos(pairs, streams='rgb,flow').widths == {'rgb': 4, 'flow': 2}
    assert as_videos(pairs).widths == {'stream_0': 4, 'stream_1': 2}
    named = {n: {'rgb': a, 'flow': a[:, :2]} for n, a in x.items()}
    assert as_videos(named).widths == {'rgb': 4, 'flow': 2}
    assert list(as_videos(named, streams=['flow', 'rgb']).streams) == ['flow', 'rgb']
    assert as_videos(list(x.values()), streams='rgb').widths == {'rgb': 4}


X = list(arrays_of().values())


@pytest.mark.parametrize(('given', 'said'), [
    (3, 'videos: found 3, expected a VideoSet, a path, or a list'),
    (X[0], r'found an array of shape \(30, 4\), expected .*of one video: .x.'),
    ((X[0], X[1]), 'videos: found .*expected a VideoSet'), ([], 'expected a VideoSet'),
    (None, 'found None'), ({'a': 3}, "video 'a': found {'features': 3}"),
    ([{'rgb': X[0]}, {'flow': X[1]}], "'video_1': found the streams flow, expected rgb as in"),
    ([X[0], X[1][:, :3]], "video 'video_1', features: 3 channels, expected 4"),
    ([x.astype(int) for x in X], 'type int64, expected floating-point'),
    ([x.T for x in X], r'found \(channels, snippets\)')])
def test_each_wrong_thing_has_one_message(given, said):
    with pytest.raises(CoplError, match=said): as_videos(given)


def test_annotations_of_arrays_are_checked_as_those_of_files_are():
    x = arrays_of()
    table = pd.DataFrame({'video': list(x), 'start': 1., 'end': 3., 'label': 'A'})
    for wrong, said in ((table.drop(columns='label'), 'expected video, start, end and label'),
                        (table.assign(end=1e9), 'segments end after their features'),
                        (table.assign(video='w'), 'none of its 1 videos'),
                        (table.assign(start=5.), 'ends before it starts')):
        with pytest.raises(CoplError, match=said): as_videos(x, wrong)
    with pytest.raises(CoplError, match=r'annotations of type DataFrame.*as_videos takes a table'):
        VideoSet(list(x), list(x.values()), annotations=table)
    with pytest.raises(CoplError, match="no video 'v33', expected one of its 6 videos"):
        as_videos(x)['v33']
    with pytest.raises(CoplError, match='found the options layout, expected them with a path only'):
        as_videos(x, layout='joint')
    assert as_videos(x, table.assign(fps=50.)).grid.fps == 50
