"""What a model is, and what it costs: a fingerprint of its layers; multiplications and additions for one clip."""

import json
import math

import keras
from keras import layers

from kaggle_speech.atomic import fingerprint


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


def architecture_fingerprint(model):
    """Sixteen hexadecimal digits that change with the layers of a model or their settings, also the frontend's.

    Neither names, which count up from model to model, nor weights nor precision matter.
    """

    ignored = ("name", "dtype", "autocast")

    def without_names(config):
        if isinstance(config, dict):
            return {
                key: without_names(value) for key, value in config.items() if key not in ignored and value is not None
            }
        return [without_names(value) for value in config] if isinstance(config, (list, tuple)) else config

    def describe(layer):
        if isinstance(layer, keras.Model):
            return [describe(part) for part in layer.layers]
        return [type(layer).__name__, without_names(layer.get_config())]

    return fingerprint(json.dumps(describe(model), sort_keys=True, default=str))
