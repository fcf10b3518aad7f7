"The report page in Debian's chromium, driven by Playwright; skips, with a reason, without these."
import base64
import json
import os
import re
import shutil
import subprocess
import warnings
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from copl import COPL, VideoSet, load_videos, save_videos, tiny
from copl.cli import SIMULATED, main
from copl.extraction import frame_at, moving_shapes
from copl.figures import plot_timeline
from copl.has import has_attention
from copl.report import report
from copl.videos import Annotations, temporal_iou

from .conftest import ROOT

NAMES = ['<svg onload="window.hit=1">', '<img src=x onerror="window.hit=2">',
         'quote "\' & amp; $x$ _', 'Überraschung 動画 \u2028 end', '__DATA__ __SCRIPT_HASH__',
         '__SCRIPT__ __STYLE__ #video=100%']
LABELS = {'sim_BaseballPitch': '</script><script>window.hit = 3</script>',
          'sim_Billiards': 'cost $\\bad{$ & "more"'}
MAIN = ['Ground truth', 'Detections', 'Attention']          # the rest is folded
MORE = ['Proposals before NMS', 'HAS selection']
QUICK = ['--epoch-num', '2', '--iteration-num', '2', '--hidden', '16', '--snippets', '32',
         '--device', 'cpu']


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


@pytest.fixture(scope='module')
def page_file(tmp_path_factory):
    run = tmp_path_factory.mktemp('report')/'run'
    assert main(['train', 'sim:tiny', *QUICK, '--out', str(run)]) == 0
    assert main(['report', str(run), '--device', 'cpu']) == 0
    return run/'report.html'


@pytest.fixture
def opened(browser):
    "Opens a page; only its file and `media` may be requested, and the console stays empty."
    contexts = []
    wrong = []

    def open_page(path, width=1280, height=900, scheme='light', media=None):
        context = browser.new_context(viewport={'width': width, 'height': height},
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


def _content(path):
    "What a page holds."
    text = path.read_text(encoding='utf-8')
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text,
                                re.DOTALL)[1])


def rows(page):
    return page.locator(
        '#list [role=option] .row:first-child span:first-child').all_text_contents()


def class_of(path, c):
    "The first cluster that has the name of cluster c, and the training videos of all that have."
    names = [x['name'] or k for k, x in enumerate(_content(path)['clusters'])]
    table = pd.read_csv(path.parent/'pseudolabels.csv')
    same = [names[k] == names[c] for k in table.cluster]
    return str(names.index(names[c])), sorted(table.video[same])


def ranks(page):
    return [float(x) for x in page.locator(
        '#list [role=option] .row:first-child .num').all_text_contents()]


def chosen(page): return page.locator('#name').text_content()
def axis(page): return page.locator('#main-lanes .axis text').all_text_contents()
def lanes(page, where): return page.locator(f'#{where}-lanes .lane').evaluate_all(
    'es => es.map(e => e.dataset.lane)')


def test_page_shows_the_run(opened, page_file):
    page = opened(page_file)
    table = pd.read_csv(page_file.parent/'pseudolabels.csv')
    assert (page.locator('#title').text_content().endswith('/run') and
            'SIMULATED' in page.locator('.note').first.text_content())
    assert page.locator('figure svg[role=img]').count() == 3
    assert page.locator('#rounds-table tbody tr').count() == 2
    about = page.locator('article .facts').all_text_contents()
    by_cluster = table.groupby('cluster').in_P
    assert [s.split(' · ')[:2] for s in about] == [
        [f'{n} videos', f'{n - n_P} doubtful (U)']
        for n, n_P in zip(by_cluster.size(), by_cluster.sum(), strict=True)]
    assert all('purity' in s for s in about)
    order = page.locator('h1, .note, #verdict, .tiles, h2').evaluate_all(
        "es => [...new Set(es.map(e => e.id || e.className || e.textContent))]")
    assert order == ['title', 'note', 'verdict', 'tiles', 'Clusters of the last round', 'Videos',
                     'Rounds', 'How this was made']
    assert page_file.stat().st_size < 1e6
    best = table.sort_values('confidence', ascending=False).video.iloc[0]
    assert rows(page)[0] == chosen(page) == best
    assert lanes(page, 'main') == MAIN
    assert lanes(page, 'more') == [*MORE, 'A_ca rgb', 'A_ca flow', 'CAS']
    assert page.locator('[data-lane=Attention] polyline').count() == 2
    assert page.locator('[data-lane=CAS]').is_hidden()


def test_filter_sort_search_and_split(opened, page_file):
    page = opened(page_file)
    table = pd.read_csv(page_file.parent/'pseudolabels.csv')
    assert len(rows(page)) == 72 and ranks(page) == sorted(ranks(page), reverse=True)
    page.get_by_label('Order').select_option('up')
    assert ranks(page) == sorted(ranks(page))
    page.get_by_label('Order').select_option('name')
    assert rows(page) == sorted(table.video)
    first, videos = class_of(page_file, 2)
    page.get_by_label('Cluster', exact=True).select_option(first)
    assert rows(page) == videos
    page.get_by_label('Cluster', exact=True).select_option('')
    page.get_by_label('Search by name').fill('_000')
    assert rows(page) == [f'sim_train_{i:04d}' for i in range(10)]
    page.get_by_label('Search by name').fill('nothing like it')
    assert (rows(page) == [] and chosen(page) == 'No video matches' and
            page.locator('#timeline').is_hidden())
    page.get_by_label('Search by name').fill('')
    page.get_by_label('Test').check()
    assert (len(rows(page)) == 36 and all('test' in name for name in rows(page)) and
            chosen(page).startswith('sim_test_'))
    page.get_by_label('Training').check()
    page.locator('#cluster-1').click()
    assert sorted(rows(page)) == class_of(page_file, 1)[1]
    last = page.locator('article').nth(3).locator('.picks button').last
    last.click()
    assert chosen(page) == last.text_content()
    point = page.locator('#tsne .plays').nth(50)
    point.dispatch_event('click')
    assert chosen(page) == point.text_content().strip()
    assert page.locator('#tsne .plays').count() == 72


