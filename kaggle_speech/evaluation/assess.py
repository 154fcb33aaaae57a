"""Assessment of a model on the validation clips: metrics, intervals and robustness curves."""

import typing
from pathlib import Path

import numpy as np
import pandas as pd

from kaggle_speech.data import clips
from kaggle_speech.data.noise import find_recordings
from kaggle_speech.evaluation import intervals
from kaggle_speech.evaluation.metrics import (
    classification_metrics,
    confusion_matrix,
    one_vs_rest_precision_recall,
    one_vs_rest_roc,
    worst_clips,
)
from kaggle_speech.evaluation.robustness import REVERBERATIONS_S, SHIFTS_MS, SNRS_DB, robustness
from kaggle_speech.evaluation.validation import predict_competition, validate_own_labels
from kaggle_speech.inference import answers
from kaggle_speech.inference.recogniser import Recogniser
from kaggle_speech.labels import COMPETITION_LABELS, SILENCE
from kaggle_speech.models import runs


class Assessment(typing.NamedTuple):
    """Results of `assess`; `report.write_report` writes them to a folder.

    Attributes:
        clips_df: the validation clips, with `answer` and `is_right`.
        probabilities: `(clips, 12)`.
        metrics: every number, JSON-able; `settings` holds the options and versions behind them.
        confusion_df: from `metrics.confusion_matrix`.
        roc: from `metrics.one_vs_rest_roc`.
        precision_recall: from `metrics.one_vs_rest_precision_recall`.
        label_df: from `intervals.label_intervals`.
        speaker_df: from `intervals.speaker_accuracy`.
        worst_df: from `metrics.worst_clips`.
        robustness_df: from `robustness.robustness`.
        differences_df: clips that only one of two models gets right; None where there is no other model.
    """

    clips_df: pd.DataFrame
    probabilities: np.ndarray
    metrics: dict
    confusion_df: pd.DataFrame
    roc: dict
    precision_recall: dict
    label_df: pd.DataFrame
    speaker_df: pd.DataFrame
    worst_df: pd.DataFrame
    robustness_df: pd.DataFrame
    differences_df: pd.DataFrame | None

    def __repr__(self) -> str:
        return f"Assessment(accuracy={self.clips_df['is_right'].mean():.4f}, {len(self.clips_df)} clips)"


def assess(
    recogniser: Recogniser,
    clips_df: pd.DataFrame,
    *,
    against: Recogniser | None = None,
    noise_dir: Path | str | None = None,
    in_rooms: bool = False,
    num_resamples: int = intervals.NUM_RESAMPLES,
    seed: int = 0,
    progress: bool = True,
) -> Assessment:
    """Assess a model on the validation clips: accuracy, confusions, speakers, noise, rooms and shifts.

    Args:
        recogniser: its model and vocabulary are used, not its rejection.
        clips_df: all readable clips, from `clips.read_clips_table`; the validation clips and the noise recordings of
            them are used.
        against: another model, to compare with; None for none.
        noise_dir: folder of noise recordings that training never had (`noise.find_recordings`); None for the second
            halves of those of `clips_df`.
        in_rooms: assess it in made rooms, too; that needs pyroomacoustics.
        num_resamples: number of bootstrap resamples of the intervals.
        seed: seed of the intervals and of the noise.
        progress: show progress bars.

    Raises:
        ValueError: there are no validation clips.
        AudioError: a clip cannot be read; names it.
    """
    bootstrap_options: dict[str, typing.Any] = {"num_resamples": num_resamples, "seed": seed}
    val_df = clips.validation_clips(clips_df)
    probabilities = predict_competition(recogniser.model, recogniser.vocabulary, val_df, progress)
    val_df = val_df.assign(answer=answers.most_probable(probabilities))
    val_df["is_right"] = val_df["answer"] == val_df["label"]
    spoken_df = val_df[val_df["label"] != SILENCE]  # silence has no speaker
    conditions: dict[str, typing.Any] = {"noise_paths": clips.noise_paths(clips_df)}
    if noise_dir is not None:
        kinds = find_recordings(noise_dir)
        conditions = {"noise_paths": [*kinds], "noise_kinds": [*kinds.values()], "noise_split": "all"}
    if in_rooms:
        conditions["reverberations_s"] = REVERBERATIONS_S
    assessment = Assessment(
        clips_df=val_df,
        probabilities=probabilities,
        metrics={},
        confusion_df=confusion_matrix(val_df["label"], val_df["answer"]),
        roc=one_vs_rest_roc(val_df["label"], probabilities),
        precision_recall=one_vs_rest_precision_recall(val_df["label"], probabilities),
        label_df=intervals.label_intervals(val_df, val_df["is_right"], **bootstrap_options),
        speaker_df=intervals.speaker_accuracy(spoken_df, spoken_df["is_right"]),
        worst_df=worst_clips(val_df, probabilities),
        robustness_df=robustness(recogniser, val_df, **conditions, progress=progress, **bootstrap_options),
        differences_df=None,
    )
    metrics = _metrics(assessment, bootstrap_options)
    settings = _settings(recogniser, bootstrap_options) | {"data": clips.data_fingerprint(clips_df)}
    if noise_dir is not None:
        settings["noise"] = f"{len(conditions['noise_paths'])} recordings of {Path(noise_dir).name}"
    if against is not None:
        other_probabilities = predict_competition(against.model, against.vocabulary, val_df, progress)
        comparison, differences_df = _compare(val_df, other_probabilities, bootstrap_options)
        assessment = assessment._replace(differences_df=differences_df)
        is_namesake = against.name == recogniser.name
        metrics["comparison"] = comparison | {
            "other_name": f"the other {against.name}" if is_namesake else against.name
        }
        settings["against"] = against.settings["model"]
    if tuple(recogniser.vocabulary) != COMPETITION_LABELS:
        model, vocabulary = recogniser.model, recogniser.vocabulary
        metrics["own_labels"] = validate_own_labels(model, vocabulary, clips_df, progress, **bootstrap_options)
    return assessment._replace(metrics=metrics | {"settings": settings})


