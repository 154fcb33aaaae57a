"""Archives in, folders out: extraction that stays inside its folder.

A file appears under its name only when it is complete, so that whatever was
interrupted is simply run again.
"""

import contextlib
import gzip
import io
import itertools
import json
import os
import shutil
import stat
import subprocess
import tarfile
from collections import deque
from pathlib import Path, PurePosixPath, PureWindowsPath

from kaggle_speech import paths
from kaggle_speech.progress import progress_bar


class ArchiveError(ValueError):
    """An archive that is damaged or reaches outside its folder, or a download that differs. Names the file."""


def prepare_data(data_dir=None, out_dir=None, *, progress=True):
    """Find the data and extract what is still packed; nothing is done twice.

    Archives that are already extracted beside themselves stay as they are.

    Args:
        data_dir: as in `paths.find_data`.
        out_dir: folder to extract to. None: beside clips that are there already,
            else `paths.extraction_dir`. Speech Commands gets a folder of its own in it.
        progress: show progress bars.

    Returns:
        The folder that holds the extracted clips.

    Raises:
        FileNotFoundError: there is no data.
        ArchiveError: as `extract_archive`.
    """
    data_dir = paths.find_data(data_dir)
    archives = paths.find_archives(data_dir)
    packed = [archive for archive in archives if not _is_extracted_beside(archive)]
    if not packed:
        return data_dir
    if out_dir is None:
        in_place = paths.has_clips(data_dir) and os.access(data_dir, os.W_OK)
        out_dir = data_dir if in_place else paths.extraction_dir(data_dir)
    out_dir = Path(out_dir)
    folders = []
    for archive in packed if out_dir == data_dir else archives:
        is_competition = archive.name in paths.COMPETITION_ARCHIVES
        folders.append(out_dir if is_competition else out_dir / archive.name.removesuffix(".tar.gz"))
        extract_archive(archive, folders[-1], progress=progress)
    return next((folder for folder in [*folders, data_dir] if paths.has_clips(folder)), folders[0])


def _is_extracted_beside(archive_path):
    """Whether the folder of an archive holds its content, and not a half of it that `extract_archive` left."""
    folder = archive_path.parent
    recorded = _recorded_files(archive_path, folder)
    return (folder / paths.archive_content(archive_path)).exists() and not _missing_files(recorded or {}, folder)


def extract_archive(archive_path, out_dir, *, progress=True):
    """Extract what `out_dir` does not hold yet.

    All names are checked before anything is written. Files that are there with
    the right size are left alone. The others are unpacked to a folder inside `out_dir`
    and moved to their places when the whole archive has proved good.

    Args:
        archive_path: a .7z (read by py7zr, else by the 7-Zip program), .tar.gz or .tgz file.
        out_dir: folder to extract to.
        progress: show a progress bar.

    Returns:
        Number of files extracted, 0 where all were there.

    Raises:
        ArchiveError: the archive is damaged, or a member is a link, a device or outside `out_dir`.
        RuntimeError: neither py7zr nor the 7-Zip program is installed.
    """
    archive_path, out_dir = Path(archive_path), Path(out_dir)
    staging_dir = out_dir / f".extracting-{archive_path.name}"
    shutil.rmtree(staging_dir, ignore_errors=True)  # of a run that was killed
    recorded = _recorded_files(archive_path, out_dir)
    if recorded is not None and not _missing_files(recorded, out_dir):
        return 0
    list_members, unpack = _reader(archive_path)
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
        members: `(name, bytes, kind)` each; the kind is `file`, `folder` or what else it is.
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
    """Keep the list of an archive's files: getting it out of a .tar.gz again means to read all of it."""
    record = {"archive": _identity(archive_path), "files": files}
    _record_path(archive_path, folder).write_text(json.dumps(record), encoding="utf-8")


def _recorded_files(archive_path, folder):
    """What `_record_files` kept of this very archive, or None."""
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


def _reader(archive_path):
    """The functions that list and unpack this kind of archive."""
    name = archive_path.name.lower()
    if name.endswith((".tar.gz", ".tgz")):
        return _tar_members, _unpack_tar
    if not name.endswith(".7z"):
        raise ValueError(f"`archive_path` must end in .7z, .tar.gz or .tgz. Received: {archive_path}")
    try:
        import py7zr  # noqa: F401
    except ImportError:
        if _sevenzip_program() is None:
            raise RuntimeError(
                f"{archive_path}: a .7z archive must be read by py7zr (`pip install py7zr`) or by the 7-Zip program "
                "(`apt-get install p7zip-full`, https://7-zip.org). Received: neither is installed"
            ) from None
        return _program_members, _unpack_with_program
    return _py7zr_members, _unpack_with_py7zr


