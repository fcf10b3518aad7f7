"`COPL` as a clustering of scikit-learn: its own checks, its helpers, its model selection."
import copy
import dataclasses
import inspect
import pickle
import pydoc

import numpy as np
import pytest
from sklearn.base import clone, is_clusterer
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_array, check_is_fitted

from copl import COPL, Config, CoplError, VideoSet, estimate_n_classes, save_videos
from copl.algorithm import describe, taking_part
from copl.has import ATTENTIONS
from copl.trust import untrained_agreement

from .small_runs import SMALL, TRAIN, UNSEEN

QUICK = SMALL | {'iteration_num': 1, 'epoch_num': 1, 'device': 'cpu'}


@pytest.fixture(scope='module')
def model(): return COPL(3, **QUICK).fit(TRAIN, unseen=UNSEEN)


# Its checks. They skip what takes no 2-D arrays, as COPL says of itself, so the tests adapt it

class OfRows(COPL):
    "A COPL of 2-D arrays: each row becomes a video of two equal snippets."
    __init__ = COPL.__init__

    def _videos(self, X):
        X = check_array(X)
        width = getattr(self, 'n_features_in_', X.shape[1])
        if X.shape[1] != width:
            raise ValueError(f'X has {X.shape[1]} features, but OfRows is expecting {width} '
                             'features as input')
        return VideoSet([f'v{i}' for i in range(len(X))],
                        [np.stack([x, x]).astype(np.float32) for x in X])

    def fit(self, X, y=None):
        vars(self).pop('n_features_in_', None)
        super().fit(self._videos(X))
        self.n_features_in_ = self.widths_['features']
        return self

    def predict(self, X):
        check_is_fitted(self)
        return super().predict(self._videos(X))

    def transform(self, X):
        check_is_fitted(self)
        return super().transform(self._videos(X))

    def _score(self, X, y=None): return super()._score(self._videos(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


SMALLEST = dict(hidden=2, snippets=2, kernel=1, batch_size=200, iteration_num=1, epoch_num=1,
                precision='float32', device='cpu', cluster='kmeans')


def other_words(estimator):
    return dict.fromkeys(['check_fit2d_1sample', 'check_fit2d_1feature'],
                         'copl says in other words that one video or channel makes no clusters')


@parametrize_with_checks([OfRows(3, **SMALLEST)], expected_failed_checks=other_words)
def test_checks(estimator, check): check(estimator)


# Its helpers

def test_what_it_says_of_itself(model):
    assert is_clusterer(model) and not get_tags(model).input_tags.two_d_array
    check_is_fitted(model)
    for call in ('predict', 'transform', 'localize', 'score', 'scores', 'agreement', 'background'):
        with pytest.raises(NotFittedError, match='has not been fitted: call fit') as caught:
            getattr(COPL(3), call)(TRAIN)
        assert isinstance(caught.value, CoplError)
    for unfitted in (check_is_fitted, lambda m: m.save('never.pt'), lambda m: m.labels_):
        with pytest.raises(NotFittedError): unfitted(COPL(3))


def test_every_option_stands_in_the_signature_with_its_default():
    given = inspect.signature(COPL).parameters
    for field in dataclasses.fields(Config):
        expected = None if field.name == 'n_classes' else field.default
        assert given[field.name].default == expected, field.name
    assert {*given} == {*COPL().get_params()}
    text = pydoc.render_doc(COPL, renderer=pydoc.plaintext)
    assert 'alpha: float = 0.5' in text


@pytest.mark.parametrize('name, value', [
    ('alpha', 7), ('device', 'gpu'), ('threads', -1), ('attention', 'hass'), ('seed', 'x'),
    ('n_classes', None), ('config', 3)])
def test_the_constructor_only_stores_and_fit_checks(name, value):
    model = COPL(**{'n_classes': 3, **QUICK, name: value})
    assert model.get_params()[name] == value
    with pytest.raises(CoplError, match=name): model.fit(TRAIN)


def test_fit_changes_no_option_and_forgets_an_earlier_fit():
    model = COPL(3, **QUICK | {'device': 'auto', 'lr': '1e-3', 'thetas': [.5]})
    before = model.get_params()
    assert model.fit(TRAIN) is model and model.get_params() == before
    model.background(TRAIN)                        # which the model remembers
    assert (before['lr'], model.config.lr, model.config.thetas) == ('1e-3', .001, (.5,))
    class Stop(Exception): pass
    def stop(model): raise Stop
    with pytest.raises(CoplError, match='as y, expected checkpoint='): model.fit(TRAIN, 'c.pt')
    with pytest.raises(Stop): model.fit(TRAIN[:9], TRAIN[:9].labels(), after_round=stop)
    assert len(model.pseudolabels_) == 9 and len(model.videos_) == 9
    assert not hasattr(model, 'backgrounds_')


@pytest.mark.parametrize('name, meant', [
    ('n_clusters', 'n_classes'), ('random_state', 'seed'), ('epochs', 'epoch_num'),
    ('detla', 'delta')])
def test_names_of_other_libraries_are_answered_with_ours(name, meant):
    for call in (lambda: COPL(3, **{name: 1}), lambda: COPL(3).set_params(**{name: 1})):
        with pytest.raises(CoplError, match=f"unknown option '{name}', did you mean '{meant}'"):
            call()


def test_a_whole_configuration_becomes_options():
    config = Config(3, alpha=.2)
    model = COPL(config=config)
    assert model.config == config and model.get_params()['alpha'] == .2
    assert model.set_params(alpha=.3).config == Config(3, alpha=.3)
    with pytest.raises(CoplError, match='found config and alpha'): COPL(config=config, alpha=.1)


def test_copies_pickles_and_loaded_models_are_the_same(model, tmp_path):
    loaded = COPL.load(model.save(tmp_path/'model.pt'), 'cpu')
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), loaded):
        assert (other.predict(UNSEEN) == model.predict(UNSEEN)).all()
        assert other.score(UNSEEN) == model.score(UNSEEN) and repr(other) == repr(model)
        assert other.get_params() == model.get_params()
    assert not hasattr(clone(model), 'labels_') and len(repr(clone(loaded))) < 200


