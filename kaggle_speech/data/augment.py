"""Waveform augmentation in the graph: shift, speed, tempo, pitch, rooms, gain, background noise, mixup.

Every op takes its random values as an argument or draws them from a stateless seed: the
same seed gives the same batch, whatever the number of threads of the pipeline.
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


def shift_and_speed(waveform: tf.Tensor, shift: tf.Tensor, speed: tf.Tensor) -> tf.Tensor:
    """Move clips in time and play them faster or slower about their middle (linear interpolation).

    Shape: `(batch, samples)` -> the same; samples from outside the clip are zero.

    Args:
        waveform: float.
        shift: `(batch,)`, samples; positive is later.
        speed: `(batch,)`, above 1 is faster and higher.
    """
    num_samples = tf.shape(waveform)[1]
    middle = tf.cast(num_samples - 1, tf.float32) / 2
    return _resample(waveform, middle - (middle + shift) * speed, middle + (middle - shift) * speed, num_samples)


def change_tempo_and_pitch(
    waveform: tf.Tensor, tempo: tf.Tensor, pitch: tf.Tensor, max_stretch: float = 2.0
) -> tf.Tensor:
    """Play clips faster or slower, and higher or lower, about their middle.

    Shape: `(batch, samples)` -> the same.

    Args:
        waveform: float.
        tempo: `(batch,)`, above 1 is faster.
        pitch: `(batch,)`, above 1 is higher: 2 is an octave.
        max_stretch: maximum of `pitch / tempo`; longer clips are cut.
    """
    num_samples = tf.shape(waveform)[1]
    middle = tf.cast(num_samples - 1, tf.float32) / 2
    stretched = time_stretch(waveform, tempo / pitch, int(max_stretch * waveform.shape[1]))
    stretched_middle = middle * pitch / tempo
    return _resample(stretched, stretched_middle - middle * pitch, stretched_middle + middle * pitch, num_samples)


def place_in_rooms(waveform: tf.Tensor, rooms: tf.Tensor, num_clips: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Let some clips, chosen at random, sound in rooms chosen at random.

    Shape: `(batch, samples)` -> the same; what sounds on after the clip is cut off.

    Args:
        waveform: float.
        rooms: `(num_rooms, taps)`, impulse responses (`rooms.make_rooms`).
        num_clips: number of the clips in rooms; only these are convolved.
        seed: `(2,)` integers; the same seed gives the same result.
    """
    batch, num_samples = tf.unstack(tf.shape(waveform))
    clip_seed, room_seed = tf.unstack(tf.random.split(seed, 2))
    chosen = tf.random.experimental.stateless_shuffle(tf.range(batch), clip_seed)[:num_clips]
    room = tf.random.stateless_uniform((num_clips,), room_seed, maxval=tf.shape(rooms)[0], dtype=tf.int32)
    length = num_samples + tf.shape(rooms)[1]
    spectrum, response = (
        tf.signal.rfft(sound, [length]) for sound in (tf.gather(waveform, chosen), tf.gather(rooms, room))
    )
    placed = tf.signal.irfft(spectrum * response, [length])[:, :num_samples]
    return tf.tensor_scatter_nd_update(waveform, chosen[:, None], placed)


def change_gain(waveform: tf.Tensor, gain_db: tf.Tensor) -> tf.Tensor:
    """Make clips louder or quieter.

    Shape: `(batch, samples)`, `(batch,)` dB -> `(batch, samples)`.

    Args:
        waveform: float.
        gain_db: decibels; positive is louder.
    """
    return waveform * tf.pow(10.0, gain_db[:, None] / 20)


