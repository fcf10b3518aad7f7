"Several runs, and settings tried by short runs: what is made, what is chosen, what is said."
import json
import pickle
import re
import shutil
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

import copl.choice
from copl import COPL, BestOf, Config, CoplError, VideoSet
from copl.choice import AUTO_GRID, auto_settings, choice_sentence, combinations, compared, plans
from copl.config import config_from_dict, config_to_dict
from copl.data import save_videos
from copl.trust import Background, between_runs, verdict

from .small_runs import SMALL, TRAIN, UNSEEN, command, weights

QUICK = ['--epoch-num', 1, '--iteration-num', 2, '--hidden', 16, '--snippets', 16,
         '--n-classes', 3, '--device', 'cpu']
SAME = np.arange(20) % 3
APART = np.repeat([0, 1, 2], 7)[:20]   # has nothing in common with SAME
PLAIN = {'losses': ('cls', 'asl'), 'shift': 0., 'gamma': 0.}
GRID = {'k8': {'top_k': 8, 'lambda_streams': 5.}, 'k8-one': {'top_k': 8, 'lambda_streams': 1.},
        'k2': {'top_k': 2, 'lambda_streams': 5.}, 'k2-plain': {'top_k': 2, **PLAIN}}


@pytest.fixture
def grid(monkeypatch):
    "A small grid in place of the package's, which may change."
    monkeypatch.setattr(copl.choice, 'AUTO_GRID', GRID)


@pytest.fixture
def stub(monkeypatch):
    """A function that says what comes of each run, (agreement, pseudolabels) by its plan, without
    any training; the plans of all runs made."""
    copy = BestOf._copy
    def use(figures):
        made = []
        named = {}
        def run(model, videos, unseen, folder, after_run):
            plan = named[id(model)]
            made.append(plan)
            agreed, y = figures(plan)
            if y is None: return {'failure': 'out of memory'}, None
            model.seconds_ = 60.
            model.pseudolabels_ = y
            model.background = lambda videos: Background(np.nan, 0)
            if after_run is not None: after_run(model, folder)
            return {'agreement': agreed, 'n_unseen': 24, 'confidence': .1, 'seconds': 60.,
                    'failure': ''}, model
        def copied(self, plan, i):
            found = copy(self, plan, i)
            named[id(found)] = plan
            return found
        monkeypatch.setattr(copl.choice, '_outcome', run)
        monkeypatch.setattr(BestOf, '_copy', copied)
        return made
    return use


@pytest.fixture
def trained(monkeypatch):
    "The configurations that are really trained, one for each training."
    made = []
    real = copl.estimator.train
    def train(videos, config, *args, **options):
        made.append(config)
        return real(videos, config, *args, **options)
    monkeypatch.setattr('copl.estimator.train', train)
    return made


def model(**options): return COPL(3, **SMALL | options, device='cpu')


# The rule


def test_the_run_is_the_best_of_the_chosen_setting_and_not_of_all(stub):
    agreed = {'alpha-0.25_seed-0': .8, 'alpha-0.25_seed-1': .9, 'alpha-0.25_seed-2': .85,
              'alpha-0.5_seed-0': .99, 'alpha-0.5_seed-1': .9, 'alpha-0.5_seed-2': .95}
    unlike = [SAME, APART, np.roll(APART, 3)]
    stub(lambda plan: (agreed[plan.name], SAME if plan.options['alpha'] == .25 else
                       unlike[plan.config.seed]))
    best = BestOf(model(), 3, {'alpha': (.25, .5)}).fit(TRAIN, UNSEEN)
    assert best.options_.chosen.tolist() == [True, False]
    assert best.runs_.run[best.runs_.agreement.idxmax()] == 'alpha-0.5_seed-0'
    assert best.runs_.run[best.runs_.chosen].tolist() == ['alpha-0.25_seed-1']
    assert (best.best_.config.alpha, best.best_.config.seed) == (.25, 1)
    assert list(best.likeness_) == [f'alpha-0.25_seed-{i}' for i in range(3)]
    assert best.verdict_ == verdict(.9, 24, 1.)


