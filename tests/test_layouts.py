"Every layout that copl opens: small sets, broken copies, round trips, real annotation files."
import json
import pickle
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest

from copl import CoplError, VideoSet, load_annotations, load_videos
from copl.arrays import LazyArray, parse_streams
from copl.data import convert_videos, inspect_videos
from copl.layouts import LAYOUTS, detect_layout, find_videos, save_rest
from copl.videos import TimeGrid

from .small_runs import NAMES, command, four_videos, write_truth

ONE_ARRAY = ('wtalc', 'joint', 'hdf5', 'plain')
X = np.random.default_rng(0).random((5, 4)).astype('f4')


VIDEOS = four_videos(rgb=3, flow=3)


def write_wtalc(videos, folder):
    "As W-TALC keeps it: pickled arrays of objects, which copl itself never writes."
    segments = videos.annotations.segments
    of = [segments[segments.video == name] for name in videos.names]
    write_truth(folder/'Annotations', videos.names,
                subset=[s.encode() for s in videos.annotations.videos.subset],
                duration=videos.annotations.videos.duration.to_numpy()[:, None],
                segments=[s[['start', 'end']].to_numpy().tolist() for s in of],
                labels=[s.label.tolist() for s in of])
    arrays = (np.concatenate(v, 1) for v in videos)
    np.save(folder/'JOINTFeatures.npy', np.fromiter(arrays, object, len(videos)))
    save_rest(folder, videos.grid, videos.widths, None)
    return folder


def write(videos, layout, folder):
    "Any set in any layout."
    return (write_wtalc(videos, folder) if layout == 'wtalc' else
            convert_videos(videos, folder, layout))


@pytest.fixture
def make(tmp_path):
    "A function that makes a small set in any layout and says where it is."
    return lambda layout: write(VIDEOS, layout, tmp_path/layout)


def save(folder, **arrays):
    "Arrays of these names, with / for __, as npy files."
    for name, x in arrays.items():
        path = folder/f'{name.replace("__", "/")}.npy'
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.asarray(x))


def same(a, b, annotations=True):
    "Whether two sets hold the same arrays in the same number format, and the same segments."
    assert sorted(a.names) == sorted(b.names) and list(a.streams) == list(b.streams)
    for stream in a.streams:
        for name, x in zip(a.names, a.streams[stream], strict=True):
            y = b.streams[stream][b.names.index(name)]
            assert x.dtype == y.dtype
            np.testing.assert_array_equal(np.asarray(x), np.asarray(y))
    if annotations:
        for table, keys in (('segments', ['video', 'start', 'label']), ('videos', ['video'])):
            one, two = (getattr(v.annotations, table).sort_values(keys, ignore_index=True)
                        for v in (a, b))
            pd.testing.assert_frame_equal(one, two, check_dtype=False)
    return True


def refused(path, message):
    "The report, after inspection lists a problem and opening (and reading) stops at it."
    report = inspect_videos(path, allow_pickle=True)
    assert any(message in e for e in report.errors), report.errors
    with pytest.raises(CoplError) as e: load_videos(path, allow_pickle=True).check()
    assert message in str(e.value)
    return report


# Whole ones

@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('widths', [
    dict(rgb=3, flow=3), dict(rgb=4, flow=3, pose=2), dict(left_hand=2, right_hand=2)], ids=str)
def test_each_layout_is_recognised_and_holds_the_same(tmp_path, layout, widths):
    videos = four_videos(**widths)
    path = write(videos, layout, tmp_path/'data')
    assert detect_layout(path) == layout
    opened = load_videos(path, allow_pickle=layout == 'wtalc')
    assert same(videos, opened, layout != 'plain') and opened.widths == widths
    report = inspect_videos(path, allow_pickle=True)
    assert report.channels == {s: [d] for s, d in widths.items()}
    assert not report.errors and not report.warnings and report.sha256 == opened.sha256


