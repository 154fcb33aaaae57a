"""One figure per function: draws on `ax` (the current axes where None) and returns it."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from kaggle_speech.audio import SAMPLE_RATE
from kaggle_speech.labels import COMPETITION_LABELS


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
    colors = sns.color_palette("colorblind", 6)
    for number, (label, curve) in enumerate(sorted(curves.items(), key=lambda item: item[1]["auc"])):
        rates = np.maximum(curve["false_positive_rate"], 1e-4), curve["true_positive_rate"]
        style = {"color": colors[number % 6], "linestyle": ("-", "--", ":")[number // 6 % 3], "linewidth": 1.2}
        ax.step(*rates, where="post", label=f"{label} {curve['auc']:.4f}", **style)
    ax.set(
        xscale="log", xlim=(1e-3, 1), xlabel="clips of other labels above the threshold", ylabel="clips of the label"
    )
    ax.legend(title="area under the curve", fontsize="small")
    return ax


def plot_stream_curve(curve_df, ax=None, *, min_hit_rate=None, max_alarms_per_hour=None):
    """Hit rate against false alarms per hour, over thresholds; a dot at the default one, and limits where given.

    Where there were no alarms, half of one in the time that was counted is drawn.

    Args:
        curve_df: from `stream_evaluation.stream_evaluate`.
        min_hit_rate, max_alarms_per_hour: drawn as dashed lines, those of MLPerf Tiny.
    """
    ax = ax or plt.gca()
    colors = sns.color_palette("colorblind")
    kinds = {
        "unknown_alarms_per_hour": ("other words", "-", "hours"),
        "noise_alarms_per_hour": ("noise", ":", "noise_hours"),
    }
    for color, (snr_db, of_ratio_df) in zip(colors, curve_df.groupby("snr_db", sort=False), strict=False):
        for column, (name, style, hours) in kinds.items():
            alarms = of_ratio_df[column].clip(lower=0.5 / of_ratio_df[hours])
            ax.plot(
                alarms, 100 * of_ratio_df["hit_rate"], style, color=color, label=f"{snr_db:g} dB, alarms from {name}"
            )
            chosen = of_ratio_df["is_default"]
            ax.plot(alarms[chosen], 100 * of_ratio_df["hit_rate"][chosen], "o", color=color)
    if min_hit_rate is not None:
        ax.axhline(100 * min_hit_rate, color="gray", linewidth=0.8, linestyle="--")
    if max_alarms_per_hour is not None:
        ax.axvline(max_alarms_per_hour, color="gray", linewidth=0.8, linestyle="--", label="limits of MLPerf Tiny")
    ax.set(xscale="log", xlabel="false alarms per hour", ylabel="commands that are heard, %", ylim=(40, 100))
    ax.legend(fontsize="small", loc="lower right")
    return ax


def plot_detections(probabilities, vocabulary, detections, duration_s, ax=None):
    """Probabilities over time, a row a label, and a triangle where a label was detected.

    Shape: `(hops, len(vocabulary))`.

    Args:
        vocabulary: labels, in the order of the probabilities.
        detections: list of `streaming.Detection`.
        duration_s: of all hops.
    """
    ax = ax or plt.gca()
    rows = {label: number + 0.5 for number, label in enumerate(vocabulary)}
    options = {"aspect": "auto", "interpolation": "nearest", "cmap": "viridis", "vmin": 0, "vmax": 1}
    ax.imshow(np.asarray(probabilities).T, extent=(0, duration_s, len(rows), 0), **options)
    times_s, heights = [found.time_s for found in detections], [rows[found.label] for found in detections]
    ax.plot(times_s, heights, "<", color="white", markeredgecolor="black", markersize=9, linestyle="")
    ax.set(yticks=list(rows.values()), yticklabels=list(rows), xlabel="s", xlim=(0, duration_s))
    return ax
