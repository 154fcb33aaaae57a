"""CTC decoders: the output of a network, frame by frame, to text, by best path or beam search. NumPy only.

The decoders work on streams: frames come in pieces of any size, memory stays flat, and at any time there is text that
is settled and text that may still change.

>>> decided = np.where(np.eye(29)[[9, 17, BLANK_INDEX, 17]], 0.0, -9.0)
>>> decode(decided), decode(decided, beam_width=8)
('goo', 'goo')
"""

import copy
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from kaggle_speech.text.alphabet import ALPHABET, BLANK_INDEX
from kaggle_speech.text.ngram import BOUNDARY

#: Default number of hypotheses of a beam search: with a lexicon, 16 get 3 more of 100 words wrong, 128 one less.
BEAM_WIDTH = 64
_INDEX = {character: index for index, character in enumerate(ALPHABET)}


class LanguageModel(Protocol):
    """A model of characters: `ngram.NGram`, or `lexicon.Lexicon` for one that knows words.

    Attributes:
        order: number of characters that `log_probability` looks at, the next one included.
        weight, bonus: `lm_weight` and `insertion_bonus` that suit it.
    """

    order: int
    weight: float
    bonus: float

    def log_probability(self, context: str, character: str) -> float:
        """Natural log of the probability that `character` follows `context`."""


class Word(NamedTuple):
    """A word, and the frames of its first and its last character."""

    text: str
    first_frame: int
    last_frame: int


class Decoder:
    """Base class of the decoders.

    Attributes:
        settled: text that will not change any more.
        num_frames: number of frames that were processed.
    """

    def __init__(self) -> None:
        self.settled = ""
        self.num_frames = 0
        self._settled_frames: list[int] = []

    @property
    def text(self) -> str:
        """Best text of all frames so far: the settled part, then the part that may still change."""
        return self.settled + self._best()[0]

    @property
    def alternatives(self) -> list[str]:
        """Texts of all frames so far that are still possible, the most probable first."""
        return [self.text]

    @property
    def frames(self) -> list[int]:
        """Index of the frame of each character of `text`."""
        return [*self._settled_frames, *self._best()[1]]

    @property
    def words(self) -> list[Word]:
        """Words of `text`; their frames are approximate, because each output depends on the sound around its frame."""
        frames = self.frames
        words = []
        start = 0
        for text in self.text.split(" "):
            end = start + len(text)
            if text:
                words.append(Word(text, frames[start], frames[end - 1]))
            start = end + 1
        return words

    def process(self, log_probabilities: np.ndarray) -> str:
        """Decode more frames, and return the text that they settle; how the frames are cut changes nothing.

        Shape: `(frames, len(ALPHABET))`, natural log -> str.

        Args:
            log_probabilities: of each output of the alphabet in each frame.

        Raises:
            ValueError: another shape, NaN, or numbers above 0.
        """
        num_settled = len(self.settled)
        for frame in check_log_probabilities(log_probabilities).tolist():
            self._process_frame(frame)
            self.num_frames += 1
        return self.settled[num_settled:]

    def peek(self, log_probabilities: np.ndarray) -> str:
        """Value of `text` after more frames, without a change of the decoder.

        Shape: `(frames, len(ALPHABET))`, natural log -> str.

        Args:
            log_probabilities: of each output of the alphabet in each frame.

        Raises:
            ValueError: another shape, NaN, or numbers above 0.
        """
        other = copy.copy(self)
        other.settled = ""
        other._settled_frames = []
        other.process(log_probabilities)
        return self.settled + other.text

    def finish(self) -> str:
        """Settle all of `text`, as at a long pause, and return what is newly settled; later text follows it."""
        return ""

    def _settle(self, text, frames):
        self.settled += text
        self._settled_frames += frames

    def _process_frame(self, frame):
        raise NotImplementedError

    def _best(self):
        """The text that is not settled, and its frames."""
        return "", ()


class GreedyDecoder(Decoder):
    """Best path: the most probable output of each frame, without repetitions and blanks. All is settled at once."""

    _last_index = BLANK_INDEX

    def _process_frame(self, frame):
        index = max(range(len(frame)), key=frame.__getitem__)
        if index not in (BLANK_INDEX, self._last_index):
            self._settle(ALPHABET[index], [self.num_frames])
        self._last_index = index


class Hypothesis(NamedTuple):
    """Scores of a text in the beam.

    Attributes:
        log_blank: log-probability of all paths to the text that end with a blank.
        log_character: log-probability of all paths to it that end with its last character.
        frames: frames of the characters that are not settled, on the most probable path.
    """

    log_blank: float
    log_character: float
    frames: tuple[int, ...]

    @property
    def log_probability(self) -> float:
        """Log-probability of all paths to the text, the language model included."""
        return _log_add(self.log_blank, self.log_character)


