"""Two visitors in browsers of their own, at the same time."""

import re

import numpy as np
import pytest
from PIL import Image

from restorebox import RestoreInferencer
from tests.conftest import long
from tests.web.browsing import all_of, give, needs_browser, new_browser, toasts, until
from tests.web.visitor import serving

pytest.importorskip('gradio', reason='Gradio is not installed')
PIXELS = """const image = document.getElementById(arguments[0])
if (!image.complete || !image.naturalWidth) return null
const canvas = document.createElement('canvas'), context = canvas.getContext('2d')
canvas.width = image.naturalWidth; canvas.height = image.naturalHeight; context.drawImage(image, 0, 0)
return [canvas.height, canvas.width, [...context.getImageData(0, 0, canvas.width, canvas.height).data]]"""
STEPS = 'restoring'  # what the page says while it works


def press(browser, name):
    browser.find_element('id', name).click()


def state(browser):
    """What the page says about its work: a place in the queue, or progress; empty without any."""
    return ' '.join(each.text for each in all_of(browser, '#results'))


def summary(browser):
    return browser.find_element('id', 'summary').text.strip()


def seen(browser, which):
    """The picture that is shown as ``before`` or ``after``, (H, W, 3)."""
    height, width, values = until(lambda: browser.execute_script(PIXELS, which), 'a picture')
    return np.array(values, np.uint8).reshape(height, width, 4)[..., :3]


@long
@pytest.mark.slow
@needs_browser
def test_two_visitors_at_once(tmp_path):
    from tests.inference.small_clips import make_clip  # skips without PyAV

    rng = np.random.default_rng(0)
    pictures = [rng.integers(low, low + 100, (60, 80, 3), dtype=np.uint8) for low in (0, 150)]
    for name, picture in zip(('one.png', 'two.png'), pictures, strict=True):
        Image.fromarray(picture).save(tmp_path / name)
    make_clip(tmp_path / 'clip.mp4', 60, size=(360, 480))
    with serving(tmp_path, '--max-megapixels', 1) as (_, address, home), new_browser() as one, new_browser() as two:
        for browser in (one, two):
            browser.get(address)
        give(one, 'source', tmp_path / 'clip.mp4')
        give(two, 'source', tmp_path / 'two.png')

        # the second waits while the first is served, and sees nothing of it; what it cancels is its own
        press(one, 'go')
        until(lambda: STEPS in state(one), 'progress')
        press(two, 'go')
        until(lambda: 'queue' in state(two), 'a place in the queue')
        assert STEPS not in state(two)
        press(two, 'cancel')
        until(lambda: not state(two), 'the end of what was cancelled')
        assert STEPS in state(one)
        until(lambda: summary(one).startswith('60 frames by published.safetensors'), 'the video of the first')
        assert not summary(two)
        assert not all_of(two, '#results li')

        # what was cancelled and asked for again is restored once
        press(one, 'go')
        until(lambda: STEPS in state(one), 'progress')
        for _ in range(2):
            press(two, 'go')
            until(lambda: 'queue' in state(two), 'a place in the queue')
            press(two, 'cancel')
            until(lambda: not state(two), 'the end of what was cancelled')
        press(two, 'go')
        until(lambda: summary(two).startswith('80x60 by '), 'the picture of the second')
        two.refresh()
        until(lambda: all_of(two, '#source input[type=file]'), 'the page anew')
        give(two, 'source', tmp_path / 'two.png')

        # the first cancels while it is served: the second gets its result
        press(one, 'go')
        until(lambda: STEPS in state(one), 'progress again')
        press(two, 'go')
        until(lambda: 'queue' in state(two), 'a place in the queue again')
        press(one, 'cancel')
        until(lambda: summary(two).startswith('80x60 by '), 'the picture of the second')
        assert all_of(one, '#results video'), 'the earlier result has gone'
        link = all_of(one, '#results a')[0].get_attribute('href')
        status = 'return fetch(arguments[0]).then((answer) => answer.status)'
        assert one.execute_script(status, link) == 200

        # who closes the page while it is served makes way as well
        press(one, 'go')
        until(lambda: STEPS in state(one), 'progress a third time')
        one.refresh()
        until(lambda: all_of(one, '#source input[type=file]'), 'the page anew')
        give(one, 'source', tmp_path / 'one.png')

        # both at once: each gets its own
        for browser in (one, two):
            press(browser, 'go')
        restore = RestoreInferencer(tmp_path / 'published.safetensors', device='cpu')
        for browser, picture, name in ((one, pictures[0], 'one'), (two, pictures[1], 'two')):
            until(lambda browser=browser: summary(browser).startswith('80x60 by '), 'a result')
            until(lambda browser=browser: all_of(browser, '#results a'), 'a download')
            assert [each.text for each in all_of(browser, '#results button')] == [f'{name}.png']
            assert np.array_equal(seen(browser, 'before'), picture)
            assert np.array_equal(seen(browser, 'after'), restore(picture))
            assert not toasts(browser)

        # nobody else gets a picture by its address
        link = all_of(two, '#results a')[0].get_attribute('href')
        assert re.search(r'/file=[\w-]{32}', link)
        assert two.execute_script(status, link) == 200
        assert one.execute_script(status, link) == 404
        assert len(list(home.glob('restorebox-web-*/files/*'))) == 8  # of each an upload, before, after, the file
