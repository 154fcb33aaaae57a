"""Training on many devices: refusals here; the trainings, on virtual devices of JAX, in processes of their own."""

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import kaggle_speech
from kaggle_speech.data import clip_batches
from kaggle_speech.inference.runtimes import OnnxModel
from kaggle_speech.models import runs
from kaggle_speech.training import devices
from kaggle_speech.training.callbacks import read_history
from kaggle_speech.training.fit import fit

SCRIPT = Path(__file__).parent / "train_on_devices.py"
#: Where the processes find the package, and `fakes`.
PYTHONPATH = os.pathsep.join(map(str, (Path(kaggle_speech.__file__).parents[1], SCRIPT.parents[1])))
needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs the optional package jax")
LOSSES = ["loss", "val_loss"]


def start_on_jax(*arguments, num_devices=4, **variables):
    """Start Python with virtual CPU devices."""
    env = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": PYTHONPATH}
    env |= {"XLA_FLAGS": f"--xla_force_host_platform_device_count={num_devices}"} | variables
    command = [sys.executable, *map(str, arguments)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def end(process, returncode=0):
    """Wait for a process; the test fails with its output where it has another return code. Returns: the output."""
    output, _ = process.communicate(timeout=900)
    assert process.returncode == returncode, output
    return output


def test_one_device_needs_no_distribution():
    for number in (None, 1, "all"):
        assert devices.use_devices(number, 32) is None
    assert devices.is_first_process() and devices.from_first_process({"epoch": 1}) == {"epoch": 1}


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "two"])
def test_devices_are_a_number_or_all(number):
    with pytest.raises(ValueError, match=r'`devices` must be a number above 0, or "all"\. Received: devices='):
        devices.use_devices(number, 32)


def test_tensorflow_is_no_backend_for_several(tmp_path, monkeypatch):
    """Said before anything is written; for the GPUs that it finds, too."""
    train_ds = tf.data.Dataset.from_tensors((np.zeros((4, 1)), np.zeros((4, 1))))
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    message = (
        r"`devices` must be 1 where Keras runs on tensorflow; set KERAS_BACKEND=jax for more.* Received: 2 devices"
    )
    with pytest.raises(ValueError, match=message):
        fit(model, train_ds, train_ds, tmp_path / "run", devices=2)
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(keras.distribution, "list_devices", lambda device_type: ["gpu:0", "gpu:1"])
    with pytest.raises(ValueError, match=message):
        devices.use_devices("all", 4)
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    with pytest.raises(ValueError, match='must be "all" where KERAS_DISTRIBUTION_NUM_PROCESSES is set'):
        devices.use_devices(None, 4)


def test_parts_of_batches_make_the_batches():
    batches_ds = tf.data.Dataset.range(16).batch(8, drop_remainder=True).map(lambda x: ({"a": x, "b": 2 * x}, -x))
    parts = [list(clip_batches.part_of_batches(batches_ds, index, 2)) for index in range(2)]
    for batch, *halves in zip(batches_ds, *parts, strict=True):
        for whole, first, second in zip(*map(tf.nest.flatten, (batch, *halves)), strict=True):
            np.testing.assert_array_equal(whole, np.concatenate([first, second]))


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_tensorflow_leaves_the_gpus_to_another_backend(backend, monkeypatch):
    hidden = []
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *arguments: hidden.append(arguments))
    monkeypatch.setattr(clip_batches, "keras_backend", lambda: backend)
    clip_batches.leave_gpus_to_keras()
    assert hidden == ([] if backend == "tensorflow" else [([], "GPU")])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("devices")


@pytest.fixture(scope="module")
def words_df(folder, sample_dir):
    """History of the words on one device; the same on two and on four are beside it."""
    end(start_on_jax(SCRIPT, "words", sample_dir, folder / "words", 1, 2, 4))
    return read_history(folder / "words" / "1")


@needs_jax
@pytest.mark.slow
def test_words_do_not_depend_on_their_number(words_df, folder):
    for number in ("2", "4"):
        history_df = read_history(folder / "words" / number)
        np.testing.assert_allclose(history_df[LOSSES], words_df[LOSSES], atol=1e-4)
        accuracies = [runs.read_json(folder / "words" / name / "metrics.json")["accuracy"] for name in ("1", number)]
        assert accuracies[0] == accuracies[1]


