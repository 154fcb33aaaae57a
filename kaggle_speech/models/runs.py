"""Run folder: start, continue, finish and load a training run. No run is ever removed.

`run.json` (task, vocabulary, settings, versions; of a finished run also architecture and
fingerprints), `model.weights.h5`, `history.csv`, `metrics.json`, `bad_clips.csv` where clips
could not be read, and `rejection.json` where a threshold was chosen.
"""

import contextlib
import dataclasses
import importlib
import json
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from kaggle_speech import __version__
from kaggle_speech.audio import CLIP_SAMPLES
from kaggle_speech.files import (
    differences,
    fingerprint,
    one_at_a_time,
    read_json,
    replace_file,
    set_aside,
    write_json,
)
from kaggle_speech.models import anatomy, cost, folder, pretrained, registry
from kaggle_speech.models.folder import (
    BACKUP_NAME,
    KERAS_NAME,
    METRICS_NAME,
    RUN_NAME,
    TASKS,
    WEIGHTS_NAME,
    model_path,
    read_run,
    task_of,
)
from kaggle_speech.models.weights import load_keras_file, load_weights

#: Largest difference of a probability between a model and the same model in its older file: rounding.
MAX_DIFFERENCE = 1e-5


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that results depend on."""
    names = (keras.backend.backend(), "keras", "numpy", "pandas", "sklearn")
    libraries = {name: importlib.import_module(name).__version__ for name in names}
    return {"kaggle_speech": __version__, "python": platform.python_version(), **libraries}


@dataclasses.dataclass
class Run:
    """The run in a folder, from `open_run`.

    Attributes:
        path: the folder.
        metrics: content of `metrics.json`; None until the run is finished.
    """

    path: Path
    metrics: dict | None = None

    def finish(self, model: keras.Model, metrics: Mapping) -> dict:
        """Write the weights, complete `run.json`, write `metrics.json` with all that it holds; remove the backup.

        Args:
            model: the trained model. Of one that `build_model` does not build from the run's `settings["model"]`,
                `model.keras` is written, which only a Keras of about the same version loads.
            metrics: JSON-able figures.

        Returns:
            content of `metrics.json`.
        """
        run = read_json(self.path / RUN_NAME)
        run |= write_weights(self.path, model, run)
        write_json(self.path / RUN_NAME, run)
        write_json(self.path / METRICS_NAME, {**metrics, **run})
        shutil.rmtree(self.path / BACKUP_NAME, ignore_errors=True)
        self.metrics = read_json(self.path / METRICS_NAME)
        return self.metrics


@contextlib.contextmanager
def open_run(
    run_dir: Path | str,
    *,
    task: str,
    vocabulary: Sequence[str],
    settings: Mapping,
    defaults: Mapping | None = None,
    overwrite: bool = False,
) -> Iterator[Run]:
    """Start a run, continue a killed one, or read a finished one. One process at a time has a run open.

    A run that is not finished when it is left is continued when it is opened again.

    Args:
        run_dir: the folder.
        task: `words` or `transcripts`.
        vocabulary: labels in the order of the model's outputs.
        settings: JSON-able; everything that the result depends on.
        defaults: values of the settings that a run of an older version may lack.
        overwrite: set a run of other settings aside instead of raising: its folder becomes
            `<run_dir>.old-<eight digits>`, and a line on standard error says so. A run of the same settings is read or
            continued all the same.

    Returns:
        context manager of a `Run`; a finished one has `metrics`.

    Raises:
        ValueError: the folder holds a run with another task, another vocabulary or other settings; or there is no such
            task.
    """
    if task not in TASKS:
        raise ValueError(f"`task` must be one of {TASKS}. Received: task={task!r}")
    run_dir = Path(run_dir)
    run = {"task": task, "vocabulary": list(vocabulary), "settings": dict(settings), "versions": library_versions()}
    with one_at_a_time(run_dir):
        is_finished = (run_dir / METRICS_NAME).exists()
        if (run_dir / RUN_NAME).exists():
            stored, wanted = _comparable(read_run(run_dir), defaults), _comparable(run, defaults)
            if stored == wanted and is_finished:
                yield Run(run_dir, read_json(run_dir / METRICS_NAME))
                return
            if stored != wanted:
                _make_way(run_dir, is_finished, stored, wanted, overwrite)
        elif is_finished:
            raise ValueError(f"{run_dir}: must not hold {METRICS_NAME} without {RUN_NAME}. Choose another folder")
        run_dir.mkdir(parents=True, exist_ok=True)
        write_json(run_dir / RUN_NAME, run)
        yield Run(run_dir)


def _comparable(run: Mapping, defaults: Mapping | None) -> dict:
    """Task, vocabulary and settings of a run as JSON holds them, completed by defaults.

    A fingerprint of the architecture by version 0.1 cannot be compared, and counts as lacking.
    """
    facts = {"task": task_of(run), "vocabulary": run["vocabulary"], "settings": run["settings"]}
    facts, defaults = json.loads(json.dumps([facts, defaults or {}]))
    if not str(facts["settings"].get("architecture")).startswith(cost.SCHEME):
        facts["settings"].pop("architecture", None)
    facts["settings"] = _with_defaults(facts["settings"], defaults)
    return facts


def _with_defaults(settings: Mapping, defaults: Mapping) -> dict:
    """Settings with the values that they lack, also in nested dicts; an empty list or dict counts as lacking."""
    completed = dict(settings)
    for name, default in defaults.items():
        if completed.get(name) in (None, [], {}):
            completed[name] = default
        elif isinstance(default, dict) and isinstance(completed[name], dict):
            completed[name] = _with_defaults(completed[name], default)
    return completed


def _make_way(run_dir: Path, is_finished: bool, stored: dict, wanted: dict, overwrite: bool) -> None:
    """Set another run aside, or raise ValueError where that was not asked for."""
    kind = "a finished run" if is_finished else "a killed run with other settings"
    runs = [{"task": run["task"], "labels": len(run["vocabulary"])} | run["settings"] for run in (stored, wanted)]
    difference = "It was begun with {}. Received: {}".format(*differences(*runs))
    if not overwrite:
        raise ValueError(
            f"{run_dir}: must not hold {kind}. Choose another folder, or overwrite this one, which sets the "
            f"run aside. {difference}"
        )
    new_dir = set_aside(run_dir, (run_dir / RUN_NAME).read_bytes())
    print(f"{run_dir} held {kind}, which is now {new_dir}. {difference}", file=sys.stderr)


def _rebuilt(vocabulary: Sequence[str], settings: Mapping) -> keras.Model | None:
    """The network that settings name, with random weights; None where `build_model` does not build it."""
    try:
        return registry.build_untrained(settings["model"], len(vocabulary))
    except (KeyError, AttributeError, TypeError, ValueError):
        return None


def write_weights(out_dir: Path, model: keras.Model, run: Mapping) -> dict:
    """Write the weights of a model; `model.keras` where `run.json` does not suffice to build its network.

    Args:
        out_dir: folder to write to.
        model: the model.
        run: content of its `run.json`.

    Returns:
        dict, what `run.json` states of the file: its fingerprint as `weights` and as `model`, `architecture`, and
        `num_parameters` (trainable).
    """
    architecture = cost.architecture_fingerprint(model)
    rebuilt = _rebuilt(run["vocabulary"], run["settings"])
    if rebuilt is None or cost.architecture_fingerprint(rebuilt) != architecture:
        path = out_dir / KERAS_NAME
        replace_file(path, model.save)
    else:
        path = out_dir / WEIGHTS_NAME
        rebuilt.set_weights(model.get_weights())
        replace_file(path, rebuilt.save_weights)  # of a model that was trained, metrics would be saved, too
    content_fingerprint = fingerprint(path.read_bytes())
    return {
        "architecture": architecture,
        "num_parameters": cost.num_parameters(model),
        "weights": content_fingerprint,
        "model": content_fingerprint,
    }


def _has_unequal_strides(model: keras.Model) -> bool:
    """Whether a model has the depthwise convolutions of version 0.1, which TensorFlow runs on some processors only."""
    depthwise = [layer for layer in model.layers if isinstance(layer, keras.layers.DepthwiseConv2D)]
    return any(len({*layer.strides}) > 1 for layer in depthwise)


def rebuild_with_weights(run_dir: Path, model: keras.Model, run: Mapping) -> keras.Model:
    """The network that `run.json` names, with the weights of a model from `model.keras`.

    Args:
        run_dir: folder of the run, for messages.
        model: the model.
        run: content of its `run.json`.

    Raises:
        ValueError: it is another network.
    """
    rebuilt = _rebuilt(run["vocabulary"], run["settings"])
    weights = model.get_weights()
    if rebuilt is not None and [weight.shape for weight in rebuilt.weights] == [weight.shape for weight in weights]:
        rebuilt.set_weights(weights)
        if cost.architecture_fingerprint(rebuilt) == cost.architecture_fingerprint(model):
            return rebuilt
        if _has_unequal_strides(model) and _compute_the_same(model, rebuilt):
            return rebuilt
    raise ValueError(
        f"{run_dir / KERAS_NAME}: must be the network that `build_model` builds from settings['model'] in run.json, "
        f"{run['settings'].get('model')!r}. Received: another one"
    )


def _compute_the_same(model: keras.Model, other: keras.Model) -> bool:
    """Whether two models have the same frontend, and the same probabilities for noise that swells."""
    if anatomy.frontend(model).spec != anatomy.frontend(other).spec:
        return False
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (8, CLIP_SAMPLES))
    waveform = (noise * np.linspace(0, 1, CLIP_SAMPLES)).astype("float32")
    answers = []
    for network in (model, other):
        compiled = keras.Model(network.inputs, network.outputs)
        compiled.compile(jit_compile=True)  # XLA computes unequal strides on every processor
        answers.append(np.asarray(compiled.predict_on_batch(waveform)))
    return bool(np.abs(answers[0] - answers[1]).max() <= MAX_DIFFERENCE)


def _model_path(run_dir: Path | str) -> Path:
    path = model_path(run_dir)
    if path is None:
        raise FileNotFoundError(
            f"{run_dir}: must hold a trained model (model.weights.h5 or model.keras). Received: none; "
            f"train one with notebook 03_train_cnn or `kaggle-speech train --out {run_dir}`"
        )
    return path


def model_fingerprint(run_dir: Path | str) -> str:
    """Sixteen hexadecimal digits that identify a trained model.

    Args:
        run_dir: folder of a finished run, or of a published model.

    Raises:
        FileNotFoundError: the folder holds no finished run; says what to do.
        ValueError: the weights are not those that `run.json` states.
    """
    _model_path(run_dir)
    return str(folder.model_fingerprint(run_dir))


def load_run(run_dir: Path | str = pretrained.PRETRAINED_DIR) -> tuple[keras.Model, tuple[str, ...]]:
    """Load the Keras model of a run, and its vocabulary.

    No code from the folder is run: the network is the one that `build_model` builds, or, from a `model.keras`, one of
    the layers of Keras and of this package.

    Args:
        run_dir: folder of a finished run, or of a published model; by default the model that comes with the package.

    Returns:
        the model, and its labels in the order of its outputs.

    Raises:
        FileNotFoundError: the folder holds no finished run; says what to do.
        ValueError: a file is damaged, or of another network or an incompatible Keras; one line that names it.
    """
    path = _model_path(run_dir)
    run = read_run(run_dir)
    vocabulary = tuple(run["vocabulary"])
    if path.name == KERAS_NAME:
        return _load_keras_file(path, run), vocabulary
    model_fingerprint(run_dir)  # raises where the file is damaged
    name = run["settings"].get("model")
    model = _rebuilt(vocabulary, run["settings"])
    if model is None:
        raise ValueError(
            f"{Path(run_dir) / 'run.json'}: settings['model'] must be a name for `build_model`. Received: {name!r}"
        )
    architecture = cost.architecture_fingerprint(model)
    if not cost.same_architecture(run.get("architecture"), architecture):
        raise ValueError(
            f"{path}: must be weights of the network that this version of kaggle_speech builds from {name!r}, "
            f"{architecture}. Received: {run['architecture']}, by kaggle_speech {run['versions']['kaggle_speech']}"
        )
    load_weights(model, path)
    return model, vocabulary


def _load_keras_file(path: Path, run: Mapping) -> keras.Model:
    """The model of a `model.keras`, rebuilt where it has layers that TensorFlow computes on some processors only."""
    try:
        model = load_keras_file(path)
    except ValueError as error:
        saved_by = run.get("versions", {}).get("keras", "unknown")
        raise ValueError(
            f"{error}. Keras when it was saved: {saved_by}; there, "
            f"`kaggle-speech publish --run {path.parent} --out DIR` writes a model that every Keras loads"
        ) from error
    return rebuild_with_weights(path.parent, model, run) if _has_unequal_strides(model) else model