def mix_at_snr(waveform: tf.Tensor, noise: tf.Tensor, snr_db: tf.Tensor) -> tf.Tensor:
    """Add noise at a signal-to-noise ratio, in mean power over the whole clip.

    Digital silence, in clip or noise, has no ratio: the clip stays as it is.

    Shape: `(batch, samples)`, `(batch, samples)`, `(batch,)` dB -> `(batch, samples)`.

    Args:
        waveform: float.
        noise: float.
        snr_db: power of the clip over that of the noise, in decibels.
    """
    signal_power = tf.reduce_mean(tf.square(waveform), axis=1)
    noise_power = tf.reduce_mean(tf.square(noise), axis=1)
    scale = tf.sqrt(tf.math.divide_no_nan(signal_power, noise_power * tf.pow(10.0, snr_db / 10)))
    return waveform + scale[:, None] * noise


def draw_noise(noise: tf.Tensor, num_clips: int, num_samples: int, seed: tf.Tensor) -> tf.Tensor:
    """Cut clips out of a recording at random positions.

    Shape: `(noise_samples,)` -> `(num_clips, num_samples)`.

    Args:
        noise: float, at least `num_samples` long.
        num_clips: number of clips.
        num_samples: length of each.
        seed: `(2,)` integers; the same seed gives the same result.
    """
    start = tf.random.stateless_uniform((num_clips,), seed, maxval=tf.size(noise) - num_samples + 1, dtype=tf.int32)
    # Slices copy whole clips; one gather of single samples takes twice as long.
    return tf.map_fn(lambda first: noise[first : first + num_samples], start, fn_output_signature=noise.dtype)


def draw_changes(
    num_clips: tf.Tensor, num_samples: int, seed: tf.Tensor, augmentation: Augmentation, noise: tf.Tensor | None = None
) -> dict[str, tf.Tensor]:
    """Draw what most clips are changed by: shift, speed, gain, background noise.

    `augment_waveforms` applies them here, `training.device_augment` where the network is computed.

    Args:
        num_clips: clips of the batch.
        num_samples: length of each.
        seed: `(2,)` integers; the same seed gives the same result.
        augmentation: limits of the changes.
        noise: `(noise_samples,)`, the recordings that background noise is cut from; None adds none.

    Returns:
        `shift` (samples), `speed`, `gain_db`, each `(num_clips,)` float32; with noise also `snr_db` `(num_clips,)` and
        `noise` `(num_clips, num_samples)` in the type of `noise`, zeros for clips without it.
    """
    seeds = tf.unstack(tf.random.split(seed, 10))

    def uniform(index, low, high):
        return tf.random.stateless_uniform((num_clips,), seeds[index], low, high)

    changes = {
        "shift": uniform(0, -augmentation.shift_ms, augmentation.shift_ms) * SAMPLE_RATE / 1000,
        "speed": uniform(1, 1 - augmentation.speed_fraction, 1 + augmentation.speed_fraction),
        "gain_db": uniform(2, -augmentation.gain_db, augmentation.gain_db),
    }
    if noise is not None and augmentation.noise_fraction > 0:
        segment = draw_noise(noise, num_clips, num_samples, seeds[3])
        has_noise = uniform(4, 0.0, 1.0) < augmentation.noise_fraction
        changes["noise"] = segment * tf.cast(has_noise, noise.dtype)[:, None]
        changes["snr_db"] = uniform(5, augmentation.min_snr_db, augmentation.max_snr_db)
    return changes


