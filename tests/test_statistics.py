"What decides claims: intervals, words, and the facts that tables and figures are made of."
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from copl.config import PRESETS, Config, config_to_dict
from copl.estimator import _quality
from copl.evaluation import clustering_scores
from copl.experiments import THRESHOLDS, DataSet, attention_auc
from copl.figure_a import confidence_counts, confidence_facts, confidence_moves
from copl.figure_b import KINDS, feature_spaces, silhouette_differences, silhouettes_table
from copl.plri import CLUSTERINGS
from copl.reproduction import reproduce
from copl.statistics import (
    CLAIM_WORDS,
    as_text,
    contrasts,
    contrasts_table,
    forest_plot,
    last_round,
    mean_std,
    paired_difference,
    paired_steps,
    t_interval,
    word,
)
from copl.table_a import PART_METHODS, PARTS, ceiling, clusters_table, rounds_figure
from copl.table_b import SWEEP, delta_table
from copl.videos import Annotations, TimeGrid, VideoSet


def runs(seeds=8, **purity):
    "Rows of two rounds; `purity` gives the last round of each method, by seed or for all seeds."
    rng = np.random.default_rng(0)
    noise = rng.normal(0, .1, seeds)                       # of a seed, for all methods
    rows = [{'set': 'toy', 'method': m, 'seed': s, 'round': n, 'agreement': .5,
             'purity': .1 if n == 0 else noise[s] + np.broadcast_to(p, seeds)[s]}
            for m, p in purity.items() for s in range(seeds) for n in (0, 1)]
    return pd.DataFrame(rows)


def annotated(features, labels, n_train, span=(0, 1)):
    "Videos with one instance each, in these snippets; the first n_train are for training."
    grid = TimeGrid()
    names = [f'v{i}' for i in range(len(features))]
    parts = ['train']*n_train + ['test']*(len(names) - n_train)
    start, end = map(grid.edges, span)
    truth = Annotations(
        pd.DataFrame({'video': names, 'start': start, 'end': end, 'label': labels}),
        pd.DataFrame({'video': names, 'subset': parts, 'duration': grid.duration(20)}))
    return VideoSet(names, features, grid, truth)


@pytest.mark.parametrize('n', [3, 10])
def test_the_interval_holds_the_mean_as_often_as_it_says(n):
    samples = np.random.default_rng(n).normal(.04, .06, (500, n))
    held = [low <= .04 <= high for _, low, high, _ in map(t_interval, samples)]
    assert np.mean(held) == pytest.approx(.95, abs=.025)


def test_the_interval_of_four_numbers_by_hand():
    mean, low, high, n = t_interval([1, 2, 3, 4, np.nan])
    reach = 3.182446*np.std([1, 2, 3, 4], ddof=1)/2        # t with 3 degrees of freedom: a table's
    assert (mean, low, high, n) == (2.5, pytest.approx(2.5 - reach), pytest.approx(2.5 + reach), 4)
    assert t_interval([.1, .1]) == (.1, .1, .1, 2)
    assert t_interval([.3])[3] == 1 and np.isnan(t_interval([.3]).low)
    assert t_interval([]).n == 0 and np.isnan(t_interval([]).mean)


STEADY = np.array([.11, .09, .12, .08, .1, .1, .09, .11])
WILD = np.array([.9, -.5, .6, -.4, .5, -.6, .7, -.4])      # the mean is positive


@pytest.mark.parametrize('difference, words', [
    (STEADY, ('more', CLAIM_WORDS[0])), (-STEADY, ('less', CLAIM_WORDS[1])),
    (WILD, ('undecided',)*2), (STEADY[:7], ('too few seeds',)*2)])
def test_sign_and_word_of_a_step(difference, words):
    rows = runs(len(difference), a=.3, b=.3 + difference, c=.7)
    step = paired_difference(last_round(rows), 'b', 'a', 'purity')
    assert step.mean == pytest.approx(difference.mean()) and step.n == len(difference)
    assert (word(step), word(step, CLAIM_WORDS)) == words
    told = paired_steps(last_round(rows), {'b over a': ('b', 'a')}, {'purity': 1}).purity.iloc[0]
    assert told.startswith(f'{difference.mean():+.3f} [')
    assert told.endswith(f'] {words[0]}, n = {len(difference)}')


