"copl run: from a folder of videos to named clusters in one command."
import json

import pytest

from copl.cli import main
from copl.extraction import moving_shapes

SMALL = ['--short-side', '32', '--crop', '32', '--device', 'cpu', '--hidden', '8',
         '--snippets', '16', '--epoch-num', '1', '--iteration-num', '2']


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    "Ten short videos and a file that is none."
    folder = tmp_path_factory.mktemp('clips')
    moving_shapes(folder, n=10, seconds=2)
    (folder/'broken.mp4').write_text('no video')
    return folder


def run(clips, out, *more):
    return main(['run', str(clips), '--out', str(out), *SMALL, *more])


def test_from_videos_to_the_page_and_again(clips, tmp_path, capsys):
    assert run(clips, tmp_path, '--n-classes', '2') == 1                # one video is broken
    out, err = capsys.readouterr()
    assert '10 videos extracted, 0 there already, 1 unusable' in out
    stages = [line for line in err.splitlines() if ' of 3: ' in line]
    assert stages == ['1 of 3: features', '2 of 3: training', '3 of 3: page']
    assert '1 of 11 videos cannot be used:' in err and 'broken.mp4' in err
    run_folder = tmp_path/'run'
    assert {'auto.csv', 'checkpoint.pt', 'config.yaml', 'metrics.json', 'pseudolabels.csv',
            'report.html', 'rounds.csv'} <= {p.name for p in run_folder.iterdir()}
    page = (run_folder/'report.html').read_text()
    assert 'data:image/' in page                                        # frames of the videos
    kept = {p: p.stat().st_mtime_ns for p in tmp_path.glob('**/*.npy')}
    before = (run_folder/'pseudolabels.csv').read_text()
    assert run(clips, tmp_path, '--n-classes', '2') == 1
    assert '0 videos extracted, 10 there already, 1 unusable' in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in tmp_path.glob('**/*.npy')} == kept
    assert (run_folder/'pseudolabels.csv').read_text() == before


@pytest.mark.parametrize('stage', ['copl.extraction.video_streams', 'copl.engine.train_epoch',
                                   'copl.report.report'])
def test_interrupted_in_any_stage_it_goes_on(stage, clips, tmp_path, capsys, monkeypatch):
    def stop(*args, **kwargs): raise KeyboardInterrupt
    more = ['--n-classes', '2', '--preset', 'conventional']
    with monkeypatch.context() as patched:
        patched.setattr(stage, stop)
        assert run(clips, tmp_path, *more) == 130
    err = capsys.readouterr().err
    assert 'interrupted: go on with the same command: what is finished is kept' in err
    assert run(clips, tmp_path, *more) == 1
    metrics = json.loads((tmp_path/'run/metrics.json').read_text())
    assert metrics['config']['n_classes'] == 2 and (tmp_path/'run/report.html').exists()


def test_fewer_videos_than_classes(clips, tmp_path, capsys):
    assert run(clips, tmp_path, '--n-classes', '11', '--preset', 'conventional') == 1
    err = capsys.readouterr().err
    assert '11 classes' in err and '10 videos' in err and 'Traceback' not in err


def test_no_video_at_all(tmp_path, capsys):
    (tmp_path/'v').mkdir()
    (tmp_path/'v/a.mp4').write_text('no video')
    assert run(tmp_path/'v', tmp_path/'o') == 1
    err = capsys.readouterr().err
    assert '1 of 1 videos cannot be used:' in err and '2 of 3' not in err
