"""Utterances to padded batches: NumPy batches of similar lengths, and a seeded tf.data pipeline of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kaggle_speech.audio import SAMPLE_RATE, read_audio
from kaggle_speech.data.noise import mix_at_snr
from kaggle_speech.data.rooms import place_in_rooms
from kaggle_speech.text.alphabet import BLANK_INDEX, text_to_indices

if TYPE_CHECKING:
    import tensorflow as tf

#: Waveforms are padded to multiples of it, so that few graphs are compiled.
PADDED_SAMPLES = SAMPLE_RATE // 4
#: Maximum random change of a length before sorting, so that no two passes have the same batches.
MAX_JITTER_SAMPLES = SAMPLE_RATE // 4


def plan_batches(
    num_samples: Sequence[int] | np.ndarray, batch_size: int, rng: np.random.Generator | None = None
) -> list[np.ndarray]:
    """Plan batches of utterances of about the same length.

    Shape: `(utterances,)` lengths -> list of arrays of row numbers, each of `batch_size`, the last of the longest less.

    Args:
        num_samples: length of each.
        batch_size: utterances in a batch.
        rng: NumPy generator that shuffles batches and, slightly, their members; None keeps the order of lengths.
    """
    jitter = 0 if rng is None else rng.uniform(-MAX_JITTER_SAMPLES, MAX_JITTER_SAMPLES, len(num_samples))
    rows = np.argsort(np.asarray(num_samples) + jitter, kind="stable")
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    return batches if rng is None else [batches[index] for index in rng.permutation(len(batches))]


def change_speed(waveform: np.ndarray, speed: float) -> np.ndarray:
    """Play a waveform faster (`speed` above 1) or slower; pitch changes, too.

    Shape: `(samples,)` -> `(samples / speed,)`.

    Args:
        waveform: float.
        speed: > 0; above 1 is faster and higher.

    Source: Ko et al., Audio augmentation for speech recognition, Interspeech 2015.
    """
    import soxr

    return soxr.resample(waveform, SAMPLE_RATE, SAMPLE_RATE / speed, quality="LQ").astype("float32")


def read_batch(
    paths: Sequence[Path | str],
    rng: np.random.Generator | None = None,
    *,
    speed_fraction: float = 0.0,
    gain_db: float = 0.0,
    rooms: np.ndarray | None = None,
    room_fraction: float = 0.0,
    noise: np.ndarray | None = None,
    noise_fraction: float = 0.0,
    min_snr_db: float = 5.0,
    max_snr_db: float = 30.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Read waveforms of any length into one padded array.

    Shape: list of paths -> `(batch, samples)` float32, zeros after the end of each, and `(batch,)` int32 lengths.

    Args:
        paths: audio files.
        rng: NumPy generator of the changes; None changes nothing.
        speed_fraction: largest change of speed, 0.1 for 0.9 to 1.1.
        gain_db: largest change of level.
        rooms: `(num_rooms, taps)`, impulse responses (`rooms.make_rooms`); None for no rooms.
        room_fraction: share of the utterances that sound in one of them.
        noise: `(noise_samples,)`, recordings of noise, repeated for longer utterances; None for no noise.
        noise_fraction: share of the utterances that get some of it.
        min_snr_db, max_snr_db: range of the power of the utterance over that of the noise, in decibels.

    Raises:
        AudioError: a file is empty, truncated or not audio, or a sample is NaN or infinite; names it.
        OSError: a file is missing or may not be read.
    """
    waveforms = [read_audio(path) for path in paths]
    if rng is not None:
        speeds = 1 + speed_fraction * rng.uniform(-1, 1, len(paths))
        gains = 10 ** (gain_db * rng.uniform(-1, 1, len(paths)) / 20)
        if speed_fraction:
            waveforms = [change_speed(*pair) for pair in zip(waveforms, speeds, strict=True)]
        waveforms = [gain * waveform for gain, waveform in zip(gains, waveforms, strict=True)]
        if rooms is not None:
            waveforms = [
                place_in_rooms(waveform[None], rooms[[rng.integers(len(rooms))]])[0] if is_placed else waveform
                for waveform, is_placed in zip(waveforms, rng.uniform(size=len(paths)) < room_fraction, strict=True)
            ]
        if noise is not None:
            waveforms = [
                _add_noise(waveform, noise, rng.uniform(min_snr_db, max_snr_db), rng) if is_noisy else waveform
                for waveform, is_noisy in zip(waveforms, rng.uniform(size=len(paths)) < noise_fraction, strict=True)
            ]
    num_samples = np.array([len(waveform) for waveform in waveforms], "int32")
    padded = np.zeros((len(paths), -(-num_samples.max() // PADDED_SAMPLES) * PADDED_SAMPLES), "float32")
    for row, waveform in zip(padded, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return padded, num_samples


def _add_noise(waveform, noise, snr_db, rng):
    """A waveform with noise from a random place of the recordings on, which begin again after their end."""
    start = rng.integers(len(noise))
    piece = np.take(noise, np.arange(start, start + len(waveform)), mode="wrap")
    return mix_at_snr(waveform[None], piece[None], snr_db)[0]


def encode_texts(texts: Sequence[str]) -> np.ndarray:
    """Targets of transcripts.

    Shape: list of `batch` str -> `(batch, characters)` int32, blanks at the end.

    Args:
        texts: transcripts in characters of the alphabet.
    """
    encoded = np.full((len(texts), max(map(len, texts))), BLANK_INDEX, "int32")
    for row, text in zip(encoded, texts, strict=True):
        row[: len(text)] = text_to_indices(text)
    return encoded


def make_utterance_dataset(
    utterances_df: pd.DataFrame,
    batch_size: int = 16,
    *,
    shuffle: bool = False,
    whole_batches: bool = False,
    seed: int = 0,
    **augmentation: Any,
) -> "tf.data.Dataset":
    """Batches of waveforms of about the same length, with their transcripts.

    The same seed gives the same batches in the same order, pass by pass, whatever the number of threads.

    Shape: of an element: `{"waveform": (batch, samples) float32, "num_samples": (batch,) int32}` and
        `(batch, characters)` int32, the places of the characters in the alphabet, blanks after the end.

    Args:
        utterances_df: frame with the columns `path, text, num_samples`.
        batch_size: utterances in a batch.
        shuffle: other batches in another order for every pass; else the shortest come first.
        whole_batches: fill the batch that has fewer utterances, the longest ones, with these, once more: several
            devices need batches of one size.
        seed: of the order and of the augmentation.
        augmentation: arguments of `read_batch` after `rng`.

    Raises:
        ValueError: the frame is empty, or a text has characters that the alphabet lacks.
        tf.errors.OpError: while iterating, a file cannot be read; names it.
    """
    import tensorflow as tf

    from kaggle_speech.data.clip_batches import leave_gpus_to_keras, rebuilt_each_pass, with_batch_size

    if utterances_df.empty:
        raise ValueError("`utterances_df` must have at least one utterance. Received: an empty frame")
    leave_gpus_to_keras()
    paths, texts = list(utterances_df["path"]), list(utterances_df["text"])
    encode_texts(texts)
    num_samples = utterances_df["num_samples"].to_numpy()
    num_batches = -(-len(paths) // batch_size)

    def plan(number):
        rng = np.random.default_rng((seed, number)) if shuffle else None
        batches = np.full((num_batches, batch_size), -1)
        for batch, rows in zip(batches, plan_batches(num_samples, batch_size, rng), strict=True):
            size = batch_size if whole_batches else len(rows)
            batch[:size] = np.resize(rows, size)  # repeats them
        return batches

    def load(rows, number, batch_index):
        rows = rows[rows >= 0]
        rng = np.random.default_rng((seed, number, batch_index, 1)) if augmentation else None
        batch = read_batch([paths[row] for row in rows], rng, **augmentation)
        return *batch, encode_texts([texts[row] for row in rows])

    def one_pass(number):
        rows = tf.ensure_shape(tf.numpy_function(plan, [number], tf.int64), (num_batches, batch_size))
        return tf.data.Dataset.from_tensor_slices(rows).enumerate().map(lambda index, rows: (rows, number, index))

    def load_batch(rows, number, batch_index):
        types = (tf.float32, tf.int32, tf.int32)
        waveform, lengths, targets = tf.numpy_function(load, [rows, number, batch_index], types)
        inputs = {"waveform": tf.ensure_shape(waveform, (None, None)), "num_samples": tf.ensure_shape(lengths, (None,))}
        return inputs, tf.ensure_shape(targets, (None, None))

    batches_ds = rebuilt_each_pass(one_pass).map(load_batch, tf.data.AUTOTUNE, deterministic=True)
    if whole_batches:
        batches_ds = with_batch_size(batches_ds, batch_size)
    return batches_ds.apply(tf.data.experimental.assert_cardinality(num_batches)).prefetch(tf.data.AUTOTUNE)
