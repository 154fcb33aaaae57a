"""DS-CNN: depthwise-separable convolutions on a small picture of MFCC; the reference network of MLPerf Tiny."""

import keras
from keras import layers

from kaggle_speech.features.filters import FeatureSpec
from kaggle_speech.features.layers import MFCC
from kaggle_speech.models.blocks import BATCH_NORM_MOMENTUM, classifier, standardize, waveform_input

#: 49 frames of 10 coefficients: 30 ms windows every 20 ms, 40 mel bins up to 4 kHz, as in MLPerf Tiny.
SPEC = FeatureSpec(
    frame_length=480, frame_step=320, fft_length=512, num_mel_bins=40, num_mfcc=10, upper_edge_hz=4000.0, centered=False
)


def _normalized(x):
    return layers.Activation("relu")(layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(x))


def build_ds_cnn(
    num_classes: int,
    spec: FeatureSpec = SPEC,
    num_filters: int = 64,
    num_blocks: int = 4,
    dropout_rate: float = 0.4,
) -> keras.Model:
    """One convolution, then depthwise-separable blocks of one width.

    Shape: `(batch, 16000)` waveform -> `(batch, num_classes)` probabilities.

    Args:
        num_classes: outputs.
        spec: `FeatureSpec` of the MFCC.
        num_filters: of every convolution.
        num_blocks: depthwise-separable blocks.
        dropout_rate: before the last layer; half of it after the first convolution.

    Source: arXiv 1711.07128; `keras_model.py` of mlcommons/tiny (24,908 parameters, 12 classes).
    """
    waveform = waveform_input()
    x = standardize(MFCC(spec, name="mfcc")(waveform))
    x = layers.Reshape((*x.shape[1:], 1))(x)
    x = _normalized(layers.Conv2D(num_filters, (10, 4), 2, padding="same")(x))
    x = layers.Dropout(dropout_rate / 2)(x)
    for _ in range(num_blocks):
        x = _normalized(layers.DepthwiseConv2D(3, padding="same")(x))
        x = _normalized(layers.Conv2D(num_filters, 1)(x))
    x = layers.Dropout(dropout_rate)(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(waveform, classifier(x, num_classes), name="ds_cnn")
