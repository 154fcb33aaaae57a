"""Figures of scores: confusion, ROC, precision-recall, robustness, open set, reliability."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm

from kaggle_speech.labels import SILENCE, UNKNOWN

#: Curves of labels with a colour and a name; the others are grey.
NUM_NAMED = 3
#: Name of a curve -> its columns, as the functions of `metrics` and `open_set` make them.
Curves = Mapping[str, Mapping[str, Any]]


def plot_confusion(confusion_df: pd.DataFrame, ax: Axes | None = None, *, counts: bool = False) -> Axes:
    """Plot a confusion matrix; empty cells are zero, `<1` is less than one percent.

    Args:
        confusion_df: from `metrics.confusion_matrix`.
        ax: axes to draw on; None for the current ones.
        counts: write the numbers of clips, not the percentages of the clips of each label; colours are percentages.
    """
    ax = ax or plt.gca()
    percent_df = 100 * confusion_df.div(confusion_df.sum(axis=1).clip(lower=1), axis=0)
    shown_df = confusion_df if counts else percent_df
    text = shown_df.map(lambda number: "" if number == 0 else "<1" if number < 1 else f"{number:.0f}")
    sns.heatmap(percent_df, annot=text, fmt="", cmap="Blues", vmin=0, vmax=100, square=True, cbar=False, ax=ax)
    ax.set(title="clips" if counts else "% of the clips of each label")
    return ax


def plot_roc(curves: Curves, ax: Axes | None = None) -> Axes:
    """Plot ROC curves, false alarms on a logarithmic scale, zoomed in where all curves are high.

    The three labels with the smallest areas have a colour and a name, the others are grey.

    Args:
        curves: from `metrics.one_vs_rest_roc`.
        ax: axes to draw on; None for the current ones.
    """
    ax = ax or plt.gca()
    for curve, style in _worst_named(curves, "auc"):
        ax.step(np.maximum(curve["false_positive_rate"], 1e-4), curve["true_positive_rate"], where="post", **style)
    lowest = _lowest_shown(curve["auc"] for curve in curves.values())
    ax.set(xscale="log", xlim=(1e-3, 1), ylim=(lowest, 1 + (1 - lowest) / 50))
    ax.set(xlabel="clips of other labels above the threshold", ylabel="clips of the label above it")
    ax.legend(title="area under the curve", fontsize="small")
    return ax


def plot_confusion_and_roc(confusion_df: pd.DataFrame, curves: Curves) -> Figure:
    """Plot a confusion matrix beside ROC curves.

    Args:
        confusion_df: from `metrics.confusion_matrix`.
        curves: from `metrics.one_vs_rest_roc`.
    """
    figure, axes = plt.subplots(1, 2, figsize=(15, 7), layout="constrained")
    plot_confusion(confusion_df, axes[0])
    plot_roc(curves, axes[1])
    return figure


def plot_precision_recall(curves: Curves, ax: Axes | None = None) -> Axes:
    """Plot precision over recall, zoomed in where all curves are high.

    The three labels with the smallest areas have a colour and a name, the others are grey.

    Args:
        curves: from `metrics.one_vs_rest_precision_recall`.
        ax: axes to draw on; None for the current ones.
    """
    ax = ax or plt.gca()
    for curve, style in _worst_named(curves, "average_precision"):
        ax.step(curve["recall"], curve["precision"], where="post", **style)
    lowest = _lowest_shown(curve["average_precision"] for curve in curves.values())
    limits = (lowest, 1 + (1 - lowest) / 50)
    ax.set(xlim=limits, ylim=limits, xlabel="recall: clips of the label above the threshold")
    ax.set_ylabel("precision: of those above, clips of the label")
    ax.legend(title="average precision", fontsize="small", loc="lower left")
    return ax


def _worst_named(curves: Curves, area: str) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
    """Each curve, the worst first, with the keyword arguments of its line.

    Args:
        curves: label -> curve.
        area: key of the area under a curve.
    """
    worst_first = sorted(curves.items(), key=lambda item: item[1][area])
    for style, (label, curve) in zip(line_styles(NUM_NAMED), worst_first, strict=False):
        yield curve, {**style, "label": f"{label} {curve[area]:.4f}", "zorder": 3}
    others = worst_first[NUM_NAMED:]
    for number, (_, curve) in enumerate(others):
        label = f"{len(others)} others, {curve[area]:.4f} or more" if number == 0 else "_"
        yield curve, {"color": "0.7", "linewidth": 0.8, "label": label}


def _lowest_shown(areas: Iterable[float]) -> float:
    """Lower limit of an axis of rates: nearer to 1 where all areas are large."""
    return 0.6 if min(areas, default=0) > 0.95 else 0.0


def line_styles(num_lines: int) -> list[dict[str, Any]]:
    """Keyword arguments of lines that differ in colour and dashes, also for colour-blind readers; 18 differ."""
    colors = sns.color_palette("colorblind", 6)
    dashes = ("-", "--", ":")
    return [
        {"color": colors[index % 6], "linestyle": dashes[index // 6 % 3], "linewidth": 1.2}
        for index in range(num_lines)
    ]


def plot_intervals(accuracy_df: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot accuracy in percent as a dot and its 95 % interval as a bar, in a row for each label or speaker.

    Args:
        accuracy_df: from `intervals.label_intervals` or `intervals.speaker_accuracy`.
        ax: axes to draw on; None for the current ones.
    """
    ax = ax or plt.gca()
    percent_df = 100 * accuracy_df[["accuracy", "low", "high"]]
    rows = np.arange(len(percent_df))
    ax.hlines(rows, percent_df["low"], percent_df["high"], color="C0", linewidth=3, alpha=0.5)
    ax.plot(percent_df["accuracy"], rows, "o", color="C0")
    ax.set_yticks(rows, [f"{name} ({count})" for name, count in accuracy_df["num_clips"].items()])
    ax.invert_yaxis()
    ax.grid(axis="x", alpha=0.4)
    ax.set(xlabel="accuracy, %, and 95 % interval", ylabel=f"{accuracy_df.index.name} (clips)")
    return ax


