"What tells good runs from bad ones without labels, and what is chosen by it."
import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

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
    split_half,
    unseen_agreement,
    verdict,
)

from .small_runs import QUICK, SMALL, TRAIN, UNSEEN, command, weights


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


def agreement_by_hand(network, y, held, config, unseen):
    "The definition, without any of copl's functions."
    F, said = by_hand(TRAIN, network, config)
    F_unseen, said_unseen = (by_hand(unseen, network, config) if unseen is not None else
                             (F[:0], said[:0]))
    kept = np.setdiff1d(np.arange(len(F)), held)
    asked = [*zip(F[held], said[held], strict=True), *zip(F_unseen, said_unseen, strict=True)]
    centroids = {c: F[kept][y[kept] == c].sum(0) for c in set(y[kept].tolist())}
    nearest = [max(centroids, key=lambda c: f @ centroids[c]/np.linalg.norm(centroids[c]))
               for f, _ in asked]
    return np.mean([c == x for c, (_, x) in zip(nearest, asked, strict=True)])


# Agreement in every round, and videos held out


@pytest.mark.parametrize('hold_out, unseen', [(0., UNSEEN), (.2, None), (.2, UNSEEN)])
def test_agreement_of_every_round_is_that_of_its_definition(hold_out, unseen):
    config = Config(3, **SMALL | {'epoch_num': 8}, attention='class_agnostic', hold_out=hold_out)
    held = np.setdiff1d(np.arange(20), taking_part(20, config))
    assert len(held) == 20*hold_out
    found = [(r.agreement, agreement_by_hand(r.network, r.y, held, config, unseen),
              unseen_agreement(TRAIN, r.y, unseen, r.network, config))
             for r in train(TRAIN, config, unseen=unseen)]
    for one, definition, again in found:
        assert one == pytest.approx(definition) == pytest.approx(again)


def test_looking_at_unseen_videos_changes_nothing_else():
    config = Config(3, **SMALL)
    for with_them, without in zip(train(TRAIN, config, unseen=UNSEEN), train(TRAIN, config),
                                  strict=True):
        assert np.isnan(without.agreement) and not np.isnan(with_them.agreement)
        assert (with_them.F == without.F).all() and (with_them.y == without.y).all()
        assert torch.equal(weights(with_them.network), weights(without.network))


def test_no_loss_sees_what_is_held_out(monkeypatch):
    config = Config(3, **SMALL, hold_out=.3)
    seen = []
    read = Batches.__call__
    def watched(self, indices, *args):
        seen.append(indices)
        return read(self, indices, *args)
    monkeypatch.setattr(Batches, '__call__', watched)
    fast = [(r.y, weights(r.network), r.losses) for r in train(TRAIN, config)]
    assert (np.unique(np.concatenate(seen)).tolist() == taking_part(20, config).tolist() and
            len(taking_part(20, config)) == 14)
    assert taking_part(20, config).tolist() != taking_part(20, replace(config, seed=1)).tolist()
    for plain, (y, network, losses) in zip(algorithm_1(TRAIN, config), fast, strict=True):
        assert (plain.y == y).all() and len(y) == 20
        torch.testing.assert_close(weights(plain.network), network, atol=1e-6, rtol=0)
        pd.testing.assert_frame_equal(plain.losses, losses, atol=1e-5)


@pytest.mark.parametrize('hold_out, message', [
    (.01, 'leaves out 0 of 20 videos, expected at least 1 left out and 3'),
    (.9, 'leaves out 18 of 20 videos')])
def test_a_hold_out_that_leaves_nothing_is_refused(hold_out, message):
    config = Config(3, **SMALL, hold_out=hold_out)
    for run in (lambda: COPL(config=config, device='cpu').fit(TRAIN),
                lambda: list(algorithm_1(TRAIN, config))):
        with pytest.raises(CoplError, match=message): run()


