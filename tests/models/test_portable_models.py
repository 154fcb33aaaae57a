"""Models load in every Keras from 3.7 on, on each backend and processor, and a bad file is an error of one line.

`make test-oldest` runs this with the oldest versions, with which the packaged models and `architectures.json`, made
with the newest ones, must agree. For other versions: `pip install --no-deps keras==3.10.0`, `KERAS_BACKEND=jax`.
"""

import dataclasses
import json
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from kaggle_speech.export import publish
from kaggle_speech.files import fingerprint, read_json, write_json
from kaggle_speech.labels import COMPETITION_LABELS
from kaggle_speech.models import bc_resnet, cost, ds_cnn, pretrained, registry, runs, weights
from kaggle_speech.models.architectures import architecture_names, architecture_sizes
from kaggle_speech.models.folder import KERAS_NAME, WEIGHTS_NAME
from kaggle_speech.text.alphabet import ALPHABET

PACKAGED = ("bc_resnet", "bc_resnet_33", "bc_resnet_distilled", "bc_resnet_tiny", "tc_resnet")
#: Architecture -> what `golden_facts` returned with Keras 3.15, TensorFlow 2.21 and NumPy 2.4.
GOLDEN = read_json(Path(__file__).with_name("architectures.json"))
SLOW = ("vgg", "efficientnet", "efficientnet,backbone=mobilenet_v3_small")
ARCHITECTURES = [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in GOLDEN]
#: What `run.json` did not state in version 0.1.
NEW_IN_RUN_JSON = ("task", "architecture", "num_parameters", "weights", "model")


def layers_of(model):
    """All layers, also those of models inside."""
    for layer in model.layers:
        yield from layers_of(layer) if isinstance(layer, keras.Model) else [layer]


def example_waveforms():
    """Two clips of noise that swells. Shape: `(2, 16000)`."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 16_000))
    return (noise * np.linspace(0, 1, 16_000)).astype("float32")


def example_model(name):
    """A model with weights that depend on their place and shape alone, and its example inputs."""
    is_transcriber = name in architecture_names("transcripts")
    model = registry.build_model(name, len(ALPHABET) if is_transcriber else 12)
    rng = np.random.default_rng(1)
    for weight in model.weights:
        values = rng.standard_normal(weight.shape) * (2 / max(1, np.prod(weight.shape[:-1]))) ** 0.5
        is_positive = weight.path.endswith(("variance", "gamma"))
        values *= 0.03 if weight.path.startswith("probabilities") else 1  # else the softmax is sure, and tells little
        weight.assign(1 + 0.1 * np.abs(values) if is_positive else values)
    waveform = example_waveforms()
    inputs = {"waveform": waveform, "num_samples": np.array([16_000, 12_000], "int32")}
    return model, inputs if is_transcriber else waveform


def one_line(raised):
    """Whether an error has one line and is not longer than a few of a terminal's."""
    message = str(raised.value)
    return "\n" not in message and len(message) < 800


def finished_run(run_dir, task, settings, model, metrics=None):
    vocabulary = {"words": COMPETITION_LABELS, "transcripts": ALPHABET}[task]
    with runs.open_run(run_dir, task=task, vocabulary=vocabulary, settings=settings) as run:
        run.finish(model, metrics or {})
    return run_dir


@pytest.fixture
def run_dir(tmp_path):
    """A finished run of a small network."""
    settings = {"model": "ds_cnn", "data": "0123456789abcdef"}
    metrics = {"accuracy": 0.9, "macro_f1": 0.9, "num_clips": 9, "training_minutes": 1.0, "recall": {"yes": 0.9}}
    return finished_run(tmp_path / "run", "words", settings, registry.build_model("ds_cnn", 12), metrics)


def replace_weights(run_dir, write):
    """Replace the weights file and state its fingerprint, so that only its content can be at fault."""
    path = run_dir / WEIGHTS_NAME
    path.unlink()
    write(path)
    write_json(run_dir / "run.json", read_json(run_dir / "run.json") | {"weights": fingerprint(path.read_bytes())})


