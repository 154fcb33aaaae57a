"""Metrics over clips: accuracy, recall, macro F1, confusion, ROC, precision-recall, worst clips. Pure functions."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn import metrics

from kaggle_speech.labels import COMPETITION_LABELS


def classification_metrics(
    true_labels: npt.ArrayLike, predicted_labels: npt.ArrayLike, labels: Sequence[str] = COMPETITION_LABELS
) -> dict:
    """Accuracy, macro F1 and the recall of each label.

    Shape: `(clips,)` str, `(clips,)` str -> dict of float; recalls are under `recall`, a dict by label.

    Args:
        true_labels: labels of the clips.
        predicted_labels: labels that a model gave them.
        labels: labels to score, in order; those without a clip are left out of recall and macro F1.

    Source: `sklearn.metrics.accuracy_score`, `f1_score` and `recall_score`.

    Examples:
        >>> classification_metrics(["yes", "no", "no"], ["yes", "yes", "no"])["recall"]
        {'yes': 1.0, 'no': 0.5}
    """
    true_labels = np.asarray(true_labels)
    present = [label for label in labels if label in set(true_labels)]
    recall = metrics.recall_score(true_labels, predicted_labels, labels=present, average=None, zero_division=0)
    f1 = metrics.f1_score(true_labels, predicted_labels, labels=present, average="macro", zero_division=0)
    return {
        "accuracy": float(metrics.accuracy_score(true_labels, predicted_labels)),
        "macro_f1": float(f1),
        "recall": dict(zip(present, map(float, recall), strict=True)),
        "num_clips": len(true_labels),
        "num_labels": len(present),
    }


def confusion_matrix(
    true_labels: npt.ArrayLike, predicted_labels: npt.ArrayLike, labels: Sequence[str] = COMPETITION_LABELS
) -> pd.DataFrame:
    """Counts of each pair of true and predicted label.

    Args:
        true_labels: labels of the clips.
        predicted_labels: labels that a model gave them.
        labels: rows and columns, in order.

    Returns:
        DataFrame: a row for each true label (`said`), a column for each predicted one (`answered`).
    """
    counts = metrics.confusion_matrix(true_labels, predicted_labels, labels=list(labels))
    return pd.DataFrame(counts, index=pd.Index(labels, name="said"), columns=pd.Index(labels, name="answered"))


def one_vs_rest_roc(
    true_labels: npt.ArrayLike, probabilities: np.ndarray, labels: Sequence[str] = COMPETITION_LABELS
) -> dict[str, dict]:
    """ROC curve of each label's probability as a detector of the label.

    Shape: `(clips,)` str, `(clips, len(labels))` -> dict by label of
        `{"false_positive_rate": (points,), "true_positive_rate": (points,), "auc": float}`.

    Args:
        true_labels: labels of the clips.
        probabilities: probabilities that a model gave them.
        labels: labels in the order of the columns; those without a clip are left out.
    """
    curves = {}
    for label, is_label, scores in _one_vs_rest(true_labels, probabilities, labels):
        false_positive_rate, true_positive_rate, _ = metrics.roc_curve(is_label, scores)
        curves[label] = {
            "false_positive_rate": false_positive_rate,
            "true_positive_rate": true_positive_rate,
            "auc": float(metrics.auc(false_positive_rate, true_positive_rate)),
        }
    return curves


def _one_vs_rest(
    true_labels: npt.ArrayLike, probabilities: np.ndarray, labels: Sequence[str]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Each label that some, not all, clips have, with its clips as bool and its probabilities."""
    for label, scores in zip(labels, np.transpose(probabilities), strict=True):
        is_label = np.asarray(true_labels) == label
        if is_label.any() and not is_label.all():
            yield label, is_label, scores


def one_vs_rest_precision_recall(
    true_labels: npt.ArrayLike, probabilities: np.ndarray, labels: Sequence[str] = COMPETITION_LABELS
) -> dict[str, dict]:
    """Precision-recall curve of each label's probability as a detector of the label.

    Shape: `(clips,)` str, `(clips, len(labels))` -> dict by label of
        `{"precision": (points,), "recall": (points,), "average_precision": float}`.

    Args:
        true_labels: labels of the clips.
        probabilities: probabilities that a model gave them.
        labels: labels in the order of the columns; those without a clip are left out.
    """
    curves = {}
    for label, is_label, scores in _one_vs_rest(true_labels, probabilities, labels):
        precision, recall, _ = metrics.precision_recall_curve(is_label, scores)
        average = metrics.average_precision_score(is_label, scores)
        curves[label] = {"precision": precision, "recall": recall, "average_precision": float(average)}
    return curves


def worst_clips(
    clips_df: pd.DataFrame,
    probabilities: np.ndarray,
    labels: Sequence[str] = COMPETITION_LABELS,
    num_clips: int = 10,
) -> pd.DataFrame:
    """Clips whose true label has the lowest probability.

    Args:
        clips_df: frame with a `label` column.
        probabilities: `(clips, len(labels))`.
        labels: labels in the order of the columns.
        num_clips: rows to return.

    Returns:
        DataFrame, worst first: the columns of `clips_df`, `answer`, `confidence` (probability of the answer) and
        `label_probability`.
    """
    rows = np.arange(len(clips_df))
    columns = clips_df["label"].map({label: index for index, label in enumerate(labels)}).to_numpy()
    answered_df = clips_df.assign(
        answer=np.asarray(labels)[probabilities.argmax(axis=1)],
        confidence=probabilities.max(axis=1),
        label_probability=probabilities[rows, columns],
    )
    return answered_df.nsmallest(num_clips, "label_probability").reset_index(drop=True)