def test_a_setting_counts_by_agreement_times_similarity():
    made = plans(Config(3), combinations(Config(3), {'alpha': (.25, .5, 1.)}), 3)
    same = np.repeat([0, 1, 2], 4)
    unlike = [np.random.default_rng(i).permutation(same) for i in range(3)]
    runs = pd.DataFrame({'agreement': [.3]*3 + [.5]*3 + [.05]*3, 'confidence': .3})
    table = compared(made, runs, [same, same, np.roll(same, 1)] + unlike + [same]*3)
    assert table.chosen.tolist() == [True, False, False] and table.figure.argmax() == 0
    assert table.agreement.argmax() == 1 and table.likeness.argmax() == 2
    assert table.figure.tolist() == pytest.approx(
        (table.agreement*table.likeness.clip(0)).tolist())
    apart = compared(made[:2], runs[:2], [SAME, APART])   # less alike than by chance
    assert apart.likeness.iloc[0] < 0 and apart.figure.tolist() == [0]
    lost = compared(made, runs, [None]*3 + unlike[:1]*3 + [None]*3)
    assert lost.chosen.tolist() == [False, True, False] and lost.runs.tolist() == [0, 3, 0]


def test_a_single_run_counts_by_its_agreement_and_one_left_of_several_does_not(stub):
    stub(lambda plan: (.95, SAME))
    best = BestOf(model(), 1).fit(TRAIN, UNSEEN)
    assert best.options_.figure.tolist() == [.95] and best.options_.likeness.isna().all()
    assert best.verdict_ == verdict(.95, 24) and 'nan' not in best.verdict_.why
    stub(lambda plan: (.95 if plan.options['alpha'] == .25 else .6,
                       None if plan.name == 'alpha-0.25_seed-0' else SAME))
    with pytest.warns(UserWarning) as caught:
        best = BestOf(model(), 2, {'alpha': (.25, .5)}).fit(TRAIN, UNSEEN)
    assert [str(w.message) for w in caught] == [
        'run alpha-0.25_seed-0 has failed, the other runs are kept: out of memory']
    assert best.options_.figure.tolist() == pytest.approx([0, .6])
    assert best.options_.runs.tolist() == [1, 2] and best.best_.config.alpha == .5
    assert best.runs_.failure.tolist() == ['out of memory', '', '', '']


def test_without_unseen_videos_the_choice_is_by_confidence_and_says_so(stub):
    runs = pd.DataFrame({'agreement': [np.nan]*3, 'confidence': [.1, .3, .2]})
    made = plans(Config(3), {'': {}}, 3)
    assert compared(made, runs, [SAME]*3).figure.tolist() == pytest.approx([.2])
    stub(lambda plan: (np.nan, SAME))
    with pytest.warns(UserWarning, match='compared by their confidence alone'):
        BestOf(model(), 1).fit(TRAIN)
    with warnings.catch_warnings(action='error'): BestOf(model(hold_out=.2), 1).fit(TRAIN)


# Failures


