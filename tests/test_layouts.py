"Every layout that copl opens: small sets, broken copies, round trips, real annotation files."
import json
import pickle
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest

from copl import CoplError, VideoSet, load_annotations, load_videos, tiny
from copl.annotations import annotation_card
from copl.cli import main
from copl.data import Annotations, TimeGrid, convert_videos
from copl.inspection import inspect_videos
from copl.layouts import (
    LAYOUTS,
    LazyArray,
    detect_layout,
    find_videos,
    parse_streams,
    save_rest,
)

ONE_ARRAY = ('wtalc', 'joint', 'hdf5', 'plain')
WRITTEN = [k for k in LAYOUTS if k not in ('plain', 'wtalc')]
NAMES = ['calm', 'dive', 'jump', 'swim']
pytestmark = pytest.mark.filterwarnings('ignore:.*annotated videos have no features')


def ragged(rows):
    return np.fromiter(rows, object, len(rows))


def made(**widths):
    "Two training and two test videos of 20 to 23 snippets, with streams of these widths."
    rng = np.random.default_rng(0)
    streams = {s: [rng.random((20 + i, d)).astype('float32') for i in range(4)]
               for s, d in widths.items()}
    segments = pd.DataFrame([('dive', 1., 2.5, 'Diving'), ('dive', 3., 4., 'Diving'),
                             ('jump', .1, 9., 'HighJump'), ('swim', 0., 1/3, 'Diving')],
                            columns=['video', 'start', 'end', 'label'])
    table = pd.DataFrame({'video': NAMES, 'subset': ['train', 'train', 'test', 'test'],
                          'duration': [(20 + i)*16/25 for i in range(4)]})
    return VideoSet(NAMES, streams, annotations=Annotations(segments, table))


@pytest.fixture
def videos():
    "rgb and flow of 3 channels each."
    return made(rgb=3, flow=3)


def write_wtalc(videos, folder):
    "As W-TALC keeps it: pickled arrays of objects, which copl itself never writes."
    truth = folder/'Annotations'
    segments = videos.annotations.segments
    truth.mkdir(parents=True)
    save_rest(folder, videos.grid, videos.widths, None)
    np.save(folder/'JOINTFeatures.npy', ragged([np.concatenate(v, 1) for v in videos]),
            allow_pickle=True)
    np.save(truth/'videoname.npy', np.array([n.encode() for n in videos.names]))
    np.save(truth/'subset.npy', np.array([s.encode() for s in videos.annotations.videos.subset]))
    np.save(truth/'duration.npy', videos.annotations.videos.duration.to_numpy()[:, None])
    np.save(truth/'segments.npy',
            ragged([segments[segments.video == n][['start', 'end']].to_numpy().tolist()
                    for n in videos.names]), allow_pickle=True)
    np.save(truth/'labels.npy',
            ragged([segments[segments.video == n].label.tolist() for n in videos.names]),
            allow_pickle=True)
    return folder


def write(videos, layout, folder):
    "Any set in any layout."
    return (write_wtalc(videos, folder) if layout == 'wtalc' else
            convert_videos(videos, folder, layout))


@pytest.fixture
def make(videos, tmp_path):
    "A function that makes a small set in any layout and says where it is."
    return lambda layout: write(videos, layout, tmp_path/layout)


def copl(capsys, *args):
    "(status, output, errors) of a command."
    status = main([str(a) for a in args])
    return status, *capsys.readouterr()


def same(a, b, annotations=True):
    "Whether two sets hold the same arrays in the same number format, and the same segments."
    assert sorted(a.names) == sorted(b.names) and list(a.streams) == list(b.streams)
    for stream in a.streams:
        for name, x in zip(a.names, a.streams[stream], strict=True):
            y = b.streams[stream][b.names.index(name)]
            assert x.dtype == y.dtype
            np.testing.assert_array_equal(np.asarray(x), np.asarray(y))
    if annotations:
        def rows(v): return sorted(v.annotations.segments.itertuples(index=False, name=None))
        assert rows(a) == rows(b)
        assert (a.annotations.videos.set_index('video').sort_index() ==
                b.annotations.videos.set_index('video').sort_index()).all(axis=None)
    return True


# Whole ones

@pytest.mark.parametrize('layout', LAYOUTS)
def test_each_layout_is_recognised_and_holds_the_same(videos, make, layout):
    path = make(layout)
    assert detect_layout(path) == layout
    opened = load_videos(path, allow_pickle=layout == 'wtalc')
    assert same(videos, opened, layout != 'plain')
    assert (opened.annotations is None if layout == 'plain' else
            [len(v) for v in opened.split()] == [2, 2])
    same(videos, load_videos(path, layout=layout, allow_pickle=True), layout != 'plain')


@pytest.mark.parametrize('source', LAYOUTS)
@pytest.mark.parametrize('target', WRITTEN)
def test_conversion_there_and_back(videos, make, tmp_path, capsys, source, target):
    if source == 'plain': pytest.skip('holds no annotations to carry over')
    out = tmp_path/'converted'
    assert copl(capsys, 'convert', make(source), '--to', target, '--out', out,
                *(['--allow-pickle'] if source == 'wtalc' else []))[0] == 0
    assert same(videos, load_videos(out, layout=target))


@pytest.mark.parametrize('layout', LAYOUTS)
def test_inspect_says_what_is_there(make, tmp_path, capsys, layout):
    status, out, _ = copl(capsys, 'inspect', make(layout), '--json', tmp_path/'report.json',
                          '--allow-pickle')
    report = json.loads((tmp_path/'report.json').read_text())
    assert (status, report['layout'], report['errors'], report['warnings']) == (0, layout, [], [])
    assert report['videos'] == ({'all': 4} if layout == 'plain' else {'train': 2, 'test': 2})
    assert (report['snippets'], report['channels'], report['dtypes']) == (
        86, {'rgb': [3], 'flow': [3]}, {'rgb': ['float32'], 'flow': ['float32']})
    assert report['grid'] == {'stride': 16, 'window': 16, 'fps': 25}
    if layout != 'plain':
        assert (report['annotated'], report['segments'], report['classes']) == (
            .75, 4, ['Diving', 'HighJump'])
    assert '0 errors, 0 warnings' in out and layout in out


