"""Weights files: read by every Keras from 3.7 on, on each of its backends, without running code from a file.

The format is Keras' own `.weights.h5`. It holds arrays only, and the network is built anew for them, so it does not
matter which Keras wrote the file. A `.keras` file also holds the configuration of each layer, which only a Keras of
about the same version understands, and names the classes to make: only those of a short list are made.
"""

import collections
import json
import re
import zipfile
from pathlib import Path

import h5py
import keras

#: Where the classes are that a `.keras` file may name, beside the layers of this package.
KERAS_MODULES = re.compile(
    r"keras\.(layers|initializers|regularizers|constraints|dtype_policies|src\.ops\.(core|numpy|nn|math)"
    r"|src\.(models|engine)\.functional|src\.models\.sequential)"
)
#: Layers of Keras that run code or read other files.
REFUSED_LAYERS = {
    *("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"),
    *("StringLookup", "IntegerLookup", "TextVectorization"),
}


def weight_shapes(path: Path | str) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays in a weights file, by their name.

    Args:
        path: the file.

    Raises:
        ValueError: it is no HDF5 file, it is damaged, or it refers to other files; one line that names it.
    """
    try:
        with h5py.File(path, "r") as file:
            return _shapes(file, set())
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(f"{path}: must be a weights file (HDF5). Received: {_first_line(error)}") from error
    except ValueError as error:
        raise ValueError(f"{path}: must be a weights file of numbers alone. Received: {error}") from error


def _shapes(group: h5py.Group, seen: set) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays under a group. `seen` are the addresses of groups: a file may contain itself."""
    address = h5py.h5o.get_info(group.id).addr
    if address in seen:
        raise ValueError(f"a group within itself, {group.name}")
    seen.add(address)
    shapes: dict[str, tuple[int, ...]] = {}
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"a link, {group.name}/{name}")
        item = group[name]
        if isinstance(item, h5py.Group):
            shapes |= _shapes(item, seen)
        elif not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiu" or item.external or item.is_virtual:
            raise ValueError(f"something else, {item.name}")
        elif item.dtype.kind == "f":  # integers count, or are the state of random numbers
            shapes[item.name] = item.shape
    return shapes


def load_weights(model: keras.Model, path: Path | str) -> None:
    """Give a model the weights of a file.

    Args:
        model: a built Keras model, of the architecture that the weights are of.
        path: `.weights.h5` of `save_weights` of a model that is not compiled, by any Keras from 3.7 on.

    Raises:
        ValueError: the file is damaged, no weights file, or of another architecture; one line that names it.
    """
    received = collections.Counter(weight_shapes(path).values())
    expected = collections.Counter(
        tuple(weight.shape) for weight in model.weights if keras.backend.is_float_dtype(weight.dtype)
    )
    if received != expected:
        unexpected = [*(received - expected), *(expected - received)]
        raise ValueError(
            f"{path}: must hold the weights of a {model.name}. Received: {received.total()} arrays for "
            f"{expected.total()} weights; shapes that only one has: {unexpected[:3]}"
        )
    try:
        model.load_weights(path)
    except Exception as error:  # of Keras, h5py or the backend, over many lines
        raise ValueError(f"{path}: must hold the weights of a {model.name}. Received: {_first_line(error)}") from error


def load_keras_file(path: Path | str) -> keras.Model:
    """The model of a `.keras` file, not compiled. Its layers are those of Keras and of this package.

    Args:
        path: the file.

    Raises:
        ValueError: the file is damaged, names anything else, or is of another Keras; one line that names it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
        _check_classes(config)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # of zipfile, json, h5py or Keras, over many lines
        raise ValueError(
            f"{path}: must be a model that Keras {keras.__version__} can load. Received: {_first_line(error)[:200]}"
        ) from error


def _check_classes(config: object) -> None:
    """Raise ValueError where a configuration names a class that is neither a layer of this package nor on the list."""
    if isinstance(config, list):
        for part in config:
            _check_classes(part)
    if not isinstance(config, dict):
        return
    if "class_name" in config:
        module, name, registered_name = (str(config.get(key)) for key in ("module", "class_name", "registered_name"))
        is_ours = registered_name.startswith("kaggle_speech>") and keras.saving.get_registered_object(registered_name)
        is_ours = is_ours and name != "function"  # of which Keras takes the module, not the registered name
        is_value = module == "None" and re.fullmatch("__(keras_tensor|slice|ellipsis|tuple|numpy|tensor)__", name)
        is_of_keras = (module, name) == ("keras", "DTypePolicy") or KERAS_MODULES.fullmatch(module)
        if not (is_ours or is_value or (is_of_keras and name.isidentifier() and name not in REFUSED_LAYERS)):
            raise ValueError(f"the class {module}.{name}, which is not made from a file")
    for part in config.values():
        _check_classes(part)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]
