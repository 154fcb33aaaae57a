"""Waveform augmentation in the graph: shift, speed, gain and background noise.

Every op takes what it draws as an argument or from a stateless seed, so that the
same seed gives the same batch, however many threads work on the pipeline.
"""

import dataclasses

import tensorflow as tf

from kaggle_speech.audio import SAMPLE_RATE


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How far a training clip may be changed; each clip draws uniformly within it.

    Args:
        shift_ms: earlier or later by up to so many milliseconds; the gap is zeros.
        speed_fraction: faster or slower by up to this share (pitch moves along).
        gain_db: louder or quieter by up to so many decibels.
        noise_fraction: share of the clips that get background noise.
        min_snr_db, max_snr_db: power of the clip over that of the added noise.

    Raises:
        ValueError: a value is negative, a fraction not below 1, or the SNR range empty.
    """

    shift_ms: float = 100.0
    speed_fraction: float = 0.1
    gain_db: float = 6.0
    noise_fraction: float = 0.5
    min_snr_db: float = 5.0
    max_snr_db: float = 30.0

    def __post_init__(self):
        for name in ("shift_ms", "speed_fraction", "gain_db", "noise_fraction"):
            if getattr(self, name) < 0:
                raise ValueError(f"`{name}` must not be negative. Received: {name}={getattr(self, name)!r}")
        if self.speed_fraction >= 1 or self.noise_fraction > 1:
            raise ValueError(
                "`speed_fraction` must be < 1 and `noise_fraction` <= 1. "
                f"Received: speed_fraction={self.speed_fraction!r}, noise_fraction={self.noise_fraction!r}"
            )
        if self.min_snr_db > self.max_snr_db:
            raise ValueError(
                "`min_snr_db` must be <= `max_snr_db`. "
                f"Received: min_snr_db={self.min_snr_db!r}, max_snr_db={self.max_snr_db!r}"
            )


def shift_and_speed(waveform, shift, speed):
    """Move clips in time and play them faster or slower about their middle (linear interpolation).

    Shape: `(batch, samples)` -> the same; what comes from outside the clip is zero.

    Args:
        waveform: float.
        shift: `(batch,)`, samples; positive is later.
        speed: `(batch,)`, above 1 is faster and higher.
    """
    num_clips, num_samples = tf.unstack(tf.shape(waveform))
    middle = tf.cast(num_samples - 1, tf.float32) / 2
    # A crop box per clip, in the op's coordinates: 0 is the first sample, 1 the last.
    ends = (tf.stack([-middle, middle]) - shift[:, None]) * speed[:, None]
    ends = (ends + middle) / (2 * middle)
    zero = tf.zeros_like(shift)
    boxes = tf.stack([zero, ends[:, 0], zero, ends[:, 1]], axis=1)
    image = waveform[:, None, :, None]
    return tf.image.crop_and_resize(image, boxes, tf.range(num_clips), (1, num_samples))[:, 0, :, 0]


def change_gain(waveform, gain_db):
    """Louder or quieter. Shape: `(batch, samples)`, `(batch,)` dB -> `(batch, samples)`."""
    return waveform * tf.pow(10.0, gain_db[:, None] / 20)


def mix_at_snr(waveform, noise, snr_db):
    """Add noise at a signal-to-noise ratio, in mean power over the whole clip.

    Digital silence, in clip or noise, has no ratio: the clip stays as it is.

    Shape: `(batch, samples)`, `(batch, samples)`, `(batch,)` dB -> `(batch, samples)`.
    """
    signal_power = tf.reduce_mean(tf.square(waveform), axis=1)
    noise_power = tf.reduce_mean(tf.square(noise), axis=1)
    scale = tf.sqrt(tf.math.divide_no_nan(signal_power, noise_power * tf.pow(10.0, snr_db / 10)))
    return waveform + scale[:, None] * noise


def draw_noise(noise, num_clips, num_samples, seed):
    """Cut clips out of a recording at drawn places.

    Shape: `(noise_samples,)` -> `(num_clips, num_samples)`.
    """
    start = tf.random.stateless_uniform((num_clips,), seed, maxval=tf.size(noise) - num_samples + 1, dtype=tf.int32)
    # Slices copy whole clips; one gather of single samples takes twice as long.
    return tf.map_fn(lambda first: noise[first : first + num_samples], start, fn_output_signature=tf.float32)


def augment_waveforms(waveform, seed, augmentation=Augmentation(), noise=None):
    """Apply an `Augmentation` to a batch; every clip draws for itself.

    Shape: `(batch, samples)` -> the same, within [-1, 1].

    Args:
        waveform: float in [-1, 1].
        seed: `(2,)` integers; the same seed gives the same result.
        augmentation: the limits.
        noise: `(noise_samples,)` float, the recordings that background noise is cut from; None adds none.
    """
    num_clips = tf.shape(waveform)[0]
    seeds = tf.unstack(tf.random.split(seed, 6))

    def draw(index, low, high):
        return tf.random.stateless_uniform((num_clips,), seeds[index], low, high)

    shift = draw(0, -augmentation.shift_ms, augmentation.shift_ms) * SAMPLE_RATE / 1000
    speed = draw(1, 1 - augmentation.speed_fraction, 1 + augmentation.speed_fraction)
    waveform = shift_and_speed(waveform, shift, speed)
    waveform = change_gain(waveform, draw(2, -augmentation.gain_db, augmentation.gain_db))
    if noise is not None and augmentation.noise_fraction > 0:
        segment = draw_noise(noise, num_clips, tf.shape(waveform)[1], seeds[3])
        segment *= tf.cast(draw(4, 0.0, 1.0) < augmentation.noise_fraction, tf.float32)[:, None]
        snr_db = draw(5, augmentation.min_snr_db, augmentation.max_snr_db)
        waveform = mix_at_snr(waveform, segment, snr_db)
    return tf.clip_by_value(waveform, -1.0, 1.0)
