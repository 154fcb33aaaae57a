"""How good is a recogniser of streams: words that are heard, false alarms, latency, at every threshold."""

import time
import typing

import numpy as np
import pandas as pd

from kaggle_speech.progress import progress_bar
from kaggle_speech.streaming.made_streams import MAX_SLOT_S, MIN_SLOT_S, stream_pieces
from kaggle_speech.streaming.words import MAX_THRESHOLD, MIN_THRESHOLD

#: Seconds after its end in which a detection is put down to a word: as long as the model still hears it.
ATTRIBUTION_WINDOW_S = 1.0
#: MLPerf Tiny's streaming wake word: 20 minutes, 50 words, at most 8 misses and 8 false positives.
MLPERF_MIN_HIT_RATE, MLPERF_MAX_ALARMS_PER_HOUR = 1 - 8 / 50, 8 * 60 / 20
THRESHOLDS = tuple(np.round(np.linspace(MIN_THRESHOLD, MAX_THRESHOLD, 18), 2).tolist())


class StreamTrace(typing.NamedTuple):
    """What a recogniser thought of a stream, hop by hop, so that thresholds can be tried on it.

    Attributes:
        times_s: end of each hop, `(hops,)`.
        probabilities: smoothed, `(hops, len(vocabulary))`.
        utterances: list of `streams.Utterance`.
        detections: at the recogniser's own threshold.
        seconds_spent: time it took.
        fraction_asked: share of the hops at which the model was asked.
    """

    times_s: np.ndarray
    probabilities: np.ndarray
    utterances: list
    detections: list
    seconds_spent: float
    fraction_asked: float

    @property
    def duration_s(self):
        """Length of the stream."""
        return float(self.times_s[-1])


