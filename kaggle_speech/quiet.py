"""TensorFlow without its start-up messages, in commands and notebooks."""

import contextlib
import importlib
import os
import sys
import tempfile
import types
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop output to file descriptor 2, also of C++ code; show it after an exception.

    `sys.stderr` of Python is the same descriptor, except in a notebook. Does nothing where descriptor 2 is closed.
    """
    try:
        stderr_copy = os.dup(2)
    except OSError:
        yield
        return
    with tempfile.TemporaryFile() as messages:
        _flush()
        os.dup2(messages.fileno(), 2)
        try:
            yield
        except BaseException:
            _flush()
            os.dup2(stderr_copy, 2)
            messages.seek(0)
            os.write(2, messages.read())
            raise
        finally:
            _flush()
            os.dup2(stderr_copy, 2)
            os.close(stderr_copy)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()


def import_tensorflow_quietly() -> types.ModuleType:
    """Import TensorFlow and look for its devices, without the messages of absl and CUDA.

    No environment variable silences what absl writes before it is initialised. Later messages are errors only, unless
    `TF_CPP_MIN_LOG_LEVEL` is set. Takes 4 to 6 s, and nothing where TensorFlow is imported already.

    Returns:
        The module `tensorflow`.

    Raises:
        ModuleNotFoundError: TensorFlow is not installed.
    """
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():
        tensorflow = importlib.import_module("tensorflow")
        tensorflow.config.list_physical_devices()
    return tensorflow
