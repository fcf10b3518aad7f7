"""The notebooks as HTML pages, to read them as a visitor does: .ci/pages.py [FOLDER] writes a page
for each notebook, with its outputs, and contents.html in reading order (default: _pages)."""
import re
import shutil
import sys
from html import escape
from pathlib import Path

import nbformat
import yaml
from nbconvert import HTMLExporter

NBS = Path(__file__).parents[1]/'nbs'


def sections():
    "(title, notebooks) of each part of the site, in reading order."
    site = yaml.safe_load((NBS/'_quarto.yml').read_text(encoding='utf-8'))['website']
    for part in site['sidebar']['contents']:
        yield (part['section'], part['contents']) if isinstance(part, dict) else ('', [part])


def shown(notebook):
    "The notebook without what the site leaves out: hidden cells and directives."
    cells = [c for c in notebook.cells if not re.match(r'#\| *(hide|default_exp)', c.source)]
    for cell in cells: cell.source = re.sub(r'^#\|.*\n', '', cell.source, flags=re.M)
    return nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)


def page(path, before, after):
    "A notebook as HTML, with links to the pages before and after it."
    html, _ = HTMLExporter().from_notebook_node(shown(nbformat.read(NBS/path, 4)))
    html = re.sub(r'(href="[^":]+)\.ipynb', r'\1.html', html)
    up = '../'*path.count('/')
    links = ' | '.join(f'<a href="{up}{p.replace(".ipynb", ".html")}">{p}</a>'
                       for p in (before, 'contents.html', after) if p)
    return re.sub(r'<body[^>]*>', lambda m: f'{m[0]}<nav>{links}</nav>', html, count=1)


def main(folder):
    "Write all pages into a folder."
    parts = list(sections())
    paths = [path for _, contents in parts for path in contents]
    for i, path in enumerate(paths):
        target = (folder/path).with_suffix('.html')
        target.parent.mkdir(parents=True, exist_ok=True)
        around = [paths[j] if 0 <= j < len(paths) else '' for j in (i - 1, i + 1)]
        target.write_text(page(path, *around), encoding='utf-8')
    items = [f'<h2>{escape(title)}</h2>' + ''.join(
        f'<p><a href="{p.replace(".ipynb", ".html")}">{p}</a></p>' for p in contents)
        for title, contents in parts]
    (folder/'contents.html').write_text('\n'.join(items), encoding='utf-8')
    for name in ('images', 'results'): shutil.copytree(NBS/name, folder/name, dirs_exist_ok=True)


if __name__ == '__main__': main(Path(sys.argv[1] if len(sys.argv) > 1 else '_pages'))
