"""Clips that are no files of a folder: listed in a CSV, in tar shards, in Parquet; here or at an address of fsspec.

A clip has an address, a text that `read_recordings` takes in any process:

    DIR/a.wav, s3://bucket/a.wav                a file
    DIR/0001.tar#yes/a.wav@1536+32044           a member of a tar: its name, where its bytes begin, their number
    DIR/0001.parquet#audio:17                   a column and a row of a Parquet file
"""

import itertools
import os
import re
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from kaggle_speech.audio import AudioBytes, AudioInput
from kaggle_speech.inference.batches import parallel_map
from kaggle_speech.inference.windows import AUDIO_ENDINGS
from kaggle_speech.progress import progress_bar

if TYPE_CHECKING:
    import pandas as pd

#: Endings of what `find_recordings` reads, beside folders and addresses.
LISTINGS = (".csv", ".tar", ".parquet")
_TAR = re.compile(r"(.+\.tar)#(.+)@(\d+)\+(\d+)", re.DOTALL | re.IGNORECASE)
_PARQUET = re.compile(r"(.+\.parquet)#(.+):(\d+)", re.DOTALL | re.IGNORECASE)


def is_listing(source: str | Path | None) -> bool:
    """Whether recordings are to be found by `find_recordings`: an address, or a CSV, tar or Parquet file.

    Args:
        source: what the user named.

    Examples:
        >>> is_listing("clips.csv"), is_listing("s3://bucket/clips"), is_listing("shards/*.tar"), is_listing("data")
        (True, True, True, False)
    """
    return source is not None and ("://" in str(source) or str(source).lower().endswith(LISTINGS))


def find_recordings(source: str | Path) -> "pd.DataFrame":
    """Table of the recordings of a CSV, of tar shards, of Parquet files, or below an address.

    Args:
        source: a path or an address of fsspec, such as `s3://bucket/...`; `*` and `{0000..0012}` stand for several
            files. It ends in

            - `.csv`: columns `path` (relative ones start at the folder of the CSV) and, maybe, `fname`;
            - `.tar`: WebDataset's shards, uncompressed; the audio files in them;
            - `.parquet`: a column of audio as Hugging Face `datasets` writes it, `{bytes, path}`;
            - anything else: a folder, of which all audio files count, or, where it has none, its Parquet or tar files.

    Returns:
        pandas DataFrame with the columns `path` (for `read_recordings`) and `fname`, files sorted, rows in their order.

    Raises:
        ValueError: nothing is there, or a file is of another kind; names it.
        ImportError: fsspec or pyarrow is not installed; says how to install it.
        OSError: a file cannot be read.
    """
    import pandas as pd

    files = _expand(str(source))
    kinds = {PurePosixPath(file).suffix.lower() for file in files}
    if not files or (len(kinds) > 1 and not kinds <= {*AUDIO_ENDINGS}):
        raise ValueError(f"{source}: must be files of one kind. Received: {', '.join(sorted(kinds)) or 'none'}")
    list_rows = {".csv": _csv_rows, ".tar": _tar_rows, ".parquet": _parquet_rows}.get(kinds.pop())
    rows: Iterable[tuple[str, str]] = _file_rows(files)
    if list_rows:
        shards = parallel_map(list_rows, files)
        rows = itertools.chain(
            *progress_bar(shards, total=len(files), desc="listing", unit="file", progress=len(files) > 1)
        )
    recordings_df = pd.DataFrame(rows, columns=["path", "fname"])
    if recordings_df.empty:
        raise ValueError(f"{source}: must hold recordings ({' '.join(AUDIO_ENDINGS)}). Received: none")
    return recordings_df


def _fsspec() -> Any:
    try:
        import fsspec
    except ImportError as error:
        raise ImportError(
            'recordings in tar shards, in Parquet and at addresses need fsspec; `pip install "kaggle_speech[cluster]"` '
            "brings it"
        ) from error
    return fsspec


