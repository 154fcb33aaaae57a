"""Figures of scores: confusion, ROC, precision-recall, robustness, open set, reliability."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from scipy.stats import norm

from kaggle_speech.labels import SILENCE, UNKNOWN


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

    Shape: `(clips,)` scores (`calibration.command_scores`), `(clips,)` labels of the twelve; silence is left out.
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
