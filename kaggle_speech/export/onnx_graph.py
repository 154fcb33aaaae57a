"""Changes of the graph of an ONNX model: folding, half precision, int8, names, kernels computed instead of stored.

Needs onnx and onnxruntime, and neither TensorFlow nor Keras.
"""

import collections
import contextlib
import io
import itertools
import logging
import string
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from kaggle_speech.features.filters import FeatureSpec, dft_kernels, hann_window

#: Smallest number of weights of a tensor that is stored in 16 bits.
MIN_HALVED = 64
#: Smallest number of weights of a matrix that is stored in 8 bits.
MIN_QUANTIZED = 1024
#: Smallest number of weights of a matrix that is stored by its values other than zero.
MIN_SPARSE = 1024


def fold(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Fold constants, normalisations and steps into the convolutions before them.

    Args:
        proto: ONNX model.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(Path(folder) / "folded.onnx")
        onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return _rows_to_strides(onnx.load(options.optimized_model_filepath))


def _is_whole_axis(start, end, axis, step):
    """Whether a slice keeps a whole axis; converters write a very large number as the end of such a slice."""
    return (start, step) == (0, 1) and end >= 10**9


def _rows_to_strides(proto):
    """Replace a selection of every second row after a convolution by a stride of the convolution.

    `models.bc_resnet` takes every second row: of `(batch, rows, columns, channels)` it makes `(batch, rows / 2, 2 *
    columns, channels)`, and slices off the columns of the first row of each pair.
    """
    graph = proto.graph
    constants = {tensor.name: numpy_helper.to_array(tensor).tolist() for tensor in graph.initializer}
    sizes = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in onnx.shape_inference.infer_shapes(proto).graph.value_info
    }
    makers = {name: node for node in graph.node for name in node.output}
    num_readers = collections.Counter(name for node in graph.node for name in node.input)
    for last in list(graph.node):
        chain = [last]
        while chain[-1].input and num_readers[chain[-1].input[0]] == 1 and chain[-1].input[0] in makers:
            chain.append(makers[chain[-1].input[0]])
            if len(chain) == 4:
                break
        if [node.op_type for node in chain] != ["Slice", "Reshape", "Transpose", "Conv"]:
            continue
        cut, reshape, transpose, conv = chain
        options = {attribute.name: list(attribute.ints) for attribute in (*transpose.attribute, *conv.attribute)}
        _, num_channels, num_rows, num_columns = sizes.get(conv.output[0], [0] * 4)
        limits = [constants.get(name) for name in cut.input[1:]]
        if not all(isinstance(limit, list) for limit in limits):
            continue
        starts, ends, axes, steps = [*limits, [1] * len(limits[0])][:4]
        parts = [part for part in zip(starts, ends, axes, steps, strict=True) if not _is_whole_axis(*part)]
        if (
            options.get("perm") == [0, 2, 3, 1]
            and options.get("strides") == [1, 1]
            and options.get("pads", [0])[0] >= 1
            and constants.get(reshape.input[1], [])[1:] == [num_rows // 2, 2 * num_columns, num_channels]
            and [(start, axis, step) for start, _, axis, step in parts] == [(num_columns, 2, 1)]
            and parts[0][1] >= 2 * num_columns
        ):
            for attribute in conv.attribute:
                if attribute.name == "strides":
                    attribute.ints[0] = 2
                elif attribute.name == "pads":
                    attribute.ints[0] -= 1
            transpose.output[0] = cut.output[0]
            graph.node.remove(cut)
            graph.node.remove(reshape)
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
    return proto


class _Clips(CalibrationDataReader):
    """Batches of clips, in the form that `quantize_static` takes."""

    def __init__(self, name: str, waveform: np.ndarray, batch_size: int = 32) -> None:
        starts = range(0, len(waveform), batch_size)
        self.batches = iter({name: waveform[start : start + batch_size]} for start in starts)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.batches, None)


