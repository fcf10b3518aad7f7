"""Runs that are killed, crowded out or left without a disk: what was written stays whole,
and the run goes on to the same bits."""
import gc
import itertools
import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from pathlib import Path

import lightning_fabric  # noqa: F401 (before the forks, which then need not)
import pytest
import torch
from threadpoolctl import threadpool_limits

from copl.cli import main

from .small_runs import command, files

KILLS = 4
ARGS = ['train', 'sim:tiny', '--hidden', '8', '--snippets', '16', '--iteration-num', '2',
        '--epoch-num', '3', '--device', 'cpu']


def child(args, out, before=lambda: None):
    "The number of a process that runs a command beside this one; its stderr goes to <out>.txt."
    pid = os.fork()
    if pid: return pid
    gc.freeze() # what has threads, such as frames of videos, cannot be freed without them
    status = 70
    try:
        sys.stdout = open(os.devnull, 'w')
        sys.stderr = open(f'{out}.txt', 'w')
        torch.set_num_threads(1)                                  # threads do not survive a fork
        # ignored where a shell started the tests in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with threadpool_limits(1):
            before()
            status = main([*args, '--out', str(out)])
    except BaseException: traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def die_at(event, k):
    "This process is killed as its k-th call of os.<event> begins."
    real = getattr(os, event)
    calls = [0]
    def replaced(*args, **kwargs):
        calls[0] += 1
        if calls[0] == k: os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    setattr(os, event, replaced)
    if event == 'replace': Path.replace = lambda path, target: replaced(path, target)


def ended(pid, expected=0):
    "Whether it came to its end, with the expected status; otherwise it was killed."
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == expected, status
    return os.WIFEXITED(status)


def errors(out):
    "The last line of what a command said, which is not a traceback's."
    said = Path(f'{out}.txt').read_text()
    assert 'Traceback' not in said, said
    return said.splitlines()[-1]


def result(out):
    "Everything that must not differ."
    saved = torch.load(out/'checkpoint.pt', weights_only=True)
    network = {k: v.numpy().tobytes() for k, v in saved['network'].items()}
    arrays = {k: v.numpy().tobytes() for k, v in saved['arrays'].items()}
    log = [{k: v for k, v in json.loads(line).items() if k != 'seconds'}
           for line in (out/'log.jsonl').read_text().splitlines()]
    texts = {n: (out/n).read_bytes()
             for n in ('detections.json', 'pseudolabels.csv', 'rounds.csv', 'config.yaml')}
    return {'network': network, **arrays, **texts, 'log': log,
            'iterations': [[v.numpy().tobytes() for v in pair] for pair in saved['iterations']]}


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    "(results of a run that nobody disturbs, its seconds, its folder)"
    out = tmp_path_factory.mktemp('whole')/'run'
    began = time.perf_counter()
    assert ended(child(ARGS, out))
    return result(out), time.perf_counter() - began, out


def test_runs_killed_anywhere_resume_to_the_same_bits(whole, tmp_path):
    expected, seconds, _ = whole
    rng = random.Random(0)
    at = []
    tries = itertools.count()
    while len(at) < KILLS:
        out = tmp_path/str(next(tries))
        event = rng.choice(('replace', 'fsync', 'any'))
        k = rng.randrange(1, 20)
        pid = child(ARGS, out, (lambda: None) if event == 'any' else
                    lambda event=event, k=k: die_at(event, k))
        if event == 'any':
            time.sleep(rng.uniform(.05, seconds))
            os.kill(pid, signal.SIGKILL)
        if ended(pid): continue                        # it was done before its time had come
        at.append(len((out/'log.jsonl').read_text().splitlines())
                  if (out/'log.jsonl').exists() else 0)
        assert ended(child([*ARGS, '--resume'], out))
        assert not [*out.glob('.checkpoint.pt.*.pt'), *out.glob('.log.jsonl.*.jsonl')]
        found = result(out)
        for what in expected: assert found[what] == expected[what], (event, k, what)
    assert len(set(at)) > 1


def wait_after_each_epoch():
    "This process sleeps after each epoch's checkpoint and log: signals come before it is done."
    real = Path.replace
    def replaced(path, target):
        result = real(path, target)
        if Path(target).name == 'log.jsonl': time.sleep(10)
        return result
    Path.replace = replaced


@pytest.mark.parametrize('number, status', [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_says_how_it_goes_on_and_does_to_the_same_bits(whole, tmp_path, number,
                                                                     status):
    pid = child(ARGS, tmp_path/'run', wait_after_each_epoch)
    end = time.monotonic() + 60
    while not (tmp_path/'run'/'log.jsonl').exists() and time.monotonic() < end: time.sleep(.005)
    os.kill(pid, number)
    assert ended(pid, status)
    done = torch.load(tmp_path/'run'/'checkpoint.pt', weights_only=True)['state']
    assert (done['n'], done['m']) == (0, 1)            # one epoch of two rounds of three
    assert errors(tmp_path/'run') == (
        f'interrupted: go on with the same command and --resume --out {tmp_path}/run')
    assert ended(child([*ARGS, '--resume'], tmp_path/'run'))
    assert result(tmp_path/'run') == whole[0]


def test_a_full_disk_is_one_error_and_leaves_what_was_written(whole, tmp_path):
    out = tmp_path/'run'
    assert not ended(child(ARGS, out, lambda: die_at('replace', 6)))
    before = files(out)
    # a write beyond 4096 bytes fails, as on a full disk
    def small(): return resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    assert ended(child([*ARGS, '--resume'], out, small), 1)
    assert errors(out).startswith(f'copl: error: cannot write {out}/checkpoint.pt: ')
    assert files(out) == {p: c for p, c in before.items() if not p.name.startswith('.')}
    assert ended(child([*ARGS, '--resume'], out))
    assert result(out) == whole[0]


@pytest.mark.parametrize('args', [
    'train sim:tiny --out OUT', 'demo --out OUT', 'localize RUN sim:tiny --out OUT/found.json',
    'evaluate RUN/detections.json sim:tiny --json OUT/mAP.json', 'report RUN --out OUT/report.html',
    'convert sim:tiny --to flat --out OUT/flat'])
def test_a_folder_that_cannot_be_written_is_one_error(args, whole, tmp_path):
    (tmp_path/'file').write_text('in the way')
    status, _, said = command(*(a.replace('OUT', f'{tmp_path}/file').replace('RUN', str(whole[2]))
                                for a in args.split()))
    assert status == 1 and said.count('copl: error: ') == 1 and 'Traceback' not in said
    assert f'{tmp_path}/file' in said.splitlines()[-1]
    assert (tmp_path/'file').read_text() == 'in the way'
