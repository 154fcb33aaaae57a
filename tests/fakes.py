"""Fakes that tests of several rooms share: a model that knows tones, sources of chunks, and waiting with a deadline."""

import os
import time

import numpy as np

from kaggle_speech.audio import CLIP_SAMPLES, SAMPLE_RATE
from kaggle_speech.streaming.words import StreamingRecogniser

#: Seconds after which whatever is waited for counts as broken.
TIMEOUT_S = 30
#: Labels of `Tones`, those that are reported, and the frequency of each.
VOCABULARY = ("yes", "no", "silence", "unknown")
EVENTS = ("yes", "no")
TONES_HZ = {"yes": 500, "no": 1000, "unknown": 2000}


def wait_for(condition, pause=time.sleep, timeout_s=TIMEOUT_S):
    """Wait until a condition holds; fail when it never does. `pause` is called with seconds between two looks."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"nothing came in {timeout_s} s"
        pause(0.005)


def killed_at(fit, epoch):
    """`fit` of a Keras model, that ends the process in the middle of an epoch, as kill -9 would."""
    import keras

    class KillAt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.now = epoch

        def on_train_batch_end(self, batch, logs=None):
            if self.now == epoch and batch == 1:
                os._exit(9)

    return lambda *args, callbacks, **options: fit(*args, callbacks=[*callbacks, KillAt()], **options)


class Tones:
    """A model without a framework: the label of the loudest of three tones, or silence."""

    num_calls = 0

    def predict_on_batch(self, waveform):
        self.num_calls += 1
        power = np.abs(np.fft.rfft(waveform)) ** 2 / CLIP_SAMPLES
        scores = [power[:, hz - 20 : hz + 20].sum(axis=1) for hz in TONES_HZ.values()]
        scores.insert(VOCABULARY.index("silence"), np.full(len(waveform), 2.0))
        return (np.array(scores) / np.sum(scores, axis=0)).T.astype("float32")


def tone_recogniser(**options):
    """A streaming recogniser of `Tones`, which are never as sure as a network."""
    return StreamingRecogniser(Tones(), VOCABULARY, events=EVENTS, **{"threshold": 0.55, **options})


def tone(word, duration_s=0.5, level=0.2):
    """The tone of a label. Shape: -> `(samples,)` float32."""
    time_s = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    return (level * np.sin(2 * np.pi * TONES_HZ[word] * time_s)).astype("float32")


def sentence(words, rng, pause_s=1.5, noise=0.001):
    """Tones with pauses before, between and after. Shape: -> `(samples,)` float32."""
    parts = [np.zeros(round(rng.uniform(1, 1.3) * pause_s * SAMPLE_RATE), "float32")]
    for word in words:
        pause = np.zeros(round(rng.uniform(1, 1.3) * pause_s * SAMPLE_RATE), "float32")
        parts += [tone(word), pause]
    waveform = np.concatenate(parts)
    return waveform + (noise * rng.standard_normal(len(waveform))).astype("float32")


class Chunks:
    """A live source of given chunks that may fail at its end, or wait there until it is stopped."""

    name = "chunks"
    is_live = True

    def __init__(self, chunks, error=None, *, waits=False):
        self.given = chunks
        self.error = error
        self.waits = waits
        self.num_closed = 0

    def chunks(self):
        try:
            yield from self.given
            if self.error:
                raise self.error
            deadline = time.monotonic() + TIMEOUT_S
            while self.waits and time.monotonic() < deadline:
                time.sleep(0.001)
                yield np.zeros(0, "float32")
        finally:
            self.num_closed += 1