def test_simulated_videos_in_the_layout_of_cola_hold_what_its_loader_reads(tmp_path):
    whole = tiny()
    out = convert_videos(tiny(), tmp_path/'cola', 'cola')
    truth = json.loads((out/'gt.json').read_text())['database']
    seen = 0
    for part in ('train', 'test'):
        for name in (out/f'split_{part}.txt').read_text().split():
            for stream, arrays in whole.streams.items():
                x = np.load(out/'features'/part/stream/f'{name}.npy')
                np.testing.assert_array_equal(x.astype(np.float32), arrays[whole.names.index(name)])
            assert truth[name]['subset'] == part
            expected = whole.annotations.segments.query('video == @name')
            found = [(*map(float, a['segment']), a['label']) for a in truth[name]['annotations']]
            assert found == list(expected[['start', 'end', 'label']].itertuples(False, None))
            seen += 1
    assert seen == len(whole) == 108 and len(list(out.rglob('*.npy'))) == 216


def test_conversion_of_one_subset(make, tmp_path, capsys):
    assert copl(capsys, 'convert', make('folder'), '--to', 'joint', '--out', tmp_path/'part',
                '--subset', 'test')[0] == 0
    assert load_videos(tmp_path/'part').names == ['jump', 'swim']


@pytest.mark.parametrize('layout', ['npz_pairs', 'hdf5', 'joint', 'flat'])
def test_nothing_is_read_before_it_is_asked_for(make, layout, monkeypatch):
    path = make(layout)
    reads = []
    original = LazyArray.__init__
    def counting(self, read, *more):
        original(self, lambda: reads.append(more) or read(), *more)
    monkeypatch.setattr(LazyArray, '__init__', counting)
    opened = load_videos(path)
    if layout == 'flat': reads.clear()                                         # mapped, not read
    assert opened.lengths.tolist() == [20, 21, 22, 23] and not reads
    assert opened[0][0].shape == (20, 3)
    if layout == 'flat': assert all(isinstance(x, np.memmap) for x in opened.streams['flow'])
    else: assert reads


# Broken ones: one file of each layout, and how it can be broken

ONE = {'folder': ('rgb/dive.npy', 'flow/dive.npy'), 'suffix': ('dive_rgb.npy', 'dive_flow.npy'),
       'cola': ('features/train/rgb/dive.npy', 'features/train/flow/dive.npy'),
       'npz_pairs': ('v_dive-rgb.npz', 'v_dive-flow.npz'), 'flat': ('rgb.npy', 'flow.npy'),
       'joint': ('dive.npy',)*2, 'plain': ('dive.npy',)*2,
       'hdf5': ('features.h5',)*2, 'wtalc': ('JOINTFeatures.npy',)*2}


def rewrite(path, change):
    "Change the array in a npy or npz file, the features of 'dive' in the others."
    if path.suffix == '.npz': np.savez(path, feature=change(np.load(path)['feature'][0])[None])
    elif path.suffix == '.h5':
        h5py = pytest.importorskip('h5py')
        with h5py.File(path, 'a') as f:
            x = change(f['dive'][()])
            del f['dive']
            f['dive'] = x
    elif path.name == 'JOINTFeatures.npy':
        x = np.load(path, allow_pickle=True)
        x[1] = change(x[1])
        np.save(path, x, allow_pickle=True)
    else: np.save(path, change(np.load(path)))


def poison(x):
    x = x.copy()
    x[5, 1] = np.nan
    return x


def refused(capsys, path, tmp_path, message):
    "inspect lists the problem and train stops at it, both with status 1; nothing is trained."
    status, out, _ = copl(capsys, 'inspect', path, '--json', tmp_path/'report.json',
                          '--allow-pickle')
    report = json.loads((tmp_path/'report.json').read_text())
    assert status == 1 and any(message in e for e in report['errors']), report['errors']
    status, out, err = copl(capsys, 'train', path, '--n-classes', 2, '--out', tmp_path/'run',
                            '--allow-pickle')
    assert (status == 1 and err.strip().splitlines()[-1].startswith('copl: error: ') and
            message in err), err
    assert not (tmp_path/'run').exists()
    return report


@pytest.mark.parametrize('layout', LAYOUTS)
def test_nan_is_found_in_each_layout(make, tmp_path, capsys, layout):
    path = make(layout)
    rewrite(path/ONE[layout][0], poison)
    video, snippet = ('calm', 5) if layout == 'flat' else ('dive', 5)
    refused(capsys, path, tmp_path,
            f"video '{video}', rgb, snippet {snippet}, channel 1: found nan")


@pytest.mark.parametrize('layout', LAYOUTS)
def test_truncated_files_are_found_in_each_layout(make, tmp_path, capsys, layout):
    path = make(layout)
    file = path/ONE[layout][1]
    file.write_bytes(file.read_bytes()[:-40])
    refused(capsys, path, tmp_path, str(file))


@pytest.mark.parametrize('layout', LAYOUTS)
def test_integers_are_no_features(make, tmp_path, capsys, layout):
    path = make(layout)
    rewrite(path/ONE[layout][0], lambda x: np.ones(x.shape, int))
    refused(capsys, path, tmp_path, 'expected floating-point features')


@pytest.mark.parametrize('layout', ['folder', 'cola', 'npz_pairs', 'suffix', 'flat'])
def test_a_missing_stream_is_named(make, tmp_path, capsys, layout):
    path = make(layout)
    (path/ONE[layout][1]).unlink()
    refused(capsys, path, tmp_path, str(path/ONE[layout][1]))


@pytest.mark.parametrize('layout', ONE_ARRAY)
def test_widths_must_add_up(make, tmp_path, capsys, layout):
    path = make(layout)
    rewrite(path/ONE[layout][0], lambda x: x[:, :5])
    message = "video 'dive': shape (21, 5), expected (snippets, 6) for the streams rgb 3 + flow 3"
    report = refused(capsys, path, tmp_path, message)
    assert str(path/ONE[layout][0]) in report['errors'][0]


