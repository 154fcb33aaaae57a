"""Long streams of real clips over background noise, and what is said in them when. NumPy only."""

import itertools
import typing

import numpy as np

from kaggle_speech.audio import CLIP_SAMPLES, SAMPLE_RATE, read_clip
from kaggle_speech.labels import COMMANDS

#: Mean power of every word while it sounds; the noise is put below it. About the median of the recordings.
WORD_LEVEL_DBFS = -23.0
#: Seconds from the start of a word to the start of the next one, or of a pause in its place.
MIN_SLOT_S, MAX_SLOT_S = 2.0, 4.0
#: Seconds of a noise recording before the next one is heard.
RECORDING_S = 60.0
#: A clip begins and ends softly, so that its own background does not click.
FADE_SAMPLES = 160
#: Frames in which the power of a clip is measured, and how far below the loudest one the word still sounds.
FRAME_SAMPLES, WORD_RANGE_DB = 160, 25.0


class Utterance(typing.NamedTuple):
    """A word of a stream.

    Attributes:
        word: what is said.
        start_s, end_s: from when to when it sounds, seconds of the stream.
    """

    word: str
    start_s: float
    end_s: float

    @property
    def is_command(self):
        """Whether it is one of the ten."""
        return self.word in COMMANDS


def sounding_span(waveform):
    """From where to where the word of a clip sounds.

    The frames (10 ms, measured over 20 ms) whose power is at most 25 dB below that of the loudest one, and 6 dB above
    the quietest tenth, where the loudest one is.

    Shape: `(samples,)` -> `(first, end)` samples; the whole clip where it is digital silence.
    """
    power = np.convolve(np.square(waveform, dtype="float64"), np.ones(2 * FRAME_SAMPLES), "same")[::FRAME_SAMPLES]
    if not power.any():
        return 0, len(waveform)
    level_db = 10 * np.log10(power + 1e-10 * power.max())
    limit_db = max(level_db.max() - WORD_RANGE_DB, np.percentile(level_db, 10) + 6)
    frames = np.flatnonzero(level_db >= min(limit_db, level_db.max() - 6))
    return int(frames[0]) * FRAME_SAMPLES, min(len(waveform), (int(frames[-1]) + 1) * FRAME_SAMPLES)


def _gain(waveform, level_dbfs):
    """What a waveform must be multiplied by to have a mean power of so many dB."""
    power = float(np.mean(np.square(waveform, dtype="float64")))
    return np.float32(10 ** (level_dbfs / 20) / np.sqrt(max(power, 1e-12)))


def _noise_pieces(regions, level_dbfs, rng):
    """Endless noise: recording after recording, each from a drawn place and again from its start, at the same power.

    A generator that is sent the number of samples it shall give next.
    """
    num_samples = yield
    for region in itertools.cycle(regions):
        region = region * _gain(region, level_dbfs)
        at, left = int(rng.integers(len(region))), round(RECORDING_S * SAMPLE_RATE)
        while left > 0:
            num_samples = yield np.take(region, np.arange(at, at + num_samples), mode="wrap")
            at, left = at + num_samples, left - num_samples


def _endless(paths, rng):
    """Every path once in drawn order, then again."""
    while True:
        yield from rng.permutation(paths)


def stream_pieces(clips_df, regions, snr_db, duration_s, seed=0, *, has_words=True):
    """A stream, piece by piece: a command, a word that is none, or nothing, every 2 to 4 s, a third of each.

    Every word is put at the same level while it sounds, the recordings of noise at `snr_db` below it (in mean power,
    each over its whole length: one that is quiet and loud in turn stays so). Clips are drawn without repetition until
    all were heard.

    Args:
        clips_df: columns `path, word`; commands and other words.
        regions: noise recordings, from `noise.read_noise`.
        snr_db: signal-to-noise ratio.
        duration_s: seconds; the last piece goes a little beyond.
        seed: of everything that is drawn.
        has_words: False gives nothing but the noise.

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
    words, rng = dict(zip(clips_df["path"], clips_df["word"], strict=True)), np.random.default_rng(seed)
    noise, paths = _noise_pieces(regions, WORD_LEVEL_DBFS - snr_db, rng), [_endless(group, rng) for group in groups]
    next(noise)
    num_samples = 0
    while num_samples < duration_s * SAMPLE_RATE:
        piece = noise.send(round(rng.uniform(MIN_SLOT_S, MAX_SLOT_S) * SAMPLE_RATE))
        kind, utterance = rng.integers(3), None
        if has_words and kind < 2:
            path = next(paths[kind])
            clip, first, end = level_clip(read_clip(path))
            piece[:CLIP_SAMPLES] += clip
            utterance = Utterance(words[path], (num_samples + first) / SAMPLE_RATE, (num_samples + end) / SAMPLE_RATE)
        num_samples += len(piece)
        yield np.clip(piece, -1, 1), utterance


def level_clip(clip):
    """A clip with its word at the level of a stream, edges faded; and the samples from where to where it sounds."""
    first, end = sounding_span(clip)
    clip = clip * _gain(clip[first:end], WORD_LEVEL_DBFS)
    fade = np.linspace(0, 1, FADE_SAMPLES, dtype="float32")
    clip[:FADE_SAMPLES] *= fade
    clip[-FADE_SAMPLES:] *= fade[::-1]
    return clip, first, end
