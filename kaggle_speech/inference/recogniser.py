"""Recogniser and Transcriber: a loaded model with everything that turns its outputs into answers; no TensorFlow."""

import dataclasses
import functools
import typing
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from kaggle_speech.audio import INT16_SCALE, SAMPLE_RATE, AudioBytes, AudioError
from kaggle_speech.files import listing
from kaggle_speech.inference.answers import NOTHING_REJECTED, Rejection, most_probable
from kaggle_speech.inference.batches import parallel_map, predict_waveforms
from kaggle_speech.inference.personal_words import PersonalModel, read_words, split_words
from kaggle_speech.inference.runtimes import OnnxModel
from kaggle_speech.inference.windows import LONG_S, audio_paths, check_window, read_windows, select_windows
from kaggle_speech.labels import COMMANDS, COMPETITION_LABELS, SILENCE, UNKNOWN
from kaggle_speech.progress import progress_bar
from kaggle_speech.streaming import sources, transcripts
from kaggle_speech.streaming.stream import BatchModel, Source
from kaggle_speech.streaming.words import Detection, StreamingRecogniser
from kaggle_speech.text.decoders import BEAM_WIDTH, LanguageModel
from kaggle_speech.text.lexicon import Lexicon
from kaggle_speech.text.word_ngram import read_arpa

#: Recordings: a path, many paths, a folder, or an array.
Recordings = Path | str | Iterable[Path | str] | np.ndarray
#: Files that a thread reads and recognises at a time.
BATCH_SIZE = 32


@dataclasses.dataclass(frozen=True)
class Answer:
    """Label of a clip, with its confidence.

    Attributes:
        label: one of `Recogniser.labels`.
        confidence: 0 to 1; the label's probability, or, of a command that was rejected, 1 minus the command's. Where
            words are enrolled, that of a label of the model is among these labels alone.
        probabilities: label -> probability, over `Recogniser.labels`; they add up to 1.

    Examples:
        >>> Answer("yes", 0.98, {"yes": 0.98, "no": 0.02})
        Answer(label='yes', confidence=0.98)
    """

    label: str
    confidence: float
    probabilities: dict[str, float] = dataclasses.field(repr=False)


class SpokenWord(typing.NamedTuple):
    """Word of a transcript, with its times in seconds of the recording."""

    word: str
    start_s: float
    end_s: float


@dataclasses.dataclass(frozen=True)
class Transcript:
    """Text of a recording.

    Attributes:
        text: small letters, apostrophes and single spaces.
        words: each word with its times.
        duration_s: length of the recording in seconds.
        alternatives: next most probable texts, the best first, where they were asked for.

    Examples:
        >>> Transcript("go", (SpokenWord("go", 0.2, 0.5),), 1.0)
        Transcript(text='go', duration_s=1.0)
    """

    text: str
    words: tuple[SpokenWord, ...] = dataclasses.field(repr=False)
    duration_s: float
    alternatives: tuple[str, ...] = dataclasses.field(default=(), repr=False)