@pytest.mark.parametrize('layout', ['folder', 'cola', 'npz_pairs', 'suffix'])
def test_streams_of_different_length_follow_the_named_policy(videos, make, tmp_path, capsys,
                                                             layout):
    path = make(layout)
    rewrite(path/ONE[layout][1], lambda x: x[:-1])
    refused(capsys, path, tmp_path, "'dive'")
    with pytest.raises(CoplError, match="'dive': rgb has 21 snippets, flow has 20 snippets"):
        load_videos(path)
    trimmed = load_videos(path, lengths='trim')
    stretched = load_videos(path, lengths='interpolate')
    np.testing.assert_array_equal(trimmed[1][0], videos[1][0][:20])
    np.testing.assert_array_equal(trimmed[1][1], videos[1][1][:20])
    np.testing.assert_array_equal(stretched[1][0], videos[1][0])
    at = (np.arange(21) + .5)*20/21 - .5
    expected = np.stack([np.interp(at, np.arange(20), c) for c in videos[1][1][:20].T], 1)
    np.testing.assert_allclose(stretched[1][1], expected, rtol=1e-5)
    assert trimmed.sha256 != stretched.sha256
    with pytest.raises(CoplError, match='expected error, trim or interpolate'):
        load_videos(path, lengths='cut')


class Trap:
    "Unpickling this leaves a file behind."
    def __init__(self, path): self.path = str(path)
    def __reduce__(self): return (open, (self.path, 'w'))


@pytest.mark.parametrize('layout', ['folder', 'cola', 'flat', 'joint', 'plain', 'npz_pairs',
                                    'suffix', 'wtalc'])
@pytest.mark.parametrize('disguise', ['array of objects', 'bare pickle'])
def test_no_pickle_is_loaded_unless_allowed(make, tmp_path, capsys, layout, disguise):
    path = make(layout)
    trap = tmp_path/'sprung'
    file = path/ONE[layout][0]
    if disguise == 'bare pickle': file.write_bytes(pickle.dumps(Trap(trap)))
    elif file.suffix == '.npz': np.savez(file, feature=np.array([Trap(trap)]))
    else: np.save(file, np.array([Trap(trap)]), allow_pickle=True)
    for args in (['inspect', path], ['train', path, '--n-classes', 2, '--out', tmp_path/'run']):
        status, out, err = copl(capsys, *args)
        assert status == 1 and str(file) in out + err
        if layout == 'wtalc':
            assert ('allow_pickle=True (--allow-pickle)' in out + err and
                    'copl convert' in out + err)
    if layout != 'wtalc': copl(capsys, 'inspect', path, '--allow-pickle')
    assert not trap.exists()


def test_wtalc_annotations_need_the_switch_too(make):
    with pytest.raises(CoplError, match=r'labels.npy|segments.npy'):
        load_annotations(make('wtalc')/'Annotations')


@pytest.mark.parametrize('change, message', [
    (lambda p: np.savez(p, x=np.ones((1, 21, 3)), y=np.ones((1, 21, 3))),
     "found the keys ['x', 'y'], expected 'feats' or 'feature'"),
    (lambda p: np.savez(p, feature=np.ones((2, 21, 3))),
     'shape (2, 21, 3), expected (snippets, channels)'),
    (lambda p: p.write_bytes(b'no archive'), 'not readable as an npz archive')])
def test_broken_archives(make, tmp_path, capsys, change, message):
    path = make('npz_pairs')
    change(path/'v_dive-rgb.npz')
    refused(capsys, path, tmp_path, message)


def test_an_archive_that_announces_more_than_it_holds(make, tmp_path, capsys):
    path = make('npz_pairs')
    with zipfile.ZipFile(path/'v_dive-rgb.npz', 'w') as z, z.open('feature.npy', 'w') as f:
        np.lib.format.write_array_header_1_0(
            f, {'descr': '<f4', 'fortran_order': False, 'shape': (1, 10**12, 1024)})
    refused(capsys, path, tmp_path, 'announces 128 bytes, expected 4096000000000128')


def test_what_unpacks_to_over_100_times_its_size(tmp_path):
    h5py = pytest.importorskip('h5py')
    zeros = np.zeros((2**16, 64), 'float32')
    for folder in ('npz', 'h5'): (tmp_path/folder).mkdir()
    np.savez_compressed(tmp_path/'npz/a.npz', zeros)
    with h5py.File(tmp_path/'h5/f.h5', 'w') as f:
        f.create_dataset('a', data=zeros, compression='gzip')
    for folder in ('npz', 'h5'):
        with pytest.raises(CoplError,
                           match='unpacks to 167.* bytes from .*, expected at most 100 times'):
            load_videos(tmp_path/folder)
    np.savez(tmp_path/'npz/a.npz', zeros)
    assert load_videos(tmp_path/'npz').widths == {'features': 64}


def test_hdf5_links_to_other_files_are_refused(make, tmp_path, capsys):
    h5py = pytest.importorskip('h5py')
    path = make('hdf5')
    with h5py.File(path/'features.h5', 'a') as f:
        f['leak'] = h5py.ExternalLink('/etc/other.h5', '/x')
    refused(capsys, path, tmp_path, "video 'leak' is a ExternalLink to elsewhere")


def test_hdf5_without_the_library_says_how_to_get_it(make, monkeypatch):
    path = make('hdf5')
    monkeypatch.setitem(__import__('sys').modules, 'h5py', None)
    with pytest.raises(CoplError, match=r"pip install 'copl\[hdf5\]'"): load_videos(path)


@pytest.mark.parametrize('layout', [k for k in LAYOUTS if k != 'flat'])
@pytest.mark.filterwarnings('ignore')
def test_hidden_files_are_not_features(make, layout):
    path = make(layout)
    files = [p for p in path.rglob('*') if p.suffix in ('.npy', '.npz', '.h5', '.json')]
    assert files
    for file in files: file.with_name(f'._{file.name}').write_bytes(b'not an array')
    assert detect_layout(path) == layout
    assert sorted(load_videos(path, allow_pickle=True).names) == NAMES


@pytest.mark.parametrize('name', ['.hidden', '../../secret', '/etc/passwd', '..'])
def test_names_that_lead_out_of_the_data_are_refused(videos, make, tmp_path, capsys, name):
    path = make('cola')
    (path/'split_train.txt').write_text(f'calm\n{name}\n')
    refused(capsys, path, tmp_path, f'video name {name!r} is not usable')
    videos.names[0] = name
    for layout in WRITTEN:
        with pytest.raises(CoplError, match='is not usable as a file name'):
            convert_videos(videos, tmp_path/'out'/layout, layout)


