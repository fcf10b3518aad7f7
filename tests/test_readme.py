"What the README says: its numbers come from the rows, and its commands exist."
import re

import numpy as np
import pandas as pd
import pytest

from copl.cli import COMMANDS, main
from copl.statistics import last_round, paired_difference, t_interval, word

from .conftest import ROOT

README = (ROOT/'README.md').read_text(encoding='utf-8')
FENCES = re.findall(r'```(\w*)\n(.*?)```', README, re.S)
SETS = ('set2', 'sparse1', 'set1', 'quarter', 'small', 'poses')
SHOWN = {'mean pooling: purity': ['mean pooling'],
         'conventional loop': ['conventional', 'conventional, T/2'], # the one that agrees better
         'conventional + IOCNet': ['conventional + IOCNet'],
         'conventional + HAS + PLRI': ['conventional + HAS + PLRI'], 'COPL': ['COPL'],
         'true labels (`asl-weak`): mAP': ['asl-weak']}


def last_rounds(name):
    "The last round of each run of a data set, and mean pooling, which is round 0 of COPL."
    rows = pd.read_csv(ROOT/f'nbs/results/rows-{name}.csv')
    first = rows[(rows.method == 'COPL') & (rows['round'] == 0)].assign(
        method='mean pooling', mAP=np.nan)
    return pd.concat([first, last_round(rows)])


def agreed(final, methods):
    "The runs of that method which has the highest mean agreement."
    some = final[final.method.isin(methods)]
    return some[some.method == some.groupby('method').agreement.mean().idxmax()]


def expected():
    "Lines of the table of results, out of the raw rows."
    last = {name: last_rounds(name) for name in SETS}
    yield f'| | {" | ".join(f"`{name}`" for name in SETS)} |'
    yield '|---' * (len(SETS) + 1) + '|'
    shown = []
    for label, methods in SHOWN.items():
        cells = []
        for part in last.values():
            some = part[part.method.isin(methods)]
            if not some.empty:
                some = agreed(some, methods)
                shown.append(len(some))
            mean, low, high, n = t_interval(some.purity)
            purity = f'{mean:.3f} ± {(high - low)/2:.3f}' if n else ''
            mAP = f'{100*some.mAP.mean():.1f}' if some.mAP.notna().any() else ''
            cells.append(' / '.join(filter(None, (purity, mAP))))
        yield f'| {label} | {" | ".join(cells)} |'
    assert (min(shown), max(shown)) == (8, 10)             # as the sentence above the table says


def test_the_table_of_results_follows_from_the_raw_rows():
    lines = re.findall(r'^\|.*', README[README.index('## Results'):README.index('## Limits')], re.M)
    assert lines == list(expected())


def test_the_comparison_with_the_conventional_loop_follows_from_the_raw_rows():
    words = []
    for name in SETS:
        final = last_rounds(name)
        best = agreed(final, SHOWN['conventional loop']).method.iloc[0]
        words += [word(paired_difference(final, 'COPL', best, column))
                  for column in ('purity', 'mAP')]
    better, worse, undecided = (words.count(w) for w in ('more', 'less', 'undecided'))
    assert (f'In {len(words)} comparisons with this loop (purity and mAP on six data sets), '
            f'COPL is better in {better}, worse in {worse}, undecided in {undecided}.') in README


def test_the_numbers_of_the_status_are_those_of_the_table():
    means = last_rounds('set2').groupby('method').purity.mean().round(3)
    assert (f'have a purity of {means["COPL"]}; mean pooling has {means["mean pooling"]}, '
            f'the conventional loop {means["conventional"]}.') in README


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
