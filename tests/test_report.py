"The report page in Debian's chromium, driven by Playwright; skips, with a reason, without these."
import base64
import json
import os
import re
import shutil
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest

from copl import COPL, VideoSet, load_videos, save_videos
from copl.extraction import frame_at, moving_shapes
from copl.has import has_attention
from copl.options import SIMULATED
from copl.report import report
from copl.videos import Annotations, temporal_iou

from .conftest import ROOT
from .small_runs import QUICK, TRAIN, UNSEEN, VIDEOS, command

NAMES = ['<svg onload="window.hit=1">', '<img src=x onerror="window.hit=2">',
         'quote "\' & amp; $x$ _', 'Überraschung 動画 \u2028 end', '__DATA__ __SCRIPT_HASH__',
         '__SCRIPT__ __STYLE__ #video=100%']
LABELS = ['</script><script>window.hit = 3</script>', 'cost $\\bad{$ & "more" 跳高', 'plain']
WIDTH = 'document.documentElement.scrollWidth'
AXE = Path(os.environ.get('AXE_CORE', ROOT/'node_modules/axe-core/axe.min.js'))


@pytest.fixture(scope='module')
def browser():
    "A headless Chromium; nothing is installed for it."
    playwright = pytest.importorskip('playwright.sync_api',
                                     reason='needs the Python package playwright')
    chromium = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser',
                                                    'google-chrome'))), None)
    if chromium is None:
        pytest.skip('needs a chromium on the PATH (Debian: apt-get install chromium)')
    with playwright.sync_playwright() as p:
        started = p.chromium.launch(executable_path=chromium, args=['--no-sandbox'])
        yield started
        started.close()


@pytest.fixture
def opened(browser):
    "Opens a page; only its file and `media` may be requested, and the console stays empty."
    contexts = []
    wrong = []

    def open_page(path, width=1280, scheme='light', media=None):
        context = browser.new_context(viewport={'width': width, 'height': 900},
                                      color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on('console', lambda m: wrong.append(f'console: {m.text}')
                if not (media and 'ERR_FILE_NOT_FOUND' in m.text) else None)
        page.on('pageerror', lambda e: wrong.append(f'error: {e}'))
        page.on('request', lambda r: wrong.append(f'request: {r.url[:200]}')
                if not r.url.startswith(('data:', path.as_uri(), media or path.as_uri())) else None)
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts: context.close()
    assert wrong == []


def copl(*args):
    "A command that succeeds; what it complained about."
    status, _, err = command(*args)
    assert status == 0, err
    return err


def made(folder, videos, *options):
    "A run on these videos, opened by the name sim:tiny, and its page."
    same = VideoSet(videos.names, videos.streams, videos.grid, videos.annotations, 'sim:tiny')
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIMULATED, 'tiny', lambda seed: same)
        copl('train', 'sim:tiny', '--n-classes', 3, *QUICK, *options, '--out', folder)
        copl('report', folder, '--device', 'cpu')
    return folder/'report.html'


@pytest.fixture(scope='module')
def page_file(tmp_path_factory): return made(tmp_path_factory.mktemp('report')/'run', VIDEOS)


@pytest.fixture
def run(page_file, tmp_path):
    "A copy of the run of that page."
    return shutil.copytree(page_file.parent, tmp_path/'run')


def content(path):
    "What a page holds."
    data = r'<script type="application/json" id="data">(.*?)</script>'
    return json.loads(re.search(data, path.read_text(encoding='utf-8'), re.DOTALL)[1])


def rows(page): return page.locator(
    '#list [role=option] .row:first-child span:first-child').all_text_contents()
def ranks(page): return [float(x) for x in page.locator(
    '#list [role=option] .row:first-child span:last-child').all_text_contents()]
def chosen(page): return page.locator('#name').text_content()
def axis(page): return page.locator('#main-lanes .axis text').all_text_contents()
def lanes(page, where): return page.locator(f'#{where}-lanes .lane').evaluate_all(
    'es => es.map(e => e.dataset.lane)')