def golden_facts(model, inputs, weights_path):
    """Fingerprints of a network and of the names and shapes in its weights file, and the last outputs for each clip."""
    outputs = np.asarray(model.predict_on_batch(inputs))
    return {
        "fingerprint": cost.architecture_fingerprint(model),
        "weights": fingerprint(json.dumps(sorted(weights.weight_shapes(weights_path).items()))),
        "outputs": (np.exp(outputs[:, -1]) if outputs.ndim == 3 else outputs).round(7).tolist(),
    }


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_weights_of_one_version_are_those_of_another(name, tmp_path):
    """Every Keras builds the same network, names its weights the same, and computes the same."""
    model, inputs = example_model(name)
    task = "transcripts" if name in architecture_names("transcripts") else "words"
    run_dir = finished_run(tmp_path / "run", task, {"model": name}, model)
    assert (run_dir / WEIGHTS_NAME).exists() and not (run_dir / KERAS_NAME).exists()
    assert read_json(run_dir / "run.json")["task"] == task
    loaded, loaded_vocabulary = runs.load_run(run_dir)
    assert loaded_vocabulary == (ALPHABET if task == "transcripts" else COMPETITION_LABELS)
    facts, expected = golden_facts(loaded, inputs, run_dir / WEIGHTS_NAME), GOLDEN[name]
    assert facts | {"outputs": 0} == expected | {"outputs": 0}
    np.testing.assert_allclose(facts["outputs"], expected["outputs"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", architecture_sizes("words") + architecture_sizes("transcripts"))
def test_no_depthwise_convolution_has_unequal_strides(name):
    """Without oneDNN, which TensorFlow uses on some processors only, its kernel refuses them."""
    depthwise = [layer for layer in layers_of(registry.build_model(name, 12)) if "Depthwise" in type(layer).__name__]
    assert all(len({*layer.strides}) == 1 for layer in depthwise)


@pytest.mark.parametrize("name", PACKAGED)
def test_keras_and_the_exported_file_give_the_same_probabilities(name, speech):
    pytest.importorskip("onnxruntime")
    from kaggle_speech.inference import load

    folder = pretrained.PRETRAINED_DIR.parent / name
    loaded, exported = (load.load_recogniser(folder, engine=engine) for engine in ("keras", "onnxruntime"))
    assert loaded.settings["model"] == exported.settings["model"] == read_json(folder / "run.json")["model"]
    np.testing.assert_allclose(
        loaded.model.predict_on_batch(speech), exported.model.predict_on_batch(speech), rtol=0, atol=1e-5
    )


def test_architectures_of_version_0_1_are_not_compared():
    current = cost.architecture_fingerprint(registry.build_model("tc_resnet", 12))
    assert cost.same_architecture(current, current)
    assert cost.same_architecture("5a30d093b316be83", current) and cost.same_architecture(None, current)
    assert not cost.same_architecture("a2:5a30d093b316be83", current)


@pytest.mark.parametrize("damage", [lambda content: content[:-100], lambda content: content.replace(b"\0", b"\1", 1)])
def test_damaged_weights(run_dir, damage):
    path = run_dir / WEIGHTS_NAME
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"model.weights.h5: must be the file that run.json .*damaged") as raised:
        runs.load_run(run_dir)
    assert one_line(raised)


def write_truncated(path):
    registry.build_model("ds_cnn", 12).save_weights(path)
    path.write_bytes(path.read_bytes()[:-1000])


def write_link(path):
    with h5py.File(path, "w") as file:
        file["layers"] = h5py.ExternalLink("/etc/passwd", "/")


def write_circle(path):
    with h5py.File(path, "w") as file:
        file.create_group("a")["b"] = file["/"]


def write_virtual(path):
    layout = h5py.VirtualLayout(shape=(3,), dtype="float32")
    layout[:] = h5py.VirtualSource("another.h5", "x", shape=(3,))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("x", layout)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_bytes(b"PK\3\4 no HDF5"), r"must be a weights file \(HDF5\)"),
        (lambda path: path.write_bytes(b""), r"must be a weights file \(HDF5\)"),
        (write_truncated, r"must be a weights file \(HDF5\)"),
        (write_link, "numbers alone. Received: a link"),
        (write_circle, "numbers alone. Received: a group within itself"),
        (write_virtual, "numbers alone. Received: something else, /x"),
        (lambda path: h5py.File(path, "w").close(), "must hold the weights of a ds_cnn"),
        (lambda path: registry.build_model("tc_resnet", 12).save_weights(path), "must hold the weights of a ds_cnn"),
        (lambda path: registry.build_model("ds_cnn", 11).save_weights(path), r"must hold .*\(64, 11\)"),
    ],
)
def test_files_that_are_not_these_weights(run_dir, write, message):
    replace_weights(run_dir, write)
    with pytest.raises(ValueError, match=rf"model.weights.h5: .*{message}") as raised:
        runs.load_run(run_dir)
    assert one_line(raised)


