"""Audio files (WAV of all kinds, FLAC, OGG) to waveforms, and waveforms to WAV files. No TensorFlow.

A waveform is a float32 array of `(samples,)` in [-1, 1] at 16 kHz, mono.
"""

import contextlib
import dataclasses
import io
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

if TYPE_CHECKING:
    import soundfile

SAMPLE_RATE = 16_000
#: Length of a clip: one second.
CLIP_SAMPLES = 16_000
#: int16 full scale; a waveform is the int16 sample divided by it.
INT16_SCALE = 32_768.0


class AudioError(ValueError):
    """A file that cannot be read as audio. The message names the file and the rule it breaks."""


@dataclasses.dataclass(frozen=True)
class AudioBytes:
    """Content of an audio file in memory: what `open_audio`, `read_audio`, `read_clip` and `read_clips` also take.

    Args:
        name: where it comes from, for messages.
        content: the bytes of the file.
    """

    name: str
    content: bytes = dataclasses.field(repr=False)

    def __str__(self) -> str:
        return self.name


#: An audio file, by its path or by its content.
AudioInput = Path | str | AudioBytes


def _open(source: AudioInput, buffering: int = -1) -> BinaryIO:
    return io.BytesIO(source.content) if isinstance(source, AudioBytes) else open(source, "rb", buffering)


def list_wavs(folder: Path | str) -> list[str]:
    """Sorted paths of the WAV files in a folder. Hidden ones are left out: macOS puts `._clip.wav` into archives.

    Args:
        folder: folder to look into; its subfolders are not searched.
    """
    names = sorted(entry.name for entry in os.scandir(folder))
    return [os.path.join(folder, name) for name in names if name.lower().endswith(".wav") and name[0] != "."]


def wav_header(num_samples: int, sample_rate: int = SAMPLE_RATE) -> bytes:
    """Header of a mono 16-bit PCM WAV: the 44 bytes before the samples.

    Args:
        num_samples: samples after the header.
        sample_rate: Hz.

    Source: RIFF WAVE, `WAVE_FORMAT_PCM`; the header of every file of Speech Commands.
    """
    num_bytes = 2 * num_samples
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + num_bytes, b"WAVE", b"fmt ", 16, 1, 1),
        *(sample_rate, 2 * sample_rate, 2, 16, b"data", num_bytes),
    )


def wav_bytes(waveform: np.ndarray, sample_rate: int = SAMPLE_RATE) -> bytes:
    """Content of a mono 16-bit PCM WAV.

    Args:
        waveform: `(samples,)`, float in [-1, 1] (louder is clipped) or int16.
        sample_rate: Hz.
    """
    waveform = np.asarray(waveform)
    if waveform.dtype != np.int16:
        waveform = to_int16(waveform).astype("<i2")
    return wav_header(len(waveform), sample_rate) + waveform.tobytes()


def write_wav(path: Path | str, waveform: np.ndarray, sample_rate: int = SAMPLE_RATE) -> None:
    """Write a mono 16-bit PCM WAV.

    Args:
        path: file to write.
        waveform: `(samples,)`, float in [-1, 1] (louder is clipped) or int16.
        sample_rate: Hz.
    """
    Path(path).write_bytes(wav_bytes(waveform, sample_rate))


def to_int16(waveform: np.ndarray) -> np.ndarray:
    """Round samples to 16 bits.

    Shape: any -> the same, int16.

    Args:
        waveform: float; what lies outside [-1, 1) is clipped.
    """
    return np.clip(np.rint(waveform * INT16_SCALE), -32_768, 32_767).astype(np.int16)


def fit_length(waveform: np.ndarray, num_samples: int = CLIP_SAMPLES) -> np.ndarray:
    """Waveform of a fixed length: cut at the end, or padded with zeros there.

    Shape: `(samples,)` -> `(num_samples,)`.

    Args:
        waveform: of any type.
        num_samples: length of the result.

    Examples:
        >>> fit_length(np.ones(2), 3), fit_length(np.ones(4), 3)
        (array([1., 1., 0.]), array([1., 1., 1.]))
    """
    return np.pad(waveform[:num_samples], (0, max(0, num_samples - len(waveform))))


def _check_riff(path):
    """Raise AudioError where a RIFF file is empty, not audio, or shorter than its header states."""
    with _open(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if size == 0:
            raise AudioError(f"{path}: an audio file must not be empty. Received: 0 bytes")
        riff, _, wave = struct.unpack("<4sI4s", file.read(12).ljust(12, b"\0"))
        if riff != b"RIFF" or wave != b"WAVE":
            return  # FLAC, OGG, ... or no audio at all: libsndfile decides
        while len(chunk := file.read(8)) == 8:
            name, num_bytes = struct.unpack("<4sI", chunk)
            left = size - file.tell()
            if name == b"data":
                if left < num_bytes < 0x7FFF0000:  # larger: written to a pipe by ffmpeg, arecord or sox, length unknown
                    raise AudioError(
                        f"{path}: truncated, the header must not promise more than the file holds. "
                        f"Received: {num_bytes} bytes of audio promised, {left} there"
                    )
                if left == 0:
                    raise AudioError(f"{path}: an audio file must hold samples. Received: a header with none")
                return
            file.seek(num_bytes + num_bytes % 2, 1)
    raise AudioError(f"{path}: a WAV file must have a data chunk. Received: {size} bytes without one")


@contextlib.contextmanager
def open_audio(path: AudioInput) -> Iterator["soundfile.SoundFile"]:
    """Open an audio file of any format for reading, as a `soundfile.SoundFile`.

    Args:
        path: the file.

    Raises:
        AudioError: the file is empty, truncated or not audio; names it.
        OSError: the file is missing or may not be read.
    """
    import soundfile

    _check_riff(path)
    try:
        with soundfile.SoundFile(_open(path) if isinstance(path, AudioBytes) else path) as file:
            yield file
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path}: must be an audio file that libsndfile reads. Received: {error}") from error


