"""Commands in sound that does not end: chunks of any size in, detections out. NumPy and a model; no TensorFlow.

Every `hop_ms` the last second is looked at: a voice activity detector says whether
anything sounds in it, only then the model is asked, its probabilities are smoothed
over time, and a label that rises above the threshold is reported, once.
"""

import typing

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

MIN_THRESHOLD, MAX_THRESHOLD = 0.10, 0.95


class Detection(typing.NamedTuple):
    """A command that was heard.

    Attributes:
        time_s: when it was reported, in seconds of the stream; the word ended a little before.
        label: which one.
        confidence: its smoothed probability, 0 to 1.
    """

    time_s: float
    label: str
    confidence: float


class Trigger:
    """Smoothed probabilities to detections: each word once.

    A label is reported when it was the most probable one, at the threshold or above, at `min_hops` hops in a row. The
    same label can be reported again when it has fallen below `release` times the threshold, any label after
    `min_gap_ms`.

    Args:
        vocabulary: labels in the order of the probabilities.
        events: labels to report; the others are only competitors.
        threshold: 0.10 to 0.95; may be changed at any time.
        min_gap_ms: between two detections.
        min_hops: 1 or more; the beginning of one word is often that of another.
        release: share of the threshold, 0 to 1.
        answers: None, or a function such as `Recogniser.answers`: from probabilities `(1, len(vocabulary))` to labels
            and confidences, `(1,)` each; a label that is no event, such as `unknown`, is not reported. It gets the
            probabilities of the last second as for a clip, not smoothed, where they name the label that leads.

    Raises:
        ValueError: the threshold is out of range, or a label to report is not in the vocabulary.
    """

    def __init__(
        self, vocabulary, events=COMMANDS, *, threshold, min_gap_ms=500, min_hops=2, release=0.5, answers=None
    ):
        missing = [label for label in events if label not in vocabulary]
        if missing:
            raise ValueError(
                f"`vocabulary` must hold the labels to report. Received: {list(vocabulary)} without {missing}"
            )
        self.vocabulary, self.events, self.threshold = tuple(vocabulary), frozenset(events), threshold
        self.min_gap_s, self.min_hops, self.release, self.answers = min_gap_ms / 1000, min_hops, release, answers
        self.reset()

    @property
    def threshold(self):
        """What a smoothed probability must reach."""
        return self._threshold

    @threshold.setter
    def threshold(self, threshold):
        if not MIN_THRESHOLD <= threshold <= MAX_THRESHOLD:
            raise ValueError(
                f"`threshold` must be from {MIN_THRESHOLD} to {MAX_THRESHOLD}. Received: threshold={threshold}"
            )
        self._threshold = float(threshold)

    def reset(self):
        """Forget what was reported."""
        self._reported, self._last_s, self._leader, self._num_hops = None, -np.inf, None, 0

    def step(self, time_s, probabilities, latest=None):
        """Look at the next hop. Shape: float, `(len(vocabulary),)`, the same -> `Detection` or None.

        Args:
            time_s: seconds of the stream.
            probabilities: smoothed.
            latest: of the last second alone; None where they are not known.
        """
        if self._reported is not None and probabilities[self._reported] < self.release * self._threshold:
            self._reported = None
        index = int(np.argmax(probabilities))
        if probabilities[index] < self._threshold:
            self._leader = None
            return None
        self._num_hops = self._num_hops + 1 if index == self._leader else 1
        self._leader = index
        is_early = self._num_hops < self.min_hops or time_s - self._last_s < self.min_gap_s - 1e-9
        if is_early or index == self._reported or self.vocabulary[index] not in self.events:
            return None
        if self.answers is not None:
            is_led_by_it = latest is not None and np.argmax(latest) == index
            (label,), _ = self.answers((latest if is_led_by_it else probabilities)[None])
            if label not in self.events:
                return None
        self._reported, self._last_s = index, time_s
        return Detection(time_s, self.vocabulary[index], float(probabilities[index]))