def test_weights_of_another_version_of_the_network(run_dir):
    """Same shapes, another frontend: without the fingerprint, the answers would be wrong and nobody would know."""
    write_json(run_dir / "run.json", read_json(run_dir / "run.json") | {"architecture": "a2:0123456789abcdef"})
    with pytest.raises(ValueError, match=r"must be weights of the network .* builds from 'ds_cnn', a2:") as raised:
        runs.load_run(run_dir)
    assert one_line(raised)


@pytest.mark.parametrize("content", ["", "[]", '{"settings": {}}', '{"vocabulary": 3, "settings": {}}'])
def test_run_json_that_is_none(run_dir, content):
    (run_dir / "run.json").write_text(content)
    with pytest.raises(ValueError, match=r"run.json: must hold a JSON object with a `vocabulary`") as raised:
        runs.load_run(run_dir)
    assert one_line(raised)


def as_version_0_1(run_dir, model):
    """Make the folder one of version 0.1: `model.keras`, and no fingerprints in its JSON files."""
    (run_dir / WEIGHTS_NAME).unlink()
    model.save(run_dir / KERAS_NAME)
    for name in ("run.json", "metrics.json"):
        content = read_json(run_dir / name)
        write_json(run_dir / name, {key: content[key] for key in content if key not in NEW_IN_RUN_JSON})


def test_a_run_of_version_0_1_loads_and_is_published_for_every_keras(run_dir, tmp_path, speech):
    model = registry.build_model("ds_cnn", 12)
    as_version_0_1(run_dir, model)
    before = runs.model_fingerprint(run_dir)
    loaded, _ = runs.load_run(run_dir)
    publish.publish_run(run_dir, tmp_path / "public")
    published, _ = runs.load_run(tmp_path / "public")
    assert sorted(path.name for path in (tmp_path / "public").iterdir()) == [
        *("README.md", "metrics.json", "model.weights.h5", "run.json")
    ]
    assert runs.model_fingerprint(tmp_path / "public") == before  # so exported files and thresholds still are of it
    for other in (loaded, published):
        np.testing.assert_array_equal(
            np.asarray(other.predict_on_batch(speech)), np.asarray(model.predict_on_batch(speech))
        )


def test_a_network_that_its_run_does_not_name_is_not_published(run_dir, tmp_path):
    """Same shapes, another frontend."""
    spec = dataclasses.replace(ds_cnn.SPEC, upper_edge_hz=8000.0)
    as_version_0_1(run_dir, registry.build_model("ds_cnn", 12, spec=spec))
    with pytest.raises(ValueError, match=r"model.keras: must be the network .* 'ds_cnn'. Received: another") as raised:
        publish.publish_run(run_dir, tmp_path / "public")
    assert one_line(raised)


