"""`FeatureSpec`, and the windows, kernels and filters that follow from it. NumPy only.

The conventions are librosa's: Slaney mel scale and normalisation, periodic Hann window, orthonormal DCT-II.
"""

import dataclasses
import functools
import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from kaggle_speech.audio import SAMPLE_RATE

MEL_SCALES = ("slaney", "htk")
#: Lowest power for decibels: -100 dB.
MIN_POWER = 1e-10


@dataclasses.dataclass(frozen=True)
class FeatureSpec:
    """Settings of a spectrogram: frames, Fourier transform, mel filters, decibels. Immutable, hashable.

    Args:
        frame_length: samples in a (periodic Hann) window.
        frame_step: samples from one window to the next.
        fft_length: points of the discrete Fourier transform, >= frame_length.
        num_mel_bins: triangular filters between the two edges.
        num_mfcc: cepstral coefficients that are kept, <= num_mel_bins.
        lower_edge_hz, upper_edge_hz: 0 <= lower < upper <= sample_rate / 2.
        mel_scale: `slaney` (librosa's default) or `htk`.
        dynamic_range_db: values that lie further below the maximum of their clip are raised to this distance.
        centered: pad with zeros so that frame i is centred on sample i * frame_step
            (librosa's default); otherwise only whole frames count.
        pre_emphasis: share of the previous sample that is subtracted from each sample, 0 <= pre_emphasis < 1.
        sample_rate: Hz.

    Raises:
        ValueError: a value breaks one of the rules above.

    Examples:
        >>> spec = FeatureSpec(num_mel_bins=64)
        >>> spec.num_mel_bins, spec.num_bins, spec.num_frames(16_000)
        (64, 257, 101)
        >>> FeatureSpec(fft_length=256)
        Traceback (most recent call last):
            ...
        ValueError: `fft_length` must be >= `frame_length`. Received: fft_length=256, frame_length=400
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
    def num_bins(self) -> int:
        """Number of frequencies of the power spectrogram, 0 Hz to half the sample rate."""
        return self.fft_length // 2 + 1

    def num_frames(self, num_samples: int) -> int:
        """Number of frames of a waveform.

        Args:
            num_samples: length of the waveform.

        Examples:
            >>> FeatureSpec(frame_length=400, frame_step=160, centered=False).num_frames(16_000)
            98
        """
        padding = 2 * (self.frame_length // 2) if self.centered else 0
        return 1 + (num_samples + padding - self.frame_length) // self.frame_step

    @property
    def dft_radix(self) -> int:
        """Number of parts of a frame that are transformed separately: four where the lengths allow it, else one."""
        return 4 if self.fft_length % 8 == 0 and self.frame_step % 4 == 0 else 1


def hann_window(frame_length: int, num_samples: int) -> np.ndarray:
    """Periodic Hann window, padded with zeros at its end.

    Shape: `(num_samples,)`, float64.

    Args:
        frame_length: samples in the window.
        num_samples: length with the zeros, >= frame_length.
    """
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame_length) / frame_length)
    return np.pad(window, (0, num_samples - frame_length))


@functools.lru_cache(maxsize=32)
def dft_kernels(frame_length: int, fft_length: int, radix: int) -> list[np.ndarray]:
    """Convolution kernels of a windowed Fourier transform: cosines, then sines; one kernel for each part of a frame.

    Part r holds the samples r, r + radix, r + 2 radix, ...

    Shape: -> list of `radix` arrays `(taps, 1, 2 * frequencies)`, float32, with
        `frequencies = fft_length // (2 * radix) + 1`, the lowest ones.

    Args:
        frame_length: samples in a window.
        fft_length: points of the transform.
        radix: number of parts, from `dft_radix`.
    """
    sample_index = np.arange(radix * -(-frame_length // radix))
    window = hann_window(frame_length, len(sample_index))
    angle = 2 * np.pi * np.outer(sample_index, np.arange(fft_length // (2 * radix) + 1)) / fft_length
    kernel = window[:, None] * np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    return [kernel[part::radix, None].astype("float32") for part in range(radix)]


@functools.lru_cache(maxsize=32)
def dft_columns(fft_length: int, radix: int) -> np.ndarray:
    """Column of each bin of the power spectrogram in the output of `ops._power_columns`.

    Radix 4 gives the bins k, k + N/4, k + N/2 and k + 3N/4 side by side, for k = 0 .. N/8. A real signal has the same
    power at the bins b and N - b, so the last two are the bins N/2 - k and N/4 - k; some bins occur twice.

    Shape: `(fft_length // 2 + 1,)` indices.

    Args:
        fft_length: points of the transform.
        radix: number of parts, from `dft_radix`.

    Examples:
        >>> dft_columns(16, radix=4)  # the columns hold the bins 0 1 2, 4 5 6, 8 7 6, 4 3 2
        array([ 0,  1,  2, 10,  3,  4,  5,  7,  6])
    """
    low = np.arange(fft_length // (2 * radix) + 1)
    if radix == 1:
        return low
    quarter = fft_length // 4
    bins = np.concatenate([low, quarter + low, 2 * quarter - low, quarter - low])
    first_columns = {bin_index: column for column, bin_index in reversed([*enumerate(bins.tolist())])}
    return np.array([first_columns[bin_index] for bin_index in range(fft_length // 2 + 1)])


def hz_to_mel(frequency_hz: ArrayLike, mel_scale: str = "slaney") -> np.ndarray:
    """Mel of a frequency.

    Args:
        frequency_hz: Hz, >= 0.
        mel_scale: `slaney` or `htk`.

    Source: HTK, 2595 log10(1 + f / 700); Slaney's Auditory Toolbox, linear to 1 kHz.

    Examples:
        >>> hz_to_mel([1000.0, 6400.0]).tolist()
        [15.0, 42.0]
    """
    frequency_hz = np.asarray(frequency_hz, dtype="float64")
    if mel_scale == "htk":
        return 2595 * np.log10(1 + frequency_hz / 700)
    above = 15 + np.log(np.maximum(frequency_hz, 1e-9) / 1000) * 27 / math.log(6.4)
    return np.where(frequency_hz < 1000, frequency_hz * 3 / 200, above)


def mel_to_hz(mel: ArrayLike, mel_scale: str = "slaney") -> np.ndarray:
    """Frequency of a mel, in Hz; the inverse of `hz_to_mel`.

    Args:
        mel: mel, >= 0.
        mel_scale: `slaney` or `htk`.
    """
    mel = np.asarray(mel, dtype="float64")
    if mel_scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * math.log(6.4) / 27))


@functools.lru_cache(maxsize=32)
def mel_matrix(spec: FeatureSpec) -> np.ndarray:
    """Triangular mel filters of equal area.

    Shape: `(num_bins, num_mel_bins)`, float32.

    Args:
        spec: `FeatureSpec`.

    Source: `librosa.filters.mel`.
    """
    lower_mel, upper_mel = hz_to_mel([spec.lower_edge_hz, spec.upper_edge_hz], spec.mel_scale)
    edges_hz = mel_to_hz(np.linspace(lower_mel, upper_mel, spec.num_mel_bins + 2), spec.mel_scale)
    bins_hz = np.arange(spec.num_bins)[:, None] * spec.sample_rate / spec.fft_length
    rising = (bins_hz - edges_hz[:-2]) / np.diff(edges_hz)[:-1]
    falling = (edges_hz[2:] - bins_hz) / np.diff(edges_hz)[1:]
    area = 2 / (edges_hz[2:] - edges_hz[:-2])
    return (np.maximum(0, np.minimum(rising, falling)) * area).astype("float32")


@functools.lru_cache(maxsize=32)
def dct_matrix(num_mel_bins: int, num_mfcc: int) -> np.ndarray:
    """Orthonormal DCT-II.

    Shape: `(num_mel_bins, num_mfcc)`, float32.

    Args:
        num_mel_bins: length of the input.
        num_mfcc: coefficients that are kept, <= num_mel_bins.

    Source: `scipy.fft.dct(norm="ortho")`.
    """
    angle = np.pi / num_mel_bins * np.outer(np.arange(num_mel_bins) + 0.5, np.arange(num_mfcc))
    scale = np.where(np.arange(num_mfcc) == 0, np.sqrt(1 / num_mel_bins), np.sqrt(2 / num_mel_bins))
    return (np.cos(angle) * scale).astype("float32")


@functools.lru_cache(maxsize=32)
def _sparse_filters(spec):
    """Sparse mel filters; their product is quick and starts no threads of a BLAS library."""
    import scipy.sparse

    return scipy.sparse.csr_array(mel_matrix(spec))


def log_mel_levels(
    waveform: np.ndarray, spec: FeatureSpec, *, range_db: float = 60.0, min_top_db: float = -40.0
) -> np.ndarray:
    """Log-mel spectrogram scaled to [0, 1], for a picture; without Keras. Needs SciPy.

    Shape: `(samples,)` -> `(frames, spec.num_mel_bins)` float32.

    Args:
        waveform: float in [-1, 1], at least one frame.
        spec: `FeatureSpec`; whole frames only (`centered=False`), without pre-emphasis.
        range_db: decibels between the levels 0 and 1.
        min_top_db: 1 is the maximum of the waveform, but no less than this.
    """
    frames = sliding_window_view(waveform, spec.frame_length)[:: spec.frame_step]
    window = hann_window(spec.frame_length, spec.frame_length).astype("float32")
    power = np.square(np.abs(np.fft.rfft(frames * window, spec.fft_length)))
    decibels = 10 * np.log10(np.maximum(power @ _sparse_filters(spec), MIN_POWER))
    top_db = max(float(decibels.max()), min_top_db)
    return np.clip((decibels - top_db) / range_db + 1, 0, 1).astype("float32")
