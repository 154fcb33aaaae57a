"""Waveform augmentation in the graph: shift, speed, tempo, pitch, gain, background noise, mixup.

Every op takes what it draws as an argument or from a stateless seed, so that the
same seed gives the same batch, however many threads work on the pipeline.
"""

import tensorflow as tf

from kaggle_speech.audio import SAMPLE_RATE
from kaggle_speech.data.augmentation import Augmentation


def _resample(waveform, first, last, num_samples):
    """Read clips at `num_samples` equal steps from a position to another (linear interpolation); zero outside.

    Shape: `(batch, samples)`, `(batch,)`, `(batch,)` positions in samples -> `(batch, num_samples)`.
    """
    num_clips, length = tf.unstack(tf.shape(waveform))
    # A crop box per clip, in the op's coordinates: 0 is the first sample, 1 the last.
    zero = tf.zeros_like(first)
    boxes = tf.stack([zero, first, zero, last], axis=1) / tf.cast(length - 1, tf.float32)
    image = waveform[:, None, :, None]
    return tf.image.crop_and_resize(image, boxes, tf.range(num_clips), (1, num_samples))[:, 0, :, 0]


def shift_and_speed(waveform, shift, speed):
    """Move clips in time and play them faster or slower about their middle (linear interpolation).

    Shape: `(batch, samples)` -> the same; what comes from outside the clip is zero.

    Args:
        waveform: float.
        shift: `(batch,)`, samples; positive is later.
        speed: `(batch,)`, above 1 is faster and higher.
    """
    num_samples = tf.shape(waveform)[1]
    middle = tf.cast(num_samples - 1, tf.float32) / 2
    return _resample(waveform, middle - (middle + shift) * speed, middle + (middle - shift) * speed, num_samples)


