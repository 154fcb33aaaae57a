"""BC-ResNet: frequency-wise 2-D features, and a 1-D branch over time that is broadcast back over frequency."""

import keras
from keras import layers, ops

from kaggle_speech.features.filters import FeatureSpec
from kaggle_speech.features.layers import LogMelSpectrogram
from kaggle_speech.models.blocks import (
    BATCH_NORM_MOMENTUM,
    BatchNormalization,
    SpecAugment,
    SubSpectralNormalization,
    classifier,
    standardize,
    waveform_input,
)

#: 40 mel bins of 30 ms windows, every 10 ms, as in the paper.
SPEC = FeatureSpec(frame_length=480, frame_step=160, fft_length=512, num_mel_bins=40, num_mfcc=40)
#: Stages: filters over the base width, blocks, stride over frequency, dilation over time.
STAGES = ((1.0, 2, 1, 1), (1.5, 2, 2, 2), (2.0, 4, 2, 4), (2.5, 4, 1, 8))


def _batch_norm(x):
    return BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(x)


def _convolution(x, filters, kernel_size=1, strides=1, padding="same"):
    x = _batch_norm(layers.Conv2D(filters, kernel_size, strides, padding=padding, use_bias=False)(x))
    return layers.Activation("relu")(x)


def _every_second_row(x):
    """Rows 1, 3, 5, ...: after a convolution as if it had the stride (2, 1), which TensorFlow refuses without oneDNN.

    Shape: `(batch, frequency, time, channels)` -> `(batch, frequency // 2, time, channels)`; `frequency` even.
        Of two rows in one the second half is taken: TensorFlow is ten times slower at `x[:, 1::2]`.
    """
    _, num_rows, num_frames, num_channels = x.shape
    return ops.reshape(x, (-1, num_rows // 2, 2 * num_frames, num_channels))[:, :, num_frames:]


def _broadcast_block(x, filters, stride, dilation, num_subbands, dropout_rate):
    """`y = x + f2(x) + broadcast(f1(mean over frequency of f2(x)))`; a block that changes the width has no `x`."""
    shortcut = x
    is_transition = x.shape[-1] != filters
    if is_transition:
        x = _convolution(x, filters)
    x = layers.DepthwiseConv2D((3, 1), padding="same", use_bias=False)(x)
    if stride == 2:
        x = _every_second_row(x)
    x = SubSpectralNormalization(num_subbands, momentum=BATCH_NORM_MOMENTUM)(x)
    time = layers.AveragePooling2D((x.shape[1], 1))(x)
    time = layers.DepthwiseConv2D((1, 3), padding="same", dilation_rate=(1, dilation), use_bias=False)(time)
    time = layers.Activation("silu")(_batch_norm(time))
    time = layers.Conv2D(filters, 1, use_bias=False)(time)
    time = layers.SpatialDropout2D(dropout_rate)(time)
    return layers.Activation("relu")(layers.Add()([x, time] if is_transition else [shortcut, x, time]))


def build_bc_resnet(
    num_classes: int,
    spec: FeatureSpec = SPEC,
    width: float = 1,
    num_subbands: int = 5,
    dropout_rate: float = 0.1,
    time_stride: int = 1,
    spec_augment: bool = True,
) -> keras.Model:
    """BC-ResNet; its width is the paper's tau.

    Shape: `(batch, 16000)` waveform -> `(batch, num_classes)` probabilities.

    Args:
        num_classes: outputs.
        spec: `FeatureSpec` of the log-mel spectrogram; `num_mel_bins` a multiple of 8 times `num_subbands`.
        width: 1, 1.5, 2, 3, 6 or 8 in the paper; it multiplies the number of filters.
        num_subbands: frequency bands that are normalised apart.
        dropout_rate: of whole channels, in every block.
        time_stride: frames that the first convolution steps over; 1 in the paper. 2 halves the time of training and of
            recognition; the dilations are halved with it, so that the blocks reach as far as before.
        spec_augment: whether bands of the spectrogram are masked while training; in the paper not at width 1.

    Raises:
        ValueError: `spec.num_mel_bins` does not divide into the sub-bands.

    Source: arXiv 2106.04140 (9.2k parameters at width 1, 321k at 8, 12 classes).
    """
    if spec.num_mel_bins % (8 * num_subbands):
        raise ValueError(
            "`spec.num_mel_bins` must be a multiple of 8 * num_subbands. "
            f"Received: num_mel_bins={spec.num_mel_bins}, num_subbands={num_subbands}"
        )
    base = int(8 * width)
    waveform = waveform_input()
    x = standardize(LogMelSpectrogram(spec, name="log_mel_spectrogram")(waveform))
    if spec_augment:
        x = SpecAugment(name="spec_augment")(x)
    x = layers.Permute((2, 1))(x)
    x = layers.Reshape((*x.shape[1:], 1))(x)  # (frequency, time, 1)
    x = _convolution(x, 2 * base, 5, (2, time_stride))
    for multiple, num_blocks, stride, dilation in STAGES:
        dilation = max(1, dilation // time_stride)
        for block_index in range(num_blocks):
            strides = 1 if block_index else stride
            x = _broadcast_block(x, int(base * multiple), strides, dilation, num_subbands, dropout_rate)
    x = layers.ZeroPadding2D((0, 2))(x)
    x = layers.DepthwiseConv2D(5, use_bias=False)(x)
    x = _convolution(x, 4 * base)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(waveform, classifier(x, num_classes), name=f"bc_resnet{width:g}".replace(".", "_"))