@dataclasses.dataclass(frozen=True, eq=False)
class Recogniser:
    """A model that recognises words, with everything that turns its outputs into answers. `load` makes one.

    Args:
        model: anything with `predict_on_batch`, waveforms in, probabilities out.
        vocabulary: labels in the order of its outputs; the enrolled words are the last.
        settings: JSON-able; tells the model and the engine from others.
        facts: what the model's folder or file states of its training.
        rejection: rule that makes doubtful commands `unknown`.
        words: enrolled words.
        name: name of the model, for messages.

    Examples:
        >>> from kaggle_speech.inference.load import load
        >>> recogniser = load("tc_resnet")
        >>> recogniser
        Recogniser(tc_resnet, 12 labels, onnxruntime)
        >>> recogniser.predict(np.zeros(16_000), sample_rate=16_000).label
        'silence'
    """

    model: BatchModel
    vocabulary: tuple[str, ...]
    settings: dict = dataclasses.field(default_factory=dict)
    facts: dict = dataclasses.field(default_factory=dict)
    rejection: Rejection = NOTHING_REJECTED
    words: tuple[str, ...] = ()
    name: str = "model"

    task: typing.ClassVar[str] = "words"

    def __repr__(self) -> str:
        engine = self.settings.get("engine", type(self.model).__name__)
        return f"Recogniser({self.name}, {len(self.vocabulary)} labels, {engine})"

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that `predict` answers with, the enrolled words last.

        They are those of the model; where doubtful commands become `unknown`, the twelve of the competition.
        """
        return self.vocabulary if self._rejects_nothing else (*COMPETITION_LABELS, *self.words)

    @property
    def _rejects_nothing(self):
        return self.rejection == NOTHING_REJECTED

    def with_threshold(self, threshold: float | None) -> "Recogniser":
        """A copy with another threshold of its rejection; None keeps the threshold."""
        return dataclasses.replace(self, rejection=self.rejection.with_threshold(threshold))

    def with_words(self, path: Path | str) -> "Recogniser":
        """A copy that also recognises enrolled words.

        Args:
            path: file that `enroll` wrote.

        Raises:
            ValueError: the file holds no words, those of another model, or labels of this one, or it has no embeddings.
            OSError: the file cannot be read.
        """
        words = read_words(path)
        if not isinstance(self.model, OnnxModel):
            raise ValueError(f"{self.name}: must run by onnxruntime for enrolled words. Received: {self.settings}")
        if taken := {*words.words} & {*self.vocabulary}:
            raise ValueError(f"{path}: must hold words that are no labels of {self.name}. Received: {sorted(taken)}")
        model = PersonalModel(self.model, words)
        return dataclasses.replace(self, model=model, vocabulary=model.vocabulary, words=words.words)

    def answers(self, probabilities: np.ndarray, own_labels: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Labels and confidences from outputs of the model.

        This is the only place where outputs become answers.

        An enrolled word with half of the probability or more is the answer; else the most probable of the twelve
        labels, with `unknown` for a command that the rejection refuses.

        Shape: `(clips, len(vocabulary))` -> labels `(clips,)` str, confidences `(clips,)`, 0 to 1.

        Args:
            probabilities: outputs of the model.
            own_labels: answer with `labels`, not with the twelve.
        """
        rest, shares = split_words(probabilities, len(self.words))
        vocabulary = self.vocabulary[: rest.shape[1]]
        if own_labels and self._rejects_nothing:
            labels, confidences = most_probable(rest, vocabulary), rest.max(axis=1)
        else:
            labels, confidences = self.rejection.apply(rest, vocabulary)
        if not self.words:
            return labels, confidences
        best = shares.max(axis=1)
        nearest = np.array(self.words)[shares.argmax(axis=1)]
        return np.where(best >= 0.5, nearest, labels), np.where(best >= 0.5, best, confidences)

    def predict(
        self,
        source: Recordings,
        sample_rate: int | None = None,
        *,
        window: str = "first",
        progress: bool = False,
    ) -> "Answer | list[Answer]":
        """Recognise the word in a recording, or in each of many.

        Args:
            source: path of an audio file; many paths; a folder (its audio files, sorted); or an array, `(samples,)` or
                `(clips, samples)`, float in [-1, 1] or int16.
            sample_rate: sample rate of an array, in Hz.
            window: the second of a longer recording that the model gets: `first`; `loudest`, the one around the
                loudest sound; or `all`, the most confident command of any second.
            progress: show a progress bar.

        Returns:
            `Answer` for one path or `(samples,)`, else a list of them.

        Raises:
            AudioError: files cannot be read; names them (`predict_files` goes on with the others).
            ValueError: an array without a sample rate or of another shape, or an unknown `window`.

        Examples:
            >>> from kaggle_speech.inference.load import load
            >>> load().predict(np.zeros(16_000), sample_rate=16_000).label
            'silence'
        """
        check_window(window)
        if isinstance(source, np.ndarray):
            waveforms = _mono_clips(source, sample_rate)
            answers = [self._answer(select_windows(waveform, window)) for waveform in waveforms]
            return answers[0] if source.ndim == 1 else answers
        if isinstance(source, str | Path) and not Path(source).is_dir():
            answer, duration_s = self._answer_file(source, window)
            if isinstance(answer, Exception):
                raise answer
            _warn_of_long_files([(source, duration_s)], window)
            return answer
        paths = audio_paths(source) if isinstance(source, str | Path) else list(source)
        answers = []
        errors = []
        for _, outcome in self.predict_files(paths, window=window, progress=progress):
            if isinstance(outcome, Answer):
                answers.append(outcome)
            else:
                errors.append(str(outcome))
        if errors:
            raise AudioError(listing(errors))
        return answers

    def predict_files(
        self, paths: Iterable[Path | str], *, window: str = "first", progress: bool = False
    ) -> "Iterator[tuple[Path | str, Answer | AudioError]]":
        """Recognise the word in each of many files, several at a time; a file that cannot be read stops nothing.

        Args:
            paths: audio files.
            window: the second of a longer recording that the model gets: `first`; `loudest`, the one around the
                loudest sound; or `all`, the most confident command of any second.
            progress: show a progress bar.

        Returns:
            iterator of each path, in order, with its `Answer`, or an `AudioError` with the reason why it has none.

        Raises:
            ValueError: `window` is none of these.
        """
        check_window(window)
        paths = list(paths)
        size = 1 if window == "all" else BATCH_SIZE  # the whole of a long file is in memory
        batches = [paths[first : first + size] for first in range(0, len(paths), size)]
        return self._predict_batches(batches, len(paths), window, progress)

    def _predict_batches(self, batches, num_files, window, progress):
        lengths = []
        with progress_bar(total=num_files, desc="predicting", unit="file", progress=progress) as bar:
            for batch, outcomes in zip(
                batches, parallel_map(lambda batch: self._answer_files(batch, window), batches), strict=True
            ):
                bar.update(len(batch))
                for path, (outcome, duration_s) in zip(batch, outcomes, strict=True):
                    lengths.append((path, duration_s))
                    yield path, outcome
        _warn_of_long_files(lengths, window)

    def _answer_files(self, paths, window):
        """`(Answer or AudioError, seconds)` of each file; the windows of all go through the model together."""
        outcomes = []
        windows = []
        for path in paths:
            try:
                file_windows, duration_s = read_windows(path, window)
            except AudioError as error:
                outcomes.append((error, 0.0))
            else:
                windows.append(file_windows)
                outcomes.append((None, duration_s))
        if not windows:
            return outcomes
        answers = iter(self._answers_of_windows(windows))
        return [(next(answers) if error is None else error, duration_s) for error, duration_s in outcomes]

    def _answer_file(self, path, window):
        return self._answer_files([path], window)[0]

    def _answer(self, windows):
        return self._answers_of_windows([windows])[0]

    def _answers_of_windows(self, windows):
        """An `Answer` for each `(windows, samples)`."""
        if all(len(part) == 1 for part in windows):
            probabilities = predict_waveforms(self.model, np.concatenate(windows))
        else:
            probabilities = np.concatenate([predict_waveforms(self.model, part) for part in windows])
        return self._best_answers(probabilities, [len(part) for part in windows])

    def _best_answers(self, probabilities, num_windows):
        """For each recording the `Answer` of the window with the most confident word; without one, of the likeliest.

        Args:
            probabilities: `(windows, len(vocabulary))`, recording after recording.
            num_windows: of each recording.
        """
        labels, confidences = self.answers(probabilities, own_labels=True)
        values = self._label_probabilities(probabilities)
        names = self.labels
        is_word = np.isin(names, (SILENCE, UNKNOWN), invert=True)
        is_answered = np.isin(labels, (SILENCE, UNKNOWN), invert=True)
        scores = np.where(is_answered, 1 + confidences, values[:, is_word].max(axis=1))
        ends = np.cumsum(num_windows)
        rows = [
            end - size + int(np.argmax(scores[end - size : end])) for end, size in zip(ends, num_windows, strict=True)
        ]
        return [
            Answer(str(labels[row]), float(confidences[row]), dict(zip(names, values[row].tolist(), strict=True)))
            for row in rows
        ]

    def _label_probabilities(self, probabilities):
        """Shape: `(clips, len(vocabulary))` -> `(clips, len(labels))`."""
        rest, shares = split_words(probabilities, len(self.words))
        values = rest
        if not self._rejects_nothing:
            values = self.rejection.values(rest, self.vocabulary[: rest.shape[1]])
        return np.concatenate([values * (1 - shares.sum(axis=1, keepdims=True)), shares], axis=1)

    def stream(
        self, *, threshold: float | None = None, events: Sequence[str] | None = None, **options: typing.Any
    ) -> StreamingRecogniser:
        """A `StreamingRecogniser` with this model and its answers, for sound that comes in chunks.

        Args:
            threshold: lowest smoothed score of a detection, 0.10 to 0.99; None for the default, 0.80.
            events: words to report, of `labels`; None for the ten commands and the enrolled words. All other labels
                compete with them, so few words give fewer false alarms.
            options: arguments of `StreamingRecogniser`, such as `hop_ms`, `smoothing`, `activity`.

        Raises:
            ValueError: an option is out of range, or `events` holds what the model does not answer.
        """
        if threshold is not None:
            options["threshold"] = threshold
        usual = (*COMMANDS, *self.words)
        events = usual if events is None else tuple(events)
        words = [label for label in self.labels if label not in (SILENCE, UNKNOWN)]
        if not events or not set(events) <= set(words):
            raise ValueError(f"`events` must be some of {', '.join(words)}. Received: {', '.join(events) or 'none'}")
        answers = functools.partial(self.answers, own_labels=not set(events) <= set(usual))
        return StreamingRecogniser(self.model, self.vocabulary, events=events, answers=answers, **options)

    def listen(
        self,
        source: Source | Path | str | np.ndarray,
        sample_rate: int | None = None,
        *,
        threshold: float | None = None,
        **options: typing.Any,
    ) -> Iterator[Detection]:
        """Report the commands in sound of any length, as they are spoken.

        Args:
            source: `Microphone()` or another of `kaggle_speech.streaming`'s sources; path of an audio file; or an
                array `(samples,)`, float in [-1, 1] or int16.
            sample_rate: sample rate of an array, in Hz.
            threshold: lowest smoothed score of a detection, 0.10 to 0.99; None for the default, 0.80.
            options: arguments of `stream`, such as `events`, `hop_ms`, `smoothing`, `activity`.

        Returns:
            iterator of `Detection(time_s, label, confidence, scores)`; of a microphone it does not end.

        Raises:
            ValueError: an option is out of range, or an array without a sample rate.
            AudioError, OSError: the source cannot be opened or read.

        Examples:
            >>> from kaggle_speech.inference.load import load
            >>> for detection in load().listen(np.zeros(32_000), sample_rate=16_000): print(detection.label)
        """
        return _process(self.stream(threshold=threshold, **options), _open_source(source, sample_rate))


