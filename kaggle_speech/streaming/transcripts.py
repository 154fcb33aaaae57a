"""Transcripts of sound of any length: overlapping windows, joined to one stream of frames for a decoder.

A bidirectional network is least accurate at the ends of a window, so only the frames between the margins of a window
count, and windows follow each other so that each frame counts once.
"""

import functools
import sys
import typing
from collections.abc import Callable

import numpy as np

from kaggle_speech.audio import SAMPLE_RATE
from kaggle_speech.progress import progress_bar
from kaggle_speech.streaming.chunks import check_chunk
from kaggle_speech.streaming.stream import BatchModel, Source
from kaggle_speech.text.alphabet import ALPHABET, BLANK_INDEX, IMPOSSIBLE
from kaggle_speech.text.decoders import BeamDecoder, Decoder, GreedyDecoder, LanguageModel


class Windows(typing.NamedTuple):
    """Lengths of the parts of a window, in seconds.

    Attributes:
        before_s: context before the frames that count.
        hop_s: frames that count; a new window starts after so much more sound.
        after_s: context after the frames that count. Text becomes final so much later, at most a hop more, and with a
            beam after its wait on top.
    """

    before_s: float = 1.0
    hop_s: float = 6.0
    after_s: float = 1.0


#: Windows for files.
FILE_WINDOWS = Windows()
#: Windows for a microphone: text every half second, at five times the cost.
LIVE_WINDOWS = Windows(before_s=2.0, hop_s=0.5, after_s=1.0)


class PartialTranscript(typing.NamedTuple):
    """Transcript of a stream so far.

    Attributes:
        time_s: seconds of the stream so far.
        settled: text that is final.
        tentative: text after it that may change with more sound.
    """

    time_s: float
    settled: str
    tentative: str


class TranscriptModel(typing.Protocol):
    """A model that makes transcripts, with its language model: a `Transcriber`."""

    @property
    def model(self) -> BatchModel:
        """The network, waveforms in, log-probabilities out."""

    @property
    def output_step(self) -> int:
        """Samples from one output to the next."""

    @property
    def language_model(self) -> LanguageModel | None:
        """Language model for the beam decoder; None where there is none."""


