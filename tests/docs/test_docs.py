"""The pages build without a warning, point at things that exist, and leave no component out."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from restorebox import registry
from tests.conftest import REPO, long
from tests.processes import environment, succeed

DOCS = REPO / 'docs'
PAGES = [page for page in (*sorted(DOCS.glob('*.md')), REPO / 'README.md') if page.is_file()]
TREE = re.compile(r'^```text\n.*?^```$', re.MULTILINE | re.DOTALL)  # a reader's folders, or what is printed
CODE = re.compile(r'^```.*?^```$', re.MULTILINE | re.DOTALL)
LINK = re.compile(r'\]\(([^)\s]+)\)|<img[^>]*\ssrc="([^"]+)"')
# paths of the repository as they are written in text and in commands; those of a reader's own folders begin otherwise
NAMED = re.compile(
    r'(?<![\w/.-])(?:restorebox/)?((?:tools|configs|restorebox|docs|requirements|tests)/[\w./-]*\w\.\w+)'
)
BUILDER_NEEDS = ('sphinx', 'myst_parser', 'furo')


def page_names(page: Path) -> str:
    return str(page.relative_to(REPO))


@pytest.fixture(scope='module')
def built(tmp_path_factory) -> Path:
    """The pages as HTML, built with warnings as errors."""
    missing = [name for name in BUILDER_NEEDS if find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed; pip install 'restorebox[docs]' builds the pages")
    out = tmp_path_factory.mktemp('docs') / 'html'
    command = [sys.executable, '-m', 'sphinx', '-q', '-W', '--keep-going', '-b', 'html', str(DOCS), str(out)]
    # without the pages of source text, which take half of the time, and the names of the API in each page's navigation
    command += ['-D', 'extensions=myst_parser,sphinx.ext.autodoc,sphinx.ext.napoleon', '-D', 'toc_object_entries=0']
    succeed(subprocess.run(command, cwd=REPO, env=environment(), capture_output=True, text=True, check=False))
    return out


@pytest.mark.slow
def test_the_pages_build_without_a_warning(built):
    assert {f'{page.stem}.html' for page in DOCS.glob('*.md')} <= {page.name for page in built.glob('*.html')}


UNREACHABLE = """return [...document.querySelectorAll('pre, .table-wrapper, .sortable')]
    .filter((box) => box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX !== 'visible'
        && box.tabIndex < 0 && !box.querySelector('button, a, input')).map((box) => box.textContent.slice(0, 80))"""
BROKEN = 'return [...document.images].filter((image) => !image.naturalWidth).map((image) => image.src)'
WIDER = 'return document.documentElement.scrollWidth - document.documentElement.clientWidth'


@long
@pytest.mark.slow
def test_the_pages_at_desk_and_phone_width(built):
    from tests.web.browsing import CHROMIUM, DRIVER, new_browser  # skips without Selenium

    if not (CHROMIUM and DRIVER):
        pytest.skip('no Chromium with its driver on this machine')
    with new_browser() as browser:
        for width in (1280, 390):
            size = {'width': width, 'height': 844, 'deviceScaleFactor': 1, 'mobile': width < 1000}
            browser.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', size)
            for page in sorted(DOCS.glob('*.md')):
                browser.get((built / f'{page.stem}.html').as_uri())
                found = [browser.execute_script(script) for script in (WIDER, BROKEN, UNREACHABLE)]
                assert found == [0, [], []], f'{page.name} at {width} pixels'
                assert not browser.find_elements('css selector', '.caption[role=heading]:not([aria-level])')


@pytest.mark.slow
def test_links_inside_the_built_pages_have_a_target(built):
    """Also those of parts that are made from data, which the tests of the Markdown don't see."""
    anchors, missing = {}, []
    pages = [page for page in built.glob('*.html') if page.name not in ('genindex.html', 'py-modindex.html')]
    for page in pages:
        for match in re.finditer(r'(?:href|src)="([^"#?]*)(?:#([^"]*))?"', page.read_text()):
            if re.match(r'[a-z]+:', match[1]):
                continue
            file = (page.parent / match[1]).resolve() if match[1] else page
            if not file.exists():
                missing.append(f'{page.name}: {match[1]}')
            elif match[2] and file.suffix == '.html':
                if file not in anchors:
                    anchors[file] = set(re.findall(r'\bid="([^"]+)"', file.read_text()))
                if match[2] not in anchors[file]:
                    missing.append(f'{page.name}: {match[1]}#{match[2]}')
    assert len(pages) > 20
    assert missing == []


OUTSIDE = re.compile(r'\]\((\w+:[^)\s]+)\)|<(\w+://[^>\s]+)>')


def test_links_outside_have_a_valid_form():
    """Nothing is fetched: http or https, a host with a domain, no placeholder and nothing of this machine."""
    pages = [*PAGES, *DOCS.glob('claims/*.md'), *REPO.glob('configs/*/README.md')]
    links = [match[1] or match[2] for page in pages for match in OUTSIDE.finditer(CODE.sub('', page.read_text()))]
    assert len(links) > 20
    form = re.compile(r'https?://([a-z0-9-]+\.)+[a-z]{2,}(/[\w./~%+:,-]*)?(\?[\w=&%.-]+)?(#[\w.-]+)?')
    assert sorted(link for link in set(links) if not form.fullmatch(link)) == []


