"""Subtitles against what their formats say, and against what a reader needs."""

import itertools
import re

import pytest

from kaggle_speech.text.subtitles import MAX_CHARACTERS, MAX_SECONDS, make_cues, subtitle_lines

WORDS = [(f"word{number % 13}", 0.4 * number, 0.4 * number + 0.3) for number in range(200)]


def parse(text, file_format):
    """Cues by the grammar of the format: seconds, seconds, text."""
    point = "," if file_format == "srt" else r"\."
    clock = rf"(\d\d):(\d\d):(\d\d){point}(\d\d\d)"
    number = r"(\d+)\n" if file_format == "srt" else "()"
    found = re.findall(rf"{number}{clock} --> {clock}\n(.+)\n\n", text)
    units = (3600, 60, 1, 0.001)
    seconds = [
        tuple(sum(unit * int(value) for unit, value in zip(units, row[first:], strict=False)) for first in (1, 5))
        for row in found
    ]
    return [row[0] for row in found], seconds, [row[-1] for row in found]


@pytest.mark.parametrize("file_format", ["srt", "vtt"])
def test_a_file_holds_every_word_in_its_time(file_format):
    words = [*WORDS, ("last", 3725.5, 3726.25)]
    text = "".join(subtitle_lines(words, file_format))
    assert text.startswith("WEBVTT\n\n") == (file_format == "vtt")
    numbers, seconds, lines = parse(text, file_format)
    assert " ".join(lines).split() == [word for word, _, _ in words]
    assert (
        seconds[-1] == pytest.approx((3725.5, 3726.5)) and f"01:02:05{',' if file_format == 'srt' else '.'}500" in text
    )
    if file_format == "srt":
        assert numbers == [str(number) for number in range(1, len(lines) + 1)]


def test_lines_can_be_read():
    cues = make_cues(WORDS)
    assert all(len(cue.text) <= MAX_CHARACTERS and cue.end_s - cue.start_s <= MAX_SECONDS for cue in cues)
    assert all(cue.end_s <= after.start_s for cue, after in itertools.pairwise(cues))
    paused = make_cues([("go", 0, 0.2), ("up", 0.3, 0.5), ("stop", 1.3, 1.4), ("now", 1.6, 1.7)])
    assert [cue.text for cue in paused] == ["go up", "stop now"]
    assert make_cues([("w" * 60, 0, 9.0)]) == [(0, 9.0, "w" * 60)] and make_cues([]) == []


def test_another_format_is_refused():
    with pytest.raises(ValueError, match=r"`file_format` must be one of .*'ass'"):
        [*subtitle_lines(WORDS, "ass")]
