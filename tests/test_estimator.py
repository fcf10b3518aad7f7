"""Parts of one's own, what is refused by name, names of clusters, and videos whose time is not the
usual one."""
import contextlib
import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from copl import COPL, Config, CoplError, VideoSet, algorithm_1, localize
from copl.algorithm import describe
from copl.engine import Parts, train
from copl.has import ATTENTIONS
from copl.iocnet import IOCNet, Outputs
from copl.localization import localize_videos
from copl.losses import LOSSES
from copl.simulation import Simulation, simulate
from copl.videos import Annotations, TimeGrid

from .small_runs import weights

SMALL = dict(hidden=8, snippets=12, iteration_num=2, epoch_num=2, batch_size=5, precision='float32')


def few(n=12, streams=2, seed=2):
    "Simulated videos of three classes, with annotations."
    videos = simulate(Simulation(n_train=n, n_test=0, n_classes=3, dim=12, max_length=40), seed)
    arrays = list(videos.streams.values())
    arrays.append([a[:, :5] + b[:, :5] for a, b in zip(*arrays, strict=True)])
    return VideoSet(videos.names,
                    dict(zip(('rgb', 'flow', 'pose'), arrays[:streams], strict=False)),
                    annotations=videos.annotations)


OTHER = simulate(Simulation(n_train=3, n_test=6, n_classes=3, dim=12, max_length=40),
                 3).subset('test')


# Parts of one's own


def brightest(cas, attention, config): return attention.amax(0)**2
def dealt(F, config): return np.arange(len(F)) % config.n_classes
def first_half(s, y, n, config): return np.arange(len(s)) < len(s)//2
def modest(b): return .1*b.student.attention.mean((0, -1))


