"""VGG-style CNN on a colour picture of the spectrogram, which the model computes itself."""

import keras
from keras import layers

from kaggle_speech.features.filters import FeatureSpec
from kaggle_speech.features.layers import SpectrogramImage
from kaggle_speech.models.blocks import classifier, waveform_input

#: 20 ms windows every 6.25 ms: 161 frames, of 161 frequencies above, close to the pixels of the picture.
SPEC = FeatureSpec(frame_length=320, frame_step=100, fft_length=320, dynamic_range_db=60.0)
#: Filters of the convolutions between two poolings.
STAGES = ((32, 32), (64, 64), (64, 64, 64))


def build_vgg(
    num_classes: int,
    spec: FeatureSpec = SPEC,
    image_size: int = 160,
    stages: tuple[tuple[int, ...], ...] = STAGES,
    dropout_rate: float = 0.25,
) -> keras.Model:
    """5x5 convolutions with pooling on an `image_size` x `image_size` x 3 picture, one dense layer of 1024.

    Shape: `(batch, 16000)` waveform -> `(batch, num_classes)` probabilities.

    Args:
        num_classes: outputs.
        spec: `FeatureSpec` of the log-power spectrogram.
        image_size: pixels, height and width.
        stages: filters of the convolutions, stage by stage.
        dropout_rate: after each stage; twice as much after the dense layer.
    """
    waveform = waveform_input()
    x = SpectrogramImage(spec, image_size, image_size, name="spectrogram_image")(waveform)
    x = layers.Rescaling(2.0, -1.0)(x)
    for stage in stages:
        for filters in stage:
            x = layers.Conv2D(filters, 5, padding="same", activation="relu", kernel_initializer="he_normal")(x)
        x = layers.MaxPooling2D(2)(x)
        x = layers.Dropout(dropout_rate)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(1024, activation="relu")(x)
    x = layers.Dropout(2 * dropout_rate)(x)
    return keras.Model(waveform, classifier(x, num_classes), name="vgg")