def test_page_shows_the_run(opened, page_file):
    page = opened(page_file)
    table = pd.read_csv(page_file.parent/'pseudolabels.csv')
    assert 'SIMULATED' in page.locator('.note').first.text_content()
    assert page.locator('figure svg[role=img]').count() == 3
    assert page.locator('#rounds tbody tr').count() == 2
    by_cluster = table.groupby('cluster').in_P
    about = page.locator('article .facts').all_text_contents()
    assert [s.split(' · ')[:2] for s in about] == [
        [f'{n} videos', f'{n - n_P} filtered (U)']
        for n, n_P in zip(by_cluster.size(), by_cluster.sum(), strict=True)]
    assert all('purity' in s and 'confidence' in s for s in about)
    order = page.locator('h1, .note, #verdict, .tiles, h2').evaluate_all(
        "es => [...new Set(es.map(e => e.id || e.className || e.textContent))]")
    assert order == ['title', 'note', 'verdict', 'tiles', 'Clusters of the last round', 'Videos',
                     'Rounds', 'How this was made']
    best = table.sort_values('confidence', ascending=False).video.iloc[0]
    assert rows(page)[0] == chosen(page) == best
    assert lanes(page, 'main') == ['Ground truth', 'Detections', 'Attention']
    assert lanes(page, 'more') == ['HAS selection', 'A_ca rgb', 'A_ca flow', 'CAS']
    # numbers and symbols explain themselves
    tiles = page.locator('#tiles dt summary')
    assert tiles.all_text_contents() == ['Training videos', 'Clusters', 'Agreement', 'Purity',
                                         'mAP, average', 'Whole-video baseline']
    tiles.nth(3).focus()
    page.keyboard.press('Enter')
    assert page.locator('#tiles p:visible').text_content().startswith('This is the fraction of')
    text = ''.join(page.locator('#clusters, #viewer').all_text_contents())
    for symbol in ('P: selected', 'U: filtered', 'A_ca: class-agnostic', 'A_cs: class-specific',
                   'high actionness snippets', 'class activation sequence'):
        assert symbol in text, symbol


def test_list_and_keyboard(opened, page_file):
    page = opened(page_file)
    table = pd.read_csv(page_file.parent/'pseudolabels.csv')
    names = rows(page)
    assert len(names) == len(TRAIN) and ranks(page) == sorted(ranks(page), reverse=True)
    for key, i in (('ArrowRight', 1), ('ArrowRight', 2), ('ArrowLeft', 1)):
        page.keyboard.press(key)
        assert chosen(page) == names[i]
        assert page.locator('[aria-selected=true]').get_attribute('title') == names[i]
    page.get_by_label('Search by name').press('ArrowLeft')    # moves the cursor, not the video
    assert chosen(page) == names[1]
    page.locator('#list').focus()
    page.keyboard.press('End')
    assert chosen(page) == names[-1] and page.get_by_role('button', name='Next').is_disabled()
    page.get_by_label('Order').select_option('up')
    assert ranks(page) == sorted(ranks(page))
    page.get_by_label('Search by name').fill('_000')
    page.get_by_label('Order').select_option('name')
    assert rows(page) == [f'sim_train_{i:04d}' for i in range(10)]
    page.get_by_label('Search by name').fill('nothing like it')
    assert rows(page) == [] and page.locator('#timeline').is_hidden()
    page.get_by_label('Search by name').fill('')
    page.get_by_label('Test').check()
    assert len(rows(page)) == len(UNSEEN) and chosen(page).startswith('sim_test_')
    page.locator('#cluster-1').click()
    clusters = [x['name'] or k for k, x in enumerate(content(page_file)['clusters'])]
    same = [clusters[k] == clusters[1] for k in table.cluster]
    assert sorted(rows(page)) == sorted(table.video[same])
    last = page.locator('article .picks button').last
    last.click()
    assert chosen(page) == last.text_content()
    points = page.locator('#tsne .plays')
    points.nth(15).dispatch_event('click')
    assert points.count() == len(TRAIN) and chosen(page) == points.nth(15).text_content().strip()


