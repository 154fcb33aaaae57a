"""Figures of clips: waveforms, features, counts, lengths."""

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