def test_a_difference_is_between_the_same_seeds_and_says_its_number():
    rows = last_round(runs(a=.3, b=.4))
    some = rows[(rows.method != 'b') | (rows.seed < 3)]
    assert paired_difference(some, 'b', 'a', 'purity')[::3] == (pytest.approx(.1), 3)
    assert as_text(paired_difference(some, 'nothing', 'a', 'purity')) == '-'
    assert as_text(t_interval([.2])) == '+0.200 too few seeds, n = 1'
    assert as_text(t_interval([3.] * 8), 1, ' points') == '+3.0 [+3.0, +3.0] points more, n = 8'


def test_the_last_round_and_mean_and_deviation_by_hand():
    rows = pd.DataFrame({'set': 'x', 'method': 'a', 'seed': [0, 0, 1, 1], 'round': [0, 1, 0, 1],
                         'purity': [.1, .5, .2, .7]})
    assert last_round(rows).purity.tolist() == [.5, .7]
    assert mean_std(rows, {'purity': 1}).purity['a'] == '0.600 ± 0.141'
    assert mean_std(rows, {'purity': 100}, last=False).purity['a'] == '37.5 ± 27.5'
    assert mean_std(rows[:2], {'purity': 1}).purity['a'] == '0.500'


def test_both_contrasts_of_each_part():
    levels = dict.fromkeys(PART_METHODS, .5) | {'conventional + HAS': .7, 'COPL': .6,
                                                'COPL w/o L_C': .65}
    del levels['conventional + HAS + PLRI + L_CO']
    final = last_round(runs(**levels))
    table = contrasts(final, PARTS, 'purity', 100)
    assert table['mean'].round(6).to_dict() | {('L_CO', 'added'): None} == {
        ('HAS', 'added'): 20, ('HAS', 'within COPL'): 10, ('PLRI', 'added'): -20,
        ('PLRI', 'within COPL'): 10, ('IOCNet', 'added'): 0, ('IOCNet', 'within COPL'): 10,
        ('L_CI', 'added'): 0, ('L_CI', 'within COPL'): 10, ('L_C', 'added'): 0,
        ('L_C', 'within COPL'): -5, ('L_CO', 'added'): None,
        ('L_CO', 'within COPL'): 10, ('teacher and shift', 'added'): 0,
        ('teacher and shift', 'within COPL'): 10}
    assert table.n['L_CO', 'added'] == 0 and (table.n.drop(('L_CO', 'added')) == 8).all()
    assert contrasts_table(table).loc['L_CO', 'added'] == '-'
    fig = forest_plot({'one': table, 'another': table}, 'purity, points')
    assert [ax.get_title() for ax in fig.axes] == ['one', 'another']
    assert fig.get_supxlabel() == 'difference in purity, points (above 0: better)'
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == list(PARTS)
    assert [t.get_text() for t in fig.legends[0].get_texts()] == ['added', 'within COPL']
    assert len(fig.axes[0].texts) == 13                    # n beside each marker
    one = contrasts(final, {'HAS': {'difference': ('COPL', 'conventional + HAS')}}, 'purity')
    fig = forest_plot({'one': one}, 'purity')
    assert not fig.legends and len(fig.axes[0].texts) == 1
    fig = forest_plot(dict.fromkeys('abcd', one), 'purity')   # three a row
    assert [ax.get_title() for ax in fig.axes] == ['a', 'b', 'c', 'd', '', '']
    assert [ax.axison for ax in fig.axes] == [True]*4 + [False]*2


def test_parts_are_added_to_the_loop_without_them_and_taken_away_from_copl():
    def differ(a, b):
        one, other = (config_to_dict(Config(2, **PART_METHODS[m])) for m in (a, b))
        return {name for name in one if one[name] != other[name]}
    fields = {part: {k: differ(*pair) for k, pair in pairs.items()}
              for part, pairs in PARTS.items()}
    one = {'HAS': {'attention'}, 'PLRI': {'select'}, 'teacher and shift': {'shift', 'gamma'},
           'IOCNet': {'losses', 'shift', 'gamma'}}
    assert fields == {part: dict.fromkeys(('added', 'within COPL'), one.get(part, {'losses'}))
                      for part in PARTS}