def test_a_network_of_ones_own_is_kept_as_it_is(tmp_path, speech):
    model = registry.build_model("ds_cnn,num_blocks=2", 12)
    run_dir = finished_run(tmp_path / "run", "words", {"model": "mine"}, model)
    loaded, _ = runs.load_run(run_dir)
    assert (run_dir / KERAS_NAME).exists() and not (run_dir / WEIGHTS_NAME).exists()
    np.testing.assert_array_equal(
        np.asarray(loaded.predict_on_batch(speech)), np.asarray(model.predict_on_batch(speech))
    )


def with_stride(x):
    """What version 0.1 did for `bc_resnet._every_second_row`: the convolution before had a stride over rows alone."""
    convolution = x._keras_history.operation
    layer = keras.layers.DepthwiseConv2D(convolution.kernel_size, (2, 1), padding="same", use_bias=False)
    return layer(convolution.input)


@pytest.mark.slow
def test_strides_of_version_0_1_run_on_every_processor(run_dir, monkeypatch, speech):
    """TensorFlow without oneDNN cannot compute its `model.keras` of BC-ResNet; what is loaded, it can."""
    model = registry.build_model("bc_resnet", 12)
    with monkeypatch.context() as patch:
        patch.setattr(bc_resnet, "_every_second_row", with_stride)
        old = registry.build_model("bc_resnet", 12)
    old.set_weights(model.get_weights())
    as_version_0_1(run_dir, old)
    for name in ("run.json", "metrics.json"):
        write_json(run_dir / name, read_json(run_dir / name) | {"settings": {"model": "bc_resnet"}})
    loaded, _ = runs.load_run(run_dir)
    probabilities = np.asarray(model.predict_on_batch(speech))
    np.testing.assert_array_equal(np.asarray(loaded.predict_on_batch(speech)), probabilities)


def edit_config(path, change):
    """Rewrite the configuration in a `.keras` file."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(contents["config.json"])
    change(config)
    contents["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    "layer",
    [
        {"module": "keras.layers", "class_name": "Lambda", "registered_name": None},
        {"module": "keras.layers", "class_name": "TorchModuleWrapper", "registered_name": None},
        {"module": "keras", "class_name": "utils.get_file", "registered_name": None},
        {"module": "os", "class_name": "system", "registered_name": "kaggle_speech>nothing"},
        {"module": "os", "class_name": "function", "config": "system", "registered_name": "kaggle_speech>SpecAugment"},
        {"module": "builtins", "class_name": "function", "registered_name": "function"},
    ],
)
def test_no_code_from_a_file_is_run(run_dir, layer):
    as_version_0_1(run_dir, registry.build_model("ds_cnn", 12))
    edit_config(run_dir / KERAS_NAME, lambda config: config["config"]["layers"][2].update(layer))
    with pytest.raises(ValueError, match=rf"model.keras: .*{layer['class_name']}, which is not made") as raised:
        runs.load_run(run_dir)
    assert one_line(raised)


@pytest.mark.parametrize("content", [b"", b"no ZIP file", b"PK\3\4"])
def test_a_keras_file_that_is_none(run_dir, content):
    as_version_0_1(run_dir, registry.build_model("ds_cnn", 12))
    (run_dir / KERAS_NAME).write_bytes(content)
    with pytest.raises(ValueError, match=r"model.keras: must be a model that Keras .* can load") as raised:
        runs.load_run(run_dir)
    assert one_line(raised)


def test_a_keras_file_of_another_keras_says_what_to_do(run_dir):
    """An option that this Keras does not know, as those of 3.15 are for the ones before."""
    as_version_0_1(run_dir, registry.build_model("ds_cnn", 12))
    edit_config(run_dir / KERAS_NAME, lambda config: config["config"]["layers"][2]["config"].update(unheard_of=1))
    with pytest.raises(ValueError, match=r"saved: 3\.\d+.*; there, `kaggle-speech publish --run") as raised:
        runs.load_run(run_dir)
    assert one_line(raised)