def augment_waveforms(
    waveform: tf.Tensor,
    seed: tf.Tensor,
    augmentation: Augmentation = Augmentation(),
    noise: tf.Tensor | None = None,
    rooms: tf.Tensor | None = None,
) -> tf.Tensor:
    """Apply an `Augmentation` to a batch, with random values of its own for every clip.

    Shape: `(batch, samples)` -> the same, within [-1, 1].

    Args:
        waveform: float in [-1, 1].
        seed: `(2,)` integers; the same seed gives the same result.
        augmentation: limits of the changes. Tempo and pitch change only in the first clips of a batch: shuffle before.
        noise: `(noise_samples,)` float, the recordings that background noise is cut from; None adds none.
        rooms: `(num_rooms, taps)` float, impulse responses of rooms; None leaves all clips where they are.
    """
    num_clips = tf.shape(waveform)[0]
    seeds = tf.unstack(tf.random.split(seed, 10))

    def uniform(index, low, high):
        return tf.random.stateless_uniform((num_clips,), seeds[index], low, high)

    def share(fraction):
        return tf.cast(tf.math.ceil(fraction * tf.cast(num_clips, tf.float32)), tf.int32)

    if augmentation.vocoder_fraction * max(augmentation.tempo_fraction, augmentation.pitch_semitones) > 0:
        num_changed = share(augmentation.vocoder_fraction)
        tempo = uniform(6, 1 - augmentation.tempo_fraction, 1 + augmentation.tempo_fraction)[:num_changed]
        pitch = 2 ** (uniform(7, -augmentation.pitch_semitones, augmentation.pitch_semitones)[:num_changed] / 12)
        max_stretch = 2 ** (augmentation.pitch_semitones / 12) / (1 - augmentation.tempo_fraction)
        changed = change_tempo_and_pitch(waveform[:num_changed], tempo, pitch, max_stretch)
        waveform = tf.concat([changed, waveform[num_changed:]], axis=0)
    changes = draw_changes(num_clips, tf.shape(waveform)[1], seed, augmentation, noise)
    waveform = shift_and_speed(waveform, changes["shift"], changes["speed"])
    if rooms is not None and augmentation.room_fraction > 0:
        waveform = place_in_rooms(waveform, rooms, share(augmentation.room_fraction), tf.random.fold_in(seed, 3))
    waveform = change_gain(waveform, changes["gain_db"])
    if "noise" in changes:
        waveform = mix_at_snr(waveform, changes["noise"], changes["snr_db"])
    if augmentation.hiss_std > 0:
        hiss = tf.random.stateless_normal(tf.shape(waveform), seeds[8])
        waveform += hiss * uniform(9, 0.0, augmentation.hiss_std)[:, None]
    return tf.clip_by_value(waveform, -1.0, 1.0)


def mixup(waveform: tf.Tensor, target: tf.Tensor, seed: tf.Tensor, alpha: float = 0.4) -> tuple[tf.Tensor, tf.Tensor]:
    """Blend every clip, and its target, with another one of the batch.

    Shape: `(batch, samples)`, `(batch, num_classes)` -> the same two.

    Args:
        waveform: float.
        target: float, one row a clip: one-hot or probabilities.
        seed: `(2,)` integers; the same seed gives the same result.
        alpha: parameter of the Beta distribution of the shares; where it is small, one of the two clips prevails.

    Source: arXiv 1710.09412.
    """
    num_clips = tf.shape(waveform)[0]
    seeds = tf.unstack(tf.random.split(seed, 3))
    first, second = (tf.random.stateless_gamma((num_clips, 1), seeds[index], alpha) for index in (0, 1))
    share = tf.math.divide_no_nan(first, first + second)
    share = tf.maximum(share, 1 - share)  # the clip itself prevails
    partner = tf.random.experimental.stateless_shuffle(tf.range(num_clips), seeds[2])
    mixed_waveform = share * waveform + (1 - share) * tf.gather(waveform, partner)
    return mixed_waveform, share * target + (1 - share) * tf.gather(target, partner)


FFT_LENGTH = 512
FRAME_STEP = FFT_LENGTH // 4
#: The phase of a bin below it counts as 0.
MIN_MAGNITUDE = 1e-10


def time_stretch(waveform: tf.Tensor, rate: tf.Tensor, num_samples: int) -> tf.Tensor:
    """Play clips faster (`rate` above 1) or slower at the same pitch, from their beginning.

    Phases are unit complex numbers that are multiplied frame by frame, without arc tangent and cosine.

    Shape: `(batch, samples)`, `(batch,)` -> `(batch, num_samples)`, zeros after `samples / rate`.

    Args:
        waveform: float.
        rate: speed, > 0; above 1 is faster.
        num_samples: length of the result; longer clips are cut.

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
