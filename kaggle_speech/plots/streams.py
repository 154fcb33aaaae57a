"""Figures of streams: detections, threshold curve, posteriors and characters."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from kaggle_speech.text.alphabet import ALPHABET, BLANK_INDEX

#: What stands for the characters that cannot be seen.
_SHOWN = {"": "blank", " ": "space"}


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
