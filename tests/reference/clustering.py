"Affinity and confidence written out pair by pair: the oracle for copl.plri."
import math


def dot(a, b):
    "Inner product of two vectors."
    return sum(x*y for x, y in zip(a, b, strict=True))


def distance(a, b):
    "Euclidean distance of two vectors."
    return math.sqrt(sum((x - y)**2 for x, y in zip(a, b, strict=True)))


def rbf_affinity(F, beta=None):
    "exp(-|F_i - F_j|^2 / 2 beta^2) of every pair; beta by default their mean distance."
    F, n = [list(map(float, f)) for f in F], len(F)
    apart = [[distance(F[i], F[j]) for j in range(n)] for i in range(n)]
    if beta is None: beta = sum(map(sum, apart))/(n*(n - 1))
    return [[math.exp(-d**2/(2*beta**2)) for d in row] for row in apart]


def confidence_scores(F, y):
    """Eq. 6-8 of every video: cohesion a is its mean cosine to the other members of its cluster,
    separation b the largest of its mean cosines to another cluster, neither less than 0, and
    s = (a - b)/max(a, b); 0 for a cluster's only member and where both are 0."""
    F, y = [list(map(float, f)) for f in F], [int(c) for c in y]
    scores = []
    for i, own in enumerate(y):
        cosines = {}
        for j, cluster in enumerate(y):
            if j != i: cosines.setdefault(cluster, []).append(dot(F[i], F[j]))
        a = max(mean(cosines.pop(own)), 0) if own in cosines else None
        b = max(0, *map(mean, cosines.values()))
        scores.append(0.0 if a is None or max(a, b) == 0 else (a - b)/max(a, b))
    return scores


def mean(values):
    "Of a list."
    return sum(values)/len(values)