def read_audio(path: AudioInput, duration_s: float | None = None) -> np.ndarray:
    """Read the waveform of an audio file of any format that libsndfile knows.

    WAV of 8, 16, 24 and 32 bits and float, EXTENSIBLE headers, any chunks before or after
    the samples, FLAC, OGG and others; channels are averaged, other sample rates resampled
    (soxr, high quality).

    Shape: -> `(samples,)`, float32.

    Args:
        path: the file.
        duration_s: maximum to read from the start, in seconds; None reads all.

    Raises:
        AudioError: the file is empty, truncated or not audio, or a sample is NaN or infinite; names it.
        OSError: the file is missing or may not be read.
    """
    with open_audio(path) as file:
        sample_rate = file.samplerate
        # A little more than asked for: the resampler's filter looks ahead.
        frames = -1 if duration_s is None else int((duration_s + 0.05) * sample_rate)
        waveform = file.read(frames, dtype="float32", always_2d=True).mean(axis=1)
    if len(waveform) == 0:
        raise AudioError(f"{path}: an audio file must hold samples. Received: none")
    if not np.isfinite(waveform).all():
        raise AudioError(f"{path}: samples must be finite. Received: NaN or infinity")
    if sample_rate != SAMPLE_RATE:
        import soxr

        waveform = soxr.resample(waveform, sample_rate, SAMPLE_RATE)
    return waveform if duration_s is None else waveform[: round(duration_s * SAMPLE_RATE)]


def read_clip(path: AudioInput, num_samples: int = CLIP_SAMPLES) -> np.ndarray:
    """Read the first second of an audio file, padded with zeros where it is shorter.

    Shape: -> `(num_samples,)`, float32.

    Args:
        path: the file.
        num_samples: length of the result at 16 kHz; by default one second.

    Raises:
        AudioError: the file is empty, truncated or not audio, or a sample is NaN or infinite; names it.
        OSError: the file is missing or may not be read.
    """
    return fit_length(read_audio(path, num_samples / SAMPLE_RATE), num_samples)


def audio_length(path: Path | str) -> int:
    """Length of an audio file in samples at 16 kHz, after a check that `read_clip` can read it.

    A file with the 44-byte header of `wav_header` is checked by header and size, which is quick; of any other file
    the first second is read.

    Args:
        path: the file.

    Raises:
        AudioError: the file is empty, truncated or not audio, or a sample is NaN or infinite; names it.
        OSError: the file is missing or may not be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        header = file.read(44)
    num_samples = (path.stat().st_size - 44) // 2
    if num_samples > 0 and header == wav_header(num_samples):
        return num_samples
    import soundfile

    read_clip(path)
    info = soundfile.info(path)
    return round(info.frames * SAMPLE_RATE / info.samplerate)


def read_clips(paths: Sequence[AudioInput], *, resample: bool = True) -> tuple[np.ndarray, list[str]]:
    """Read the first second of many audio files, padded with zeros where one is shorter.

    Files with the 44-byte header of `wav_header` are decoded directly, which is quick; any other by `read_clip`.

    Shape: -> `(len(paths), CLIP_SAMPLES)` float32.

    Args:
        paths: audio files.
        resample: convert other sample rates to 16 kHz; False counts them as errors.

    Returns:
        The waveforms, and the error messages of the files that cannot be read, whose rows are zero.
    """
    clips = np.zeros((len(paths), CLIP_SAMPLES), np.int16)
    others: dict[int, np.ndarray] = {}
    errors = []
    for row, path in enumerate(paths):
        try:
            with _open(path, buffering=0) as file:
                content = file.read(44 + 2 * CLIP_SAMPLES + 1)  # one byte more, to know a longer file
            num_samples = (len(content) - 44) // 2
            if 0 < num_samples <= CLIP_SAMPLES and content[:44] == wav_header(num_samples):
                clips[row, :num_samples] = np.frombuffer(content, "<i2", num_samples, 44)
            else:
                others[row] = _read_other(path, resample)
        except (AudioError, OSError) as error:
            errors.append(str(error))
    waveform = np.multiply(clips, np.float32(1 / INT16_SCALE), dtype=np.float32)
    for row, clip in others.items():
        waveform[row] = clip
    return waveform, errors


def _read_other(path, resample):
    clip = read_clip(path)
    if not resample:
        with open_audio(path) as file:
            sample_rate = file.samplerate
        if sample_rate != SAMPLE_RATE:
            raise AudioError(f"{path}: must have {SAMPLE_RATE} samples a second. Received: {sample_rate}")
    return clip
