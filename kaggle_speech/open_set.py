"""The open set: how well a model tells words that it knows from others, and the threshold that does it best.

Known are the ten commands, unknown all other words; silence is an answer of its own, and no clip of the curves here.
NumPy, pandas, SciPy and scikit-learn.
"""

import dataclasses

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from sklearn import metrics

from kaggle_speech.decoding import competition_probabilities, most_probable
from kaggle_speech.labels import COMMANDS, COMPETITION_LABELS, UNKNOWN, speaker_percentage, word_to_label
from kaggle_speech.rejection import SCORES, Rejection, reject, rejection_score, temper

#: Scores that need logits, which an exported file does not give.
LOGIT_SCORES = ("logit", "energy")
#: In place of a score: the most probable label is the answer. Its curves are those of the score `known`.
NO_THRESHOLD = "none"


@dataclasses.dataclass(frozen=True)
class Opinion:
    """What a model thinks of clips.

    Args:
        probabilities: `(clips, len(vocabulary))`.
        vocabulary: labels in the order of the columns.
        logits: as `probabilities`, before the softmax; None where they are not known.
    """

    probabilities: np.ndarray
    vocabulary: tuple
    logits: np.ndarray | None = None

    @property
    def scores(self):
        """Names of the scores that can be computed."""
        return (*SCORES, *(LOGIT_SCORES if self.logits is not None else ()))

    def of_clips(self, rows):
        """The opinion on some of the clips. Args: numbers of rows, or a bool for each."""
        rows = np.asarray(rows)
        logits = None if self.logits is None else self.logits[rows]
        return Opinion(self.probabilities[rows], self.vocabulary, logits)

    def values(self, temperature=1.0):
        """Probabilities over the twelve labels. Shape: -> `(clips, 12)`."""
        return competition_probabilities(temper(self.probabilities, temperature), self.vocabulary)

    def best_commands(self):
        """The most probable of the commands. Shape: -> `(clips,)` str."""
        return most_probable(self.values()[:, : len(COMMANDS)], COMMANDS)

    def score(self, name, temperature=1.0):
        """How sure the model is that it hears a command. Shape: -> `(clips,)`.

        Args:
            name: as in `rejection.rejection_score`; or, of the commands' logits, `logit`, the highest, or `energy`,
                the free energy's negative (arXiv 2010.03759).
            temperature: of the probabilities, and of the energy.

        Raises:
            ValueError: there is no such score, or it needs logits and there are none.
        """
        if name not in self.scores:
            raise ValueError(f"`score` must be one of {self.scores}. Received: score={name!r}")
        if name in SCORES:
            return rejection_score(self.probabilities, self.vocabulary, name, temperature)
        known = self.logits[:, [self.vocabulary.index(command) for command in COMMANDS]]
        return known.max(axis=1) if name == "logit" else temperature * logsumexp(known / temperature, axis=1)


def fit_temperature(opinion, labels):
    """The temperature that makes the true labels most likely, from 0.05 to 20.

    Clips of a label that the model cannot answer, as `unknown` where it knows commands alone, are left out.

    Args:
        opinion: `Opinion`.
        labels: `(clips,)`, of the twelve.

    Raises:
        ValueError: there is no clip to fit on.

    Source: arXiv 1706.04599, for probabilities over the twelve labels.
    """
    labels = np.asarray(labels)
    rows = np.flatnonzero(np.isin(labels, [word_to_label(word) for word in opinion.vocabulary]))
    if not len(rows):
        raise ValueError(f"`labels` must hold labels of the model. Received: {sorted(map(str, {*labels}))}")
    opinion, columns = opinion.of_clips(rows), [COMPETITION_LABELS.index(label) for label in labels[rows]]

    def mean_loss(log_temperature):
        values = opinion.values(np.exp(log_temperature))[np.arange(len(rows)), columns]
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


def speaker_halves(speakers):
    """0 or 1 for each clip: every second speaker in the order of their hashes, all clips of a speaker in one half.

    Raises:
        ValueError: there are not two speakers.
    """
    ordered = sorted({*speakers}, key=lambda speaker: (speaker_percentage(speaker), speaker))
    if len(ordered) < 2:
        raise ValueError(f"`speakers` must be two or more. Received: {ordered}")
    half = {speaker: rank % 2 for rank, speaker in enumerate(ordered)}
    return np.array([half[speaker] for speaker in speakers])


