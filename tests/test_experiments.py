"Simulated sets and experiments: what crosses modules, files and environment variables."
import itertools
import json
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from copl import (
    CoplError,
    anet_like,
    save_videos,
    simulate,
    thumos_like,
)
from copl.data import stored_simulation
from copl.experiments import (
    TODAY,
    Scale,
    behaviour_changes,
    behaviour_numbers,
    kept,
    measure,
    paired,
    scale,
    shown_sets,
    world_of,
)
from copl.losses import loss_ci
from copl.plri import confidence_scores
from copl.reproduction import known_set, reproduce
from copl.simulation import Simulation
from copl.statistics import best_of, mean_std

from . import timelines
from .small_runs import command


def few(seed=0):
    return simulate(Simulation(n_train=8, n_test=4, n_classes=2, dim=4, max_length=20), seed)


AT = Scale('small', {'thumos': few}, {'thumos': dict(hidden=4, snippets=8, epoch_num=1,
                                                     iteration_num=1)}, {'thumos': (0, 1)})


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


def test_full_size_sets_have_the_sizes_of_the_real_ones():
    videos = thumos_like(dim=1)
    train, test = videos.split()
    assert (len(train), len(test), len(videos.annotations.classes)) == (200, 210, 20)
    doubled = videos.annotations.segments.groupby(['video', 'start', 'end']).label.agg(set)
    assert any(labels == {'sim_CliffDiving', 'sim_Diving'} for labels in doubled)


def test_channels_change_nothing_about_time():
    one, other = (simulate(Simulation(dim=d), seed=5) for d in (1, 8))
    pd.testing.assert_frame_equal(one.annotations.segments, other.annotations.segments)


def test_a_broken_cache_is_an_error_that_names_the_file(tmp_path):
    spec = Simulation(n_train=6, n_test=6)
    stored_simulation(spec, 0, 'x', tmp_path/'set', verbose=False)
    (tmp_path/'set'/'rgb.npy').write_bytes((tmp_path/'set'/'rgb.npy').read_bytes()[:500])
    with pytest.raises(CoplError, match='rgb.npy'): stored_simulation(spec, 0, 'x', tmp_path/'set')


def test_the_real_scale_reads_features_from_copl_data(tmp_path, monkeypatch):
    monkeypatch.setenv('COPL_CACHE', str(tmp_path/'cache'))
    monkeypatch.delenv('COPL_DATA', raising=False)
    with pytest.raises(CoplError, match='COPL_DATA is not set'): scale('real')
    monkeypatch.setenv('COPL_DATA', str(tmp_path))
    with pytest.raises(CoplError, match='expected the folder thumos14 or anet12'): scale('real')
    save_videos(few(), tmp_path/'thumos14')
    at = replace(scale('real'), options=AT.options)
    with warnings.catch_warnings(action='ignore'):
        results = measure(at, 'thumos', {'COPL': {}}, seeds=(0, 1))
    assert (results.data.str.startswith('thumos14: ').all() and
            'Real features' in at.card(results))
    assert '±' in mean_std(results, {'purity': 1}).purity['COPL']
    kept = [json.loads(p.read_text()) for p in (tmp_path/'cache').rglob('result.json')]
    assert len(kept) == 2 and all(len(rows) == 1 and 'mAP@0.50' in rows[-1] for rows in kept)


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
    monkeypatch.delenv('COPL_SCALE', raising=False)
    return tmp_path


@pytest.mark.filterwarnings('ignore')
def test_rows_are_measured_where_asked_and_shown_elsewhere(beside, monkeypatch):
    with pytest.raises(CoplError, match=r"rows-small-thumos.csv: no rows of set 'thumos', "
                                        r"method 'COPL', seed 0 .* COPL_SCALE=small measures"):
        measure(AT, 'thumos', {'COPL': {}}, keep=True)
    monkeypatch.setenv('COPL_SCALE', 'small')
    made = measure(AT, 'thumos', {'COPL': {}}, keep=True)
    monkeypatch.delenv('COPL_SCALE')
    monkeypatch.setattr('copl.experiments.run', None)            # nothing can be measured
    shown = measure(AT, 'thumos', {'COPL': {}}, keep=True)
    assert shown.purity.tolist() == pytest.approx(made.purity.tolist())
    assert shown.truth_sha256.str.len().eq(64).all()
    # rows of another version are shown, under its tag, and stay where today's are measured
    path = beside/'results/rows-small-thumos.csv'
    path.write_text(path.read_text().replace(f',{TODAY},', ',0.1.0,'))
    shown = measure(AT, 'thumos', {'COPL': {}}, keep=True)
    assert set(shown.behaviour) == {'0.1.0'}
    assert f"copl 0.1.0 (losses of that version; today's is {TODAY})" in AT.card(shown)
    monkeypatch.setenv('COPL_SCALE', 'small')
    with pytest.raises(TypeError): measure(AT, 'thumos', {'COPL': {}}, keep=True)
    monkeypatch.undo()
    monkeypatch.chdir(beside)
    monkeypatch.setenv('COPL_CACHE', str(beside/'cache'))
    monkeypatch.setenv('COPL_SCALE', 'small')
    measure(AT, 'thumos', {'COPL': {}}, (0,), keep=True)
    monkeypatch.delenv('COPL_SCALE')
    assert pd.read_csv(path, dtype=str).groupby('behaviour').seed.nunique().to_dict() == {
        '0.1.0': 2, TODAY: 1}
    for seeds, tag in (((0,), TODAY), (None, '0.1.0')):          # never two versions in one table
        assert set(measure(AT, 'thumos', {'COPL': {}}, seeds, keep=True).behaviour) == {tag}


