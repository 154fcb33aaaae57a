"""Verdict and recommendations: each number counted here by hand, from the clips."""

import itertools

import numpy as np
import pandas as pd
import pytest

from kaggle_speech.evaluation import intervals, verdict
from kaggle_speech.evaluation.assess import Assessment
from kaggle_speech.evaluation.metrics import classification_metrics, confusion_matrix
from kaggle_speech.labels import COMMANDS, COMPETITION_LABELS


def robustness_df(noisy=(), shifted=()):
    """Rows of noise and of shifts, `(value, accuracy)` each; one recording differs from all together."""
    rows = [
        ("snr_db", value, noise, accuracy - (noise != "all") / 2)
        for noise in ("all", "tap")
        for value, accuracy in noisy
    ]
    rows += [("shift_ms", value, "", accuracy) for value, accuracy in shifted]
    return pd.DataFrame(rows, columns=["kind", "value", "noise", "accuracy"])


def made_assessment(said, answered, confidences=0.9, robustness=None, comparison=None):
    """An assessment with these labels, answers and confidences."""
    clips_df = pd.DataFrame({"label": said, "answer": answered, "speaker": [*map(str, range(len(said)))]})
    clips_df["is_right"] = clips_df["label"] == clips_df["answer"]
    confidences = np.broadcast_to(confidences, len(said))
    probabilities = np.repeat((1 - confidences)[:, None] / 11, 12, axis=1)
    probabilities[np.arange(len(said)), [COMPETITION_LABELS.index(answer) for answer in answered]] = confidences
    metrics = classification_metrics(said, answered) | ({"comparison": comparison} if comparison else {})
    empty = pd.DataFrame()
    robustness = robustness_df() if robustness is None else robustness
    return Assessment(
        clips_df,
        probabilities,
        metrics,
        confusion_matrix(said, answered),
        {},
        {},
        empty,
        empty,
        empty,
        robustness,
        None,
    )


def test_pairs_are_counted_both_ways(rng):
    said, answered = rng.choice(COMPETITION_LABELS, (2, 300))
    counts = {
        (label, other): sum({one, two} == {label, other} for one, two in zip(said, answered, strict=True))
        for label, other in itertools.combinations(COMPETITION_LABELS, 2)
    }
    pairs = verdict.confused_pairs(confusion_matrix(said, answered))
    assert {(label, other): count for label, other, count in pairs} == {key: n for key, n in counts.items() if n}
    numbers = [count for _, _, count in pairs]
    assert numbers == sorted(numbers, reverse=True)
    assert verdict.confused_pairs(confusion_matrix(said, said)) == []


@pytest.mark.parametrize("precision", [0.5, 0.8, 0.95])
def test_the_threshold_is_the_lowest_that_is_precise_enough(rng, precision):
    said, answered = rng.choice([*COMMANDS, "unknown"], (2, 200))
    answered = np.where(rng.random(200) < 0.7, said, answered)
    confidences = np.where(said == answered, rng.uniform(0.3, 1, 200), rng.uniform(0.2, 0.9, 200))
    assessment = made_assessment(said, answered, confidences)
    threshold, lost = verdict.command_threshold(assessment, precision)
    is_command = answered != "unknown"

    def share_right(lowest):
        accepted = is_command & (confidences >= lowest)
        return (said == answered)[accepted].mean()

    assert share_right(threshold) >= precision
    assert all(share_right(other) < precision for other in np.arange(0, threshold - 0.005, 0.01).round(2))
    right = is_command & (said == answered)
    assert lost == pytest.approx((right & (confidences < threshold)).sum() / right.sum())


def test_a_threshold_that_is_not_needed_or_cannot_be():
    assert verdict.command_threshold(made_assessment(["yes", "no"], ["yes", "no"])) == (0.0, 0.0)
    assert verdict.command_threshold(made_assessment(["yes", "no"], ["yes", "yes"], [0.5, 0.9])) is None
    assert verdict.command_threshold(made_assessment(["yes", "no"], ["unknown", "silence"])) is None
    texts = [
        verdict.recommendations(made_assessment(*labels), "net")[0]
        for labels in ((["yes"], ["yes"]), (["yes"], ["no"]))
    ]
    assert "needs no threshold" in texts[0] and "No threshold makes 99 % of its commands right" in texts[1]


def test_the_verdict_is_one_sentence():
    said = ["go"] * 6 + ["no"] * 2 + ["up"] * 2 + ["silence"] * 2
    answered = ["go", "go", "no", "no", "no", "unknown", "no", "go", "off", "off", "silence", "silence"]
    noise = robustness_df(noisy=[(20, 0.4), (10, 0.25)])
    assert verdict.verdict(made_assessment(said, answered, robustness=noise), "net") == (
        "net is right on 41.7 % of 12 clips, most often confuses no with go (4 clips) and up with off (2 clips), and "
        "is right on 25.0 % of the spoken clips in noise at 10 dB (30.0 % without)."
    )
    assert verdict.verdict(made_assessment(["up"], ["up"]), "net") == "net is right on 100.0 % of 1 clips."


def advice(assessment, word):
    """The recommendation that holds a word; None where there is none."""
    return next((text for text in verdict.recommendations(assessment, "net") if word in text), None)


def test_recommendations_follow_the_numbers():
    said, answered = ["yes"] * 100, ["yes"] * 98 + ["no"] * 2
    noise = robustness_df(noisy=[(20, 0.97), (15, 0.95), (10, 0.90), (5, 0.94)])
    shifts = [(-200, 0.96), (-100, 0.975), (0, 0.98), (100, 0.971), (200, 0.98)]
    assessment = made_assessment(said, answered, robustness=pd.concat([noise, robustness_df(shifted=shifts)]))
    assert "at least 15 dB above the noise: 95.0 % " in advice(assessment, "noise")  # 5 dB is by luck
    assert "do not use both yes and no: 2 clips" in advice(assessment, "both")
    assert "every 200 ms or more often" in advice(assessment, "running")
    loud = made_assessment(
        said, answered, robustness=robustness_df(noisy=[(20, 0.5)], shifted=[(-100, 0.9), (0, 0.98)])
    )
    assert "Already 20 dB cost much: 50.0 %" in advice(loud, "noise") and advice(loud, "running") is None
    assert advice(made_assessment(said, answered), "noise") is None
    assert advice(made_assessment(["yes", "unknown"], ["unknown", "yes"]), "both") is None


def test_the_better_model_is_named_where_the_clips_show_it(rng):
    is_right = np.arange(200) % 10 > 0
    worse = is_right & (rng.random(200) > 0.3)
    for answers, others, expected in (
        (is_right, worse, "Prefer net to veteran"),
        (worse, is_right, "Prefer veteran to net"),
        (is_right, is_right, "the smaller one of net and veteran"),
    ):
        comparison = intervals.compare_answers(answers, others, np.arange(200)) | {"other_name": "veteran"}
        assessment = made_assessment(["yes"], ["yes"], comparison=comparison)
        assert expected in advice(assessment, "veteran")