def test_inspect_lists_all_problems_and_training_the_first(make, tmp_path, capsys):
    path = make('cola')
    for video in ('calm', 'dive'): (path/f'features/train/flow/{video}.npy').unlink()
    rewrite(path/'features/test/rgb/jump.npy', poison)
    rewrite(path/'features/test/flow/swim.npy', lambda x: x[:, :2])
    errors = refused(capsys, path, tmp_path, "video 'calm' has no flow features")['errors']
    assert ([sum(v in e for e in errors) for v in ("'calm'", "'dive'", "'jump'", "'swim'")] ==
            [1, 1, 1, 1] and len(errors) == 4)
    with pytest.raises(CoplError, match='the first of 2 problems'): load_videos(path)


def test_widths_that_differ_are_errors_of_the_odd_one_out(make, tmp_path, capsys):
    path = make('folder')
    rewrite(path/'flow/calm.npy', lambda x: x[:, :2])
    assert (f"{path/'flow/calm.npy'}: video 'calm', flow: 2 channels, expected 3" in
            inspect_videos(path).errors)
    (path/'grid.yaml').unlink()
    report = inspect_videos(path)
    assert [e.split(': ', 1)[1] for e in report.errors] == [
        "video 'calm', flow: 2 channels, expected 3 as in most videos"]
    assert copl(capsys, 'train', path, '--n-classes', 2, '--out', tmp_path/'run')[0] == 1


def test_durations_and_unpaired_videos(make, capsys):
    path = make('folder')
    truth = json.loads((path/'annotations.json').read_text())
    truth['database']['dive']['duration'] = 30
    truth['database']['away'] = {'subset': 'test',
                                 'annotations': [{'segment': [0, 1], 'label': 'Diving'}]}
    del truth['database']['calm']
    (path/'annotations.json').write_text(json.dumps(truth))
    report = inspect_videos(path)
    assert (len(report.errors) == 1 and
            "'dive': annotated as 30.0 s, expected 13.4 s from 21 snippets" in report.errors[0])
    assert [("'away'" in w, "'calm'" in w) for w in report.warnings] == [
        (True, False), (False, True)]
    assert report.videos == {'without subset': 1, 'train': 1, 'test': 2}
    assert copl(capsys, 'inspect', path)[0] == 1


def test_unknown_folders_and_layouts(tmp_path, capsys):
    (tmp_path/'holiday').mkdir()
    (tmp_path/'holiday/beach.jpg').touch()
    for path, message in ((tmp_path/'holiday', 'these are pictures, such as beach.jpg'),
                          (tmp_path/'none', 'found no folder')):
        status, out, _ = copl(capsys, 'inspect', path)
        assert status == 1 and message in out
    with pytest.raises(CoplError, match="layout is 'colour'"): find_videos(tmp_path, 'colour')
    assert copl(capsys, 'convert', 'sim:tiny', '--to', 'wtalc', '--out', tmp_path/'w')[0] == 1
    assert not (tmp_path/'w').exists()


def test_names_with_and_without_v(videos, make):
    path = make('joint')
    for name in NAMES: (path/f'{name}.npy').rename(path/f'v_{name}.npy')
    assert same(videos, load_videos(path))


@pytest.mark.parametrize('layout', ['folder', 'flat', 'joint', 'hdf5'])
def test_arrays_replaced_in_memory_are_hashed_anew(make, layout):
    path = make(layout)
    whole = load_videos(path)
    assert whole.sha256 == load_videos(path).sha256
    part = load_videos(path)[[1, 2]]
    part.streams['flow'][1] = np.asarray(part.streams['flow'][1]) + 1
    assert part.sha256 != load_videos(path)[[1, 2]].sha256
    fewer = load_videos(path)
    del fewer.streams['flow']
    assert fewer.sha256 == load_videos(path, streams='rgb').sha256 != whole.sha256


def test_another_cut_of_the_same_files_is_another_hash(make):
    path = make('joint')
    cuts = ['rgb:3,flow:3', 'flow:3,rgb:3', 'rgb:2,flow:4', 'all:6', {'rgb': 3, 'flow': 3}]
    hashes = [load_videos(path, streams=s).sha256 for s in cuts]
    assert len(set(hashes)) == 4 and hashes[0] == hashes[4]


def test_a_run_on_foreign_layouts(make, tmp_path, capsys):
    quick = ['--n-classes', 2, '--epoch-num', 1, '--iteration-num', 1, '--hidden', 8,
             '--snippets', 8, '--device', 'cpu']
    run = None
    for layout, switch in (('wtalc', ['--allow-pickle']), ('npz_pairs', [])):
        path = make(layout)
        run = tmp_path/f'run-{layout}'
        status, _, err = copl(capsys, 'train', path, *quick, '--out', run, *switch)
        assert status == 0, err
        assert copl(capsys, 'localize', run, path, *switch)[0] == 0
        assert copl(capsys, 'evaluate', run/'localized.json', path, '--subset', 'test',
                    *switch)[0] == 0
    assert ((tmp_path/'run-wtalc/detections.json').read_bytes() ==
            (run/'detections.json').read_bytes())


# Streams

SETS = {1: dict(features=5), 2: dict(rgb=4, flow=3), 3: dict(rgb=4, flow=3, pose=2)}


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('n', SETS)
def test_one_two_and_three_streams_there_and_back(tmp_path, layout, n):
    videos = made(**SETS[n])
    path = write(videos, layout, tmp_path/'data')
    assert detect_layout(path) == layout
    opened = load_videos(path, allow_pickle=True)
    assert same(videos, opened, layout != 'plain') and opened.widths == SETS[n]
    report = inspect_videos(path, allow_pickle=True)
    assert (report.channels == {s: [d] for s, d in SETS[n].items()} and
            not report.errors and not report.warnings)
    for stream, width in SETS[n].items(): assert f'{stream}, {width} channels' in str(report)


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('widths', [dict(clip=7), dict(z=2, a=3), dict(features=2048),
                                    dict(left_hand=2, right_hand=2)])
def test_names_order_and_widths_survive(tmp_path, layout, widths):
    videos = made(**widths)
    opened = load_videos(write(videos, layout, tmp_path/'data'), allow_pickle=True)
    assert same(videos, opened, layout != 'plain')


