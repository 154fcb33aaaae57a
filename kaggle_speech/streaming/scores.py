"""Scores of a streaming recogniser: hit rate, false alarms an hour, latency, real-time factor, at every threshold."""

import time
import typing
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from kaggle_speech.audio import CLIP_SAMPLES, SAMPLE_RATE
from kaggle_speech.progress import progress_bar
from kaggle_speech.streaming.made_streams import MAX_SLOT_S, MIN_SLOT_S, Utterance, stream_pieces
from kaggle_speech.streaming.words import MAX_THRESHOLD, MIN_THRESHOLD, Detection, StreamingRecogniser, Trigger

#: A detection counts for a word until so many seconds after the word ends.
ATTRIBUTION_WINDOW_S = 1.0
#: MLPerf Tiny's streaming wake word: 20 minutes, 50 words, at most 8 misses and 8 false positives.
MLPERF_MIN_HIT_RATE, MLPERF_MAX_ALARMS_PER_HOUR = 1 - 8 / 50, 8 * 60 / 20
#: Windows that `trace_in_batches` collects, 64 kB each.
WINDOWS_AT_A_TIME = 2048
THRESHOLDS = (*np.round(np.arange(MIN_THRESHOLD, 0.951, 0.05), 2).tolist(), MAX_THRESHOLD)


#: What is in a piece of a stream, such as an `Utterance`.
Part = typing.TypeVar("Part")


class StreamTrace(typing.NamedTuple):
    """Smoothed scores of a whole stream, hop by hop, for the choice of a threshold.

    Attributes:
        times_s: end of each hop, `(hops,)`.
        scores: smoothed, `(hops, len(vocabulary))`.
        probabilities: of the last second, `(hops, len(vocabulary))`.
        is_alone: of each hop, what `SpokenAlone.update` says.
        utterances: words of the stream, in order of time.
        detections: detections at the recogniser's own threshold.
        seconds_spent: processing time in seconds.
        fraction_asked: fraction of the hops at which the model was evaluated.
    """

    times_s: np.ndarray
    scores: np.ndarray
    probabilities: np.ndarray
    is_alone: list[bool | None]
    utterances: list[Utterance]
    detections: list[Detection]
    seconds_spent: float
    fraction_asked: float

    @property
    def duration_s(self) -> float:
        """Length of the stream in seconds."""
        return float(self.times_s[-1])


class DetectionScores(typing.TypedDict):
    """Result of `score_detections`, whose documentation explains the entries."""

    num_commands: int
    num_unknown: int
    num_hits: int
    num_wrong: int
    num_repeated: int
    num_accepted: int
    num_noise_alarms: int
    noise_s: float
    latencies_s: list[float]


