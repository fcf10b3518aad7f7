"What a user does by commands, from data to a page of results."
import json
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest

from copl import COPL

from .small_runs import QUICK, command, files


def copl(*args, check=0):
    "Run a command here; (what it printed, what it complained about)."
    status, out, err = command(*args)
    assert status == check and 'Traceback' not in err, out + err
    return out, err


def test_demo_tells_what_it_found(tmp_path):
    said, _ = copl('demo', '--epoch-num', 1, '--device', 'cpu', '--out', tmp_path)
    assert 'SIMULATED' in said and 'whole-video baseline' in said
    for name in ('rounds.png', 'timeline.png'): assert (tmp_path/name).stat().st_size > 5000
    for name in ('COPL', 'conventional'):
        metrics = json.loads((tmp_path/name/'metrics.json').read_text())
        assert metrics['data']['simulated'] and metrics['config']['n_classes'] == 6
        assert len(metrics['data']['sha256']) == 64
    copl('localize', tmp_path/'COPL', 'sim:tiny')
    assert 'mAP@0.5' in COPL.load(tmp_path/'COPL').rounds_


def test_a_refused_resume_leaves_the_run_as_it_was(tmp_path, tiny_run):
    run = shutil.copytree(tiny_run, tmp_path/'run')
    args = ['train', 'sim:tiny', *QUICK, '--out', run, '--resume']
    before = files(run)
    assert 'delta: 0.0 then, 0.2 now' in copl(*args, '--delta', .2, check=1)[1]
    assert files(run) == before
    (run/'metrics.json').unlink()
    copl(*args)                                  # finished: only the results are written
    assert (json.loads((run/'metrics.json').read_text())['localization'] ==
            json.loads((tiny_run/'metrics.json').read_text())['localization'])


def test_train_then_evaluate_gives_the_same_figures(tmp_path, small_data):
    run = tmp_path/'run'
    copl('train', small_data, '--n-classes', 3, *QUICK, '--out', run)
    metrics = json.loads((run/'metrics.json').read_text())
    copl('evaluate', run/'detections.json', small_data/'annotations.json', '--subset', 'test',
         '--json', tmp_path/'map.json')
    evaluated = json.loads((tmp_path/'map.json').read_text())
    assert (evaluated['mAP'] == metrics['localization']['mAP'] and
            evaluated['annotations_sha256'] == metrics['annotations']['sha256'])
    assert list(evaluated['mAP']) == ['0.10', '0.20', '0.30', '0.40', '0.50', '0.60', '0.70']
    labels = pd.read_csv(run/'pseudolabels.csv')
    model = COPL.load(run/'checkpoint.pt')
    assert labels.cluster.tolist() == model.pseudolabels_.tolist() and len(labels) == 20


@pytest.mark.parametrize('args, status, message', [
    (['train', 'no/such/folder', '--n-classes', '3'], 1, 'no/such/folder: found no folder'),
    (['train', 'sim:tiny', '--seed', '-1'], 1, "'seed': found -1"),
    (['train', 'sim:tiny', '--lr', '1e20', '--hidden', '8', '--epoch-num', '2'], 1,
     'expected finite numbers'),
    (['train', 'sim:tiny', '--n-classes', '1'], 1, "'n_classes': found 1"),
    (['train', 'sim:tiny', '--n-classes', '500'], 1, '500 classes asked for and only 72 videos'),
    (['evaluate', 'none.json', 'none.json'], 1, 'cannot read none.json'),
    (['train'], 2, 'DATA'), (['fly'], 2, 'fly'),
    (['train', 'sim:tiny', '--detla', '0'], 2, 'detla')])
def test_mistakes_are_one_clear_line(tmp_path, args, status, message):
    if args[0] == 'train' and status == 1: args = [*args, '--out', str(tmp_path)]
    _, err = copl(*args, check=status)
    assert message in err
    if status == 1: assert err.strip().splitlines()[-1].startswith('copl: error: ')


def test_a_warning_is_said_once_in_a_command(monkeypatch):
    def noisy(self):
        for _ in range(2):
            with warnings.catch_warnings(): pass          # Python forgets what it has shown
            warnings.warn('odd features', stacklevel=1)
    monkeypatch.setattr('copl.cli.Demo.__call__', noisy)
    assert [copl('demo')[1] for _ in range(2)] == ['copl: warning: odd features\n']*2


@pytest.mark.parametrize('video', ['sim_train_0003', 'sim_test_0030'])
def test_broken_features_stop_training_before_it_starts(tmp_path, small_data, video):
    folder = shutil.copytree(small_data, tmp_path/'features')
    x = np.load(folder/f'flow/{video}.npy')
    x[5, 7] = np.inf
    np.save(folder/f'flow/{video}.npy', x)
    _, err = copl('train', folder, '--n-classes', 3, *QUICK, '--out', tmp_path/'run', check=1)
    assert f"'{video}', flow, snippet 5, channel 7: found inf" in err
    assert not (tmp_path/'run/checkpoint.pt').exists()


def test_a_warning_where_a_map_gives_two_clusters_one_name(tmp_path):
    truth = {'v': {'subset': 'test', 'annotations': [{'segment': [0, 10], 'label': 'jump'}]}}
    (tmp_path/'gt.json').write_text(json.dumps({'database': truth}))
    found = pd.DataFrame({'video': 'v', 'start': 0., 'end': [10., 10., 9.], 'score': [.9, .8, .7],
                          'label': ['cluster_01', 'cluster_03', 'run']})
    found.to_csv(tmp_path/'found.csv', index=False)
    (tmp_path/'names.csv').write_text('cluster,name\n1,jump\n3,jump\n')
    out, err = copl('evaluate', tmp_path/'found.csv', tmp_path/'gt.json', '--map',
                    tmp_path/'names.csv')
    assert "cluster_01, cluster_03 are all named 'jump': NMS did not compare" in err
    assert 'average  100.00' in out and err.count('are all named') == 1
