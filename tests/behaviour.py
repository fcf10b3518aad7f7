"""Store what this version of copl does, under a tag: `python -m tests.behaviour [TAG]`.

Writes copl/behaviour.json. Without a TAG the stored one stays, as long as no rows carry it. The
numbers are compared with a relative tolerance of 0.1 %, so they may come from any CPU.
"""
import json
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]
OUT = ROOT/'copl'/'behaviour.json'


def main(tag=None):
    if not OUT.exists(): OUT.write_text('{"tag": "", "numbers": {}, "defaults": {}}')
    import pandas as pd

    from copl.config import Config, config_to_dict
    from copl.experiments import behaviour_changes, behaviour_numbers
    assert find_spec('copl').origin == str(ROOT/'copl'/'__init__.py'), 'another copl is imported'
    stored = json.loads(OUT.read_text(encoding='utf-8'))
    for name, (then, now) in behaviour_changes(stored).items(): print(f'{name}: {then} -> {now}')
    tag = tag or stored['tag']
    measured = {t for path in (ROOT/'nbs/results').glob('*.csv')
                for t in pd.read_csv(path, dtype=str).get('behaviour', [])}
    if tag in measured and behaviour_changes(stored):
        sys.exit(f'rows in nbs/results carry the tag {tag}, and results have changed: '
                 'give another tag')
    numbers = {k: float(f'{v:.6g}') for k, v in behaviour_numbers().items()}
    content = {'tag': tag, 'numbers': numbers, 'defaults': config_to_dict(Config(2))}
    OUT.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
    print(f'{OUT}: {len(numbers)} numbers, tag {tag}')


if __name__ == '__main__': main(*sys.argv[1:])
