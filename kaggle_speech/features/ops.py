"""Waveform to spectrogram, log-mel, MFCC or image, as Keras operations.

Everything is a convolution or a matrix product with fixed weights, written with
`keras.ops`, so that the frontend runs on any Keras backend, inside `tf.data`, and
inside a saved model. `keras.ops.stft` is not used: its export to ONNX and LiteRT
gives graphs that no runtime loads.

The conventions are librosa's (Slaney mel scale and normalisation, decibels with a
floor under each clip's own maximum, orthonormal DCT-II), so each value can be
compared with it. Each clip stands alone: its features do not depend on its batch.
"""

import functools
from typing import Any

import numpy as np
from keras import ops

from kaggle_speech.features.filters import MIN_POWER, FeatureSpec, dct_matrix, dft_columns, dft_kernels, mel_matrix

#: A tensor of the Keras backend, or an array.
Tensor = Any


@functools.lru_cache(maxsize=4)
def _color_table(color_map):
    """256 colours of a matplotlib map. Shape: `(256, 3)`, float32 in [0, 1]."""
    import matplotlib

    return matplotlib.colormaps[color_map](np.arange(256))[:, :3].astype("float32")


def pre_emphasis(waveform: Tensor, share: float = 0.97) -> Tensor:
    """Subtract a share of the previous sample from each sample, which raises treble; a zero precedes the first.

    Shape: `(..., samples)` -> the same.

    Args:
        waveform: float.
        share: 0 to 1.

    Source: `librosa.effects.preemphasis` with `zi=[0]`.
    """
    before = ops.concatenate([ops.zeros_like(waveform[..., :1]), waveform[..., :-1]], axis=-1)
    return waveform - share * before