def trace_stream(recogniser, pieces):
    """Run a recogniser over a stream, in little memory.

    Args:
        recogniser: `streaming.StreamingRecogniser`; begins anew.
        pieces: waveforms and utterances, from `streams.stream_pieces`.

    Returns:
        `StreamTrace`.
    """
    recogniser.reset()
    hop, rest, seconds_spent = recogniser.hop_samples, np.zeros(0, "float32"), 0.0
    times_s, probabilities, utterances, detections = [], [], [], []
    for piece, utterance in pieces:
        utterances += [utterance] if utterance else []
        rest = np.concatenate([rest, piece])
        start = time.perf_counter()
        for at in range(0, len(rest) - hop + 1, hop):
            detections += recogniser.process(rest[at : at + hop])
            times_s.append(recogniser.time_s)
            probabilities.append(recogniser.probabilities)
        seconds_spent += time.perf_counter() - start
        rest = rest[len(rest) // hop * hop :]
    fraction_asked = recogniser.num_asked / recogniser.num_hops
    return StreamTrace(
        np.array(times_s), np.array(probabilities), utterances, detections, seconds_spent, fraction_asked
    )


def replay(trace, trigger, threshold):
    """The detections of a trace at another threshold. Shape: -> list of `streaming.Detection`."""
    before, trigger.threshold = trigger.threshold, threshold
    trigger.reset()
    found = map(trigger.step, trace.times_s.tolist(), trace.probabilities)
    detections = [detection for detection in found if detection]
    trigger.threshold = before
    trigger.reset()
    return detections


def score_detections(detections, utterances, duration_s):
    """What was heard of what was said.

    A detection is put down to the word that began last, if that ended less than a second ago; else it is an alarm from
    noise.

    Args:
        detections: list of `streaming.Detection`.
        utterances: list of `streams.Utterance`, in time.
        duration_s: length of the stream.

    Returns:
        dict: `num_commands, num_unknown` (words that are none), `num_hits` (commands reported as such), `num_wrong`
        (commands at which another one was reported), `num_repeated` (reports of a command beyond the first),
        `num_accepted` (other words taken for a command), `num_noise_alarms`, `noise_s` (time without a word), and
        `latencies_s` (of the hits, from the end of the word).
    """
    starts = np.array([utterance.start_s for utterance in utterances])
    hits, wrong, accepted, num_noise_alarms, num_repeated = {}, set(), set(), 0, 0
    for detection in detections:
        number = int(np.searchsorted(starts, detection.time_s, side="right")) - 1
        if number < 0 or detection.time_s > utterances[number].end_s + ATTRIBUTION_WINDOW_S:
            num_noise_alarms += 1
        elif not utterances[number].is_command:
            accepted.add(number)
        elif detection.label != utterances[number].word:
            wrong.add(number)
        else:
            num_repeated += number in hits
            hits.setdefault(number, detection.time_s - utterances[number].end_s)
    ends = np.array([utterance.end_s + ATTRIBUTION_WINDOW_S for utterance in utterances])
    following = np.append(starts[1:], duration_s)
    num_commands = sum(utterance.is_command for utterance in utterances)
    return {
        "num_commands": num_commands,
        "num_unknown": len(utterances) - num_commands,
        "num_hits": len(hits),
        "num_wrong": len(wrong),
        "num_repeated": num_repeated,
        "num_accepted": len(accepted),
        "num_noise_alarms": num_noise_alarms,
        "noise_s": duration_s - float(np.sum(np.minimum(ends, following) - starts)),
        "latencies_s": [*hits.values()],
    }


def _share(count, total):
    return count / total if total else float("nan")


def _rates(words, noise, duration_s):
    """A row of the table: the scores of a stream with words and of one without."""
    noise_hours = (words["noise_s"] + noise["noise_s"]) / 3600
    latencies_ms = 1000 * np.array(words["latencies_s"] or [np.nan])
    return {
        "hit_rate": _share(words["num_hits"], words["num_commands"]),
        "wrong_word_rate": _share(words["num_wrong"], words["num_commands"]),
        "unknown_accept_rate": _share(words["num_accepted"], words["num_unknown"]),
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
    recogniser, clips_df, regions, *, snr_db=(20.0, 10.0), hours=1.0, seed=0, thresholds=THRESHOLDS, progress=True
):
    """Hit rate, false alarms and latency over thresholds, on streams of real clips over noise.

    At each ratio the recogniser hears `hours` of a stream with words and as much of the noise alone.

    Args:
        recogniser: `streaming.StreamingRecogniser`.
        clips_df: columns `path, word`; clips that the model was not trained on.
        regions: noise that it was not trained on (`noise.read_noise` with the split `val`).
        snr_db: signal-to-noise ratios, see `streams.stream_pieces`.
        hours: length of each stream.
        seed: of the streams.
        thresholds: to try besides the recogniser's own.
        progress: show a progress bar.

    Returns:
        pandas DataFrame, a row a ratio and threshold: `snr_db, threshold, is_default`, the rates (0 to 1), alarms per
        hour (of the stream those from other words, of noise those from noise), latencies, how much was counted,
        `real_time_factor` (time spent on a second of stream) and `fraction_asked`.

    Raises:
        ValueError: `hours` is not above 0, or as `streams.stream_pieces`.
    """
    if not hours > 0:
        raise ValueError(f"`hours` must be above 0. Received: hours={hours}")
    rows, total = [], round(3600 * hours / np.mean([MIN_SLOT_S, MAX_SLOT_S]))
    for ratio in snr_db:
        traces = []
        for has_words, what in ((True, "words and noise"), (False, "noise")):
            pieces = stream_pieces(clips_df, regions, ratio, 3600 * hours, seed, has_words=has_words)
            bar = progress_bar(pieces, desc=f"{ratio:g} dB, {what}", total=total, unit="slot", progress=progress)
            traces.append(trace_stream(recogniser, bar))
        words = traces[0]
        cost = {"real_time_factor": words.seconds_spent / words.duration_s, "fraction_asked": words.fraction_asked}
        for threshold in sorted({*thresholds, recogniser.threshold}):
            scores = [
                score_detections(replay(trace, recogniser.trigger, threshold), trace.utterances, trace.duration_s)
                for trace in traces
            ]
            row = {"snr_db": ratio, "threshold": threshold, "is_default": threshold == recogniser.threshold}
            rows.append(row | _rates(*scores, words.duration_s) | cost)
    return pd.DataFrame(rows)
