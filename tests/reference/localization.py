"""From the outputs for one video to its detections, written out from section 1.2 of the supplement
and the equations of 15_localization: one class, one threshold, one segment, one pair at a time.
Numbers that differ by `EQUAL` or less count as equal. The oracle for copl.localization."""
import math

import numpy as np

from .evaluation import tiou

EQUAL = 1e-5


def softmax(x):
    "Over the last axis."
    e = np.exp(x - x.max(-1, keepdims=True))
    return e/e.sum(-1, keepdims=True)


def score_sequences(cas, attention, score):
    "(T, C) scores of each class in each snippet; cas is (T, C), attention (S, T)."
    p = softmax(cas)
    votes = sum(attention)[:, None]
    return {'cas': p, 'h_cs': (p + votes)/(1 + len(attention)),
            'a_cs': 0*p + (1 + np.tanh(cas.sum(1)/2))[:, None]/2,
            'mean': (p + votes/len(attention))/2, 'product': p*votes/len(attention)}[score]


def class_probabilities(cas, attention, top_k):
    "Softmax of the mean CAS of those T // top_k snippets that have the highest h_cs."
    h = score_sequences(cas, attention, 'h_cs')
    k = max(len(h)//top_k, 1)
    means = []
    for c in range(cas.shape[1]):
        last = sorted(h[:, c])[-k]
        means.append(cas[h[:, c] >= last - EQUAL, c].mean())
    return softmax(np.array(means))


def at(sequence, t):
    "The score of snippet t; before the first snippet it is that of the first, and so at the end."
    return sequence[min(max(t, 0), len(sequence) - 1)]


def smoothed(sequence, n):
    "Mean over n snippets: n // 2 before each, the rest from it on."
    return [sum(at(sequence, t + k) for k in range(-(n//2), n - n//2))/n
            for t in range(len(sequence))]


def finer(sequence, n):
    "n points per snippet, evenly spaced, on straight lines between the middles of snippets."
    points = []
    for i in range(len(sequence)*n):
        place = (i + .5)/n - .5
        t = math.floor(place)
        points.append(at(sequence, t) + (place - t)*(at(sequence, t + 1) - at(sequence, t)))
    return points


def stretches(points, threshold):
    "[first, end) of every stretch of points above a threshold."
    found = []
    first = None
    for i, x in enumerate([*points, -math.inf]):
        if x > threshold and first is None: first = i
        if x <= threshold and first is not None:
            found.append((first, i))
            first = None
    return found


def contrast(points, first, end, margin):
    "Mean of the points inside, less the mean of a margin on either side, as far as there is one."
    m = max(round((end - first)*margin), 1)
    outside = [*points[max(first - m, 0):first], *points[end:end + m]]
    outer = sum(outside)/len(outside) if outside else 0
    return sum(points[first:end])/(end - first) - outer


def proposals(sequence, p, config, grid, duration):
    "(start, end, score) in order of time, none twice."
    if config.smooth > 1: sequence = smoothed(sequence, config.smooth)
    points = finer(sequence, config.upsample)
    low, high = min(points), max(points)
    segments = {s for theta in config.thetas
                for s in stretches(points, low + theta*(high - low) + EQUAL)}
    found = []
    for first, end in sorted(segments):
        score = contrast(points, first, end, config.margin) + config.class_weight*p
        seconds = [min(max((i/config.upsample*grid.stride + (grid.window - grid.stride)/2)/grid.fps,
                           0), duration) for i in (first, end)]
        if seconds[1] - seconds[0] > 1e-6*grid.stride/grid.fps: found.append((*seconds, score))
    return found


def without_last_digits(scores):
    "From the highest down: chains of scores, each within EQUAL of the one before, in whole steps."
    result = list(scores)
    previous = math.inf
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if previous - scores[i] > EQUAL: best = scores[i]
        previous = scores[i]
        result[i] = best - EQUAL*math.floor((best - scores[i])/EQUAL)
    return result


def nms(segments, scores, limit):
    "Indices that stay, best first: each overlaps no better one that stays by more than the limit."
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if all(tiou(segments[i], segments[k]) <= limit + EQUAL for k in kept): kept.append(i)
    return kept


def soft_nms(segments, scores, sigma):
    "(index, lowered score), best first."
    left = dict(enumerate(scores))
    order = []
    while left:
        highest = max(left.values())
        best = next(i for i, score in left.items() if score >= highest - EQUAL)
        order.append((best, left.pop(best)))
        for i in left: left[i] *= math.exp(-tiou(segments[i], segments[best])**2/sigma)
    return order


def localize(cas, attention, config, grid, duration, names):
    "(start, end, label, score), best first; each of `names` is {class name: weight}."
    p = class_probabilities(cas, attention, config.top_k)
    named = [c for c in range(len(p)) if names[c]]
    enough = min([config.class_threshold, max([p[c] for c in named], default=0)])
    sequences = score_sequences(cas, attention, config.score)
    of_label = {}
    for c in named:
        if p[c] < enough - EQUAL: continue
        found = proposals(sequences[:, c].tolist(), p[c], config, grid, duration)
        for label, weight in names[c].items():
            of_label.setdefault(label, []).extend((s, e, weight*score) for s, e, score in found)
    detections = []
    for label, found in sorted(of_label.items()):
        segments = [(start, end) for start, end, _ in found]
        scores = [score for *_, score in found]
        if config.nms == 'soft':
            kept = soft_nms(segments, [max(x, 0) for x in scores], config.soft_sigma)
        else:
            kept = [(i, scores[i])
                    for i in nms(segments, without_last_digits(scores), config.nms_tiou)]
        detections += [(*segments[i], label, score) for i, score in kept]
    scores = without_last_digits([score for *_, score in detections])
    detections = [(*d[:3], score) for d, score in zip(detections, scores, strict=True)
                  if score >= config.min_score - EQUAL/2]
    return sorted(detections, key=lambda d: -d[3])


def whole_video(cas, attention, config, duration, names):
    "(start, end, label, score): all of the video, as the likeliest class that has a name."
    p = class_probabilities(cas, attention, config.top_k)
    named = [c for c in range(len(p)) if names[c]]
    if not named: return []
    likeliest = next(c for c in named if p[c] >= max(p[k] for k in named) - EQUAL)
    label = max(names[likeliest], key=names[likeliest].get)
    return [(0, duration, label, names[likeliest][label]*p[likeliest])]