def test_timeline(opened, page_file):
    page = opened(page_file)
    page.get_by_label('Test').check()
    page.get_by_label('Detections drawn').fill('1')
    bars = page.locator('[data-lane=Detections] rect[fill-opacity]')
    assert bars.count() == page.locator('#detections tbody tr').count() == 1
    score = page.locator('#detections tbody td:nth-child(4)').text_content()
    assert score in page.locator('#facts').text_content()
    page.get_by_text('More of the network').click()
    page.locator('[data-lane=CAS] > svg').hover()
    value = r'[01]\.\d\d'
    assert re.match(rf'[\d.]+ s · A_ca {value} · A_cs {value} · A_ca rgb {value} · A_ca flow '
                    rf'{value} · CAS ', page.locator('#readout').text_content())
    before = axis(page)
    box = page.locator('[data-lane=Attention] > svg').bounding_box()
    page.mouse.move(box['x'] + box['width']/2, box['y'] + 20)
    page.mouse.down()
    page.mouse.move(box['x'] + box['width']*.7, box['y'] + 20, steps=4)
    assert page.locator('#brush').is_visible()
    page.mouse.up()
    assert axis(page) != before and page.locator('#brush').is_hidden()
    page.keyboard.press('0')
    assert axis(page) == before
    page.get_by_role('button', name='Zoom in').click()
    middle = axis(page)
    page.get_by_role('button', name='Later').click()
    assert axis(page) not in (middle, before)
    page.get_by_role('button', name='Next').click()
    assert page.get_by_role('button', name='Zoom out').is_disabled()  # another is shown whole


@pytest.mark.parametrize(('width', 'scheme'), [(390, 'dark'), (1280, 'light')])
def test_it_fits_the_window_follows_the_theme_and_prints(opened, page_file, width, scheme):
    page = opened(page_file, width, scheme)
    color = 'getComputedStyle(document.body).'
    back = page.evaluate(f'{color}backgroundColor')
    ink = "getComputedStyle(document.querySelector('figure svg text')).fill"
    assert page.evaluate(ink) == page.evaluate(f'{color}color')     # pictures follow the page
    page.locator('#theme').click()
    assert page.evaluate(f'{color}backgroundColor') != back
    for summary in page.locator('summary').all(): summary.click()
    box = page.locator('#lanes').bounding_box()
    assert box['x'] >= 0 and box['x'] + box['width'] <= width >= page.evaluate(WIDTH)
    if AXE.exists():     # axe-core is no part of copl: `npm pack axe-core`, or a file in AXE_CORE
        page.evaluate(AXE.read_text(encoding='utf-8'))
        found = page.evaluate("axe.run({resultTypes: ['violations']})")
        assert len(found['passes']) > 15
        assert [(v['id'], v['nodes'][0]['html']) for v in found['violations']
                if v['impact'] in ('serious', 'critical')] == []
    page.emulate_media(media='print')
    for gone in ('nav', '.controls', '#list'): assert page.locator(gone).first.is_hidden(), gone
    for there in ('#verdict', '.lane', 'article'): assert page.locator(there).first.is_visible()
    assert page.evaluate(f'{color}backgroundColor') == 'rgb(255, 255, 255)'