def quantize(proto: onnx.ModelProto, waveform: np.ndarray, float_layers: Sequence[str]) -> onnx.ModelProto:
    """Quantise weights and activations of convolutions and dense layers to int8, with a scale for each channel.

    The ranges of activations are measured on the clips. Weights take seven of the eight bits: processors without
    VNNI add two products in 16 bits, which overflow otherwise. Depthwise convolutions stay in float: they have few
    weights, and converting back and forth would cost more time than they take.

    Args:
        proto: ONNX model in float32.
        waveform: `(clips, samples)`, for the calibration.
        float_layers: names of Keras layers that stay in float, the frontend's.

    Source: `onnxruntime.quantization.quantize_static`, QDQ format.
    """
    excluded = [node.name for node in proto.graph.node if any(f"/{layer}" in node.name for layer in float_layers)]
    for node in proto.graph.node:
        groups = [attribute.i for attribute in node.attribute if attribute.name == "group"]
        excluded += [node.name] if node.op_type == "Conv" and groups > [1] else []
    with tempfile.TemporaryDirectory() as folder, quiet():
        paths = [Path(folder) / name for name in ("float32.onnx", "int8.onnx")]
        onnx.save(proto, paths[0])
        quantize_static(
            *paths,
            _Clips(proto.graph.input[0].name, waveform),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            op_types_to_quantize=["Conv", "Gemm", "MatMul"],
            nodes_to_exclude=excluded,
        )
        return onnx.load(paths[1])


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress the messages of converters, and the advice to preprocess, which `fold` has done."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def halve_weights(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Store the weights in 16 bits; loading widens them to 32 bits, so the speed stays.

    Args:
        proto: ONNX model; weights of other types stay as they are.
    """
    stored = []
    nodes = []
    for tensor in proto.graph.initializer:
        weights = numpy_helper.to_array(tensor)
        if weights.dtype == np.float32 and weights.size >= MIN_HALVED:
            limit = np.finfo(np.float16).max
            half = np.clip(weights, -limit, limit).astype(np.float16)
            nodes.append(helper.make_node("Cast", [f"{tensor.name}_half"], [tensor.name], to=onnx.TensorProto.FLOAT))
            tensor = numpy_helper.from_array(half, f"{tensor.name}_half")
        stored.append(tensor)
    return _with(proto, stored, nodes)


def quantize_weights(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Store matrices of weights in 8 bits, with a scale for each row; loading widens them, so the speed stays.

    Args:
        proto: ONNX model; kernels of two-dimensional convolutions and other small tensors stay as they are.
    """
    stored = []
    nodes = []
    for tensor in proto.graph.initializer:
        weights = numpy_helper.to_array(tensor)
        if weights.dtype == np.float32 and weights.ndim in (2, 3) and weights.size >= MIN_QUANTIZED:
            scale = np.maximum(np.abs(weights).max(axis=-1, keepdims=True), np.finfo(np.float32).tiny) / 127
            names = [f"{tensor.name}_{part}" for part in ("int8", "scale", "wide")]
            stored.append(numpy_helper.from_array(np.round(weights / scale).astype(np.int8), names[0]))
            nodes.append(helper.make_node("Cast", [names[0]], [names[2]], to=onnx.TensorProto.FLOAT))
            nodes.append(helper.make_node("Mul", [names[2], names[1]], [tensor.name]))
            tensor = numpy_helper.from_array(scale, names[1])
        stored.append(tensor)
    return _with(proto, stored, nodes)


