"Long work tells of itself where nobody watches a bar."
import time

from copl.files import progress


def test_a_line_now_and_then_where_output_is_a_file(monkeypatch, capfd):
    monkeypatch.setattr('copl.files.LINE_SECONDS', .05)
    for _ in progress(range(10), unit='video'): time.sleep(.03)
    out, err = capfd.readouterr()
    lines = err.splitlines()
    assert out == '' and 2 <= len(lines) <= 10 and '\r' not in err
    assert all(' of 10 videos done, ' in line and line.endswith(' left') for line in lines)
    done = [int(line.split()[0]) for line in lines]
    assert done == sorted(set(done))
    with progress(total=10, unit='epoch') as bar:           # drawn again for every epoch
        for i in range(10):
            time.sleep(.01)
            bar.set_postfix(loss=i)
            bar.update()
    assert len(capfd.readouterr().err.splitlines()) <= 4


def test_short_work_and_what_shall_be_silent_say_nothing(capfd, monkeypatch):
    for _ in progress(range(10), unit='video'): pass
    monkeypatch.setattr('copl.files.LINE_SECONDS', 0)
    for _ in progress(range(10), unit='video', verbose=False): pass
    assert capfd.readouterr().err == ''
