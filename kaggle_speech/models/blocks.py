"""Pieces that several architectures share."""

import keras
from keras import layers, ops

from kaggle_speech.audio import CLIP_SAMPLES

#: Keras' 0.99 takes hundreds of steps to forget where it started: a short run would be judged by it.
BATCH_NORM_MOMENTUM = 0.95


def waveform_input():
    """The input of every model: `(batch, CLIP_SAMPLES)`, float in [-1, 1]."""
    return keras.Input((CLIP_SAMPLES,), name="waveform")


def classifier(x, num_classes):
    """The last layer of every model. Shape: `(batch, channels)` -> `(batch, num_classes)` probabilities, float32."""
    return layers.Dense(num_classes, activation="softmax", dtype="float32", name="probabilities")(x)


def standardize(x, name="standardize", mask=None):
    """Zero mean and unit variance for each coefficient, over the training set (a batch normalisation without scale).

    Shape: `(batch, frames, coefficients)` -> the same. Float32 under any dtype policy. `mask`, `(batch, frames)` bool,
        says which frames count.
    """
    options = {"center": False, "scale": False, "dtype": "float32", "name": name}
    return layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, **options)(x, mask=mask)


@keras.saving.register_keras_serializable("kaggle_speech")
class CepstralMeanNormalization(layers.Layer):
    """Take each clip's mean over time off every coefficient: what a microphone, a room or a volume adds throughout.

    Shape: `(batch, frames, coefficients)` -> the same. Float32 under any dtype policy. `mask`, `(batch, frames)` bool,
        says which frames count.

    Source: Atal (1974), doi:10.1121/1.1914702.
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.supports_masking = True

    def call(self, features, mask=None):
        if mask is None:
            return features - ops.mean(features, axis=1, keepdims=True)
        counts = ops.cast(mask, features.dtype)[:, :, None]
        return features - ops.sum(features * counts, axis=1, keepdims=True) / ops.sum(counts, axis=1, keepdims=True)


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
        self.supports_masking = True
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
        start = ops.floor(start * (ops.cast(length, start.dtype) - width + 1))
        position = ops.cast(ops.arange(length), start.dtype)
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


@keras.saving.register_keras_serializable("kaggle_speech")
class SubSpectralNormalization(layers.Layer):
    """Batch normalisation of each sub-band of the frequency axis by itself, with a scale and an offset of its own.

    Shape: `(batch, frequency, time, channels)` -> the same; `frequency` a multiple of `num_subbands`.

    Args:
        num_subbands: bands of equal width, from low to high.
        momentum: share of the old moving statistics that each batch keeps.
        epsilon: added to the variance.

    Source: arXiv 2103.13620.
    """

    def __init__(self, num_subbands=5, momentum=0.99, epsilon=1e-3, **kwargs):
        super().__init__(**kwargs)
        self.num_subbands, self.momentum, self.epsilon = num_subbands, momentum, epsilon
        self.batch_norm = layers.BatchNormalization(momentum=momentum, epsilon=epsilon, dtype=self.dtype_policy)

    def build(self, input_shape):
        _, num_bins, num_frames, num_channels = input_shape
        self.by_band = (-1, self.num_subbands, num_bins // self.num_subbands, num_frames, num_channels)
        self.batch_norm.build((None, self.by_band[2], num_frames, self.num_subbands * num_channels))

    def call(self, features, training=False):
        _, num_subbands, num_bins, num_frames, num_channels = self.by_band
        shape = (-1, num_subbands * num_bins, num_frames, num_channels)
        if not training:  # a multiplication and an addition, which is all that an exported file holds
            norm = self.batch_norm
            scale = norm.gamma * ops.rsqrt(norm.moving_variance + self.epsilon)
            offset = norm.beta - norm.moving_mean * scale
            per_band = (num_subbands, 1, 1, num_channels)
            scale, offset = (ops.cast(ops.reshape(x, per_band), features.dtype) for x in (scale, offset))
            return ops.reshape(ops.reshape(features, self.by_band) * scale + offset, shape)
        # Sub-bands become channels beside each other, so that one fused operation normalises them all.
        x = ops.transpose(ops.reshape(features, self.by_band), (0, 2, 3, 1, 4))
        x = self.batch_norm(ops.reshape(x, (-1, num_bins, num_frames, num_subbands * num_channels)), training=training)
        x = ops.transpose(ops.reshape(x, (-1, num_bins, num_frames, num_subbands, num_channels)), (0, 3, 1, 2, 4))
        return ops.reshape(x, shape)

    def get_config(self):
        names = ("num_subbands", "momentum", "epsilon")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
