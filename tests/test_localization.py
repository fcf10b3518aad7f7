"Localization by hand, against the loops of tests/reference, and where numbers are equal."
import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from copl.config import Config
from copl.files import CoplError
from copl.iocnet import IOCNet, Outputs
from copl.localization import (
    TOLERANCE,
    finer,
    localize,
    localize_videos,
    name_weights,
    nms,
    outer_inner_contrast,
    score_sequences,
    segments_above,
    soft_nms,
    video_probabilities,
)
from copl.videos import TimeGrid, VideoSet

from .reference import localization as reference

NAMES = [['run', None, 'jump', 'run'],                               # two clusters of one name
         [{'run': 1., 'jump': .5}, None, 'jump', {'walk': .75}]]
WIDTHS = [{'rgb': 6, 'flow': 5}, {'clip': 6}, {'a': 3, 'b': 4, 'c': 5}]
OPTIONS = [{}, dict(score='cas'), dict(score='a_cs'), dict(score='mean'), dict(score='product'),
           dict(nms='soft'), dict(nms='soft', smooth=5), dict(smooth=4, top_k=2),
           dict(upsample=1, thetas=(.5, .1)), dict(class_threshold=.05, nms_tiou=.3),
           dict(min_score=.3), dict(margin=2., class_weight=0., class_threshold=1.)]


