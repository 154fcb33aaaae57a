"""Sentences of books and other texts, as they are read aloud, in the characters of the alphabet. Standard library."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

from kaggle_speech.text.alphabet import normalize_text

#: Lines around the text of a book of Project Gutenberg.
_GUTENBERG_START = re.compile(r"^\*\*\* ?START OF.*?\*\*\*\s*$", re.MULTILINE)
_GUTENBERG_END = re.compile(r"^\*\*\* ?END OF", re.MULTILINE)
#: Abbreviations whose point ends no sentence, and how they are read.
_READ_AS = {"Mr.": "mister", "Mrs.": "missus", "Dr.": "doctor", "Messrs.": "messieurs"}
_ABBREVIATION = re.compile("|".join(rf"\b{re.escape(short)}" for short in _READ_AS))
#: Words whose apostrophe at the beginning of a sentence is no quotation mark.
_BEGIN_WITH_APOSTROPHE = ("'tis", "'twas", "'twere", "'twill", "'twould", "'em", "'til")
#: Between sentences: a mark that ends one, with the quotation marks after it, or an empty line.
_BETWEEN = re.compile(r"(?<=[.!?;:])[\"'\u201d\u2019)\]]*\s+|\n[ \t]*\n")


def split_sentences(text: str) -> Iterator[str]:
    """Sentences of a text, normalised; those with digits or signs that are read aloud are left out.

    Args:
        text: any text, such as a book of Project Gutenberg with its header.

    Examples:
        >>> [*split_sentences("He met Mr. Pip. 'What larks!' he said; in 1861.")]
        ['he met mister pip', 'what larks', 'he said']
    """
    start, end = _GUTENBERG_START.search(text), _GUTENBERG_END.search(text)
    text = text[start.end() if start else 0 : end.start() if end else None]
    text = _ABBREVIATION.sub(lambda found: _READ_AS[found.group()], text)
    for sentence in _BETWEEN.split(text):
        try:
            words = normalize_text(sentence).removesuffix("'")
        except ValueError:  # nobody knows how a number is read
            continue
        if words.partition(" ")[0] not in _BEGIN_WITH_APOSTROPHE:
            words = words.removeprefix("'")
        if words:
            yield words


def read_sentences(path: Path | str) -> Iterator[str]:
    """Sentences of a text file (see `split_sentences`).

    Args:
        path: the file, in UTF-8, compressed by gzip where its name ends in .gz.

    Raises:
        ValueError: the file is no text in UTF-8; names it.
        OSError: the file is missing or cannot be read.
    """
    try:
        content = Path(path).read_bytes()
        text = (gzip.decompress(content) if str(path).endswith(".gz") else content).decode("utf-8-sig")
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: must be a text in UTF-8, or one compressed by gzip. Received: {error}") from error
    return split_sentences(text)
