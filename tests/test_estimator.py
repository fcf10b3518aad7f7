"Parts of one's own, checkpoints, streams, what is refused by name, and names of clusters."
import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from copl import COPL, Config, CoplError, VideoSet, algorithm_1
from copl.algorithm import describe
from copl.engine import Parts, train
from copl.has import ATTENTIONS
from copl.iocnet import Outputs
from copl.losses import LOSSES
from copl.runs import data_hash
from copl.simulation import Simulation, simulate
from copl.videos import Annotations

from .small_runs import weights

SMALL = dict(hidden=8, snippets=12, iteration_num=2, epoch_num=2, batch_size=5, precision='float32')


def few(streams=2):
    "Simulated videos of three classes, with annotations."
    videos = simulate(Simulation(n_train=12, n_test=0, n_classes=3, dim=12, max_length=40), 2)
    arrays = list(videos.streams.values())
    arrays.append([a[:, :5] + b[:, :5] for a, b in zip(*arrays, strict=True)])
    named = dict(zip(('rgb', 'flow', 'pose'), arrays[:streams], strict=False))
    return VideoSet(videos.names, named, annotations=videos.annotations)


FEW = few()
OTHER = simulate(Simulation(n_train=3, n_test=6, n_classes=3, dim=12, max_length=40),
                 3).subset('test')


def small(**options): return COPL(3, **SMALL, **options, device='cpu')


class Stop(Exception): pass


def stop(model):
    if len(model.iterations_) == 2: raise Stop
    return {}


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    "A finished run, its checkpoint, and that of the same run stopped in its second round."
    folder = tmp_path_factory.mktemp('whole')
    model = small().fit(FEW, checkpoint=folder/'whole.pt')
    with pytest.raises(Stop): small().fit(FEW, checkpoint=folder/'part.pt', after_round=stop)
    return model, folder/'whole.pt', folder/'part.pt'


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


OWN = {'attention': brightest, 'cluster': dealt, 'select': first_half,
       'losses': {**LOSSES, 'modest': modest}, 'network': one_layer}


@pytest.fixture(scope='module')
def with_own(tmp_path_factory):
    "A model with functions of one's own, and its file."
    path = tmp_path_factory.mktemp('own')/'model.pt'
    return small(**OWN).fit(FEW, checkpoint=path), path


def test_functions_of_ones_own_do_the_same_everywhere(with_own):
    model, _ = with_own
    config = Config(3, **SMALL)
    *_, plain = algorithm_1(FEW, config, **OWN)
    *_, fast = train(FEW, config, parts=Parts(**OWN))
    for r in (fast, plain):
        assert (r.y == model.pseudolabels_).all() and (r.selected == model.selected_).all()
        torch.testing.assert_close(weights(model.network_), weights(r.network), atol=1e-6, rtol=0)
    np.testing.assert_allclose(model.features_, plain.F, atol=1e-6)
    assert list(plain.losses) == list(fast.losses) == [*OWN['losses']]


def test_a_model_with_functions_of_ones_own_loads_with_them_and_is_the_same(with_own):
    model, path = with_own
    loaded = COPL.load(path, 'cpu', **OWN)
    np.testing.assert_array_equal(loaded.transform(FEW), model.transform(FEW))
    assert loaded.agreement(FEW, OTHER) == model.agreement(FEW, OTHER)
    assert loaded.get_params()['attention'] is brightest
    by_has = describe(FEW, model.network_, ATTENTIONS['has'], Config(3, **SMALL))
    assert not np.allclose(model.transform(FEW), by_has.F)   # else the test could not tell


@pytest.mark.parametrize('missing', OWN)
def test_a_model_does_not_load_or_resume_without_the_functions_it_was_trained_with(missing,
                                                                                   with_own):
    given = {k: v for k, v in OWN.items() if k != missing}
    name = 'modest' if missing == 'losses' else OWN[missing].__qualname__
    message = (rf"model\.pt: trained with functions .*{missing}: .*'{name}'.*expected "
               rf"COPL.load\(path, {missing}=\.\.\.\)")
    with pytest.raises(CoplError, match=message): COPL.load(with_own[1], 'cpu', **given)
    with pytest.raises(TypeError): COPL.load(with_own[1], 'cpu', alpha=.3)
    with pytest.raises(CoplError, match=f'cannot resume with another configuration .*{missing}: '):
        small(**given).fit(FEW, checkpoint=with_own[1], resume=True)


