"What users bring: names, times, subsets, labels and drives that are not as one would have them."
import datetime
import json
import os
import warnings
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from copl import COPL, CoplError, load_videos, mean_average_precision
from copl.annotations import (
    Annotations,
    load_annotations,
    load_detections,
    matched_names,
    save_detections,
    unused_time,
)
from copl.cli import main
from copl.config import Config, atomic_write
from copl.data import convert_videos
from copl.evaluation import average_precision
from copl.inspection import inspect_videos
from copl.plri import spectral_clusters
from copl.simulation import Simulation, simulate
from copl.videos import TimeGrid, VideoSet, subset_role


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
    with pytest.raises(CoplError, match='their names do not say'): a_set(subsets).split()
    with warnings.catch_warnings(action='ignore'):
        train, test = a_set(subsets).split(test=subsets[-1]) if len(subsets) > 1 else (None, None)
    if train: assert (train.names, test.names) == (['v0'], ['v1'])


def test_of_three_subsets_one_is_left_out_and_said():
    with pytest.warns(UserWarning, match='1 videos are in neither'):
        train, test = a_set(('train', 'val', 'test')).split()
    assert (train.names, test.names) == (['v0'], ['v2'])


def test_videos_without_a_subset_neither_train_nor_are_tested_unless_asked():
    videos = a_set(('train', 'test', None))
    with pytest.warns(UserWarning, match='1 videos are in neither'):
        assert videos.split()[0].names == ['v0']
    assert a_set((None, 'test', None)).split(test='test')[0].names == ['v0', 'v2']
    assert a_set((None, None)).split()[0].names == ['v0', 'v1']


def test_subsets_by_name_are_checked():
    videos = a_set(('train', 'test'))
    with pytest.raises(CoplError, match="no video is in subset 'dev'; there are 'train', 'test'"):
        videos.split(test='dev')
    with pytest.raises(CoplError, match="'train' cannot both train and be tested"):
        videos.split('train', 'Train')
    assert subset_role(' Validation') == 'val' and subset_role(None) is None


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


def test_names_that_could_mean_several_videos_are_told():
    with pytest.warns(UserWarning, match="1 names could mean several videos .* 'ab', 'aB', 'AB'"):
        assert matched_names(['ab', 'aB'], ['AB']) == {}


def test_endings_of_files_in_annotations_find_their_features(tmp_path):
    (tmp_path/'rgb').mkdir()
    for name in ('dive', 'calm'): np.save(tmp_path/f'rgb/{name}.npy', np.ones((4, 3), np.float32))
    entry = {'subset': 'train', 'annotations': [{'segment': [0, 1], 'label': 'A'}]}
    truth = {'database': {'v_dive.mp4': entry, 'Calm': entry}}
    (tmp_path/'annotations.json').write_text(json.dumps(truth))
    videos = load_videos(tmp_path)
    assert videos.labels() == ['A', 'A'] and videos.names == ['Calm', 'v_dive.mp4']


def test_all_errors_of_annotations_are_told_at_once(tmp_path):
    bad = [{'segment': [2, 1], 'label': 'A'}, {'segment': [0, 'x'], 'label': 'A'},
           {'segment': [0, 1], 'label': '\x1b[31mred'}]
    database = {'a': {'annotations': bad}, 'b': {'duration': 0}, 'c': {'subset': 7}}
    (tmp_path/'gt.json').write_text(json.dumps({'database': database}))
    with pytest.raises(CoplError) as e: load_annotations(tmp_path/'gt.json')
    lines = str(e.value).splitlines()
    assert lines[0] == 'found 5 problems:' and len(lines) == 6 and '\x1b' not in str(e.value)
    database = {'a': {'annotations': bad[:1]*50}}
    (tmp_path/'gt.json').write_text(json.dumps({'database': database}))
    with pytest.raises(CoplError, match='... and 30 more'): load_annotations(tmp_path/'gt.json')


def test_labels_that_differ_in_blanks_or_case_are_remarked_on(tmp_path):
    items = [{'segment': [0, 1], 'label': s} for s in ('Long Jump', 'LongJump', 'longjump', 'Golf')]
    (tmp_path/'gt.json').write_text(json.dumps({'database': {'a': {'annotations': items}}}))
    with pytest.warns(UserWarning, match="'Long Jump', 'LongJump', 'longjump' differ only in"):
        load_annotations(tmp_path/'gt.json')