# Its model selection

def test_score_is_the_agreement_on_unseen_videos(model):
    assert model.score(UNSEEN) == model.agreement(TRAIN, UNSEEN) == model.rounds_.agreement.iloc[-1]
    held = COPL(3, **QUICK, hold_out=.3).fit(TRAIN)
    expected = untrained_agreement(
        describe(TRAIN, held.network_, ATTENTIONS['has'], Config(3)), held.pseudolabels_,
        describe(UNSEEN, held.network_, ATTENTIONS['has'], Config(3)), held.config)
    n = len(TRAIN) - len(taking_part(len(TRAIN), held.config))
    own = held.agreement(TRAIN)
    assert (n*own + len(UNSEEN)*held.score(UNSEEN))/(n + len(UNSEEN)) == pytest.approx(expected)


def test_a_set_of_videos_is_split_and_searched():
    search = GridSearchCV(COPL(3, **QUICK), {'top_k': [2, 8], 'score': ['cas', 'h_cs']},
                          cv=KFold(2, shuffle=True, random_state=0))
    search.fit(TRAIN)
    inside, outside = next(search.cv.split(np.arange(len(TRAIN))))
    by_hand = COPL(3, **QUICK, top_k=2).fit(TRAIN[inside]).score(TRAIN[outside])
    table = search.cv_results_
    assert table['split0_test_score'][table['param_top_k'] == 2].tolist() == [by_hand]*2
    assert search.best_estimator_.score(UNSEEN) == search.score(UNSEEN)
    assert len(cross_val_score(COPL(3, **QUICK), TRAIN, cv=2)) == 2


# One door: what `as_videos` takes

def test_methods_take_arrays_a_folder_or_a_set(tmp_path, model):
    arrays = {name: dict(zip(TRAIN.streams, TRAIN[name], strict=True)) for name in TRAIN.names}
    for given in (arrays, save_videos(TRAIN, tmp_path/'features')):
        np.testing.assert_array_equal(COPL(3, **QUICK).fit(given).labels_, model.labels_)
    for method in (model.predict, model.transform, model.score):
        np.testing.assert_allclose(method(arrays), method(TRAIN), rtol=1e-5, atol=1e-6)
    assert model.localize({'one': arrays[TRAIN.names[0]]}).video.eq('one').all()
    with pytest.raises(CoplError, match='expected a VideoSet, a path, or a list'): model.predict(3)


def test_the_number_of_classes_is_estimated_by_fit(tmp_path):
    model = COPL('auto', **QUICK)
    with pytest.raises(NotFittedError, match="'auto', which fit"): _ = model.config
    model.fit(TRAIN)
    assert model.n_classes_ == estimate_n_classes(TRAIN) == model.config.n_classes
    assert model.get_params()['n_classes'] == 'auto' and clone(model).n_classes == 'auto'
    assert COPL.load(model.save(tmp_path/'m.pt')).config.n_classes == model.n_classes_
