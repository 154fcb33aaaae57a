"""Table of the blocks of a network, from its layers: what a diagram of it shows (`plots.plot_network`)."""

from typing import Any

import keras
import pandas as pd
from keras import layers

from kaggle_speech.models.cost import num_parameters

#: Operations that join branches -> name of the block that they end.
_JOINTS = {"Add": "residual block", "Multiply": "gated block", "Concatenate": "parallel block"}
#: Operations that only arrange values.
_SILENT = {
    *("InputLayer", "Reshape", "Permute", "ZeroPadding1D", "ZeroPadding2D", "Flatten", "GetItem", "Cast"),
    *("ExpandDims", "Transpose", "JoinBands", *_JOINTS),
}


def block_table(model: keras.Model) -> pd.DataFrame:
    """Blocks of a network, from input to output.

    A layer is a block with the light ones after it, such as normalisation, activation and dropout. Layers between a
    fork and the joint of its branches are one block (`residual block`, `gated block`, `parallel block`), equal
    blocks in a row are one row, and a model inside the model is one block. Masks are left out.

    Args:
        model: a built functional model with one waveform as its input.

    Returns:
        pandas DataFrame, a row for each block: `block` (what it is), `details` (the light layers after it; of
        branches the others), `kind` (`input`, `features`, `convolution`, `recurrent`, `pooling`, `dense`, `model` or
        `branches`), `repeats`, `shape` (of its output, without the batch; `any` for any length) and `parameters`
        (trainable ones, of all repeats).

    Examples:
        >>> from kaggle_speech.models.registry import build_model
        >>> block_table(build_model("vgg", 12))[["block", "repeats", "shape", "parameters"]].tail(3)
                       block  repeats         shape  parameters
        7   MaxPooling2D 2x2        1  20 x 20 x 64           0
        8   Dense 1024, relu        1          1024    26215424
        9  Dense 12, softmax        1            12       12300
    """
    rows: list[dict[str, Any]] = []
    for operations in _blocks(_data_flow(model)):
        row = _row(operations)
        if rows and row["kind"] == "other":  # it belongs to the block before it
            _add_light_layer(rows[-1], row)
        elif rows and row["own"] == rows[-1]["own"]:  # the same again
            rows[-1]["repeats"] += 1
            rows[-1]["parameters"] += row["parameters"]
        else:
            rows.append(row)
    blocks_df = pd.DataFrame(rows).drop(columns="own")
    return blocks_df.assign(details=blocks_df["details"].map(", ".join))


def _add_light_layer(row: dict[str, Any], light: dict[str, Any]) -> None:
    """Add the row of a light layer to that of the block before it."""
    row["parameters"] += light["parameters"]
    for text in light["details"]:
        row["shape"] = light["shape"]
        if row["kind"] != "branches" and text not in row["details"]:
            row["details"].append(text)


def _data_flow(model: keras.Model) -> dict[keras.Operation, list[keras.Operation]]:
    """Operations of a model in the order of the computation -> those whose outputs each one takes. Without masks."""
    sources: dict[keras.Operation, list[keras.Operation]] = {}
    is_mask: dict[keras.Operation, bool] = {}

    def visit(tensor):
        operation, node_index, _ = tensor._keras_history
        if operation in is_mask:
            return operation
        node = operation._inbound_nodes[node_index]
        befores = [visit(before) for before in node.input_tensors]
        is_mask[operation] = tensor.dtype == "bool" or (bool(befores) and all(is_mask[before] for before in befores))
        befores = [before for before in befores if not is_mask[before]]
        if not is_mask[operation]:
            sources[operation] = befores if type(operation).__name__ in _JOINTS else befores[:1]
        return operation

    (output,) = keras.tree.flatten(model.output)
    needed = [visit(output)]
    for operation in needed:  # the list grows
        needed += [before for before in sources[operation] if before not in needed]
    return {operation: befores for operation, befores in sources.items() if operation in needed}