class BeamDecoder(Decoder):
    """Beam search: the most probable text, summed over all its paths, with an optional language model.

    The common beginning of all hypotheses is settled.

    Args:
        beam_width: number of hypotheses that are kept, >= 1.
        language_model: `LanguageModel`, such as `ngram.NGram`, or None.
        lm_weight: weight of its log-probabilities, >= 0; those of the network have 1. None for that which suits it.
        insertion_bonus: added to its log-probability of each character, so that longer texts are not less probable by
            their length; the cost of an average character is about right. None for that which suits it.
        min_character_logp: log-probability below which a character is not tried in a frame.
        max_gap: difference of log-probabilities to the best hypothesis above which one is dropped, > 0.
        max_wait_frames: number of frames after which a character is settled even if hypotheses differ, >= 1; 40 are
            1 s at 25 ms a frame, longer than six characters, the n-grams of the language model.

    Raises:
        ValueError: an option is out of range.

    Source: Hannun, Maas, Jurafsky and Ng, arXiv 1408.2873, algorithm 1; their bonus is for each word.
    """

    def __init__(
        self,
        beam_width: int = BEAM_WIDTH,
        language_model: LanguageModel | None = None,
        *,
        lm_weight: float | None = None,
        insertion_bonus: float | None = None,
        min_character_logp: float = -7.0,
        max_gap: float = 15.0,
        max_wait_frames: int = 40,
    ):
        for name, value, low in (("beam_width", beam_width, 1), ("max_wait_frames", max_wait_frames, 1)):
            if value < low:
                raise ValueError(f"`{name}` must be >= {low}. Received: {name}={value}")
        if max_gap <= 0 or (lm_weight is not None and lm_weight < 0):
            raise ValueError(
                f"`max_gap` must be above 0, `lm_weight` not below. Received: max_gap={max_gap}, lm_weight={lm_weight}"
            )
        super().__init__()
        self.beam_width = beam_width
        self.language_model = language_model
        self.lm_weight, self.insertion_bonus = lm_weight, insertion_bonus
        self._most_bonus = 0.0  # of a character of probability 1
        if language_model is not None:
            self.lm_weight = language_model.weight if lm_weight is None else lm_weight
            self.insertion_bonus = language_model.bonus if insertion_bonus is None else insertion_bonus
            self._most_bonus = self.lm_weight * self.insertion_bonus
        self.min_character_logp = min_character_logp
        self.max_gap = max_gap
        self.max_wait_frames = max_wait_frames
        self._num_context = max(language_model.order - 1, 1) if language_model else 1
        self._num_known = 0  # settled characters at the beginning of every text of the beam: context of the next ones
        self._beam = {"": Hypothesis(0.0, -math.inf, ())}  # best first

    @property
    def alternatives(self) -> list[str]:
        """Texts of all frames so far that are still possible, as at a long pause, the most probable first."""
        return [self.settled + text[self._num_known :] for text in self._ranked()]

    def finish(self) -> str:
        """Settle all of `text`, as at a long pause, and return what is newly settled; the end of a word counts, too."""
        best = self._ranked()[0]
        self._beam = {best: self._beam[best]}
        num_settled = len(self.settled)
        self._settle_common()
        return self.settled[num_settled:]

    def _ranked(self):
        """The texts of the beam, best first, if no sound followed."""
        return sorted(self._beam, key=lambda text: -self._beam[text].log_probability - self._end_bonus(text))

    def _best(self):
        text, best = next(iter(self._beam.items()))
        return text[self._num_known :], best.frames

    def _bonus(self, text, character):
        if not self.language_model:
            return 0.0
        return self.lm_weight * (self.language_model.log_probability(text, character) + self.insertion_bonus)

    def _end_bonus(self, text):
        if not self.language_model or not text or text.endswith(BOUNDARY):
            return 0.0
        return self.lm_weight * self.language_model.log_probability(text, BOUNDARY)

    def _process_frame(self, frame):
        beam = self._grown(frame)
        scores = {text: hypothesis.log_probability for text, hypothesis in beam.items()}
        kept = sorted(scores, key=scores.get, reverse=True)[: self.beam_width]
        min_score = scores[kept[0]] - self.max_gap
        self._beam = {text: beam[text] for text in kept if scores[text] >= min_score}
        self._settle_late()
        self._settle_common()

    def _grown(self, frame):
        """The hypotheses after a frame: each text as it is, and each with one more character."""
        grown = {text: self._repeated(text, old, frame) for text, old in self._beam.items()}
        likely = [index for index, logp in enumerate(frame) if logp > self.min_character_logp and index != BLANK_INDEX]
        if not likely:
            return grown
        lowest = self._lowest_score([hypothesis.log_probability for hypothesis in grown.values()])
        for text, old in self._beam.items():
            log_probability = old.log_probability
            frames = (*old.frames, self.num_frames)
            for index in likely:
                character = ALPHABET[index]
                # Twice the same character needs a blank between.
                log_before = old.log_blank if text.endswith(character) else log_probability
                log_reached = log_before + frame[index]
                same = grown.get(text + character)  # the same text by a path through a text of the beam
                if same is None and character != BOUNDARY and log_reached + self._most_bonus < lowest:
                    continue
                log_reached += self._bonus(text, character)
                if same is None:
                    grown[text + character] = Hypothesis(-math.inf, log_reached, frames)
                else:
                    log_character = _log_add(same.log_character, log_reached)
                    best_frames = frames if log_reached > same.log_probability else same.frames
                    grown[text + character] = Hypothesis(same.log_blank, log_character, best_frames)
        return grown

    def _lowest_score(self, scores):
        """Score below which a new text is dropped after this frame, from the scores of those that stay as they are."""
        is_full = len(scores) >= self.beam_width
        return max(max(scores) - self.max_gap, min(scores) if is_full else -math.inf)

    @staticmethod
    def _repeated(text, old, frame):
        """A hypothesis after a frame of a blank or of its last character once more."""
        log_last = frame[_INDEX[text[-1]]] if text else -math.inf
        return Hypothesis(old.log_probability + frame[BLANK_INDEX], old.log_character + log_last, old.frames)

    def _settle_late(self):
        """Drop the hypotheses whose next character differs from that of the best one, if a character waits too long."""
        first_frames = (hypothesis.frames[0] for hypothesis in self._beam.values() if hypothesis.frames)
        if self.num_frames - min(first_frames, default=math.inf) >= self.max_wait_frames:
            beginning = next(iter(self._beam))[: self._num_known + 1]
            self._beam = {text: kept for text, kept in self._beam.items() if text[: self._num_known + 1] == beginning}

    def _settle_common(self):
        """Settle the common beginning of all hypotheses."""
        first, last = min(self._beam), max(self._beam)  # in the order of a dictionary: the others are between
        equal_pairs = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
        common = first[: sum(1 for _ in equal_pairs)]
        num_settled = len(common) - self._num_known
        if num_settled == 0:
            return
        self._settle(common[self._num_known :], next(iter(self._beam.values())).frames[:num_settled])
        self._num_known = min(len(common), self._num_context)
        start = len(common) - self._num_known
        self._beam = {
            text[start:]: kept._replace(frames=kept.frames[num_settled:]) for text, kept in self._beam.items()
        }