def test_keyboard(opened, page_file):
    page = opened(page_file)
    names = rows(page)
    page.keyboard.press('ArrowRight')
    page.keyboard.press('ArrowRight')
    assert (chosen(page) == names[2] and
            page.locator('[aria-selected=true]').get_attribute('title') == names[2])
    page.keyboard.press('ArrowLeft')
    assert chosen(page) == names[1]
    # typing moves the cursor, not the video
    page.get_by_label('Search by name').press('ArrowRight')
    assert chosen(page) == names[1]
    page.get_by_label('Search by name').press('ArrowDown')  # into the list
    page.keyboard.press('End')
    assert chosen(page) == names[-1] and page.get_by_role('button', name='Next').is_disabled()
    page.keyboard.press('ArrowUp')
    assert chosen(page) == names[-2]
    box = page.locator('#list').bounding_box()
    at = page.locator('[aria-selected=true]').bounding_box()
    assert box['y'] <= at['y'] and at['y'] + at['height'] <= box['y'] + box['height'] + 5


def test_timeline(opened, page_file):
    page = opened(page_file)
    page.get_by_label('Test').check()
    page.locator('#lanes').scroll_into_view_if_needed()
    before = axis(page)
    bars = page.locator('[data-lane=Detections] rect[fill-opacity]').count()
    page.keyboard.press('0')
    assert 1 <= bars <= 8 and axis(page) == before
    page.get_by_label('Detections drawn').fill('1')
    assert page.locator('[data-lane=Detections] rect[fill-opacity]').count() == 1
    assert page.locator('#detections tbody tr').count() == 1
    score = page.locator('#facts').text_content()
    assert page.locator('#detections tbody td:nth-child(4)').text_content() in score
    box = page.locator('[data-lane=Attention] > svg').bounding_box()
    page.mouse.move(box['x'] + box['width']/2, box['y'] + 20)
    value = r'[01]\.\d\d'
    short = rf'[\d.]+ s · A_ca {value} · A_cs {value}'
    assert re.fullmatch(short, page.locator('#readout').text_content())
    page.get_by_text('More of the network').focus()
    page.keyboard.press('Enter')
    cas = page.locator('[data-lane=CAS] > svg')
    cas.hover()
    readout = page.locator('#readout').text_content()
    assert re.match(rf'{short} · A_ca rgb {value} · A_ca flow {value} · CAS ', readout)
    page.get_by_text('More of the network').click()
    assert cas.is_hidden() and axis(page) == before            # no drag began
    page.locator('#lanes').scroll_into_view_if_needed()
    box = page.locator('[data-lane=Attention] > svg').bounding_box()
    page.mouse.move(box['x'] + box['width']/2, box['y'] + 20)
    assert page.locator('#cross').is_visible()
    page.mouse.down()
    page.mouse.move(box['x'] + box['width']*.7, box['y'] + 20, steps=4)
    assert page.locator('#brush').is_visible()
    page.mouse.up()
    assert axis(page) != before and page.get_by_role('button', name='Zoom out').is_enabled()
    page.get_by_role('button', name='Whole video').click()
    assert axis(page) == before
    page.get_by_role('button', name='Zoom in').click()
    middle = axis(page)
    page.get_by_role('button', name='Later').click()
    assert axis(page) != middle
    page.get_by_role('button', name='Next').click()
    # another video is shown whole
    assert page.get_by_role('button', name='Zoom out').is_disabled()


def test_themes(opened, page_file):
    back = 'getComputedStyle(document.body).backgroundColor'
    light = opened(page_file)
    dark = opened(page_file, scheme='dark')
    colors = light.evaluate(back), dark.evaluate(back)
    assert colors[0] != colors[1]
    for page, other in ((light, colors[1]), (dark, colors[0])):
        page.locator('#theme').click()
        assert page.evaluate(back) == other
    ink = [page.evaluate("getComputedStyle(document.querySelector('figure svg text')).fill")
           for page in (light, dark)]
    # the figures follow the page
    assert ink == [page.evaluate('getComputedStyle(document.body).color')
                   for page in (light, dark)]


@pytest.mark.parametrize('width', [390, 768, 1280])
def test_nothing_is_wider_than_the_window(opened, page_file, width):
    page = opened(page_file, width=width, height=844)
    for summary in page.locator('summary').all(): summary.click()
    assert page.evaluate('document.documentElement.scrollWidth') <= width
    box = page.locator('#lanes').bounding_box()
    assert box['x'] >= 0 and box['x'] + box['width'] <= width
    page.get_by_role('button', name='Next').click()
    assert page.evaluate('document.documentElement.scrollWidth') <= width


