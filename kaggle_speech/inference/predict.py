"""A model over files: probabilities, one row a file, in their order. Needs no TensorFlow.

A model is whatever has `predict_on_batch`, waveforms in, probabilities out: a Keras
model, or one of `runtimes`.
"""

import concurrent.futures
import functools
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np

from kaggle_speech.audio import CLIP_SAMPLES, SAMPLE_RATE, AudioError, read_clips
from kaggle_speech.files import differences, listing, replace_file
from kaggle_speech.inference.predictions import ProbabilityFile, names_fingerprint, read_probabilities
from kaggle_speech.progress import progress_bar

#: Clips whose probabilities are written at once, so that a killed pass loses no more. Shards begin at multiples of it.
PART_CLIPS = 2048
#: Test-time augmentation of the competition's winners: as it is, 94 ms earlier, louder.
WINNERS_TRANSFORMS = ("as_is", "shift_ms=-93.75", "gain=1.2")


class UnreadableClipsError(ValueError):
    """Clips that cannot be read. The message names them, and where the answers to the others are."""


def parse_transform(text):
    """A function of waveforms, `(batch, samples)` to the same, from `as_is`, `shift_ms=-93.75` (earlier) or `gain=1.2`.

    Raises:
        ValueError: it is none of these.
    """
    found = re.fullmatch(r"as_is|(shift_ms|gain)=(-?\d+(?:\.\d+)?)", text)
    if not found:
        raise ValueError(f"`transforms` must be among as_is, shift_ms=NUMBER, gain=NUMBER. Received: {text!r}")
    if text == "as_is":
        return lambda waveform: waveform
    if found[1] == "gain":
        return lambda waveform: waveform * np.float32(found[2])
    num_samples = np.clip(round(float(found[2]) * SAMPLE_RATE / 1000), -CLIP_SAMPLES, CLIP_SAMPLES)
    before, after = max(num_samples, 0), max(-num_samples, 0)
    return lambda waveform: np.pad(waveform, ((0, 0), (before, after)))[:, after : after + waveform.shape[1]]


def condition_changes(transforms):
    """What `predict_conditions` does to a batch for each transform. Args: as for `parse_transform`."""
    changes = [parse_transform(text) for text in transforms]
    return [lambda waveform, _, change=change: change(waveform) for change in changes]


def num_cores():
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def parallel_map(function, items, num_threads=None):
    """Results of a function for each item, in order, several at a time; none is begun when nobody takes more.

    Args:
        function: called in threads.
        items: its arguments.
        num_threads: None for one a core.
    """
    pool = concurrent.futures.ThreadPoolExecutor(num_threads or num_cores())
    try:
        yield from pool.map(function, items)
    finally:
        pool.shutdown(cancel_futures=True)


def _predict(model, paths, *, changes, batch_size, errors, is_strict=False):
    """Probabilities batch by batch, of what each change makes of it. Each core reads and answers its own batches.

    Shape: yields `(changes, batch, classes)`. A change gets the waveforms and the slice of `paths` that they are.
    Messages on files that cannot be read are added to `errors`. Strict: other sample rates are errors, and a batch that
    is not full is filled up, since the last bits of an answer depend on the size of the batch.
    """

    def answer(rows):
        batch = paths[rows]
        waveform, batch_errors = read_clips(batch, resample=not is_strict)
        if is_strict and len(batch) < batch_size:
            waveform = np.pad(waveform, ((0, batch_size - len(batch)), (0, 0)))
        found = [np.asarray(model.predict_on_batch(change(waveform, rows)))[: len(batch)] for change in changes]
        return np.array(found), batch_errors

    batches = [slice(first, min(first + batch_size, len(paths))) for first in range(0, len(paths), batch_size)]
    for probabilities, batch_errors in parallel_map(answer, batches):
        errors.extend(batch_errors)
        yield probabilities


def predict_conditions(model, clips_df, changes, batch_size=32, progress=True, description="predicting"):
    """The probabilities of every clip of a frame under several conditions; each file is read once.

    Shape: -> `(len(changes), len(clips_df), num_classes)` float32.

    Args:
        model: waveform in, probabilities out.
        clips_df: frame with a `path` column (labels are not looked at).
        changes: functions of `(batch, samples)` waveforms and of the slice of rows that they are, to the waveforms that
            the model is to hear.
        batch_size: clips at a time; changes speed and memory, not the result.
        progress: show a progress bar.
        description: beside the bar.

    Raises:
        AudioError: a file cannot be read; names it (`index.check_clips` finds them before).
        ValueError: the frame is empty.
    """
    if clips_df.empty:
        raise ValueError("`clips_df` must have at least one clip. Received: an empty frame")
    errors, found = [], []
    with progress_bar(total=len(clips_df), desc=description, unit="clip", progress=progress) as bar:
        for probabilities in _predict(
            model, list(clips_df["path"]), changes=changes, batch_size=batch_size, errors=errors
        ):
            if errors:
                raise AudioError("\n".join(errors))
            found.append(probabilities)
            bar.update(probabilities.shape[1])
    return np.concatenate(found, axis=1)


