"The same seed gives the same bytes, in every process, whatever number of threads is asked for."
import hashlib
import json
import os
import subprocess
import sys

import pytest
import torch

RUNS = '''import json, sys
from copl.cli import main
sys.exit(any([main(args) for args in json.loads(sys.argv[1])]))
'''
PRECISIONS = ['float32', 'bfloat16']
SET = ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_DYNAMIC',
       'PYTHONHASHSEED')
FREE = {k: v for k, v in os.environ.items() if k not in SET}
SHORT = ['--seed', '3', '--iteration-num', '2', '--epoch-num', '1', '--hidden', '64',
         '--snippets', '32', '--device', 'cpu']


def bytes_of_runs(out, environment):
    "Of two whole runs, one of each precision, in a process of its own."
    runs = [['train', 'sim:tiny', *SHORT, '--precision', precision, '--out', str(out/precision)]
            for precision in PRECISIONS]
    subprocess.run([sys.executable, '-c', RUNS, json.dumps(runs)], check=True,
                   capture_output=True, env=FREE | environment, timeout=300)
    return [bytes_of_a_run(out/precision) for precision in PRECISIONS]


def bytes_of_a_run(out):
    "Hash of the losses, weights, features and files that a run has left."
    log = [json.loads(row) for row in (out/'log.jsonl').read_text().splitlines()]
    losses = [{k: v for k, v in row.items() if k != 'seconds'} for row in log]
    saved = torch.load(out/'checkpoint.pt', weights_only=True)
    arrays = [x.numpy().tobytes() for x in (*saved['network'].values(), *saved['arrays'].values())]
    files = [(out/name).read_bytes()
             for name in ('detections.json', 'pseudolabels.csv', 'rounds.csv')]
    return hashlib.sha256(b''.join([json.dumps(losses).encode(), *arrays, *files])).hexdigest()


@pytest.fixture(scope='module')
def hashes(tmp_path_factory):
    "Of processes as users start them, and with a number of threads set from outside."
    environments = [{}, {'PYTHONHASHSEED': '7', 'OMP_NUM_THREADS': '1'}]
    return [bytes_of_runs(tmp_path_factory.mktemp('run'), e) for e in environments]


@pytest.mark.parametrize('precision', PRECISIONS)
def test_the_same_seed_gives_the_same_bytes_in_every_process(hashes, precision):
    found = [of[PRECISIONS.index(precision)] for of in hashes]
    assert len(set(found)) == 1, found
