"""Cost of a model: parameters, multiply-accumulate operations; fingerprint of its architecture."""

import json
import math
from collections.abc import Iterable

import keras
import pandas as pd
from keras import layers

from kaggle_speech.files import fingerprint
from kaggle_speech.models import anatomy
from kaggle_speech.models.architectures import architecture_sizes
from kaggle_speech.models.registry import build_model


def _gru_macs(layer: layers.GRU, input_shape: tuple) -> int:
    cell = layer.cell
    return input_shape[-2] * 3 * cell.units * (input_shape[-1] + cell.units)


def _layer_macs(layer: layers.Layer) -> int:
    """Multiply-accumulate operations of a layer; 0 for normalisation, pooling and activations."""
    if isinstance(layer, keras.Model):
        return num_macs(layer)
    if isinstance(layer, layers.Bidirectional):
        return 2 * _gru_macs(layer.forward_layer, layer.input.shape)
    if isinstance(layer, layers.GRU):
        return _gru_macs(layer, layer.input.shape)
    if isinstance(layer, layers.Dense):
        return math.prod(layer.output.shape[1:-1]) * layer.kernel.shape[0] * layer.kernel.shape[1]
    if isinstance(layer, layers.DepthwiseConv2D):
        return math.prod(layer.output.shape[1:]) * math.prod(layer.kernel_size)
    if isinstance(layer, (layers.Conv1D, layers.Conv2D)):
        return math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)
    return 0


def num_macs(model: keras.Model) -> int:
    """Multiply-accumulate operations for one clip, without the frontend.

    Counts convolutions, dense and GRU layers, also of models inside the model. Normalisation, activations, pooling
    and the fixed transform of the frontend, which papers leave out too, count as 0.

    Args:
        model: a built functional model, for inputs of fixed length.

    Source: the definition in arXiv 1904.03814, table 1, where "FLOPs" counts multiplications and additions apart.
    """
    return sum(_layer_macs(layer) for layer in model.layers)


#: Prefix of every fingerprint of `architecture_fingerprint`; another scheme gets another one.
SCHEME = "a2:"
#: Options of Keras' own layers that change numbers and that shapes do not show. Every Keras has them by these names.
_KERAS_OPTIONS = (
    *("activation", "recurrent_activation", "rate", "momentum", "epsilon", "strides", "dilation_rate", "padding"),
    *("pool_size", "dims", "axis", "go_backwards", "reset_after", "merge_mode", "scale", "offset"),
)
#: Options of our layers that do not change numbers, or that Keras adds.
_IGNORED_OPTIONS = ("name", "dtype", "trainable", "autocast", "seed")


def _plain(value: object) -> object:
    """A value that JSON can hold; the class name of any other."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items() if part is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value if isinstance(value, (bool, int, float, str)) or value is None else type(value).__name__


def _layer_facts(layer: layers.Layer | keras.Operation) -> list | str:
    """Class, shapes of the weights, and options of a layer; of a model, its `architecture_fingerprint`."""
    if isinstance(layer, keras.Model):
        return architecture_fingerprint(layer)
    if not isinstance(layer, layers.Layer):  # an operation
        return [type(layer).__name__]
    config = layer.get_config()
    kind = layers.BatchNormalization if isinstance(layer, layers.BatchNormalization) else type(layer)
    if kind.__module__.startswith("keras"):
        options = {name: config[name] for name in _KERAS_OPTIONS if config.get(name) is not None}
    else:
        options = {name: value for name, value in config.items() if name not in _IGNORED_OPTIONS}
    shapes = [list(weight.shape) for weight in layer.weights]
    inner = [_layer_facts(layer.forward_layer)] if isinstance(layer, layers.Bidirectional) else []
    return [kind.__name__, shapes, _plain(options), *inner]


def architecture_fingerprint(model: keras.Model) -> str:
    """Fingerprint of the layers of a model, their settings and connections: `a2:` and sixteen hexadecimal digits.

    It is the same in every Keras and on every backend, because it does not depend on what a Keras version adds to the
    configuration of its layers. Names, which count up from model to model, weights and precision do not change it.

    Args:
        model: a built functional model.
    """
    known: dict[tuple, str] = {}

    def describe(tensor: keras.KerasTensor) -> list:
        """Fingerprint of all operations that compute a tensor, its index and its shape."""
        operation, node_index, tensor_index = tensor._keras_history
        node = operation._inbound_nodes[node_index]
        if type(operation).__name__ == "Cast":  # of a precision; some versions of Keras hide it in the layer after it
            return describe(node.input_tensors[0])
        key = (id(operation), node_index)
        if key not in known:
            facts = [_layer_facts(operation), [describe(before) for before in node.input_tensors]]
            if not isinstance(operation, layers.Layer):
                constants = [value for value in node.arguments.args if not isinstance(value, keras.KerasTensor)]
                constants = [tuple(value) if isinstance(value, list) else value for value in constants]  # of old files
                facts.append(repr(constants))
            known[key] = fingerprint(json.dumps(facts, sort_keys=True))
        return [known[key], tensor_index, list(tensor.shape)]

    return SCHEME + fingerprint(json.dumps([describe(tensor) for tensor in keras.tree.flatten(model.output)]))


def same_architecture(stored: str | None, current: str) -> bool:
    """Whether a stored fingerprint may be of the same architecture as the current one.

    Args:
        stored: from a run; None where it has none. Fingerprints of version 0.1 changed with Keras and cannot be
            compared, so they pass.
        current: from `architecture_fingerprint`.
    """
    return stored is None or not stored.startswith(SCHEME) or stored == current


def num_parameters(model: keras.Model) -> int:
    """Number of trainable parameters.

    Args:
        model: a built Keras model.
    """
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def describe_model(model: keras.Model) -> dict:
    """Size and cost of a model.

    Args:
        model: from `build_model`, for clips of one second.

    Returns:
        dict: `parameters` (trainable), `megabytes` (float32), `million_macs` (one clip, without the frontend) and
        `features` (shape of the frontend's output, frames first).
    """
    return {
        "parameters": num_parameters(model),
        "megabytes": round(4 * model.count_params() / 1e6, 2),
        "million_macs": round(num_macs(model) / 1e6, 2),
        "features": "x".join(map(str, anatomy.frontend(model).output.shape[1:])),
    }


def describe_models(architectures: Iterable[str] | None = None, num_classes: int = 12) -> pd.DataFrame:
    """Size and cost of several architectures.

    Args:
        architectures: names as in `build_model`; None for all word recognisers in the sizes of their sources.
        num_classes: outputs.

    Returns:
        pandas DataFrame, a row each: `model`, and the columns of `describe_model`.
    """
    names = architecture_sizes() if architectures is None else architectures
    return pd.DataFrame([{"model": name} | describe_model(build_model(name, num_classes)) for name in names])
