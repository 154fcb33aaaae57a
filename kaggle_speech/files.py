"""Files that appear whole or not at all; JSON, fingerprints, differences, and listings for messages."""

import contextlib
import errno
import functools
import hashlib
import itertools
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any


def replace_file(path: Path | str, write: Callable[[Path], Any]) -> None:
    """Write a file or folder beside its place, then move it there: the old one is whole until the new one is.

    Each call writes to a path of its own, so that of several processes and threads the last one wins.

    Args:
        path: the file or folder.
        write: function of the path to write to, which has the ending of `path`.
    """
    path = Path(path)
    with partial_path(path) as new_path:
        write(new_path)
        if new_path.is_dir():
            _replace_folder(new_path, path)
        else:
            new_path.replace(path)


@contextlib.contextmanager
def partial_path(path: Path | str) -> Iterator[Path]:
    """Reserve a path beside a file or folder to write it to, which no other call has; leftovers are removed.

    Args:
        path: the file or folder.

    Returns:
        context manager of `partial.<process>-<random digits>.<name of the file>`.
    """
    path = Path(path)
    _remove_partials_of_dead_processes(path.parent)
    own_path = path.with_name(f"partial.{_process_space()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.{path.name}")
    try:
        yield own_path
    finally:
        _remove(own_path)  # a full disk should not stay full


def _replace_folder(new_dir, out_dir):
    while True:
        old_dir = out_dir.with_name(f"old.{uuid.uuid4().hex[:8]}.{out_dir.name}")
        with contextlib.suppress(FileNotFoundError):  # nothing is there, or another process has just moved it
            out_dir.rename(old_dir)
        try:
            new_dir.rename(out_dir)
            return
        except BaseException as error:
            if old_dir.exists() and not out_dir.exists():
                old_dir.rename(out_dir)
            if getattr(error, "errno", None) not in (errno.ENOTEMPTY, errno.EEXIST):
                raise  # those two: the folder of another process has come between
        finally:
            _remove(old_dir)


def _remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@functools.cache
def _process_space():
    """Eight hexadecimal digits of the scope of a process id: on Linux, one start of one machine or container."""
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text()
        return fingerprint(boot_id + os.readlink("/proc/self/ns/pid"))[:8]
    except OSError:
        return "elsewhere"


@functools.cache
def _remove_partials_of_dead_processes(folder):
    """Remove partial files of killed processes of this machine, once a folder; files that may be in use stay."""
    if _process_space() == "elsewhere" or not folder.is_dir():
        return
    for path in folder.glob(f"partial.{_process_space()}-*-*.*"):
        pid = path.name.split("-")[1]
        try:
            os.kill(int(pid), 0)  # signal 0 only asks whether the process is there
        except ProcessLookupError:
            with contextlib.suppress(OSError):
                _remove(path)
        except (OSError, ValueError, OverflowError):
            continue


@contextlib.contextmanager
def one_at_a_time(path: Path | str) -> Iterator[None]:
    """Let one process at a time make a file or folder; another one waits, and says so.

    Without the package filelock, none waits.

    Args:
        path: the file or folder.

    Returns:
        context manager.
    """
    try:
        from filelock import FileLock, Timeout
    except ImportError:  # optional, as in every kernel that runs alone
        yield
        return
    name = hashlib.sha1(str(Path(path).absolute()).encode()).hexdigest()[:16]
    from kaggle_speech.progress import note

    lock = FileLock(Path(tempfile.gettempdir()) / f"kaggle_speech-{name}.lock")
    try:
        lock.acquire(timeout=1)
    except Timeout:
        note(f"{path}: another process writes it; waiting until it ends")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def make_folder(
    out_dir: Path | str, settings_name: str, settings: dict[str, Any], write: Callable[[Path], Any]
) -> Path:
    """Make a folder of some settings: a finished one of the same settings is kept, one of other settings replaced.

    It appears only when it is complete.

    Args:
        out_dir: folder to make; new, empty or of an earlier call.
        settings_name: name of the JSON file in it that records the settings.
        settings: values for JSON; `made_by` marks such folders.
        write: function of an empty folder, which fills it.

    Returns:
        The folder, as an absolute path.

    Raises:
        FileExistsError: `out_dir` holds something else; nothing is touched.
        ValueError: `out_dir` is the current folder.
    """
    out_dir = Path(out_dir).expanduser().resolve()
    if _read_settings(out_dir, settings_name, settings["made_by"]) == settings:
        return out_dir
    if out_dir == Path.cwd():
        raise ValueError(f"`out_dir` must not be the current folder, which would be replaced. Received: {out_dir}")
    out_dir.parent.mkdir(parents=True, exist_ok=True)

    def write_all(folder):
        folder.mkdir()
        write(folder)
        (folder / settings_name).write_text(json.dumps(settings, indent=2) + "\n", newline="\n")

    replace_file(out_dir, write_all)
    return out_dir


