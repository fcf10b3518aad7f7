"Localization against its plain reference, on made-up curves of every kind."
import sys
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from copl import Config, IOCNet, localize, nms, soft_nms
from copl.data import TimeGrid, VideoSet
from copl.iocnet import Snippets
from copl.localize import localize_videos, proposals

from .reference import localization as reference


def close(found, expected):
    "Same detections in the same order; of equal scores any."
    assert len(found) == len(expected)
    rows = sorted(zip(found.start, found.end, found.label, found.score, strict=True), key=lambda d: (-round(d[3], 9), *d[:3]))
    for a, b in zip(rows, sorted(expected, key=lambda d: (-round(d[3], 9), *d[:3])), strict=True):
        assert a[2] == b[2] and [a[0], a[1], a[3]] == pytest.approx([b[0], b[1], b[3]], abs=1e-6)


@pytest.mark.parametrize('options', [{}, dict(score='h_cs'), dict(nms='soft'), dict(smooth=5), dict(smooth=4, top_k=2), dict(upsample=1, thetas=(.5, .1)),
                                     dict(class_threshold=.05, nms_tiou=.3), dict(min_score=.3), dict(margin=2., class_weight=0., class_threshold=1.)])
def test_detections_equal_the_plain_reference(options):
    rng, config, grid = np.random.default_rng(0), Config(n_classes=4, **options), TimeGrid()
    lengths, names = (1, 2, 9, 40, 41, 123), ['run', None, 'jump', 'run']                     # two clusters of one name, one without
    videos = VideoSet([f'v{t}' for t in lengths], [rng.normal(size=(t, 6)) for t in lengths], [rng.normal(size=(t, 5)) for t in lengths])
    torch.manual_seed(0)
    network = IOCNet(6, 5, 4, hidden=16).eval()
    for p in network.parameters(): p.data *= 4
    found = localize_videos(videos, network, config, names)
    assert found.video.drop_duplicates().tolist() == [v for v in videos.names if v in set(found.video)]
    for name, (rgb, flow) in zip(videos.names, videos, strict=True):
        with torch.no_grad(): out = Snippets(*(o.double() for o in network(torch.tensor(rgb), torch.tensor(flow))))
        expected = reference.localize(*(o.numpy() for o in out), config, grid.edges, grid.duration(len(rgb)), names)
        close(localize(out, config, names=names), expected)
        close(found[found.video == name], expected)


@settings(deadline=None)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=40), st.lists(st.sampled_from([.1, .3, .5, .7, .9]), min_size=1, unique=True))
def test_proposals_equal_the_plain_reference(values, thetas):
    curve = np.array(values)/8
    _, start, end, contrast = proposals([curve], thetas)
    expected = {run for theta in thetas for run in reference.runs(curve > curve.min() + np.ptp(curve)*theta)}
    assert {*zip(start.tolist(), end.tolist(), strict=True)} == expected and len(start) == len(expected)
    for s, e, c in zip(start, end, contrast, strict=True): assert c == pytest.approx(reference.contrast(curve, s, e, .25), abs=1e-9)


points = st.lists(st.integers(0, 8).map(lambda v: v/8), max_size=30)


@settings(deadline=None)
@given(st.lists(points, max_size=4), st.lists(st.sampled_from([.1, .3, .5, .7, .9]), min_size=1, max_size=4))
def test_rows_of_different_lengths_are_cut_as_if_alone(curves, thetas):
    k, start, end, contrast = proposals(curves, thetas)
    for i, curve in enumerate(curves):
        alone = proposals([curve], thetas)
        for a, b in zip((start, end, contrast), alone[1:], strict=True): np.testing.assert_array_equal(a[k == i], b)


@pytest.mark.parametrize('tiou', [0, .3, .5, .9, 1])
def test_waves_keep_what_the_plain_loop_keeps(tiou):
    rng = np.random.default_rng(0)
    groups, start, length = rng.choice([-3, 5, 10**15], 1500), rng.integers(0, 400, 1500)/4, rng.gamma(2, 5, 1500).round(1)
    segments, scores = np.stack([start, start + length], 1) + 1e6, rng.integers(0, 200, 1500)/200
    found = nms(segments, scores, tiou, groups)
    assert (len(found) == 1500) == (tiou == 1) and len(found) > 3
    for g in np.unique(groups):
        inside = np.flatnonzero(groups == g)
        best_first = inside[np.argsort(-scores[inside], kind='stable')]
        kept = reference.nms([(*segments[i], -rank) for rank, i in enumerate(best_first)], tiou)
        assert found[groups[found] == g].tolist() == [best_first[round(-score)] for *_, score in kept]


@pytest.mark.filterwarnings('error')
def test_nms_ends_whatever_it_is_given():
    assert nms([[0, 10], [0, 10], [0, 10]], [1, np.nan, 2]).tolist() == [2]
    assert nms([[0, 10], [20, 30], [0, 10]], [np.nan, np.nan, -1]).tolist() == [2, 1]
    assert nms([[0, 10], [10, 0], [5, 1]], [1, .5, 2]).tolist() == [2, 0, 1]                                # ends before it starts: overlaps nothing


segment = st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(0, 9), st.integers(0, 8))


@settings(deadline=None)
@given(st.lists(segment, max_size=25))
def test_groups_are_suppressed_as_if_alone(rows):
    groups, start, length, scores = np.array(rows, float).reshape(-1, 4).T
    segments = np.stack([start, start + length], 1)
    order, (soft, softened) = nms(segments, scores, .4, groups), soft_nms(segments, scores, .3, groups)
    expected, expected_soft = [], []
    for g in np.unique(groups):
        inside = np.flatnonzero(groups == g)
        expected += inside[nms(segments[inside], scores[inside], .4)].tolist()
        alone, now = soft_nms(segments[inside], scores[inside], .3)
        expected_soft += zip(inside[alone].tolist(), now.tolist(), strict=True)
    assert order.tolist() == expected
    with mock.patch.object(sys.modules['copl.localize'], 'CROWD', -1): assert nms(segments, scores, .4, groups).tolist() == expected   # one after another
    assert list(zip(soft.tolist(), softened.tolist(), strict=True)) == expected_soft
    for g in np.unique(groups):
        inside = groups == g
        if (length[inside] > 0).all():
            plain = reference.soft_nms([*zip(start[inside], (start + length)[inside], scores[inside], strict=True)], .3)
            assert sorted(softened[groups[soft] == g]) == pytest.approx(sorted(p for *_, p in plain), abs=1e-9)