@pytest.mark.parametrize('own, message', [
    ({'attention': lambda cas, attention, config: cas},
     r'attention returned \(\d+, 3\), expected .*one weight for each snippet'),
    ({'attention': lambda cas, attention, config: attention[0, :1]}, r'attention returned \(1,\)'),
    ({'losses': lambda b: b.student.attention.mean()},
     r"loss 'mine' returned \(\), expected a tensor \(\d,\): one value for each video"),
    ({'losses': lambda b: b.student.attention.mean((0, -1))[:, None]},
     r"loss 'mine' returned \(\d, 1\)"),
    ({'losses': lambda b: 1.5}, "loss 'mine' returned float"),
    ({'losses': lambda b: b.selected*torch.nan}, "round 0, epoch 0: loss .*'mine'"),
    ({'cluster': lambda F, config: np.full(len(F), 3)}, 'clustering returned'),
    ({'cluster': lambda F, config: np.zeros(4, int)}, 'clustering returned'),
    ({'cluster': lambda F, config: np.zeros((len(F), 3), int)}, 'clustering returned')])
def test_a_function_that_returns_the_wrong_kind_is_named(own, message):
    if 'losses' in own: own = {'losses': {**LOSSES, 'mine': own['losses']}}
    for run in (lambda: list(algorithm_1(FEW, Config(3, **SMALL), **own)),
                lambda: small(**own).fit(FEW)):
        with pytest.raises(CoplError, match=message): run()


@pytest.mark.parametrize('field, typo, meant', [
    ('attention', 'clas_agnostic', 'class_agnostic'), ('cluster', 'spectal', 'spectral'),
    ('select', 'quotas', 'quota'), ('losses', ('cls', 'assl'), 'asl')])
def test_a_name_that_no_registry_knows_is_answered_with_the_nearest(field, typo, meant):
    config = Config(3, **{field: typo})
    for run in (lambda: COPL(config=config).fit(FEW), lambda: list(algorithm_1(FEW, config))):
        with pytest.raises(CoplError,
                           match=f"{field}: found .*expected one of .*did you mean '{meant}'"):
            run()


def test_an_option_that_takes_no_function_is_named():
    with pytest.raises(CoplError, match="'delta': found <function .*expected a number"):
        COPL(3, delta=lambda: 0).fit(FEW)


# Checkpoints


def test_a_stopped_run_resumes_to_the_same(whole, tmp_path, monkeypatch):
    model, _, part = whole
    path = tmp_path/'part.pt'
    saved = torch.load(part, weights_only=True)
    torch.save({**saved, 'seconds': 1000.}, path)
    again = small().fit(FEW, checkpoint=path, resume=True)
    assert torch.equal(weights(again.network_), weights(model.network_))
    pd.testing.assert_frame_equal(again.rounds_, model.rounds_)
    assert len(again.iterations_) == len(model.iterations_) == 2
    for one, other in zip(again.iterations_, model.iterations_, strict=True):
        for a, b in zip(one, other, strict=True): np.testing.assert_array_equal(a, b)
    assert again.seconds_ > 1000 > model.seconds_
    monkeypatch.setattr('copl.estimator.train', None)               # of a finished run: no training
    finished = small().fit(FEW, checkpoint=path, resume=True)
    assert finished.seconds_ == again.seconds_ and finished.log_ == again.log_


def test_of_weakly_labelled_videos_the_labels_are_hashed_too():
    segments = FEW.annotations.segments.sort_values('video')
    other = Annotations(segments.assign(label=[*segments.label[1:], segments.label.iloc[0]]),
                        FEW.annotations.videos)
    relabelled = VideoSet(FEW.names, FEW.streams, annotations=other)
    for supervision, same in (('none', True), ('weak', False)):
        config = Config(3, supervision=supervision)
        assert (data_hash(config, FEW) == data_hash(config, relabelled)) == same


