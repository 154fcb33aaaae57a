"""Cost of a model: parameters, multiply-accumulate operations; fingerprint of its architecture."""

import json
import math

import keras
import pandas as pd
from keras import layers

from kaggle_speech.files import fingerprint
from kaggle_speech.models.registry import build_model


def _gru_macs(layer, input_shape):
    cell = layer.cell
    return input_shape[-2] * 3 * cell.units * (input_shape[-1] + cell.units)


def _layer_macs(layer):
    """Products that a layer adds up; of layers without a matrix (normalisation, pooling) none are counted."""
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


def num_macs(model):
    """Multiply-accumulate operations for one clip, without the frontend.

    Convolutions, dense and GRU layers, also of models inside; what is left out (normalisation, activations, pooling,
    and the fixed transform of the frontend, which papers leave out too) is not counted.

    Args:
        model: a built functional model.

    Returns:
        int.

    Source: the definition in arXiv 1904.03814, table 1 ("FLOPs" there are multiplications and additions apart).
    """
    return sum(_layer_macs(layer) for layer in model.layers)


#: Begins every fingerprint of `architecture_fingerprint`; another scheme gets another prefix.
SCHEME = "a2:"
#: Options of Keras' own layers that change numbers and that shapes do not show; all have the same name in each Keras.
_KERAS_OPTIONS = (
    *("activation", "recurrent_activation", "rate", "momentum", "epsilon", "strides", "dilation_rate", "padding"),
    *("pool_size", "dims", "axis", "go_backwards", "reset_after", "merge_mode", "scale", "offset"),
)
#: Options of our layers that do not change numbers, or that Keras adds.
_IGNORED_OPTIONS = ("name", "dtype", "trainable", "autocast", "seed")


def _plain(value):
    """A value as JSON has it; everything else by its class."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items() if part is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value if isinstance(value, (bool, int, float, str)) or value is None else type(value).__name__


def _layer_facts(layer):
    """Class, shapes of the weights, and options of a layer; of a model, its `architecture_fingerprint`."""
    if isinstance(layer, keras.Model):
        return architecture_fingerprint(layer)
    if not isinstance(layer, layers.Layer):  # an operation
        return [type(layer).__name__]
    config = layer.get_config()
    if type(layer).__module__.startswith("keras"):
        options = {name: config[name] for name in _KERAS_OPTIONS if config.get(name) is not None}
    else:
        options = {name: value for name, value in config.items() if name not in _IGNORED_OPTIONS}
    shapes = [list(weight.shape) for weight in layer.weights]
    inner = [_layer_facts(layer.forward_layer)] if isinstance(layer, layers.Bidirectional) else []
    return [type(layer).__name__, shapes, _plain(options), *inner]


def architecture_fingerprint(model):
    """`a2:` and sixteen hexadecimal digits that change with the layers of a model, their settings and connections.

    They are the same in every Keras and on every backend, and so do not depend on what a Keras version adds to the
    configuration of its layers. Neither names, which count up from model to model, nor weights nor precision matter.

    Args:
        model: a built functional model.
    """
    known = {}

    def describe(tensor):
        """Fingerprint of all that a tensor is computed by."""
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


def same_architecture(stored, current):
    """Whether a stored fingerprint can be of the architecture with the current one.

    Args:
        stored: from a run, or None where it has none. Those of version 0.1 are of another scheme, which changed with
            Keras: nothing can be said of them, so they pass.
        current: from `architecture_fingerprint`.
    """
    return stored is None or not stored.startswith(SCHEME) or stored == current


#: What `describe_models` lists: every architecture in the sizes that its source gives.
ARCHITECTURES = (
    "cnn",
    "vgg",
    "cnn_bigru",
    "efficientnet",
    "efficientnet,backbone=mobilenet_v3_small",
    "tc_resnet",
    "tc_resnet,width=1.5",
    "tc_resnet,num_layers=14",
    "tc_resnet,num_layers=14,width=1.5",
    *(f"bc_resnet,width={width}" for width in (1, 1.5, 2, 3, 6, 8)),
    "ds_cnn",
)


def describe_model(model):
    """What a model costs: `parameters` (trainable), `megabytes` (float32), `million_macs` (one clip, without the
    frontend), `features` (the frontend's output, frames first)."""
    return {
        "parameters": sum(math.prod(weight.shape) for weight in model.trainable_weights),
        "megabytes": round(4 * model.count_params() / 1e6, 2),
        "million_macs": round(num_macs(model) / 1e6, 2),
        "features": "x".join(map(str, model.layers[1].output.shape[1:])),
    }


def describe_models(architectures=ARCHITECTURES, num_classes=12):
    """`describe_model` of each architecture: pandas DataFrame, a row each, with the column `model` before."""
    rows = [{"model": name} | describe_model(build_model(name, num_classes)) for name in architectures]
    return pd.DataFrame(rows)
