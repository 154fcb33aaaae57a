"""Open set: curves and tables of how well a model tells known words from unknown ones."""

import numpy as np
import pandas as pd
from sklearn import metrics

from kaggle_speech.data.splits import speaker_halves
from kaggle_speech.evaluation.calibration import (
    NO_THRESHOLD,
    best_commands,
    choose_temperature_and_threshold,
    command_scores,
    fit_temperature,
    score_names,
)
from kaggle_speech.inference.answers import reject
from kaggle_speech.labels import COMMANDS, UNKNOWN


def open_set_curves(scores, labels, best_commands):
    """How well a score tells commands from unknown words, over every threshold; silence is left out.

    Shape: `(clips,)` each -> dict:
        `auroc`, the share of pairs of a command and an unknown word in the right order;
        `fpr_at_95_tpr`, the share of unknown words accepted where 95 % of the commands are;
        `oscr`, a dict of the curve `false_positive_rate`, `correct_rate` (commands accepted and told apart), `area`;
        `det`, a dict of the curve `false_positive_rate`, `false_negative_rate`.

    Args:
        scores: higher = surer of a command.
        labels: what was said, of the twelve.
        best_commands: the most probable of the commands.

    Raises:
        ValueError: there are no commands or no unknown words.

    Source: OSCR, arXiv 1811.04110, equations 8 and 9.
    """
    rows = np.isin(labels, (*COMMANDS, UNKNOWN))
    scores, labels, best_commands = (np.asarray(column)[rows] for column in (scores, labels, best_commands))
    is_known = labels != UNKNOWN
    if is_known.all() or not is_known.any():
        raise ValueError(f"`labels` must hold commands and `unknown`. Received: {sorted(map(str, {*labels}))}")
    accepted_unknown, accepted_known, _ = metrics.roc_curve(is_known, scores, drop_intermediate=False)
    det_x, det_y, _ = metrics.det_curve(is_known, scores)
    is_wrong = is_known & (labels != best_commands)  # such a clip is in no curve, but lowers its end
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


def cross_fitted_answers(predictions, clips_df, score="probability", false_accept_rate=None, left_out_words=()):
    """Answers to each half of the speakers with the temperature and the threshold that suit the other half.

    Shape: -> labels `(clips,)` str, confidences `(clips,)`, as from `Rejection.apply`.

    Args:
        predictions, clips_df, false_accept_rate: as in `choose_rejection`.
        score: one of `calibration.score_names`, or `none`.
        left_out_words: words that choose nothing, as if they were not known to exist.
    """
    half = speaker_halves(clips_df["speaker"])
    may_choose = ~clips_df["word"].isin(left_out_words).to_numpy()
    labels, confidences = np.empty(len(half), dtype=object), np.empty(len(half))
    for number in (0, 1):
        here, there = half == number, (half != number) & may_choose
        temperature, threshold = choose_temperature_and_threshold(
            predictions.rows(there), clips_df[there], score, false_accept_rate
        )
        judged = predictions.rows(here)
        scores = command_scores(judged, "known" if score == NO_THRESHOLD else score, temperature)
        labels[here], confidences[here] = reject(judged.competition(temperature), scores, threshold)
    return labels.astype(str), confidences


def score_table(predictions, clips_df, scores=None, false_accept_rate=None, left_out_words=()):
    """What each score gives, a row a score.

    Args:
        predictions: for validation clips.
        clips_df: the clips: `index.open_set_clips`.
        scores: names; None for `none` (no threshold) and all that there are.
        false_accept_rate: as in `choose_threshold`.
        left_out_words: words that no threshold was chosen on, counted by themselves.

    Returns:
        pandas DataFrame with the columns `score`; `auroc, fpr_at_95_tpr, oscr_area` (see `open_set_curves`), over all
        clips at the temperature that suits them; and, of the cross-fitted answers, `accuracy` over the twelve labels on
        the clips that accuracies are quoted by, `unknown_recall`, the share of clips of unknown words answered
        `unknown`, and `commands_lost`, the share of the commands answered `unknown`. With words left out, recall and
        area under the curve for them alone, too: `left_out_recall, left_out_auroc`.
    """
    true_labels, is_quoted = clips_df["label"].to_numpy(), clips_df["is_quoted"].to_numpy()
    is_left_out = clips_df["word"].isin(left_out_words).to_numpy()
    is_known, is_unknown = np.isin(true_labels, COMMANDS), true_labels == UNKNOWN
    commands = best_commands(predictions)
    temperature = fit_temperature(predictions.rows(is_quoted), true_labels[is_quoted])
    rows = []
    for score in scores or (NO_THRESHOLD, *score_names(predictions)):
        values = command_scores(predictions, "known" if score == NO_THRESHOLD else score, temperature)
        curves = open_set_curves(values, true_labels, commands)
        answers, _ = cross_fitted_answers(predictions, clips_df, score, false_accept_rate, left_out_words)
        row = {"score": score, **{name: curves[name] for name in ("auroc", "fpr_at_95_tpr")}}
        row |= {"oscr_area": curves["oscr"]["area"], "accuracy": (answers == true_labels)[is_quoted].mean()}
        row |= {"unknown_recall": (answers == UNKNOWN)[is_unknown & ~is_left_out].mean()}
        if is_left_out.any():
            counts = is_known | is_left_out
            curves = open_set_curves(values[counts], true_labels[counts], commands[counts])
            row |= {"left_out_auroc": curves["auroc"]}
            row |= {"left_out_recall": (answers == UNKNOWN)[is_left_out].mean()}
        rows.append(row | {"commands_lost": (answers == UNKNOWN)[is_known].mean()})
    return pd.DataFrame(rows)


def protocol_table(known_only, with_unknown, clips_df, false_accept_rate=None, left_out_words=()):
    """Three ways to say `unknown`, side by side: a threshold, a label that is trained, or both.

    Args:
        known_only: `Predictions` of a model that was trained on commands and silence alone.
        with_unknown: of one that was trained on other words, too, as `unknown`.
        clips_df, false_accept_rate, left_out_words: as in `score_table`.

    Returns:
        pandas DataFrame, the columns of `score_table` with `protocol` before them. The model of known words heard no
        other word in training, `with_unknown` all but those left out.
    """
    parts = {
        "known words + threshold": (known_only, score_names(known_only)),
        "trained unknown": (with_unknown, (NO_THRESHOLD,)),
        "both": (with_unknown, score_names(with_unknown)),
    }
    tables = {
        name: score_table(predictions, clips_df, scores, false_accept_rate, left_out_words)
        for name, (predictions, scores) in parts.items()
    }
    return pd.concat(tables, names=["protocol"]).reset_index(level=0).reset_index(drop=True)
