"""Sound of any length to text: windows that overlap, each heard by the network, become one stream of frames for a
decoder. NumPy and a model; no TensorFlow.

A network that looks both ways knows least about the ends of a window, so only the frames between its margins count,
and windows follow each other so that each frame counts once.
"""

import functools
import typing

import numpy as np

from kaggle_speech.audio import SAMPLE_RATE
from kaggle_speech.progress import progress_bar
from kaggle_speech.streaming.chunks import check_chunk
from kaggle_speech.streaming.sources import AudioFile
from kaggle_speech.text.decoders import BeamDecoder, GreedyDecoder


class Windows(typing.NamedTuple):
    """How sound is cut, in seconds.

    Attributes:
        before_s: what a window hears before the frames that count.
        hop_s: what counts of a window; after so much more sound there is a new one.
        after_s: what a window hears after the frames that count. What is said becomes final so much later, at most a
            hop more, and with a beam after its wait on top.
    """

    before_s: float = 1.0
    hop_s: float = 6.0
    after_s: float = 1.0


#: For files.
FILE_WINDOWS = Windows()
#: For a microphone: text every half second, at five times the cost.
LIVE_WINDOWS = Windows(before_s=2.0, hop_s=0.5, after_s=1.0)


class PartialTranscript(typing.NamedTuple):
    """What is understood of a stream so far.

    Attributes:
        time_s: how much was heard.
        settled: text that stays.
        tentative: text after it that may change with what comes.
    """

    time_s: float
    settled: str
    tentative: str


class StreamingTranscriber:
    """Chunks of any size in, text out. The same sound gives the same text however it is cut.

    Args:
        model: what has `predict_on_batch`, `{"waveform": (batch, samples), "num_samples": (batch,)}` in,
            `(batch, frames, characters)` log-probabilities out.
        output_step: samples from one frame to the next.
        make_decoder: called for each stream, gives a decoder of `ctc`.
        windows: `Windows`.

    Raises:
        ValueError: a window has nothing that counts, or negative margins.
    """

    def __init__(self, model, output_step, make_decoder=GreedyDecoder, windows=FILE_WINDOWS):
        if windows.hop_s <= 0 or min(windows) < 0:
            raise ValueError(f"`windows` must have a `hop_s` above 0, and no negative margins. Received: {windows}")
        self.model, self.output_step, self.make_decoder = model, output_step, make_decoder
        frames = [round(seconds * SAMPLE_RATE / output_step) for seconds in windows]
        self._before, self._hop, self._after = frames[0], max(1, frames[1]), frames[2]
        self.reset()

    def reset(self):
        """Begin a new stream."""
        self.decoder = self.make_decoder()
        self._chunks, self._num_heard, self._start = [], 0, 0  # sound from frame `_start` on

    @property
    def time_s(self):
        """Seconds of the stream so far."""
        return self._num_heard / SAMPLE_RATE

    @property
    def words(self):
        """What is understood so far: `(start_s, end_s, word)` of each word."""
        seconds = self.output_step / SAMPLE_RATE
        return [(word.first_frame * seconds, (word.last_frame + 1) * seconds, word.text) for word in self.decoder.words]

    def process(self, chunk):
        """Hear the next chunk.

        Shape: `(samples,)`, float in [-1, 1] or int16, 16 kHz -> list of `PartialTranscript`, one for each
            window that was full.

        Raises:
            ValueError: another shape or type, NaN or infinity; nothing of the chunk is heard then.
        """
        chunk, found = check_chunk(chunk), []
        while len(chunk):
            needed = (self.decoder.num_frames + self._hop + self._after) * self.output_step - self._num_heard
            self._chunks.append(chunk[:needed])
            self._num_heard += len(self._chunks[-1])
            chunk = chunk[needed:]
            if len(self._chunks[-1]) == needed:
                log_probabilities = self._listen()
                self.decoder.process(log_probabilities[: self._hop])
                found.append(self._heard(self.decoder.peek(log_probabilities[self._hop :])))
                self._forget()
        return found

    def skip(self, num_samples):
        """Samples were lost: silence stands for them, so that the clock goes on."""
        self.process(np.zeros(num_samples, "float32"))

    def finish(self):
        """End the stream: the rest counts, too. Shape: -> list of one `PartialTranscript`, empty without sound."""
        if not self._num_heard:
            return []
        self.decoder.process(self._listen())
        self.decoder.finish()
        return [self._heard(self.decoder.text)]

    def _heard(self, text):
        settled = self.decoder.settled
        return PartialTranscript(self.time_s, settled, text[len(settled) :])

    def _listen(self):
        """Log-probabilities of all frames that do not count yet."""
        waveform = np.concatenate(self._chunks)
        inputs = {"waveform": waveform[None], "num_samples": np.array([len(waveform)], "int32")}
        (log_probabilities,) = np.asarray(self.model.predict_on_batch(inputs))
        return log_probabilities[self.decoder.num_frames - self._start :]

    def _forget(self):
        """Drop the sound that no window will hear again."""
        start = max(0, self.decoder.num_frames - self._before)
        self._chunks = [np.concatenate(self._chunks)[(start - self._start) * self.output_step :]]
        self._start = start


def make_stream(transcriber, beam_width, lm_weight=None, windows=FILE_WINDOWS):
    """A `StreamingTranscriber` for a model and a way to decode.

    Args:
        transcriber: `engines.Transcriber`.
        beam_width: of a `ctc.BeamDecoder`; 1 for the best path, by a `ctc.GreedyDecoder`.
        lm_weight: of the transcriber's language model; None for the decoder's own.
        windows: `Windows`.

    Raises:
        ValueError: a weight without a language model or a beam, or options that the decoder or the stream refuses.
    """
    if lm_weight is not None and (beam_width == 1 or not transcriber.language_model):
        raise ValueError(
            "`lm_weight` must be left out where no language model is asked: it needs one beside the model (ngram.json) "
            f"and a `beam_width` above 1. Received: lm_weight={lm_weight}, beam_width={beam_width}, "
            f"{'a' if transcriber.language_model else 'no'} language model"
        )
    make_decoder = GreedyDecoder
    if beam_width != 1:
        options = {} if lm_weight is None else {"lm_weight": lm_weight}
        make_decoder = functools.partial(BeamDecoder, beam_width, transcriber.language_model, **options)
    return StreamingTranscriber(transcriber.model, transcriber.output_step, make_decoder, windows)


def transcribe_file(stream, path, *, progress=False):
    """What is said in an audio file of any length; memory stays flat.

    Args:
        stream: `StreamingTranscriber`; it begins anew.
        path: any file that `sources.AudioFile` reads.
        progress: show a progress bar, in seconds of sound.

    Returns:
        The text, and `(start_s, end_s, word)` of each word.

    Raises:
        AudioError, OSError: the file cannot be read; names it.
    """
    source = AudioFile(path, chunk_ms=1000)
    stream.reset()
    bar = progress_bar(total=round(source.duration_s), desc=source.name, unit="s", progress=progress)
    with bar:
        for chunk in source.chunks():
            stream.process(chunk)
            bar.update(1)
    stream.finish()
    return " ".join(stream.decoder.text.split()), stream.words
