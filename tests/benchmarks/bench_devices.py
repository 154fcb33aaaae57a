"""Whether 1, 2, 4, ... devices train the same, and how many clips a second they do.

KERAS_BACKEND=jax python tests/benchmarks/bench_devices.py
KERAS_BACKEND=jax python tests/benchmarks/bench_devices.py --model bc_resnet,width=3 --batch-size 512

On a machine with one processor and no GPU, `--virtual N` makes N devices of the processor: then the losses mean
something, and the speed does not. The clips are noise, read from memory, without augmentation.
"""

import argparse
import os
import tempfile
from pathlib import Path


def measure(model_name, num_devices, waveform, target, batch_size, num_epochs):
    """One training. Returns: losses by epoch, and clips a second of the last epoch, its evaluation included."""
    import tensorflow as tf

    from kaggle_speech.models.registry import build_model
    from kaggle_speech.training.fit import fit, set_seed

    set_seed(0)
    model = build_model(model_name, target.shape[1])
    train_ds = tf.data.Dataset.from_tensor_slices((waveform, target)).batch(batch_size, drop_remainder=True)
    with tempfile.TemporaryDirectory() as run_dir:
        options = {"num_epochs": num_epochs, "devices": num_devices}
        history_df = fit(model, train_ds, train_ds.take(1), Path(run_dir) / "run", **options)
    return history_df["loss"], len(train_ds) * batch_size / history_df["seconds"].iloc[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tc_resnet", help="architecture, options after commas")
    parser.add_argument("--batch-size", type=int, default=64, help="clips in a batch, of all devices together")
    parser.add_argument("--num-batches", type=int, default=8, help="batches in an epoch")
    parser.add_argument("--num-epochs", type=int, default=4)
    parser.add_argument("--virtual", type=int, metavar="N", help="make N devices of the processor")
    args = parser.parse_args()
    if args.virtual:  # before JAX is imported
        os.environ |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": f"--xla_force_host_platform_device_count={args.virtual}"}
    import keras
    import numpy as np
    import pandas as pd

    from kaggle_speech.audio import CLIP_SAMPLES

    rng = np.random.default_rng(0)
    waveform = rng.normal(0, 0.1, (args.batch_size * args.num_batches, CLIP_SAMPLES)).astype("float32")
    target = np.eye(12, dtype="float32")[rng.integers(12, size=len(waveform))]
    total = len(keras.distribution.list_devices())
    rows, first_loss = [], None
    for num_devices in [2**power for power in range(total.bit_length())]:
        loss, speed = measure(args.model, num_devices, waveform, target, args.batch_size, args.num_epochs)
        first_loss = loss if first_loss is None else first_loss
        row = {"devices": num_devices, "last loss": loss.iloc[-1]}
        row |= {"largest difference of a loss": f"{(loss - first_loss).abs().max():.1e}"}
        rows.append(row | {"clips/s": round(speed)})
        print(rows[-1], flush=True)
    print(
        f"\n{args.model} on {keras.backend.backend()}, {keras.distribution.list_devices()}, Keras {keras.__version__}"
    )
    print(f"batches of {args.batch_size}, epochs of {args.num_batches} batches")
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
