"A user's script, as mypy and pyright see it: what calls return, and what they do not take."
from typing import assert_type

import numpy as np
import pandas as pd

from copl import (
    COPL,
    BestOf,
    Config,
    VideoSet,
    load_annotations,
    load_videos,
    localize,
    mean_average_precision,
    nms,
    save_detections,
)
from copl.config import LocalizeConfig
from copl.iocnet import Outputs

videos = load_videos('features')
train, test = videos.split()
assert_type(videos[:40], VideoSet)
assert_type(videos[[1, 2]], VideoSet)
assert_type(videos[0], tuple[np.ndarray, ...])

model = COPL(20, delta=.05, device='cpu').fit(train, unseen=test)
assert_type(model, COPL)
assert_type(model.predict(videos), np.ndarray)
assert_type(model.labels_, np.ndarray)
assert_type(model.outputs(videos[:1]), list[Outputs])
assert_type(COPL.load('checkpoint.pt'), COPL)

detections = model.localize(videos)
assert_type(detections, pd.DataFrame)
save_detections(detections, 'detections.json')
mAP = mean_average_precision(detections, load_annotations('truth.json'), [.3, .5])
assert_type(mAP, pd.Series)
found = localize(model.outputs(videos)[0], LocalizeConfig(nms='soft'), names=['run', None])
kept = nms(found[['start', 'end']].to_numpy(), found.score.to_numpy())
assert_type(kept, np.ndarray)

best = BestOf(COPL(config=Config.preset('feel', 20)), runs=3, options={'alpha': [.25, .5]})
assert_type(best.fit(train, test), BestOf)
assert_type(BestOf.auto(COPL(20), runs=3).fit(train, test), BestOf)
