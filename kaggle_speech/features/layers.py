"""Keras layers: one for each feature op, with its `FeatureSpec` in the config."""

import dataclasses
from typing import Any

import keras

from kaggle_speech.features.filters import FeatureSpec
from kaggle_speech.features.ops import Tensor, log_mel_spectrogram, mfcc, power_spectrogram, spectrogram_image


class _FeatureLayer(keras.layers.Layer):
    """A feature op as a layer: no weights, its `FeatureSpec` in the config, float32 under any dtype policy."""

    def __init__(self, spec: FeatureSpec | dict[str, Any] | None = None, **kwargs: Any):
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.spec = FeatureSpec(**spec) if isinstance(spec, dict) else spec or FeatureSpec()

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "spec": dataclasses.asdict(self.spec)}


@keras.saving.register_keras_serializable("kaggle_speech")
class PowerSpectrogram(_FeatureLayer):
    """Layer of the squared magnitude of the windowed Fourier transform; the op is `power_spectrogram`.

    Shape: `(batch, samples)` -> `(batch, frames, num_bins)`.

    Args:
        spec: `FeatureSpec`; None for its defaults.
    """

    def call(self, waveform: Tensor) -> Tensor:
        return power_spectrogram(waveform, self.spec)


@keras.saving.register_keras_serializable("kaggle_speech")
class LogMelSpectrogram(_FeatureLayer):
    """Layer of the mel spectrogram in decibels; the op is `log_mel_spectrogram`.

    Shape: `(batch, samples)` -> `(batch, frames, num_mel_bins)`.

    Args:
        spec: `FeatureSpec`; None for its defaults.
    """

    def call(self, waveform: Tensor) -> Tensor:
        return log_mel_spectrogram(waveform, self.spec)


@keras.saving.register_keras_serializable("kaggle_speech")
class MFCC(_FeatureLayer):
    """Layer of the mel-frequency cepstral coefficients; the op is `mfcc`.

    Shape: `(batch, samples)` -> `(batch, frames, num_mfcc)`.

    Args:
        spec: `FeatureSpec`; None for its defaults.
    """

    def call(self, waveform: Tensor) -> Tensor:
        return mfcc(waveform, self.spec)


@keras.saving.register_keras_serializable("kaggle_speech")
class SpectrogramImage(_FeatureLayer):
    """Layer of the image of the log-power spectrogram; the op is `spectrogram_image`.

    Shape: `(batch, samples)` -> `(batch, height, width, 3)`, in [0, 1].

    Args:
        spec: `FeatureSpec`; None for its defaults.
        height, width: pixels.
        color_map: name of a matplotlib colour map.
    """

    def __init__(
        self,
        spec: FeatureSpec | dict[str, Any] | None = None,
        height: int = 160,
        width: int = 160,
        color_map: str = "viridis",
        **kwargs: Any,
    ):
        super().__init__(spec, **kwargs)
        self.height = height
        self.width = width
        self.color_map = color_map

    def call(self, waveform: Tensor) -> Tensor:
        return spectrogram_image(waveform, self.spec, self.height, self.width, self.color_map)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height": self.height, "width": self.width, "color_map": self.color_map}
