"""Pictures of what a model hears of a sentence; each draws on `ax` (the current axes where None) and returns it."""

import matplotlib.pyplot as plt
import numpy as np

from kaggle_speech.alphabet import ALPHABET, BLANK_INDEX

#: What stands for the characters that cannot be seen.
_SHOWN = {"": "blank", " ": "space"}


def plot_error_rates(history_df, ax=None):
    """Character error rates over epochs, of averaged weights: of some training utterances and of other speakers.

    Args:
        history_df: `epoch, train_cer, val_cer`, as `training.read_history` reads it.
    """
    ax = ax or plt.gca()
    for column, label in (("train_cer", "training speakers"), ("val_cer", "held-out speakers")):
        ax.plot(history_df["epoch"] + 1, 100 * history_df[column], label=label)
    ax.set(xlabel="epoch", ylabel="character error rate, %", ylim=(0, None))
    ax.legend()
    return ax


def plot_posteriors(log_probabilities, duration_s, ax=None, min_probability=0.05):
    """How probable each character is in each frame, a row each below that of the blank.

    Shape: `(frames, len(ALPHABET))`, natural log.

    Args:
        duration_s: of all frames.
        min_probability: that a character must have in some frame, else it is left out.
    """
    ax = ax or plt.gca()
    probabilities = np.exp(log_probabilities)
    is_shown = probabilities.max(axis=0, initial=0) >= min_probability
    is_shown[BLANK_INDEX] = True
    rows = np.flatnonzero(is_shown)
    options = {"aspect": "auto", "interpolation": "nearest", "cmap": "viridis", "vmin": 0, "vmax": 1}
    ax.imshow(probabilities[:, rows].T, extent=(0, duration_s, len(rows), 0), **options)
    ax.axhline(1, color="white", linewidth=0.5)
    labels = [_SHOWN.get(ALPHABET[index], ALPHABET[index]) for index in rows]
    ax.set(yticks=np.arange(len(rows)) + 0.5, yticklabels=labels, xlabel="s")
    return ax


def plot_characters(text, times_s, ax=None):
    """Characters at the top of a picture over time, each where it is said, with a line down.

    Shape: of `times_s`: `(len(text),)`, seconds.
    """
    ax = ax or plt.gca()
    for character, time_s in zip(text, times_s, strict=True):
        ax.axvline(time_s, color="white", linewidth=0.4, alpha=0.6)
        shown = "\N{OPEN BOX}" if character == " " else character
        ax.text(time_s, 1.02, shown, ha="center", transform=ax.get_xaxis_transform())
    return ax
