"""One figure per function: draws on `ax` (the current axes where None) and returns it."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from scipy.stats import norm

from kaggle_speech.audio import SAMPLE_RATE
from kaggle_speech.labels import COMPETITION_LABELS, SILENCE, UNKNOWN


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


def plot_confusion(confusion_df, ax=None, *, counts=False):
    """A confusion matrix in percent of what was said, or in clips; empty cells are zero.

    Args: `evaluation.confusion_matrix`; the colours are percent in both.
    """
    ax = ax or plt.gca()
    percent_df = 100 * confusion_df.div(confusion_df.sum(axis=1).clip(lower=1), axis=0)
    shown_df = confusion_df if counts else percent_df
    text = shown_df.map(lambda number: f"{number:.0f}" if number >= 0.5 else "")
    sns.heatmap(percent_df, annot=text, fmt="", cmap="Blues", vmin=0, vmax=100, square=True, cbar=False, ax=ax)
    ax.set(title="clips" if counts else "% of the clips of each label")
    return ax


def plot_roc(curves, ax=None):
    """ROC curves, false alarms on a logarithmic scale; zoomed in where they are high. Args: `one_vs_rest_roc`'s."""
    ax = ax or plt.gca()
    worst_first = sorted(curves.items(), key=lambda item: item[1]["auc"])
    for style, (label, curve) in zip(line_styles(len(curves)), worst_first, strict=True):
        rates = np.maximum(curve["false_positive_rate"], 1e-4), curve["true_positive_rate"]
        ax.step(*rates, where="post", label=f"{label} {curve['auc']:.4f}", **style)
    lowest = _lowest_shown(curve["auc"] for curve in curves.values())
    ax.set(xscale="log", xlim=(1e-3, 1), ylim=(lowest, 1 + (1 - lowest) / 50))
    ax.set(xlabel="clips of other labels above the threshold", ylabel="clips of the label above it")
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


def plot_precision_recall(curves, ax=None):
    """Precision over recall; zoomed in where they are high. Args: `one_vs_rest_precision_recall`'s."""
    ax = ax or plt.gca()
    worst_first = sorted(curves.items(), key=lambda item: item[1]["average_precision"])
    for style, (label, curve) in zip(line_styles(len(curves)), worst_first, strict=True):
        rates = curve["recall"], curve["precision"]
        ax.step(*rates, where="post", label=f"{label} {curve['average_precision']:.4f}", **style)
    lowest = _lowest_shown(curve["average_precision"] for curve in curves.values())
    limits = (lowest, 1 + (1 - lowest) / 50)
    ax.set(xlim=limits, ylim=limits, xlabel="recall: clips of the label above the threshold")
    ax.set_ylabel("precision: of those above, clips of the label")
    ax.legend(title="average precision", fontsize="small", loc="lower left")
    return ax


def _lowest_shown(areas):
    """Where an axis of rates begins: nearer to 1 where nothing happens below."""
    return 0.6 if min(areas, default=0) > 0.95 else 0.0


