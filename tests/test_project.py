"The project's own rules, which no other tool checks."
import ast
import re
import subprocess
import sys

import nbformat
import pytest
import yaml

from .conftest import ROOT

NOTEBOOKS = sorted((ROOT/'nbs').glob('**/[!._]*.ipynb'))


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda p: p.stem)
def test_imports_stand_in_cells_of_their_own(path):
    for i, cell in enumerate(nbformat.read(path, 4).cells):
        if cell.cell_type != 'code': continue
        kinds = {isinstance(s, ast.Import | ast.ImportFrom) for s in ast.parse(cell.source).body}
        assert len(kinds) < 2, f'{path.name}, cell {i}: imports and other code'


def test_modules_import_only_lower_numbered_ones():
    number = {m[1]: int(p.stem[:2]) for p in NOTEBOOKS
              if (m := re.search(r'default_exp (\w+)', p.read_text(encoding='utf-8')))}
    assert len(number) >= 11
    for module, n in number.items():
        code = (ROOT/'copl'/f'{module}.py').read_text(encoding='utf-8')
        for other in re.findall(r'^from (?:copl)?\.(\w+) import', code, re.M):
            assert number[other] < n, f'{module} imports {other}'


def test_no_module_imports_a_private_name():
    for path in (ROOT/'copl').glob('[!_]*.py'):
        tree = ast.parse(path.read_text(encoding='utf-8'))
        private = [name.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
                   for name in node.names if name.name.startswith('_')]
        assert private == [], f'{path.name} imports {private}'


def exported_cells(path):
    "The code of each exported cell."
    cells = [c.source for c in nbformat.read(path, 4).cells if c.cell_type == 'code']
    return [c for c in cells if re.match(r'#\| export', c)]


def test_generated_lines_are_short_too():
    for path in (ROOT/'copl').glob('[!_]*.py'):
        text = path.read_text(encoding='utf-8')
        text = re.sub(r'^__all__ = \[.*?\]$', '', text, flags=re.S | re.M)
        long = [line for line in text.splitlines() if len(line) > 100]
        assert long == [], f'{path.name}: {long}'


def test_run_time_code_imports_neither_nbdev_nor_fastcore():
    code = 'import sys, copl.cli; print([m for m in ("nbdev", "fastcore") if m in sys.modules])'
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                          check=True).stdout.strip() == '[]'


def test_readme_is_made_from_the_index_notebook():
    subprocess.run([sys.executable, ROOT/'.ci/readme.py', '--check'], check=True)


def test_every_notebook_has_its_place_in_the_documentation():
    def files(contents):
        return [f for part in contents
                for f in (files(part['contents']) if isinstance(part, dict) else [part])]
    site = yaml.safe_load((ROOT/'nbs/_quarto.yml').read_text(encoding='utf-8'))['website']
    assert sorted(files(site['sidebar']['contents'])) == sorted(
        str(p.relative_to(ROOT/'nbs')) for p in NOTEBOOKS)


@pytest.mark.parametrize('path', sorted((ROOT/'.github').rglob('*.yml')) +
                         [ROOT/'.pre-commit-config.yaml', ROOT/'CITATION.cff'],
                         ids=lambda p: p.name)
def test_project_files_can_be_read(path):
    content = yaml.safe_load(path.read_text(encoding='utf-8'))
    if path.parent.name == 'ISSUE_TEMPLATE' and path.name != 'config.yml':
        assert {'name', 'description', 'body'} <= content.keys()
        ids = [part['id'] for part in content['body']]
        assert (len(ids) == len(set(ids)) and
                all(part['attributes']['label'] for part in content['body']))