@needs_jax
@pytest.mark.slow
@pytest.mark.parametrize("task", ["augmented", "taught"])
def test_neither_does_augmentation_on_them_nor_a_teacher(task, words_df, folder, sample_dir):
    end(start_on_jax(SCRIPT, task, sample_dir, folder / task, 1, 2))
    histories = [read_history(folder / task / number)[LOSSES] for number in "12"]
    np.testing.assert_allclose(*histories, atol=1e-4)
    assert not np.allclose(histories[0], words_df[LOSSES], atol=1e-4)


def train_on_two_hosts(task, data_dir, run_dir):
    """Train in two processes, each on two devices; both end."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    hosts = {"KERAS_DISTRIBUTION_JOB_ADDRESSES": address, "KERAS_DISTRIBUTION_NUM_PROCESSES": "2"}
    arguments = (SCRIPT, task, data_dir, run_dir, "all")
    processes = [
        start_on_jax(*arguments, num_devices=2, KERAS_DISTRIBUTION_PROCESS_ID=str(index), **hosts) for index in range(2)
    ]
    for process in processes:
        end(process)


@needs_jax
@pytest.mark.slow
def test_two_processes_train_as_one_does(words_df, folder, sample_dir):
    """One run after another, as `compare` does; a second call reads them."""
    train_on_two_hosts("compared", sample_dir, folder / "hosts")
    runs_df = pd.read_csv(folder / "hosts" / "all.csv")
    assert [*runs_df["name"]] == ["words", "short"] and runs_df["accuracy"].between(0, 1).all()
    np.testing.assert_allclose(read_history(folder / "hosts" / "all" / "words_0")[LOSSES], words_df[LOSSES], atol=1e-4)
    assert len(read_history(folder / "hosts" / "all" / "short_0")) == 1


@needs_jax
@pytest.mark.slow
def test_a_killed_run_ends_on_two_devices_as_on_one(words_df, folder, sample_dir):
    arguments = (SCRIPT, "words", sample_dir, folder / "killed")
    end(start_on_jax(*arguments, "--kill-at", 1, 4), returncode=9)
    (folder / "killed" / "4").rename(folder / "killed" / "2")
    assert len(read_history(folder / "killed" / "2")) == 1
    end(start_on_jax(*arguments, 2))
    np.testing.assert_allclose(read_history(folder / "killed" / "2")[LOSSES], words_df[LOSSES], atol=1e-4)


@needs_jax
@pytest.mark.slow
def test_transcripts_do_not_depend_on_their_number(folder):
    """Nor on the number of processes."""
    arguments = ("transcripts", folder / "speech", folder / "transcripts")
    end(start_on_jax(SCRIPT, *arguments, 1, 4))
    train_on_two_hosts(*arguments)
    one, *others = (read_history(folder / "transcripts" / number) for number in ("1", "4", "all"))
    for history_df in others:
        np.testing.assert_allclose(history_df["loss"], one["loss"], rtol=1e-5)
        np.testing.assert_allclose(history_df["val_cer"], one["val_cer"])


@needs_jax
@pytest.mark.slow
def test_what_was_trained_on_four_devices_is_exported_and_predicts(words_df, folder, sample_dir, speech):
    """The export is asked for on JAX, and the file answers as the model does on TensorFlow."""
    run_dir = folder / "words" / "4"
    code = f"import kaggle_speech as ks; ks.export_run({str(run_dir)!r}, {str(run_dir)!r}, "
    code += f"ks.read_clips_table({str(sample_dir)!r}, progress=False)[0], [('onnx', 'float32')])"
    end(start_on_jax("-c", code))
    model, _ = runs.load_run(run_dir)
    probabilities = OnnxModel(run_dir / "model.onnx").predict_on_batch(speech)
    np.testing.assert_allclose(probabilities, model.predict_on_batch(speech), atol=1e-4)


@needs_jax
@pytest.mark.slow
def test_what_cannot_be_divided_is_refused():
    code = "from kaggle_speech.training.devices import use_devices\n"
    code += "for arguments in ((5, 20), (3, 32), (2, None)):\n"
    code += "  try: use_devices(*arguments)\n  except ValueError as error: print(error)"
    lines = [line for line in end(start_on_jax("-c", code)).splitlines() if "Received" in line]
    assert lines[0] == "`devices` must be at most 4: cpu:0, cpu:1, cpu:2, cpu:3. Received: devices=5"
    rule = "every batch must have the same size, a multiple of the number of devices"
    assert lines[1].startswith(f"{rule}, 3: ") and lines[1].endswith("Received: batch_size=32")
    assert lines[2].startswith(f"{rule}, 2: ") and lines[2].endswith("Received: batch_size=None")