@pytest.mark.filterwarnings('ignore')
def test_what_is_there_is_shown_where_a_table_may_have_holes(beside):
    measure(AT, 'thumos', {'COPL': {}}, (0,), keep=beside/'results')
    both = {'COPL': {}, 'another': dict(alpha=.2)}
    with pytest.raises(CoplError, match="no rows of .*'another'"):
        measure(AT, 'thumos', both, (0,), keep=True)
    assert set(measure(AT, 'thumos', both, (0,), keep=True, partly=True).method) == {'COPL'}
    with pytest.raises(CoplError, match="no rows of .*'another'"):
        measure(AT, 'thumos', {'another': dict(alpha=.2)}, (0,), keep=True, partly=True)


def test_real_clips_are_two_sets_and_the_final_one_stays_shut(monkeypatch, tmp_path):
    monkeypatch.delenv('COPL_SCALE', raising=False)
    monkeypatch.setenv('COPL_DATA', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    at = scale('clips')
    assert {key: world_of(at, key) for key in at.sets} == {
        'clips': 'real clips, composed', 'sparse': 'real clips, sparse'}
    with pytest.raises(CoplError, match='expected COPL_DATA to hold ucf101_clips/sparse1'):
        at.sets['sparse'](0)
    with pytest.raises(CoplError, match='only COPL_SCALE=frozen opens them'):
        scale('frozen').sets['frozen'](0)
    assert shown_sets(at) == []
    (tmp_path/'results').mkdir()
    (tmp_path/'results/rows-clips-sparse.csv').touch()
    assert shown_sets(at) == ['sparse']


@pytest.mark.filterwarnings('ignore')
def test_rows_of_other_options_do_not_pass(beside):
    measure(AT, 'thumos', {'COPL': {}}, (0,), keep=beside/'results')
    with pytest.raises(CoplError, match='with these options'):
        measure(AT, 'thumos', {'COPL': dict(alpha=.2)}, (0,), keep=True)


def test_what_a_figure_is_made_of_is_kept(beside, monkeypatch):
    table = pd.DataFrame({'x': [1., 2.]})
    with pytest.raises(CoplError, match='COPL_SCALE=small makes it'): kept('figure', AT)
    monkeypatch.setenv('COPL_SCALE', 'small')
    kept('figure', AT, lambda: table)
    monkeypatch.delenv('COPL_SCALE')
    shown = kept('figure', AT, lambda: pytest.fail('made again'))
    assert shown.x.tolist() == [1, 2] and set(shown.behaviour) == {TODAY}


def test_paired_videos_keep_their_subsets_and_truth():
    videos = few()
    pairs = paired(videos, 3)
    assert len(pairs) == 6 and paired(videos, 3).names == pairs.names != paired(videos, 4).names
    assert set(pairs.annotations.videos.subset.value_counts().items()) == {('train', 4),
                                                                           ('test', 2)}
    for name in pairs.names:
        a, b = name.split('+')
        alone = videos.annotations.segments
        n = (alone.video == a).sum()
        own = pairs.annotations.select([name]).segments
        first = alone[alone.video == a]
        second = alone[alone.video == b]
        later = videos.grid.duration(int(videos.lengths[videos.names.index(a)]))
        assert own.start[:n].tolist() == first.start.tolist()
        assert own.end[n:].tolist() == pytest.approx((second.end + later).tolist())
        assert own.label.tolist() == [*first.label, *second.label]


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
def test_reproduction_is_a_page_of_all_tables_and_figures(beside):
    out = reproduce(few(), beside/'out', seeds=1, hidden=4, snippets=8, epoch_num=1,
                    iteration_num=2)
    page = out.read_text()
    assert 'SIMULATED' in page and 'as PUBLISHED' in page and page.count('<img') == 4
    rows = pd.read_csv(beside/'out/rows-stand-in-thumos.csv')
    assert rows.groupby('method').seed.nunique().eq(1).all() and rows.method.nunique() == 14


def test_reproduce_from_the_command_line(beside, monkeypatch):
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
