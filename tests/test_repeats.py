"The same seed gives the same bytes, in every process, whatever number of threads is asked for."
import hashlib
import json
import os
import subprocess
import sys

import pytest
import torch

RUN = 'import sys; from copl.cli import main; sys.exit(main())'
SET = ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_DYNAMIC',
       'PYTHONHASHSEED')
FREE = {k: v for k, v in os.environ.items() if k not in SET}
SHORT = ['--seed', '3', '--iteration-num', '2', '--epoch-num', '2', '--hidden', '64',
         '--snippets', '64', '--device', 'cpu']


def bytes_of_a_run(out, precision, environment):
    "Hash of the losses, weights, features and files of a whole run in a process of its own."
    command = [sys.executable, '-c', RUN, 'train', 'sim:tiny', *SHORT, '--precision', precision,
               '--out', str(out)]
    subprocess.run(command, check=True, capture_output=True, env=FREE | environment, timeout=300)
    log = [json.loads(row) for row in (out/'log.jsonl').read_text().splitlines()]
    losses = [{k: v for k, v in row.items() if k != 'seconds'} for row in log]
    saved = torch.load(out/'checkpoint.pt', weights_only=True)
    arrays = [x.numpy().tobytes() for x in (*saved['network'].values(), *saved['arrays'].values())]
    files = [(out/name).read_bytes()
             for name in ('detections.json', 'pseudolabels.csv', 'rounds.csv')]
    return hashlib.sha256(b''.join([json.dumps(losses).encode(), *arrays, *files])).hexdigest()


@pytest.mark.parametrize('precision', ['float32', 'bfloat16'])
def test_the_same_seed_gives_the_same_bytes_in_every_process(tmp_path, precision):
    environments = [{}, {}, {},                                      # as users start them
                    {'OMP_NUM_THREADS': '1'}, {'OMP_NUM_THREADS': '2'}]
    found = [bytes_of_a_run(tmp_path/str(i), precision, e) for i, e in enumerate(environments)]
    assert len(set(found)) == 1, found