@dataclasses.dataclass(frozen=True, eq=False)
class Transcriber:
    """A model that makes transcripts of speech. `load` makes one.

    Args:
        model: anything with `predict_on_batch`: a dict of `waveform` and `num_samples` in, log-probabilities of
            `alphabet.ALPHABET` out.
        output_step: samples from one output to the next.
        settings: JSON-able; tells the model and the engine from others.
        facts: what the model's folder or file states of its training.
        num_val_speakers: number of speakers that the training held out, those with the highest ids; None if unknown.
        language_model: that in the folder of the model, of words or of characters; None where there is none.
        name: name of the model, for messages.

    Examples:
        >>> from kaggle_speech.inference.load import load
        >>> transcriber = load("resnet_ctc")
        >>> transcriber, transcriber.output_step
        (Transcriber(resnet_ctc, onnxruntime), 400)
    """

    model: BatchModel
    output_step: int
    settings: dict = dataclasses.field(default_factory=dict)
    facts: dict = dataclasses.field(default_factory=dict)
    num_val_speakers: int | None = None
    language_model: LanguageModel | None = None
    name: str = "model"

    task: typing.ClassVar[str] = "transcripts"

    def __repr__(self) -> str:
        engine = self.settings.get("engine", type(self.model).__name__)
        return f"Transcriber({self.name}, {engine})"

    def with_language_model(self, path: Path | str | None) -> "Transcriber":
        """The same transcriber with a language model of words, read from an ARPA file.

        Args:
            path: the file, .arpa or .arpa.gz, such as `train-language-model` writes, or None for no change.

        Raises:
            ValueError: the file is damaged, or holds no word of the letters a to z.
            OSError: the file is missing or cannot be read.
        """
        if path is None:
            return self
        spelling = self.language_model
        if isinstance(spelling, Lexicon):
            spelling = spelling.spelling
        return dataclasses.replace(self, language_model=Lexicon(read_arpa(path), spelling))

    def transcribe(
        self,
        source: Recordings | AudioBytes,
        sample_rate: int | None = None,
        *,
        beam_width: int = BEAM_WIDTH,
        lm_weight: float | None = None,
        num_alternatives: int = 0,
        progress: bool = False,
    ) -> "Transcript | list[Transcript]":
        """Transcribe a recording of any length, or each of many; memory stays flat.

        Args:
            source: path of an audio file, or its content as `AudioBytes`; many of them; a folder (its audio files,
                sorted); or an array `(samples,)` or `(recordings, samples)`, float in [-1, 1] or int16.
            sample_rate: sample rate of an array, in Hz.
            beam_width: hypotheses that the decoder keeps; 1 for the best path, without a language model.
            lm_weight: weight of the model's language model; None for the decoder's default.
            num_alternatives: texts beside the best one, below `beam_width`; with them memory grows with the length.
            progress: show a progress bar, in seconds of sound.

        Returns:
            `Transcript` for one path or `(samples,)`, else a list of them.

        Raises:
            AudioError, OSError: a file cannot be read; names it.
            ValueError: an option that the decoder refuses, or an array without a sample rate.

        Examples:
            >>> from kaggle_speech.inference.load import load
            >>> load("resnet_ctc").transcribe(np.zeros(16_000), sample_rate=16_000)
            Transcript(text='', duration_s=1.0)
        """
        options = (beam_width, lm_weight, transcripts.FILE_WINDOWS, num_alternatives)
        stream = transcripts.make_stream(self, *options)
        transcribe = functools.partial(_transcribe, stream, num_alternatives, progress)
        if isinstance(source, np.ndarray):
            results = [transcribe(_open_source(part, sample_rate)) for part in np.atleast_2d(source)]
            return results[0] if source.ndim == 1 else results
        if isinstance(source, AudioBytes) or (isinstance(source, str | Path) and not Path(source).is_dir()):
            return transcribe(sources.AudioFile(source, chunk_ms=1000))
        paths = audio_paths(source) if isinstance(source, str | Path) else source
        return [transcribe(sources.AudioFile(path, chunk_ms=1000)) for path in paths]

    def stream(
        self,
        *,
        beam_width: int = BEAM_WIDTH,
        lm_weight: float | None = None,
        windows: transcripts.Windows = transcripts.FILE_WINDOWS,
    ) -> transcripts.StreamingTranscriber:
        """A `StreamingTranscriber` with this model, for sound that comes in chunks.

        Args:
            beam_width: hypotheses that the decoder keeps; 1 for the best path, without a language model.
            lm_weight: weight of the model's language model; None for the decoder's default.
            windows: lengths of the overlapping windows; `LIVE_WINDOWS` for a microphone.

        Raises:
            ValueError: a weight without a language model or a beam, or options that the decoder refuses.
        """
        return transcripts.make_stream(self, beam_width, lm_weight, windows)

    def listen(
        self,
        source: Source | Path | str | np.ndarray,
        sample_rate: int | None = None,
        *,
        beam_width: int = BEAM_WIDTH,
        lm_weight: float | None = None,
    ) -> Iterator[transcripts.PartialTranscript]:
        """Transcribe sound of any length while it is spoken.

        Args:
            source: `Microphone()` or another of `kaggle_speech.streaming`'s sources; path of an audio file; or an
                array `(samples,)`, float in [-1, 1] or int16.
            sample_rate: sample rate of an array, in Hz.
            beam_width: hypotheses that the decoder keeps; 1 for the best path, without a language model.
            lm_weight: weight of the model's language model; None for the decoder's default.

        Returns:
            iterator of `PartialTranscript(time_s, settled, tentative)`: final text, and
                text that may still change.

        Raises:
            ValueError: an option that the decoder refuses, or an array without a sample rate.
            AudioError, OSError: the source cannot be opened or read.
        """
        stream = self.stream(beam_width=beam_width, lm_weight=lm_weight, windows=transcripts.LIVE_WINDOWS)
        return _process(stream, _open_source(source, sample_rate))


