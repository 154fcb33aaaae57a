"""Readers of .7z and .tar.gz archives, which list and unpack their members; `archives` checks the members."""

import contextlib
import gzip
import io
import itertools
import os
import re
import shutil
import stat
import subprocess
import tarfile
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from kaggle_speech.progress import progress_bar

_SEVENZIP = "the 7-Zip program (`apt-get install p7zip-full`, https://7-zip.org)"


#: `list_members(archive_path, progress)` and `unpack(archive_path, names, out_dir, progress)`.
Reader = tuple[Callable[..., Iterable[tuple[str, int, str]]], Callable[..., None]]


class ArchiveError(ValueError):
    """A damaged archive, one that reaches outside its folder, or a wrong download. The message names the file."""


class UnsupportedMethodError(ArchiveError):
    """An archive with a compression method that this reader does not know; another reader may know it."""


def find_readers(archive_path: Path) -> list[Reader]:
    """Pairs of functions that list and unpack this kind of archive, the preferred pair first.

    `list_members(archive_path, progress)` yields `(name, bytes, kind)`, the kind being `file`, `folder`, `link` or
    `device`; `unpack(archive_path, names, out_dir, progress)` writes at least the files of these names. Both raise
    `UnsupportedMethodError` where only the next pair can read the archive.

    Args:
        archive_path: a .7z, .tar.gz or .tgz file.

    Raises:
        ValueError: the name ends in none of .7z, .tar.gz, .tgz.
        RuntimeError: neither py7zr nor the 7-Zip program is installed.
    """
    name = archive_path.name.lower()
    if name.endswith((".tar.gz", ".tgz")):
        return [(_tar_members, _unpack_tar)]
    if not name.endswith(".7z"):
        raise ValueError(f"`archive_path` must end in .7z, .tar.gz or .tgz. Received: {archive_path}")
    readers: list[Reader] = []
    with contextlib.suppress(ImportError):
        import py7zr  # noqa: F401

        readers.append((_py7zr_members, _unpack_with_py7zr))
    if _sevenzip_program():
        readers.append((_program_members, _unpack_with_program))
    if not readers:
        raise RuntimeError(
            f"{archive_path}: a .7z archive must be read by py7zr (`pip install py7zr`) or by {_SEVENZIP}. "
            "Received: neither is installed"
        )
    return readers


class _CountedFile(io.FileIO):
    """A file to read that moves a progress bar by every byte read."""

    def __init__(self, path, bar):
        self._bar = bar
        super().__init__(path)

    def read(self, size=-1):
        data = super().read(size)
        self._bar.update(len(data))
        return data


def byte_bar(title: str, num_bytes: int, progress: bool, start: int = 0) -> Any:
    """Progress bar of bytes.

    Args:
        title: text before the bar.
        num_bytes: bytes of the whole.
        progress: False shows nothing.
        start: bytes that are there already.
    """
    return progress_bar(total=num_bytes, initial=start, desc=title, unit="B", unit_scale=True, progress=progress)


@contextlib.contextmanager
def _open_with_bar(path, verb, progress):
    with byte_bar(f"{verb} {path.name}", path.stat().st_size, progress) as bar, _CountedFile(path, bar) as file:
        yield file


@contextlib.contextmanager
def _py7zr_archive(archive_path, file):
    """An open `py7zr.SevenZipFile`. Raises UnsupportedMethodError where it cannot decompress."""
    import py7zr

    try:
        with py7zr.SevenZipFile(file) as archive:
            yield archive
    except py7zr.UnsupportedCompressionMethodError as error:
        raise UnsupportedMethodError(
            f"{archive_path}: the compression method must be known to py7zr, or {_SEVENZIP} must be installed. "
            f"Received: {error.args[-1]}"
        ) from error


def _py7zr_kind(member):
    """The kind of a member by its Windows attributes and Unix mode, which may lack the bits of the file type."""
    if member.is_symlink or member.is_junction:
        return "link"
    if member.is_directory or member.st_fmt == stat.S_IFDIR:
        return "folder"
    return "file" if member.st_fmt in (None, 0, stat.S_IFREG) else "device"


def _py7zr_members(archive_path, progress):
    with _py7zr_archive(archive_path, archive_path) as archive:
        for member in archive.files:
            yield member.filename, member.uncompressed, _py7zr_kind(member)


def _unpack_with_py7zr(archive_path, names, out_dir, progress):
    with (
        _open_with_bar(archive_path, "extracting", progress) as file,
        _py7zr_archive(archive_path, file) as archive,
    ):
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
        said = f"{Path(call[0]).name} ended with {process.returncode}: " + ", ".join(filter(None, last))
        if "Unsupported Method" in said:
            raise UnsupportedMethodError(
                f"{archive_path}: the compression method must be known to the 7-Zip program. Received: {said}"
            )
        raise ArchiveError(f"{archive_path}: must be a complete and undamaged archive. Received: {said}")


def _program_kind(attributes):
    """The kind of a member from the program's column of attributes.

    The column holds Windows letters, other bits as eight hexadecimal digits, and the Unix mode, each where there are
    any: `A`, `D drwxr-xr-x`, `AV 01ED0000 0rwxr-xr-x`. The mode begins with `0` where the file type is not recorded.
    """
    parts = [part for part in attributes.split() if not re.fullmatch("[0-9A-F]{8}", part)]
    unix = parts.pop() if parts and len(parts[-1]) == 10 else "0"
    windows = "".join(parts)
    if "L" in windows or unix[0] == "l":
        return "link"
    if unix[0] not in "0-d":
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