def test_convert_and_inspect_as_commands(make, tmp_path):
    assert command('convert', make('wtalc'), '--to', 'flat', '--out', tmp_path/'a',
                   '--allow-pickle')[0] == 0
    assert same(VIDEOS, load_videos(tmp_path/'a'))
    assert command('convert', tmp_path/'a', '--to', 'joint', '--out', tmp_path/'b',
                   '--subset', 'test')[0] == 0
    assert load_videos(tmp_path/'b').names == ['jump', 'swim']
    status, out, _ = command('inspect', tmp_path/'a', '--json', tmp_path/'report.json')
    report = json.loads((tmp_path/'report.json').read_text())
    assert (status, report['layout'], report['errors'], report['warnings']) == (0, 'flat', [], [])
    assert report['videos'] == {'train': 2, 'test': 2} and report['snippets'] == 86
    assert report['dtypes'] == {'rgb': ['float32'], 'flow': ['float32']}
    assert report['grid'] == {'stride': 16, 'window': 16, 'fps': 25}
    assert (report['annotated'], report['segments']) == (.75, 4)
    assert report['classes'] == ['Diving', 'HighJump']
    assert '0 errors, 0 warnings' in out and 'flat' in out and 'rgb, 3 channels' in out
    assert command('convert', 'sim:tiny', '--to', 'wtalc', '--out', tmp_path/'w')[0] == 1
    assert not (tmp_path/'w').exists()


def test_the_layout_of_cola_holds_what_its_loader_reads(make):
    out = make('cola')
    truth = json.loads((out/'gt.json').read_text())['database']
    for name, part in zip(NAMES, ['train', 'train', 'test', 'test'], strict=True):
        assert name in (out/f'split_{part}.txt').read_text().split()
        for stream, arrays in VIDEOS.streams.items():
            x = np.load(out/'features'/part/stream/f'{name}.npy')
            np.testing.assert_array_equal(x, arrays[NAMES.index(name)])
        assert truth[name]['subset'] == part
        expected = VIDEOS.annotations.segments.query('video == @name')
        items = [(*map(float, a['segment']), a['label']) for a in truth[name]['annotations']]
        assert items == list(expected[['start', 'end', 'label']].itertuples(False, None))
    assert len(list(out.rglob('*.npy'))) == 8


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


def test_more_files_than_may_be_open(tmp_path):
    for i in range(60): save(tmp_path, **{f'rgb__{i}': X, f'flow__{i}': X})
    code = ('import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80)); '
            'from copl.data import load_videos; '
            f'v = load_videos({str(tmp_path)!r}); print(len(v), len(v.sha256), v[59][1].shape)')
    said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert said.stdout.split() == ['60', '64', '(5,', '4)'], said.stderr


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


@pytest.mark.parametrize('layout', LAYOUTS)
def test_broken_arrays_are_found_in_each_layout(make, layout):
    path = make(layout)
    file = path/ONE[layout][0]
    whole = file.read_bytes()
    rewrite(file, poison)
    video = 'calm' if layout == 'flat' else 'dive'
    refused(path, f"video '{video}', rgb, snippet 5, channel 1: found nan")
    file.write_bytes(whole)
    rewrite(file, lambda x: np.ones(x.shape, int))
    refused(path, 'type int')
    file.write_bytes(whole[:-40])
    refused(path, str(file))


def test_inspection_and_training_stop_with_status_1_and_train_nothing(make, tmp_path):
    path = make('cola')
    for video in ('calm', 'dive'): (path/f'features/train/flow/{video}.npy').unlink()
    rewrite(path/'features/test/rgb/jump.npy', poison)
    rewrite(path/'features/test/flow/swim.npy', lambda x: x[:, :2])
    errors = refused(path, "video 'calm' has no flow features").errors
    assert [sum(v in e for e in errors) for v in NAMES] == [1]*4 and len(errors) == 4
    status, out, _ = command('inspect', path)
    assert status == 1 and '4 errors' in out
    status, _, err = command('train', path, '--n-classes', 2, '--out', tmp_path/'run')
    assert status == 1 and err.splitlines()[-1].startswith('copl: error: ')
    assert 'the first of 2 problems' in err and not (tmp_path/'run').exists()


@pytest.mark.parametrize('layout', ['folder', 'cola', 'npz_pairs', 'suffix', 'flat'])
def test_a_missing_stream_is_named_unless_others_are_asked_for(make, layout):
    path = make(layout)
    (path/ONE[layout][1]).unlink()
    refused(path, str(path/ONE[layout][1]))
    assert load_videos(path, streams='rgb').widths == {'rgb': 3}


def narrow(x): return x[:, :2]


def bomb(path):
    with h5py.File(path, 'a') as f:
        f.create_dataset('bomb', data=np.zeros((2**16, 64), 'f4'), compression='gzip')


def leak(path):
    with h5py.File(path, 'a') as f: f['leak'] = h5py.ExternalLink('/etc/o.h5', '/x')


