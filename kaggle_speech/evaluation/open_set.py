"""Open-set evaluation: curves (OSCR, DET) and tables on the distinction of commands from unknown words."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn import metrics

from kaggle_speech.data.splits import speaker_folds
from kaggle_speech.evaluation.calibration import (
    NO_THRESHOLD,
    best_commands,
    choose_temperature_and_threshold,
    command_scores,
    fit_temperature,
    score_names,
)
from kaggle_speech.inference.answers import reject
from kaggle_speech.inference.predictions import Predictions
from kaggle_speech.labels import COMMANDS, UNKNOWN


def open_set_curves(scores: npt.ArrayLike, labels: npt.ArrayLike, commands: npt.ArrayLike) -> dict:
    """Curves over all thresholds of a score that separates commands from unknown words; silence is left out.

    Shape: `(clips,)` each -> dict:
        `auroc`, the fraction of pairs of a command and an unknown word in the right order;
        `fpr_at_95_tpr`, the fraction of unknown words accepted where 95 % of the commands are;
        `oscr`, a dict of the curve `false_positive_rate`, `correct_rate` (commands accepted and told apart), `area`;
        `det`, a dict of the curve `false_positive_rate`, `false_negative_rate`.

    Args:
        scores: higher for clips that more likely hold a command.
        labels: true labels, of the twelve.
        commands: the most probable command of each clip.

    Raises:
        ValueError: there are no commands or no unknown words.

    Source: OSCR, arXiv 1811.04110, equations 8 and 9.
    """
    rows = np.isin(labels, (*COMMANDS, UNKNOWN))
    scores = np.asarray(scores)[rows]
    labels = np.asarray(labels)[rows]
    commands = np.asarray(commands)[rows]
    is_known = labels != UNKNOWN
    if is_known.all() or not is_known.any():
        raise ValueError(f"`labels` must hold commands and `unknown`. Received: {sorted(map(str, {*labels}))}")
    accepted_unknown, accepted_known, _ = metrics.roc_curve(is_known, scores, drop_intermediate=False)
    det_x, det_y, _ = metrics.det_curve(is_known, scores)
    is_wrong = is_known & (labels != commands)  # such a clip is in no curve, but lowers its end
    oscr_x, oscr_y, _ = metrics.roc_curve(is_known[~is_wrong], scores[~is_wrong], drop_intermediate=False)
    oscr_y = oscr_y * (1 - is_wrong.sum() / is_known.sum())
    return {
        "auroc": float(metrics.auc(accepted_unknown, accepted_known)),
        "fpr_at_95_tpr": float(accepted_unknown[np.searchsorted(accepted_known, 0.95)]),
        "oscr": {
            "false_positive_rate": oscr_x,
            "correct_rate": oscr_y,
            "area": float(metrics.auc(oscr_x, oscr_y)),
        },
        "det": {"false_positive_rate": det_x, "false_negative_rate": det_y},
    }


def cross_fitted_answers(
    predictions: Predictions,
    clips_df: pd.DataFrame,
    score: str = "probability",
    false_accept_rate: float | None = None,
    left_out_words: Iterable[str] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Answers to each half of the speakers, with temperature and threshold chosen on the other half.

    Shape: -> labels `(clips,)` str, confidences `(clips,)`, 0 to 1.

    Args:
        predictions: predictions for the validation clips.
        clips_df: the clips, from `clips.open_set_clips`.
        score: one of `calibration.score_names`, or `none`, which rejects nothing.
        false_accept_rate: fraction of all clips of unknown words that may be taken for a command, 0 to 1; None for best
            accuracy.
        left_out_words: words that are not used to choose a threshold, like words never recorded.
    """
    half = speaker_folds(clips_df["speaker"], 2)
    may_choose = ~clips_df["word"].isin(left_out_words).to_numpy()
    labels = np.empty(len(half), dtype=object)
    confidences = np.empty(len(half))
    for number in (0, 1):
        is_here = half == number
        is_other = ~is_here & may_choose
        temperature, threshold = choose_temperature_and_threshold(
            predictions.rows(is_other), clips_df[is_other], score, false_accept_rate
        )
        here = predictions.rows(is_here)
        scores = command_scores(here, "known" if score == NO_THRESHOLD else score, temperature)
        labels[is_here], confidences[is_here] = reject(here.competition(temperature), scores, threshold)
    return labels.astype(str), confidences


