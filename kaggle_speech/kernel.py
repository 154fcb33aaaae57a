"""Begin a Kaggle kernel: install what its image lacks from the data set of `make kaggle`, and get the attached runs.

Every notebook does so in its first cell, and so can a kernel of your own:

    !python /kaggle/input/kaggle-speech/kaggle_speech/kernel.py

It runs as a script, before the package is installed, and needs no internet.
"""

import functools
import importlib
import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

#: Where outputs of attached kernels are in the input folder: under their name, or under kind, owner and name.
KERNEL_OUTPUTS = ("*", "notebooks/*/*")


def install_missing(wheel_dir: Path) -> list[str]:
    """Install the distributions of a folder of wheels that are not installed in any version; the others stay.

    Args:
        wheel_dir: folder of wheels, among them one for this Python and machine of each distribution.

    Returns:
        Names of the distributions that were installed.

    Raises:
        FileNotFoundError: the folder holds no wheels.
        RuntimeError: pip failed, as where no wheel fits this Python.
    """
    names = sorted({path.name.split("-")[0] for path in wheel_dir.glob("*.whl")})
    if not names:
        raise FileNotFoundError(f"{wheel_dir}: must hold the wheels of `make kaggle`. Received: none")
    missing = [name for name in names if not any(importlib.metadata.distributions(name=name))]
    if missing:
        options = ("--disable-pip-version-check", "--no-compile", "--no-index", "--no-deps", "--find-links")
        command = [sys.executable, "-m", "pip", "install", *options, str(wheel_dir), *missing]
        process = subprocess.run(command, capture_output=True, text=True)
        if process.returncode:
            raise RuntimeError(f"{wheel_dir}: must hold a wheel of {missing} that fits. Received: {process.stderr}")
    return missing


def copy_runs(input_dir: Path, runs_dir: Path) -> list[str]:
    """Copy the trainings in the outputs of attached kernels, where this kernel has none of the same name.

    Args:
        input_dir: folder of all that is attached.
        runs_dir: `runs` folder of this kernel.

    Returns:
        Names of the runs that were copied.
    """
    from kaggle_speech.files import replace_file

    copied = []
    for run_dir in (path for place in KERNEL_OUTPUTS for path in sorted(input_dir.glob(f"{place}/runs/*"))):
        out_dir = runs_dir / run_dir.name
        if not out_dir.exists() and any(run_dir.rglob("run.json")):
            runs_dir.mkdir(parents=True, exist_ok=True)
            replace_file(out_dir, functools.partial(shutil.copytree, run_dir))
            copied.append(run_dir.name)
    return copied


def main() -> None:
    """Do both, and say so in one line."""
    data_set_dir = Path(__file__).resolve().parents[1]
    installed = install_missing(data_set_dir / "wheels")
    importlib.invalidate_caches()
    from kaggle_speech import __version__, folders

    copied = copy_runs(folders.KAGGLE_DIR / "input", folders.output_dir() / "runs")
    print(
        f"kaggle_speech {__version__} of {data_set_dir}; installed: {', '.join(installed) or 'nothing, all is there'}"
        + (f"; runs: {', '.join(copied)}" if copied else "")
    )


if __name__ == "__main__":
    main()
