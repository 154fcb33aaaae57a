"""Character n-grams: the probability of a character after others, counted in sentences. Standard library only."""

import collections
import functools
import gzip
import json
import math
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from kaggle_speech.files import replace_file
from kaggle_speech.text.alphabet import ALPHABET, text_to_indices

#: The file in the folder of a transcriber.
FILE_NAME = "ngram.json.gz"
#: The same in runs of version 0.1.
OLD_FILE_NAME = "ngram.json"
#: Character before the beginning of a sentence and after its end. Sentences have no two spaces in a row, so several
#: spaces mark a beginning; in a stream a sentence ends as words do.
BOUNDARY = " "
CHARACTERS = ALPHABET[1:]
#: Contexts whose probabilities are kept, so that a search does not compute them again: some 50 MB at most.
CACHE_SIZE = 1 << 14


class NGram:
    """Character n-gram model with interpolated Kneser-Ney smoothing: rare contexts fall back on shorter ones.

    Args:
        order: length of the n-grams, 1 or more.
        counts: number of occurrences of each n-gram of `order` characters; see `count_ngrams`.

    Raises:
        ValueError: the order is below 1, or an n-gram has another length or characters.

    Source: Chen and Goodman, An Empirical Study of Smoothing Techniques for Language Modeling, 1998, 2.7 and 4.1.5:
        interpolated, a discount for each length, down to the same probability for every character.
    """

    #: Weight in a beam search, and bonus of each character: about the cost of an average one.
    weight, bonus = 0.5, 2.0

    def __init__(self, order: int, counts: Mapping[str, int]):
        if order < 1:
            raise ValueError(f"`order` must be >= 1. Received: order={order}")
        strange = [ngram for ngram in counts if len(ngram) != order or not {*ngram} <= {*CHARACTERS}]
        if strange:
            raise ValueError(
                f"`counts` must be of n-grams of {order} characters of the alphabet. Received: {strange[0]!r}"
            )
        self.order = order
        self.counts = dict(counts)
        #: context -> number of times that each character follows
        self._followers: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        #: length of the context -> part of each count that goes to shorter contexts
        self._discounts: dict[int, float] = {}
        for length in reversed(range(order)):
            for ngram, count in counts.items():
                self._followers[ngram[:-1]][ngram[-1]] += count
            self._discounts[length] = _discount(counts.values())
            counts = collections.Counter(ngram[1:] for ngram in counts)  # number of characters before each shorter one
        self._after = functools.lru_cache(CACHE_SIZE)(self._probabilities)

    def __reduce__(self):
        return type(self), (self.order, self.counts)  # the cache cannot be pickled

    def log_probability(self, context: str, character: str) -> float:
        """Natural log of the probability that a character follows.

        Args:
            context: the sentence so far, or at least its last `order - 1` characters.
            character: one of the alphabet; a space also where the sentence ends.

        Raises:
            ValueError: `character` is not one of the alphabet.
        """
        try:
            return self._after(context[max(len(context) - self.order + 1, 0) :])[character]
        except KeyError:
            raise ValueError(f"`character` must be one of {CHARACTERS}. Received: {character!r}") from None

    def perplexity(self, sentences: Iterable[str]) -> float:
        """Perplexity per character, sentence ends included.

        Args:
            sentences: text in characters of the alphabet.

        Raises:
            ValueError: there is no sentence, or one has characters that are not in the alphabet.
        """
        pairs = [pair for sentence in sentences for pair in _contexts_and_characters(sentence)]
        if not pairs:
            raise ValueError("`sentences` must hold at least one. Received: none")
        return math.exp(-sum(self.log_probability(*pair) for pair in pairs) / len(pairs))

    def write(self, path: Path | str) -> None:
        """Write the model to a JSON file that `read_ngram` reads.

        Args:
            path: file to write, compressed by gzip where its name ends in .gz.
        """
        content = json.dumps({"order": self.order, "counts": self.counts}, separators=(",", ":")).encode()
        content = gzip.compress(content, mtime=0) if str(path).endswith(".gz") else content
        replace_file(path, lambda partial_path: partial_path.write_bytes(content))

    def _probabilities(self, context):
        context = context.rjust(self.order - 1, BOUNDARY)
        probabilities = dict.fromkeys(CHARACTERS, 1 / len(CHARACTERS))
        for start in range(len(context), -1, -1):
            followers = self._followers.get(context[start:])
            if not followers:  # nor after any longer context
                break
            discount = self._discounts[len(context) - start]
            total = followers.total()
            share = discount * len(followers)
            probabilities = {
                character: (max(followers[character] - discount, 0) + share * shorter) / total
                for character, shorter in probabilities.items()
            }
        return {character: math.log(probability) for character, probability in probabilities.items()}


def count_ngrams(sentences: Iterable[str], order: int = 6) -> NGram:
    """Character n-gram model of sentences.

    Args:
        sentences: text, normalised by `alphabet.normalize_text`.
        order: length of the n-grams, >= 1.

    Raises:
        ValueError: a sentence has characters that are not in the alphabet, or the order is below 1.

    Examples:
        >>> ngram = count_ngrams(["the cat", "the hat"], order=4)
        >>> round(math.exp(ngram.log_probability("th", "e")), 2)
        0.82
    """
    pairs = (pair for sentence in sentences for pair in _contexts_and_characters(sentence))
    counts = collections.Counter(
        (context.rjust(order - 1, BOUNDARY) + character)[-order:] for context, character in pairs
    )
    return NGram(order, counts)


def read_ngram(path: Path | str) -> NGram:
    """Read a model that `NGram.write` wrote.

    Args:
        path: the JSON file, compressed by gzip where its name ends in .gz.

    Raises:
        ValueError: the file holds something else.
        OSError: the file is missing or cannot be read.
    """
    try:
        data = Path(path).read_bytes()
        content = json.loads(gzip.decompress(data) if str(path).endswith(".gz") else data)
        return NGram(content["order"], content["counts"])
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: must be a file of `NGram.write`. Received: {error}") from error


def _contexts_and_characters(sentence):
    """`(context, character)` for each character of a sentence and for the boundary at its end."""
    text_to_indices(sentence)  # refuses strange characters
    return ((sentence[:index], character) for index, character in enumerate(sentence + BOUNDARY))


def _discount(counts):
    """Discount from the numbers of n-grams that occur once and twice, 0.1 to 0.9. Source: Ney, Essen, Kneser, 1994."""
    num_once, num_twice = (sum(count == times for count in counts) for times in (1, 2))
    return min(max(num_once / max(num_once + 2 * num_twice, 1), 0.1), 0.9)
