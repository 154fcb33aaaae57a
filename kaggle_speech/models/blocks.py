"""Pieces that several architectures share."""

import keras
from keras import layers, ops

from kaggle_speech.audio import CLIP_SAMPLES

#: Keras' 0.99 takes hundreds of steps to forget where it started: a short run would be judged by it.
BATCH_NORM_MOMENTUM = 0.95


def waveform_input():
    """The input of every model: `(batch, CLIP_SAMPLES)`, float in [-1, 1]."""
    return keras.Input((CLIP_SAMPLES,), name="waveform")


def standardize(x, name="standardize"):
    """Zero mean and unit variance for each coefficient, over the training set (a batch normalisation without scale).

    Shape: `(batch, frames, coefficients)` -> the same.
    """
    return layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, center=False, scale=False, name=name)(x)


@keras.saving.register_keras_serializable("kaggle_speech")
class SpecAugment(layers.Layer):
    """Blank out bands of time and of coefficients while training; pass everything through otherwise.

    Each clip draws its own bands; a blank is zero, the mean of standardised features.

    Shape: `(batch, frames, coefficients)` -> the same.

    Args:
        num_time_masks, max_time_frames: how many bands of frames, and the longest, in frames.
        num_frequency_masks, max_frequency_bins: how many bands of coefficients, and the widest.
        seed: of the drawing.

    Source: arXiv 1904.08779, without time warping.
    """

    def __init__(
        self,
        num_time_masks=2,
        max_time_frames=15,
        num_frequency_masks=1,
        max_frequency_bins=5,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.seed = seed
        self.num_time_masks, self.max_time_frames = num_time_masks, max_time_frames
        self.num_frequency_masks, self.max_frequency_bins = num_frequency_masks, max_frequency_bins
        self.seed_generator = keras.random.SeedGenerator(seed)

    def _keep(self, batch_size, length, num_masks, max_width):
        """Ones, with zeros in `num_masks` bands. Shape: `(batch, length)`."""
        width, start = (
            keras.random.uniform((batch_size, num_masks, 1), seed=self.seed_generator) * limit
            for limit in (max_width + 1, 1)
        )
        width = ops.floor(width)
        start = ops.floor(start * (length - width + 1))
        position = ops.arange(length, dtype=start.dtype)
        masked = ops.logical_and(position >= start, position < start + width)
        return 1 - ops.cast(ops.any(masked, axis=1), self.compute_dtype)

    def call(self, features, training=False):
        if not training:
            return features
        batch_size, num_frames, num_bins = ops.shape(features)
        time = self._keep(batch_size, num_frames, self.num_time_masks, self.max_time_frames)
        frequency = self._keep(batch_size, num_bins, self.num_frequency_masks, self.max_frequency_bins)
        return features * time[:, :, None] * frequency[:, None, :]

    def get_config(self):
        names = ("num_time_masks", "max_time_frames", "num_frequency_masks", "max_frequency_bins", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
