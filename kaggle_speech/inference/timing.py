"""Timing of a model: milliseconds per clip, real-time factor."""

import time

import numpy as np

from kaggle_speech.audio import CLIP_SAMPLES, SAMPLE_RATE


def milliseconds_per_clip(model, num_calls=100, batch_size=1):
    """How long a model takes for a clip, the median of many calls; a live recogniser waits for one at a time."""
    waveform = np.zeros((batch_size, CLIP_SAMPLES), "float32")
    times = []
    for _ in range(num_calls):
        start = time.perf_counter()
        np.asarray(model.predict_on_batch(waveform))
        times.append(time.perf_counter() - start)
    return round(1000 * float(np.median(times)) / batch_size, 3)


def real_time_factor(model, duration_s=8, num_calls=5):
    """Seconds that a model takes for a second of sound: the median of some calls, after one that does not count."""
    waveform = 0.1 * np.random.default_rng(0).standard_normal((1, duration_s * SAMPLE_RATE)).astype("float32")
    inputs, seconds_spent = {"waveform": waveform, "num_samples": np.array([waveform.shape[1]], "int32")}, []
    for _ in range(1 + num_calls):
        start = time.monotonic()
        model.predict_on_batch(inputs)
        seconds_spent.append(time.monotonic() - start)
    return float(np.median(seconds_spent[1:])) / duration_s
