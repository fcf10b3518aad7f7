"What a user does, through the installed command, in processes of their own."
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from copl import COPL, save_videos, tiny

QUICK = ['--epoch-num', '2', '--hidden', '16', '--snippets', '32', '--device', 'cpu']


def copl(*args, check=0):
    "Run the command; its output."
    done = subprocess.run([sys.executable, '-c',
                           'import sys; from copl.cli import main; sys.exit(main())',
                           *map(str, args)], capture_output=True, text=True)
    assert done.returncode == check, done.stdout + done.stderr
    assert 'Traceback' not in done.stderr
    return done


def test_demo_tells_what_it_found_and_repeats_itself(tmp_path):
    first, second = (copl('demo', '--epoch-num', 2, '--out', tmp_path/name,
                          '--device', 'cpu').stdout for name in ('a', 'b'))
    assert 'SIMULATED' in first and 'whole-video baseline' in first
    assert first.replace(str(tmp_path/'a'), '') == second.replace(str(tmp_path/'b'), '')
    for method in ('COPL', 'conventional'):
        for name in ('detections.json', 'rounds.csv', 'pseudolabels.csv', 'config.yaml'):
            assert ((tmp_path/'a'/method/name).read_bytes() ==
                    (tmp_path/'b'/method/name).read_bytes())
    for picture in ('rounds.png', 'timeline.png'):
        assert (tmp_path/'a'/picture).stat().st_size > 5000
    metrics = json.loads((tmp_path/'a/COPL/metrics.json').read_text())
    assert (metrics['data']['simulated'] and metrics['config']['n_classes'] == 6 and
            len(metrics['data']['sha256']) == 64)


def test_demo_checkpoints_load(tmp_path):
    copl('demo', '--epoch-num', 1, '--out', tmp_path, '--device', 'cpu')
    copl('localize', tmp_path/'COPL', 'sim:tiny')
    assert 'mAP@0.5' in COPL.load(tmp_path/'COPL/checkpoint.pt').rounds_