def test_a_method_has_one_colour_in_all_panels_of_the_rounds():
    fig = rounds_figure({'one': runs(a=.6, b=.3), 'two': runs(b=.5), 'three': runs(c=.2, b=.1)})
    drawn = [{line.get_label(): line.get_color() for line in ax.lines if len(line.get_xdata())}
             for ax in fig.axes]
    assert [set(colors) for colors in drawn] == [{'a', 'b'}, {'b'}, {'b', 'c'}]
    assert len({colors['b'] for colors in drawn}) == 1 and drawn[2]['c'] != drawn[0]['a']
    assert [t.get_text() for t in fig.axes[-1].get_legend().get_texts()] == ['a', 'b', 'c']


def test_mean_pooling_is_the_first_round_of_copl_in_table_a():
    rows = runs(COPL=.6, conventional=.3).assign(nmi=.5, ari=.5)
    table = clusters_table(rows, rows[:1].assign(method='ceiling'))
    assert table.purity['mean pooling'] == '0.100 ± 0.000'
    assert table.purity['COPL'] == mean_std(rows, {'purity': 1}).purity['COPL']


def test_the_ceiling_pools_annotated_action_alone():
    rng = np.random.default_rng(0)
    looks = np.eye(8, dtype=np.float32)
    features = []
    for i in range(24):                                    # 16 of 20 snippets show a scene
        x = np.repeat(5*looks[4 + i//2 % 2][None], 20, 0)
        x[8:12] = looks[i % 2]
        features.append(x + .1*rng.standard_normal(x.shape).astype(np.float32))
    videos = annotated(features, list('ab'*12), 20, (8, 12))
    rows = ceiling(DataSet('x', '', lambda seed: videos, {}, range(2)))
    assert rows.purity.tolist() == [1, 1] and rows.seed.tolist() == [0, 1]
    y = CLUSTERINGS['spectral'](np.stack([x.mean(0) for x in features[:20]]), Config(2))
    assert clustering_scores(y, videos.labels()[:20])['purity'] < .7


def test_activitynet_is_told_at_075():
    rows = pd.concat([pd.DataFrame({
        'set': 'anet', 'method': m, 'seed': range(5), 'round': 0, 'mAP@0.50': .5, 'mAP@0.75': .75,
        'mAP': .4, 'mAP_whole': .1, 'purity': .9, 'fraction_P': 1., 'agreement': .5})
        for m in SWEEP])
    table = delta_table(rows)
    assert table['mAP@0.75']['COPL'] == '75.0 ± 0.0' and 'mAP@0.50' not in table


def bins(seed, rows):
    "Of one seed: round, lower edge of the bin, videos, how many of them are right."
    return pd.DataFrame(rows, columns=['round', 'low', 'n', 'right']).assign(set='x', seed=seed)


def test_facts_of_figure_a_on_four_videos():
    part = pd.concat([bins(0, [(0, .1, 2, 2), (0, .0, 1, 0), (0, -.2, 1, 0), (3, .3, 4, 3)]),
                      bins(1, [(0, -.01, 4, 1), (3, -.11, 4, 2)])])
    facts = confidence_facts(part)
    first = facts.loc[0, 0]
    assert first['mean s'] == pytest.approx((2*.105 + .005 - .195)/4)
    assert (first['share below 0'], first['right']) == (.25, .5)
    assert (first['right above'], first['right below']) == (pytest.approx(2/3), 0)
    assert np.isnan(facts.loc[3, 0]['right below']) and facts.loc[3, 1]['right below'] == .5
    assert confidence_moves(part).tolist() == pytest.approx([.305 - .005, -.105 + .005])


FOUR = DataSet('x', '', None, {}, (1, 2))                  # two videos of each class


@pytest.fixture
def fitted(monkeypatch):
    "In place of runs: what Figures A and B look at."
    train = annotated([np.ones((5, 2), np.float32)]*4, list('aabb'), 4)
    def models(data):
        for seed in data.seeds:
            rounds = [(np.array([1, 1, 0, 1]), np.array([.201, .209, .305, -.095])),
                      (np.array([0, 0, 1, 1]), np.full(4, .505) + [0, 0, 0, seed/10])]
            yield seed, train, SimpleNamespace(iterations_=rounds, config=Config(2),
                                               network_=None)
    monkeypatch.setattr('copl.figure_a.fitted_models', models)
    monkeypatch.setattr('copl.figure_b.fitted_models', models)


def test_figure_a_counts_videos_in_bins_and_those_that_are_right(fitted):
    counts = confidence_counts(FOUR)
    first = counts[(counts.seed == 1) & (counts['round'] == 0)]
    assert first[['low', 'n', 'right']].to_numpy() == pytest.approx(
        np.array([[-.1, 1, 0], [.2, 2, 2], [.3, 1, 1]]))   # the second b lies with the two a
    last = counts[(counts.seed == 2) & (counts['round'] == 1)]
    assert last[['low', 'n', 'right']].to_numpy() == pytest.approx(
        np.array([[.5, 3, 3], [.7, 1, 1]]))
    assert confidence_facts(counts).loc[(0, 1), 'right'] == .75


def test_figure_b_measures_silhouettes_of_four_videos(fitted, monkeypatch):
    angles = {'mean pooling': np.array([0, .25, .5, .25]), '(a) unfiltered attention':
              np.array([0, .25, .75, .5]), '(b) HAS': np.array([0, 0, .5, .5])}
    F = {KINDS[k]: np.stack([np.cos(np.pi*a), np.sin(np.pi*a)], 1) for k, a in angles.items()}
    monkeypatch.setattr('copl.figure_b.describe', lambda videos, network, attention, config:
                        SimpleNamespace(F=F[attention]))
    found = feature_spaces(FOUR)
    assert found.seed.tolist() == [1]*3 + [2]*3
    # cosine distances: d of an eighth of a turn, 1 of a quarter, 2 - d of three eighths
    d = 1 - .5**.5
    outer, inner = 1 - d/((2 - d + 1)/2), 1 - d/((d + 1)/2)
    by_kind = found[found.seed == 1].set_index('attention')['all classes']
    assert by_kind['(a) unfiltered attention'] == pytest.approx((outer + inner)/2)
    assert by_kind['mean pooling'] == pytest.approx((inner - 1/2)/2)
    assert by_kind['(b) HAS'] == pytest.approx(1)
    assert (found['six classes'] == found['all classes']).all()


def test_silhouettes_are_compared_within_a_seed():
    part = pd.DataFrame({'seed': [0, 0, 0, 1, 1, 1], 'attention': list(KINDS)*2,
                         'all classes': [.2, .3, .5, .4, .45, .3]})
    part = pd.concat([part, pd.DataFrame({'seed': [0], 'attention': ['(b) HAS'], 'x': [1.]})])
    assert silhouette_differences(part, '(b) HAS', 'mean pooling').tolist() == pytest.approx(
        [.3, -.1])
    table = silhouettes_table(part)
    assert table['(b) HAS'] == '0.400'
    assert table['(a) unfiltered attention over mean pooling'].startswith('+0.075 [')
    assert table['(b) HAS over (a) unfiltered attention'].startswith('+0.025 [')


@pytest.mark.parametrize('which, preset', [('anet', PRESETS['activitynet']), ('thumos', {})])
def test_reproduction_takes_the_settings_of_the_data_set(which, preset, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr('copl.reproduction.measure', lambda data, *_, **__: asked.append(data))
    monkeypatch.setattr('copl.reproduction._page', lambda *_: None)
    videos = annotated([np.ones((5, 2), np.float32)]*2, 'x', 1)
    reproduce(videos, tmp_path, which, epoch_num=3)
    [data] = asked
    assert data.options == {**preset, 'epoch_num': 3} and data.tiou == THRESHOLDS[which]


def test_the_two_kinds_of_attention_have_an_auc_each(monkeypatch):
    action = torch.tensor([0., 0, 1, 1, 0, 0])
    out = SimpleNamespace(cas=torch.stack([action, action], -1), attention=(1 - action)[None])
    monkeypatch.setattr('copl.experiments.full_length', lambda videos, network: [(None, out)])
    videos = annotated([np.ones((6, 2), np.float32)], 'x', 1, (2, 4))
    assert attention_auc(videos, None) == {'cs': 1, 'ca': 0}


def test_videos_without_a_label_count_in_neither_purity():
    found = _quality(SimpleNamespace(y=np.array([0, 0, 0, 1, 1, 1, 1]),
                                     selected=np.array([1, 0, 1, 1, 0, 0, 0], bool)),
                     ['a', 'a', None, 'b', 'b', 'a', None])
    assert (found['purity_P'], found['purity_U']) == (1, pytest.approx(2/3))
