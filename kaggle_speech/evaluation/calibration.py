"""Calibration: temperature, reliability bins, and the threshold of a rejection."""

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from kaggle_speech.inference.answers import (
    SCORES,
    Rejection,
    most_probable,
    rejection_score,
)
from kaggle_speech.inference.predictions import Predictions
from kaggle_speech.labels import COMMANDS, COMPETITION_LABELS, UNKNOWN, word_to_label

#: Scores that need logits, which an exported file does not give.
LOGIT_SCORES = ("logit", "energy")
#: In place of a score: the most probable label is the answer. Its curves are those of the score `known`.
NO_THRESHOLD = "none"


def score_names(predictions: Predictions) -> tuple[str, ...]:
    """Names of the scores that can be computed: with logits, those of `LOGIT_SCORES`, too."""
    return (*SCORES, *(LOGIT_SCORES if predictions.logits is not None else ()))


def best_commands(predictions: Predictions) -> np.ndarray:
    """The most probable of the commands. Shape: -> `(clips,)` str."""
    return most_probable(predictions.competition()[:, : len(COMMANDS)], COMMANDS)


def command_scores(predictions: Predictions, name: str, temperature: float = 1.0) -> np.ndarray:
    """Scores of how sure a model is that a clip is a command. Shape: -> `(clips,)`.

    Args:
        predictions: of the model.
        name: as in `answers.rejection_score`; or, of the commands' logits, `logit`, the highest, or `energy`, the
            free energy's negative (arXiv 2010.03759).
        temperature: of the probabilities, and of the energy.

    Raises:
        ValueError: there is no such score, or it needs logits and there are none.
    """
    names = score_names(predictions)
    if name not in names:
        raise ValueError(f"`score` must be one of {names}. Received: score={name!r}")
    if name in SCORES:
        return rejection_score(predictions.probabilities, predictions.vocabulary, name, temperature)
    known = predictions.logits[:, [predictions.vocabulary.index(command) for command in COMMANDS]]
    return known.max(axis=1) if name == "logit" else temperature * logsumexp(known / temperature, axis=1)


def fit_temperature(predictions, labels):
    """The temperature that makes the true labels most likely, from 0.05 to 20.

    Clips of a label that the model cannot answer, as `unknown` where it knows commands alone, are left out.

    Args:
        predictions: of the model.
        labels: `(clips,)`, of the twelve.

    Raises:
        ValueError: there is no clip to fit on.

    Source: arXiv 1706.04599, for probabilities over the twelve labels.
    """
    labels = np.asarray(labels)
    rows = np.flatnonzero(np.isin(labels, [word_to_label(word) for word in predictions.vocabulary]))
    if not len(rows):
        raise ValueError(f"`labels` must hold labels of the model. Received: {sorted(map(str, {*labels}))}")
    predictions = predictions.rows(rows)
    columns = [COMPETITION_LABELS.index(label) for label in labels[rows]]

    def mean_loss(log_temperature):
        values = predictions.competition(np.exp(log_temperature))[np.arange(len(rows)), columns]
        return -np.log(np.maximum(values, 1e-12)).mean()

    return float(np.exp(minimize_scalar(mean_loss, bounds=np.log([0.05, 20]), method="bounded").x))


def choose_threshold(scores, labels, answers, false_accept_rate=None):
    """The threshold of best accuracy over the twelve labels, or the lowest one for a rate of false accepts.

    Shape: `(clips,)` each -> float, between two scores. The lowest score, which rejects nothing, where that is best or
        no answer is a command.

    Args:
        scores: higher = surer of a command.
        labels: what was said, of the twelve.
        answers: the most probable label; only commands can be rejected.
        false_accept_rate: share of the clips of unknown words that may be taken for a command, 0 to 1; None for best
            accuracy.

    Raises:
        ValueError: the rate is no share, or there is one and no unknown word.
    """
    scores, labels, answers = map(np.asarray, (scores, labels, answers))
    is_command = np.isin(answers, COMMANDS)
    num_unknown = (labels == UNKNOWN).sum()
    steps = np.unique(scores[is_command] if is_command.any() else scores)
    scores, labels, answers = scores[is_command], labels[is_command], answers[is_command]
    thresholds = np.array([steps[0], *(steps[:-1] + steps[1:]) / 2, np.nextafter(steps[-1], np.inf)])
    order = np.argsort(scores)
    num_rejected = np.searchsorted(scores[order], thresholds)
    is_unknown = labels[order] == UNKNOWN
    if false_accept_rate is None:
        gain = is_unknown.astype(int) - (labels == answers)[order]
        return float(thresholds[np.concatenate([[0], np.cumsum(gain)])[num_rejected].argmax()])
    if not 0 <= false_accept_rate <= 1 or not num_unknown:
        raise ValueError(
            "`false_accept_rate` must be from 0 to 1, and there must be clips of unknown words. "
            f"Received: {false_accept_rate!r}, {num_unknown} clips"
        )
    num_accepted = is_unknown.sum() - np.concatenate([[0], np.cumsum(is_unknown)])[num_rejected]
    return float(thresholds[(num_accepted <= false_accept_rate * num_unknown).argmax()])


def reliability_bins(is_right, confidences, num_bins=15):
    """How often answers of some confidence are right.

    Shape: `(clips,)`, `(clips,)` -> DataFrame, a row for each bin of equal width with clips in it: `confidence` and
        `accuracy`, means over its `num_clips`.
    """
    edges = np.linspace(0, 1, num_bins + 1)
    judged_df = pd.DataFrame({"confidence": confidences, "accuracy": is_right}).astype(float)
    bins = judged_df.groupby(pd.cut(confidences, edges, include_lowest=True), observed=True)
    return bins.mean().assign(num_clips=bins.size()).reset_index(drop=True)


def expected_calibration_error(bins_df):
    """The distance of accuracy from confidence, the mean over clips. Args: from `reliability_bins`.

    Source: arXiv 1706.04599, equation 3.
    """
    return float(np.average((bins_df["accuracy"] - bins_df["confidence"]).abs(), weights=bins_df["num_clips"]))


def choose_temperature_and_threshold(predictions, clips_df, score, false_accept_rate):
    """Temperature and threshold. A rate is of all unknown words, an accuracy of the clips that it is quoted by."""
    is_quoted = clips_df["is_quoted"].to_numpy()
    temperature = fit_temperature(predictions.rows(is_quoted), clips_df["label"][is_quoted])
    if score == NO_THRESHOLD:
        return temperature, -np.inf
    rows = is_quoted | (false_accept_rate is not None)
    answers = most_probable(predictions.competition(temperature))
    scores = command_scores(predictions, score, temperature)
    labels = clips_df["label"].to_numpy()
    return temperature, choose_threshold(scores[rows], labels[rows], answers[rows], false_accept_rate)


def choose_rejection(predictions, clips_df, score="probability", false_accept_rate=None):
    """The `Rejection` that suits a model best.

    Args:
        predictions: for validation clips.
        clips_df: the clips: `index.open_set_clips`.
        score: one of `rejection.SCORES`.
        false_accept_rate: as in `choose_threshold`.
    """
    return Rejection(score, *choose_temperature_and_threshold(predictions, clips_df, score, false_accept_rate))