def change_tempo_and_pitch(waveform, tempo, pitch, max_stretch=2.0):
    """Play clips faster or slower, and higher or lower, about their middle.

    Shape: `(batch, samples)` -> the same.

    Args:
        waveform: float.
        tempo: `(batch,)`, above 1 is faster.
        pitch: `(batch,)`, above 1 is higher: 2 is an octave.
        max_stretch: the largest `pitch / tempo` there is; what lasts longer is cut.
    """
    num_samples = tf.shape(waveform)[1]
    middle = tf.cast(num_samples - 1, tf.float32) / 2
    stretched = time_stretch(waveform, tempo / pitch, int(max_stretch * waveform.shape[1]))
    stretched_middle = middle * pitch / tempo
    return _resample(stretched, stretched_middle - middle * pitch, stretched_middle + middle * pitch, num_samples)


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
        augmentation: the limits. The first clips are those whose tempo and pitch change: shuffle before.
        noise: `(noise_samples,)` float, the recordings that background noise is cut from; None adds none.
    """
    num_clips = tf.shape(waveform)[0]
    seeds = tf.unstack(tf.random.split(seed, 10))

    def draw(index, low, high):
        return tf.random.stateless_uniform((num_clips,), seeds[index], low, high)

    if augmentation.vocoder_fraction * max(augmentation.tempo_fraction, augmentation.pitch_semitones) > 0:
        num_changed = tf.cast(tf.math.ceil(augmentation.vocoder_fraction * tf.cast(num_clips, tf.float32)), tf.int32)
        tempo = draw(6, 1 - augmentation.tempo_fraction, 1 + augmentation.tempo_fraction)[:num_changed]
        pitch = 2 ** (draw(7, -augmentation.pitch_semitones, augmentation.pitch_semitones)[:num_changed] / 12)
        max_stretch = 2 ** (augmentation.pitch_semitones / 12) / (1 - augmentation.tempo_fraction)
        changed = change_tempo_and_pitch(waveform[:num_changed], tempo, pitch, max_stretch)
        waveform = tf.concat([changed, waveform[num_changed:]], axis=0)
    shift = draw(0, -augmentation.shift_ms, augmentation.shift_ms) * SAMPLE_RATE / 1000
    speed = draw(1, 1 - augmentation.speed_fraction, 1 + augmentation.speed_fraction)
    waveform = shift_and_speed(waveform, shift, speed)
    waveform = change_gain(waveform, draw(2, -augmentation.gain_db, augmentation.gain_db))
    if noise is not None and augmentation.noise_fraction > 0:
        segment = draw_noise(noise, num_clips, tf.shape(waveform)[1], seeds[3])
        segment *= tf.cast(draw(4, 0.0, 1.0) < augmentation.noise_fraction, tf.float32)[:, None]
        snr_db = draw(5, augmentation.min_snr_db, augmentation.max_snr_db)
        waveform = mix_at_snr(waveform, segment, snr_db)
    if augmentation.hiss_std > 0:
        hiss = tf.random.stateless_normal(tf.shape(waveform), seeds[8])
        waveform += hiss * draw(9, 0.0, augmentation.hiss_std)[:, None]
    return tf.clip_by_value(waveform, -1.0, 1.0)


def mixup(waveform, target, seed, alpha=0.4):
    """Blend every clip, and its target, with another one of the batch.

    Shape: `(batch, samples)`, `(batch, num_classes)` -> the same two.

    Args:
        waveform: float.
        target: float, one row a clip: one-hot or probabilities.
        seed: `(2,)` integers; the same seed gives the same result.
        alpha: of the Beta distribution that each clip's share is drawn from; small: one of the two prevails.

    Source: arXiv 1710.09412.
    """
    num_clips = tf.shape(waveform)[0]
    seeds = tf.unstack(tf.random.split(seed, 3))
    mine, other = (tf.random.stateless_gamma((num_clips, 1), seeds[index], alpha) for index in (0, 1))
    share = tf.math.divide_no_nan(mine, mine + other)
    share = tf.maximum(share, 1 - share)  # the clip itself prevails
    partner = tf.random.experimental.stateless_shuffle(tf.range(num_clips), seeds[2])
    return tuple(share * values + (1 - share) * tf.gather(values, partner) for values in (waveform, target))


FFT_LENGTH = 512
FRAME_STEP = FFT_LENGTH // 4
#: A bin below has no phase of its own.
MIN_MAGNITUDE = 1e-10


def time_stretch(waveform, rate, num_samples):
    """Play clips faster (`rate` above 1) or slower at the same pitch, from their beginning.

    Phases are carried along as unit numbers, multiplied frame by frame: no arc tangent, no cosine.

    Shape: `(batch, samples)`, `(batch,)` -> `(batch, num_samples)`, zeros after `samples / rate`.

    Source: Flanagan and Golden (1966); `librosa.phase_vocoder` with 512 points, hop 128 and zero padding.
    """
    num_frames = 1 + num_samples // FRAME_STEP
    padding = [[0, 0], [FFT_LENGTH // 2, FFT_LENGTH // 2]]
    spectrum = tf.signal.stft(tf.pad(waveform, padding), FFT_LENGTH, FRAME_STEP, FFT_LENGTH)
    last_frame = tf.shape(spectrum)[1]
    spectrum = tf.pad(spectrum, [[0, 0], [0, 2], [0, 0]])
    magnitude = tf.abs(spectrum)
    phase = spectrum / tf.cast(tf.maximum(magnitude, MIN_MAGNITUDE), tf.complex64)
    phase = tf.where(magnitude > MIN_MAGNITUDE, phase, tf.ones_like(phase))
    advance = phase[:, 1:] * tf.math.conj(phase[:, :-1])

    position = tf.range(num_frames, dtype=tf.float32) * rate[:, None]
    frame_index = tf.minimum(tf.cast(position, tf.int32), last_frame)
    share = (position - tf.floor(position))[..., None]
    before, after = (tf.gather(magnitude, frame_index + offset, batch_dims=1) for offset in (0, 1))
    turned = tf.math.cumprod(tf.gather(advance, frame_index, batch_dims=1), axis=1, exclusive=True)
    stretched = tf.cast((1 - share) * before + share * after, tf.complex64) * turned * phase[:, :1]

    window_fn = tf.signal.inverse_stft_window_fn(FRAME_STEP)
    clips = tf.signal.inverse_stft(stretched, FFT_LENGTH, FRAME_STEP, FFT_LENGTH, window_fn)
    return clips[:, FFT_LENGTH // 2 : FFT_LENGTH // 2 + num_samples]
