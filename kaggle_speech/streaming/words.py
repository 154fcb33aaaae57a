"""Commands in a stream: smoothed scores, threshold, refractory time, detections. NumPy and a model.

Every `hop_ms` the last second is processed: where a voice activity detector finds sound in it the model is evaluated,
its labels are scored against those that are not reported, the scores are smoothed over time, and a label that rises
above the threshold is reported, once.
"""

import types
import typing
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kaggle_speech.audio import CLIP_SAMPLES, SAMPLE_RATE
from kaggle_speech.labels import COMMANDS, SILENCE
from kaggle_speech.streaming.chunks import (
    BUFFER_SAMPLES,
    MIN_LEVEL_DBFS,
    RingBuffer,
    VoiceActivity,
    check_chunk,
    level_dbfs,
)
from kaggle_speech.streaming.gate import SpokenAlone
from kaggle_speech.streaming.stream import BatchModel

MIN_THRESHOLD, MAX_THRESHOLD = 0.10, 0.99
#: Function such as `Recogniser.answers`, from `(clips, len(vocabulary))` to labels and confidences, `(clips,)` each.
Answers = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class Detection(typing.NamedTuple):
    """A command found in a stream.

    Attributes:
        time_s: when it was reported, in seconds of the stream; the word ended a little before.
        label: the command.
        confidence: its smoothed score, 0 to 1.
        scores: those of all labels at the same time.

    Examples:
        >>> Detection(1.25, "yes", 0.93, {"yes": 0.93, "no": 0.07}).label
        'yes'
    """

    time_s: float
    label: str
    confidence: float
    scores: Mapping[str, float] = types.MappingProxyType({})


class LiveState(typing.NamedTuple):
    """State of a `StreamingRecogniser` for display, as of the last chunk.

    Attributes:
        time_s: seconds of the stream so far.
        level_dbfs: level of the last hop in dBFS.
        is_active: whether anything sounds.
        scores: smoothed, `(len(vocabulary),)`, 0 to 1.
        waveform: the last three seconds, `(samples,)`.
    """

    time_s: float
    level_dbfs: float
    is_active: bool
    scores: np.ndarray
    waveform: np.ndarray


def score_labels(probabilities: np.ndarray, is_event: np.ndarray) -> np.ndarray:
    """Score of each label to report against all that are not, `unknown` and `silence`; of these against the best label.

    The score of a label of probability p against the rest q is `sqrt(p) / (sqrt(p) + sqrt(q))`. In running speech a
    network is as sure of some words as of commands, and its probabilities, near their upper end, hardly tell them
    apart; what it leaves to `unknown` does. The roots (a temperature of 2) spread these values over the scale.

    Shape: `(len(vocabulary),)` -> the same, 0 to 1; they do not sum to 1.

    Args:
        probabilities: of the labels.
        is_event: `(len(vocabulary),)` bool, labels to report. Where it is true of all, each counts against the others.

    Examples:
        >>> score_labels(np.array([0.90, 0.01, 0.09]), np.array([True, True, False])).round(2).tolist()
        [0.76, 0.25, 0.24]
    """
    probabilities = np.asarray(probabilities, "float64")
    rest = 1 - probabilities if is_event.all() else probabilities[~is_event].sum()
    against = np.where(is_event, rest, probabilities[is_event].max(initial=0.0))
    roots = np.sqrt(probabilities)
    return roots / np.maximum(roots + np.sqrt(np.maximum(against, 0)), 1e-12)


