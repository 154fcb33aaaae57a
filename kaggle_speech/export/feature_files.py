"""Clips to features on disk, for other tools: PNG pictures, a CSV or NPZ table.

No model here reads them: each computes its features from the waveform. Clips are read batch by batch, a call that was
interrupted continues when it is made again, and a file appears whole or not at all.
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
from pathlib import Path

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
#: What can be written: `(waveform, spec)` -> `(batch, frames, coefficients)`.
FEATURES = {
    "spectrogram": lambda waveform, spec: power_to_db(power_spectrogram(waveform, spec), spec.dynamic_range_db),
    "log_mel_spectrogram": log_mel_spectrogram,
    "mfcc": mfcc,
}
SHARD_SIZE = 4096  # clips of a table that are computed, and kept, together


def _fingerprints(clips_df, columns, features, spec, *settings):
    """Check the arguments; for each clip a hash of which file it is and what is made of it."""
    if features not in FEATURES:
        raise ValueError(f"`features` must be one of {list(FEATURES)}. Received: features={features!r}")
    gaps = [name for name in columns if name not in clips_df or clips_df[name].isna().any()]
    if clips_df.empty or gaps:
        raise ValueError(f"`clips_df` must have clips, {columns} of each. Received: {len(clips_df)}, gaps in {gaps}")
    if "noise" in set(clips_df.get("split", ())):
        raise ValueError("`clips_df` must hold clips, as `index.select_clips` cuts them. Received: noise recordings")
    settings = [features, dataclasses.asdict(spec), *settings]
    stats = [(str(path), os.stat(path)) for path in clips_df["path"]]
    recipes = [json.dumps([path, stat.st_size, stat.st_mtime_ns, *settings]) for path, stat in stats]
    return [hashlib.sha1(recipe.encode()).hexdigest() for recipe in recipes]


def _convert(clips_df, compute, bar):
    """What `compute` makes of batches of waveforms, clip by clip."""
    for waveform in make_dataset(clips_df[["path"]]).as_numpy_iterator() if len(clips_df) else ():
        yield from ops.convert_to_numpy(compute(waveform))
        bar.update(len(waveform))


def _color_indices(waveform, features, spec, size):
    """Shape: `(batch, samples)` -> `(batch, *size)` uint8."""
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


def _has_picture(path, fingerprint):
    with contextlib.suppress(OSError), Image.open(path) as image:  # no file, or no picture
        return image.info.get("fingerprint") == fingerprint
    return False


def write_feature_images(
    clips_df, out_dir, spec=SPEC, features="spectrogram", *, size=(160, 160), color_map="viridis", progress=True
):
    """A PNG of each clip, `<out_dir>/<split>/<label>/<word>_<name of the clip>.png`: time runs right, frequency up.

    `spectrogram` is `features.spectrogram_image`, with the `SPEC` of `models.vgg` the picture that this model paints
    for itself: its colours end at the clip's maximum and floor. Those of the other two end at the 1st and 99th
    percentile of the clip, without the first MFCC, the loudness, which outshines the rest. No picture tells how loud a
    clip is. One that is there is kept if the hash inside says: of this file (path, size, time), with these settings.

    Shape: of a picture: `size`, with a palette of 256 colours; `convert("RGB")` of Pillow gives `(*size, 3)`.

    Args:
        clips_df: frame with the columns `path, word, label, split`, as from `index.select_clips`.
        out_dir: folder for the pictures.
        spec: `FeatureSpec`.
        features: `spectrogram`, `log_mel_spectrogram` or `mfcc`.
        size: height and width in pixels.
        color_map: name of a matplotlib colour map.
        progress: show a progress bar.

    Returns:
        list of paths, in the order of `clips_df`.

    Raises:
        ValueError: the frame is empty, has gaps, holds recordings or two clips of one name; `features` is unknown.
        OSError: a clip is missing; tf.errors.OpError: it cannot be read (`index.check_clips` finds both before).
    """
    fingerprints = _fingerprints(clips_df, ["path", "word", "label", "split"], features, spec, size, color_map)
    paths = [Path(out_dir, c.split, c.label, f"{c.word}_{Path(c.path).stem}.png") for c in clips_df.itertuples()]
    images_df = pd.DataFrame({"path": clips_df["path"].to_numpy(), "image_path": paths, "fingerprint": fingerprints})
    twice_df = images_df[images_df["image_path"].duplicated()]
    if len(twice_df):
        raise ValueError(f"`clips_df` must name each clip once. Received: two for {twice_df['image_path'].iloc[0]}")
    palette = np.rint(255 * matplotlib.colormaps[color_map](np.arange(256))[:, :3]).astype("uint8").tobytes()
    todo_df = images_df[[not _has_picture(*picture) for picture in zip(paths, fingerprints, strict=True)]]
    with progress_bar(total=len(todo_df), desc="painting", unit="clip", progress=progress) as bar:
        painted = _convert(todo_df, lambda waveform: _color_indices(waveform, features, spec, size), bar)
        for pixels, path, fingerprint in zip(painted, todo_df["image_path"], todo_df["fingerprint"], strict=True):
            image, info = Image.fromarray(pixels), PngImagePlugin.PngInfo()
            image.putpalette(palette)
            info.add_text("fingerprint", fingerprint)
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, functools.partial(image.save, pnginfo=info))
    return paths


def _save_csv(path, clips_df, shards):
    first = 0
    with open(path, "w", newline="", encoding="utf-8") as file:
        for shard in shards:
            labels = pd.Index(clips_df["label"].iloc[first : first + len(shard)], name="label")
            columns = [f"{frame}_{coefficient}" for frame, coefficient in np.ndindex(shard.shape[1:])]
            rows_df = pd.DataFrame(shard.reshape(len(shard), -1), labels, columns)
            rows_df.to_csv(file, header=first == 0, float_format="%.6g")
            first += len(shard)


def _save_npz(path, clips_df, shards):
    first = next(shards)
    header = {"descr": first.dtype.str, "fortran_order": False, "shape": (len(clips_df), *first.shape[1:])}
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("features.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array_header_1_0(file, header)
            for shard in itertools.chain([first], shards):
                file.write(shard)
        for name in ("label", "path"):
            with archive.open(f"{name}s.npy", "w") as file:
                np.lib.format.write_array(file, clips_df[name].to_numpy(str))


def write_feature_table(clips_df, out_path, spec=SPEC, features="mfcc", *, progress=True):
    """The features of all clips in one file, in the order of `clips_df`. An earlier file is replaced.

    `.npz`: `features` `(clips, frames, coefficients)` float32, `labels` and `paths` `(clips,)`, for `numpy.load`.
    `.csv`, for small sets: the column `label`, then `<frame>_<coefficient>`, frame by frame, six digits each.
    Until it is written a hidden folder beside it keeps the features, `SHARD_SIZE` clips a file, for a call that
    continues: memory holds one such file, the disk everything twice.

    Args, Returns, Raises: as `write_feature_images`, but `clips_df` needs only `path, label`, and
        out_path: the file; its ending decides. Returned as a Path; another ending is a ValueError.
    """
    out_path, writers = Path(out_path), {".csv": _save_csv, ".npz": _save_npz}
    if out_path.suffix not in writers:
        raise ValueError(f"`out_path` must end in one of {list(writers)}. Received: {out_path}")
    fingerprints = _fingerprints(clips_df, ["path", "label"], features, spec, SHARD_SIZE)
    shard_dir = out_path.with_name(f".{out_path.name}.parts") / hashlib.sha1("".join(fingerprints).encode()).hexdigest()
    shard_dir.mkdir(parents=True, exist_ok=True)
    with progress_bar(total=len(clips_df), desc="computing", unit="clip", progress=progress) as bar:
        for first in range(0, len(clips_df), SHARD_SIZE):
            shard_path, shard_df = shard_dir / f"{first:09d}.npy", clips_df.iloc[first : first + SHARD_SIZE]
            if shard_path.exists():
                bar.update(len(shard_df))
            else:
                rows = _convert(shard_df, lambda waveform: FEATURES[features](waveform, spec), bar)
                replace_file(shard_path, functools.partial(np.save, arr=np.stack(list(rows))))
    shards = map(np.load, sorted(shard_dir.glob("[0-9]*.npy")))
    replace_file(out_path, lambda path: writers[out_path.suffix](path, clips_df, shards))
    shutil.rmtree(shard_dir.parent)
    return out_path
