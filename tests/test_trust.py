"What tells good runs from bad ones without labels, and what is chosen by it."
from dataclasses import replace

import numpy as np
import pytest
import torch

import copl.iocnet
from copl import COPL, Config, CoplError, VideoSet, algorithm_1
from copl.algorithm import taking_part
from copl.engine import Batches, train
from copl.results import write_results
from copl.trust import (
    FEWEST,
    SCENES,
    Background,
    agreement_interval,
    background,
    background_features,
    best_run,
    between_runs,
    n_unseen,
    nearest_clusters,
    unseen_agreement,
    verdict,
)

from .small_runs import SMALL, TRAIN, UNSEEN, weights

QUICK = SMALL | {'iteration_num': 2, 'epoch_num': 1}
MODEL = QUICK | {'device': 'cpu'}


@pytest.fixture(scope='module')
def model(): return COPL(3, **MODEL).fit(TRAIN, unseen=UNSEEN)


def by_hand(videos, network, config):
    "Features and classes of videos, one at a time and from the definitions."
    F = []
    said = []
    for streams in videos:
        x = [torch.tensor(s) for s in streams]
        with torch.no_grad(): out = network(*x)
        A_ca = sum(out.attention)/len(out.attention)
        pooled = torch.cat([sum(a*row for a, row in zip(A_ca, s, strict=True)) for s in x])
        F.append((pooled/pooled.norm()).numpy())
        h = out.cas.softmax(-1) + out.attention.sum(0)[:, None]         # Eq. 14, but for a factor
        k = max(1, len(h)//config.top_k)
        scores = [out.cas[h[:, c].argsort(descending=True)[:k], c].mean() for c in range(3)]
        said.append(int(torch.stack(scores).argmax()))
    return np.stack(F), np.array(said)


def agreement_by_hand(network, y, config, unseen):
    "The definition, without any of copl's functions but the choice of videos that take part."
    F, said = by_hand(TRAIN, network, config)
    kept = taking_part(20, config)
    asked = [(F[i], said[i]) for i in range(20) if i not in kept]
    if unseen is not None: asked += zip(*by_hand(unseen, network, config), strict=True)
    assert len(kept) == 16 and len(asked) == 4 + (0 if unseen is None else len(unseen))
    centroids = {c: F[kept][y[kept] == c].sum(0) for c in set(y[kept].tolist())}
    nearest = [max(centroids, key=lambda c: f @ centroids[c]/np.linalg.norm(centroids[c]))
               for f, _ in asked]
    return np.mean([c == x for c, (_, x) in zip(nearest, asked, strict=True)])


# Agreement in every round, and videos held out


@pytest.mark.parametrize('unseen', [None, UNSEEN[:8]])
def test_agreement_of_every_round_is_that_of_its_definition(unseen):
    config = Config(3, **QUICK | {'epoch_num': 8}, attention='class_agnostic', hold_out=.2)
    for r in train(TRAIN, config, unseen=unseen):
        definition = agreement_by_hand(r.network, r.y, config, unseen)
        again = unseen_agreement(TRAIN, r.y, unseen, r.network, config)
        assert r.agreement == pytest.approx(definition) == pytest.approx(again)


def test_looking_at_unseen_videos_changes_nothing_else_and_not_at_their_labels(model):
    without = COPL(3, **MODEL).fit(TRAIN)
    assert 'agreement' not in without.rounds_ and model.rounds_.agreement.between(0, 1).all()
    assert torch.equal(weights(model.network_), weights(without.network_))
    assert (model.pseudolabels_ == without.pseudolabels_).all()
    with pytest.raises(CoplError, match='found 0 classes and 0 clusters, expected one of each'):
        without.agreement(TRAIN)
    blind = VideoSet(UNSEEN.names, UNSEEN.streams)
    assert model.agreement(TRAIN, blind) == model.rounds_.agreement.iloc[-1]


def test_no_loss_sees_what_is_held_out(monkeypatch):
    config = Config(3, **QUICK, hold_out=.3)
    seen = []
    read = Batches.__call__
    def watched(self, indices, *args):
        seen.append(indices)
        return read(self, indices, *args)
    monkeypatch.setattr(Batches, '__call__', watched)
    *_, fast = train(TRAIN, config)
    kept = taking_part(20, config)
    assert np.unique(np.concatenate(seen)).tolist() == kept.tolist() and len(kept) == 14
    assert kept.tolist() != taking_part(20, replace(config, seed=1)).tolist()
    *_, plain = algorithm_1(TRAIN, config)
    assert (plain.y == fast.y).all() and len(fast.y) == 20
    torch.testing.assert_close(weights(plain.network), weights(fast.network), atol=1e-6, rtol=0)


@pytest.mark.parametrize('hold_out, message', [
    (.01, 'leaves out 0 of 20 videos, expected at least 1 left out and 3'),
    (.9, 'leaves out 18 of 20 videos')])
def test_a_hold_out_that_leaves_nothing_is_refused(hold_out, message):
    config = Config(3, **QUICK, hold_out=hold_out)
    for run in (lambda: COPL(config=config, device='cpu').fit(TRAIN),
                lambda: list(algorithm_1(TRAIN, config))):
        with pytest.raises(CoplError, match=message): run()


def test_unseen_videos_that_cannot_be_are_refused():
    rgb, flow = UNSEEN.streams.values()
    broken = [x.copy() for x in rgb]
    broken[1][0, 3] = np.nan
    narrow = VideoSet(UNSEEN.names, {'rgb': [x[:, :4] for x in rgb], 'flow': flow})
    for unseen, message in (
            (TRAIN[2:7], f'found 5 of the unseen .* in training, the first: {TRAIN.names[2]!r}'),
            (narrow, r"streams \{'rgb': 4, 'flow': 12\}, expected \{'rgb': 12, 'flow': 12\}"),
            (VideoSet(UNSEEN.names, {'rgb': broken, 'flow': flow}),
             f'{UNSEEN.names[1]!r}, rgb, snippet 0, channel 3: found nan')):
        with pytest.raises(CoplError, match=message): COPL(3, **MODEL).fit(TRAIN, unseen=unseen)


# Measures


def test_a_cluster_without_videos_is_nobodys_nearest():
    rng = np.random.default_rng(0)
    F = rng.normal(size=(30, 5))
    y = rng.choice([0, 2], 30)
    centroids = np.stack([F[y == c].mean(0)/np.linalg.norm(F[y == c].mean(0)) for c in (0, 2)])
    expected = [[0, 2][i] for i in (-F @ centroids.T).argmax(1)]
    assert nearest_clusters(F, y, -F, 4).tolist() == expected


def test_similarity_does_not_depend_on_the_numbers_of_clusters():
    rng = np.random.default_rng(1)
    truth = np.repeat(np.arange(3), 12)
    noisy = [np.where(rng.random(36) < .25, rng.integers(0, 3, 36), truth) for _ in range(3)]
    found = between_runs([rng.permutation(3)[y] for y in noisy])
    assert found == pytest.approx(between_runs(noisy)) and 0 < found[0, 1] < 1


@pytest.mark.parametrize('k, n, low, high', [(81, 263, .2553, .3662), (15, 148, .0624, .1605),
                                             (0, 20, 0, .1611), (1, 29, .0061, .1718)])
def test_intervals_are_those_of_newcombe(k, n, low, high):
    # Statistics in Medicine 17 (1998), table I, method 3: Wilson's score without correction
    assert agreement_interval(k/n, n) == pytest.approx((low, high), abs=5e-5)
    narrow = agreement_interval(k/n, n, level=.68)
    assert low <= narrow[0] <= k/n <= narrow[1] < high


def test_the_number_of_unseen_videos_counts_those_held_out():
    config = Config(3, hold_out=.2)
    assert [n_unseen(20, unseen, c) for unseen in (None, UNSEEN) for c in (Config(3), config)] == [
        0, 4, 24, 28]
    both = COPL(3, **MODEL, hold_out=.2).fit(TRAIN, unseen=UNSEEN)
    assert both.rounds_.n_unseen.tolist() == [28]*2 and 'on 28 unseen videos' in repr(both)


@pytest.mark.parametrize('k, n, learnable, words', [
    (1, 1, None, '1 of 1 unseen videos (100 %, interval 21 % to 100 %): fewer than 16 videos'),
    (15, 15, None, 'hold more out'),
    (16, 16, True, '16 of 16 unseen videos (100 %, interval 81 % to 100 %): these clusters gen'),
    (35, 37, True, '(95 %, interval 82 % to 99 %)'), (34, 37, None, 'the interval contains 80 %'),
    (10, 37, False, '(27 %, interval 15 % to 43 %): these clusters do not generalise'),
    (820, 1000, None, 'the interval contains 80 %'), (830, 1000, True, '(83 %, interval 81 %')])
def test_the_interval_decides_the_words(k, n, learnable, words):
    found = verdict(k/n, n)
    assert found.learnable is learnable and words in found.why
    assert ('clusters generalise' in found.why) == bool(learnable)


def test_without_unseen_videos_or_their_number_there_is_no_verdict():
    for found, words in ((verdict(np.nan, 0), 'No video was left unseen'),
                         (verdict(1., 0), 'how many videos these are is not known')):
        assert found.learnable is None and words in found.why


def test_a_doubt_takes_the_place_of_words_that_speak_for_the_clusters():
    yes = verdict(35/37, 37)
    assert 'clusters generalise' in yes.why and yes.doubted(None) == yes
    found = yes.doubted('One.').doubted('Two.')
    assert found.why.endswith('to 99 %). Warning: One. Warning: Two.') and found.learnable
    assert 'Mean pooling' in verdict(10/37, 37).doubted('One.').why
    assert ['Warning' in verdict(35/37, 37, a).why for a in (.39, .4)] == [True, False]


@pytest.mark.parametrize('agreed, confidence, n, best', [
    ([.9, .88, .5], [.3, .4, .9], 82, 1),
    ([.9, .8, .5], [.3, .4, .9], 82, 0),       # .9 - .8 is three standard errors
    ([.9, .8, .5], [.3, .4, .9], 6, 1),        # of six videos it is less than one
    ([.9, .9, .5], [.3, .4, .9], 0, 1), ([1., .9, 1.], [.3, .9, .4], 82, 2),
    ([np.nan, .5], [.9, .1], 20, 1), ([np.nan, np.nan], [.1, .9], 0, 1),
    # ten clusters of nine classes (24_choice): agreement x confidence chooses the second
    ([73/82, 68/82, 72/82, 65/82, 72/82], [.395, .496, .365, .414, .464], 82, 4)])
def test_confidence_chooses_only_among_runs_of_the_same_agreement(agreed, confidence, n, best):
    assert best_run(agreed, confidence, n) == best


# Clusters from background alone


class Half(torch.nn.Module):
    "Attention and classes fall from the first snippet to the last; the classes rise at the end."
    def forward(self, x):
        falling = torch.linspace(.9, .1, len(x))
        cas = torch.stack([falling]*3, 1) - .5
        cas[-1] = 1
        return copl.iocnet.Outputs(cas, falling[None])


def test_background_is_what_both_kinds_of_attention_call_so(monkeypatch):
    rng = np.random.default_rng(0)
    action = np.repeat([0, 1, 2], 8)
    scene = np.tile([0, 1, 2], 8)
    x = [np.repeat(np.eye(6)[[a, 3 + s]], 5, 0) + .05*rng.normal(size=(10, 6))
         for a, s in zip(action, scene, strict=True)]    # first half an action, then a scene
    videos = VideoSet([f'v{i}' for i in range(24)], {'rgb': [f.astype(np.float32) for f in x]})
    monkeypatch.setattr('copl.algorithm.full_length',
                        lambda videos, network: ((x := tuple(map(torch.tensor, v)),
                                                  network(x[0])) for v in videos))
    F = background_features(videos, Half(), Config(3))
    own = np.stack([x[6:9].sum(0)/np.linalg.norm(x[6:9].sum(0)) for x, in videos])
    assert F == pytest.approx(own, abs=1e-5)
    by_scene = background(F, scene, Config(3))
    assert by_scene == (1, 24) and '24 training videos' in by_scene.doubt
    by_action = background(F, action, Config(3))
    assert abs(by_action.similarity) < .1 and by_action.doubt is None


def test_few_videos_and_videos_without_background_say_nothing(model):
    assert Background(1., FEWEST - 1).doubt is None and Background(1., FEWEST).doubt
    assert Background(SCENES, 50).doubt and Background(SCENES - .01, 50).doubt is None
    assert Background(np.nan, 50).doubt is None
    short = [{k: [x[:1] if i < n else x for i, x in enumerate(xs)]
              for k, xs in TRAIN.streams.items()} for n in (3, 20)]   # one snippet: no background
    some, none = (model.background(VideoSet(TRAIN.names, streams)) for streams in short)
    assert some.n == 17 and not np.isnan(some.similarity)
    assert none.n == 0 and np.isnan(none.similarity) and none.doubt is None


@pytest.mark.filterwarnings('ignore')
def test_a_run_that_may_be_scenes_or_is_below_the_baseline_gets_a_warning(model, tmp_path,
                                                                          monkeypatch):
    monkeypatch.setattr(COPL, 'background', lambda self, videos: Background(.5, 20))
    why = write_results(model, tmp_path, TRAIN, UNSEEN, {})['trust']['why']
    assert 'Clustering only the background of 20 training videos gives similar' in why
    for found in (1.79, .3):
        values = iter([found, 1.79])
        monkeypatch.setattr('copl.results.percent', lambda mAP, values=values: {
            'average': next(values)})
        why = write_results(model, tmp_path, TRAIN, UNSEEN, {}, verdict(35/37, 37))['trust']['why']
        assert ('is below the whole-video baseline of 1.79' in why) == (found < 1.79)
        assert ('clusters generalise' in why) == (found >= 1.79)
