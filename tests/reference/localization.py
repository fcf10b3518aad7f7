"Localization written out plainly, one video, class, threshold and run at a time: the oracle for copl.localize."
import numpy as np


def softmax(x):
    "Over the last axis."
    e = np.exp(x - x.max(-1, keepdims=True))
    return e/e.sum(-1, keepdims=True)


def class_probabilities(cas, h, top_k):
    "Softmax of the mean logit over the snippets where h is highest, class by class."
    k = max(1, len(cas)//top_k)
    return softmax(np.array([cas[np.argsort(-h[:, c], kind='stable')[:k], c].mean() for c in range(cas.shape[1])]))


def runs(above):
    "[(first, end)] of each run of True."
    where = np.where(above)[0]
    return [(g[0], g[-1] + 1) for g in np.split(where, np.where(np.diff(where) != 1)[0] + 1)] if len(where) else []


def contrast(curve, start, end, margin):
    "Mean inside minus mean in a margin on either side."
    reach = max(round((end - start)*margin), 1)
    outside = list(range(max(start - reach, 0), start)) + list(range(end, min(end + reach, len(curve))))
    return np.mean(curve[list(range(start, end))]) - (np.mean(curve[outside]) if outside else 0)


def tiou(a, b):
    "Overlap of one segment with many."
    shared = np.maximum(np.minimum(a[1], b[:, 1]) - np.maximum(a[0], b[:, 0]), 0)
    return shared/((a[1] - a[0]) + (b[:, 1] - b[:, 0]) - shared)


def nms(found, threshold):
    "Greedy: take the best, drop what overlaps it, and again; found is [(start, end, score)]."
    found, kept = np.array(sorted(found, key=lambda d: -d[2])).reshape(-1, 3), []
    while len(found):
        kept.append(tuple(found[0]))
        found = found[1:][tiou(found[0], found[1:]) <= threshold]
    return kept


def soft_nms(found, sigma):
    "Take the best, lower the scores of what overlaps it, and again."
    left, kept = [[s, e, max(p, 0)] for s, e, p in found], []
    while left:
        best = left.pop(max(range(len(left)), key=lambda i: left[i][2]))
        kept.append(tuple(best))
        for other in left: other[2] *= np.exp(-tiou(best, np.array([other]))[0]**2/sigma)
    return kept


def localize(cas, a_rgb, a_flow, config, seconds, duration, names):
    "[(start, end, label, score)] in one video, best first; seconds(t) is the time of a place measured in snippets."
    h = (softmax(cas) + (a_rgb + a_flow)[:, None])/3
    p = class_probabilities(cas, h, config.top_k)
    named = [c for c in range(len(p)) if names[c] is not None]
    candidates = {}
    for c in named:
        if p[c] < config.class_threshold and p[c] < max(p[named]): continue
        curve = (softmax(cas) if config.score == 'cas' else h)[:, c]
        before, after = config.smooth//2, (config.smooth - 1)//2
        padded = np.concatenate([[curve[0]]*before, curve, [curve[-1]]*after])
        curve = [padded[t:t + config.smooth].mean() for t in range(len(curve))]
        fine = np.interp((np.arange(len(curve)*config.upsample) + .5)/config.upsample - .5, np.arange(len(curve)), curve)
        low, high, seen = fine.min(), fine.max(), {}
        for theta in config.thetas:
            for start, end in runs(fine > low + (high - low)*theta):
                seen[start, end] = contrast(fine, start, end, config.margin) + config.class_weight*p[c]
        for (start, end), score in sorted(seen.items()):
            segment = min(seconds(start/config.upsample), duration), min(seconds(end/config.upsample), duration)
            if segment[1] > segment[0]: candidates.setdefault(names[c], []).append((*segment, score))
    kept = []
    for label in sorted(candidates):
        best = nms(candidates[label], config.nms_tiou) if config.nms == 'hard' else soft_nms(candidates[label], config.soft_sigma)
        kept += [(s, e, label, score) for s, e, score in best if score >= config.min_score]
    return sorted(kept, key=lambda d: -d[3])
