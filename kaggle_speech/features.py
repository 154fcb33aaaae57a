"""Waveform to spectrogram, log-mel, MFCC or image: ops, and one Keras layer per op.

Everything is a convolution or a matrix product with fixed weights, written with
`keras.ops`, so that the frontend runs on any Keras backend, inside `tf.data`, and
inside a saved model. `keras.ops.stft` is not used: its export to ONNX and LiteRT
gives graphs that no runtime loads.

The conventions are librosa's (Slaney mel scale and normalisation, decibels with a
floor under each clip's own maximum, orthonormal DCT-II), so each value can be
compared with it. Each clip stands alone: its features do not depend on its batch.
"""

import dataclasses
import functools
import math

import keras
import numpy as np
from keras import ops

from kaggle_speech.audio import SAMPLE_RATE

#: Powers below are taken for it: -100 dB.
MIN_POWER = 1e-10
MEL_SCALES = ("slaney", "htk")


@dataclasses.dataclass(frozen=True)
class FeatureSpec:
    """How a waveform is cut into frames and what becomes of a frame. Immutable, hashable.

    Args:
        frame_length: samples in a (periodic Hann) window.
        frame_step: samples from one window to the next.
        fft_length: points of the discrete Fourier transform, >= frame_length.
        num_mel_bins: triangular filters between the two edges.
        num_mfcc: cepstral coefficients that are kept, <= num_mel_bins.
        lower_edge_hz, upper_edge_hz: 0 <= lower < upper <= sample_rate / 2.
        mel_scale: `slaney` (librosa's default) or `htk`.
        dynamic_range_db: what lies further under the maximum of its clip is raised to it.
        centered: pad with zeros so that frame i is centred on sample i * frame_step
            (librosa's default); otherwise only whole frames count.
        pre_emphasis: share of the sample before that is taken off each sample, 0 <= pre_emphasis < 1.
        sample_rate: Hz.

    Raises:
        ValueError: a value breaks one of the rules above.
    """

    frame_length: int = 400
    frame_step: int = 160
    fft_length: int = 512
    num_mel_bins: int = 40
    num_mfcc: int = 40
    lower_edge_hz: float = 20.0
    upper_edge_hz: float = 8000.0
    mel_scale: str = "slaney"
    dynamic_range_db: float = 80.0
    centered: bool = True
    pre_emphasis: float = 0.0
    sample_rate: int = SAMPLE_RATE

    def __post_init__(self):
        for name in ("frame_length", "frame_step", "fft_length", "num_mel_bins", "num_mfcc", "sample_rate"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
        if self.fft_length < self.frame_length:
            raise ValueError(
                "`fft_length` must be >= `frame_length`. "
                f"Received: fft_length={self.fft_length}, frame_length={self.frame_length}"
            )
        if self.num_mfcc > self.num_mel_bins:
            raise ValueError(
                "`num_mfcc` must be <= `num_mel_bins`. "
                f"Received: num_mfcc={self.num_mfcc}, num_mel_bins={self.num_mel_bins}"
            )
        if not 0 <= self.lower_edge_hz < self.upper_edge_hz <= self.sample_rate / 2:
            raise ValueError(
                "`lower_edge_hz` and `upper_edge_hz` must satisfy 0 <= lower < upper <= sample_rate / 2. "
                f"Received: {self.lower_edge_hz}, {self.upper_edge_hz}, sample_rate={self.sample_rate}"
            )
        if self.mel_scale not in MEL_SCALES:
            raise ValueError(f"`mel_scale` must be one of {MEL_SCALES}. Received: mel_scale={self.mel_scale!r}")
        if not 0 <= self.pre_emphasis < 1:
            raise ValueError(f"`pre_emphasis` must be in [0, 1). Received: pre_emphasis={self.pre_emphasis!r}")
        if not self.dynamic_range_db > 0:
            raise ValueError(
                f"`dynamic_range_db` must be positive. Received: dynamic_range_db={self.dynamic_range_db!r}"
            )

    @property
    def num_bins(self):
        """Frequencies of the power spectrogram, 0 Hz to half the sample rate."""
        return self.fft_length // 2 + 1

    def num_frames(self, num_samples):
        """Frames of a waveform of so many samples."""
        padding = 2 * (self.frame_length // 2) if self.centered else 0
        return 1 + (num_samples + padding - self.frame_length) // self.frame_step


# --- fixed weights ------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=32)
def _dft_kernel(frame_length, fft_length):
    """Windowed cosines, then sines, as a convolution kernel `(frame_length, 1, 2 * num_bins)`."""
    sample_index = np.arange(frame_length)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * sample_index / frame_length)
    angle = 2 * np.pi * np.outer(sample_index, np.arange(fft_length // 2 + 1)) / fft_length
    kernel = window[:, None] * np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    return kernel[:, None, :].astype("float32")


def hz_to_mel(frequency_hz, mel_scale="slaney"):
    """Mel of a frequency. Source: HTK, 2595 log10(1 + f / 700); Slaney's Auditory Toolbox, linear to 1 kHz."""
    frequency_hz = np.asarray(frequency_hz, dtype="float64")
    if mel_scale == "htk":
        return 2595 * np.log10(1 + frequency_hz / 700)
    above = 15 + np.log(np.maximum(frequency_hz, 1e-9) / 1000) * 27 / math.log(6.4)
    return np.where(frequency_hz < 1000, frequency_hz * 3 / 200, above)


def mel_to_hz(mel, mel_scale="slaney"):
    """The inverse of `hz_to_mel`."""
    mel = np.asarray(mel, dtype="float64")
    if mel_scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * math.log(6.4) / 27))


@functools.lru_cache(maxsize=32)
def mel_matrix(spec):
    """Triangular filters of equal area. Shape: `(num_bins, num_mel_bins)`, float32. Source: `librosa.filters.mel`."""
    edges_mel = hz_to_mel([spec.lower_edge_hz, spec.upper_edge_hz], spec.mel_scale)
    edges_hz = mel_to_hz(np.linspace(*edges_mel, spec.num_mel_bins + 2), spec.mel_scale)
    bins_hz = np.arange(spec.num_bins)[:, None] * spec.sample_rate / spec.fft_length
    rising = (bins_hz - edges_hz[:-2]) / np.diff(edges_hz)[:-1]
    falling = (edges_hz[2:] - bins_hz) / np.diff(edges_hz)[1:]
    area = 2 / (edges_hz[2:] - edges_hz[:-2])
    return (np.maximum(0, np.minimum(rising, falling)) * area).astype("float32")


@functools.lru_cache(maxsize=32)
def dct_matrix(num_mel_bins, num_mfcc):
    """Orthonormal DCT-II. Shape: `(num_mel_bins, num_mfcc)`, float32. Source: `scipy.fft.dct(norm="ortho")`."""
    angle = np.pi / num_mel_bins * np.outer(np.arange(num_mel_bins) + 0.5, np.arange(num_mfcc))
    scale = np.where(np.arange(num_mfcc) == 0, np.sqrt(1 / num_mel_bins), np.sqrt(2 / num_mel_bins))
    return (np.cos(angle) * scale).astype("float32")


@functools.lru_cache(maxsize=4)
def _color_table(color_map):
    """256 colours of a matplotlib map. Shape: `(256, 3)`, float32 in [0, 1]."""
    import matplotlib

    return matplotlib.colormaps[color_map](np.arange(256))[:, :3].astype("float32")


# --- ops ----------------------------------------------------------------------------------------------------------


def pre_emphasis(waveform, share=0.97):
    """Each sample less a share of the one before it: treble is raised. The first sample has a zero before it.

    Shape: `(..., samples)` -> the same. Source: `librosa.effects.preemphasis` with `zi=[0]`.
    """
    before = ops.concatenate([ops.zeros_like(waveform[..., :1]), waveform[..., :-1]], axis=-1)
    return waveform - share * before


def power_spectrogram(waveform, spec=FeatureSpec()):
    """Squared magnitude of the windowed Fourier transform, frame by frame.

    Shape: `(..., samples)` -> `(..., spec.num_frames(samples), spec.num_bins)`.

    Args:
        waveform: float, in [-1, 1].
        spec: `FeatureSpec`.

    Raises:
        ValueError: the waveform is shorter than a frame.

    Source: `numpy.abs(librosa.stft(...)) ** 2`.
    """
    waveform = ops.convert_to_tensor(waveform, dtype="float32")
    num_samples = waveform.shape[-1]
    if num_samples is not None and spec.num_frames(num_samples) < 1:
        raise ValueError(
            f"`waveform` must hold at least one frame of {spec.frame_length} samples. Received: shape={waveform.shape}"
        )
    if spec.pre_emphasis:
        waveform = pre_emphasis(waveform, spec.pre_emphasis)
    leading = ops.shape(waveform)[:-1]
    signal = ops.reshape(waveform, (-1, ops.shape(waveform)[-1], 1))
    if spec.centered:
        half = spec.frame_length // 2
        signal = ops.pad(signal, ((0, 0), (half, half), (0, 0)))
    kernel = _dft_kernel(spec.frame_length, spec.fft_length)
    spectrum = ops.conv(signal, kernel, strides=spec.frame_step, padding="valid")
    power = ops.square(spectrum[..., : spec.num_bins]) + ops.square(spectrum[..., spec.num_bins :])
    return ops.reshape(power, (*leading, ops.shape(power)[1], spec.num_bins))


def power_to_db(power, dynamic_range_db=80.0):
    """Decibels, 10 log10(power), at most `dynamic_range_db` under the maximum of the same clip.

    Shape: `(..., frames, bins)` -> the same. Source: `librosa.power_to_db` with `ref=1`, clip by clip.
    """
    decibels = 10 * ops.log10(ops.maximum(power, MIN_POWER))
    return ops.maximum(decibels, ops.max(decibels, axis=(-2, -1), keepdims=True) - dynamic_range_db)


def log_mel_spectrogram(waveform, spec=FeatureSpec()):
    """Mel energies in decibels, frame by frame.

    Shape: `(..., samples)` -> `(..., spec.num_frames(samples), spec.num_mel_bins)`.
    Args, Raises: as `power_spectrogram`.

    Source: `librosa.feature.melspectrogram`, then `librosa.power_to_db`.
    """
    mel = ops.matmul(power_spectrogram(waveform, spec), mel_matrix(spec))
    return power_to_db(mel, spec.dynamic_range_db)


def mfcc(waveform, spec=FeatureSpec()):
    """Mel-frequency cepstral coefficients, frame by frame.

    Shape: `(..., samples)` -> `(..., spec.num_frames(samples), spec.num_mfcc)`.
    Args, Raises: as `power_spectrogram`.

    Source: `librosa.feature.mfcc`.
    """
    decibels = log_mel_spectrogram(waveform, spec)
    dct = dct_matrix(spec.num_mel_bins, spec.num_mfcc)
    # A sum of values near -50 loses digits in float32: transform the deviations, add the mean's share after.
    mean = ops.mean(decibels, axis=-1, keepdims=True)
    return ops.matmul(decibels - mean, dct) + mean * dct.sum(axis=0, dtype="float64").astype("float32")


def spectrogram_image(waveform, spec=FeatureSpec(), height=160, width=160, color_map="viridis"):
    """The log-power spectrogram as a picture: time runs right, frequency up, loudness is colour.

    Shape: `(..., samples)` -> `(..., height, width, 3)`, in [0, 1]. Args, Raises: as `power_spectrogram`, and
        height, width: pixels.
        color_map: name of a matplotlib colour map; its ends are the clip's floor and maximum.
    """
    decibels = power_to_db(power_spectrogram(waveform, spec), spec.dynamic_range_db)
    floor = ops.max(decibels, axis=(-2, -1), keepdims=True) - spec.dynamic_range_db
    level = ops.flip(ops.swapaxes((decibels - floor) / spec.dynamic_range_db, -2, -1), axis=-2)
    leading = ops.shape(level)[:-2]
    level = ops.reshape(level, (-1, *ops.shape(level)[-2:], 1))
    level = ops.image.resize(level, (height, width), data_format="channels_last")[..., 0]
    index = ops.cast(ops.round(255 * ops.clip(level, 0, 1)), "int32")
    return ops.reshape(ops.take(_color_table(color_map), index, axis=0), (*leading, height, width, 3))


# --- layers -------------------------------------------------------------------------------------------------------


class _FeatureLayer(keras.layers.Layer):
    """A feature op as a layer: no weights, its `FeatureSpec` in the config, float32 under any dtype policy."""

    def __init__(self, spec=None, **kwargs):
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.spec = FeatureSpec(**spec) if isinstance(spec, dict) else spec or FeatureSpec()

    def get_config(self):
        return {**super().get_config(), "spec": dataclasses.asdict(self.spec)}


@keras.saving.register_keras_serializable("kaggle_speech")
class PowerSpectrogram(_FeatureLayer):
    """`power_spectrogram` as a layer. Shape: `(batch, samples)` -> `(batch, frames, num_bins)`."""

    def call(self, waveform):
        return power_spectrogram(waveform, self.spec)


@keras.saving.register_keras_serializable("kaggle_speech")
class LogMelSpectrogram(_FeatureLayer):
    """`log_mel_spectrogram` as a layer. Shape: `(batch, samples)` -> `(batch, frames, num_mel_bins)`."""

    def call(self, waveform):
        return log_mel_spectrogram(waveform, self.spec)


@keras.saving.register_keras_serializable("kaggle_speech")
class MFCC(_FeatureLayer):
    """`mfcc` as a layer. Shape: `(batch, samples)` -> `(batch, frames, num_mfcc)`."""

    def call(self, waveform):
        return mfcc(waveform, self.spec)


@keras.saving.register_keras_serializable("kaggle_speech")
class SpectrogramImage(_FeatureLayer):
    """`spectrogram_image` as a layer. Shape: `(batch, samples)` -> `(batch, height, width, 3)`."""

    def __init__(self, spec=None, height=160, width=160, color_map="viridis", **kwargs):
        super().__init__(spec, **kwargs)
        self.height, self.width, self.color_map = height, width, color_map

    def call(self, waveform):
        return spectrogram_image(waveform, self.spec, self.height, self.width, self.color_map)

    def get_config(self):
        return {**super().get_config(), "height": self.height, "width": self.width, "color_map": self.color_map}
