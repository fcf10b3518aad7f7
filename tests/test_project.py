"The project's own rules, which no other tool checks."
import ast
import re
import runpy
import subprocess
import sys
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
