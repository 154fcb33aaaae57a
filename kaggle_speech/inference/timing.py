"""Timing of a model: milliseconds per clip, real-time factor."""

import time

import numpy as np

from kaggle_speech.audio import CLIP_SAMPLES, SAMPLE_RATE
from kaggle_speech.streaming.stream import BatchModel


def milliseconds_per_clip(model: BatchModel, num_calls: int = 100, batch_size: int = 1) -> float:
    """Milliseconds of a model per clip, the median of many calls.

    Args:
        model: waveforms in, probabilities out.
        num_calls: number of calls.
        batch_size: clips in a call; 1 for a live recogniser.
    """
    waveform = np.zeros((batch_size, CLIP_SAMPLES), "float32")
    times = []
    for _ in range(num_calls):
        start = time.perf_counter()
        np.asarray(model.predict_on_batch(waveform))
        times.append(time.perf_counter() - start)
    return round(1000 * float(np.median(times)) / batch_size, 3)


def real_time_factor(model: BatchModel, duration_s: int = 8, num_calls: int = 5) -> float:
    """Seconds of a model per second of sound, the median of some calls after a warm-up call.

    Args:
        model: a model that makes transcripts.
        duration_s: seconds of sound in a call.
        num_calls: number of calls.
    """
    waveform = 0.1 * np.random.default_rng(0).standard_normal((1, duration_s * SAMPLE_RATE)).astype("float32")
    inputs = {"waveform": waveform, "num_samples": np.array([waveform.shape[1]], "int32")}
    seconds_spent = []
    for _ in range(1 + num_calls):
        start = time.monotonic()
        model.predict_on_batch(inputs)
        seconds_spent.append(time.monotonic() - start)
    return float(np.median(seconds_spent[1:])) / duration_s
