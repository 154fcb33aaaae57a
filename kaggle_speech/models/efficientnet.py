"""Networks made for photographs, on a log-mel spectrogram as a picture of three equal channels."""

from pathlib import Path

import keras
from keras import layers

from kaggle_speech.features.filters import FeatureSpec
from kaggle_speech.features.layers import LogMelSpectrogram
from kaggle_speech.models.blocks import BATCH_NORM_MOMENTUM, SpecAugment, classifier, standardize, waveform_input

#: 64 ms windows every 16 ms, 128 mel bins from 50 to 8000 Hz.
SPEC = FeatureSpec(
    frame_length=1024,
    frame_step=256,
    fft_length=1024,
    num_mel_bins=128,
    lower_edge_hz=50.0,
    upper_edge_hz=8000.0,
    pre_emphasis=0.97,
)
BACKBONES = {
    "efficientnet_b0": keras.applications.EfficientNetB0,
    "mobilenet_v3_small": keras.applications.MobileNetV3Small,
}
#: Layers between the backbone and the classifier: units, and the dropout before each.
HEAD = ((1024, 0.5), (512, 0.35), (256, 0.25))


def _backbone(backbone, weights, input_shape):
    """The pretrained part; RuntimeError with advice where ImageNet's weights cannot be downloaded."""
    if weights not in (None, "imagenet") and not Path(weights).is_file():
        raise ValueError(f'`weights` must be None, "imagenet" or a weights file. Received: weights={str(weights)!r}')
    weights = weights if weights in (None, "imagenet") else str(weights)
    try:
        network = BACKBONES[backbone](include_top=False, weights=weights, input_shape=input_shape)
    except Exception as error:
        if weights != "imagenet":
            raise
        raise RuntimeError(
            f'`weights` "imagenet" must be downloaded, which failed: {error}. Without internet, attach the file that '
            "Keras names (`*_notop.h5`) and pass its path, or pass None to train from scratch."
        ) from error
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    return network


def build_efficientnet(
    num_classes: int = 35,
    spec: FeatureSpec = SPEC,
    backbone: str = "efficientnet_b0",
    weights: Path | str | None = None,
    head: tuple[tuple[int, float], ...] = HEAD,
    dropout_rate: float = 0.4,
) -> keras.Model:
    """EfficientNet-B0 (or MobileNetV3-small) with a deep head.

    Shape: `(batch, 16000)` waveform -> `(batch, num_classes)` probabilities.

    Args:
        num_classes: outputs.
        spec: `FeatureSpec` of the log-mel spectrogram.
        backbone: `efficientnet_b0` (drop path 0.2) or `mobilenet_v3_small`.
        weights: None (from scratch), "imagenet" (downloaded by Keras) or the path of a weights file without top.
        head: `(units, dropout)` of each dense layer, with batch normalisation and GELU.
        dropout_rate: before the last layer.

    Raises:
        ValueError: `backbone` or `weights` is none of these.
        RuntimeError: the weights cannot be downloaded; says what to do.

    Source: arXiv 1905.11946, 1905.02244; the weights are those of `keras.applications`.
    """
    if backbone not in BACKBONES:
        raise ValueError(f"`backbone` must be one of {sorted(BACKBONES)}. Received: backbone={backbone!r}")
    waveform = waveform_input()
    x = standardize(LogMelSpectrogram(spec, name="log_mel_spectrogram")(waveform))
    x = SpecAugment(max_time_frames=9, num_frequency_masks=2, max_frequency_bins=15, name="spec_augment")(x)
    x = layers.Permute((2, 1))(x)
    x = layers.Reshape((*x.shape[1:], 1))(x)
    x = layers.Rescaling(64.0, 127.5)(x)  # the inputs of the backbones are pixels, which they scale
    x = layers.Concatenate()([x, x, x])
    x = _backbone(backbone, weights, tuple(x.shape[1:]))(x)
    x = layers.GlobalAveragePooling2D()(x)
    for units, rate in head:
        x = layers.Dropout(rate)(x)
        x = layers.Dense(units)(x)
        x = layers.Activation("gelu")(layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(x))
    x = layers.Dropout(dropout_rate)(x)
    return keras.Model(waveform, classifier(x, num_classes), name=backbone)
