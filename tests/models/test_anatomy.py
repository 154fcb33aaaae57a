"""anatomy.py: parts of a model compute what the model computes."""

import numpy as np
import pytest

from kaggle_speech.models import anatomy
from kaggle_speech.models.registry import build_model


def test_features_give_the_probabilities_of_their_waveform(rng):
    model = build_model("cnn,num_filters=(4,8)", 3)
    waveform = rng.uniform(-0.1, 0.1, (2, 16_000)).astype("float32")
    features = np.asarray(anatomy.frontend(model)(waveform))
    expected = model.predict_on_batch(waveform)
    np.testing.assert_allclose(anatomy.feature_model(model).predict_on_batch(features), expected, atol=1e-5)


def test_update_gates_are_those_that_made_the_states(rng):
    """`h = z h_before + (1 - z) candidate`, where the candidate is computed here."""
    model = build_model("cnn_bigru,num_filters=4,num_units=6,num_recurrent_layers=1", 3)
    (layer,) = (layer for layer in model.layers if hasattr(layer, "forward_layer"))
    for weight in layer.weights:  # biases are zero at first
        weight.assign(rng.normal(0, 0.3, weight.shape))
    waveform = rng.uniform(-0.1, 0.1, 16_000).astype("float32")
    shares = anatomy.update_gates(model, waveform)

    until = type(model)(model.input, [layer.input, layer.output])
    steps, states = (np.asarray(part)[0] for part in until(waveform[None]))
    for number, (name, gru) in enumerate(zip(shares, (layer.forward_layer, layer.backward_layer), strict=True)):
        kernel, recurrent, (bias, recurrent_bias) = gru.get_weights()
        order = slice(None) if name == "forward" else slice(None, None, -1)
        state = np.zeros(6)
        for step, share, reached in zip(steps[order], shares[name][order], states[order], strict=True):
            of_input, of_state = step @ kernel + bias, state @ recurrent + recurrent_bias
            reset = 1 / (1 + np.exp(-(of_input[6:12] + of_state[6:12])))
            candidate = np.tanh(of_input[12:] + reset * of_state[12:])
            state = (1 - share) * state + share * candidate
            np.testing.assert_allclose(state, reached[6 * number : 6 * number + 6], atol=1e-4)


def test_a_model_without_a_gru_has_no_gates(rng):
    with pytest.raises(ValueError, match=r"must have a bidirectional GRU\. Received: 'cnn'"):
        anatomy.update_gates(build_model("cnn,num_filters=(4,8)", 3), np.zeros(16_000))
