"""Figures of trainings: history and error rates."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes


def plot_history(history_df: pd.DataFrame, ax: Axes | None = None, metric: str = "accuracy") -> Axes:
    """Plot a metric of training clips and, with averaged weights, of tune speakers, with a dot at the chosen epoch.

    Args:
        history_df: from `callbacks.read_history`.
        ax: axes to draw on; None for the current ones.
        metric: column of the history, whose `val_` twin is of the tune speakers.
    """
    ax = ax or plt.gca()
    epochs = history_df["epoch"] + 1
    ax.plot(epochs, history_df[metric], label="train (augmented)")
    ax.plot(epochs, history_df[f"val_{metric}"], label="tune speakers")
    best = int(history_df["val_loss"].to_numpy().argmin())
    ax.plot(
        epochs.iloc[best],
        history_df[f"val_{metric}"].iloc[best],
        "o",
        color="C1",
        label=f"chosen: epoch {epochs.iloc[best]}",
    )
    ax.set(xlabel="epoch", ylabel=metric)
    ax.legend()
    return ax


def plot_error_rates(history_df: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot character error rates over epochs, with averaged weights: some training utterances, and other speakers.

    Args:
        history_df: frame with the columns `epoch, train_cer, val_cer`, from `callbacks.read_history`.
        ax: axes to draw on; None for the current ones.
    """
    ax = ax or plt.gca()
    for column, label in (("train_cer", "training speakers"), ("val_cer", "held-out speakers")):
        ax.plot(history_df["epoch"] + 1, 100 * history_df[column], label=label)
    ax.set(xlabel="epoch", ylabel="character error rate, %", ylim=(0, None))
    ax.legend()
    return ax
