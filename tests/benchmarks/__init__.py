"""How fast copl is: ratios to plain references (tests/reference), on the same arrays in one run.

    python -m tests.benchmarks.evaluation --size thumos --out FILE

with a FILE such as tests/benchmarks/results/evaluation-thumos.json.

A benchmark is a script. It builds its arrays for one size, yields rows made by `compare` and
`measure`, and hands itself to `main`, which prints the rows as a table and writes them as JSON
with the machine and the versions. pytest collects nothing here.
"""
import argparse
import contextlib
import datetime
import json
import os
import platform
import statistics
import time
from importlib.metadata import version
from pathlib import Path

import torch

from copl.files import atomic_write

STATUS = Path('/proc/self/status')
CPUINFO = Path('/proc/cpuinfo')
PACKAGES = ('copl', 'numpy', 'scipy', 'scikit-learn', 'pandas', 'torch')


def seconds(call):
    "(wall time of one call, what it returned); work on a GPU is waited for."
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    wait()
    start = time.perf_counter()
    result = call()
    wait()
    return time.perf_counter() - start, result


def spread(values):
    "Median and extremes."
    return {'median': statistics.median(values), 'min': min(values), 'max': max(values)}


def compare(name, reference, ours, repeats=5, check=None, **sizes):
    """A row of reference time over ours, in turn, each ratio from one repeat;
    `check(reference's result, ours)` raises where they differ."""
    plain = reference()
    fast = ours() # warm up
    if check is not None: check(plain, fast)
    pairs = [(seconds(reference)[0], seconds(ours)[0]) for _ in range(repeats)]
    return {'name': name, **sizes, 'repeats': repeats, 'checked': check is not None,
            'reference_seconds': spread([r for r, _ in pairs]),
            'seconds': spread([o for _, o in pairs]), 'ratio': spread([r/o for r, o in pairs])}


def measure(name, ours, repeats=1, **figures):
    """A row without a reference: wall time and the highest resident memory (GiB, of the whole
    process), and what `figures` functions say of the result."""
    with contextlib.suppress(OSError): Path('/proc/self/clear_refs').write_text('5') # a new peak
    times, results = zip(*(seconds(ours) for _ in range(repeats)), strict=True)
    lines = STATUS.read_text().splitlines() if STATUS.exists() else []
    peak = [int(line.split()[1])/2**20 for line in lines if line.startswith('VmHWM')]
    return {'name': name, 'repeats': repeats, 'seconds': spread(times),
            'peak_gib': peak[0] if peak else None,
            **{k: f(results[-1]) if callable(f) else f for k, f in figures.items()}}


def machine():
    "What the numbers depend on: processor, cores, memory, load, device, versions."
    lines = CPUINFO.read_text().splitlines() if CPUINFO.exists() else []
    info = {k.strip(): v.strip() for k, _, v in (line.partition(':') for line in lines)}
    flags = {'avx2', 'avx512f', 'avx512_bf16', 'amx_bf16'} & {*info.get('flags', '').split()}
    return {'processor': info.get('model name') or platform.processor() or platform.machine(),
            'instructions': sorted(flags), 'cores': os.cpu_count(),
            'threads': torch.get_num_threads(), 'load': os.getloadavg()[0],
            'memory_gib': round(os.sysconf('SC_PAGE_SIZE')*os.sysconf('SC_PHYS_PAGES')/2**30, 1),
            'device': torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            'date': datetime.date.today().isoformat()}


def line(row):
    "One row of the table, as text: times are median [lowest, highest]."
    parts = [f"{row['name']:<44}"]
    for name, title, unit in (('ratio', '', 'x'), ('reference_seconds', 'reference ', ' s'),
                              ('seconds', 'copl ', ' s')):
        if name not in row: continue
        median, low, high = row[name].values()
        parts.append(f'{title}{median:.3g}{unit} [{low:.3g}, {high:.3g}]')
    others = {k: v for k, v in row.items() if k != 'name' and not isinstance(v, dict)}
    return '  '.join(parts + [f'{k} {v:.4g}' if isinstance(v, float) else f'{k} {v}'
                              for k, v in others.items()])


def main(benchmark, sizes=('tiny', 'thumos', 'anet')):
    "Command line of a benchmark: `benchmark(size, repeats)` yields rows."
    parser = argparse.ArgumentParser(description=benchmark.__doc__)
    parser.add_argument('--size', choices=sizes, default=sizes[0])
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--out', type=Path, help='JSON file to write')
    args = parser.parse_args()
    rows = []
    for row in benchmark(args.size, args.repeats):
        rows.append(row)
        print(line(row), flush=True)
    if not args.out: return
    versions = {'python': platform.python_version(), **{p: version(p) for p in PACKAGES}}
    note = {'size': args.size, 'machine': machine(), 'versions': versions, 'rows': rows}
    text = json.dumps(note, indent=1) + '\n'
    atomic_write(args.out, lambda p: p.write_text(text, encoding='utf-8'))