def _blocks(sources: dict[keras.Operation, list[keras.Operation]]) -> list[list[keras.Operation]]:
    """Operations that all data goes through, each by itself; and those between a fork and its joint, together."""
    operations = list(sources)
    position = {operation: index for index, operation in enumerate(operations)}
    last_use = dict(position)
    for operation, befores in sources.items():
        for before in befores:
            last_use[before] = max(last_use[before], position[operation])
    blocks: list[list[keras.Operation]] = []
    block: list[keras.Operation] = []
    furthest = 0
    for index, operation in enumerate(operations):
        block.append(operation)
        if furthest <= index:  # nothing before it is used after it
            blocks.append(block)
            block = []
        furthest = max(furthest, last_use[operation])
    return blocks


def _row(operations: list[keras.Operation]) -> dict[str, Any]:
    """What `block_table` says about a block; `own` is what equal blocks in a row share."""
    (*_, last) = operations
    kind = "branches" if len(operations) > 1 else _kind(last)
    name, details = "", [_text(last)] if _text(last) else []
    if kind == "branches":
        name = _JOINTS[type(last).__name__]
        details = ["; ".join(_counted([_text(part) for part in operations if _kind(part) != "other"]))]
    elif kind != "other":
        name, details = _text(last) or last.name, []
    (output,) = keras.tree.flatten(last.output)
    shape = " x ".join("any" if size is None else str(size) for size in output.shape[1:])
    parameters = sum(num_parameters(part) for part in operations if isinstance(part, layers.Layer))
    own = (name, *details, shape)
    return {
        "block": name,
        "details": details,
        "kind": kind,
        "repeats": 1,
        "shape": shape,
        "parameters": parameters,
        "own": own,
    }


def _kind(operation: keras.Operation) -> str:
    """The kind of a block, from its operation."""
    if isinstance(operation, keras.Model):
        return "model"
    if hasattr(operation, "spec"):
        return "features"
    if isinstance(operation, (layers.RNN, layers.Bidirectional)):
        return "recurrent"
    kinds = {"InputLayer": "input", "Conv": "convolution", "Pooling": "pooling", "Dense": "dense"}
    return next((kind for part, kind in kinds.items() if part in type(operation).__name__), "other")


def _text(operation: keras.Operation) -> str:
    """Class of an operation and the settings that a reader looks for; empty for one that only arranges values."""
    name = type(operation).__name__
    if name in _SILENT:
        return ""
    if isinstance(operation, keras.Model):
        return f"{operation.name}, {len(operation.layers)} layers"
    if isinstance(operation, layers.Bidirectional):
        return f"bidirectional {_text(operation.forward_layer)} each way"
    config = operation.get_config() if isinstance(operation, layers.Layer) else {}
    if name == "Activation":
        return config["activation"]
    parts = [name]
    for key in ("kernel_size", "pool_size"):
        if key in config:
            parts.append(
                "x".join(map(str, config[key])) if isinstance(config[key], (list, tuple)) else str(config[key])
            )
    if "rate" in config:
        parts.append(f"{config['rate']:g}")
    if "units" in config:
        parts.append(f"{config['units']}" if "Dense" in name else f"{config['units']} units")
    text = " ".join(parts)
    if "filters" in config:
        text += f", {config['filters']} filters"
    strides = set(config.get("strides") or ()) if "Conv" in name else {1}
    if strides != {1}:
        text += f", stride {'x'.join(map(str, config['strides'])) if len(strides) > 1 else strides.pop()}"
    activation = config.get("activation", "linear")
    return text if activation == "linear" or "recurrent_activation" in config else f"{text}, {activation}"


def _counted(texts: list[str]) -> list[str]:
    """Each text once, with a number before those that were there more than once."""
    counts = {text: texts.count(text) for text in texts}
    return [text if count == 1 else f"{count} x {text}" for text, count in counts.items()]
