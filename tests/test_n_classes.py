"The number of classes, estimated without labels."
import json
import warnings

import numpy as np
import pytest

from copl import CoplError, VideoSet, estimate_n_classes
from copl.n_classes import class_votes, default_candidates, mean_pooled

from .small_runs import QUICK, command


def test_the_number_of_separated_groups_is_found():
    F = np.repeat(np.eye(4, 16), 10, 0) + .12*np.random.default_rng(5).normal(size=(40, 16))
    assert estimate_n_classes(F/np.linalg.norm(F, axis=1, keepdims=True)) == 4


def test_subsamples_that_differ_are_settled_by_their_median(monkeypatch):
    votes = [3, 9, 4, 4, 9, 3, 3, 5, 5, 9]*2
    given = iter([*votes, *votes, *[6]*9, *[8]*11])
    seen = []
    def silhouettes(F, candidates, seed):
        seen.append(F[:, 0])
        vote = next(given)
        return np.array([k == vote for k in candidates])
    monkeypatch.setattr('copl.n_classes.silhouettes', silhouettes)
    F = np.arange(50.)[:, None]
    assert class_votes(F).tolist() == votes
    assert {len({*own}) for own in seen} == {40} and len({*map(frozenset, seen)}) == 20
    assert estimate_n_classes(F) == 4                       # 4.5; the mean is 5.4
    assert estimate_n_classes(F) == 8


def test_candidates_go_up_to_a_quarter_of_the_videos_and_to_200():
    assert [default_candidates(n) for n in (11, 12, 80)] == [[], [3], [*range(3, 21)]]
    found = default_candidates(10_000)
    assert found == default_candidates(10**6) and 190 < found[-1] <= 200
    assert default_candidates(400)[-1] <= 100
    assert all(b == max(a + 1, round(1.05*a)) for a, b in zip(found[:-1], found[1:], strict=True))
    with pytest.raises(CoplError, match='found 14 videos, expected at least 15 for the default'):
        class_votes(np.eye(14))
    with pytest.raises(CoplError, match=r'found \[\] as candidates .* with 15 videos'):
        class_votes(np.eye(15), [])


@pytest.mark.parametrize('vote, at_end', [(3, True), (7, False), (10, True)])
def test_an_estimate_at_an_end_of_the_candidates_warns_and_stays(monkeypatch, vote, at_end):
    monkeypatch.setattr('copl.n_classes.silhouettes', lambda F, candidates, seed: np.array(
        [k == vote for k in candidates]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        assert estimate_n_classes(np.eye(50)) == vote
    expected = f'number of classes: {vote} is at an end of the candidates (3 to 10), so no peak'
    assert [expected in str(w.message) for w in caught] == [True]*at_end


def test_streams_of_unlike_scale_weigh_the_same_where_asked():
    x = {'rgb': [np.array([[0., 3], [0, 5]])], 'flow': [np.array([[300., 0], [100, 0]])]}
    videos = VideoSet(['a'], x)
    assert mean_pooled(videos) == pytest.approx(np.array([[0, .02, 1, 0]]), abs=1e-3)
    assert mean_pooled(videos, True) == pytest.approx(np.array([[0, 1, 1, 0]])/2**.5)


def test_the_number_of_classes_by_the_command_line(tmp_path, small_data):
    train = 'train', small_data, '--n-classes', 'auto', *QUICK, '--out', tmp_path/'run'
    status, printed, _ = command(*train)
    found = json.loads((tmp_path/'run/metrics.json').read_text())['config']['n_classes']
    assert status == 0 and printed.startswith(
        f'number of classes: {found}, estimated (half of 20 subsamples say ')
    assert command(*train, '--resume')[0] == 0