@pytest.mark.slow
def test_every_component_is_in_the_api_reference(built):
    text = ''.join(page.read_text() for page in (built / 'api').glob('*.html'))
    anchors = set(re.findall(r'id="(restorebox\.[\w.]+)"', text))
    registries = [each for each in vars(registry).values() if isinstance(each, registry.Registry)]
    components = set()
    for each in registries:
        each.import_from_location()
        components |= {c for c in each.module_dict.values() if c.__module__.startswith('restorebox.')}
    assert len(components) > 20, 'the walk over the registries has lost its way'
    missing = {f'{c.__module__}.{c.__qualname__}' for c in components} - anchors
    assert not missing


@pytest.mark.slow
def test_every_public_name_of_every_room_is_in_the_api_reference(built):
    """What a room hands out in ``__all__`` is documented where it is defined."""
    text = ''.join(page.read_text() for page in (built / 'api').glob('*.html'))
    anchors = set(re.findall(r'id="(restorebox\.[\w.]+)"', text))
    missing = []
    for init in sorted((REPO / 'restorebox').glob('*/__init__.py')):
        name = f'restorebox.{init.parent.name}'
        room = __import__(name, fromlist=['x'])
        for public in getattr(room, '__all__', ()):
            thing = getattr(room, public)
            home = getattr(thing, '__module__', None)
            if home is not None and f'{home}.{getattr(thing, "__qualname__", public)}' not in anchors:
                missing.append(f'{name}.{public}')
    assert not missing


@pytest.mark.parametrize('page', PAGES, ids=page_names)
def test_links_and_pictures_of_a_page_exist(page):
    missing = []
    for match in LINK.finditer(CODE.sub('', page.read_text())):
        target, _, anchor = (match[1] or match[2]).partition('#')
        if re.match(r'[a-z]+:', target):
            continue
        file = page.parent / target if target else page
        if not file.exists():
            missing.append(target)
        elif anchor and file.suffix == '.md' and anchor not in headings(file):
            missing.append(f'{target}#{anchor}')
    assert not missing


def headings(page: Path) -> set[str]:
    """A page's anchors, as MyST and GitHub make them of its headings."""
    titles = re.findall(r'^#+ (.+)$', CODE.sub('', page.read_text()), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-') for title in titles}


@pytest.mark.parametrize('page', PAGES, ids=page_names)
def test_files_of_the_repository_named_on_a_page_exist(page):
    named = set(NAMED.findall(TREE.sub('', page.read_text())))
    assert sorted(name for name in named if not (REPO / name).exists()) == []


def test_the_pages_name_files_of_the_repository():
    """The test above would pass over nothing if its pattern were wrong."""
    named = {name for page in DOCS.glob('*.md') for name in NAMED.findall(TREE.sub('', page.read_text()))}
    assert {
        'tools/train.py',
        'tools/dist_train.sh',
        'configs/unet/unet5_paired.py',
        'requirements/runtime.txt',
    } <= named


@pytest.fixture(scope='module')
def train_help() -> str:
    """The options of the tool whose command lines vary most."""
    command = [sys.executable, str(REPO / 'tools' / 'train.py'), '--help']
    return succeed(subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)).stdout


@pytest.mark.parametrize('page', PAGES, ids=page_names)
def test_commands_and_options_in_commands_exist(page, train_help):
    from restorebox.cli.main import COMMANDS

    commands = ''.join(re.findall(r'^```(?:sh|bash|console)\n(.*?)^```$', page.read_text(), re.MULTILINE | re.DOTALL))
    commands = commands.replace('\\\n', ' ')
    for command in re.findall(r'^(?:\$ )?restorebox (\S+)', commands, re.MULTILINE):
        assert command in COMMANDS
    for line in re.findall(r'^.*(?:(?<!benchmarks/)train\.py|_train\.sh|restorebox train) .*$', commands, re.MULTILINE):
        for option in re.findall(r'(?<=\s)--[a-z-]+', line):
            assert option in train_help, f'{option} in: {line}'


def test_figures_of_the_readme_are_those_of_the_stored_run():
    scores = json.loads((REPO / 'docs/results/demo.json').read_text())
    mean = scores['mean']
    text = ' '.join((REPO / 'README.md').read_text().split())
    assert f'psnr_y rises from {mean["input/psnr_y"]:.2f} to {mean["psnr_y"]:.2f} dB' in text
    best = sorted(scores['per_picture'], key=lambda row: row['input/psnr_y'] - row['psnr_y'])[:2]
    assert {row['name'] for row in best} == {'chelsea', 'coffee'}, 'the README calls these its two best'


def test_tested_versions_are_those_of_the_newest_claim_run():
    runs = [json.loads(file.read_text()) for file in (DOCS / 'claims' / 'runs').rglob('*.json')]
    libraries = max((run for run in runs if 'libraries' in run), key=lambda run: run['date'])['libraries']
    text = ' '.join((DOCS / 'getting_started.md').read_text().split())
    named = re.search(r'Tested with (.*?) on Linux', text)[1].replace(' and ', ', ')
    other = {'opencv': 'opencv-python-headless'}
    for name, version in (each.lower().split() for each in named.split(', ')):
        assert f'{libraries[other.get(name, name)]}.'.startswith(f'{version}.'), name
