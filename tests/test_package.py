"The sdist and the wheel: what is in them, and that the wheel imports with its dependencies alone."
import configparser
import email
import subprocess
import sys
import tarfile
import zipfile

import pytest

from .conftest import ROOT


@pytest.fixture(scope='module')
def dist(tmp_path_factory):
    "(wheel, sdist), built from the files that git knows or would add."
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
    return zipfile.ZipFile(next(out.glob('*.whl'))), tarfile.open(next(out.glob('*.tar.gz')))


def test_the_archives_hold_the_package_its_metadata_and_nothing_else(dist):
    wheel, sdist = dist
    modules = {f'copl/{p.name}' for p in (ROOT/'copl').glob('*.py')} | {
        'copl/py.typed', 'copl/behaviour.json', 'copl/timelines.json', 'copl/report.html',
        'copl/report.css', 'copl/report.js', 'copl/__init__.pyi'}
    assert {n for n in wheel.namelist() if '.dist-info/' not in n} == modules
    assert {'settings.ini', 'setup.py', 'pyproject.toml', 'README.md', 'LICENSE',
            'copl/report.js'} <= {n.partition('/')[2] for n in sdist.getnames()}
    assert any(n.endswith('LICENSE') for n in wheel.namelist())
    metadata = next(n for n in wheel.namelist() if n.endswith('METADATA'))
    metadata = email.message_from_bytes(wheel.read(metadata))
    settings = configparser.ConfigParser(delimiters=['='])
    settings.read(ROOT/'settings.ini', encoding='utf-8')
    settings = settings['DEFAULT']
    needed = [r for r in metadata.get_all('Requires-Dist') if 'extra' not in r]
    assert {r.split(';')[0].strip() for r in needed} == {*settings['requirements'].split()}
    assert metadata['Version'] == settings['version']
    assert metadata['Requires-Python'] == f">={settings['min_python']}"


def test_the_wheel_imports_and_runs_alone(dist, tmp_path):
    dist[0].extractall(tmp_path/'site')
    code = ('import copl, sys; from copl.cli import main; print(copl.__file__); '
            'sys.exit(main(["--help"]))')
    said = subprocess.run([sys.executable, '-c', code], cwd=tmp_path,
                          env={'PYTHONPATH': str(tmp_path/'site')}, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert str(tmp_path) in said.stdout and 'evaluate' in said.stdout
