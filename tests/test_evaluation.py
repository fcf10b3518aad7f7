"Evaluation against published figures, plain references and invariants."
import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copl.annotations import load_annotations, load_detections
from copl.evaluation import (
    clustering_scores,
    interpolated_ap,
    map_clusters,
    mean_average_precision,
    true_positives,
)
from copl.files import CoplError
from copl.videos import Annotations

from .reference import evaluation as reference

TIOU = [.1, .2, .3, .4, .5, .6, .7, .8, .9]
# published detections on THUMOS'14, by the ActivityNet toolkit
STPN = [52.12, 44.20, 34.70, 26.06, 17.70, 10.09, 4.99, 1.34, 0.10]


def test_published_detections_score_as_published(real_data):
    truth = load_annotations(real_data('detections/stpn_thumos14_gt.json'), 'test')
    found = load_detections(real_data('detections/stpn_thumos14_test.json'))
    mAP = mean_average_precision(found, truth, TIOU)
    assert (100*mAP).round(2).tolist() == STPN


@pytest.mark.parametrize('name, subset, videos, instances', [
    ('thumos14/gt_test210.json', 'train', 200, 3007),
    ('thumos14/gt_test210.json', 'test', 210, 3311),
    ('thumos14/gt_test212.json', 'validation', 200, 3007),
    ('thumos14/gt_test212.json', 'test', 212, 3358),
    ('anet12/activity_net.v1-2.min.json', 'training', 4819, 7151),
    ('anet12/activity_net.v1-2.min.json', 'validation', 2383, 3582)])
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


def test_soft_names_are_every_class_with_half_the_top_count():
    labels = ['golf']*4 + ['dive']*2 + ['jump']*1 + ['run']*2 + [None]*3 + ['dive']*2 + ['golf']*2
    y = [0]*9 + [1]*3 + [2]*4
    expected = [{'golf': 1., 'dive': .5, 'run': .5}, None, {'dive': 1., 'golf': .5}, None]
    found = map_clusters(y, labels, 4, 'soft')
    assert found == expected
    assert list(found[0]) == ['golf', 'dive', 'run'] and list(found[2]) == ['dive', 'golf']


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(['a', 'b', 'c', None])), min_size=1))
def test_the_first_soft_name_is_the_majority_name(pairs):
    y, labels = zip(*pairs, strict=True)
    if all(x is None for x in labels): return
    majority = map_clusters(y, labels, 4)
    softly = map_clusters(y, labels, 4, 'soft')
    for c, (name, soft) in enumerate(zip(majority, softly, strict=True)):
        if name is None: assert soft is None
        else:
            counts = pd.Series([x for k, x in pairs if k == c and x is not None]).value_counts()
            assert next(iter(soft)) == name and soft[name] == 1
            assert {*soft} == {*counts.index[counts >= counts.max()/2]}
            assert all(weight == .5 for x, weight in soft.items() if x != name)


@pytest.mark.parametrize('method', ['best', None, []])
def test_an_unknown_mapping_is_refused_with_the_known_ones(method):
    with pytest.raises(CoplError) as error: map_clusters([0], ['dive'], 1, method)
    assert str(error.value) == f'mapping is {method!r}, expected one of majority, hungarian, soft'


def quarter(low, high): return st.integers(4*low, 4*high).map(lambda x: x/4)


segment = st.tuples(st.sampled_from('abc'), quarter(0, 30), quarter(1, 9),
                    st.sampled_from(['dive', 'golf']))
scored = st.tuples(segment, st.floats(0, 1, width=32))


def tables(detected, annotated):
    found = pd.DataFrame([(v, s, s + d, label, p) for (v, s, d, label), p in detected],
                         columns=['video', 'start', 'end', 'label', 'score'])
    truth = pd.DataFrame([(v, s, s + d, label) for v, s, d, label in annotated],
                         columns=['video', 'start', 'end', 'label'])
    videos = pd.DataFrame({'video': list('abc'), 'subset': 'test', 'duration': 40.})
    return found, Annotations(truth, videos)


@settings(max_examples=150, deadline=None)
@given(st.lists(scored, min_size=1, max_size=14, unique_by=lambda d: d[1]),
       st.lists(segment, min_size=1, max_size=8), st.randoms())
@pytest.mark.filterwarnings('ignore:memory')
def test_map_equals_the_plain_reference_and_keeps_its_invariants(detected, annotated, random):
    found, truth = tables(detected, annotated)
    mAP = mean_average_precision(found, truth, TIOU)
    for label in truth.classes:
        rows = found[found.label == label][['video', 'start', 'end', 'score']].values.tolist()
        pairs = truth.segments[truth.segments.label == label][
            ['video', 'start', 'end']].values.tolist()
        plain = [reference.average_precision(rows, pairs, t) for t in TIOU]
        only = dataclasses.replace(truth, segments=truth.segments[truth.segments.label == label])
        np.testing.assert_allclose(
            mean_average_precision(found[found.label == label], only, TIOU), plain, atol=1e-9)
    order = list(range(len(found)))
    random.shuffle(order)
    np.testing.assert_allclose(mean_average_precision(found.iloc[order], truth, TIOU), mAP)
    later = [t.assign(start=t.start + 16, end=t.end + 16) for t in (found, truth.segments)]
    np.testing.assert_allclose(
        mean_average_precision(later[0], dataclasses.replace(truth, segments=later[1]), TIOU), mAP)


@pytest.mark.filterwarnings('ignore:memory')
@settings(deadline=None)
@given(st.lists(segment, min_size=1, max_size=6, unique_by=lambda s: s[0] + s[3]),
       st.integers(2, 4))
def test_duplicate_detections_are_false_positives(annotated, copies):
    found, truth = tables([(s, .5) for s in annotated], annotated)
    assert mean_average_precision(found, truth, [.5]).item() == 1
    doubled = pd.concat([found.assign(score=.9 - .1*i) for i in range(copies)])
    # duplicates rank behind every hit
    assert mean_average_precision(doubled, truth, [.5]).item() == 1
    of_first, in_first = (t[t.label == truth.classes[0]] for t in (found, truth.segments))
    n = len(in_first)
    extra = of_first.iloc[[-1]].assign(score=2.0)          # of equal scores the last comes first
    ap = mean_average_precision(pd.concat([extra, of_first]),
                                dataclasses.replace(truth, segments=in_first), [.5]).item()
    # one hit, then its duplicate, then the rest
    assert ap == pytest.approx((1 + (n - 1)*n/(n + 1))/n)
