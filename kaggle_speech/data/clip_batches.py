"""Paths to batches of waveforms: a lazy, seeded tf.data pipeline.

WAVs are read as they are needed. The usual header (16 kHz, mono, 16 bit, 44 bytes)
is recognised in the graph and a whole batch decoded at once; any other file goes
through `audio.read_clip`, one by one.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from kaggle_speech.audio import CLIP_SAMPLES, INT16_SCALE, read_clip, to_int16, wav_header
from kaggle_speech.backend import keras_backend
from kaggle_speech.data.augment import augment_waveforms, draw_changes, mixup
from kaggle_speech.data.augmentation import Augmentation
from kaggle_speech.data.clips import noise_paths, prepare_clips
from kaggle_speech.data.joined_words import JoinedWords
from kaggle_speech.data.made_noise import make_noise
from kaggle_speech.data.negatives import read_windows, window_starts
from kaggle_speech.data.noise import background_noise
from kaggle_speech.data.rooms import make_rooms
from kaggle_speech.files import replace_file
from kaggle_speech.labels import COMPETITION_LABELS, UNKNOWN
from kaggle_speech.progress import progress_bar

HEADER_WORDS = 22  # the 44 bytes of `audio.wav_header`, as int16
#: No gradients, so larger than a training batch.
TUNE_BATCH_SIZE = 256


def _read_clip_int16(path):
    return to_int16(read_clip(Path(path.decode())))


def decode_wavs(contents: tf.Tensor, paths: tf.Tensor) -> tf.Tensor:
    """Decode WAV files from bytes to int16 clips; files with another header are read again by `audio.read_clip`.

    Shape: `(batch,)` strings, `(batch,)` strings -> `(batch, CLIP_SAMPLES)` int16.

    Args:
        contents: bytes of the files.
        paths: their paths, for files with another header.

    Raises:
        tf.errors.InvalidArgumentError: a file is not audio; the message is that of `AudioError`.
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


def read_wavs(paths: tf.Tensor) -> tf.Tensor:
    """Read files as int16 clips, in the graph.

    Shape: `(batch,)` strings -> `(batch, CLIP_SAMPLES)` int16.

    Args:
        paths: audio files.
    """
    clips = decode_wavs(tf.map_fn(tf.io.read_file, paths), paths)
    return tf.ensure_shape(clips, (None, CLIP_SAMPLES))


def int16_to_waveform(clips: tf.Tensor) -> tf.Tensor:
    """Convert int16 samples to float32 in [-1, 1).

    Shape: `(batch, samples)` -> the same.

    Args:
        clips: int16.
    """
    return tf.cast(clips, tf.float32) / INT16_SCALE