def empty(path):
    for file in path.iterdir(): file.unlink()


NO_GRIDS = [*(f'streams: {s}' for s in ('[rgb]', '3', '{rgb: x}', '{rgb: null}', '{3: 3}', '{}')),
            'stride: 0', 'fps: fast', 'window: 1.5', 'strides: 3', '- 3', 'fps: {']


@pytest.mark.parametrize('layout, file, change, message', [
    *((layout, ONE[layout][0], lambda p: rewrite(p, narrow),
       f"{ONE[layout][0]}: video 'dive': shape (21, 2), expected (snippets, 6) for rgb 3 + flow 3")
      for layout in ONE_ARRAY),
    ('folder', 'flow/dive.npy', lambda p: rewrite(p, narrow),
     "flow/dive.npy: video 'dive': shape (21, 2), expected (snippets, 3) for flow"),
    ('folder', 'flow', empty, "found the streams rgb, expected 'flow' as grid.yaml says"),
    ('npz_pairs', 'v_dive-rgb.npz', lambda p: np.savez(p, x=X, y=X), "keys ['x', 'y']"),
    ('npz_pairs', 'v_dive-rgb.npz', lambda p: np.savez(p, np.ones((2, 9, 3))), 'shape (2, 9, 3)'),
    ('npz_pairs', 'v_dive-rgb.npz', lambda p: p.write_bytes(b'x'), 'not readable as an npz'),
    ('npz_pairs', 'v_dive-rgb.npz', lambda p: np.savez_compressed(p, np.zeros((2**16, 64), 'f4')),
     'unpacks to 16777216 bytes'),
    ('hdf5', 'features.h5', bomb, "video 'bomb' unpacks to 16777216 bytes from"),
    ('hdf5', 'features.h5', leak, 'features.h5: not readable as HDF5'),
    *(('joint', 'grid.yaml', lambda p, t=text: p.write_text(t), 'grid.yaml') for text in NO_GRIDS)])
def test_what_is_wrong_is_named_with_its_file(make, layout, file, change, message):
    path = make(layout)
    change(path/file)
    refused(path, message)


def test_hdf5_needs_its_library(make, monkeypatch):
    path = make('hdf5')
    monkeypatch.setitem(sys.modules, 'h5py', None)
    refused(path, 'pip install "copl[hdf5]"')


def test_streams_of_different_length_follow_the_named_policy(make):
    path = make('npz_pairs')
    rewrite(path/ONE['npz_pairs'][1], lambda x: x[:-1])
    refused(path, "'dive': rgb has 21 snippets, flow has 20 snippets")
    trimmed = load_videos(path, lengths='trim')
    stretched = load_videos(path, lengths='interpolate')
    np.testing.assert_array_equal(trimmed[1][0], VIDEOS[1][0][:20])
    np.testing.assert_array_equal(trimmed[1][1], VIDEOS[1][1][:20])
    np.testing.assert_array_equal(stretched[1][0], VIDEOS[1][0])
    at = (np.arange(21) + .5)*20/21 - .5
    expected = np.stack([np.interp(at, np.arange(20), c) for c in VIDEOS[1][1][:20].T], 1)
    np.testing.assert_allclose(stretched[1][1], expected, rtol=1e-5)
    swapped = load_videos(path, lengths='interpolate', streams='flow,rgb')
    assert [len(x) for x in swapped[1]] == [20, 20]
    with pytest.raises(CoplError, match='expected error, trim or interpolate'):
        load_videos(path, lengths='cut')


class Trap:
    "Unpickling this leaves a file behind."
    def __init__(self, path): self.path = str(path)
    def __reduce__(self): return (open, (self.path, 'w'))


@pytest.mark.parametrize('layout', ['folder', 'flat', 'plain', 'npz_pairs', 'wtalc'])
@pytest.mark.parametrize('disguise', ['array of objects', 'bare pickle'])
def test_no_pickle_is_loaded_unless_allowed(make, tmp_path, layout, disguise):
    path = make(layout)
    trap = tmp_path/'sprung'
    file = path/ONE[layout][0]
    if disguise == 'bare pickle': file.write_bytes(pickle.dumps(Trap(trap)))
    elif file.suffix == '.npz': np.savez(file, feature=np.array([Trap(trap)]))
    else: np.save(file, np.array([Trap(trap)]), allow_pickle=True)
    assert any(str(file) in e for e in inspect_videos(path).errors)
    with pytest.raises(CoplError) as e: load_videos(path)
    assert str(file) in str(e.value)
    if layout == 'wtalc':
        assert 'allow_pickle=True (--allow-pickle)' in str(e.value)
        with pytest.raises(CoplError, match=r'labels.npy|segments.npy'):
            load_annotations(path/'Annotations')
    else: inspect_videos(path, allow_pickle=True)
    assert not trap.exists()


