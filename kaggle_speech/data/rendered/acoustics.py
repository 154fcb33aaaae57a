"""Simulated rooms, noise and levels for rendered speech."""

import math
from collections.abc import Sequence

import numpy as np

from kaggle_speech.audio import CLIP_SAMPLES, INT16_SCALE, SAMPLE_RATE

_SHORT_CLIP_FRACTION = 1 / 8
_MIN_CLIP_SAMPLES = round(0.6 * SAMPLE_RATE)
_NOISE_SAMPLES = 16 * SAMPLE_RATE


def rms(waveform: np.ndarray) -> float:
    """Root mean square of a waveform, never zero."""
    return math.sqrt(np.mean(np.square(waveform))) + 1e-9


def _decibels(gain_db):
    return 10 ** (gain_db / 20)


def _room_response(rng):
    """The impulse response of a small room: the direct sound, then noise that decays by 60 dB in 0.1 to 0.5 s."""
    decay_s = rng.uniform(0.1, 0.5)
    time_s = np.arange(round(0.6 * decay_s * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(len(time_s)) * 10 ** (-3 * time_s / decay_s)
    response = tail * _decibels(rng.uniform(-26, -4)) / math.sqrt(np.sum(tail**2))
    response[0] += 1
    return response


def _convolve(clip, response):
    """Convolution, cut to the length of the clip; that of `scipy.signal.fftconvolve`, without its second of import."""
    num_samples = max(len(clip), CLIP_SAMPLES) + 5_600  # the tail of the longest response does not wrap around
    num_samples += -num_samples % 2_400  # a fast length
    return np.fft.irfft(np.fft.rfft(clip, num_samples) * np.fft.rfft(response, num_samples), num_samples)[: len(clip)]


def spoken_waveform(
    samples: np.ndarray, sample_rate: int, tract_scale: float = 1.0, max_samples: int | None = None
) -> np.ndarray:
    """Synthesised speech at 16 kHz, without the silence around it.

    Shape: `(samples,)` int16 -> `(samples,)` float in [-1, 1].

    Args:
        samples: output of the synthesiser.
        sample_rate: Hz.
        tract_scale: length of the vocal tract, relative to that of the voice. Also scales the duration.
        max_samples: longer speech is compressed to this length; None for any length.
    """
    import soxr

    loudness = np.abs(samples.astype(np.int32))
    loud = np.flatnonzero(loudness > 0.01 * loudness.max())
    speech = samples[loud[0] : loud[-1] + 1].astype(np.float32)
    num_samples = len(speech) * SAMPLE_RATE * tract_scale / sample_rate
    num_samples = num_samples if max_samples is None else min(num_samples, max_samples)
    return soxr.resample(speech, len(speech), num_samples)[:max_samples] / INT16_SCALE


def record(word: np.ndarray, noises: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Clip of a word at a random time and level, in a room with background noise.

    Shape: `(samples,)` -> `(CLIP_SAMPLES,)`, or in one of eight cases a shorter one.

    Args:
        word: waveform of the word alone.
        noises: waveforms with a level of 1.
        rng: NumPy generator.
    """
    num_samples = CLIP_SAMPLES
    if rng.random() < _SHORT_CLIP_FRACTION:
        num_samples = int(rng.integers(max(_MIN_CLIP_SAMPLES, len(word)), CLIP_SAMPLES - 300))
    return record_at(word, round(rng.beta(2, 2) * (num_samples - len(word))), num_samples, noises, rng)


def record_at(
    speech: np.ndarray, start: int, num_samples: int, noises: Sequence[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Recording of speech from a given sample on, at a random level, in a room with background noise.

    Shape: `(samples,)` -> `(num_samples,)`.

    Args:
        speech: waveform of the speech alone.
        start: first sample of the speech in the recording.
        num_samples: length of the recording.
        noises: waveforms with a level of 1, longer than the recording.
        rng: NumPy generator.
    """
    clip = np.zeros(num_samples)
    clip[start : start + len(speech)] = speech
    clip = _convolve(clip, _room_response(rng))
    level = _decibels(min(max(rng.normal(-23, 7), -42), -9))
    level = min(level, 0.98 * rms(clip[start : start + len(speech)]) / np.abs(clip).max())  # not clipped
    clip *= level / rms(clip[start : start + len(speech)])
    noise = noises[int(rng.integers(len(noises)))]
    offset = rng.integers(len(noise) - num_samples)
    noise_level = level * _decibels(-min(max(rng.normal(36, 15), 6), 80))
    return clip + noise_level * noise[offset : offset + num_samples]


def _coloured_noise(exponent, rng):
    """Gaussian noise whose power falls with `frequency ** exponent`: 0 is white, 1 pink, 2 brown."""
    frequencies = np.fft.rfftfreq(_NOISE_SAMPLES, 1 / SAMPLE_RATE)
    spectrum = np.fft.rfft(rng.standard_normal(_NOISE_SAMPLES)) / np.maximum(frequencies, 20) ** (exponent / 2)
    return np.fft.irfft(spectrum, _NOISE_SAMPLES)


def _scatter(sounds, rng):
    """The sounds, each at a random moment and level, summed."""
    mix = np.zeros(_NOISE_SAMPLES)
    for sound in sounds:
        start = rng.integers(_NOISE_SAMPLES - len(sound))
        mix[start : start + len(sound)] += sound * rng.uniform(0.2, 1) / np.abs(sound).max()
    return mix


def _drops(num_drops, rng):
    """Clicks at random moments that ring and decay."""
    time_s = np.arange(SAMPLE_RATE // 10) / SAMPLE_RATE
    for pitch_hz, decay_s in zip(rng.uniform(800, 4000, num_drops), rng.uniform(0.003, 0.02, num_drops), strict=True):
        yield np.sin(2 * np.pi * pitch_hz * time_s) * np.exp(-time_s / decay_s)


def background_noises(words: Sequence[np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Waveforms of six noise recordings by file name, at the levels of those of the competition.

    Args:
        words: waveforms for the babble.
        rng: NumPy generator.
    """
    time_s = np.arange(_NOISE_SAMPLES) / SAMPLE_RATE
    hum = sum(np.sin(2 * np.pi * 50 * k * time_s + k * k) / k for k in range(1, 20))
    pink, white = _coloured_noise(1, rng), _coloured_noise(0, rng)
    sounds = {
        "babble": (-30, _scatter(words, rng) + 0.01 * white),
        "brown_noise": (-24, _coloured_noise(2, rng)),
        "dripping_tap": (-36, _scatter(_drops(70, rng), rng) + 0.002 * white),
        "mains_hum": (-34, hum + 0.2 * white),
        "pink_noise": (-14, pink),
        "white_noise": (-14, white),
    }
    return {f"{name}.wav": sound * (_decibels(level_db) / rms(sound)) for name, (level_db, sound) in sounds.items()}
