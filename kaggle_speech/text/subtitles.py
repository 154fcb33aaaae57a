"""Subtitles: words with times to SubRip (SRT) and WebVTT. Standard library only."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

#: Longest line of a subtitle in characters, and longest time that one is shown.
MAX_CHARACTERS = 42
MAX_SECONDS = 6.0
#: A pause that ends a subtitle.
PAUSE_S = 0.7
#: A subtitle stays at least so long, where the next one leaves it the time.
MIN_SECONDS = 1.0

FORMATS = ("srt", "vtt")


class Cue(NamedTuple):
    """A line of subtitles.

    Attributes:
        start_s, end_s: when it is shown, in seconds.
        text: its words.
    """

    start_s: float
    end_s: float
    text: str


def make_cues(words: Sequence[tuple[str, float, float]]) -> list[Cue]:
    """Lines of subtitles from words: broken at pauses, and where they would be too long to read.

    Args:
        words: text, start and end in seconds of each, in the order of time.

    Examples:
        >>> make_cues([("go", 0.5, 0.8), ("up", 0.9, 1.2), ("stop", 3.0, 3.4)])
        [Cue(start_s=0.5, end_s=1.5, text='go up'), Cue(start_s=3.0, end_s=4.0, text='stop')]
    """
    lines: list[list[tuple[str, float, float]]] = []
    for word in words:
        text, start_s, end_s = word
        is_new = (
            not lines
            or start_s - lines[-1][-1][2] >= PAUSE_S
            or end_s - lines[-1][0][1] > MAX_SECONDS
            or sum(len(other) + 1 for other, _, _ in lines[-1]) + len(text) > MAX_CHARACTERS
        )
        if is_new:
            lines.append([])
        lines[-1].append(word)
    next_starts = [*(line[0][1] for line in lines[1:]), math.inf]
    return [
        Cue(line[0][1], max(line[-1][2], min(line[0][1] + MIN_SECONDS, next_start)), " ".join(word[0] for word in line))
        for line, next_start in zip(lines, next_starts, strict=False)
    ]


def subtitle_lines(words: Sequence[tuple[str, float, float]], file_format: str) -> Iterator[str]:
    """Lines of a subtitle file, each with its end.

    Args:
        words: text, start and end in seconds of each, in the order of time.
        file_format: `srt` or `vtt`.

    Raises:
        ValueError: no such format.

    Examples:
        >>> print(*subtitle_lines([("go", 0.5, 1.8)], "srt"), sep="", end="")
        1
        00:00:00,500 --> 00:00:01,800
        go
        <BLANKLINE>

    Source: https://www.w3.org/TR/webvtt1/; SubRip has commas for points, numbers, and no header.
    """
    if file_format not in FORMATS:
        raise ValueError(f"`file_format` must be one of {FORMATS}. Received: file_format={file_format!r}")
    is_srt = file_format == "srt"
    if not is_srt:
        yield "WEBVTT\n\n"
    for number, cue in enumerate(make_cues(words), start=1):
        start, end = (_clock(time_s, "," if is_srt else ".") for time_s in (cue.start_s, cue.end_s))
        yield (f"{number}\n" if is_srt else "") + f"{start} --> {end}\n{cue.text}\n\n"


def _clock(time_s: float, point: str) -> str:
    seconds, milliseconds = divmod(round(1000 * time_s), 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{milliseconds:03d}"