def line_styles(num_lines):
    """Lines that can be told apart, also by those who see few colours: a list; after eighteen they repeat."""
    colors, lines = sns.color_palette("colorblind", 6), ("-", "--", ":")
    return [
        {"color": colors[number % 6], "linestyle": lines[number // 6 % 3], "linewidth": 1.2}
        for number in range(num_lines)
    ]


def plot_intervals(accuracy_df, ax=None):
    """A dot and a bar a row, in percent: accuracy and its 95 % interval, with the number of clips.

    Args: `evaluation.label_intervals` or `evaluation.speaker_accuracy`.
    """
    ax = ax or plt.gca()
    percent_df = 100 * accuracy_df[["accuracy", "low", "high"]]
    rows = np.arange(len(percent_df))
    ax.hlines(rows, percent_df["low"], percent_df["high"], color="C0", linewidth=3, alpha=0.5)
    ax.plot(percent_df["accuracy"], rows, "o", color="C0")
    ax.set_yticks(rows, [f"{name} ({count})" for name, count in accuracy_df["num_clips"].items()])
    ax.invert_yaxis()
    ax.grid(axis="x", alpha=0.4)
    ax.set(xlabel="right answers, %, and 95 % interval", ylabel=f"{accuracy_df.index.name} (clips)")
    return ax


#: What is drawn over which kind of condition: the axis, and whether it is turned.
_CONDITIONS = {
    "snr_db": ("speech over noise, dB (noisier to the right)", True),
    "shift_ms": ("shift, ms (later to the right)", False),
}


def plot_robustness(robustness_df, kind, ax=None, reference=None):
    """Accuracy over the conditions of a kind, with its 95 % band; for noise, each recording as a thin line, too.

    Args:
        robustness_df: from `robustness.robustness`.
        kind: `snr_db` or `shift_ms`.
        ax: to draw on.
        reference: accuracy without noise or shift, in [0, 1]; a dotted line.
    """
    ax = ax or plt.gca()
    xlabel, is_turned = _CONDITIONS[kind]
    kind_df = robustness_df[robustness_df["kind"] == kind]
    by_noise = kind_df[~kind_df["noise"].isin(["", "all"])].groupby("noise")
    for style, (noise, noise_df) in zip(line_styles(len(by_noise)), by_noise, strict=True):
        ax.plot(noise_df["value"], 100 * noise_df["accuracy"], label=noise, marker=".", **style)
    all_df = kind_df[kind_df["noise"].isin(["", "all"])]
    ax.plot(all_df["value"], 100 * all_df["accuracy"], "o-", color="black", linewidth=2, label="right answers")
    ax.fill_between(all_df["value"], 100 * all_df["low"], 100 * all_df["high"], color="black", alpha=0.15, linewidth=0)
    if reference is not None:
        ax.axhline(100 * reference, color="black", linestyle=":", label="as recorded")
    if is_turned:
        ax.invert_xaxis()
    ax.grid(alpha=0.4)
    ax.set(xlabel=xlabel, ylabel="right answers, %", xticks=all_df["value"])
    ax.legend(fontsize="small")
    return ax


def plot_fates(robustness_df, kind, ax=None):
    """What becomes of the commands that are not answered right. Args: as in `plot_robustness`."""
    ax = ax or plt.gca()
    xlabel, is_turned = _CONDITIONS[kind]
    all_df = robustness_df[(robustness_df["kind"] == kind) & robustness_df["noise"].isin(["", "all"])]
    parts = {"taken for another command": all_df["confused"], "taken for silence or unknown": all_df["missed"]}
    colors = [sns.color_palette("colorblind")[index] for index in (3, 0)]
    ax.stackplot(all_df["value"], *(100 * part for part in parts.values()), labels=list(parts), colors=colors)
    if is_turned:
        ax.invert_xaxis()
    ax.margins(x=0)
    ax.grid(alpha=0.4)
    ax.set(xlabel=xlabel, ylabel="commands, %", xticks=all_df["value"])
    ax.legend(fontsize="small", loc="upper center")
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
    for style, (name, curve) in zip(line_styles(len(curves)), curves.items(), strict=True):
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
    for style, (name, curve) in zip(line_styles(len(curves)), curves.items(), strict=True):
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
    for style, (name, bins_df) in zip(line_styles(len(bins)), bins.items(), strict=True):
        ax.plot(bins_df["confidence"], bins_df["accuracy"], label=name, **style)
        sizes = 200 * bins_df["num_clips"] / bins_df["num_clips"].sum()
        ax.scatter(bins_df["confidence"], bins_df["accuracy"], 8 + sizes, color=style["color"])
    ax.set(xlabel="confidence of the answer", ylabel="share of right answers", xlim=(0, 1), ylim=(0, 1.03))
    ax.legend()
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
