"""Backend of Keras, by the devices that the machine has. To be chosen before Keras is imported."""

import importlib.util
import os
import subprocess
import sys

from kaggle_speech.quiet import import_tensorflow_quietly


def choose_backend() -> int | str:
    """Choose JAX where it sees a TPU or several devices, else TensorFlow; import TensorFlow without its messages.

    KERAS_BACKEND overrules it, and a Keras that is imported already keeps its backend. tf.data needs TensorFlow either
    way. Takes some seconds.

    Returns:
        `devices` for a training: "all" on JAX, 1 on another backend.
    """
    if "KERAS_BACKEND" not in os.environ and "keras" not in sys.modules and importlib.util.find_spec("jax"):
        # In a process of its own: JAX would keep the memory of a GPU that is then used by TensorFlow.
        code = "import jax; print(jax.default_backend() == 'tpu' or jax.device_count() > 1)"
        process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        if process.stdout.strip() == "True":
            os.environ["KERAS_BACKEND"] = "jax"
    import_tensorflow_quietly()
    return "all" if keras_backend() == "jax" else 1


def keras_backend() -> str:
    """Name of the backend that Keras runs on, or will run on; Keras is not imported for it."""
    if "keras" in sys.modules:
        return sys.modules["keras"].backend.backend()
    return os.environ.get("KERAS_BACKEND") or "tensorflow"
