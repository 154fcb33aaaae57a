"""Model folder: `run.json` and the files beside it, read without Keras."""

import json
from pathlib import Path

from kaggle_speech.files import fingerprint
from kaggle_speech.text.alphabet import ALPHABET

RUN_NAME = "run.json"
WEIGHTS_NAME = "model.weights.h5"
KERAS_NAME = "model.keras"


def task_of(facts):
    """Task of a model, `words` or `transcripts`.

    Args:
        facts: dict of its `run.json` or of its file's metadata. Those of version 0.1 state no task; then the
            vocabulary decides: a model that outputs the alphabet makes transcripts.
    """
    return facts.get("task") or ("transcripts" if tuple(facts["vocabulary"]) == ALPHABET else "words")


def read_run(folder):
    """The `run.json` of a model's folder, a dict.

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


def model_path(folder):
    """Path of the file with the weights for Keras: `model.weights.h5`, else `model.keras`; None without either."""
    paths = (Path(folder) / name for name in (WEIGHTS_NAME, KERAS_NAME))
    return next((path for path in paths if path.is_file()), None)


def model_fingerprint(folder):
    """Sixteen hexadecimal digits that tell one trained model from another; None where there are no weights for Keras.

    They stay the same when a model is published, and files that are exported from it state them.

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
