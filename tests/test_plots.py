"""plots.py: every function draws what it is given on the axes it is given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from kaggle_speech import evaluation, plots
from kaggle_speech.streaming import Detection


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


def test_detections_are_marked_at_their_time_in_their_row(ax, rng):
    probabilities = rng.random((40, 3))
    plots.plot_detections(probabilities, ("yes", "no", "up"), [Detection(1.5, "no", 0.9)], 4.0, ax)
    np.testing.assert_array_equal(ax.images[0].get_array(), probabilities.T)
    assert ax.images[0].get_extent() == [0, 4.0, 3, 0] and ax.get_xlim() == (0, 4)
    (x,), (y,) = ax.lines[0].get_data()
    assert (x, ax.get_yticklabels()[int(y)].get_text()) == (1.5, "no")
