"""The two-layer CNN on a picture of MFCC or on one of the spectrogram: the simplest architecture."""

import keras
from keras import layers

from kaggle_speech.features.filters import FeatureSpec
from kaggle_speech.features.layers import MFCC, SpectrogramImage
from kaggle_speech.models.blocks import CepstralMeanNormalization, classifier, standardize, waveform_input

#: 32 ms windows every 16 ms: 63 frames of 40 coefficients keep the 7x7 convolutions affordable.
SPEC = FeatureSpec(
    frame_length=512, frame_step=256, fft_length=512, num_mel_bins=40, num_mfcc=40, dynamic_range_db=60.0
)


def build_cnn(
    num_classes: int,
    spec: FeatureSpec = SPEC,
    features: str = "mfcc",
    image_size: int = 64,
    num_filters: tuple[int, int] = (56, 112),
    dropout_rate: float = 0.3,
) -> keras.Model:
    """Two 7x7 convolutions with pooling, two dense layers.

    Shape: `(batch, 16000)` waveform -> `(batch, num_classes)` probabilities.

    Args:
        num_classes: outputs.
        spec: `FeatureSpec` of the MFCC, or of the spectrogram.
        features: `mfcc`, or `spectrogram_image` (in colours, as for the VGG).
        image_size: pixels of that image, height and width.
        num_filters: of the two convolutions.
        dropout_rate: after the convolutions and after the dense layers.

    Raises:
        ValueError: `features` is neither.
    """
    if features not in ("mfcc", "spectrogram_image"):
        raise ValueError(f"`features` must be mfcc or spectrogram_image. Received: features={features!r}")
    waveform = waveform_input()
    if features == "mfcc":
        x = CepstralMeanNormalization(name="cepstral_mean_normalization")(MFCC(spec, name="mfcc")(waveform))
        x = standardize(x)
        x = layers.Reshape((*x.shape[1:], 1))(x)
    else:
        x = SpectrogramImage(spec, image_size, image_size, name="spectrogram_image")(waveform)
        x = layers.Rescaling(2.0, -1.0)(x)
    for filters in num_filters:
        x = layers.Conv2D(filters, 7, activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(dropout_rate)(x)
    x = layers.Dense(256, activation="relu")(x)
    x = layers.Dense(256, activation="relu")(x)
    x = layers.Dropout(dropout_rate)(x)
    return keras.Model(waveform, classifier(x, num_classes), name="cnn")