@pytest.mark.parametrize('names', [['clip'], ['rgb', 'flow', 'audio']], ids=len)
def test_a_lane_for_each_stream(opened, tmp_path, names):
    own = list(VIDEOS.streams.values())
    streams = {name: own[i % 2] for i, name in enumerate(names)}
    videos = VideoSet(VIDEOS.names, streams, VIDEOS.grid, VIDEOS.annotations)
    path = made(tmp_path/'run', videos, '--select', 'quota')
    found = content(path)
    widths = ', '.join(f'{stream} ({d} channels)' for stream, d in videos.widths.items())
    assert found['streams'] == names and "by: 'quota'" in found['confidence_caption']
    assert ['Streams', widths] in found['card']
    model = COPL.load(tmp_path/'run/checkpoint.pt', 'cpu')
    out, = model.outputs(videos[[0]])
    timeline = next(v for v in found['videos'] if v['name'] == videos.names[0])['timeline']
    for sequence, attention in zip(timeline['streams'], out.attention, strict=True):
        stored = np.frombuffer(base64.b64decode(sequence), np.uint8)
        assert (stored == (255*attention.numpy()).round()).all()
    page = opened(path, width=390)
    page.get_by_text('More of the network').click()
    assert lanes(page, 'more') == ['HAS selection', *(f'A_ca {name}' for name in names), 'CAS']
    colors = page.locator('[data-lane^="A_ca"] polyline').evaluate_all(
        "es => es.map(e => e.getAttribute('stroke'))")
    assert len({*colors}) == len(names) and page.evaluate(WIDTH) <= 390


def test_names_are_text_and_nothing_else(opened, tmp_path):
    new = dict(zip(VIDEOS.names, [*NAMES, *VIDEOS.names[len(NAMES):]], strict=True))
    truth = VIDEOS.annotations
    labels = dict(zip(truth.classes, LABELS, strict=True))
    segments = truth.segments.assign(video=truth.segments.video.map(new),
                                     label=truth.segments.label.map(labels))
    about = truth.videos.assign(video=truth.videos.video.map(new))
    videos = VideoSet([*new.values()], VIDEOS.streams, VIDEOS.grid, Annotations(segments, about))
    path = made(tmp_path/'<i>run', videos)
    page = opened(path)
    assert {*NAMES} <= {*rows(page)}
    for name in NAMES:
        page.get_by_label('Search by name').fill(name[:18])
        assert rows(page) == [name] and chosen(page) == name
        page.goto(f'{path.as_uri()}#video={quote(name, safe="")}')     # the address opens it
        page.reload()
        assert page.locator('[aria-selected=true]').get_attribute('title') == chosen(page) == name
    text = page.locator('#cards').text_content() + page.locator('#cluster').text_content()
    assert any(label in text for label in LABELS[:2])
    assert page.locator('#title').text_content().endswith('/<i>run')
    assert page.evaluate('window.hit') is None and page.locator('script').count() == 2
    assert page.locator('img, #videos b, #clusters b, #rounds b').count() == 0


def test_policy_of_the_page_stops_other_scripts_and_requests(page_file, browser):
    page = browser.new_page()
    page.goto(page_file.as_uri())
    page.evaluate("document.body.insertAdjacentHTML("
                  "'beforeend', '<img src=x onerror=\"window.hit=1\">')")
    page.evaluate("const s = document.createElement('script'); "
                  "s.textContent = 'window.hit = 2'; document.body.append(s)")
    assert page.evaluate(
        "fetch('https://example.org').then(() => 'sent', () => 'refused')") == 'refused'
    assert page.evaluate('window.hit') is None
    page.close()


def wait_for_video(page, name):
    page.locator('#name').filter(has_text=re.compile(f'^{re.escape(name)}$')).wait_for()


def test_the_address_names_the_video(opened, page_file):
    page = opened(page_file)
    assert '#' not in page.url                                      # nobody has chosen yet
    names = rows(page)
    entries = page.evaluate('history.length')
    page.keyboard.press('ArrowRight')
    assert page.evaluate('location.hash') == f'#video={names[1]}'
    assert page.evaluate('history.length') == entries          # an arrow key is no new page
    page.evaluate(f"location.hash = '#video={UNSEEN.names[3]}'")
    wait_for_video(page, UNSEEN.names[3])
    assert page.get_by_label('Test').is_checked()
    page.go_back()
    wait_for_video(page, names[1])
    for other in ('#video=nobody', '#video=%E0%A4%A', '#clusters'):
        page.evaluate(f"location.hash = '{other}'")
        assert chosen(page) == names[1]


