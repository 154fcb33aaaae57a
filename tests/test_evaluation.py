"""evaluation.py and decoding.py against counting by hand."""

import numpy as np
import pandas as pd
import pytest

from kaggle_speech import decoding, evaluation
from kaggle_speech.labels import COMPETITION_LABELS, VOCABULARIES


def test_metrics_are_what_counting_gives(rng):
    said = rng.choice(["yes", "no", "silence"], 200)
    answered = np.where(rng.random(200) < 0.7, said, "unknown")
    metrics = evaluation.classification_metrics(said, answered)
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
    confusion_df = evaluation.confusion_matrix(["yes", "yes", "no"], ["no", "yes", "no"])
    assert confusion_df.shape == (12, 12)
    assert confusion_df.loc["yes", "no"] == 1 and confusion_df.loc["no", "yes"] == 0
    assert confusion_df.to_numpy().sum() == 3


def test_area_under_the_roc_is_the_share_of_pairs_in_order(rng):
    """Mann and Whitney: a clip of the label against one of another, counted by hand."""
    said = rng.choice(["yes", "no", "up"], 60)
    probabilities = rng.dirichlet(np.ones(12), 60)
    probabilities[:, 0] += 0.2 * (said == "yes")
    curves = evaluation.one_vs_rest_roc(said, probabilities)
    assert list(curves) == ["yes", "no", "up"]
    mine, others = probabilities[said == "yes", 0], probabilities[said != "yes", 0]
    assert curves["yes"]["auc"] == pytest.approx((mine[:, None] > others).mean())
    for curve in curves.values():
        ends = [(curve[name][0], curve[name][-1]) for name in ("false_positive_rate", "true_positive_rate")]
        assert ends == [(0, 1), (0, 1)]


def test_worst_clips_come_first(rng):
    probabilities = rng.dirichlet(np.ones(12), 30)
    clips_df = pd.DataFrame({"path": [f"{n}.wav" for n in range(30)], "label": rng.choice(COMPETITION_LABELS, 30)})
    worst_df = evaluation.worst_clips(clips_df, probabilities, num_clips=5)
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
    mapped = decoding.competition_probabilities(probabilities, vocabulary)
    np.testing.assert_allclose(mapped.sum(axis=1), 1)
    for column, label in enumerate(COMPETITION_LABELS[:11]):
        np.testing.assert_allclose(mapped[:, column], probabilities[:, vocabulary.index(label)])
    assert list(decoding.most_probable(mapped)) == [COMPETITION_LABELS[row.argmax()] for row in mapped]


def test_probabilities_of_another_vocabulary():
    with pytest.raises(ValueError, match=r"a column for each label.* Received: shape=\(2, 12\), 32 labels"):
        decoding.competition_probabilities(np.ones((2, 12)), VOCABULARIES[32])