@pytest.mark.parametrize('layout', [k for k in LAYOUTS if k not in ONE_ARRAY])
def test_streams_of_other_widths_are_found_without_the_grid(tmp_path, layout):
    path = write(made(rgb=4, flow=3, pose=2), layout, tmp_path/'data')
    (path/'grid.yaml').unlink()
    assert load_videos(path).widths == dict(rgb=4, flow=3, pose=2)


@pytest.mark.parametrize('layout', ONE_ARRAY)
def test_nothing_is_cut_in_silence(make, layout, recwarn):
    path = make(layout)
    (path/'grid.yaml').unlink()
    def open_(streams=None): return load_videos(path, allow_pickle=True, streams=streams)
    assert open_().widths == {'features': 6} and not recwarn.list
    assert open_('rgb:3,flow:3').widths == {'rgb': 3, 'flow': 3}
    assert open_({'pose': 1, 'rest': 5}).widths == {'pose': 1, 'rest': 5}
    assert open_(['features']).widths == {'features': 6}
    with pytest.raises(CoplError,
                       match=r"video 'calm': shape \(20, 6\), expected \(snippets, 8\) "
                             r"for the streams rgb 4 \+ flow 4"):
        open_('rgb:4,flow:4')
    with pytest.raises(CoplError, match="found the streams features, expected 'feature'.* "
                                        "did you mean 'features'"):
        open_('feature')
    (path/'grid.yaml').write_text('streams: {rgb: 5, flow: 1}\n')
    assert (open_().widths == {'rgb': 5, 'flow': 1} and open_('all:6').widths == {'all': 6} and
            open_('flow').widths == {'flow': 1})


@pytest.mark.parametrize('layout', ONE_ARRAY)
def test_the_2048_channels_of_i3d_are_two_streams_and_it_is_said(tmp_path, layout):
    videos = made(features=2048)
    path = write(videos, layout, tmp_path/'data')
    (path/'grid.yaml').unlink()
    with pytest.warns(UserWarning, match="2048 channels are taken for I3D's rgb and flow"):
        opened = load_videos(path, allow_pickle=True)
    assert opened.widths == {'rgb': 1024, 'flow': 1024}
    np.testing.assert_array_equal(opened[2][1], videos[2][0][:, 1024:])
    report = inspect_videos(path, allow_pickle=True)
    assert (len(report.warnings) == 1 and 'taken for I3D' in report.warnings[0] and
            report.channels == {'rgb': [1024], 'flow': [1024]})
    with warnings.catch_warnings(action='error'):
        assert load_videos(path, allow_pickle=True, streams='features:2048').widths == {
            'features': 2048}


@pytest.mark.parametrize('layout', LAYOUTS)
def test_streams_are_chosen_in_the_order_asked_for(tmp_path, layout):
    path = write(made(rgb=4, flow=3, pose=2), layout, tmp_path/'data')
    def open_(streams): return load_videos(path, allow_pickle=True, streams=streams)
    assert list(open_('pose,rgb').widths.items()) == [('pose', 2), ('rgb', 4)]
    np.testing.assert_array_equal(open_(('pose', 'rgb'))[1][0], open_(None)[1][2])
    with pytest.raises(CoplError, match="found the streams rgb, flow, pose, expected 'poes' "
                                        "as streams says.* did you mean 'pose'"):
        open_('poes')
    wrong = ("video 'calm': shape .20, 9., expected .snippets, 7." if layout in ONE_ARRAY else
             "video 'calm', rgb: 4 channels, expected 5|shape .20, 4.")
    with pytest.raises(CoplError, match=wrong): open_('rgb:5,pose:2')
    assert inspect_videos(path, streams='pose', allow_pickle=True).channels == {'pose': [2]}


@pytest.mark.parametrize('layout', ['folder', 'cola', 'npz_pairs', 'suffix'])
def test_a_stream_that_one_video_lacks_does_not_matter_where_it_is_not_asked_for(make, layout):
    path = make(layout)
    (path/ONE[layout][1]).unlink()
    with pytest.raises(CoplError,
                       match="video 'dive' has no flow features, expected .*dive.*np[yz]"):
        load_videos(path)
    assert load_videos(path, streams='rgb').widths == {'rgb': 3}


@pytest.mark.parametrize('layout', ['joint', 'plain', 'hdf5'])
def test_one_array_has_one_number_format(tmp_path, layout):
    rng = np.random.default_rng(0)
    videos = VideoSet(['a'], {'rgb': [rng.random((3, 2))],
                              'flow': [rng.random((3, 2)).astype('f4')]})
    with pytest.raises(CoplError, match="video 'a': rgb is float64, flow is float32, "
                                        "expected one number format"):
        convert_videos(videos, tmp_path/'out', layout)
    assert not (tmp_path/'out').exists()


def test_three_streams_of_different_length(tmp_path):
    path = write(made(rgb=4, flow=3, pose=2), 'folder', tmp_path/'data')
    rewrite(path/'flow/dive.npy', lambda x: x[:-1])
    rewrite(path/'pose/dive.npy', lambda x: np.repeat(x, 2, 0))
    with pytest.raises(CoplError, match="'dive': rgb has 21 snippets, flow has 20 snippets, "
                                        "pose has 42 snippets"):
        load_videos(path)
    assert [x.shape for x in load_videos(path, lengths='trim')[1]] == [(20, 4), (20, 3), (20, 2)]
    assert [x.shape for x in load_videos(path, lengths='interpolate')[1]] == [
        (21, 4), (21, 3), (21, 2)]
    assert [len(x) for x in load_videos(path, lengths='interpolate', streams='pose,flow')[1]] == [
        42, 42]


@pytest.mark.parametrize('text, found', [
    ('rgb:many', "stream 'rgb' has the width 'many'"),
    ('rgb:0', 'width 0, expected a whole number of channels from 1'), ('rgb:-3', "width '-3'"),
    ('rgb,,flow', "found the stream ''"),
    ('rgb:3,flow', 'expected a width for all or for none'),
    ('rgb,rgb', 'expected each name once'),
    ('../x', "found the stream '../x', expected a name of letters"),
    ('é'*60, 'at most 100 bytes long'),
    ({'rgb': True}, 'width True'), ({'rgb': 1.5}, 'width 1.5'), ([], r'found \[\]'),
    ([3], 'found the stream 3'), (7, 'found 7, expected streams such as')])
