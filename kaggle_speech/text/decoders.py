"""What a CTC network heard, frame by frame, becomes text: the best path, or a beam search. NumPy only.

The decoders are made for sound that does not end: frames in pieces of any size, in flat memory, and at any time text
that is settled and text that may still change.

>>> decided = np.where(np.eye(29)[[9, 17, BLANK_INDEX, 17]], 0.0, -9.0)
>>> decode(decided), decode(decided, beam_width=8)
('goo', 'goo')
"""

import copy
import math
import typing

import numpy as np

from kaggle_speech.text.alphabet import ALPHABET, BLANK_INDEX

_INDEX = {character: index for index, character in enumerate(ALPHABET)}


class Word(typing.NamedTuple):
    """A word and the frames at which its first and its last character were heard."""

    text: str
    first_frame: int
    last_frame: int


class Decoder:
    """What all decoders have.

    Attributes:
        settled: text that will not change any more.
        num_frames: how many were heard.
    """

    def __init__(self):
        self.settled, self.num_frames, self._settled_frames = "", 0, []

    @property
    def text(self):
        """The best reading of all frames so far: what is settled, and what may still change."""
        return self.settled + self._best()[0]

    @property
    def frames(self):
        """Index of the frame at which each character of `text` was heard, a list."""
        return [*self._settled_frames, *self._best()[1]]

    @property
    def words(self):
        """The words of `text`, a list of `Word`; a network sees some of the sound around a frame, so give or take."""
        text, frames, found, start = self.text, self.frames, [], 0
        for word in text.split(" "):
            end = start + len(word)
            found += [Word(word, frames[start], frames[end - 1])] if word else []
            start = end + 1
        return found

    def process(self, log_probabilities):
        """Hear more frames; how they are cut changes nothing.

        Shape: `(frames, len(ALPHABET))`, natural log -> str, what was settled by them.

        Raises:
            ValueError: another shape, NaN, or numbers above 0.
        """
        num_settled = len(self.settled)
        for frame in check_log_probabilities(log_probabilities).tolist():
            self._hear(frame)
            self.num_frames += 1
        return self.settled[num_settled:]

    def peek(self, log_probabilities):
        """What `text` would be after more frames, without hearing them. Shape, Raises: as in `process`; -> str."""
        other = copy.copy(self)
        other.settled, other._settled_frames = "", []
        other.process(log_probabilities)
        return self.settled + other.text

    def finish(self):
        """Settle all of `text`, as at a long pause; what is heard later follows it. Shape: -> str, newly settled."""
        return ""

    def _settle(self, text, frames):
        self.settled += text
        self._settled_frames += frames

    def _hear(self, frame):
        raise NotImplementedError

    def _best(self):
        """The text that is not settled, and its frames."""
        return "", ()


class GreedyDecoder(Decoder):
    """The most probable output of each frame; repetitions are one, blanks are none. All is settled at once."""

    _last = BLANK_INDEX

    def _hear(self, frame):
        index = max(range(len(frame)), key=frame.__getitem__)
        if index not in (BLANK_INDEX, self._last):
            self._settle(ALPHABET[index], [self.num_frames])
        self._last = index


class Hypothesis(typing.NamedTuple):
    """A text that the beam search holds for possible.

    Attributes:
        log_blank: log-probability of all ways to it that end with a blank.
        log_character: of all that end with its last character.
        frames: at which the characters that are not settled were heard, on the most probable of the ways.
    """

    log_blank: float
    log_character: float
    frames: tuple

    @property
    def log_probability(self):
        """Of all ways, with what the language model says."""
        return _log_add(self.log_blank, self.log_character)


