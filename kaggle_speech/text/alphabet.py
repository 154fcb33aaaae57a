"""Characters of transcripts, their index in the outputs of a model, and normalisation. Standard library only."""

import itertools
import re
import string
import unicodedata
from collections.abc import Iterable

#: The CTC blank, first of the outputs of a model.
BLANK = ""
BLANK_INDEX = 0
#: Log-probability of every character but the blank where there is no sound; finite, so that gradients are finite.
IMPOSSIBLE = -1e4
#: Outputs of a transcriber, in their order: the blank and 28 characters.
ALPHABET = (BLANK, " ", "'", *string.ascii_lowercase)
#: Spelling of letters that do not decompose into one of the alphabet and a mark, and of the characters typed instead
#: of an apostrophe: curly quotation marks, the letter apostrophe, and accents.
_SPELLED = {"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\u0131": "i"} | dict.fromkeys(
    "\u2018\u2019\u02bc`\u00b4", "'"
)
#: Signs that are read aloud, besides currency signs.
_SPOKEN = "&%+@=§"
#: What makes an ASCII text strange: digits, and signs that are read aloud.
_STRANGE_ASCII = re.compile(r"[0-9$&%+@=]")


def normalize_text(text: str) -> str:
    r"""Text in the characters of the alphabet: small letters without marks, apostrophes, single spaces.

    Any other punctuation becomes a space, as do two apostrophes in a row. A single apostrophe beside a letter stays,
    also at the beginning or end of a word; only apostrophes around a single word are quotation marks and go. Around
    several words they stay, because they look like those of "'tis the boys'".

    Args:
        text: any text.

    Raises:
        ValueError: digits, signs that are read aloud, or letters of another script; lists them.

    Examples:
        >>> normalize_text("  'Tis the boys' Café--it\u2019s  'OPEN'!")
        "'tis the boys' cafe it's open"
    """
    if text.isascii() and not _STRANGE_ASCII.search(text):
        return _without_quotation_marks(re.sub("[^a-z']", " ", text.lower().replace("`", "'")))
    kept, strange = [], []
    for character in text.casefold():
        for part in unicodedata.normalize("NFKD", _SPELLED.get(character, character)):
            category = unicodedata.category(part)
            if part in ALPHABET:
                kept.append(part)
            elif category[0] == "M" or category == "Cf":  # marks and formatting characters
                continue
            elif category[0] in "LN" or category == "Sc" or part in _SPOKEN:
                strange.append(character)
            else:
                kept.append(" ")
    if strange:
        raise ValueError(
            "a transcript must be words of the letters a to z, spaces and apostrophes; numbers and signs such as % "
            f"must be spelled out. Received: {' '.join(dict.fromkeys(strange))} in {text!r}"
        )
    return _without_quotation_marks("".join(kept))


def _without_quotation_marks(text):
    """Words of a text in characters of the alphabet, single spaces between."""
    words = re.sub("''+", " ", text).split()
    words = [word[1:-1] if word[0] == word[-1] == "'" else word for word in words]  # in quotation marks
    return " ".join(word for word in words if word)


def text_to_indices(text: str) -> list[int]:
    """Index of each character in the alphabet.

    Args:
        text: characters of the alphabet.

    Raises:
        ValueError: a character is not in the alphabet; see `normalize_text`.

    Examples:
        >>> text_to_indices("go")
        [9, 17]
    """
    strange = sorted({*text} - {*ALPHABET})
    if strange:
        raise ValueError(f"`text` must be of the characters {ALPHABET[1:]}. Received: {strange} in {text!r}")
    return [ALPHABET.index(character) for character in text]


def indices_to_text(indices: Iterable[int]) -> str:
    """Text of indices, the inverse of `text_to_indices`; blanks are dropped.

    Args:
        indices: places in the alphabet, 0 the blank.

    Examples:
        >>> indices_to_text([9, 0, 17])
        'go'
    """
    return "".join(ALPHABET[index] for index in indices)


def min_ctc_frames(text: str) -> int:
    """Number of frames that CTC needs for a text: one a character, and a blank between two that are the same.

    Args:
        text: characters of the alphabet.

    Examples:
        >>> min_ctc_frames("hello")
        6
    """
    return len(text) + sum(before == after for before, after in itertools.pairwise(text))
