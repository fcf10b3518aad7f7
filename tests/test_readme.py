"What the README says: its numbers come from the rows, and its commands exist."
import re

import numpy as np
import pandas as pd
import pytest

from copl.cli import COMMANDS, main
from copl.statistics import last_round, t_interval

from .conftest import ROOT

README = (ROOT/'README.md').read_text(encoding='utf-8')
FENCES = re.findall(r'```(\w*)\n(.*?)```', README, re.S)
SHOWN = ('mean pooling', 'conventional', 'conventional, T/2', 'conventional + IOCNet', 'COPL',
         'asl-weak')


def expected(name):
    "Lines of the results table for a data set, out of its raw rows."
    rows = pd.read_csv(ROOT/f'nbs/results/rows-{name}.csv')
    first = rows[(rows.method == 'COPL') & (rows['round'] == 0)].assign(
        method='mean pooling', mAP=np.nan, agreement=np.nan)
    last = pd.concat([first, last_round(rows)])
    for method in SHOWN:
        part = last[last.method == method]
        if part.empty: continue
        def cell(column, factor, digits, part=part):
            mean, low, high, n = t_interval(factor*part[column])
            return f'{mean:.{digits}f} ± {(high - low)/2:.{digits}f}' if n else ''
        yield (f'| {name} | {method} | {part.seed.nunique()} | {cell("purity", 1, 3)} | '
               f'{cell("mAP", 100, 1)} | {cell("agreement", 1, 2)} |')


def test_the_table_of_results_follows_from_the_raw_rows():
    lines = re.findall(r'^\| (?:set\d|sparse1|quarter|poses) .*', README, re.M)
    assert lines == [line for name in ('set2', 'sparse1', 'quarter', 'set1', 'poses')
                     for line in expected(name)]


def commands():
    "(command, its options) of each call of copl in the README."
    texts = [body for kind, body in FENCES if kind == 'sh'] + re.findall(r'`([^`\n]+)`', README)
    calls = [re.split(r'&&|#', call) for text in texts for call in text.splitlines()]
    words = [part.split() for call in calls for part in call if part.split()[:1] == ['copl']]
    return {(w[1], tuple(x for x in w[2:] if x.startswith('--'))) for w in words if len(w) > 1}


@pytest.mark.parametrize(('command', 'options'), sorted(commands()))
def test_commands_of_the_readme_exist(command, options, capsys):
    assert command in COMMANDS
    assert main([command, '--help']) == 0
    known = set(re.findall(r'--[a-z][\w-]*', capsys.readouterr().out))
    assert set(options) - {'--help'} <= known


def test_it_is_short():
    prose = re.sub(r'```.*?```|^\|.*?$|<!--.*?-->|\]\([^)]*\)', '', README, flags=re.S | re.M)
    assert len(prose.split()) <= 900