def test_without_unseen_videos_there_is_no_agreement_and_asking_for_it_says_so():
    model = COPL(3, **SMALL, device='cpu').fit(TRAIN)
    assert 'agreement' not in model.rounds_
    with pytest.raises(CoplError, match='found 0 classes and 0 clusters, expected one of each '
                                        'for one unseen video or more'):
        model.agreement(TRAIN)
    assert COPL(3, **SMALL, hold_out=.2, device='cpu').fit(TRAIN).rounds_.agreement.between(
        0, 1).all()


def test_unseen_videos_that_cannot_be_are_refused():
    model = COPL(3, **SMALL, device='cpu')
    with pytest.raises(CoplError, match='found 5 of the unseen videos in training, '
                                        f'the first: {TRAIN.names[2]!r}'):
        model.fit(TRAIN, unseen=TRAIN[2:7])
    narrow = VideoSet(UNSEEN.names, {'rgb': [x[:, :4] for x in UNSEEN.streams['rgb']],
                                     'flow': UNSEEN.streams['flow']})
    with pytest.raises(CoplError, match=r"streams \{'rgb': 4, 'flow': 12\}, "
                                        r"expected \{'rgb': 12, 'flow': 12\}"):
        model.fit(TRAIN, unseen=narrow)
    broken = [x.copy() for x in UNSEEN.streams['rgb']]
    broken[1][0, 3] = np.nan
    with pytest.raises(CoplError,
                       match=f'{UNSEEN.names[1]!r}, rgb, snippet 0, channel 3: found nan'):
        model.fit(TRAIN, unseen=VideoSet(UNSEEN.names, {'rgb': broken,
                                                        'flow': UNSEEN.streams['flow']}))


def test_labels_of_unseen_videos_are_not_looked_at():
    model = COPL(3, **SMALL, device='cpu').fit(TRAIN, unseen=UNSEEN)
    blind = COPL(3, **SMALL, device='cpu').fit(TRAIN, unseen=VideoSet(UNSEEN.names, UNSEEN.streams))
    assert blind.rounds_.agreement.tolist() == model.rounds_.agreement.tolist()


class Stopped(Exception): pass


def test_a_run_with_unseen_videos_resumes_to_the_same_rounds(tmp_path):
    path = tmp_path/'c.pt'
    whole = COPL(3, **SMALL, device='cpu').fit(TRAIN, unseen=UNSEEN)
    def stop(model):
        if len(model.iterations_) == 2: raise Stopped
        return {}
    with pytest.raises(Stopped):
        COPL(3, **SMALL, device='cpu').fit(TRAIN, checkpoint=path, after_round=stop,
                                           unseen=UNSEEN)
    with pytest.raises(CoplError, match='cannot resume with other data'):
        COPL(3, **SMALL, device='cpu').fit(TRAIN, checkpoint=path, resume=True)
    resumed = COPL(3, **SMALL, device='cpu').fit(TRAIN, checkpoint=path, resume=True, unseen=UNSEEN)
    pd.testing.assert_frame_equal(resumed.rounds_, whole.rounds_)
    assert torch.equal(weights(resumed.network_), weights(whole.network_))


def test_a_checkpoint_from_before_an_option_existed_resumes(tmp_path):
    path = tmp_path/'c.pt'
    model = COPL(3, **SMALL, device='cpu').fit(TRAIN, checkpoint=path)
    saved = torch.load(tmp_path/'c.pt', weights_only=True)
    del saved['config']['hold_out']
    torch.save(saved, tmp_path/'c.pt')
    again = COPL(3, **SMALL, device='cpu').fit(TRAIN, checkpoint=path, resume=True)
    assert again.pseudolabels_.tolist() == model.pseudolabels_.tolist()
    with pytest.raises(CoplError, match=r'hold_out: 0.0 then, 0.2 now'):
        COPL(3, **SMALL, hold_out=.2, device='cpu').fit(TRAIN, checkpoint=path, resume=True)


# Figures


