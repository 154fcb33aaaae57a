"""backend.py: which backend a notebook gets, in processes of their own."""

import importlib.util
import os
import subprocess
import sys

import pytest

from kaggle_speech.backend import keras_backend

CODE = """
from kaggle_speech.backend import choose_backend
print(choose_backend())
import keras
print(keras.backend.backend())
"""


def test_the_backend_of_an_imported_keras_counts(monkeypatch):
    import keras

    monkeypatch.setenv("KERAS_BACKEND", "other")
    assert keras_backend() == keras.backend.backend()
    monkeypatch.delitem(sys.modules, "keras")
    assert keras_backend() == "other"


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs the optional package jax")
@pytest.mark.parametrize(
    ("num_devices", "backend", "expected"),
    [(2, None, ["all", "jax"]), (1, None, ["1", "tensorflow"]), (2, "tensorflow", ["1", "tensorflow"])],
)
def test_several_devices_are_used_by_jax(num_devices, backend, expected):
    env = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    env |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": f"--xla_force_host_platform_device_count={num_devices}"}
    env |= {} if backend is None else {"KERAS_BACKEND": backend}
    process = subprocess.run([sys.executable, "-c", CODE], env=env, capture_output=True, text=True, timeout=600)
    assert process.stdout.split() == expected, process.stderr
