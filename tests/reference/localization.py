"""Localization written out plainly, one video, class, threshold and segment at a time: the oracle
for copl.localization."""
import math

import numpy as np

TOLERANCE = 1e-5  # computed numbers that differ by no more count as equal


def softmax(x):
    "Over the last axis."
    e = np.exp(x - x.max(-1, keepdims=True))
    return e/e.sum(-1, keepdims=True)


def class_probabilities(cas, h, top_k):
    "Softmax of the mean logit over the snippets where h is highest, class by class."
    k = max(1, len(cas)//top_k)
    last = np.sort(h, axis=0)[-k]
    means = [cas[h[:, c] >= last[c] - TOLERANCE, c].mean() for c in range(cas.shape[1])]
    return softmax(np.array(means))


def segments_of(above):
    "[(first, end)] of each stretch of True."
    where = np.where(above)[0]
    if not len(where): return []
    stretches = np.split(where, np.where(np.diff(where) != 1)[0] + 1)
    return [(t[0], t[-1] + 1) for t in stretches]


def segments_above(sequence, theta):
    "[(first, end)] of what lies above a fraction of the sequence's range."
    low = sequence.min()
    high = sequence.max()
    return segments_of(sequence > low + (high - low)*theta + TOLERANCE)


def outer_inner_contrast(sequence, start, end, margin):
    "Mean inside minus mean in a margin on either side."
    reach = max(round((end - start)*margin), 1)
    left = list(range(max(start - reach, 0), start))
    right = list(range(end, min(end + reach, len(sequence))))
    outside = np.mean(sequence[left + right]) if left + right else 0
    return np.mean(sequence[start:end]) - outside


def tiou(a, b):
    "Overlap of one segment with each of several."
    shared = np.maximum(np.minimum(a[1], b[:, 1]) - np.maximum(a[0], b[:, 0]), 0)
    return shared/((a[1] - a[0]) + (b[:, 1] - b[:, 0]) - shared)


def settled(scores):
    "Scores that are close together, from the best of them downwards in steps of the tolerance."
    result = [0.0]*len(scores)
    previous = math.inf
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if previous - scores[i] > TOLERANCE: best = scores[i]
        previous = scores[i]
        result[i] = best - TOLERANCE*math.floor((best - scores[i])/TOLERANCE)
    return result


def nms(found, threshold):
    """Greedy: take the best, of equals the first, drop what overlaps it, and again; found is
    [(start, end, score, ...)]."""
    left = np.array(sorted(found, key=lambda d: -d[2])).reshape(len(found), -1)
    kept = []
    while len(left):
        kept.append(tuple(left[0]))
        left = left[1:][tiou(left[0], left[1:]) <= threshold + TOLERANCE]
    return kept


def soft_nms(found, sigma):
    "Take the best, of equals the first, lower the scores of what overlaps it, and again."
    left = [list(d) for d in found]
    kept = []
    while left:
        highest = max(d[2] for d in left)
        best = left.pop(next(i for i, d in enumerate(left) if d[2] >= highest - TOLERANCE))
        kept.append(tuple(best))
        for d in left: d[2] *= np.exp(-tiou(best, np.array([d]))[0]**2/sigma)
    return kept


def weights(name):
    "{class name: weight} of a cluster."
    return {} if name is None else {name: 1} if isinstance(name, str) else name


def candidates(cas, attention, config, seconds, duration, names):
    "{class name: [(start, end, score)]} of one video, before NMS."
    h = (softmax(cas) + sum(attention)[:, None])/(1 + len(attention))
    p = class_probabilities(cas, h, config.top_k)
    named = [c for c in range(len(p)) if weights(names[c])]
    found = {}
    for c in named:
        likeliest = p[c] >= max(p[named]) - TOLERANCE
        if p[c] < config.class_threshold - TOLERANCE and not likeliest: continue
        sequence = (softmax(cas) if config.score == 'cas' else h)[:, c]
        n_before = config.smooth//2
        n_after = (config.smooth - 1)//2
        padded = np.concatenate([[sequence[0]]*n_before, sequence, [sequence[-1]]*n_after])
        smooth = [padded[t:t + config.smooth].mean() for t in range(len(sequence))]
        points = (np.arange(len(smooth)*config.upsample) + .5)/config.upsample - .5
        fine = np.interp(points, np.arange(len(smooth)), smooth)
        cut = {segment for theta in config.thetas for segment in segments_above(fine, theta)}
        for first, last in sorted(cut):
            start = min(seconds(first/config.upsample), duration)
            end = min(seconds(last/config.upsample), duration)
            score = outer_inner_contrast(fine, first, last, config.margin)
            score += config.class_weight*p[c]
            if end - start <= 1e-9: continue
            for label, weight in weights(names[c]).items():
                found.setdefault(label, []).append((start, end, score*weight))
    return found


def localize(cas, attention, config, seconds, duration, names):
    """[(start, end, label, score)] in one video, best first; attention is a list of (T,), one for
    each stream; seconds(t) is the time of a position measured in snippets."""
    by_label = candidates(cas, attention, config, seconds, duration, names)
    kept = []
    for label, found in sorted(by_label.items()):
        if config.nms == 'hard':
            levels = settled([score for *_, score in found])
            rows = zip(found, levels, strict=True)
            best = nms([(s, e, level, score) for (s, e, score), level in rows], config.nms_tiou)
        else: best = soft_nms([(s, e, max(score, 0)) for s, e, score in found], config.soft_sigma)
        kept += [(start, end, label, score) for start, end, *_, score in best]
    scores = settled([score for *_, score in kept])
    kept = [(*d[:3], score) for d, score in zip(kept, scores, strict=True)]
    kept = [d for d in kept if d[3] > config.min_score - TOLERANCE/2]
    return sorted(kept, key=lambda d: -d[3])
