"""Layers and blocks of several architectures: SpecAugment (time and frequency masks), normalisations, classifier."""

from typing import Any

import keras
from keras import layers, ops

from kaggle_speech.audio import CLIP_SAMPLES
from kaggle_speech.models.anatomy import PROBABILITIES, WAVEFORM

#: At Keras' 0.99 the initial moving statistics count for hundreds of steps, which spoils the scores of a short run.
BATCH_NORM_MOMENTUM = 0.95


def waveform_input() -> keras.KerasTensor:
    """The input of every word recogniser: one clip, float in [-1, 1].

    Shape: `(batch, CLIP_SAMPLES)`.
    """
    return keras.Input((CLIP_SAMPLES,), name=WAVEFORM)


def classifier(x: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    """Probabilities of the labels: the last layer of every word recogniser. Float32 under any dtype policy.

    Shape: `(batch, channels)` -> `(batch, num_classes)`.

    Args:
        x: one vector a clip.
        num_classes: labels.
    """
    return layers.Dense(num_classes, activation="softmax", dtype="float32", name=PROBABILITIES)(x)


def standardize(
    x: keras.KerasTensor, name: str = "standardize", mask: keras.KerasTensor | None = None
) -> keras.KerasTensor:
    """Scale each coefficient to zero mean and unit variance over the training set. Float32 under any dtype policy.

    It is a batch normalisation without a learned scale and offset.

    Shape: `(batch, frames, coefficients)` -> the same.

    Args:
        x: features.
        name: of the layer.
        mask: `(batch, frames)` bool, frames that count; None for all.
    """
    normalization = layers.BatchNormalization(
        momentum=BATCH_NORM_MOMENTUM, center=False, scale=False, dtype="float32", name=name
    )
    return normalization(x, mask=mask)


@keras.saving.register_keras_serializable("kaggle_speech")
class CepstralMeanNormalization(layers.Layer):
    """Subtract each clip's mean over time from every coefficient, which removes volume and fixed filters.

    Float32 under any dtype policy. The mask of the call, `(batch, frames)` bool, tells the frames that count.

    Shape: `(batch, frames, coefficients)` -> the same.

    Source: Atal (1974), doi:10.1121/1.1914702.
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.supports_masking = True

    def call(self, features: Any, mask: Any = None) -> Any:
        if mask is None:
            return features - ops.mean(features, axis=1, keepdims=True)
        counts = ops.cast(mask, features.dtype)[:, :, None]
        return features - ops.sum(features * counts, axis=1, keepdims=True) / ops.sum(counts, axis=1, keepdims=True)


@keras.saving.register_keras_serializable("kaggle_speech")
class SpecAugment(layers.Layer):
    """Mask random bands of frames and of coefficients while training; the identity otherwise.

    Each clip has its own bands. A masked value is zero, the mean of standardised features.

    Shape: `(batch, frames, coefficients)` -> the same.

    Args:
        num_time_masks: bands of frames.
        max_time_frames: width of the widest such band, in frames.
        num_frequency_masks: bands of coefficients.
        max_frequency_bins: width of the widest such band, in coefficients.
        seed: of the random bands.

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
        self.num_time_masks = num_time_masks
        self.max_time_frames = max_time_frames
        self.num_frequency_masks = num_frequency_masks
        self.max_frequency_bins = max_frequency_bins
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

    def call(self, features: Any, training: bool = False) -> Any:
        if not training:
            return features
        batch_size, num_frames, num_bins = ops.shape(features)
        time = self._keep(batch_size, num_frames, self.num_time_masks, self.max_time_frames)
        frequency = self._keep(batch_size, num_bins, self.num_frequency_masks, self.max_frequency_bins)
        return features * time[:, :, None] * frequency[:, None, :]

    def get_config(self) -> dict[str, Any]:
        names = ("num_time_masks", "max_time_frames", "num_frequency_masks", "max_frequency_bins", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("kaggle_speech")
class BatchNormalization(layers.BatchNormalization):
    """Batch normalisation of images; with TensorFlow a training step takes one fused operation instead of ten.

    Weights, statistics and results are those of the layer of Keras that it extends.

    Shape: `(batch, height, width, channels)` -> the same.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not training or mask is not None or keras.backend.backend() != "tensorflow":
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf  # only where it is the backend

        scale, offset = (tf.cast(weight, tf.float32) for weight in (self.gamma, self.beta))
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=scale, offset=offset, mean=[], variance=[], epsilon=self.epsilon
        )
        num_values = tf.cast(tf.size(inputs) // inputs.shape[-1], variance.dtype)
        batch_statistics = (mean, variance * (num_values - 1) / num_values)  # Keras' variance is that of the batch
        for moving, of_batch in zip((self.moving_mean, self.moving_variance), batch_statistics, strict=True):
            moving.assign(self.momentum * moving + (1 - self.momentum) * of_batch)
        return outputs


@keras.saving.register_keras_serializable("kaggle_speech")
class SubSpectralNormalization(layers.Layer):
    """Batch normalisation of each sub-band of the frequency axis, with its own scale and offset.

    Shape: `(batch, frequency, time, channels)` -> the same; `frequency` a multiple of `num_subbands`.

    Args:
        num_subbands: bands of equal width, from low to high.
        momentum: share of the old moving statistics that each batch keeps.
        epsilon: added to the variance.

    Source: arXiv 2103.13620.
    """

    def __init__(self, num_subbands=5, momentum=0.99, epsilon=1e-3, **kwargs):
        super().__init__(**kwargs)
        self.num_subbands = num_subbands
        self.momentum = momentum
        self.epsilon = epsilon
        self.batch_norm = BatchNormalization(momentum=momentum, epsilon=epsilon, dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        _, num_bins, num_frames, num_channels = input_shape
        self.by_band = (-1, self.num_subbands, num_bins // self.num_subbands, num_frames, num_channels)
        self.batch_norm.build((None, self.by_band[2], num_frames, self.num_subbands * num_channels))

    def call(self, features: Any, training: bool = False) -> Any:
        _, num_subbands, num_bins, num_frames, num_channels = self.by_band
        shape = (-1, num_subbands * num_bins, num_frames, num_channels)
        if not training:  # a multiplication and an addition, which is all that an exported file holds
            norm = self.batch_norm
            scale = norm.gamma * ops.rsqrt(norm.moving_variance + self.epsilon)
            offset = norm.beta - norm.moving_mean * scale
            by_row = (ops.repeat(ops.reshape(x, (num_subbands, 1, num_channels)), num_bins, 0) for x in (scale, offset))
            scale, offset = (ops.cast(x, features.dtype) for x in by_row)
            return features * scale + offset
        # Sub-bands become channels beside each other, so that one fused operation normalises them all.
        x = ops.transpose(ops.reshape(features, self.by_band), (0, 2, 3, 1, 4))
        x = self.batch_norm(ops.reshape(x, (-1, num_bins, num_frames, num_subbands * num_channels)), training=training)
        x = ops.transpose(ops.reshape(x, (-1, num_bins, num_frames, num_subbands, num_channels)), (0, 3, 1, 2, 4))
        return ops.reshape(x, shape)

    def get_config(self) -> dict[str, Any]:
        names = ("num_subbands", "momentum", "epsilon")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