class _CountedFile(io.FileIO):
    """A file to read that moves a progress bar by every byte read."""

    def __init__(self, path, bar):
        self._bar = bar
        super().__init__(path)

    def read(self, size=-1):
        data = super().read(size)
        self._bar.update(len(data))
        return data


def byte_bar(title, num_bytes, progress, start=0):
    return progress_bar(total=num_bytes, initial=start, desc=title, unit="B", unit_scale=True, progress=progress)


@contextlib.contextmanager
def _open_with_bar(path, verb, progress):
    with byte_bar(f"{verb} {path.name}", path.stat().st_size, progress) as bar, _CountedFile(path, bar) as file:
        yield file


def _py7zr_members(archive_path, progress):
    import py7zr

    with py7zr.SevenZipFile(archive_path) as archive:
        for file in archive.files:
            kind = "folder" if file.is_directory else "file" if file.st_fmt in (None, stat.S_IFREG) else "device"
            yield (file.filename, file.uncompressed, "link" if file.is_symlink or file.is_junction else kind)


def _unpack_with_py7zr(archive_path, names, out_dir, progress):
    import py7zr

    with _open_with_bar(archive_path, "extracting", progress) as file, py7zr.SevenZipFile(file) as archive:
        archive.extract(out_dir, targets=names)


def _sevenzip_program():
    return next(filter(None, map(shutil.which, ("7z", "7zz", "7za"))), None)


def _program_lines(archive_path, command, *options):
    """The lines that the 7-Zip program prints; ArchiveError with the last of them where it fails."""
    call = [_sevenzip_program(), command, *options, "-sccUTF-8", "--", str(archive_path.absolute())]
    last = deque(maxlen=8)
    # No standard input: an archive with a password must fail, not wait.
    with subprocess.Popen(
        call, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    ) as process:
        try:
            for line in process.stdout:
                last.append(line.strip())
                yield line.rstrip("\r\n")
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        said = ", ".join(filter(None, last))
        raise ArchiveError(
            f"{archive_path}: must be a complete and undamaged archive. "
            f"Received: {Path(call[0]).name} ended with {process.returncode}: {said}"
        )


def _program_kind(attributes):
    """The kind of a member from the program's column of attributes, such as `D drwxr-xr-x` or `A`."""
    unix = next((part for part in attributes.split() if len(part) == 10), "-")
    windows = "".join(part for part in attributes.split() if part != unix)
    if "L" in windows or unix[0] == "l":
        return "link"
    if unix[0] not in "-d":
        return "device"
    return "folder" if "D" in windows or unix[0] == "d" else "file"


def _program_members(archive_path, progress):
    fields = {}
    for line in itertools.chain(_program_lines(archive_path, "l", "-slt", "-ba"), [""]):
        key, equals, value = line.partition(" = ")
        if equals:
            fields[key] = value
        elif fields:
            name = fields["Path"].replace(os.sep, "/")
            yield (name, int(fields["Size"] or 0), _program_kind(fields["Attributes"]))
            fields = {}


def _unpack_with_program(archive_path, names, out_dir, progress):
    # Everything, not only `names`: the program compares every member with every name it is given.
    lines = _program_lines(archive_path, "x", "-y", "-bb1", "-bsp0", f"-o{out_dir}")
    title = f"extracting {archive_path.name}"
    with contextlib.closing(lines), progress_bar(total=len(names), desc=title, unit=" files", progress=progress) as bar:
        for line in lines:
            bar.update(line.startswith("- ") and line[2:].replace(os.sep, "/") in names)


def _tar_members(archive_path, progress):
    with _open_with_bar(archive_path, "checking", progress) as file, gzip.open(file) as stream:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                kind = "file" if member.isreg() else "folder" if member.isdir() else "device"
                yield (_tar_name(member), member.size, "link" if member.issym() or member.islnk() else kind)
        while stream.read(1 << 20):  # gzip's checksum comes last
            pass


def _tar_name(member):
    """`./yes/a.wav` is `yes/a.wav`."""
    return PurePosixPath(member.name).as_posix()


def _unpack_tar(archive_path, names, out_dir, progress):
    with (
        _open_with_bar(archive_path, "extracting", progress) as file,
        gzip.open(file) as stream,
        tarfile.open(fileobj=stream, mode="r:") as archive,
    ):
        for member in archive:
            if (name := _tar_name(member)) in names:
                path = out_dir / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.extractfile(member) as source, path.open("wb") as target:
                    shutil.copyfileobj(source, target)
