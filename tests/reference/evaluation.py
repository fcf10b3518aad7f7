"mAP written out plainly, one detection at a time: the oracle for copl.evaluation."
import numpy as np
import pandas as pd


def tiou(a, b):
    "Temporal intersection over union of two segments."
    shared = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - shared
    return shared/union if union > 0 else 0.0


def toolkit_average_precision(detections, truth, tiou):
    """Interpolated AP of every class as the ActivityNet toolkit computes it, with pandas: a loop
    over the detections of a class in order of score, for each the tIoU with every instance of its
    video, most overlap first, and a table of locks per threshold and instance.
    `truth` has one row per instance; what the toolkit leaves open is decided as copl does: equal
    scores from the end of the file, equal overlaps by heapsort."""
    table = {label: class_average_precision(detections[detections.label == label], instances, tiou)
             for label, instances in truth.groupby('label')}
    return pd.DataFrame.from_dict(table, orient='index', columns=list(tiou)).sort_index()


def class_average_precision(detections, truth, tiou):
    "AP of one class at every threshold."
    truth, detections = (
        truth.reset_index(drop=True),
        detections.sort_values('score', kind='stable')[::-1].reset_index(drop=True))
    if detections.empty: return [0.0]*len(tiou)
    locked = np.full((len(tiou), len(truth)), False)
    true = np.zeros((len(tiou), len(detections)))
    by_video = truth.groupby('video')
    for i, detection in detections.iterrows():
        if detection.video not in by_video.groups: continue
        instances = by_video.get_group(detection.video).reset_index()
        overlap = segment_tiou(detection[['start', 'end']].to_numpy(float),
                               instances[['start', 'end']].to_numpy(float))
        for t, threshold in enumerate(tiou):
            for k in overlap.argsort(kind='heapsort')[::-1]:
                if overlap[k] < threshold: break
                if locked[t, instances.loc[k, 'index']]: continue
                locked[t, instances.loc[k, 'index']] = True
                true[t, i] = 1
                break
    found = np.cumsum(true, axis=1)
    wrong = np.cumsum(1 - true, axis=1)
    return [interpolated_area(f/(f + w), f/len(truth)) for f, w in zip(found, wrong, strict=True)]


def segment_tiou(segment, others):
    "tIoU of one segment with each of several."
    shared = (np.minimum(segment[1], others[:, 1]) - np.maximum(segment[0], others[:, 0])).clip(0)
    union = (segment[1] - segment[0]) + (others[:, 1] - others[:, 0]) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def interpolated_area(precision, recall):
    "Area under the precision-recall curve, precision made monotone from the right."
    precision, recall = [0.0, *precision, 0.0], [0.0, *recall, 1.0]
    for i in reversed(range(len(precision) - 1)): precision[i] = max(precision[i], precision[i + 1])
    return sum((recall[i] - recall[i - 1])*precision[i]
               for i in range(1, len(recall)) if recall[i] != recall[i - 1])
