"""models/resnet_ctc.py: padding changes nothing, in the outputs, the loss and its gradients; shapes and sizes."""

import itertools

import keras
import numpy as np
import pytest

from kaggle_speech.models.architectures import parse_architecture
from kaggle_speech.models.blocks import CepstralMeanNormalization, SpecAugment
from kaggle_speech.models.registry import build_model
from kaggle_speech.models.resnet_ctc import FrameMask, build_resnet_ctc, num_output_frames
from kaggle_speech.text.alphabet import ALPHABET, BLANK_INDEX

TINY = "resnet_ctc,num_filters=4,num_residual_blocks=1,num_units=8,num_recurrent_blocks=2"
LENGTHS = [1, 399, 400, 8000, 16_123, 31_999, 32_000]


@pytest.fixture(scope="module", params=[1, 2, 3])
def model(request):
    keras.utils.set_random_seed(0)
    return build_model(f"{TINY},frames_per_step={request.param}", len(ALPHABET))


@pytest.fixture
def batch(rng):
    """Noise of several lengths, with two seconds of padding after the longest."""
    waveform = np.zeros((len(LENGTHS), 64_000), "float32")
    for row, length in zip(waveform, LENGTHS, strict=True):
        row[:length] = 0.1 * rng.standard_normal(length)
    return {"waveform": waveform, "num_samples": np.array(LENGTHS, "int32")}


def alone(batch, index):
    length = batch["num_samples"][index]
    return {"waveform": batch["waveform"][index : index + 1, :length], "num_samples": np.array([length])}


def test_an_utterance_gets_the_same_answer_in_any_batch(model, batch):
    found = model.predict_on_batch(batch)
    assert found.shape == (len(LENGTHS), num_output_frames(64_000), len(ALPHABET))
    for index, length in enumerate(LENGTHS):
        (expected,) = model.predict_on_batch(alone(batch, index))
        assert len(expected) == num_output_frames(length)
        np.testing.assert_allclose(found[index, : len(expected)], expected, atol=2e-5)


def test_padding_says_blank_for_certain(model, batch):
    found = np.exp(model.predict_on_batch(batch))
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)
    for frames, length in zip(found, LENGTHS, strict=True):
        assert (frames[num_output_frames(length) :, BLANK_INDEX] == 1).all()


def test_what_is_in_the_padding_does_not_matter_but_for_its_loudness(model, batch, rng):
    """Sound after the end is heard by the last frames, which reach 200 samples further, and by none after the next."""
    expected = model.predict_on_batch(batch)
    batch["waveform"][3, 8000 + 400 :] = 1e-3 * rng.standard_normal(64_000 - 8400)
    np.testing.assert_allclose(model.predict_on_batch(batch)[3], expected[3], atol=2e-5)


def test_loss_and_gradients_do_not_know_of_padding(batch):
    tf = pytest.importorskip("tensorflow")
    keras.utils.set_random_seed(0)
    model = build_model(TINY + ",dropout_rate=0,recurrent_dropout_rate=0", len(ALPHABET))
    targets, loss_of = np.array([[9, 17, 0], [5, 0, 0]]), keras.losses.CTC(reduction="sum")
    pair = {"waveform": batch["waveform"][[3, 4], :24_000], "num_samples": batch["num_samples"][[3, 4]]}

    def loss_and_gradients(parts):
        with tf.GradientTape() as tape:
            loss = sum(loss_of(target, model(part, training=False)) for part, target in parts)
        return loss, tape.gradient(loss, model.trainable_variables)

    together, gradients = loss_and_gradients([(pair, targets)])
    apart, expected = loss_and_gradients([(alone(pair, i), targets[i : i + 1, : 2 - i]) for i in range(2)])
    np.testing.assert_allclose(together, apart, rtol=1e-5)
    for gradient, wanted in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, wanted, atol=1e-3 * max(1, np.abs(wanted).max()))


