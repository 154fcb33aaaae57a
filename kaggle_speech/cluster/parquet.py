"""Answers as a Parquet data set: a file for each part of the clips, in a folder or at an address of fsspec."""

import contextlib
import functools
import json
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from kaggle_speech.audio import AudioInput
from kaggle_speech.cluster.addresses import import_parquet, open_system
from kaggle_speech.files import one_at_a_time
from kaggle_speech.inference import predict
from kaggle_speech.inference.batches import sendable
from kaggle_speech.inference.recogniser import Recogniser

if TYPE_CHECKING:
    import pandas as pd

#: Settings of the answers. Programs that read data sets leave out names with an underscore.
SETTINGS_NAME = "_settings.json"
#: Marks a complete data set, as Hadoop and Spark do.
SUCCESS_NAME = "_SUCCESS"


def predict_to_parquet(
    recogniser: Recogniser,
    clips_df: "pd.DataFrame",
    out_dir: Path | str,
    *,
    transforms: Sequence[str] = ("as_is",),
    batch_size: int = 32,
    progress: bool = True,
    map_parts: predict.Map | None = None,
    read: Callable[[list], Sequence[AudioInput]] = list,
) -> None:
    """Write the answers to many clips as a Parquet data set; a killed call continues when called again.

    Columns: `name`, `label` (one of the twelve), `confidence` (0 to 1), `probabilities` (a list of
    `len(vocabulary)`). Its schema has the vocabulary and the other settings as JSON, under `kaggle_speech`. Rows are in
    the order of `clips_df`, files in that of their names; the bytes do not depend on workers, order or kills. The
    workers write the files.

    Args:
        recogniser: from `load`.
        clips_df: frame with the columns `path, fname`.
        out_dir: folder, or address of fsspec, of the data set; new, or of a killed call with the same settings. It is
            complete where it holds `_SUCCESS`.
        transforms: test-time augmentation (see `parse_transform`); the mean over them is the result.
        batch_size: clips at a time; changes speed and memory, not the result.
        progress: show a progress bar.
        map_parts: computes a function for each of many parts, as the built-in `map` does; None computes here.
        read: function of a list of `path` values to paths or `AudioBytes`, for clips that are not files.

    Raises:
        UnreadableClipsError: clips are missing, empty, truncated or not at 16 kHz; names them. The others are kept.
        ValueError: `out_dir` holds answers of another model, other clips or transforms, or other files.
        ImportError: fsspec or pyarrow is not installed; says how to install it.
        OSError: the disk is full, for instance. What was finished is kept.
    """
    import_parquet()
    folder = str(out_dir).rstrip("/")
    is_remote = "://" in folder
    folder = folder if is_remote else str(Path(folder).expanduser().absolute())
    names = list(clips_df["fname"])
    settings = predict.pass_settings(recogniser, names, transforms) | {"rejection": str(recogniser.rejection)}
    system = open_system(folder)

    def list_names():
        with contextlib.suppress(FileNotFoundError):
            system.invalidate_cache()
            return {PurePosixPath(path).name for path in system.ls(folder, detail=False)}
        return set()

    with contextlib.nullcontext() if is_remote else one_at_a_time(folder):
        there = list_names()
        if SETTINGS_NAME in there:
            stored = json.loads(system.cat_file(f"{folder}/{SETTINGS_NAME}"))
            predict.check_settings(folder, stored, settings)
        elif there:
            raise ValueError(f"{folder}: must be new, or of a killed call. Received: {', '.join(sorted(there)[:5])}")
        system.makedirs(folder, exist_ok=True)
        _write(f"{folder}/{SETTINGS_NAME}", json.dumps(settings, indent=2).encode())
        clips = list(zip(clips_df["path"], names, strict=True))
        parts = predict.split_into_parts(clips, slice(0, len(clips)), folder, ".parquet")
        options: dict[str, Any] = {"transforms": tuple(transforms), "batch_size": batch_size, "read": read}
        write = sendable(functools.partial(write_answers, recogniser, settings, **options), recogniser.model)
        predict.complete_parts(write, parts, list_names, folder, map_parts=map_parts, progress=progress)
        if not is_remote:
            for leftover in Path(folder).glob(".*.partial"):  # of killed workers
                leftover.unlink(missing_ok=True)
        _write(f"{folder}/{SUCCESS_NAME}", b"")


def write_answers(
    recogniser: Recogniser,
    settings: dict,
    part: predict.Part,
    *,
    read: Callable[[list], Sequence[AudioInput]] = list,
    **options: Any,
) -> list[str]:
    """Write the answers to a part as a Parquet file, `part.path`, whole or not at all.

    Args:
        recogniser: from `load`.
        settings: JSON-able; goes into the schema.
        part: its `clips` are pairs of what `read` takes and of a name.
        read: function of a list of the former to paths or `AudioBytes`.
        options: of `predict_part`.

    Returns:
        the messages of the clips that cannot be read; where there are any, nothing is written.
    """
    import pyarrow

    paths, names = zip(*part.clips, strict=True)
    of_paths = part._replace(clips=list(paths))
    probabilities, errors = predict.predict_part(recogniser.model, of_paths, read=read, **options)
    if errors:
        return errors
    labels, confidences = recogniser.answers(probabilities)
    num_classes = probabilities.shape[1]
    columns = {
        "name": pyarrow.array(names, pyarrow.string()),
        "label": pyarrow.array(labels.tolist(), pyarrow.string()),
        "confidence": pyarrow.array(confidences.astype("float32")),
        "probabilities": pyarrow.FixedSizeListArray.from_arrays(
            probabilities.astype("float32").reshape(-1), num_classes
        ),
    }
    table = pyarrow.table(columns, metadata={"kaggle_speech": json.dumps(settings, sort_keys=True)})
    sink = pyarrow.BufferOutputStream()
    import_parquet().write_table(table, sink)
    _write(str(part.path), sink.getvalue().to_pybytes())
    return []


def _write(address, content):
    """Write a file whole or not at all; until then it has a name that programs which read data sets leave out."""
    if "://" in address:
        open_system(address).pipe_file(address, content)  # object stores show whole objects only
        return
    path = Path(address)
    partial_path = path.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        partial_path.write_bytes(content)
        partial_path.replace(path)
    finally:
        partial_path.unlink(missing_ok=True)
