"copl: unsupervised temporal action localization; everything else is in the modules."
__version__ = "0.2.0"

from copl.algorithm import algorithm_1
from copl.annotations import load_annotations, load_detections, save_detections
from copl.choice import BestOf
from copl.config import Config
from copl.data import anet_like, load_videos, save_videos
from copl.estimator import COPL
from copl.evaluation import map_clusters, purity
from copl.has import ATTENTIONS, global_features, has_attention
from copl.iocnet import IOCNet, temporal_feature_shift
from copl.localization import localize, nms, soft_nms
from copl.losses import LOSSES
from copl.matching import mean_average_precision
from copl.n_classes import estimate_n_classes, mean_pooled
from copl.plri import (
    CLUSTERINGS, SELECTIONS, confidence_scores, spectral_clusters, split_pseudolabels)
from copl.simulation import simulate, thumos_like, tiny
from copl.trust import agreement, between_runs, split_half
from copl.videos import CoplError, VideoSet

__all__ = [
    'COPL', 'BestOf', 'Config', 'CoplError',
    'VideoSet', 'load_videos', 'save_videos',
    'load_annotations', 'load_detections', 'save_detections',
    'simulate', 'tiny', 'thumos_like', 'anet_like',
    'has_attention', 'global_features',
    'spectral_clusters', 'confidence_scores', 'split_pseudolabels',
    'IOCNet', 'temporal_feature_shift', 'algorithm_1',
    'ATTENTIONS', 'CLUSTERINGS', 'SELECTIONS', 'LOSSES',
    'localize', 'nms', 'soft_nms',
    'mean_average_precision', 'purity', 'map_clusters',
    'agreement', 'split_half', 'between_runs', 'estimate_n_classes', 'mean_pooled',
]
