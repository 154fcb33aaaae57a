"""Figures of streams: detections, threshold curve, posteriors and characters."""

from collections.abc import Sequence
from typing import Any, Protocol

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from kaggle_speech.text.alphabet import ALPHABET, BLANK_INDEX

#: Names of the characters that cannot be seen.
_SHOWN = {"": "blank", " ": "space"}
_IMAGE_OPTIONS: dict[str, Any] = {"aspect": "auto", "interpolation": "nearest", "cmap": "viridis", "vmin": 0, "vmax": 1}


class LabelAtTime(Protocol):
    """A label at a time of a stream, such as `streaming.words.Detection`."""

    label: str
    time_s: float


def plot_posteriors(
    log_probabilities: np.ndarray, duration_s: float, ax: Axes | None = None, min_probability: float = 0.05
) -> Axes:
    """Plot the probability of each character in each frame: a row for each, that of the blank on top.

    Shape: `(frames, len(ALPHABET))`, natural log.

    Args:
        log_probabilities: of each output of the alphabet in each frame.
        duration_s: of all frames, in seconds.
        ax: axes to draw on; None for the current ones.
        min_probability: characters that stay below it in all frames are left out, 0 to 1.
    """
    ax = ax or plt.gca()
    probabilities = np.exp(log_probabilities)
    is_shown = probabilities.max(axis=0, initial=0) >= min_probability
    is_shown[BLANK_INDEX] = True
    rows = np.flatnonzero(is_shown)
    ax.imshow(probabilities[:, rows].T, extent=(0, duration_s, len(rows), 0), **_IMAGE_OPTIONS)
    ax.axhline(1, color="white", linewidth=0.5)
    labels = [_SHOWN.get(ALPHABET[index], ALPHABET[index]) for index in rows]
    ax.set(yticks=np.arange(len(rows)) + 0.5, yticklabels=labels, xlabel="s")
    return ax


def plot_characters(text: str, times_s: Sequence[float] | np.ndarray, ax: Axes | None = None) -> Axes:
    """Plot characters above a figure over time, each at its time, with a vertical line.

    Args:
        text: the characters.
        times_s: `(len(text),)`, seconds.
        ax: axes to draw on; None for the current ones.
    """
    ax = ax or plt.gca()
    for character, time_s in zip(text, times_s, strict=True):
        ax.axvline(time_s, color="white", linewidth=0.4, alpha=0.6)
        shown = "\N{OPEN BOX}" if character == " " else character
        ax.text(time_s, 1.02, shown, ha="center", transform=ax.get_xaxis_transform())
    return ax


def plot_stream_curve(
    curve_df: pd.DataFrame,
    ax: Axes | None = None,
    *,
    min_hit_rate: float | None = None,
    max_alarms_per_hour: float | None = None,
) -> Axes:
    """Plot hit rate against false alarms per hour, over thresholds, with a dot at the default threshold.

    No alarms are drawn as half an alarm in the time that was counted.

    Args:
        curve_df: from `streaming.scores`.
        ax: axes to draw on; None for the current ones.
        min_hit_rate: limit, 0 to 1, such as that of MLPerf Tiny; a dashed line.
        max_alarms_per_hour: limit; a dashed line.
    """
    ax = ax or plt.gca()
    colors = sns.color_palette("colorblind")
    kinds = {
        "unknown_alarms_per_hour": ("other words", "-", "hours"),
        "noise_alarms_per_hour": ("noise", ":", "noise_hours"),
    }
    for color, (snr_db, ratio_df) in zip(colors, curve_df.groupby("snr_db", sort=False), strict=False):
        for column, (name, style, hours) in kinds.items():
            alarms = ratio_df[column].clip(lower=0.5 / ratio_df[hours])
            hit_rate = 100 * ratio_df["hit_rate"]
            ax.plot(alarms, hit_rate, style, color=color, label=f"{snr_db:g} dB, alarms from {name}")
            is_default = ratio_df["is_default"]
            ax.plot(alarms[is_default], hit_rate[is_default], "o", color=color)
    if min_hit_rate is not None:
        ax.axhline(100 * min_hit_rate, color="gray", linewidth=0.8, linestyle="--")
    if max_alarms_per_hour is not None:
        ax.axvline(max_alarms_per_hour, color="gray", linewidth=0.8, linestyle="--", label="limits of MLPerf Tiny")
    ax.set(xscale="log", xlabel="false alarms per hour", ylabel="commands that are detected, %", ylim=(40, 100))
    ax.legend(fontsize="small", loc="lower right")
    return ax


def plot_running_speech(curve_df: pd.DataFrame, ax: Axes | None = None, name: str = "", **style: Any) -> Axes:
    """Plot commands found against false alarms per hour of running speech, with the 95 % interval of the alarms.

    A dot marks the default threshold. Of the thresholds without an alarm the one that finds most is drawn, at half an
    alarm in the time that was counted.

    Args:
        curve_df: from `evaluation.running_speech`.
        ax: axes to draw on; None for the current ones.
        name: of the model, for the legend.
        style: of the line, such as `color`.
    """
    ax = ax or plt.gca()
    is_quiet = curve_df["alarms_per_hour"] == 0
    best_quiet = curve_df["found_rate"].where(is_quiet, -1).idxmax()
    curve_df = curve_df[~is_quiet | (curve_df.index == best_quiet)]
    half_alarm = 0.5 / curve_df["alarm_hours"]
    alarms, low, high = (curve_df[f"alarms_{end}"].clip(lower=half_alarm) for end in ("per_hour", "low", "high"))
    found = 100 * curve_df["found_rate"]
    (line,) = ax.plot(alarms, found, label=name or None, **style)
    ax.margins(y=0.1)
    ax.fill_betweenx(found, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    is_default = curve_df["is_default"]
    ax.plot(alarms[is_default], found[is_default], "o", color=line.get_color())
    ax.set(
        xscale="log", xlabel="false alarms per hour of speech", ylabel="commands that are found, %", ylim=(None, 100)
    )
    ax.xaxis.set_major_formatter("{x:g}")
    if is_quiet.any():
        ax.annotate(
            "no alarm",
            (half_alarm.iloc[0], 100 * curve_df["found_rate"][best_quiet]),
            (-6, 0),
            textcoords="offset points",
            color=line.get_color(),
            ha="right",
            va="center",
        )
        ax.margins(x=0.15)
    if name:
        ax.legend(fontsize="small", loc="lower right")
    return ax


def plot_detections(
    probabilities: np.ndarray,
    vocabulary: Sequence[str],
    detections: Sequence[LabelAtTime],
    duration_s: float,
    ax: Axes | None = None,
) -> Axes:
    """Plot probabilities over time, a row for each label, with a triangle at each detection.

    Shape: `(hops, len(vocabulary))`.

    Args:
        probabilities: of each label at each hop.
        vocabulary: labels, in the order of the probabilities.
        detections: labels and their times.
        duration_s: of all hops, in seconds.
        ax: axes to draw on; None for the current ones.
    """
    ax = ax or plt.gca()
    rows = {label: number + 0.5 for number, label in enumerate(vocabulary)}
    ax.imshow(np.asarray(probabilities).T, extent=(0, duration_s, len(rows), 0), **_IMAGE_OPTIONS)
    times_s = [detection.time_s for detection in detections]
    heights = [rows[detection.label] for detection in detections]
    ax.plot(times_s, heights, "<", color="white", markeredgecolor="black", markersize=9, linestyle="")
    ax.set(yticks=list(rows.values()), yticklabels=list(rows), xlabel="s", xlim=(0, duration_s))
    return ax
