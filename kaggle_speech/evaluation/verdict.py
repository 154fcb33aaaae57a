"""Verdict on an assessment in words: one sentence, and what to do about it."""

import numpy as np
import pandas as pd

from kaggle_speech.evaluation.assess import Assessment
from kaggle_speech.labels import COMMANDS, SILENCE

#: Signal-to-noise ratio in dB of the headline.
HEADLINE_SNR_DB = 10
#: Loss of accuracy under noise, and when a word is shifted, that counts as small.
MAX_NOISE_LOSS = 0.05
MAX_SHIFT_LOSS = 0.01
#: Share of the accepted commands that a threshold should make right.
PRECISION = 0.99
#: Pairs of labels that the verdict names, and clips that a pair needs.
MAX_PAIRS = 3
MIN_PAIR_CLIPS = 2


def percent(fraction: float) -> str:
    """A fraction as text, such as `97.4 %`."""
    return f"{100 * fraction:.1f} %"


def spoken_accuracy(assessment: Assessment) -> float:
    """Accuracy over the clips that noise is added to: all but silence."""
    return assessment.clips_df.loc[assessment.clips_df["label"] != SILENCE, "is_right"].mean()


def noisy_accuracy(assessment: Assessment) -> dict[float, float]:
    """Accuracy on spoken clips by signal-to-noise ratio in dB, over all noises; empty where none was measured."""
    noisy_df = assessment.robustness_df.query("kind == 'snr_db' and noise == 'all'")
    return dict(zip(noisy_df["value"], noisy_df["accuracy"], strict=True))


def confused_pairs(confusion_df: pd.DataFrame) -> list[tuple[str, str, int]]:
    """Pairs of labels with the number of clips that are taken for each other, both ways, the most first.

    Args:
        confusion_df: from `metrics.confusion_matrix`.

    Examples:
        >>> from kaggle_speech.evaluation.metrics import confusion_matrix
        >>> confused_pairs(confusion_matrix(["up", "off", "go"], ["off", "up", "no"]))
        [('up', 'off', 2), ('no', 'go', 1)]
    """
    counts = np.triu(confusion_df + confusion_df.T, 1)
    labels = list(confusion_df.index)
    pairs = [(labels[row], labels[column], int(counts[row, column])) for row, column in np.argwhere(counts)]
    return sorted(pairs, key=lambda pair: -pair[2])


def command_threshold(assessment: Assessment, precision: float = PRECISION) -> tuple[float, float] | None:
    """The lowest probability from which on the commands that a model answers are right often enough.

    Args:
        assessment: from `assess.assess`.
        precision: share of the accepted commands that should be right, 0 to 1.

    Returns:
        The threshold in steps of 0.01, 0 where none is needed, and the share of the right commands that it refuses;
        None where no threshold is high enough.
    """
    is_command = assessment.clips_df["answer"].isin(COMMANDS).to_numpy()
    is_right = assessment.clips_df["is_right"].to_numpy(bool)[is_command]
    confidences = assessment.probabilities.max(axis=1)[is_command]
    for threshold in (hundredths / 100 for hundredths in range(100)):
        accepted = is_right[confidences >= threshold]
        if len(accepted) and accepted.mean() >= precision:
            return threshold, float(1 - accepted.sum() / is_right.sum())
    return None


def verdict(assessment: Assessment, name: str) -> str:
    """The result in one sentence: how much is right, what is confused most often, what noise does.

    Args:
        assessment: from `assess.assess`.
        name: name of the model.
    """
    metrics = assessment.metrics
    parts = [f"{name} is right on {percent(metrics['accuracy'])} of {metrics['num_clips']:,} clips"]
    if "own_labels" in metrics:
        own = metrics["own_labels"]
        parts = [
            f"{name} is right on {percent(own['accuracy'])} of {own['num_clips']:,} clips of its "
            f"{own['num_labels']} labels",
            f"with the twelve of the competition on {percent(metrics['accuracy'])} of {metrics['num_clips']:,}",
        ]
    pairs = [pair for pair in confused_pairs(assessment.confusion_df) if pair[2] >= MIN_PAIR_CLIPS][:MAX_PAIRS]
    if pairs:
        named = [f"{label} with {other} ({count} clips)" for label, other, count in pairs]
        parts.append(f"most often confuses {_listed(named)}")
    noisy = noisy_accuracy(assessment)
    if HEADLINE_SNR_DB in noisy:
        parts.append(
            f"is right on {percent(noisy[HEADLINE_SNR_DB])} of the spoken clips in noise at {HEADLINE_SNR_DB} dB "
            f"({percent(spoken_accuracy(assessment))} without)"
        )
    return f"{_listed(parts)}."


