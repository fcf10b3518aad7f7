"What the README says: its numbers come from the rows, and its commands exist."
import re

import pandas as pd
import pytest

from copl.cli import COMMANDS, main
from copl.statistics import last_round, t_interval

from .conftest import ROOT

README = (ROOT/'README.md').read_text(encoding='utf-8')
FENCES = re.findall(r'```(\w*)\n(.*?)```', README, re.S)
ROWS = pd.read_csv(ROOT/'nbs/results/59_search-final.csv')


def results():
    "Rows of the results table as text."
    lines = [line for line in README.splitlines() if re.match(r'\| (set1|sparse1|small)', line)]
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]


@pytest.mark.parametrize('row', results(), ids=lambda row: f'{row[0]}, {row[1]}')
def test_a_row_of_the_results_follows_from_the_raw_rows(row):
    data, method, n, purity, mAP, agreement = row
    part = ROWS[ROWS.set == data.split()[0]]
    pooled = method == 'mean pooling'
    if pooled: part = part[part['round'] == 0].drop_duplicates('seed')
    else: part = last_round(part[part.method == method])
    mean, low, high, count = t_interval(part.purity)
    assert (str(count), purity) == (n, f'{mean:.3f} ± {(high - low)/2:.3f}')
    if pooled: assert mAP == agreement == ''
    else: assert (mAP, agreement) == (f'{100*part.mAP.mean():.1f}', f'{part.agreement.mean():.2f}')


def test_every_set_and_method_of_the_rows_is_in_the_table():
    shown = {(row[0].split()[0], row[1]) for row in results()}
    assert shown == {*zip(ROWS.set, ROWS.method, strict=True),
                     *((name, 'mean pooling') for name in ROWS.set.unique())}


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
