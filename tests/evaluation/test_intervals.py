"""Metrics and intervals against counting by hand, all possible resamples, and closed forms."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from sklearn.metrics import average_precision_score, roc_auc_score

from kaggle_speech.evaluation import intervals
from kaggle_speech.evaluation.metrics import (
    classification_metrics,
    confusion_matrix,
    one_vs_rest_precision_recall,
    one_vs_rest_roc,
    worst_clips,
)
from kaggle_speech.inference import answers
from kaggle_speech.labels import COMPETITION_LABELS, VOCABULARIES


def test_metrics_are_what_counting_gives(rng):
    said = rng.choice(["yes", "no", "silence"], 200)
    answered = np.where(rng.random(200) < 0.7, said, "unknown")
    metrics = classification_metrics(said, answered)
    right = said == answered
    assert metrics["accuracy"] == pytest.approx(right.mean())
    assert metrics["num_clips"] == 200
    assert list(metrics["recall"]) == ["yes", "no", "silence"]
    f1 = []
    for label, recall in metrics["recall"].items():
        assert recall == pytest.approx(right[said == label].mean())
        precision = right[answered == label].mean()
        f1.append(2 * precision * recall / (precision + recall))
    assert metrics["macro_f1"] == pytest.approx(np.mean(f1))


def test_confusion_rows_are_said_columns_are_answered():
    confusion_df = confusion_matrix(["yes", "yes", "no"], ["no", "yes", "no"])
    assert confusion_df.shape == (12, 12)
    assert confusion_df.loc["yes", "no"] == 1 and confusion_df.loc["no", "yes"] == 0
    assert confusion_df.to_numpy().sum() == 3


def test_area_under_the_roc_is_the_share_of_pairs_in_order(rng):
    """Mann and Whitney: a clip of the label against one of another, counted by hand."""
    said = rng.choice(["yes", "no", "up"], 60)
    probabilities = rng.dirichlet(np.ones(12), 60)
    probabilities[:, 0] += 0.2 * (said == "yes")
    curves = one_vs_rest_roc(said, probabilities)
    assert list(curves) == ["yes", "no", "up"]
    mine, others = probabilities[said == "yes", 0], probabilities[said != "yes", 0]
    assert curves["yes"]["auc"] == pytest.approx((mine[:, None] > others).mean())
    for curve in curves.values():
        ends = [(curve[name][0], curve[name][-1]) for name in ("false_positive_rate", "true_positive_rate")]
        assert ends == [(0, 1), (0, 1)]


def test_curves_agree_with_scikit_learn(rng):
    said = rng.choice(COMPETITION_LABELS, 300)
    probabilities = rng.dirichlet(np.ones(12), 300)
    probabilities[np.arange(300), [COMPETITION_LABELS.index(label) for label in said]] += 0.1
    one_hot = said[:, None] == np.array(COMPETITION_LABELS)
    curves = one_vs_rest_roc(said, probabilities)
    expected = roc_auc_score(one_hot, probabilities, average=None)
    np.testing.assert_allclose([curves[label]["auc"] for label in COMPETITION_LABELS], expected)
    curves = one_vs_rest_precision_recall(said, probabilities)
    expected = average_precision_score(one_hot, probabilities, average=None)
    np.testing.assert_allclose([curves[label]["average_precision"] for label in COMPETITION_LABELS], expected)


def test_precision_and_recall_are_counted_above_each_threshold(rng):
    said = rng.choice(["yes", "no"], 40)
    probabilities = rng.dirichlet(np.ones(12), 40)
    curves = one_vs_rest_precision_recall(said, probabilities)
    assert list(curves) == ["yes", "no"]
    expected = [(1.0, 0.0)]
    for threshold in sorted(probabilities[:, 0], reverse=True):
        is_above, is_yes = probabilities[:, 0] >= threshold, said == "yes"
        expected.append(((is_above & is_yes).sum() / is_above.sum(), (is_above & is_yes).sum() / is_yes.sum()))
    found = list(zip(curves["yes"]["precision"], curves["yes"]["recall"], strict=True))[::-1]
    np.testing.assert_allclose(found, expected)


def all_draws(values, speakers):
    """The mean over clips for every way to draw as many speakers as there are, each as likely as another."""
    names = np.unique(speakers)
    draws = itertools.product(names, repeat=len(names))
    return np.array([np.mean(np.concatenate([values[speakers == name] for name in draw])) for draw in draws])


def test_bootstrap_draws_speakers_as_often_as_there_are_ways_to():
    speakers = np.array(["a"] * 5 + ["b"] * 2 + ["c"] + ["d"] * 3)
    is_right = np.array([1, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1], float)
    expected = all_draws(is_right, speakers)
    drawn = intervals.bootstrap_means(is_right[:, None], speakers, num_resamples=40_000)[:, 0]
    assert set(drawn.round(9)) <= set(expected.round(9))
    for level in np.unique(expected):
        assert (drawn <= level + 1e-9).mean() == pytest.approx((expected <= level + 1e-9).mean(), abs=0.01)
    (interval,) = intervals.mean_intervals(is_right[:, None], speakers, num_resamples=40_000).itertuples()
    assert interval.mean == pytest.approx(is_right.mean())
    np.testing.assert_allclose([interval.low, interval.high], np.quantile(expected, [0.025, 0.975]), atol=0.02)


def test_intervals_are_those_of_the_seed_and_wider_where_speakers_agree_with_themselves(rng):
    speakers = np.repeat(np.arange(40), 5)
    of_speakers = np.repeat(rng.random(40) < 0.7, 5)[:, None]
    of_clips = rng.permutation(of_speakers)
    first, second = (intervals.mean_intervals(of_speakers, speakers, seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    assert not first.equals(intervals.mean_intervals(of_speakers, speakers, seed=4))
    widths = [(df["high"] - df["low"])[0] for df in (first, intervals.mean_intervals(of_clips, speakers))]
    assert widths[0] > 1.5 * widths[1]  # five clips that agree are worth one
    with pytest.raises(ValueError, match=r"a row for each clip, at least one\. Received: 0 values"):
        intervals.mean_intervals(np.zeros((0, 1)), [])
    with pytest.raises(ValueError, match="Received: 2 values, 3 speakers"):
        intervals.mean_intervals(np.zeros((2, 1)), ["a", "b", "c"])


def test_labels_have_the_accuracy_and_the_draws_of_their_own_clips(rng):
    clips_df = pd.DataFrame({"label": rng.choice(["no", "yes"], 200), "speaker": rng.choice(list("abcdefgh"), 200)})
    is_right = rng.random(200) < np.where(clips_df["label"] == "yes", 0.9, 0.5)
    found_df = intervals.label_intervals(clips_df, is_right, num_resamples=4000)
    assert list(found_df.index) == ["all", "yes", "no"]
    for label in ("yes", "no"):
        rows = (clips_df["label"] == label).to_numpy()
        alone_df = intervals.mean_intervals(is_right[rows][:, None], clips_df["speaker"][rows], num_resamples=4000)
        found = found_df.loc[label]
        assert found["accuracy"] == pytest.approx(is_right[rows].mean())
        np.testing.assert_allclose(found[["low", "high"]], alone_df.loc[0, ["low", "high"]], atol=0.02)
        assert found["num_clips"] == rows.sum() and found["num_speakers"] == clips_df["speaker"][rows].nunique()
    assert found_df.loc["all", "accuracy"] == pytest.approx(is_right.mean())
    assert found_df.loc["all", "num_clips"] == 200 and found_df.loc["all", "num_speakers"] == 8


def test_speakers_have_wilsons_interval_and_the_worst_come_first():
    clips_df = pd.DataFrame({"speaker": list("aaaabbc"), "label": "yes"}, index=range(10, 17))
    found_df = intervals.speaker_accuracy(clips_df, np.array([1, 0, 0, 1, 1, 1, 0], bool))
    assert list(found_df.index) == ["a", "c", "b"] and list(found_df["num_wrong"]) == [2, 1, 0]
    np.testing.assert_allclose(found_df["accuracy"], [0.5, 0, 1])
    z = 1.959963984540054
    for row in found_df.itertuples():
        centre = (row.accuracy + z**2 / (2 * row.num_clips)) / (1 + z**2 / row.num_clips)
        root = np.sqrt(row.accuracy * (1 - row.accuracy) / row.num_clips + z**2 / (4 * row.num_clips**2))
        width = z * root / (1 + z**2 / row.num_clips)
        np.testing.assert_allclose([row.low, row.high], [centre - width, centre + width], atol=1e-12)


@pytest.mark.parametrize(("num_only_this", "num_only_other"), [(6, 1), (1, 6), (3, 3), (4, 0), (0, 0)])
def test_mcnemar_counts_the_splits_that_are_as_uneven(num_only_this, num_only_other):
    this = np.array([1] * num_only_this + [0] * num_only_other + [1] * 20 + [0] * 5, bool)
    other = np.array([0] * num_only_this + [1] * num_only_other + [1] * 20 + [0] * 5, bool)
    found = intervals.compare_answers(this, other, np.arange(len(this)) % 7)
    counts = [found[f"num_{name}"] for name in ("both_right", "only_this", "only_other", "both_wrong")]
    assert counts == [20, num_only_this, num_only_other, 5]
    num_different = num_only_this + num_only_other
    splits = [sum(split) for split in itertools.product((0, 1), repeat=num_different)]
    is_as_uneven = [abs(2 * n - num_different) >= abs(num_only_this - num_only_other) for n in splits]
    assert found["p_value"] == pytest.approx(np.mean(is_as_uneven))
    # statsmodels.stats.contingency_tables.mcnemar(exact=True)
    of_statsmodels = min(1.0, 2 * binom.cdf(min(num_only_this, num_only_other), num_different, 0.5))
    assert found["p_value"] == pytest.approx(of_statsmodels)


def test_difference_of_two_models_is_that_of_the_same_speakers(rng):
    speakers = np.array(list("aaabbcccc"))
    this, other = rng.random((2, 9)) < 0.6
    found = intervals.compare_answers(this, other, speakers, num_resamples=500, seed=2)
    assert found["difference"] == pytest.approx(this.mean() - other.mean())
    assert found["difference"] == pytest.approx(found["accuracy"] - found["other_accuracy"])
    drawn_df = intervals.mean_intervals((this * 1.0 - other)[:, None], speakers, num_resamples=500, seed=2)
    assert [found["low"], found["high"]] == drawn_df.loc[0, ["low", "high"]].tolist()
    with pytest.raises(ValueError, match=r"`other_is_right` must be of the clips .* Received: 8 clips, not 9"):
        intervals.compare_answers(this, other[:8], speakers)


def test_worst_clips_come_first(rng):
    probabilities = rng.dirichlet(np.ones(12), 30)
    clips_df = pd.DataFrame({"path": [f"{n}.wav" for n in range(30)], "label": rng.choice(COMPETITION_LABELS, 30)})
    worst_df = worst_clips(clips_df, probabilities, num_clips=5)
    of_label = np.array(
        [p[COMPETITION_LABELS.index(label)] for p, label in zip(probabilities, clips_df["label"], strict=True)]
    )
    order = np.argsort(of_label)[:5]
    assert list(worst_df["path"]) == [f"{n}.wav" for n in order]
    assert list(worst_df["answer"]) == [COMPETITION_LABELS[probabilities[n].argmax()] for n in order]


@pytest.mark.parametrize("num_classes", [12, 31, 32])
def test_words_that_are_no_command_add_up_to_unknown(num_classes, rng):
    vocabulary = VOCABULARIES[num_classes]
    probabilities = rng.dirichlet(np.ones(num_classes), 8)
    mapped = answers.competition_probabilities(probabilities, vocabulary)
    np.testing.assert_allclose(mapped.sum(axis=1), 1)
    for column, label in enumerate(COMPETITION_LABELS[:11]):
        np.testing.assert_allclose(mapped[:, column], probabilities[:, vocabulary.index(label)])
    assert list(answers.most_probable(mapped)) == [COMPETITION_LABELS[row.argmax()] for row in mapped]


def test_probabilities_of_another_vocabulary():
    with pytest.raises(ValueError, match=r"a column for each label.* Received: shape=\(2, 12\), 32 labels"):
        answers.competition_probabilities(np.ones((2, 12)), VOCABULARIES[32])
