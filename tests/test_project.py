"The project's own rules, which no other tool checks."
import ast
import re

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


def test_modules_import_neither_private_names_nor_nbdev():
    for path in (ROOT/'copl').glob('[!_]*.py'):
        tree = ast.parse(path.read_text(encoding='utf-8'))
        found = [f'{getattr(node, "module", "")}.{name.name}' for node in ast.walk(tree)
                 if isinstance(node, ast.Import | ast.ImportFrom) for name in node.names]
        wrong = [f for f in found if re.search(r'\._|\b(nbdev|fastcore)\b', f)]
        assert wrong == [], f'{path.name} imports {wrong}'


def test_every_notebook_has_its_place_in_the_documentation():
    def files(contents):
        return [f for part in contents
                for f in (files(part['contents']) if isinstance(part, dict) else [part])]
    site = yaml.safe_load((ROOT/'nbs/_quarto.yml').read_text(encoding='utf-8'))['website']
    assert sorted(files(site['sidebar']['contents'])) == sorted(
        str(p.relative_to(ROOT/'nbs')) for p in NOTEBOOKS)