def trace_stream(recogniser: StreamingRecogniser, pieces: Iterable[tuple[np.ndarray, Utterance | None]]) -> StreamTrace:
    """Run a recogniser over a stream that is never held in memory as a whole.

    Args:
        recogniser: the recogniser; it is reset first.
        pieces: waveforms and utterances, from `made_streams.stream_pieces`.

    Returns:
        `StreamTrace`.
    """
    recogniser.reset()
    hop = recogniser.hop_samples
    rest = np.zeros(0, "float32")
    times_s = []
    scores = []
    probabilities = []
    is_alone = []
    utterances = []
    detections = []
    seconds_spent = 0.0
    for piece, utterance in pieces:
        if utterance:
            utterances.append(utterance)
        rest = np.concatenate([rest, piece])
        start_s = time.perf_counter()
        for first in range(0, len(rest) - hop + 1, hop):
            detections += recogniser.process(rest[first : first + hop])
            times_s.append(recogniser.time_s)
            scores.append(recogniser.scores)
            probabilities.append(recogniser.probabilities)
            is_alone.append(recogniser.is_alone)
        seconds_spent += time.perf_counter() - start_s
        rest = rest[len(rest) // hop * hop :]
    return StreamTrace(
        times_s=np.array(times_s),
        scores=np.array(scores),
        probabilities=np.array(probabilities),
        is_alone=is_alone,
        utterances=utterances,
        detections=detections,
        seconds_spent=seconds_spent,
        fraction_asked=recogniser.num_asked / recogniser.num_hops,
    )


def trace_in_batches(
    recogniser: StreamingRecogniser,
    pieces: Iterable[tuple[np.ndarray, Part]],
    predict: Callable[[np.ndarray], np.ndarray],
) -> tuple[StreamTrace, list[Part]]:
    """The trace of `trace_stream`, many windows at a time: for long streams, where no time is measured.

    Args:
        recogniser: the recogniser; it is reset first, and its own detections are left out.
        pieces: waveforms and what is in each.
        predict: probabilities of windows, `(windows, 16000)` -> `(windows, len(vocabulary))`.

    Returns:
        `StreamTrace` without utterances, detections and times spent, and what was in the pieces.
    """
    recogniser.reset()
    hop = recogniser.hop_samples
    past = np.zeros(CLIP_SAMPLES - hop, "float32")  # sound before the next hop
    rest = np.zeros(0, "float32")
    parts: list[Part] = []
    scores: list[np.ndarray] = []
    probabilities: list[np.ndarray] = []
    windows: list[np.ndarray | None] = []
    is_alone: list[bool | None] = []
    num_active = 0
    last = recogniser.scores

    def smooth() -> None:
        nonlocal last
        active = [window for window in windows if window is not None]
        found = iter(predict(np.stack(active)) if active else ())
        for window in windows:
            probabilities.append(recogniser.quiet if window is None else next(found))
            last = recogniser.smooth(last, probabilities[-1])
            scores.append(last)
        windows.clear()

    for piece, part in pieces:
        parts.append(part)
        sound = np.concatenate([past, rest, piece])
        num_hops = (len(rest) + len(piece)) // hop
        for number in range(num_hops):
            window = sound[number * hop : number * hop + CLIP_SAMPLES]
            is_active, alone = recogniser.judge_sound(window[-hop:])
            is_alone.append(alone)
            windows.append(window if is_active else None)
            num_active += is_active
        past = sound[num_hops * hop :][: CLIP_SAMPLES - hop]
        rest = sound[num_hops * hop + CLIP_SAMPLES - hop :]
        if len(windows) >= WINDOWS_AT_A_TIME:
            smooth()
    smooth()
    times_s = np.arange(1, len(scores) + 1) * hop / SAMPLE_RATE
    fraction_asked = num_active / max(len(scores), 1)
    trace = StreamTrace(
        times_s, np.array(scores), np.array(probabilities), is_alone, [], [], float("nan"), fraction_asked
    )
    return trace, parts


def replay(trace: StreamTrace, trigger: Trigger, threshold: float) -> list[Detection]:
    """Detections of a trace at another threshold.

    Args:
        trace: from `trace_stream`.
        trigger: trigger of the recogniser that made the trace; it is reset, and its threshold restored.
        threshold: lowest smoothed score of a detection, 0.10 to 0.99.
    """
    own_threshold = trigger.threshold
    trigger.threshold = threshold
    trigger.reset()
    hops = zip(trace.times_s.tolist(), trace.scores, trace.probabilities, trace.is_alone, strict=True)
    detections = [detection for hop in hops if (detection := trigger.step(*hop))]
    trigger.threshold = own_threshold
    trigger.reset()
    return detections


def score_detections(
    detections: Sequence[Detection], utterances: Sequence[Utterance], duration_s: float
) -> DetectionScores:
    """Hits, false alarms and latencies of the detections in a stream.

    A detection counts for the word that began last, if that ended less than a second ago; else it is an alarm from
    noise.

    Args:
        detections: in order of time.
        utterances: words of the stream, in order of time.
        duration_s: length of the stream in seconds.

    Returns:
        dict: `num_commands, num_unknown` (other words), `num_hits` (commands reported as such), `num_wrong` (commands
        at which another one was reported), `num_repeated` (reports of a command beyond the first), `num_accepted`
        (other words taken for a command), `num_noise_alarms`, `noise_s` (time without a word), and `latencies_s` (of
        the hits, from the end of the word).
    """
    starts_s = np.array([utterance.start_s for utterance in utterances])
    hits: dict[int, float] = {}
    wrong = set()
    accepted = set()
    num_noise_alarms = 0
    num_repeated = 0
    for detection in detections:
        number = int(np.searchsorted(starts_s, detection.time_s, side="right")) - 1
        if number < 0 or detection.time_s > utterances[number].end_s + ATTRIBUTION_WINDOW_S:
            num_noise_alarms += 1
        elif not utterances[number].is_command:
            accepted.add(number)
        elif detection.label != utterances[number].word:
            wrong.add(number)
        else:
            num_repeated += number in hits
            hits.setdefault(number, detection.time_s - utterances[number].end_s)
    ends_s = np.array([utterance.end_s + ATTRIBUTION_WINDOW_S for utterance in utterances])
    next_starts_s = np.append(starts_s[1:], duration_s)
    num_commands = sum(utterance.is_command for utterance in utterances)
    return {
        "num_commands": num_commands,
        "num_unknown": len(utterances) - num_commands,
        "num_hits": len(hits),
        "num_wrong": len(wrong),
        "num_repeated": num_repeated,
        "num_accepted": len(accepted),
        "num_noise_alarms": num_noise_alarms,
        "noise_s": duration_s - float(np.sum(np.minimum(ends_s, next_starts_s) - starts_s)),
        "latencies_s": [*hits.values()],
    }


def _fraction(count: int, total: int) -> float:
    return count / total if total else float("nan")


def _rates(words: DetectionScores, noise: DetectionScores, duration_s: float) -> dict[str, float]:
    """A row of the table, from the scores of a stream with words and of a stream without."""
    noise_hours = (words["noise_s"] + noise["noise_s"]) / 3600
    latencies_ms = 1000 * np.array(words["latencies_s"] or [np.nan])
    return {
        "hit_rate": _fraction(words["num_hits"], words["num_commands"]),
        "wrong_word_rate": _fraction(words["num_wrong"], words["num_commands"]),
        "unknown_accept_rate": _fraction(words["num_accepted"], words["num_unknown"]),
        "unknown_alarms_per_hour": 3600 * words["num_accepted"] / duration_s,
        "noise_alarms_per_hour": (words["num_noise_alarms"] + noise["num_noise_alarms"]) / noise_hours,
        "latency_median_ms": float(np.median(latencies_ms)),
        "latency_90_ms": float(np.percentile(latencies_ms, 90)),
        "num_repeated": words["num_repeated"],
        "num_commands": words["num_commands"],
        "num_unknown": words["num_unknown"],
        "hours": duration_s / 3600,
        "noise_hours": noise_hours,
    }


def stream_evaluate(
    recogniser: StreamingRecogniser,
    clips_df: pd.DataFrame,
    regions: Sequence[np.ndarray],
    *,
    snr_db: Sequence[float] = (20.0, 10.0),
    hours: float = 1.0,
    seed: int = 0,
    thresholds: Sequence[float] = THRESHOLDS,
    progress: bool = True,
) -> pd.DataFrame:
    """Hit rate, false alarms and latency over thresholds, on synthetic streams of real clips over noise.

    At each ratio the recogniser processes `hours` of a stream with words and as much of the noise alone.

    Args:
        recogniser: the recogniser; it is reset first.
        clips_df: columns `path, word`; clips that the model was not trained on.
        regions: noise that the model was not trained on (`noise.read_noise` with the split `val`).
        snr_db: signal-to-noise ratios in dB (see `made_streams.stream_pieces`).
        hours: length of each stream in hours, above 0.
        seed: seed of the streams.
        thresholds: thresholds to evaluate besides the recogniser's own, 0.10 to 0.99.
        progress: show a progress bar.

    Returns:
        DataFrame, a row for each ratio and threshold: `snr_db, threshold, is_default`, the rates (0 to 1), alarms per
        hour (from other words per hour of the stream, from noise per hour of noise), latencies, counts,
        `real_time_factor` (processing time for a second of stream) and `fraction_asked`.

    Raises:
        ValueError: `hours` is not above 0, or there are no noise recordings, no commands or no other words.
    """
    if not hours > 0:
        raise ValueError(f"`hours` must be above 0. Received: hours={hours}")
    rows = []
    num_slots = round(3600 * hours / np.mean([MIN_SLOT_S, MAX_SLOT_S]))
    for ratio in snr_db:
        traces = []
        for has_words, content in ((True, "words and noise"), (False, "noise")):
            pieces = stream_pieces(clips_df, regions, ratio, 3600 * hours, seed, has_words=has_words)
            bar = progress_bar(pieces, desc=f"{ratio:g} dB, {content}", total=num_slots, unit="slot", progress=progress)
            traces.append(trace_stream(recogniser, bar))
        words = traces[0]
        cost = {"real_time_factor": words.seconds_spent / words.duration_s, "fraction_asked": words.fraction_asked}
        for threshold in sorted({*thresholds, recogniser.threshold}):
            word_scores, noise_scores = (
                score_detections(replay(trace, recogniser.trigger, threshold), trace.utterances, trace.duration_s)
                for trace in traces
            )
            row = {"snr_db": ratio, "threshold": threshold, "is_default": threshold == recogniser.threshold}
            rows.append(row | _rates(word_scores, noise_scores, words.duration_s) | cost)
    return pd.DataFrame(rows)
