"""Extraction of archives, which stays inside its folder.

A file appears under its name only when it is complete, so that an interrupted
call is simply repeated.
"""

import contextlib
import json
import os
import shutil
from pathlib import Path, PureWindowsPath

from kaggle_speech.data import places
from kaggle_speech.data.archive_formats import ArchiveError, UnsupportedMethodError, find_readers
from kaggle_speech.files import one_at_a_time


def prepare_data(
    data_dir: Path | str | None = None, out_dir: Path | str | None = None, *, progress: bool = True
) -> Path:
    """Find the data and extract its archives; nothing is extracted twice.

    Archives that are already extracted beside themselves stay as they are.

    Args:
        data_dir: folder with clips or archives; None for the folder that the environment variable
            KAGGLE_SPEECH_DATA names, the input of a Kaggle kernel, or `data/` of the project.
        out_dir: folder to extract to; None extracts beside clips that are already there, else to
            `places.extraction_dir`. Speech Commands gets a folder of its own in it.
        progress: show progress bars.

    Returns:
        The folder that holds the extracted clips.

    Raises:
        FileNotFoundError: there is no data.
        ArchiveError: an archive is damaged, or a member is a link, a device or outside the folder.
        RuntimeError: neither py7zr nor the 7-Zip program is installed.

    Examples:
        >>> folder = prepare_data(data_dir)
        >>> sorted(path.name for path in (folder / "train").iterdir())
        ['audio', 'testing_list.txt', 'validation_list.txt']
    """
    source_dir = places.find_data(data_dir)
    archives = places.find_archives(source_dir)
    packed = [archive for archive in archives if not _is_extracted_beside(archive)]
    if not packed:
        return source_dir
    if out_dir is None:
        in_place = places.has_clips(source_dir) and os.access(source_dir, os.W_OK)
        target_dir = source_dir if in_place else places.extraction_dir(source_dir)
    else:
        target_dir = Path(out_dir)
    folders = []
    for archive in packed if target_dir == source_dir else archives:
        folders.append(places.archive_dir(archive, target_dir))
        extract_archive(archive, folders[-1], progress=progress)
    return next((folder for folder in [*folders, source_dir] if places.has_clips(folder)), folders[0])


def _is_extracted_beside(archive_path):
    """Whether an archive is extracted beside itself completely, not in part by an interrupted `extract_archive`."""
    folder = archive_path.parent
    recorded = _recorded_files(archive_path, folder)
    return (folder / places.archive_content(archive_path)).exists() and not _missing_files(recorded or {}, folder)


def _is_extracted(archive_path, out_dir):
    recorded = _recorded_files(archive_path, out_dir)
    return recorded is not None and not _missing_files(recorded, out_dir)


def extract_archive(archive_path: Path | str, out_dir: Path | str, *, progress: bool = True) -> int:
    """Extract the files of an archive that a folder does not hold yet.

    All names are checked before anything is written. Files that are there with
    the right size are left alone. The others are unpacked to a folder inside `out_dir`
    and moved to their places when the whole archive has proved good.

    Args:
        archive_path: a .7z, .tar.gz or .tgz file. A .7z file is read by py7zr, or by the 7-Zip program where
            py7zr is not installed or does not know the compression method.
        out_dir: folder to extract to.
        progress: show a progress bar.

    Returns:
        Number of files extracted, 0 where all were there.

    Raises:
        ArchiveError: the archive is damaged, or a member is a link, a device or outside `out_dir`.
        UnsupportedMethodError: an ArchiveError; no reader that is installed knows the compression method.
        RuntimeError: neither py7zr nor the 7-Zip program is installed.
    """
    archive_path = Path(archive_path)
    out_dir = Path(out_dir)
    if _is_extracted(archive_path, out_dir):
        return 0
    *others, last = find_readers(archive_path)
    with one_at_a_time(out_dir / archive_path.name):
        if _is_extracted(archive_path, out_dir):  # by the process that had the lock
            return 0
        for reader in others:
            with contextlib.suppress(UnsupportedMethodError):
                return _extract(archive_path, out_dir, reader, progress)
        return _extract(archive_path, out_dir, last, progress)


def _extract(archive_path, out_dir, reader, progress):
    list_members, unpack = reader
    staging_dir = out_dir / f".extracting-{archive_path.name}"
    shutil.rmtree(staging_dir, ignore_errors=True)  # of a run that was killed
    with _damage_reported(archive_path):
        files = _checked_files(archive_path, list_members(archive_path, progress))
    missing = _missing_files(files, out_dir)
    try:
        staging_dir.mkdir(parents=True)
        if missing:
            with _damage_reported(archive_path):
                unpack(archive_path, set(missing), staging_dir, progress)
        _record_files(archive_path, out_dir, files)
        for folder in {(out_dir / name).parent for name in missing}:
            folder.mkdir(parents=True, exist_ok=True)
        for name in missing:
            (staging_dir / name).replace(out_dir / name)
    finally:
        shutil.rmtree(staging_dir, ignore_errors=True)
    return len(missing)


def _checked_files(archive_path, members):
    """`{name: bytes}` of an archive's files, when all its members are harmless.

    Args:
        members: `(name, bytes, kind)` each; the kind is `file`, `folder`, `link` or `device`.
    """
    files = {}
    for name, num_bytes, kind in members:
        path = PureWindowsPath(name)  # knows drives and both slashes: stricter than POSIX alone
        if path.drive or path.root or ".." in path.parts:
            raise ArchiveError(f"{archive_path}: a member must stay inside the folder. Received: {name!r}")
        if kind not in ("file", "folder"):
            raise ArchiveError(f"{archive_path}: a member must be a file or a folder. Received: {name!r}, a {kind}")
        if name in files:
            raise ArchiveError(f"{archive_path}: a name must occur once. Received: {name!r} twice")
        if kind == "file":
            files[name] = num_bytes
    return files


def _missing_files(files, folder):
    """The names of `files` (`{name: bytes}`) that a folder lacks or holds with another size."""
    there = {}
    for parent in {name.rpartition("/")[0] for name in files}:
        with contextlib.suppress(FileNotFoundError), os.scandir(folder / parent) as entries:
            prefix = f"{parent}/" if parent else ""
            there.update({prefix + entry.name: entry.stat().st_size for entry in entries if entry.is_file()})
    return [name for name, num_bytes in files.items() if there.get(name) != num_bytes]


def _record_path(archive_path, folder):
    return folder / f".contents-{archive_path.name}.json"


def _identity(archive_path):
    status = archive_path.stat()
    return [status.st_size, status.st_mtime_ns]


def _record_files(archive_path, folder, files):
    """Keep the list of an archive's files, because listing a .tar.gz again means reading all of it."""
    record = {"archive": _identity(archive_path), "files": files}
    _record_path(archive_path, folder).write_text(json.dumps(record), encoding="utf-8")


def _recorded_files(archive_path, folder):
    """List of files that `_record_files` kept of this archive, or None."""
    try:
        record = json.loads(_record_path(archive_path, folder).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return record["files"] if record["archive"] == _identity(archive_path) else None


@contextlib.contextmanager
def _damage_reported(archive_path):
    """Turn whatever a reader raises on a damaged archive, a dozen types of error, into ArchiveError."""
    try:
        yield
    except ArchiveError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # a full disk, no permission: not the archive's fault
        raise ArchiveError(
            f"{archive_path}: must be a complete and undamaged archive. Received: {type(error).__name__}: {error}"
        ) from error