def one_layer(widths, config):
    "A network that is not copl's: one layer."
    class Small(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.classes = torch.nn.Linear(sum(widths.values()), config.n_classes)
            self.actions = torch.nn.ModuleList(torch.nn.Linear(d, 1) for d in widths.values())

        def forward(self, *streams):
            x = torch.cat(streams, -1)
            attention = [layer(s).squeeze(-1).sigmoid()
                         for layer, s in zip(self.actions, streams, strict=True)]
            return Outputs(self.classes(x), torch.stack(attention), (x, *streams))
    return Small()


class Stop(Exception): pass


OWN = {'attention': brightest, 'cluster': dealt, 'select': first_half,
       'losses': {**LOSSES, 'modest': modest}, 'network': one_layer}


@pytest.mark.parametrize('own', [{'network': one_layer}, {k: v for k, v in OWN.items()
                                                          if k != 'network'}], ids='+'.join)
def test_functions_of_ones_own_do_the_same_everywhere(own):
    videos = few()
    config = Config(3, **SMALL)
    *_, plain = algorithm_1(videos, config, **own)
    *_, fast = train(videos, config, parts=Parts(**own))
    model = COPL(3, **SMALL, **own, device='cpu').fit(videos)
    for r in (fast, plain):
        assert (r.y == model.pseudolabels_).all() and (r.selected == model.selected_).all()
    torch.testing.assert_close(weights(fast.network), weights(plain.network), atol=1e-6, rtol=0)
    torch.testing.assert_close(weights(model.network_), weights(plain.network), atol=1e-6, rtol=0)
    np.testing.assert_allclose(model.features_, plain.F, atol=1e-6)
    assert list(plain.losses) == list(fast.losses) == [*(own.get('losses') or LOSSES)]
    assert len(model.localize(videos)) and 0 <= model.agreement(videos, OTHER) <= 1


@pytest.mark.parametrize('attention, found', [
    (lambda cas, attention, config: cas, r'\(\d+, 3\)'),
    (lambda cas, attention, config: attention, r'\(2, \d+\)'),
    (lambda cas, attention, config: attention[0, :1], r'\(1,\)')])
def test_attention_of_the_wrong_shape_is_named(attention, found):
    for run in (lambda: list(algorithm_1(few(), Config(3, **SMALL), attention=attention)),
                lambda: COPL(3, **SMALL, attention=attention, device='cpu').fit(few())):
        with pytest.raises(CoplError,
                           match=f'attention returned {found}, expected .*one weight for each '
                                 'snippet'):
            run()


@pytest.mark.parametrize('loss, message', [
    (lambda b: b.student.attention.mean(), r"loss 'mine' returned \(\), expected a tensor \(\d,\): "
                                           r"one value for each video"),
    (lambda b: b.student.attention.mean((0, -1))[:, None],
     r"loss 'mine' returned \(\d, 1\), expected"),
    (lambda b: 1.5, "loss 'mine' returned float"),
    (lambda b: None, "loss 'mine' returned NoneType"),
    (lambda b: b.selected*torch.nan, "round 0, epoch 0: loss .*'mine'"),
    (lambda b: b.student.attention.mean((0, -1))/0, "round 0, epoch 0: loss .*'mine'")])
def test_a_loss_of_the_wrong_kind_is_named(loss, message):
    for run in (lambda: list(algorithm_1(few(), Config(3, **SMALL),
                                         losses={**LOSSES, 'mine': loss})),
                lambda: COPL(3, **SMALL, losses={**LOSSES, 'mine': loss}, device='cpu').fit(few())):
        with pytest.raises(CoplError, match=message): run()


@pytest.mark.parametrize('clusters', [
    lambda F, c: np.full(len(F), 3), lambda F, c: np.arange(len(F)) % 3 - 1,
    lambda F, c: np.zeros(4, int), lambda F, c: np.zeros((len(F), 3), int)])
def test_clusters_that_are_none_are_refused(clusters):
    with pytest.raises(CoplError, match='clustering returned'):
        list(algorithm_1(few(), Config(3, **SMALL), cluster=clusters))
    with pytest.raises(CoplError, match='clustering returned'):
        COPL(3, **SMALL, cluster=clusters, device='cpu').fit(few())


@pytest.mark.parametrize('field, typo, meant', [
    ('attention', 'clas_agnostic', 'class_agnostic'), ('cluster', 'spectal', 'spectral'),
    ('select', 'quotas', 'quota'), ('losses', ('cls', 'assl'), 'asl')])
def test_a_name_that_no_registry_knows_is_answered_with_the_nearest(field, typo, meant):
    config = Config(3, **{field: typo})
    for run in (lambda: COPL(3, **{field: typo}).fit(few()),
                lambda: COPL(config=config).fit(few()),
                lambda: list(algorithm_1(few(), config)), lambda: list(train(few(), config))):
        with pytest.raises(CoplError,
                           match=f"{field}: found .*expected one of .*did you mean '{meant}'"):
            run()


def test_an_option_that_takes_no_function_is_named():
    with pytest.raises(CoplError, match="'delta': found <function .*expected a number"):
        COPL(3, delta=lambda: 0).fit(few())
    with pytest.raises(CoplError, match="did you mean 'attention'"): COPL(3, attentoin='has')


@pytest.fixture(scope='module')
def with_own(tmp_path_factory):
    "A model with functions of one's own, and its file."
    model = COPL(3, **SMALL, **OWN, device='cpu').fit(few())
    return model, model.save(tmp_path_factory.mktemp('own')/'model.pt')


def test_a_model_with_functions_of_ones_own_loads_with_them_and_is_the_same(with_own):
    model, path = with_own
    loaded = COPL.load(path, 'cpu', **OWN)
    np.testing.assert_array_equal(loaded.transform(few()), model.transform(few()))
    assert loaded.agreement(few(), OTHER) == model.agreement(few(), OTHER)
    assert loaded.get_params()['attention'] is brightest
    by_has = describe(few(), model.network_, ATTENTIONS['has'], Config(3, **SMALL))
    assert not np.allclose(model.transform(few()), by_has.F)   # else the test could not tell


@pytest.mark.parametrize('missing', OWN)
def test_a_model_does_not_load_without_the_functions_it_was_trained_with(missing, with_own):
    given = {k: v for k, v in OWN.items() if k != missing}
    name = 'modest' if missing == 'losses' else OWN[missing].__qualname__
    message = (rf"model\.pt: trained with functions .*{missing}: .*'{name}'.*expected "
               rf"COPL.load\(path, {missing}=\.\.\.\)")
    with pytest.raises(CoplError, match=message): COPL.load(with_own[1], 'cpu', **given)
    with pytest.raises(TypeError): COPL.load(with_own[1], 'cpu', alpha=.3)


def test_a_run_does_not_go_on_with_other_functions(tmp_path):
    COPL(3, **SMALL, attention=brightest, device='cpu').fit(few(), checkpoint=tmp_path/'c.pt')
    with pytest.raises(CoplError, match='cannot resume with another configuration .*attention: '):
        COPL(3, **SMALL, device='cpu').fit(few(), checkpoint=tmp_path/'c.pt', resume=True)


def earlier(path):
    "A checkpoint as 0.2.0 and 0.3.0 wrote it."
    saved = torch.load(path, weights_only=True)
    del saved['parts']
    saved['config']['soft_labels'] = None      # a field that is gone, without effect
    if saved['arrays']: del saved['arrays']['centers_']
    torch.save({**saved, 'format': 'copl checkpoint 2'}, path)


def test_checkpoints_of_earlier_versions_load_and_go_on(tmp_path):
    def stop(model): raise Stop
    videos = few()
    whole = COPL(3, **SMALL, device='cpu').fit(videos, checkpoint=tmp_path/'whole.pt')
    with contextlib.suppress(Stop):
        COPL(3, **SMALL, device='cpu').fit(videos, checkpoint=tmp_path/'part.pt', after_round=stop)
    for name in ('whole.pt', 'part.pt'): earlier(tmp_path/name)
    loaded = COPL.load(tmp_path/'whole.pt', 'cpu')
    pd.testing.assert_frame_equal(loaded.localize(videos), whole.localize(videos))
    assert loaded.agreement(videos, OTHER) == whole.score(OTHER)
    with pytest.raises(CoplError, match='saved by 0.2.0 or 0.3.0'): loaded.score(OTHER)
    for name in ('whole.pt', 'part.pt'):
        again = COPL(3, **SMALL, device='cpu').fit(videos, checkpoint=tmp_path/name, resume=True)
        assert torch.equal(weights(again.network_), weights(whole.network_))


@pytest.mark.parametrize('change, message', [
    (lambda s: {**s, 'format': 'copl checkpoint 1'}, "found 'copl checkpoint 1', expected 'copl "),
    (lambda s: [1, 2], "found None, expected 'copl checkpoint 3'"),
    (lambda s: {**s, 'network': dict(list(s['network'].items())[1:])}, 'another network .Missing'),
    (lambda s: {**s, 'config': s['config'] | {'hidden': 9}}, 'another network .size mismatch'),
    (lambda s: {**s, 'config': s['config'] | {'plri': 'on'}}, "unknown config field 'plri'"),
    (lambda s: {**s, 'config': s['config'] | {'soft_labels': .3}}, "unknown config field 'soft_l"),
    (lambda s: {**s, 'config': s['config'] | {'losses': ['cls', 'no']}}, "losses: found 'no', exp"),
    (lambda s: {**s, 'parts': {'select': 'mine'}}, 'trained with functions .*select=')])
def test_a_file_that_is_no_such_checkpoint_is_refused_by_name(change, message, tmp_path):
    path = COPL(3, **SMALL, device='cpu').fit(few()).save(tmp_path/'model.pt')
    torch.save(change(torch.load(path, weights_only=True)), path)
    with pytest.raises(CoplError, match=rf'model\.pt: .*{message}'): COPL.load(path, 'cpu')


# Streams


@pytest.mark.parametrize('streams, kernel', [(1, 3), (3, 1)])
def test_saved_and_loaded_with_any_number_of_streams(streams, kernel, tmp_path):
    videos = few(streams=streams)
    model = COPL(3, **SMALL, kernel=kernel, device='cpu')
    model.fit(videos, checkpoint=tmp_path/'whole.pt')
    loaded = COPL.load(model.save(tmp_path/'model.pt'), 'cpu')
    assert loaded.widths_ == videos.widths and loaded.config == model.config
    pd.testing.assert_frame_equal(loaded.localize(videos), model.localize(videos))
    np.testing.assert_array_equal(loaded.transform(videos), model.transform(videos))
    assert (loaded.predict(videos) == model.predict(videos)).all()
    assert loaded.outputs(videos)[0].attention.shape == (streams, videos.lengths[0])
    def stop(model): raise Stop
    with contextlib.suppress(Stop):
        COPL(3, **SMALL, kernel=kernel, device='cpu').fit(videos, checkpoint=tmp_path/'part.pt',
                                                          after_round=stop)
    again = COPL(3, **SMALL, kernel=kernel, device='cpu').fit(videos, checkpoint=tmp_path/'part.pt',
                                                              resume=True)
    assert torch.equal(weights(again.network_), weights(model.network_))


def test_videos_with_other_streams_than_in_training_are_refused():
    model = COPL(3, **SMALL, device='cpu').fit(few())
    for other in (few(streams=1), few(streams=3)):
        with pytest.raises(CoplError,
                           match="channels, expected {'rgb': 12, 'flow': 12} as in training"):
            model.localize(other)


@pytest.mark.parametrize('streams, message', [
    ({}, 'found no stream'),
    ({'rgb': [4, 5], 'flow': []}, "stream 'flow' has 0 arrays, expected 2"),
    ({'rgb': [4, 5], 'flow': [4, 6]}, "video 'b': rgb has 5 snippets, flow has 6 snippets"),
    ({'rgb': [4, 0]}, r"video 'b', rgb: shape \(0, 3\)"),
    ({'a-b': [4, 5]}, "stream 'a-b': expected a name of letters")])
def test_streams_that_do_not_fit_are_named(streams, message):
    with pytest.raises(CoplError, match=message):
        VideoSet(['a', 'b'], {k: [np.ones((t, 3)) for t in lengths]
                              for k, lengths in streams.items()})


def test_videos_of_one_snippet_train_and_localize():
    rng = np.random.default_rng(0)
    F = np.eye(6)[np.repeat([0, 1, 2], 4)] + .05*rng.random((12, 6))
    for lengths in ([1]*12, [1]*6 + [9]*6):
        videos = VideoSet([f'v{i}' for i in range(12)],
                          [f + .01*rng.random((t, 6)) for f, t in zip(F, lengths, strict=True)])
        model = COPL(3, **SMALL, device='cpu').fit(videos)
        assert torch.isfinite(weights(model.network_)).all() and len(set(model.pseudolabels_)) == 3
        found = model.localize(videos)
        assert set(found.video) <= set(videos.names) and (found.end > found.start).all()
        np.testing.assert_allclose(np.linalg.norm(model.transform(videos), axis=1), 1, atol=1e-5)


# Names of clusters


def test_clusters_are_named_by_their_videos_in_P():                  # kills s
    videos = few()
    labels = np.array(videos.labels())
    one = pd.Series(labels).value_counts().index[0]
    # the two of cluster 0 that are sure; all others of it are of the commonest class
    inside = np.flatnonzero(labels != one)[:2]
    y = np.where(labels == one, 0, 1 + np.arange(len(labels)) % 2)
    y[inside] = 0
    sure = np.isin(np.arange(len(y)), [*inside, *np.flatnonzero(y > 0)])
    model = COPL(3, **SMALL, cluster=lambda F, config: y,
                 select=lambda s, y_, n, config: sure, device='cpu').fit(videos)
    assert (model.pseudolabels_ ==
            y).all() and pd.Series(labels[y == 0]).value_counts().index[0] == one
    assert model.names_[0] == pd.Series(labels[inside]).value_counts().index[0] != one
    with warnings.catch_warnings(action='ignore'):
        nobody = COPL(3, **SMALL, cluster=lambda F, config: y, select=lambda s, y_, n, config: s >
                      2, device='cpu').fit(videos)
    # nobody is in P: all videos name them
    assert nobody.names_[0] == one


# Time


def test_every_video_of_a_long_set_has_its_own_duration():          # kills l
    n = 12
    rng = np.random.default_rng(0)
    names = [f'v{i:03d}' for i in rng.permutation(n)]
    videos = pd.DataFrame({'video': names, 'subset': 'test',
                           'duration': rng.uniform(.3, 3, n)}).sample(frac=1, random_state=0)
    segments = pd.DataFrame({'video': names[:1], 'start': 0., 'end': .1, 'label': 'run'})
    videos = VideoSet(names, [rng.normal(size=(t, 4)) for t in rng.integers(1, 6, n)],
                      annotations=Annotations(segments, videos))
    torch.manual_seed(0)
    network = IOCNet(videos.widths, 2, hidden=8).eval()
    config = Config(2, class_threshold=0.)
    for everything in (False, True):
        together = localize_videos(videos, network, config, everything=everything)
        alone = pd.concat([localize_videos(videos[[i]], network, config, everything=everything)
                           for i in range(n)], ignore_index=True)
        pd.testing.assert_frame_equal(together, alone, check_dtype=False, atol=1e-5)
        assert (together.end <= together.video.map(videos.durations()) + 1e-9).all()
    assert (together.end == together.video.map(videos.durations())).all()


@pytest.mark.parametrize('stride, window', [(4, 8), (16, 16), (8, 32), (10, 2)])
def test_detections_lie_where_the_snippets_look(stride, window):    # kills m
    grid = TimeGrid(stride, window, 10.)
    np.testing.assert_allclose(grid.centers(3), [(t*stride + window/2)/10 for t in range(3)])
    np.testing.assert_allclose(grid.edges(np.arange(4)), [(t*stride + window/2 - stride/2)/10
                                                          for t in range(4)])
    assert grid.duration(7) == (6*stride + window)/10
    cas = torch.full((30, 2), -9.)
    cas[10:20, 0] = 9
    cas[:10, 1] = cas[20:, 1] = 9
    out = Outputs(cas, torch.stack([cas[:, 0].sigmoid()]*2))
    found = localize(out, Config(2, upsample=1, thetas=(.5,), class_threshold=1.), grid)
    first = found[found.label == 'cluster_00'].iloc[0]
    def centre(t): return (t*stride + window/2)/10
    assert (first.start, first.end) == pytest.approx((centre(10) - stride/20,
                                                      centre(19) + stride/20))
