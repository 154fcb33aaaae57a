"""Vocabularies: the label of each word, and the order of the labels, which is that of the outputs of a model."""

from collections.abc import Sequence

COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
SILENCE = "silence"
UNKNOWN = "unknown"

#: The twelve labels of the competition.
COMPETITION_LABELS = (*COMMANDS, SILENCE, UNKNOWN)

#: The thirty words of the competition's training set (Speech Commands v0.01).
WORDS_V1 = (
    *COMMANDS,
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("bed", "bird", "cat", "dog", "happy", "house", "marvin", "sheila", "tree", "wow"),
)
#: The thirty-five words of Speech Commands v0.02.
WORDS_V2 = (*WORDS_V1, "backward", "follow", "forward", "learn", "visual")

#: Vocabularies to train on, by number of classes; with 11, 31 and 33 other words have no label. 33 is for copies of the
#: second version without follow, learn and visual, the rarest words.
VOCABULARIES = {
    11: (*COMMANDS, SILENCE),
    12: COMPETITION_LABELS,
    31: (*WORDS_V1, SILENCE),
    32: (*WORDS_V1, SILENCE, UNKNOWN),
    33: (*WORDS_V1, "backward", "forward", SILENCE),
    35: WORDS_V2,
}

#: The folder of the noise recordings, a sibling of the word folders.
BACKGROUND_NOISE_DIR = "_background_noise_"


def word_to_label(word: str, vocabulary: Sequence[str] = COMPETITION_LABELS) -> str | None:
    """Label of a word in a vocabulary, or None where the vocabulary has neither the word nor `unknown`.

    Args:
        word: name of the folder of the word, or `silence`.
        vocabulary: labels in the order of the model's outputs.

    Examples:
        >>> word_to_label("left"), word_to_label("marvin")
        ('left', 'unknown')
        >>> word_to_label("marvin", VOCABULARIES[31]), word_to_label("visual", VOCABULARIES[31])
        ('marvin', None)
    """
    if word in vocabulary:
        return word
    return UNKNOWN if UNKNOWN in vocabulary and word != SILENCE else None