def test_loss_is_that_of_all_paths(rng):
    """`keras.losses.CTC` over padded frames against a sum over every path through the frames that are not."""
    logits = rng.standard_normal((1, 6, 4)).astype("float32")
    log_probabilities = np.array(keras.ops.log_softmax(logits))
    log_probabilities[0, 4:] = [0, -1e4, -1e4, -1e4]
    probability = sum(
        np.exp(sum(log_probabilities[0, frame, character] for frame, character in enumerate(path)))
        for path in itertools.product(range(4), repeat=4)
        if [character for character, _ in itertools.groupby(path) if character] == [2, 2]
    )
    found = keras.losses.CTC()(np.array([[2, 2, 0]]), log_probabilities)
    np.testing.assert_allclose(float(found), -np.log(probability), rtol=1e-5)


def test_save_and_load(model, batch, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(batch), model.predict_on_batch(batch))


def test_training_draws_and_answering_does_not(model, batch):
    short = alone(batch, 3)
    once, again = (np.array(model(short, training=True)) for _ in range(2))
    assert np.abs(once - again).max() > 0
    np.testing.assert_array_equal(model(short, training=False), model(short, training=False))


def test_half_precision_still_answers_in_float32(batch):
    model = build_model(TINY, len(ALPHABET), precision="mixed_bfloat16")
    found = model.predict_on_batch(batch)
    assert found.dtype == "float32" and np.isfinite(found).all()


@pytest.mark.parametrize(("size", "low", "high"), [("small", 0.7e6, 0.95e6), ("base", 15e6, 40e6)])
def test_sizes(size, low, high):
    assert low < build_model(f"resnet_ctc,size={size}", len(ALPHABET)).count_params() < high


def test_gru_parameters_are_those_of_the_formula(model):
    """3 gates with a weight for each input and unit and two biases, in both directions (Cho et al., reset after)."""
    units, inputs = 8, 4 * 32  # filters times mel bins, of which the first convolution takes every other one
    if any(layer.name == "join_frames" for layer in model.layers):
        inputs = units
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Bidirectional)]
    counts = [layer.count_params() for layer in layers]
    assert counts == [2 * 3 * units * (width + units + 2) for width in (inputs, 2 * units)]


def test_unknown_sizes():
    with pytest.raises(ValueError, match=r"`size` must be one of \['base', 'medium', 'small'\]. Received: size='huge'"):
        build_resnet_ctc(29, size="huge")
    with pytest.raises(ValueError, match=r"resnet_ctc,num_unit=512: .*num_unit"):
        build_model("resnet_ctc,num_unit=512", 29)
    with pytest.raises(ValueError, match=r"resnet_ctc.*Received: 'lstm_ctc'\. Did you mean 'resnet_ctc'\?"):
        parse_architecture("lstm_ctc")


def test_masks_count_samples():
    mask = FrameMask(400)(np.zeros((3, 4, 1)), np.array([0, 399, 1200]))
    np.testing.assert_array_equal(mask, [[1, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]])


def test_masked_mean_is_that_of_the_frames_that_count(rng):
    features = rng.standard_normal((2, 5, 3)).astype("float32")
    mask = np.arange(5) < np.array([[2], [5]])
    found = np.array(CepstralMeanNormalization()(features, mask=mask))
    for row, length in ((0, 2), (1, 5)):
        np.testing.assert_allclose(found[row], features[row] - features[row, :length].mean(axis=0), atol=1e-6)


def test_spec_augment_of_any_length():
    """The number of frames may be unknown until a batch comes."""
    inputs = keras.Input((None, 8))
    model = keras.Model(inputs, SpecAugment(num_time_masks=1, max_time_frames=3, num_frequency_masks=0)(inputs))
    for num_frames in (5, 9):
        kept = np.array(model(np.ones((64, num_frames, 8), "float32"), training=True))[:, :, 0].sum(axis=1)
        assert kept.min() == num_frames - 3 and kept.max() == num_frames
