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
from threadpoolctl import threadpool_info

from copl.files import atomic_write

STATUS = Path('/proc/self/status')
CPUINFO = Path('/proc/cpuinfo')
CLEAR = Path('/proc/self/clear_refs')


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
    times = []
    reset_peak()
    for _ in range(repeats):
        taken, result = seconds(ours)
        times.append(taken)
    peak = peak_memory()
    return {'name': name, 'repeats': repeats, 'seconds': spread(times), 'peak_gib': peak,
            **{k: f(result) if callable(f) else f for k, f in figures.items()}}


def reset_peak():
    "Start `peak_memory` anew, where the system (Linux) can."
    with contextlib.suppress(OSError): CLEAR.write_text('5')


def peak_memory():
    "Highest resident memory of the process since `reset_peak`, in GiB; None where it is unknown."
    if not STATUS.exists(): return None
    return next(int(line.split()[1])/2**20 for line in STATUS.read_text().splitlines()
                if line.startswith('VmHWM'))


def machine():
    "What the figures depend on: processor, cores, threads, memory, load, device."
    info = (dict(line.split(':', 1) for line in CPUINFO.read_text().splitlines() if ':' in line)
            if CPUINFO.exists() else {})
    info = {k.strip(): v.strip() for k, v in info.items()}
    flags = info.get('flags', '').split()
    return {'processor': info.get('model name') or platform.processor() or platform.machine(),
            'family_model': [info.get('cpu family'), info.get('model')],
            'instructions': [f for f in ('avx2', 'avx512f', 'avx512_bf16', 'amx_bf16')
                             if f in flags],
            'cores': os.cpu_count(),
            'threads': max([torch.get_num_threads(),
                            *(p['num_threads'] for p in threadpool_info())]),
            'memory_gib': round(os.sysconf('SC_PAGE_SIZE')*os.sysconf('SC_PHYS_PAGES')/2**30, 1),
            'load': os.getloadavg()[0],
            'device': torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            'date': datetime.date.today().isoformat()}


def versions():
    "Of Python and of every package that the time depends on."
    return {'python': platform.python_version(),
            **{p: version(p)
               for p in ('copl', 'numpy', 'scipy', 'scikit-learn', 'pandas', 'torch')}}


def line(row):
    "One row of the table, as text."
    def show(s, unit=''): return f"{s['median']:.3g}{unit} [{s['min']:.3g}, {s['max']:.3g}]"
    parts = [f"{row['name']:<44}"]
    if 'ratio' in row:
        parts += [f"{show(row['ratio'], 'x'):<24}",
                  f"reference {show(row['reference_seconds'], ' s')}"]
    parts.append(f"copl {show(row['seconds'], ' s')}")
    if row.get('peak_gib') is not None: parts.append(f"{row['peak_gib']:.2f} GiB")
    known = {'name', 'repeats', 'checked', 'reference_seconds', 'seconds', 'ratio', 'peak_gib'}
    return '  '.join(parts + [f'{k} {v:.4g}' if isinstance(v, float) else f'{k} {v}'
                              for k, v in row.items() if k not in known])


def write(path, size, rows):
    "JSON with machine, versions and rows."
    note = {'size': size, 'machine': machine(), 'versions': versions(), 'rows': rows}
    return atomic_write(path, lambda p: p.write_text(json.dumps(note, indent=1) + '\n',
                                                     encoding='utf-8'))


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
    if args.out: write(args.out, args.size, rows)
