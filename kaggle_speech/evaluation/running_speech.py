"""False alarms in running speech: streams of sentences with commands between them, scores, operating points.

Definitions, so that others can count the same way:

- The stream is made of sentences and command clips in turn, each followed by a pause of `PAUSE_S`. Everything sounds at
  the same mean power; very quiet noise is under all of it.
- A detection counts for the part (sentence or command) that began last.
- A command is found where its label is reported from its start until `FOUND_WITHIN_S` after its end; another label is a
  wrong label. Its latency runs from the end of the word.
- A sentence whose transcript has one of the ten commands is counted apart: its words may be reported. Every detection
  in any other sentence is a false alarm; alarms per hour are per hour of such sentences, their pauses not counted.
- The refractory time is that of the recogniser (`min_gap_ms`), so that one sentence can give several alarms.
"""

import typing
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from kaggle_speech.audio import SAMPLE_RATE, read_audio, read_clip
from kaggle_speech.evaluation.intervals import poisson_interval
from kaggle_speech.inference.batches import parallel_map, shared_predict
from kaggle_speech.labels import COMMANDS
from kaggle_speech.progress import progress_bar
from kaggle_speech.streaming.made_streams import WORD_LEVEL_DBFS, level_clip, to_level
from kaggle_speech.streaming.scores import replay, trace_in_batches
from kaggle_speech.streaming.words import MAX_THRESHOLD, MIN_THRESHOLD, Detection, StreamingRecogniser

#: Seconds between a sentence and a command.
PAUSE_S = 1.0
#: Seconds after the end of a command in which it may still be reported.
FOUND_WITHIN_S = 0.9
#: Level of the noise under the stream: that of a quiet room, 40 dB below the speech.
FLOOR_DBFS = WORD_LEVEL_DBFS - 40
#: Thresholds of a curve.
THRESHOLDS = tuple(np.round(np.arange(MIN_THRESHOLD, MAX_THRESHOLD + 0.005, 0.01), 2).tolist())
#: Alarms per hour of the operating points; 0: none in the whole stream.
ALARM_LIMITS = (0.0, 1.0, 10.0)
#: Windows that are recognised at a time, by each core.
BATCH_SIZE = 32


class Part(typing.NamedTuple):
    """A command or a sentence of a stream.

    Attributes:
        start_s, end_s: in seconds of the stream; of a command those of the sound of the word.
        word: the command; empty for a sentence.
        commands: the ten commands in a sentence's transcript, as often as they occur; empty for a command clip.
    """

    start_s: float
    end_s: float
    word: str
    commands: tuple[str, ...] = ()


class SpeechScores(typing.TypedDict):
    """Result of `score_running_speech`: counts, hours and latencies; the module's documentation defines them."""

    num_commands: int
    num_found: int
    num_wrong: int
    num_alarms: int
    alarm_hours: float
    num_spoken: int
    num_spoken_reported: int
    latencies_s: list[float]