def _named(names, labels):
    "The tiny set with other names of videos and classes."
    videos = tiny()
    new = dict(zip(videos.names, [*names, *videos.names[len(names):]], strict=True))
    truth = videos.annotations
    segments = truth.segments.assign(video=truth.segments.video.map(new),
                                     label=truth.segments.label.replace(labels))
    about = truth.videos.assign(video=truth.videos.video.map(new))
    return VideoSet(list(new.values()), videos.streams, videos.grid, Annotations(segments, about))


def _made(folder, videos, monkeypatch, *options):
    "A run on these videos, opened by the name sim:tiny, and its page."
    same = VideoSet(videos.names, videos.streams, videos.grid, videos.annotations, 'sim:tiny')
    monkeypatch.setitem(SIMULATED, 'tiny', lambda seed: same)
    assert main(['train', 'sim:tiny', '--n-classes', '6', *QUICK, *options,
                 '--out', str(folder)]) == 0
    assert main(['report', str(folder), '--device', 'cpu']) == 0
    return folder/'report.html'


def _with_streams(names):
    "The tiny set with as many streams as there are names: its own two in turn."
    videos = tiny()
    own = list(videos.streams.values())
    streams = {name: own[i % 2] for i, name in enumerate(names)}
    return VideoSet(videos.names, streams, videos.grid, videos.annotations)


@pytest.mark.parametrize('names', [['clip'], ['posture', 'motion'], ['rgb', 'flow', 'audio']])
def test_a_lane_for_each_stream(tmp_path, monkeypatch, names):
    videos = _with_streams(names)
    page = _made(tmp_path/'run', videos, monkeypatch)
    content = _content(page)
    assert content['streams'] == names
    widths = ', '.join(f'{stream} ({d} channels)' for stream, d in videos.widths.items())
    assert ['Streams', widths] in [row[:2] for row in content['card']]
    model = COPL.load(tmp_path/'run/checkpoint.pt', 'cpu')
    out, = model.outputs(videos[[0]])
    sequences = next(v for v in content['videos']
                     if v['name'] == videos.names[0])['timeline']['streams']
    assert len(sequences) == len(names)
    for sequence, attention in zip(sequences, out.attention, strict=True):
        stored = np.frombuffer(base64.b64decode(sequence), np.uint8)
        assert (stored == (255*attention.numpy()).round()).all()


@pytest.mark.parametrize('names', [['clip'], ['rgb', 'flow', 'audio']])
def test_lanes_in_the_browser(opened, tmp_path, monkeypatch, names):
    page = opened(_made(tmp_path/'run', _with_streams(names), monkeypatch), width=390)
    page.get_by_text('More of the network').click()
    assert lanes(page, 'more') == [*MORE, *(f'A_ca {name}' for name in names), 'CAS']
    colors = page.locator('[data-lane^="A_ca"] polyline').evaluate_all(
        "es => es.map(e => e.getAttribute('stroke'))")
    assert len({*colors}) == len(names)
    page.locator('[data-lane=CAS] > svg').hover()
    box = page.locator('[data-lane=CAS] > svg').bounding_box()
    readout = page.locator('#readout').text_content()
    assert all(f'A_ca {name} ' in readout for name in names) and box['width'] > 200
    assert page.evaluate('document.documentElement.scrollWidth') <= 390


def test_soft_names_show_all_classes(opened, tmp_path, monkeypatch):
    page_file = _made(tmp_path/'run', tiny(), monkeypatch, '--mapping', 'soft')
    model = COPL.load(tmp_path/'run/checkpoint.pt', 'cpu')
    model.names_[0] = {'sim_Billiards': .5, 'sim_BaseballPitch': 1.}
    model.names_[1] = None
    model.save(tmp_path/'run/checkpoint.pt')
    report(tmp_path/'run', tiny(), page_file, device='cpu')
    content = _content(page_file)
    first = content['clusters'][0]
    assert first['name'] == 'sim_BaseballPitch / sim_Billiards'
    assert [content['labels'][i] for i in first['labels']] == ['sim_BaseballPitch', 'sim_Billiards']
    assert content['clusters'][1]['name'] is None and content['clusters'][1]['labels'] == []
    page = opened(page_file)
    assert page.locator('#cluster-0').text_content() == '0: sim_BaseballPitch / sim_Billiards'
    page.get_by_label('Cluster', exact=True).select_option('0')
    said = page.locator('#list [role=option] .small span:first-child').all_text_contents()
    wrong = [s for s in said if ', is ' in s]
    assert not any(s.endswith(('is sim_BaseballPitch', 'is sim_Billiards')) for s in wrong)
    for name in rows(page):
        assert chosen(page) == name and page.locator('[data-lane=CAS] polyline').count() >= 1
        page.keyboard.press('ArrowRight')


@pytest.mark.parametrize(('options', 'said'), [
    (['--select', 'all'], 'This run selected all of them.'),
    (['--select', 'quota'], "Selected by 'quota': "),
    (['--supervision', 'weak'], 'The labels were given'), ([], 'Filtered out at δ = 0: ')])
def test_the_caption_says_what_was_selected(tmp_path, monkeypatch, options, said):
    content = _content(_made(tmp_path/'run', tiny(), monkeypatch, *options))
    assert said in content['confidence_caption']
    text = json.dumps(content)
    assert 'trusted' not in text and not re.search(r'everything is action', text, re.IGNORECASE)


