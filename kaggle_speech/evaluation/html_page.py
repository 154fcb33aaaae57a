"""Self-contained HTML page without scripts, with pictures and sounds as data URIs."""

import base64
import html
import io
import typing
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kaggle_speech.audio import wav_bytes

STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
nav ul { columns: 2; padding-left: 1.2rem; }
figure { margin: 1rem 0; } figcaption { margin-top: .4rem; }
img { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; } td { overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
.clips { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem; }
.clips figure { margin: 0; padding: .6rem; background: var(--soft); border-radius: 6px; }
audio { width: 100%; }
"""


class Section(typing.NamedTuple):
    """A heading and its content.

    Attributes:
        title: text.
        content: HTML, from the functions of this module.
    """

    title: str
    content: str


def data_uri(content: bytes, media_type: str) -> str:
    """A `data:` URI that holds the bytes."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def paragraph(text: str) -> str:
    """A paragraph of text, as HTML."""
    return f"<p>{html.escape(text)}</p>"


def png_bytes(figure: Figure) -> bytes:
    """A matplotlib figure as PNG."""
    content = io.BytesIO()
    figure.savefig(content, format="png", bbox_inches="tight", dpi=100)
    return content.getvalue()


def picture(png: bytes, caption: str, name: str) -> str:
    """A picture with a caption.

    Args:
        png: content of the PNG file.
        caption: text under it.
        name: text for screen readers.
    """
    image = f'<img src="{data_uri(png, "image/png")}" alt="{html.escape(name)}">'
    return f"<figure>{image}<figcaption>{html.escape(caption)}</figcaption></figure>"


def clip_player(waveform: np.ndarray, png: bytes, caption: str) -> str:
    """A clip with its picture and a player.

    Args:
        waveform: `(samples,)`, 16 kHz.
        png: picture of the clip.
        caption: text under it.
    """
    player = f'<audio controls preload="none" src="{data_uri(wav_bytes(waveform), "audio/wav")}"></audio>'
    image = f'<img src="{data_uri(png, "image/png")}" alt="{html.escape(f"spectrogram: {caption}")}">'
    return f"<figure>{image}{player}<figcaption>{html.escape(caption)}</figcaption></figure>"


def clip_players(players: Iterable[str]) -> str:
    """Clips side by side.

    Args:
        players: from `clip_player`.
    """
    return f'<div class="clips">{"".join(players)}</div>'


def table(frame: pd.DataFrame, *, index: bool = True) -> str:
    """A DataFrame as an HTML table, its content escaped.

    Args:
        frame: the content.
        index: show the index.
    """
    name = typing.cast(str, frame.index.name)
    frame = frame.rename_axis(index=None, columns=name)  # else the name has a line of its own
    return f'<div class="wide">{frame.to_html(index=index, border=0, escape=True, na_rep="")}</div>'


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
