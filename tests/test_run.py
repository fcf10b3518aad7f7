"copl run: from a folder of videos to named clusters in one command."
import json
import shutil

import pytest

from copl.extraction import moving_shapes

from .small_runs import command

SMALL = ['--short-side', 32, '--crop', 32, '--device', 'cpu', '--hidden', 8, '--snippets', 16,
         '--epoch-num', 1, '--iteration-num', 2, '--n-classes', 2]


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    "Six short videos and a file that is none."
    folder = tmp_path_factory.mktemp('clips')
    moving_shapes(folder, n=6, seconds=1)
    (folder/'broken.mp4').write_text('no video')
    return folder


def run(clips, out, *more): return command('run', clips, '--out', out, *SMALL, *more)


@pytest.fixture(scope='module')
def finished(clips, tmp_path_factory):
    "(its folder; status and words) of such a command."
    out = tmp_path_factory.mktemp('finished')
    return out, run(clips, out)


@pytest.fixture
def features(finished, tmp_path):
    "A folder that holds the features alone."
    shutil.copytree(finished[0]/'features', tmp_path/'features')
    return tmp_path


def test_from_videos_to_the_page_and_again(clips, finished):
    folder, (status, out, err) = finished
    assert status == 1 and '6 videos extracted, 0 there already, 1 unusable' in out
    stages = [line for line in err.splitlines() if ' of 3: ' in line]
    assert stages == ['1 of 3: features', '2 of 3: training', '3 of 3: page']
    assert '1 of 7 videos cannot be used:' in err and 'broken.mp4' in err
    assert {'auto.csv', 'checkpoint.pt', 'config.yaml', 'metrics.json', 'pseudolabels.csv',
            'report.html', 'rounds.csv'} <= {p.name for p in (folder/'run').iterdir()}
    assert 'data:image/' in (folder/'run/report.html').read_text()      # frames of the videos
    kept = {p: p.stat().st_mtime_ns for p in folder.glob('**/*.npy')}
    before = (folder/'run/pseudolabels.csv').read_text()
    assert '0 videos extracted, 6 there already, 1 unusable' in run(clips, folder)[1]
    assert {p: p.stat().st_mtime_ns for p in folder.glob('**/*.npy')} == kept
    assert (folder/'run/pseudolabels.csv').read_text() == before


@pytest.mark.parametrize('stage', ['copl.extraction.video_streams', 'copl.engine.train_epoch',
                                   'copl.report.report'])
def test_interrupted_in_any_stage_it_goes_on(stage, clips, features, monkeypatch):
    def stop(*args, **kwargs): raise KeyboardInterrupt
    more = ['--preset', 'conventional']
    if 'extraction' in stage:
        for stream in ('rgb', 'flow'): min((features/'features'/stream).iterdir()).unlink()
    with monkeypatch.context() as patched:
        patched.setattr(stage, stop)
        status, _, err = run(clips, features, *more)
    assert status == 130
    assert 'interrupted: go on with the same command: what is finished is kept' in err
    assert run(clips, features, *more)[0] == 1
    metrics = json.loads((features/'run/metrics.json').read_text())
    assert metrics['config']['n_classes'] == 2 and (features/'run/report.html').exists()


def test_fewer_videos_than_classes(clips, features):
    status, _, err = run(clips, features, '--n-classes', 7, '--preset', 'conventional')
    assert status == 1 and '7 classes' in err and '6 videos' in err


def test_no_video_at_all(tmp_path):
    (tmp_path/'v').mkdir()
    (tmp_path/'v/a.mp4').write_text('no video')
    status, _, err = run(tmp_path/'v', tmp_path/'o')
    assert status == 1 and '1 of 1 videos cannot be used:' in err and '2 of 3' not in err
