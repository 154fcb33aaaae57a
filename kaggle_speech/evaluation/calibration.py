"""Calibration: scores of a command, temperature, reliability bins, and the threshold of a rejection."""

import numpy as np
import numpy.typing as npt
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
#: Name in place of a score: the most probable label is the answer. Its curves are those of the score `known`.
NO_THRESHOLD = "none"


def score_names(predictions: Predictions) -> tuple[str, ...]:
    """Names of the scores that `command_scores` can compute: those of `LOGIT_SCORES` where there are logits."""
    return (*SCORES, *LOGIT_SCORES) if predictions.logits is not None else tuple(SCORES)


def best_commands(predictions: Predictions) -> np.ndarray:
    """The most probable of the ten commands. Shape: -> `(clips,)` str."""
    return most_probable(predictions.competition()[:, : len(COMMANDS)], COMMANDS)


def command_scores(predictions: Predictions, score: str, temperature: float = 1.0) -> np.ndarray:
    """Scores that rank clips by how likely they hold a command. Shape: -> `(clips,)`.

    Args:
        predictions: probabilities of the clips, and logits for the scores that need them.
        score: `probability` of the best command; `known`, that of all commands together; `entropy`, negative, over the
            commands; `margin`, the best command over the best other label; or, from the commands' logits, `logit`, the
            highest, and `energy`, the negative free energy (arXiv 2010.03759).
        temperature: temperature of the probabilities and of the energy, above 0.

    Raises:
        ValueError: there is no such score, or it needs logits and there are none.
    """
    available = score_names(predictions)
    if score not in available:
        raise ValueError(f"`score` must be one of {available}. Received: score={score!r}")
    if score in SCORES:
        return rejection_score(predictions.probabilities, predictions.vocabulary, score, temperature)
    logits = np.asarray(predictions.logits)[:, [predictions.vocabulary.index(command) for command in COMMANDS]]
    return logits.max(axis=1) if score == "logit" else temperature * logsumexp(logits / temperature, axis=1)


def fit_temperature(predictions: Predictions, labels: npt.ArrayLike) -> float:
    """The maximum-likelihood temperature for the true labels, from 0.05 to 20.

    Clips whose label is not one of the model's are left out, such as `unknown` where it was trained on commands alone.

    Args:
        predictions: probabilities of the clips.
        labels: `(clips,)`, true labels, of the twelve.

    Raises:
        ValueError: there is no clip to fit on.

    Source: arXiv 1706.04599, for probabilities over the twelve labels.
    """
    labels = np.asarray(labels)
    known = [label for label in map(word_to_label, predictions.vocabulary) if label is not None]
    rows = np.flatnonzero(np.isin(labels, known))
    if not len(rows):
        raise ValueError(f"`labels` must hold labels of the model. Received: {sorted(map(str, {*labels}))}")
    fitted = predictions.rows(rows)
    columns = [COMPETITION_LABELS.index(label) for label in labels[rows]]

    def mean_loss(log_temperature: float) -> float:
        probabilities = fitted.competition(np.exp(log_temperature))[np.arange(len(rows)), columns]
        return -np.log(np.maximum(probabilities, 1e-12)).mean()

    return float(np.exp(minimize_scalar(mean_loss, bounds=np.log([0.05, 20]), method="bounded").x))


