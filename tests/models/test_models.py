"""models/: parameter counts and shapes against their sources, save -> load, gradients, learning."""

import dataclasses
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from kaggle_speech.models import cnn_bigru
from kaggle_speech.models.architectures import architecture_names, architecture_sizes
from kaggle_speech.models.bc_resnet import build_bc_resnet
from kaggle_speech.models.blocks import BatchNormalization, SpecAugment, SubSpectralNormalization
from kaggle_speech.models.cnn import build_cnn
from kaggle_speech.models.cnn_bigru import build_cnn_bigru
from kaggle_speech.models.cost import architecture_fingerprint, describe_models, num_macs
from kaggle_speech.models.ds_cnn import build_ds_cnn
from kaggle_speech.models.efficientnet import build_efficientnet
from kaggle_speech.models.registry import build_model
from kaggle_speech.models.tc_resnet import build_tc_resnet
from kaggle_speech.models.vgg import build_vgg

NAMES = architecture_names("words")
#: With 12 outputs.
FINGERPRINTS = {
    "cnn": "a2:0ce9c5f5a68a5d75",
    "vgg": "a2:be4b9296840da99d",
    "cnn_bigru": "a2:823e72794104e103",
    "efficientnet": "a2:80ba1b3dae04171c",
    "efficientnet,backbone=mobilenet_v3_small": "a2:d54f039d2de228b2",
    "tc_resnet": "a2:2d494289db05ad08",
    "tc_resnet,width=1.5": "a2:34e1c30e4b7c61e8",
    "tc_resnet,num_layers=14": "a2:5d48d27bd5fc1d48",
    "tc_resnet,num_layers=14,width=1.5": "a2:d537ac7813c06efb",
    "bc_resnet,width=1": "a2:34cd0ce416284b39",
    "bc_resnet,width=1.5": "a2:5ce4e5b9357e4446",
    "bc_resnet,width=2": "a2:0edf08744d52063a",
    "bc_resnet,width=3": "a2:f9a8afafe3881bef",
    "bc_resnet,width=6": "a2:ed0206d0155be408",
    "bc_resnet,width=8": "a2:77dc664f6b36496e",
    "ds_cnn": "a2:b5116bdfde2d2578",
    "resnet_ctc": "a2:ec8b61bac47ef09f",
}
#: Options with which an architecture learns a batch by heart in seconds: nothing is dropped, pictures are small.
EASY = {
    "vgg": {"image_size": 40},
    "efficientnet": {"head": ((64, 0.0),), "backbone": "mobilenet_v3_small"},
}


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


