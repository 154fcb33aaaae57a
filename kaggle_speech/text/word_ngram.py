"""Word n-grams: the probability of a word after others, with back-off; read and written as ARPA files. NumPy only."""

import gzip
import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from kaggle_speech.files import replace_file

#: The file in the folder of a transcriber.
FILE_NAME = "words.arpa.gz"
#: Words that stand for the beginning and the end of a sentence, and for all words that the model does not know.
BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
#: Log-probability, base 10, that ARPA files give to what cannot be.
NEVER_LOG10 = -99.0


class Level(NamedTuple):
    """The n-grams of one length, sorted by key.

    Attributes:
        keys: `(n-grams,)` int64: `context * number of words + word`, where `context` is the row of the words before in
            the level below; of single words their number.
        log_probability: `(n-grams,)` float32, natural log.
        backoff: `(n-grams,)` float32, natural log of the weight of shorter contexts after this n-gram; 0 at the highest
            level.
    """

    keys: np.ndarray
    log_probability: np.ndarray
    backoff: np.ndarray

    def find(self, key: int) -> int:
        """Row of a key, or -1."""
        row = int(self.keys.searchsorted(key))
        return row if row < len(self.keys) and self.keys[row] == key else -1


class WordNGram:
    """Back-off n-gram model of words.

    Args:
        words: the words, `BEGIN`, `END` and `UNKNOWN` among them; their places are their numbers.
        levels: n-grams of one word, of two, and so on.

    Raises:
        ValueError: `words` lacks one of the three special words, or has one twice.

    Source: Katz (1987) for back-off; any smoothing that can be written as such, as Kneser-Ney's can.
    """

    def __init__(self, words: Sequence[str], levels: Sequence[Level]):
        self.words = tuple(words)
        self.levels = tuple(levels)
        self.numbers = {word: number for number, word in enumerate(self.words)}
        missing = [word for word in (BEGIN, END, UNKNOWN) if word not in self.numbers]
        if missing or len(self.numbers) < len(self.words):
            raise ValueError(f"`words` must hold {BEGIN}, {END} and {UNKNOWN}, and no word twice. Received: {missing}")

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(level.keys):,}" for level in self.levels)
        return f"WordNGram(order={self.order}, n-grams: {sizes})"

    @property
    def order(self) -> int:
        """Length of the longest n-grams."""
        return len(self.levels)

    def log_probability(self, context: Sequence[str], word: str) -> float:
        """Natural log of the probability that a word follows.

        Args:
            context: the words before, `BEGIN` first where they begin a sentence; only the last `order - 1` count.
            word: a word, or `END`; one that the model does not know counts as `UNKNOWN`.

        Examples:
            >>> from kaggle_speech.text.kneser_ney import count_words
            >>> model = count_words(["the cat sat", "the cat ran", "a dog ran"], order=2)
            >>> round(math.exp(model.log_probability(["the"], "cat")), 2)
            0.56
        """
        unknown = self.numbers[UNKNOWN]
        number = self.numbers.get(word, unknown)
        known = [self.numbers.get(before, unknown) for before in context[max(len(context) - self.order + 1, 0) :]]
        log_probability = 0.0
        for start in range(len(known) + 1):
            row = self._row(known[start:])
            if row is None:  # never seen: nothing is lost by a shorter context
                continue
            found = self.levels[len(known) - start].find(row * len(self.words) + number)
            if found >= 0:
                return log_probability + float(self.levels[len(known) - start].log_probability[found])
            log_probability += float(self.levels[len(known) - start - 1].backoff[row])
        raise AssertionError("every word has a probability of its own")

    def perplexity(self, sentences: Iterable[str]) -> float:
        """Perplexity per word, sentence ends included, unknown words as `UNKNOWN`.

        Args:
            sentences: words with single spaces between.

        Raises:
            ValueError: there is no sentence.
        """
        logs = [
            self.log_probability([BEGIN, *words[:place]], word)
            for words in (sentence.split() for sentence in sentences)
            for place, word in enumerate([*words, END])
        ]
        if not logs:
            raise ValueError("`sentences` must hold at least one. Received: none")
        return math.exp(-sum(logs) / len(logs))

    def write(self, path: Path | str) -> None:
        """Write an ARPA file that `read_arpa`, KenLM and SRILM read.

        Args:
            path: file to write; compressed where its name ends in .gz.
        """

        def write_to(partial_path: Path) -> None:
            with _open(partial_path, "wt", is_gzip=str(path).endswith(".gz")) as file:
                file.writelines(self._arpa_lines())

        replace_file(path, write_to)

    def _row(self, numbers: Sequence[int]) -> int | None:
        """Row of an n-gram in its level, None where it is not there; 0 for no words at all."""
        row = 0
        for level, number in zip(self.levels, numbers, strict=False):
            row = level.find(row * len(self.words) + number)
            if row < 0:
                return None
        return row

    def _arpa_lines(self) -> Iterator[str]:
        yield "\\data\\\n"
        yield from (f"ngram {order}={len(level.keys)}\n" for order, level in enumerate(self.levels, start=1))
        texts: list[str] = [""]
        for order, level in enumerate(self.levels, start=1):
            yield f"\n\\{order}-grams:\n"
            contexts, numbers = np.divmod(level.keys, len(self.words))
            texts = [
                f"{texts[context]} {self.words[number]}".lstrip()
                for context, number in zip(contexts, numbers, strict=True)
            ]
            logs = np.maximum(level.log_probability / math.log(10), NEVER_LOG10)
            backoffs = level.backoff / math.log(10)
            for text, log, backoff in zip(texts, logs, backoffs, strict=True):
                yield f"{log:.6g}\t{text}\t{backoff:.6g}\n" if order < self.order else f"{log:.6g}\t{text}\n"
        yield "\n\\end\\\n"


