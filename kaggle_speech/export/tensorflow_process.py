"""Calls in a process where Keras runs on TensorFlow: the converters of other formats know no other backend."""

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kaggle_speech.quiet import import_tensorflow_quietly


def call_on_tensorflow(function: Callable, *args: Any, **options: Any) -> Any:
    """Result of a function in a new process, where Keras runs on TensorFlow, on the CPU.

    Args:
        function: of a module; its arguments and its result go through pickle.
        args, options: its arguments.

    Raises:
        RuntimeError: the process ended without a result.
        Exception: what the function raised.
    """
    # The GPUs, if any, belong to this process.
    env = os.environ | {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": _module_paths()}
    with tempfile.TemporaryDirectory() as folder:
        call_path, result_path = (Path(folder, name) for name in ("call", "result"))
        call_path.write_bytes(pickle.dumps((function, args, options)))
        command = [sys.executable, "-m", __name__, str(call_path), str(result_path)]
        process = subprocess.run(command, env=env)
        if not result_path.exists():
            raise RuntimeError(f"{function.__name__}: its process must end with a result. Status: {process.returncode}")
        result, error = pickle.loads(result_path.read_bytes())
    if error is not None:
        raise error
    return result


def _module_paths() -> str:
    """Where this process finds modules, for PYTHONPATH; the current folder by its name."""
    return os.pathsep.join(path or os.getcwd() for path in sys.path)


def _main(call_path: str, result_path: str) -> None:
    import_tensorflow_quietly()
    result, error = None, None
    function, args, options = pickle.loads(Path(call_path).read_bytes())
    try:
        result = function(*args, **options)
    except Exception as raised:
        error = raised
    Path(result_path).write_bytes(pickle.dumps((result, error)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
