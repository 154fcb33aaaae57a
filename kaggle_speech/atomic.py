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


def file_fingerprint(path):
    """Sixteen hexadecimal digits that tell one file's content from another's."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
