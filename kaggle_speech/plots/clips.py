"""Figures of clips: waveforms, features, counts, lengths, predictions, and players for them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kaggle_speech.audio import SAMPLE_RATE, read_clip
from kaggle_speech.features.filters import FeatureSpec, hz_to_mel, log_mel_levels
from kaggle_speech.labels import COMMANDS, COMPETITION_LABELS

#: Frequencies that are written at the axis of a log-mel spectrogram, in kHz.
_TICKS_KHZ = (0.5, 1, 2, 4, 8)
#: Spectrogram of `plot_answer`: whole frames.
_ANSWER_SPEC = FeatureSpec(centered=False)


def plot_waveform(waveform: np.ndarray, ax: Axes | None = None, title: str = "") -> Axes:
    """Plot the amplitude of a waveform over seconds.

    Shape: `(samples,)`.

    Args:
        waveform: float, 16 kHz.
        ax: axes to draw on; None for the current ones.
        title: of the axes.
    """
    ax = ax or plt.gca()
    ax.plot(np.arange(len(waveform)) / SAMPLE_RATE, waveform, linewidth=0.5)
    ax.set(title=title, xlabel="s", ylabel="amplitude", xlim=(0, len(waveform) / SAMPLE_RATE))
    return ax


def plot_features(
    features: np.ndarray,
    ax: Axes | None = None,
    title: str = "",
    duration_s: float = 1.0,
    *,
    kind: str = "log_mel",
    spec: FeatureSpec = FeatureSpec(),
    limits: tuple[float, float] | None = None,
    first_coefficient: int = 0,
) -> Axes:
    """Plot a log-mel spectrogram, spectrogram or MFCC as an image: time runs right, low frequencies are at the bottom.

    Shape: `(frames, coefficients)`.

    Args:
        features: float.
        ax: axes to draw on; None for the current ones.
        title: of the axes.
        duration_s: of all frames, in seconds.
        kind: `log_mel` or `spectrogram`, with an axis in kHz; or `mfcc`, with one of coefficients.
        spec: band edges and mel scale, for the kHz of a `log_mel`.
        limits: values of the darkest and of the brightest colour, for figures to compare; None spans the middle 98 %
            of the values, so that single large coefficients do not hide the others.
        first_coefficient: number of the first column of an `mfcc`: 1 where the loudness is left out.

    Raises:
        ValueError: an unknown `kind`.
    """
    labels = {"log_mel": "kHz", "spectrogram": "kHz", "mfcc": "coefficient"}
    if kind not in labels:
        raise ValueError(f"`kind` must be one of {list(labels)}. Received: {kind!r}")
    ax = ax or plt.gca()
    features = np.asarray(features)
    num_rows = features.shape[1]
    bottom, top = {
        "log_mel": (0, num_rows),
        "spectrogram": (0, SAMPLE_RATE / 2000),
        "mfcc": (first_coefficient - 0.5, first_coefficient + num_rows - 0.5),
    }[kind]
    low, high = limits or np.percentile(features, [1, 99])
    ax.imshow(
        features.T,
        extent=(0, duration_s, bottom, top),
        vmin=low,
        vmax=high,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap="magma",
    )
    ax.set(title=title, xlabel="s", ylabel=labels[kind])
    if kind == "log_mel":
        lower, upper = hz_to_mel([spec.lower_edge_hz, spec.upper_edge_hz], spec.mel_scale)
        ticks_khz = [khz for khz in _TICKS_KHZ if spec.lower_edge_hz <= 1000 * khz <= spec.upper_edge_hz]
        mels = hz_to_mel(1000 * np.array(ticks_khz), spec.mel_scale)
        # The filters' centres divide the range of mels into equal parts; a row is drawn around its centre.
        rows = (mels - lower) / (upper - lower) * (num_rows + 1) - 0.5
        ax.set_yticks(np.minimum(rows, num_rows), [f"{khz:g}" for khz in ticks_khz])
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


def plot_word_counts(clips_df: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot the number of clips of every word, commands and other words in two colours.

    Args:
        clips_df: frame with the column `word`, without the noise recordings.
        ax: axes to draw on; None for the current ones.
    """
    ax = ax or plt.gca()
    counts = clips_df["word"].value_counts()
    for color, (name, is_shown) in zip(
        sns.color_palette("colorblind"),
        (("commands", counts.index.isin(COMMANDS)), ("other words: unknown", ~counts.index.isin(COMMANDS))),
        strict=False,
    ):
        ax.bar(counts.index[is_shown], counts[is_shown], color=color, label=name)
    ax.tick_params(axis="x", rotation=90)
    ax.margins(x=0.01)
    ax.set(ylabel="clips")
    ax.legend()
    return ax


def plot_count_histogram(counts: npt.ArrayLike, ax: Axes | None = None, xlabel: str = "", ylabel: str = "") -> Axes:
    """Plot how often each whole number occurs, such as speakers over their clips.

    Shape: `(values,)`.

    Args:
        counts: whole numbers, >= 0.
        ax: axes to draw on; None for the current ones.
        xlabel: what the numbers count.
        ylabel: what has these numbers.
    """
    ax = ax or plt.gca()
    occurrences = np.bincount(np.asarray(counts, int))
    first = int(np.flatnonzero(occurrences)[0])
    ax.bar(np.arange(first, len(occurrences)), occurrences[first:], width=0.85)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return ax


