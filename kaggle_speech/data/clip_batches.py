"""Paths to batches of waveforms: a lazy, seeded tf.data pipeline.

WAVs are read as they are needed. The usual header (16 kHz, mono, 16 bit, 44 bytes)
is recognised in the graph and a whole batch decoded at once; any other file goes
through `audio.read_clip`, one by one.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from kaggle_speech.audio import CLIP_SAMPLES, INT16_SCALE, read_clip, wav_header
from kaggle_speech.data.augment import augment_waveforms, mixup
from kaggle_speech.data.augmentation import Augmentation
from kaggle_speech.data.clips import noise_paths, prepare_clips
from kaggle_speech.data.noise import background_noise
from kaggle_speech.files import replace_file
from kaggle_speech.labels import COMPETITION_LABELS
from kaggle_speech.progress import progress_bar

HEADER_WORDS = 22  # the 44 bytes of `audio.wav_header`, as int16
#: No gradients, so larger than a training batch.
TUNE_BATCH_SIZE = 256


def _read_clip_int16(path):
    clip = read_clip(Path(path.decode()))
    return np.clip(np.rint(clip * INT16_SCALE), -32_768, 32_767).astype(np.int16)


def decode_wavs(contents, paths):
    """WAV files, as bytes, to int16 clips; those without the usual header are read again by `audio.read_clip`.

    Shape: `(batch,)` strings, `(batch,)` strings -> `(batch, CLIP_SAMPLES)` int16.

    Raises:
        tf.errors.InvalidArgumentError: a file is no audio; the message is the AudioError's.
    """
    words = tf.io.decode_raw(contents, tf.int16, fixed_length=2 * (HEADER_WORDS + CLIP_SAMPLES))
    header = tf.cast(words[:, :HEADER_WORDS], tf.int32) & 0xFFFF
    usual = np.frombuffer(wav_header(0), "<u2").astype("int32")
    fixed = [index for index in range(HEADER_WORDS) if index not in (2, 3, 20, 21)]  # all but the two sizes
    is_usual = tf.reduce_all(tf.gather(header, fixed, axis=1) == usual[fixed], axis=1)
    num_bytes = header[:, 20] + header[:, 21] * 65_536
    is_usual &= (num_bytes == tf.strings.length(contents) - 2 * HEADER_WORDS) & (num_bytes > 0)
    clips = words[:, HEADER_WORDS:]

    def read_others():
        rows = tf.where(~is_usual)
        others = tf.map_fn(
            lambda path: tf.ensure_shape(tf.numpy_function(_read_clip_int16, [path], tf.int16), (CLIP_SAMPLES,)),
            tf.boolean_mask(paths, ~is_usual),
            fn_output_signature=tf.int16,
        )
        return tf.tensor_scatter_nd_update(clips, rows, others)

    return tf.cond(tf.reduce_all(is_usual), lambda: clips, read_others)


def read_wavs(paths):
    """Files to int16 clips, in the graph. Shape: `(batch,)` strings -> `(batch, CLIP_SAMPLES)` int16."""
    clips = decode_wavs(tf.map_fn(tf.io.read_file, paths), paths)
    return tf.ensure_shape(clips, (None, CLIP_SAMPLES))


def int16_to_waveform(clips):
    """int16 to float32 in [-1, 1). Shape: kept."""
    return tf.cast(clips, tf.float32) / INT16_SCALE


def decode_to_cache(paths, cache, progress=True):
    """All clips decoded once, as one int16 array in memory or in a file.

    Shape: `(clips,)` paths -> `(clips, CLIP_SAMPLES)` int16, read only.

    Args:
        paths: audio files.
        cache: "memory", or a folder: there the array is a file, named after the paths, that a later call finds.
        progress: show a progress bar.
    """
    shape = (len(paths), CLIP_SAMPLES)
    if cache == "memory":
        array = np.empty(shape, np.int16)
        _decode_into(array, paths, progress)
        return array
    stats = [f"{path} {os.stat(path).st_size} {os.stat(path).st_mtime_ns}" for path in paths]
    cache_path = Path(cache) / f"clips_{hashlib.sha1(chr(10).join(stats).encode()).hexdigest()[:16]}.npy"

    def write(path):
        array = np.lib.format.open_memmap(path, "w+", np.int16, shape)
        _decode_into(array, paths, progress)
        array.flush()

    if not cache_path.exists():
        cache_path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(cache_path, write)
    return np.load(cache_path, mmap_mode="r")


def _decode_into(array, paths, progress):
    """Fill an int16 array of `(clips, CLIP_SAMPLES)` from audio files."""
    paths_ds = tf.data.Dataset.from_tensor_slices(list(paths)).batch(256).map(read_wavs, tf.data.AUTOTUNE).prefetch(2)
    first = 0
    with progress_bar(total=len(paths), desc="decoding clips", unit="clip", progress=progress) as bar:
        for clips in paths_ds.as_numpy_iterator():
            array[first : first + len(clips)] = clips
            first += len(clips)
            bar.update(len(clips))


def passes(one_pass):
    """A dataset whose passes differ: each counts one up.

    Args:
        one_pass: from the number of a pass, an int64 tensor, to a dataset.
    """
    with tf.device("CPU:0"):  # where tf.data runs, also on a machine with a GPU
        pass_index = tf.Variable(-1, dtype=tf.int64, trainable=False)
    return tf.data.Dataset.from_tensors(0).map(lambda _: pass_index.assign_add(1)).flat_map(one_pass)


def _row_batches(num_rows, batch_size, *, shuffle, seed, num_extra=0, extra_per_batch=0):
    """Batches of row numbers with a seed each. Every pass has an order and seeds of its own.

    The extra rows, which come after the others, fill the rest of every batch; a pass begins them anew.
    """

    def one_pass(number):
        pass_seed = tf.random.fold_in(tf.constant([seed, 0], tf.int64), number)

        def ordered(first, end):
            rows = tf.range(first, end)
            rows = tf.random.experimental.stateless_shuffle(rows, pass_seed) if shuffle else rows
            return tf.data.Dataset.from_tensor_slices(rows)

        batches_ds = ordered(0, num_rows).batch(batch_size - extra_per_batch)
        if extra_per_batch:
            extra_ds = ordered(num_rows, num_rows + num_extra).repeat().batch(extra_per_batch)
            batches_ds = tf.data.Dataset.zip(batches_ds, extra_ds).map(lambda *rows: tf.concat(rows, 0))
        batches_ds = batches_ds.enumerate()
        return batches_ds.map(lambda batch_index, rows: (rows, tf.random.fold_in(pass_seed, batch_index)))

    return passes(one_pass)


def make_dataset(
    clips_df,
    vocabulary=COMPETITION_LABELS,
    batch_size=64,
    *,
    shuffle=False,
    augmentation=None,
    noise=None,
    mixup_alpha=0.4,
    mixup_fraction=0.0,
    pseudo_df=None,
    pseudo_fraction=0.25,
    cache=None,
    seed=0,
):
    """Batches of waveforms and one-hot labels, read from disk as they are asked for.

    The same seed gives the same batches in the same order, pass by pass, whatever the number of threads.

    Shape: of an element: `(batch, CLIP_SAMPLES)` float32 in [-1, 1], `(batch, len(vocabulary))` float32.
        A frame without a `label` column gives waveforms alone.

    Args:
        clips_df: frame with the columns `path` and, if known, `label`.
        vocabulary: labels in the order of the model's outputs.
        batch_size: clips in a batch; the last one of a pass may be smaller.
        shuffle: a new order for every pass.
        augmentation: `Augmentation`, or None.
        noise: `(samples,)` float32 for the augmentation's background noise (`noise.background_noise`).
        mixup_alpha: of `augment.mixup`.
        mixup_fraction: share of the batches whose clips and labels are blended.
        pseudo_df: more clips, whose labels are guesses: a fixed share of every batch, however many they are.
        pseudo_fraction: that share; a pass ends with `clips_df`.
        cache: None reads every pass; "memory" or a folder decodes once (see `decode_to_cache`).
        seed: of order and augmentation.

    Raises:
        ValueError: the frame is empty or holds a label that the vocabulary lacks.
        tf.errors.OpError: while iterating, a file cannot be read; names it.
    """
    if clips_df.empty:
        raise ValueError("`clips_df` must have at least one clip. Received: an empty frame")
    num_rows, num_extra, extra_per_batch = len(clips_df), 0, 0
    if pseudo_df is not None:
        num_extra, extra_per_batch = len(pseudo_df), round(pseudo_fraction * batch_size)
        clips_df = pd.concat([clips_df, pseudo_df], ignore_index=True)
    paths = list(clips_df["path"].astype(str))
    if cache is None:
        path_table = tf.constant(paths)
        read_rows = lambda rows: read_wavs(tf.gather(path_table, rows))  # noqa: E731
    else:
        cached_paths = sorted(set(paths))  # whatever order a seed gave them
        array = decode_to_cache(cached_paths, cache)
        position = np.searchsorted(cached_paths, paths)
        read_rows = lambda rows: tf.ensure_shape(  # noqa: E731
            tf.numpy_function(lambda rows: array[position[rows]], [rows], tf.int16), (None, CLIP_SAMPLES)
        )
    noise = None if noise is None else tf.constant(noise)

    def load(rows, batch_seed):
        waveform = int16_to_waveform(read_rows(rows))
        if augmentation is not None:
            waveform = augment_waveforms(waveform, batch_seed, augmentation, noise)
        return waveform

    rows_ds = _row_batches(
        num_rows, batch_size, shuffle=shuffle, seed=seed, num_extra=num_extra, extra_per_batch=extra_per_batch
    )
    if "label" not in clips_df:
        batches_ds = rows_ds.map(load, tf.data.AUTOTUNE, deterministic=True)
    else:
        strange = sorted(set(clips_df["label"].astype(str)) - set(vocabulary))
        if strange:
            raise ValueError(f"`clips_df` must hold labels of the vocabulary {list(vocabulary)}. Received: {strange}")
        label_index = clips_df["label"].map({label: index for index, label in enumerate(vocabulary)})
        one_hot = tf.one_hot(label_index.to_numpy("int32"), len(vocabulary))

        def load_with_target(rows, batch_seed):
            waveform, target = load(rows, batch_seed), tf.gather(one_hot, rows)
            if mixup_fraction > 0:
                batch_seed, draw_seed = tf.unstack(tf.random.split(batch_seed, 2))
                is_mixed = tf.random.stateless_uniform((), draw_seed) < mixup_fraction
                waveform, target = tf.cond(
                    is_mixed,
                    lambda: mixup(waveform, target, batch_seed, mixup_alpha),
                    lambda: (waveform, target),
                )
            return waveform, target

        batches_ds = rows_ds.map(load_with_target, tf.data.AUTOTUNE, deterministic=True)
    num_batches = -(-num_rows // (batch_size - extra_per_batch))
    return batches_ds.apply(tf.data.experimental.assert_cardinality(num_batches)).prefetch(tf.data.AUTOTUNE)


def make_datasets(
    clips_df: pd.DataFrame,
    *,
    vocabulary: Sequence[str] = COMPETITION_LABELS,
    batch_size: int = 64,
    augmentation: Augmentation | None = None,
    unknown_fraction: float | None = 2.5,
    silence_fraction: float = 2.0,
    num_clips: int | None = None,
    mixup_alpha: float = 0.4,
    mixup_fraction: float = 0.0,
    pseudo_df: pd.DataFrame | None = None,
    pseudo_fraction: float = 0.25,
    cache: Path | str | None = None,
    seed: int = 0,
) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """Batches to train on, shuffled and augmented, and batches of other speakers that choose the epoch.

    Shape: of an element: `(batch, CLIP_SAMPLES)` float32 in [-1, 1], `(batch, len(vocabulary))` float32 one-hot.

    Args:
        clips_df: from `clips.read_clips_table` with the same vocabulary.
        vocabulary: labels in the order of the model's outputs.
        batch_size: training clips in a batch.
        augmentation: `Augmentation`, or None; its background noise is that of `clips_df`.
        unknown_fraction: ratio of `unknown` clips to the mean count of the other labels; None keeps all.
        silence_fraction: ratio of `silence` clips to the mean count of the labels other than `unknown`.
        num_clips: number of training clips, drawn at random; None for all.
        mixup_alpha: parameter of the Beta distribution in `augment.mixup`.
        mixup_fraction: share of the training batches whose clips and labels are blended, 0 to 1.
        pseudo_df: more training clips, with labels from models (`clips.pseudo_clips`).
        pseudo_fraction: share of every training batch that comes from `pseudo_df`, 0 to 1.
        cache: None reads the files in every pass; "memory" or a folder decodes them once.
        seed: for the choice of clips, their order and the augmentation.

    Returns:
        `train_ds` and `tune_ds`.

    Raises:
        ValueError: a split has no clips, or a label is not in the vocabulary.

    Examples:
        >>> train_ds, tune_ds = make_datasets(clips_df, augmentation=Augmentation())  # doctest: +SKIP
    """
    fractions = {"unknown_fraction": unknown_fraction, "silence_fraction": silence_fraction}
    train_df = prepare_clips(clips_df, "train", seed=seed, **fractions).head(num_clips)
    tune_df = prepare_clips(clips_df, "tune", **fractions)
    train_ds = make_dataset(
        train_df,
        vocabulary,
        batch_size,
        shuffle=True,
        augmentation=augmentation,
        noise=background_noise(noise_paths(clips_df)),
        mixup_alpha=mixup_alpha,
        mixup_fraction=mixup_fraction,
        pseudo_df=pseudo_df,
        pseudo_fraction=pseudo_fraction,
        cache=cache,
        seed=seed,
    )
    return train_ds, make_dataset(tune_df, vocabulary, TUNE_BATCH_SIZE)
