"""Training with Keras on JAX, in processes of their own; what it leaves is read here, by Keras on TensorFlow."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from kaggle_speech.data.rendered.sentences import render_sentences
from kaggle_speech.models import runs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs the optional package jax"),
]

#: A network of few layers: most of the time goes to compilation.
TINY = "cnn,num_filters=(4,8)"
WORDS = ("--model", TINY, "--num-epochs", 1, "--batch-size", 32)
TRANSCRIPTS = (
    *("--model", "resnet_ctc,num_filters=8,num_residual_blocks=1,num_recurrent_blocks=1,num_units=8"),
    *("--num-epochs", 1, "--num-val-speakers", 2),
)
SHARE_A_MODEL = f"""
import threading
import numpy as np
from kaggle_speech.inference.batches import shared_predict
from kaggle_speech.models.registry import build_model

predict = shared_predict(build_model("{TINY}", 12))
waveform = np.random.default_rng(0).normal(0, 0.1, (4, 16_000)).astype("float32")
expected, results = predict(waveform), []
threads = [threading.Thread(target=lambda: results.extend(predict(waveform) for _ in range(20))) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(results) == 80 and all(np.array_equal(result, expected) for result in results)
"""
PREDICT = """
import sys
import numpy as np
from kaggle_speech.models.runs import load_run

inputs = np.load(sys.argv[2])
model, _ = load_run(sys.argv[1])
inputs = inputs["waveform"] if len(inputs) == 1 else dict(inputs)
np.save(sys.argv[3], model.predict_on_batch(inputs))
"""


def run_on_jax(*arguments):
    """Run Python; the test fails with its output where it fails."""
    env = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    call = [sys.executable, *map(str, arguments)]
    process = subprocess.run(call, env=env, capture_output=True, text=True, timeout=900)
    assert process.returncode == 0, process.stdout + process.stderr


def train_on_jax(command, data_dir, run_dir, *options):
    """Train by the command line and return the folder of the run."""
    run_on_jax("-m", "kaggle_speech", command, "--data", data_dir, "--out", run_dir, *options)
    assert "jax" in runs.read_json(run_dir / "run.json")["versions"]
    return run_dir


def check_that_tensorflow_predicts_the_same(run_dir, tmp_path, **inputs):
    np.savez(tmp_path / "inputs.npz", **inputs)
    run_on_jax("-c", PREDICT, run_dir, tmp_path / "inputs.npz", tmp_path / "outputs.npy")
    model, _ = runs.load_run(run_dir)
    outputs = model.predict_on_batch(inputs if len(inputs) > 1 else inputs["waveform"])
    np.testing.assert_allclose(outputs, np.load(tmp_path / "outputs.npy"), atol=1e-4)


@pytest.fixture(scope="module")
def run_dir(sample_dir, tmp_path_factory):
    return train_on_jax("train", sample_dir, tmp_path_factory.mktemp("jax") / "run", *WORDS)


def test_threads_share_a_model():
    run_on_jax("-c", SHARE_A_MODEL)


def test_a_model_trained_on_jax_predicts_on_tensorflow(run_dir, tmp_path, speech):
    assert 0 <= runs.read_json(run_dir / "metrics.json")["accuracy"] <= 1
    check_that_tensorflow_predicts_the_same(run_dir, tmp_path, waveform=speech)


def test_a_student_learns_from_teachers_in_mixed_precision(run_dir, sample_dir, tmp_path):
    options = (*WORDS, "--teachers", run_dir, "--precision", "mixed_bfloat16")
    metrics = runs.read_json(train_on_jax("train", sample_dir, tmp_path / "student", *options) / "metrics.json")
    assert metrics["settings"]["teachers"] == {"run": runs.model_fingerprint(run_dir)}
    assert 0 <= metrics["accuracy"] <= 1


def test_a_transcriber_trained_on_jax_predicts_on_tensorflow(tmp_path, speech):
    pytest.importorskip("espeakng_loader", reason="rendering needs the optional package espeakng-loader")
    data_dir = render_sentences(tmp_path / "data", 24, progress=False)
    run_dir = train_on_jax("train-transcriber", data_dir, tmp_path / "run", *TRANSCRIPTS)
    assert {"train", "val"} <= {*runs.read_json(run_dir / "metrics.json")}
    lengths = np.array([16_000, 12_000, 16_000, 8_000], "int32")
    check_that_tensorflow_predicts_the_same(run_dir, tmp_path, waveform=speech, num_samples=lengths)