def test_a_byte_order_mark_is_no_content(tmp_path):
    (tmp_path/'Diving_test.txt').write_text('\ufeffdive_1 3 5\n', encoding='utf-8')
    assert load_annotations(tmp_path).segments.video.tolist() == ['dive_1']
    (tmp_path/'gt.json').write_text('\ufeff{"database": {"a": {}}}', encoding='utf-8')
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
    assert sorted(p.name for p in (tmp_path/'x').iterdir()) == ['a.eaf', 'b.eaf', 'empty.eaf']
    root = ElementTree.parse(tmp_path/'x/a.eaf').getroot()
    assert root.tag == 'ANNOTATION_DOCUMENT' and root.get('FORMAT') == '3.0'
    assert {'AUTHOR', 'DATE', 'VERSION'} <= root.attrib.keys()
    datetime.datetime.fromisoformat(root.get('DATE'))
    assert [x.tag for x in root] == ['HEADER', 'TIME_ORDER', *['TIER']*3, 'LINGUISTIC_TYPE']
    assert root.find('HEADER').get('TIME_UNITS') == 'milliseconds'
    slots = {x.get('TIME_SLOT_ID'): int(x.get('TIME_VALUE')) for x in root.iter('TIME_SLOT')}
    assert len(slots) == 6 and list(slots.values()) == sorted(slots.values())
    kind = root.find('LINGUISTIC_TYPE')
    assert kind.get('TIME_ALIGNABLE') == 'true'
    tiers = {}
    for tier in root.iter('TIER'):
        assert tier.get('LINGUISTIC_TYPE_REF') == kind.get('LINGUISTIC_TYPE_ID')
        tiers[tier.get('TIER_ID')] = [
            (slots[x.get('TIME_SLOT_REF1')], slots[x.get('TIME_SLOT_REF2')],
             x.find('ANNOTATION_VALUE').text) for x in tier.findall('ANNOTATION/*')]
    assert tiers == {'Diving': [(3000, 5500, '0.900')], 'Diving / 2': [(4000, 7000, '0.500')],
                     'é <&> "': [(7000, 3661250, '0.700')]}
    ids = [x.get('ANNOTATION_ID') for x in root.iter('ALIGNABLE_ANNOTATION')]
    assert len(set(ids)) == 3 and not set(ids) & set(slots)
    short = ElementTree.parse(tmp_path/'x/b.eaf').iter('TIME_SLOT')
    assert [x.get('TIME_VALUE') for x in short] == ['0', '1']
    assert not list(ElementTree.parse(tmp_path/'x/empty.eaf').iter('TIER'))


def test_webvtt_holds_the_best_where_detections_overlap(tmp_path):
    path = save_detections(FOUND[FOUND.video == 'a'], tmp_path/'x.VTT', ['a'])
    assert path == tmp_path/'x.VTT' and path.read_text(encoding='utf-8') == (
        'WEBVTT\n\n00:00:03.000 --> 00:00:05.500\nDiving\n\n'
        '00:00:07.000 --> 01:01:01.250\né &lt;&amp;&gt; "\n')
    assert save_detections(FOUND[:0], tmp_path/'none.vtt').read_text() == 'WEBVTT\n'


@pytest.mark.parametrize('name', ['d.srt', 'd', 'd.json.gz'])
def test_another_ending_for_detections_is_refused_with_the_list(tmp_path, name, capsys):
    endings = 'expected one of .json, .csv, .parquet, .eaf, .vtt'
    with pytest.raises(CoplError, match=endings): save_detections(FOUND, tmp_path/name)
    localize = ['localize', str(tmp_path), 'sim:tiny', '--out', str(tmp_path/name)]
    assert main(localize) == 1 and endings in capsys.readouterr().err    # before anything is read
    with pytest.raises(CoplError, match=r"'\.\./b' is not usable as a file name"):
        save_detections(FOUND.replace('b', '../b'), tmp_path/'d.vtt')


def test_a_table_of_detections_says_what_is_wrong(tmp_path):
    (tmp_path/'d.csv').write_text('video,start,end\na,0,1\n')
    with pytest.raises(CoplError, match='expected video, start, end, label, score'):
        load_detections(tmp_path/'d.csv')
    (tmp_path/'d.csv').write_text('video,start,end,label,score\na,0,1,A,high\n')
    with pytest.raises(CoplError, match=r"row 2: video 'a', score: found 'high', expected a n"):
        load_detections(tmp_path/'d.csv')