def choose_threshold(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    answers: npt.ArrayLike,
    false_accept_rate: float | None = None,
) -> float:
    """The threshold of best accuracy over the twelve labels, or the lowest one within a rate of false accepts.

    Shape: `(clips,)` each -> float, between two scores. The lowest score, which rejects nothing, where that is best or
        no answer is a command.

    Args:
        scores: higher for clips that more likely hold a command.
        labels: true labels, of the twelve.
        answers: the most probable labels; only commands can be rejected.
        false_accept_rate: fraction of the clips of unknown words that may be taken for a command, 0 to 1; None for best
            accuracy.

    Raises:
        ValueError: the rate is not from 0 to 1, or is given without clips of unknown words.
    """
    scores = np.asarray(scores)
    labels = np.asarray(labels)
    answers = np.asarray(answers)
    num_unknown = (labels == UNKNOWN).sum()
    is_command = np.isin(answers, COMMANDS)
    levels = np.unique(scores[is_command] if is_command.any() else scores)
    thresholds = np.array([levels[0], *(levels[:-1] + levels[1:]) / 2, np.nextafter(levels[-1], np.inf)])
    order = np.argsort(scores[is_command])
    num_rejected = np.searchsorted(scores[is_command][order], thresholds)
    is_unknown = labels[is_command][order] == UNKNOWN
    if false_accept_rate is None:
        is_right = (labels == answers)[is_command][order]
        gain = is_unknown.astype(int) - is_right  # of rejecting the clip
        return float(thresholds[np.concatenate([[0], np.cumsum(gain)])[num_rejected].argmax()])
    if not 0 <= false_accept_rate <= 1 or not num_unknown:
        raise ValueError(
            "`false_accept_rate` must be from 0 to 1, and there must be clips of unknown words. "
            f"Received: {false_accept_rate!r}, {num_unknown} clips"
        )
    num_accepted = is_unknown.sum() - np.concatenate([[0], np.cumsum(is_unknown)])[num_rejected]
    return float(thresholds[(num_accepted <= false_accept_rate * num_unknown).argmax()])


def reliability_bins(is_right: npt.ArrayLike, confidences: npt.ArrayLike, num_bins: int = 15) -> pd.DataFrame:
    """Accuracy of answers by their confidence.

    Shape: `(clips,)`, `(clips,)` -> DataFrame, a row for each bin of equal width with clips in it: `confidence` and
        `accuracy`, means over its `num_clips`.

    Args:
        is_right: bool for each answer.
        confidences: confidences of the answers, 0 to 1.
        num_bins: number of bins between 0 and 1.

    Source: `sklearn.calibration.calibration_curve`, which does not count the clips.
    """
    edges = np.linspace(0, 1, num_bins + 1)
    answers_df = pd.DataFrame({"confidence": confidences, "accuracy": is_right}).astype(float)
    bins = answers_df.groupby(pd.cut(answers_df["confidence"], list(edges), include_lowest=True), observed=True)
    return bins.mean().assign(num_clips=bins.size()).reset_index(drop=True)


def expected_calibration_error(bins_df: pd.DataFrame) -> float:
    """Mean distance of accuracy from confidence over clips, 0 to 1.

    Args:
        bins_df: from `reliability_bins`.

    Source: arXiv 1706.04599, equation 3.
    """
    return float(np.average((bins_df["accuracy"] - bins_df["confidence"]).abs(), weights=bins_df["num_clips"]))


def choose_temperature_and_threshold(
    predictions: Predictions, clips_df: pd.DataFrame, score: str, false_accept_rate: float | None
) -> tuple[float, float]:
    """Choose temperature and threshold for a score.

    Args:
        predictions: predictions for the validation clips.
        clips_df: the clips, from `clips.open_set_clips`.
        score: one of `score_names`, or `none`, whose threshold rejects nothing.
        false_accept_rate: fraction of all clips of unknown words that may be taken for a command, 0 to 1; None for best
            accuracy over the clips of `is_quoted`.
    """
    is_quoted = clips_df["is_quoted"].to_numpy()
    temperature = fit_temperature(predictions.rows(is_quoted), clips_df["label"][is_quoted])
    if score == NO_THRESHOLD:
        return temperature, -np.inf
    rows = is_quoted | (false_accept_rate is not None)
    answers = most_probable(predictions.competition(temperature))
    scores = command_scores(predictions, score, temperature)
    labels = clips_df["label"].to_numpy()
    return temperature, choose_threshold(scores[rows], labels[rows], answers[rows], false_accept_rate)


def choose_rejection(
    predictions: Predictions,
    clips_df: pd.DataFrame,
    score: str = "probability",
    false_accept_rate: float | None = None,
) -> Rejection:
    """Choose a `Rejection` for a model on validation clips.

    Args:
        predictions: predictions for the validation clips.
        clips_df: the clips, from `clips.open_set_clips`.
        score: `probability`, `known`, `entropy` or `margin` (see `command_scores`).
        false_accept_rate: fraction of all clips of unknown words that may be taken for a command, 0 to 1; None for best
            accuracy.

    Raises:
        ValueError: there is no such score, or the rate is not from 0 to 1.
    """
    return Rejection(score, *choose_temperature_and_threshold(predictions, clips_df, score, false_accept_rate))
