"""Headless Chromium, and how the tests use the page in it. Skips without Selenium."""

import shutil
import time
from contextlib import contextmanager

import pytest

webdriver = pytest.importorskip('selenium.webdriver', reason='Selenium is not installed')
CHROMIUM = shutil.which('chromium') or shutil.which('google-chrome')
DRIVER = shutil.which('chromedriver')
needs_browser = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason='no Chromium with its driver on this machine')
WAIT = 60  # seconds for what may take long on a busy machine


@contextmanager
def new_browser():
    """A browser with cookies of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ('headless=new', 'no-sandbox', 'disable-dev-shm-usage', 'disable-gpu', 'window-size=1280,900'):
        options.add_argument(f'--{flag}')
    options.set_capability('goog:loggingPrefs', {'performance': 'ALL'})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def until(look, what):
    """What ``look`` finds, as soon as it finds something."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        try:
            found = look()
        except Exception:  # an element that was replaced while it was looked at
            found = None
        if found:
            return found
        time.sleep(0.1)
    pytest.fail(f'{what}: not within {WAIT} s')


def all_of(browser, css):
    return browser.find_elements('css selector', css)


def give(browser, where, path):
    """Choose a file; once it has been taken."""
    until(lambda: all_of(browser, f'#{where} input[type=file]'), 'a place for a file')[0].send_keys(str(path))
    until(lambda: path.stem[:4] in browser.find_element('id', where).text or toasts(browser), 'the file')


def toasts(browser):
    return ' '.join(each.text for each in all_of(browser, '[data-testid=toast-body]'))


def dismiss(browser):
    for each in all_of(browser, '[data-testid=toast-close]'):
        each.click()
    until(lambda: not toasts(browser), 'a message that goes')