def test_a_score_that_is_no_number_is_called_a_score(tmp_path):
    item = {'segment': [0, 1], 'label': 'A', 'score': 'high'}
    (tmp_path/'d.json').write_text(json.dumps({'results': {'a': [item]}}))
    with pytest.raises(CoplError, match="score: found 'high', expected a number$"):
        load_detections(tmp_path/'d.json')


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


def test_annotations_are_equal_by_their_tables():
    one = truth_of(('a', 0, 1, 'A'))
    other = truth_of(('a', 0, 1, 'A'))
    assert one == other and hash(one) == hash(other) and len({one, other}) == 1
    assert one != truth_of(('a', 0, 2, 'A')) and one != 'a'


@pytest.mark.skipif(os.name == 'nt', reason='permissions are others there')
def test_files_are_written_where_permissions_cannot_be_changed(tmp_path, monkeypatch):
    def refused(*given, **options): raise PermissionError(1, 'Operation not permitted')
    for module, name in ((os, 'chmod'), (os, 'umask'), (Path, 'chmod')):
        monkeypatch.setattr(module, name, refused)
    atomic_write(tmp_path/'a.txt', lambda p: p.write_text('x'))
    convert_videos(a_set((None, None)), tmp_path/'joint', 'joint')
    monkeypatch.undo()
    usual = tmp_path/'usual'
    usual.write_text('x')
    assert (tmp_path/'a.txt').stat().st_mode == usual.stat().st_mode
    usual = tmp_path/'usual_folder'
    usual.mkdir()
    assert (tmp_path/'joint').stat().st_mode == usual.stat().st_mode


def test_a_dropout_that_bytes_cannot_give_is_refused():
    for field in ('dropout', 'input_dropout'):
        with pytest.raises(CoplError, match=r"expected a number in \[0, 0.99\]"):
            Config(2, **{field: .999})


