"Long work tells of itself where nobody watches a bar."
import time

import pytest

import copl.files
from copl.files import progress


@pytest.fixture
def quick_lines(monkeypatch): monkeypatch.setattr(copl.files, 'LINE_SECONDS', .05)

def test_a_line_now_and_then_where_output_is_a_file(quick_lines, capfd):
    for _ in progress(range(10), unit='video'): time.sleep(.03)
    out, err = capfd.readouterr()
    lines = err.splitlines()
    assert out == '' and 2 <= len(lines) <= 10 and '\r' not in err
    assert all(' of 10 videos done, ' in line and line.endswith(' left') for line in lines)
    done = [int(line.split()[0]) for line in lines]
    assert done == sorted(set(done))

def test_short_work_and_what_shall_be_silent_say_nothing(capfd, quick_lines):
    for _ in progress(range(10), unit='video', verbose=False): time.sleep(.01)
    copl.files.LINE_SECONDS = 60
    for _ in progress(range(10), unit='video'): pass
    assert capfd.readouterr().err == ''


def test_a_bar_that_is_drawn_again_for_every_epoch_prints_no_more(quick_lines, capfd):
    with progress(total=10, unit='epoch') as bar:
        for i in range(10):
            time.sleep(.01)
            bar.set_postfix(loss=i)
            bar.update()
    assert len(capfd.readouterr().err.splitlines()) <= 3
