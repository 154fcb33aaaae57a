"""Bidirectional GRU layers as one ONNX operator each, three times as fast as the loops of tf2onnx."""

import keras
import tensorflow as tf


class _Marker(keras.layers.Layer):
    """Placeholder for a bidirectional GRU; `HANDLERS` replaces it by the ONNX operator during conversion.

    Shape: `(batch, frames, features)`, `(batch, frames)` bool -> `(batch, frames, 2 * units)`.

    Args:
        layer: `keras.layers.Bidirectional` of a GRU.
    """

    def __init__(self, layer: keras.layers.Bidirectional) -> None:
        super().__init__(name=layer.name, dtype="float32")
        self.supports_masking = True
        self.cells = [layer.forward_layer.cell, layer.backward_layer.cell]

    def call(self, x, mask):
        kernel, recurrent_kernel = (
            tf.stack([tf.transpose(getattr(cell, name)) for cell in self.cells])
            for name in ("kernel", "recurrent_kernel")
        )
        bias = tf.stack([tf.reshape(cell.bias, [-1]) for cell in self.cells])
        num_frames = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
        inputs = [tf.transpose(x, (1, 0, 2)), kernel, recurrent_kernel, bias, num_frames]
        states = tf.numpy_function(lambda *_: None, inputs, tf.float32)
        units = self.cells[0].units
        states.set_shape((None, 2, None, units))
        return tf.reshape(tf.transpose(states, (2, 0, 1, 3)), (tf.shape(x)[0], -1, 2 * units))


def mark_gru(model: keras.Model) -> keras.Model:
    """Replace the GRU layers of a model by placeholders for the conversion with `HANDLERS`; the weights are shared.

    Args:
        model: functional Keras model, whose bidirectional layers are GRU with Keras' own activations; they return
            sequences and have masks that cover frames at the end only.

    Source: ONNX operator GRU, whose `linear_before_reset` is Keras' `reset_after`; both order the gates z, r, h.
    """

    def replace(layer):
        return _Marker(layer) if isinstance(layer, keras.layers.Bidirectional) else layer

    return keras.models.clone_model(model, clone_function=replace)


def _marker_to_gru(graph, node, name, _):
    """Convert the placeholder, whose inputs are those of the ONNX operator."""
    node.type = "GRU"
    for attribute in list(node.attr):
        del node.attr[attribute]
    node.set_attr("direction", "bidirectional")
    node.set_attr("hidden_size", graph.get_shape(node.input[2])[-1])
    node.set_attr("linear_before_reset", 1)


#: Handlers for tf2onnx by node type, called with a graph and a node.
HANDLERS: dict[str, tuple] = {"PyFunc": (_marker_to_gru, [])}
