"Evaluation against published numbers, the toolkit's loops in tests/reference, and by hand."
import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copl.annotations import load_annotations, load_detections
from copl.evaluation import (
    average_precision,
    clustering_scores,
    interpolated_ap,
    map_clusters,
    mean_average_precision,
    true_positives,
)
from copl.files import CoplError
from copl.videos import Annotations

from .benchmarks.evaluation import TIOU, simulated
from .reference.evaluation import toolkit_average_precision

pytestmark = pytest.mark.filterwarnings('ignore')
# published detections on THUMOS'14, by the ActivityNet toolkit
STPN = [52.12, 44.20, 34.70, 26.06, 17.70, 10.09, 4.99, 1.34, 0.10]


def same_as_the_toolkit(found, truth, tiou=TIOU):
    "AP of every class, after a check that it is the toolkit's, to the rounding of a sum."
    expected = toolkit_average_precision(found, truth.segments, tiou)
    AP = average_precision(found, truth, tiou)
    assert list(AP.index) == list(expected.index) and list(AP.columns) == list(tiou)
    np.testing.assert_allclose(AP, expected, rtol=0, atol=1e-12)
    return AP


def test_published_detections_score_as_published(real_data):
    truth = load_annotations(real_data('detections/stpn_thumos14_gt.json'), 'test')
    found = load_detections(real_data('detections/stpn_thumos14_test.json'))
    mAP = mean_average_precision(found, truth, TIOU)
    assert (100*mAP).round(2).tolist() == STPN


@pytest.mark.parametrize('name, subset, videos, instances', [
    ('thumos14/gt_test210.json', 'train', 200, 3007),
    ('thumos14/gt_test212.json', 'test', 212, 3358),
    ('anet12/activity_net.v1-2.min.json', 'training', 4819, 7151)])
def test_real_annotations_have_the_known_counts(real_data, name, subset, videos, instances):
    truth = load_annotations(real_data(name), subset)
    assert (len(truth.videos), len(truth.segments)) == (videos, instances)


def test_published_clusters_score_as_published(real_data):
    "FEEL's pseudolabels of the 200 training videos of THUMOS'14, rounds 0 to 4."
    published = pd.read_csv(real_data('feel_thumos_clusters.csv'))
    found = [clustering_scores(published[f'round_{n}'], published.first_label) for n in range(5)]
    table = pd.DataFrame(found).round(3)
    assert len(published) == 200
    assert table.purity.tolist() == [.515, .560, .575, .595, .595]
    assert table.nmi.iloc[[0, -1]].tolist() == [.570, .645]
    assert table.ari.iloc[[0, -1]].tolist() == [.211, .296]


def test_the_envelope_of_precision_by_hand():
    "Hits at ranks 2, 3 and 5 of four instances: precision 0, 1/2, 2/3, 1/2, 3/5 becomes 2/3, 3/5."
    hit = np.array([[0, 1, 1, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 0]], bool)
    assert interpolated_ap(hit, 4).tolist() == pytest.approx([(2/3 + 2/3 + 3/5)/4, 0, 1])


def test_each_detection_takes_what_is_free_and_overlaps_most_by_hand():
    overlap = np.array([[.6, .5, 0], [.9, .5, .2], [.7, .3, .4], [0, 0, 0]])
    # at .3 the first takes instance 0, the second 1, the third 2; at .5 nothing is left for it
    hit = true_positives(overlap, np.array([.3, .5, .8]))
    assert hit.astype(int).tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [0, 1, 0, 0]]


@pytest.mark.parametrize('method, expected', [
    ('majority', ['golf', None, 'golf', None]), ('hungarian', ['dive', None, 'golf', None]),
    ('soft', [{'golf': 1., 'dive': .5, 'run': .5}, None, {'golf': 1.}, None])])
def test_names_of_clusters_by_hand(method, expected):
    "One cluster holds no labelled video, one no video at all."
    labels = ['golf']*6 + ['dive']*3 + ['jump']*2 + ['run']*3 + [None]*3 + ['golf']*8 + ['dive']
    found = map_clusters([0]*14 + [1]*3 + [2]*9, labels, 4, method)
    assert found == expected and (method != 'soft' or list(found[0]) == ['golf', 'dive', 'run'])


@pytest.mark.parametrize('method', ['best', None, []])
def test_an_unknown_naming_is_refused_with_the_known_ones(method):
    with pytest.raises(CoplError, match='expected one of majority, hungarian, soft') as error:
        map_clusters([0], ['dive'], 1, method)
    assert repr(method) in str(error.value)


def quarter(low, high): return st.integers(4*low, 4*high).map(lambda x: x/4)


segment = st.tuples(st.sampled_from('abc'), quarter(0, 30), quarter(1, 9),
                    st.sampled_from(['dive', 'golf', 'jump']))
scored = st.tuples(segment, st.sampled_from([.2, .4, .6]))


@settings(max_examples=40, deadline=None)
@given(st.lists(scored, min_size=1, max_size=14), st.lists(segment, min_size=1, max_size=8))
def test_ap_is_the_toolkits_where_scores_and_overlaps_tie_and_keeps_its_invariants(detected,
                                                                                  annotated):
    columns = ['video', 'start', 'end', 'label']
    found = pd.DataFrame([(v, s, s + d, label, p) for (v, s, d, label), p in detected],
                         columns=[*columns, 'score'])
    segments = pd.DataFrame([(v, s, s + d, label) for v, s, d, label in annotated],
                            columns=columns)
    videos = pd.DataFrame({'video': list('abc'), 'subset': 'test', 'duration': 40.})
    truth = Annotations(segments, videos)
    AP = same_as_the_toolkit(found, truth, [.1, .25, .5, 1])
    later = [t.assign(start=t.start + 16, end=t.end + 16) for t in (found, segments)]
    again = average_precision(later[0], dataclasses.replace(truth, segments=later[1]), AP.columns)
    pd.testing.assert_frame_equal(again, AP)
    apart = found.assign(score=found.score + 1e-3*np.arange(len(found)))   # no order decides
    one, other = (average_precision(t, truth) for t in (apart, apart[::-1]))
    pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize('size', [(6, 3, 40, 25), (4, 4, 12, 30), (2, 1, 60, 60)], ids=str)
def test_ap_is_the_toolkits_on_simulated_detections(size):
    found, truth = simulated(*size)
    twice = pd.concat([found, found[::3]])                                 # with the same score
    assert same_as_the_toolkit(twice, truth).to_numpy().any()
