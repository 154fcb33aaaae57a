"""Probabilities to labels. NumPy only."""

import numpy as np

from kaggle_speech.labels import COMPETITION_LABELS, word_to_label


def competition_probabilities(probabilities, vocabulary):
    """Probabilities over the twelve labels, from those over any vocabulary: words that are no command add up.

    Shape: `(clips, len(vocabulary))` -> `(clips, 12)`.

    Args:
        probabilities: a model's outputs.
        vocabulary: its labels, in order.

    Raises:
        ValueError: the widths differ.
    """
    probabilities = np.asarray(probabilities)
    if probabilities.shape[-1] != len(vocabulary):
        raise ValueError(
            "`probabilities` must have a column for each label of `vocabulary`. "
            f"Received: shape={probabilities.shape}, {len(vocabulary)} labels"
        )
    targets = [COMPETITION_LABELS.index(word_to_label(word)) for word in vocabulary]
    return probabilities @ np.eye(len(COMPETITION_LABELS), dtype=probabilities.dtype)[targets]


def most_probable(probabilities, vocabulary=COMPETITION_LABELS):
    """The label of the highest probability. Shape: `(clips, len(vocabulary))` -> `(clips,)` array of str."""
    return np.asarray(vocabulary)[np.argmax(probabilities, axis=-1)]
