"""One figure per function: draws on `ax` (the current axes where None) and returns it."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from scipy.stats import norm

from kaggle_speech.audio import SAMPLE_RATE
from kaggle_speech.labels import COMPETITION_LABELS, SILENCE, UNKNOWN


def _styles():
    """Lines that can be told apart without colour, too, one after another."""
    colors = sns.color_palette("colorblind", 6)
    for number in itertools.count():
        yield {"color": colors[number % 6], "linestyle": ("-", "--", ":")[number // 6 % 3], "linewidth": 1.2}


def plot_waveform(waveform, ax=None, title=""):
    """A waveform over seconds. Shape: `(samples,)`."""
    ax = ax or plt.gca()
    ax.plot(np.arange(len(waveform)) / SAMPLE_RATE, waveform, linewidth=0.5)
    ax.set(title=title, xlabel="s", xlim=(0, len(waveform) / SAMPLE_RATE))
    return ax


def plot_features(features, ax=None, title="", duration_s=1.0):
    """A spectrogram, log-mel or MFCC as a picture: time runs right, the first coefficient is at the bottom.

    Colours span the middle 98 % of the values: single large coefficients do not hide the others.

    Shape: `(frames, coefficients)`.
    """
    ax = ax or plt.gca()
    features = np.asarray(features)
    extent = (0, duration_s, 0, features.shape[1])
    low, high = np.percentile(features, [1, 99])
    options = {"origin": "lower", "aspect": "auto", "interpolation": "nearest", "cmap": "magma"}
    ax.imshow(features.T, extent=extent, vmin=low, vmax=high, **options)
    ax.set(title=title, xlabel="s")
    return ax


def plot_label_counts(clips_df, ax=None, vocabulary=COMPETITION_LABELS):
    """Clips of each label, split by split. Args: an index of clips."""
    ax = ax or plt.gca()
    spoken_df = clips_df[clips_df["split"] != "noise"]
    counts_df = spoken_df.groupby(["label", "split"]).size().unstack(fill_value=0)
    counts_df = counts_df.reindex([label for label in vocabulary if label in counts_df.index])
    counts_df = counts_df[[split for split in ("train", "tune", "val", "test") if split in counts_df]]
    counts_df.plot.barh(stacked=True, ax=ax, width=0.8, color=sns.color_palette("colorblind"))
    ax.invert_yaxis()
    ax.set(xlabel="clips", ylabel="")
    return ax


def plot_lengths(clips_df, ax=None):
    """How long clips are, on a logarithmic scale of counts. Args: a frame with `num_samples`."""
    ax = ax or plt.gca()
    ax.hist(clips_df["num_samples"] / SAMPLE_RATE, bins=50, log=True)
    ax.set(xlabel="length, s", ylabel="clips")
    return ax


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


def plot_confusion(confusion_df, ax=None):
    """A confusion matrix in percent of what was said; empty cells are zero. Args: `evaluation.confusion_matrix`."""
    ax = ax or plt.gca()
    percent_df = 100 * confusion_df.div(confusion_df.sum(axis=1).clip(lower=1), axis=0)
    text = percent_df.map(lambda percent: f"{percent:.0f}" if percent >= 0.5 else "")
    sns.heatmap(percent_df, annot=text, fmt="", cmap="Blues", vmin=0, vmax=100, square=True, cbar=False, ax=ax)
    ax.set(title="% of the clips of each label")
    return ax


def plot_roc(curves, ax=None):
    """ROC curves, the rate of false alarms on a logarithmic scale. Args: from `evaluation.one_vs_rest_roc`."""
    ax = ax or plt.gca()
    by_area = sorted(curves.items(), key=lambda item: item[1]["auc"])
    for (label, curve), style in zip(by_area, _styles(), strict=False):
        rates = np.maximum(curve["false_positive_rate"], 1e-4), curve["true_positive_rate"]
        ax.step(*rates, where="post", label=f"{label} {curve['auc']:.4f}", **style)
    ax.set(
        xscale="log", xlim=(1e-3, 1), xlabel="clips of other labels above the threshold", ylabel="clips of the label"
    )
    ax.legend(title="area under the curve", fontsize="small")
    return ax


def plot_scores(scores, labels, ax=None, threshold=None, num_bins=30):
    """How surely commands and unknown words are taken for commands: a histogram of each, in percent of its clips.

    Shape: `(clips,)` scores (`open_set.Opinion.score`), `(clips,)` labels of the twelve; silence is left out.
    """
    ax = ax or plt.gca()
    scores, labels = np.asarray(scores), np.asarray(labels)
    kinds = {"commands": ~np.isin(labels, (SILENCE, UNKNOWN)), "unknown words": labels == UNKNOWN}
    edges = np.linspace(scores.min(), scores.max(), num_bins + 1)
    for color, (name, rows) in zip(sns.color_palette("colorblind"), kinds.items(), strict=False):
        weights = np.full(rows.sum(), 100 / max(rows.sum(), 1))
        ax.hist(scores[rows], edges, weights=weights, color=color, alpha=0.6, label=f"{rows.sum()} {name}")
    if threshold is not None:
        ax.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.3g}")
    ax.set(xlabel="score", ylabel="% of the clips", yscale="symlog")
    ax.set_yticks([0, 1, 3, 10, 30], ["0", "1", "3", "10", "30"])
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), fontsize="small", frameon=False)
    return ax


def plot_oscr(curves, ax=None):
    """Commands that are accepted and right against unknown words that are accepted. Args: dict of `oscr` curves."""
    ax = ax or plt.gca()
    for (name, curve), style in zip(curves.items(), _styles(), strict=False):
        rates = np.maximum(curve["false_positive_rate"], 1e-4), curve["correct_rate"]
        ax.step(*rates, where="post", label=f"{name} {curve['area']:.4f}", **style)
    ax.set(xscale="log", xlim=(4e-3, 1), xlabel="unknown words accepted", ylabel="commands accepted and right")
    ax.legend(title="area under the curve", fontsize="small")
    return ax


def plot_det(curves, ax=None):
    """Commands lost against unknown words accepted, on normal deviates: two bell curves are a straight line.

    Args: dict of `det` curves.
    """
    ax = ax or plt.gca()
    ticks = np.array([0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95])
    for (name, curve), style in zip(curves.items(), _styles(), strict=False):
        rates = (curve[rate] for rate in ("false_positive_rate", "false_negative_rate"))
        rates = (norm.ppf(np.clip(rate, 1e-4, 1 - 1e-4)) for rate in rates)
        ax.step(*rates, where="post", label=name, **style)
    limits = norm.ppf([0.003, 0.97])
    ax.set(xlim=limits, ylim=limits, xlabel="unknown words accepted, %", ylabel="commands lost, %")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(norm.ppf(ticks), [f"{100 * tick:g}" for tick in ticks])
    ax.legend(fontsize="small")
    return ax


def plot_reliability(bins, ax=None):
    """How often answers of some confidence are right; on the diagonal as often as they say.

    The larger a dot, the more clips.

    Args: dict of `open_set.reliability_bins`.
    """
    ax = ax or plt.gca()
    ax.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    for (name, bins_df), style in zip(bins.items(), _styles(), strict=False):
        ax.plot(bins_df["confidence"], bins_df["accuracy"], label=name, **style)
        sizes = 200 * bins_df["num_clips"] / bins_df["num_clips"].sum()
        ax.scatter(bins_df["confidence"], bins_df["accuracy"], 8 + sizes, color=style["color"])
    ax.set(xlabel="confidence of the answer", ylabel="share of right answers", xlim=(0, 1), ylim=(0, 1.03))
    ax.legend()
    return ax
