"The sdist and the wheel: what is in them, and that the wheel imports with its dependencies alone."
import configparser
import email
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def dist(tmp_path_factory):
    "Both archives, built from the files that git knows or would add."
    source = tmp_path_factory.mktemp('source')
    out = tmp_path_factory.mktemp('dist')
    files = subprocess.run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
                           cwd=ROOT, capture_output=True, text=True)
    if files.returncode: pytest.skip('needs a git checkout')
    for name in set(filter(None, files.stdout.split('\0'))):
        if not (ROOT/name).exists(): continue                     # removed, and not yet committed
        (source/name).parent.mkdir(parents=True, exist_ok=True)
        (source/name).write_bytes((ROOT/name).read_bytes())
    # the wheel from the sdist
    subprocess.run([sys.executable, '-m', 'build', '--no-isolation', '--outdir', out, source],
                   check=True, capture_output=True)
    return next(out.glob('*.whl')), next(out.glob('*.tar.gz'))


def test_the_wheel_holds_the_package_and_nothing_else(dist):
    names = zipfile.ZipFile(dist[0]).namelist()
    modules = {f'copl/{p.name}' for p in (ROOT/'copl').glob('*.py')} | {
        'copl/py.typed', 'copl/behaviour.json', 'copl/timelines.json', 'copl/report.html',
        'copl/report.css', 'copl/report.js', 'copl/__init__.pyi'}
    assert {n for n in names if '.dist-info/' not in n} == modules


def test_the_metadata_is_that_of_settings(dist):
    with zipfile.ZipFile(dist[0]) as wheel:
        metadata = email.message_from_string(wheel.read(
            next(n for n in wheel.namelist() if n.endswith('METADATA'))).decode())
        assert any(n.endswith('LICENSE') for n in wheel.namelist())
    settings = configparser.ConfigParser(delimiters=['='])
    settings.read(ROOT/'settings.ini', encoding='utf-8')
    settings = settings['DEFAULT']
    needed = {r.split(';')[0].strip() for r in metadata.get_all('Requires-Dist')
              if 'extra' not in r}
    assert needed == set(settings['requirements'].split())
    assert (metadata['Version'] == settings['version'] and
            metadata['Requires-Python'] == f">={settings['min_python']}")


def test_the_sdist_holds_what_builds_the_wheel(dist):
    with tarfile.open(dist[1]) as sdist:
        names = {n.partition('/')[2] for n in sdist.getnames()}
    assert {'settings.ini', 'setup.py', 'pyproject.toml', 'README.md', 'LICENSE',
            'copl/report.html', 'copl/report.css', 'copl/report.js'} <= names


def test_the_wheel_imports_and_runs_alone(dist, tmp_path):
    zipfile.ZipFile(dist[0]).extractall(tmp_path/'site')
    code = ('import copl, sys; from copl.cli import main; print(copl.__file__); '
            'sys.exit(main(["--help"]))')
    said = subprocess.run([sys.executable, '-c', code], cwd=tmp_path,
                          env={'PYTHONPATH': str(tmp_path/'site')}, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert str(tmp_path) in said.stdout and 'evaluate' in said.stdout
