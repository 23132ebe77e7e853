"""HTML of the page's own parts: script and style, the comparison of input and output, the list of results."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path

from restorebox.web.service import MAX_FRAMES, Limits

CSS = (Path(__file__).parent / 'page.css').read_text(encoding='utf-8')
HEAD = f'<script>{(Path(__file__).parent / "page.js").read_text(encoding="utf-8")}</script>'
PREVIEW = '<div id="preview" aria-live="polite"></div>'
# with an edge, `before` lies above `after` and its right part is cut off
VIEWER = """
<p id="empty">The result is shown here.</p>
<section id="viewer" aria-label="Comparison" hidden>
<div class="bar">
<label><input type="radio" name="view" value="slider" checked>Before and after, with an edge</label>
<label><input type="radio" name="view" value="side">Side by side, 1:1</label>
<button type="button" id="fullscreen">Full screen</button>
<span id="scale"></span>
</div>
<div id="stage">
<div role="group" aria-label="before"><p>Before</p><img id="before" alt=""></div>
<div role="group" aria-label="after"><p>After</p><img id="after" alt=""></div>
</div>
<label class="edge">Edge: before at the left, after at the right
<input type="range" id="edge" min="0" max="100" value="50"></label>
</section>
"""


@dataclass(frozen=True)
class Row:
    """One line in the list of results.

    Attributes:
        name: file name of the client.
        text: what was found, or why it was not restored.
        before, after: URLs of the pictures to compare; empty if there are none.
        file: URL to download; empty if it was not restored.
        scale: note on the scale of what is shown; empty at full size.
        video: whether ``file`` is a video that the page plays.
    """

    name: str
    text: str
    before: str = ''
    after: str = ''
    file: str = ''
    scale: str = ''
    video: bool = False


def render(rows: list[Row]) -> str:
    """Return the list of results as HTML; names and texts of clients are escaped."""
    return f'<ul>{"".join(map(_item, rows))}</ul>' if rows else ''


def _item(row: Row) -> str:
    name, text, scale = (html.escape(each) for each in (row.name, row.text, row.scale))
    if row.before:
        first = (
            f'<button type="button" aria-pressed="false" data-before="{html.escape(row.before)}" '
            f'data-after="{html.escape(row.after)}" data-scale="{scale}">{name}</button>'
        )
    else:
        first = f'<span>{name}</span>'
    link = f'<a href="{html.escape(row.file)}" download aria-label="Download {name}, restored">Download</a>'
    player = f'<video controls preload="metadata" src="{html.escape(row.file)}" aria-label="{name}, restored"></video>'
    return f'<li>{first}{link if row.file else ""}<span>{text}</span>{player if row.video else ""}</li>'


def limits_text(limits: Limits, most: int) -> str:
    """Return the sentence on what the server accepts.

    Args:
        limits: of the server.
        most: maximum number of files at once.
    """
    return (
        f'Up to {most} files at once, together up to {limits.megabytes} MiB; pictures up to {limits.megapixels} '
        f'megapixels, videos up to {MAX_FRAMES} frames. `restorebox restore` takes more.'
    )