def import_parquet() -> Any:
    """The module `pyarrow.parquet`.

    Raises:
        ImportError: pyarrow is not installed; says how to install it.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError('Parquet needs pyarrow; `pip install "kaggle_speech[cluster]"` brings it') from error
    return pyarrow.parquet


def open_system(address: str) -> Any:
    """The file system of fsspec for an address, or the local one for a path.

    Args:
        address: such as `s3://bucket/clips`.

    Raises:
        ImportError: fsspec, or its package for the protocol, is not installed.
        ValueError: fsspec does not know the protocol.
    """
    return _fsspec().filesystem(address.partition("://")[0] if "://" in address else "file")


def _expand(source: str) -> list[str]:
    """Files for a path, an address, a pattern or a folder, sorted; those of `{00..12}` in their order."""
    braces = re.search(r"\{(\d+)\.\.(\d+)\}", source)
    if braces:
        first, last = braces.groups()
        numbers = (f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1))
        parts = (_expand(source[: braces.start()] + number + source[braces.end() :]) for number in numbers)
        return list(itertools.chain(*parts))
    is_address = "://" in source
    path = source if is_address else os.path.abspath(os.path.expanduser(source))
    system = open_system(path)
    if "*" in source:
        files = sorted(system.glob(path))
    elif system.isdir(path):
        files = _folder_files(sorted(system.find(path)))
    elif not system.exists(path):
        raise FileNotFoundError(f"{source}: no such file")
    else:
        return [path]
    return [system.unstrip_protocol(file) if is_address else file for file in files]


def _folder_files(files: list[str]) -> list[str]:
    visible = [file for file in files if PurePosixPath(file).name[0] not in "._"]
    for endings in (AUDIO_ENDINGS, (".parquet",), (".tar",)):
        chosen = [file for file in visible if file.lower().endswith(endings)]
        if chosen:
            return chosen
    return []


def _file_rows(files):
    """Each file and its path below the folder that all share."""
    names = [file.split("/") for file in files]
    levels = zip(*(parts[:-1] for parts in names), strict=False)
    depth = sum(1 for _ in itertools.takewhile(lambda level: len({*level}) == 1, levels))
    return [(file, "/".join(parts[depth:])) for file, parts in zip(files, names, strict=True)]


def _csv_rows(path):
    import pandas as pd

    with open_system(path).open(path) as file:
        try:
            table_df = pd.read_csv(file, dtype=str, keep_default_na=False)
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: must be a CSV with a column `path`. Received: {error}") from error
    if "path" not in table_df:
        raise ValueError(f"{path}: must have a column `path`. Received: columns {[*table_df]}")
    folder = path.rpartition("/")[0]
    paths = [name if "://" in name or name.startswith("/") else f"{folder}/{name}" for name in table_df["path"]]
    names = table_df["fname"] if "fname" in table_df else [PurePosixPath(path).name for path in paths]
    return list(zip(paths, names, strict=True))


def _tar_rows(path):
    rows = []
    try:
        with open_system(path).open(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                name = PurePosixPath(member.name).name
                if member.isfile() and name.lower().endswith(AUDIO_ENDINGS) and name[0] != ".":
                    rows.append((f"{path}#{member.name}@{member.offset_data}+{member.size}", member.name))
                tar.members = []  # else it keeps what it has read: a gigabyte for a million clips
    except tarfile.TarError as error:
        raise ValueError(f"{path}: must be an uncompressed tar. Received: {error}") from error
    return rows


def _parquet_rows(path):
    import json

    parquet = import_parquet()
    with open_system(path).open(path) as file:
        try:
            table = parquet.ParquetFile(file)
        except Exception as error:  # pyarrow's own classes, by what is damaged
            raise ValueError(f"{path}: must be a Parquet file. Received: {error}") from error
        schema = table.schema_arrow
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
        kinds = {name: feature.get("_type") for name, feature in features.items() if isinstance(feature, dict)}
        columns = [name for name, kind in kinds.items() if kind == "Audio"]
        columns += [field.name for field in schema if _is_audio(field.type)]
        if not columns:
            raise ValueError(
                f"{path}: must have a column of audio, {{bytes, path}} as `datasets` writes it. Received: columns "
                f"{schema.names}"
            )
        column = columns[0]
        names = [None] * table.metadata.num_rows
        if schema.field(column).type.get_field_index("path") >= 0:
            struct = table.read(columns=[f"{column}.path"])[column].combine_chunks()
            names = struct.field("path").to_pylist()
    stem = PurePosixPath(path).name
    return [(f"{path}#{column}:{row}", name or f"{stem}:{row}") for row, name in enumerate(names)]


def _is_audio(arrow_type):
    import pyarrow

    if not pyarrow.types.is_struct(arrow_type):
        return False
    field = arrow_type.get_field_index("bytes")
    if field < 0:
        return False
    kind = arrow_type.field(field).type
    return pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind)


def read_recordings(addresses: Sequence[str]) -> list[AudioInput]:
    """Recordings by their addresses: paths of local files as they are, all others as `AudioBytes`.

    Neighbours in a tar are read in one piece, neighbours in a Parquet file row group by row group.

    Args:
        addresses: values of the column `path` of `find_recordings`.

    Raises:
        OSError: a file is missing or cannot be read.
    """
    recordings: list[AudioInput] = []
    for (kind, file), group in itertools.groupby(addresses, _container):
        if kind == "tar":
            recordings += _read_tar(file, group)
        elif kind == "parquet":
            recordings += _read_parquet(file, group)
        elif kind == "remote":
            recordings += _read_files(group)
        else:
            recordings += group
    return recordings


def _container(address: Any) -> tuple[str, str]:
    """What has to be opened for an address."""
    text = str(address)
    for kind, pattern in (("tar", _TAR), ("parquet", _PARQUET)):
        match = pattern.fullmatch(text) if f".{kind}#" in text.lower() else None
        if match:
            return kind, match[1]
    return ("remote", text.partition("://")[0]) if "://" in text else ("file", "")


def _read_tar(file: str, addresses: Iterable[str]) -> list[AudioInput]:
    members = []
    for address in addresses:
        start, size = map(int, address.rpartition("@")[2].split("+"))
        members.append((address, start, start + size))
    first = min(start for _, start, _ in members)
    content = open_system(file).cat_file(file, start=first, end=max(end for _, _, end in members))
    return [AudioBytes(address, content[start - first : end - first]) for address, start, end in members]


def _read_parquet(file: str, addresses: Iterable[str]) -> list[AudioInput]:
    addresses = list(addresses)
    rows = [int(address.rpartition(":")[2]) for address in addresses]
    column = addresses[0].rpartition("#")[2].rpartition(":")[0]
    recordings: dict[int, AudioInput] = {}
    with open_system(file).open(file) as opened:
        table = import_parquet().ParquetFile(opened)
        first = 0
        for group in range(table.num_row_groups):
            end = first + table.metadata.row_group(group).num_rows
            wanted = {row for row in rows if first <= row < end}
            if wanted:
                values = table.read_row_group(group, columns=[column])[column]
                recordings |= {row: _recording(f"{file}#{column}:{row}", values[row - first].as_py()) for row in wanted}
            first = end
    return [recordings[row] for row in rows]


def _recording(address: str, value: dict | None) -> AudioInput:
    """The recording of a cell: its bytes or, where `datasets` did not embed them, the file that it names."""
    value = value or {"bytes": None}  # an empty cell
    if value["bytes"] is None and value.get("path"):
        return read_recordings([value["path"]])[0]
    return AudioBytes(address, value["bytes"] or b"")


def _read_files(addresses: Iterable[str]) -> list[AudioInput]:
    """Files of a remote file system, many at a time; one that cannot be read is empty, an error that names it."""
    addresses = list(addresses)
    # Unlike `cat`, it takes `take [1].wav` for a name, not for a pattern.
    contents = open_system(addresses[0]).cat_ranges(addresses, None, None, on_error="return")
    recordings: list[AudioInput] = []
    for address, content in zip(addresses, contents, strict=True):
        is_read = isinstance(content, bytes)
        recordings.append(AudioBytes(address, content) if is_read else AudioBytes(f"{address} ({content!r})", b""))
    return recordings