def decode(
    log_probabilities: np.ndarray,
    beam_width: int | None = None,
    language_model: LanguageModel | None = None,
    **options: float,
) -> str:
    """Decode one utterance to text.

    Shape: `(frames, len(ALPHABET))`, natural log -> str.

    Args:
        log_probabilities: of each output of the alphabet in each frame.
        beam_width: number of hypotheses of a beam search; None for the best path.
        language_model: for the beam search, such as `ngram.NGram`.
        options: further arguments of `BeamDecoder`.

    Raises:
        ValueError: another shape, NaN, numbers above 0, or options without a beam.
    """
    if beam_width is None and (language_model or options):
        raise ValueError(f"`beam_width` must be given with a language model or {[*options]}. Received: None")
    decoder: Decoder = GreedyDecoder()
    if beam_width is not None:
        decoder = BeamDecoder(beam_width, language_model, **options)  # type: ignore[arg-type]
    decoder.process(log_probabilities)
    decoder.finish()
    return decoder.text


def check_log_probabilities(log_probabilities: np.ndarray | Sequence[Sequence[float]]) -> np.ndarray:
    """The output of a network as an array, after a check.

    Shape: `(frames, len(ALPHABET))`, natural log -> the same.

    Args:
        log_probabilities: of each output of the alphabet in each frame.

    Raises:
        ValueError: another shape, NaN, or numbers above 0.
    """
    log_probabilities = np.asarray(log_probabilities)
    if log_probabilities.ndim != 2 or log_probabilities.shape[1] != len(ALPHABET):
        raise ValueError(
            f"`log_probabilities` must be of shape (frames, {len(ALPHABET)}). Received: shape={log_probabilities.shape}"
        )
    if not np.all(log_probabilities <= 1e-3):  # not so of NaN
        raise ValueError(
            "`log_probabilities` must be natural logs, at most 0. "
            f"Received: {np.sum(~(log_probabilities <= 1e-3))} that are above or NaN"
        )
    return log_probabilities


def _log_add(first, second):
    """log(exp(first) + exp(second))."""
    low, high = (first, second) if first < second else (second, first)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
