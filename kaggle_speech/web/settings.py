"""`settings.json`: every number and word that the page has in common with the streams, the window and the model."""

import json
import math
import typing

from kaggle_speech.audio import CLIP_SAMPLES, SAMPLE_RATE
from kaggle_speech.features.filters import MIN_POWER, hz_to_mel, mel_matrix
from kaggle_speech.inference.recogniser import Recogniser
from kaggle_speech.labels import COMMANDS, COMPETITION_LABELS, word_to_label
from kaggle_speech.streaming import runner, sources
from kaggle_speech.streaming.app import palette
from kaggle_speech.streaming.chunks import BUFFER_SAMPLES, MIN_LEVEL_DBFS
from kaggle_speech.streaming.words import MAX_THRESHOLD, MIN_THRESHOLD, StreamingRecogniser

#: Version of the format, which the page checks (`SETTINGS_VERSION` in `static/recogniser.js`).
VERSION = 1
CHUNK_SAMPLES = round(sources.CHUNK_MS * SAMPLE_RATE / 1000)


def page_settings(recogniser: Recogniser, **options: typing.Any) -> dict[str, typing.Any]:
    """Settings of the page that recognises as `recogniser.listen` does.

    Args:
        recogniser: the recogniser, without enrolled words.
        options: arguments of `Recogniser.stream`, such as `threshold`, `hop_ms`, `in_sentences`.

    Returns:
        dict, as JSON reads it.

    Raises:
        ValueError: an option is out of range, or the recogniser has enrolled words.
    """
    if recogniser.words:
        raise ValueError(f"`recogniser` must have no enrolled words in a page. Received: {', '.join(recogniser.words)}")
    settings = {
        "version": VERSION,
        "sample_rate": SAMPLE_RATE,
        "clip_samples": CLIP_SAMPLES,
        "buffer_samples": BUFFER_SAMPLES,
        "chunk_samples": CHUNK_SAMPLES,
        "max_waiting_samples": runner.MAX_WAITING * CHUNK_SAMPLES,
        "silent_device_s": sources.SILENT_DEVICE_S,
        "refresh_ms": palette.REFRESH_MS,
        "bright_ms": palette.BRIGHT_MS,
        **_stream_settings(recogniser.stream(**options), recogniser),
        "spectrogram": _spectrogram_settings(),
    }
    return json.loads(json.dumps(settings))


def _stream_settings(stream: StreamingRecogniser, recogniser: Recogniser) -> dict[str, typing.Any]:
    """Settings of a stream, as its parts have them."""
    trigger, activity, gate, rejection = stream.trigger, stream.activity, stream.gate, recogniser.rejection
    has_own_answers = not trigger.events <= set(COMMANDS)  # other words are reported, too: see `Recogniser.stream`
    labels: tuple[str, ...] = stream.vocabulary if has_own_answers else COMPETITION_LABELS
    gate_names = ("max_hops", "before_hops", "after_hops", "num_levels", "range_db", "margin_db")
    return {
        "vocabulary": stream.vocabulary,
        "events": [label for label in stream.vocabulary if label in trigger.events],
        "hop_samples": stream.hop_samples,
        "finish_samples": CLIP_SAMPLES // 2,
        "min_level_dbfs": MIN_LEVEL_DBFS,
        "quiet": stream.quiet.tolist(),
        "smoothing": stream.smoothing,
        "skip_silence": stream.skip_silence,
        "activity": {name: getattr(activity, name) for name in ("margin_db", "min_dbfs", "rise_db", "hangover_hops")},
        "gate": gate and {name: getattr(gate, name) for name in gate_names},
        "trigger": {
            "min_threshold": MIN_THRESHOLD,
            "max_threshold": MAX_THRESHOLD,
            **{name: getattr(trigger, name) for name in ("threshold", "min_gap_s", "min_hops", "release")},
        },
        "rejection": {
            "score": rejection.score,
            "temperature": rejection.temperature,
            "threshold": None if rejection.threshold == -math.inf else rejection.threshold,
            "targets": [
                labels.index(label if has_own_answers else word_to_label(label)) for label in stream.vocabulary
            ],
            "num_labels": len(labels),
            "num_commands": len(COMMANDS),
        },
    }


def _spectrogram_settings() -> dict[str, typing.Any]:
    """Settings of the window's spectrogram; a filter is its first bin and its weights."""
    spec = palette.SPEC
    filters = []
    for weights in mel_matrix(spec).T:
        (bins,) = weights.nonzero()
        filters.append([int(bins[0]), *(float(f"{weight:.6g}") for weight in weights[bins[0] : bins[-1] + 1])])
    lower_mel, upper_mel = hz_to_mel([spec.lower_edge_hz, spec.upper_edge_hz])
    ticks = [[hz / 1000, float((hz_to_mel(hz) - lower_mel) / (upper_mel - lower_mel))] for hz in palette.TICKS_HZ]
    return {
        **{name: getattr(spec, name) for name in ("frame_length", "frame_step", "fft_length")},
        "min_power": MIN_POWER,
        "range_db": palette.RANGE_DB,
        "min_top_db": palette.MIN_TOP_DB,
        "min_peak": palette.MIN_PEAK,
        "ticks": ticks,
        "colors": palette.SPECTROGRAM_COLORS,
        "filters": filters,
    }
