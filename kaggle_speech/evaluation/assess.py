"""A trained model on the validation clips: all that `evaluation` and `robustness` say; `report` writes it down."""

import typing

import pandas as pd

from kaggle_speech.data import clips
from kaggle_speech.evaluation import intervals
from kaggle_speech.evaluation.metrics import (
    classification_metrics,
    confusion_matrix,
    one_vs_rest_precision_recall,
    one_vs_rest_roc,
    worst_clips,
)
from kaggle_speech.evaluation.robustness import SHIFTS_MS, SNRS_DB, robustness
from kaggle_speech.inference import answers, predict
from kaggle_speech.labels import SILENCE
from kaggle_speech.models import runs


class Assessment(typing.NamedTuple):
    """What `assess` found.

    Attributes:
        clips_df: the validation clips, with `answer` and `is_right`.
        probabilities: `(clips, 12)`.
        metrics: JSON-able, every number of it; `settings` says what they are of.
        confusion_df, roc, precision_recall, label_df, speaker_df, worst_df: see `evaluation`.
        robustness_df: see `robustness`.
        differences_df: clips that only one of two models gets right; None where there is no other.
    """

    clips_df: pd.DataFrame
    probabilities: typing.Any
    metrics: dict
    confusion_df: pd.DataFrame
    roc: dict
    precision_recall: dict
    label_df: pd.DataFrame
    speaker_df: pd.DataFrame
    worst_df: pd.DataFrame
    robustness_df: pd.DataFrame
    differences_df: pd.DataFrame | None


def _probabilities(engine, val_df, progress):
    found = predict.predict_probabilities(engine.model, val_df, progress=progress)
    return answers.competition_probabilities(found, engine.vocabulary)


def assess(engine, clips_df, *, against=None, num_resamples=intervals.NUM_RESAMPLES, seed=0, progress=True):
    """Everything that can be said of a model from the validation clips.

    Args:
        engine: a `Recogniser`.
        clips_df: all clips that can be read, from `index.check_clips`; the validation clips and the noise recordings of
            them are used.
        against: the engine of another model, to compare with.
        num_resamples, seed: see `evaluation.bootstrap_means`; the seed also draws the noise.
        progress: show progress bars.

    Returns:
        `Assessment`.

    Raises:
        ValueError: there are no validation clips.
    """
    val_df, draw = clips.validation_clips(clips_df), {"num_resamples": num_resamples, "seed": seed}
    probabilities = _probabilities(engine, val_df, progress)
    val_df = val_df.assign(answer=answers.most_probable(probabilities))
    val_df["is_right"] = val_df["answer"] == val_df["label"]
    spoken_df = val_df[val_df["label"] != SILENCE]  # silence has no speaker
    noise_paths = clips.noise_paths(clips_df)
    found = Assessment(
        clips_df=val_df,
        probabilities=probabilities,
        metrics={},
        confusion_df=confusion_matrix(val_df["label"], val_df["answer"]),
        roc=one_vs_rest_roc(val_df["label"], probabilities),
        precision_recall=one_vs_rest_precision_recall(val_df["label"], probabilities),
        label_df=intervals.label_intervals(val_df, val_df["is_right"], **draw),
        speaker_df=intervals.speaker_accuracy(spoken_df, spoken_df["is_right"]),
        worst_df=worst_clips(val_df, probabilities),
        robustness_df=robustness(engine.model, engine.vocabulary, val_df, noise_paths, progress=progress, **draw),
        differences_df=None,
    )
    metrics = _numbers(found, draw)
    settings = _settings(engine, draw) | {"data": clips.data_fingerprint(clips_df)}
    if against is not None:
        comparison, differences_df = _compare(val_df, _probabilities(against, val_df, progress), draw)
        found = found._replace(differences_df=differences_df)
        metrics["comparison"], settings["against"] = comparison, against.settings["model"]
    return found._replace(metrics=metrics | {"settings": settings})


def _numbers(found, draw):
    """All numbers, JSON-able."""
    rates = {
        "area_under_roc": {label: curve["auc"] for label, curve in found.roc.items()},
        "average_precision": {label: curve["average_precision"] for label, curve in found.precision_recall.items()},
    }
    return {
        **classification_metrics(found.clips_df["label"], found.clips_df["answer"]),
        "accuracy_interval": found.label_df.loc["all", ["low", "high"]].tolist(),
        "labels": found.label_df.drop(index="all").to_dict("index"),
        **rates,
        "speakers": _speaker_summary(found.speaker_df, draw),
        "robustness": found.robustness_df.to_dict("records"),
    }


def _settings(engine, draw):
    """What the numbers depend on."""
    return {
        **{name: engine.settings[name] for name in ("model", "precision", "engine")},
        **draw,
        "confidence": intervals.CONFIDENCE,
        "snrs_db": SNRS_DB,
        "shifts_ms": SHIFTS_MS,
        "versions": runs.library_versions(),
    }


def _speaker_summary(speaker_df, draw):
    """How many speakers there are and have errors, and the mean over them, each counting the same."""
    if speaker_df.empty:
        return {"num_speakers": 0}
    (mean,) = intervals.mean_intervals(speaker_df[["accuracy"]], speaker_df.index, **draw).itertuples(index=False)
    with_errors = int((speaker_df["num_wrong"] > 0).sum())
    summary = {"num_speakers": len(speaker_df), "num_with_errors": with_errors}
    return summary | {"mean_accuracy": float(mean.mean), "low": float(mean.low), "high": float(mean.high)}


def _compare(val_df, other_probabilities, draw):
    """The numbers of `evaluation.compare_answers`, and the clips that only one gets right."""
    both_df = val_df.assign(other_answer=answers.most_probable(other_probabilities))
    is_other_right = both_df["other_answer"] == both_df["label"]
    comparison = intervals.compare_answers(both_df["is_right"], is_other_right, both_df["speaker"], **draw)
    comparison["other_recall"] = is_other_right.groupby(both_df["label"]).mean().to_dict()
    columns = ["path", "word", "speaker", "label", "answer", "other_answer"]
    return comparison, both_df.loc[both_df["is_right"] != is_other_right, columns].sort_values("label")