#: Kind of condition -> label of its axis, and whether the axis is inverted.
_CONDITIONS = {
    "snr_db": ("speech over noise, dB (noisier to the right)", True),
    "reverberation_s": ("reverberation time, s", False),
    "shift_ms": ("shift, ms (later to the right)", False),
}


def plot_robustness(
    robustness_df: pd.DataFrame, kind: str, ax: Axes | None = None, reference: float | None = None
) -> Axes:
    """Plot accuracy over noise, reverberation or shift with its 95 % band; each noise recording as a thin line, too.

    Args:
        robustness_df: from `robustness.robustness`.
        kind: `snr_db`, `reverberation_s` or `shift_ms`.
        ax: axes to draw on; None for the current ones.
        reference: accuracy as recorded, in [0, 1]; a dotted line.
    """
    ax = ax or plt.gca()
    xlabel, is_inverted = _CONDITIONS[kind]
    kind_df = robustness_df[robustness_df["kind"] == kind]
    by_noise = kind_df[~kind_df["noise"].isin(["", "all"])].groupby("noise")
    for style, (noise, noise_df) in zip(line_styles(len(by_noise)), by_noise, strict=True):
        ax.plot(noise_df["value"], 100 * noise_df["accuracy"], label=noise, marker=".", **style)
    all_df = kind_df[kind_df["noise"].isin(["", "all"])]
    ax.plot(all_df["value"], 100 * all_df["accuracy"], "o-", color="black", linewidth=2, label="right answers")
    ax.fill_between(all_df["value"], 100 * all_df["low"], 100 * all_df["high"], color="black", alpha=0.15, linewidth=0)
    if reference is not None:
        ax.axhline(100 * reference, color="black", linestyle=":", label="as recorded")
    if is_inverted:
        ax.invert_xaxis()
    ax.grid(alpha=0.4)
    ax.set(xlabel=xlabel, ylabel="right answers, %", xticks=all_df["value"])
    ax.legend(fontsize="small")
    return ax


def plot_error_kinds(robustness_df: pd.DataFrame, kind: str, ax: Axes | None = None) -> Axes:
    """Plot the wrong predictions of commands by kind, in percent, over noise or shift.

    Args:
        robustness_df: from `robustness.robustness`.
        kind: `snr_db` or `shift_ms`.
        ax: axes to draw on; None for the current ones.
    """
    ax = ax or plt.gca()
    xlabel, is_inverted = _CONDITIONS[kind]
    all_df = robustness_df[(robustness_df["kind"] == kind) & robustness_df["noise"].isin(["", "all"])]
    parts = {"taken for another command": all_df["confused"], "taken for silence or unknown": all_df["missed"]}
    colors = [sns.color_palette("colorblind")[index] for index in (3, 0)]
    ax.stackplot(all_df["value"], *(100 * part for part in parts.values()), labels=list(parts), colors=colors)
    if is_inverted:
        ax.invert_xaxis()
    ax.margins(x=0)
    ax.grid(alpha=0.4)
    ax.set(xlabel=xlabel, ylabel="commands, %", xticks=all_df["value"])
    ax.legend(fontsize="small", loc="upper center")
    return ax


