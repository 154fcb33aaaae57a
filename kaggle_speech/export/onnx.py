"""ONNX files of trained models, for both tasks: conversion, precision, metadata."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf

from kaggle_speech import __version__
from kaggle_speech.audio import CLIP_SAMPLES, SAMPLE_RATE
from kaggle_speech.export import onnx_graph, onnx_gru
from kaggle_speech.export.check import Comparison, write_checked
from kaggle_speech.inference.runtimes import OnnxModel
from kaggle_speech.models import anatomy

OPSET = 18
#: Precisions of the files.
PRECISIONS = ("float32", "float16", "int8")
LICENCES = {
    "words": "code MIT; trained on Speech Commands (Pete Warden, arXiv 1804.03209), CC BY 4.0",
    "transcripts": "code MIT; weights as their training data: LibriSpeech (Panayotov et al., ICASSP 2015) is CC BY 4.0",
}
#: Names of the axes of inputs and outputs.
AXES = {"waveform": ("batch", "samples"), "num_samples": ("batch",), "output": ("batch", "frames")}


def metadata_of(model: keras.Model, task: str, vocabulary: Sequence[str], more: Mapping | None = None) -> dict:
    """Metadata of an exported file.

    Args:
        model: Keras model of this package.
        task: `words` or `transcripts`.
        vocabulary: labels in the order of the outputs.
        more: further entries, or other values of these; JSON-able.

    Returns:
        dict: task, vocabulary, sample rate, features, licence, version; `clip_samples` of a word recogniser,
        `output_step` (samples from one output to the next) of a transcriber.
    """
    lengths = {"clip_samples": CLIP_SAMPLES} if task == "words" else {"output_step": anatomy.output_step(model)}
    return {
        "task": task,
        "vocabulary": list(vocabulary),
        "sample_rate": SAMPLE_RATE,
        **lengths,
        "features": dataclasses.asdict(anatomy.frontend(model).spec),
        "licence": LICENCES[task],
        "kaggle_speech": __version__,
        **(more or {}),
    }


def _one_minus_erf(graph, node, name, _):
    """Convert Erfc (for GELU), which tf2onnx lacks, to 1 - Erf."""
    one = graph.make_const(f"{name}_one", np.array(1, dtype=np.float32)).output[0]
    erf = graph.make_node("Erf", [node.input[0]], name=f"{name}_erf").output[0]
    node.type = "Sub"
    graph.replace_inputs(node, [one, erf])


def keras_to_onnx(model: keras.Model) -> onnx.ModelProto:
    """Convert a Keras model to a folded ONNX model with the same inputs, whose first axis is named `batch`.

    Args:
        model: Keras model; the ONNX model takes the same lengths.
    """
    import tf2onnx

    signature = keras.tree.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype, name=x.name), model.input)
    handlers = {"Erfc": (_one_minus_erf, []), **onnx_gru.HANDLERS}
    with onnx_graph.quiet():
        proto, _ = tf2onnx.convert.from_keras(model, (signature,), opset=OPSET, custom_op_handlers=handlers)
    return onnx_graph.name_axes(onnx_graph.fold(proto), AXES)


def export_onnx(
    model: keras.Model,
    out_path: Path | str,
    metadata: Mapping,
    comparison: Comparison,
    *,
    precision: str = "float32",
    calibration: np.ndarray | None = None,
) -> np.ndarray:
    """Write an ONNX file for `inference.runtimes.OnnxModel`; a file with other probabilities is not kept.

    Args:
        model: Keras model of this package.
        out_path: the `.onnx` file.
        metadata: entries from `metadata_of`, stored in the file.
        comparison: inputs to compare on, and the probabilities of the model.
        precision: `float32`; `float16` stores the weights in half the bytes; `int8` quantises convolutions and dense
            layers of a word recogniser, with ranges from `calibration`, and of a transcriber stores the weights of
            dense and recurrent layers in a quarter of the bytes; the rest is stored as float16.
        calibration: `(clips, samples)`, some hundred training clips; only for a word recogniser in int8.

    Returns:
        Probabilities of the file, `(answers, labels)`.

    Raises:
        ExportError: the probabilities of the file are not those of the model.
        ValueError: there is no such precision, or there are no clips to calibrate on.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"`precision` must be one of {PRECISIONS}. Received: precision={precision!r}")
    is_words = metadata["task"] == "words"
    calibration = np.empty((0, 0), "float32") if calibration is None else calibration
    if is_words and precision == "int8" and not len(calibration):
        raise ValueError("`calibration` must be training clips where `precision` is int8. Received: none")
    frontend = anatomy.frontend(model)
    proto = keras_to_onnx(model if is_words else onnx_gru.mark_gru(model))
    if is_words and precision == "int8":
        proto = onnx_graph.quantize(proto, calibration, [frontend.name])
    proto = onnx_graph.scatter_sparse_weights(onnx_graph.compute_dft_kernels(proto, frontend.spec))
    if not is_words and precision == "int8":
        proto = onnx_graph.quantize_weights(proto)
    if precision != "float32":
        proto = onnx_graph.halve_weights(proto)
    proto = onnx_graph.shorten_names(onnx_graph.remove_defaults(onnx_graph.share_constants(proto)))
    entries = {**metadata, "precision": precision}
    onnx.helper.set_model_props(proto, {name: json.dumps(value) for name, value in entries.items()})
    return write_checked(out_path, lambda path: onnx.save(proto, path), OnnxModel, comparison, precision)
