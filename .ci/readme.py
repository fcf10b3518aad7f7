"README.md from nbs/index.ipynb: `python .ci/readme.py` writes it, `--check` compares the two."
import re
import sys
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

root = Path(__file__).parents[1]
notebook = nbformat.read(root/'nbs/index.ipynb', 4)
text, _ = MarkdownExporter().from_notebook_node(notebook)
text = re.sub(r'\]\((images|results)/', r'](nbs/\1/', text)
text = text.replace('](../', '](')
text = re.sub(r'\]\((\w+/)?(\w+)\.ipynb\)', r'](nbs/\1\2.ipynb)', text)
text = f'<!-- made from nbs/index.ipynb by .ci/readme.py: edit the notebook -->\n{text.strip()}\n'
if '--check' in sys.argv[1:]:
    if (root/'README.md').read_text(encoding='utf-8') != text:
        sys.exit('README.md is not in step with nbs/index.ipynb: run python .ci/readme.py')
else: (root/'README.md').write_text(text, encoding='utf-8')
