"""Model folder: names of its files, its task, its fingerprint; read without Keras."""

import json
from collections.abc import Mapping
from pathlib import Path

from kaggle_speech.files import fingerprint
from kaggle_speech.text.alphabet import ALPHABET

#: Tasks of a model: labels for clips, or transcripts of speech.
TASKS = ("words", "transcripts")
#: Task, vocabulary, settings and versions of a run; of a finished one also architecture and fingerprints.
RUN_NAME = "run.json"
#: Figures of a finished run, with all that `run.json` holds.
METRICS_NAME = "metrics.json"
#: Weights for the network that `run.json` names.
WEIGHTS_NAME = "model.weights.h5"
#: The whole model: of version 0.1, or of a network that `build_model` does not build.
KERAS_NAME = "model.keras"
#: The exported model, in the precision that is loaded first, and in half the bytes.
ONNX_NAME = "model.onnx"
FLOAT16_ONNX_NAME = "model_float16.onnx"
INT8_ONNX_NAME = "model_int8.onnx"
#: The card of a published model.
CARD_NAME = "README.md"
#: One row an epoch.
HISTORY_NAME = "history.csv"
#: Checkpoint of a run that is not finished.
BACKUP_NAME = "backup"


def task_of(facts: Mapping) -> str:
    """Task of a model, `words` or `transcripts`.

    Args:
        facts: dict of its `run.json` or of its file's metadata. Those of version 0.1 state no task; then the
            vocabulary decides: a model that outputs the alphabet makes transcripts.
    """
    return facts.get("task") or ("transcripts" if tuple(facts["vocabulary"]) == ALPHABET else "words")


def read_run(folder: Path | str) -> dict:
    """Read the `run.json` of a model folder.

    Args:
        folder: of a run, or of a published model.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, or states no vocabulary and settings.
    """
    path = Path(folder) / RUN_NAME
    try:
        run = json.loads(path.read_text())
        if isinstance(run["vocabulary"], list) and isinstance(run["settings"], dict):
            return run
        received = "other types"
    except (ValueError, KeyError, TypeError) as error:
        received = f"{type(error).__name__}: {error}"
    raise ValueError(f"{path}: must hold a JSON object with a `vocabulary` and `settings`. Received: {received}")


def model_path(folder: Path | str) -> Path | None:
    """Path of the file with the weights for Keras: `model.weights.h5`, else `model.keras`; None without either.

    Args:
        folder: of a run, or of a published model.
    """
    paths = (Path(folder) / name for name in (WEIGHTS_NAME, KERAS_NAME))
    return next((path for path in paths if path.is_file()), None)


def model_fingerprint(folder: Path | str) -> str | None:
    """Sixteen hexadecimal digits that identify a trained model; None where there are no weights for Keras.

    They stay the same when a model is published, and files that are exported from it state them.

    Args:
        folder: of a run, or of a published model.

    Raises:
        ValueError: the weights are not those that `run.json` states.
    """
    path = model_path(folder)
    if path is None:
        return None
    content_fingerprint = fingerprint(path.read_bytes())
    if path.name == KERAS_NAME:
        return content_fingerprint
    run = read_run(folder)
    if run.get("weights") != content_fingerprint:
        raise ValueError(
            f"{path}: must be the file that run.json beside it states, {run.get('weights')}; this one is damaged, or "
            f"of another run. Received: {content_fingerprint}"
        )
    return run["model"]
