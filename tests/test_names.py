"What `import copl` gives: every name, none of them loaded before it is asked for, all explained."
import ast
import importlib
import inspect
import subprocess
import sys

import pytest

import copl
from copl.cli import main

from .conftest import ROOT

HEAVY = ['numpy', 'pandas', 'torch', 'sklearn', 'scipy', 'matplotlib', 'tyro', 'yaml']
STUB = ast.parse((ROOT/'copl/__init__.pyi').read_text())
HOME = {name.name: node.module for node in STUB.body
        if isinstance(node, ast.ImportFrom) and node.module for name in node.names}
MODULES = [p.stem for p in sorted((ROOT/'copl').glob('[!_]*.py'))]
PROMISED = (
    'COPL BestOf Config VideoSet load_videos load_annotations tiny thumos_like anet_like '
    'has_attention global_features spectral_clusters confidence_scores split_pseudolabels IOCNet '
    'temporal_feature_shift algorithm_1 localize nms soft_nms mean_average_precision purity '
    'map_clusters agreement estimate_n_classes')


def test_every_name_is_one_object_wherever_it_stands():
    assert {*PROMISED.split()} <= {*HOME} and not {*HOME} & {*MODULES}
    assert {*copl.__all__} == {*HOME, *MODULES} and {*copl.__all__} <= {*dir(copl)}
    modules = {name: importlib.import_module(f'copl.{name}') for name in MODULES}
    for name, home in HOME.items():
        assert name in modules[home].__all__
        owners = {m: vars(modules[m])[name] for m in MODULES if name in vars(modules[m])}
        assert all(thing is getattr(copl, name) for thing in owners.values()), owners
    for name in MODULES: assert getattr(copl, name) is modules[name]
    with pytest.raises(AttributeError): getattr(copl, 'localise')  # noqa: B009


@pytest.mark.parametrize('name', [n for n in HOME if n[0].islower()])
def test_help_of_a_function_holds_its_docments(name):
    function = getattr(copl, name)
    text = inspect.getdoc(function)
    for parameter in inspect.signature(function).parameters.values():
        assert f'\n{parameter.name} : ' in text or f'\n{parameter.name}\n' in text, parameter
    assert text.count('\nReturns\n-------\n') == 1
    assert inspect.getdoc(getattr(copl, name)) == text


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
    for thing, words in [(copl.COPL.fit, 'save here after every epoch'),
                         (copl.COPL.load, 'a checkpoint of a finished run'),
                         (copl.BestOf.fit, 'keep every run here'),
                         (copl.VideoSet.__init__, 'one unique name per video'),
                         (copl.Config, 'alpha : float\n    alpha, fraction of snippets'),
                         (copl.Config, 'nms_tiou : ')]: # of a class that it inherits from
        assert words in inspect.getdoc(thing), thing


@pytest.mark.parametrize('code, heavy', [
    ('import copl; ', HEAVY),
    *((f'from copl.cli import main; status = main({args.split()}); ', HEAVY[2:6])
      for args in ('--help', 'train --help', 'evaluate no.json gt', 'train no/folder',
                   'train no/folder --n-classes 3', 'train sim:tiny --delta 2',
                   'train sim:tiny --out OUT', 'scores RUN sim:tiny --out OUT'))],
    ids=lambda x: x if isinstance(x, str) else '')
def test_what_does_not_train_needs_neither_torch_nor_pictures(code, heavy, tmp_path):
    "Mistakes too are told before the second that PyTorch takes to load."
    (tmp_path/'checkpoint.pt').touch()
    code = code.replace('OUT', str(tmp_path))
    code += f'import sys; print([*{{*{heavy}}} & {{*sys.modules}}])'
    said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == '[]', said.stderr


def test_the_command_is_a_module_and_a_reader_that_stops_is_no_error():
    done = subprocess.run(f'{sys.executable} -m copl train --help | head -1', shell=True,
                          capture_output=True, text=True)
    assert done.stdout.startswith('usage: copl train') and done.stderr == ''


def test_the_version_is_that_of_the_package(capsys):
    assert main(['--version']) == 0
    assert capsys.readouterr().out.strip() == f'copl {copl.__version__}'
