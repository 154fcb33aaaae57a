"""Figures of networks: block diagrams, filters, and where in its input a network looks."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from kaggle_speech.audio import SAMPLE_RATE

#: Kind of a block -> its colour, a number of seaborn's "pastel" palette.
_COLORS = {
    **{"input": 7, "features": 8, "convolution": 0, "branches": 9, "recurrent": 2},
    **{"pooling": 7, "dense": 1, "model": 4, "other": 7},
}
#: Characters that fit into a box.
_LINE_LENGTH = 95


def plot_network(blocks_df: pd.DataFrame, ax: Axes | None = None, title: str = "") -> Axes:
    """Plot a network as a column of boxes: a box for each block, the shape of its output, a bar for its parameters.

    An arrow around a box is the shortcut of a residual block.

    Args:
        blocks_df: from `models.block_table`.
        ax: axes to draw on, 8 inches wide or more; None for new ones that are as high as the network needs.
        title: of the axes; the number of all parameters is added.
    """
    blocks = list(blocks_df.itertuples())
    texts = [textwrap.wrap(block.details, _LINE_LENGTH) for block in blocks]
    heights = [0.62 + 0.3 * len(lines) for lines in texts]
    tops = -np.cumsum([0.0, *(height + 0.35 for height in heights[:-1])])
    if ax is None:
        _, ax = plt.subplots(figsize=(10, 0.42 * (heights[-1] - tops[-1]) + 0.8), layout="constrained")
    palette = sns.color_palette("pastel")
    most = max(1, max(block.parameters for block in blocks))
    for block, lines, top, height in zip(blocks, texts, tops, heights, strict=True):
        box = FancyBboxPatch(
            (0.4, top - height), 6.4, height, "round,pad=0,rounding_size=0.12", facecolor=palette[_COLORS[block.kind]]
        )
        ax.add_patch(box).set(edgecolor="grey", linewidth=0.8)
        name = block.block if block.repeats == 1 else f"{block.repeats} x  {block.block}"
        ax.text(0.55, top - 0.34, name, va="center", fontsize=9, fontweight="bold")
        ax.text(0.55, top - 0.56, "\n".join(lines), va="top", fontsize=7.5, color="0.3", linespacing=1.15)
        ax.text(7.95, top - height / 2, block.shape, ha="right", va="center", fontsize=8.5)
        if block.parameters:
            ax.barh(top - height / 2, 1.2 * block.parameters / most, 0.4, left=8.2, color="C0")
            ax.text(
                8.25 + 1.2 * block.parameters / most,
                top - height / 2,
                f"{block.parameters:,}",
                va="center",
                fontsize=8.5,
            )
        if block is not blocks[-1]:
            _add_arrow(ax, (3.6, top - height), (3.6, top - height - 0.35))
        if block.block == "residual block":
            _add_arrow(ax, (0.4, top - 0.05), (0.4, top - height + 0.05), connectionstyle="bar,fraction=0.18")
    ax.set(xlim=(0, 10.4), ylim=(tops[-1] - heights[-1] - 0.1, 0.75))
    ax.set_axis_off()
    ax.text(7.95, 0.3, "output", ha="right", fontsize=8.5, color="0.3")
    ax.text(8.2, 0.3, "parameters", fontsize=8.5, color="0.3")
    ax.set_title(f"{title + ': ' if title else ''}{blocks_df['parameters'].sum():,} parameters", fontsize=11)
    return ax


def _add_arrow(ax, start, end, connectionstyle="arc3"):
    """Add an arrow from a point to another."""
    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=8,
            shrinkA=0,
            shrinkB=0,
            color="0.4",
            connectionstyle=connectionstyle,
        )
    )


def plot_filters(kernels: np.ndarray, num_columns: int = 16) -> Figure:
    """Plot the filters of a first convolution as pictures, each scaled to its largest value: grey is zero.

    Shape: `(height, width, channels, filters)`, channels 1 or 3.

    Args:
        kernels: weights of a 2-D convolution.
        num_columns: pictures in a row.
    """
    num_filters = kernels.shape[-1]
    num_rows = -(-num_filters // num_columns)
    size = (0.8 * num_columns, 0.85 * num_rows)
    figure, axes = plt.subplots(num_rows, num_columns, figsize=size, layout="constrained", squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, kernel in zip(axes.flat, np.moveaxis(kernels, -1, 0), strict=False):
        picture = 0.5 + 0.5 * kernel / max(np.abs(kernel).max(), 1e-12)
        ax.imshow(picture if kernel.shape[-1] == 3 else picture[..., 0], cmap="gray", vmin=0, vmax=1)
    return figure


def plot_occlusion(
    picture: np.ndarray,
    drop: np.ndarray,
    ax: Axes | None = None,
    title: str = "",
    *,
    patch_fraction: float = 0.15,
    duration_s: float = 1.0,
) -> Axes:
    """Plot a spectrogram picture in grey, and in red where hiding a square lowers the probability of its label.

    Red lies at the centre of the square. It is as strong as the drop, in every picture: strongest at 100 points.

    Shape: `(height, width, 3)` or `(height, width)`, `(rows, columns)`.

    Args:
        picture: in [0, 1], from 8 kHz in the first row to 0, as of `ops.spectrogram_image`.
        drop: from `evaluation.occlusion_map`.
        ax: axes to draw on; None for the current ones.
        title: of the axes; the largest drop is added, in points.
        patch_fraction: as in `evaluation.occlusion_map`.
        duration_s: of the picture, in seconds.
    """
    ax = ax or plt.gca()
    highest_khz = SAMPLE_RATE / 2000
    extent = (0.0, duration_s, 0.0, highest_khz)
    ax.imshow(picture.mean(axis=-1) if picture.ndim == 3 else picture, cmap="gray", extent=extent, aspect="auto")
    # A drop is drawn around the centre of its square, as wide as the centres are apart: these fractions stay free.
    below, beside = ((patch_fraction - (1 - patch_fraction) / max(1, size - 1)) / 2 for size in drop.shape)
    ax.imshow(
        np.ones_like(drop),
        cmap="autumn_r",
        vmin=0,
        vmax=1,
        alpha=0.75 * np.clip(drop, 0, 1),
        extent=(beside * duration_s, (1 - beside) * duration_s, below * highest_khz, (1 - below) * highest_khz),
        aspect="auto",
        interpolation="bilinear",
    )
    points = -round(100 * max(drop.max(), 0))
    ax.set(title=f"{title} ({points} points)", xlabel="s", ylabel="kHz", xlim=extent[:2], ylim=extent[2:])
    return ax


def plot_update_gates(gates: dict[str, np.ndarray], axes: list[Axes] | np.ndarray, duration_s: float = 1.0) -> None:
    """Plot the share of its state that each unit of a GRU replaces, over time: a picture a direction, then their means.

    Units are in the order of the time at which they replace most.

    Args:
        gates: name of a direction -> `(steps, units)` in [0, 1], from `models.update_gates`.
        axes: one for each direction, and one for the means.
        duration_s: of all steps, in seconds.
    """
    *picture_axes, mean_ax = axes
    colors = sns.color_palette("colorblind")
    for ax, color, (name, share) in zip(picture_axes, colors, gates.items(), strict=False):
        order = np.argsort(share.argmax(axis=0), kind="stable")
        ax.imshow(
            share[:, order].T,
            extent=(0, duration_s, 0, share.shape[1]),
            vmin=0,
            vmax=1,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            cmap="Greys",
        )
        ax.set(title=name, xlabel="s", ylabel="unit")
        times_s = (np.arange(len(share)) + 0.5) * duration_s / len(share)
        mean_ax.plot(times_s, 100 * share.mean(axis=1), color=color, label=name)
    mean_ax.set(xlim=(0, duration_s), ylim=(0, None), xlabel="s", ylabel="state replaced, %")
    mean_ax.legend(fontsize="small")