@pytest.mark.parametrize('layout', [k for k in LAYOUTS if k != 'flat'])
@pytest.mark.filterwarnings('ignore')
def test_hidden_files_are_not_features(make, layout):
    path = make(layout)
    for file in [p for p in path.rglob('*') if p.suffix in ('.npy', '.npz', '.h5', '.json')]:
        file.with_name(f'._{file.name}').write_bytes(b'not an array')
    assert detect_layout(path) == layout
    assert sorted(load_videos(path, allow_pickle=True).names) == NAMES


@pytest.mark.parametrize('name', ['.hidden', '../../secret', 'a/b', '..', '\ud800', 'é'*101])
def test_names_that_lead_out_of_the_data_are_refused(make, tmp_path, name):
    path = make('cola')
    (path/'split_train.txt').write_text(f'calm\n{name}\n', errors='surrogatepass')
    if name.isprintable(): refused(path, 'is not usable as a file name')
    videos = four_videos(rgb=3)
    videos.names[0] = name
    for layout in ('folder', 'flat', 'hdf5'):
        with pytest.raises(CoplError, match='is not usable as a file name'):
            convert_videos(videos, tmp_path/'out'/layout, layout)


def test_durations_and_unpaired_videos(make):
    path = make('folder')
    truth = json.loads((path/'annotations.json').read_text())
    truth['database']['dive']['duration'] = 30
    truth['database']['away'] = {'subset': 'test',
                                 'annotations': [{'segment': [0, 1], 'label': 'Diving'}]}
    del truth['database']['calm']
    (path/'annotations.json').write_text(json.dumps(truth))
    report = inspect_videos(path)
    error, = report.errors
    assert "'dive': annotated as 30.0 s, expected 13.4 s from 21 snippets" in error
    assert [("'away'" in w, "'calm'" in w) for w in report.warnings] == [
        (True, False), (False, True)]
    assert report.videos == {'without subset': 1, 'train': 1, 'test': 2}


def test_unknown_folders_and_layouts_and_a_single_file(tmp_path):
    save(tmp_path, alone=X)
    assert load_videos(tmp_path/'alone.npy').names == ['alone']
    assert 'found no folder' in inspect_videos(tmp_path/'none').errors[0]
    with pytest.raises(CoplError, match="layout is 'colour'"): find_videos(tmp_path, 'colour')


# Streams

@pytest.mark.parametrize('layout', ONE_ARRAY)
def test_nothing_is_cut_in_silence(make, tmp_path, layout, recwarn):
    path = make(layout)
    (path/'grid.yaml').unlink()
    def widths(streams=None, path=path):
        return load_videos(path, allow_pickle=True, streams=streams).widths
    assert widths() == {'features': 6} and not recwarn.list
    for asked in ('rgb:3,flow:3', {'pose': 1, 'rest': 5}, 'features:6'):
        assert widths(asked) == parse_streams(asked)
    with pytest.raises(CoplError, match=r"video 'calm': shape \(20, 6\), expected \(snippets, 8\)"):
        widths('rgb:4,flow:4')
    with pytest.raises(CoplError, match="found the streams features, expected 'feature'"):
        widths('feature')
    (path/'grid.yaml').write_text('streams: {rgb: 5, flow: 1}\n')
    assert widths() == {'rgb': 5, 'flow': 1} and widths('flow') == {'flow': 1}
    i3d = four_videos(features=2048)
    path = write(i3d, layout, tmp_path/'i3d')
    assert widths(path=path) == {'features': 2048}
    (path/'grid.yaml').unlink()
    with pytest.warns(UserWarning, match="2048 channels are read as I3D's rgb and flow"):
        opened = load_videos(path, allow_pickle=True)
    assert opened.widths == {'rgb': 1024, 'flow': 1024}
    np.testing.assert_array_equal(opened[2][1], i3d[2][0][:, 1024:])
    recwarn.clear()
    assert widths('features:2048', path) == {'features': 2048} and not recwarn.list


