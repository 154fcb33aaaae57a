"""Files of clip features for other tools: PNG images, a CSV or NPZ table.

No model of this package reads them: each computes its features from the waveform. Clips are read batch by batch, a call
that was interrupted continues when it is made again, and a file appears whole or not at all.
"""

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from keras import ops
from PIL import Image, PngImagePlugin

from kaggle_speech.data.clip_batches import make_dataset
from kaggle_speech.features import filters
from kaggle_speech.features.ops import log_mel_spectrogram, mfcc, power_spectrogram, power_to_db, spectrogram_image
from kaggle_speech.files import replace_file
from kaggle_speech.progress import progress_bar

SPEC = filters.FeatureSpec()
#: Features that can be written: functions of `(waveform, spec)` to `(batch, frames, coefficients)`.
FEATURES = {
    "spectrogram": lambda waveform, spec: power_to_db(power_spectrogram(waveform, spec), spec.dynamic_range_db),
    "log_mel_spectrogram": log_mel_spectrogram,
    "mfcc": mfcc,
}
#: Number of clips of a table that are computed and stored together.
SHARD_SIZE = 4096


def _fingerprints(
    clips_df: pd.DataFrame, columns: Sequence[str], features: str, spec: filters.FeatureSpec, *settings: Any
) -> list[str]:
    """Check the arguments, and hash the file and the settings of each clip."""
    if features not in FEATURES:
        raise ValueError(f"`features` must be one of {list(FEATURES)}. Received: features={features!r}")
    gaps = [name for name in columns if name not in clips_df or clips_df[name].isna().any()]
    if clips_df.empty or gaps:
        raise ValueError(f"`clips_df` must have clips, {columns} of each. Received: {len(clips_df)}, gaps in {gaps}")
    if "noise" in set(clips_df.get("split", ())):
        raise ValueError("`clips_df` must hold clips, as from `clips.prepare_clips`. Received: noise recordings")
    all_settings = [features, dataclasses.asdict(spec), *settings]
    stats = [(str(path), os.stat(path)) for path in clips_df["path"]]
    recipes = [json.dumps([path, stat.st_size, stat.st_mtime_ns, *all_settings]) for path, stat in stats]
    return [hashlib.sha1(recipe.encode()).hexdigest() for recipe in recipes]


def _convert(clips_df: pd.DataFrame, compute: Callable[[Any], Any], bar: Any) -> Iterator[np.ndarray]:
    """Features of each clip; `compute` is called with batches of waveforms."""
    for waveform in make_dataset(clips_df[["path"]]).as_numpy_iterator() if len(clips_df) else ():
        yield from ops.convert_to_numpy(compute(waveform))
        bar.update(len(waveform))


def _color_indices(waveform: Any, features: str, spec: filters.FeatureSpec, size: tuple[int, int]) -> np.ndarray:
    """Pixels of an image as indices of a palette. Shape: `(batch, samples)` -> `(batch, *size)` uint8."""
    if features == "spectrogram":
        level = spectrogram_image(waveform, spec, *size, "gray")[..., 0]
    else:
        values = ops.convert_to_numpy(FEATURES[features](waveform, spec))
        values = values[..., 1:] if features == "mfcc" and spec.num_mfcc > 1 else values
        low, high = np.percentile(values, [1, 99], axis=(-2, -1), keepdims=True)
        level = np.clip((values - low) / np.maximum(high - low, 1), 0, 1).astype("float32")  # at least 1 dB
        level = np.flip(np.swapaxes(level, -2, -1), axis=-2)[..., None]
        level = ops.image.resize(level, size, data_format="channels_last")[..., 0]
    return np.rint(255 * ops.convert_to_numpy(level)).astype("uint8")


def _has_image(path: Path, fingerprint: str) -> bool:
    with contextlib.suppress(OSError), Image.open(path) as image:  # no file, or no image
        return image.info.get("fingerprint") == fingerprint
    return False


