"""Synthetic test streams: real clips at random times over background noise, with the times of the words."""

import itertools
import typing
from collections.abc import Generator, Iterator, Sequence

import numpy as np
import pandas as pd

from kaggle_speech.audio import CLIP_SAMPLES, SAMPLE_RATE, read_clip
from kaggle_speech.labels import COMMANDS

#: Mean power of every word while it sounds, about the median of the recordings; the noise is set relative to it.
WORD_LEVEL_DBFS = -23.0
#: Seconds from the start of a word to the start of the next one, or of a pause in its place.
MIN_SLOT_S, MAX_SLOT_S = 2.0, 4.0
#: Seconds of a noise recording before the next one follows.
RECORDING_S = 60.0
#: Length of the fades at both ends of a clip, so that its own background does not click.
FADE_SAMPLES = 160
#: Step of the frames in which the power of a clip is measured.
FRAME_SAMPLES = 160
#: Frames whose power is at most so far below the loudest frame belong to the word.
WORD_RANGE_DB = 25.0


class Utterance(typing.NamedTuple):
    """A word of a stream.

    Attributes:
        word: the word.
        start_s, end_s: start and end of its sound, in seconds of the stream.
    """

    word: str
    start_s: float
    end_s: float

    @property
    def is_command(self) -> bool:
        """Whether the word is one of the ten commands."""
        return self.word in COMMANDS


def sounding_span(waveform: np.ndarray) -> tuple[int, int]:
    """First and last sample of the word in a clip.

    The word spans the frames (10 ms, measured over 20 ms) whose power is at most 25 dB below that of the loudest one
    and 6 dB above the quietest tenth, if the loudest one is.

    Shape: `(samples,)` -> `(first, end)` samples; the whole clip where it is digital silence.
    """
    power = np.convolve(np.square(waveform, dtype="float64"), np.ones(2 * FRAME_SAMPLES), "same")[::FRAME_SAMPLES]
    if not power.any():
        return 0, len(waveform)
    level_db = 10 * np.log10(power + 1e-10 * power.max())
    limit_db = max(level_db.max() - WORD_RANGE_DB, np.percentile(level_db, 10) + 6)
    frames = np.flatnonzero(level_db >= min(limit_db, level_db.max() - 6))
    return int(frames[0]) * FRAME_SAMPLES, min(len(waveform), (int(frames[-1]) + 1) * FRAME_SAMPLES)


def to_level(waveform: np.ndarray, level_dbfs: float) -> np.ndarray:
    """A waveform brought to a mean power. Shape: `(samples,)` -> the same, float32.

    Args:
        waveform: float.
        level_dbfs: mean power in dB; a square wave of full scale has 0.
    """
    return (waveform * _gain(waveform, level_dbfs)).astype("float32")


def _gain(waveform: np.ndarray, level_dbfs: float) -> np.float32:
    """Factor that brings a waveform to a mean power in dB."""
    power = float(np.mean(np.square(waveform, dtype="float64")))
    return np.float32(10 ** (level_dbfs / 20) / np.sqrt(max(power, 1e-12)))


def _noise_pieces(
    regions: Sequence[np.ndarray], level_dbfs: float, rng: np.random.Generator
) -> Generator[np.ndarray, int, None]:
    """Endless noise: recording after recording, each from a random position and again from its start, at one power.

    A generator: send it the number of samples to give next.
    """
    num_samples = yield np.zeros(0, "float32")
    for region in itertools.cycle(regions):
        region = region * _gain(region, level_dbfs)
        position = int(rng.integers(len(region)))
        num_left = round(RECORDING_S * SAMPLE_RATE)
        while num_left > 0:
            num_samples = yield np.take(region, np.arange(position, position + num_samples), mode="wrap")
            position += num_samples
            num_left -= num_samples


def _endless(paths: list, rng: np.random.Generator) -> Iterator:
    """Every path once in random order, then again."""
    while True:
        yield from rng.permutation(paths)


def stream_pieces(
    clips_df: pd.DataFrame,
    regions: Sequence[np.ndarray],
    snr_db: float,
    duration_s: float,
    seed: int = 0,
    *,
    has_words: bool = True,
) -> Iterator[tuple[np.ndarray, Utterance | None]]:
    """A synthetic stream, piece by piece: every 2 to 4 s a command, another word, or nothing, a third of each.

    Every word has the same level while it sounds, the noise recordings are `snr_db` below it (in mean power over the
    whole recording, whose quiet and loud parts stay). No clip is repeated before all were used.

    Args:
        clips_df: columns `path, word`; commands and other words.
        regions: noise recordings, from `noise.read_noise`.
        snr_db: signal-to-noise ratio.
        duration_s: length in seconds; the last piece ends a little later.
        seed: seed of all random choices.
        has_words: False gives the noise alone.

    Yields:
        `(samples,)` float32, and the `Utterance` in it or None.

    Raises:
        ValueError: there are no recordings, no commands or no other words.
    """
    is_command = clips_df["word"].isin(COMMANDS)
    groups = [list(clips_df["path"][chosen]) for chosen in (is_command, ~is_command)]
    if not regions or not all(groups):
        raise ValueError(
            "`clips_df` must hold commands and other words, `regions` recordings. "
            f"Received: {len(groups[0])} commands, {len(groups[1])} others, {len(regions)} recordings"
        )
    words = dict(zip(clips_df["path"], clips_df["word"], strict=True))
    rng = np.random.default_rng(seed)
    noise = _noise_pieces(regions, WORD_LEVEL_DBFS - snr_db, rng)
    next(noise)
    paths = [_endless(group, rng) for group in groups]
    num_samples = 0
    while num_samples < duration_s * SAMPLE_RATE:
        piece = noise.send(round(rng.uniform(MIN_SLOT_S, MAX_SLOT_S) * SAMPLE_RATE))
        kind = rng.integers(3)
        utterance = None
        if has_words and kind < 2:
            path = next(paths[kind])
            clip, first, end = level_clip(read_clip(path))
            piece[:CLIP_SAMPLES] += clip
            utterance = Utterance(words[path], (num_samples + first) / SAMPLE_RATE, (num_samples + end) / SAMPLE_RATE)
        num_samples += len(piece)
        yield np.clip(piece, -1, 1), utterance


def level_clip(clip: np.ndarray) -> tuple[np.ndarray, int, int]:
    """A clip at the level of a stream, its edges faded.

    Shape: `(samples,)` -> the same, and the first and the end sample of its word.
    """
    first, end = sounding_span(clip)
    clip = clip * _gain(clip[first:end], WORD_LEVEL_DBFS)
    fade = np.linspace(0, 1, FADE_SAMPLES, dtype="float32")
    clip[:FADE_SAMPLES] *= fade
    clip[-FADE_SAMPLES:] *= fade[::-1]
    return clip, first, end