@pytest.mark.parametrize('layout', ['folder', 'flat', 'npz_pairs', 'hdf5', 'wtalc'])
def test_streams_are_chosen_in_the_order_asked_for(tmp_path, layout):
    path = write(four_videos(rgb=4, flow=3, pose=2), layout, tmp_path/'data')
    def open_(streams): return load_videos(path, allow_pickle=True, streams=streams)
    assert list(open_('pose,rgb').widths.items()) == [('pose', 2), ('rgb', 4)]
    np.testing.assert_array_equal(open_(('pose', 'rgb'))[1][0], open_(None)[1][2])
    with pytest.raises(CoplError, match="found the streams rgb, flow, pose, expected 'poes'"):
        open_('poes')
    wrong = '20, 9., expected .snippets, 7' if layout in ONE_ARRAY else '20, 4., expected .snip.*5'
    with pytest.raises(CoplError, match=f"video 'calm': shape .{wrong}"): open_('rgb:5,pose:2')
    (path/'grid.yaml').unlink()
    if layout not in ONE_ARRAY: assert open_(None).widths == dict(rgb=4, flow=3, pose=2)
    (path/'grid.yaml').write_text('streams: {rgb: 4}')
    if layout in ONE_ARRAY: return
    with pytest.warns(UserWarning, match='grid.yaml does not name the streams flow, pose'):
        assert open_(None).widths == {'rgb': 4}


@pytest.mark.parametrize('given', [
    'rgb:many', 'rgb:0', 'rgb:-3', 'rgb,,flow', 'rgb:3,flow', 'rgb,rgb', '../x', 'é'*60,
    {'rgb': True}, {'rgb': 1.5}, [], [3], 7])
def test_what_are_no_streams(given):
    with pytest.raises(CoplError, match='streams: found .*expected each stream once'):
        parse_streams(given)


def test_files_of_the_video_features_tool(tmp_path, recwarn):
    for n in ('high_jump', 'dive'): save(tmp_path/'two', **{f'{n}_rgb': X, f'{n}_flow': X[:, :3]})
    videos = load_videos(tmp_path/'two')
    assert detect_layout(tmp_path/'two') == 'suffix' and videos.names == ['dive', 'high_jump']
    assert videos.widths == {'rgb': 4, 'flow': 3} and not recwarn.list
    save(tmp_path/'two', dive_fps=50., dive_timestamps_ms=160*np.arange(5.))
    again = load_videos(tmp_path/'two')
    assert again.names == videos.names and again.grid == TimeGrid(8, 16, 50.)
    for n in ('high_jump', 'dive'):
        save(tmp_path/'clip', **{f'{n}_clip': X, f'{n}_timestamps_ms': 640*np.arange(5.)})
        save(tmp_path/'rgb', **{f'rgb__{n}': X, f'{n}_fps': 25.})
    for folder, stream in (('clip', 'clip'), ('rgb', 'rgb')):
        videos = load_videos(tmp_path/folder)
        assert videos.names == ['dive', 'high_jump'] and videos.widths == {stream: 4}


@pytest.mark.parametrize('form', ['{n}_{k}.npy', '{n}-{k}.npz', '{n}.{K}.npy', '{k}_{n}.npy',
                                  '{C}-{n}.npz', '{k}/{n}_{k}.npy', '{k}/{n}-{K}.npy'])
def test_two_files_of_a_video_are_two_streams_whatever_their_order(tmp_path, form):
    arrays = {(n, k): X + i for i, n in enumerate(('high_jump', 'swim-1', 'flow.x'))
              for k in ('rgb', 'flow')}
    for (n, k), x in arrays.items():
        path = tmp_path/form.format(n=n, k=k, K=k.upper(), C=k.capitalize())
        path.parent.mkdir(exist_ok=True)
        if path.suffix == '.npz': np.savez(path, feats=x)
        else: np.save(path, x)
    videos = load_videos(tmp_path)
    assert sorted(videos.names) == ['flow.x', 'high_jump', 'swim-1']
    for i, n in enumerate(videos.names):
        for k in ('rgb', 'flow'): np.testing.assert_array_equal(videos.streams[k][i], arrays[n, k])
    next(tmp_path.rglob('*.np?')).unlink()
    with pytest.raises(CoplError, match=r'video .* has no (rgb|flow) features, expected '):
        load_videos(tmp_path)


