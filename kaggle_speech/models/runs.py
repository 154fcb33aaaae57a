"""The folder of a training run: what it takes to use its model, and to train it again.

`run.json` (vocabulary, settings, versions; of a finished run also task, architecture and
fingerprints), `model.weights.h5`, `history.csv`, `metrics.json`, `bad_clips.csv` where clips
could not be read, and `rejection.json` where a threshold was chosen (see `rejection`).
"""

import importlib
import itertools
import json
import os
import platform
import shutil
import sys
from pathlib import Path

import keras
import numpy as np

from kaggle_speech import __version__
from kaggle_speech.audio import CLIP_SAMPLES
from kaggle_speech.files import differences, fingerprint, read_json, replace_file, write_json
from kaggle_speech.models import anatomy, cost, folder, pretrained, registry
from kaggle_speech.models.folder import KERAS_NAME, WEIGHTS_NAME, model_path, read_run, task_of
from kaggle_speech.models.weights import load_keras_file, load_weights

#: How far a probability of a model may be from that of the same model in its older file: rounding.
MAX_DIFFERENCE = 1e-5


def library_versions():
    """Versions of what results depend on."""
    names = (keras.backend.backend(), "keras", "numpy", "pandas", "sklearn")
    libraries = {name: importlib.import_module(name).__version__ for name in names}
    return {"kaggle_speech": __version__, "python": platform.python_version(), **libraries}


def is_finished(run_dir, vocabulary, settings, defaults=None):
    """Whether a folder holds the finished run of this vocabulary and these settings.

    Args:
        run_dir: the folder.
        vocabulary: labels in the order of the model's outputs.
        settings: JSON-able; what the result depends on.
        defaults: values of the settings that a run of an older version may lack.
    """
    if not (Path(run_dir) / "metrics.json").exists():
        return False
    stored, wanted = _stored_and_wanted(run_dir, vocabulary, settings, defaults)
    return stored == wanted


def _stored_and_wanted(run_dir, vocabulary, settings, defaults):
    """The vocabulary and settings of the run in a folder, completed by defaults, and those that are wanted."""
    wanted, defaults = _as_json({"vocabulary": list(vocabulary), "settings": settings}), _as_json(defaults or {})
    run = read_json(Path(run_dir) / "run.json")
    stored = {"vocabulary": run["vocabulary"], "settings": run["settings"]}
    for content in (stored, wanted):
        content["settings"] = _with_defaults(content["settings"], defaults)
    return stored, wanted


def _as_json(content):
    """What JSON makes of a content: tuples become lists."""
    return json.loads(json.dumps(content))


def _with_defaults(settings, defaults):
    """Settings with the values that they lack, also in nested dicts; an empty list or dict counts as lacking."""
    found = dict(settings)
    for name, default in defaults.items():
        if found.get(name) in (None, [], {}):
            found[name] = default
        elif isinstance(default, dict) and isinstance(found[name], dict):
            found[name] = _with_defaults(found[name], default)
    return found


def _difference(found, wanted):
    """The settings in which two runs differ, as a sentence."""
    found, wanted = ({"labels": len(run["vocabulary"])} | run["settings"] for run in (found, wanted))
    there, here = differences(found, wanted)
    return f"It was begun with {there}. Received: {here}" if there else "Its settings are the same"


def _set_aside(run_dir):
    """Rename the folder of a run to `<run_dir>.old-<eight digits>`, a name that is free, and return the new path."""
    name = f"{run_dir.name}.old-{fingerprint((run_dir / 'run.json').read_bytes())[:8]}"
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    new_dir = next(path for path in map(run_dir.with_name, names) if not os.path.lexists(path))
    return run_dir.rename(new_dir)


def start_run(run_dir, vocabulary, settings, *, defaults=None, overwrite=False):
    """Make the folder of a run, or come back to the one of a killed run. No run is ever removed.

    Args:
        run_dir: the folder.
        vocabulary: labels in the order of the model's outputs.
        settings: JSON-able; what the result depends on.
        defaults: values of the settings that a run of an older version may lack.
        overwrite: set a finished run, or one of other settings, aside instead of raising: its folder becomes
            `<run_dir>.old-<eight digits>`, and a line on standard error says so. A killed run of the same settings is
            continued all the same.

    Returns:
        `run_dir` as a path.

    Raises:
        ValueError: the folder holds a finished run, or one with another vocabulary or other settings.
    """
    run_dir = Path(run_dir)
    run = {"vocabulary": list(vocabulary), "settings": settings, "versions": library_versions()}
    if (run_dir / "run.json").exists():
        stored, wanted = _stored_and_wanted(run_dir, vocabulary, settings, defaults)
        is_finished = (run_dir / "metrics.json").exists()
        if is_finished or stored != wanted:
            kind = "a finished run" if is_finished else "a killed run with other settings"
            difference = _difference(stored, wanted)
            if not overwrite:
                raise ValueError(
                    f"{run_dir}: must not hold {kind}. Choose another folder, or overwrite this one, which sets the "
                    f"run aside. {difference}"
                )
            print(f"{run_dir} held {kind}, which is now {_set_aside(run_dir)}. {difference}", file=sys.stderr)
    run_dir.mkdir(parents=True, exist_ok=True)
    write_json(run_dir / "run.json", run)
    return run_dir