def test_checkpoints_of_earlier_versions_load_and_go_on(whole, tmp_path):
    model, *paths = whole
    for path in paths:                             # as 0.2.0 and 0.3.0 wrote them
        saved = torch.load(path, weights_only=True)
        del saved['parts'], saved['config']['hold_out']
        saved['config']['soft_labels'] = None      # a field that is gone, without effect
        if saved['arrays']: del saved['arrays']['centers_']
        torch.save({**saved, 'format': 'copl checkpoint 2'}, tmp_path/path.name)
    loaded = COPL.load(tmp_path/'whole.pt', 'cpu')
    pd.testing.assert_frame_equal(loaded.localize(FEW), model.localize(FEW))
    assert loaded.agreement(FEW, OTHER) == model.score(OTHER)
    with pytest.raises(CoplError, match='saved by 0.2.0 or 0.3.0'): loaded.score(OTHER)
    for path in paths:
        again = small().fit(FEW, checkpoint=tmp_path/path.name, resume=True)
        assert torch.equal(weights(again.network_), weights(model.network_))


@pytest.mark.parametrize('change, message', [
    (lambda s: {**s, 'format': 'copl checkpoint 1'}, "found 'copl checkpoint 1', expected 'copl "),
    (lambda s: [1, 2], "found None, expected 'copl checkpoint 3'"),
    (lambda s: {**s, 'network': dict(list(s['network'].items())[1:])}, 'another network .Missing'),
    (lambda s: {**s, 'config': s['config'] | {'hidden': 9}}, 'another network .size mismatch'),
    (lambda s: {**s, 'config': s['config'] | {'plri': 'on'}}, "unknown config field 'plri'"),
    (lambda s: {**s, 'config': s['config'] | {'soft_labels': .3}}, "unknown config field 'soft_l"),
    (lambda s: {**s, 'config': s['config'] | {'losses': ['cls', 'no']}}, "losses: found 'no'")])
def test_a_file_that_is_no_such_checkpoint_is_refused_by_name(change, message, whole, tmp_path):
    path = tmp_path/'model.pt'
    torch.save(change(torch.load(whole[1], weights_only=True)), path)
    with pytest.raises(CoplError, match=rf'model\.pt: .*{message}'): COPL.load(path, 'cpu')


# Streams


@pytest.mark.parametrize('streams, kernel', [(1, 3), (3, 1)])
def test_saved_and_loaded_with_any_number_of_streams(streams, kernel, tmp_path):
    videos = few(streams)
    model = small(kernel=kernel).fit(videos)
    loaded = COPL.load(model.save(tmp_path/'model.pt'), 'cpu')
    assert loaded.widths_ == videos.widths and loaded.config == model.config
    pd.testing.assert_frame_equal(loaded.localize(videos), model.localize(videos))
    assert loaded.outputs(videos)[0].attention.shape == (streams, videos.lengths[0])


def test_videos_with_other_streams_than_in_training_are_refused(whole):
    for streams in (1, 3):
        with pytest.raises(CoplError, match="expected {'rgb': 12, 'flow': 12} as in training"):
            whole[0].localize(few(streams))


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
    lengths = [1]*6 + [9]*6
    rng = np.random.default_rng(0)
    F = np.eye(6)[np.repeat([0, 1, 2], 4)] + .05*rng.random((12, 6))
    videos = VideoSet([f'v{i}' for i in range(12)],
                      [f + .01*rng.random((t, 6)) for f, t in zip(F, lengths, strict=True)])
    model = small().fit(videos)
    assert torch.isfinite(weights(model.network_)).all() and len(set(model.pseudolabels_)) == 3
    with pytest.warns(UserWarning, match='6 have a single snippet'):
        found = model.localize(videos)
    assert set(found.video) <= {*videos.names[6:]}
    np.testing.assert_allclose(np.linalg.norm(model.transform(videos), axis=1), 1, atol=1e-5)


# Names of clusters


def test_clusters_are_named_by_their_videos_in_P():                  # kills s
    labels = np.array(FEW.labels())
    one = pd.Series(labels).value_counts().index[0]
    # the two of cluster 0 that are sure; all others of it are of the commonest class
    inside = np.flatnonzero(labels != one)[:2]
    y = np.where(labels == one, 0, 1 + np.arange(len(labels)) % 2)
    y[inside] = 0
    sure = np.isin(np.arange(len(y)), [*inside, *np.flatnonzero(y > 0)])
    def fitted(sure):
        return small(cluster=lambda F, config: y, select=lambda s, y, n, config: sure).fit(FEW)
    model = fitted(sure)
    assert (model.pseudolabels_ == y).all()
    assert model.names_[0] == pd.Series(labels[inside]).value_counts().index[0] != one
    with warnings.catch_warnings(action='ignore'): nobody = fitted(sure & False)
    assert nobody.names_[0] == one                # nobody is in P: all videos name them
