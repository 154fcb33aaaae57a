"""Probabilities to answers: labels, confidence, rejection of doubtful commands. NumPy only."""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kaggle_speech.files import replace_file
from kaggle_speech.labels import COMMANDS, COMPETITION_LABELS, UNKNOWN, word_to_label

#: Name of the file of a `Rejection`, in the folder of its model.
FILE_NAME = "rejection.json"


def competition_probabilities(probabilities: np.ndarray, vocabulary: Sequence[str]) -> np.ndarray:
    """Probabilities over the twelve labels, from those over any vocabulary; other words add up to `unknown`.

    Shape: `(clips, len(vocabulary))` -> `(clips, 12)`.

    Args:
        probabilities: a model's outputs.
        vocabulary: its labels, in order.

    Raises:
        ValueError: the widths differ.
    """
    probabilities = np.asarray(probabilities)
    if probabilities.shape[-1] != len(vocabulary):
        raise ValueError(
            "`probabilities` must have a column for each label of `vocabulary`. "
            f"Received: shape={probabilities.shape}, {len(vocabulary)} labels"
        )
    targets = [COMPETITION_LABELS.index(word_to_label(word)) for word in vocabulary]
    return probabilities @ np.eye(len(COMPETITION_LABELS), dtype=probabilities.dtype)[targets]


def most_probable(probabilities: np.ndarray, vocabulary: Sequence[str] = COMPETITION_LABELS) -> np.ndarray:
    """The label of the highest probability. Shape: `(clips, len(vocabulary))` -> `(clips,)` array of str."""
    return np.asarray(vocabulary)[np.argmax(probabilities, axis=-1)]


def rescale_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Softmax of the logarithms of probabilities, divided by a temperature; the order of the labels stays.

    Shape: `(clips, num_classes)` -> the same.

    Args:
        probabilities: a model's outputs.
        temperature: above 0; above 1 the probabilities become more alike, below 1 less.

    Source: arXiv 1706.04599. Logarithms of probabilities take the place of logits: they differ by a constant a clip.
    """
    if temperature == 1:
        return np.asarray(probabilities)
    powers = np.asarray(probabilities, dtype=float) ** (1 / temperature)
    return powers / powers.sum(axis=-1, keepdims=True)


def _negative_entropy(commands):
    """Negative entropy over the commands; the probability of the other labels is spread evenly over the commands, so
    that a confident `unknown` scores like full uncertainty.
    """
    spread = np.maximum(commands + (1 - commands.sum(axis=1, keepdims=True)) / len(COMMANDS), 1e-12)
    return (spread * np.log(spread)).sum(axis=1)


def _margin(values):
    """Difference between the most probable command and the most probable other label."""
    best = values[:, : len(COMMANDS)].argmax(axis=1)[:, None]
    others = values.copy()
    np.put_along_axis(others, best, -np.inf, axis=1)
    return np.take_along_axis(values, best, axis=1)[:, 0] - others.max(axis=1)


#: Name -> score from probabilities over the twelve labels, `(clips, 12)` -> `(clips,)`; higher: more likely a command.
SCORES = {
    "probability": lambda values: values[:, : len(COMMANDS)].max(axis=1),
    "known": lambda values: values[:, : len(COMMANDS)].sum(axis=1),
    "entropy": lambda values: _negative_entropy(values[:, : len(COMMANDS)]),
    "margin": _margin,
}


def rejection_score(
    probabilities: np.ndarray, vocabulary: Sequence[str], score: str = "probability", temperature: float = 1.0
) -> np.ndarray:
    """Score that is high where a model is confident that a clip is one of the ten commands.

    Shape: `(clips, len(vocabulary))` -> `(clips,)`.

    Args:
        probabilities: a model's outputs.
        vocabulary: its labels, in order.
        score: `probability` of the best command (arXiv 1610.02136); `known`, that of all commands together; `entropy`,
            negative, over the commands; `margin`, the best command over the best other label.
        temperature: above 0; divides the logarithms of the probabilities.
    """
    return SCORES[score](competition_probabilities(rescale_temperature(probabilities, temperature), vocabulary))


def reject(values: np.ndarray, scores: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """The most probable labels, with `unknown` for commands under a threshold, and their confidences.

    Shape: `(clips, 12)`, `(clips,)` -> labels `(clips,)` str, confidences `(clips,)` in [0, 1]: the probability of the
        label; where a command was rejected, 1 minus that of the command.

    Args:
        values: probabilities over the twelve labels.
        scores: score of each clip, from `rejection_score`.
        threshold: a command with a lower score becomes `unknown`.
    """
    answers, confidences = most_probable(values), values.max(axis=1)
    is_rejected = np.isin(answers, COMMANDS) & (np.asarray(scores) < threshold)
    return np.where(is_rejected, UNKNOWN, answers), np.where(is_rejected, 1 - confidences, confidences)


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclasses.dataclass(frozen=True)
class Rejection:
    """Rule from probabilities to labels: the most probable of the twelve labels, `unknown` for a doubtful command.

    The default rejects nothing.

    Args:
        score: one of `SCORES`.
        temperature: temperature of the probabilities, above 0, for score and confidence.
        threshold: a command with a lower score is `unknown`. Minus infinity rejects nothing.

    Raises:
        ValueError: no such score, or a number out of range.
    """

    score: str = "probability"
    temperature: float = 1.0
    threshold: float = -math.inf

    def __post_init__(self):
        if self.score not in tuple(SCORES):
            raise ValueError(f"`score` must be one of {tuple(SCORES)}. Received: score={self.score!r}")
        if not _is_number(self.temperature) or not 0 < self.temperature < math.inf:
            raise ValueError(f"`temperature` must be a number above 0. Received: temperature={self.temperature!r}")
        if not _is_number(self.threshold) or not self.threshold < math.inf:
            raise ValueError(f"`threshold` must be a number. Received: threshold={self.threshold!r}")

    def with_threshold(self, threshold: float | None) -> "Rejection":
        """A copy with another threshold; None keeps the threshold."""
        return self if threshold is None else dataclasses.replace(self, threshold=threshold)

    def values(self, probabilities: np.ndarray, vocabulary: Sequence[str]) -> np.ndarray:
        """Probabilities over the twelve labels, at the temperature. Shape: `(clips, len(vocabulary))` -> `(clips, 12)`.

        Args:
            probabilities: a model's outputs.
            vocabulary: its labels, in order.
        """
        return competition_probabilities(rescale_temperature(probabilities, self.temperature), vocabulary)

    def apply(self, probabilities: np.ndarray, vocabulary: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Labels and confidences. Shape: `(clips, len(vocabulary))` -> `(clips,)` str, `(clips,)` from 0 to 1.

        Args:
            probabilities: a model's outputs.
            vocabulary: its labels, in order.
        """
        values = self.values(probabilities, vocabulary)
        return reject(values, SCORES[self.score](values), self.threshold)


