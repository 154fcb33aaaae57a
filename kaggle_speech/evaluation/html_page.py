"""Self-contained HTML page without scripts, with figures and sounds as data URIs, in the reader's colour scheme."""

import base64
import html
import io
import re
import typing
from collections.abc import Iterable, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kaggle_speech.audio import wav_bytes

STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --muted: #666; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { line-height: 1.2; margin-bottom: .2rem; overflow-wrap: anywhere; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
.note { color: var(--muted); margin: 0; } .lead { font-size: 1.2rem; }
ul { padding-left: 1.2rem; } nav ul { columns: 16rem; } section li { margin: .4rem 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .8rem; margin: 1.2rem 0; }
.tiles div { padding: .8rem 1rem; background: var(--soft); border-radius: 8px; }
.tiles p { margin: 0; } .tiles strong { font-size: 2rem; line-height: 1.3; white-space: nowrap; }
.tiles .note { font-size: .9rem; }
figure { margin: 1rem 0; } figcaption { margin-top: .4rem; }
img { max-width: 100%; height: auto; border-radius: 4px; } .drawing { width: 46rem; display: block; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
th { vertical-align: bottom; } td, tbody th { white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } td:first-child { white-space: normal; }
.long td { white-space: normal; overflow-wrap: anywhere; } .long th, .long td { text-align: left; }
summary { cursor: pointer; }
.clips { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: 1rem; }
.clips figure { margin: 0; padding: .6rem; background: var(--soft); border-radius: 6px; }
.clips img { width: 100%; } audio { width: 100%; }
@media (max-width: 40rem) { th, td { padding: .15rem .3rem; font-size: .9rem; } }
@media (prefers-color-scheme: dark) {
  :root { --muted: #999; } .drawing { filter: invert(1) hue-rotate(180deg); }
}
"""


class Section(typing.NamedTuple):
    """A heading and its content.

    Attributes:
        title: text.
        content: HTML, from the functions of this module.
    """

    title: str
    content: str


class Tile(typing.NamedTuple):
    """A number that the page begins with.

    Attributes:
        name: what it is.
        value: the number as text.
        note: explanation under it.
    """

    name: str
    value: str
    note: str


def data_uri(content: bytes, media_type: str) -> str:
    """A `data:` URI that holds the bytes."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def paragraph(text: str, style: str = "") -> str:
    """A paragraph of text, as HTML.

    Args:
        text: the text; what is between backticks is code.
        style: `lead` for large text, `note` for grey text.
    """
    kind = f' class="{style}"' if style else ""
    return f"<p{kind}>{_escaped(text)}</p>"


def _escaped(text: str) -> str:
    """Text as HTML: code between backticks, and numbers that stay with their unit."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", re.sub(r"(?<=\d) (?=%|dB|ms)", "&nbsp;", html.escape(text)))


def bullets(texts: Iterable[str]) -> str:
    """A list of texts, as HTML."""
    return f"<ul>{''.join(f'<li>{_escaped(text)}</li>' for text in texts)}</ul>"


def tiles(content: Iterable[Tile]) -> str:
    """Numbers side by side, large."""
    parts = [
        f'<div><p>{_escaped(tile.name)}</p><strong>{_escaped(tile.value)}</strong><p class="note">'
        f"{_escaped(tile.note)}</p></div>"
        for tile in content
    ]
    return f'<div class="tiles">{"".join(parts)}</div>'


def svg_bytes(figure: Figure) -> bytes:
    """A matplotlib figure as SVG; the same figure gives the same bytes."""
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "kaggle_speech"}):
        figure.savefig(content, format="svg", bbox_inches="tight", metadata={"Date": None})
    return content.getvalue()


def png_bytes(figure: Figure) -> bytes:
    """A matplotlib figure as PNG without a background, at 200 dots an inch."""
    content = io.BytesIO()
    figure.savefig(content, format="png", bbox_inches="tight", transparent=True, dpi=200)
    return content.getvalue()


def drawing(svg: bytes, caption: str, name: str) -> str:
    """A figure of dark lines with a caption; dark schemes invert its lightness.

    Args:
        svg: content of the SVG file.
        caption: text under it.
        name: text for screen readers.
    """
    image = f'<img class="drawing" src="{data_uri(svg, "image/svg+xml")}" alt="{html.escape(name)}">'
    return f"<figure>{image}<figcaption>{_escaped(caption)}</figcaption></figure>"


def clip_player(waveform: np.ndarray, png: bytes, caption: str) -> str:
    """A clip with its picture and a player.

    Args:
        waveform: `(samples,)`, 16 kHz.
        png: picture of the clip.
        caption: text under it.
    """
    player = f'<audio controls preload="none" src="{data_uri(wav_bytes(waveform), "audio/wav")}"></audio>'
    image = f'<img src="{data_uri(png, "image/png")}" alt="{html.escape(f"spectrogram: {caption}")}">'
    return f"<figure>{image}{player}<figcaption>{_escaped(caption)}</figcaption></figure>"


def clip_players(players: Iterable[str]) -> str:
    """Clips side by side.

    Args:
        players: from `clip_player`.
    """
    return f'<div class="clips">{"".join(players)}</div>'


def table(frame: pd.DataFrame, *, index: bool = True, has_long_texts: bool = False) -> str:
    """A DataFrame as an HTML table, its content escaped.

    Args:
        frame: the content.
        index: show the index.
        has_long_texts: break texts into lines, even within words.
    """
    name = typing.cast(str, frame.index.name)
    frame = frame.rename_axis(index=None, columns=name)  # else the name has a line of its own
    style = "long" if has_long_texts else None
    return f'<div class="wide">{frame.to_html(index=index, border=0, escape=True, na_rep="", classes=style)}</div>'


def folded(summary: str, content: str) -> str:
    """Content that opens with a click.

    Args:
        summary: text that is always visible.
        content: HTML.
    """
    return f"<details><summary>{html.escape(summary)}</summary>{content}</details>"


def page(title: str, introduction: str, sections: Sequence[Section]) -> str:
    """The whole page, as HTML.

    Args:
        title: text.
        introduction: HTML under the title.
        sections: list of `Section`.
    """
    links = []
    parts = []
    for number, section in enumerate(sections, start=1):
        heading = html.escape(section.title)
        links.append(f'<li><a href="#part{number}">{heading}</a></li>')
        parts.append(f'<section id="part{number}"><h2>{heading}</h2>{section.content}</section>')
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>\n'
        f"<body><h1>{html.escape(title)}</h1>{introduction}<nav><ul>{''.join(links)}</ul></nav>\n"
        + "\n".join(parts)
        + "</body></html>\n"
    )