class StreamingRecogniser:
    """Chunks of any size in, detections out. The same sound gives the same detections however it is cut.

    Args:
        model: what has `predict_on_batch`, waveforms of one second in, probabilities out.
        vocabulary: labels in the order of its outputs.
        hop_ms: how often the last second is looked at.
        smoothing: weight of what was before in the smoothed probabilities, 0 (none) to below 1.
        threshold: that a smoothed probability must reach, 0.10 to 0.95; the attribute may be changed at any time.
        min_gap_ms: between two detections.
        events, answers: see `Trigger`.
        activity: `VoiceActivity`; None for the default, False to ask the model at every hop.

    Attributes:
        probabilities: smoothed, `(len(vocabulary),)`, of the last hop.
        level_dbfs, is_active: of the last hop.
        time_s: how much was heard.
        num_hops, num_asked: hops there were, and those at which the model was asked.

    Raises:
        ValueError: an option is out of range, or the model takes another length or answers with other labels.
    """

    def __init__(
        self,
        model,
        vocabulary,
        *,
        hop_ms=100,
        smoothing=0.7,
        threshold=0.55,
        min_gap_ms=500,
        events=COMMANDS,
        answers=None,
        activity=None,
    ):
        if not 10 <= hop_ms <= 1000:
            raise ValueError(f"`hop_ms` must be from 10 to 1000. Received: hop_ms={hop_ms}")
        if not 0 <= smoothing < 1:
            raise ValueError(f"`smoothing` must be at least 0 and below 1. Received: smoothing={smoothing}")
        self.model, self.vocabulary, self.smoothing = model, tuple(vocabulary), smoothing
        self.hop_samples = round(hop_ms * SAMPLE_RATE / 1000)
        self.trigger = Trigger(vocabulary, events, threshold=threshold, min_gap_ms=min_gap_ms, answers=answers)
        self.activity = VoiceActivity(hop_ms) if activity is None else activity or None
        self._quiet = np.array([float(label == SILENCE) for label in self.vocabulary], "float32")
        self._ask(np.zeros(CLIP_SAMPLES, "float32"))
        self.reset()

    @property
    def threshold(self):
        """What a smoothed probability must reach, 0.10 to 0.95."""
        return self.trigger.threshold

    @threshold.setter
    def threshold(self, threshold):
        self.trigger.threshold = threshold

    @property
    def time_s(self):
        """Seconds of the stream so far, those that were skipped among them."""
        return (self._num_heard + self._num_skipped) / SAMPLE_RATE

    def reset(self):
        """Begin a new stream."""
        self._ring, self._num_heard, self._num_skipped = RingBuffer(), 0, 0
        self.num_hops = self.num_asked = 0
        self.probabilities = self._quiet
        self.level_dbfs, self.is_active = MIN_LEVEL_DBFS, False
        self.trigger.reset()
        if self.activity:
            self.activity.reset()

    def process(self, chunk):
        """Hear the next chunk.

        Shape: `(samples,)`, float in [-1, 1] or int16, 16 kHz -> list of `Detection`.

        Raises:
            ValueError: another shape or type, NaN or infinity; nothing of the chunk is heard then.
        """
        chunk, found, start = check_chunk(chunk), [], 0
        while start < len(chunk):
            end = start + self.hop_samples - self._num_heard % self.hop_samples
            part = chunk[start:end]
            self._ring.append(part)
            self._num_heard += len(part)
            start += len(part)
            if self._num_heard % self.hop_samples == 0 and (detection := self._hop()):
                found.append(detection)
        return found

    def skip(self, num_samples):
        """Samples were lost: the clock goes on, and what comes next follows what was last heard."""
        self._num_skipped += num_samples

    def finish(self):
        """The stream has ended: what the last words still give when silence follows. Shape: -> list of `Detection`."""
        return self.process(np.zeros(CLIP_SAMPLES // 2, "float32"))

    def latest(self, duration_s=BUFFER_SAMPLES / SAMPLE_RATE):
        """The last seconds of the stream, 3 at most. Shape: -> `(samples,)` float32."""
        return self._ring.latest(min(round(duration_s * SAMPLE_RATE), BUFFER_SAMPLES))

    def _hop(self):
        self.num_hops += 1
        self.level_dbfs = level_dbfs(self._ring.latest(self.hop_samples))
        self.is_active = self.activity.update(self.level_dbfs) if self.activity else True
        probabilities = self._quiet
        if self.is_active:
            self.num_asked += 1
            probabilities = self._ask(self._ring.latest(CLIP_SAMPLES))
        self.probabilities = self.smoothing * self.probabilities + (1 - self.smoothing) * probabilities
        return self.trigger.step(self.time_s, self.probabilities, probabilities)

    def _ask(self, waveform):
        try:
            (probabilities,) = np.asarray(self.model.predict_on_batch(waveform[None]))
        except Exception as error:
            raise ValueError(f"`model` must answer waveforms of {CLIP_SAMPLES} samples. Received: {error}") from error
        if probabilities.shape != (len(self.vocabulary),):
            raise ValueError(
                f"`vocabulary` must have a label for each output of `model`. "
                f"Received: {len(self.vocabulary)} labels, {probabilities.shape} outputs"
            )
        return probabilities
