"""Files that appear whole or not at all, and what tells one from another."""

import hashlib
import json
import shutil
import tempfile
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


def make_folder(out_dir, settings_name, settings, write):
    """A folder that is what its settings say: one that is finished is kept, one of other settings replaced.

    It appears only when all of it is there.

    Args:
        out_dir: folder to make; new, empty or of an earlier call.
        settings_name: of the JSON file in it that tells one such folder from another.
        settings: dict; `made_by` tells such folders from everything else.
        write: called with an empty folder to fill.

    Returns:
        The folder, as an absolute path.

    Raises:
        FileExistsError: `out_dir` holds something else; nothing is touched.
    """
    out_dir = Path(out_dir).expanduser().resolve()
    if _read_settings(out_dir, settings_name, settings["made_by"]) == settings:
        return out_dir
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    # A sibling, so that the last step is a rename; its context clears up after every kind of interruption.
    with tempfile.TemporaryDirectory(prefix=f".{out_dir.name}-", dir=out_dir.parent) as staging:
        folder = Path(staging, "new")
        folder.mkdir()
        write(folder)
        (folder / settings_name).write_text(json.dumps(settings, indent=2) + "\n", newline="\n")
        if out_dir.exists():
            out_dir.rename(Path(staging, "old"))
        folder.rename(out_dir)
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


def fingerprint(content):
    """Sixteen hexadecimal digits that tell one content, bytes or text, from another."""
    content = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(content).hexdigest()[:16]


def differences(found, wanted):
    """Where two dicts differ: two dicts, the one's values and the other's; a name that is missing has None."""
    names = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    return tuple({name: settings.get(name) for name in names} for settings in (found, wanted))
