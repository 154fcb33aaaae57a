"""Seconds of a recording for a model of one-second clips: the first, the loudest, or all. NumPy only."""

from pathlib import Path

import numpy as np

from kaggle_speech.audio import CLIP_SAMPLES, SAMPLE_RATE, AudioError, audio_length, fit_length, read_audio, read_clips

#: Rules that select seconds of a recording for a model.
WINDOWS = ("first", "loudest", "all")
#: Length in seconds of a recording above which its first second may miss the word.
LONG_S = 1.1
#: Samples of a frame in the search for the loudest second, and from one window to the next of `all`.
FRAME_SAMPLES = SAMPLE_RATE // 100
HOP_SAMPLES = SAMPLE_RATE // 10
#: Endings of files that count as audio in a folder.
AUDIO_ENDINGS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au")


def loudest_start(waveform: np.ndarray) -> int:
    """Position of the loudest second of a waveform, centred on its loud part.

    Each frame of 10 ms counts by its RMS level, weighted with a Hann window of one second: a word in the middle of
    the second counts more than one at its edge, and a click of a millisecond less than a word.

    Shape: `(samples,)` -> int, sample index, from 0 to `samples - CLIP_SAMPLES`; 0 for a waveform of a second or less.

    Examples:
        >>> waveform = np.zeros(48_000); waveform[30_000:34_000] = 0.5
        >>> loudest_start(waveform)
        24000
    """
    num_frames = len(waveform) // FRAME_SAMPLES
    window = np.hanning(CLIP_SAMPLES // FRAME_SAMPLES + 2)[1:-1]
    if num_frames <= len(window):
        return 0
    frames = waveform[: num_frames * FRAME_SAMPLES].reshape(num_frames, FRAME_SAMPLES)
    levels = np.sqrt(np.mean(np.square(frames - waveform.mean(), dtype="float64"), axis=1))
    # Silence before and after, so that a word at the very beginning or end can be in the middle of a window, too.
    loudness = np.convolve(levels, window)  # loudness[i] is of the window that ends with frame i
    start = (int(np.argmax(loudness)) + 1) * FRAME_SAMPLES - CLIP_SAMPLES
    return min(max(start, 0), len(waveform) - CLIP_SAMPLES)


def select_windows(waveform: np.ndarray, window: str) -> np.ndarray:
    """One or more seconds of a waveform; a shorter waveform is padded with zeros at its end.

    Shape: `(samples,)` -> `(windows, CLIP_SAMPLES)`, one window unless `window` is `all`.

    Args:
        waveform: mono, 16 kHz.
        window: `first`, `loudest` (see `loudest_start`), or `all`: one every 100 ms, the last one to the end; they
            share memory.

    Raises:
        ValueError: `window` is none of these.
    """
    check_window(window)
    if window == "first" or len(waveform) <= CLIP_SAMPLES:
        return fit_length(waveform)[None]
    if window == "loudest":
        start = loudest_start(waveform)
        return waveform[None, start : start + CLIP_SAMPLES].copy()  # the rest need not stay in memory
    padded = np.pad(waveform, (0, -len(waveform) % HOP_SAMPLES))
    return np.lib.stride_tricks.sliding_window_view(padded, CLIP_SAMPLES)[::HOP_SAMPLES]


def check_window(window: str) -> None:
    """Raise ValueError where `window` is none of `WINDOWS`."""
    if window not in WINDOWS:
        raise ValueError(f"`window` must be one of {WINDOWS}. Received: window={window!r}")


def read_windows(path: Path | str, window: str) -> tuple[np.ndarray, float]:
    """One or more seconds of an audio file, and the length of the file.

    Shape: -> `(windows, CLIP_SAMPLES)` float32, seconds.

    Args:
        path: audio file of any format, sample rate and number of channels.
        window: `first`, `loudest` (see `loudest_start`), or `all`: one every 100 ms, the last one to the end; they
            share memory.

    Raises:
        AudioError: the file is missing, or cannot be read as audio; one line that names it.
    """
    try:
        num_samples = audio_length(path)
        if window == "first" or num_samples <= CLIP_SAMPLES:
            windows, errors = read_clips([path])
            if errors:
                raise AudioError(errors[0])
        else:
            windows = select_windows(read_audio(path), window)
    except OSError as error:
        raise AudioError(f"{path}: must be an audio file. Received: {error.strerror or error}") from error
    return windows, num_samples / SAMPLE_RATE


def audio_paths(folder: Path | str) -> list[Path]:
    """Sorted paths of a folder's audio files, hidden ones left out.

    Args:
        folder: the folder; those inside it are not searched.

    Raises:
        ValueError: the folder holds no audio file.
    """
    paths = sorted(
        path for path in Path(folder).iterdir() if path.suffix.lower() in AUDIO_ENDINGS and path.name[0] != "."
    )
    if not paths:
        raise ValueError(f"{folder}: must hold audio files ({' '.join(AUDIO_ENDINGS)}). Received: none")
    return paths
