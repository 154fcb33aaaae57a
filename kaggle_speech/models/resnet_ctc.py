"""ResNet-CTC: residual convolutions and bidirectional GRU layers; a character or a blank every 25 ms. Transcriber."""

from typing import Any

import keras
from keras import layers, ops

from kaggle_speech.features.filters import FeatureSpec
from kaggle_speech.features.layers import LogMelSpectrogram
from kaggle_speech.models.anatomy import NUM_SAMPLES, OUTPUT_MASK, WAVEFORM
from kaggle_speech.models.blocks import CepstralMeanNormalization, SpecAugment, standardize
from kaggle_speech.text.alphabet import BLANK_INDEX, IMPOSSIBLE

#: Windows of 25 ms every 12.5 ms; the strides keep every second one.
SPEC = FeatureSpec(frame_step=200, num_mel_bins=64)
#: Strides of the first convolution, in time and in frequency.
STRIDES = (2, 2)
#: Samples from one output to the next.
OUTPUT_STEP = SPEC.frame_step * STRIDES[0]

#: Arguments of `build_resnet_ctc` by size: `small` and `medium` train on two processor cores, `base` is for a GPU.
SIZES = {
    "small": {
        "num_filters": 16,
        "num_residual_blocks": 2,
        "num_units": 128,
        "num_recurrent_blocks": 2,
        "frames_per_step": 1,
    },
    "medium": {
        "num_filters": 16,
        "num_residual_blocks": 2,
        "num_units": 192,
        "num_recurrent_blocks": 3,
        "frames_per_step": 2,
    },
    "base": {
        "num_filters": 32,
        "num_residual_blocks": 5,
        "num_units": 512,
        "num_recurrent_blocks": 5,
        "frames_per_step": 1,
    },
}


def num_output_frames(num_samples: int) -> int:
    """Number of outputs for a waveform: one at its beginning, and one every 25 ms.

    Args:
        num_samples: length of the waveform.
    """
    return 1 + num_samples // OUTPUT_STEP


@keras.saving.register_keras_serializable("kaggle_speech")
class FrameMask(layers.Layer):
    """Mask that is True for frames of the waveform and False for those of the padding after it.

    Shape: `(batch, frames, ...)`, `(batch,)` samples -> `(batch, frames)` bool.

    Args:
        frame_step: samples from one frame to the next; the first is at the first sample.
    """

    def __init__(self, frame_step, **kwargs):
        super().__init__(**kwargs)
        self.frame_step = frame_step

    def call(self, frames: Any, num_samples: Any) -> Any:
        start = self.frame_step * ops.arange(ops.shape(frames)[1], dtype="int32")
        return start[None] <= ops.cast(num_samples, "int32")[:, None]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "frame_step": self.frame_step}


