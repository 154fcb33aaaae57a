"""Mining of hard negatives: the seconds of running speech that a model takes for a command."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from kaggle_speech.audio import CLIP_SAMPLES, SAMPLE_RATE, read_audio
from kaggle_speech.inference.batches import parallel_map, shared_predict
from kaggle_speech.inference.recogniser import Recogniser
from kaggle_speech.labels import COMMANDS
from kaggle_speech.progress import progress_bar

#: Seconds between two windows.
HOP_S = 0.1
#: Of windows nearer to each other than this the likeliest command is kept.
MIN_DISTANCE_S = 0.5
BATCH_SIZE = 32


def mine(
    recogniser: Recogniser, speech_df: pd.DataFrame, *, min_confidence: float = 0.3, progress: bool = True
) -> pd.DataFrame:
    """Find the seconds of running speech without commands that a model takes for one.

    Args:
        recogniser: its model and vocabulary are used, not its rejection.
        speech_df: from `negatives.speech_negatives`.
        min_confidence: least probability of a command, 0 to 1.
        progress: show a progress bar.

    Returns:
        DataFrame, the likeliest command first: `path, first_sample` (at 16 kHz), `label, confidence`.

    Raises:
        ValueError: `min_confidence` is out of range.
        AudioError: a recording cannot be read; names it.
    """
    if not 0 <= min_confidence <= 1:
        raise ValueError(f"`min_confidence` must be in [0, 1]. Received: min_confidence={min_confidence}")
    predict = shared_predict(recogniser.model)
    columns = [recogniser.vocabulary.index(command) for command in COMMANDS]

    def find(path: str) -> list[tuple]:
        waveform = read_audio(path)
        waveform = np.pad(waveform, (0, max(0, CLIP_SAMPLES - len(waveform))))
        hop = round(HOP_S * SAMPLE_RATE)
        windows = np.lib.stride_tricks.sliding_window_view(waveform, CLIP_SAMPLES)[::hop]
        batches = (windows[row : row + BATCH_SIZE] for row in range(0, len(windows), BATCH_SIZE))
        probabilities = np.concatenate([np.asarray(predict(batch.copy())) for batch in batches])[:, columns]
        confidence = probabilities.max(axis=1)
        return [
            (path, int(row) * hop, COMMANDS[probabilities[row].argmax()], float(confidence[row]))
            for row in _peaks(confidence, min_confidence, round(MIN_DISTANCE_S / HOP_S))
        ]

    paths = speech_df["path"].astype(str).tolist()
    found = progress_bar(parallel_map(find, paths), desc="mining", total=len(paths), unit="file", progress=progress)
    rows = [row for rows in found for row in rows]
    mined_df = pd.DataFrame(rows, columns=["path", "first_sample", "label", "confidence"])
    return mined_df.sort_values(["confidence", "path"], ascending=[False, True], ignore_index=True)


def _peaks(values: np.ndarray, least: float, distance: int) -> Iterator[int]:
    """Positions of the largest values, none nearer to a larger one than a distance."""
    taken = np.zeros(len(values), bool)
    for position in np.argsort(-values, kind="stable"):
        if values[position] < least:
            return
        if not taken[position]:
            taken[max(0, position - distance + 1) : position + distance] = True
            yield int(position)
