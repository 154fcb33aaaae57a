"""Running speech as `unknown`: seconds of sentences without a command, cut anew for every batch."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kaggle_speech.audio import CLIP_SAMPLES, INT16_SCALE, SAMPLE_RATE, fit_length, open_audio, read_audio
from kaggle_speech.data import places
from kaggle_speech.data.utterances import AUDIO_SUFFIXES, index_lengths, index_utterances
from kaggle_speech.files import fingerprint, what_is_there
from kaggle_speech.labels import COMMANDS


def speech_negatives(source: Path | str, *, progress: bool = True) -> pd.DataFrame:
    """Recordings of running speech, without those whose transcripts have one of the ten commands.

    Args:
        source: folder in LibriSpeech's layout or a CSV of recordings (see `utterances.index_utterances`); or any other
            folder of FLAC and WAV files, in which nobody may say a command: without transcripts all of it is used.
        progress: show a progress bar.

    Returns:
        DataFrame with the columns `path, num_samples` (at 16 kHz), sorted by path.

    Raises:
        ValueError: there is no such recording; names the source.
    """
    source = Path(source).expanduser().absolute()
    if source.suffix.lower() == ".csv" or places.has_speech(source):
        utterances_df, _ = index_utterances(source, progress=progress)
        has_command = [not set(COMMANDS).isdisjoint(text.split()) for text in utterances_df["text"]]
        speech_df = utterances_df.loc[~np.array(has_command, bool), ["path", "num_samples"]]
    else:
        paths = sorted(str(path) for path in source.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
        speech_df = index_lengths(paths, source, progress=progress)
    if speech_df.empty:
        raise ValueError(
            f"{source}: must hold recordings of speech, .flac or .wav, without the ten commands. "
            f"Received: one {what_is_there(source)}"
        )
    return speech_df.sort_values("path", ignore_index=True)


def speech_fingerprint(speech_df: pd.DataFrame) -> str:
    """Short hash of recordings, wherever their folder is: names and lengths.

    Args:
        speech_df: from `speech_negatives`.
    """
    names = speech_df["path"].map(os.path.basename) + " " + speech_df["num_samples"].astype(str)
    return fingerprint("\n".join(sorted(names)))


def window_starts(num_samples: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recording and first sample of windows, every second of all recordings as likely as every other.

    Shape: `(recordings,)`, `(windows,)` -> `(windows,)` int, `(windows,)` int.

    Args:
        num_samples: length of each recording.
        positions: 0 to below 1; uniform random numbers.
    """
    num_starts = np.maximum(num_samples - CLIP_SAMPLES, 0) + 1
    ends = np.cumsum(num_starts)
    index = np.minimum((positions * ends[-1]).astype(np.int64), ends[-1] - 1)
    rows = np.searchsorted(ends, index, side="right")
    return rows, index - (ends[rows] - num_starts[rows])


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
        window[:] = np.clip(np.rint(fit_length(waveform) * INT16_SCALE), -32_768, 32_767)
    return windows
