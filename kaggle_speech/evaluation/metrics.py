"""Metrics of answers: accuracy, recall, F1, confusion, ROC, precision-recall, worst clips."""

import numpy as np
import pandas as pd
from sklearn import metrics

from kaggle_speech.labels import COMPETITION_LABELS


def classification_metrics(true_labels, predicted_labels, labels=COMPETITION_LABELS):
    """Accuracy, macro F1 and the recall of each label.

    Shape: `(clips,)` str, `(clips,)` str -> dict of float; recalls are under `recall`, a dict by label.

    Labels without a clip are left out of recall and macro F1.
    """
    present = [label for label in labels if label in set(true_labels)]
    recall = metrics.recall_score(true_labels, predicted_labels, labels=present, average=None, zero_division=0)
    return {
        "accuracy": float(metrics.accuracy_score(true_labels, predicted_labels)),
        "macro_f1": float(
            metrics.f1_score(true_labels, predicted_labels, labels=present, average="macro", zero_division=0)
        ),
        "recall": dict(zip(present, map(float, recall), strict=True)),
        "num_clips": len(true_labels),
        "num_labels": len(present),
    }


def confusion_matrix(true_labels, predicted_labels, labels=COMPETITION_LABELS):
    """Counts: rows say what was said, columns what was answered. pandas DataFrame `(labels, labels)`."""
    counts = metrics.confusion_matrix(true_labels, predicted_labels, labels=list(labels))
    return pd.DataFrame(counts, index=pd.Index(labels, name="said"), columns=pd.Index(labels, name="answered"))


def one_vs_rest_roc(true_labels, probabilities, labels=COMPETITION_LABELS):
    """How well the probability of a label tells its clips from all others, over every threshold.

    Shape: `(clips,)` str, `(clips, len(labels))` -> dict by label of
        `{"false_positive_rate": (points,), "true_positive_rate": (points,), "auc": float}`.

    Labels without a clip are left out.
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


def _one_vs_rest(true_labels, probabilities, labels):
    """Each label of which there are clips, and others: its name, which clips are of it, and its probabilities."""
    for label, scores in zip(labels, np.transpose(probabilities), strict=True):
        is_label = np.asarray(true_labels) == label
        if is_label.any() and not is_label.all():
            yield label, is_label, scores


def one_vs_rest_precision_recall(true_labels, probabilities, labels=COMPETITION_LABELS):
    """Of the clips above a threshold, how many are of the label; of the label's, how many are above; every threshold.

    Shape: `(clips,)` str, `(clips, len(labels))` -> dict by label of
        `{"precision": (points,), "recall": (points,), "average_precision": float}`.

    Labels without a clip are left out.
    """
    curves = {}
    for label, is_label, scores in _one_vs_rest(true_labels, probabilities, labels):
        precision, recall, _ = metrics.precision_recall_curve(is_label, scores)
        average = metrics.average_precision_score(is_label, scores)
        curves[label] = {"precision": precision, "recall": recall, "average_precision": float(average)}
    return curves


def worst_clips(clips_df, probabilities, labels=COMPETITION_LABELS, num_clips=10):
    """The clips whose own label got the lowest probability.

    Shape: `(clips, len(labels))` -> DataFrame of `num_clips` rows: the columns of `clips_df`,
        `answer`, `confidence` (probability of the answer) and `label_probability`, worst first.
    """
    rows = np.arange(len(clips_df))
    columns = clips_df["label"].map({label: index for index, label in enumerate(labels)}).to_numpy()
    judged_df = clips_df.assign(
        answer=np.asarray(labels)[probabilities.argmax(axis=1)],
        confidence=probabilities.max(axis=1),
        label_probability=probabilities[rows, columns],
    )
    return judged_df.nsmallest(num_clips, "label_probability").reset_index(drop=True)
