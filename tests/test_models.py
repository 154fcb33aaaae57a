"""models/: parameter counts and shapes against their sources, save -> load, gradients, learning."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kaggle_speech.models import BUILDERS, build_cnn, build_model, build_tc_resnet
from kaggle_speech.models.blocks import SpecAugment


def num_trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.parametrize(
    ("num_layers", "width", "thousands"), [(8, 1.0, 66), (8, 1.5, 145), (14, 1.0, 137), (14, 1.5, 305)]
)
def test_tc_resnet_has_the_papers_parameter_count(num_layers, width, thousands):
    """Table 1 of arXiv 1904.03814."""
    model = build_tc_resnet(12, num_layers=num_layers, width=width)
    assert num_trainable(model) == pytest.approx(1000 * thousands, rel=0.02)


def test_tc_resnet_halves_time_three_times():
    model = build_tc_resnet(12)
    adds = [layer.output.shape for layer in model.layers if isinstance(layer, keras.layers.Add)]
    assert adds == [(None, 51, 24), (None, 26, 32), (None, 13, 48)]


def test_cnn_has_the_layers_of_its_source():
    model = build_cnn(12)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [(layer.filters, layer.kernel_size) for layer in convolutions] == [(56, (7, 7)), (112, (7, 7))]
    pools = [layer for layer in model.layers if isinstance(layer, keras.layers.MaxPooling2D)]
    assert [layer.pool_size for layer in pools] == [(2, 2), (2, 2)]
    dense = [layer.units for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert dense == [256, 256, 12]
    # By hand: 7 * 7 * 56 + 56; 7 * 7 * 56 * 112 + 112; 11 * 5 * 112 -> 256 -> 256 -> 12.
    assert num_trainable(model) == 2_800 + 307_440 + 6160 * 256 + 256 + 256 * 256 + 256 + 256 * 12 + 12


@pytest.mark.parametrize("name", BUILDERS)
def test_forward_gradient_save_and_load(name, speech, tmp_path):
    model = build_model(name, 12)
    with tf.GradientTape() as tape:
        probabilities = model(speech, training=True)
        loss = -tf.reduce_mean(tf.math.log(probabilities[:, 0]))
    gradients = tape.gradient(loss, model.trainable_weights)
    assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients)

    probabilities = model.predict(speech, verbose=0)
    assert probabilities.shape == (4, 12)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(model.predict(speech[:1], verbose=0), probabilities[:1], atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded.predict(speech, verbose=0), probabilities)
    assert not any(isinstance(layer, keras.layers.Lambda) for layer in loaded.layers)


@pytest.mark.parametrize("name", BUILDERS)
def test_learns_a_batch_by_heart(name, speech):
    keras.utils.set_random_seed(0)
    model = build_model(name, 4, dropout_rate=0.0)
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    batch = np.repeat(speech, 4, axis=0)
    target = np.repeat(np.arange(4), 4)
    model.fit(batch, target, epochs=40, batch_size=16, verbose=0)
    logs = model.fit(batch, target, epochs=1, verbose=0).history
    assert logs["accuracy"][0] == 1.0 and logs["loss"][0] < 0.5


def test_spec_augment_masks_whole_bands_while_training_only():
    layer = SpecAugment(num_time_masks=1, max_time_frames=10, num_frequency_masks=1, max_frequency_bins=5, seed=1)
    features = np.ones((64, 50, 20), "float32")
    np.testing.assert_array_equal(layer(features), features)
    masked = np.asarray(layer(features, training=True))
    assert set(np.unique(masked)) == {0, 1}
    frames_masked, bins_masked = (masked == 0).all(axis=2).sum(axis=1), (masked == 0).all(axis=1).sum(axis=1)
    assert frames_masked.max() == 10 and bins_masked.max() == 5
    assert len(np.unique(frames_masked)) > 5  # every clip draws for itself
    outer = (masked == 0).all(axis=2)[:, :, None] | (masked == 0).all(axis=1)[:, None, :]
    np.testing.assert_array_equal(masked == 0, outer)  # nothing but whole bands
    for row in (masked == 0).all(axis=2):
        assert (np.diff(row.astype(int)) == 1).sum() <= 1  # one band


def test_unknown_names_and_sizes():
    with pytest.raises(ValueError, match=r"`name` must be one of \['cnn', 'tc_resnet'\]. Received: name='resnet'"):
        build_model("resnet", 12)
    with pytest.raises(ValueError, match=r"`num_layers` must be 8 or 14. Received: num_layers=9"):
        build_tc_resnet(12, num_layers=9)