def read_arpa(path: Path | str) -> WordNGram:
    """Read an n-gram model in the ARPA format; words in capital letters become small ones.

    Args:
        path: the file, compressed by gzip where its name ends in .gz.

    Raises:
        ValueError: the file is not in that format, or its counts or contexts are wrong; names the file and the line.
        OSError: the file is missing or cannot be read.
    """
    try:
        with _open(path, "rt", is_gzip=str(path).endswith(".gz")) as file:
            return _ArpaReader(file).read()
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: must be an ARPA file. Received: {error}") from error


def _open(path: Path | str, mode: str, is_gzip: bool) -> TextIO:
    return (gzip.open if is_gzip else open)(path, mode, encoding="utf-8")  # type: ignore[return-value]


class _ArpaReader:
    """Reader of one ARPA file, line by line."""

    def __init__(self, file: TextIO):
        self.lines = enumerate(file, start=1)
        self.words: list[str] = []
        self.numbers: dict[str, int] = {}

    def read(self) -> WordNGram:
        sizes = self._sizes()
        levels: list[Level] = []
        for order, size in enumerate(sizes, start=1):
            levels.append(self._level(order, size, levels))
        self._expect("\\end\\")
        return WordNGram(self.words, levels)

    def _next(self) -> tuple[int, str]:
        """The next line that is not empty, with its number."""
        for number, line in self.lines:
            if line := line.strip():
                return number, line
        raise ValueError("an end before \\end\\")

    def _expect(self, text: str) -> None:
        number, line = self._next()
        if line != text:
            raise ValueError(f"line {number}, {line[:60]!r}, where {text} must be")

    def _sizes(self) -> list[int]:
        """Numbers of n-grams that the header states; the line after it is read, too."""
        for _, line in self.lines:
            if line.strip() == "\\data\\":
                break
        sizes: list[int] = []
        while True:
            number, line = self._next()
            if line == "\\1-grams:" and sizes:
                return sizes
            stated = line.removeprefix("ngram ").split("=")
            if len(stated) != 2 or stated[0].strip() != str(len(sizes) + 1) or not stated[1].strip().isdigit():
                raise ValueError(f"line {number}, {line[:60]!r}, where `ngram {len(sizes) + 1}=COUNT` must be")
            sizes.append(int(stated[1]))

    def _level(self, order: int, size: int, levels: Sequence[Level]) -> Level:
        if order > 1:
            self._expect(f"\\{order}-grams:")
        numbers = np.empty((size, order), np.int64)
        logs = np.zeros((2, size), np.float32)  # probability and back-off
        for row in range(size):
            place, line = self._next()
            fields = line.split()
            try:
                logs[0, row] = float(fields[0])
                if len(fields) == order + 2:
                    logs[1, row] = float(fields[-1])
                elif len(fields) != order + 1:
                    raise ValueError
            except (ValueError, IndexError):
                raise ValueError(
                    f"line {place}, {line[:60]!r}, where n-gram {row + 1} of {size:,} of {order} words must be"
                ) from None
            numbers[row] = [self._number(word, order, place) for word in fields[1 : order + 1]]
        rows = numbers[:, 0]
        for level, column in zip(levels[1:], numbers.T[1:], strict=False):
            rows = self._rows(level, rows * len(self.words) + column, order)
        keys = rows if order == 1 else rows * len(self.words) + numbers[:, -1]
        places = np.argsort(keys, kind="stable")
        if len(np.unique(keys)) < size:
            raise ValueError(f"an n-gram of {order} words that is there twice")
        log_probability, backoff = logs[:, places] * np.float32(math.log(10))
        return Level(keys[places], log_probability, backoff)

    def _number(self, word: str, order: int, place: int) -> int:
        word = word.lower()
        if order == 1:
            self.numbers.setdefault(word, len(self.words))
            self.words.append(word)
        elif word not in self.numbers:
            raise ValueError(f"line {place}: {word!r}, which is not among the single words")
        return self.numbers[word]

    @staticmethod
    def _rows(level: Level, keys: np.ndarray, order: int) -> np.ndarray:
        """Rows of contexts in the level below."""
        rows = np.minimum(level.keys.searchsorted(keys), len(level.keys) - 1)
        if not np.array_equal(level.keys[rows], keys):
            raise ValueError(f"n-grams of {order} words whose first {order - 1} are not an n-gram of their own")
        return rows
