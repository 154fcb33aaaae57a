"""Validation of a model on clips: metrics over the twelve labels or its own, and probabilities with logits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from kaggle_speech.data.clips import validation_clips
from kaggle_speech.evaluation import intervals, metrics
from kaggle_speech.inference import answers, predict
from kaggle_speech.inference.predictions import Predictions
from kaggle_speech.models import anatomy, runs
from kaggle_speech.streaming.stream import BatchModel


def predict_competition(
    model: BatchModel, vocabulary: tuple[str, ...], clips_df: pd.DataFrame, progress: bool = True
) -> np.ndarray:
    """Probabilities of clips over the twelve labels. Shape: -> `(len(clips_df), 12)`.

    Args:
        model: waveforms in, probabilities out.
        vocabulary: labels in the order of its outputs.
        clips_df: frame with a `path` column.
        progress: show a progress bar.

    Raises:
        AudioError: a file cannot be read; names it.
        ValueError: the frame is empty.
    """
    probabilities = predict.predict_probabilities(model, clips_df, progress=progress)
    return answers.competition_probabilities(probabilities, vocabulary)


def validate(
    model: BatchModel, vocabulary: tuple[str, ...], val_df: pd.DataFrame, progress: bool = True
) -> tuple[dict, np.ndarray]:
    """Metrics of a model over the twelve labels, on validation clips.

    Args:
        model: waveforms in, probabilities out.
        vocabulary: labels in the order of its outputs.
        val_df: the clips, from `clips.validation_clips`.
        progress: show a progress bar.

    Returns:
        dict from `metrics.classification_metrics`, and the probabilities, `(len(val_df), 12)`.

    Raises:
        AudioError: a file cannot be read; names it.
        ValueError: the frame is empty.
    """
    probabilities = predict_competition(model, vocabulary, val_df, progress)
    return metrics.classification_metrics(val_df["label"], answers.most_probable(probabilities)), probabilities


def validate_own_labels(
    model: BatchModel,
    vocabulary: Sequence[str],
    clips_df: pd.DataFrame,
    progress: bool = True,
    **bootstrap_options: Any,
) -> dict:
    """Metrics of a model over its own labels, where they are not the twelve of the competition.

    Args:
        model: waveforms in, probabilities out.
        vocabulary: labels in the order of its outputs.
        clips_df: all readable clips, from `clips.read_clips_table`; the validation clips of these labels are used.
        progress: show a progress bar.
        bootstrap_options: `num_resamples` and `seed` of `intervals.label_intervals`.

    Returns:
        dict from `metrics.classification_metrics`, with `accuracy_interval` and, by label, `labels`.

    Raises:
        AudioError: a file cannot be read; names it.
        ValueError: there are no validation clips.
    """
    val_df = validation_clips(clips_df, vocabulary=vocabulary)
    probabilities = predict.predict_probabilities(model, val_df, progress=progress)
    answer = answers.most_probable(probabilities, vocabulary)
    label_df = intervals.label_intervals(val_df, answer == val_df["label"], labels=vocabulary, **bootstrap_options)
    return {
        **metrics.classification_metrics(val_df["label"], answer, vocabulary),
        "accuracy_interval": label_df.loc["all", ["low", "high"]].tolist(),
        "labels": label_df.drop(index="all").to_dict("index"),
    }


def open_set_predictions(run_dir: Path | str, clips_df: pd.DataFrame, progress: bool = True) -> Predictions:
    """Predictions of the model of a run, with logits, for `open_set` and `calibration`.

    Args:
        run_dir: folder of a finished run.
        clips_df: the clips, from `clips.open_set_clips`.
        progress: show a progress bar.

    Raises:
        FileNotFoundError: the folder holds no finished run.
        AudioError: a clip cannot be read; names it.
    """
    model, vocabulary = runs.load_run(run_dir)
    logits = predict.predict_probabilities(anatomy.logits_model(model), clips_df, progress=progress)
    names = clips_df["path"].map(lambda path: Path(path).name).to_numpy()
    settings = {"model": runs.model_fingerprint(run_dir)}
    return Predictions(names, softmax(logits, axis=1), tuple(vocabulary), settings, logits)
