"""The folder of a training run: what it takes to use its model, and to train it again.

`run.json` (vocabulary, settings, versions), `model.keras`, `history.csv`,
`metrics.json`, and `bad_clips.csv` where clips could not be read.
"""

import importlib
import json
import platform
import shutil
from pathlib import Path

import keras

# Registers the layers that a saved model is made of.
from kaggle_speech import __version__, features, models  # noqa: F401
from kaggle_speech.atomic import replace_file


def library_versions():
    """Versions of what results depend on."""
    names = (keras.backend.backend(), "keras", "numpy", "pandas", "sklearn")
    libraries = {name: importlib.import_module(name).__version__ for name in names}
    return {"kaggle_speech": __version__, "python": platform.python_version(), **libraries}


def write_json(path, content):
    """Write a JSON file, whole or not at all."""
    replace_file(path, lambda partial_path: partial_path.write_text(json.dumps(content, indent=2) + "\n"))


def read_json(path):
    """Read a JSON file."""
    return json.loads(Path(path).read_text())


def is_finished(run_dir, vocabulary, settings):
    """Whether a folder holds the finished run of this vocabulary and these settings."""
    if not (Path(run_dir) / "metrics.json").exists():
        return False
    found, wanted = read_json(Path(run_dir) / "run.json"), json.loads(json.dumps([vocabulary, settings]))
    return [found["vocabulary"], found["settings"]] == wanted


def start_run(run_dir, vocabulary, settings, *, overwrite=False):
    """Make the folder of a run, or come back to the one of a killed run.

    Args:
        run_dir: the folder.
        vocabulary: labels in the order of the model's outputs.
        settings: JSON-able; what the result depends on.
        overwrite: remove a finished run, or one of other settings, instead of raising.

    Returns:
        `run_dir` as a path.

    Raises:
        ValueError: the folder holds a finished run, or one with another vocabulary or other settings.
    """
    run_dir = Path(run_dir)
    run = {"vocabulary": list(vocabulary), "settings": settings, "versions": library_versions()}
    if (run_dir / "run.json").exists():
        found, wanted = read_json(run_dir / "run.json"), json.loads(json.dumps(run))
        is_same = all(found[name] == wanted[name] for name in ("vocabulary", "settings"))
        is_finished = (run_dir / "metrics.json").exists()
        if overwrite and (is_finished or not is_same):
            shutil.rmtree(run_dir)
        elif is_finished:
            raise ValueError(f"{run_dir}: must not hold a finished run. Choose another folder, or overwrite this one")
        elif not is_same:
            raise ValueError(
                f"{run_dir}: a killed run must be continued with its own settings, or be overwritten. "
                f"Its settings: {found['settings']}. Received: {settings}"
            )
    run_dir.mkdir(parents=True, exist_ok=True)
    write_json(run_dir / "run.json", run)
    return run_dir


def finish_run(run_dir, model, metrics):
    """Write `model.keras`, and `metrics.json` with all that `run.json` holds; remove the backup."""
    run_dir = Path(run_dir)
    replace_file(run_dir / "model.keras", model.save)
    write_json(run_dir / "metrics.json", metrics | read_json(run_dir / "run.json"))
    shutil.rmtree(run_dir / "backup", ignore_errors=True)


def load_run(run_dir):
    """The model of a run and its vocabulary.

    Raises:
        FileNotFoundError: the folder holds no finished run; says what to do.
    """
    run_dir = Path(run_dir)
    if not (run_dir / "model.keras").exists():
        raise FileNotFoundError(
            f"{run_dir}: must hold a trained model (model.keras). Received: none; "
            f"train one with notebook 03_train_cnn or `python -m kaggle_speech train --out {run_dir}`"
        )
    return keras.saving.load_model(run_dir / "model.keras"), tuple(read_json(run_dir / "run.json")["vocabulary"])
