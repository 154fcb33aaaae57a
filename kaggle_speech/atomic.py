"""Files that appear whole or not at all."""

from pathlib import Path


def replace_file(path, write):
    """Write a file beside its place, then move it there: a killed process leaves the old one whole.

    Args:
        path: the file.
        write: called with the path to write to; the ending is the file's own.
    """
    path = Path(path)
    partial_path = path.with_name(f"partial.{path.name}")
    write(partial_path)
    partial_path.replace(path)
