"""Sentences of books and other texts, as they are read aloud, in the characters of the alphabet. Standard library."""

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from kaggle_speech.text.alphabet import normalize_text

#: Lines around the text of a book of Project Gutenberg.
_GUTENBERG_START = re.compile(r"^\*\*\* ?START OF(?s:.{0,300}?)\*\*\*\s*$", re.MULTILINE)  # long titles wrap
_GUTENBERG_END = re.compile(r"^\*\*\* ?END OF", re.MULTILINE)
_GUTENBERG_NUMBER = re.compile(r"\[e(?:book|text)\s*#\s*(\d+)\]", re.IGNORECASE)
_GUTENBERG_TITLE = re.compile(r"^Title:[ \t]*(.+)$", re.MULTILINE)
#: Characters at the beginning of a text that may say what it is.
_HEADER_CHARACTERS = 3000
#: What ends the name of a work in its title: of a subtitle, a volume, a version.
_AFTER_NAME = re.compile(r"[,;:(\[\u2014]|--|\bor\b|\bvol|\bbook\b|\bpart\b|\bchapter", re.IGNORECASE)
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


def books_of_tests(chapters_path: Path | str) -> frozenset[str]:
    """The books that LibriSpeech's dev and test sets were read from, for `is_one_of`.

    Args:
        chapters_path: LibriSpeech's `CHAPTERS.TXT`.

    Returns:
        frozenset: their numbers at Project Gutenberg, and their names as `_name` writes them.

    Raises:
        ValueError: the file lists no chapter of these sets; names it.
        OSError: the file is missing or cannot be read.
    """
    lines = Path(chapters_path).read_text("utf-8", "replace").splitlines()
    rows = [[cell.strip() for cell in line.split("|", 7)] for line in lines if not line.startswith(";")]
    books = {
        name for row in rows if len(row) == 8 and row[3][:4] in ("dev-", "test") for name in (row[5], _name(row[7]))
    }
    if not books:
        raise ValueError(
            f"{chapters_path}: must be LibriSpeech's CHAPTERS.TXT. Received: a file without its dev and test sets"
        )
    return frozenset(books - {""})


def is_one_of(text: str, books: frozenset[str]) -> bool:
    """Whether a text of Project Gutenberg is one of the books, another edition or a part of one, or holds one.

    Args:
        text: a book with its header.
        books: from `books_of_tests`.
    """
    header = text[:_HEADER_CHARACTERS]
    numbers, titles = (pattern.findall(header) for pattern in (_GUTENBERG_NUMBER, _GUTENBERG_TITLE))
    if not books.isdisjoint([*numbers, *map(_name, titles)]):
        return True
    headings = (line.strip() for line in text.splitlines() if line.isupper())
    return any(" " in name and name in books for name in map(_name, headings))


def _name(title):
    """The name of a work in its title: without subtitle, volume and article, in the characters of the alphabet."""
    try:
        words = normalize_text(_AFTER_NAME.split(title, maxsplit=1)[0])
    except ValueError:
        return title
    return re.sub("^(the|a|an) ", "", words)


def read_text(path: Path | str) -> str:
    """The content of a text file; the line ends of Windows, as Project Gutenberg has them, become those of Unix.

    Args:
        path: the file, in UTF-8, compressed by gzip where its name ends in .gz.

    Raises:
        ValueError: the file is no text in UTF-8; names it.
        OSError: the file is missing or cannot be read.
    """
    try:
        content = Path(path).read_bytes()
        text = (gzip.decompress(content) if str(path).endswith(".gz") else content).decode("utf-8-sig")
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: must be a text in UTF-8, or one compressed by gzip. Received: {error}") from error
    return text.replace("\r\n", "\n")