def _read_settings(out_dir, settings_name, made_by):
    """The settings of a folder of `make_folder`, None where nothing is in the way."""
    if not out_dir.exists() or (out_dir.is_dir() and not any(out_dir.iterdir())):
        return None
    try:
        settings = json.loads((out_dir / settings_name).read_text())
        if settings["made_by"] == made_by:
            return settings
    except (OSError, ValueError, TypeError, KeyError):
        pass
    raise FileExistsError(
        f"`out_dir` must be new, empty or of an earlier call; other files are never overwritten. Received: {out_dir}"
    )


def fingerprint(content: bytes | str) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of bytes or text.

    Args:
        content: bytes, or text; as UTF-8, with the bytes of file names that are not.
    """
    content = content.encode(errors="surrogateescape") if isinstance(content, str) else content
    return hashlib.sha256(content).hexdigest()[:16]


def set_aside(path: Path, content: bytes | str) -> Path:
    """Rename a file or folder to `<name>.old-<eight digits>`, a name that is free.

    Args:
        path: the file or folder to rename.
        content: bytes or text whose fingerprint gives the digits.

    Returns:
        The new path.
    """
    name = f"{path.name}.old-{fingerprint(content)[:8]}"
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    new_path = next(candidate for candidate in map(path.with_name, names) if not os.path.lexists(candidate))
    return path.rename(new_path)


def differences(first: dict[str, Any], second: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Items in which two dicts differ: those of the first and those of the second; a missing name has None.

    Args:
        first, second: the dicts.

    Examples:
        >>> differences({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4})
        ({'b': 2, 'c': None}, {'b': 3, 'c': 4})
    """
    names = [name for name in {**second, **first} if first.get(name) != second.get(name)]
    return {name: first.get(name) for name in names}, {name: second.get(name) for name in names}


def listing(texts: Sequence[str], limit: int = 20) -> str:
    """First texts of many, a line each, and the number of the others, for a message.

    Args:
        texts: the texts.
        limit: number of texts that are shown.

    Examples:
        >>> print(listing(["a.wav", "b.wav", "c.wav"], limit=2))
        a.wav
          b.wav
          and 1 more
    """
    return "\n  ".join([*texts[:limit], *([f"and {len(texts) - limit} more"] if len(texts) > limit else [])])


def what_is_there(path: Path) -> str:
    """Describe the content of a path, for error messages.

    Args:
        path: file or folder, which may be missing.
    """
    if not path.is_dir():
        return "which is a file" if path.exists() else "which does not exist"
    names = sorted(entry.name for entry in path.iterdir())
    return f"with {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}" if names else "which is empty"


def write_json(path: Path | str, content: Any) -> None:
    """Write a JSON file, whole or not at all.

    Args:
        path: file to write.
        content: values that JSON can hold.
    """
    replace_file(path, lambda partial_path: partial_path.write_text(json.dumps(content, indent=2) + "\n"))


def read_json(path: Path | str) -> Any:
    """Read a JSON file.

    Args:
        path: file to read.
    """
    return json.loads(Path(path).read_text())