def plot_scores(
    scores: np.ndarray,
    labels: np.ndarray,
    ax: Axes | None = None,
    threshold: float | None = None,
    num_bins: int = 30,
) -> Axes:
    """Plot histograms of the scores of commands and of unknown words, each in percent of its clips.

    Args:
        scores: `(clips,)`, from `calibration.command_scores`.
        labels: `(clips,)`, true labels of the twelve; silence is left out.
        ax: axes to draw on; None for the current ones.
        threshold: score below which a clip is `unknown`; a dashed line.
        num_bins: bars of each histogram.
    """
    ax = ax or plt.gca()
    scores = np.asarray(scores)
    labels = np.asarray(labels)
    kinds = {"commands": ~np.isin(labels, (SILENCE, UNKNOWN)), "unknown words": labels == UNKNOWN}
    edges = np.linspace(scores.min(), scores.max(), num_bins + 1)
    for color, (name, rows) in zip(sns.color_palette("colorblind"), kinds.items(), strict=False):
        weights = np.full(rows.sum(), 100 / max(rows.sum(), 1))
        ax.hist(scores[rows], edges.tolist(), weights=weights, color=color, alpha=0.6, label=f"{rows.sum()} {name}")
    if threshold is not None:
        ax.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.3g}")
    ax.set(xlabel="score", ylabel="% of the clips")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), fontsize="small", frameon=False)
    return ax


def plot_oscr(curves: Curves, ax: Axes | None = None) -> Axes:
    """Plot open-set classification rates: correct accepted commands against accepted unknown words.

    Args:
        curves: name -> curve of `open_set.oscr`.
        ax: axes to draw on; None for the current ones.
    """
    ax = ax or plt.gca()
    for style, (name, curve) in zip(line_styles(len(curves)), curves.items(), strict=True):
        rates = np.maximum(curve["false_positive_rate"], 1e-4), curve["correct_rate"]
        ax.step(*rates, where="post", label=f"{name} {curve['area']:.4f}", **style)
    ax.set(xscale="log", xlim=(4e-3, 1), xlabel="unknown words accepted", ylabel="commands accepted and right")
    ax.legend(title="area under the curve", fontsize="small")
    return ax


def plot_det(curves: Curves, ax: Axes | None = None) -> Axes:
    """Plot detection error trade-off: lost commands against accepted unknown words, on normal deviates.

    Args:
        curves: name -> curve of `open_set.det`.
        ax: axes to draw on; None for the current ones.

    Source: A. Martin et al., The DET curve in assessment of detection task performance, Eurospeech 1997.
    """
    ax = ax or plt.gca()
    ticks = np.array([0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95])
    for style, (name, curve) in zip(line_styles(len(curves)), curves.items(), strict=True):
        false_positive, false_negative = (
            norm.ppf(np.clip(curve[rate], 1e-4, 1 - 1e-4)) for rate in ("false_positive_rate", "false_negative_rate")
        )
        ax.step(false_positive, false_negative, where="post", label=name, **style)
    limits = norm.ppf([0.003, 0.97])
    ax.set(xlim=limits, ylim=limits, xlabel="unknown words accepted, %", ylabel="commands lost, %")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(norm.ppf(ticks), [f"{100 * tick:g}" for tick in ticks])
    ax.legend(fontsize="small")
    return ax


def plot_reliability(bins: Mapping[str, pd.DataFrame], ax: Axes | None = None) -> Axes:
    """Plot accuracy over confidence; a calibrated model is on the diagonal. Larger dots have more clips.

    Args:
        bins: name -> frame of `calibration.reliability_bins`.
        ax: axes to draw on; None for the current ones.
    """
    ax = ax or plt.gca()
    ax.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    for style, (name, bins_df) in zip(line_styles(len(bins)), bins.items(), strict=True):
        ax.plot(bins_df["confidence"], bins_df["accuracy"], label=name, **style)
        sizes = 200 * bins_df["num_clips"] / bins_df["num_clips"].sum()
        ax.scatter(bins_df["confidence"], bins_df["accuracy"], 8 + sizes, color=style["color"])
    ax.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.03))
    ax.legend()
    return ax