def write_feature_images(
    clips_df: pd.DataFrame,
    out_dir: Path | str,
    spec: filters.FeatureSpec = SPEC,
    features: str = "spectrogram",
    *,
    size: tuple[int, int] = (160, 160),
    color_map: str = "viridis",
    progress: bool = True,
) -> list[Path]:
    """Write a PNG of each clip, `<out_dir>/<split>/<label>/<word>_<name of the clip>.png`; time runs right.

    The colours of `spectrogram` end at the clip's maximum and floor; with the `SPEC` of `models.vgg` it is the image
    that this model computes. Those of the other two end at the 1st and 99th percentile of the clip, without the first
    MFCC (loudness), which would dominate the scale. No image shows the loudness of a clip. An existing image is kept if
    the hash in it is that of the clip's file (path, size, time) and of the settings.

    Shape: of an image: `size`, with a palette of 256 colours; `convert("RGB")` of Pillow gives `(*size, 3)`.

    Args:
        clips_df: frame with the columns `path, word, label, split`, as from `clips.prepare_clips`.
        out_dir: folder for the images.
        spec: `FeatureSpec`.
        features: `spectrogram`, `log_mel_spectrogram` or `mfcc`.
        size: height and width in pixels.
        color_map: name of a matplotlib colour map.
        progress: show a progress bar.

    Returns:
        list of paths, in the order of `clips_df`.

    Raises:
        ValueError: the frame is empty, has gaps, holds recordings or two clips of one name; `features` is unknown.
        OSError: a clip is missing; tf.errors.OpError: it cannot be read (`clips.read_clips_table` leaves out both).
    """
    fingerprints = _fingerprints(clips_df, ["path", "word", "label", "split"], features, spec, size, color_map)
    names = zip(*(clips_df[column] for column in ("split", "label", "word", "path")), strict=True)
    paths = [Path(out_dir, split, label, f"{word}_{Path(path).stem}.png") for split, label, word, path in names]
    images_df = pd.DataFrame({"path": clips_df["path"].to_numpy(), "image_path": paths, "fingerprint": fingerprints})
    twice_df = images_df[images_df["image_path"].duplicated()]
    if len(twice_df):
        raise ValueError(f"`clips_df` must name each clip once. Received: two for {twice_df['image_path'].iloc[0]}")
    palette = np.rint(255 * matplotlib.colormaps[color_map](np.arange(256))[:, :3]).astype("uint8").tobytes()
    todo_df = images_df[[not _has_image(*image) for image in zip(paths, fingerprints, strict=True)]]
    with progress_bar(total=len(todo_df), desc="painting", unit="clip", progress=progress) as bar:
        painted = _convert(todo_df, lambda waveform: _color_indices(waveform, features, spec, size), bar)
        for pixels, path, fingerprint in zip(painted, todo_df["image_path"], todo_df["fingerprint"], strict=True):
            image = Image.fromarray(pixels)
            info = PngImagePlugin.PngInfo()
            image.putpalette(palette)
            info.add_text("fingerprint", fingerprint)
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, functools.partial(image.save, pnginfo=info))
    return paths


def _save_csv(path: Path, clips_df: pd.DataFrame, shards: Iterator[np.ndarray]) -> None:
    first = 0
    with open(path, "w", newline="", encoding="utf-8") as file:
        for shard in shards:
            labels = pd.Index(clips_df["label"].iloc[first : first + len(shard)], name="label")
            columns = [f"{frame}_{coefficient}" for frame, coefficient in np.ndindex(shard.shape[1:])]
            rows_df = pd.DataFrame(shard.reshape(len(shard), -1), labels, columns)
            rows_df.to_csv(file, header=first == 0, float_format="%.6g")
            first += len(shard)


def _save_npz(path: Path, clips_df: pd.DataFrame, shards: Iterator[np.ndarray]) -> None:
    first = next(shards)
    header = {"descr": first.dtype.str, "fortran_order": False, "shape": (len(clips_df), *first.shape[1:])}
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("features.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array_header_1_0(file, header)
            for shard in itertools.chain([first], shards):
                file.write(shard.tobytes())
        for name in ("label", "path"):
            with archive.open(f"{name}s.npy", "w") as file:
                np.lib.format.write_array(file, clips_df[name].to_numpy(str))


def write_feature_table(
    clips_df: pd.DataFrame,
    out_path: Path | str,
    spec: filters.FeatureSpec = SPEC,
    features: str = "mfcc",
    *,
    progress: bool = True,
) -> Path:
    """Write the features of all clips to one file, in the order of `clips_df`. An earlier file is replaced.

    `.npz`: `features` `(clips, frames, coefficients)` float32, `labels` and `paths` `(clips,)`, for `numpy.load`.
    `.csv`, for small sets: the column `label`, then `<frame>_<coefficient>`, frame by frame, six digits each.
    Until the file is written, a hidden folder beside it keeps the features, `SHARD_SIZE` clips a file, for a call that
    continues: memory holds one such file, the disk everything twice.

    Args:
        clips_df: frame with the columns `path, label`, as from `clips.prepare_clips`.
        out_path: the `.npz` or `.csv` file.
        spec: `FeatureSpec`.
        features: `spectrogram`, `log_mel_spectrogram` or `mfcc`.
        progress: show a progress bar.

    Returns:
        `out_path`.

    Raises:
        ValueError: the frame is empty, has gaps or holds recordings; `features` or the ending of the file is unknown.
        OSError: a clip is missing; tf.errors.OpError: it cannot be read (`clips.read_clips_table` leaves out both).
    """
    out_path = Path(out_path)
    writers = {".csv": _save_csv, ".npz": _save_npz}
    if out_path.suffix not in writers:
        raise ValueError(f"`out_path` must end in one of {list(writers)}. Received: {out_path}")
    fingerprints = _fingerprints(clips_df, ["path", "label"], features, spec, SHARD_SIZE)
    shard_dir = out_path.with_name(f".{out_path.name}.parts") / hashlib.sha1("".join(fingerprints).encode()).hexdigest()
    shard_dir.mkdir(parents=True, exist_ok=True)
    with progress_bar(total=len(clips_df), desc="computing", unit="clip", progress=progress) as bar:
        for first in range(0, len(clips_df), SHARD_SIZE):
            shard_path = shard_dir / f"{first:09d}.npy"
            shard_df = clips_df.iloc[first : first + SHARD_SIZE]
            if shard_path.exists():
                bar.update(len(shard_df))
            else:
                rows = _convert(shard_df, lambda waveform: FEATURES[features](waveform, spec), bar)
                replace_file(shard_path, functools.partial(np.save, arr=np.stack(list(rows))))
    shards = map(np.load, sorted(shard_dir.glob("[0-9]*.npy")))
    replace_file(out_path, lambda path: writers[out_path.suffix](path, clips_df, shards))
    shutil.rmtree(shard_dir.parent)
    return out_path
