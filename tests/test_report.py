"The report page in a real browser: Debian's chromium, driven by Playwright. Skips, with a reason, where one of them is missing."
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from copl import VideoSet, tiny
from copl.cli import SIMULATED, main
from copl.data import Annotations, save_videos

NAMES = ['<svg onload="window.hit=1">', '<img src=x onerror="window.hit=2">',
         'quote "\' & amp; $x$ _', 'Überraschung 動画 \u2028 end', '__DATA__ __SCRIPT_HASH__']
LABELS = {'sim_BaseballPitch': '</script><script>window.hit = 3</script>', 'sim_Billiards': 'cost $\\bad{$ & "more"'}
QUICK = ['--epoch-num', '2', '--iteration-num', '2', '--hidden', '16', '--snippets', '32', '--device', 'cpu']


@pytest.fixture(scope='module')
def browser():
    "A headless Chromium; nothing is installed for it."
    playwright = pytest.importorskip('playwright.sync_api', reason='needs the Python package playwright')
    chromium = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if chromium is None: pytest.skip('needs a chromium on the PATH (Debian: apt-get install chromium)')
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
    "A function that opens a page; afterwards there must have been no request but for the file, and nothing on the console."
    contexts, wrong = [], []

    def open_page(path, width=1280, height=900, scheme='light'):
        context = browser.new_context(viewport={'width': width, 'height': height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on('console', lambda m: wrong.append(f'console: {m.text}'))
        page.on('pageerror', lambda e: wrong.append(f'error: {e}'))
        page.on('request', lambda r: wrong.append(f'request: {r.url[:200]}') if r.url != path.as_uri() and not r.url.startswith('data:') else None)
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts: context.close()
    assert wrong == []


def rows(page): return page.locator('#list [role=option] .row:first-child span:first-child').all_text_contents()
def ranks(page): return [float(x) for x in page.locator('#list [role=option] .row:first-child .num').all_text_contents()]
def chosen(page): return page.locator('#name').text_content()
def axis(page): return page.locator('.axis text').all_text_contents()


def test_page_shows_the_run(opened, page_file):
    page, table = opened(page_file), pd.read_csv(page_file.parent/'pseudolabels.csv')
    assert page.locator('#title').text_content().endswith('/run') and 'SIMULATED' in page.locator('#simulated').text_content()
    assert page.locator('#missing').is_hidden()
    assert page.locator('figure svg[role=img]').count() == 3
    assert page.locator('#rounds-table tbody tr').count() == 2
    sizes = [int(x) for x in page.locator('#cluster-table tbody td:nth-child(2)').all_text_contents()]
    assert sizes == np.bincount(table.cluster, minlength=6).tolist()
    assert page_file.stat().st_size < 1e6
    best = table.sort_values('confidence', ascending=False).video.iloc[0]
    assert rows(page)[0] == chosen(page) == best
    lanes = page.locator('.lane').evaluate_all('es => es.map(e => e.dataset.lane)')
    assert lanes == ['Ground truth', 'Detections', 'Proposals before NMS', 'HAS selection', 'Attention', 'CAS']
    assert page.locator('[data-lane=Attention] polyline').count() == 3


def test_filter_sort_search_and_split(opened, page_file):
    page, table = opened(page_file), pd.read_csv(page_file.parent/'pseudolabels.csv')
    assert len(rows(page)) == 72 and ranks(page) == sorted(ranks(page), reverse=True)
    page.get_by_label('Order').select_option('up')
    assert ranks(page) == sorted(ranks(page))
    page.get_by_label('Order').select_option('name')
    assert rows(page) == sorted(table.video)
    page.get_by_label('Cluster', exact=True).select_option('2')
    assert rows(page) == sorted(table.video[table.cluster == 2])
    page.get_by_label('Cluster', exact=True).select_option('')
    page.get_by_label('Search by name').fill('_000')
    assert rows(page) == [f'sim_train_{i:04d}' for i in range(10)]
    page.get_by_label('Search by name').fill('nothing like it')
    assert rows(page) == [] and chosen(page) == 'No video matches' and page.locator('#timeline').is_hidden()
    page.get_by_label('Search by name').fill('')
    page.get_by_label('Test').check()
    assert len(rows(page)) == 36 and all('test' in name for name in rows(page)) and chosen(page).startswith('sim_test_')
    page.get_by_label('Training').check()
    page.locator('#cluster-table tbody tr').nth(1).get_by_role('button').first.click()
    assert sorted(rows(page)) == sorted(table.video[table.cluster == 1])
    page.locator('#cluster-table tbody tr').nth(3).locator('.names button').last.click()
    assert chosen(page) == page.locator('#cluster-table tbody tr').nth(3).locator('.names button').last.text_content()


def test_keyboard(opened, page_file):
    page = opened(page_file)
    names = rows(page)
    page.keyboard.press('ArrowRight')
    page.keyboard.press('ArrowRight')
    assert chosen(page) == names[2] and page.locator('[aria-selected=true]').get_attribute('title') == names[2]
    page.keyboard.press('ArrowLeft')
    assert chosen(page) == names[1]
    page.get_by_label('Search by name').press('ArrowRight')                     # typing moves the cursor, not the video
    assert chosen(page) == names[1]
    page.get_by_label('Search by name').press('ArrowDown')                      # into the list
    page.keyboard.press('End')
    assert chosen(page) == names[-1] and page.get_by_role('button', name='Next').is_disabled()
    page.keyboard.press('ArrowUp')
    assert chosen(page) == names[-2]
    box, at = page.locator('#list').bounding_box(), page.locator('[aria-selected=true]').bounding_box()
    assert box['y'] <= at['y'] and at['y'] + at['height'] <= box['y'] + box['height'] + 5


def test_timeline(opened, page_file):
    page = opened(page_file)
    page.get_by_label('Test').check()
    page.locator('#lanes').scroll_into_view_if_needed()
    before, bars = axis(page), page.locator('[data-lane=Detections] rect[fill-opacity]').count()
    page.keyboard.press('0')
    assert 1 <= bars <= 8 and axis(page) == before
    page.get_by_label('Detections drawn').fill('1')
    assert page.locator('[data-lane=Detections] rect[fill-opacity]').count() == 1
    assert page.locator('#detections tbody tr').count() == 1
    score = page.locator('#facts').text_content()
    assert page.locator('#detections tbody td:nth-child(4)').text_content() in score
    box = page.locator('[data-lane=Attention] > svg').bounding_box()
    page.mouse.move(box['x'] + box['width']/2, box['y'] + 20)
    assert re.match(r'[\d.]+ s · A_ca RGB [01]\.\d\d · A_ca flow [01]\.\d\d · A_cs [01]\.\d\d · CAS ', page.locator('#readout').text_content())
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
    assert page.get_by_role('button', name='Zoom out').is_disabled()           # another video is shown whole


def test_themes(opened, page_file):
    back = 'getComputedStyle(document.body).backgroundColor'
    light, dark = opened(page_file), opened(page_file, scheme='dark')
    colors = light.evaluate(back), dark.evaluate(back)
    assert colors[0] != colors[1]
    for page, other in ((light, colors[1]), (dark, colors[0])):
        page.locator('#theme').click()
        assert page.evaluate(back) == other
    ink = [page.evaluate("getComputedStyle(document.querySelector('figure svg text')).fill") for page in (light, dark)]
    assert ink == [page.evaluate('getComputedStyle(document.body).color') for page in (light, dark)]      # the figures follow the page


@pytest.mark.parametrize('width', [390, 768, 1280])
def test_nothing_is_wider_than_the_window(opened, page_file, width):
    page = opened(page_file, width=width, height=844)
    for summary in page.locator('summary').all(): summary.click()
    assert page.evaluate('document.documentElement.scrollWidth') <= width
    lanes = page.locator('#lanes').bounding_box()
    assert lanes['x'] >= 0 and lanes['x'] + lanes['width'] <= width
    page.get_by_role('button', name='Next').click()
    assert page.evaluate('document.documentElement.scrollWidth') <= width


def _named(names, labels):
    "The tiny set with other names of videos and classes."
    videos = tiny()
    new = dict(zip(videos.names, [*names, *videos.names[len(names):]], strict=True))
    truth = videos.annotations
    segments = truth.segments.assign(video=truth.segments.video.map(new), label=truth.segments.label.replace(labels))
    return VideoSet(list(new.values()), videos.rgb, videos.flow, videos.grid, Annotations(segments, truth.videos.assign(video=truth.videos.video.map(new))))


def _made(folder, videos, monkeypatch):
    "A run on these videos, opened by the name sim:tiny, and its page."
    same = VideoSet(videos.names, videos.rgb, videos.flow, videos.grid, videos.annotations, 'sim:tiny')
    monkeypatch.setitem(SIMULATED, 'tiny', lambda seed: same)
    assert main(['train', 'sim:tiny', '--n-classes', '6', *QUICK, '--out', str(folder)]) == 0
    assert main(['report', str(folder), '--device', 'cpu']) == 0
    return folder/'report.html'


def test_names_are_text_and_nothing_else(opened, tmp_path, monkeypatch):
    page = opened(_made(tmp_path/'<i>run', _named(NAMES, LABELS), monkeypatch))
    assert {*NAMES} <= {*rows(page)}
    for name in NAMES:
        page.get_by_label('Search by name').fill(name[:18])
        assert rows(page) == [name] and chosen(page) == name
    text = page.locator('#cluster-table').text_content() + page.locator('#cluster').text_content()
    assert any(label in text for label in LABELS.values())
    assert page.locator('#title').text_content().endswith('/<i>run')
    assert page.evaluate('window.hit') is None
    assert page.locator('script').count() == 2 and page.locator('img, #videos b, #clusters b, #rounds b').count() == 0


def test_one_snippet_no_labels_no_test_split(opened, tmp_path, capsys):
    videos = tiny()[:12]
    short = VideoSet(videos.names, [r[:1] if i % 2 else r for i, r in enumerate(videos.rgb)], [f[:1] if i % 2 else f for i, f in enumerate(videos.flow)])
    save_videos(short, tmp_path/'features')
    assert main(['train', str(tmp_path/'features'), '--n-classes', '3', *QUICK, '--out', str(tmp_path/'run')]) == 0
    assert main(['report', str(tmp_path/'run'), '--device', 'cpu']) == 0
    page = opened(tmp_path/'run/report.html')
    assert page.get_by_label('Test').is_hidden() and 'no labels' in page.locator('#clusters-note').text_content()
    for name in rows(page):
        assert chosen(page) == name and page.locator('.lane').count() == 5 and page.locator('[data-lane="Ground truth"]').count() == 0
        page.keyboard.press('ArrowRight')
    shutil.rmtree(tmp_path/'features')
    capsys.readouterr()
    assert main(['report', str(tmp_path/'run'), '--device', 'cpu']) == 0
    warning = capsys.readouterr().err.strip()
    assert warning.count('\n') == 0 and 'the report has no timelines' in warning
    page = opened(tmp_path/'run/report.html')
    assert 'No timelines' in page.locator('#missing').text_content() and len(rows(page)) == 12 and page.locator('#timeline').is_hidden()


def test_policy_of_the_page_stops_other_scripts_and_requests(opened, page_file, browser):
    context = browser.new_context()
    page = context.new_page()
    page.goto(page_file.as_uri())
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hit=1\">')")
    page.evaluate("const s = document.createElement('script'); s.textContent = 'window.hit = 2'; document.body.append(s)")
    assert page.evaluate("fetch('https://example.org').then(() => 'sent', () => 'refused')") == 'refused'
    assert page.evaluate('window.hit') is None
    context.close()
