"Evaluators and clustering against independent versions in tests/reference."
import numpy as np
import pandas as pd
import pytest

from copl.annotations import load_annotations, load_detections
from copl.evaluation import average_precision
from copl.plri import confidence_scores, rbf_affinity
from copl.videos import Annotations

from .benchmarks.evaluation import TIOU, simulated
from .reference import clustering
from .reference.evaluation import toolkit_average_precision


def assert_same_digits(found, truth, tiou=TIOU):
    "AP of every class as in the toolkit, to the rounding of a sum; the result."
    expected = toolkit_average_precision(found, truth.segments, tiou)
    AP = average_precision(found, truth, tiou)
    assert list(AP.index) == list(expected.index) and list(AP.columns) == list(tiou)
    np.testing.assert_allclose(AP, expected, rtol=0, atol=1e-12)
    return AP


@pytest.mark.filterwarnings('ignore')
def test_ap_equals_the_toolkit_on_published_detections(real_data):
    truth = load_annotations(real_data('detections/stpn_thumos14_gt.json'), 'test')
    AP = assert_same_digits(load_detections(real_data('detections/stpn_thumos14_test.json')), truth)
    assert (100*AP.mean()).round(2).tolist() == [52.12, 44.20, 34.70, 26.06, 17.70, 10.09, 4.99,
                                                 1.34, 0.10]


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('size', [(6, 3, 40, 25), (4, 4, 12, 30), (2, 1, 60, 60)], ids=str)
def test_ap_equals_the_toolkit_on_simulated_detections(size, seed):
    found, truth = simulated(*size, seed)
    assert assert_same_digits(found, truth).to_numpy().any()
    # duplicates, with the same score
    assert_same_digits(pd.concat([found, found[::3]]), truth)


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('seed', range(20))
def test_ap_equals_the_toolkit_where_overlaps_and_scores_tie(seed):
    rng = np.random.default_rng(seed)
    def table(n, **more):
        return pd.DataFrame({'video': rng.choice(list('abcd'), n),
                             'start': 1.*(start := rng.integers(0, 12, n)),
                             'end': 1.*(start + rng.integers(0, 7, n)),
                             'label': rng.choice(['dive', 'golf', 'jump'], n), **more})
    truth = table(rng.integers(2, 30))
    found = table(n := int(rng.integers(1, 60)), score=rng.integers(0, 4, n)/4)
    # detections of an unknown class
    truth = (truth[truth.label != 'jump']
             if seed % 3 == 0 and (truth.label != 'jump').any() else truth)
    # a class and a video without detections
    found = found[(found.label != 'dive') & (found.video != 'b')] if seed % 2 else found
    videos = pd.DataFrame({'video': list('abc') if seed % 5 == 0 else list('abcd'),
                           'subset': 'test', 'duration': 20.})
    # detections in an unknown video
    truth = truth[truth.video.isin(videos.video)]
    if len(truth): assert_same_digits(found, Annotations(truth, videos), [.1, .25, .5, 1])


def random_features(seed, n=40, dims=6):
    rng = np.random.default_rng(seed)
    F = rng.normal(size=(n, dims)) + 2*np.eye(dims)[rng.integers(dims, size=n)]
    return F/np.linalg.norm(F, axis=1, keepdims=True), rng.integers(0, 5, n)


@pytest.mark.parametrize('seed', range(3))
def test_affinity_equals_the_double_loop(seed):
    F, _ = random_features(seed)
    for given in (F, F.astype(np.float32), np.concatenate([F, F[:5]])):
        np.testing.assert_allclose(rbf_affinity(given), clustering.rbf_affinity(given), atol=1e-6)
    np.testing.assert_allclose(rbf_affinity(F, .7), clustering.rbf_affinity(F, .7), atol=1e-12)


@pytest.mark.parametrize('seed', range(3))
def test_confidence_equals_the_double_loop(seed):
    F, y = random_features(seed)
    y[0] = 9  # alone in its cluster
    for given in (F, -abs(F), F.astype(np.float32), np.where(y[:, None] == 1, 0, F)):
        np.testing.assert_allclose(confidence_scores(given, y),
                                   clustering.confidence_scores(given, y), rtol=0,
                                   atol=1e-6 if given.dtype == 'f4' else 1e-12)
