"""ONNX files of trained models: conversion, precision, metadata."""

import dataclasses
import json

import keras
import numpy as np
import onnx
import tensorflow as tf

from kaggle_speech import __version__
from kaggle_speech.audio import CLIP_SAMPLES, SAMPLE_RATE
from kaggle_speech.export import onnx_graph, onnx_gru
from kaggle_speech.export.check import predict_clips, write_checked
from kaggle_speech.inference.runtimes import OnnxModel
from kaggle_speech.models.anatomy import frontend
from kaggle_speech.models.folder import task_of

OPSET = 18
LICENCE = "code MIT; trained on Speech Commands (Pete Warden, arXiv 1804.03209), CC BY 4.0"


def metadata_of(model, vocabulary, more=()):
    """What an exported file says of itself, and what more, or other, is given: a dict of what is JSON-able."""
    return {
        "task": task_of({"vocabulary": vocabulary}),
        "vocabulary": list(vocabulary),
        "sample_rate": SAMPLE_RATE,
        "features": dataclasses.asdict(frontend(model).spec),
        "licence": LICENCE,
        "kaggle_speech": __version__,
        **dict(more),
    }


def _one_minus_erf(graph, node, name, _):
    """What tf2onnx lacks for the GELU: ONNX has no erfc."""
    one = graph.make_const(f"{name}_one", np.array(1, dtype=np.float32)).output[0]
    erf = graph.make_node("Erf", [node.input[0]], name=f"{name}_erf").output[0]
    node.type = "Sub"
    graph.replace_inputs(node, [one, erf])


def keras_to_onnx(model):
    """An ONNX model of a Keras model, folded; inputs have the same names, and any length where the model takes any."""
    import tf2onnx

    signature = keras.tree.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype, name=x.name), model.input)
    handlers = {"Erfc": (_one_minus_erf, []), **onnx_gru.HANDLERS}
    with onnx_graph.quiet():
        proto, _ = tf2onnx.convert.from_keras(model, (signature,), opset=OPSET, custom_op_handlers=handlers)
    return onnx_graph.fold(proto)


def write_onnx(proto, model, out_path, metadata, predict, expected, precision):
    """Write an ONNX model in few bytes, load it and compare its answers; one that answers otherwise is not kept.

    Args:
        proto: from `keras_to_onnx`.
        model: the Keras model that it is of.
        out_path, metadata, precision: as in `export_onnx`.
        predict: called with the loaded file; `(answers, labels)` probabilities, which are returned.
        expected: the same of the Keras model.

    Raises:
        ExportError: the file does not answer as the model does.
    """
    proto = onnx_graph.compute_dft_kernels(proto, frontend(model).spec)
    if precision == "float16":
        proto = onnx_graph.halve_weights(proto)
    proto = onnx_graph.shorten_names(proto)
    entries = metadata | {"precision": precision}
    onnx.helper.set_model_props(proto, {name: json.dumps(value) for name, value in entries.items()})
    return write_checked(out_path, lambda path: onnx.save(proto, path), OnnxModel, predict, expected, precision)


def export_onnx(model, out_path, metadata, waveform, expected, *, precision="float32", calibration=None):
    """Write an ONNX file that `runtimes.OnnxModel` runs: any number of clips at a time.

    Args:
        model: Keras model, waveform in, probabilities out.
        out_path: the `.onnx` file.
        metadata: from `metadata_of`; goes into the file.
        waveform: `(clips, samples)` float32; clips to compare on.
        expected: `(clips, labels)`; what the model answers for them.
        precision: `float32`; `float16` stores the weights in half the bytes; `int8` quantises convolutions and dense
            layers, with ranges from `calibration`.
        calibration: `(clips, samples)` of training clips, some hundred; only for int8.

    Returns:
        `(clips, labels)`; what the file answers.

    Raises:
        ExportError: the file does not answer as the model does.
        ValueError: int8 without clips to calibrate on.
    """
    if precision == "int8" and calibration is None:
        raise ValueError("`calibration` must be training clips where `precision` is int8. Received: None")
    proto = keras_to_onnx(model)
    if precision == "int8":
        proto = onnx_graph.quantize(proto, calibration, [frontend(model).name])
    facts = metadata | {"clip_samples": CLIP_SAMPLES}
    return write_onnx(proto, model, out_path, facts, predict_clips(waveform), expected, precision)
