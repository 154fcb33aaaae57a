"""Occlusion: what a model's answer depends on, from hiding one part of its input after another."""

from collections.abc import Callable

import numpy as np


def occlusion_map(
    predict: Callable[[np.ndarray], np.ndarray],
    features: np.ndarray,
    label_index: int,
    *,
    num_patches: int = 16,
    patch_fraction: float = 0.15,
    fill: np.ndarray | float = 0.0,
    batch_size: int = 32,
) -> np.ndarray:
    """How much the probability of a label falls where a square of the features is hidden.

    Shape: `(height, width, ...)` -> `(num_patches, num_patches)`: squares from the first row and column to the last.

    Args:
        predict: features of a batch in, probabilities out, such as a Keras model.
        features: of one clip.
        label_index: column of the probabilities.
        num_patches: positions of the square along each axis.
        patch_fraction: side of the square over that of the features, above 0, at most 1.
        fill: value in the square, such as that of silence.
        batch_size: squares that are predicted at once.

    Source: Zeiler and Fergus, arXiv 1311.2901, section 4.2.
    """
    features = np.asarray(features)
    sides = [max(1, round(patch_fraction * size)) for size in features.shape[:2]]
    first_rows, first_columns = (
        np.linspace(0, size - side, num_patches).round().astype(int)
        for size, side in zip(features.shape, sides, strict=False)
    )
    hidden = []
    for row in first_rows:
        for column in first_columns:
            copy = features.copy()
            copy[row : row + sides[0], column : column + sides[1]] = fill
            hidden.append(copy)
    parts = [
        np.asarray(predict(np.stack(hidden[first : first + batch_size])))[:, label_index]
        for first in range(0, len(hidden), batch_size)
    ]
    whole = np.asarray(predict(features[None]))[0, label_index]
    return (whole - np.concatenate(parts)).reshape(num_patches, num_patches)
