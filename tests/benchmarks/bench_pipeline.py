"""How fast clips get from WAV files to features, and how much memory that takes.

    python tests/benchmarks/bench_pipeline.py [--data DIR] [--num-clips 50000]

Without data the sample is rendered into a temporary folder. Every rate is the median
of three passes after a warm-up pass, over files that are in the page cache by then.
"""

import argparse
import contextlib
import os
import platform
import re
import shutil
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for librosa: threads slow its small products down

import librosa
import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm.auto import tqdm

from kaggle_speech.audio import CLIP_SAMPLES, SAMPLE_RATE, read_clip
from kaggle_speech.data import archives
from kaggle_speech.data.augmentation import Augmentation
from kaggle_speech.data.clip_batches import make_dataset
from kaggle_speech.data.clips import index_clips, noise_paths
from kaggle_speech.data.noise import background_noise
from kaggle_speech.data.places import DATA_VARIABLE
from kaggle_speech.data.rendered.clips import render_sample
from kaggle_speech.features import filters, ops
from kaggle_speech.models import tc_resnet

SPEC = filters.FeatureSpec(frame_length=256, frame_step=160, fft_length=384, num_mel_bins=40, num_mfcc=40)
BATCH_SIZE = 64
NUM_PASSES, NUM_FAST_CLIPS, NUM_SLOW_CLIPS = 3, 16_000, 2_000
MEMORY_PERCENTAGES = (10, 20, 40, 60, 80, 100)
FLAT_GROWTH_MB = 50


def find_clips(data_dir, sample_dir):
    """Paths of the labelled clips, shuffled, and the background noise; the sample's where there is no data."""
    try:
        folder = archives.prepare_data(data_dir)
    except FileNotFoundError:
        if data_dir or os.environ.get(DATA_VARIABLE):  # the user named it
            raise
        folder = render_sample(sample_dir, num_clips=1000)
    clips_df = index_clips(folder)
    paths = clips_df[clips_df["split"] != "noise"]["path"].sample(frac=1, random_state=0).tolist()
    return paths, background_noise(noise_paths(clips_df))


def package_batches(paths, **options):
    return make_dataset(pd.DataFrame({"path": paths}), batch_size=BATCH_SIZE, **options)


def package_mfcc(paths):
    return package_batches(paths).map(lambda waveform: ops.mfcc(waveform, SPEC), tf.data.AUTOTUNE)


def batches_of(paths, read):
    """The usual tf.data pipeline: a parallel map, clip by clip, then batches."""
    paths_ds = tf.data.Dataset.from_tensor_slices(paths)
    return paths_ds.map(read, tf.data.AUTOTUNE).batch(BATCH_SIZE).prefetch(tf.data.AUTOTUNE)


def decode_wav(path):
    return tf.audio.decode_wav(tf.io.read_file(path), desired_channels=1, desired_samples=CLIP_SAMPLES)[0][:, 0]


def read_in_python(path):
    return tf.py_function(lambda path: read_clip(path.numpy().decode()), [path], tf.float32)


def librosa_mfcc(path):
    waveform, _ = librosa.load(path, sr=SAMPLE_RATE)
    waveform = librosa.util.fix_length(waveform, size=CLIP_SAMPLES)
    frames = {"n_fft": SPEC.fft_length, "hop_length": SPEC.frame_step, "win_length": SPEC.frame_length}
    bands = {"n_mels": SPEC.num_mel_bins, "fmin": SPEC.lower_edge_hz, "fmax": SPEC.upper_edge_hz}
    return librosa.feature.mfcc(y=waveform, sr=SAMPLE_RATE, n_mfcc=SPEC.num_mfcc, **frames, **bands).T


def librosa_defaults(path):
    """The two lines of most kernels: 22,050 Hz, 2,048-point windows, 128 mel bands."""
    waveform, sample_rate = librosa.load(path)
    return librosa.feature.mfcc(y=waveform, sr=sample_rate)


def check_mfcc(paths):
    """A comparison of speeds needs the same values."""
    expected = np.stack([librosa_mfcc(path) for path in paths])
    difference, largest = np.abs(next(iter(package_mfcc(paths))) - expected).max(), np.abs(expected).max()
    print(f"checked:  MFCC of {len(paths)} clips differ by at most {difference:.1e}, on values to {largest:.0f}")


def clips_per_second(title, num_clips, items, work=lambda item: None):
    """Median over the passes, the first one left out; `work` is for items that do nothing themselves."""
    seconds = []
    for _ in tqdm(range(1 + NUM_PASSES), title, unit="pass", leave=False):
        start = time.perf_counter()
        for item in items:
            work(item)
        seconds.append(time.perf_counter() - start)
    return num_clips / statistics.median(seconds[1:])


def measure_decoding(fast_paths, slow_paths):
    wav_ds, python_ds = batches_of(fast_paths, decode_wav), batches_of(slow_paths, read_in_python)
    return {
        "package": clips_per_second("decode: package", len(fast_paths), package_batches(fast_paths)),
        "tf.audio.decode_wav, clip by clip": clips_per_second("decode: tf.audio", len(fast_paths), wav_ds),
        "tf.py_function, audio.read_clip": clips_per_second("decode: py_function", len(slow_paths), python_ds),
    }


