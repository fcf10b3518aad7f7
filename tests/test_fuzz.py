"""Bad input, tried in earnest: damaged copies of every file that copl reads, each refused in one
line or used, and nothing else happens.

COPL_FUZZ=20 tries twenty times as many cases, with other random numbers each time."""
import contextlib
import importlib
import io
import json
import math
import os
import pickle
import random
import resource
import shutil
import signal
import sys
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml

from copl import COPL, Config, CoplError, load_videos
from copl.cli import main
from copl.config import save_config
from copl.data import convert_videos, inspect_videos

from .conftest import summary
from .small_runs import NAMES, four_videos, write_truth

TIMES = int(os.environ.get('COPL_FUZZ', 1))
LAYOUTS = ('folder', 'flat', 'cola', 'npz_pairs', 'hdf5', 'wtalc')
SMALL = four_videos(rgb=3, flow=3)
pytestmark = pytest.mark.filterwarnings('ignore')


# What must not happen

WRITES = {'os.rename', 'os.remove', 'os.mkdir', 'os.rmdir', 'os.chmod', 'os.symlink', 'os.link',
          'os.truncate', 'shutil.rmtree', 'tempfile.mkstemp'}
RUNS = {'os.system', 'subprocess.Popen', 'os.exec', 'os.posix_spawn', 'os.fork', 'socket.connect',
        'pickle.find_class'}
watched = None # while a command runs: [(event, first argument)] of all that it wrote or started


def audit(event, args):
    if watched is None: return
    if event == 'open':
        mode = args[1] or ''
        flags = args[2] or 0
        if set(mode) & set('wax+') or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            watched.append((event, args[0]))
    elif event in WRITES | RUNS:
        # the first argument is relative to this open one
        folder = args[-1] if event in ('os.remove', 'os.rmdir') and args[-1] != -1 else None
        watched.append((event, os.path.join(os.readlink(f'/proc/self/fd/{folder}'), args[0])
                        if folder is not None else args[0] if args else None))


class Payload:
    "A pickle that creates a file when it is loaded."
    def __init__(self, marker): self.marker = marker
    def __reduce__(self): return open, (str(self.marker), 'w')


class Slow(BaseException): pass


def too_slow(*_): raise Slow('more than 20 s')


@contextlib.contextmanager
def guarded(*allowed):
    "The commands inside write only under these folders, start nothing and end in time."
    global watched
    watched = []
    before = signal.signal(signal.SIGALRM, too_slow)
    signal.alarm(20)
    try: yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        seen, watched = watched, None
    def inside(path): return any(Path(os.fsdecode(path)).is_relative_to(a) for a in allowed)
    wrong = [(e, p) for e, p in seen if e in RUNS or isinstance(p, str | bytes | os.PathLike)
             and not inside(p) and str(p) != os.devnull]
    assert not wrong, wrong


def opened(box, out):
    "(status, error) of inspecting and converting a set of files; a command takes longer to parse."
    json.dumps(str(inspect_videos(box)))
    try: convert_videos(load_videos(box), out/'converted', 'folder')
    except CoplError as e: return 1, f'copl: error: {e}'
    return 0, ''


def command(args):
    """(status, last lines on stderr) of a command whose output goes to a terminal that knows only
    UTF-8."""
    out, err = (io.TextIOWrapper(io.BytesIO(), 'utf-8', errors=e)
                for e in ('strict', 'backslashreplace'))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(args.split())
    err.flush()
    return status, err.buffer.getvalue().decode()


# Whole files to begin with

@dataclass(frozen=True)
class Kind:
    "A set of files, the command that reads them, and those to damage."
    files:dict[str, bytes]
    command:str=''                 # BOX: the folder of the files, OUT: of results; empty: `opened`
    victims:tuple[str, ...]=()     # those to damage; empty: all


def files_of(folder, below=''):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted((folder/below).rglob('*'))
            if p.is_file() and not p.name.endswith('.lock')}


def write_wtalc(folder):
    "W-TALC's arrays, without objects: as many snippets and segments of each video."
    write_truth(folder/'Annotations', NAMES, subset=[b'train', b'train', b'test', b'test'],
                duration=np.full((4, 1), 6*16/25), segments=np.tile([[.5, 2.]], (4, 1, 1)),
                labels=np.array([['Diving'], ['Walk']]*2, 'S'))
    np.save(folder/'features.npy', np.random.default_rng(0).random((4, 6, 6)).astype('float32'))


OPTIONS = '--n-classes 2 --hidden 2 --snippets 4 --epoch-num 1 --device cpu'