def predict_probabilities(model, clips_df, batch_size=32, progress=True, transforms=("as_is",)):
    """The probabilities of every clip of a frame.

    Shape: -> `(len(clips_df), num_classes)` float32, row by row.

    Args:
        model, clips_df, batch_size, progress: as in `predict_conditions`.
        transforms: test-time augmentation (see `parse_transform`); the mean over them is the result.

    Raises:
        AudioError: a file cannot be read; names it (`index.check_clips` finds them before).
        ValueError: the frame is empty, or a transform is none.
    """
    return predict_conditions(model, clips_df, condition_changes(transforms), batch_size, progress).mean(axis=0)


def predict_waveforms(model, waveform, batch_size=64):
    """The probabilities of clips in memory. Shape: `(clips, samples)` -> `(clips, num_classes)` float32."""
    starts = range(0, len(waveform), batch_size)
    return np.concatenate([np.asarray(model.predict_on_batch(waveform[at : at + batch_size])) for at in starts])


def shard_slice(num_clips, number, num_shards):
    """The clips of one of several shards, whole parts each: a slice. Number 1 is the first."""
    if not 1 <= number <= num_shards:
        raise ValueError(f"`shard` must be from 1 of n to n of n. Received: {number} of {num_shards}")
    num_parts = -(-num_clips // PART_CLIPS)
    first, end = (PART_CLIPS * (num_parts * k // num_shards) for k in (number - 1, number))
    return slice(first, min(end, num_clips))


def predict_to_file(
    model,
    vocabulary,
    clips_df,
    out_path,
    settings,
    *,
    shard=None,
    transforms=("as_is",),
    overwrite=False,
    batch_size=32,
    progress=True,
):
    """Write the probabilities of many clips to a file, in little memory; a killed call continues when called again.

    The file does not depend on whether and where a call was killed, and that of merged shards is that of one call.

    Args:
        model: waveform in, probabilities out.
        vocabulary: labels in the order of its outputs.
        clips_df: frame with the columns `path, fname`; all clips, also where this call is for one shard.
        out_path: `.npz` to write (see `probability_file`); a finished one of the same settings is read. Until it is
            complete, what is finished is in the folder `<out_path>.parts`.
        settings: JSON-able; tells this model from others.
        shard: `(number, of how many)`, from 1; None for all clips.
        overwrite: replace a file, or what a killed call left, of other settings.
        transforms, batch_size, progress: as in `predict_probabilities`.

    Returns:
        `ProbabilityFile`.

    Raises:
        UnreadableClipsError: clips are missing, empty, truncated or not at 16 kHz; names them. The others are kept.
        ValueError: `out_path`, or what a killed call left there, is of another model, folder, shard or transforms.
        OSError: the disk is full, for instance. What was finished is kept.
    """
    out_path, names, changes = Path(out_path), list(clips_df["fname"]), condition_changes(transforms)
    settings = {**settings, "vocabulary": list(vocabulary), "transforms": list(transforms)}
    settings |= {"clips": names_fingerprint(names), "num_clips": len(names)}
    rows = slice(0, len(names))
    if shard is not None:
        settings["shard"], rows = list(shard), shard_slice(len(names), *shard)
    if out_path.exists() and (found := read_probabilities(out_path)).settings == settings:
        return found
    parts_dir = out_path.with_name(f"{out_path.name}.parts")
    settings_path = parts_dir / "settings.json"
    begun = json.loads(settings_path.read_text()) if settings_path.exists() else settings
    if not overwrite:
        _check_settings(out_path, found.settings if out_path.exists() else settings, settings)
        _check_settings(parts_dir, begun, settings)
    elif begun != settings:
        shutil.rmtree(parts_dir)
    parts_dir.mkdir(parents=True, exist_ok=True)
    replace_file(settings_path, lambda path: path.write_text(json.dumps(settings)))
    predict = functools.partial(_predict, model, changes=changes, batch_size=batch_size, is_strict=True)
    part_paths = _write_parts(predict, list(clips_df["path"]), rows, parts_dir, progress)
    whole = np.concatenate([np.load(path) for path in part_paths])
    file = ProbabilityFile(np.array(names[rows]), whole, tuple(vocabulary), settings)
    file.write(out_path)
    shutil.rmtree(parts_dir)
    return file


def _write_parts(predict, paths, rows, parts_dir, progress):
    """The files of all parts, those that are there already and those that are made now."""
    part_paths, errors = [], []
    with progress_bar(total=rows.stop - rows.start, desc="predicting", unit="clip", progress=progress) as bar:
        for first in range(rows.start, rows.stop, PART_CLIPS):
            part_paths.append(parts_dir / f"{first:08d}.npy")
            part, part_errors, found = paths[first : min(first + PART_CLIPS, rows.stop)], [], []
            if part_paths[-1].exists():
                bar.update(len(part))
                continue
            for probabilities in predict(part, errors=part_errors):
                found.append(probabilities.mean(axis=0))
                bar.update(len(found[-1]))
            errors += part_errors
            if not part_errors:
                replace_file(part_paths[-1], lambda path, found=found: np.save(path, np.concatenate(found)))
    if errors:
        raise UnreadableClipsError(
            f"{len(errors)} clips must be readable to have an answer; what is finished is in {parts_dir}, and the same "
            f"command continues there. Received:\n  {listing(errors)}"
        )
    return part_paths


def _check_settings(path, found, wanted):
    there, here = differences(found, wanted)
    if there:
        raise ValueError(
            f"{path}: must be of the same model, clips and transforms. Choose another file, or overwrite this one. "
            f"It is of {there}. Received: {here}"
        )