def measure_mfcc(fast_paths, slow_paths):
    return {
        "package": clips_per_second("MFCC: package", len(fast_paths), package_mfcc(fast_paths)),
        "librosa, the same settings": clips_per_second("MFCC: librosa", len(slow_paths), slow_paths, librosa_mfcc),
        "librosa, its defaults": clips_per_second("MFCC: defaults", len(slow_paths), slow_paths, librosa_defaults),
    }


def measure_augmentation(fast_paths, noise):
    """And what it must keep up with: training the cheapest network, here on one batch that is in memory."""
    options = {"augmentation": Augmentation(), "noise": noise}
    augmented_ds = package_batches(fast_paths, **options)
    changes_ds = package_batches(fast_paths, changes_apart=True, **options)
    model = tc_resnet.build_tc_resnet(num_classes=12)
    model.compile("adam", "sparse_categorical_crossentropy")
    waveform, label_index = tf.random.uniform((BATCH_SIZE, CLIP_SAMPLES), -0.1, 0.1), tf.zeros(BATCH_SIZE, tf.int32)
    steps, train = range(50), lambda step: model.train_on_batch(waveform, label_index)
    return {
        "package": clips_per_second("augmentation", len(fast_paths), augmented_ds),
        "package, for `augment_on_device`": clips_per_second("changes", len(fast_paths), changes_ds),
        "TC-ResNet8 training, no input": clips_per_second("training", len(steps) * BATCH_SIZE, steps, train),
    }


def link_clip(path, link_path):
    """A second name for a file: a hard link, else a symbolic link, else a copy."""
    for link in (os.link, os.symlink):
        with contextlib.suppress(OSError):
            return link(os.path.abspath(path), link_path)
    return shutil.copy(path, link_path)


def resident_mb():
    """Resident set size of this process, in megabytes."""
    with contextlib.suppress(ImportError):
        import psutil

        return psutil.Process().memory_info().rss / 1e6
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure_memory(paths, num_clips, link_dir):
    """Resident set size, in MB, after each percentage of a stream of clips through decoding and MFCC."""
    link_paths = [str(link_dir / f"clip_{clip_index:06d}.wav") for clip_index in range(num_clips)]
    for clip_index, link_path in enumerate(tqdm(link_paths, "linking", unit="clip", leave=False)):
        link_clip(paths[clip_index % len(paths)], link_path)
    rss = [resident_mb() for _ in tqdm(package_mfcc(link_paths), "memory", unit="batch", leave=False)]
    return {percentage: rss[-(-len(rss) * percentage // 100) - 1] for percentage in MEMORY_PERCENTAGES}


def print_machine(clip_paths):
    cpu_info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    cpu = (re.findall(r"model name\s*: (.*)", cpu_info) or [platform.processor()])[0]
    versions = [f"{module.__name__} {module.__version__}" for module in (tf, np, librosa)]
    print(f"machine:  {cpu}, {os.cpu_count()} cores")
    print(f"versions: Python {platform.python_version()}, {', '.join(versions)}")
    print(f"clips:    {len(clip_paths)}, {sum(map(os.path.getsize, clip_paths)) / 1e6:.0f} MB")


def print_memory(rss, num_clips):
    growth, set_mb = rss[100] - rss[20], num_clips * 2 * CLIP_SAMPLES / 1e6
    print(f"\nresident memory, {num_clips:,} clips streamed through decode + MFCC ({set_mb:,.0f} MB if held as int16)")
    print("  " + ", ".join(f"{percentage} %: {mb:,.0f} MB" for percentage, mb in rss.items()))
    print(f"  growth from 20 % to 100 %: {growth:+.0f} MB, {'flat' if growth < FLAT_GROWTH_MB else 'NOT flat'}")


def print_rates(title, rates):
    print(f"\n{title:<36}{'clips/s':>9}{'ms/clip':>9}{'package is':>17}")
    for name, rate in rates.items():
        print(f"  {name:<34}{rate:>9,.0f}{1000 / rate:>9.3f}{rates['package'] / rate:>7.1f} x as fast")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", help="folder with the competition's data; default: where `data.places.find_data` finds it"
    )
    parser.add_argument("--num-clips", type=int, default=50_000, help="clips of the memory measurement")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as sample_dir, tempfile.TemporaryDirectory() as link_dir:
        paths, noise = find_clips(args.data, Path(sample_dir))
        print_machine(paths)
        check_mfcc(paths[:BATCH_SIZE])
        # First: what the others leave behind could hide growth.
        print_memory(measure_memory(paths, args.num_clips, Path(link_dir)), args.num_clips)
        fast_paths = (paths * (1 + NUM_FAST_CLIPS // len(paths)))[: min(args.num_clips, NUM_FAST_CLIPS)]
        print_rates("decode", measure_decoding(fast_paths, fast_paths[:NUM_SLOW_CLIPS]))
        print_rates("decode + MFCC", measure_mfcc(fast_paths, fast_paths[:NUM_SLOW_CLIPS]))
        print_rates("decode + augmentation", measure_augmentation(fast_paths, noise))


if __name__ == "__main__":
    main()
