"""Build a model by the name of its architecture: `build_model("bc_resnet,width=3", num_classes=12)`."""

import importlib
from collections.abc import Callable
from typing import Any

import keras

from kaggle_speech.models.architectures import parse_architecture


def _builder(name: str) -> Callable[..., keras.Model]:
    """The function `build_<name>` of `models/<name>.py`."""
    return getattr(importlib.import_module(f"kaggle_speech.models.{name}"), f"build_{name}")


def build_model(architecture: str, num_classes: int, *, precision: str = "float32", **options: Any) -> keras.Model:
    """Build an untrained model: waveform in; probabilities of labels, or log-probabilities of characters, out.

    Args:
        architecture: a name of `models.architectures`, options of its builder after commas: `cnn` or
            `tc_resnet,num_layers=14`.
        num_classes: outputs.
        precision: Keras dtype policy: `float32`, `mixed_bfloat16` or `mixed_float16`. Weights, features and
            probabilities are float32 under each; under a mixed one the layers between compute in 16 bits, which is
            faster on hardware made for it.
        options: further arguments of the builder; they replace those in `architecture`.

    Returns:
        Keras model.

    Raises:
        ValueError: no architecture has the name, or its builder has no such option.

    Examples:
        >>> build_model("tc_resnet", 12).output.shape
        (None, 12)
    """
    name, written_options = parse_architecture(architecture)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return _builder(name)(num_classes, **(written_options | options))
    except TypeError as error:
        raise ValueError(f"{architecture}: {error}") from error
    finally:
        keras.config.set_dtype_policy(policy)


def build_untrained(architecture: str, num_classes: int) -> keras.Model:
    """Build the network of `build_model` in float32 with random weights; nothing is downloaded for it.

    Args:
        architecture: a name of `models.architectures`, options of its builder after commas.
        num_classes: outputs.

    Raises:
        ValueError: no architecture has the name, or its builder has no such option.
    """
    _, options = parse_architecture(architecture)
    without_weights: dict[str, Any] = {"weights": None} if "weights" in options else {}
    return build_model(architecture, num_classes, **without_weights)


def float32_copy(model: keras.Model, architecture: str, num_classes: int) -> keras.Model:
    """A model of any precision in float32, which runs anywhere; the model itself where it is float32 already.

    Args:
        model: from `build_model`.
        architecture: the name that it was built by.
        num_classes: its outputs.
    """
    if model.dtype_policy.name == "float32":
        return model
    copy = build_untrained(architecture, num_classes)
    copy.set_weights(model.get_weights())
    return copy
