"""Folders for output, runs and cache, in a Kaggle kernel, a checkout or an installation."""

import os
from pathlib import Path

#: The environment variable that names the output folder, which holds `runs/` and `submissions/`.
OUTPUT_VARIABLE = "KAGGLE_SPEECH_OUTPUT"
#: Folders of every Kaggle kernel: `input` (read-only), `working` (saved), `temp` (not saved).
KAGGLE_DIR = Path("/kaggle")


def is_kaggle_kernel() -> bool:
    """Whether this process runs in a Kaggle kernel."""
    return (KAGGLE_DIR / "working").is_dir()


def project_dir() -> Path:
    """The root of the checkout that holds this package; for an installed package the current folder."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "pyproject.toml").is_file() else Path.cwd()


def output_dir() -> Path:
    """Folder of `runs/` and `submissions/`: KAGGLE_SPEECH_OUTPUT, the saved one of a Kaggle kernel, or the project."""
    if os.environ.get(OUTPUT_VARIABLE):
        return Path(os.environ[OUTPUT_VARIABLE]).expanduser().absolute()
    return KAGGLE_DIR / "working" if is_kaggle_kernel() else project_dir()


def cache_dir() -> Path:
    """Folder of files that can be made again, such as silence clips: not saved by a Kaggle kernel, ignored by git."""
    return KAGGLE_DIR / "temp" / "kaggle_speech" if is_kaggle_kernel() else output_dir() / "runs" / "cache"
