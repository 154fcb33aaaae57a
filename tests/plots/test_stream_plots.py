"""transcript_plots.py: what is heard is drawn where and when it is heard."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from kaggle_speech.plots import streams, training
from kaggle_speech.text.alphabet import ALPHABET, BLANK_INDEX


def log_probabilities(*frames):
    """Of frames `{character: probability}`, "" being the blank; the others share what is left. Shape: `(frames, 29)`"""
    rows = []
    for frame in frames:
        rest = (1 - sum(frame.values())) / (len(ALPHABET) - len(frame))
        rows.append([frame.get(character, rest) for character in ALPHABET])
    return np.log(rows)


def labels(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def test_error_rates_are_in_percent_over_epochs_from_one(ax):
    history_df = pd.DataFrame({"epoch": [0, 1, 2], "train_cer": [0.9, 0.5, 0.1], "val_cer": [0.95, 0.6, 0.4]})
    assert training.plot_error_rates(history_df, ax) is ax
    lines = {line.get_label(): line.get_data() for line in ax.lines}
    np.testing.assert_allclose(lines["training speakers"], [[1, 2, 3], [90, 50, 10]])
    np.testing.assert_allclose(lines["held-out speakers"], [[1, 2, 3], [95, 60, 40]])
    assert ax.get_ylim()[0] == 0 and len(ax.get_legend().get_texts()) == 2


def test_a_row_for_each_character_that_is_heard(ax):
    frames = log_probabilities({"": 0.9}, {"o": 0.8, "": 0.1}, {" ": 0.06, "'": 0.04, "": 0.8}, {"a": 0.5, "o": 0.4})
    assert streams.plot_posteriors(frames, 0.08, ax) is ax
    assert labels(ax) == ["blank", "space", "a", "o"]
    indices = [ALPHABET.index(character) for character in ("", " ", "a", "o")]
    np.testing.assert_allclose(ax.images[0].get_array(), np.exp(frames)[:, indices].T)
    np.testing.assert_array_equal(ax.get_yticks(), [0.5, 1.5, 2.5, 3.5])  # the middle of a row
    assert ax.images[0].get_extent() == [0, 0.08, 4, 0] and ax.get_xlabel() == "s"
    assert ax.images[0].get_clim() == (0, 1)
    assert list(ax.lines[0].get_ydata()) == [1, 1]  # below the blank


def test_how_probable_a_row_must_be_is_an_argument(ax):
    frames = log_probabilities({"": 0.9, "'": 0.04})
    streams.plot_posteriors(frames, 0.02, ax, min_probability=0.03)
    assert labels(ax) == ["blank", "'"]


@pytest.mark.parametrize(
    "frames", [log_probabilities({"": 0.99}, {"": 1 - 1e-9}), log_probabilities({}, {}), np.zeros((0, len(ALPHABET)))]
)
def test_the_blank_has_a_row_where_nothing_is_heard(ax, frames):
    streams.plot_posteriors(frames, 0.04, ax)
    assert labels(ax) == ["blank"] and ax.images[0].get_extent() == [0, 0.04, 1, 0]
    np.testing.assert_allclose(ax.images[0].get_array(), np.exp(frames)[:, [BLANK_INDEX]].T)


def test_characters_are_where_they_are_said(ax):
    times_s = [0.1, 0.25, 0.5]
    assert streams.plot_characters("a b", times_s, ax) is ax
    assert [text.get_text() for text in ax.texts] == ["a", "\N{OPEN BOX}", "b"]
    assert [text.get_position()[0] for text in ax.texts] == times_s
    assert all(text.get_position()[1] > 1 for text in ax.texts)  # above the axes, whatever their limits are
    assert [list(line.get_xdata()) for line in ax.lines] == [[time_s, time_s] for time_s in times_s]
    assert [list(line.get_ydata()) for line in ax.lines] == [[0, 1]] * 3


def test_no_characters_draw_nothing(ax):
    streams.plot_characters("", [], ax)
    assert not ax.texts and not ax.lines


@pytest.mark.parametrize(("text", "times_s"), [("ab", [0.1]), ("a", [0.1, 0.2])])
def test_each_character_needs_a_time(ax, text, times_s):
    with pytest.raises(ValueError, match="argument 2"):
        streams.plot_characters(text, times_s, ax)


def test_the_current_axes_are_drawn_on_where_none_are_given(ax):
    plt.sca(ax)
    assert streams.plot_posteriors(log_probabilities({"": 0.9}), 0.02) is ax
    assert streams.plot_characters("a", [0.01]) is ax
