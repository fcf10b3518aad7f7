"Which labels a video is trained with: its class, several classes, and who is selected."
import numpy as np
import pandas as pd
import pytest

from copl import Config, CoplError, VideoSet
from copl.algorithm import given_labels
from copl.plri import SELECTIONS, best_of_each_cluster
from copl.videos import Annotations, TimeGrid


def annotated(**labels):
    "One video for each keyword; its instances one after another, of these classes."
    rows = [(name, i, i + 1., label) for name, own in labels.items() for i, label in enumerate(own)]
    truth = Annotations(pd.DataFrame(rows, columns=['video', 'start', 'end', 'label']),
                        pd.DataFrame({'video': list(labels), 'subset': 'train', 'duration': 9.}))
    return VideoSet(list(labels), [np.ones((5, 2), np.float32)]*len(labels), TimeGrid(), truth)


def test_the_main_class_has_the_most_instances_and_of_equals_the_first_name():
    videos = annotated(a='yxxy', b='xyy', c='zx', d='')
    assert videos.labels() == ['y', 'x', 'z', None]
    assert videos.labels('main') == ['x', 'y', 'x', None]


def test_weak_labels_are_shared_by_the_classes_of_a_video():
    found = given_labels(annotated(a='xxy', b='z', c='yzz', d='xyz'), Config(3))
    assert found.targets.tolist() == pytest.approx(np.array(
        [[.5, .5, 0], [0, 0, 1], [0, .5, .5], [1/3]*3]), abs=1e-6)
    assert found.y.tolist() == [0, 2, 1, 0] and found.selected.all() and (found.s == 1).all()
    with pytest.raises(CoplError, match="no label for 1 videos, the first: 'b'"):
        given_labels(annotated(a='xyz', b=''), Config(3))
    with pytest.raises(CoplError, match='found 2 classes .* expected n_classes = 3'):
        given_labels(annotated(a='xy'), Config(3))


def test_a_quota_is_rounded_up_but_not_by_the_last_digit():
    s = np.random.default_rng(0).random(100)
    assert .07*100 > 7                                     # the last digit
    assert best_of_each_cluster(s, np.zeros(100, int), .07).sum() == 7
    y = np.repeat([0, 1, 2], [10, 3, 1])
    s = np.tile([.1, .5], 7)
    chosen = best_of_each_cluster(s, y, .25)
    assert np.flatnonzero(chosen).tolist() == [1, 3, 5, 11, 13]   # of equals the earlier
    assert SELECTIONS['quota'](s, y, 9, Config(3, quota=(.1, .25))).tolist() == chosen.tolist()
    assert SELECTIONS['quota'](s, y, 0, Config(3, quota=(.1, .25))).sum() == 3
