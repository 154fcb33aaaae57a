"""Figures of trainings: history and error rates."""

import matplotlib.pyplot as plt


def plot_history(history_df, ax=None, metric="accuracy"):
    """A metric on training clips and, with averaged weights, on tune speakers; a dot at the epoch that was chosen."""
    ax = ax or plt.gca()
    epochs = history_df["epoch"] + 1
    ax.plot(epochs, history_df[metric], label="train (augmented)")
    ax.plot(epochs, history_df[f"val_{metric}"], label="tune speakers")
    best = history_df["val_loss"].idxmin()
    ax.plot(epochs[best], history_df[f"val_{metric}"][best], "o", color="C1", label=f"chosen: epoch {epochs[best]}")
    ax.set(xlabel="epoch", ylabel=metric)
    ax.legend()
    return ax


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