def _choose(opinion, clips_df, score, false_accept_rate):
    """Temperature and threshold. A rate is of all unknown words, an accuracy of the clips that it is quoted by."""
    is_quoted = clips_df["is_quoted"].to_numpy()
    temperature = fit_temperature(opinion.of_clips(is_quoted), clips_df["label"][is_quoted])
    if score == NO_THRESHOLD:
        return temperature, -np.inf
    rows = is_quoted | (false_accept_rate is not None)
    answers, scores = most_probable(opinion.values(temperature)), opinion.score(score, temperature)
    labels = clips_df["label"].to_numpy()
    return temperature, choose_threshold(scores[rows], labels[rows], answers[rows], false_accept_rate)


def choose_rejection(opinion, clips_df, score="probability", false_accept_rate=None):
    """The `Rejection` that suits a model best.

    Args:
        opinion: `Opinion` on validation clips.
        clips_df: the clips: `index.open_set_clips`.
        score: one of `rejection.SCORES`.
        false_accept_rate: as in `choose_threshold`.
    """
    return Rejection(score, *_choose(opinion, clips_df, score, false_accept_rate))


def cross_fitted_answers(opinion, clips_df, score="probability", false_accept_rate=None, left_out_words=()):
    """Answers to each half of the speakers with the temperature and the threshold that suit the other half.

    Shape: -> labels `(clips,)` str, confidences `(clips,)`, as from `Rejection.apply`.

    Args:
        opinion, clips_df, false_accept_rate: as in `choose_rejection`.
        score: one of `opinion.scores`, or `none`.
        left_out_words: words that choose nothing, as if they were not known to exist.
    """
    half = speaker_halves(clips_df["speaker"])
    may_choose = ~clips_df["word"].isin(left_out_words).to_numpy()
    labels, confidences = np.empty(len(half), dtype=object), np.empty(len(half))
    for number in (0, 1):
        here, there = half == number, (half != number) & may_choose
        temperature, threshold = _choose(opinion.of_clips(there), clips_df[there], score, false_accept_rate)
        judged = opinion.of_clips(here)
        scores = judged.score("known" if score == NO_THRESHOLD else score, temperature)
        labels[here], confidences[here] = reject(judged.values(temperature), scores, threshold)
    return labels.astype(str), confidences


def score_table(opinion, clips_df, scores=None, false_accept_rate=None, left_out_words=()):
    """What each score gives, a row a score.

    Args:
        opinion: `Opinion` on validation clips.
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
    best_commands = opinion.best_commands()
    temperature = fit_temperature(opinion.of_clips(is_quoted), true_labels[is_quoted])
    rows = []
    for score in scores or (NO_THRESHOLD, *opinion.scores):
        values = opinion.score("known" if score == NO_THRESHOLD else score, temperature)
        curves = open_set_curves(values, true_labels, best_commands)
        answers, _ = cross_fitted_answers(opinion, clips_df, score, false_accept_rate, left_out_words)
        row = {"score": score, **{name: curves[name] for name in ("auroc", "fpr_at_95_tpr")}}
        row |= {"oscr_area": curves["oscr"]["area"], "accuracy": (answers == true_labels)[is_quoted].mean()}
        row |= {"unknown_recall": (answers == UNKNOWN)[is_unknown & ~is_left_out].mean()}
        if is_left_out.any():
            of = is_known | is_left_out
            row |= {"left_out_auroc": open_set_curves(values[of], true_labels[of], best_commands[of])["auroc"]}
            row |= {"left_out_recall": (answers == UNKNOWN)[is_left_out].mean()}
        rows.append(row | {"commands_lost": (answers == UNKNOWN)[is_known].mean()})
    return pd.DataFrame(rows)


def protocol_table(known_only, with_unknown, clips_df, false_accept_rate=None, left_out_words=()):
    """Three ways to say `unknown`, side by side: a threshold, a label that is trained, or both.

    Args:
        known_only: `Opinion` of a model that was trained on commands and silence alone.
        with_unknown: of one that was trained on other words, too, as `unknown`.
        clips_df, false_accept_rate, left_out_words: as in `score_table`.

    Returns:
        pandas DataFrame, the columns of `score_table` with `protocol` before them. The model of known words heard no
        other word in training, `with_unknown` all but those left out.
    """
    parts = {
        "known words + threshold": (known_only, known_only.scores),
        "trained unknown": (with_unknown, (NO_THRESHOLD,)),
        "both": (with_unknown, with_unknown.scores),
    }
    tables = {
        name: score_table(opinion, clips_df, scores, false_accept_rate, left_out_words)
        for name, (opinion, scores) in parts.items()
    }
    return pd.concat(tables, names=["protocol"]).reset_index(level=0).reset_index(drop=True)
