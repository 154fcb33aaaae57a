"""How many clips a second each architecture trains on and answers, in float32 and in mixed precision.

python tests/benchmarks/bench_gpu.py
KERAS_BACKEND=jax python tests/benchmarks/bench_gpu.py --models tc_resnet bc_resnet,width=3 --batch-size 512

Whatever backend and device Keras finds are used; nothing here needs TensorFlow. The clips are random and in memory,
so only the features and the network are timed, and how clips get to the device.
"""

import argparse
import time

import keras
import numpy as np
import pandas as pd

from kaggle_speech.audio import CLIP_SAMPLES, SAMPLE_RATE
from kaggle_speech.models.architectures import architecture_sizes
from kaggle_speech.models.registry import build_model
from kaggle_speech.training.recipe import PRECISIONS


def clips_per_second(run, num_clips, seconds):
    """Clips a second of `run`, which takes `num_clips`; the first time, which compiles, does not count."""
    run()
    start, num_runs = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        run()
        num_runs += 1
    return round(num_clips * num_runs / (time.perf_counter() - start))


def device_name():
    """What the backend computes on."""
    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return ", ".join(keras.distribution.list_devices())


def measure(architecture, precision, waveform, target, batch_size, seconds):
    """Training and inference of one model. Returns: dict, a row of the table."""
    model = build_model(architecture, target.shape[1], precision=precision)
    model.compile("adamw", "categorical_crossentropy")
    options = {"batch_size": batch_size, "verbose": 0}
    return {
        "model": architecture,
        "precision": precision,
        "training clips/s": clips_per_second(lambda: model.fit(waveform, target, **options), len(target), seconds),
        "inference clips/s": clips_per_second(lambda: model.predict(waveform, **options), len(target), seconds),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=architecture_sizes(), help="architectures, options after commas")
    parser.add_argument("--precisions", nargs="+", default=PRECISIONS[:2], choices=PRECISIONS)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--num-batches", type=int, default=16, help="clips in memory, in batches")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    waveform = rng.normal(0, 0.1, (args.batch_size * args.num_batches, CLIP_SAMPLES)).astype("float32")
    target = np.eye(12, dtype="float32")[rng.integers(12, size=len(waveform))]
    rows = []
    for architecture in args.models:
        for precision in args.precisions:
            rows.append(measure(architecture, precision, waveform, target, args.batch_size, args.seconds))
            print(rows[-1], flush=True)
    print(f"\n{keras.backend.backend()} on {device_name()}, Keras {keras.__version__}")
    print(f"batches of {args.batch_size} clips of {CLIP_SAMPLES / SAMPLE_RATE:g} s")
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
