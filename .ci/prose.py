#!/usr/bin/env python3
"""Check that the sentences of the notebooks keep the rules of plain prose; tables, code
and equations are left out. Prints each sentence that breaks a rule, and exits with 1 if one does.
Usage: .ci/prose.py [NOTEBOOK ...]."""
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLAIN = sorted((ROOT/'nbs').glob('**/[!._]*.ipynb'))
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
    r'(?i)\b(trusted|doubtful)\b': 'selected, filtered (P, U)',
    r'(?i)\bshares? of\b': 'fraction of',
    r'(?i)\bprocessors?\b': 'CPU',
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
    text = re.sub(r'`[^`]*`|\$[^$]*\$|https?://\S+', 'X', text)
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


def check(path):
    "Each broken rule of a notebook, as a line of text."
    cells = json.loads(Path(path).read_text(encoding='utf-8'))['cells']
    return [f'{Path(path).name}, cell {i}: {rule}: {sentence}'
            for i, cell in enumerate(cells) if cell['cell_type'] == 'markdown'
            for rule, sentence in complaints(''.join(cell['source']))]


if __name__ == '__main__':
    broken = [line for path in sys.argv[1:] or PLAIN
              for line in check(path)]
    print('\n'.join(broken))
    sys.exit(bool(broken))
