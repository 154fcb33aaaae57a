"""Parts of our models by their place: frontend, logits. The only file that knows layer names."""

import keras
from keras import layers


def frontend(model):
    """The layer that makes features of waveforms."""
    return next(layer for layer in model.layers if hasattr(layer, "spec"))


def logits_model(model):
    """A model of this package without its softmax: waveform in, logits out. It shares all layers but the last.

    Raises:
        ValueError: the last layer is not that of `classifier`.
    """
    last = model.layers[-1]
    if last.name != "probabilities" or not isinstance(last, layers.Dense):
        raise ValueError(f"`model` must end in a dense layer 'probabilities'. Received: {last.name!r}")
    head = layers.Dense(last.units, dtype="float32", name="logits")
    without_softmax = keras.Model(model.inputs, head(last.input))
    head.set_weights(last.get_weights())
    return without_softmax