def test_a_cluster_without_videos_is_nobodys_nearest():
    rng = np.random.default_rng(0)
    F = rng.normal(size=(30, 5))
    y = rng.choice([0, 2], 30)
    found = nearest_clusters(F, y, -F, 4)
    assert set(found.tolist()) <= {0, 2}
    centroids = np.stack([F[y == c].mean(0)/np.linalg.norm(F[y == c].mean(0)) for c in (0, 2)])
    assert found.tolist() == [[0, 2][i] for i in (-F @ centroids.T).argmax(1)]


def test_split_half_is_high_for_groups_and_low_for_none():
    rng = np.random.default_rng(0)
    def unit(x): return x/np.linalg.norm(x, axis=1, keepdims=True)
    groups = unit(np.repeat(np.eye(4, 8), 10, 0) + .1*rng.normal(size=(40, 8)))
    none = unit(rng.normal(size=(40, 8)))
    config = Config(4)
    assert split_half(groups, config) > .95 and split_half(none, config) < .4
    assert (split_half(none, config) == split_half(none, config) !=
            split_half(none, replace(config, seed=1)))


def test_similarity_does_not_depend_on_the_numbers_of_clusters():
    rng = np.random.default_rng(1)
    truth = np.repeat(np.arange(3), 12)
    noisy = [np.where(rng.random(36) < .25, rng.integers(0, 3, 36), truth) for _ in range(5)]
    renamed = [rng.permutation(3)[y] for y in noisy]
    assert between_runs(renamed) == pytest.approx(between_runs(noisy))
    assert between_runs(noisy)[0, 1] == pytest.approx(adjusted_rand_score(noisy[0], noisy[1]))


@pytest.mark.parametrize('k, n, low, high', [(81, 263, .2553, .3662), (15, 148, .0624, .1605),
                                             (0, 20, 0, .1611), (1, 29, .0061, .1718)])
def test_intervals_are_those_of_newcombe(k, n, low, high):
    # Statistics in Medicine 17 (1998), table I, method 3: Wilson's score without correction
    assert agreement_interval(k/n, n) == pytest.approx((low, high), abs=5e-5)
    narrow = agreement_interval(k/n, n, level=.68)
    assert low <= narrow[0] <= k/n <= narrow[1] < high


def test_the_number_of_unseen_videos_counts_those_held_out():
    config = Config(3, hold_out=.2)
    assert [n_unseen(20, None, Config(3)), n_unseen(20, UNSEEN, Config(3)),
            n_unseen(20, None, config), n_unseen(20, UNSEEN, config)] == [0, 24, 4, 28]
    model = COPL(3, **SMALL, hold_out=.2, device='cpu').fit(TRAIN, unseen=UNSEEN)
    assert model.rounds_.n_unseen.tolist() == [28]*3
    assert 'on 28 unseen videos' in repr(model)


@pytest.mark.parametrize('k, n, learnable, words', [
    (1, 1, None, '1 of 1 unseen videos (100 %, interval 21 % to 100 %): fewer than 16 videos'),
    (0, 2, None, '0 of 2 unseen videos'), (15, 15, None, 'hold more out'),
    (16, 16, True, '16 of 16 unseen videos (100 %, interval 81 % to 100 %): these clusters can be'),
    (35, 37, True, '35 of 37 unseen videos (95 %, interval 82 % to 99 %): these clusters can be '
                   'learned again from other videos. They may be actions, or scenes or cameras'),
    (34, 37, None, 'the interval holds 80 %'), (30, 37, None, 'Give more unseen videos'),
    (10, 37, False, '10 of 37 unseen videos (27 %, interval 15 % to 43 %): these clusters are not '
                    'learned again'), (820, 1000, None, 'the interval holds 80 %'),
    (830, 1000, True, '(83 %, interval 81 % to 85 %)')])
def test_the_interval_decides_the_words(k, n, learnable, words):
    found = verdict(k/n, n)
    assert found.learnable is learnable and words in found.why
    assert 'believe' not in found.why and ('can be learned' in found.why) == bool(learnable)


