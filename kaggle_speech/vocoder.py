"""Longer or shorter at the same pitch: a phase vocoder in the graph."""

import tensorflow as tf

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
