"Simulated sets and experiments: what crosses modules, files and environment variables."
import itertools
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from copl import CoplError, anet_like, save_videos, simulate, thumos_like, tiny
from copl.data import stored_simulation
from copl.experiments import (
    SETS,
    TODAY,
    DataSet,
    behaviour_changes,
    behaviour_numbers,
    kept,
    measure,
    measuring,
    shown_sets,
    table_rows,
)
from copl.losses import loss_ci
from copl.plri import confidence_scores
from copl.reproduction import _ROWS, known_set, reproduce
from copl.simulation import Simulation, simulated
from copl.statistics import best_of

from . import timelines
from .small_runs import command


def few(seed=0):
    return simulate(Simulation(n_train=8, n_test=4, n_classes=2, dim=4, max_length=20), seed)


FEW = DataSet('small', 'simulated', few, dict(hidden=4, snippets=8, epoch_num=1,
                                              iteration_num=1), (0, 1))


def test_the_table_of_timelines_is_what_the_script_measures(real_data):
    data = real_data('thumos14').parent
    real_data('anet12')
    assert timelines.dumps(timelines.main(data)) == timelines.OUT.read_text(encoding='utf-8')


def test_large_sets_are_written_once_into_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('COPL_CACHE', str(tmp_path))
    asked = []
    def smaller(spec, *args):
        asked.append(spec)
        return stored_simulation(replace(spec, n_train=9, n_test=3, n_classes=2), *args)
    monkeypatch.setattr('copl.data.stored_simulation', smaller)
    first = anet_like(seed=3, dim=1)
    made = {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*.npy')}
    again = anet_like(seed=3, dim=1)
    assert len(made) == 2
    assert made == {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*.npy')}
    assert again.sha256 == first.sha256 and again.source == 'sim:anet'
    assert {(s.n_train, s.n_test, s.n_classes, s.dim) for s in asked} == {(4819, 2383, 100, 1)}
    anet_like(seed=4, dim=1)
    assert len([*tmp_path.rglob('*.npy')]) == 4


def test_full_size_sets_have_the_sizes_of_the_real_ones(monkeypatch):
    monkeypatch.setattr('copl.simulation.simulate', lambda spec, *args: spec)
    spec = tiny()
    assert (spec.n_train, spec.n_test, spec.n_classes) == (72, 36, 6)
    *_, truth = simulated(thumos_like(dim=1))             # without making their features
    counts = truth.videos.subset.value_counts()
    assert (counts.train, counts.test, len(truth.classes)) == (200, 210, 20)
    doubled = truth.segments.groupby(['video', 'start', 'end']).label.agg(set)
    assert any(labels == {'sim_CliffDiving', 'sim_Diving'} for labels in doubled)


def test_channels_change_nothing_about_time():
    one, other = (simulated(Simulation(dim=d), seed=5)[-1].segments for d in (1, 8))
    pd.testing.assert_frame_equal(one, other)


def test_a_broken_cache_is_an_error_that_names_the_file(tmp_path):
    spec = Simulation(n_train=6, n_test=6)
    stored_simulation(spec, 0, 'x', tmp_path/'set', verbose=False)
    (tmp_path/'set'/'rgb.npy').write_bytes((tmp_path/'set'/'rgb.npy').read_bytes()[:500])
    with pytest.raises(CoplError, match='rgb.npy'): stored_simulation(spec, 0, 'x', tmp_path/'set')


STAMPED = sorted((Path(__file__).parents[1]/'nbs/results').glob('rows-*.csv'))


@pytest.mark.parametrize('path', STAMPED, ids=lambda p: p.stem)
def test_raw_rows_say_what_they_were_measured_with(path):
    rows = pd.read_csv(path, dtype=str)
    for column in ('behaviour', 'commit', 'data_sha256', 'truth_sha256', 'device', 'torch', 'date',
                   'seconds'):
        assert rows[column].notna().all()
    assert not rows.behaviour.str.contains('+', regex=False).any(), 'a version without a tag'
    # one run of each method and seed by each version, with all its rounds
    runs = rows.groupby(['set', 'method', 'seed', 'behaviour'])
    assert (runs['round'].apply(lambda r: sorted(map(int, r)) == list(range(len(r))))).all()
    assert (runs[['fields', 'commit']].nunique() == 1).all(axis=None)


def test_this_version_does_what_its_tag_says():
    changes = behaviour_changes()
    assert not changes, f'{changes}: python -m tests.behaviour NEW_TAG, and measure again'


OTHER_CPU = {'ATEN_CPU_CAPABILITY': 'default', 'ONEDNN_MAX_CPU_ISA': 'SSE41',
             'OPENBLAS_CORETYPE': 'Nehalem', 'OMP_NUM_THREADS': '2'}


def test_the_tag_does_not_depend_on_the_cpu():
    code = 'from copl.experiments import behaviour_changes as c; print(list(c(rtol=1e-4)))'
    found = subprocess.run([sys.executable, '-c', code], env=os.environ | OTHER_CPU,
                           capture_output=True, text=True, check=True)
    assert found.stdout.strip() == '[]'


@pytest.mark.parametrize('where, changed', [
    ('copl.losses.loss_ci', lambda out, weight: 1.01*loss_ci(out, weight)),
    ('copl.algorithm.confidence_scores', lambda F, y: .99*confidence_scores(F, y))])
def test_a_changed_result_is_noticed(where, changed, monkeypatch):
    monkeypatch.setattr(where, changed)
    monkeypatch.setattr('copl.experiments.behaviour_numbers', behaviour_numbers.__wrapped__)
    monkeypatch.setattr('copl.experiments._PROBED', {'COPL': {}})
    moved = [k for k, (_, now) in behaviour_changes().items() if now is not None]
    assert moved and all(k.startswith('COPL: ') for k in moved)


def test_what_figures_are_made_of_says_what_it_was_measured_with():
    tables = [pd.read_csv(path, dtype=str)
              for name in ('51_table_a-ceiling-*', '53_figure_a-*', '54_figure_b-*')
              for path in (Path(__file__).parents[1]/'nbs/results').glob(f'{name}.csv')]
    tables = [t for t in tables if 'device' in t]
    assert len(tables) >= 7 and all(t.behaviour.notna().all() for t in tables)


@pytest.fixture
def beside(tmp_path, monkeypatch):
    "A folder of notebooks that keeps rows."
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('COPL_CACHE', str(tmp_path/'cache'))
    monkeypatch.delenv('COPL_MEASURE', raising=False)
    return tmp_path


@pytest.mark.filterwarnings('ignore')
def test_rows_are_measured_where_asked_and_shown_elsewhere(beside, monkeypatch):
    with pytest.raises(CoplError, match=r'rows-small.csv: no rows of COPL with these options'):
        table_rows(FEW, {'COPL': {}})
    monkeypatch.setenv('COPL_MEASURE', 'small')
    (beside/'results').mkdir()
    made = table_rows(FEW, {'COPL': {}})
    assert made.seed.tolist() == [0, 1] and set(made.behaviour) == {TODAY}
    monkeypatch.setattr('copl.experiments.run', None)            # nothing can be measured
    assert table_rows(FEW, {'COPL': {}}).purity.tolist() == pytest.approx(made.purity.tolist())
    monkeypatch.delenv('COPL_MEASURE')
    shown = table_rows(FEW, {'COPL': {}, 'another': dict(alpha=.2)})  # of what was measured
    assert shown.purity.tolist() == pytest.approx(made.purity.tolist())
    assert shown.truth_sha256.str.len().eq(64).all()
    with pytest.raises(CoplError, match='with these options'):
        table_rows(FEW, {'COPL': dict(alpha=.2)})


@pytest.mark.filterwarnings('ignore')
def test_two_versions_never_stand_in_one_table(beside, monkeypatch):
    measure(FEW, {'COPL': {}, 'another': dict(alpha=.2)}, folder=beside)
    path = beside/'rows-small.csv'
    path.write_text(path.read_text().replace(f',{TODAY},', ',0.1.0,'))
    shown = table_rows(FEW, {'COPL': {}}, beside)
    assert set(shown.behaviour) == {'0.1.0'} and 'copl 0.1.0' in FEW.card(shown)
    measure(FEW, {'COPL': {}}, (0,), beside)                     # older rows stay
    assert pd.read_csv(path, dtype=str).groupby('behaviour').seed.count().to_dict() == {
        '0.1.0': 4, TODAY: 1}
    shown = table_rows(FEW, {'COPL': {}, 'another': dict(alpha=.2)}, beside)
    assert set(shown.behaviour) == {TODAY} and shown.seed.tolist() == [0]


def test_the_final_set_stays_shut_and_sets_are_known(beside, monkeypatch):
    monkeypatch.setenv('COPL_DATA', str(beside))
    with pytest.raises(CoplError, match='expected COPL_DATA to hold ucf101_clips/sparse1'):
        SETS['sparse1'].load(0)
    with pytest.raises(CoplError, match='only COPL_MEASURE=set2 opens it'): SETS['set2'].load(0)
    assert shown_sets('set2', 'sparse1') == []
    (beside/'results').mkdir()
    (beside/'results/rows-sparse1.csv').touch()
    assert shown_sets('set2', 'sparse1') == [SETS['sparse1']]
    monkeypatch.setenv('COPL_MEASURE', 'set2')
    assert shown_sets('set2', 'set1') == [SETS['set2']] and not measuring('set1')
    monkeypatch.setenv('COPL_MEASURE', 'set3')
    with pytest.raises(CoplError, match="COPL_MEASURE is 'set3', expected one of set2, set1"):
        measuring('set1')


def test_what_a_figure_is_made_of_is_kept(beside, monkeypatch):
    table = pd.DataFrame({'x': [1., 2.]})
    with pytest.raises(CoplError, match='COPL_MEASURE=small makes it'): kept('figure', FEW)
    monkeypatch.setenv('COPL_MEASURE', 'small')
    (beside/'results').mkdir()
    with pytest.raises(CoplError, match='found no file'): kept('figure', FEW)   # only shows
    kept('figure', FEW, lambda: table)
    monkeypatch.delenv('COPL_MEASURE')
    shown = kept('figure', FEW, lambda: pytest.fail('made again'))
    assert shown.x.tolist() == [1, 2] and set(shown.behaviour) == {TODAY}


def test_a_set_without_test_videos_is_refused():
    data = replace(FEW, load=lambda seed: few(seed).subset('train'))
    with pytest.raises(CoplError, match='sim:.*: found no annotated test videos'):
        measure(data, {'COPL': {}})


def test_the_best_of_five_is_the_mean_over_all_choices():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({'method': 'a', 'seed': range(7), 'agreement': rng.random(7),
                         'purity': rng.random(7)})
    by_hand = [rows.loc[rows.agreement[list(c)].idxmax(), 'purity']
               for c in itertools.combinations(range(7), 5)]
    assert best_of(rows, {'purity': 100}).purity['a'] == pytest.approx(100*np.mean(by_hand))


def test_a_data_set_is_known_by_its_classes():
    assert known_set(few()) == 'thumos'
    assert known_set(simulate(Simulation('anet12', 4, 2, 2, 2))) == 'anet'
    videos = few()
    other = replace(videos.annotations, segments=videos.annotations.segments.assign(label='Juggle'))
    videos.annotations = other
    with pytest.raises(CoplError, match="'Juggle'; expected those of THUMOS'14 or ActivityNet"):
        known_set(videos)


@pytest.mark.filterwarnings('ignore')
def test_reproduction_is_a_page_of_all_tables_and_figures(beside, monkeypatch):
    some = {k: _ROWS[k] for k in ('COPL', 'conventional', 'COPL w/o PLRI', 'weak supervision')}
    monkeypatch.setattr('copl.reproduction._ROWS', some)
    out = reproduce(few(), beside/'out', seeds=1, hidden=4, snippets=8, epoch_num=1,
                    iteration_num=2)
    page = out.read_text()
    assert 'SIMULATED' in page and 'Published' in page and page.count('<img') == 5
    rows = pd.read_csv(beside/'out/rows-thumos.csv')
    assert set(rows.method) == {*some} and rows.groupby('method').seed.nunique().eq(1).all()


def test_reproduce_from_the_command_line(beside, monkeypatch):
    assert f'runs of each of the {len(_ROWS)} rows' in command('reproduce', '--help')[1]
    asked = []
    monkeypatch.setattr('copl.reproduction.reproduce',
                        lambda videos, *args, **fields: asked.append((len(videos), args, fields)))
    save_videos(few(), beside/'features')
    told = ['reproduce', '--data', beside/'features', '--out', beside/'out', '--seeds', 1,
            '--set', 'anet', '--epoch-num', 1]
    assert command(*told)[0] == 0
    assert asked == [(12, (beside/'out', 'anet', 1, True), {'epoch_num': 1})]
    status, _, err = command(*told[:2], beside/'nothing', *told[3:])
    assert status == 1 and 'nothing' in err