def plot_shares(
    values: Mapping[str, npt.ArrayLike], ax: Axes | None = None, xlabel: str = "", num_bins: int = 40
) -> Axes:
    """Plot histograms of several groups as outlines, each in percent of its group.

    Args:
        values: name of a group -> numbers, NaN and infinite ones left out.
        ax: axes to draw on; None for the current ones.
        xlabel: what the numbers are.
        num_bins: bins between the smallest and the largest number of all groups.
    """
    ax = ax or plt.gca()
    groups = {name: np.asarray(numbers, float) for name, numbers in values.items()}
    groups = {name: numbers[np.isfinite(numbers)] for name, numbers in groups.items()}
    edges = np.histogram_bin_edges(np.concatenate(list(groups.values())), num_bins)
    for color, (name, numbers) in zip(sns.color_palette("colorblind"), groups.items(), strict=False):
        heights = 100 * np.histogram(numbers, edges)[0] / max(len(numbers), 1)
        ax.stairs(heights, edges, color=color, linewidth=1.8, label=name)
    ax.set(xlabel=xlabel, ylabel="%", ylim=(0, None))
    ax.legend(fontsize="small")
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


def plot_answer(
    waveform: np.ndarray, probabilities: Mapping[str, float], title: str = "", xlabel: str = "probability, %"
) -> Figure:
    """Plot a clip's waveform and log-mel spectrogram beside a bar for each label's probability.

    The figure is closed for pyplot: a notebook shows it where it is displayed, and not once more.

    Shape: `(samples,)`, at least a frame of 400.

    Args:
        waveform: float, 16 kHz.
        probabilities: label -> 0 to 1, such as `Answer.probabilities`.
        title: of the figure.
        xlabel: what the bars show.
    """
    figure = plt.figure(figsize=(10, 4), layout="constrained")
    plt.close(figure)
    figure.suptitle(title)
    axes = figure.subplot_mosaic([["waveform", "bars"], ["log-mel", "bars"]], width_ratios=(1.6, 1))
    plot_waveform(waveform, axes["waveform"])
    axes["waveform"].set(xlabel="", xticklabels=[], ylim=(-1, 1))
    levels = log_mel_levels(waveform, _ANSWER_SPEC)
    plot_features(levels, axes["log-mel"], duration_s=len(waveform) / SAMPLE_RATE, spec=_ANSWER_SPEC, limits=(0, 1))
    labels = list(probabilities)
    best = max(labels, key=probabilities.__getitem__)
    colors = [sns.color_palette("colorblind")[1 if label == best else 0] for label in labels]
    bars = axes["bars"].barh(labels, [100 * probabilities[label] for label in labels], color=colors)
    axes["bars"].bar_label(bars, fmt="%.0f", padding=3)
    axes["bars"].invert_yaxis()
    axes["bars"].set(xlabel=xlabel, xlim=(0, 110))
    return figure


def browse_clips(clips_df: pd.DataFrame, predict: Callable[[str], Any]) -> None:
    """Show two menus in a notebook, word and speaker: the clip's player, spectrogram and probabilities follow them.

    The first clip is shown as an ordinary picture, which stays in a saved notebook; without a kernel the menus do not.

    Args:
        clips_df: frame with the columns `path, word, speaker, utterance`.
        predict: path -> object with `label` and `probabilities` (label -> 0 to 1), such as `Recogniser.predict`.

    Raises:
        ImportError: ipywidgets is not installed.
    """
    import ipywidgets
    from IPython.display import Audio, display

    def takes(word: str) -> list[tuple[str, str]]:
        rows = clips_df[clips_df["word"] == word].sort_values(["speaker", "path"])
        return [(f"{row.speaker} ({row.utterance})", row.path) for row in rows.itertuples()]

    def parts(path: str) -> tuple[Any, Figure]:
        waveform = read_clip(path)
        answer = predict(path)
        figure = plot_answer(waveform, answer.probabilities, f"{words.value} -> {answer.label}")
        return Audio(waveform, rate=SAMPLE_RATE, normalize=False), figure

    def show(change: Mapping[str, Any]) -> None:
        for handle, part in zip(handles, parts(change["new"]), strict=True):
            handle.update(part)

    words = ipywidgets.Dropdown(options=sorted(clips_df["word"].unique()), description="word")
    speakers = ipywidgets.Dropdown(options=takes(words.value), description="speaker")
    display(ipywidgets.HBox([words, speakers]))
    handles = [display(part, display_id=True) for part in parts(speakers.value)]
    words.observe(lambda change: setattr(speakers, "options", takes(change["new"])), "value")
    speakers.observe(show, "value")


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
    for ax in axes.flat:
        ax.label_outer()
    return figure


def show_players(captions: Sequence[str], waveforms: Sequence[np.ndarray]) -> None:
    """Show a player for each clip, with its caption, in one output of a notebook.

    Shape: `(samples,)` each.

    Args:
        captions: plain text.
        waveforms: float in [-1, 1], 16 kHz.
    """
    import html

    from IPython.display import HTML, Audio, display

    players = (
        f"<div>{html.escape(caption)}<br>{Audio(waveform, rate=SAMPLE_RATE, normalize=False)._repr_html_()}</div>"
        for caption, waveform in zip(captions, waveforms, strict=True)
    )
    display(HTML(f'<div style="display: flex; flex-wrap: wrap; gap: 8px 24px">{"".join(players)}</div>'))


def show_worst(worst_df: pd.DataFrame) -> None:
    """Show a player for each clip that a model got most wrong, in a notebook.

    Args:
        worst_df: frame with the columns `path, word, answer, confidence`, from `metrics.worst_clips`.
    """
    captions = [f"{clip.word} -> {clip.answer} ({clip.confidence:.0%})" for clip in worst_df.itertuples()]
    show_players(captions, [read_clip(path) for path in worst_df["path"]])
