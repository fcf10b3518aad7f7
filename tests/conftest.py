"Where real data for tests may be found; tests that need it skip, with a reason, where it is not."
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get('COPL_TEST_DATA', ROOT.parent/'shared'/'data'))


@pytest.fixture
def real_data():
    "A function that gives the path of a real file or folder, or skips the test."
    def find(name):
        if not (DATA/name).exists():
            pytest.skip(f'needs {name}: not found in {DATA} (set COPL_TEST_DATA)')
        return DATA/name
    return find


@pytest.fixture(scope='session')
def tiny_run(tmp_path_factory):
    "The folder of a short `copl train sim:tiny`; a test that changes it copies it first."
    from .small_runs import QUICK, command
    folder = tmp_path_factory.mktemp('tiny')/'run'
    status, _, err = command('train', 'sim:tiny', *QUICK, '--out', folder)
    assert status == 0, err
    return folder


@pytest.fixture(scope='session')
def small_data(tmp_path_factory):
    "Features and annotations of `small_runs.VIDEOS` in a folder."
    from copl import save_videos

    from .small_runs import VIDEOS
    folder = tmp_path_factory.mktemp('data')/'mine'
    save_videos(VIDEOS, folder)
    return folder


summary = [] # lines that tests add to the end of the report


def pytest_terminal_summary(terminalreporter):
    for line in summary: terminalreporter.write_line(line)