def same(found, expected):
    "The same detections in the same order: a table, and rows of (start, end, label, score)."
    columns = list(zip(*expected, strict=True)) or [[]]*4
    for name, column in zip(['start', 'end', 'label', 'score'], columns, strict=True):
        if name == 'label': assert found.label.tolist() == list(column)
        else: np.testing.assert_allclose(found[name], column, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings('ignore:.*nearly the whole video')
@pytest.mark.parametrize('case', range(len(OPTIONS)), ids=lambda i: str(OPTIONS[i]))
def test_detections_are_those_of_the_loops(case):
    rng = np.random.default_rng(case)
    config = Config(n_classes=4, **OPTIONS[case])
    names = NAMES[case//2 % 2]
    grid = TimeGrid(stride=8, window=12, fps=24.)
    lengths = (1, 2, 9, 41, 123)
    streams = {name: [rng.normal(size=(t, d)) for t in lengths]
               for name, d in WIDTHS[case % 3].items()}
    videos = VideoSet([f'v{t}' for t in lengths], streams, grid=grid)
    torch.manual_seed(0)
    network = IOCNet(videos.widths, 4, hidden=16).eval()
    for p in network.parameters(): p.data *= 4
    found = localize_videos(videos, network, config, names)
    whole = localize_videos(videos, network, config, names, everything=True)
    assert found.video.tolist() == sorted(found.video, key=videos.names.index) and len(found)
    weights = name_weights(names, 4)
    for (name, duration), features in zip(videos.durations().items(), videos, strict=True):
        with torch.no_grad(): out = network(*map(torch.tensor, features))
        out = [x.double().numpy() for x in (out.cas, out.attention)]
        expected = reference.localize(*out, config, grid, duration, weights)
        same(found[found.video == name], expected)
        cut = reference.localize(*out, config, grid, .8*duration, weights)  # the video ends earlier
        same(localize(Outputs(*out), config, grid, .8*duration, names), cut)
        same(whole[whole.video == name], reference.whole_video(*out, config, duration, weights))


def test_contrasts_by_hand():
    x = np.array([.2, .4, .8, 1., 1., .8, .4, .4, .2, 0])
    segments = np.array([[2, 6], [3, 5], [0, 2], [0, 8], [0, 10]])
    # 8/4 gives 2 outer points beside the last but one, none of them on the left; the last has none
    expected = [.9 - (.4 + .4)/2, 1 - (.8 + .8)/2, .3 - .8, 5/8 - .2/2, 5.2/10]
    assert outer_inner_contrast(x, segments) == pytest.approx(expected)
    twice = [.9 - (.2 + .4 + .4 + .4 + .2 + 0)/6, 1 - (.4 + .8 + .8 + .4)/4]   # 4 wanted, 2 there
    assert outer_inner_contrast(x, segments[:2], margin=1.) == pytest.approx(twice)


def test_the_score_of_a_detection_by_hand():
    """One second a snippet, one point a snippet; softmax of the CAS 3/4 in snippets 2 to 5 and 1/2
    elsewhere, no attention: h_cs is half of it."""
    cas = np.zeros((12, 2))
    cas[2:6, 0] = np.log(3)
    config = Config(n_classes=2, upsample=1, thetas=(.5,), top_k=3, class_weight=.2,
                    class_threshold=1.)
    out = Outputs(cas, np.zeros((1, 12)))
    # the four top snippets say 3/4; contrast 3/8 - 1/4
    found = localize(out, config, TimeGrid(1, 1, 1.), names=['run', 'sit'])
    same(found, [(2, 6, 'run', 3/8 - 1/4 + .2*3/4)])
    # the last two of six top snippets equal six others, so all twelve count: the mean is log(3)/3
    p = 3**(1/3)/(1 + 3**(1/3))
    config = dataclasses.replace(config, top_k=2, class_weight=1., score='cas')
    found = localize(out, config, TimeGrid(1, 1, 1.), names=[{'run': .5}, None])
    same(found, [(2, 6, 'run', .5*(3/4 - 1/2 + p))])
    assert p == pytest.approx(video_probabilities(cas, softmax(cas, -1)/2, 2)[0])


def test_score_sequences_by_hand():
    cas = torch.tensor([[0., np.log(3)], [0., 0.]])                       # softmax 1/4 3/4, 1/2 1/2
    out = Outputs(cas, torch.tensor([[.5, 1.], [.1, .2]]))                # two streams: A_ca .3 .6
    for score, expected in {'cas': [[1/4, 3/4], [1/2, 1/2]],
                            'h_cs': [[.85/3, 1.35/3], [1.7/3, 1.7/3]],
                            'a_cs': [[3/4, 3/4], [1/2, 1/2]],             # sigmoid of the sum
                            'mean': [[.55/2, 1.05/2], [1.1/2, 1.1/2]],
                            'product': [[.3/4, .9/4], [.3, .3]]}.items():
        sequences = score_sequences(out, score).numpy()
        np.testing.assert_allclose(sequences, expected, rtol=1e-6)


def flat_and_clear():
    """Three videos of 100 snippets and a network that reads their channels as two class scores and
    attention: in 'flat' and 'still' the first class leads in all snippets but the first five, in
    'clear' in 20 to 40, which attention takes for action in all three; 'still' stands still."""
    network = IOCNet({'clip': 3}, 2, hidden=3, kernel=1).eval()
    for branch, channels in ((network.class_branch, [0, 1]), (network.attention_branches[0], [2])):
        branch.first.weight.data = torch.eye(3)
        branch.last.weight.data = 2*torch.eye(3)[channels]
        for layer in (branch.first, branch.last): layer.bias.data[:] = 0
    x = np.zeros((100, 3))
    x[:, 0] = .5
    x[20:40, 2] = 4
    clear = x.copy()
    clear[20:40, 0] = 4
    x[5:, 0] = 4
    return VideoSet(['clear', 'flat', 'still'],
                    {'clip': [clear, x, np.repeat(x[:1], 100, 0)]}), network


def test_one_warning_names_a_video_whose_best_detection_is_nearly_the_whole():
    with pytest.warns(UserWarning) as caught:
        found = localize_videos(*flat_and_clear(), Config(n_classes=2, score='cas'))
    [warning] = caught
    assert re.search("1 of 3 videos, such as 'flat', .* only with the few snippets at the ends; "
                     "instead of score='cas' try score='h_cs'", str(warning.message))
    assert warning.filename == __file__
    best = found.drop_duplicates('video')
    assert best.video.tolist() == ['clear', 'flat']
    assert (best.end - best.start).tolist() == pytest.approx([20*.64, 95*.64], abs=.5)


@pytest.mark.filterwarnings('error')
def test_no_warning_where_a_score_follows_the_attention_or_attention_fills_the_video():
    videos, network = flat_and_clear()
    for score in ('h_cs', 'mean', 'product'):
        found = localize_videos(videos, network, Config(n_classes=2, score=score))
        best = found.drop_duplicates('video').set_index('video').loc['flat']
        assert [best.start, best.end] == pytest.approx([20*.64, 40*.64], abs=.5)
    for x in videos.streams['clip']: x[5:, 2] = 4
    localize_videos(videos[:2], network, Config(n_classes=2, score='cas'))


def ties():
    """Outputs of a video in which much is equal: three equal bumps of two equally likely classes,
    equal snippets at the last place among the top 8th, plateaus, whose sides cross thresholds at
    exactly a half, and two classes that never change."""
    bump = np.array([0., 0, 4, 8, 8, 4, 0, 0])
    wide = np.repeat(bump, 4)
    logits = np.concatenate([bump, bump, np.zeros(5), wide, np.zeros(6), wide, bump])
    cas = np.stack([logits, logits, np.full(len(logits), 4.), 0*logits], 1)
    attention = np.stack([logits/10 + .1, logits[::-1]/20 + .2])
    return cas, attention


def trembling(x, seed):
    "With relative noise of 1e-7 of either sign."
    return x*(1 + 1e-7*np.random.default_rng(seed).choice([-1, 1], x.shape))

TIE_OPTIONS = [{}, dict(upsample=2), dict(upsample=1, smooth=3), dict(score='cas'),
               dict(score='cas', upsample=2, top_k=3), dict(class_threshold=.5, top_k=4),
               dict(nms_tiou=.25, margin=1.), dict(class_weight=0., upsample=1)]
TIE_NAMES = [None, ['run', 'run', 'sit', None],
             [{'run': 1., 'jump': .5}, {'jump': 1.}, 'sit', 'run']]


@pytest.mark.parametrize('suppression', ['hard', 'soft'])
@pytest.mark.parametrize('case', range(len(TIE_OPTIONS)), ids=lambda i: str(TIE_OPTIONS[i]))
def test_no_detection_hangs_on_a_last_digit(case, suppression):
    cas, attention = ties()
    names = TIE_NAMES[case % 3]
    config = Config(n_classes=4, nms=suppression, **TIE_OPTIONS[case])
    exact = localize(Outputs(cas, attention), config, names=names)
    assert len(exact) > 2 and exact.score.duplicated().any()
    middle = float(exact.score[len(exact)//2])
    stay_the_same(cas, attention, names, config, dataclasses.replace(config, min_score=middle))


def stay_the_same(cas, attention, names, *configs):
    "The same detections from outputs that tremble."
    for config in configs:
        expected = localize(Outputs(cas, attention), config, names=names)
        for seed in range(4):
            out = Outputs(trembling(cas, seed), trembling(attention, 100 + seed))
            found = localize(out, config, names=names)
            pd.testing.assert_frame_equal(found.iloc[:, :3], expected.iloc[:, :3])
            np.testing.assert_allclose(found.score, expected.score, rtol=0, atol=1e-5)


def test_a_class_exactly_at_the_threshold_is_localized_on_every_machine():
    cas = np.zeros((16, 3))
    cas[2:4, 0] = 9.
    cas[9:11, 1] = 8.
    attention = np.full((1, 16), .5)
    h = (softmax(cas, -1) + .5)/2
    for top_k in (8, 4):
        p = float(video_probabilities(cas, h, top_k)[1])
        config = Config(n_classes=3, class_threshold=p, top_k=top_k)
        assert set(localize(Outputs(cas, attention), config).label) == {'cluster_00', 'cluster_01'}
        stay_the_same(cas, attention, None, config)


def test_an_overlap_exactly_at_the_threshold_is_allowed():
    for shift in (0, .1, 1/3, 1e3 + .7):
        segments = np.array([[0, 2], [1, 3], [1.5, 3.5]])*.64 + shift      # tIoU 1/3, 1/7 and 0.6
        for groups in (None, [4, 4, 4]):
            assert nms(segments, np.array([.9, .8, .7]), 1/3, groups).tolist() == [0, 1]
            assert nms(segments, np.array([.9, .8, .7]), .6, groups).tolist() == [0, 1, 2]


def test_the_whole_video_baseline_does_not_hang_on_a_last_digit():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 6))
    videos = VideoSet(['a'], [x])
    network = IOCNet(videos.widths, 4, hidden=8).eval()
    last = network.class_branch.last
    last.weight.data[:] = last.weight.data[0]                          # all classes are equal
    last.bias.data[:] = 0
    for seed in range(20):
        with torch.no_grad():
            last.bias.copy_(1e-7*torch.from_numpy(np.random.default_rng(seed).choice([-1, 1], 4)))
        found = localize_videos(videos, network, Config(4), [None, 'b', 'c', 'a'], everything=True)
        assert found.label.tolist() == ['b']


@pytest.mark.parametrize('names, message', [
    (['run'], '1 class names given, expected one for each of the 3 classes'),
    (['run', 3, None], 'name of cluster 1 is 3, expected a class name, None or class names'),
    ([{'run': -1.}, None, None], "cluster 0: weight of 'run' is -1.0, expected a number above 0"),
    ([None, {'run': 'high'}, None], "cluster 1: weight of 'run' is 'high'"),
    ([{'run': float('nan')}, None, None], "weight of 'run' is nan")])
def test_impossible_names_are_refused(names, message):
    with pytest.raises(CoplError) as error: name_weights(names, 3)
    assert message in str(error.value)


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('suppression', ['hard', 'soft'])
def test_without_names_there_is_nothing(suppression):
    videos = VideoSet(['a', 'b'], [np.ones((9, 4)), np.ones((5, 4))])
    network = IOCNet(videos.widths, 2, hidden=8).eval()
    for everything in (False, True):
        config = Config(2, nms=suppression)
        found = localize_videos(videos, network, config, [None, None], everything)
        assert found.columns.tolist() == ['video', 'start', 'end', 'label', 'score'] and found.empty


@settings(deadline=None)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=40),
       st.lists(st.sampled_from([.1, .3, .5, .7, .9]), min_size=1, max_size=4))