@pytest.mark.parametrize('names, said', [
    (['a_rgb', 'a_flow', 'a_RGB', 'b_rgb', 'b_flow'], "video 'a' occurs more than once"),
    (['train__a', 'test__b'], "video 'a' has no test features, .*the first of 2 problems"),
    (['a__rgb', 'a__flow', 'b__rgb', 'b__flow'], 'found a sub-folder for each video, such as '
     "a/flow, expected one for each stream, or layout='{video}/{str")])
def test_files_that_are_no_set_of_videos(tmp_path, names, said):
    save(tmp_path, **dict.fromkeys(names, X))
    with pytest.raises(CoplError, match=said): load_videos(tmp_path)


@pytest.mark.parametrize('form', ['single', 'streams', 'swapped', 'mixed'])
def test_groups_of_an_hdf5_file(tmp_path, form):
    x = {'rgb': X, 'flow': X[:, :2]}
    two = form in ('streams', 'swapped')
    with h5py.File(tmp_path/'a.h5', 'w') as f:
        for i, n in enumerate(('v_a', 'v_b')):
            if two:
                for k, a in x.items(): f[f'{n}/{k}' if form == 'streams' else f'{k}/{n}'] = a + i
            else: f[n if form == 'mixed' and not i else f'{n}/c3d_features'] = X + i
    videos = load_videos(tmp_path/'a.h5')
    assert videos.names == ['v_a', 'v_b']
    assert videos.widths == ({'rgb': 4, 'flow': 2} if two else {'features': 4})
    np.testing.assert_array_equal(videos.streams['rgb' if two else 'features'][1], X + 1)
    if not two: return
    gone = 'v_b/flow' if form == 'streams' else 'flow/v_b'
    with h5py.File(tmp_path/'a.h5', 'a') as f: del f[gone]
    with pytest.raises(CoplError, match="video 'v_b' has no flow features, expected a dataset"):
        load_videos(tmp_path/'a.h5')
    assert load_videos(tmp_path/'a.h5', streams='rgb').widths == {'rgb': 4}


@pytest.mark.parametrize('files, expected', [
    (dict(rgb__a=X, rgb__b=X), {'rgb': 4}), (dict(flow__a=X, flow__b=X), {'flow': 4}),
    (dict(rgb__a=X, flow__a=X[:, :0]), {'rgb': 4}), (dict(a=X, b=X), {'features': 4}),
    (dict(a=X[:, :1]), {'features': 1}), (dict(lava_flow=X, calm=X), {'features': 4}),
    (dict(rgb__a=X, flow__a=X), {'rgb': 4, 'flow': 4}),
    (dict(rgb__a=X, flow__a=X, rgb__b=X), "video 'b' has no flow features")])
def test_one_stream_in_all_its_forms(tmp_path, files, expected, recwarn):
    save(tmp_path, **files)
    if isinstance(expected, str):
        with pytest.raises(CoplError, match=expected): load_videos(tmp_path)
        return
    assert load_videos(tmp_path).widths == expected
    empty = any(0 in x.shape for x in files.values())
    assert ['no channel' in str(w.message) for w in recwarn] == [True]*empty
    report = inspect_videos(tmp_path)
    assert report.channels == {s: [d] for s, d in expected.items()} and not report.errors


def test_one_folder_of_two_says_that_the_other_lies_beside_it(make):
    path = make('folder')
    with pytest.warns(UserWarning, match=f'{path/"flow"} lies next to it: {path} opens both'):
        assert load_videos(path/'rgb').widths == {'features': 3}


def test_sets_that_could_not_be_read_again_are_not_written(tmp_path):
    videos = VideoSet(['a'], {'rgb': [X], 'flow': [X.astype(float)]})
    with pytest.raises(CoplError, match="video 'a': rgb is float32, flow is float64"):
        convert_videos(videos, tmp_path/'out', 'joint')
    assert not (tmp_path/'out').exists()
    videos = VideoSet(['a_left'], {'hand': [X], 'left_hand': [X]})
    with pytest.raises(CoplError, match="video 'a_left', hand: the file a_left_hand.npy "
                                        "could be another stream"):
        convert_videos(videos, tmp_path/'s', 'suffix')
    same(videos, load_videos(convert_videos(videos, tmp_path/'n', 'npz_pairs')), False)
    videos = VideoSet(['a'], {'hand': [X], 'hand_left': [X + 1]})           # the longest is meant
    own = '{stream}_{video}'
    same(videos, load_videos(convert_videos(videos, tmp_path/'o', own), layout=own), False)