def timed(folder, factor=1., stride=16, snippets=94):
    "Ten videos of a minute with three segments each, their times multiplied."
    rng = np.random.default_rng(0)
    (folder/'rgb').mkdir(parents=True)
    database = {}
    for i in range(10):
        np.save(folder/f'rgb/v{i}.npy', rng.random((snippets*16//stride, 4)).astype('float32'))
        starts = rng.random(3)*55
        database[f'v{i}'] = {'subset': 'train', 'annotations': [
            {'segment': [s*factor, (s + 4)*factor], 'label': 'A'} for s in starts]}
    (folder/'annotations.json').write_text(json.dumps({'database': database}))
    return folder


@pytest.mark.parametrize(('factor', 'what'), [
    (25, 'look like frames'), (25/16, 'look like snippets'), (1000, 'look like milliseconds'),
    (1/60, 'look like fractions')])
def test_times_in_other_units_are_refused(tmp_path, factor, what):
    timed(tmp_path/'right')
    load_videos(tmp_path/'right')
    path = timed(tmp_path/'wrong', factor)
    with pytest.raises(CoplError, match=what): load_videos(path)
    assert any(what in e for e in inspect_videos(path).errors)


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
    path = timed(tmp_path/'4', stride=4)
    truth = json.loads((path/'annotations.json').read_text())
    videos = load_annotations(path/'annotations.json')
    lengths = dict.fromkeys(truth['database'], 400)
    assert 'is the stride smaller' in unused_time(lengths, TimeGrid(), videos)
    for duration, said in ((256., False), (64., True)):
        videos.videos['duration'] = duration
        assert bool(unused_time(lengths, TimeGrid(), videos)) == said


def test_a_few_segments_beyond_the_end_are_no_reason_to_refuse(tmp_path):
    path = timed(tmp_path/'few')
    truth = json.loads((path/'annotations.json').read_text())
    for v in ('v0', 'v1', 'v2'): truth['database'][v]['annotations'][0]['segment'] = [70, 80]
    (path/'annotations.json').write_text(json.dumps(truth))
    assert len(load_videos(path)) == 10


@pytest.mark.parametrize('length', ['same', 'own'])
def test_transposed_arrays_are_recognised_without_annotations(tmp_path, length):
    rng = np.random.default_rng(0)
    means = rng.random(16)
    for i in range(6):
        x = rng.standard_normal((100 if length == 'same' else 40 + i, 16)) + means
        for name, array in (('right', x), ('wrong', x.T)):
            (tmp_path/name).mkdir(exist_ok=True)
            np.save(tmp_path/f'{name}/v{i}.npy', array.astype('float32'))
    load_videos(tmp_path/'right')
    with pytest.raises(CoplError, match=r'found \(channels, snippets\)'):
        load_videos(tmp_path/'wrong')
    assert 'found (channels, snippets)' in str(inspect_videos(tmp_path/'wrong'))


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


def test_training_and_localization_remark_on_them_too(tmp_path, capsys):
    rng = np.random.default_rng(0)
    usual = {f'v{i}': rng.normal(size=(20, 4)).astype(np.float32) for i in range(8)}
    odd = {'zero': np.zeros((20, 4), np.float32), 'copy': usual['v3'].copy(),
           'still': np.repeat(usual['v0'][:1], 20, 0), 'nearly': usual['v4'].copy(),
           'waits': np.vstack([usual['v1'][:1], usual['v2'][1:19], usual['v1'][:1]])}
    odd['nearly'][5, 2] += 1
    (tmp_path/'features').mkdir()
    for name, x in (usual | odd).items(): np.save(tmp_path/f'features/{name}.npy', x)
    quick = ['--epoch-num', '1', '--iteration-num', '1', '--hidden', '8', '--snippets', '16']
    assert main(['train', str(tmp_path/'features'), '--n-classes', '2', *quick,
                 '--out', str(tmp_path/'run')]) == 0
    trained = capsys.readouterr().err
    assert main(['localize', str(tmp_path/'run'), str(tmp_path/'features')]) == 0
    for said in (trained, capsys.readouterr().err):
        remarks = [line.partition('video ')[2] for line in said.splitlines()
                   if 'warning: ' in line and "video '" in line]
        assert {*remarks} == {"'zero': all features are 0, which are like those of no video",
                              "'v3': the same features as video 'copy'",
                              "'still': every snippet is the same, nothing can be localized in it"}
        assert 'nearly' not in said and 'waits' not in said


def test_one_cause_in_many_videos_is_one_line(tmp_path):
    (tmp_path/'rgb').mkdir()
    for i in range(50): np.save(tmp_path/f'rgb/v{i}.npy', np.zeros((4, 3), np.float32))
    found = inspect_videos(tmp_path)
    assert len(found.warnings) == 50
    lines = [line for line in str(found).splitlines() if line.startswith('warning')]
    assert len(lines) == 1 and '(and 49 more like it)' in lines[0]


def test_few_videos_that_differ_cannot_make_more_clusters():
    rng = np.random.default_rng(0)
    F = rng.random((3, 8))[[0, 1] + [2]*10]
    with pytest.raises(CoplError, match='5 clusters asked for and only 3 of the 12 videos differ'):
        spectral_clusters(F/np.linalg.norm(F, axis=1, keepdims=True), 5)


def test_groups_without_any_likeness_are_told_in_plain_words():
    F = np.repeat(np.eye(3), 15, 0) + .001*np.random.default_rng(0).random((45, 3))
    with pytest.warns(UserWarning, match='fall into 3 groups without any likeness') as caught:
        spectral_clusters(F, 2, affinity='neighbors')
    assert not any('fully connected' in str(w.message) for w in caught)


# The command line

def typed(capsys, *args):
    "(exit status, standard output, standard error) of a command."
    capsys.readouterr()
    status = main([str(a) for a in args])
    return status, *capsys.readouterr()


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    "A finished run on simulated videos, and the videos on disk."
    folder = tmp_path_factory.mktemp('run')
    convert_videos(simulate(Simulation(n_train=24, n_test=12, n_classes=3, dim=8)),
                   folder/'videos', 'folder')
    assert main(['train', str(folder/'videos'), '--hidden', '8', '--snippets', '16', '--epoch-num',
                 '2', '--iteration-num', '1', '--stream-norm', '--device', 'cpu', '--n-classes',
                 '3', '--out', str(folder/'run')]) == 0
    return folder


def test_what_is_simulated_stays_simulated_when_converted(run):
    assert load_videos(run/'videos').simulated
    assert json.loads((run/'run/metrics.json').read_text())['data']['simulated'] is True


def test_a_finished_run_leaves_no_lock(run):
    assert not [p.name for p in (run/'run').iterdir() if p.name.startswith('.')]


@pytest.mark.parametrize('ending', ['json', 'csv', 'parquet'])
def test_localize_writes_what_the_ending_says(run, tmp_path, capsys, ending):
    if ending == 'parquet': pytest.importorskip('pyarrow')
    path = tmp_path/f'found.{ending}'
    assert typed(capsys, 'localize', run/'run', run/'videos', '--subset', 'test', '--out',
                 path)[0] == 0
    found = load_detections(path)
    assert len(found) and set(found.video) <= set(load_videos(run/'videos').subset('test').names)
    status, out, err = typed(capsys, 'evaluate', path, run/'videos', '--json', '-')
    assert status == 0 and 'subset test' in err and json.loads(out)['mAP']


def test_scores_are_tables_of_every_snippet(run, tmp_path, capsys):
    assert typed(capsys, 'scores', run/'run', run/'videos', '--subset', 'test', '--out',
                 tmp_path/'scores')[0] == 0
    videos = load_videos(run/'videos').subset('test')
    for name, length in zip(videos.names, videos.lengths, strict=True):
        table = pd.read_csv(tmp_path/f'scores/{name}.csv')
        assert len(table) == length and table.A_cs.between(0, 1).all()
        np.testing.assert_allclose(table.filter(regex='^p_').sum(axis=1), 1, atol=1e-4)
    assert 'exists, expected a new folder' in typed(
        capsys, 'scores', run/'run', run/'videos', '--out', tmp_path/'scores')[2]


def test_clusters_get_names_by_hand_from_a_table_and_from_annotations(run, tmp_path, capsys):
    table = tmp_path/'names.csv'
    table.write_text('cluster,name\n1,walk\n')
    status, out, _ = typed(capsys, 'name', run/'run', '0=long jump', table)
    assert status == 0 and 'long jump' in out and 'walk' in out
    path = tmp_path/'found.csv'
    typed(capsys, 'localize', run/'run', run/'videos', '--class-threshold', '0', '--out', path)
    assert {'long jump', 'walk'} <= set(load_detections(path).label)
    assert 'cluster 7, expected 0 to 2' in typed(capsys, 'name', run/'run', '7=swim')[2]
    assert "cluster 'x', expected a number" in typed(capsys, 'name', run/'run', 'x=swim')[2]
    status, out, _ = typed(capsys, 'name', run/'run', '--annotations', run/'videos')
    assert status == 0 and 'sim_' in out and 'walk' not in out


def test_clusters_are_mapped_to_classes_for_evaluation(run, tmp_path, capsys):
    found = pd.DataFrame({'video': load_videos(run/'videos').subset('test').names[:1],
                          'start': 0., 'end': 1., 'label': 'cluster_01', 'score': 1.})
    save_detections(found, tmp_path/'found.json')
    (tmp_path/'map.csv').write_text('cluster,name\n1,no such class\n')
    asked = ['evaluate', tmp_path/'found.json', run/'videos', '--map']
    ignored = '(ignored)'
    assert ignored in typed(capsys, *asked, tmp_path/'map.csv')[2]
    assert ignored in typed(capsys, *asked[:-1])[2]
    assert ignored not in typed(capsys, *asked, run/'run')[2]             # by its videos


def test_quiet_commands_print_nothing_but_errors(run, tmp_path, capsys):
    asked = ['localize', run/'run', run/'videos', '--out', tmp_path/'found.json']
    assert typed(capsys, '--quiet', *asked) == (0, '', '')
    status, out, err = typed(capsys, 'localize', run/'run', 'nowhere', '--quiet')
    assert (status, out) == (1, '') and err.startswith('copl: error: nowhere')


def test_one_file_is_a_set_of_one_video(tmp_path, capsys):
    np.save(tmp_path/'alone.npy', np.random.default_rng(0).random((9, 4), np.float32))
    status, out, _ = typed(capsys, 'inspect', tmp_path/'alone.npy')
    assert status == 0 and 'alone' in out + str(load_videos(tmp_path/'alone.npy').names)
    assert load_videos(tmp_path/'alone.npy').lengths.tolist() == [9]


def test_a_folder_of_a_run_loads_and_other_types_are_told(run):
    model = COPL.load(run/'run')
    assert len(model.localize(load_videos(run/'videos')))
    for call in (lambda: model.localize('videos'), lambda: COPL(3).fit([1, 2]),
                 lambda: COPL.load(3), lambda: mean_average_precision([1], None)):
        with pytest.raises(CoplError, match='expected'): call()


def test_videos_without_detections_are_explained(run):
    model = COPL.load(run/'run')
    one = VideoSet(['one'], {s: [np.ones((1, 8), np.float32)] for s in ('rgb', 'flow')})
    with pytest.warns(UserWarning, match='1 videos have no detection.*1 have a single snippet'):
        model.localize(one)


def test_what_does_not_change_in_time_has_no_detection(run):
    model = COPL.load(run/'run')
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