def test_segments_and_contrasts_are_those_of_the_loops(values, thetas):
    sequence = np.array(values)/8
    thresholds = [sequence.min() + theta*np.ptp(sequence) + TOLERANCE for theta in thetas]
    expected = sorted({s for x in thresholds for s in reference.stretches(sequence, x)})
    segments = segments_above(sequence, thetas)
    assert list(map(tuple, segments.tolist())) == expected
    for margin in (.25, 1.):
        contrast = [reference.contrast(sequence, *s, margin) for s in expected]
        assert outer_inner_contrast(sequence, segments, margin) == pytest.approx(contrast)


@settings(deadline=None)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=12), st.integers(1, 6), st.integers(1, 5))
def test_finer_sequences_are_those_of_the_loops(values, smooth, upsample):
    sequence = np.array(values)/8
    expected = reference.finer(reference.smoothed(sequence, smooth), upsample)
    assert finer(sequence, smooth, upsample) == pytest.approx(expected)


@pytest.mark.filterwarnings('error')
def test_nms_ends_whatever_it_is_given():
    assert nms([[0, 10], [0, 10], [0, 10]], [1, np.nan, 2]).tolist() == [2]
    assert nms([[0, 10], [20, 30], [0, 10]], [np.nan, np.nan, -1]).tolist() == [2, 1]
    # two end before they start: these overlap nothing
    assert nms([[0, 10], [10, 0], [5, 1]], [1, .5, 2]).tolist() == [2, 0, 1]


segment = st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(0, 9), st.integers(0, 8))


@settings(deadline=None)
@given(st.lists(segment, max_size=25), st.sampled_from([0, .2, .5, 1]))
def test_each_group_is_suppressed_as_the_loops_do_it(rows, tiou):
    groups, start, length, scores = np.array(rows, float).reshape(-1, 4).T
    segments = np.stack([start, start + length], 1)
    expected, softly = [], []
    for g in np.unique(groups):
        inside = np.flatnonzero(groups == g)
        alone = segments[inside].tolist(), scores[inside].tolist()
        expected += inside[reference.nms(*alone, tiou)].tolist()
        softly += [(inside[i], score) for i, score in reference.soft_nms(*alone, .3)]
    assert nms(segments, scores, tiou, groups).tolist() == expected
    order, softened = soft_nms(segments, scores, .3, groups)
    assert order.tolist() == [i for i, _ in softly]
    assert softened == pytest.approx([score for _, score in softly])
