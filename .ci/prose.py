#!/usr/bin/env python3
"""Check that sentences keep the rules of plain prose: in the notebooks, in the docstrings,
messages and comments of the package, in the README, CONTRIBUTING, the forms, and the newest section
of the CHANGELOG. Tables, code and equations are left out. Prints each sentence that breaks a rule,
and exits with 1 if one does. Usage: .ci/prose.py [FILE ...]."""
import ast
import io
import json
import re
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLAIN = [path for pattern in ('nbs/**/[!._]*.ipynb', 'copl/*.py', '*.md', '.github/**/*.md')
         for path in sorted(ROOT.glob(pattern)) if path.name != '_modidx.py']
MOST_WORDS = 30
END = r'(?:(?<=[.!?])|(?<=[.!?]\)))(?<!Eq\.)(?<!al\.)\s+(?=\W*[A-Z\d])'
RULES = { # pattern: what to write
    r'^(Who|Whoever|What|That [^,]{8,60} (is|are|was)) [^?]*[^?]$':
        'name the actor as the subject, or say "if"',
    r'(?i)\bwhoever\b': 'name the actor, or say "if"',
    r'(?i)\b(told|tell\w*) (\w+ )?from\b': 'differ',
    r'(?i)\b(likeness|alike)\b': 'similarity, similar',
    r'(?i)\bparts? (best|the actions)\b|\bdo not part\b': 'separate',
    r'(?i)\bat hand\b': 'available',
    r'(?i)\bworlds?\b': 'data set',
    r'(?i)\bbeside\b': 'next to',
    r'(?i)\bmade-up\b': 'synthetic',
    r'(?i)\bstands? for (a|the|each) class\b': 'represent a class (top-k pooling)',
    r'(?i)\bmatrix products?\b': 'matmul',
    r'(?i)\beverything is action\b': 'whole-video baseline',
    r'(?i)\b(first|second|earlier) edition\b': 'history belongs in the CHANGELOG',
    r'(?i)(?<!only if )\b(trusted|doubtful)\b': 'selected, filtered (P, U)',
    r'(?i)\bshares? of\b': 'fraction of',
    r'(?i)(?<!image )\bprocessors?\b': 'CPU',
    r'(?i)\broads?\b': 'computation',
    r'(?i)\bby heart\b': 'memorise',
    r'(?i)\bbeliev\w+': 'trust, or what the number shows',
    r'(?i)\b(is|are|was|were) (said|asked|told)\b': 'the error says, the warning names',
    r'(?i)\btak(e|es|en|ing) for\b': 'treat as',
    r'(?i)\btrust (times|x)\b': 'agreement times',
    r'(?i)(?<!recall )\bcurves?\b': 'score sequence',
    r'\bfigures?\b(?! [A-Z\d])': 'number, metric or picture'}


def sentences(text):
    "The sentences of a markdown cell, with X for code, an equation or an address."
    text = re.sub(r'```.*?```|\$\$.*?\$\$', '\n\n', text, flags=re.S)
    text = re.sub(r'`[^`]*`|\$[^$]*\$|\{[^}]*\}|https?://\S+', 'X', text)
    text = re.sub(r'\]\([^)]*\)|[*\[]', '', text)
    lines = [line.strip().lstrip('>').strip() for line in text.splitlines()]
    lines = ['' if line.startswith(('|', '#')) else re.sub(r'^([-+]|\d+\.) ', '\n', line)
             for line in lines]
    for paragraph in re.split(r'\n\s*\n|\n(?=\n)', '\n'.join(lines)):
        for sentence in re.split(END, paragraph):
            if sentence := ' '.join(sentence.split()): yield sentence


def complaints(text):
    "What breaks a rule in a markdown cell: (rule, sentence) each."
    for sentence in sentences(text):
        n = len(sentence.split())
        if n > MOST_WORDS: yield f'{n} words, at most {MOST_WORDS}', sentence
        for pattern, rule in RULES.items():
            if re.search(pattern, sentence): yield rule, sentence


def texts(path):
    "The texts of a file: (place, text) each."
    content = path.read_text(encoding='utf-8')
    if path.suffix == '.ipynb':
        return [(f'cell {i}', ''.join(cell['source']))
                for i, cell in enumerate(json.loads(content)['cells'])
                if cell['cell_type'] == 'markdown']
    if path.suffix == '.py': # docstrings, messages (each part of an f-string), comments
        tokens = tokenize.generate_tokens(io.StringIO(content).readline)
        comments = [(f'line {t.start[0]}', t.string.lstrip('# ')) for t in tokens
                    if t.type == tokenize.COMMENT]
        return comments + [
            (f'line {node.lineno}', node.value) for node in ast.walk(ast.parse(content))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and ' ' in node.value]
    # what a released version of the CHANGELOG says is history
    return [('text', content.split('\n## ')[1] if path.name == 'CHANGELOG.md' else content)]


def check(path):
    "Each broken rule of a file, as a line of text."
    return [f'{Path(path).name}, {place}: {rule}: {sentence}' for place, text in texts(Path(path))
            for rule, sentence in complaints(text)]


if __name__ == '__main__':
    broken = [line for path in sys.argv[1:] or PLAIN
              for line in check(path)]
    print('\n'.join(broken))
    sys.exit(bool(broken))
