"""Models load in every Keras from 3.7 on, on each backend and processor, and a bad file is an error of one line."""

import keras
import numpy as np
import pytest

from kaggle_speech import files
from kaggle_speech.inference import load
from kaggle_speech.labels import COMPETITION_LABELS
from kaggle_speech.models import cost, pretrained, registry, runs
from kaggle_speech.models.folder import WEIGHTS_NAME

PACKAGED = ("bc_resnet", "bc_resnet_distilled", "tc_resnet")


def layers_of(model):
    """All layers, also those of models inside."""
    for layer in model.layers:
        yield from layers_of(layer) if isinstance(layer, keras.Model) else [layer]


@pytest.mark.parametrize("name", [*cost.ARCHITECTURES, "resnet_ctc"])
def test_no_depthwise_convolution_has_unequal_strides(name):
    """Without oneDNN, which TensorFlow uses on some processors only, its kernel refuses them."""
    depthwise = [layer for layer in layers_of(registry.build_model(name, 12)) if "Depthwise" in type(layer).__name__]
    assert all(len({*layer.strides}) == 1 for layer in depthwise)


@pytest.mark.parametrize("name", PACKAGED)
def test_keras_and_the_exported_file_give_the_same_probabilities(name, speech):
    pytest.importorskip("onnxruntime")
    folder = pretrained.PRETRAINED_DIR.parent / name
    loaded, exported = (load.load_recogniser(folder, engine=engine) for engine in ("keras", "onnxruntime"))
    assert loaded.settings["model"] == exported.settings["model"] == files.read_json(folder / "run.json")["model"]
    np.testing.assert_allclose(
        loaded.model.predict_on_batch(speech), exported.model.predict_on_batch(speech), rtol=0, atol=1e-5
    )


def test_architectures_of_version_0_1_are_not_compared():
    current = cost.architecture_fingerprint(registry.build_model("tc_resnet", 12))
    assert cost.same_architecture(current, current)
    assert cost.same_architecture("5a30d093b316be83", current) and cost.same_architecture(None, current)
    assert not cost.same_architecture("a2:5a30d093b316be83", current)


@pytest.mark.parametrize("damage", [lambda content: content[:-100], lambda content: content.replace(b"\0", b"\1", 1)])
def test_damaged_weights(tmp_path, damage):
    run_dir = runs.start_run(tmp_path / "run", COMPETITION_LABELS, {"model": "ds_cnn"})
    runs.finish_run(run_dir, registry.build_model("ds_cnn", 12), {})
    path = run_dir / WEIGHTS_NAME
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"model.weights.h5: must be the file that run.json .*damaged") as raised:
        runs.load_run(run_dir)
    assert "\n" not in str(raised.value)