def test_names_are_text_and_nothing_else(opened, tmp_path, monkeypatch):
    page = opened(_made(tmp_path/'<i>run', _named(NAMES, LABELS), monkeypatch))
    assert {*NAMES} <= {*rows(page)}
    for name in NAMES:
        page.get_by_label('Search by name').fill(name[:18])
        assert rows(page) == [name] and chosen(page) == name
    text = page.locator('#cards').text_content() + page.locator('#cluster').text_content()
    assert any(label in text for label in LABELS.values())
    assert page.locator('#title').text_content().endswith('/<i>run')
    assert page.evaluate('window.hit') is None
    assert (page.locator('script').count() == 2 and
            page.locator('img, #videos b, #clusters b, #rounds b').count() == 0)


def test_names_in_any_script_give_no_stream_of_warnings(tmp_path, monkeypatch, capsys):
    names = {'sim_Billiards': '跳高', 'sim_BaseballPitch': 'कूद'}
    path = _made(tmp_path/'run', _named([], names), monkeypatch)
    said = capsys.readouterr().err
    assert 'Glyph' not in said and 'font' not in said
    text = path.read_text(encoding='utf-8')
    space = text[text.index('t-SNE of the videos'):]
    assert '跳高' in space[:space.index('</svg>')]     # the browser has a font of its own
    found = pd.DataFrame({'start': [1.], 'end': [2.], 'label': ['跳高 \U0003fff0'], 'score': [.5]})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        plot_timeline(None, found, ax=Figure().add_subplot()).figure.savefig(tmp_path/'a.png')
    [said] = [str(w.message) for w in caught]
    assert said.startswith('no installed font shows ') and '\U0003fff0' in said


def test_one_snippet_no_labels_no_test_split(opened, tmp_path, capsys):
    videos = tiny()[:12]
    cut = {s: [x[:1] if i % 2 else x for i, x in enumerate(arrays)]
           for s, arrays in videos.streams.items()}
    save_videos(VideoSet(videos.names, cut), tmp_path/'features')
    assert main(['train', str(tmp_path/'features'), '--n-classes', '3', *QUICK,
                 '--out', str(tmp_path/'run')]) == 0
    assert main(['report', str(tmp_path/'run'), '--device', 'cpu']) == 0
    page = opened(tmp_path/'run/report.html')
    assert (page.get_by_label('Test').is_hidden() and
            'no labels' in page.locator('#clusters_note').text_content())
    assert 'purity' not in page.locator('#cards').text_content()
    for name in rows(page):
        assert (chosen(page) == name and page.locator('.lane').count() == 7 and
                lanes(page, 'main') == MAIN[1:])
        page.keyboard.press('ArrowRight')
    shutil.rmtree(tmp_path/'features')
    capsys.readouterr()
    assert main(['report', str(tmp_path/'run'), '--device', 'cpu']) == 0
    warning = capsys.readouterr().err.strip()
    assert warning.count('\n') == 0 and 'the report has no timelines' in warning
    page = opened(tmp_path/'run/report.html')
    assert ('No timelines' in page.locator('.note').text_content() and
            len(rows(page)) == 12 and page.locator('#timeline').is_hidden())


def test_policy_of_the_page_stops_other_scripts_and_requests(opened, page_file, browser):
    context = browser.new_context()
    page = context.new_page()
    page.goto(page_file.as_uri())
    page.evaluate("document.body.insertAdjacentHTML("
                  "'beforeend', '<img src=x onerror=\"window.hit=1\">')")
    page.evaluate("const s = document.createElement('script'); "
                  "s.textContent = 'window.hit = 2'; document.body.append(s)")
    assert page.evaluate(
        "fetch('https://example.org').then(() => 'sent', () => 'refused')") == 'refused'
    assert page.evaluate('window.hit') is None
    context.close()


def address(page): return page.evaluate('location.href')


def wait_for_address(page, end): page.wait_for_url(lambda url: url.endswith(end))


def wait_for_video(page, name):
    page.locator('#name').filter(has_text=re.compile(f'^{re.escape(name)}$')).wait_for()


def test_the_address_names_the_video(opened, page_file):
    page = opened(page_file)
    assert '#' not in address(page)                                 # nobody has chosen yet
    names = rows(page)
    entries = page.evaluate('history.length')
    page.keyboard.press('ArrowRight')
    wait_for_address(page, f'#video={names[1]}')
    assert page.evaluate('history.length') == entries          # an arrow key is no new page
    test_video = next(v['name'] for v in _content(page_file)['videos'] if v['split'] == 1)
    page.evaluate(f"location.hash = '#video={test_video}'")
    wait_for_video(page, test_video)
    assert page.get_by_label('Test').is_checked() and test_video in rows(page)
    page.go_back()
    wait_for_video(page, names[1])
    page.evaluate("location.hash = '#video=nobody'")
    page.locator('nav a').first.click()
    assert chosen(page) == names[1] and address(page).endswith('#run')


