"Edge cases of the method's functions, and errors that name what was found."
import math

import numpy as np
import pandas as pd
import pytest
import torch

from copl.config import ClusterConfig, Config, named
from copl.evaluation import mean_average_precision, purity
from copl.files import CoplError
from copl.has import ATTENTIONS, above_median, has_attention
from copl.iocnet import IOCNet, Outputs, temporal_feature_shift
from copl.localization import soft_nms
from copl.losses import LOSSES, check_finite, chosen_losses, loss_c, total_loss
from copl.plri import (
    best_of_each_cluster,
    cluster_kmeans,
    confidence_scores,
    rbf_affinity,
    spectral_clusters,
    split_pseudolabels,
)
from copl.trust import agreement, between_runs
from copl.videos import Annotations

F = np.eye(9, 3, dtype=np.float32)
LABEL = torch.tensor([[1., 0.]])
OUT = Outputs(torch.zeros(1, 3, 2), torch.full((2, 1, 3), .5))
NO_TRUTH = Annotations(pd.DataFrame(columns=['video', 'start', 'end', 'label']),
                       pd.DataFrame(columns=['video', 'subset', 'duration']))
NO_DETECTION = pd.DataFrame(columns=['video', 'start', 'end', 'label', 'score'])
ONE = Annotations(pd.DataFrame([('v', 0., 1., 'dive')], columns=NO_TRUTH.segments.columns),
                  pd.DataFrame([('v', 'test', 2.)], columns=NO_TRUTH.videos.columns))


def loss_of_a_batch(batch): return batch.student.cas.mean()


@pytest.mark.parametrize('call, message', [
    (lambda: has_attention(OUT.cas[0], OUT.attention[:, 0], alpha=0), 'alpha is 0, expected'),
    (lambda: named(ATTENTIONS, 'mean', 'attention'), "found 'mean', expected one of has, class_ag"),
    (lambda: spectral_clusters(F[:4], 5), '5 clusters asked for and only 4 videos'),
    (lambda: cluster_kmeans(F[:4], ClusterConfig(5)), '5 clusters asked for and only 4 videos'),
    (lambda: spectral_clusters(np.ones((9, 3)), 2), 'only 1 of the 9 videos differ'),
    (lambda: rbf_affinity(np.ones((9, 3))), 'all 9 videos are the same'),
    (lambda: rbf_affinity(F, beta=1e-7), 'beta is 1e-07, expected a bandwidth above 1e-6'),
    (lambda: confidence_scores(F, np.zeros(9, int)), 'all 9 videos are in one cluster'),
    (lambda: split_pseudolabels(np.zeros(2), delta=2), r'delta is 2, expected .* \[-1, 1\]'),
    (lambda: IOCNet({'rgb': 6, 'flow': 5}, 3, 8)(torch.rand(9, 5), torch.rand(9, 6)),
     r"\[5, 6\] channels, expected {'rgb': 6, 'flow': 5}"),
    (lambda: temporal_feature_shift(torch.ones(3, 4), 1.5), 'proportion is 1.5, expected'),
    (lambda: chosen_losses(Config(2, losses=('cls', 'Co'))), "found 'Co', expected one of cls"),
    (lambda: total_loss(OUT, OUT, torch.eye(2)[:1], torch.ones(1), Config(2),
                        {'mine': loss_of_a_batch}), r"'mine' returned \(\), expected a tensor \(1"),
    (lambda: check_finite({'cls': 1., 'mine': math.nan}, 0, 2, Config(2)),
     "round 0, epoch 2: loss 'mine'"),
    (lambda: soft_nms(np.eye(2), [1, np.nan]), 'found the score nan, expected'),
    (lambda: purity([0, 1], [None, None]), 'none of the 2 videos has a label'),
    (lambda: mean_average_precision(NO_DETECTION, NO_TRUTH), 'no annotated instance'),
    (lambda: mean_average_precision(NO_DETECTION, ONE, [0.]), r'\[0.0\], expected one or more in'),
    (lambda: agreement([], []), 'found 0 classes and 0 clusters, expected one of each'),
    (lambda: between_runs([]), r'found 0 runs over \[\] videos'),
])
def test_an_error_names_what_was_found(call, message):
    with pytest.raises(CoplError, match=message): call()


def test_a_warning_says_that_nothing_reaches_delta():
    with pytest.warns(UserWarning, match='delta = 0.5 .*highest confidence is 0.200.*P is empty'):
        assert not split_pseudolabels(np.array([.1, .2]), delta=.5).any()


def test_has_keeps_at_least_one_snippet_and_at_most_the_fraction():
    for t in range(1, 40):
        A = torch.randn(2, t)
        assert (above_median(A[0]) & above_median(A[1])).any()
    flat = torch.full((2, 100), .5)
    assert (has_attention(torch.zeros(100, 2), flat, alpha=.07) > 0).sum() == 7   # .07*100 > 7
    assert (has_attention(torch.zeros(1, 2), flat[:, :1], alpha=.01) > 0).tolist() == [True]


@pytest.mark.parametrize('F, y, expected', [
    (np.array([[1, 0], [1, 0], [.6, .8]]), [0, 0, 1], [.4, .4, 0]),         # alone in a cluster
    (np.array([[1., 0], [1, 0], [-1, 0], [-1, 0]]), [0, 0, 1, 1], [1]*4),   # opposite clusters
    (np.ones((4, 1)), [0, 0, 1, 1], [0]*4),
    (np.zeros((4, 2)), [0, 0, 1, 1], [0]*4)])
def test_confidence_where_the_formula_has_no_value(F, y, expected):
    assert confidence_scores(F, np.array(y)) == pytest.approx(expected)


def test_who_is_selected():
    assert split_pseudolabels(np.array([-.1, 0, .2])).tolist() == [False, True, True]
    alone = split_pseudolabels(np.array([.1, .2, 0]), y=np.array([1, 1, 0]))
    assert alone.tolist() == [True, True, False]
    s = np.array([.1, .4, .2, .3, -.5])
    half = best_of_each_cluster(s, np.array([0, 0, 0, 0, 1]), .5)
    assert half.tolist() == [False, True, False, True, True]


def test_a_video_in_U_or_without_unsure_snippets_adds_nothing():
    out = OUT._replace(hidden=(torch.rand(1, 3, 4),)*3)
    assert loss_c(out).item() == 0                                          # all snippets are sure
    selected = [total_loss(out, out, LABEL, torch.tensor([x]), Config(2, top_k=3), LOSSES)
                for x in (0., 1.)]
    assert [selected[0][k].item() for k in ('cls', 'asl')] == [0, 0] and selected[1]['asl'] > 0
    assert all(selected[0][k] == selected[1][k] for k in ('CI', 'C', 'CO'))