def score_table(
    predictions: Predictions,
    clips_df: pd.DataFrame,
    scores: Iterable[str] | None = None,
    false_accept_rate: float | None = None,
    left_out_words: Sequence[str] = (),
) -> pd.DataFrame:
    """Table of curves and cross-fitted answers, a row for each score.

    Args:
        predictions: predictions for the validation clips.
        clips_df: the clips, from `clips.open_set_clips`.
        scores: names; None for `none` (no threshold) and all of `calibration.score_names`.
        false_accept_rate: fraction of all clips of unknown words that may be taken for a command, 0 to 1; None for best
            accuracy.
        left_out_words: words that are not used to choose a threshold; they are counted by themselves.

    Returns:
        DataFrame with the columns `score`; `auroc, fpr_at_95_tpr, oscr_area` (see `open_set_curves`), over all clips at
        the temperature that suits them; and, of the cross-fitted answers, `accuracy` over the twelve labels on the
        clips of `is_quoted`, `unknown_recall`, the fraction of clips of unknown words answered
        `unknown`, and `commands_lost`, the fraction of the commands answered `unknown`. With words left out, recall and
        area under the curve for them alone, too: `left_out_recall, left_out_auroc`.
    """
    true_labels = clips_df["label"].to_numpy()
    is_quoted = clips_df["is_quoted"].to_numpy()
    is_left_out = clips_df["word"].isin(left_out_words).to_numpy()
    is_known = np.isin(true_labels, COMMANDS)
    is_unknown = true_labels == UNKNOWN
    commands = best_commands(predictions)
    temperature = fit_temperature(predictions.rows(is_quoted), true_labels[is_quoted])
    rows = []
    for score in scores or (NO_THRESHOLD, *score_names(predictions)):
        values = command_scores(predictions, "known" if score == NO_THRESHOLD else score, temperature)
        curves = open_set_curves(values, true_labels, commands)
        answers, _ = cross_fitted_answers(predictions, clips_df, score, false_accept_rate, left_out_words)
        is_rejected = answers == UNKNOWN
        row = {
            "score": score,
            "auroc": curves["auroc"],
            "fpr_at_95_tpr": curves["fpr_at_95_tpr"],
            "oscr_area": curves["oscr"]["area"],
            "accuracy": (answers == true_labels)[is_quoted].mean(),
            "unknown_recall": is_rejected[is_unknown & ~is_left_out].mean(),
        }
        if is_left_out.any():
            chosen = is_known | is_left_out
            left_out_curves = open_set_curves(values[chosen], true_labels[chosen], commands[chosen])
            row["left_out_auroc"] = left_out_curves["auroc"]
            row["left_out_recall"] = is_rejected[is_left_out].mean()
        row["commands_lost"] = is_rejected[is_known].mean()
        rows.append(row)
    return pd.DataFrame(rows)


def protocol_table(
    known_only: Predictions,
    with_unknown: Predictions,
    clips_df: pd.DataFrame,
    false_accept_rate: float | None = None,
    left_out_words: Sequence[str] = (),
) -> pd.DataFrame:
    """Three ways to answer `unknown`, side by side: a threshold, a trained label, or both.

    Args:
        known_only: predictions of a model that was trained on commands and silence alone.
        with_unknown: predictions of a model that was trained on other words, too, as `unknown`.
        clips_df: the clips, from `clips.open_set_clips`.
        false_accept_rate: fraction of all clips of unknown words that may be taken for a command, 0 to 1; None for best
            accuracy.
        left_out_words: words that are not used to choose a threshold; they are counted by themselves.

    Returns:
        DataFrame, the columns of `score_table` with `protocol` before them.
    """
    protocols = {
        "known words + threshold": (known_only, score_names(known_only)),
        "trained unknown": (with_unknown, (NO_THRESHOLD,)),
        "both": (with_unknown, score_names(with_unknown)),
    }
    tables = {
        name: score_table(predictions, clips_df, scores, false_accept_rate, left_out_words)
        for name, (predictions, scores) in protocols.items()
    }
    return pd.concat(tables, names=["protocol"]).reset_index(level=0).reset_index(drop=True)


def best_rows(table_df: pd.DataFrame) -> pd.DataFrame:
    """The row of the highest accuracy of each protocol, in the order of the table.

    Args:
        table_df: from `protocol_table`.
    """
    return table_df.loc[table_df.groupby("protocol", sort=False)["accuracy"].idxmax()]