def test_what_are_no_streams(text, found):
    with pytest.raises(CoplError, match=found): parse_streams(text)


@pytest.mark.parametrize('streams', ['[rgb, flow]', '3', '{rgb: x}', '{rgb: -1}', '{rgb: null}',
                                     '{3: 3}', '{}'])
def test_streams_in_the_grid_that_are_none(make, tmp_path, capsys, streams):
    path = make('joint')
    (path/'grid.yaml').write_text(f'streams: {streams}\n')
    assert refused(capsys, path, tmp_path, str(path/'grid.yaml'))['channels'] == {'features': [6]}


def test_the_grid_names_a_stream_that_is_not_there(make, tmp_path, capsys):
    path = make('folder')
    for f in (path/'flow').iterdir(): f.unlink()
    refused(capsys, path, tmp_path, "found the streams rgb, expected 'flow' as grid.yaml says")
    with pytest.warns(UserWarning, match='grid.yaml does not name the streams pose'):
        (path/'pose').mkdir()
        for name in NAMES: np.save(path/f'pose/{name}.npy', np.ones((20 + NAMES.index(name), 2)))
        save_rest(path, TimeGrid(), {'rgb': 3}, None)
        assert load_videos(path).widths == {'rgb': 3}


def test_sub_folders_without_a_video_in_common_are_no_streams(tmp_path):
    for name, part in (('a', 'train'), ('b', 'test')):
        (tmp_path/part).mkdir()
        np.save(tmp_path/part/f'{name}.npy', np.ones((3, 2)))
    with pytest.raises(CoplError,
                       match="video 'a' has no test features, .*the first of 2 problems"):
        load_videos(tmp_path)


def test_files_of_the_video_features_tool(tmp_path, recwarn):
    for name in ('high_jump', 'dive'):
        for stream, d in (('rgb', 4), ('flow', 3)):
            np.save(tmp_path/f'{name}_{stream}.npy', np.ones((5, d), 'f4'))
    videos = load_videos(tmp_path)
    assert (detect_layout(tmp_path) == 'suffix' and videos.names == ['dive', 'high_jump'] and
            videos.widths == {'rgb': 4, 'flow': 3})
    assert not recwarn.list
    np.save(tmp_path/'dive_fps.npy', np.array(50.))
    np.save(tmp_path/'dive_timestamps_ms.npy', 160*np.arange(5.))
    again = load_videos(tmp_path)
    assert again.names == videos.names and again.grid == TimeGrid(8, 16, 50.)


def test_clip_features_of_the_video_features_tool(tmp_path):
    for name in ('high_jump', 'dive'):
        np.save(tmp_path/f'{name}_clip.npy', np.ones((5, 4), 'f4'))
        np.save(tmp_path/f'{name}_timestamps_ms.npy', 640*np.arange(5.))
    videos = load_videos(tmp_path)
    assert videos.names == ['dive', 'high_jump'] and videos.widths == {'clip': 4}


@pytest.mark.parametrize('name', [
    '{n}_{k}', '{n}-{k}', '{n}.{k}', '{n}_{K}', '{n}_{C}', '{k}_{n}', '{K}-{n}', '{k}.{n}',
    '{k}/{n}_{k}', '{k}/{n}-{K}'])
@pytest.mark.parametrize('suffix', ['npy', 'npz'])
def test_two_files_of_a_video_are_two_streams_whatever_their_order(tmp_path, name, suffix):
    if '/' in name and suffix == 'npz': pytest.skip('a folder for each stream holds npy files')
    rng = np.random.default_rng(0)
    arrays = {(n, k): rng.random((9, 3 + (k == 'flow'))).astype('f4')
              for n in ('high_jump', 'swim-1', 'flow.x') for k in ('rgb', 'flow')}
    for (n, k), x in arrays.items():
        path = tmp_path/f'{name.format(n=n, k=k, K=k.upper(), C=k.capitalize())}.{suffix}'
        path.parent.mkdir(exist_ok=True)
        if suffix == 'npz': np.savez(path, feats=x)
        else: np.save(path, x)
    videos = load_videos(tmp_path)
    assert sorted(videos.names) == ['flow.x', 'high_jump', 'swim-1']
    assert videos.widths == {'rgb': 3, 'flow': 4}
    for i, n in enumerate(videos.names):
        for k in ('rgb', 'flow'): np.testing.assert_array_equal(videos.streams[k][i], arrays[n, k])
    gone = next(tmp_path.rglob(f'*.{suffix}'))
    gone.unlink()
    with pytest.raises(CoplError, match=r'video .* has no (rgb|flow) features, expected '):
        load_videos(tmp_path)


def test_the_same_stream_twice_is_no_video(tmp_path):
    for stem in ('a_rgb', 'a_flow', 'a_RGB', 'b_rgb', 'b_flow'):
        np.save(tmp_path/f'{stem}.npy', np.ones((3, 2), 'f4'))
    with pytest.raises(CoplError, match="video 'a' occurs more than once"): load_videos(tmp_path)


def test_a_folder_for_each_video_is_told(tmp_path):
    for n in ('a', 'b'):
        (tmp_path/n).mkdir()
        for k in ('rgb', 'flow'): np.save(tmp_path/n/f'{k}.npy', np.ones((3, 2), 'f4'))
    with pytest.raises(CoplError, match='found a sub-folder for each video, such as a/flow, '
                                        "expected one for each stream, or layout='{video}/{str"):
        load_videos(tmp_path)
    assert load_videos(tmp_path, layout='{video}/{stream}.npy').widths == {'rgb': 2, 'flow': 2}


@pytest.mark.parametrize('layout', ['plain', 'folder', 'suffix'])
def test_what_an_extractor_says_beside_is_no_video(tmp_path, layout):
    place, stem = {'plain': ('', '{}'), 'folder': ('rgb/', '{}'), 'suffix': ('', '{}_rgb')}[layout]
    (tmp_path/'rgb').mkdir()
    for n in ('a', 'b'):
        np.save(tmp_path/f'{place}{stem.format(n)}.npy', np.ones((3, 2), 'f4'))
        np.save(tmp_path/f'{place}{n}_fps.npy', np.array(25.))
        np.save(tmp_path/f'{place}{n}_timestamps_ms.npy', 640*np.arange(3.))
    videos = load_videos(tmp_path)
    assert videos.names == ['a', 'b'] and videos.lengths.tolist() == [3, 3]