def unfinished(path):
    "The checkpoint of such a training with two rounds, interrupted after the first."
    class Stop(Exception): pass
    def stop(model): raise Stop
    model = COPL(2, hidden=2, snippets=4, epoch_num=1, iteration_num=2, device='cpu')
    with contextlib.suppress(Stop): model.fit(SMALL[[0, 1]], checkpoint=path, after_round=stop)
    return path.read_bytes()


@pytest.fixture(scope='module')
def kinds(tmp_path_factory):
    "All kinds of files, by name."
    root = tmp_path_factory.mktemp('whole')
    made = {}
    for name in LAYOUTS:
        if name == 'wtalc': write_wtalc(root/name)
        else: convert_videos(SMALL, root/name, name)
        made[name] = Kind(files_of(root/name))
    convert_videos(SMALL, root/'BOX/data', 'folder')
    trained = f'train {root}/BOX/data --out {root}/BOX/run --iteration-num 1 {OPTIONS}'
    assert command(trained)[0] == 0
    data = files_of(root/'BOX', 'data')
    run = files_of(root/'BOX')
    run['run/metrics.json'] = run['run/metrics.json'].replace(str(root/'BOX').encode(), b'BOX')
    detections = {'found.json': run['run/detections.json']}
    lines = {f'truth/{name}.txt': text for name, text in (
        ('Diving_val', b'dive 1.0 2.5\n'), ('Walk_val', b'calm 0.5 2.0\n'),
        ('Diving_test', b'jump 0.1 3.0\n'), ('Walk_test', b'swim 0 0.3\n'))}
    config = {'config.yaml': save_config(Config(2), root/'config.yaml').read_bytes()}
    partly = {'run/checkpoint.pt': unfinished(root/'unfinished.pt')}
    checkpoint = ('run/checkpoint.pt',)
    return made | {
        'annotations': Kind({'truth.json': run['data/annotations.json']} | detections,
                            'evaluate BOX/found.json BOX/truth.json --json OUT/mAP.json'),
        'text': Kind(lines | detections, 'evaluate BOX/found.json BOX/truth --subset test',
                     tuple(lines)),
        'config': Kind(data | config, 'train BOX/nothing --config BOX/config.yaml --out OUT/run',
                       (*config,)),
        'checkpoint': Kind(run, 'localize BOX/run BOX/data --out OUT/found.json --device cpu',
                           checkpoint),
        'unfinished': Kind(partly | data, 'train BOX/data --out BOX/run --resume '
                                          f'--iteration-num 2 {OPTIONS}', checkpoint),
        'report': Kind(run, 'report BOX/run --out OUT/report.html --device cpu',
                       ('run/metrics.json', 'run/pseudolabels.csv', 'run/detections.json',
                        *checkpoint))}


# Damage

ODD = [None, True, -1, 0, 0.5, 2**63, 10**400, 1e308, -1e-320, math.nan, math.inf, '', 'x', '../x',
       '/etc/passwd', 'a\0b', '\ud800', 'é'*300, '9'*5000,
       [], {}, [[]], {'a': 1}, [1, 2, 3], [3.0, 1.0], ['x', None], [math.nan, 1], 'nan', '1e999',
       '2020-01-01', [2**70, 2**71]]
TOKENS = [b'null', b'NaN', b'-1', b'1e999', b'"\\ud800"', b'['*3000, b'[', b'}', b'"', b'\xff\xfe',
          b'\x00', b'9'*5000, b'0x10',
          b'!!python/object/apply:os.system ["true"]', b'&a [*a]', b'../../x', b'\r\n',
          b'\xef\xbb\xbf', b'#', b': ', b'- ', b'\t', b'{"a": 1, "a": 2}', b'1.5',
          b'true', b',', b'"/etc/passwd"']


def as_bytes(rng, content):
    "Some bytes other than they were."
    at = rng.randrange(len(content) + 1)
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 3, 20)) if content else 0):
        changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return rng.choice((
        content[:at], b'', rng.randbytes(rng.randrange(200)), bytes(changed),
        content[:at] + rng.choice(TOKENS) + content[at:],
        content[:at] + content[at + rng.randrange(1, 20):],
        content[:at] + content[max(0, at - rng.randrange(1, 200)):]))


