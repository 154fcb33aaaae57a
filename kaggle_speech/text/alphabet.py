"""The characters of transcripts, their place in a model's outputs, and how text becomes them. Standard library only."""

import itertools
import re
import string
import unicodedata

#: What CTC puts between characters: the first of a model's outputs.
BLANK = ""
BLANK_INDEX = 0
#: What a model answers with, in the order of its outputs: the blank and 28 characters.
ALPHABET = (BLANK, " ", "'", *string.ascii_lowercase)
#: Letters that have no decomposition into one of the alphabet and a mark, and what is typed for an apostrophe: the
#: curly ones, the letter, and the accents (one of which would decompose into a space and a mark).
_SPELLED = {"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\u0131": "i"} | dict.fromkeys(
    "\u2018\u2019\u02bc`\u00b4", "'"
)
#: Signs that are read aloud, beside those of currencies.
_SPOKEN = "&%+@=§"


def normalize_text(text):
    r"""Text in the characters of the alphabet: small letters without marks, apostrophes, single spaces.

    Any other punctuation is taken for a space, as are two apostrophes in a row. One beside a letter stays, be it the
    first or the last of its word, but for those around a single word: they are quotation marks. Around several words
    they stay, too, since nothing tells them from those of "'tis the boys'".

    Raises:
        ValueError: digits, signs that are read aloud, or letters of another script; lists them.

    Examples:
        >>> normalize_text("  'Tis the boys' Café--it\u2019s  'OPEN'!")
        "'tis the boys' cafe it's open"
    """
    kept, strange = [], []
    for character in text.casefold():
        for part in unicodedata.normalize("NFKD", _SPELLED.get(character, character)):
            category = unicodedata.category(part)
            if part in ALPHABET:
                kept.append(part)
            elif category[0] == "M" or category == "Cf":  # marks, and what only says how to set a line
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
    words = re.sub("''+", " ", "".join(kept)).split()
    words = [word[1:-1] if word[0] == word[-1] == "'" else word for word in words]  # in quotation marks
    return " ".join(word for word in words if word)


def text_to_indices(text):
    """Places of the characters in the alphabet. Shape: -> list of `len(text)` int.

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


def indices_to_text(indices):
    """The inverse of `text_to_indices`; blanks give nothing.

    Examples:
        >>> indices_to_text([9, 0, 17])
        'go'
    """
    return "".join(ALPHABET[index] for index in indices)


def min_ctc_frames(text):
    """Frames that CTC needs for a text: one a character, and a blank between two that are the same.

    Examples:
        >>> min_ctc_frames("hello")
        6
    """
    return len(text) + sum(before == after for before, after in itertools.pairwise(text))
