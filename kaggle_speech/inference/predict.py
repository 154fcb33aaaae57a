"""Predict the clips of a frame: in memory, under several conditions, or into a file that resumes. No TensorFlow."""

import functools
import json
import os
import re
import shutil
import sys
import typing
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from kaggle_speech.audio import CLIP_SAMPLES, SAMPLE_RATE, AudioError, AudioInput
from kaggle_speech.files import differences, listing, one_at_a_time, replace_file, set_aside
from kaggle_speech.inference.batches import Change, predict_files, sendable
from kaggle_speech.inference.predictions import Predictions, names_fingerprint, read_predictions
from kaggle_speech.inference.recogniser import Recogniser
from kaggle_speech.labels import VOCABULARIES
from kaggle_speech.progress import progress_bar
from kaggle_speech.streaming.stream import BatchModel

if typing.TYPE_CHECKING:
    import pandas as pd

#: Clips whose probabilities are written at once, so that a killed pass loses no more. Shards begin at multiples of it.
PART_CLIPS = 2048
#: Test-time augmentation of the competition's winners: as it is, 94 ms earlier, louder.
WINNERS_TRANSFORMS = ("as_is", "shift_ms=-93.75", "gain=1.2")
#: Results of a function for each item, in order, as those of the built-in `map`: `map` of an executor or of a cluster.
Map = Callable[[Callable, Sequence], Iterable]


class UnreadableClipsError(ValueError):
    """Clips that cannot be read. The message names them, and the folder that keeps the other results."""


class Part(typing.NamedTuple):
    """Up to `PART_CLIPS` of many clips, whose results are written at once: the unit of work of a long pass.

    Attributes:
        rows: their positions among all clips, from a multiple of `PART_CLIPS` on.
        clips: for each the path, or what the `read` of `predict_part` takes.
        path: file of their results.
    """

    rows: slice
    clips: list
    path: Path | str


def predict(
    model: Recogniser | BatchModel,
    clips_df: "pd.DataFrame",
    vocabulary: Sequence[str] | None = None,
    *,
    transforms: Sequence[str] = ("as_is",),
    batch_size: int = 32,
    progress: bool = True,
) -> Predictions:
    """Predict every clip of a frame.

    Args:
        model: from `load`, or anything with `predict_on_batch`, such as a Keras model: waveforms in, probabilities out.
        clips_df: frame with a `path` column, maybe `fname`; from `test_clips` or `read_clips_table`.
        vocabulary: labels in the order of the outputs of a model that is no `Recogniser`, which has its own; None for
            the package's vocabulary of as many labels.
        transforms: test-time augmentation (see `parse_transform`); the mean over them is the result.
        batch_size: clips at a time; changes speed and memory, not the result.
        progress: show a progress bar.

    Returns:
        `Predictions`, row by row; for `write_submission`.

    Raises:
        AudioError: a file cannot be read; names it.
        ValueError: the frame is empty, a transform is not known, or the vocabulary is not.

    Examples:
        >>> import tempfile
        >>> import pandas as pd
        >>> from kaggle_speech.audio import write_wav
        >>> from kaggle_speech.inference.load import load
        >>> path = Path(tempfile.mkdtemp()) / "clip.wav"
        >>> write_wav(path, np.zeros(16_000))
        >>> predict(load(), pd.DataFrame({"path": [path]}), progress=False).labels()
        array(['silence'], dtype='<U7')
    """
    recogniser = _recogniser(model, vocabulary)
    probabilities = predict_probabilities(recogniser.model, clips_df, batch_size, progress, transforms)
    if not recogniser.vocabulary:
        recogniser = _recogniser(recogniser.model, _default_vocabulary(probabilities.shape[1]))
    return Predictions(
        _names(clips_df), probabilities, recogniser.vocabulary, recogniser.settings, rejection=recogniser.rejection
    )


def _recogniser(model, vocabulary):
    if isinstance(model, Recogniser):
        return model
    return Recogniser(model, tuple(vocabulary or getattr(model, "vocabulary", ())))


def _default_vocabulary(num_classes):
    if num_classes not in VOCABULARIES:
        raise ValueError(
            f"`vocabulary` must be given for a model whose number of outputs is none of {tuple(VOCABULARIES)}. "
            f"Received: {num_classes} outputs"
        )
    return VOCABULARIES[num_classes]


def _names(clips_df):
    return clips_df["fname"] if "fname" in clips_df else [Path(path).name for path in clips_df["path"]]


