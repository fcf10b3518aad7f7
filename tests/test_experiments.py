"Simulated sets and experiments: what crosses modules, files and environment variables."
import json
import warnings
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from copl import CoplError, anet_like, save_videos, simulate, thumos_like, tiny
from copl.data import stored_simulation
from copl.experiments import holding, mean_std, measure, scale
from copl.simulation import Simulation

from . import timelines


def test_the_table_of_timelines_is_what_the_script_measures(real_data):
    data = real_data('thumos14').parent
    real_data('anet12')
    assert timelines.dumps(timelines.main(data)) == timelines.OUT.read_text(encoding='utf-8')


def test_large_sets_are_written_once_into_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('COPL_CACHE', str(tmp_path))
    first = anet_like(seed=3, dim=1)
    made = {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*.npy')}
    again = anet_like(seed=3, dim=1)
    assert len(made) == 2
    assert made == {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*.npy')}
    assert again.sha256 == first.sha256 and again.source == 'sim:anet'
    assert ([len(part) for part in again.split()] == [4819, 2383] and
            len(again.annotations.classes) == 100)


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
    save_videos(tiny(), tmp_path/'thumos14')
    at = scale('real')
    at = replace(at, options={'thumos': dict(hidden=16, snippets=32, epoch_num=1)})
    with warnings.catch_warnings(action='ignore'):
        results = measure(at, 'thumos', {'COPL': {}}, seeds=(0, 1))
    assert (results.data.str.startswith('thumos14: ').all() and
            'Real features' in at.card(results))
    assert '±' in mean_std(results, {'purity': 1}).purity['COPL']
    kept = [json.loads(p.read_text()) for p in (tmp_path/'cache').rglob('result.json')]
    assert len(kept) == 2 and all(len(rows) == 4 and 'mAP@0.50' in rows[-1] for rows in kept)


STAMPED = sorted((Path(__file__).parents[1]/'nbs/results').glob('rows-*.csv'))


@pytest.mark.parametrize('path', STAMPED, ids=lambda p: p.stem)
def test_raw_rows_are_by_todays_code_or_by_code_listed_as_harmless(path):
    rows = pd.read_csv(path, dtype=str)
    assert set(rows.code) <= holding(), 'measure again, or list the change in HARMLESS'
    for column in ('commit', 'data_sha256', 'truth_sha256', 'device', 'torch', 'date', 'seconds'):
        assert rows[column].notna().all()
    # one run of each method and seed, with all its rounds
    runs = rows.groupby(['set', 'method', 'seed'])
    assert (runs['round'].apply(lambda r: sorted(map(int, r)) == list(range(len(r))))).all()
    assert (runs[['code', 'fields', 'commit']].nunique() == 1).all(axis=None)
