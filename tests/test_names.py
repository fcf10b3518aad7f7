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


FUNCTIONS = [n for n in HOME if n[0].islower()]


@pytest.mark.parametrize('name', FUNCTIONS)
def test_help_of_a_function_holds_its_docments(name):
    function = getattr(copl, name)
    text = inspect.getdoc(function)
    for parameter in inspect.signature(function).parameters.values():
        assert f'\n{parameter.name} : ' in text or f'\n{parameter.name}\n' in text, parameter
    assert '\nReturns\n-------\n' in text
    assert text.count('Returns\n-------') == 1 and inspect.getdoc(getattr(copl, name)) == text


def test_help_says_what_stands_beside():
    assert inspect.getdoc(copl.nms).endswith("""\
tiou : float
    proposals that overlap a better one by more are dropped
groups : np.ndarray | None
    (n,) whole numbers: only the same group competes; None: all do

Returns
-------
np.ndarray
    indices kept: group by group, best first""")
    for cls, method, words in [(copl.COPL, 'fit', 'save here after every epoch'),
                               (copl.COPL, 'load', 'a checkpoint of a finished run'),
                               (copl.COPL, 'localize', 'any videos with the features of training'),
                               (copl.BestOf, 'fit', 'keep every run here'),
                               (copl.VideoSet, '__init__', 'one unique name per video')]:
        assert words in inspect.getdoc(getattr(cls, method)), (cls, method)
    fields = inspect.getdoc(copl.Config)
    assert 'alpha : float\n    alpha, fraction of snippets' in fields and 'nms_tiou : ' in fields


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
