"""Made noise of many kinds, to train on beside a few recordings: seeded, NumPy only.

Wind and rain (coloured noise that swells), engines and hum, knocks and drops, notes, cries and barks, and babble of
running speech where there is any.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from kaggle_speech.audio import INT16_SCALE, SAMPLE_RATE
from kaggle_speech.data.negatives import read_windows, window_starts
from kaggle_speech.data.noise import tilt_spectrum

#: Each piece of made noise has one kind, or two on top of each other.
PIECE_SECONDS = 4
PIECE_SAMPLES = PIECE_SECONDS * SAMPLE_RATE
PROBABILITY_OF_TWO = 0.3
RMS = 0.1
MAX_VOICES = 8


def _log_uniform(rng, low, high, size=None):
    return np.exp(rng.uniform(np.log(low), np.log(high), size))


def _slow_curve(rng, points_per_second):
    """Random curve over a piece, 0 to 1, by straight lines between random points. Shape: -> `(PIECE_SAMPLES,)`."""
    num_points = 2 + int(PIECE_SECONDS * points_per_second)
    return np.interp(np.linspace(0, num_points - 1, PIECE_SAMPLES), np.arange(num_points), rng.uniform(size=num_points))


def _coloured(rng):
    return tilt_spectrum(rng.standard_normal(PIECE_SAMPLES), rng.uniform(-12, 6))


def _gusts(rng):
    """Wind, waves, rain: coloured noise whose level moves."""
    return _coloured(rng) * _slow_curve(rng, _log_uniform(rng, 0.5, 20)) ** rng.uniform(1, 4)


def _harmonics(rng, frequency_hz, num_harmonics, tilt):
    """A tone with harmonics whose frequency moves. Shape: `(PIECE_SAMPLES,)` -> the same."""
    phase = 2 * np.pi * np.cumsum(frequency_hz) / SAMPLE_RATE
    sound = np.zeros(PIECE_SAMPLES)
    for harmonic in range(1, num_harmonics + 1):
        is_audible = harmonic * frequency_hz < SAMPLE_RATE / 2
        level = rng.uniform(0.2, 1) / harmonic**tilt
        sound += level * is_audible * np.sin(harmonic * phase + rng.uniform(0, 2 * np.pi))
    return sound


def _engine(rng):
    """Engine, fan, hum: a low tone with many harmonics in coloured noise."""
    frequency_hz = _log_uniform(rng, 20, 250) * (1 + rng.uniform(0, 0.5) * _slow_curve(rng, 1))
    tone = _harmonics(rng, frequency_hz, 30, rng.uniform(0.3, 1.5))
    return tone / tone.std() + rng.uniform(0, 1.5) * _coloured(rng)


def _impulses(rng):
    """Knocks, clicks, drops, keys: short resonances at random times."""
    num_impulses = 1 + rng.poisson(PIECE_SECONDS * _log_uniform(rng, 0.5, 40))
    sound = np.zeros(PIECE_SAMPLES)
    middle_hz, decay = _log_uniform(rng, 150, 6000), _log_uniform(rng, 0.001, 0.1)
    for start in rng.integers(PIECE_SAMPLES, size=num_impulses):
        length = min(int(6 * decay * SAMPLE_RATE) + 1, PIECE_SAMPLES - start)
        time = np.arange(length) / SAMPLE_RATE
        frequency_hz = middle_hz * _log_uniform(rng, 0.7, 1.4)
        burst = np.sin(2 * np.pi * frequency_hz * time) + rng.uniform(0, 2) * rng.standard_normal(length)
        sound[start : start + length] += rng.uniform(0.2, 1) * burst * np.exp(-time / decay)
    return sound + 1e-3 * rng.standard_normal(PIECE_SAMPLES)


def _notes(rng):
    """Music: notes of a few voices, each with an attack and a decay."""
    sound = np.zeros(PIECE_SAMPLES)
    num_harmonics, tilt = int(rng.integers(1, 12)), rng.uniform(0.5, 2)
    for _ in range(rng.integers(4, 24)):
        frequency_hz = np.full(PIECE_SAMPLES, 440 * 2 ** (rng.integers(-28, 29) / 12))
        time = (np.arange(PIECE_SAMPLES) - rng.integers(-SAMPLE_RATE, PIECE_SAMPLES)) / SAMPLE_RATE
        attack, decay = _log_uniform(rng, 0.003, 0.2), _log_uniform(rng, 0.1, 2)
        envelope = np.where(time > 0, (1 - np.exp(-np.maximum(time, 0) / attack)) * np.exp(-time / decay), 0)
        sound += _harmonics(rng, frequency_hz, num_harmonics, tilt) * envelope
    return sound + 1e-3 * rng.standard_normal(PIECE_SAMPLES)


def _cries(rng):
    """Cries, barks, birds, sirens: bursts of a gliding tone with harmonics, or with noise."""
    middle_hz = _log_uniform(rng, 200, 4000)
    glide = _slow_curve(rng, _log_uniform(rng, 1, 15))
    frequency_hz = middle_hz * 2 ** (rng.uniform(0.1, 1.5) * (glide - 0.5))
    tone = _harmonics(rng, frequency_hz, int(rng.integers(1, 10)), rng.uniform(0.3, 1.5))
    curve = _slow_curve(rng, _log_uniform(rng, 1, 12))
    bursts = np.clip((curve - rng.uniform(0, 0.6)) * rng.uniform(2, 10), 0, 1)
    return (tone / tone.std() + rng.uniform(0, 0.5) * _coloured(rng)) * bursts + 1e-3 * _coloured(rng)


def _babble(rng, paths, num_samples):
    """Several voices at once. Shape: -> `(PIECE_SAMPLES,)`."""
    num_voices = int(rng.integers(1, MAX_VOICES + 1))
    rows, starts = window_starts(num_samples, rng.uniform(size=num_voices * PIECE_SECONDS))
    voices = read_windows(paths[rows], starts).reshape(num_voices, PIECE_SAMPLES) / INT16_SCALE
    return (_log_uniform(rng, 0.2, 1, (num_voices, 1)) * voices).sum(axis=0)


#: Kinds that need no recording.
KINDS: Sequence[Callable[[np.random.Generator], np.ndarray]] = (_coloured, _gusts, _engine, _impulses, _notes, _cries)


def make_noise(num_seconds: float, seed: int = 0, speech_df: pd.DataFrame | None = None) -> np.ndarray:
    """Noise of many kinds, piece after piece, each as loud as the others.

    Shape: -> `(samples,)` float32, at least `num_seconds` long in whole pieces of four seconds.

    Args:
        num_seconds: length.
        seed: of all random choices.
        speech_df: running speech (`negatives.speech_negatives`) for babble; None makes no babble.

    Raises:
        AudioError: a recording of speech cannot be read; names it.

    Examples:
        >>> make_noise(6).shape
        (128000,)
    """
    rng = np.random.default_rng(seed)
    kinds = list(KINDS)
    if speech_df is not None:
        paths, num_samples = speech_df["path"].astype(str).to_numpy(), speech_df["num_samples"].to_numpy()
        kinds.append(lambda rng: _babble(rng, paths, num_samples))
    pieces = []
    for _ in range(math.ceil(num_seconds / PIECE_SECONDS)):
        piece = np.zeros(PIECE_SAMPLES)
        for index in rng.choice(len(kinds), 1 + int(rng.uniform() < PROBABILITY_OF_TWO), replace=False):
            sound = kinds[index](rng)
            piece += rng.uniform(0.3, 1) * sound / max(sound.std(), 1e-6)
        pieces.append(RMS * piece / max(piece.std(), 1e-6))
    return np.concatenate(pieces).astype("float32")
