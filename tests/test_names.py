"What `import copl` gives: every name, none of them loaded before it is asked for, all explained."
import ast
import importlib
import inspect
import subprocess
import sys

import pytest

import copl

from .conftest import ROOT

HEAVY = ['numpy', 'pandas', 'torch', 'sklearn', 'scipy', 'matplotlib', 'tyro', 'yaml']
STUB = ast.parse((ROOT/'copl/__init__.pyi').read_text())
HOME = {name.name: node.module for node in STUB.body
        if isinstance(node, ast.ImportFrom) and node.module for name in node.names}
MODULES = [p.stem for p in sorted((ROOT/'copl').glob('[!_]*.py'))]


def test_import_loads_nothing():
    code = f'import copl, sys; print([m for m in {HEAVY} if m in sys.modules])'
    said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == '[]'


def test_every_name_is_one_object_wherever_it_stands():
    assert {*copl.__all__} == {*HOME, *MODULES} and {*copl.__all__} <= {*dir(copl)}
    modules = {name: importlib.import_module(f'copl.{name}') for name in MODULES}
    for name, home in HOME.items():
        assert name in modules[home].__all__
        owners = {m: vars(modules[m])[name] for m in MODULES if name in vars(modules[m])}
        assert all(thing is getattr(copl, name) for thing in owners.values()), owners
    for name in MODULES: assert getattr(copl, name) is modules[name]


PROMISED = (
    'COPL BestOf Config VideoSet load_videos load_annotations tiny thumos_like anet_like '
    'has_attention global_features spectral_clusters confidence_scores split_pseudolabels IOCNet '
    'temporal_feature_shift algorithm_1 localize nms soft_nms mean_average_precision purity '
    'map_clusters agreement estimate_n_classes')


def test_names_that_users_hold_on_to_are_there():
    assert {*PROMISED.split()} <= {*HOME}


def test_no_name_hides_a_module():
    assert not {*HOME} & {*MODULES}
    for name in MODULES: assert inspect.ismodule(importlib.import_module(f'copl.{name}'))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError): getattr(copl, 'localise')  # noqa: B009


def test_the_command_is_a_module_too():
    said = subprocess.run([sys.executable, '-m', 'copl', '--help'], capture_output=True, text=True)
    assert said.returncode == 0 and 'evaluate' in said.stdout


@pytest.mark.parametrize('args', [['--help'], ['train', '--help'], ['--version'],
                                  ['evaluate', 'no.json', 'gt']],
                         ids=' '.join)
def test_what_does_not_train_needs_neither_torch_nor_pictures(args):
    code = (f'import sys; from copl.cli import main; status = main({args}); '
            'print([m for m in ("torch", "sklearn", "matplotlib", "scipy") if m in sys.modules])')
    said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == '[]'


def test_a_reader_that_stops_is_no_error():
    done = subprocess.run(f'{sys.executable} -m copl train --help | head -1', shell=True,
                          capture_output=True, text=True)
    assert done.stdout.startswith('usage: copl train') and done.stderr == ''


def test_the_version_is_that_of_the_package():
    said = subprocess.run([sys.executable, '-m', 'copl', '--version'], capture_output=True,
                          text=True, check=True)
    assert said.stdout.strip() == f'copl {copl.__version__}'