def test_a_held_key_writes_one_address(opened, page_file):
    page = opened(page_file)
    names = rows(page)
    page.evaluate('() => { window.written = 0; const own = history.replaceState.bind(history); '
                  'history.replaceState = (...all) => { window.written++; own(...all) } }')
    held = page.evaluate(
        '() => { for (let k = 0; k < 40; k++) document.body.dispatchEvent('
        "new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true})); return location.hash }")
    assert chosen(page) == names[40] and held == ''
    wait_for_address(page, f'#video={names[40]}')
    assert page.evaluate('window.written') == 1
    # a link that is followed at once is not written over
    page.evaluate("document.querySelector('#next').click(); "
                  "document.querySelector('nav a').click()")
    page.wait_for_timeout(400)
    assert chosen(page) == names[41] and address(page).endswith('#run')


@pytest.mark.parametrize('given', ['#video=%E0%A4%A', '#video=', '#video=nobody', '#clusters'])
def test_another_address_is_ignored(opened, page_file, given):
    page = opened(page_file)
    first = chosen(page)
    page.goto(page_file.as_uri() + given)
    page.reload()
    assert chosen(page) == first and address(page).endswith(given)


def test_an_address_opens_its_video(opened, tmp_path, monkeypatch):
    path = _made(tmp_path/'run', _named(NAMES, LABELS), monkeypatch)
    page = opened(path)
    for name in NAMES:
        page.goto(f'{path.as_uri()}#video={quote(name, safe="")}')
        page.reload()
        assert chosen(page) == name
        assert page.locator('[aria-selected=true]').get_attribute('title') == name


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
    assert main(['train', str(folder/'features'), '--n-classes', '2', *QUICK,
                 '--out', str(folder/'run')]) == 0
    return folder


@pytest.mark.filterwarnings('ignore')
def test_frames_of_the_surest_and_the_most_doubtful(opened, moving, tmp_path, capsys):
    cv2 = pytest.importorskip('cv2')
    path = tmp_path/'page.html'
    assert main(['report', str(moving/'run'), '--videos', str(moving/'videos'), '--device', 'cpu',
                 '--out', str(path)]) == 0
    content = _content(path)
    named = {i for c in content['clusters'] for i in c['most'] + c['least']}
    model = COPL.load(moving/'run/checkpoint.pt', 'cpu')
    data = load_videos(moving/'features')
    for i, v in enumerate(content['videos']):
        assert bool(v['frames']) == (i in named) and len(v['frames']) <= 4
        if not v['frames']: continue
        out, = model.outputs(data[[data.names.index(v['name'])]])
        weights = has_attention(out.cas, out.attention, model.config.alpha).numpy()
        kept = data.grid.centers(len(weights))[weights > 0].round(2)
        seconds = [t for t, _ in v['frames']]
        assert seconds == sorted(seconds) and set(seconds) <= set(kept)
        assert seconds[v['best']] == round(float(data.grid.centers(6)[weights.argmax()]), 2)
        t, text = v['frames'][0]
        found = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), 1)[..., ::-1]
        expected = frame_at(moving/f'videos/{v["name"]}.mp4', t, 144)
        assert found.shape == expected.shape
        assert abs(found.astype(float) - expected).mean() < 5
    page = opened(path)
    assert page.locator('article img').count() == len(named)
    assert page.locator('article img').first.bounding_box()['width'] > 110
    page.locator('article .picks button').first.click()
    best = next(v for v in content['videos'] if v['name'] == chosen(page))
    assert page.locator('#strip img').count() == len(best['frames'])
    assert 'HAS keeps' in page.locator('#frames').text_content()
    assert page.locator('#strip img').first.evaluate('e => e.naturalHeight') == 144
    page.set_viewport_size({'width': 390, 'height': 844})
    assert page.evaluate('document.documentElement.scrollWidth') <= 390


@pytest.mark.filterwarnings('ignore')
def test_a_click_on_a_detection_plays_its_clip(opened, moving, tmp_path):
    files = tmp_path/'the videos'
    shutil.copytree(moving/'videos', files)
    gone, = sorted(files.iterdir())[:1]
    gone.rename(tmp_path/gone.name)
    path = tmp_path/'pages/page.html'
    path.parent.mkdir()
    assert main(['report', str(moving/'run'), '--videos', str(files), '--device', 'cpu',
                 '--out', str(path)]) == 0
    entries = {v['name']: v for v in _content(path)['videos']}
    some = next(v for v in entries.values() if v['file'] and v['timeline']['detections'])
    assert some['file'] == f'../the%20videos/{some["name"]}.mp4'
    assert "media-src 'self' file:;" in path.read_text(encoding='utf-8')
    page = opened(path, media=files.as_uri())
    page.evaluate(f"location.hash = '#video={some['name']}'")
    wait_for_video(page, some['name'])
    assert page.locator('#player').is_hidden()
    start, end = some['timeline']['detections'][0][:2]
    page.locator('[data-lane=Detections] rect.plays').first.click()
    player = page.locator('#player')
    for _ in range(200):                               # the page's policy forbids to wait in it
        if player.evaluate('e => e.readyState') > 1: break
        page.wait_for_timeout(100)
    assert player.evaluate('e => e.src').endswith(f'{some["name"]}.mp4#t={start:g},{end:g}')
    assert player.evaluate('e => e.currentTime') >= start - .1
    page.get_by_text('Detections as a table').focus()
    page.keyboard.press('Enter')
    page.keyboard.press('Tab')                          # the table that scrolls
    page.keyboard.press('Tab')
    page.keyboard.press('Enter')                        # plays without a mouse too
    assert 'Play' in page.evaluate('document.activeElement.textContent')
    (files/f'{some["name"]}.mp4').rename(tmp_path/'elsewhere.mp4')
    page.reload()
    page.locator('[data-lane=Detections] rect.plays').first.click()
    said = page.locator('#clip-note')
    said.filter(has_text='Expected the video at').wait_for()
    assert f'the%20videos/{some["name"]}.mp4: it is not there' in said.text_content()
    page.evaluate(f"location.hash = '#video={gone.stem}'")
    wait_for_video(page, gone.stem)
    assert page.locator('#clip').is_hidden()
    page.locator('[data-lane=Detections] rect.plays').first.click()
    assert f'{files} held no file of this video' in said.text_content()


