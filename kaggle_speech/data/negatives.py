"""Running speech as `unknown`: seconds of sentences without a command, cut anew for every batch."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kaggle_speech.audio import CLIP_SAMPLES, SAMPLE_RATE, fit_length, open_audio, read_audio, to_int16
from kaggle_speech.data import places
from kaggle_speech.data.utterances import AUDIO_SUFFIXES, index_lengths, index_utterances
from kaggle_speech.files import fingerprint, what_is_there
from kaggle_speech.labels import COMMANDS

#: A mined second is drawn up to so many samples earlier or later.
JITTER_SAMPLES = SAMPLE_RATE // 10


def speech_negatives(source: Path | str, *, progress: bool = True) -> pd.DataFrame:
    """Recordings of running speech, without those whose transcripts have one of the ten commands.

    Args:
        source: folder in LibriSpeech's layout or a CSV of recordings (see `utterances.index_utterances`); or any other
            folder of FLAC and WAV files without transcripts, in which nobody may say a command: all of it is used.
        progress: show a progress bar.

    Returns:
        DataFrame with the columns `path, num_samples` (at 16 kHz), sorted by path.

    Raises:
        ValueError: there is no such recording, or transcripts are there in another layout; names the source.
    """
    source = Path(source).expanduser().absolute()
    if source.suffix.lower() == ".csv" or places.has_speech(source):
        utterances_df, _ = index_utterances(source, progress=progress)
        has_command = [not set(COMMANDS).isdisjoint(text.split()) for text in utterances_df["text"]]
        speech_df = utterances_df.loc[~np.array(has_command, bool), ["path", "num_samples"]]
    elif next(source.rglob(f"*{places.TRANSCRIPT_SUFFIX}"), None):
        raise ValueError(
            f"{source}: must be the folder of a whole set, such as train-clean-5, so that sentences with a command are "
            "left out. Received: a part of one, with transcripts, or a folder far above one"
        )
    else:
        paths = sorted(str(path) for path in source.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
        speech_df = index_lengths(paths, source, progress=progress)
    if speech_df.empty:
        raise ValueError(
            f"{source}: must hold recordings of speech, .flac or .wav, without the ten commands. "
            f"Received: one {what_is_there(source)}"
        )
    return speech_df.sort_values("path", ignore_index=True)


def with_mined(speech_df: pd.DataFrame, csv_path: Path | str, share: float) -> pd.DataFrame:
    """Running speech, of which a share of the seconds drawn are those that a model was wrong about.

    Args:
        speech_df: from `speech_negatives`.
        csv_path: file of `evaluation.mining.mine`: columns `path, first_sample`.
        share: of these seconds among all, 0 to below 1; each is drawn up to `JITTER_SAMPLES` earlier or later.

    Returns:
        `speech_df` with more rows, and the columns `first_sample` and `weight` (of a window of the row).

    Raises:
        ValueError: the file has other columns, no rows, or a recording that `speech_df` lacks.
    """
    mined_df = pd.read_csv(csv_path)
    lacking = {"path", "first_sample"} - {*mined_df}
    if lacking or mined_df.empty:
        raise ValueError(
            f"{csv_path}: must be a file of `mine` with rows of `path` and `first_sample`. "
            f"Received: {len(mined_df)} rows of {[*mined_df]}"
        )
    lengths = mined_df["path"].map(speech_df.set_index("path")["num_samples"])
    if lengths.isna().any():
        raise ValueError(
            f"{csv_path}: must name recordings of the running speech. "
            f"Received: {mined_df['path'][lengths.isna()].iloc[0]}"
        )
    first = (mined_df["first_sample"] - JITTER_SAMPLES).clip(lower=0)
    last = np.minimum(mined_df["first_sample"] + JITTER_SAMPLES + CLIP_SAMPLES, lengths)
    mined_df = mined_df[["path"]].assign(first_sample=first, num_samples=(last - first).astype(int))
    num_windows, num_mined = (num_starts(df["num_samples"].to_numpy()).sum() for df in (speech_df, mined_df))
    weight = share / (1 - share) * num_windows / num_mined
    whole_df = speech_df[["path", "num_samples"]].assign(first_sample=0, weight=1.0)
    return pd.concat([whole_df, mined_df.assign(weight=weight)], ignore_index=True)


def speech_fingerprint(speech_df: pd.DataFrame) -> str:
    """Short hash of recordings, wherever their folder is: names, lengths, and what is said of windows in them.

    Args:
        speech_df: from `speech_negatives` or `with_mined`.
    """
    named_df = speech_df.assign(path=speech_df["path"].map(os.path.basename))
    return fingerprint("\n".join(sorted(" ".join(map(str, row)) for row in named_df.itertuples(index=False))))


def num_starts(num_samples: np.ndarray) -> np.ndarray:
    """Number of windows of a second in recordings. Shape: `(recordings,)` int -> the same."""
    return np.maximum(num_samples - CLIP_SAMPLES, 0) + 1


def window_starts(
    num_samples: np.ndarray, positions: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Recording and first sample of windows, every second of all recordings as likely as its weight says.

    Shape: `(recordings,)`, `(windows,)` -> `(windows,)` int, `(windows,)` int.

    Args:
        num_samples: length of each recording.
        positions: 0 to below 1; uniform random numbers.
        weights: `(recordings,)`, weight of each window of a recording; None for equal weights.
    """
    weights = np.ones(len(num_samples)) if weights is None else weights
    ends = np.cumsum(num_starts(num_samples) * weights)
    index = np.minimum(positions * ends[-1], np.nextafter(ends[-1], 0))
    rows = np.searchsorted(ends, index, side="right")
    starts = (index - (ends[rows] - num_starts(num_samples)[rows] * weights[rows])) / weights[rows]
    return rows, np.clip(starts.astype(np.int64), 0, num_starts(num_samples)[rows] - 1)


def read_windows(paths: Sequence[str], starts: Sequence[int]) -> np.ndarray:
    """A second of each of some recordings; shorter ones are filled up with zeros.

    Shape: -> `(windows, CLIP_SAMPLES)` int16.

    Args:
        paths: recordings.
        starts: first sample of each window, at 16 kHz.

    Raises:
        AudioError: a file cannot be read; names it.
    """
    windows = np.empty((len(paths), CLIP_SAMPLES), np.int16)
    for window, path, start in zip(windows, paths, starts, strict=True):
        with open_audio(path) as file:
            is_usual = file.samplerate == SAMPLE_RATE and file.channels == 1
            if is_usual:
                file.seek(int(start))
                waveform = file.read(CLIP_SAMPLES, dtype="float32")
        if not is_usual:
            waveform = read_audio(path)[start : start + CLIP_SAMPLES]
        window[:] = to_int16(fit_length(waveform))
    return windows