def as_values(rng, value):
    "Plain values with one of them, anywhere inside, replaced, left out, renamed or wrapped."
    new = rng.choice(ODD)
    if not isinstance(value, dict | list) or not value or rng.random() < .1:
        return rng.choice((new, new, [value]))
    if isinstance(value, list):
        at = rng.randrange(len(value))
        return [as_values(rng, v) if i == at else v for i, v in enumerate(value)]
    key = rng.choice(list(value))
    others = {k: v for k, v in value.items() if k != key}
    how = rng.randrange(12)
    if how == 0: return others
    if how == 1: return others | {str(new): value[key]}
    return value | {key: as_values(rng, value[key])}


def as_npy(rng, content, marker):
    "A npy file of another shape or type, or with a header that lies, or with a pickle inside."
    x = np.load(io.BytesIO(content))
    how = rng.choice(('shape', 'type', 'value', 'header', 'header', 'pickle', 'objects'))
    if how == 'pickle': return pickle.dumps(Payload(marker))
    if how == 'header': return lying_header(rng) + content[128:]
    if how == 'objects': x = np.array([Payload(marker)], object)
    if how == 'shape':
        x = rng.choice([x[None], x[..., :-1], x[:0], x.ravel(), np.zeros(()), x[..., None],
                        np.zeros((0, 0), 'f4'), np.asfortranarray(x)])
    if how == 'type':
        x = x.astype(rng.choice(('S9', 'U9') if x.dtype.kind in 'SU'
                                else ('i8', 'bool', 'f2', 'f8', 'c16', 'S3', 'M8[s]', '>f4')))
    if how == 'value' and x.dtype.kind == 'f' and x.size:
        x.flat[rng.randrange(x.size)] = rng.choice((np.nan, np.inf, -np.inf, 1e38, -1))
    out = io.BytesIO()
    np.save(out, x, allow_pickle=True)
    return out.getvalue()


def lying_header(rng):
    "The first bytes of a npy file, with a shape, a type, an order, a version and a length."
    shape = rng.choice(['(2, 3)', '(10**9, 10**9)', '(1000000000000, 3)', '(-1, 3)', '(6, 3.0)',
                        '(6,', '6', '()', '(' + '9'*400 + ', 3)', "('a', 3)", '(True, 3)'])
    descr = rng.choice(["'<f4'", "'<f8'", "'|O'", "'<f4000'", "'V9999999999'", "[('a', '<f4')]",
                        'None', "'x'", "'<U99999'", "[('a', '|O')]", "'<M8'", '('*60 + ')'*60])
    order = rng.choice(('False', 'True', '1'))
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    version = rng.choice((b'\x01\x00', b'\x01\x00', b'\x02\x00', b'\x03\x00', b'\x09\x00'))
    size = rng.choice((len(header), len(header), 0, 65535))
    return b'\x93NUMPY' + version + size.to_bytes(2 if version[0] == 1 else 4, 'little') + header


def as_npz(rng, content, marker):
    "An archive with other members, sizes that lie, or a bomb: 4 megabytes of nothing."
    with zipfile.ZipFile(io.BytesIO(content)) as z: inner = z.read('feature.npy')
    inner = rng.choice((
        as_npy(rng, inner, marker), as_npy(rng, inner, marker), content, inner,
        inner + bytes(4_000_000), pickle.dumps(Payload(marker))))
    out = io.BytesIO()
    method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(out, 'w', method) as z:
        for name in rng.choice((['feature.npy'], ['feature.npy'], ['../x.npy'], ['x'], [],
                                ['feature.npy', 'b.npy'])): z.writestr(name, inner)
    made = out.getvalue()
    if rng.random() < .2: return as_bytes(rng, made)
    at = made.rfind(b'PK\x01\x02') + rng.choice((8, 10, 16, 20, 24, 28, 42)) # flags ... offset
    if at < 42 or rng.random() < .8: return made
    return made[:at] + rng.choice((b'\xff\xff\xff\x7f', bytes(4), b'c\0\0\0')) + made[at + 4:]


def as_hdf5(rng, content):
    "A file with links to elsewhere, groups, other types, sizes beyond all measure."
    file = io.BytesIO(content)
    name = rng.choice(NAMES)
    with h5py.File(file, 'r+') as f:
        x = f[name][()]
        del f[name]
        if rng.random() < .2:
            f.create_dataset(name, (2**40, 6), 'f4', chunks=(64, 6))
            x = 1
        f[rng.choice((name, name, name, f'{name}/x', '..', 'é'*80, '\t', '.calm'))
          if name not in f else 'more'] = rng.choice((
            x, np.full((6, 6), np.nan), np.ones((1, 6, 6)), np.ones((6, 6), 'i4'), ['a', 'b'],
            np.ones(0), h5py.Empty('f4'), np.zeros(3, [('a', 'f4'), ('b', 'S3')]),
            h5py.SoftLink('/nowhere'), h5py.SoftLink(f'/{name}'),
            h5py.ExternalLink('/etc/passwd', '/')))
    return file.getvalue()


