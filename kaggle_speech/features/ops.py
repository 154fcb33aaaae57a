"""Waveform to spectrogram, log-mel, MFCC or image: ops, and one Keras layer per op.

Everything is a convolution or a matrix product with fixed weights, written with
`keras.ops`, so that the frontend runs on any Keras backend, inside `tf.data`, and
inside a saved model. `keras.ops.stft` is not used: its export to ONNX and LiteRT
gives graphs that no runtime loads.

The conventions are librosa's (Slaney mel scale and normalisation, decibels with a
floor under each clip's own maximum, orthonormal DCT-II), so each value can be
compared with it. Each clip stands alone: its features do not depend on its batch.
"""

import functools

import numpy as np
from keras import ops

from kaggle_speech.features.filters import FeatureSpec, dct_matrix, dft_columns, dft_kernels, mel_matrix

#: Powers below are taken for it: -100 dB.
MIN_POWER = 1e-10


@functools.lru_cache(maxsize=4)
def _color_table(color_map):
    """256 colours of a matplotlib map. Shape: `(256, 3)`, float32 in [0, 1]."""
    import matplotlib

    return matplotlib.colormaps[color_map](np.arange(256))[:, :3].astype("float32")


def pre_emphasis(waveform, share=0.97):
    """Each sample less a share of the one before it: treble is raised. The first sample has a zero before it.

    Shape: `(..., samples)` -> the same. Source: `librosa.effects.preemphasis` with `zi=[0]`.
    """
    before = ops.concatenate([ops.zeros_like(waveform[..., :1]), waveform[..., :-1]], axis=-1)
    return waveform - share * before


def _power_columns(waveform, spec):
    """The bins of `power_spectrogram` in an order of their own, some twice: `filters.dft_columns` says which is where.

    The transforms of every fourth sample, A[0] to A[3], give all the bins of the whole by sums and differences,
    X[k + m N / 4] = sum over r of (-j)^(r m) A[r][k], with a quarter of the multiplications.
    Source: Cooley and Tukey 1965, decimation in time.
    """
    waveform = ops.convert_to_tensor(waveform, dtype="float32")
    num_samples = waveform.shape[-1]
    if num_samples is not None and spec.num_frames(num_samples) < 1:
        raise ValueError(
            f"`waveform` must hold at least one frame of {spec.frame_length} samples. Received: shape={waveform.shape}"
        )
    if spec.pre_emphasis:
        waveform = pre_emphasis(waveform, spec.pre_emphasis)
    leading, radix = ops.shape(waveform)[:-1], spec.dft_radix
    num_frames = spec.num_frames(ops.shape(waveform)[-1])
    kernels = dft_kernels(spec.frame_length, spec.fft_length, radix)
    end = (num_frames - 1) * spec.frame_step + radix * len(kernels[0])  # of the last frame
    half = spec.frame_length // 2 if spec.centered else 0
    signal = ops.pad(ops.reshape(waveform, (-1, ops.shape(waveform)[-1])), ((0, 0), (half, half + radix)))
    signal = ops.reshape(signal[:, :end], (-1, end // radix, radix))
    strides = spec.frame_step // radix
    sums = [ops.conv(signal[..., part : part + 1], kernel, strides) for part, kernel in enumerate(kernels)]
    num_columns = kernels[0].shape[-1] // 2
    c, s = [x[..., :num_columns] for x in sums], [x[..., num_columns:] for x in sums]  # A = c - js
    if radix == 4:
        (c0, c1, dc0, dc1), (s0, s1, ds0, ds1) = ((x[0] + x[2], x[1] + x[3], x[0] - x[2], x[1] - x[3]) for x in (c, s))
        c, s = [c0 + c1, dc0 - ds1, c0 - c1, dc0 + ds1], [s0 + s1, ds0 + dc1, s0 - s1, ds0 - dc1]
    power = ops.concatenate([ops.square(x) + ops.square(y) for x, y in zip(c, s, strict=True)], axis=-1)
    return ops.reshape(power, (*leading, num_frames, power.shape[-1]))


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
    return ops.take(_power_columns(waveform, spec), dft_columns(spec.fft_length, spec.dft_radix), axis=-1)


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
    power = _power_columns(waveform, spec)
    weights = np.zeros((power.shape[-1], spec.num_mel_bins), "float32")
    weights[dft_columns(spec.fft_length, spec.dft_radix)] = mel_matrix(spec)
    return power_to_db(ops.matmul(power, weights), spec.dynamic_range_db)


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