def test_without_unseen_videos_or_their_number_there_is_no_verdict():
    none = verdict(np.nan, 0)
    assert none.learnable is None and 'No video was left unseen' in none.why
    assert '--hold-out' in none.why
    unsaid = verdict(1., 0)
    assert unsaid.learnable is None and 'how many videos these are is not known' in unsaid.why


def test_a_doubt_takes_the_place_of_words_that_speak_for_the_clusters():
    yes = verdict(35/37, 37)
    assert 'can be learned again' in yes.why and yes.doubted(None) == yes
    found = yes.doubted('One.').doubted('Two.')
    assert found.why.endswith('to 99 %). Warning: One. Warning: Two.') and found.learnable
    assert 'Mean pooling' in verdict(10/37, 37).doubted('One.').why
    assert ['Warning' in verdict(35/37, 37, a).why for a in (.39, .4)] == [True, False]
    assert 'can be learned' not in verdict(35/37, 37, .39).why


def test_confidence_chooses_only_among_runs_of_the_same_agreement():
    assert best_run([.9, .88, .5], [.3, .4, .9], 82) == 1
    assert best_run([.9, .8, .5], [.3, .4, .9], 82) == 0      # .9 - .8 is three standard errors
    assert best_run([.9, .8, .5], [.3, .4, .9], 6) == 1       # of six videos it is less than one
    assert best_run([.9, .9, .5], [.3, .4, .9], 0) == 1
    assert best_run([1., .9, 1.], [.3, .9, .4], 82) == 2
    assert best_run([np.nan, .5], [.9, .1], 20) == 1
    assert best_run([np.nan, np.nan], [.1, .9], 0) == 1


def test_the_product_fails_and_the_rule_does_not_where_the_number_of_classes_is_wrong():
    agreed = [73/82, 68/82, 72/82, 65/82, 72/82]              # 24_choice, ten clusters
    sure = [.395, .496, .365, .414, .464]
    assert np.argmax(np.multiply(agreed, sure)) == 1 and best_run(agreed, sure, 82) == 4


# Clusters from background alone


class Half(torch.nn.Module):
    "Attention and classes fall from the first snippet to the last; the classes rise at the end."
    def forward(self, x):
        falling = torch.linspace(.9, .1, len(x))
        cas = torch.stack([falling]*3, 1) - .5
        cas[-1] = 1
        return copl.iocnet.Outputs(cas, falling[None])