def _process(stream, source):
    """All events of a stream over a source."""
    for chunk in source.chunks():
        yield from stream.process(chunk)
    yield from stream.finish()


def _transcribe(stream, num_alternatives, progress, source):
    text, words = transcripts.transcribe_source(stream, source, progress=progress)
    spoken_words = tuple(SpokenWord(word, start_s, end_s) for start_s, end_s, word in words)
    others = (" ".join(other.split()) for other in stream.alternatives)
    alternatives = [other for other in dict.fromkeys(others) if other != text]
    return Transcript(text, spoken_words, stream.time_s, tuple(alternatives[:num_alternatives]))


def _check_sample_rate(sample_rate):
    if sample_rate is None:
        raise ValueError("`sample_rate` must be given with an array, in Hz. Received: sample_rate=None")


def _open_source(source, sample_rate):
    """Open a path or an array as a source of `streaming.sources`; a source is returned."""
    if hasattr(source, "chunks"):
        return source
    if isinstance(source, np.ndarray):
        _check_sample_rate(sample_rate)
        return sources.Samples(source, sample_rate)
    return sources.AudioFile(source)


def _mono_clips(waveform, sample_rate):
    """Clips at 16 kHz. Shape: `(samples,)` or `(clips, samples)` -> `(clips, samples)` float32."""
    _check_sample_rate(sample_rate)
    if waveform.ndim not in (1, 2) or 0 in waveform.shape:
        raise ValueError(
            f"`source` must be (samples,) or (clips, samples), not empty. Received: shape={waveform.shape}"
        )
    if waveform.dtype != np.int16 and not np.issubdtype(waveform.dtype, np.floating):
        raise ValueError(f"`source` must be float in [-1, 1] or int16. Received: dtype={waveform.dtype}")
    clips = np.atleast_2d(waveform).astype("float32")
    if waveform.dtype == np.int16:
        clips /= INT16_SCALE
    if not np.isfinite(clips).all():
        raise ValueError("`source` must be finite. Received: NaN or infinity")
    if sample_rate != SAMPLE_RATE:
        import soxr

        clips = np.stack([soxr.resample(clip, sample_rate, SAMPLE_RATE) for clip in clips])
    return clips


def _warn_of_long_files(lengths, window):
    """Warn once of files of which only the first second was used; `lengths` holds `(path, seconds)` of each file."""
    long_files = [(path, duration_s) for path, duration_s in lengths if duration_s > LONG_S]
    if window == "first" and long_files:
        path, duration_s = max(long_files, key=lambda file: file[1])
        which = f"{path} lasts" if len(long_files) == 1 else f"{len(long_files)} files are longer, {path} lasts"
        warnings.warn(
            f'only the first second was used, and {which} {duration_s:.1f} s; `window="loudest"` finds a word anywhere',
            UserWarning,
            stacklevel=3,
        )
