"""Validation of a Keras model on clips: metrics over the twelve labels, and probabilities with logits."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax

from kaggle_speech.evaluation import metrics
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
