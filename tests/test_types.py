"A user's script is checked with mypy, against the package as it is installed in either way."
import subprocess
import sys

import pytest

from .conftest import ROOT

SCRIPT = ROOT/'tests/typed_user.py'


@pytest.fixture(scope='module')
def checked(tmp_path_factory):
    "A function: (exit status, what mypy says) of a script outside the project's folder."
    pytest.importorskip('mypy', reason="needs mypy: pip install -e '.[dev]'")
    cache = tmp_path_factory.mktemp('cache')          # what it knows of PyTorch takes a minute
    def check(text, folder):
        script = folder/'script.py'
        script.write_text(text)
        command = [sys.executable, '-m', 'mypy', '--follow-imports=silent',
                   '--ignore-missing-imports', '--cache-dir', cache, script]
        said = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        return said.returncode, said.stdout
    return check


def test_a_users_script_has_types(tmp_path, checked):
    status, said = checked(SCRIPT.read_text(), tmp_path)
    assert status == 0, said
    wrong = SCRIPT.read_text() + "\nBestOf(model).fitt(videos)\nnms('a', 'b', tiou='c')\n"
    status, said = checked(wrong, tmp_path)
    assert status == 1 and '"BestOf" has no attribute "fitt"' in said
    assert 'Argument "tiou" to "nms" has incompatible type "str"; expected "float"' in said


def test_types_do_not_need_an_editable_install(tmp_path, checked):
    (tmp_path/'copl').mkdir()  # beside the script, as mypy finds a package in site-packages
    for p in (*(ROOT/'copl').glob('*.py*'), ROOT/'copl/py.typed'):
        (tmp_path/'copl'/p.name).write_bytes(p.read_bytes())
    status, said = checked(SCRIPT.read_text(), tmp_path)
    assert status == 0, said