def _rebuilt(vocabulary, settings):
    """The network that settings name, with weights that mean nothing yet; None where they name none of ours."""
    try:
        return registry.build_untrained(settings["model"], len(vocabulary))
    except (KeyError, AttributeError, TypeError, ValueError):
        return None


def _write_weights(folder, model, run):
    """Write the weights of a model; `model.keras` where `run.json` does not suffice to build its network.

    Returns:
        dict, what `run.json` states of the file: its fingerprint as `weights` and as `model`, and `architecture`.
    """
    architecture = cost.architecture_fingerprint(model)
    rebuilt = _rebuilt(run["vocabulary"], run["settings"])
    if rebuilt is None or cost.architecture_fingerprint(rebuilt) != architecture:
        path = folder / KERAS_NAME
        replace_file(path, model.save)
    else:
        path = folder / WEIGHTS_NAME
        rebuilt.set_weights(model.get_weights())
        replace_file(path, rebuilt.save_weights)  # of a model that was trained, metrics would be saved, too
    content_fingerprint = fingerprint(path.read_bytes())
    return {"architecture": architecture, "weights": content_fingerprint, "model": content_fingerprint}


def finish_run(run_dir, model, metrics):
    """Write the weights, complete `run.json`, and write `metrics.json` with all that it holds; remove the backup.

    Args:
        run_dir: folder from `start_run`.
        model: the trained model. Of one that `build_model` does not build from the run's `settings["model"]`,
            `model.keras` is written, which only a Keras of about the same version loads.
        metrics: JSON-able.
    """
    run_dir = Path(run_dir)
    run = read_json(run_dir / "run.json")
    run = {"task": task_of(run)} | run | _write_weights(run_dir, model, run)
    write_json(run_dir / "run.json", run)
    write_json(run_dir / "metrics.json", metrics | run)
    shutil.rmtree(run_dir / "backup", ignore_errors=True)


def _has_unequal_strides(model):
    """Whether it has depthwise convolutions that TensorFlow computes on some processors only, those of version 0.1."""
    depthwise = [layer for layer in model.layers if isinstance(layer, keras.layers.DepthwiseConv2D)]
    return any(len({*layer.strides}) > 1 for layer in depthwise)


def _with_the_same_weights(run_dir, model, run):
    """The network that `run.json` names, with the weights of a model from `model.keras`.

    Raises:
        ValueError: it is another network.
    """
    rebuilt, weights = _rebuilt(run["vocabulary"], run["settings"]), model.get_weights()
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


def _compute_the_same(model, other):
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


def _model_path(run_dir):
    path = model_path(run_dir)
    if path is None:
        raise FileNotFoundError(
            f"{run_dir}: must hold a trained model (model.weights.h5 or model.keras). Received: none; "
            f"train one with notebook 03_train_cnn or `python -m kaggle_speech train --out {run_dir}`"
        )
    return path


def model_fingerprint(run_dir):
    """Sixteen hexadecimal digits that tell one trained model from another.

    Raises:
        FileNotFoundError: the folder holds no finished run; says what to do.
        ValueError: the weights are not those that `run.json` states.
    """
    _model_path(run_dir)
    return folder.model_fingerprint(run_dir)


def load_run(run_dir=pretrained.PRETRAINED_DIR):
    """The model of a run and its vocabulary; without a run, the one that comes with the package.

    No code from the folder is run: the network is the one that `build_model` builds, or, from a `model.keras`, one of
    the layers of Keras and of this package.

    Raises:
        FileNotFoundError: the folder holds no finished run; says what to do.
        ValueError: a file is damaged, or of another network or an incompatible Keras; one line that names it.
    """
    path, run = _model_path(run_dir), read_run(run_dir)
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


def _load_keras_file(path, run):
    """The model of a `model.keras`, rebuilt where it has layers that TensorFlow computes on some processors only."""
    try:
        model = load_keras_file(path)
    except ValueError as error:
        saved_by = run.get("versions", {}).get("keras", "unknown")
        raise ValueError(
            f"{error}. Keras when it was saved: {saved_by}; there, "
            f"`python -m kaggle_speech publish --run {path.parent} --out DIR` writes a model that every Keras loads"
        ) from error
    return _with_the_same_weights(path.parent, model, run) if _has_unequal_strides(model) else model