@pytest.mark.parametrize(
    ("features", "shapes", "num_first", "num_flat"),
    [
        ("mfcc", [(57, 34, 56), (22, 11, 112)], 2_800, 6_160),
        ("spectrogram_image", [(58, 58, 56), (23, 23, 112)], 8_288, 13_552),
    ],
)
def test_cnn_has_the_layers_of_its_source(features, shapes, num_first, num_flat, speech):
    """A convolution without padding takes 6 rows and columns, a pooling half of them."""
    model = build_model(f"cnn,features={features}", 12)
    probabilities = model.predict(speech, verbose=0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert len(np.unique(probabilities[:, 0])) == len(speech)
    assert [layer.output.shape[1:] for layer in layers_of(model, keras.layers.Conv2D)] == shapes
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [(layer.filters, layer.kernel_size) for layer in convolutions] == [(56, (7, 7)), (112, (7, 7))]
    pools = [layer for layer in model.layers if isinstance(layer, keras.layers.MaxPooling2D)]
    assert [layer.pool_size for layer in pools] == [(2, 2), (2, 2)]
    dense = [layer.units for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert dense == [256, 256, 12]
    # By hand: 7 * 7 * channels * 56 + 56; 7 * 7 * 56 * 112 + 112; 11 * 5 or 11 * 11, * 112 -> 256 -> 256 -> 12.
    assert num_trainable(model) == num_first + 307_440 + num_flat * 256 + 256 + 256 * 256 + 256 + 256 * 12 + 12


def layers_of(model, layer_class):
    return [layer for layer in model.layers if isinstance(layer, layer_class)]


@pytest.mark.parametrize(("width", "thousands"), [(1, 9.2), (2, 27.3), (3, 54.2), (6, 188), (8, 321)])
def test_bc_resnet_has_the_papers_parameter_count(width, thousands):
    """Table 1 of arXiv 2106.04140."""
    assert round(num_trainable(build_bc_resnet(12, width=width)) / 1000, 1 if thousands < 100 else 0) == thousands


def test_bc_resnet_has_the_papers_stages():
    """Frequency 40 -> 20 -> 20 -> 10 -> 5 -> 5, time as it is; the branch over time sees one frequency."""
    model = build_bc_resnet(12, width=1)
    adds = [layer.output.shape[1:] for layer in layers_of(model, keras.layers.Add)]
    assert adds == [(20, 101, 8)] * 2 + [(10, 101, 12)] * 2 + [(5, 101, 16)] * 4 + [(5, 101, 20)] * 4
    time = [layer for layer in layers_of(model, keras.layers.DepthwiseConv2D) if layer.kernel_size == (1, 3)]
    assert [layer.dilation_rate[1] for layer in time] == [1] * 2 + [2] * 2 + [4] * 4 + [8] * 4
    assert {layer.input.shape[1] for layer in time} == {1}


def test_a_bc_resnet_with_a_time_stride_has_the_same_weights_and_reach():
    model = build_bc_resnet(12, width=1, time_stride=2)
    assert [weight.shape for weight in model.weights] == [weight.shape for weight in build_bc_resnet(12).weights]
    adds = {layer.output.shape[2] for layer in layers_of(model, keras.layers.Add)}
    time = [layer for layer in layers_of(model, keras.layers.DepthwiseConv2D) if layer.kernel_size == (1, 3)]
    assert adds == {51} and [layer.dilation_rate[1] for layer in time] == [1] * 4 + [2] * 4 + [4] * 4


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_the_fused_batch_normalization_is_that_of_keras(precision):
    """Outputs, gradients and moving statistics."""
    random = np.random.default_rng(0)
    x = random.normal(3, 2, (8, 5, 7, 6)).astype("float32")
    weights = random.standard_normal(x.shape).astype("float32")
    found = []
    for layer_class in (BatchNormalization, keras.layers.BatchNormalization):
        layer = layer_class(momentum=0.9, epsilon=1e-3, dtype=precision)
        model = keras.Sequential([keras.Input(x.shape[1:]), layer])
        layer.gamma.assign(np.linspace(0.5, 2, 6))
        layer.beta.assign(np.linspace(-1, 1, 6))
        with tf.GradientTape() as tape:
            inputs = tf.constant(x)
            tape.watch(inputs)
            outputs = tf.cast(model(inputs, training=True), tf.float32)
            loss = tf.reduce_sum(outputs * weights)
        gradients = tape.gradient(loss, [inputs, *model.trainable_weights])
        found.append([outputs, *gradients, layer.moving_mean, layer.moving_variance, model(x, training=False)])
    tolerance = 1e-4 if precision == "float32" else 0.05
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def test_sub_spectral_normalization_normalises_each_band():
    """Against numpy, band by band; then its moving statistics against the same."""
    x = np.random.default_rng(0).normal(3, 2, (8, 10, 7, 3)).astype("float32") * np.arange(1, 11)[:, None, None]
    layer = SubSpectralNormalization(num_subbands=5, momentum=0.0, epsilon=0.0)
    bands = [x[:, start : start + 2] for start in range(0, 10, 2)]
    normal = [(band - band.mean((0, 1, 2))) / band.std((0, 1, 2)) for band in bands]
    np.testing.assert_allclose(layer(x, training=True), np.concatenate(normal, axis=1), atol=1e-4)
    np.testing.assert_allclose(layer(x), np.concatenate(normal, axis=1), atol=1e-4)
    layer.batch_norm.gamma.assign(layer.batch_norm.gamma * 2)
    layer.batch_norm.beta.assign(layer.batch_norm.beta + 1)
    np.testing.assert_allclose(layer(x), 2 * np.concatenate(normal, axis=1) + 1, atol=1e-4)


def test_ds_cnn_has_the_parameter_count_of_mlperf_tiny():
    """24,908 with the moving statistics of nine batch normalisations; ours standardises ten coefficients more."""
    model = build_ds_cnn(12)
    assert num_trainable(model) + 9 * 64 * 2 == 24_908
    assert model.get_layer("mfcc").output.shape == (None, 49, 10)


def test_cnn_knows_two_kinds_of_features():
    with pytest.raises(ValueError, match=r"`features` must be mfcc or spectrogram_image. Received: features='dct'"):
        build_cnn(12, features="dct")


def test_vgg_has_the_layers_of_its_source():
    model = build_vgg(12)
    assert model.get_layer("spectrogram_image").output.shape == (None, 160, 160, 3)
    convolutions = layers_of(model, keras.layers.Conv2D)
    assert [layer.filters for layer in convolutions] == [32, 32, 64, 64, 64, 64, 64]
    assert {layer.kernel_size for layer in convolutions} == {(5, 5)}
    assert [layer.output.shape[1] for layer in layers_of(model, keras.layers.MaxPooling2D)] == [80, 40, 20]
    assert [layer.units for layer in layers_of(model, keras.layers.Dense)] == [1024, 12]


def test_cnn_bigru_has_the_layers_of_its_source():
    """(T, 40) -> (T/2, 20) -> (T/2, 10); PyTorch's rule floor((n + 2 pad - kernel) / stride) + 1 by hand."""
    model = build_cnn_bigru(32)
    convolutions = layers_of(model, keras.layers.Conv2D)
    assert [layer.output.shape[1:] for layer in convolutions] == [(51, 20, 32), (51, 10, 32)]
    assert [layer.kernel_size for layer in convolutions] == [(11, 41), (11, 21)]
    recurrent = layers_of(model, keras.layers.Bidirectional)
    assert [layer.output.shape[1:] for layer in recurrent] == [(51, 256), (51, 256)]
    assert build_cnn_bigru(12, features="log_mel_spectrogram").output.shape == (None, 12)
    with pytest.raises(ValueError, match=r"`features` must be one of .* Received: features='chroma'"):
        build_cnn_bigru(12, features="chroma")


def test_efficientnet_has_the_layers_of_its_source(tmp_path):
    model = build_efficientnet()
    assert model.output.shape == (None, 35)
    backbone = model.get_layer("efficientnetb0")
    assert backbone.input.shape == (None, 128, 63, 3)
    assert num_trainable(backbone) == 4_007_548  # B0 without its top: 5.3M in the paper with one
    drop_path = [layer.rate for layer in backbone.layers if layer.name.endswith("drop")]
    # 0.2 * i / 16 for block i; the fifteenth is the last with a way around it, of the sixteen.
    assert drop_path[-1] == pytest.approx(0.2 * 14 / 16) and sorted(drop_path) == drop_path
    assert [layer.units for layer in layers_of(model, keras.layers.Dense)] == [1024, 512, 256, 35]
    assert [layer.rate for layer in layers_of(model, keras.layers.Dropout)] == [0.5, 0.35, 0.25, 0.4]

    backbone.save_weights(tmp_path / "notop.weights.h5")
    local = build_efficientnet(12, weights=tmp_path / "notop.weights.h5").get_layer("efficientnetb0")
    for mine, theirs in zip(local.get_weights(), backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_weights_that_cannot_be_had(monkeypatch):
    with pytest.raises(ValueError, match=r"`backbone` must be one of .* Received: backbone='resnet50'"):
        build_efficientnet(12, backbone="resnet50")
    with pytest.raises(ValueError, match=r"`weights` must be .* Received: weights='nowhere.h5'"):
        build_efficientnet(12, weights="nowhere.h5")

    def no_internet(*args, **kwargs):
        raise OSError("URL fetch failure")

    monkeypatch.setattr("kaggle_speech.models.efficientnet.BACKBONES", {"efficientnet_b0": no_internet})
    with pytest.raises(RuntimeError, match=r"downloaded, which failed: URL fetch failure. Without internet, attach"):
        build_efficientnet(12, weights="imagenet")


def test_macs_agree_with_the_papers():
    """Millions: TC-ResNet8 3.0 FLOPs of two a MAC, DS-CNN 2.7, EfficientNet-B0 390, MobileNetV3-small 56."""
    assert num_macs(build_tc_resnet(12)) == pytest.approx(1.5e6, rel=0.05)
    assert num_macs(build_ds_cnn(12)) == pytest.approx(2.7e6, rel=0.05)
    photograph = {"weights": None, "input_shape": (224, 224, 3)}
    assert num_macs(keras.applications.EfficientNetB0(**photograph)) == pytest.approx(390e6, rel=0.05)
    assert num_macs(keras.applications.MobileNetV3Small(**photograph)) == pytest.approx(56e6, rel=0.05)


def test_macs_of_gru_and_dense_by_hand():
    inputs = keras.Input((10, 8))
    x = keras.layers.Bidirectional(keras.layers.GRU(4, return_sequences=True))(inputs)
    x = keras.layers.GRU(5)(keras.layers.Dense(6)(x))
    by_hand = 2 * 10 * 3 * 4 * (8 + 4) + 10 * 8 * 6 + 10 * 3 * 5 * (6 + 5)
    assert num_macs(keras.Model(inputs, x)) == by_hand


def test_every_architecture_is_described():
    models_df = describe_models(["tc_resnet", "bc_resnet,width=3"])
    assert list(models_df["model"]) == ["tc_resnet", "bc_resnet,width=3"]
    assert list(models_df["parameters"]) == [
        num_trainable(build_tc_resnet(12)),
        num_trainable(build_bc_resnet(12, width=3)),
    ]
    assert list(models_df["features"]) == ["101x40", "101x40"]


#: Networks of so many layers that a step without a graph takes long.
LARGE = {"efficientnet", "vgg", "bc_resnet", "cnn_bigru"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in NAMES]
)
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
    assert architecture_fingerprint(loaded) == architecture_fingerprint(model)
    assert not any(isinstance(layer, keras.layers.Lambda) for layer in loaded.layers)


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_fingerprints_are_those_of_the_trained_models(name):
    """Another fingerprint means that runs trained before cannot be loaded: keep the network, or say so."""
    assert architecture_fingerprint(build_model(name, 12)) == FINGERPRINTS[name]


def test_every_size_of_every_architecture_has_a_known_fingerprint():
    assert {*FINGERPRINTS} == {*architecture_sizes("words"), *architecture_sizes("transcripts")}


def test_fingerprint_is_that_of_the_layers():
    fingerprint = architecture_fingerprint(build_model("cnn_bigru", 12))
    assert re.fullmatch("a2:[0-9a-f]{16}", fingerprint)
    assert architecture_fingerprint(build_model("cnn_bigru", 12, precision="mixed_bfloat16")) == fingerprint
    others = [build_model("cnn_bigru", 12, dropout_rate=0.2), build_model("cnn_bigru,num_units=64", 12)]
    others.append(build_model("cnn_bigru", 12, spec=dataclasses.replace(cnn_bigru.SPEC, dynamic_range_db=80.0)))
    assert len({fingerprint, *map(architecture_fingerprint, others)}) == 4


@pytest.mark.parametrize("name", NAMES)
def test_mixed_precision_is_for_what_lies_between(name, speech):
    options = EASY.get(name, {})
    exact, mixed = (
        build_model(name, 12, precision=precision, **options) for precision in ("float32", "mixed_bfloat16")
    )
    assert keras.config.dtype_policy().name == "float32"
    mixed.set_weights(exact.get_weights())
    assert {weight.dtype for weight in mixed.weights} == {"float32"}
    assert {layer.compute_dtype for layer in mixed.layers} == {"float32", "bfloat16"}
    probabilities = mixed.predict(speech, verbose=0)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, exact.predict(speech, verbose=0), atol=0.02)


#: The smallest; the others take minutes.
QUICK = "tc_resnet"


@pytest.mark.parametrize(
    "name", [name if name == QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_learns_a_batch_by_heart(name, speech):
    keras.utils.set_random_seed(0)
    model = build_model(name, 4, dropout_rate=0.0, **EASY.get(name, {}))
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    is_learned = lambda logs: logs["accuracy"] == 1.0 and logs["loss"] < 0.5  # noqa: E731
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", is_learned(logs))
    )
    logs = model.fit(speech, np.arange(4), epochs=150, batch_size=4, verbose=0, callbacks=[stop]).history
    assert is_learned({name: values[-1] for name, values in logs.items()})


def test_tc_resnet_hears_neither_volume_nor_a_fixed_filter(speech):
    """Up to 60 dB under the maximum: what is constant over a clip drops out."""
    model = build_tc_resnet(12)
    layer = keras.Model(model.input, model.get_layer("cepstral_mean_normalization").output)
    features = layer.predict(speech, verbose=0)
    np.testing.assert_allclose(features.mean(axis=1), 0, atol=1e-3)
    np.testing.assert_allclose(layer.predict(0.25 * speech, verbose=0), features, atol=0.01)


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
    with pytest.raises(ValueError, match=r"`model` must be one of \['bc_resnet', .*\], .* Received: 'resnet'"):
        build_model("resnet", 12)
    with pytest.raises(ValueError, match=r"must be written name=value. Received: 'wide' in 'cnn,wide'"):
        build_model("cnn,wide", 12)
    with pytest.raises(ValueError, match=r"cnn,widht=2: .*unexpected keyword argument 'widht'"):
        build_model("cnn,widht=2", 12)
    with pytest.raises(ValueError, match=r"`num_layers` must be 8 or 14. Received: num_layers=9"):
        build_tc_resnet(12, num_layers=9)
    with pytest.raises(ValueError, match=r"`spec.num_mel_bins` must be a multiple of .*num_subbands=7"):
        build_bc_resnet(12, num_subbands=7)
