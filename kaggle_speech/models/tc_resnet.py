"""TC-ResNet: convolutions over time only, each cepstral coefficient a channel. Small and fast: the default."""

import keras
from keras import layers

from kaggle_speech.features.filters import FeatureSpec
from kaggle_speech.features.layers import MFCC
from kaggle_speech.models.blocks import (
    BATCH_NORM_MOMENTUM,
    CepstralMeanNormalization,
    SpecAugment,
    classifier,
    standardize,
    waveform_input,
)

#: 40 coefficients of 30 ms windows, every 10 ms, as in the paper. Sound 60 dB below the maximum is the room's, not
#: the word's.
SPEC = FeatureSpec(
    frame_length=480, frame_step=160, fft_length=512, num_mel_bins=64, num_mfcc=40, dynamic_range_db=60.0
)


def _convolution(x, filters, kernel_size, strides=1, activation="relu"):
    x = layers.Conv1D(filters, kernel_size, strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(x)
    return layers.Activation(activation)(x) if activation else x


def _residual_block(x, filters, strides, kernel_size=9):
    shortcut = x
    if strides != 1 or x.shape[-1] != filters:
        shortcut = _convolution(x, filters, 1, strides)
    x = _convolution(x, filters, kernel_size, strides)
    x = _convolution(x, filters, kernel_size, activation=None)
    return layers.Activation("relu")(layers.Add()([x, shortcut]))


def build_tc_resnet(
    num_classes: int,
    spec: FeatureSpec = SPEC,
    num_layers: int = 8,
    width: float = 1.0,
    dropout_rate: float = 0.1,
) -> keras.Model:
    """TC-ResNet8 or TC-ResNet14.

    Shape: `(batch, 16000)` waveform -> `(batch, num_classes)` probabilities.

    Args:
        num_classes: outputs.
        spec: `FeatureSpec` of the MFCC.
        num_layers: 8 (one residual block per width) or 14 (two).
        width: multiplies the number of filters (1 and 1.5 in the paper).
        dropout_rate: before the last layer.

    Raises:
        ValueError: `num_layers` is neither 8 nor 14.

    Source: arXiv 1904.03814 (66k parameters for 8 layers, width 1, 12 classes).
    """
    if num_layers not in (8, 14):
        raise ValueError(f"`num_layers` must be 8 or 14. Received: num_layers={num_layers!r}")
    waveform = waveform_input()
    x = CepstralMeanNormalization(name="cepstral_mean_normalization")(MFCC(spec, name="mfcc")(waveform))
    x = standardize(x)
    x = SpecAugment(name="spec_augment")(x)
    x = _convolution(x, int(16 * width), 3)
    for filters in (24, 32, 48):
        for strides in (2,) if num_layers == 8 else (2, 1):
            x = _residual_block(x, int(filters * width), strides)
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dropout(dropout_rate)(x)
    return keras.Model(waveform, classifier(x, num_classes), name=f"tc_resnet{num_layers}")
