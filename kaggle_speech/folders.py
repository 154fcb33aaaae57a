"""Folders for what the package makes: output, runs, cache; a Kaggle kernel, a checkout or an installation."""

import os
from pathlib import Path

#: The environment variable that names the folder for what is made: `runs/` and `submissions/`.
OUTPUT_VARIABLE = "KAGGLE_SPEECH_OUTPUT"
#: What every Kaggle kernel has: `input` (read-only), `working` (saved), `temp` (not saved).
KAGGLE_DIR = Path("/kaggle")


def is_kaggle_kernel() -> bool:
    """Whether this process runs in a Kaggle kernel."""
    return (KAGGLE_DIR / "working").is_dir()


def project_dir() -> Path:
    """The root of the checkout that holds this package; for an installed package the current folder."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "pyproject.toml").is_file() else Path.cwd()


def output_dir() -> Path:
    """The folder for `runs/` and `submissions/`: KAGGLE_SPEECH_OUTPUT, what a Kaggle kernel saves, or the project."""
    if os.environ.get(OUTPUT_VARIABLE):
        return Path(os.environ[OUTPUT_VARIABLE]).expanduser().absolute()
    return KAGGLE_DIR / "working" if is_kaggle_kernel() else project_dir()


def cache_dir() -> Path:
    """The folder for what can be made again, such as silence clips: not saved by a Kaggle kernel, ignored by git."""
    return KAGGLE_DIR / "temp" / "kaggle_speech" if is_kaggle_kernel() else output_dir() / "runs" / "cache"
