"Groups of a configuration, what a finished run may change, and the habits of scikit-learn."
import dataclasses
import typing

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from copl import COPL, Config, CoplError, localize
from copl.config import (
    PRESETS,
    ClusterConfig,
    LocalizeConfig,
    TrainConfig,
    load_config,
    save_config,
)
from copl.iocnet import Outputs
from copl.options import Preset
from copl.plri import CLUSTERINGS
from copl.simulation import Simulation, simulate

SMALL = {'hidden': 8, 'snippets': 12, 'iteration_num': 2, 'epoch_num': 1, 'batch_size': 5}
VIDEOS = simulate(Simulation(n_train=12, n_test=6, n_classes=3, dim=12, max_length=40), 3)
TRAIN, TEST = VIDEOS.split()


def small(**options):
    return COPL(3, **{**SMALL, 'device': 'cpu', **options})


def test_every_field_is_in_one_group_and_every_number_has_its_range():
    groups = [{f.name for f in dataclasses.fields(g)}
              for g in (ClusterConfig, TrainConfig, LocalizeConfig)]
    assert groups[1] & groups[2] == {'top_k'} and not groups[0] & (groups[1] | groups[2])
    own = {f.name for f in dataclasses.fields(Config)} - set.union(*groups)
    assert own == {'mapping', 'video_label'}
    for f in dataclasses.fields(Config):
        if isinstance(f.default, float) or type(f.default) is int and f.name != 'kernel':
            assert 'interval' in f.metadata, f.name


@pytest.mark.parametrize(('field', 'good', 'bad'), [
    ('alpha', 1, 0), ('delta', -1, -1.01), ('dropout', 0, 1), ('upsample', 1000, 1001),
    ('thetas', (.5,), (.5, 1)), ('beta', None, 0), ('seed', 2**32 - 1, 2**32), ('lr', '1e-9', 0),
    ('min_score', -5, float('inf')), ('n_classes', 2, 1), ('delta', 0, float('nan'))])
def test_ends_of_ranges(field, good, bad):
    Config(**{'n_classes': 3, field: good})
    with pytest.raises(CoplError, match=f"config field '{field}': found .*, expected a number in"):
        Config(**{'n_classes': 3, field: bad})


@pytest.mark.parametrize(('field', 'value', 'expected'), [
    ('seed', True, 'a whole number'), ('seed', 1., 'a whole number'), ('lr', 'x', 'a number'),
    ('lr', 10**400, 'a number'), ('stream_norm', 1, 'true or false'), ('attention', 1, 'text'),
    ('kernel', 2, 'one of 1, 3'), ('thetas', .5, 'a list'), ('thetas', (), 'some'),
    ('losses', ('asl',), "'cls' among them")])
def test_values_of_the_wrong_kind(field, value, expected):
    with pytest.raises(CoplError, match=f"'{field}': found .*, expected {expected}"):
        Config(**{'n_classes': 3, field: value})


def test_a_file_of_a_configuration(tmp_path):
    path = save_config(Config(3, alpha=.2, thetas=(.1, .5)), tmp_path/'config.yaml')
    assert load_config(path) == Config(3, alpha=.2, thetas=(.1, .5))
    path.write_text(path.read_text() + 'soft_labels: null\n')     # as 0.3.0 wrote it
    assert load_config(path) == Config(3, alpha=.2, thetas=(.1, .5))
    for text, message in (('n_classes: 20\ndetla: 0.1', "field 'detla', did you mean 'delta'"),
                          ('delta: 0.1', "'n_classes' is missing"), ('- 3', 'found list'),
                          ('delta: 1\ndelta: 2', "line 1: key 'delta' occurs more than once")):
        path.write_text(text)
        with pytest.raises(CoplError, match=message): load_config(path)
    with pytest.raises(CoplError, match='No such file'): load_config(tmp_path/'none.yaml')
    with pytest.raises(CoplError, match="preset: found 'feal', .* did you mean 'feel'?"):
        Config.preset('feal', 3)


def test_the_command_takes_every_preset():
    names, _ = typing.get_args(typing.get_args(Preset)[0])
    assert typing.get_args(names) == ('auto', *PRESETS)


def test_a_group_alone_does_what_the_whole_does():
    rng = np.random.default_rng(0)
    out = Outputs(4*rng.normal(size=(30, 3)), rng.random((2, 30)))
    whole = localize(out, Config(3, nms='soft', smooth=3))
    pd.testing.assert_frame_equal(localize(out, LocalizeConfig(nms='soft', smooth=3)), whole)
    F = rng.normal(size=(20, 4))
    F /= np.linalg.norm(F, axis=1, keepdims=True)
    for cluster in CLUSTERINGS.values():
        assert (cluster(F, ClusterConfig(3, 7)) == cluster(F, Config(3, 7))).all()


def test_a_finished_run_is_localized_again_but_not_trained_otherwise(tmp_path):
    checkpoint = tmp_path/'checkpoint.pt'
    model = small().fit(TRAIN, checkpoint=checkpoint)
    other = small(nms='soft', thetas=(.3,), min_score=.1)
    other.fit(TRAIN, checkpoint=checkpoint, resume=True)
    np.testing.assert_array_equal(other.pseudolabels_, model.pseudolabels_)
    assert other.seconds_ == model.seconds_
    assert len(other.localize(TEST)) != len(model.localize(TEST))
    pd.testing.assert_frame_equal(COPL.load(checkpoint).localize(TEST), other.localize(TEST))
    for field, value in (('top_k', 2), ('alpha', .2), ('lr', .1), ('mapping', 'soft')):
        with pytest.raises(CoplError, match=f'another configuration \\({field}'):
            small(**{field: value}).fit(TRAIN, checkpoint=checkpoint, resume=True)


def test_clone_and_set_params():
    def half(s, y, n, config): return np.arange(len(s)) % 2 == 0
    model = small(lr='1e-3', select=half, seed=5, verbose=False)
    model.fit(TRAIN)
    copy = clone(model)
    assert not hasattr(copy, 'network_') and copy.get_params() == model.get_params()
    assert copy.config == model.config and copy.parts == model.parts
    copy.set_params(seed=6, select='all')
    assert (copy.config.seed, copy.config.hidden, copy.parts.select) == (6, 8, None)
    assert copy.get_params()['select'] == 'all' and model.get_params()['select'] is half
    copy.set_params(config=Config(4))
    assert copy.config == Config(4) and copy.get_params()['device'] == 'cpu'
    with pytest.raises(CoplError, match="unknown option 'hidenn', did you mean 'hidden'"):
        copy.set_params(hidenn=3)
    assert {*model.get_params()} == {f.name for f in dataclasses.fields(Config)} | {
        'config', 'device', 'devices', 'num_nodes', 'verbose', 'threads', 'start',
        'network'}
    model.set_params(alpha=.3)
    assert len(model.localize(TEST)) and model.config.alpha == .3      # what was fitted stays


def test_a_model_shows_its_settings_and_its_state():
    def mine(cas, attention, config): return attention.mean(0)
    model = COPL(3, **SMALL, attention=mine)
    assert 'n_classes=3' in repr(model) and 'mine' in repr(model) and 'alpha' not in repr(model)
    assert 'fitted to' not in repr(model)
    model.fit(TRAIN, unseen=TEST)
    assert f'fitted to {len(TRAIN)} videos, confidence ' in repr(model)
    assert 'agreement' in repr(model) and 'mine' in model._repr_html_()
    assert eval(repr(small(hidden=9))).get_params() == small(hidden=9).get_params()