class StreamingTranscriber:
    """Transcriber of a stream: chunks of any size in, text out.

    The same sound gives the same text however it is cut into chunks.

    Args:
        model: its `predict_on_batch` takes `{"waveform": (batch, samples), "num_samples": (batch,)}` and gives
            log-probabilities `(batch, frames, characters)`.
        output_step: samples from one frame to the next.
        make_decoder: makes the decoder of each stream.
        windows: lengths of the windows.

    Raises:
        ValueError: `windows.hop_s` is not above 0, or a margin is negative.
    """

    def __init__(
        self,
        model: BatchModel,
        output_step: int,
        make_decoder: Callable[[], Decoder] = GreedyDecoder,
        windows: Windows = FILE_WINDOWS,
    ):
        if windows.hop_s <= 0 or min(windows) < 0:
            raise ValueError(f"`windows` must have a `hop_s` above 0, and no negative margins. Received: {windows}")
        self.model = model
        self.output_step = output_step
        self.make_decoder = make_decoder
        frames = [round(seconds * SAMPLE_RATE / output_step) for seconds in windows]
        self._frames_before = frames[0]
        self._hop_frames = max(1, frames[1])
        self._frames_after = frames[2]
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self.decoder = self.make_decoder()
        #: Texts of the whole stream that were possible at its end, the most probable first.
        self.alternatives: list[str] = []
        self._chunks: list[np.ndarray] = []  # sound from frame `_first_frame` on
        self._first_frame = 0
        self._num_processed = 0

    @property
    def time_s(self) -> float:
        """Seconds of the stream so far."""
        return self._num_processed / SAMPLE_RATE

    @property
    def words(self) -> list[tuple[float, float, str]]:
        """Words so far: `(start_s, end_s, word)` of each."""
        seconds = self.output_step / SAMPLE_RATE
        return [(word.first_frame * seconds, (word.last_frame + 1) * seconds, word.text) for word in self.decoder.words]

    def process(self, chunk: np.ndarray) -> list[PartialTranscript]:
        """Process the next chunk.

        Shape: `(samples,)`, float in [-1, 1] or int16, 16 kHz -> list of `PartialTranscript`, one for each window that
            was completed.

        Raises:
            ValueError: another shape or type, NaN or infinity; nothing of the chunk is processed then.
        """
        chunk = check_chunk(chunk)
        transcripts = []
        while len(chunk):
            last_frame = self.decoder.num_frames + self._hop_frames + self._frames_after
            num_missing = last_frame * self.output_step - self._num_processed
            part = chunk[:num_missing]
            chunk = chunk[num_missing:]
            self._chunks.append(part)
            self._num_processed += len(part)
            if len(part) == num_missing:
                log_probabilities = self._predict()
                self.decoder.process(log_probabilities[: self._hop_frames])
                transcripts.append(self._partial(self.decoder.peek(log_probabilities[self._hop_frames :])))
                self._forget()
        return transcripts

    def skip(self, num_samples: int) -> None:
        """Advance the clock over samples that were lost; silence takes their place.

        A gap of a hop or more costs no more than one window: the network hears the sound up to it, and after it, but
        not the silence. Else a stream that is too slow for its source would never catch up.
        """
        if num_samples < self._hop_frames * self.output_step:
            self.process(np.zeros(num_samples, "float32"))
            return
        if self._chunks:
            self.decoder.process(self._predict())
        self._num_processed += num_samples
        # The next window begins with the rest of a frame, so that it is never empty.
        self._first_frame = max((self._num_processed - 1) // self.output_step, self.decoder.num_frames)
        self._chunks = [np.zeros(self._num_processed - self._first_frame * self.output_step, "float32")]
        silence = np.full((self._first_frame - self.decoder.num_frames, len(ALPHABET)), IMPOSSIBLE)
        silence[:, BLANK_INDEX] = 0
        if self.decoder.text and not self.decoder.text.endswith(" "):
            silence[:1] = np.where(np.array(ALPHABET) == " ", 0, IMPOSSIBLE)
        self.decoder.process(silence)

    def finish(self) -> list[PartialTranscript]:
        """End the stream: the rest of the sound counts, too. Shape: -> list of one; empty where there was no sound."""
        if not self._num_processed:
            return []
        self.decoder.process(self._predict())
        self.alternatives = self.decoder.alternatives
        self.decoder.finish()
        return [self._partial(self.decoder.text)]

    def _partial(self, text: str) -> PartialTranscript:
        settled = self.decoder.settled
        return PartialTranscript(self.time_s, settled, text[len(settled) :])

    def _predict(self) -> np.ndarray:
        """Log-probabilities of all frames that do not count yet."""
        waveform = np.concatenate(self._chunks)
        inputs = {"waveform": waveform[None], "num_samples": np.array([len(waveform)], "int32")}
        (log_probabilities,) = np.asarray(self.model.predict_on_batch(inputs))
        return log_probabilities[self.decoder.num_frames - self._first_frame :]

    def _forget(self) -> None:
        """Drop the sound before the next window."""
        first_frame = max(self._first_frame, self.decoder.num_frames - self._frames_before)
        num_dropped = (first_frame - self._first_frame) * self.output_step
        self._chunks = [np.concatenate(self._chunks)[num_dropped:]]
        self._first_frame = first_frame


def make_stream(
    transcriber: TranscriptModel,
    beam_width: int,
    lm_weight: float | None = None,
    windows: Windows = FILE_WINDOWS,
    num_alternatives: int = 0,
) -> StreamingTranscriber:
    """A `StreamingTranscriber` with the decoder that the options describe.

    Args:
        transcriber: the model and its language model, such as a `Transcriber`.
        beam_width: hypotheses that a `BeamDecoder` keeps; 1 for the best path, by a `GreedyDecoder`.
        lm_weight: weight of the language model; None for the decoder's default.
        windows: `FILE_WINDOWS` for files, `LIVE_WINDOWS` for a microphone.
        num_alternatives: texts beside the best one that are asked for, below `beam_width`. Then no text is settled
            while hypotheses differ, so that they may differ anywhere; memory grows with the length of the sound.

    Raises:
        ValueError: a weight without a language model or a beam, or options that the decoder or the stream refuses.
    """
    if not 0 <= num_alternatives < beam_width:
        raise ValueError(
            "`num_alternatives` must be from 0 to below `beam_width`. "
            f"Received: num_alternatives={num_alternatives}, beam_width={beam_width}"
        )
    if lm_weight is not None and (beam_width == 1 or not transcriber.language_model):
        raise ValueError(
            "`lm_weight` must be left out where no language model is used: it needs one beside the model "
            f"and a `beam_width` above 1. Received: lm_weight={lm_weight}, beam_width={beam_width}, "
            f"{'a' if transcriber.language_model else 'no'} language model"
        )
    make_decoder: Callable[[], Decoder] = GreedyDecoder
    if beam_width != 1:
        options: dict[str, typing.Any] = {} if lm_weight is None else {"lm_weight": lm_weight}
        if num_alternatives:
            options["max_wait_frames"] = sys.maxsize
        make_decoder = functools.partial(BeamDecoder, beam_width, transcriber.language_model, **options)
    return StreamingTranscriber(transcriber.model, transcriber.output_step, make_decoder, windows)


def transcribe_source(
    stream: StreamingTranscriber, source: Source, *, progress: bool = False
) -> tuple[str, list[tuple[float, float, str]]]:
    """Transcript of a source that ends, of any length; memory stays flat.

    Args:
        stream: the transcriber; it is reset first.
        source: an audio file or an array (see `sources`).
        progress: show a progress bar, a step for each chunk: a second where `chunk_ms` is 1000.

    Returns:
        The text, and `(start_s, end_s, word)` of each word.

    Raises:
        AudioError, OSError: the source cannot be read; names it.
    """
    duration_s = getattr(source, "duration_s", None)
    stream.reset()
    with progress_bar(total=duration_s and round(duration_s), desc=source.name, unit="s", progress=progress) as bar:
        for chunk in source.chunks():
            stream.process(chunk)
            bar.update(1)
    stream.finish()
    return " ".join(stream.decoder.text.split()), stream.words
