"""Chunks of a stream: input check, ring buffer, level, voice activity detection. NumPy only."""

import numpy as np

from kaggle_speech.audio import INT16_SCALE, SAMPLE_RATE

#: Samples of a stream that stay available for display.
BUFFER_SAMPLES = 3 * SAMPLE_RATE
#: Level reported for digital silence, whose logarithm does not exist.
MIN_LEVEL_DBFS = -100.0


def level_dbfs(waveform: np.ndarray) -> float:
    """Mean power in dB; a square wave of full scale has 0. Shape: `(samples,)` -> float, -100 or above."""
    power = float(np.mean(np.square(waveform, dtype="float64"))) if len(waveform) else 0.0
    return max(10 * float(np.log10(power)), MIN_LEVEL_DBFS) if power > 0 else MIN_LEVEL_DBFS


class RingBuffer:
    """The last samples of a stream.

    Args:
        num_samples: size; zeros at first.
    """

    def __init__(self, num_samples: int = BUFFER_SAMPLES):
        self._samples = np.zeros(num_samples, "float32")
        self._end = 0

    def append(self, waveform: np.ndarray) -> None:
        """Add samples at the end. Shape: `(samples,)`."""
        waveform = waveform[-len(self._samples) :]
        head = min(len(waveform), len(self._samples) - self._end)
        self._samples[self._end : self._end + head] = waveform[:head]
        self._samples[: len(waveform) - head] = waveform[head:]
        self._end = (self._end + len(waveform)) % len(self._samples)

    def latest(self, num_samples: int) -> np.ndarray:
        """A copy of the last samples, the newest last. Shape: -> `(num_samples,)` float32."""
        start = self._end - num_samples
        if start >= 0:
            return self._samples[start : self._end].copy()
        return np.concatenate([self._samples[start:], self._samples[: self._end]])


class VoiceActivity:
    """Voice activity detector: energy above a noise floor that follows the quietest of the last seconds.

    Args:
        hop_ms: time between two calls of `update`.
        margin_db: distance above the floor at which a hop counts as loud.
        rise_db_per_s: speed at which the floor rises; it falls at once.
        hangover_ms: time after the last loud hop that still counts as active.
        min_dbfs: lowest floor, and the first one, so that a stream may begin with a word.
    """

    def __init__(
        self,
        hop_ms: float,
        margin_db: float = 6.0,
        rise_db_per_s: float = 3.0,
        hangover_ms: float = 800.0,
        min_dbfs: float = -65.0,
    ):
        self.margin_db = margin_db
        self.min_dbfs = min_dbfs
        self.rise_db = rise_db_per_s * hop_ms / 1000
        self.hangover_hops = max(1, round(hangover_ms / hop_ms))
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self.floor_dbfs = self.min_dbfs
        self.level_dbfs = MIN_LEVEL_DBFS
        self._num_quiet_hops = self.hangover_hops

    @property
    def is_active(self) -> bool:
        """Whether one of the last hops was loud."""
        return self._num_quiet_hops < self.hangover_hops

    def update(self, level: float) -> bool:
        """Process the level of the next hop.

        Args:
            level: in dBFS.

        Returns:
            `is_active`.
        """
        self.level_dbfs = level
        self.floor_dbfs = max(self.min_dbfs, min(self.floor_dbfs + self.rise_db, level))
        is_loud = level > self.floor_dbfs + self.margin_db
        self._num_quiet_hops = 0 if is_loud else self._num_quiet_hops + 1
        return self.is_active


def check_chunk(chunk: np.ndarray) -> np.ndarray:
    """A chunk of a stream as float32, checked.

    Shape: `(samples,)`, float in [-1, 1] or int16 -> `(samples,)` float32.

    Raises:
        ValueError: the chunk is not mono, neither float nor int16, or holds NaN or infinity.
    """
    chunk = np.asarray(chunk)
    if chunk.ndim != 1:
        raise ValueError(f"`chunk` must be mono, of shape (samples,). Received: shape={chunk.shape}")
    if chunk.dtype == np.int16:
        return chunk / np.float32(INT16_SCALE)
    if not np.issubdtype(chunk.dtype, np.floating):
        raise ValueError(f"`chunk` must be float in [-1, 1] or int16. Received: dtype={chunk.dtype}")
    if not np.isfinite(chunk).all():
        raise ValueError(f"`chunk` must be finite. Received: {np.sum(~np.isfinite(chunk))} samples of NaN or infinity")
    return chunk.astype("float32")