@pytest.mark.parametrize('form', ['single', 'streams', 'swapped', 'mixed'])
def test_groups_of_an_hdf5_file(tmp_path, form):
    h5py = pytest.importorskip('h5py')
    x = {'rgb': np.arange(12, dtype='f4').reshape(4, 3), 'flow': np.ones((4, 2), 'f4')}
    with h5py.File(tmp_path/'a.h5', 'w') as f:
        for i, n in enumerate(('v_a', 'v_b')):
            if form == 'single' or form == 'mixed' and i: f[f'{n}/c3d_features'] = x['rgb'] + i
            elif form == 'mixed': f[n] = x['rgb']
            else:
                for k, a in x.items(): f[f'{n}/{k}' if form == 'streams' else f'{k}/{n}'] = a + i
        f['v_b2'] = h5py.SoftLink('/v_b')
    with pytest.raises(CoplError, match="video 'v_b2' is a SoftLink to elsewhere"):
        load_videos(tmp_path/'a.h5')
    with h5py.File(tmp_path/'a.h5', 'a') as f: del f['v_b2']
    videos = load_videos(tmp_path/'a.h5')
    assert videos.names == ['v_a', 'v_b']
    two = form in ('streams', 'swapped')
    assert videos.widths == ({'rgb': 3, 'flow': 2} if two else {'features': 3})
    np.testing.assert_array_equal(videos.streams['rgb' if two else 'features'][1], x['rgb'] + 1)
    if not two: return
    gone = 'v_b/flow' if form == 'streams' else 'flow/v_b'
    with h5py.File(tmp_path/'a.h5', 'a') as f: del f[gone]
    with pytest.raises(CoplError, match="video 'v_b' has no flow features, expected a dataset"):
        load_videos(tmp_path/'a.h5')
    assert load_videos(tmp_path/'a.h5', streams='rgb').widths == {'rgb': 3}


def test_a_video_may_be_called_lava_flow(tmp_path):
    for name in ('lava_flow', 'calm'): np.save(tmp_path/f'{name}.npy', np.ones((5, 4), 'f4'))
    assert load_videos(tmp_path).names == ['calm', 'lava_flow']


def one_stream(tmp_path):
    "One stream in the forms that people have: (folder, names of the streams or an error)."
    rng = np.random.default_rng(0)
    arrays = {n: rng.random((20, 8)).astype('f4') for n in NAMES}
    def save(folder, change=lambda x: x):
        (tmp_path/folder).mkdir(parents=True, exist_ok=True)
        for n, x in arrays.items(): np.save(tmp_path/folder/f'{n}.npy', change(x))
    for folder in ('only_rgb/rgb', 'only_flow/flow', 'empty_flow/rgb', 'width0/rgb', 'even',
                   'twice/rgb', 'twice/flow', 'some/rgb', 'some/flow'):
        save(folder)
    (tmp_path/'empty_flow/flow').mkdir()
    save('width0/flow', lambda x: x[:, :0])
    save('odd', lambda x: x[:, :7])
    save('clip', lambda x: x[:, :1])
    (tmp_path/'some/flow/dive.npy').unlink()
    (tmp_path/'npz').mkdir()
    for n, x in arrays.items(): np.savez(tmp_path/f'npz/{n}.npz', feats=x)
    return dict(only_rgb={'rgb': 8}, only_flow={'flow': 8}, empty_flow={'rgb': 8},
                width0={'rgb': 8}, even={'features': 8}, odd={'features': 7},
                clip={'features': 1}, npz={'features': 8}, twice={'rgb': 8, 'flow': 8},
                some="video 'dive' has no flow features")


def test_one_stream_in_all_its_forms(tmp_path):
    for folder, expected in one_stream(tmp_path).items():
        if isinstance(expected, str):
            with pytest.raises(CoplError, match=expected): load_videos(tmp_path/folder)
        else:
            with warnings.catch_warnings(record=True) as caught:
                assert load_videos(tmp_path/folder).widths == expected
            assert [('no channel' in str(w.message)) for w in caught] == (
                [True] if folder == 'width0' else [])
            report = inspect_videos(tmp_path/folder)
            assert report.channels == {s: [d] for s, d in expected.items()} and not report.errors


def test_more_files_than_may_be_open(tmp_path):
    rng = np.random.default_rng(0)
    for stream in ('rgb', 'flow'):
        (tmp_path/stream).mkdir()
        for i in range(150): np.save(tmp_path/stream/f'{i}.npy', rng.random((3, 2)).astype('f4'))
    code = ('import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)); '
            'from copl.data import load_videos; '
            f'v = load_videos({str(tmp_path)!r}); print(len(v), len(v.sha256), v[149][1].shape)')
    said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert said.stdout.split() == ['150', '64', '(3,', '2)'], said.stderr


def test_arrays_on_their_side(tmp_path):
    for i in range(4): np.save(tmp_path/f'{i}.npy', np.ones((16, 30 + i), 'f4'))
    found = (r"video '0', features: shape \(16, 30\), and 16 is the first number in all 4 videos: "
             r"found \(channels, snippets\), expected \(snippets, channels\)")
    with pytest.raises(CoplError, match=found): load_videos(tmp_path)
    assert (len(inspect_videos(tmp_path).errors) == 1 and
            '(channels, snippets)' in inspect_videos(tmp_path).errors[0])


def test_videos_that_a_suffix_could_confuse(tmp_path):
    x = [np.ones((3, 2))]
    videos = VideoSet(['a_left'], {'hand': x, 'left_hand': x})
    with pytest.raises(CoplError, match="video 'a_left', hand: the file a_left_hand.npy "
                                        "could be another stream"):
        convert_videos(videos, tmp_path/'s', 'suffix')
    same(videos, load_videos(convert_videos(videos, tmp_path/'n', 'npz_pairs')), False)


