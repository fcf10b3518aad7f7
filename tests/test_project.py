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


def public_names():
    "{module: public names that it defines}."
    found = {}
    for path in (ROOT/'copl').glob('[!_]*.py'):
        body = ast.parse(path.read_text(encoding='utf-8')).body
        targets = [t for s in body if isinstance(s, ast.Assign | ast.AnnAssign)
                   for t in getattr(s, 'targets', None) or [s.target]]
        names = {s.name for s in body if isinstance(s, ast.FunctionDef | ast.ClassDef)}
        names |= {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        found[path.stem] = {name for name in names if not name.startswith('_')}
    return found


def test_a_public_name_has_one_home_and_is_imported_from_there():
    homes = {}
    modules = public_names()
    for module, names in modules.items():
        for name in names: homes.setdefault(name, []).append(module)
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}
    for path in (ROOT/'copl').glob('[!_]*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if not isinstance(node, ast.ImportFrom) or not node.module: continue
            home = node.module.removeprefix('copl.')
            wrong = [a.name for a in node.names
                     if home in modules and homes.get(a.name, [home]) != [home]]
            assert wrong == [], f'{path.name} imports {wrong} from {home}'


def test_modules_import_neither_private_names_nor_nbdev():
    for path in (ROOT/'copl').glob('[!_]*.py'):
        tree = ast.parse(path.read_text(encoding='utf-8'))
        found = [f'{getattr(node, "module", "")}.{name.name}' for node in ast.walk(tree)
                 if isinstance(node, ast.Import | ast.ImportFrom) for name in node.names]
        wrong = [f for f in found if re.search(r'\._|\b(nbdev|fastcore)\b', f)]
        assert wrong == [], f'{path.name} imports {wrong}'


def reading_order():
    "Notebooks of the sections of the site, as paths below nbs."
    def files(contents):
        return [f for part in contents
                for f in (files(part['contents']) if isinstance(part, dict) else [part])]
    site = yaml.safe_load((ROOT/'nbs/_quarto.yml').read_text(encoding='utf-8'))['website']
    return files(site['sidebar']['contents'])


def test_every_notebook_has_its_place_in_the_documentation():
    assert sorted(reading_order()) == sorted(str(p.relative_to(ROOT/'nbs')) for p in NOTEBOOKS)


def prose_of(path):
    "The markdown of a notebook, without code."
    cells = [c.source for c in nbformat.read(path, 4).cells if c.cell_type == 'markdown']
    return re.sub(r'```.*?```|`[^`\n]*`', '', '\n'.join(cells), flags=re.S)


def broken_links(path):
    "Relative links of a notebook whose file or heading does not exist."
    for target in re.findall(r'\]\((?!https?:)([^)\s]+)\)', prose_of(path)):
        name, _, anchor = target.partition('#')
        file = path.parent/name if name else path
        text = prose_of(file) if anchor and file.exists() else ''
        headings = re.findall(r'^#+ (.*)$', text, re.M)
        anchors = {re.sub(r'[^\w -]', '', h).strip().lower().replace(' ', '-') for h in headings}
        if not file.exists() or anchor and anchor not in anchors: yield target


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda p: p.stem)
def test_links_between_notebooks_lead_to_files_and_headings(path):
    assert list(broken_links(path)) == []


def test_a_broken_link_is_found(tmp_path):
    text = '## Is it?\n\n[a](#is-it) [b](#it-is) [c](planted.ipynb) [d](gone.ipynb#is-it)'
    cells = [nbformat.v4.new_markdown_cell(text)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path/'planted.ipynb')
    assert list(broken_links(tmp_path/'planted.ipynb')) == ['#it-is', 'gone.ipynb#is-it']


def test_the_pages_link_to_each_other(tmp_path, monkeypatch):
    pages = runpy.run_path(str(ROOT/'.ci/pages.py'))
    monkeypatch.setitem(pages['main'].__globals__, 'sections', lambda: [
        ('', ['index.ipynb']), ('Tutorials', ['tutorials/own_features.ipynb'])])
    pages['main'](tmp_path)
    assert 'href="tutorials/own_features.html"' in (tmp_path/'contents.html').read_text('utf-8')
    page = (tmp_path/'tutorials/own_features.html').read_text('utf-8')
    assert 'href="../18_trust.html"' in page and 'href="../index.html"' in page
    assert '.ipynb"' not in page and '#| hide' not in page


@pytest.fixture(scope='module')
def prose():
    "The functions of .ci/prose.py."
    return SimpleNamespace(**runpy.run_path(str(ROOT/'.ci/prose.py')))


def test_notebooks_docstrings_and_documents_are_written_in_plain_sentences(prose):
    names = [path.name for path in prose.PLAIN]
    assert len(names) >= 70
    assert {'11_plri.ipynb', 'plri.py', 'README.md', 'CONTRIBUTING.md', 'CHANGELOG.md',
            'PULL_REQUEST_TEMPLATE.md'} <= {*names}
    broken = [line for path in prose.PLAIN for line in prose.check(path)]
    assert broken == []


@pytest.mark.parametrize('text, rule', [
    (' '.join(['word']*31) + '.', '31 words, at most 30'),
    ('> **We chose** this. ' + ' '.join(['Word', *['and $x$']*20]) + '!', '41 words, at most 30'),
    ('Who trains five seeds keeps the best.', 'name the actor as the subject, or say "if"'),
    ('What the features do not part, no count of clusters finds.', 'separate'),
    ('It is said that a share of the videos is learned.', 'the error says, the warning names')])
def test_a_planted_bad_sentence_is_found(prose, tmp_path, text, rule):
    def written(text):
        cells = [nbformat.v4.new_markdown_cell('# A title\n\nA short sentence.\n\n' + text)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path/'planted.ipynb')
        return prose.check(tmp_path/'planted.ipynb')
    assert any(rule in line for line in written(text))
    in_code = f'```\n{text}\n```'
    in_a_table = f'| x |\n|---|\n| {text} |'
    for other in ('', in_code, in_a_table, 'Is this what it is?'): assert written(other) == []


@pytest.mark.parametrize('name, good, bad', [
    ('plri.py', '"A module."', 'def f():\n    "What came out of one round."'),
    ('plri.py', '"A module."', 'raise ValueError(f"{n} files beside it")'),
    ('plri.py', '"A module."', 'def f(\n    n, # files beside it\n): pass'),
    ('README.md', 'A short sentence.', 'What came out of one round.'),
    ('CHANGELOG.md', '# Changes\n\n## 2\n- New.\n\n## 1\n- What came out of one round.',
     '# Changes\n\n## 2\n- What came out of one round.\n\n## 1\n- Old.')])
def test_a_planted_bad_docstring_message_or_line_is_found(prose, tmp_path, name, good, bad):
    file = tmp_path/name
    file.write_text(good, encoding='utf-8')
    assert prose.check(file) == []
    file.write_text(bad, encoding='utf-8')
    assert len(prose.check(file)) == 1