def half_way(action, scene, T=10):
    "Videos whose first half shows an action, the second a scene."
    rng = np.random.default_rng(0)
    names = [f'v{i}' for i in range(len(action))]
    x = [np.repeat([np.eye(6)[a], np.eye(6)[3 + c]], T//2, 0) + .05*rng.normal(size=(T, 6))
         for a, c in zip(action, scene, strict=True)]
    return VideoSet(names, {'rgb': [f.astype(np.float32) for f in x]})


def test_background_is_what_both_kinds_of_attention_call_so(monkeypatch):
    action = np.repeat([0, 1, 2], 8)
    scene = np.tile([0, 1, 2], 8)
    videos = half_way(action, scene)
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


def test_few_videos_and_videos_without_background_say_nothing():
    assert Background(1., FEWEST - 1).doubt is None and Background(1., FEWEST).doubt
    assert Background(SCENES, 50).doubt and Background(SCENES - .01, 50).doubt is None
    assert Background(np.nan, 50).doubt is None
    model = COPL(3, **SMALL, device='cpu').fit(TRAIN)
    short = [{k: [x[:1] if i < n else x for i, x in enumerate(xs)]
              for k, xs in TRAIN.streams.items()} for n in (3, 20)]   # one snippet: no background
    found = [model.background(VideoSet(TRAIN.names, streams)) for streams in short]
    assert found[0].n == 17 and not np.isnan(found[0].similarity)
    assert found[1].n == 0 and np.isnan(found[1].similarity) and found[1].doubt is None


def scenes_in(folder, scenes=3, action=1.2):
    "28 videos of four actions in some scenes, as features and annotations in a folder."
    rng = np.random.default_rng(0)
    C = rng.normal(size=(4, 768))
    places = rng.normal(size=(max(scenes, 1), 768))*(scenes > 0)
    database = {}
    folder.mkdir()
    for i in range(28):
        T = int(rng.integers(40, 90))
        x = places[rng.integers(0, len(places))] + rng.normal(size=(T, 768))*.7
        first = int(rng.integers(3, 20))
        last = first + int(rng.integers(8, 16))
        x[first:last] += C[i % 4]*action
        np.save(folder/f'v_{i:03d}.npy', (x/np.linalg.norm(x, axis=1, keepdims=True)).astype('f4'))
        shown = [{'segment': [first*.64, last*.64], 'label': f'Act{i % 4}'}]
        database[f'v_{i:03d}'] = {'duration': T*.64, 'annotations': shown,
                                  'subset': 'training' if i < 20 else 'validation'}
    whole = {'database': database, 'version': 'x', 'taxonomy': []}
    (folder/'annotations.json').write_text(json.dumps(whole))


@pytest.mark.parametrize('scenes, action, warned', [(3, 1.2, True), (0, 2.5, False)])
def test_clusters_that_are_scenes_are_doubted_and_actions_are_not(tmp_path, scenes, action, warned):
    scenes_in(tmp_path/'data', scenes, action)
    status, printed, _ = command('train', tmp_path/'data', '--n-classes', 4, '--snippets', 96,
                               '--epoch-num', 5, '--iteration-num', 3, '--out', tmp_path/'run')
    metrics = json.loads((tmp_path/'run/metrics.json').read_text())
    trust = metrics['trust']
    assert status == 0 and trust['n_unseen'] == 8 and trust['learnable'] is None
    assert trust['why'] in printed and 'believe' not in printed
    assert ('The clusters may be scenes or cameras.' in trust['why']) == warned
    assert (metrics['clustering']['purity'] > .9) != warned


@pytest.mark.parametrize('found, baseline', [(1.79, 1.79), (.3, 1.79)])
def test_no_word_for_the_clusters_where_map_is_below_the_baseline(tmp_path, monkeypatch, found,
                                                                  baseline):
    model = COPL(3, **SMALL, device='cpu').fit(TRAIN, unseen=UNSEEN)
    values = iter([found, baseline])
    monkeypatch.setattr('copl.results.percent', lambda mAP: {'average': next(values)})
    metrics = write_results(model, tmp_path, TRAIN, UNSEEN, {}, verdict(35/37, 37))
    why = metrics['trust']['why']
    assert ('is below the whole-video baseline of 1.79' in why) == (found < baseline)
    assert ('can be learned again' in why) == (found >= baseline)


def test_a_run_and_metrics_from_before_the_number_was_kept_get_no_verdict(tmp_path, tiny_run):
    args = ('train', 'sim:tiny', *QUICK, '--out', tmp_path/'run')
    shutil.copytree(tiny_run, tmp_path/'run')
    saved = torch.load(tmp_path/'run/checkpoint.pt', weights_only=True)
    assert [row.pop('n_unseen') for row in saved['rounds']] == [36]*2
    torch.save(saved, tmp_path/'run/checkpoint.pt')
    status, printed, _ = command(*args, '--resume')
    assert status == 0 and 'how many videos these are is not known' in printed
    metrics = json.loads((tmp_path/'run/metrics.json').read_text())
    metrics['trust'] = {'agreement': 1., 'believe': True, 'why': 'these clusters can be believed.'}
    (tmp_path/'run/metrics.json').write_text(json.dumps(metrics))
    status, _, err = command('report', tmp_path/'run', '--device', 'cpu')
    page = (tmp_path/'run/report.html').read_text()
    assert (status, err) == (0, '') and 'believe' not in page and '1.000' in page