def _metrics(assessment: Assessment, bootstrap_options: dict) -> dict:
    """All numbers, JSON-able."""
    return {
        **classification_metrics(assessment.clips_df["label"], assessment.clips_df["answer"]),
        "accuracy_interval": [assessment.label_df[end].to_dict()["all"] for end in ("low", "high")],
        "labels": assessment.label_df.drop(index="all").to_dict("index"),
        "area_under_roc": {label: curve["auc"] for label, curve in assessment.roc.items()},
        "average_precision": {
            label: curve["average_precision"] for label, curve in assessment.precision_recall.items()
        },
        "speakers": _speaker_summary(assessment.speaker_df, bootstrap_options),
        "robustness": assessment.robustness_df.to_dict("records"),
    }


def _settings(recogniser: Recogniser, bootstrap_options: dict) -> dict:
    """Settings that the numbers depend on."""
    return {
        **{name: recogniser.settings[name] for name in ("model", "precision", "engine")},
        **bootstrap_options,
        "confidence": intervals.CONFIDENCE,
        "snrs_db": SNRS_DB,
        "shifts_ms": SHIFTS_MS,
        "versions": runs.library_versions(),
    }


def _speaker_summary(speaker_df: pd.DataFrame, bootstrap_options: dict) -> dict:
    """Number of speakers, of those with errors, and the mean accuracy, in which all speakers count the same."""
    if speaker_df.empty:
        return {"num_speakers": 0}
    mean = intervals.mean_intervals(speaker_df[["accuracy"]], speaker_df.index, **bootstrap_options).iloc[0].to_dict()
    return {
        "num_speakers": len(speaker_df),
        "num_with_errors": int((speaker_df["num_wrong"] > 0).sum()),
        "mean_accuracy": float(mean["mean"]),
        "low": float(mean["low"]),
        "high": float(mean["high"]),
    }


def _compare(
    val_df: pd.DataFrame, other_probabilities: np.ndarray, bootstrap_options: dict
) -> tuple[dict, pd.DataFrame]:
    """Numbers of `intervals.compare_answers`, and the clips that only one model gets right."""
    both_df = val_df.assign(other_answer=answers.most_probable(other_probabilities))
    is_other_right = both_df["other_answer"] == both_df["label"]
    comparison = intervals.compare_answers(both_df["is_right"], is_other_right, both_df["speaker"], **bootstrap_options)
    comparison["other_recall"] = is_other_right.groupby(both_df["label"]).mean().to_dict()
    columns = ["path", "word", "speaker", "label", "answer", "other_answer"]
    return comparison, both_df.loc[both_df["is_right"] != is_other_right, columns].sort_values("label")