#: For a model without a `rejection.json`.
NOTHING_REJECTED = Rejection()


def write_rejection(rejection: Rejection, folder: Path | str, model: str) -> Path:
    """Write a `Rejection` to the folder of the model that it was chosen for.

    Args:
        rejection: rule to write.
        folder: folder of the model.
        model: fingerprint of the model (`models.folder.model_fingerprint`, or a recogniser's `settings["model"]`).

    Returns:
        The path of the file.
    """
    path = Path(folder) / FILE_NAME
    content = json.dumps(dataclasses.asdict(rejection) | {"model": model}, indent=2) + "\n"
    replace_file(path, lambda partial_path: partial_path.write_text(content))
    return path


def read_rejection(folder: Path | str, model: str) -> Rejection:
    """Read the `Rejection` of a model; without a file, the one that rejects nothing.

    Args:
        folder: folder of the model.
        model: fingerprint of the model.

    Raises:
        ValueError: the file was not written by `write_rejection`, or is of another model; names the file.
    """
    path = Path(folder) / FILE_NAME
    if not path.exists():
        return NOTHING_REJECTED
    try:
        content = json.loads(path.read_text())
        chosen_for = content.pop("model")
        rejection = Rejection(**content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path}: must hold the score, temperature and threshold that `threshold` chose. Received: {error}"
        ) from error
    if chosen_for != model:
        raise ValueError(
            f"{path}: must be chosen for the model beside it, {model}. Choose it again with "
            f"`kaggle-speech threshold --run {folder}`, or remove it. Received: one for {chosen_for}"
        )
    return rejection


def copy_rejection(folder: Path | str, model: str, out_dir: Path | str, out_model: str) -> None:
    """Copy the `rejection.json` of a model, if there is one, to the folder of a copy; that of another model goes.

    Args:
        folder: folder of the model.
        model: its fingerprint.
        out_dir: folder of the copied model.
        out_model: fingerprint of the copy.
    """
    if (Path(folder) / FILE_NAME).exists():
        write_rejection(read_rejection(folder, model), out_dir, out_model)
        return
    try:
        read_rejection(out_dir, out_model)
    except ValueError:
        (Path(out_dir) / FILE_NAME).unlink()
