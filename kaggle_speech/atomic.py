"""Files that appear whole or not at all, and what tells one from another."""

import hashlib
import shutil
from pathlib import Path


def replace_file(path, write):
    """Write a file or folder beside its place, then move it there: a killed process leaves the old one whole.

    Args:
        path: the file; a folder must not be there yet.
        write: called with the path to write to; the ending is the file's own.
    """
    path = Path(path)
    partial_path = path.with_name(f"partial.{path.name}")
    try:
        write(partial_path)
    except BaseException:
        _remove(partial_path)  # a full disk should not stay full
        raise
    partial_path.replace(path)


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def fingerprint(content):
    """Sixteen hexadecimal digits that tell one content, bytes or text, from another."""
    content = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(content).hexdigest()[:16]


def differences(found, wanted):
    """Where two dicts differ: two dicts, the one's values and the other's; a name that is missing has None."""
    names = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    return tuple({name: settings.get(name) for name in names} for settings in (found, wanted))