def decode_to_cache(paths: Sequence[str], cache: Path | str, progress: bool = True) -> np.ndarray:
    """Decode all clips once into one int16 array, in memory or in a file.

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


def rebuilt_each_pass(make_pass: Callable[[tf.Tensor], tf.data.Dataset]) -> tf.data.Dataset:
    """Dataset that is built anew for every pass, from the number of the pass.

    A pass is counted when it begins: a training that resumes begins the passes it has already made, and drops them.

    Args:
        make_pass: function of the number of the pass, an int64 tensor, to the dataset of that pass.
    """
    with tf.device("CPU:0"):  # where tf.data runs, also on a machine with a GPU
        pass_index = tf.Variable(-1, dtype=tf.int64, trainable=False)
    return tf.data.Dataset.from_tensors(0).map(lambda _: pass_index.assign_add(1)).flat_map(make_pass)


def leave_gpus_to_keras() -> None:
    """Hide the GPUs from TensorFlow where Keras computes with another backend: it would keep their memory.

    Does nothing where TensorFlow has computed already.
    """
    if keras_backend() != "tensorflow":
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")


class _RowBatches:
    """Plan of the batches: row numbers and a seed for each batch, with an order and seeds of its own for every pass.

    Args:
        num_rows: rows that a pass goes through once.
        batch_size: rows in a batch, extra ones included.
        shuffle: whether every pass has an order of its own.
        seed: of order and batches.
        num_extra: rows after the others that fill up the batches; every pass begins them anew and repeats them.
        extra_per_batch: number of extra rows in each batch.
        whole_batches: whether the first rows of a pass, once more, fill its last batch.
    """

    def __init__(self, num_rows, batch_size, *, shuffle, seed, num_extra=0, extra_per_batch=0, whole_batches=False):
        self.num_rows = num_rows
        self.num_extra = num_extra
        self.own_per_batch = batch_size - extra_per_batch
        self.extra_per_batch = extra_per_batch
        self.shuffle = shuffle
        self.seed = seed
        self.whole_batches = whole_batches

    def __len__(self):
        return -(-self.num_rows // self.own_per_batch)

    def dataset(self):
        """Dataset of `(rows, seed)`."""
        return rebuilt_each_pass(self._one_pass)

    def _one_pass(self, pass_index):
        pass_seed = tf.random.fold_in(tf.constant([self.seed, 0], tf.int64), pass_index)
        rows_ds = self._ordered(0, self.num_rows, pass_seed)
        if self.whole_batches:
            rows_ds = rows_ds.repeat().take(len(self) * self.own_per_batch)
        rows_ds = rows_ds.batch(self.own_per_batch)
        if self.extra_per_batch:
            extra_ds = self._ordered(self.num_rows, self.num_rows + self.num_extra, pass_seed)
            extra_ds = extra_ds.repeat().batch(self.extra_per_batch)
            rows_ds = tf.data.Dataset.zip(rows_ds, extra_ds).map(lambda own, extra: tf.concat([own, extra], 0))
        return rows_ds.enumerate().map(lambda batch_index, rows: (rows, tf.random.fold_in(pass_seed, batch_index)))

    def _ordered(self, first, end, pass_seed):
        rows = tf.range(first, end)
        if self.shuffle:
            rows = tf.random.experimental.stateless_shuffle(rows, pass_seed)
        return tf.data.Dataset.from_tensor_slices(rows)


class _RowLoader:
    """Row numbers and a seed to a batch: read the clips, augment them, blend them with their targets.

    Args:
        paths: files of the rows.
        one_hot: targets of the rows; None where they have no labels.
        augmentation: `Augmentation`, or None.
        noise: `(samples,)` float32 for the background noise, or None.
        rooms: `(num_rooms, taps)` float32, impulse responses for the augmentation, or None.
        mixup_alpha: parameter of the Beta distribution in `augment.mixup`.
        mixup_fraction: share of the batches that are blended.
        cache: None, "memory" or a folder.
        changes_apart: give clips and changes instead of waveforms.
        joined: `JoinedWords` that every batch gets besides, or None.
        speech: `_SpeechWindows` that end every batch, or None.
    """

    def __init__(
        self,
        paths,
        one_hot,
        *,
        augmentation,
        noise,
        mixup_alpha,
        mixup_fraction,
        cache,
        rooms=None,
        changes_apart=False,
        joined=None,
        speech=None,
    ):
        self.one_hot = one_hot
        self.augmentation = augmentation
        self.changes_apart = changes_apart
        if changes_apart and noise is not None:
            noise = to_int16(noise)  # half of what goes to the device
        self.noise, self.rooms = (None if sound is None else tf.constant(sound) for sound in (noise, rooms))
        self.mixup_alpha = mixup_alpha
        self.mixup_fraction = mixup_fraction
        self.joined = joined
        self.speech = speech
        self.is_cached = cache is not None
        if self.is_cached:
            cached_paths = sorted(set(paths))  # independent of the order that a seed gave
            self.cached_clips = decode_to_cache(cached_paths, cache)
            self.cached_index = np.searchsorted(cached_paths, paths)
        else:
            self.paths = tf.constant(paths)

    def load(self, rows, seed):
        """Waveforms, or waveforms and targets; or, instead of the waveforms, clips and changes."""
        waveform = int16_to_waveform(self._read(rows))
        target = None if self.one_hot is None else tf.gather(self.one_hot, rows)
        more = []
        if self.joined is not None:
            more.append(self.joined(waveform, target, tf.random.fold_in(seed, 4)))
        if self.speech is not None:
            more.append((int16_to_waveform(self.speech.read(seed)), self.speech.target))
        if more:
            waveform, target = (tf.concat(parts, 0) for parts in zip((waveform, target), *more, strict=True))
        if self.changes_apart:
            changes = draw_changes(tf.shape(waveform)[0], CLIP_SAMPLES, seed, self.augmentation, self.noise)
            waveform = {"clips": tf.saturate_cast(tf.round(waveform * INT16_SCALE), tf.int16), **changes}
        elif self.augmentation is not None:
            waveform = augment_waveforms(waveform, seed, self.augmentation, self.noise, self.rooms)
        if target is None:
            return waveform
        return self._blend(waveform, target, seed) if self.mixup_fraction > 0 else (waveform, target)

    def _read(self, rows):
        if self.is_cached:
            return tf.ensure_shape(tf.numpy_function(self._read_cache, [rows], tf.int16), (None, CLIP_SAMPLES))
        return read_wavs(tf.gather(self.paths, rows))

    def _read_cache(self, rows):
        return self.cached_clips[self.cached_index[rows]]

    def _blend(self, waveform, target, seed):
        mixup_seed, choice_seed = tf.unstack(tf.random.split(seed, 2))
        return tf.cond(
            tf.random.stateless_uniform((), choice_seed) < self.mixup_fraction,
            lambda: mixup(waveform, target, mixup_seed, self.mixup_alpha),
            lambda: (waveform, target),
        )


class _SpeechWindows:
    """Random seconds of running speech, the same number for every batch, labelled `unknown`.

    Args:
        speech_df: from `negatives.speech_negatives` or `negatives.with_mined`.
        num_windows: windows in a batch.
        vocabulary: labels in the order of the model's outputs.
    """

    def __init__(self, speech_df, num_windows, vocabulary):
        if UNKNOWN not in vocabulary:
            raise ValueError(
                f"`speech_df` must be left out where the vocabulary has no {UNKNOWN!r}. Received: {list(vocabulary)}"
            )
        self.paths = speech_df["path"].astype(str).to_numpy()
        self.num_samples = speech_df["num_samples"].to_numpy()
        whole = {"first_sample": 0, "weight": 1.0}
        self.first, self.weights = (
            speech_df.get(name, pd.Series(value, speech_df.index)).to_numpy() for name, value in whole.items()
        )
        self.num_windows = num_windows
        self.target = tf.one_hot([list(vocabulary).index(UNKNOWN)] * num_windows, len(vocabulary))

    def read(self, seed):
        """Windows of a batch. Shape: `(2,)` -> `(num_windows, CLIP_SAMPLES)` int16."""
        positions = tf.random.stateless_uniform((self.num_windows,), tf.random.fold_in(seed, 2), dtype=tf.float64)
        windows = tf.numpy_function(self._read, [positions], tf.int16)
        return tf.ensure_shape(windows, (self.num_windows, CLIP_SAMPLES))

    def _read(self, positions):
        rows, starts = window_starts(self.num_samples, positions, self.weights)
        return read_windows(self.paths[rows], self.first[rows] + starts)


def make_dataset(
    clips_df: pd.DataFrame,
    vocabulary: Sequence[str] = COMPETITION_LABELS,
    batch_size: int = 64,
    *,
    shuffle: bool = False,
    augmentation: Augmentation | None = None,
    noise: np.ndarray | None = None,
    rooms: np.ndarray | None = None,
    mixup_alpha: float = 0.4,
    mixup_fraction: float = 0.0,
    pseudo_df: pd.DataFrame | None = None,
    pseudo_fraction: float = 0.25,
    joined_fraction: float = 0.0,
    speech_df: pd.DataFrame | None = None,
    speech_fraction: float = 0.25,
    cache: Path | str | None = None,
    changes_apart: bool = False,
    whole_batches: bool = False,
    seed: int = 0,
) -> tf.data.Dataset:
    """Batches of waveforms and one-hot labels, read from disk as they are asked for.

    The same seed gives the same batches in the same order, pass by pass, whatever the number of threads.

    Shape: of an element: `(batch, CLIP_SAMPLES)` float32 in [-1, 1], `(batch, len(vocabulary))` float32.
        A frame without a `label` column gives waveforms alone.

    Args:
        clips_df: frame with the columns `path` and, if known, `label`.
        vocabulary: labels in the order of the model's outputs.
        batch_size: clips in a batch; the last one of a pass may be smaller without `whole_batches`.
        shuffle: a new order for every pass.
        augmentation: `Augmentation`, or None.
        noise: `(samples,)` float32 for the augmentation's background noise (`noise.background_noise`).
        rooms: `(num_rooms, taps)` float32, impulse responses for the augmentation (`rooms.make_rooms`).
        mixup_alpha: parameter of the Beta distribution in `augment.mixup`.
        mixup_fraction: share of the batches whose clips and labels are blended, 0 to 1.
        pseudo_df: more clips, whose labels are guesses: a fixed share of every batch, however many they are.
        pseudo_fraction: that share, 0 to 1; a pass ends with `clips_df`.
        joined_fraction: share of every batch that joins halves of its words (`joined_words.JoinedWords`), 0 to 1.
        speech_df: running speech (`negatives.speech_negatives`), of which random seconds are `unknown`.
        speech_fraction: their share of every batch, 0 to 1.
        cache: None reads every pass; "memory" or a folder decodes once (see `decode_to_cache`).
        changes_apart: instead of augmented waveforms, give a dict of `clips` `(batch, CLIP_SAMPLES)` int16 and of the
            changes (`augment.draw_changes`) that `training.device_augment` applies.
        whole_batches: fill the last batch with the first clips of the pass, once more: several devices need batches
            of one size.
        seed: of order and augmentation.

    Raises:
        ValueError: the frame is empty or holds a label that the vocabulary lacks, the shares leave no room, or speech
            or joined words are to be `unknown` where the vocabulary has no such label or the frame no labels.
        tf.errors.OpError: while iterating, a file cannot be read; names it.
    """
    if clips_df.empty:
        raise ValueError("`clips_df` must have at least one clip. Received: an empty frame")
    if changes_apart:
        if augmentation is None or mixup_fraction:
            raise ValueError(
                "`changes_apart` must have an `augmentation`, and no mixup. "
                f"Received: augmentation={augmentation}, mixup_fraction={mixup_fraction}"
            )
        augmentation.require_apart()
    if "label" not in clips_df and (joined_fraction or speech_df is not None):
        raise ValueError(
            "`clips_df` must have a `label` column where other clips, labelled `unknown`, are put in. "
            f"Received: the columns {list(clips_df)}"
        )
    leave_gpus_to_keras()
    num_extra = 0 if pseudo_df is None else len(pseudo_df)
    num_windows = 0 if speech_df is None else round(speech_fraction * batch_size)
    num_joined = round(joined_fraction * batch_size)
    extra_per_batch = round(pseudo_fraction * batch_size) if num_extra else 0
    if extra_per_batch + num_joined + num_windows >= batch_size:
        raise ValueError(
            "`pseudo_fraction`, `joined_fraction` and `speech_fraction` must leave room for `clips_df` in a batch. "
            f"Received: pseudo_fraction={pseudo_fraction}, joined_fraction={joined_fraction}, "
            f"speech_fraction={speech_fraction}, batch_size={batch_size}"
        )
    row_batches = _RowBatches(
        len(clips_df),
        batch_size - num_joined - num_windows,
        shuffle=shuffle,
        seed=seed,
        num_extra=num_extra,
        extra_per_batch=extra_per_batch,
        whole_batches=whole_batches,
    )
    all_df = clips_df if pseudo_df is None else pd.concat([clips_df, pseudo_df], ignore_index=True)
    loader = _RowLoader(
        list(all_df["path"].astype(str)),
        _one_hot(all_df["label"], vocabulary) if "label" in all_df else None,
        augmentation=augmentation,
        noise=noise,
        rooms=rooms,
        mixup_alpha=mixup_alpha,
        mixup_fraction=mixup_fraction,
        cache=cache,
        changes_apart=changes_apart,
        joined=JoinedWords(num_joined, vocabulary) if num_joined else None,
        speech=_SpeechWindows(speech_df, num_windows, vocabulary) if num_windows else None,
    )
    batches_ds = row_batches.dataset().map(loader.load, tf.data.AUTOTUNE, deterministic=True)
    if whole_batches:
        batches_ds = with_batch_size(batches_ds, batch_size)
    return batches_ds.apply(tf.data.experimental.assert_cardinality(len(row_batches))).prefetch(tf.data.AUTOTUNE)


def with_batch_size(batches_ds: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
    """The same batches, with their size in the shapes of the dataset.

    Args:
        batches_ds: batches of one size.
        batch_size: that size.
    """
    return _map_arrays(batches_ds, lambda array: tf.ensure_shape(array, (batch_size, *array.shape[1:])))


def part_of_batches(batches_ds: tf.data.Dataset, part_index: int, num_parts: int) -> tf.data.Dataset:
    """A part of every batch: its rows from `part_index * batch_size / num_parts` on.

    Shape: of an element: `(batch, ...)` -> `(batch / num_parts, ...)`.

    Args:
        batches_ds: batches whose size is in the shapes of the dataset, a multiple of `num_parts`.
        part_index: 0 to `num_parts - 1`.
        num_parts: number of equal parts.
    """

    def part(array):
        size = array.shape[0] // num_parts
        return array[part_index * size : (part_index + 1) * size]

    return _map_arrays(batches_ds, part)


def _map_arrays(batches_ds, function):
    """Apply a function to every array of every batch."""

    def map_batch(*batch):
        return tf.nest.map_structure(function, batch if len(batch) > 1 else batch[0])

    return batches_ds.map(map_batch)


def _one_hot(labels, vocabulary):
    """Targets of clips. Shape: `(clips,)` labels -> `(clips, len(vocabulary))` float32."""
    strange = sorted(set(labels.astype(str)) - set(vocabulary))
    if strange:
        raise ValueError(f"`clips_df` must hold labels of the vocabulary {list(vocabulary)}. Received: {strange}")
    label_index = labels.map({label: index for index, label in enumerate(vocabulary)})
    return tf.one_hot(label_index.to_numpy("int32"), len(vocabulary))


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
    joined_fraction: float = 0.0,
    speech_df: pd.DataFrame | None = None,
    speech_fraction: float = 0.25,
    made_noise_minutes: float = 0.0,
    cache: Path | str | None = None,
    changes_apart: bool = False,
    whole_batches: bool = False,
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
        joined_fraction: share of every training batch that joins halves of its words (`joined_words.JoinedWords`).
        speech_df: running speech (`negatives.speech_negatives`), of which random seconds are `unknown`.
        speech_fraction: their share of every training batch, 0 to 1.
        made_noise_minutes: minutes of made noise (`made_noise.make_noise`), with the voices of `speech_df`, that join
            the background noise of `clips_df`.
        cache: None reads the files in every pass; "memory" or a folder decodes them once.
        changes_apart: training batches of clips and changes (`make_dataset`).
        whole_batches: fill the last training batch with the first clips of the pass, once more: several devices need
            batches of one size (`devices` of `fit`).
        seed: for the choice of clips, their order and the augmentation.

    Returns:
        `train_ds` and `tune_ds`.

    Raises:
        ValueError: a split has no clips, or a label is not in the vocabulary.

    Examples:
        >>> import kaggle_speech as ks
        >>> clips_df, _ = ks.read_clips_table(data_dir, progress=False)
        >>> train_ds, tune_ds = make_datasets(clips_df, batch_size=16, augmentation=Augmentation())
        >>> waveform, target = next(iter(train_ds))
        >>> waveform.shape.as_list(), target.shape.as_list()
        ([16, 16000], [16, 12])
    """
    train_df = prepare_clips(
        clips_df, "train", unknown_fraction=unknown_fraction, silence_fraction=silence_fraction, seed=seed
    )
    tune_df = prepare_clips(clips_df, "tune", unknown_fraction=unknown_fraction, silence_fraction=silence_fraction)
    noise = background_noise(noise_paths(clips_df))
    if made_noise_minutes:
        made = make_noise(60 * made_noise_minutes, seed, speech_df)
        noise = made if noise is None else np.concatenate([noise, made])
    rooms = make_rooms(seed=seed) if augmentation is not None and augmentation.room_fraction else None
    train_ds = make_dataset(
        train_df.iloc[:num_clips],
        vocabulary,
        batch_size,
        shuffle=True,
        augmentation=augmentation,
        noise=noise,
        rooms=rooms,
        mixup_alpha=mixup_alpha,
        mixup_fraction=mixup_fraction,
        pseudo_df=pseudo_df,
        pseudo_fraction=pseudo_fraction,
        joined_fraction=joined_fraction,
        speech_df=speech_df,
        speech_fraction=speech_fraction,
        cache=cache,
        changes_apart=changes_apart,
        whole_batches=whole_batches,
        seed=seed,
    )
    return train_ds, make_dataset(tune_df, vocabulary, TUNE_BATCH_SIZE)


def blend_targets(
    batches_ds: tf.data.Dataset, predict: Callable[[np.ndarray], np.ndarray], share: float
) -> tf.data.Dataset:
    """Batches whose targets are blended with the predictions of a function for their waveforms.

    The function is called outside the graph, in which only Keras on TensorFlow could call a model.

    Shape: of an element: unchanged.

    Args:
        batches_ds: batches of waveforms and targets.
        predict: function of `(batch, samples)` to `(batch, num_classes)`, NumPy arrays of float32.
        share: weight of its result in the new target, 0 to 1; that of the old target is the rest.

    Returns:
        The batches with blended targets.
    """

    def blend(waveform, target):
        predicted = tf.ensure_shape(tf.numpy_function(predict, [waveform], tf.float32), target.shape)
        return waveform, (1 - share) * target + share * predicted

    return batches_ds.map(blend).prefetch(2)