def test_one_snippet_no_labels_no_test_split(opened, tmp_path):
    videos = VIDEOS[:12]
    cut = {s: [x[:1] if i % 2 else x for i, x in enumerate(arrays)]
           for s, arrays in videos.streams.items()}
    save_videos(VideoSet(videos.names, cut), tmp_path/'features')
    run = tmp_path/'run'
    copl('train', tmp_path/'features', '--n-classes', 3, *QUICK, '--out', run)
    copl('report', run, '--device', 'cpu')
    page = opened(run/'report.html')
    assert page.get_by_label('Test').is_hidden()
    assert 'no labels' in page.locator('#clusters_note').text_content()
    assert 'purity' not in page.locator('#cards').text_content()
    for name in rows(page):
        assert chosen(page) == name and page.locator('.lane').count() == 6
        page.keyboard.press('ArrowRight')
    shutil.rmtree(tmp_path/'features')
    warning = copl('report', run, '--device', 'cpu').strip()
    assert warning.count('\n') == 0 and 'the report has no timelines' in warning
    page = opened(run/'report.html')
    assert 'No timelines' in page.locator('.note').text_content()
    assert len(rows(page)) == 12 and page.locator('#timeline').is_hidden()


@pytest.fixture(scope='module')
def moving(tmp_path_factory):
    "A run on features of small synthetic videos, `run`, and their files, `videos`."
    pytest.importorskip('av')
    folder = tmp_path_factory.mktemp('moving')
    truth = moving_shapes(folder/'videos', n=9, seconds=4)
    rng = np.random.default_rng(0)
    names = [p.stem for p in sorted((folder/'videos').iterdir())]
    streams = {s: [rng.normal(size=(6, 8)).astype(np.float32) for _ in names]
               for s in ('rgb', 'flow')}
    save_videos(VideoSet(names, streams, annotations=truth), folder/'features')
    copl('train', folder/'features', '--n-classes', 2, *QUICK, '--out', folder/'run')
    return folder


@pytest.mark.filterwarnings('ignore')
def test_frames_and_clips_of_the_videos(opened, moving, tmp_path):
    cv2 = pytest.importorskip('cv2')
    files = tmp_path/'the videos'
    shutil.copytree(moving/'videos', files)
    path = tmp_path/'pages/page.html'
    args = ['report', moving/'run', '--videos', files, '--device', 'cpu', '--out', path]
    copl(*args)
    found = content(path)
    named = {i for c in found['clusters'] for i in c['most'] + c['least']}
    model = COPL.load(moving/'run/checkpoint.pt', 'cpu')
    data = load_videos(moving/'features')
    for i, v in enumerate(found['videos']):
        assert bool(v['frames']) == (i in named) and len(v['frames']) <= 4
        assert v['file'] == f'../the%20videos/{v["name"]}.mp4'
        if not v['frames']: continue
        out, = model.outputs(data[[data.names.index(v['name'])]])
        weights = has_attention(out.cas, out.attention, model.config.alpha).numpy()
        centers = data.grid.centers(len(weights)).round(2)
        seconds = [t for t, _ in v['frames']]
        assert {*seconds} <= {*centers[weights > 0]} and seconds[0] == centers[weights.argmax()]
        t, text = v['frames'][0]
        image = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), 1)[..., ::-1]
        assert abs(image.astype(float) - frame_at(files/f'{v["name"]}.mp4', t, 144)).mean() < 5
    page = opened(path, media=files.as_uri())
    assert page.locator('article img').count() == len(named)
    page.locator('article .picks button').first.click()
    some = next(v for v in found['videos'] if v['name'] == chosen(page))
    assert page.locator('#strip img').count() == len(some['frames'])
    assert 'HAS keeps' in page.locator('#frames').text_content()
    start, end = some['timeline']['detections'][0][:2]
    bar = page.locator('[data-lane=Detections] rect.plays').first
    bar.click()
    player = page.locator('#player')
    for _ in range(200):                               # the page's policy forbids to wait in it
        if player.evaluate('e => e.readyState') > 1: break
        page.wait_for_timeout(100)
    assert player.evaluate('e => e.src').endswith(f'{some["name"]}.mp4#t={start:g},{end:g}')
    assert player.evaluate('e => e.currentTime') >= start - .1
    page.get_by_text('Detections as a table').focus()
    for key in ('Enter', 'Tab', 'Tab', 'Enter'): page.keyboard.press(key)   # without a mouse too
    assert 'Play' in page.evaluate('document.activeElement.textContent')
    (files/f'{some["name"]}.mp4').rename(tmp_path/'elsewhere.mp4')
    page.reload()
    bar.click()
    said = page.locator('#clip-note')
    said.filter(has_text=f'the%20videos/{some["name"]}.mp4: it is not there').wait_for()
    copl(*args)                                                      # now it is known to be gone
    page.reload()
    bar.click()
    assert f'{files} held no file of this video' in said.text_content()


