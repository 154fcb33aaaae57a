"""Lexicon: a word n-gram model as the language model of a search by characters. NumPy only."""

import functools
import math
from bisect import bisect_left

import numpy as np

from kaggle_speech.text.alphabet import ALPHABET
from kaggle_speech.text.decoders import LanguageModel
from kaggle_speech.text.ngram import BOUNDARY, CACHE_SIZE
from kaggle_speech.text.word_ngram import BEGIN, UNKNOWN, WordNGram

#: Characters that words are made of.
LETTERS = frozenset(ALPHABET) - {"", BOUNDARY}
#: Characters before the next one that `Lexicon` wants to see: the words before, and the beginning of this one.
CONTEXT_CHARACTERS = 64
#: Log-probability of a second space in a row.
NEVER = -30.0


class Lexicon:
    """Language model of characters that knows words: what `decoders.BeamDecoder` takes, from a model of words.

    Within a word each character gets the difference that it makes to the likeliest word that begins so; at the end of
    the word that estimate is replaced by the probability of the word after those before it. The characters of a text
    thus sum up to the probability of its words, and words that no longer fit are dropped early. A word that the lexicon
    lacks costs what the n-gram model says of `UNKNOWN`, and its spelling.

    The words are a sorted list, in which those with the same beginning stand together.

    Args:
        model: `WordNGram`; of its words those are used that can be spelled with the alphabet.
        spelling: character model for words that the lexicon lacks; None takes every character for equally likely.

    Attributes:
        order: number of characters that `log_probability` looks at, the next one included.
        num_left_out: words of the model that cannot be spelled with the alphabet.

    Raises:
        ValueError: none of the words can be spelled with the alphabet.

    Source: Ortmanns, Ney and Eiden, Language-model look-ahead for large vocabulary speech recognition, 1996.
    """

    #: Weight in a beam search, and bonus of each character, chosen for `resnet_ctc` on speakers that do not judge it.
    weight, bonus = 0.8, 2.0

    def __init__(self, model: WordNGram, spelling: LanguageModel | None = None):
        self.model = model
        self.spelling = spelling
        self.order = CONTEXT_CHARACTERS + 1
        spelled = sorted(word for word in model.words if word and LETTERS.issuperset(word))
        if not spelled:
            raise ValueError(
                f"`model` must hold words of the letters a to z and apostrophes. Received: {list(model.words[:5])}"
            )
        self.num_left_out = len(model.words) - 3 - len(spelled)
        self._words = spelled
        alone = np.array([model.levels[0].log_probability[model.numbers[word]] for word in spelled])
        self._best = _running_best(alone)
        self._log_unknown = model.log_probability([], UNKNOWN)
        self._guess = functools.lru_cache(CACHE_SIZE)(self._log_guess)
        self._spelled = functools.lru_cache(CACHE_SIZE)(self._log_spelled)
        self._after = functools.lru_cache(CACHE_SIZE)(self._log_word)

    def __reduce__(self):
        return type(self), (self.model, self.spelling)  # the caches cannot be pickled

    def __contains__(self, word: str) -> bool:
        place = bisect_left(self._words, word)
        return place < len(self._words) and self._words[place] == word

    def log_probability(self, context: str, character: str) -> float:
        """Natural log of the probability that a character follows.

        Args:
            context: the text so far, or at least its last 64 characters.
            character: one of the alphabet; a space also where the text ends.
        """
        words = context[-CONTEXT_CHARACTERS:].split(BOUNDARY)
        word = words.pop()
        if character != BOUNDARY:
            return self._guess(word + character) - self._guess(word)
        if not word:
            return NEVER
        is_cut = len(context) >= CONTEXT_CHARACTERS
        before = words[1:] if is_cut else [BEGIN, *words]
        return self._after(tuple(before[1 - self.model.order :] if self.model.order > 1 else ()), word)

    def _log_word(self, before, word):
        """What the end of a word adds to the guess that its characters made."""
        if word in self:
            return self.model.log_probability(before, word) - self._guess(word)
        spelled = self._spelled(word) + self._log_character(word, BOUNDARY)
        return self.model.log_probability(before, UNKNOWN) + spelled - self._guess(word)

    def _log_guess(self, beginning):
        """Log-probability of the likeliest word with a beginning, known or unknown; 0 for none."""
        if not beginning:
            return 0.0
        unknown = self._log_unknown + self._spelled(beginning)
        first = bisect_left(self._words, beginning)
        end = bisect_left(self._words, beginning + "{", first)  # the character after z
        if first == end:
            return unknown
        step = (end - first).bit_length() - 1
        best = self._best[step]
        return max(unknown, best[first], best[end - (1 << step)])

    def _log_spelled(self, beginning):
        """Log-probability of the characters of an unknown word so far."""
        if not beginning:
            return 0.0
        return self._spelled(beginning[:-1]) + self._log_character(beginning[:-1], beginning[-1])

    def _log_character(self, beginning, character):
        if self.spelling is None:
            return -math.log(len(ALPHABET) - 1)
        return self.spelling.log_probability(beginning, character)


def _running_best(values: np.ndarray) -> list[list[float]]:
    """Best of 1, 2, 4, 8, ... values from each place on: a table that gives the best of any range by two of them."""
    table = [values]
    while 2 * (step := 1 << (len(table) - 1)) <= len(values):
        table.append(np.maximum(table[-1][:-step], table[-1][step:]))
    return [level.tolist() for level in table]
