"The project's own rules, which no other tool checks."
import ast
import re
import runpy
from types import SimpleNamespace

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


@pytest.fixture(scope='module')
def prose():
    "The functions of .ci/prose.py."
    return SimpleNamespace(**runpy.run_path(str(ROOT/'.ci/prose.py')))


def test_the_plain_notebooks_are_written_in_plain_sentences(prose):
    assert len(prose.PLAIN) >= 10
    broken = [line for name in prose.PLAIN for line in prose.check(ROOT/'nbs'/f'{name}.ipynb')]
    assert broken == []


@pytest.mark.parametrize('text, rule', [
    (' '.join(['word']*31) + '.', '31 words, at most 30'),
    ('> **We chose** this. ' + ' '.join(['Word', *['and $x$']*20]) + '!', '41 words, at most 30'),
    ('Who trains five seeds keeps the best.', 'name the actor as the subject, or say "if"'),
    ('It helps whoever has no labels.', 'name the actor, or say "if"'),
    ('What the features do not part, no count of clusters finds.', 'separate'),
    ('The likeness of two runs is high.', 'similarity, similar')])
def test_a_planted_bad_sentence_is_found(prose, tmp_path, text, rule):
    def written(text):
        cells = [nbformat.v4.new_markdown_cell('# A title\n\nA short sentence.\n\n' + text)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path/'planted.ipynb')
        return prose.check(tmp_path/'planted.ipynb')
    assert any(rule in line for line in written(text))
    in_code = f'```\n{text}\n```'
    in_a_table = f'| x |\n|---|\n| {text} |'
    for other in ('', in_code, in_a_table, 'Is this what it is?'): assert written(other) == []