@pytest.mark.filterwarnings('ignore:the image of')
def test_videos_that_are_missing_or_torn_are_said_and_the_page_keeps_its_size(moving, tmp_path):
    names = [p.stem for p in sorted((moving/'videos').iterdir())]
    data = load_videos(moving/'features')
    some = tmp_path/'some'
    some.mkdir()
    for name in names[:-4]: shutil.copy(moving/f'videos/{name}.mp4', some/f'v_{name}.MP4')
    for name in names[-4:-2]: (some/f'{name}.mp4').write_bytes(b'torn')
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        path = report(moving/'run', data, tmp_path/'a.html', device='cpu', videos=some)
    said = ' '.join(str(w.message) for w in caught)
    content = _content(path)
    shown = {content['videos'][i]['name']
             for c in content['clusters'] for i in c['most'] + c['least']}
    missing = shown & {*names[-2:]}
    torn = shown & {*names[-4:-2]}
    assert missing and f'found no file of {len(missing)} videos' in said
    assert torn and f'{len(torn)} videos are shown without frames: ' in said
    assert {v['name'] for v in content['videos'] if v['frames']} == shown - missing - torn
    sizes = {}
    for room in (.4, .2):
        path = report(moving/'run', data, tmp_path/'b.html', device='cpu', max_mb=room,
                      videos=moving/'videos')
        sizes[room] = max(len(v['frames']) for v in _content(path)['videos'])
        assert path.stat().st_size <= room*1e6
    assert 4 >= sizes[.4] > sizes[.2]
    with pytest.warns(UserWarning, match='no timelines and no frames: no videos were given'):
        report(moving/'run', None, tmp_path/'c.html', device='cpu', videos=moving/'videos')


def test_clusters_are_named_in_the_page(opened, page_file, tmp_path, capsys):
    page = opened(page_file)
    save = page.get_by_role('button', name='Save names')
    assert save.is_disabled()
    page.get_by_label('Name of cluster 3').fill('Be "quick", 跳')
    page.get_by_label('Name of cluster 1').fill('  ')
    page.get_by_label('Name of cluster 0').fill('x')
    page.get_by_label('Name of cluster 0').fill('')
    option = page.locator('#cluster option[value="3"]').text_content()
    assert option.startswith('3: Be "quick", 跳 (')
    assert page.locator('#cards').get_by_role('button', name='3: Be').count() == 1
    page.evaluate('window.asked = !dispatchEvent(new Event("beforeunload", {cancelable: true}))')
    assert page.evaluate('window.asked')             # names that are not saved are not lost
    with page.expect_download() as download: save.click()
    assert download.value.suggested_filename == 'names.csv'
    table = pd.read_csv(download.value.path(), dtype=str)
    assert table.to_dict('records') == [{'cluster': '3', 'name': 'Be "quick", 跳'}]
    page.evaluate('window.asked = !dispatchEvent(new Event("beforeunload", {cancelable: true}))')
    assert not page.evaluate('window.asked')
    shutil.copytree(page_file.parent, tmp_path/'run')
    capsys.readouterr()
    assert main(['name', str(tmp_path/'run'), str(download.value.path())]) == 0
    assert '3  Be "quick", 跳' in capsys.readouterr().out


def test_two_clusters_of_one_name_are_one_in_the_page(opened, page_file):
    page = opened(page_file)
    table = pd.read_csv(page_file.parent/'pseudolabels.csv')
    for c in range(6): page.get_by_label(f'Name of cluster {c}').fill(f'name {c}')
    page.get_by_label('Cluster', exact=True).select_option('4')
    for c in (1, 4): page.get_by_label(f'Name of cluster {c}').fill('jump')
    both = sorted(table.video[table.cluster.isin([1, 4])])
    assert sorted(rows(page)) == both                 # the choice goes on with the joint class
    options = page.locator('#cluster option').all_text_contents()
    assert len(options) == 6 and f'1, 4: jump ({len(both)})' in options
    assert page.locator('#cluster-1').text_content() == '1, 4: jump'
    said = page.locator('#list [role=option] .small span:first-child').all_text_contents()
    assert {s.split(', is ')[0] for s in said} == {'1, 4: jump'}
    page.get_by_label('Name of cluster 4').fill('jumps')
    assert page.locator('#cluster option').count() == 7


