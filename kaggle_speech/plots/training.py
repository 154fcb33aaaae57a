"""Figures of trainings: history, error rates, accuracy over size."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy.stats import binomtest


def plot_history(history_df: pd.DataFrame, ax: Axes | None = None, metric: str = "accuracy") -> Axes:
    """Plot a metric of training clips and, with averaged weights, of tune speakers, with a dot at the chosen epoch.

    The loss has the learning rate beside it, on an axis of its own on the right, where the history holds it.

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
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if metric == "loss" and "learning_rate" in history_df:
        plot_learning_rate(history_df, ax)
    ax.legend()
    return ax


def plot_learning_rate(history_df: pd.DataFrame, ax: Axes) -> Axes:
    """Plot the learning rate at the end of each epoch, dotted, on an axis of its own on the right.

    Args:
        history_df: from `callbacks.read_history`.
        ax: axes with a curve over epochs from 1 on.

    Returns:
        the axes on the right.
    """
    rate_ax = ax.twinx()
    rate_ax.plot(history_df["epoch"] + 1, history_df["learning_rate"], color="grey", linestyle=":")
    rate_ax.set(ylim=(0, None), ylabel="learning rate (dotted)")
    return rate_ax


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


def plot_accuracy_over_size(results_df: pd.DataFrame, num_clips: int, ax: Axes | None = None) -> Axes:
    """Plot accuracy over the number of parameters, a named dot for each network, with its 95 % interval over clips.

    Args:
        results_df: index the names; columns `parameters` and `accuracy`, 0 to 1.
        num_clips: clips that the accuracies were measured on.
        ax: axes to draw on; None for the current ones.

    Source: Wilson's interval, as `scipy.stats.binomtest(...).proportion_ci(method="wilson")`.
    """
    ax = ax or plt.gca()
    for row in results_df.itertuples():
        low, high = binomtest(round(row.accuracy * num_clips), num_clips).proportion_ci(method="wilson")
        (dot,) = ax.plot(row.parameters, 100 * row.accuracy, "o")
        ax.vlines(row.parameters, 100 * low, 100 * high, color=dot.get_color(), linewidth=3, alpha=0.4)
        ax.annotate(row.Index, (row.parameters, 100 * row.accuracy), (8, 4), textcoords="offset points")
    ax.set(xscale="log", xlabel="parameters", ylabel=f"accuracy on {num_clips} clips, %, and 95 % interval")
    ax.margins(x=0.25)
    ax.grid(alpha=0.4)
    return ax
