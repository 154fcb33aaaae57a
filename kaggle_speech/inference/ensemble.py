"""Ensembles: weighted means of predictions, fitted weights, the label mix, pseudo-labels. Needs no TensorFlow."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kaggle_speech.inference.answers import most_probable
from kaggle_speech.inference.predictions import Predictions, read_predictions
from kaggle_speech.labels import COMPETITION_LABELS


def read_members(paths: Sequence[Path | str]) -> list[Predictions]:
    """Read probability files of the same clips.

    Args:
        paths: files of `Predictions.save`.

    Raises:
        ValueError: a file is of other clips, or of a shard; names it.
    """
    members = [read_predictions(path) for path in paths]
    for path, member in zip(paths, members, strict=True):
        if "shard" in member.settings:
            raise ValueError(
                f"{path}: must be of all clips, merge it first. Received: shard {member.settings['shard']}"
            )
    _check_names(members, list(map(str, paths)))
    return members


def _check_names(members, titles):
    for title, member in zip(titles, members, strict=True):
        if list(member.names) != list(members[0].names):
            raise ValueError(
                f"{title}: must be of the clips of {titles[0]}, {len(members[0])} from {members[0].names[0]} on. "
                f"Received: {len(member)} from {member.names[0]} on"
            )


def _competition(members):
    """Probabilities over the twelve labels. Shape: -> `(members, clips, 12)`."""
    _check_names(members, [f"`members[{number}]`" for number in range(len(members))])
    return np.array([member.competition() for member in members])


def check_weights(weights: Sequence[float] | np.ndarray | None, num_members: int) -> np.ndarray:
    """Weights of the members of an ensemble, scaled to add up to 1.

    Args:
        weights: one for each member, in any unit; None gives each the same.
        num_members: number of members.

    Raises:
        ValueError: not one for each member, negative, or all zero.
    """
    weights = np.ones(num_members) if weights is None else np.asarray(weights, dtype=float)
    if weights.shape != (num_members,) or (weights < 0).any() or not weights.sum() > 0:
        raise ValueError(
            f"`weights` must be {num_members} numbers from 0 up, one for each member, and not all 0. "
            f"Received: {weights}"
        )
    return weights / weights.sum()


def blend(members: Sequence[Predictions], weights: Sequence[float] | np.ndarray | None = None) -> Predictions:
    """The weighted mean of predictions, over the twelve labels.

    Args:
        members: predictions for the same clips; vocabularies may differ.
        weights: one for each, in any unit; None gives all the same.

    Raises:
        ValueError: members of other clips, or weights that are negative, all zero or not one for each member.
    """
    probabilities = _competition(members)
    weights = check_weights(weights, len(members))
    settings = {
        "blend": [member.settings for member in members],
        "weights": [round(float(weight), 6) for weight in weights],
    }
    mean = np.tensordot(weights, probabilities, axes=1).astype("float32")
    return Predictions(members[0].names, mean, COMPETITION_LABELS, settings)


def fit_weights(members: Sequence[Predictions], labels: Sequence[str], num_steps: int = 500) -> np.ndarray:
    """Maximum-likelihood weights of a mean of probabilities: from 0 up, and 1 together.

    Fit on clips that the models were not trained on. Few clips or similar models fit noise: compare with equal weights.

    Shape: -> `(members,)`.

    Args:
        members: predictions for the same clips.
        labels: the true label of each clip, of the twelve.
        num_steps: number of iterations.

    Source: expectation maximisation of the weights of a mixture (Dempster, Laird and Rubin 1977); the likelihood is
    concave, so that the start does not matter.
    """
    columns = [COMPETITION_LABELS.index(label) for label in labels]
    likelihood = np.maximum(_competition(members).astype(float)[:, np.arange(len(columns)), columns], 1e-12)
    weights = np.full(len(likelihood), 1 / len(likelihood))
    for _ in range(num_steps):
        share = weights[:, None] * likelihood
        weights = (share / share.sum(axis=0)).mean(axis=1)
    return weights


def match_label_mix(
    predictions: Predictions, label_mix: Sequence[float] | np.ndarray | None = None, num_steps: int = 100
) -> Predictions:
    """Predictions whose mean over the clips is a known mix of labels.

    The competition's test clips have about as many of each label; a model that was trained on another mix predicts the
    commoner labels too often. The risk: where the true mix is another one, right labels become wrong, and no
    validation clip shows it.

    Args:
        predictions: for at least some hundred clips, without a threshold.
        label_mix: `(12,)` shares that add up to 1; None: all the same.
        num_steps: number of iterations.

    Returns:
        `Predictions` over the twelve labels.

    Raises:
        ValueError: `label_mix` is not twelve shares that add up to 1, or the predictions have a threshold.

    Source: iterative proportional fitting (Deming and Stephan 1940) of clips and labels.
    """
    if predictions.rejection.threshold > -np.inf:
        raise ValueError(
            "`predictions` must have no threshold (`--threshold none`): the mix states how many clips are `unknown`. "
            f"Received: threshold={predictions.rejection.threshold}"
        )
    num_labels = len(COMPETITION_LABELS)
    mix = np.full(num_labels, 1 / num_labels) if label_mix is None else np.asarray(label_mix, dtype=float)
    if mix.shape != (num_labels,) or (mix < 0).any() or not np.isclose(mix.sum(), 1):
        raise ValueError(f"`label_mix` must be {num_labels} shares that add up to 1. Received: {mix}")
    probabilities = predictions.competition().astype(float)
    for _ in range(num_steps):
        probabilities = probabilities * (mix / np.maximum(probabilities.mean(axis=0), 1e-12))
        probabilities /= np.maximum(probabilities.sum(axis=1, keepdims=True), 1e-12)
    settings = predictions.settings | {"label_mix": mix.round(6).tolist()}
    return Predictions(predictions.names, probabilities.astype("float32"), COMPETITION_LABELS, settings)


def pseudo_labels(
    members: Sequence[Predictions], *, min_probability: float = 0.9, max_per_label: int | None = None
) -> pd.DataFrame:
    """Labels for clips that have none, where all models agree and their mean is confident enough.

    Args:
        members: predictions for the same clips.
        min_probability: of the label in the mean of the models, 0 to 1; 0 asks only that they agree.
        max_per_label: highest number of clips of each label, the most confident ones; None for the number of the rarest
            label.

    Returns:
        pandas DataFrame with the columns `fname, label, probability`, most confident first.

    Raises:
        ValueError: `min_probability` is not from 0 to 1, or members of other clips.
    """
    if not 0 <= min_probability <= 1:
        raise ValueError(f"`min_probability` must be from 0 to 1. Received: {min_probability}")
    probabilities = _competition(members)
    mean = probabilities.mean(axis=0)
    label_indices = probabilities.argmax(axis=2)
    is_agreed = (label_indices == label_indices[0]).all(axis=0) & (mean.max(axis=1) >= min_probability)
    columns = {"fname": members[0].names, "label": most_probable(mean), "probability": mean.max(axis=1)}
    labels_df = pd.DataFrame(columns)[is_agreed]
    if max_per_label is None:
        max_per_label = labels_df["label"].value_counts().min()
    labels_df = labels_df.sort_values("probability", ascending=False, kind="stable")
    return labels_df.groupby("label", sort=False).head(max_per_label).reset_index(drop=True)