def test_equal_names_given_to_a_run_make_one_class(page_file, tmp_path):
    shutil.copytree(page_file.parent, tmp_path/'run')
    given = [f'{c}=jump' for c in range(6)]
    assert main(['name', str(tmp_path/'run'), *given]) == 0
    found = tmp_path/'found.csv'
    assert main(['localize', str(tmp_path/'run'), 'sim:tiny', '--subset', 'test', '--device',
                 'cpu', '--out', str(found)]) == 0
    detections = pd.read_csv(found)
    assert {*detections.label} == {'jump'}
    for _, of_video in detections.groupby('video'):   # one NMS for all clusters of the name
        segments = of_video[['start', 'end']].to_numpy()
        overlap = temporal_iou(segments, segments)
        assert (overlap[~np.eye(len(segments), dtype=bool)] <= .5 + 1e-4).all()
    content = _content(report(tmp_path/'run', tiny(), device='cpu'))
    assert {c['name'] for c in content['clusters']} == {'jump'}


def _page_of(run, **changes):
    "The page of a run with other metrics."
    metrics = json.loads((run/'metrics.json').read_text(encoding='utf-8')) | changes
    (run/'metrics.json').write_text(json.dumps(metrics), encoding='utf-8')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return report(run, device='cpu')


SHOWN = 'The network recognises 36 of 36 unseen videos (100 %).'
ABOVE = {'test_videos': 36, 'average': 5., 'mAP': {'0.50': 3.},
         'everything_is_action': {'average': 4.}}
BELOW = ABOVE | {'average': 3.}


@pytest.mark.parametrize(('learnable', 'why', 'test', 'colour', 'notes'), [
    (True, SHOWN, ABOVE, 'good', 0), (True, SHOWN, None, 'good', 0),
    (True, SHOWN, BELOW, 'unsure', 1), (None, SHOWN, ABOVE, 'unsure', 0),
    (True, f'{SHOWN} Warning: They may be scenes.', ABOVE, 'unsure', 1),
    (False, SHOWN, BELOW, 'bad', 1),
    (None, f'{SHOWN} Warning: It is below the whole-video baseline.', BELOW, 'unsure', 1)])
def test_the_verdict_has_the_colour_of_what_is_known(page_file, tmp_path, learnable, why, test,
                                                     colour, notes):
    shutil.copytree(page_file.parent, tmp_path/'run')
    trust = {'agreement': 1., 'n_unseen': 36, 'learnable': learnable, 'why': why}
    content = _content(_page_of(tmp_path/'run', trust=trust, localization=test))
    assert content['verdict'] == colour and content['why'].startswith(SHOWN)
    assert content['why'].count('Warning: ') == notes
    assert ('whole-video baseline' in content['why']) == (test is BELOW)


def test_the_verdict_stands_first_with_its_warnings(opened, page_file, tmp_path):
    shutil.copytree(page_file.parent, tmp_path/'run')
    trust = {'agreement': 1., 'n_unseen': 36, 'learnable': True, 'why': SHOWN}
    good = opened(_page_of(tmp_path/'run', trust=trust, localization=ABOVE))
    back = "getComputedStyle(document.querySelector('#verdict')).backgroundColor"
    green = good.evaluate(back)
    assert good.locator('#verdict').text_content() == f'Learned again. {SHOWN}'
    page = opened(_page_of(tmp_path/'run', localization=BELOW))
    assert page.locator('#verdict').text_content() == f'In doubt. {SHOWN}'
    assert page.evaluate(back) != green
    said = page.locator('.note').all_text_contents()
    assert said[-1] == 'The average mAP of 3.00 is below the whole-video baseline of 4.00.'


def test_numbers_and_symbols_explain_themselves(opened, page_file):
    page = opened(page_file)
    tiles = page.locator('#tiles dt')
    names = [tiles.nth(i).locator('summary').text_content() for i in range(tiles.count())]
    assert names == ['Training videos', 'Clusters', 'Agreement', 'Purity', 'mAP, average',
                     'Whole-video baseline']
    meaning = tiles.nth(3).locator('p')
    assert meaning.is_hidden()
    tiles.nth(3).locator('summary').focus()
    page.keyboard.press('Enter')
    assert meaning.is_visible() and meaning.text_content().endswith('.')
    assert page.locator('#card').is_hidden()
    page.get_by_text('How this was made').last.click()
    rows_ = page.locator('#card > div')
    plain = {'Data', 'Device', 'Training time', 'Versions'}
    for i in range(rows_.count()):
        word = rows_.nth(i).locator('dt summary')
        assert word.count() or rows_.nth(i).locator('dt').text_content() in plain
    text = ''.join(page.locator('#clusters, #viewer').all_text_contents())
    for symbol in ('P: selected', 'U: doubtful', 'A_ca: class-agnostic', 'A_cs: class-specific',
                   'high actionness snippets', 'class activation sequence'):
        assert symbol in text, symbol


def test_a_number_that_the_page_does_not_know_has_no_explanation(page_file, tmp_path):
    shutil.copytree(page_file.parent, tmp_path/'run')
    metrics = json.loads((tmp_path/'run/metrics.json').read_text(encoding='utf-8'))
    metrics['clustering']['ami'] = .5
    (tmp_path/'run/metrics.json').write_text(json.dumps(metrics), encoding='utf-8')
    content = _content(report(tmp_path/'run', tiny(), device='cpu'))
    assert ['AMI', '0.500', None] in content['card']


@pytest.mark.parametrize(('part', 'key'), [('data', 'path'), ('annotations', 'path'),
                                           ('annotations', 'source'), ('data', 'streams')])