def compute_dft_kernels(proto: onnx.ModelProto, spec: FeatureSpec) -> onnx.ModelProto:
    """Replace the kernels of the Fourier transform by nodes that compute them when the file is loaded.

    Args:
        proto: ONNX model.
        spec: the `FeatureSpec` of its frontend.
    """
    kernels = [kernel[:, 0].T for kernel in dft_kernels(spec.frame_length, spec.fft_length, spec.dft_radix)]
    num_columns = len(kernels[0]) // 2
    num_taps = kernels[0].shape[1]
    sample_index = np.arange(spec.dft_radix * num_taps, dtype="int32")
    window = hann_window(spec.frame_length, len(sample_index))
    constants = {
        "dft_radians": np.array(2 * np.pi / spec.fft_length, "float32"),
        "dft_length": np.array(spec.fft_length, "int32"),
        "dft_column": np.arange(num_columns, dtype="int32")[:, None],
    }
    stored = []
    nodes = []
    for tensor in proto.graph.initializer:
        weights = numpy_helper.to_array(tensor)
        part = next((part for part, kernel in enumerate(kernels) if _is_kernel(weights, kernel)), None)
        if part is None:
            stored.append(tensor)
            continue
        name = tensor.name
        constants[f"{name}_index"] = sample_index[part :: spec.dft_radix]
        constants[f"{name}_window"] = window[part :: spec.dft_radix].astype("float32")
        constants[f"{name}_shape"] = np.array(weights.shape)
        nodes += [
            helper.make_node("Mul", ["dft_column", f"{name}_index"], [f"{name}_product"]),
            helper.make_node("Mod", [f"{name}_product", "dft_length"], [f"{name}_part"]),
            helper.make_node("Cast", [f"{name}_part"], [f"{name}_float"], to=onnx.TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}_float", "dft_radians"], [f"{name}_angle"]),
            helper.make_node("Cos", [f"{name}_angle"], [f"{name}_cos"]),
            helper.make_node("Sin", [f"{name}_angle"], [f"{name}_sin"]),
            helper.make_node("Concat", [f"{name}_cos", f"{name}_sin"], [f"{name}_both"], axis=0),
            helper.make_node("Mul", [f"{name}_both", f"{name}_window"], [f"{name}_windowed"]),
            helper.make_node("Reshape", [f"{name}_windowed", f"{name}_shape"], [name]),
        ]
    if nodes:
        stored += [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    return _with(proto, stored, nodes)


def scatter_sparse_weights(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Store matrices of mostly zeros, as mel filters are, as positions and values; loading makes the matrices of them.

    Args:
        proto: ONNX model.
    """
    stored = []
    nodes = []
    for tensor in proto.graph.initializer:
        weights = numpy_helper.to_array(tensor)
        positions = np.flatnonzero(weights)
        if weights.dtype != np.float32 or not MIN_SPARSE <= weights.size < 2**16 or 8 * len(positions) > weights.size:
            stored.append(tensor)
            continue
        parts = {
            "positions": positions.astype(np.uint16),
            "values": weights.flat[positions],
            "size": np.array([weights.size]),
            "shape": np.array(weights.shape),
        }
        names = {part: f"{tensor.name}_{part}" for part in (*parts, "zeros", "indices", "flat")}
        stored += [numpy_helper.from_array(array, names[part]) for part, array in parts.items()]
        nodes += [
            helper.make_node("ConstantOfShape", [names["size"]], [names["zeros"]]),
            helper.make_node("Cast", [names["positions"]], [names["indices"]], to=onnx.TensorProto.INT64),
            helper.make_node(
                "ScatterElements", [names["zeros"], names["indices"], names["values"]], [names["flat"]], axis=0
            ),
            helper.make_node("Reshape", [names["flat"], names["shape"]], [tensor.name]),
        ]
    return _with(proto, stored, nodes)


def _is_kernel(weights: np.ndarray, kernel: np.ndarray) -> bool:
    return (
        weights.size == kernel.size
        and weights.squeeze().shape == kernel.shape
        and np.allclose(weights.squeeze(), kernel, atol=1e-6)
    )


def _with(proto: onnx.ModelProto, initializers: list, first_nodes: list) -> onnx.ModelProto:
    """The model with other stored tensors, and with nodes before its own."""
    changed = onnx.ModelProto()
    changed.CopyFrom(proto)
    graph = changed.graph
    del graph.initializer[:]
    graph.initializer.extend(initializers)
    nodes = [*first_nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return changed


def share_constants(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Store equal tensors once: the zero points of a quantised model are mostly the same.

    Args:
        proto: ONNX model.
    """
    names: dict[tuple, str] = {}
    stored = []
    same = {}
    for tensor in proto.graph.initializer:
        array = numpy_helper.to_array(tensor)
        same[tensor.name] = names.setdefault((tensor.data_type, array.shape, array.tobytes()), tensor.name)
        if same[tensor.name] == tensor.name:
            stored.append(tensor)
    shared = _with(proto, stored, [])
    for node in shared.graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]
    return shared


def name_axes(proto: onnx.ModelProto, axes: Mapping[str, Sequence[str]]) -> onnx.ModelProto:
    """Name the axes of variable length of a model's inputs and outputs.

    Args:
        proto: ONNX model.
        axes: names of the first axes, by the name of the input; of all outputs, as `output`.
    """
    named = onnx.ModelProto()
    named.CopyFrom(proto)
    graph = named.graph
    values = [(value, value.name) for value in graph.input] + [(value, "output") for value in graph.output]
    for value, key in values:
        for axis, name in zip(value.type.tensor_type.shape.dim, axes.get(key, ()), strict=False):
            if not axis.HasField("dim_value"):
                axis.dim_param = name
    return named


def remove_defaults(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Remove attributes that have the default of their operator: they say nothing, and take 2 kB of a small file.

    Args:
        proto: ONNX model.
    """
    shorter = onnx.ModelProto()
    shorter.CopyFrom(proto)
    version = next(opset.version for opset in proto.opset_import if opset.domain in ("", "ai.onnx"))
    for node in shorter.graph.node:
        if node.domain not in ("", "ai.onnx"):
            continue
        defaults = onnx.defs.get_schema(node.op_type, version).attributes
        told = [attribute for attribute in node.attribute if attribute != defaults[attribute.name].default_value]
        del node.attribute[:]
        node.attribute.extend(told)
    return shorter


def _identifiers() -> Iterator[str]:
    """All words of letters, the short ones first: a, b, ..., aa, ab, ..."""
    for length in itertools.count(1):
        yield from map("".join, itertools.product(string.ascii_letters, repeat=length))


def shorten_names(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Shorten the names of nodes and tensors, except inputs and outputs; small files shrink by a fifth.

    Each node keeps a name of its own: onnxruntime before 1.22 refuses some graphs of nodes without.

    Args:
        proto: ONNX model.
    """
    shortened = onnx.ModelProto()
    shortened.CopyFrom(proto)
    kept = {value.name for value in (*proto.graph.input, *proto.graph.output)}
    short = {name: name for name in {"", *kept}}
    tensor_names = (name for name in _identifiers() if name not in kept)
    node_names = _identifiers()

    def rename(name):
        if name not in short:
            short[name] = next(tensor_names)
        return short[name]

    def visit(graph):
        del graph.value_info[:]
        for tensor in (*graph.initializer, *graph.input, *graph.output):
            tensor.name = rename(tensor.name)
        for node in graph.node:
            node.name = next(node_names)
            node.ClearField("doc_string")
            node.input[:] = map(rename, list(node.input))
            node.output[:] = map(rename, list(node.output))
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    visit(attribute.g)

    visit(shortened.graph)
    return shortened
