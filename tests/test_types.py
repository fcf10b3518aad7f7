"A user's script is checked with mypy, against the package as it is installed."
import shutil
import subprocess
import sys

import pytest

from .conftest import ROOT

SCRIPT = ROOT/'tests/typed_user.py'
# the types of PyTorch and its like say nothing about copl's, and take a minute to read
CONFIG = '[mypy-torch.*,sklearn.*,scipy.*,matplotlib.*,h5py.*,PIL.*]\nfollow_imports = skip\n'


def test_a_users_script_has_types_and_wrong_calls_are_found(tmp_path):
    pytest.importorskip('mypy', reason="needs mypy: pip install -e '.[dev]'")
    (tmp_path/'copl').mkdir()  # beside the script, as mypy finds a package in site-packages
    for p in (*(ROOT/'copl').glob('*.py*'), ROOT/'copl/py.typed'): shutil.copy(p, tmp_path/'copl')
    (tmp_path/'mypy.ini').write_text(CONFIG)
    (tmp_path/'right.py').write_text(SCRIPT.read_text())
    (tmp_path/'wrong.py').write_text(
        SCRIPT.read_text() + "\nBestOf(model).fitt(videos)\nnms('a', 'b', tiou='c')\n")
    said = subprocess.run([sys.executable, '-m', 'mypy', '--follow-imports=silent',
                           '--ignore-missing-imports', 'right.py', 'wrong.py'],
                          cwd=tmp_path, capture_output=True, text=True).stdout
    assert 'wrong.py' in said and 'right.py' not in said, said
    assert '"BestOf" has no attribute "fitt"' in said
    assert 'Argument "tiou" to "nms" has incompatible type "str"; expected "float"' in said