def test_a_place_that_is_no_text_is_refused_by_name(page_file, tmp_path, capsys, part, key):
    shutil.copytree(page_file.parent, tmp_path/'run')
    metrics = json.loads((tmp_path/'run/metrics.json').read_text(encoding='utf-8'))
    metrics.setdefault(part, {'source': 'there'})[key] = 9223372036854775808
    (tmp_path/'run/metrics.json').write_text(json.dumps(metrics), encoding='utf-8')
    assert main(['report', str(tmp_path/'run')]) == 1
    assert f"metrics.json: found 9223372036854775808 as '{key}' of '{part}', expected text" in (
        capsys.readouterr().err)


# of classes, streams and figures, and of the caution at the top
COLORS = ("[...Array(10).keys()].map(i => { const e = document.querySelector('.note'); "
          "e.style.backgroundColor = `var(--c${i})`; const s = getComputedStyle(e); "
          "return s.backgroundColor + s.color })")


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_on_paper_it_is_light_and_without_controls(opened, page_file, scheme):
    page = opened(page_file, scheme=scheme)
    assert page.locator('#list').is_visible() and page.locator('#in').is_visible()
    page.emulate_media(media='print')
    for gone in ('nav', '#theme', '.controls', '#list', '#in', '#readout', '.keys', '#next'):
        assert page.locator(gone).first.is_hidden(), gone
    for there in ('#tiles dt', '#verdict', '.lane', 'figure svg', 'article', '#name'):
        assert page.locator(there).first.is_visible(), there
    assert page.locator('#more').is_hidden() and page.locator('#made > details').is_hidden()
    back = page.evaluate('getComputedStyle(document.body).backgroundColor')
    assert back == 'rgb(255, 255, 255)'
    page.locator('#theme').evaluate('button => button.click()')  # whatever the reader chose
    assert page.evaluate(COLORS) == opened(page_file).evaluate(COLORS)


def test_on_paper_the_timeline_keeps_its_shape_and_nothing_is_cut(opened, page_file):
    page = opened(page_file)
    shape = "e => e.viewBox.baseVal.width/e.viewBox.baseVal.height"
    drawn = page.locator('[data-lane=Attention] > svg').evaluate(shape)
    # as on paper, which no program hears of: it is not drawn again
    page.evaluate('draw = () => {}')
    page.emulate_media(media='print')
    page.set_viewport_size({'width': 700, 'height': 990})
    box = page.locator('[data-lane=Attention] > svg').bounding_box()
    assert box['width'] == 700 and abs(box['width']/box['height'] - drawn) < .1
    for whole in ('figure', 'table', 'tr', '.lane', '#viewer', '.tiles', 'article'):
        inside = "e => getComputedStyle(e).breakInside"
        assert page.locator(whole).first.evaluate(inside) == 'avoid', whole


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_axe_finds_no_serious_fault(opened, page_file, scheme):
    "axe-core is no part of copl: `npm install --no-save axe-core`, or its file in AXE_CORE."
    path = Path(os.environ.get('AXE_CORE', ROOT/'node_modules/axe-core/axe.min.js'))
    if not path.exists(): pytest.skip(f'needs axe-core, found no {path} (npm pack axe-core)')
    page = opened(page_file, width=390 if scheme == 'dark' else 1280, scheme=scheme)
    for summary in page.locator('summary').all(): summary.click()
    page.evaluate(path.read_text(encoding='utf-8'))
    found = page.evaluate("axe.run({resultTypes: ['violations']})")
    assert len(found['passes']) > 15
    assert [(v['id'], v['nodes'][0]['html']) for v in found['violations']
            if v['impact'] in ('serious', 'critical')] == []


PARTS = [ROOT/f'copl/report.{kind}' for kind in ('html', 'css', 'js')]


@pytest.mark.parametrize('path', PARTS, ids=lambda p: p.suffix)
def test_lines_of_the_page_are_short(path):
    assert all(len(line) <= 100 for line in path.read_text(encoding='utf-8').splitlines())


def test_the_program_of_the_page_can_be_read():
    node = shutil.which('node')
    if node is None: pytest.skip('needs node on the PATH')
    said = subprocess.run([node, '--check', PARTS[2]], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr


@pytest.mark.filterwarnings('ignore')
def test_the_page_of_several_runs_shows_them_all(tmp_path, capsys):
    out = tmp_path/'runs'
    quick = ('--hidden 8 --snippets 16 --epoch-num 1 --iteration-num 2 --stream-norm --runs 2 '
             '--n-classes 6').split()
    assert main(['train', 'sim:tiny', *quick, '--out', str(out)]) == 0
    assert main(['report', str(out/'seed-0')]) == 0 and main(['report', str(out)]) == 0
    page = (out/'report.html').read_text(encoding='utf-8')
    section = page[page.index('<section id="runs">'):page.index('<section id="made">')]
    runs = pd.read_csv(out/'runs.csv')
    assert '<a href="seed-0/report.html">' in section and 'seed-1/report.html' not in section
    assert section.count('<b>') == len(runs.columns) - 1 - runs.isna().all().sum()
    [chosen] = runs[runs.chosen].agreement
    assert f'<b>{chosen:.3f}</b>' in section and 'How alike' in section
    assert '__RUNS' not in page and '<a href="#runs">' in page
    alone = (out/'seed-0/report.html').read_text(encoding='utf-8')
    assert 'id="runs"' not in alone and '__RUNS' not in alone
    capsys.readouterr()
    assert main(['report', str(tmp_path)]) == 1
    assert f'such as {out} (of 1 there)' in capsys.readouterr().err
