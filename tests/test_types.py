"A user's script is checked with mypy, against the package as it is installed in either way."
import subprocess
import sys

import pytest

from .conftest import ROOT

SCRIPT = ROOT/'tests/typed_user.py'


def checked(text, folder):
    "(exit status, what mypy says) of a script outside the project's folder."
    script = folder/'script.py'
    script.write_text(text)
    command = [sys.executable, '-m', 'mypy', '--follow-imports=silent', '--ignore-missing-imports',
               '--cache-dir', folder/'cache', script]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return said.returncode, said.stdout


@pytest.mark.parametrize('editable', [True, False], ids=['editable', 'ordinary'])
def test_a_users_script_has_types(tmp_path, editable):
    pytest.importorskip('mypy', reason="needs mypy: pip install -e '.[dev]'")
    if not editable: # beside the script, as mypy finds a package in site-packages
        (tmp_path/'copl').mkdir()
        for p in (ROOT/'copl').glob('*.py*'): (tmp_path/'copl'/p.name).write_bytes(p.read_bytes())
        (tmp_path/'copl/py.typed').write_bytes((ROOT/'copl/py.typed').read_bytes())
    status, said = checked(SCRIPT.read_text(), tmp_path)
    assert status == 0, said
    wrong = SCRIPT.read_text() + "\nBestOf(model).fitt(videos)\nnms('a', 'b', tiou='c')\n"
    status, said = checked(wrong, tmp_path)
    assert status == 1 and '"BestOf" has no attribute "fitt"' in said
    assert 'Argument "tiou" to "nms" has incompatible type "str"; expected "float"' in said