def test_a_refused_resume_leaves_the_run_as_it_was(tmp_path):
    copl('train', 'sim:tiny', *QUICK, '--out', tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert 'delta: 0.0 then, 0.2 now' in copl('train', 'sim:tiny', *QUICK, '--delta', .2,
                                              '--out', tmp_path, '--resume', check=1).stderr
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    (tmp_path/'metrics.json').unlink()
    # finished: only the results are written
    copl('train', 'sim:tiny', *QUICK, '--out', tmp_path, '--resume')
    assert (json.loads((tmp_path/'metrics.json').read_text())['localization'] ==
            json.loads(before['metrics.json'])['localization'])


def test_train_then_evaluate_gives_the_same_figures(tmp_path):
    folder = save_videos(tiny(), tmp_path/'features')
    run = tmp_path/'run'
    copl('train', folder, '--n-classes', 6, *QUICK, '--out', run)
    metrics = json.loads((run/'metrics.json').read_text())
    copl('evaluate', run/'detections.json', folder/'annotations.json', '--subset', 'test',
         '--json', tmp_path/'map.json')
    evaluated = json.loads((tmp_path/'map.json').read_text())
    assert (evaluated['mAP'] == metrics['localization']['mAP'] and
            evaluated['annotations_sha256'] == metrics['annotations']['sha256'])
    assert list(evaluated['mAP']) == ['0.10', '0.20', '0.30', '0.40', '0.50', '0.60', '0.70']
    labels = pd.read_csv(run/'pseudolabels.csv')
    model = COPL.load(run/'checkpoint.pt')
    assert labels.cluster.tolist() == model.pseudolabels_.tolist() and len(labels) == 72


def test_a_killed_run_resumes_to_the_same_result(tmp_path):
    slow = ['--epoch-num', '20', '--hidden', '32', '--snippets', '64', '--device', 'cpu']
    copl('train', 'sim:tiny', *slow, '--out', tmp_path/'whole')
    command = [sys.executable, '-c', 'import sys; from copl.cli import main; sys.exit(main())',
               'train', 'sim:tiny', *slow, '--out', str(tmp_path/'killed')]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (tmp_path/'killed/checkpoint.pt').exists():
        assert process.poll() is None
        time.sleep(.05)
    # it holds its lock, and does not end meanwhile
    os.kill(process.pid, signal.SIGSTOP)
    second = copl('train', 'sim:tiny', *slow, '--out', tmp_path/'killed', '--resume',
                  check=1).stderr
    assert (process.poll() is None and 'another run is writing it' in second and
            'Traceback' not in second)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    resumed = copl('train', 'sim:tiny', *slow, '--out', tmp_path/'killed', '--resume').stderr
    # it went on, and had something left to do
    assert 0 < int(re.search(r'after epoch (\d+) of 80', resumed)[1]) < 80
    for name in ('detections.json', 'rounds.csv', 'pseudolabels.csv'):
        assert ((tmp_path/'killed'/name).read_bytes() ==
                (tmp_path/'whole'/name).read_bytes())


@pytest.mark.parametrize('args, status, message', [
    (['train', 'no/such/folder', '--n-classes', '3'], 1, 'no/such/folder: found no folder'),
    (['train', 'sim:tiny', '--seed', '-1'], 1, 'seed is -1'),
    (['train', 'sim:tiny', '--lr', '1e20', '--hidden', '8', '--epoch-num', '2'], 1,
     'expected finite numbers'),
    (['train', 'sim:tiny', '--n-classes', '1'], 1, "'n_classes': found 1"),
    (['train', 'sim:tiny', '--n-classes', '500'], 1, '500 classes asked for and only 72 videos'),
    (['evaluate', 'none.json', 'none.json'], 1, 'cannot read none.json'),
    (['train'], 2, 'DATA'), (['fly'], 2, 'fly'),
    (['train', 'sim:tiny', '--detla', '0'], 2, 'detla')])
def test_mistakes_are_one_clear_line(tmp_path, args, status, message):
    if args[0] == 'train' and status == 1: args = [*args, '--out', str(tmp_path)]
    stderr = copl(*args, check=status).stderr
    assert message in stderr
    if status == 1: assert stderr.strip().splitlines()[-1].startswith('copl: error: ')


@pytest.mark.parametrize('video', ['sim_train_0003', 'sim_test_0100'])
def test_broken_features_stop_training_before_it_starts(tmp_path, video):
    folder = save_videos(tiny(), tmp_path/'features')
    x = np.load(folder/f'flow/{video}.npy')
    x[5, 7] = np.inf
    np.save(folder/f'flow/{video}.npy', x)
    stderr = copl('train', folder, '--n-classes', 6, *QUICK, '--out', tmp_path/'run',
                  check=1).stderr
    assert f"'{video}', flow, snippet 5, channel 7: found inf" in stderr
    assert not (tmp_path/'run/checkpoint.pt').exists()


@pytest.mark.parametrize('module, names', [
    ('estimator', 'COPL'), ('config', 'Config'), ('videos', 'VideoSet CoplError'),
    ('data', 'load_videos anet_like'), ('annotations', 'load_annotations'),
    ('simulation', 'tiny thumos_like'),
    ('has', 'has_attention global_features'),
    ('plri', 'spectral_clusters confidence_scores split_pseudolabels'),
    ('iocnet', 'IOCNet temporal_feature_shift'), ('algorithm', 'algorithm_1'),
    ('trust', 'agreement split_half between_runs'),
    ('n_classes', 'estimate_n_classes mean_pooled'), ('choice', 'BestOf'),
    ('localization', 'localize nms soft_nms'),
    ('evaluation', 'purity map_clusters mean_average_precision')])
def test_public_names_import_from_the_package_and_from_their_module(module, names):
    namespace = {}
    for name in names.split():
        exec(f'from copl import {name} as a\nfrom copl.{module} import {name} as b', namespace)
        assert namespace['a'] is namespace['b']