@pytest.mark.parametrize('pattern', [
    '{video}/{stream}.npy', '{stream}/{part}/{video}.npy', 'feat-{video}.npy',
    'i3d/{stream}-{video}-16.npz', '{video}_{stream}'])
def test_a_pattern_of_ones_own_there_and_back(videos, tmp_path, capsys, pattern):
    path = convert_videos(videos, tmp_path/'a', pattern)
    file = pattern.format(video='dive', stream='flow', part='train')
    assert (path/(file if '.' in file else f'{file}.npy')).exists()
    assert same(videos, load_videos(path, layout=pattern))
    status, out, _ = copl(capsys, 'inspect', path, '--layout', pattern)
    assert status == 0 and f'layout       {pattern}' in out and '0 errors, 0 warnings' in out
    status, out, _ = copl(capsys, 'convert', path, '--layout', pattern, '--to', '{stream}_{video}',
                          '--out', tmp_path/'b')
    assert status == 0 and same(videos, load_videos(tmp_path/'b'))


@pytest.mark.parametrize('pattern', ['{clip}.npy', '{stream}.npy', 'rgb.npy', '../{video}.npy',
                                     '/etc/{video}.npy', '{video}/../{stream}.npy', '{}'])
def test_what_is_no_pattern(videos, tmp_path, pattern):
    np.save(tmp_path/'a.npy', np.ones((3, 2)))
    for call in (lambda: load_videos(tmp_path, layout=pattern),
                 lambda: convert_videos(videos, tmp_path/'out', pattern)):
        with pytest.raises(CoplError, match='layout is .*expected one'): call()
    assert [p.name for p in tmp_path.iterdir()] == ['a.npy']


def test_a_pattern_finds_any_ending_and_says_what_is_missing(tmp_path):
    for name in ('a', 'b'):
        (tmp_path/name).mkdir()
        np.savez(tmp_path/name/'rgb.npz', np.ones((3, 2)))
    np.save(tmp_path/'a/flow.npy', np.ones((3, 4)))
    with pytest.raises(CoplError, match="video 'b' has no flow features, expected .*b/flow.n"):
        load_videos(tmp_path, layout='{video}/{stream}.npy')
    assert load_videos(tmp_path, layout='{video}/{stream}.npy', streams='rgb').names == ['a', 'b']
    with pytest.raises(CoplError, match='found no features, expected .*<video>_rgb.npy'):
        load_videos(tmp_path, layout='suffix')


# Annotations

def test_official_text_files(tmp_path):
    (tmp_path/'Diving_val.txt').write_text(
        'video_validation_0000001  1.0 2.5\nvideo_validation_0000001 4 5\n')
    (tmp_path/'CliffDiving_test.txt').write_text('video_test_0000002  1.0 2.5\n\n')
    (tmp_path/'Ambiguous_val.txt').write_text('video_validation_0000001  7 8\n')
    with pytest.warns(UserWarning, match='1 stretches called Ambiguous'):
        truth = load_annotations(tmp_path)
    assert list(truth.segments.itertuples(False, None)) == [
        ('video_test_0000002', 1., 2.5, 'CliffDiving'),
        ('video_validation_0000001', 1., 2.5, 'Diving'),
        ('video_validation_0000001', 4., 5., 'Diving')]
    assert dict(zip(truth.videos.video, truth.videos.subset, strict=True)) == {
        'video_test_0000002': 'test', 'video_validation_0000001': 'validation'}
    (tmp_path/'Diving_val.txt').write_text('video_validation_0000001  1.0\n')
    with pytest.raises(CoplError, match='Diving_val.txt, line 1: found'):
        load_annotations(tmp_path)


@pytest.mark.parametrize('name', ['gt_test210.json', 'gt_test212.json', 'wtalc'])
def test_real_thumos14(real_data, name):
    truth = load_annotations(real_data(f'thumos14/{name}'), allow_pickle=True)
    card = annotation_card(truth)
    test = 210 if name == 'gt_test210.json' else 212
    assert (sorted(card.videos) == [200, test] and
            sorted(card.segments) == [3007, {210: 3311, 212: 3358}[test]] and
            len(truth.classes) == 20)


def test_the_real_arrays_of_wtalc_say_what_the_json_says(real_data):
    def rows(a): return set(a.segments.itertuples(False, None))
    arrays, text = (load_annotations(real_data(f'thumos14/{n}'), allow_pickle=True)
                    for n in ('wtalc', 'gt_test212.json'))
    assert rows(arrays) == rows(text) and len(rows(text)) == 6365
    with pytest.raises(CoplError, match='allow_pickle'):
        load_annotations(real_data('thumos14/wtalc'))


@pytest.mark.parametrize('name, counts', [
    ('activity_net.v1-2.min',
     {'training': (4819, 7151), 'validation': (2383, 3582), 'testing': (2480, 0)}),
    ('activity_net.v1-2.min-missing-removed',
     {'training': (4441, 6588), 'validation': (2198, 3281), 'testing': (2268, 0)})])
def test_real_activitynet(real_data, name, counts):
    truth = load_annotations(real_data(f'anet12/{name}.json'))
    card = annotation_card(truth)
    assert ({s: (r.videos, r.segments) for s, r in card.iterrows()} == counts and
            len(truth.classes) == 100)


def test_inspect_with_the_real_annotations(real_data, tmp_path, capsys):
    names = ['video_validation_0000051', 'video_test_0000004']
    truth = load_annotations(real_data('thumos14/wtalc'), allow_pickle=True)
    seconds = truth.videos.set_index('video').duration
    rng = np.random.default_rng(0)
    arrays = [rng.random((int(seconds[n]*25/16), 4), 'float32') for n in names]
    path = convert_videos(VideoSet(names, {'rgb': arrays, 'flow': arrays}), tmp_path/'plain',
                          'plain')
    status, _, _ = copl(capsys, 'inspect', path, '--annotations', real_data('thumos14/wtalc'),
                        '--allow-pickle', '--json', tmp_path/'report.json')
    report = json.loads((tmp_path/'report.json').read_text())
    assert (status, report['errors'], report['videos'], len(report['warnings'])) == (
        0, [], {'test': 1, 'validation': 1}, 411)
    (path/'grid.yaml').write_text('fps: 10\n')
    assert len(inspect_videos(path, real_data('thumos14/wtalc'), allow_pickle=True).errors) == 2