@pytest.mark.parametrize('error, fails', [
    (CoplError('round 1, epoch 0: the loss is nan'), True),
    (torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB'), True),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to"), True),
    (MemoryError(), True), (RuntimeError('expected all values to be finite'), True),
    (RuntimeError('mat1 and mat2 shapes cannot be multiplied'), False),
    (AttributeError('rounds_'), False)], ids=repr)
def test_what_can_happen_to_a_run_is_a_failure_and_a_bug_is_not(error, fails):
    def fit(*args, **options): raise error
    given = SimpleNamespace(fit=fit), TRAIN, None, None, None
    if fails:
        assert copl.choice._outcome(*given) == ({'failure': str(error) or 'MemoryError'}, None)
    else:
        with pytest.raises(type(error), match=str(error)): copl.choice._outcome(*given)


def test_where_all_runs_fail_there_is_no_choice(stub):
    stub(lambda plan: (.8, None))
    with (pytest.warns(UserWarning, match='run seed-1 has failed'),
          pytest.raises(CoplError, match='all 1 runs have failed, seed-1: out of memory')):
        BestOf(model(seed=1), 1).fit(TRAIN, UNSEEN)


# What is made


@pytest.mark.parametrize('given, message', [
    ((2, {'alhpa': (1,)}), "did you mean 'alpha'?"), ((2, {'alpha': (2,)}), "'alpha': found 2.0"),
    ((2, {'alpha': (1, 1.)}), 'found alpha-1.0 twice'),
    ((2, {'alpha': ()}), 'alpha: found no values'),
    ((2, {'seed': (1, 2)}), 'found seed among the options'),
    ((0,), 'runs is 0, expected a whole number from 1'),
    ((2, {}, 0), 'devices is 0, expected a whole number')])
def test_what_cannot_be_compared_is_refused(given, message):
    with pytest.raises(CoplError, match=re.escape(message)): BestOf(model(), *given)


def test_every_combination_has_a_run_for_each_seed():
    made = BestOf(model(seed=3), 2, {'top_k': (8, 2), 'alpha': (.25,)}).plans
    assert [(p.name, p.config.top_k, p.config.alpha, p.config.seed) for p in made] == [
        (f'top_k-{k}_alpha-0.25_seed-{s}', k, .25, s) for k in (8, 2) for s in (3, 4)]


@pytest.fixture(scope='module')
def two(tmp_path_factory):
    "Two runs in a folder."
    folder = tmp_path_factory.mktemp('two')
    return BestOf(model(), 2).fit(TRAIN, UNSEEN, folder), folder


def test_the_runs_are_those_that_each_seed_makes_alone(two):
    best, folder = two
    alone = {seed: model(seed=seed).fit(TRAIN, unseen=UNSEEN) for seed in range(2)}
    last = pd.DataFrame({seed: m.rounds_.iloc[-1] for seed, m in alone.items()}).T
    for name in ('agreement', 'confidence', 'purity'):
        assert best.runs_[name].tolist() == last[name].tolist()
    seed = int(best.runs_.agreement.argmax())
    assert best.best_.config.seed == seed == best.runs_.seed[best.runs_.chosen].item()
    for found in (best.best_, COPL.load(folder/'checkpoint.pt', 'cpu')):
        assert torch.equal(weights(found.network_), weights(alone[seed].network_))
    assert best.likeness_.to_numpy() == pytest.approx(
        between_runs([alone[s].pseudolabels_ for s in range(2)]))


def test_runs_of_other_data_or_configuration_are_refused_before_any_training(two, tmp_path,
                                                                            trained):
    folder = tmp_path/'two'
    shutil.copytree(two[1], folder)
    for changed, unseen, resume, message in (
            (model(delta=.1), UNSEEN, True, r'seed-0/checkpoint.pt: .*delta: 0.0 then, 0.1 now'),
            (model(), UNSEEN[:5], True, 'cannot resume with other data'),
            (model(), UNSEEN, False, 'already holds the run seed-0')):
        with pytest.raises(CoplError, match=message):
            BestOf(changed, 4).fit(TRAIN, unseen, folder, resume)
    assert not trained
    seen = []
    three = BestOf(model(), 3).fit(TRAIN, UNSEEN, folder, True, lambda m, own: seen.append(own))
    assert len(three.runs_) == 3 and [config.seed for config in trained] == [2]
    assert [own.name for own in seen] == ['seed-0', 'seed-1', 'seed-2']


def test_runs_at_the_same_time_are_those_one_after_the_other(monkeypatch):
    cloudpickle = pytest.importorskip('cloudpickle') # what joblib sends with
    class Sent:
        "What `Parallel` does, but in this process: everything is sent and comes back as a copy."
        def __init__(self, n_jobs): self.n_jobs = n_jobs
        def __call__(self, calls):
            return [pickle.loads(cloudpickle.dumps(f))(*args, **how) for f, args, how in calls]
    monkeypatch.setattr(copl.choice, 'Parallel', Sent)
    quick = dict(iteration_num=1, epoch_num=1)
    one, both = (BestOf(model(**quick), 3, devices=devices).fit(TRAIN, UNSEEN)
                 for devices in (1, 2))
    pd.testing.assert_frame_equal(one.runs_.drop(columns='seconds'),
                                  both.runs_.drop(columns='seconds'))
    assert torch.equal(weights(one.best_.network_), weights(both.best_.network_))


# Settings tried by short runs


def test_the_grid_of_the_package_can_be_tried():
    settings, remark = auto_settings(Config(3), 2)
    assert settings == AUTO_GRID and len(settings) > 1 and remark == ''
    for fields in settings.values(): config_from_dict(config_to_dict(Config(3)) | fields)


@pytest.mark.parametrize('options, n_streams, names, reason', [
    ({}, 2, ['k8', 'k8-one', 'k2', 'k2-plain'], ''),
    ({}, 1, ['top_k-8', 'top_k-2', 'k2-plain'], 'with one stream lambda_streams has no effect'),
    ({'top_k': 6}, 2, ['lambda_streams-5.0', 'lambda_streams-1.0',
                       'losses-cls+asl_shift-0.0_gamma-0.0'], 'top_k = 6 is given'),
    ({'gamma': .9}, 2, ['k8', 'k8-one', 'k2'], 'gamma = 0.9 is given'),
    ({'losses': ('cls', 'asl')}, 2, ['top_k-8', 'top_k-2', 'top_k-2_shift-0.0_gamma-0.0'],
     'losses = cls+asl is given; without CI lambda_streams has no effect'),
    ({'top_k': 6, 'shift': .1}, 1, ['as-given'], 'top_k = 6 is given; shift = 0.1 is given; '
     'with one stream lambda_streams has no effect')])
def test_what_is_given_or_has_no_effect_is_not_varied(grid, options, n_streams, names, reason):
    fixed = BestOf.auto(COPL(3, **options)).fixed
    settings, said = auto_settings(Config(3, **options), n_streams, fixed)
    assert list(settings) == names
    assert said == (reason and f'auto: {reason}: {len(names)} of 4 settings are left')


def test_an_own_function_and_a_named_field_are_fixed():
    def own(F, config): return np.arange(len(F)) % config.n_classes
    best = BestOf.auto(COPL(3, cluster=own, losses={'cls': own}, alpha=.2), fixed=['top_k'])
    assert best.fixed - {'n_classes'} == {'cluster', 'losses', 'alpha', 'top_k'}
    with pytest.raises(CoplError, match="fixed: found 'topk', .*did you mean 'top_k'?"):
        BestOf.auto(COPL(3), fixed=['topk'])


FIGURES = {'k8': (.7, SAME, SAME), 'k8-one': (.6, SAME, SAME), 'k2': (.9, SAME, APART),
           'k2-plain': (.5, SAME, SAME)}


def by_setting(plan):
    "The figures of a short run by its setting, of a full one by its seed."
    if not plan.setting: return .5 + .1*plan.config.seed, SAME
    agreed, *ys = FIGURES[plan.setting]
    return agreed, ys[plan.config.seed % 2]


def test_short_runs_of_each_setting_then_full_runs_of_the_best(grid, stub, capsys):
    made = stub(by_setting)
    best = BestOf.auto(model(verbose=True, iteration_num=6), 3).fit(TRAIN, UNSEEN)
    def expected(seed, rounds, name):
        return Config(3, **{**SMALL, 'iteration_num': rounds, **GRID[name], 'seed': seed})
    assert [(p.name, p.config) for p in made] == [
        *((f'{n}_seed-{s}', expected(s, 2, n)) for n in GRID for s in range(2)),
        *((f'seed-{s}', expected(s, 6, 'k8')) for s in range(3))]
    table = best.auto_
    assert table.setting.tolist() == list(GRID) and table.seconds.tolist() == [120]*4
    assert table.agreement.tolist() == pytest.approx([.7, .6, .9, .5])
    assert table['product'].tolist() == pytest.approx([.7, .6, 0, .5])
    assert table.chosen.tolist() == [True, False, False, False]
    assert best.best_.config.seed == 2 and best.runs_.run.tolist() == ['seed-0', 'seed-1', 'seed-2']
    assert best.choice_ == (
        'Chosen: top_k = 8, lambda_streams = 5: agreement 0.70 x similarity of runs 1.00 = 0.70, '
        'the highest of 4 settings (next: k8-one, 0.60).')
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == ('8 short runs of about 60 s each, then 3 full runs of about 3 min each: '
                        'about 17 min in all')
    assert lines[1] == 'short run 1 of 8, k8_seed-0: agreement 0.70, confidence 0.10, 60 s'
    assert lines[9:] == [best.choice_, *(
        f'run {i + 1} of 3, seed-{i}: agreement 0.{5 + i}0, confidence 0.10, 60 s'
        for i in range(3))]


def test_without_unseen_videos_a_fifth_is_held_out_and_that_is_said(grid, stub):
    made = stub(by_setting)
    with pytest.warns(UserWarning, match=r'no test subset: a fifth of the 20 videos is held out '
                                         r'of training \(hold_out = 0.2\)'):
        best = BestOf.auto(model()).fit(TRAIN)
    assert {plan.config.hold_out for plan in made} == {.2} and best.best_.config.hold_out == .2
    made.clear()
    with warnings.catch_warnings(action='error'):
        BestOf.auto(model(hold_out=.3)).fit(TRAIN)
        BestOf.auto(model()).fit(TRAIN, UNSEEN)
    assert [plan.config.hold_out for plan in made] == [.3]*9 + [0]*9


@pytest.mark.usefixtures('grid')
@pytest.mark.parametrize('C, n, options, fixed, unseen, message', [
    (2, 2, {}, (), None, 'sees: hold_out = 0.2 leaves out 0 of 2 videos, expected at least 1'),
    (3, 3, {}, (), None, r'leaves out 1 of 3 videos, .* 3 \(n_classes\) to train on, or a test'),
    (3, 20, {'hold_out': .9}, (), None, 'hold_out = 0.9 leaves out 18 of 20 videos'),
    (3, 20, {}, ['hold_out'], None, 'found no test subset and hold_out = 0, expected one of them'),
    (3, 2, {}, (), UNSEEN, '3 classes asked for and only 2 videos found')])
def test_too_few_videos_are_one_error_before_any_run(stub, C, n, options, fixed, unseen, message):
    made = stub(by_setting)
    chooser = BestOf.auto(COPL(C, **SMALL | options, device='cpu'), fixed=fixed)
    with warnings.catch_warnings(action='error'), pytest.raises(CoplError, match=message):
        chooser.fit(TRAIN[:n], unseen)
    assert not made


def test_a_single_setting_left_needs_no_short_runs(grid, stub):
    made = stub(by_setting)
    best = BestOf.auto(model(top_k=6, shift=.1, lambda_streams=2.), 2).fit(TRAIN, UNSEEN)
    assert [plan.name for plan in made] == ['seed-0', 'seed-1']
    assert best.choice_ == 'Chosen: the settings given: no other setting was left to try.'


def test_the_sentence_tells_equals_failures_and_single_runs():
    table = pd.DataFrame({'setting': ['a', 'b', 'c'], 'agreement': [.5, .88, .88],
                          'similarity': np.nan, 'product': [.5, .88, .88],
                          'chosen': [False, True, False]})
    assert choice_sentence(table, {'top_k': 2}) == (
        'Chosen: top_k = 2: agreement 0.88, the highest of 3 settings, the first of equals '
        '(next: c, 0.88).')
    table.loc[[0, 2], ['agreement', 'product']] = np.nan
    assert choice_sentence(table, {'losses': ('cls', 'asl')}) == (
        'Chosen: losses = cls+asl: agreement 0.88; all other settings failed.')


def test_a_choice_goes_on_where_it_was_stopped(grid, tmp_path, monkeypatch, trained):
    def auto():                            # between two values of top_k, two short runs of each
        return BestOf.auto(model(epoch_num=1, hidden=8), 1, ['lambda_streams', 'losses'])
    whole = auto().fit(TRAIN, UNSEEN)
    assert len(trained) == 5
    trained.clear()
    real = copl.estimator.train
    def stopped(videos, config, *args, **options):
        if len(trained) == 3: raise KeyboardInterrupt
        return real(videos, config, *args, **options)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr('copl.estimator.train', stopped)
        auto().fit(TRAIN, UNSEEN, tmp_path)
    assert len(trained) == 3 and not (tmp_path/'auto.csv').exists()
    with pytest.raises(CoplError, match='already holds the run top_k-8_seed-0: resume'):
        auto().fit(TRAIN, UNSEEN, tmp_path)
    found = auto().fit(TRAIN, UNSEEN, tmp_path, resume=True)
    assert [(c.iteration_num, c.top_k) for c in trained[3:]] == [
        (2, 2), (3, found.best_.config.top_k)]
    table = pd.read_csv(tmp_path/'auto.csv')
    assert list(table) == ['setting', 'agreement', 'similarity', 'product', 'seconds', 'chosen']
    for other in (table, found.auto_):
        pd.testing.assert_frame_equal(other.drop(columns='seconds'),
                                      whole.auto_.drop(columns='seconds'))
    assert found.choice_ == whole.choice_
    assert torch.equal(weights(found.best_.network_), weights(whole.best_.network_))


# By the command line


@pytest.mark.parametrize('args, message', [
    (['--try', 'alhpa=.1'], "unknown config field 'alhpa', did you mean 'alpha'?"),
    (['--try', 'alpha'], "--try: found 'alpha', expected OPTION=VALUE,..."),
    (['--try', 'alpha=.5', 'alpha=.1'], 'found alpha twice'),
    (['--runs', 0], 'runs is 0, expected'), (['--runs', 2, '--num-nodes', 2], 'of one machine'),
    (['--preset', 'auto', '--num-nodes', 2], 'of one machine'),
    (['--preset', 'auto', '--try', 'alpha=.5'], '--preset auto and --try both compare options'),
    (['--hold-out', .001], 'leaves out 0 of 20 videos')])
def test_what_cannot_be_tried_is_one_line_and_leaves_no_run(small_data, tmp_path, args, message):
    status, _, err = command('train', small_data, *QUICK, *args, '--out', tmp_path/'run')
    assert status == 1 and message in err.splitlines()[-1]
    assert not list(tmp_path.glob('**/checkpoint.pt'))


def test_several_runs_by_the_command_line(small_data, tmp_path, monkeypatch):
    run = ['train', small_data, '--runs', 2, *QUICK, '--out', tmp_path/'best']
    pooled = []
    real = copl.estimator.background_features
    monkeypatch.setattr('copl.estimator.background_features',
                        lambda *given: pooled.append(given) or real(*given))
    status, printed, _ = command(*run)
    assert status == 0 and len(pooled) == 2                    # the background, once for each run
    runs = pd.read_csv(tmp_path/'best/runs.csv')
    chosen = runs[runs.chosen].run.item()
    assert chosen == runs.run[runs.agreement.argmax()] and 'purity' in runs
    for name in ('detections.json', 'rounds.csv', 'pseudolabels.csv', 'config.yaml'):
        assert (tmp_path/'best'/name).read_bytes() == (tmp_path/'best'/chosen/name).read_bytes()
    assert (tmp_path/'best/likeness.png').exists()
    metrics = json.loads((tmp_path/'best/metrics.json').read_text())
    assert metrics['trust']['agreement'] == pytest.approx(runs.agreement[runs.chosen].item())
    assert metrics['trust']['why'] in printed
    assert command(*run)[2].endswith('or choose another folder with --out\n')


def test_a_choice_of_settings_by_the_command_line(grid, tmp_path, trained):
    save_videos(VideoSet(TRAIN.names, TRAIN.streams, TRAIN.grid), tmp_path/'mine')
    run = ['train', tmp_path/'mine', '--preset', 'auto', '--lambda-streams', 5, '--no-stream-norm',
           *QUICK, '--out', tmp_path/'run']     # 5 is the default too: only the arguments tell
    status, printed, err = command(*run)
    assert status == 0 and 'auto: lambda_streams = 5 is given: 3 of 4 settings are left' in err
    assert 'copl: warning: no test subset: a fifth of the 20 videos' in err
    assert [(c.lambda_streams, c.hold_out) for c in trained] == [(5., .2)]*7
    table = pd.read_csv(tmp_path/'run/auto.csv')
    choice = next(line for line in printed.splitlines() if line.startswith('Chosen: top_k = '))
    fields = auto_settings(Config(3), 2, {'lambda_streams'})[0]
    assert choice == choice_sentence(table, fields[table.setting[table.chosen].item()])
    assert printed.splitlines()[0].split() == list(table) and choice in err
    for name in ('pseudolabels.csv', 'rounds.csv'):
        assert (tmp_path/'run'/name).read_bytes() == (tmp_path/'run/seed-0'/name).read_bytes()
    shutil.rmtree(tmp_path/'run/seed-0')
    assert 'already holds a run' in command(*run)[2] and len(trained) == 7
    assert command(*run, '--resume')[1].split(choice)[0] == printed.split(choice)[0]
    assert len(trained) == 8
    status, _, err = command('report', tmp_path/'run', '--device', 'cpu')
    page = (tmp_path/'run/report.html').read_text()
    why = json.loads((tmp_path/'run/metrics.json').read_text())['trust']['why']
    assert (status, err) == (0, '') and 'By setting, short runs' in page and why in page