def test_videos_that_are_missing_or_torn_are_said_and_the_page_keeps_its_size(moving, tmp_path):
    names = [p.stem for p in sorted((moving/'videos').iterdir())]
    data = load_videos(moving/'features')
    some = tmp_path/'some'
    some.mkdir()
    for name in names[:-4]: shutil.copy(moving/f'videos/{name}.mp4', some/f'v_{name}.MP4')
    for name in names[-4:-2]: (some/f'{name}.mp4').write_bytes(b'torn')
    with pytest.warns(UserWarning) as caught:
        path = report(moving/'run', data, tmp_path/'a.html', device='cpu', videos=some)
    said = ' '.join(str(w.message) for w in caught)
    found = content(path)
    shown = {found['videos'][i]['name'] for c in found['clusters'] for i in c['most'] + c['least']}
    missing = shown & {*names[-2:]}
    torn = shown & {*names[-4:-2]}
    assert missing and f'found no file of {len(missing)} videos' in said
    assert torn and f'{len(torn)} videos are shown without frames: ' in said
    assert {v['name'] for v in found['videos'] if v['frames']} == shown - missing - torn
    sizes = {}
    for room in (.4, .2):
        path = report(moving/'run', data, tmp_path/'b.html', device='cpu', max_mb=room,
                      videos=moving/'videos')
        sizes[room] = max(len(v['frames']) for v in content(path)['videos'])
        assert path.stat().st_size <= room*1e6
    assert 4 >= sizes[.4] > sizes[.2]
    with pytest.warns(UserWarning, match='no timelines and no frames: no videos were given'):
        report(moving/'run', None, tmp_path/'c.html', device='cpu', videos=moving/'videos')


def test_clusters_are_named_in_the_page(opened, page_file, run):
    page = opened(page_file)
    save = page.get_by_role('button', name='Save names')
    def name(c, text): page.get_by_label(f'Name of cluster {c}').fill(text)
    assert save.is_disabled()
    for c, text in ((2, 'Be "quick", 跳'), (1, '  '), (0, 'x'), (0, '')): name(c, text)
    assert page.locator('#cluster option[value="2"]').text_content().startswith(
        '2: Be "quick", 跳 (')
    unload = '!dispatchEvent(new Event("beforeunload", {cancelable: true}))'
    assert page.evaluate(unload)                     # names that are not saved are not lost
    with page.expect_download() as download: save.click()
    assert download.value.suggested_filename == 'names.csv' and not page.evaluate(unload)
    assert '2  Be "quick", 跳' in command('name', run, download.value.path())[1]
    # two clusters of one name are one
    table = pd.read_csv(page_file.parent/'pseudolabels.csv')
    for c in range(3): name(c, f'name {c}')
    page.get_by_label('Cluster', exact=True).select_option('2')
    for c in (1, 2): name(c, 'jump')
    both = sorted(table.video[table.cluster.isin([1, 2])])
    assert sorted(rows(page)) == both                 # the choice goes on with the joint class
    options = page.locator('#cluster option').all_text_contents()
    assert len(options) == 3 and f'1, 2: jump ({len(both)})' in options
    assert page.locator('#cluster-1').text_content() == '1, 2: jump'


