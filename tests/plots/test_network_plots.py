"""networks.py: the figures of networks show what they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from kaggle_speech.evaluation.occlusion import occlusion_map
from kaggle_speech.plots import networks, training

BLOCKS_DF = pd.DataFrame(
    [
        ("waveform", "", "input", 1, "16000", 0),
        ("residual block", "Conv1D 9, 24 filters; Conv1D 1, 24 filters", "branches", 3, "51 x 24", 300),
        ("Dense 12, softmax", "", "dense", 1, "12", 100),
    ],
    columns=["block", "details", "kind", "repeats", "shape", "parameters"],
)


def test_a_network_is_a_column_of_boxes(ax):
    networks.plot_network(BLOCKS_DF, ax, "mine")
    boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    bottoms = [box.get_y() for box in boxes]
    assert len(boxes) == 3 and bottoms == sorted(bottoms, reverse=True)
    assert len(arrows) == 3  # two between boxes, one around the residual block
    texts = [text.get_text() for text in ax.texts]
    assert {"waveform", "3 x  residual block", "51 x 24", "300", "100"} <= {*texts} and "0" not in texts
    assert ax.get_title() == "mine: 400 parameters"
    bars = [bar.get_width() for container in ax.containers for bar in container]
    assert bars[0] == pytest.approx(3 * bars[1])


def test_without_axes_a_network_gets_its_own():
    ax = networks.plot_network(BLOCKS_DF)
    assert ax.get_title() == "400 parameters"
    plt.close(ax.figure)


def test_each_filter_is_a_picture_around_grey(rng):
    kernels = rng.standard_normal((5, 5, 3, 18))
    figure = networks.plot_filters(kernels)
    pictures = [ax.images[0].get_array() for ax in figure.axes if ax.images]
    assert len(pictures) == 18
    np.testing.assert_allclose(pictures[4], 0.5 + 0.5 * kernels[..., 4] / np.abs(kernels[..., 4]).max())
    plt.close(figure)


def test_red_is_where_hiding_hurts(ax, rng):
    drop = np.array([[0.0, 0.6], [-0.1, 0.3]])
    networks.plot_occlusion(rng.random((8, 8, 3)), drop, ax, "yes")
    _, red = ax.images
    np.testing.assert_allclose(red.get_alpha(), 0.75 * np.array([[0, 0.6], [0, 0.3]]))
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ("yes (-60 points)", "s", "kHz")
    assert ax.get_xlim() == (0, 1) and ax.get_ylim() == (0, 8)


def test_red_lies_at_the_centres_of_the_hidden_squares(ax):
    """A model that sees one pixel: the squares that hide it are drawn around it."""
    picture = np.zeros((40, 40))
    row, column = 10, 28
    drop = occlusion_map(lambda batch: 1 - batch[:, row, column, None], picture, 0, patch_fraction=0.15, fill=1.0)
    networks.plot_occlusion(picture, drop, ax, duration_s=2.0)
    red = ax.images[1]
    left, right, bottom, top = red.get_extent()
    rows, columns = np.indices(drop.shape) + 0.5
    weights = np.asarray(red.get_alpha()) / np.sum(red.get_alpha())
    seconds = left + (right - left) * np.sum(weights * columns) / drop.shape[1]
    khz = top - (top - bottom) * np.sum(weights * rows) / drop.shape[0]
    assert seconds == pytest.approx(2.0 * (column + 0.5) / 40, abs=2.0 * 0.02)
    assert khz == pytest.approx(8 * (1 - (row + 0.5) / 40), abs=8 * 0.02)


def test_gates_of_both_directions_and_their_means(rng):
    gates = {"forward": rng.random((10, 4)), "backward": rng.random((10, 4))}
    figure, axes = plt.subplots(3)
    networks.plot_update_gates(gates, axes, duration_s=2.0)
    for ax, share in zip(axes, gates.values(), strict=False):
        shown = np.asarray(ax.images[0].get_array())
        assert sorted(map(tuple, shown)) == sorted(map(tuple, share.T))
        peaks = shown.argmax(axis=1)
        assert list(peaks) == sorted(peaks)
    for line, share in zip(axes[2].lines, gates.values(), strict=True):
        np.testing.assert_allclose(line.get_ydata(), 100 * share.mean(axis=1))
    assert axes[2].lines[0].get_xdata()[0] == pytest.approx(0.1)
    plt.close(figure)


def test_accuracy_over_size_has_intervals(ax):
    results_df = pd.DataFrame({"parameters": [1_000, 10_000], "accuracy": [0.9, 0.95]}, index=["small", "large"])
    training.plot_accuracy_over_size(results_df, 100, ax)
    assert [text.get_text() for text in ax.texts] == ["small", "large"] and ax.get_xscale() == "log"
    (((_, low), (_, high)),) = ax.collections[0].get_segments()
    assert low < 90 < high and (low, high) == pytest.approx((82.6, 94.5), abs=0.1)  # Wilson's interval of 90 of 100
