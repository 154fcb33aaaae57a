"""plots.py: every function draws what it is given on the axes it is given."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from kaggle_speech import audio
from kaggle_speech.evaluation import metrics, open_set
from kaggle_speech.features.filters import FeatureSpec, mel_matrix
from kaggle_speech.labels import COMMANDS
from kaggle_speech.plots import clips, scores, streams, training
from kaggle_speech.streaming.words import Detection


def test_waveform_is_drawn_over_seconds(ax, speech):
    assert clips.plot_waveform(speech[0], ax, "yes") is ax
    seconds, values = ax.lines[0].get_data()
    np.testing.assert_array_equal(values, speech[0])
    assert seconds[-1] == pytest.approx(15_999 / 16_000) and ax.get_title() == "yes"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("s", "amplitude")


def test_features_are_drawn_with_time_to_the_right(ax, rng):
    features = rng.random((98, 40))
    clips.plot_features(features, ax)
    np.testing.assert_array_equal(ax.images[0].get_array(), features.T)
    assert ax.images[0].origin == "lower"


@pytest.mark.parametrize("khz", [0.5, 1, 2, 4])
@pytest.mark.parametrize("spec", [FeatureSpec(), FeatureSpec(num_mel_bins=64, mel_scale="htk", lower_edge_hz=300)])
def test_a_tone_is_drawn_at_its_frequency(ax, khz, spec):
    tone = np.hanning(400) * np.sin(2 * np.pi * khz / 16 * np.arange(400))
    mel = np.square(np.abs(np.fft.rfft(tone, spec.fft_length))) @ mel_matrix(spec)
    clips.plot_features(np.log(mel)[None], ax, spec=spec)
    ticks = dict(zip([text.get_text() for text in ax.get_yticklabels()], ax.get_yticks(), strict=True))
    assert ticks[f"{khz:g}"] == pytest.approx(mel.argmax() + 0.5, abs=1)
    assert ax.get_ylabel() == "kHz" and ax.get_ylim() == (0, spec.num_mel_bins)


def test_a_spectrogram_has_its_frequencies_and_mfcc_have_none(ax, rng):
    clips.plot_features(rng.random((98, 257)), ax, kind="spectrogram")
    assert ax.images[0].get_extent() == [0, 1, 0, 8] and ax.get_ylabel() == "kHz"
    clips.plot_features(rng.random((98, 13)), ax, kind="mfcc")
    assert ax.images[1].get_extent() == [0, 1, -0.5, 12.5] and ax.get_ylabel() == "coefficient"
    clips.plot_features(rng.random((98, 12)), ax, kind="mfcc", first_coefficient=1)
    assert ax.images[2].get_extent() == [0, 1, 0.5, 12.5]
    with pytest.raises(ValueError, match="kind"):
        clips.plot_features(rng.random((98, 13)), ax, kind="mel")


def test_colours_that_compare(ax, rng):
    clips.plot_features(rng.random((98, 40)), ax, limits=(-80, 0))
    assert ax.images[0].get_clim() == (-80, 0)


def test_label_counts_are_bars_of_the_counts(ax):
    clips_df = pd.DataFrame({"label": ["yes"] * 3 + ["no"] * 2, "split": ["train", "train", "val", "train", "val"]})
    clips.plot_label_counts(clips_df, ax)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["yes", "no"]
    assert [bar.get_width() for bar in ax.patches] == [2, 1, 1, 1]  # train, then val


def test_every_word_has_a_bar_and_commands_their_colour(ax):
    clips.plot_word_counts(pd.DataFrame({"word": ["bed"] * 3 + ["yes"] * 2 + ["zero"]}), ax)
    commands, others = ax.containers
    assert [bar.get_height() for bar in commands] == [2] and [bar.get_height() for bar in others] == [3, 1]
    names = [text.get_text() for text in ax.get_xticklabels()]
    assert [names[round(bar.get_center()[0])] for bar in (*commands, *others)] == ["yes", "bed", "zero"]


def test_whole_numbers_are_counted(ax):
    clips.plot_count_histogram([2, 4, 4], ax, "clips", "speakers")
    assert [(bar.get_center()[0], bar.get_height()) for bar in ax.patches] == [(2, 1), (3, 0), (4, 2)]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("clips", "speakers")


def test_shares_are_of_each_group(ax):
    clips.plot_shares({"a": [0, 0, 1, 1], "b": [1, 1, np.nan, -np.inf]}, ax, num_bins=2)
    assert [list(stairs.get_data().values) for stairs in ax.patches] == [[50, 50], [0, 100]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]


def test_an_answer_is_drawn_beside_its_clip(speech):
    figure = clips.plot_answer(speech[0], {"yes": 0.2, "no": 0.7, "up": 0.1}, "no -> no")
    axes = {ax.get_label(): ax for ax in figure.axes}
    np.testing.assert_array_equal(axes["waveform"].lines[0].get_ydata(), speech[0])
    assert len(axes["log-mel"].images) == 1 and figure.get_suptitle() == "no -> no"
    np.testing.assert_allclose([bar.get_width() for bar in axes["bars"].patches], [20, 70, 10])
    colors = [bar.get_facecolor() for bar in axes["bars"].patches]
    assert colors[0] == colors[2] != colors[1]  # the answer stands out


class Handle:
    """Stands for a display that can be updated."""

    def __init__(self, part):
        self.parts = [part]

    def update(self, part):
        self.parts.append(part)


def test_menus_choose_a_clip(tmp_path, monkeypatch):
    import IPython.display

    shown = []

    def display(part, display_id=False):
        shown.append(Handle(part))
        return shown[-1] if display_id else None

    def predict(path):
        return SimpleNamespace(label=path[-5], probabilities={"a": 0.1, "b": 0.9})

    monkeypatch.setattr(IPython.display, "display", display)
    rows = [("yes", "s2", "a"), ("no", "s1", "b"), ("yes", "s1", "c")]
    for *_, name in rows:
        audio.write_wav(tmp_path / f"{name}.wav", np.zeros(16_000))
    clips_df = pd.DataFrame(
        [
            {"word": word, "speaker": speaker, "utterance": 0, "path": f"{tmp_path}/{name}.wav"}
            for word, speaker, name in rows
        ]
    )
    clips.browse_clips(clips_df, predict)
    menus, player, picture = shown
    words, speakers = menus.parts[0].children
    assert words.options == ("no", "yes") and [label for label, _ in speakers.options] == ["s1 (0)"]
    words.value = "yes"
    assert [label for label, _ in speakers.options] == ["s1 (0)", "s2 (0)"]
    speakers.value = f"{tmp_path}/a.wav"
    assert [figure.get_suptitle() for figure in picture.parts] == ["no -> b", "yes -> c", "yes -> a"]
    assert len(player.parts) == 3 and player.parts[0].mimetype == "audio/wav"


def test_lengths_in_seconds(ax):
    clips.plot_lengths(pd.DataFrame({"num_samples": [8_000, 16_000, 16_000]}), ax)
    heights = np.array([bar.get_height() for bar in ax.patches])
    assert heights.sum() == 3 and heights[-1] == 2


def test_history_marks_the_chosen_epoch(ax):
    history_df = pd.DataFrame(
        {"epoch": [0, 1, 2], "accuracy": [0.1, 0.5, 0.6], "val_accuracy": [0.2, 0.6, 0.5], "val_loss": [3.0, 1.0, 2.0]}
    )
    training.plot_history(history_df, ax)
    (x,), (y,) = ax.lines[2].get_data()
    assert (x, y) == (2, 0.6)
    assert "chosen: epoch 2" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert ax.figure.axes == [ax]


def test_the_learning_rate_is_beside_the_loss(ax):
    history_df = pd.DataFrame({"epoch": [0, 1], "loss": [2.0, 1.0], "val_loss": [3.0, 2.0], "learning_rate": [0.01, 0]})
    training.plot_history(history_df, ax, "loss")
    _, rate_ax = ax.figure.axes
    np.testing.assert_array_equal(rate_ax.lines[0].get_data(), [[1, 2], [0.01, 0]])
    assert all(tick == round(tick) for tick in ax.get_xticks())  # there is no half an epoch


def test_roc_names_each_label_with_its_area(ax, rng):
    curves = metrics.one_vs_rest_roc(rng.choice(["yes", "no"], 40), rng.dirichlet(np.ones(12), 40))
    scores.plot_roc(curves, ax)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert sorted(texts) == sorted(f"{label} {curve['auc']:.4f}" for label, curve in curves.items())
    assert len(ax.lines) == 2 and ax.get_xscale() == "log"


@pytest.mark.parametrize("plot", ["roc", "precision_recall"])
def test_the_worst_curves_have_names_and_the_others_are_grey(ax, rng, plot):
    curves = getattr(metrics, f"one_vs_rest_{plot}")(rng.choice(COMMANDS, 200), rng.dirichlet(np.ones(12), 200))
    getattr(scores, f"plot_{plot}")(curves, ax)
    area = "auc" if plot == "roc" else "average_precision"
    worst_first = sorted(curves, key=lambda label: curves[label][area])
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert [text.split()[0] for text in texts] == [*worst_first[:3], "7"]
    assert texts[3] == f"7 others, {curves[worst_first[3]][area]:.4f} or more"
    assert [line.get_color() for line in ax.lines[3:]] == ["0.7"] * 7


def test_confusion_is_in_percent_of_the_row(ax):
    counts_df = pd.DataFrame([[3, 1], [0, 0]], index=["yes", "no"], columns=["yes", "no"])
    scores.plot_confusion(counts_df, ax)
    assert [text.get_text() for text in ax.texts] == ["75", "25", "", ""]


def test_confusion_in_clips(ax):
    counts_df = pd.DataFrame([[3, 1], [0, 0]], index=["yes", "no"], columns=["yes", "no"])
    scores.plot_confusion(counts_df, ax, counts=True)
    assert [text.get_text() for text in ax.texts] == ["3", "1", "", ""]


def test_confusion_and_roc_are_side_by_side(rng):
    labels = np.repeat(["yes", "no"], 20)
    curves = metrics.one_vs_rest_roc(labels, rng.dirichlet([1, 1], 40), ("yes", "no"))
    confusion_df = pd.DataFrame([[15, 5], [2, 18]], index=["yes", "no"], columns=["yes", "no"])
    left, right = scores.plot_confusion_and_roc(confusion_df, curves).axes
    assert [text.get_text() for text in left.texts] == ["75", "25", "10", "90"]
    assert len(right.lines) == 2


def test_worst_clips_are_titled_said_and_predicted(rng):
    worst_df = pd.DataFrame({"word": ["bed"] * 6, "answer": ["up"] * 6, "confidence": [0.9] * 6})
    figure = clips.plot_worst(worst_df, rng.standard_normal((6, 98, 40)))
    assert [ax.get_title() for ax in figure.axes] == ["bed -> up (90%)"] * 6 + [""] * 4
    assert sum(len(ax.images) for ax in figure.axes) == 6


def test_worst_clips_have_players(tmp_path, monkeypatch):
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    audio.write_wav(tmp_path / "a.wav", np.zeros(8_000))
    row = {"path": str(tmp_path / "a.wav"), "word": "<bed>", "answer": "up", "confidence": 0.9}
    clips.show_worst(pd.DataFrame([row, row]))
    (output,) = shown  # captions and players leave a notebook together
    assert output.data.count("<audio") == output.data.count("&lt;bed&gt; -&gt; up (90%)") == 2


@pytest.mark.parametrize(("boost", "lowest"), [(0.0, 0.0), (2.0, 0.6)])
def test_curves_are_zoomed_in_where_they_are_high(ax, rng, boost, lowest):
    said = rng.choice(["yes", "no"], 40)
    probabilities = rng.dirichlet(np.ones(12), 40)
    probabilities[:, :2] += boost * (said[:, None] == np.array(["yes", "no"]))
    curves = metrics.one_vs_rest_precision_recall(said, probabilities)
    scores.plot_precision_recall(curves, ax)
    assert ax.get_ylim()[0] == ax.get_xlim()[0] == lowest and len(ax.lines) == 2
    recall, precision = ax.lines[0].get_data()
    worst = min(curves.values(), key=lambda curve: curve["average_precision"])
    np.testing.assert_array_equal([recall, precision], [worst["recall"], worst["precision"]])
    scores.plot_roc(metrics.one_vs_rest_roc(said, probabilities), ax)
    assert ax.get_ylim()[0] == lowest


def test_intervals_are_bars_in_percent(ax):
    index = pd.Index(["yes", "no"], name="label")
    frame = pd.DataFrame({"accuracy": [0.9, 0.5], "low": [0.8, 0.3], "high": [1.0, 0.6], "num_clips": [10, 8]}, index)
    scores.plot_intervals(frame, ax)
    (bars,) = ax.collections
    np.testing.assert_allclose(bars.get_segments(), [[[80, 0], [100, 0]], [[30, 1], [60, 1]]])
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [90, 50])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["yes (10)", "no (8)"]


@pytest.fixture
def robustness_df():
    rows = [
        ("snr_db", 10, "all", 0.8, 0.7, 0.9, 0.05, 0.15),
        ("snr_db", 0, "all", 0.5, 0.4, 0.6, 0.3, 0.2),
        ("snr_db", 10, "rain", 0.8, 0.7, 0.9, 0.05, 0.15),
        ("snr_db", 0, "rain", 0.4, 0.4, 0.6, 0.3, 0.3),
        ("shift_ms", -100, "", 0.6, 0.5, 0.7, 0.2, 0.2),
        ("shift_ms", 0, "", 0.9, 0.8, 1.0, 0.1, 0.0),
    ]
    return pd.DataFrame(rows, columns=["kind", "value", "noise", "accuracy", "low", "high", "missed", "confused"])


def test_noise_gets_worse_to_the_right(ax, robustness_df):
    scores.plot_robustness(robustness_df, "snr_db", ax, reference=0.95)
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_allclose(lines["right answers"].get_data(), [[10, 0], [80, 50]])
    np.testing.assert_allclose(lines["rain"].get_ydata(), [80, 40])
    np.testing.assert_allclose(lines["as recorded"].get_ydata(), 95)
    assert ax.get_xlim()[0] > ax.get_xlim()[1]


def test_shifts_go_from_early_to_late(ax, robustness_df):
    scores.plot_robustness(robustness_df, "shift_ms", ax)
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_data(), [[-100, 0], [60, 90]])
    assert ax.get_xlim()[0] < ax.get_xlim()[1]


def test_errors_are_stacked(ax, robustness_df):
    scores.plot_error_kinds(robustness_df, "snr_db", ax)
    tops = [area.get_paths()[0].vertices[:, 1].max() for area in ax.collections]
    np.testing.assert_allclose(tops, [20, 50])


def test_scores_are_in_percent_of_each_kind(ax):
    labels = np.array(["yes", "no", "go", "go", "unknown", "unknown", "silence"])
    scores.plot_scores([0.9, 0.8, 0.9, 0.1, 0.1, 0.2, 0.5], labels, ax, threshold=0.3, num_bins=2)
    assert [bar.get_height() for bar in ax.patches] == [25, 75, 100, 0]
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["4 commands", "2 unknown words", "threshold 0.3"]
    assert list(ax.lines[0].get_xdata()) == [0.3, 0.3]


def test_open_set_curves_are_those_that_are_given(ax, rng):
    labels = np.repeat(["yes", "unknown"], 50)
    curves = open_set.open_set_curves(rng.random(100) + (labels == "yes"), labels, np.full(100, "yes"))
    scores.plot_oscr({"a": curves["oscr"], "b": curves["oscr"]}, ax)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == [f"{name} {curves['oscr']['area']:.4f}" for name in "ab"]
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), curves["oscr"]["correct_rate"])
    assert ax.lines[0].get_color() != ax.lines[1].get_color()
    ax.clear()
    scores.plot_det({"a": curves["det"]}, ax)
    for drawn, rate in zip(ax.lines[0].get_data(), ("false_positive_rate", "false_negative_rate"), strict=True):
        np.testing.assert_allclose(norm.cdf(drawn), np.clip(curves["det"][rate], 1e-4, 1 - 1e-4))
    ticks = dict(zip(ax.get_xticks(), [text.get_text() for text in ax.get_xticklabels()], strict=True))
    assert ticks[norm.ppf(0.2)] == "20"


def test_reliability_has_a_dot_for_each_bin(ax):
    bins_df = pd.DataFrame({"confidence": [0.3, 0.9], "accuracy": [0.2, 1.0], "num_clips": [10, 90]})
    scores.plot_reliability({"a": bins_df}, ax)
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), [[0.3, 0.2], [0.9, 1.0]])
    few, many = ax.collections[0].get_sizes()
    assert many > few


def test_detections_are_marked_at_their_time_in_their_row(ax, rng):
    probabilities = rng.random((40, 3))
    streams.plot_detections(probabilities, ("yes", "no", "up"), [Detection(1.5, "no", 0.9)], 4.0, ax)
    np.testing.assert_array_equal(ax.images[0].get_array(), probabilities.T)
    assert ax.images[0].get_extent() == [0, 4.0, 3, 0] and ax.get_xlim() == (0, 4)
    (x,), (y,) = ax.lines[0].get_data()
    assert (x, ax.get_yticklabels()[int(y)].get_text()) == (1.5, "no")