def speech_pieces(
    utterances_df: pd.DataFrame, clips_df: pd.DataFrame, seed: int = 0
) -> Iterator[tuple[np.ndarray, Part]]:
    """A stream of sentences and commands in turn, piece by piece; no command clip twice before all were used.

    Args:
        utterances_df: columns `path, text`; from `data.utterances.index_utterances`.
        clips_df: columns `path, word`; clips of commands, other words are left out.
        seed: order of the command clips, and the quiet noise.

    Yields:
        `(samples,)` float32, and the `Part` in it.

    Raises:
        ValueError: there are no utterances or no commands.
    """
    command_df = clips_df[clips_df["word"].isin(COMMANDS)]
    if utterances_df.empty or command_df.empty:
        raise ValueError(
            "`utterances_df` must hold sentences, `clips_df` commands. "
            f"Received: {len(utterances_df)} sentences, {len(command_df)} commands"
        )
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(len(command_df)) for _ in range(len(utterances_df) // len(command_df) + 1)])
    num_samples = 0
    for utterance, row in zip(utterances_df.itertuples(), order, strict=False):
        sentence = read_audio(utterance.path)
        spoken = tuple(word for word in str(utterance.text).split() if word in COMMANDS)
        clip, first, end = level_clip(read_clip(command_df["path"].iloc[row]))
        for waveform, (start, stop), word, commands in (
            (to_level(sentence, WORD_LEVEL_DBFS), (0, len(sentence)), "", spoken),
            (clip, (first, end), command_df["word"].iloc[row], ()),
        ):
            piece = rng.standard_normal(len(waveform) + round(PAUSE_S * SAMPLE_RATE), dtype="float32")
            piece *= np.float32(10 ** (FLOOR_DBFS / 20))
            piece[: len(waveform)] += waveform
            part = Part((num_samples + start) / SAMPLE_RATE, (num_samples + stop) / SAMPLE_RATE, word, commands)
            num_samples += len(piece)
            yield np.clip(piece, -1, 1), part


def score_running_speech(detections: Sequence[Detection], parts: Sequence[Part]) -> SpeechScores:
    """Commands found, wrong labels, false alarms and words of sentences reported; the module defines each.

    Args:
        detections: in order of time.
        parts: of the stream, in order of time.

    Returns:
        dict: `num_commands, num_found, num_wrong` (commands with another label), `num_alarms`, `alarm_hours` (of the
        sentences without commands), `num_spoken` (commands in the other sentences), `num_spoken_reported` (of these),
        `latencies_s` (of the commands found).
    """
    labels: list[list[Detection]] = [[] for _ in parts]
    starts_s = np.array([part.start_s for part in parts])
    for detection in detections:
        number = int(np.searchsorted(starts_s, detection.time_s, side="right")) - 1
        if number >= 0:
            labels[number].append(detection)
    scores: SpeechScores = {
        "num_commands": 0,
        "num_found": 0,
        "num_wrong": 0,
        "num_alarms": 0,
        "alarm_hours": 0.0,
        "num_spoken": 0,
        "num_spoken_reported": 0,
        "latencies_s": [],
    }
    for part, reported in zip(parts, labels, strict=True):
        if part.word:
            in_time = [found.time_s for found in reported if found.label == part.word]
            in_time = [time_s for time_s in in_time if time_s <= part.end_s + FOUND_WITHIN_S + 1e-9]
            scores["num_commands"] += 1
            scores["num_found"] += bool(in_time)
            scores["num_wrong"] += any(found.label != part.word for found in reported)
            scores["latencies_s"] += [time_s - part.end_s for time_s in in_time[:1]]
        elif part.commands:
            scores["num_spoken"] += len(part.commands)
            both = Counter(part.commands) & Counter(found.label for found in reported)
            scores["num_spoken_reported"] += both.total()
        else:
            scores["num_alarms"] += len(reported)
            scores["alarm_hours"] += (part.end_s - part.start_s) / 3600
    return scores


def running_speech_curve(
    recogniser: StreamingRecogniser,
    utterances_df: pd.DataFrame,
    clips_df: pd.DataFrame,
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Commands found and false alarms in running speech, over thresholds.

    Args:
        recogniser: the recogniser; it is reset first.
        utterances_df: sentences of speakers that the model was not trained on.
        clips_df: columns `path, word`; clips that the model was not trained on.
        thresholds: thresholds to evaluate besides the recogniser's own, 0.10 to 0.99.
        seed: seed of the stream.
        progress: show a progress bar.

    Returns:
        DataFrame, a row for each threshold: `threshold, is_default, found_rate, wrong_rate` (0 to 1, of the commands),
        `alarms_per_hour, alarms_low, alarms_high` (95 % interval of a Poisson count), `spoken_rate` (0 to 1, of the
        commands in sentences), `latency_median_ms, latency_90_ms`, and the counts.

    Raises:
        ValueError: there are no sentences, none without a command, or no commands.
    """
    predict = shared_predict(recogniser.model)

    def predict_all(windows: np.ndarray) -> np.ndarray:
        batches = (windows[row : row + BATCH_SIZE] for row in range(0, len(windows), BATCH_SIZE))
        return np.concatenate([*parallel_map(lambda batch: np.asarray(predict(batch)), batches)])

    pieces = speech_pieces(utterances_df, clips_df, seed)
    bar = progress_bar(pieces, desc="running speech", total=2 * len(utterances_df), unit="part", progress=progress)
    trace, parts = trace_in_batches(recogniser, bar, predict_all)
    rows = []
    for threshold in sorted({*thresholds, recogniser.threshold}):
        scores = score_running_speech(replay(trace, recogniser.trigger, threshold), parts)
        if not scores["alarm_hours"]:
            raise ValueError("`utterances_df` must hold sentences without a command. Received: none")
        rows.append({"threshold": threshold, "is_default": threshold == recogniser.threshold} | _rates(scores))
    return pd.DataFrame(rows)


def _rates(scores: SpeechScores) -> dict[str, float]:
    low, high = poisson_interval(scores["num_alarms"])
    latencies_ms = 1000 * np.array(scores["latencies_s"] or [np.nan])
    hours = scores["alarm_hours"]
    return {
        "found_rate": scores["num_found"] / scores["num_commands"],
        "wrong_rate": scores["num_wrong"] / scores["num_commands"],
        "alarms_per_hour": scores["num_alarms"] / hours,
        "alarms_low": low / hours,
        "alarms_high": high / hours,
        "spoken_rate": scores["num_spoken_reported"] / scores["num_spoken"] if scores["num_spoken"] else np.nan,
        "latency_median_ms": float(np.median(latencies_ms)),
        "latency_90_ms": float(np.percentile(latencies_ms, 90)),
        **{name: value for name, value in scores.items() if isinstance(value, int | float)},
    }


def operating_points(curve_df: pd.DataFrame, limits: Sequence[float] = ALARM_LIMITS) -> pd.DataFrame:
    """Rows of a curve with the most commands found at so many false alarms an hour or fewer.

    Args:
        curve_df: from `running_speech_curve`.
        limits: alarms per hour.

    Returns:
        DataFrame, a row for each limit that some threshold meets: `limit`, then the columns of the curve.
    """
    rows = []
    for limit in limits:
        within_df = curve_df[curve_df["alarms_per_hour"] <= limit]
        if len(within_df):
            rows.append({"limit": limit} | within_df.loc[within_df["found_rate"].idxmax()].to_dict())
    return pd.DataFrame(rows, columns=["limit", *curve_df.columns])
