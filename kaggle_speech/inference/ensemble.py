"""Many opinions to one: weighted means, fitted weights, the label mix, pseudo-labels. Needs no TensorFlow."""

import numpy as np
import pandas as pd

from kaggle_speech.inference.answers import competition_probabilities, most_probable
from kaggle_speech.inference.predictions import ProbabilityFile, read_probabilities
from kaggle_speech.labels import COMPETITION_LABELS


def read_opinions(paths):
    """Probability files of the same clips, over the twelve labels.

    Shape: -> names `(clips,)`, opinions `(files, clips, 12)`.

    Raises:
        ValueError: a file is of other clips; names it.
    """
    return _opinions(_read_same_clips(paths))


def _read_same_clips(paths):
    files = [read_probabilities(path) for path in paths]
    for path, file in zip(paths, files, strict=True):
        if "shard" in file.settings:
            raise ValueError(f"{path}: must be of all clips, merge it first. Received: shard {file.settings['shard']}")
        if list(file.names) != list(files[0].names):
            raise ValueError(
                f"{path}: must be of the clips of {paths[0]}, {len(files[0].names)} from {files[0].names[0]} on. "
                f"Received: {len(file.names)} from {file.names[0]} on"
            )
    return files


def _opinions(files):
    return files[0].names, np.array([competition_probabilities(file.probabilities, file.vocabulary) for file in files])


def check_weights(weights, num_files):
    """Weights that add up to 1; None gives each file the same.

    Raises:
        ValueError: not one for each file, negative, or all zero.
    """
    weights = np.ones(num_files) if weights is None else np.asarray(weights, dtype=float)
    if weights.shape != (num_files,) or (weights < 0).any() or not weights.sum() > 0:
        raise ValueError(
            f"`weights` must be {num_files} numbers from 0 up, one for each file, and not all 0. Received: {weights}"
        )
    return weights / weights.sum()


def blend(paths, weights=None):
    """The weighted mean of probability files as a `ProbabilityFile` over the twelve labels.

    Args:
        paths: probability files of the same clips; vocabularies may differ.
        weights: one for each, in any unit; None gives all the same.

    Raises:
        ValueError: files of other clips, or weights that are none.
    """
    files = _read_same_clips(paths)
    names, opinions = _opinions(files)
    weights = check_weights(weights, len(files))
    settings = {
        "blend": [file.settings for file in files],
        "weights": [round(float(weight), 6) for weight in weights],
    }
    mean = np.tensordot(weights, opinions, axes=1).astype("float32")
    return ProbabilityFile(names, mean, COMPETITION_LABELS, settings)


def fit_weights(opinions, labels, num_steps=500):
    """Weights of a mean of probabilities that make the true labels most likely; none is negative, they add up to 1.

    Fit on clips that the models were not trained on. Few clips or similar models fit noise: compare with equal weights.

    Shape: `(models, clips, 12)`, `(clips,)` -> `(models,)`.

    Source: expectation maximisation of the weights of a mixture (Dempster, Laird and Rubin 1977); the likelihood is
    concave, so that the start does not matter.
    """
    columns = [COMPETITION_LABELS.index(label) for label in labels]
    likelihood = np.maximum(np.asarray(opinions, dtype=float)[:, np.arange(len(columns)), columns], 1e-12)
    weights = np.full(len(likelihood), 1 / len(likelihood))
    for _ in range(num_steps):
        share = weights[:, None] * likelihood
        weights = (share / share.sum(axis=0)).mean(axis=1)
    return weights


def match_label_mix(probabilities, label_mix=None, num_steps=100):
    """Probabilities whose mean over the clips is a known mix of labels.

    The competition's test clips have about as many of each label; a model that was trained on another mix answers the
    commoner labels too often. The risk: where the mix is not what is believed, sure answers become wrong ones, and
    no validation clip can tell.

    Shape: `(clips, 12)` -> `(clips, 12)`.

    Args:
        probabilities: of at least some hundred clips.
        label_mix: `(12,)` shares that add up to 1; None: all the same.

    Raises:
        ValueError: `label_mix` is no mix of the twelve.

    Source: iterative proportional fitting (Deming and Stephan 1940) of clips and labels.
    """
    probabilities = np.asarray(probabilities, dtype=float)
    num_labels = probabilities.shape[1]
    label_mix = np.full(num_labels, 1 / num_labels) if label_mix is None else np.asarray(label_mix, dtype=float)
    if label_mix.shape != (num_labels,) or (label_mix < 0).any() or not np.isclose(label_mix.sum(), 1):
        raise ValueError(f"`label_mix` must be {num_labels} shares that add up to 1. Received: {label_mix}")
    for _ in range(num_steps):
        probabilities = probabilities * (label_mix / np.maximum(probabilities.mean(axis=0), 1e-12))
        probabilities /= np.maximum(probabilities.sum(axis=1, keepdims=True), 1e-12)
    return probabilities.astype("float32")


def pseudo_labels(names, opinions, *, min_probability=0.9, max_per_label=None):
    """Labels for clips that have none, where all models agree and their mean is sure enough.

    Args:
        names: `(clips,)`.
        opinions: `(models, clips, 12)`.
        min_probability: of the label in the mean of the models, 0 to 1; 0 asks only that they agree.
        max_per_label: the surest so many of each label; None: as many as the rarest of them has, so that all have the
            same.

    Returns:
        pandas DataFrame with the columns `fname, label, probability`, surest first.

    Raises:
        ValueError: `min_probability` is no share.
    """
    if not 0 <= min_probability <= 1:
        raise ValueError(f"`min_probability` must be from 0 to 1. Received: {min_probability}")
    opinions = np.asarray(opinions)
    mean, answers = opinions.mean(axis=0), opinions.argmax(axis=2)
    agreed = (answers == answers[0]).all(axis=0) & (mean.max(axis=1) >= min_probability)
    labels_df = pd.DataFrame({"fname": names, "label": most_probable(mean), "probability": mean.max(axis=1)})[agreed]
    if max_per_label is None:
        max_per_label = labels_df["label"].value_counts().min()
    labels_df = labels_df.sort_values("probability", ascending=False, kind="stable")
    return labels_df.groupby("label", sort=False).head(max_per_label).reset_index(drop=True)
