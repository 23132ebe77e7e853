"""The page in headless Chromium, used as by a user. Skipped if one of the three requirements is missing."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import long
from tests.factories import publish_small
from tests.processes import environment, one_line_error, run
from tests.web.browsing import WAIT, all_of, dismiss, give, needs_browser, new_browser, toasts, until

pytest.importorskip('gradio', reason='Gradio is not installed')
SERIOUS = ('serious', 'critical')  # of axe's four degrees


@pytest.fixture
def page(tmp_path):
    """(address, the folder that the server keeps its files in, the server)."""
    model = publish_small(tmp_path)
    home = tmp_path / 'tmp'
    home.mkdir()
    options = ['--model', model, '--port', '0', '--max-megabytes', '1', '--max-megapixels', '1', '--device', 'cpu']
    server = subprocess.Popen(
        [sys.executable, '-m', 'restorebox', 'web', *map(str, options)],
        env={**environment(), 'TMPDIR': str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        line = server.stdout.readline()
        found = re.search(r'http://127\.0\.0\.1:\d+', line)
        assert found, line + server.stdout.read()
        yield found[0], home, server
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def browser():
    with new_browser() as driver:
        yield driver


@pytest.mark.slow
@needs_browser
def test_a_visit(page, browser, tmp_path):
    from selenium.webdriver import ActionChains, Keys

    address, home, server = page
    array = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    for name in ('rain.png', 'clean.png'):
        Image.fromarray(array).save(tmp_path / name)
    browser.get(address)

    # a picture with its clean partner
    give(browser, 'source', tmp_path / 'rain.png')
    until(lambda: all_of(browser, 'button.label-wrap'), 'the place for a clean picture')[0].click()
    give(browser, 'reference', tmp_path / 'clean.png')
    browser.find_element('id', 'go').click()
    summary = until(lambda: browser.find_element('id', 'summary').text.strip(), 'a result')
    assert summary.startswith('80x60 by published.safetensors; found: ')
    before, after = until(lambda: (i := all_of(browser, '#stage img')) and len(i) == 2 and i, 'two pictures')
    for image in (before, after):
        until(lambda image=image: browser.execute_script('return arguments[0].naturalWidth', image) == 80, 'a picture')
    assert before.get_attribute('src') != after.get_attribute('src')
    assert all(image.get_attribute('src').endswith('.png') for image in (before, after))  # nothing is lost on the way
    scores = until(lambda: all_of(browser, '#scores') and all_of(browser, '#scores')[0].text, 'scores')
    assert 'psnr_y' in scores
    assert '100' in scores

    # the edge moves with the pointer and with the keyboard
    stage, edge = browser.find_element('id', 'stage'), browser.find_element('id', 'edge')
    ActionChains(browser).move_to_element_with_offset(stage, stage.size['width'] // 4, 0).click().perform()
    until(lambda: abs(int(edge.get_attribute('value')) - 75) < 3, 'an edge below the pointer')
    edge.send_keys(Keys.HOME, Keys.ARROW_RIGHT)
    until(lambda: stage.get_attribute('style') == '--edge: 1%;', 'an edge that the keyboard moves')
    assert all_of(browser, '#results a[download]')

    # side by side one pixel of the picture is one of the screen
    browser.find_element('css selector', '#viewer input[value=side]').click()
    until(lambda: [image.size['width'] for image in (before, after)] == [80, 80], 'pictures of their own size')
    assert not edge.is_displayed()

    # the same upload again at strength 0, which is set by the keyboard: the picture stays as it is
    browser.find_element('css selector', '#strength input[type=range]').send_keys(Keys.HOME)
    browser.find_element('id', 'go').click()
    until(lambda: browser.find_element('id', 'summary').text.strip().endswith('at strength 0'), 'the second result')
    script = """const [a, b] = [...document.querySelectorAll('#stage img')].map(image => {
        const canvas = document.createElement('canvas'), context = canvas.getContext('2d')
        canvas.width = image.naturalWidth; canvas.height = image.naturalHeight; context.drawImage(image, 0, 0)
        return context.getImageData(0, 0, canvas.width, canvas.height).data
    }); return a.length > 0 && a.every((value, i) => value === b[i])"""
    until(lambda: browser.execute_script(script), 'a picture that was not changed')

    # on a phone nothing is wider than the screen
    phone = {'width': 390, 'height': 844, 'deviceScaleFactor': 1, 'mobile': True}
    browser.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', phone)
    until(lambda: browser.execute_script('return document.documentElement.scrollWidth') == 390, 'a page of 390 pixels')
    browser.execute_cdp_cmd('Emulation.clearDeviceMetricsOverride', {})

    # the file to download goes with the page
    made = 'restorebox-web-*/files/*'
    assert len(list(home.glob(made))) == 5  # two uploads, before, after, the file
    browser.refresh()
    until(lambda: not list(home.glob(made)), 'a page that leaves nothing when it is closed')

    # what is no picture, or too large, is refused with a message
    (tmp_path / 'text.jpg').write_text('no picture')
    Image.new('L', (1100, 1000)).save(tmp_path / 'flat.png')
    (tmp_path / 'long.png').write_bytes(bytes(3 * 2**20))
    for name, message in (('text.jpg', 'not a picture of a known kind'), ('flat.png', '1100x1000 are 1.1 megapixels')):
        give(browser, 'source', tmp_path / name)
        browser.find_element('id', 'go').click()
        until(lambda message=message: message in toasts(browser), f'a message about {name}')
        dismiss(browser)
        browser.refresh()
    give(browser, 'source', tmp_path / 'long.png')
    until(lambda: 'size' in toasts(browser).lower(), 'a message about the size of a file')
    browser.save_screenshot(str(tmp_path / 'page.png'))

    # nothing came from elsewhere, uploads are gone, and all else when the server ends
    asked = {entry['message'] for entry in browser.get_log('performance') if 'requestWillBeSent"' in entry['message']}
    urls = {re.search(r'"url":"([^"]*)"', message)[1] for message in asked if '"url":"' in message}
    assert {url for url in urls if not url.startswith((address, 'data:', 'blob:', 'about:'))} == set()
    until(lambda: not list(home.glob(made)), 'uploads that are gone')
    server.send_signal(signal.SIGINT)
    server.wait(WAIT)
    assert list(home.glob('restorebox-web-*')) == []


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_ended_server_leaves_nothing(page, number):
    _, home, server = page
    assert len(list(home.glob('restorebox-web-*'))) == 1
    server.send_signal(number)
    server.wait(WAIT)
    assert list(home.glob('restorebox-web-*')) == []


@pytest.mark.slow
def test_mistakes_are_one_line(page, tmp_path):
    port = page[0].rsplit(':', 1)[1]
    assert f"can't serve on 127.0.0.1, port {port}" in one_line_error(run('web.py', '--port', port, cwd=tmp_path))
    assert "there is no model 'wether'" in one_line_error(run('web.py', '--model', 'wether', cwd=tmp_path))


def focus_next(browser, css, most=60):
    """Press the tab key until an element that matches has the focus; returns it."""
    from selenium.webdriver import ActionChains, Keys

    for _ in range(most):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        focused = browser.switch_to.active_element
        if browser.execute_script('return arguments[0].matches(arguments[1])', focused, css):
            return focused
    pytest.fail(f'{css}: {most} presses of the tab key do not reach it')


def serious(browser):
    """What axe finds on the page that is serious or critical; AXE_CORE is the path of its axe.min.js."""
    browser.execute_script(Path(os.environ['AXE_CORE']).read_text())
    found = browser.execute_async_script('axe.run().then(arguments[0])')['violations']
    return [(each['id'], [node['target'] for node in each['nodes']]) for each in found if each['impact'] in SERIOUS]


@long
@pytest.mark.slow
@needs_browser
@pytest.mark.skipif('AXE_CORE' not in os.environ, reason="AXE_CORE does not name npm's axe-core/axe.min.js")
@pytest.mark.parametrize('width', [1280, 390])
def test_by_keyboard_and_with_axe(page, browser, tmp_path, width):
    from selenium.webdriver import Keys

    from tests.inference.small_clips import make_clip  # skips without PyAV

    size = {'width': width, 'height': 844, 'deviceScaleFactor': 1, 'mobile': width < 1000}
    browser.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', size)
    array = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    for name in ('one.png', 'two.png'):
        Image.fromarray(array).save(tmp_path / name)
    make_clip(tmp_path / 'clip.mp4', 4, size=(720, 1280))  # its preview is wider than its column
    (tmp_path / 'text.png').write_text('no picture')
    browser.get(page[0])
    files = [str(tmp_path / name) for name in ('one.png', 'two.png', 'text.png', 'clip.mp4')]
    place = until(lambda: all_of(browser, '#source input[type=file]'), 'a place for files')[0]
    assert serious(browser) == []
    place.send_keys('\n'.join(files))  # the dialog of the system can't be driven
    until(lambda: len(all_of(browser, '#preview figure')) == 4, 'previews')
    until(lambda: 'text.png: this browser shows no preview' in browser.find_element('id', 'preview').text, 'a caption')
    played = "return document.querySelector('#preview video').videoWidth"
    until(lambda: browser.execute_script(played) == 1280, 'a preview of the video')
    until(lambda: 'clip' in browser.find_element('id', 'source').text, 'uploads')
    assert 'together up to 1 MiB' in browser.find_element('id', 'limits').text
    focus_next(browser, '#model input')
    until(lambda: all_of(browser, '.option-list'), 'the list of models')
    focus_next(browser, '#strength input[type=range]').send_keys(Keys.ARROW_LEFT)
    until(lambda: not all_of(browser, '.option-list'), 'a list of models that closes when the focus leaves it')
    focus_next(browser, '#go').send_keys(Keys.ENTER)
    summary = until(lambda: browser.find_element('id', 'summary').text.strip(), 'results')
    assert summary == '3 of 4 pictures restored by published.safetensors'
    rows = [each.text for each in all_of(browser, '#results li')]
    assert 'not a picture of a known kind' in rows[2]
    assert '4 frames by published.safetensors' in rows[3]
    until(lambda: browser.execute_script("return document.querySelector('#results video').duration > 0"), 'a video')
    assert serious(browser) == []

    second = focus_next(browser, '#results li:nth-child(2) button')
    second.send_keys(Keys.ENTER)
    until(lambda: second.get_attribute('aria-pressed') == 'true', 'the second picture')
    browser.execute_script('document.activeElement.blur(); document.body.focus()')
    focus_next(browser, '#viewer input[type=radio]').send_keys(Keys.ARROW_RIGHT)
    until(lambda: browser.find_element('id', 'stage').get_attribute('class') == 'side', 'side by side')
    focus_next(browser, '#stage > div')
    assert serious(browser) == []
    root = 'document.documentElement'
    assert browser.execute_script(f'return {root}.scrollWidth - {root}.clientWidth') == 0
    browser.save_screenshot(str(tmp_path / 'page.png'))
