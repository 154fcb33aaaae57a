"""Two convolutions, then bidirectional GRU layers over time."""

import keras
from keras import layers

from kaggle_speech.features.filters import FeatureSpec
from kaggle_speech.features.layers import MFCC, LogMelSpectrogram
from kaggle_speech.models.blocks import (
    BATCH_NORM_MOMENTUM,
    CepstralMeanNormalization,
    SpecAugment,
    classifier,
    standardize,
    waveform_input,
)

#: 16 ms windows every 10 ms, transformed with 384 points.
SPEC = FeatureSpec(
    frame_length=256, frame_step=160, fft_length=384, num_mel_bins=40, num_mfcc=40, dynamic_range_db=60.0
)
FEATURES = {"mfcc": MFCC, "log_mel_spectrogram": LogMelSpectrogram}


def _convolution(x, filters, kernel_size, strides, padding):
    x = layers.ZeroPadding2D(padding)(x)
    x = layers.Conv2D(filters, kernel_size, strides, use_bias=False)(x)
    return layers.Activation("relu")(layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(x))


def build_cnn_bigru(
    num_classes: int,
    spec: FeatureSpec = SPEC,
    features: str = "mfcc",
    num_filters: int = 32,
    num_units: int = 128,
    num_recurrent_layers: int = 2,
    dropout_rate: float = 0.3,
) -> keras.Model:
    """Convolutions of 11x41 and 11x21, bidirectional GRU layers, the mean over time.

    Shape: `(batch, 16000)` waveform -> `(batch, num_classes)` probabilities.

    Args:
        num_classes: outputs.
        spec: `FeatureSpec` of the features.
        features: `mfcc` or `log_mel_spectrogram`.
        num_filters: of both convolutions.
        num_units: of a GRU, in each direction.
        num_recurrent_layers: bidirectional layers.
        dropout_rate: after each recurrent layer.

    Raises:
        ValueError: `features` is neither.

    Source: the convolutions of Deep Speech 2, arXiv 1512.02595.
    """
    if features not in FEATURES:
        raise ValueError(f"`features` must be one of {sorted(FEATURES)}. Received: features={features!r}")
    waveform = waveform_input()
    x = FEATURES[features](spec, name=features)(waveform)
    x = standardize(CepstralMeanNormalization(name="cepstral_mean_normalization")(x))
    x = SpecAugment(name="spec_augment")(x)
    x = layers.Reshape((*x.shape[1:], 1))(x)
    x = _convolution(x, num_filters, (11, 41), (2, 2), (5, 20))
    x = _convolution(x, num_filters, (11, 21), (1, 2), (5, 10))
    x = layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]))(x)
    for _ in range(num_recurrent_layers):
        x = layers.Bidirectional(layers.GRU(num_units, return_sequences=True))(x)
        x = layers.Dropout(dropout_rate)(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(waveform, classifier(x, num_classes), name="cnn_bigru")
