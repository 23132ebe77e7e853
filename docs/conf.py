"""How Sphinx builds these pages: ``sphinx-build -W -b html docs docs/_build/html``."""

from __future__ import annotations

import gc
import shutil
import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.ext import apidoc

import restorebox

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for generators.py and peer_ratios.py

gc.set_threshold(200_000, 20, 100)  # the nodes of all pages stay; collections over them took a fifth of the time

project = 'restorebox'
version = release = restorebox.__version__
language = 'en'
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'sphinx.ext.viewcode']
# figures, the scripts that made them, and parts that pages include
exclude_patterns = ['_build', 'generated', 'results', 'studies']
myst_heading_anchors = 3
html_theme = 'furo'
html_title = f'restorebox {version}'
html_static_path = ['_static']
html_css_files = ['site.css']
html_js_files = ['tables.js', 'keyboard.js']
html_show_copyright = False  # without a holder the line is empty

# each thing is documented where it is defined, not again where its room hands it out
autodoc_default_options = {'ignore-module-all': True}
autodoc_member_order = 'bysource'
autodoc_typehints = 'signature'
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # an attribute with an annotation is documented once


def write_api_pages(app: Sphinx) -> None:
    """One page per room, written anew for each build, so that none is forgotten."""
    pages = HERE / 'api'
    shutil.rmtree(pages, ignore_errors=True)
    apidoc.main(['-q', '--no-toc', '--output-dir', str(pages), str(Path(restorebox.__file__).parent)])


def write_generated_parts(app: Sphinx) -> None:
    """The tables and sections made from data, written anew for each build."""
    from generators import write_parts
    from peer_ratios import write_ratios

    write_parts()
    write_ratios()


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect('builder-inited', write_api_pages)
    app.connect('builder-inited', write_generated_parts)