def _power_columns(waveform, spec):
    """Bins of `power_spectrogram` in another order, some of them twice; `filters.dft_columns` holds their columns.

    Shape: `(..., samples)` -> `(..., frames, columns)`.
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
    num_frames = spec.num_frames(ops.shape(waveform)[-1])
    cosine_sums, sine_sums = _part_transforms(waveform, num_frames, spec)
    if spec.dft_radix == 4:
        cosine_sums, sine_sums = _combine_quarters(cosine_sums, sine_sums)
    powers = [ops.square(cosine) + ops.square(sine) for cosine, sine in zip(cosine_sums, sine_sums, strict=True)]
    power = ops.concatenate(powers, axis=-1)
    return ops.reshape(power, (*leading, num_frames, power.shape[-1]))


def _part_transforms(waveform, num_frames, spec):
    """Windowed Fourier transform of each part of every frame: part r holds the samples r, r + radix, r + 2 radix, ...

    Returns:
        Two lists with an element for each part, `(batch, frames, frequencies)`: sums with cosines (the real part), and
        with sines (the negative imaginary part).
    """
    radix = spec.dft_radix
    kernels = dft_kernels(spec.frame_length, spec.fft_length, radix)
    end = (num_frames - 1) * spec.frame_step + radix * len(kernels[0])  # of the last frame
    half = spec.frame_length // 2 if spec.centered else 0
    signal = ops.pad(ops.reshape(waveform, (-1, ops.shape(waveform)[-1])), ((0, 0), (half, half + radix)))
    signal = ops.reshape(signal[:, :end], (-1, end // radix, radix))
    strides = spec.frame_step // radix
    sums = [ops.conv(signal[..., part : part + 1], kernel, strides) for part, kernel in enumerate(kernels)]
    num_frequencies = kernels[0].shape[-1] // 2
    return [part[..., :num_frequencies] for part in sums], [part[..., num_frequencies:] for part in sums]


def _combine_quarters(c, s):
    """Radix-4 butterfly: the transform of a frame from those of its four parts, with a quarter of the multiplications.

    Let A[r] = c[r] - j s[r] be the transform of part r at the bins k = 0 .. N / 8. Bin k + m N / 4 of the frame is

        X[m] = A[0] + (-j)^m A[1] + (-1)^m A[2] + j^m A[3],   m = 0 .. 3

    or, with X[m] = C[m] - j S[m],

        C[0] = (c[0] + c[2]) + (c[1] + c[3])        S[0] = (s[0] + s[2]) + (s[1] + s[3])
        C[1] = (c[0] - c[2]) - (s[1] - s[3])        S[1] = (s[0] - s[2]) + (c[1] - c[3])
        C[2] = (c[0] + c[2]) - (c[1] + c[3])        S[2] = (s[0] + s[2]) - (s[1] + s[3])
        C[3] = (c[0] - c[2]) + (s[1] - s[3])        S[3] = (s[0] - s[2]) - (c[1] - c[3])

    Args:
        c, s: lists of four, as from `_part_transforms`.

    Returns:
        The lists C and S.

    Source: Cooley and Tukey 1965, decimation in time.
    """
    c_even, c_odd = c[0] + c[2], c[1] + c[3]
    c_even_difference, c_odd_difference = c[0] - c[2], c[1] - c[3]
    s_even, s_odd = s[0] + s[2], s[1] + s[3]
    s_even_difference, s_odd_difference = s[0] - s[2], s[1] - s[3]
    real = [
        c_even + c_odd,
        c_even_difference - s_odd_difference,
        c_even - c_odd,
        c_even_difference + s_odd_difference,
    ]
    negative_imaginary = [
        s_even + s_odd,
        s_even_difference + c_odd_difference,
        s_even - s_odd,
        s_even_difference - c_odd_difference,
    ]
    return real, negative_imaginary


def power_spectrogram(waveform: Tensor, spec: FeatureSpec = FeatureSpec()) -> Tensor:
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


def power_to_db(power: Tensor, dynamic_range_db: float = 80.0) -> Tensor:
    """Decibels, 10 log10(power), at most `dynamic_range_db` under the maximum of the same clip.

    Shape: `(..., frames, bins)` -> the same.

    Args:
        power: >= 0; below `MIN_POWER` it counts as that.
        dynamic_range_db: > 0.

    Source: `librosa.power_to_db` with `ref=1`, clip by clip.
    """
    decibels = 10 * ops.log10(ops.maximum(power, MIN_POWER))
    return ops.maximum(decibels, ops.max(decibels, axis=(-2, -1), keepdims=True) - dynamic_range_db)


def log_mel_spectrogram(waveform: Tensor, spec: FeatureSpec = FeatureSpec()) -> Tensor:
    """Mel spectrogram in decibels, frame by frame.

    Shape: `(..., samples)` -> `(..., spec.num_frames(samples), spec.num_mel_bins)`.

    Args:
        waveform: float, in [-1, 1].
        spec: `FeatureSpec`.

    Raises:
        ValueError: the waveform is shorter than a frame.

    Source: `librosa.feature.melspectrogram`, then `librosa.power_to_db`.
    """
    power = _power_columns(waveform, spec)
    weights = np.zeros((power.shape[-1], spec.num_mel_bins), "float32")
    weights[dft_columns(spec.fft_length, spec.dft_radix)] = mel_matrix(spec)
    return power_to_db(ops.matmul(power, weights), spec.dynamic_range_db)


def mfcc(waveform: Tensor, spec: FeatureSpec = FeatureSpec()) -> Tensor:
    """Mel-frequency cepstral coefficients, frame by frame.

    Shape: `(..., samples)` -> `(..., spec.num_frames(samples), spec.num_mfcc)`.

    Args:
        waveform: float, in [-1, 1].
        spec: `FeatureSpec`.

    Raises:
        ValueError: the waveform is shorter than a frame.

    Source: `librosa.feature.mfcc`.
    """
    decibels = log_mel_spectrogram(waveform, spec)
    dct = dct_matrix(spec.num_mel_bins, spec.num_mfcc)
    # A sum of values near -50 loses digits in float32: transform the deviations, add the mean's share after.
    mean = ops.mean(decibels, axis=-1, keepdims=True)
    return ops.matmul(decibels - mean, dct) + mean * dct.sum(axis=0, dtype="float64").astype("float32")


def spectrogram_image(
    waveform: Tensor,
    spec: FeatureSpec = FeatureSpec(),
    height: int = 160,
    width: int = 160,
    color_map: str = "viridis",
) -> Tensor:
    """Image of the log-power spectrogram: time runs right, frequency up, power is colour.

    Shape: `(..., samples)` -> `(..., height, width, 3)`, in [0, 1].

    Args:
        waveform: float, in [-1, 1].
        spec: `FeatureSpec`.
        height, width: pixels.
        color_map: name of a matplotlib colour map; its ends are the floor and the maximum of each clip.

    Raises:
        ValueError: the waveform is shorter than a frame.
    """
    decibels = power_to_db(power_spectrogram(waveform, spec), spec.dynamic_range_db)
    floor = ops.max(decibels, axis=(-2, -1), keepdims=True) - spec.dynamic_range_db
    level = ops.flip(ops.swapaxes((decibels - floor) / spec.dynamic_range_db, -2, -1), axis=-2)
    leading = ops.shape(level)[:-2]
    level = ops.reshape(level, (-1, *ops.shape(level)[-2:], 1))
    level = ops.image.resize(level, (height, width), data_format="channels_last")[..., 0]
    index = ops.cast(ops.round(255 * ops.clip(level, 0, 1)), "int32")
    return ops.reshape(ops.take(_color_table(color_map), index, axis=0), (*leading, height, width, 3))
