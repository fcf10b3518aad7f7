"copl: unsupervised temporal action localization. The names that users hold on to; everything else is in the modules."
__version__ = "0.1.0"

from copl.config import Config, CoplError
from copl.data import VideoSet, load_annotations, load_detections, load_videos, save_detections, save_videos
from copl.estimator import COPL
from copl.evaluate import map_clusters, mean_average_precision, purity
from copl.has import global_features, has_attention
from copl.iocnet import IOCNet, temporal_feature_shift
from copl.localize import localize, nms, soft_nms
from copl.plri import confidence_scores, spectral_clusters, split_pseudolabels
from copl.simulate import anet_like, simulate, thumos_like, tiny

__all__ = [
    'COPL', 'Config', 'CoplError',
    'VideoSet', 'load_videos', 'load_annotations', 'load_detections', 'save_videos', 'save_detections',
    'simulate', 'tiny', 'thumos_like', 'anet_like',
    'has_attention', 'global_features',
    'spectral_clusters', 'confidence_scores', 'split_pseudolabels',
    'IOCNet', 'temporal_feature_shift',
    'localize', 'nms', 'soft_nms',
    'mean_average_precision', 'purity', 'map_clusters',
]
