"""Counting of word n-grams in texts, smoothed after Kneser and Ney, and pruned. NumPy only."""

import array
import dataclasses
import itertools
from collections.abc import Iterable

import numpy as np

from kaggle_speech.text.word_ngram import BEGIN, END, NEVER_LOG10, UNKNOWN, Level, WordNGram


@dataclasses.dataclass
class _Counts:
    """The n-grams of one length in the texts, sorted by key.

    Attributes:
        keys: as `Level.keys`.
        contexts: row of all but the last word in the level below.
        suffixes: row of all but the first word in the level below.
        raw: occurrences.
        adjusted: raw of the longest n-grams and of those that begin a sentence; else the number of words before it.
    """

    keys: np.ndarray
    contexts: np.ndarray
    suffixes: np.ndarray
    raw: np.ndarray
    adjusted: np.ndarray


def count_words(
    sentences: Iterable[str], order: int = 3, *, max_words: int | None = None, prune: float = 0.0
) -> WordNGram:
    """N-gram model of the words of sentences: interpolated Kneser-Ney with three discounts for each length.

    Args:
        sentences: words with single spaces between, such as `alphabet.normalize_text` gives.
        order: length of the longest n-grams, 1 or more.
        max_words: number of words to keep, the most frequent ones; the others are `UNKNOWN`. None for all.
        prune: n-grams of two and more words are left out where their occurrences times the gain of their
            log-probability over the shorter n-gram's is less than this; 0 leaves all in.

    Raises:
        ValueError: an option is out of range, or there is no word.

    Examples:
        >>> count_words(["the cat sat", "the cat ran", "a dog ran"], order=2)
        WordNGram(order=2, n-grams: 9, 9)

    Source: Chen and Goodman, An Empirical Study of Smoothing Techniques for Language Modeling, 1998, 4.1.6; pruning
        after Seymore and Rosenfeld, Scalable Backoff Language Models, 1996.
    """
    if order < 1 or prune < 0 or (max_words is not None and max_words < 1):
        raise ValueError(
            "`order` and `max_words` must be >= 1, `prune` not negative. "
            f"Received: order={order}, max_words={max_words}, prune={prune}"
        )
    words, numbers, places = _number(sentences, max_words)
    counts = _count(numbers, places, order, len(words))
    for level, above in itertools.pairwise(counts):
        before = np.bincount(above.suffixes, minlength=len(level.keys))
        level.adjusted = np.where(before > 0, before, level.raw)  # what begins a sentence has no word before
    probabilities, discounted = _smooth(counts, len(words), words.index(BEGIN))
    kept = _kept(counts, probabilities, discounted, prune)
    return WordNGram(words, _levels(counts, probabilities, kept, len(words)))


def _number(sentences, max_words):
    """The words; the number of each word of the texts with its sentence's boundaries; its place in the sentence."""
    first_numbers = {BEGIN: 0, END: 1, UNKNOWN: 2}  # of every word, in the order in which they come
    numbers, places = array.array("i"), array.array("i")
    for sentence in sentences:
        split = sentence.split()
        if split:
            numbers.append(0)
            numbers.extend([first_numbers.setdefault(word, len(first_numbers)) for word in split])
            numbers.append(1)
            places.extend(range(len(split) + 2))
    if len(first_numbers) == 3:
        raise ValueError("`sentences` must hold words. Received: none")
    frequent = np.argsort(-np.bincount(numbers, minlength=len(first_numbers))[3:], kind="stable")[:max_words] + 3
    spelled = [*first_numbers]
    kept = [0, 1, 2, *sorted(frequent.tolist(), key=spelled.__getitem__)]
    new_numbers = np.full(len(spelled), 2)
    new_numbers[kept] = np.arange(len(kept))
    return [spelled[number] for number in kept], new_numbers[np.array(numbers)], np.array(places)


