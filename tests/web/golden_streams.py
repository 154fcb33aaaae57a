"""Golden streams: hops (level, probabilities) and the detections in them, which Python and JavaScript replay.

`python tests/web/golden_streams.py WAV` writes them again: after a change of the streams, with any recording of words.
"""

import json
import sys
from pathlib import Path

import numpy as np

from kaggle_speech.audio import CLIP_SAMPLES, read_audio
from kaggle_speech.inference.answers import Rejection
from kaggle_speech.inference.load import load_recogniser
from kaggle_speech.inference.recogniser import Recogniser
from kaggle_speech.labels import COMMANDS, VOCABULARIES
from kaggle_speech.streaming import words
from kaggle_speech.web.settings import page_settings

FOLDER = Path(__file__).parent / "golden"
#: Name -> classes, options of the stream, rejection. `words` is recorded, the others are drawn.
STREAMS = {
    "words": (12, {}, {}),
    "short_hops": (12, {"hop_ms": 50, "smoothing": 0.3, "threshold": 0.6, "in_sentences": True}, {}),
    "long_hops": (
        31,
        {"hop_ms": 250, "smoothing": 0.2, "threshold": 0.5, "skip_silence": False, "in_sentences": True},
        {},
    ),
    "commands_only": (11, {"in_sentences": True, "threshold": 0.7}, {}),
    "probability": (12, {"threshold": 0.6}, {"score": "probability", "temperature": 1.7, "threshold": 0.6}),
    "known": (32, {"threshold": 0.5, "in_sentences": True}, {"score": "known", "temperature": 0.8, "threshold": 0.9}),
    "entropy": (
        12,
        {"threshold": 0.6, "min_gap_ms": 2000},
        {"score": "entropy", "temperature": 1.7, "threshold": -1.0},
    ),
    "other_words": (32, {"events": ["yes", *VOCABULARIES[32][10:30]], "threshold": 0.5, "in_sentences": True}, {}),
    "margin": (12, {"threshold": 0.6, "in_sentences": True}, {"score": "margin", "threshold": 0.7}),
}


class Given:
    """A model whose probabilities are given, one hop after the other; `hop` is the number of the next one."""

    def __init__(self, probabilities):
        self.probabilities = probabilities
        self.hop = 0

    def predict_on_batch(self, waveform):
        return np.array([self.probabilities[self.hop]], "float32")


def recogniser_of(model, num_classes, rejection):
    """The recogniser of a golden stream."""
    return Recogniser(model, VOCABULARIES[num_classes], rejection=Rejection(**rejection), name="golden")


def replay(stream, model, levels):
    """Detections of a stream at given levels, as `[hop, label, confidence]`."""
    detections = []
    level_dbfs = words.level_dbfs
    try:
        for model.hop, level in enumerate(levels):
            words.level_dbfs = lambda _, level=level: level
            for detection in stream.process(np.zeros(stream.hop_samples, "float32")):
                detections.append([model.hop, detection.label, detection.confidence])
    finally:
        words.level_dbfs = level_dbfs
    return detections


def settings_of(recogniser, options):
    """Settings of the page without those of the spectrogram, which are long."""
    settings = page_settings(recogniser, **options)
    del settings["spectrogram"]
    return settings


def recorded_hops(path):
    """Level and probabilities of each hop of a recording, by the default model."""
    recogniser = load_recogniser()
    waveform = read_audio(path)
    hop = recogniser.stream().hop_samples
    padded = np.concatenate([np.zeros(CLIP_SAMPLES - hop, "float32"), waveform])
    for start in range(0, len(waveform) - hop + 1, hop):
        window = padded[start : start + CLIP_SAMPLES]
        yield words.level_dbfs(window[-hop:]), recogniser.model.predict_on_batch(window[None])[0]


def drawn_hops(num_classes, hop_ms, rng, num_hops=500):
    """Words, alone and in sentences, over noise: a label leads while a word sounds."""
    num_sounding = 0
    label = 0
    for _ in range(num_hops):
        if num_sounding == 0 and rng.random() < hop_ms / 1500:
            num_sounding = max(1, round(rng.uniform(300, 900) / hop_ms))
            label = rng.integers(len(COMMANDS) if rng.random() < 0.7 else num_classes)
        weights = np.full(num_classes, 0.05)
        weights[label] += rng.uniform(0, 12) if num_sounding else 0
        level = rng.normal(-22, 3) if num_sounding else rng.normal(-58, 2)
        num_sounding = max(0, num_sounding - 1)
        yield level, rng.dirichlet(weights)


def write(name, path):
    """Write a golden stream."""
    num_classes, options, rejection = STREAMS[name]
    rng = np.random.default_rng(len(name))
    hops = recorded_hops(path) if name == "words" else drawn_hops(num_classes, options.get("hop_ms", 100), rng)
    hops = [
        [round(float(level), 3), [round(float(value), 4) for value in probabilities]] for level, probabilities in hops
    ]
    model = Given([probabilities for _, probabilities in hops])
    recogniser = recogniser_of(model, num_classes, rejection)
    content = {
        "settings": settings_of(recogniser, options),
        "hops": hops,
        "detections": replay(recogniser.stream(**options), model, [level for level, _ in hops]),
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")
    print(f"{name}: {len(hops)} hops, {len(content['detections'])} detections")


if __name__ == "__main__":
    for stream_name in STREAMS:
        write(stream_name, sys.argv[1])
