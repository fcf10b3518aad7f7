"mAP written out plainly, one detection at a time: the oracle for copl.evaluate."
import numpy as np


def tiou(a, b):
    "Temporal intersection over union of two segments."
    shared = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - shared
    return shared/union if union > 0 else 0.0


def average_precision(detections, truth, threshold):
    "AP of one class; detections are (video, start, end, score), truth is (video, start, end)."
    taken, precision, recall = set(), [], []
    hits = 0
    for rank, (video, start, end, _) in enumerate(sorted(detections, key=lambda d: -d[3]), 1):
        pairs = [i for i, t in enumerate(truth) if t[0] == video]
        overlaps = [tiou((start, end), truth[i][1:]) for i in pairs]
        for k in np.argsort(overlaps, kind='heapsort')[::-1]:  # of equal overlaps the one that heapsort puts last
            if pairs[k] in taken: continue
            if overlaps[k] >= threshold:
                taken.add(pairs[k])
                hits += 1
            break
        precision.append(hits/rank)
        recall.append(hits/len(truth))
    area, before = 0.0, 0.0
    for i, r in enumerate(recall):
        if r > before: area += (r - before)*max(precision[i:])
        before = r
    return area


def nms(segments, scores, threshold):
    "Greedy NMS, pair by pair."
    order, kept = sorted(range(len(scores)), key=lambda i: -scores[i]), []
    for i in order:
        if all(tiou(segments[i], segments[j]) <= threshold for j in kept): kept.append(i)
    return kept


def proposals(curve, thetas, margin):
    "{(first point, end point): outer-inner contrast}, point by point."
    low, high, found = min(curve), max(curve), {}
    for theta in thetas:
        start = None
        for t in range(len(curve) + 1):
            above = t < len(curve) and curve[t] > low + (high - low)*theta
            if above and start is None: start = t
            if not above and start is not None:
                reach = max(round((t - start)*margin), 1)
                outside = [*curve[max(start - reach, 0):start], *curve[t:t + reach]]
                found[start, t] = sum(curve[start:t])/(t - start) - (sum(outside)/len(outside) if outside else 0)
                start = None
    return found