def as_checkpoint(rng, content, marker):
    "A pickle that would run code, as a whole or inside."
    out = io.BytesIO()
    if rng.random() < .5: return pickle.dumps(Payload(marker))
    saved = torch.load(io.BytesIO(content), weights_only=True)
    torch.save({**saved, rng.choice(list(saved)): Payload(marker)}, out)
    return out.getvalue()


def damaged(rng, name, content, marker):
    "Another content for the file of that name."
    suffix = Path(name).suffix
    if rng.random() < .3: return as_bytes(rng, content)
    if suffix == '.npy': return as_npy(rng, content, marker)
    if suffix == '.npz': return as_npz(rng, content, marker)
    if suffix == '.h5': return as_hdf5(rng, content)
    if suffix == '.pt': return as_checkpoint(rng, content, marker)
    if suffix == '.json': return json.dumps(as_values(rng, json.loads(content))).encode()
    if suffix != '.yaml': return as_bytes(rng, content)
    if rng.random() < .5: return laughs(rng)
    return yaml.safe_dump(as_values(rng, yaml.safe_load(content))).encode('utf-8', 'surrogatepass')


def laughs(rng):
    "YAML whose aliases stand for 10**9 values."
    def ten(word): return ', '.join([word]*10)
    lines = [f'a0: &a0 [{ten("lol")}]', *(f'a{i}: &a{i} [{ten(f"*a{i-1}")}]' for i in range(1, 9))]
    field = rng.choice(('n_classes', 'alpha', 'thetas', 'losses', 'nms', 'stride', 'fps'))
    return '\n'.join([*lines, f'{field}: *a8']).encode()


# The cases

CASES = { # COPL_FUZZ multiplies them
    'folder': 25, 'flat': 15, 'cola': 15, 'npz_pairs': 30, 'hdf5': 30, 'wtalc': 20,
    'annotations': 40, 'text': 15, 'config': 20, 'checkpoint': 10, 'unfinished': 6, 'report': 6}


@pytest.fixture(scope='module', autouse=True)
def hook():
    # loads matplotlib, whose folders are no results of copl
    importlib.import_module('copl.report')
    sys.addaudithook(audit)


@pytest.mark.parametrize('kind', CASES)
def test_damaged_files_are_used_or_refused(kind, kinds, tmp_path, monkeypatch):
    monkeypatch.setenv('COPL_CACHE', str(tmp_path/'cache'))
    one = kinds[kind]
    tally = Counter()
    box, out, marker = (tmp_path/name for name in ('box', 'out', 'pwned'))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def attempt(seed):
        rng = random.Random(seed)
        for folder in (box, out): shutil.rmtree(folder, ignore_errors=True)
        for folder in (box, out): folder.mkdir()
        for name, content in one.files.items():
            (box/name).parent.mkdir(parents=True, exist_ok=True)
            (box/name).write_bytes(content.replace(b'BOX', str(box).encode())
                                   if name.endswith('metrics.json') else content)
        victims = one.victims or tuple(one.files)
        for name in rng.sample(victims, min(rng.choice((1, 1, 1, 1, 2)), len(victims))):
            (box/name).write_bytes(damaged(rng, name, (box/name).read_bytes(), marker))
        whole = {p: p.read_bytes() for p in box.rglob('*') if p.is_file()}
        written = box/'run' if kind == 'unfinished' else out
        args = one.command.replace('BOX', str(box)).replace('OUT', str(out))
        with guarded(written, tmp_path/'cache'):
            status, said = command(args) if args else opened(box, out)
        assert status in (0, 1), said
        if status: assert refusal(said, box), said
        tally['refused' if status else 'used'] += 1
        assert not marker.exists(), 'code was executed'
        changed = [p for p, content in whole.items() if not p.is_relative_to(written)
                   and (not p.exists() or p.read_bytes() != content)]
        assert not changed, changed

    for i in range(CASES[kind]*TIMES): attempt(i if TIMES == 1 else random.randrange(2**64))
    summary.append(f'damaged sets of {kind}: {dict(tally)}')
    assert tally['refused'] and resource.getrusage(
        resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000, 'memory'


def refusal(said, box):
    "Whether the last thing said is one error that names a file or folder among those given."
    said = said[said.rindex('copl: error: '):] if 'copl: error: ' in said else ''
    return str(box) in said and 'Traceback' not in said and len(said) < 4000