def test_equal_and_soft_names_given_to_a_run(run, small_data, tmp_path):
    found = tmp_path/'found.csv'
    copl('name', run, *(f'{c}=jump' for c in range(3)))
    copl('localize', run, small_data, '--subset', 'test', '--device', 'cpu', '--out', found)
    detections = pd.read_csv(found)
    assert {*detections.label} == {'jump'}
    for _, of_video in detections.groupby('video'):   # one NMS for all clusters of the name
        segments = of_video[['start', 'end']].to_numpy()
        overlap = temporal_iou(segments, segments)
        assert (overlap[~np.eye(len(segments), dtype=bool)] <= .5 + 1e-4).all()
    model = COPL.load(run/'checkpoint.pt', 'cpu')
    model.names_[:2] = {'run': .5, 'dive': 1.}, None
    model.save(run/'checkpoint.pt')
    clusters = content(report(run, VIDEOS, device='cpu'))['clusters']
    assert [c['name'] for c in clusters] == ['dive / run', None, 'jump']
    assert [c['labels'] for c in clusters] == [['dive', 'run'], [], ['jump']]


SHOWN = 'Network and clusters agree on 36 of 36 unseen videos (100 %).'
BELOW = {'test_videos': 36, 'average': 3., 'mAP': {'0.50': 3.},
         'everything_is_action': {'average': 4.}}


@pytest.mark.filterwarnings('ignore')
def test_the_verdict_stands_first_in_the_colour_of_what_is_known(opened, run):
    metrics = json.loads((run/'metrics.json').read_text(encoding='utf-8'))
    back = "getComputedStyle(document.querySelector('#verdict')).backgroundColor"
    colours = {}
    for learnable, why, test, colour, word, doubts in [
            (True, SHOWN, BELOW | {'average': 5.}, 'good', 'Clusters generalise', 0),
            (None, SHOWN, None, 'unsure', 'Not decided', 0),
            (True, f'{SHOWN} Warning: They may be scenes.', None, 'unsure', 'In doubt', 1),
            (False, SHOWN, BELOW, 'bad', 'Clusters do not generalise', 1),
            (True, SHOWN, BELOW, 'unsure', 'In doubt', 1)]:
        trust = {'agreement': 1., 'n_unseen': 36, 'learnable': learnable, 'why': why}
        metrics |= {'trust': trust, 'localization': test}
        (run/'metrics.json').write_text(json.dumps(metrics), encoding='utf-8')
        page = opened(report(run, device='cpu'))
        assert page.locator('#verdict').text_content() == f'{word}. {SHOWN}'
        notes = page.locator('.note').all_text_contents()[2:]     # simulated, and no timelines
        assert len(notes) == doubts
        if test is BELOW: assert 'is below the whole-video baseline of 4.00' in notes[-1]
        assert colours.setdefault(colour, page.evaluate(back)) == page.evaluate(back)
    assert len({*colours.values()}) == 3


@pytest.mark.filterwarnings('ignore')
def test_the_page_of_several_runs_shows_them_all(small_data, tmp_path):
    out = tmp_path/'runs'
    copl('train', small_data, *QUICK, '--runs', 2, '--n-classes', 3, '--out', out)
    for path in (out/'seed-0', out): copl('report', path)
    page = (out/'report.html').read_text(encoding='utf-8')
    section = page[page.index('<section id="runs">'):page.index('<section id="made">')]
    runs = pd.read_csv(out/'runs.csv')
    assert '<a href="seed-0/report.html">' in section and 'seed-1/report.html' not in section
    [best] = runs[runs.chosen].agreement
    assert f'<td>{best:.3f}</td>' in section and section.count('★') == 1
    assert 'Similarity of the clusters' in section
    assert '__RUNS' not in page and '<a href="#runs">' in page
    alone = (out/'seed-0/report.html').read_text(encoding='utf-8')
    assert 'id="runs"' not in alone and '__RUNS' not in alone
    assert f'such as {out} (of 1 there)' in command('report', tmp_path)[2]