# Patterns of one's own

@pytest.mark.parametrize('pattern', [
    '{video}/{stream}.npy', '{stream}/{part}/{video}.npy', 'i3d/{stream}-{video}-16.npz',
    '{video}_{stream}'])
def test_a_pattern_of_ones_own_there_and_back(tmp_path, pattern):
    path = convert_videos(VIDEOS, tmp_path/'a', pattern)
    file = pattern.format(video='dive', stream='flow', part='train')
    assert (path/(file if '.' in file else f'{file}.npy')).exists()
    assert same(VIDEOS, load_videos(path, layout=pattern))
    report = inspect_videos(path, layout=pattern)
    assert report.layout == pattern and not report.errors and not report.warnings


@pytest.mark.parametrize('pattern', ['{clip}.npy', '{stream}.npy', 'rgb.npy', '../{video}.npy',
                                     '/etc/{video}.npy', '{video}/../{stream}.npy', '{}'])
def test_what_is_no_pattern(tmp_path, pattern):
    save(tmp_path, a=X)
    for call in (lambda: load_videos(tmp_path, layout=pattern),
                 lambda: convert_videos(VIDEOS, tmp_path/'out', pattern)):
        with pytest.raises(CoplError, match='layout is .*expected one'): call()
    assert [p.name for p in tmp_path.iterdir()] == ['a.npy']


def test_a_pattern_finds_any_ending_and_says_what_is_missing(tmp_path):
    save(tmp_path, a__flow=X)
    for name in ('a', 'b'):
        (tmp_path/name).mkdir(exist_ok=True)
        np.savez(tmp_path/name/'rgb.npz', X)
    with pytest.raises(CoplError, match="video 'b' has no flow features, expected .*b/flow.n"):
        load_videos(tmp_path, layout='{video}/{stream}.npy')
    assert load_videos(tmp_path, layout='{video}/{stream}.npy', streams='rgb').names == ['a', 'b']
    with pytest.raises(CoplError, match='found no features, expected .*<video>_rgb.npy'):
        load_videos(tmp_path, layout='suffix')


# Annotations

def test_official_text_files(tmp_path):
    (tmp_path/'Diving_val.txt').write_text('validation_1  1.0 2.5\nvalidation_1 4 5\n')
    (tmp_path/'CliffDiving_test.txt').write_text('\ufefftest_2  1.0 2.5\n\n', encoding='utf-8')
    truth = load_annotations(tmp_path)
    assert list(truth.segments.itertuples(False, None)) == [
        ('test_2', 1., 2.5, 'CliffDiving'), ('validation_1', 1., 2.5, 'Diving'),
        ('validation_1', 4., 5., 'Diving')]
    assert dict(zip(truth.videos.video, truth.videos.subset, strict=True)) == {
        'test_2': 'test', 'validation_1': 'validation'}
    for line in ('validation_1  1.0', 'validation_1 7 soon', 'test_2 1 2'):
        (tmp_path/'Diving_val.txt').write_text(f'{line}\n')
        with pytest.raises(CoplError, match='Diving_val.txt, line 1: video .* found'):
            load_annotations(tmp_path)


def test_the_real_arrays_of_wtalc_say_what_the_json_says(real_data, tmp_path):
    folder = real_data('thumos14/wtalc')
    truth = load_annotations(folder, allow_pickle=True)
    json_ = load_annotations(real_data('thumos14/gt_test212.json'))
    assert {*truth.segments.itertuples(False, None)} == {*json_.segments.itertuples(False, None)}
    with pytest.raises(CoplError, match='allow_pickle'): load_annotations(folder)
    names = ['video_validation_0000051', 'video_test_0000004']
    seconds = truth.videos.set_index('video').duration
    arrays = [np.random.default_rng(0).random((int(seconds[n]*25/16), 4), 'float32') for n in names]
    path = convert_videos(VideoSet(names, {'rgb': arrays, 'flow': arrays}), tmp_path/'a', 'plain')
    report = inspect_videos(path, folder, allow_pickle=True)
    assert not report.errors and report.videos == {'test': 1, 'validation': 1}
    assert any('410 annotated videos have no features' in w for w in report.warnings)
    (path/'grid.yaml').write_text('fps: 10\n')
    assert len(inspect_videos(path, folder, allow_pickle=True).errors) == 2