@keras.saving.register_keras_serializable("kaggle_speech")
class LogProbabilities(layers.Layer):
    """Logits to log-probabilities; padding is blank with certainty, so that it adds no text and no loss.

    Shape: `(batch, frames, characters)`, `(batch, frames)` bool -> `(batch, frames, characters)`, float32.
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.supports_masking = True

    def compute_mask(self, *_: Any) -> None:
        """Return no mask: the loss counts all frames, and those of padding add 0."""

    def call(self, logits: Any, frame_mask: Any) -> Any:
        is_blank = ops.arange(ops.shape(logits)[-1]) == BLANK_INDEX
        return ops.where(frame_mask[:, :, None], ops.log_softmax(logits), ops.where(is_blank, 0.0, IMPOSSIBLE))


@keras.saving.register_keras_serializable("kaggle_speech")
class JoinBands(layers.Layer):
    """One vector of all frequencies and channels for each frame. `keras.layers.Reshape` fails for it on JAX.

    Shape: `(batch, frames, frequencies, channels)` -> `(batch, frames, frequencies * channels)`.
    """

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        batch_size, num_frames, num_frequencies, num_channels = input_shape
        return batch_size, num_frames, num_frequencies * num_channels

    def call(self, features: Any) -> Any:
        return ops.reshape(features, (ops.shape(features)[0], -1, features.shape[2] * features.shape[3]))


@keras.saving.register_keras_serializable("kaggle_speech")
class SplitFrames(layers.Layer):
    """Several frames of each step, as many as another tensor has.

    Shape: `(batch, steps, num_frames * channels)`, `(batch, frames, ...)` -> `(batch, frames, channels)`.

    Args:
        num_frames: frames of a step.
    """

    def __init__(self, num_frames, **kwargs):
        super().__init__(**kwargs)
        self.num_frames = num_frames
        self.supports_masking = True

    def compute_mask(self, *_: Any) -> None:
        """Return no mask: that of the steps does not fit the frames."""

    def compute_output_shape(self, steps_shape: tuple[Any, ...], frames_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return *frames_shape[:2], steps_shape[2] // self.num_frames

    def call(self, steps: Any, frames: Any) -> Any:
        split = ops.reshape(steps, (ops.shape(steps)[0], -1, steps.shape[2] // self.num_frames))
        return split[:, : ops.shape(frames)[1]]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_frames": self.num_frames}


def _residual_block(x, keep, num_filters, dropout_rate):
    """Add dropout, GELU and a 3x3 convolution, twice, to the input; frames of padding stay zero."""
    shortcut = x
    for _ in range(2):
        x = layers.Dropout(dropout_rate)(x)
        x = layers.Activation("gelu")(x)
        x = layers.Conv2D(num_filters, 3, padding="same")(x) * keep
    return x + shortcut


def build_resnet_ctc(
    num_classes: int,
    spec: FeatureSpec = SPEC,
    size: str = "small",
    num_filters: int | None = None,
    num_residual_blocks: int | None = None,
    num_units: int | None = None,
    num_recurrent_blocks: int | None = None,
    frames_per_step: int | None = None,
    dropout_rate: float = 0.1,
    recurrent_dropout_rate: float = 0.2,
) -> keras.Model:
    """Build ResNet-CTC: a convolution, residual blocks of convolutions, bidirectional GRU layers, a dense layer.

    The outputs of a waveform depend neither on its padding nor on the other waveforms of the batch.

    Shape: dict of `waveform`, `(batch, samples)` with zeros after the end of each, and `num_samples`, `(batch,)` int32
        lengths -> `(batch, num_output_frames(samples), num_classes)` log-probabilities; the blank in padding.

    Args:
        num_classes: characters, the blank among them; 29 for `alphabet.ALPHABET`.
        spec: `FeatureSpec` of the log-mel spectrogram; centered, so that frame i is at sample i * frame_step.
        size: key of `SIZES`: the values of the following five arguments where they are None.
        num_filters: filters of each convolution.
        num_residual_blocks: blocks of two convolutions each.
        num_units: units of a GRU layer, in each direction.
        num_recurrent_blocks: bidirectional GRU layers.
        frames_per_step: outputs that each step of the GRU layers makes: with 2 they take half the steps, and the model
            still has an output every 25 ms.
        dropout_rate: before each convolution, and before the last layer.
        recurrent_dropout_rate: after each recurrent layer.

    Raises:
        ValueError: `size` is not a key of `SIZES`.

    Source: residual convolutions and GRU of an earlier project; CTC, Graves et al. (2006); the order of the stages,
        Deep Speech 2, arXiv 1512.02595.
    """
    if size not in SIZES:
        raise ValueError(f"`size` must be one of {sorted(SIZES)}. Received: size={size!r}")
    defaults = SIZES[size]
    num_filters = num_filters or defaults["num_filters"]
    num_residual_blocks = num_residual_blocks or defaults["num_residual_blocks"]
    num_units = num_units or defaults["num_units"]
    num_recurrent_blocks = num_recurrent_blocks or defaults["num_recurrent_blocks"]
    frames_per_step = frames_per_step or defaults["frames_per_step"]
    waveform = keras.Input((None,), name=WAVEFORM)
    num_samples = keras.Input((), dtype="int32", name=NUM_SAMPLES)
    x = LogMelSpectrogram(spec, name="log_mel_spectrogram")(waveform)
    mask = FrameMask(spec.frame_step, name="feature_mask")(x, num_samples)
    x = CepstralMeanNormalization(name="cepstral_mean_normalization")(x, mask=mask)
    x = standardize(x, mask=mask)
    x = SpecAugment(
        name="spec_augment", num_time_masks=2, max_time_frames=20, num_frequency_masks=2, max_frequency_bins=12
    )(x)
    x = x[..., None] * ops.cast(mask, x.dtype)[:, :, None, None]
    # The same frames of padding before and after, however long the batch is.
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Conv2D(num_filters, 3, STRIDES)(x)
    mask = FrameMask(spec.frame_step * STRIDES[0], name=OUTPUT_MASK)(x, num_samples)
    x = layers.Dense(num_filters)(x)
    keep = ops.cast(mask, x.dtype)[:, :, None, None]
    x = x * keep
    for _ in range(num_residual_blocks):
        x = _residual_block(x, keep, num_filters, dropout_rate)
    x = JoinBands(name="join_bands")(x)
    step_mask = mask
    if frames_per_step > 1:
        frames = x
        x = layers.ZeroPadding1D((0, frames_per_step - 1))(x)
        x = layers.Conv1D(num_units, frames_per_step, frames_per_step, name="join_frames")(x)
        step_mask = FrameMask(spec.frame_step * STRIDES[0] * frames_per_step, name="step_mask")(x, num_samples)
    for _ in range(num_recurrent_blocks):
        x = layers.LayerNormalization()(x)
        x = layers.Bidirectional(layers.GRU(num_units, return_sequences=True))(x, mask=step_mask)
        x = layers.Dropout(recurrent_dropout_rate)(x)
    x = layers.Dense(frames_per_step * num_units)(x)
    if frames_per_step > 1:
        x = SplitFrames(frames_per_step, name="split_frames")(x, frames)
    x = layers.Activation("gelu")(x)
    x = layers.Dense(num_classes, name="logits")(layers.Dropout(dropout_rate)(x))
    outputs = LogProbabilities(name="log_probabilities")(x, mask)
    return keras.Model({WAVEFORM: waveform, NUM_SAMPLES: num_samples}, outputs, name="resnet_ctc")
