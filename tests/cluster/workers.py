"""What test_ray.py has workers do, apart from it: a worker that imports TensorFlow for nothing takes long to start."""

import os
import signal
import time
from pathlib import Path

from fakes import killed_at


def log_and_read(log_path, clips):
    """Note which clips are read, after a while that differs from part to part."""
    time.sleep(len(clips[0]) * hash(clips[0]) % 7 / 100)
    with open(log_path, "a") as file:
        file.write("".join(f"{os.path.basename(clip)}\n" for clip in clips))
    return clips


class Reader:
    """A `read` that fails in some way before it reads a clip: the first time only, or always."""

    def __init__(self, log_path, poison=None, marker=None):
        self.log_path = log_path
        self.poison = poison
        self.marker = marker

    def __call__(self, clips):
        if any(str(self.poison) in clip for clip in clips) and not (self.marker and os.path.exists(self.marker)):
            if self.marker:
                Path(self.marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return log_and_read(self.log_path, clips)


def fill_the_disk(item):
    raise OSError(28, "No space left on device", "a.npy")


def train_after_a_death(function, marker, item):
    """Train; the first process that comes here dies in its second epoch."""
    import keras

    if not os.path.exists(marker):
        Path(marker).touch()
        keras.Model.fit = killed_at(keras.Model.fit, 1)
    return function(item)