def _listed(parts: list[str]) -> str:
    """Parts of a sentence, such as `a, b, and c`."""
    return f"{', '.join(parts[:-1])}, and {parts[-1]}" if len(parts) > 2 else " and ".join(parts)


def recommendations(assessment: Assessment, name: str) -> list[str]:
    """What the numbers advise: the noise that the model stands, a threshold, words to avoid, how often to evaluate it.

    Args:
        assessment: from `assess.assess`.
        name: name of the model.

    Returns:
        Sentences; those without a measurement are left out.
    """
    texts = [_about_noise(assessment), _about_threshold(assessment), _about_words(assessment)]
    texts += [_about_shifts(assessment), _about_models(assessment, name)]
    return [text for text in texts if text]


def _about_noise(assessment: Assessment) -> str:
    limit = spoken_accuracy(assessment) - MAX_NOISE_LOSS
    quietest_first = sorted(noisy_accuracy(assessment).items(), reverse=True)
    if not quietest_first:
        return ""
    num_good = next((index for index, item in enumerate(quietest_first) if item[1] < limit), len(quietest_first))
    snr_db, accuracy = quietest_first[max(num_good - 1, 0)]
    where = f"{percent(accuracy)} of the spoken clips are right there, {percent(spoken_accuracy(assessment))} without"
    if num_good:
        return f"Keep speech at least {snr_db:g} dB above the noise: {where} noise."
    return f"Train with noise (`train --noise-fraction`). Already {snr_db:g} dB cost much: {where} noise."


def _about_threshold(assessment: Assessment) -> str:
    chosen = command_threshold(assessment)
    goal = f"{PRECISION:.0%}".replace("%", " %")
    if chosen is None:
        return f"No threshold makes {goal} of its commands right: some errors are as confident as right answers."
    threshold, lost = chosen
    if threshold == 0:
        return f"It needs no threshold: {goal} of its commands, or more, are right."
    return (
        f"Where a wrong command costs more than a repeated one, accept commands from a probability of {threshold:.2f} "
        f"on: {goal} of them, or more, are right, and {percent(lost)} of the right ones are refused. It was chosen on "
        "the clips of this page; `kaggle-speech threshold` chooses one and keeps it beside the model."
    )


def _about_words(assessment: Assessment) -> str:
    for label, other, count in confused_pairs(assessment.confusion_df):
        if count >= MIN_PAIR_CLIPS and {label, other} <= {*COMMANDS}:
            return (
                f"Where the words are yours to choose, do not use both {label} and {other}: {count} clips confuse them."
            )
    return ""


def _about_shifts(assessment: Assessment) -> str:
    shifts_df = assessment.robustness_df.query("kind == 'shift_ms'").set_index("value")["accuracy"]
    if 0 not in shifts_df.index:
        return ""
    too_far = shifts_df.index[shifts_df < shifts_df[0] - MAX_SHIFT_LOSS]
    good = [shift for shift in shifts_df.index if all(abs(shift) < abs(far) for far in too_far)]
    shift_ms = max(good, default=0)
    if not shift_ms:
        return ""
    return (
        f"In running sound, evaluate it every {2 * shift_ms:g} ms or more often: words up to {shift_ms:g} ms early or "
        f"late lower its accuracy by {100 * MAX_SHIFT_LOSS:g} point at most."
    )


def _about_models(assessment: Assessment, name: str) -> str:
    comparison = assessment.metrics.get("comparison")
    if comparison is None:
        return ""
    models = name, comparison["other_name"]
    if comparison["low"] <= 0 <= comparison["high"]:
        return f"Take the smaller one of {models[0]} and {models[1]}: these clips do not show which is more accurate."
    better, worse = models if comparison["difference"] > 0 else models[::-1]
    return f"Prefer {better} to {worse}, if you can afford it: it is more accurate, also with other speakers."
