"""Figures of clips: waveforms, features, counts, lengths, and the worst predictions with players."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kaggle_speech.audio import SAMPLE_RATE, read_clip
from kaggle_speech.labels import COMPETITION_LABELS


def plot_waveform(waveform: np.ndarray, ax: Axes | None = None, title: str = "") -> Axes:
    """Plot a waveform over seconds.

    Shape: `(samples,)`.

    Args:
        waveform: float, 16 kHz.
        ax: axes to draw on; None for the current ones.
        title: of the axes.
    """
    ax = ax or plt.gca()
    ax.plot(np.arange(len(waveform)) / SAMPLE_RATE, waveform, linewidth=0.5)
    ax.set(title=title, xlabel="s", xlim=(0, len(waveform) / SAMPLE_RATE))
    return ax


def plot_features(features: np.ndarray, ax: Axes | None = None, title: str = "", duration_s: float = 1.0) -> Axes:
    """Plot a spectrogram, log-mel or MFCC as an image: time runs right, the first coefficient is at the bottom.

    Colours span the middle 98 % of the values: single large coefficients do not hide the others.

    Shape: `(frames, coefficients)`.

    Args:
        features: float.
        ax: axes to draw on; None for the current ones.
        title: of the axes.
        duration_s: of all frames, in seconds.
    """
    ax = ax or plt.gca()
    features = np.asarray(features)
    extent = (0, duration_s, 0, features.shape[1])
    low, high = np.percentile(features, [1, 99])
    ax.imshow(
        features.T,
        extent=extent,
        vmin=low,
        vmax=high,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap="magma",
    )
    ax.set(title=title, xlabel="s")
    return ax


def plot_label_counts(
    clips_df: pd.DataFrame, ax: Axes | None = None, vocabulary: Sequence[str] = COMPETITION_LABELS
) -> Axes:
    """Plot the number of clips of each label, in a colour for each split.

    Args:
        clips_df: from `clips.read_clips_table`.
        ax: axes to draw on; None for the current ones.
        vocabulary: order of the labels.
    """
    ax = ax or plt.gca()
    spoken_df = clips_df[clips_df["split"] != "noise"]
    counts_df = spoken_df.groupby(["label", "split"]).size().unstack(fill_value=0)
    counts_df = counts_df.reindex([label for label in vocabulary if label in counts_df.index])
    counts_df = counts_df[[split for split in ("train", "tune", "val", "test") if split in counts_df]]
    counts_df.plot.barh(stacked=True, ax=ax, width=0.8, color=sns.color_palette("colorblind"))
    ax.invert_yaxis()
    ax.set(xlabel="clips", ylabel="")
    return ax


def plot_lengths(clips_df: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot a histogram of the lengths of clips, counts on a logarithmic scale.

    Args:
        clips_df: frame with the column `num_samples`.
        ax: axes to draw on; None for the current ones.
    """
    ax = ax or plt.gca()
    ax.hist(clips_df["num_samples"] / SAMPLE_RATE, bins=50, log=True)
    ax.set(xlabel="length, s", ylabel="clips")
    return ax


def plot_worst(worst_df: pd.DataFrame, features: Sequence[np.ndarray]) -> Figure:
    """Plot the features of the clips that a model got most wrong, titled "said -> predicted (confidence)".

    Args:
        worst_df: frame with the columns `word, answer, confidence`, from `metrics.worst_clips`.
        features: `(frames, coefficients)` of each row.
    """
    num_rows = max(1, -(-len(worst_df) // 5))
    figure, axes = plt.subplots(num_rows, 5, figsize=(15, 2.5 * num_rows), layout="constrained", squeeze=False)
    for ax in axes.flat[len(worst_df) :]:
        ax.set_axis_off()
    for ax, clip, clip_features in zip(axes.flat, worst_df.itertuples(), features, strict=False):
        plot_features(clip_features, ax, f"{clip.word} -> {clip.answer} ({clip.confidence:.0%})")
    return figure


def show_worst(worst_df: pd.DataFrame) -> None:
    """Show a player for each clip that a model got most wrong, in a notebook.

    Args:
        worst_df: frame with the columns `path, word, label, answer, confidence`, from `metrics.worst_clips`.
    """
    from IPython.display import Audio, Markdown, display

    for clip in worst_df.itertuples():
        text = f"**{clip.label}** ({clip.word}), predicted *{clip.answer}* with {clip.confidence:.0%}"
        display(Markdown(text), Audio(read_clip(str(clip.path)), rate=SAMPLE_RATE, normalize=False))
