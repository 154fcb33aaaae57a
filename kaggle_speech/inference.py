"""A model over a list of files: probabilities, one row a file, in their order."""

import time

import numpy as np

from kaggle_speech.audio import CLIP_SAMPLES
from kaggle_speech.dataset import make_dataset
from kaggle_speech.progress import progress_bar


def predict_probabilities(model, clips_df, batch_size=256, progress=True):
    """The probabilities of every clip of a frame.

    Shape: -> `(len(clips_df), num_classes)` float32, row by row.

    Args:
        model: waveform in, probabilities out.
        clips_df: frame with a `path` column (labels are not looked at).
        batch_size: clips at a time; changes speed and memory, not the result.
        progress: show a progress bar.

    Raises:
        tf.errors.OpError: a file cannot be read; names it (`index.check_clips` finds them before).
    """
    waveform_ds = make_dataset(clips_df[["path"]], batch_size=batch_size)
    batches = []
    with progress_bar(total=len(clips_df), desc="predicting", unit="clip", progress=progress) as bar:
        for waveform in waveform_ds:
            batches.append(np.asarray(model.predict_on_batch(waveform)))
            bar.update(len(batches[-1]))
    return np.concatenate(batches)


def milliseconds_per_clip(model, num_calls=100):
    """How long a model takes for one clip at a time, the median of many calls: what a live recogniser waits for."""
    waveform = np.zeros((1, CLIP_SAMPLES), "float32")
    times = []
    for _ in range(num_calls):
        start = time.perf_counter()
        np.asarray(model.predict_on_batch(waveform))
        times.append(time.perf_counter() - start)
    return round(1000 * float(np.median(times)), 2)