def _count(numbers, places, order, num_words):
    """`_Counts` of each length. Every position of the texts ends one n-gram of each length that fits the sentence."""
    keys = np.arange(num_words)
    raw = np.bincount(numbers, minlength=num_words)
    nothing = np.zeros(num_words, np.int64)
    counts = [_Counts(keys, contexts=nothing, suffixes=nothing, raw=raw, adjusted=raw)]
    rows = numbers  # of the n-gram that ends at each position
    for length in range(2, order + 1):
        ends = np.flatnonzero(places >= length - 1)
        if not len(ends):
            break
        keys, first, inverse, raw = np.unique(
            rows[ends - 1] * num_words + numbers[ends], return_index=True, return_inverse=True, return_counts=True
        )
        counts.append(_Counts(keys, contexts=keys // num_words, suffixes=rows[ends[first]], raw=raw, adjusted=raw))
        rows = np.full(len(numbers), -1)
        rows[ends] = inverse
    return counts


def _discounts(adjusted):
    """Discount of n-grams that occur once, twice, and more often; 0 for those that do not occur. Shape: -> `(4,)`."""
    times = np.bincount(np.minimum(adjusted, 5), minlength=6)[1:5].astype(float)
    if (times == 0).any():  # too few texts to estimate them
        return np.array([0, 0.5, 1.0, 1.5])
    share = times[0] / (times[0] + 2 * times[1])
    discounts = [number - (number + 1) * share * times[number] / times[number - 1] for number in (1, 2, 3)]
    return np.array([0, *np.clip(discounts, 0.1, [0.9, 1.9, 2.9])])


def _smooth(counts, num_words, begin):
    """Interpolated probability of each n-gram, and what its context leaves to shorter ones. `(n-grams,)` each."""
    probabilities, discounted = [], []
    for length, level in enumerate(counts, start=1):
        adjusted = level.adjusted.copy()
        if length == 1:
            adjusted[begin] = 0  # no word is followed by the beginning of a sentence
        discount = _discounts(adjusted)[np.minimum(adjusted, 3)]
        size = len(counts[length - 2].keys) if length > 1 else 1
        totals = np.maximum(np.bincount(level.contexts, adjusted, size), 1)[level.contexts]
        left = np.bincount(level.contexts, discount, size)[level.contexts] / totals
        every_word_alike = np.where(level.keys == begin, 0, 1 / (num_words - 1))
        shorter = probabilities[-1][level.suffixes] if length > 1 else every_word_alike
        probabilities.append((adjusted - discount) / totals + left * shorter)
        discounted.append(left)
    return probabilities, discounted


def _kept(counts, probabilities, discounted, prune):
    """Which n-grams to keep. The beginnings and ends of those that are kept are kept, too."""
    kept = [np.ones(len(level.keys), bool) for level in counts]
    if prune == 0:
        return kept
    for length in range(len(counts) - 1, 0, -1):
        level = counts[length]
        shorter = discounted[length] * probabilities[length - 1][level.suffixes]
        kept[length] = level.raw * np.log(probabilities[length] / shorter) >= prune
        if length + 1 < len(counts):
            above = counts[length + 1]
            for rows in (above.contexts, above.suffixes):
                kept[length][rows[kept[length + 1]]] = True
    return kept


def _levels(counts, probabilities, kept, num_words):
    """`Level` of each length, with the back-off that makes the words after every context sum to 1."""
    levels = []
    new_rows = np.zeros(1, np.int64)
    for length, level in enumerate(counts):
        rows = np.flatnonzero(kept[length])
        if length > 0:
            shorter = probabilities[length - 1][level.suffixes[rows]]
            size = len(counts[length - 1].keys)
            taken, saved = (
                np.bincount(level.contexts[rows], values, size) for values in (probabilities[length][rows], shorter)
            )
            left = np.maximum(1 - taken, 1e-9) / np.maximum(1 - saved, 1e-9)
            levels[-1].backoff[:] = np.log(left[kept[length - 1]])
        keys = new_rows[level.contexts[rows]] * num_words + level.keys[rows] % num_words
        logs = np.log(np.maximum(probabilities[length][rows], 10.0**NEVER_LOG10))
        levels.append(Level(keys, logs.astype("float32"), np.zeros(len(rows), "float32")))
        new_rows = np.cumsum(kept[length]) - 1
    return levels