class BeamDecoder(Decoder):
    """The most probable text, summed over all the ways to say it; optionally of texts that a language model likes.

    What all hypotheses begin with is settled.

    Args:
        beam_width: hypotheses that are kept, 1 or more.
        language_model: None, or what has `order` and `log_probability(context, character)`, such as `ngram.NGram`.
        lm_weight: of its log-probabilities; those of the network have 1.
        insertion_bonus: added to its log-probability of each character, or every further one would make a text less
            probable; 2.0 is about what an average one costs.
        min_character_logp: characters below it are not tried in a frame.
        max_gap: hypotheses are dropped whose log-probability is this much below the best one's.
        max_wait_frames: after that many frames a character is settled even if not all hypotheses have it; 40 are 1 s at
            25 ms a frame, more than the six characters that a language model looks at.

    Raises:
        ValueError: an option is out of range.

    Source: Hannun, Maas, Jurafsky and Ng, arXiv 1408.2873, algorithm 1; their bonus is for each word.
    """

    def __init__(
        self,
        beam_width=16,
        language_model=None,
        *,
        lm_weight=0.5,
        insertion_bonus=2.0,
        min_character_logp=-7.0,
        max_gap=15.0,
        max_wait_frames=40,
    ):
        for name, value, low in (("beam_width", beam_width, 1), ("max_wait_frames", max_wait_frames, 1)):
            if value < low:
                raise ValueError(f"`{name}` must be >= {low}. Received: {name}={value}")
        if max_gap <= 0 or lm_weight < 0:
            raise ValueError(
                f"`max_gap` must be above 0, `lm_weight` not below. Received: max_gap={max_gap}, lm_weight={lm_weight}"
            )
        super().__init__()
        self.beam_width, self.language_model, self.lm_weight = beam_width, language_model, lm_weight
        self.insertion_bonus, self.min_character_logp = insertion_bonus, min_character_logp
        self.max_gap, self.max_wait_frames = max_gap, max_wait_frames
        self._num_context = max(language_model.order - 1, 1) if language_model else 1
        self._num_known = 0  # settled characters with which every text of the beam begins, for what comes next
        self._beam = {"": Hypothesis(0.0, -math.inf, ())}  # best first

    def finish(self):
        """As `Decoder.finish`; a language model judges the end, too."""
        best = max(self._beam, key=lambda text: self._beam[text].log_probability + self._end_bonus(text))
        self._beam = {best: self._beam[best]}
        num_settled = len(self.settled)
        self._settle_common()
        return self.settled[num_settled:]

    def _best(self):
        text, best = next(iter(self._beam.items()))
        return text[self._num_known :], best.frames

    def _bonus(self, text, character):
        if not self.language_model:
            return 0.0
        return self.lm_weight * (self.language_model.log_probability(text, character) + self.insertion_bonus)

    def _end_bonus(self, text):
        if not self.language_model or text[-1:] in ("", " "):
            return 0.0
        return self.lm_weight * self.language_model.log_probability(text, " ")

    def _hear(self, frame):
        beam = self._grown(frame)
        scores = {text: hypothesis.log_probability for text, hypothesis in beam.items()}
        kept = sorted(scores, key=scores.get, reverse=True)[: self.beam_width]
        min_score = scores[kept[0]] - self.max_gap
        self._beam = {text: beam[text] for text in kept if scores[text] >= min_score}
        self._settle_late()
        self._settle_common()

    def _grown(self, frame):
        """The hypotheses after a frame, as they are and each with one more character."""
        log_blank = frame[BLANK_INDEX]
        grown = {
            text: Hypothesis(old.log_probability + log_blank, old.log_character + frame[_INDEX[text[-1:]]], old.frames)
            for text, old in self._beam.items()
        }
        likely = [index for index, logp in enumerate(frame) if logp > self.min_character_logp and index != BLANK_INDEX]
        for text, old in self._beam.items() if likely else ():
            log_probability = old.log_probability
            for index in likely:
                character = ALPHABET[index]
                before = old.log_blank if text[-1:] == character else log_probability
                reached = before + frame[index] + self._bonus(text, character)
                frames = (*old.frames, self.num_frames)
                longer, stayed = text + character, grown.get(text + character)
                if stayed is None:
                    grown[longer] = Hypothesis(-math.inf, reached, frames)
                else:
                    frames = frames if reached > stayed.log_probability else stayed.frames
                    grown[longer] = Hypothesis(stayed.log_blank, _log_add(stayed.log_character, reached), frames)
        return grown

    def _settle_late(self):
        """Where a character waits too long, the best hypothesis decides: the others must agree or go."""
        heard = min((hypothesis.frames[0] for hypothesis in self._beam.values() if hypothesis.frames), default=math.inf)
        if self.num_frames - heard >= self.max_wait_frames:
            decided = next(iter(self._beam))[: self._num_known + 1]
            self._beam = {text: kept for text, kept in self._beam.items() if text[: self._num_known + 1] == decided}

    def _settle_common(self):
        """Settle what all hypotheses begin with."""
        first, last = min(self._beam), max(self._beam)  # in the order of a dictionary: the others are between
        common = first[: next((at for at in range(len(first)) if not last.startswith(first[: at + 1])), len(first))]
        num_settled = len(common) - self._num_known
        if num_settled == 0:
            return
        self._settle(common[self._num_known :], next(iter(self._beam.values())).frames[:num_settled])
        self._num_known = min(len(common), self._num_context)
        start = len(common) - self._num_known
        self._beam = {
            text[start:]: kept._replace(frames=kept.frames[num_settled:]) for text, kept in self._beam.items()
        }


def decode(log_probabilities, beam_width=None, language_model=None, **options):
    """The text of one utterance.

    Shape: `(frames, len(ALPHABET))`, natural log -> str.

    Args:
        log_probabilities: of each output of the alphabet in each frame.
        beam_width: None for the best path, else as in `BeamDecoder`.
        language_model, options: of `BeamDecoder`; they need a `beam_width`.

    Raises:
        ValueError: another shape, NaN, numbers above 0, or options without a beam.
    """
    if beam_width is None and (language_model or options):
        raise ValueError(f"`beam_width` must be given with a language model or {[*options]}. Received: None")
    decoder = GreedyDecoder() if beam_width is None else BeamDecoder(beam_width, language_model, **options)
    decoder.process(log_probabilities)
    decoder.finish()
    return decoder.text


def check_log_probabilities(log_probabilities):
    """What a network says, as an array. Shape: `(frames, len(ALPHABET))`, natural log -> the same.

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
