"""Affinity, spectral clustering and confidence: plain versions (tests/reference), scikit-learn's
silhouette, and copl."""
import numpy as np
from sklearn.metrics import normalized_mutual_info_score, silhouette_samples

from copl.plri import confidence_scores, rbf_affinity, spectral_clusters
from tests.benchmarks import compare, main, measure
from tests.reference import clustering as reference

SIZES = {'tiny': (72, 128, 6), 'thumos': (200, 2048, 20), 'anet': (5000, 2048, 100)}


def mixture(n, d, classes):
    "Unit vectors around one direction per class, and the classes."
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, n)
    F = rng.normal(size=(classes, d)).astype(np.float32)[y]
    F += rng.standard_normal((n, d), np.float32)*1.5
    return F/np.linalg.norm(F, axis=1, keepdims=True), y


def benchmark(size, repeats):
    "Loops over pairs are left out where they would take minutes."
    n, d, classes = SIZES[size]
    F, y = mixture(n, d, classes)
    sizes = dict(videos=n, channels=d, clusters=classes)
    def nmi(found): return float(normalized_mutual_info_score(y, found))
    if n <= 200:
        yield compare('affinity, loops', lambda: reference.rbf_affinity(F),
                      lambda: rbf_affinity(F), repeats, np.testing.assert_allclose, **sizes)
        yield compare('confidence, loops', lambda: reference.confidence_scores(F, y),
                      lambda: confidence_scores(F, y), repeats,
                      lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), **sizes)
    yield compare('confidence, silhouette', lambda: silhouette_samples(F, y, metric='cosine'),
                  lambda: confidence_scores(F, y), repeats, **sizes)
    yield measure('spectral clustering', lambda: spectral_clusters(F, classes),
                  1 if n > 1000 else repeats, **sizes, nmi_with_classes=nmi)


if __name__ == '__main__': main(benchmark)
