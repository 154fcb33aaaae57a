"""Parts of the models of this package: frontend, logits, gates, output step. The only file that knows layer names."""

import keras
import numpy as np
from keras import layers

#: The input of every model: float in [-1, 1].
WAVEFORM = "waveform"
#: The second input of a transcriber: samples of each waveform before its padding.
NUM_SAMPLES = "num_samples"
#: The last layer of a word recogniser.
PROBABILITIES = "probabilities"
#: The layer of a transcriber that separates frames of the waveform from padding, at the rate of the outputs.
OUTPUT_MASK = "output_mask"


def frontend(model: keras.Model) -> layers.Layer:
    """The layer that computes features of waveforms; its `spec` is a `FeatureSpec`.

    Args:
        model: a model of this package.

    Raises:
        ValueError: the model has no such layer.
    """
    for layer in model.layers:
        if hasattr(layer, "spec"):
            return layer
    raise ValueError(f"`model` must compute features of waveforms in a layer of its own. Received: {model.name!r}")


def last_layer(model: keras.Model) -> layers.Dense:
    """The last layer of a word recogniser: embedding in, probabilities out.

    Args:
        model: a word recogniser of this package.

    Raises:
        ValueError: the model ends in another layer.
    """
    last = model.layers[-1]
    if last.name != PROBABILITIES or not isinstance(last, layers.Dense):
        raise ValueError(f"`model` must end in a dense layer {PROBABILITIES!r}. Received: {last.name!r}")
    return last


def logits_model(model: keras.Model) -> keras.Model:
    """A word recogniser without its softmax: waveform in, logits out. It shares all layers but the last.

    Args:
        model: a word recogniser of this package.

    Raises:
        ValueError: the model ends in another layer than our word recognisers.
    """
    last = last_layer(model)
    head = layers.Dense(last.units, dtype="float32", name="logits")
    without_softmax = keras.Model(model.inputs, head(last.input))
    head.set_weights(last.get_weights())
    return without_softmax


def feature_model(model: keras.Model) -> keras.Model:
    """A word recogniser without its frontend: features in, probabilities out. It shares all other layers.

    Args:
        model: a word recogniser of this package.

    Raises:
        ValueError: the model has no frontend.
    """
    return keras.Model(frontend(model).output, model.output)


def update_gates(model: keras.Model, waveform: np.ndarray) -> dict[str, np.ndarray]:
    """Share of its state that each unit of the first bidirectional GRU replaces in each step.

    It is one minus the update gate.

    Shape: `(samples,)` -> dict of `forward` and `backward`, `(steps, units)` in [0, 1], both in the order of time.

    Args:
        model: a word recogniser with a bidirectional GRU.
        waveform: one clip, float in [-1, 1].

    Raises:
        ValueError: the model has no bidirectional GRU.

    Source: arXiv 1406.1078, equation 7; Keras' `reset_after=True`.
    """
    recurrent = next((layer for layer in model.layers if isinstance(layer, layers.Bidirectional)), None)
    if recurrent is None:
        raise ValueError(f"`model` must have a bidirectional GRU. Received: {model.name!r}")
    until = keras.Model(model.input, [recurrent.input, recurrent.output])
    steps, states = (np.asarray(part)[0] for part in until(np.asarray(waveform)[None]))
    num_units = states.shape[1] // 2
    directions = {"forward": recurrent.forward_layer, "backward": recurrent.backward_layer}
    shares = {}
    for column, (name, gru) in enumerate(directions.items()):
        kernel, recurrent_kernel, (bias, recurrent_bias) = gru.get_weights()
        state = states[:, column * num_units : (column + 1) * num_units]
        before = np.zeros_like(state)
        if name == "forward":
            before[1:] = state[:-1]
        else:  # it reads from the end
            before[:-1] = state[1:]
        gate = steps @ kernel[:, :num_units] + before @ recurrent_kernel[:, :num_units]
        gate += bias[:num_units] + recurrent_bias[:num_units]
        shares[name] = 1 / (1 + np.exp(gate))
    return shares


def output_step(model: keras.Model) -> int:
    """Samples from one output of a transcriber to the next.

    Args:
        model: a transcriber of this package.

    Raises:
        ValueError: the model is no transcriber.
    """
    if OUTPUT_MASK not in {layer.name for layer in model.layers}:
        raise ValueError(f"`model` must be a transcriber, with a layer {OUTPUT_MASK!r}. Received: {model.name!r}")
    return model.get_layer(OUTPUT_MASK).frame_step