def parse_transform(text: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function that changes waveforms, from its description.

    Shape: of the function: `(batch, samples)` -> the same.

    Args:
        text: `as_is`, `shift_ms=-93.75` (earlier) or `gain=1.2`.

    Raises:
        ValueError: `text` is none of these.
    """
    match = re.fullmatch(r"as_is|(shift_ms|gain)=(-?\d+(?:\.\d+)?)", text)
    if not match:
        raise ValueError(f"`transforms` must be among as_is, shift_ms=NUMBER, gain=NUMBER. Received: {text!r}")
    if text == "as_is":
        return lambda waveform: waveform
    if match[1] == "gain":
        return lambda waveform: waveform * np.float32(match[2])
    num_samples = np.clip(round(float(match[2]) * SAMPLE_RATE / 1000), -CLIP_SAMPLES, CLIP_SAMPLES)
    before = max(num_samples, 0)
    after = max(-num_samples, 0)
    return lambda waveform: np.pad(waveform, ((0, 0), (before, after)))[:, after : after + waveform.shape[1]]


def transform_changes(transforms: Sequence[str]) -> list[Change]:
    """Conditions for `predict_conditions`, one for each transform, the same for every clip.

    Args:
        transforms: texts for `parse_transform`: `as_is`, `shift_ms=-93.75`, `gain=1.2`.

    Raises:
        ValueError: a transform is none of these.
    """

    def make_change(text):
        transform = parse_transform(text)
        return lambda waveform, rows: transform(waveform)

    return [make_change(text) for text in transforms]


def predict_conditions(
    model: BatchModel,
    clips_df: "pd.DataFrame",
    changes: Sequence[Change],
    batch_size: int = 32,
    progress: bool = True,
    description: str = "predicting",
) -> np.ndarray:
    """Probabilities of every clip of a frame under several conditions; each file is read once.

    Shape: -> `(len(changes), len(clips_df), num_classes)` float32.

    Args:
        model: waveforms in, probabilities out.
        clips_df: frame with a `path` column (labels are not used).
        changes: functions of `(batch, samples)` waveforms and of a slice, the rows of `clips_df` that they are, to the
            waveforms that the model gets.
        batch_size: clips at a time; changes speed and memory, not the result.
        progress: show a progress bar.
        description: text beside the bar.

    Raises:
        AudioError: a file cannot be read; names it (`read_clips_table` finds such files).
        ValueError: the frame is empty.
    """
    if clips_df.empty:
        raise ValueError("`clips_df` must have at least one clip. Received: an empty frame")
    probabilities = []
    with progress_bar(total=len(clips_df), desc=description, unit="clip", progress=progress) as bar:
        for batch in predict_files(model, list(clips_df["path"]), changes, batch_size=batch_size):
            if batch.errors:
                raise AudioError("\n".join(batch.errors))
            probabilities.append(batch.probabilities)
            bar.update(batch.probabilities.shape[1])
    return np.concatenate(probabilities, axis=1)


def predict_probabilities(
    model: BatchModel,
    clips_df: "pd.DataFrame",
    batch_size: int = 32,
    progress: bool = True,
    transforms: Sequence[str] = ("as_is",),
) -> np.ndarray:
    """Outputs of a model for every clip of a frame: probabilities or logits.

    Shape: -> `(len(clips_df), num_outputs)` float32, row by row.

    Args:
        model: waveforms in, outputs out.
        clips_df: frame with a `path` column.
        batch_size: clips at a time; changes speed and memory, not the result.
        progress: show a progress bar.
        transforms: test-time augmentation (see `parse_transform`); the mean over them is the result.

    Raises:
        AudioError: a file cannot be read; names it.
        ValueError: the frame is empty, or a transform is not known.
    """
    return predict_conditions(model, clips_df, transform_changes(transforms), batch_size, progress).mean(axis=0)


def shard_slice(num_clips: int, number: int, num_shards: int) -> slice:
    """Rows of the clips of a shard, which are whole parts of `PART_CLIPS`.

    Args:
        num_clips: number of all clips.
        number: number of the shard, from 1.
        num_shards: number of shards.

    Raises:
        ValueError: the number is not from 1 to `num_shards`.
    """
    if not 1 <= number <= num_shards:
        raise ValueError(f"`shard` must be from 1 of n to n of n. Received: {number} of {num_shards}")
    num_parts = -(-num_clips // PART_CLIPS)
    first, end = (PART_CLIPS * (num_parts * k // num_shards) for k in (number - 1, number))
    return slice(first, min(end, num_clips))


def split_into_parts(clips: Sequence, rows: slice, parts_dir: Path | str, ending: str = ".npy") -> list[Part]:
    """The parts of some of many clips, in order.

    Args:
        clips: all clips.
        rows: positions of those that are wanted, from a multiple of `PART_CLIPS` on.
        parts_dir: folder of the results; that of a part has its first row as its name.
        ending: of the names.
    """
    parts = []
    for first in range(rows.start, rows.stop, PART_CLIPS):
        part_rows = slice(first, min(first + PART_CLIPS, rows.stop))
        parts.append(Part(part_rows, list(clips[part_rows]), f"{parts_dir}/{first:08d}{ending}"))
    return parts


def predict_part(
    model: BatchModel,
    part: Part,
    *,
    transforms: Sequence[str] = ("as_is",),
    batch_size: int = 32,
    num_threads: int | None = None,
    read: Callable[[list], Sequence[AudioInput]] = list,
    update: Callable[[int], object] | None = None,
) -> tuple[np.ndarray, list[str]]:
    """Probabilities of the clips of a part, the same to the last bit in whatever process and order.

    Shape: -> `(clips, num_classes)` float32, and the messages of the clips that cannot be read.

    Args:
        model: waveforms in, probabilities out.
        part: from `split_into_parts`.
        transforms: test-time augmentation (see `parse_transform`); the mean over them is the result.
        batch_size: clips at a time.
        num_threads: number of threads; None for as many as there are cores.
        read: function of `part.clips` to their paths or contents.
        update: called with the number of clips of each batch.
    """
    means = []
    errors = []
    changes = transform_changes(transforms)
    options = {"batch_size": batch_size, "first_row": part.rows.start, "is_strict": True, "num_threads": num_threads}
    for batch in predict_files(model, read(part.clips), changes, **options):
        means.append(batch.probabilities.mean(axis=0))
        errors += batch.errors
        if update is not None:
            update(len(means[-1]))
    return np.concatenate(means), errors


def write_part(model: BatchModel, part: Part, **options: typing.Any) -> list[str]:
    """Write the probabilities of a part to `part.path`, whole or not at all, in any process that shares its folder.

    Args:
        model: waveforms in, probabilities out.
        part: from `split_into_parts`.
        options: of `predict_part`.

    Returns:
        the messages of the clips that cannot be read; where there are any, nothing is written.
    """
    probabilities, errors = predict_part(model, part, **options)
    if not errors:
        replace_file(part.path, lambda path: np.save(path, probabilities))
    return errors


def complete_parts(
    write: Callable[..., list[str]],
    parts: Sequence[Part],
    list_names: Callable[[], Iterable[str]],
    parts_dir: Path | str,
    *,
    map_parts: Map | None = None,
    progress: bool = True,
) -> None:
    """Write all parts that are not finished, with one bar that counts clips.

    Args:
        write: function of a part to messages of clips that cannot be read, such as `write_part` with its model; one
            of `batches.sendable` where `map_parts` is given.
        parts: all parts.
        list_names: names of the files that are in their folder.
        parts_dir: the folder, for messages.
        map_parts: computes `write` of each part, such as `map` of an executor, of a thread each; None computes them
            here, with a thread a core.
        progress: show a progress bar.

    Raises:
        UnreadableClipsError: clips cannot be read; names them. The other parts are written.
        OSError: the disk is full, for instance, or the folder is not shared with the workers of `map_parts`.
    """

    def missing_parts():
        names = {*list_names()}
        return [part for part in parts if Path(part.path).name not in names]

    missing = missing_parts()
    num_clips, num_missing = (sum(len(part.clips) for part in some) for some in (parts, missing))
    errors = []
    options: dict[str, typing.Any] = {"initial": num_clips - num_missing, "unit": "clip", "progress": progress}
    with progress_bar(total=num_clips, desc="predicting", **options) as bar:
        if map_parts is None:
            outcomes: Iterable = map(functools.partial(write, update=bar.update), missing)
        else:
            outcomes = map_parts(functools.partial(write, num_threads=1), missing)
        for part, part_errors in zip(missing, outcomes, strict=True):
            errors += part_errors
            if map_parts is not None:
                bar.update(len(part.clips))
    if errors:
        raise UnreadableClipsError(
            f"{len(errors)} clips must be readable to have an answer; what is finished is in {parts_dir}, and the same "
            f"command continues there. Received:\n  {listing(errors)}"
        )
    lost = missing_parts()
    if lost:
        raise FileNotFoundError(
            f"{parts_dir}: must be a folder that all workers share. Received: a worker wrote {lost[0].path}, which is "
            "not there"
        )


def pass_settings(recogniser: Recogniser, names: Sequence[str], transforms: Sequence[str]) -> dict:
    """All that the probabilities of a pass over clips depend on, JSON-able.

    Args:
        recogniser: from `load`.
        names: names of all clips.
        transforms: test-time augmentation.
    """
    settings = {**recogniser.settings, "vocabulary": list(recogniser.vocabulary), "transforms": list(transforms)}
    return settings | {"clips": names_fingerprint(names), "num_clips": len(names)}


def predict_to_file(
    recogniser: Recogniser,
    clips_df: "pd.DataFrame",
    out_path: Path | str,
    *,
    shard: tuple[int, int] | None = None,
    transforms: Sequence[str] = ("as_is",),
    overwrite: bool = False,
    batch_size: int = 32,
    progress: bool = True,
    map_parts: Map | None = None,
    read: Callable[[list], Sequence[AudioInput]] = list,
) -> Predictions:
    """Write the probabilities of many clips to a file, in little memory; a killed call continues when called again.

    The file is the same however often a call was killed, and merged shards give the file of a single call. A second
    call for the same file waits for the first, and reads what it wrote (with the package filelock, on one machine).

    Args:
        recogniser: from `load`; its `settings` tell it from others.
        clips_df: frame with the columns `path, fname`; all clips, also where this call is for one shard.
        out_path: `.npz` to write (see `Predictions`); a finished one of the same settings is read. Until it is
            complete, what is finished is in the folder `<out_path>.parts`.
        shard: `(number, of how many)`, from 1; None for all clips.
        transforms: test-time augmentation (see `parse_transform`); the mean over them is the result.
        overwrite: set a file, or parts of a killed call, of other settings aside instead of raising: its name becomes
            `<name>.old-<eight digits>`, and a line on standard error names both.
        batch_size: clips at a time; changes speed and memory, not the result.
        progress: show a progress bar.
        map_parts: computes a function for each of many parts, as the built-in `map` does, somewhere that shares the
            folder: `map` of a process pool, or that of a cluster. It gets a function that can be pickled where the
            model can, as those of `load` can. None computes here, with a thread a core.
        read: function of a list of `path` values to paths or `AudioBytes`, for clips that are not files.

    Returns:
        `Predictions`, with the rejection of the recogniser.

    Raises:
        UnreadableClipsError: clips are missing, empty, truncated or not at 16 kHz; names them. The others are kept.
        ValueError: `out_path`, or its parts of a killed call, are of another model, folder, shard or transforms.
        OSError: the disk is full, for instance. What was finished is kept.
    """
    out_path = Path(out_path)
    names = list(clips_df["fname"])
    settings = pass_settings(recogniser, names, transforms)
    rows = slice(0, len(names))
    if shard is not None:
        settings["shard"] = list(shard)
        rows = shard_slice(len(names), *shard)
    make: Callable[..., Predictions] = functools.partial(Predictions, rejection=recogniser.rejection)
    parts_dir = out_path.with_name(f"{out_path.name}.parts")
    with one_at_a_time(out_path):
        stored = read_predictions(out_path) if out_path.exists() else None
        if stored is not None and stored.settings == settings:
            predictions = make(stored.names, stored.probabilities, stored.vocabulary, settings)
            if predictions.rejection != stored.rejection:  # chosen since
                predictions.save(out_path)
            return predictions
        settings_path = parts_dir / "settings.json"
        if parts_dir.exists() and not settings_path.exists():
            shutil.rmtree(parts_dir)  # the rest of a call that was killed while it removed them, of any settings
        begun = json.loads(settings_path.read_text()) if settings_path.exists() else settings
        if not overwrite:
            check_settings(out_path, settings if stored is None else stored.settings, settings)
            check_settings(parts_dir, begun, settings)
        if stored is not None:
            _make_way(out_path, stored.settings)
        if begun != settings:
            _make_way(parts_dir, begun)
        parts_dir.mkdir(parents=True, exist_ok=True)
        replace_file(settings_path, lambda path: path.write_text(json.dumps(settings)))
        options: dict[str, typing.Any] = {"transforms": tuple(transforms), "batch_size": batch_size, "read": read}
        write = sendable(functools.partial(write_part, recogniser.model, **options), recogniser.model)
        parts = split_into_parts(list(clips_df["path"]), rows, parts_dir)
        complete_parts(write, parts, lambda: os.listdir(parts_dir), parts_dir, map_parts=map_parts, progress=progress)
        nothing = np.zeros((0, len(recogniser.vocabulary)), "float32")  # a shard may be without clips
        probabilities = np.concatenate([nothing, *(np.load(part.path) for part in parts)])
        predictions = make(np.array(names[rows], dtype=np.str_), probabilities, tuple(recogniser.vocabulary), settings)
        predictions.save(out_path)
        shutil.rmtree(parts_dir)
    return predictions


def _make_way(path, settings):
    """Rename results of other settings, and print the new name."""
    new_path = set_aside(path, json.dumps(settings))
    print(f"{path} was of other settings and is now {new_path}", file=sys.stderr)


def check_settings(path: Path | str, stored: dict, wanted: dict) -> None:
    """Raise ValueError where results are of other settings than those wanted.

    Args:
        path: file or folder of the results, for the message.
        stored: their settings.
        wanted: settings of this call.
    """
    stored_part, wanted_part = differences(stored, wanted)
    if stored_part:
        raise ValueError(
            f"{path}: must be of the same model, clips and transforms. Choose another file, or overwrite this one. "
            f"It is of {stored_part}. Received: {wanted_part}"
        )
