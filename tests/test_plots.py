"""plots.py: every function draws what it is given on the axes it is given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from kaggle_speech import evaluation, open_set, plots


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    figure.canvas.draw()
    plt.close(figure)


def test_waveform_is_drawn_over_seconds(ax, speech):
    assert plots.plot_waveform(speech[0], ax, "yes") is ax
    seconds, values = ax.lines[0].get_data()
    np.testing.assert_array_equal(values, speech[0])
    assert seconds[-1] == pytest.approx(15_999 / 16_000) and ax.get_title() == "yes"


def test_features_are_drawn_with_time_to_the_right(ax, rng):
    features = rng.random((98, 40))
    plots.plot_features(features, ax)
    np.testing.assert_array_equal(ax.images[0].get_array(), features.T)
    assert ax.images[0].origin == "lower"


def test_label_counts_are_bars_of_the_counts(ax):
    clips_df = pd.DataFrame({"label": ["yes"] * 3 + ["no"] * 2, "split": ["train", "train", "val", "train", "val"]})
    plots.plot_label_counts(clips_df, ax)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["yes", "no"]
    assert [bar.get_width() for bar in ax.patches] == [2, 1, 1, 1]  # train, then val


def test_lengths_in_seconds(ax):
    plots.plot_lengths(pd.DataFrame({"num_samples": [8_000, 16_000, 16_000]}), ax)
    heights = np.array([bar.get_height() for bar in ax.patches])
    assert heights.sum() == 3 and heights[-1] == 2


def test_history_marks_the_chosen_epoch(ax):
    history_df = pd.DataFrame(
        {"epoch": [0, 1, 2], "accuracy": [0.1, 0.5, 0.6], "val_accuracy": [0.2, 0.6, 0.5], "val_loss": [3.0, 1.0, 2.0]}
    )
    plots.plot_history(history_df, ax)
    (x,), (y,) = ax.lines[2].get_data()
    assert (x, y) == (2, 0.6)
    assert "chosen: epoch 2" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_roc_names_each_label_with_its_area(ax, rng):
    curves = evaluation.one_vs_rest_roc(rng.choice(["yes", "no"], 40), rng.dirichlet(np.ones(12), 40))
    plots.plot_roc(curves, ax)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert sorted(texts) == sorted(f"{label} {curve['auc']:.4f}" for label, curve in curves.items())
    assert len(ax.lines) == 2 and ax.get_xscale() == "log"


def test_confusion_is_in_percent_of_the_row(ax):
    counts_df = pd.DataFrame([[3, 1], [0, 0]], index=["yes", "no"], columns=["yes", "no"])
    plots.plot_confusion(counts_df, ax)
    assert [text.get_text() for text in ax.texts] == ["75", "25", "", ""]


def test_scores_are_in_percent_of_each_kind(ax):
    labels = np.array(["yes", "no", "go", "go", "unknown", "unknown", "silence"])
    plots.plot_scores([0.9, 0.8, 0.9, 0.1, 0.1, 0.2, 0.5], labels, ax, threshold=0.3, num_bins=2)
    assert [bar.get_height() for bar in ax.patches] == [25, 75, 100, 0]
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["4 commands", "2 unknown words", "threshold 0.3"]
    assert list(ax.lines[0].get_xdata()) == [0.3, 0.3]


def test_open_set_curves_are_those_that_are_given(ax, rng):
    labels = np.repeat(["yes", "unknown"], 50)
    curves = open_set.open_set_curves(rng.random(100) + (labels == "yes"), labels, np.full(100, "yes"))
    plots.plot_oscr({"a": curves["oscr"], "b": curves["oscr"]}, ax)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == [f"{name} {curves['oscr']['area']:.4f}" for name in "ab"]
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), curves["oscr"]["correct_rate"])
    assert ax.lines[0].get_color() != ax.lines[1].get_color()
    ax.clear()
    plots.plot_det({"a": curves["det"]}, ax)
    for drawn, rate in zip(ax.lines[0].get_data(), ("false_positive_rate", "false_negative_rate"), strict=True):
        np.testing.assert_allclose(norm.cdf(drawn), np.clip(curves["det"][rate], 1e-4, 1 - 1e-4))
    ticks = dict(zip(ax.get_xticks(), [text.get_text() for text in ax.get_xticklabels()], strict=True))
    assert ticks[norm.ppf(0.2)] == "20"


def test_reliability_has_a_dot_for_each_bin(ax):
    bins_df = pd.DataFrame({"confidence": [0.3, 0.9], "accuracy": [0.2, 1.0], "num_clips": [10, 90]})
    plots.plot_reliability({"a": bins_df}, ax)
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), [[0.3, 0.2], [0.9, 1.0]])
    few, many = ax.collections[0].get_sizes()
    assert many > few