class Trigger:
    """Converter of smoothed scores to detections, one for each word.

    A label is reported when its score was the best one, at the threshold or above, at `min_hops` hops in a row. The
    same label can be reported again when it has fallen below `release` times the threshold, any label after the
    refractory time `min_gap_ms`.

    Args:
        vocabulary: labels in the order of the scores.
        events: labels to report; the others only compete.
        threshold: lowest smoothed score of a detection, 0.10 to 0.99; may be changed at any time.
        min_gap_ms: refractory time in milliseconds, the least time between two detections.
        min_hops: number of hops, 1 or more; the beginning of one word often sounds like another word.
        release: fraction of the threshold, 0 to 1.
        answers: None, or a function such as `Recogniser.answers` that takes probabilities `(1, len(vocabulary))` and
            gives labels and confidences, `(1,)` each; where its label for the last second is not in `events`, such as
            `unknown`, nothing is reported.

    Raises:
        ValueError: the threshold is out of range, or a label to report is not in the vocabulary.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        events: Sequence[str] = COMMANDS,
        *,
        threshold: float,
        min_gap_ms: float = 500,
        min_hops: int = 2,
        release: float = 0.5,
        answers: Answers | None = None,
    ):
        missing = [label for label in events if label not in vocabulary]
        if missing:
            raise ValueError(
                f"`vocabulary` must hold the labels to report. Received: {list(vocabulary)} without {missing}"
            )
        self.vocabulary = tuple(vocabulary)
        self.events = frozenset(events)
        self.threshold = threshold
        self.min_gap_s = min_gap_ms / 1000
        self.min_hops = min_hops
        self.release = release
        self.answers = answers
        self.reset()

    @property
    def threshold(self) -> float:
        """Lowest smoothed score of a detection, 0.10 to 0.99."""
        return self._threshold

    @threshold.setter
    def threshold(self, threshold: float) -> None:
        if not MIN_THRESHOLD <= threshold <= MAX_THRESHOLD:
            raise ValueError(
                f"`threshold` must be from {MIN_THRESHOLD} to {MAX_THRESHOLD}. Received: threshold={threshold}"
            )
        self._threshold = float(threshold)

    def reset(self) -> None:
        """Begin a new stream."""
        self._reported: int | None = None
        self._last_s = -np.inf
        self._leader: int | None = None
        self._num_hops = 0

    def step(
        self, time_s: float, scores: np.ndarray, probabilities: np.ndarray | None = None, is_alone: bool | None = True
    ) -> Detection | None:
        """Process the next hop.

        Args:
            time_s: end of the hop, in seconds of the stream.
            scores: smoothed, `(len(vocabulary),)`.
            probabilities: those of the last second, `(len(vocabulary),)`, for `answers`; None asks it nothing.
            is_alone: from `SpokenAlone.update`; nothing is reported while it is None or False.

        Returns:
            `Detection` or None.
        """
        if self._reported is not None and scores[self._reported] < self.release * self._threshold:
            self._reported = None
        index = int(np.argmax(scores))
        if scores[index] < self._threshold:
            self._leader = None
            return None
        self._num_hops = self._num_hops + 1 if index == self._leader else 1
        self._leader = index
        is_early = self._num_hops < self.min_hops or time_s - self._last_s < self.min_gap_s - 1e-9
        if is_early or not is_alone or index == self._reported or self.vocabulary[index] not in self.events:
            return None
        if self.answers is not None and probabilities is not None:
            (label,), _ = self.answers(probabilities[None])
            if label not in self.events:
                return None
        self._reported = index
        self._last_s = time_s
        by_label = dict(zip(self.vocabulary, map(float, scores), strict=True))
        return Detection(time_s, self.vocabulary[index], by_label[self.vocabulary[index]], by_label)


class StreamingRecogniser:
    """Detector of commands in a stream: chunks of any size in, detections out.

    The same sound gives the same detections however it is cut into chunks.

    Args:
        model: its `predict_on_batch` takes waveforms of one second `(batch, 16000)` and gives probabilities.
        vocabulary: labels in the order of its outputs.
        hop_ms: time from one evaluation of the last second to the next, 10 to 1000 ms.
        smoothing: weight of the past in the smoothed scores, 0 (none) to below 1.
        threshold: lowest smoothed score of a detection, 0.10 to 0.99; the attribute may be changed at any time.
        min_gap_ms: refractory time in milliseconds, the least time between two detections.
        events: labels to report; the others only compete.
        answers: None, or a function such as `Recogniser.answers`, which may refuse a detection (see `Trigger`).
        in_sentences: report commands within sentences, too. By default a command counts where it is spoken alone, with
            quiet before and after it (`gate.SpokenAlone`): among the words of a sentence some sound like commands.
        skip_silence: evaluate the model only where `activity` finds sound; False evaluates it at every hop.
        activity: voice activity detector; None for `VoiceActivity(hop_ms)`.

    Attributes:
        scores: smoothed, `(len(vocabulary),)`, of the last hop (see `score_labels`).
        probabilities: not smoothed, `(len(vocabulary),)`, of the last second.
        level_dbfs, is_active, is_alone: of the last hop.
        quiet: probabilities that stand for a hop at which the model is not evaluated.
        time_s: seconds of the stream so far.
        num_hops, num_asked: hops so far, and those at which the model was evaluated.

    Raises:
        ValueError: an option is out of range, or the model takes other lengths or has other outputs.
    """

    def __init__(
        self,
        model: BatchModel,
        vocabulary: Sequence[str],
        *,
        hop_ms: float = 100,
        smoothing: float = 0.6,
        threshold: float = 0.8,
        min_gap_ms: float = 500,
        events: Sequence[str] = COMMANDS,
        answers: Answers | None = None,
        in_sentences: bool = False,
        skip_silence: bool = True,
        activity: VoiceActivity | None = None,
    ):
        if not 10 <= hop_ms <= 1000:
            raise ValueError(f"`hop_ms` must be from 10 to 1000. Received: hop_ms={hop_ms}")
        if not 0 <= smoothing < 1:
            raise ValueError(f"`smoothing` must be at least 0 and below 1. Received: smoothing={smoothing}")
        self.model = model
        self.vocabulary = tuple(vocabulary)
        self.smoothing = smoothing
        self.skip_silence = skip_silence
        self.hop_samples = round(hop_ms * SAMPLE_RATE / 1000)
        self.trigger = Trigger(vocabulary, events, threshold=threshold, min_gap_ms=min_gap_ms, answers=answers)
        self.activity = VoiceActivity(hop_ms) if activity is None else activity
        self.gate = None if in_sentences else SpokenAlone(hop_ms)
        self.quiet = np.array([float(label == SILENCE) for label in self.vocabulary], "float32")
        self._is_event = np.array([label in self.trigger.events for label in self.vocabulary])
        self._predict(np.zeros(CLIP_SAMPLES, "float32"))
        self.reset()

    @property
    def threshold(self) -> float:
        """Lowest smoothed score of a detection, 0.10 to 0.99."""
        return self.trigger.threshold

    @threshold.setter
    def threshold(self, threshold: float) -> None:
        self.trigger.threshold = threshold

    @property
    def time_s(self) -> float:
        """Seconds of the stream so far, skipped ones included."""
        return (self._num_processed + self._num_skipped) / SAMPLE_RATE

    def reset(self) -> None:
        """Begin a new stream."""
        self._ring = RingBuffer()
        self._num_processed = 0
        self._num_skipped = 0
        self.num_hops = 0
        self.num_asked = 0
        self.probabilities = self.quiet
        self.scores = score_labels(self.quiet, self._is_event)
        self.level_dbfs = MIN_LEVEL_DBFS
        self.is_active = False
        self.is_alone: bool | None = True
        self.trigger.reset()
        self.activity.reset()
        if self.gate is not None:
            self.gate.reset()

    def process(self, chunk: np.ndarray) -> list[Detection]:
        """Process the next chunk.

        Shape: `(samples,)`, float in [-1, 1] or int16, 16 kHz -> list of `Detection`.

        Raises:
            ValueError: another shape or type, NaN or infinity; nothing of the chunk is processed then.
        """
        chunk = check_chunk(chunk)
        detections = []
        start = 0
        while start < len(chunk):
            end = start + self.hop_samples - self._num_processed % self.hop_samples
            part = chunk[start:end]
            self._ring.append(part)
            self._num_processed += len(part)
            start += len(part)
            if self._num_processed % self.hop_samples == 0 and (detection := self._hop()):
                detections.append(detection)
        return detections

    def skip(self, num_samples: int) -> None:
        """Advance the clock over samples that were lost; the next chunk follows the last one without a gap."""
        self._num_skipped += num_samples

    def finish(self) -> list[Detection]:
        """End the stream: half a second of silence follows, in which the last word may still be detected."""
        return self.process(np.zeros(CLIP_SAMPLES // 2, "float32"))

    def latest(self, duration_s: float = BUFFER_SAMPLES / SAMPLE_RATE) -> np.ndarray:
        """The last seconds of the stream, 3 at most. Shape: -> `(samples,)` float32."""
        return self._ring.latest(min(round(duration_s * SAMPLE_RATE), BUFFER_SAMPLES))

    def live_state(self) -> LiveState:
        """State for display. Give it to a `StreamRunner` as `observe=StreamingRecogniser.live_state`."""
        return LiveState(self.time_s, self.level_dbfs, self.is_active, self.scores, self.latest())

    def judge_sound(self, waveform: np.ndarray) -> tuple[bool, bool | None]:
        """Whether the model is to be evaluated, and whether a command was spoken alone, as of the next hop.

        Args:
            waveform: sound of the hop, `(hop_samples,)`.

        Returns:
            two of `VoiceActivity.update` and `SpokenAlone.update`.
        """
        self.level_dbfs = level_dbfs(waveform)
        is_active = self.activity.update(self.level_dbfs) or not self.skip_silence
        is_alone = self.gate.update(self.level_dbfs) if self.gate else True
        return is_active, is_alone

    def smooth(self, scores: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """Smoothed scores after another hop. Shape: `(len(vocabulary),)`, `(len(vocabulary),)` -> `(len(vocabulary),)`.

        Args:
            scores: smoothed, before the hop.
            probabilities: of the last second.
        """
        return self.smoothing * scores + (1 - self.smoothing) * score_labels(probabilities, self._is_event)

    def _hop(self) -> Detection | None:
        self.num_hops += 1
        self.is_active, self.is_alone = self.judge_sound(self._ring.latest(self.hop_samples))
        self.probabilities = self.quiet
        if self.is_active:
            self.num_asked += 1
            self.probabilities = self._predict(self._ring.latest(CLIP_SAMPLES))
        self.scores = self.smooth(self.scores, self.probabilities)
        return self.trigger.step(self.time_s, self.scores, self.probabilities, self.is_alone)

    def _predict(self, waveform: np.ndarray) -> np.ndarray:
        try:
            (probabilities,) = np.asarray(self.model.predict_on_batch(waveform[None]))
        except Exception as error:
            raise ValueError(f"`model` must take waveforms of {CLIP_SAMPLES} samples. Received: {error}") from error
        if probabilities.shape != (len(self.vocabulary),):
            raise ValueError(
                f"`vocabulary` must have a label for each output of `model`. "
                f"Received: {len(self.vocabulary)} labels, {probabilities.shape} outputs"
            )
        return probabilities
