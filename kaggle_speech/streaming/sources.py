"""Sources of sound: a microphone, an audio file, standard input, an array; each gives chunks, mono at 16 kHz.

A source has `name`, `is_live` (sound goes on, and is lost, while no chunk is taken) and `chunks()`, a new pass over
the sound; an empty chunk means that it still waits. Other sample rates are resampled and channels averaged on the way.
"""

import os
import queue
import select
import time
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from kaggle_speech.audio import INT16_SCALE, SAMPLE_RATE, AudioBytes, AudioError, AudioInput, open_audio

#: Length of a chunk in milliseconds.
CHUNK_MS = 50
#: Seconds without a sample after which a microphone counts as gone.
SILENT_DEVICE_S = 2.0


class SourceError(OSError):
    """A source that cannot be opened, or that ended unexpectedly. The message names the remedy."""


class Converter:
    """Converter of chunks of any sample rate and number of channels to mono at 16 kHz, independent of the cuts.

    Args:
        sample_rate: sample rate of the chunks, in Hz.
        num_channels: channels of the chunks.

    Raises:
        ValueError: the sample rate is not from 1,000 to 768,000 Hz, or there is no channel.
    """

    def __init__(self, sample_rate: int, num_channels: int):
        if not 1_000 <= sample_rate <= 768_000:
            raise ValueError(f"`sample_rate` must be from 1000 to 768000 Hz. Received: sample_rate={sample_rate}")
        if num_channels < 1:
            raise ValueError(f"`num_channels` must be at least 1. Received: num_channels={num_channels}")
        self.num_channels = num_channels
        self._resampler = None
        if sample_rate != SAMPLE_RATE:
            import soxr

            self._resampler = soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32")

    def __call__(self, chunk: np.ndarray, *, is_last: bool = False) -> np.ndarray:
        """Convert the next chunk.

        Shape: `(frames, num_channels)` or, of one channel, `(frames,)` float32 -> `(samples,)` float32.

        Args:
            chunk: the chunk.
            is_last: no chunk follows; the resampler gives its last samples.
        """
        waveform = np.asarray(chunk, "float32").reshape(-1, self.num_channels).mean(axis=1)
        return self._resampler.resample_chunk(waveform, last=is_last) if self._resampler else waveform


def _paced(chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Chunks at the speed of playback."""
    start = time.monotonic()
    num_samples = 0
    for chunk in chunks:
        num_samples += len(chunk)
        time.sleep(max(0.0, start + num_samples / SAMPLE_RATE - time.monotonic()))
        yield chunk


class Samples:
    """A waveform in memory as a source.

    Args:
        waveform: `(samples,)` or `(samples, channels)`, float in [-1, 1] or int16.
        sample_rate: sample rate in Hz.
        real_time: give chunks at the speed of playback; False gives them as fast as they are taken.
        chunk_ms: length of a chunk in milliseconds.

    Raises:
        ValueError: the waveform is empty or of another shape or type, or the sample rate is impossible.

    Examples:
        >>> source = Samples(np.zeros(16_000), chunk_ms=100)
        >>> [len(chunk) for chunk in source.chunks()] == [1600] * 10
        True
    """

    name = "array"

    def __init__(
        self,
        waveform: np.ndarray,
        sample_rate: int = SAMPLE_RATE,
        *,
        real_time: bool = False,
        chunk_ms: float = CHUNK_MS,
    ):
        waveform = np.asarray(waveform)
        if waveform.ndim not in (1, 2) or 0 in waveform.shape:
            raise ValueError(
                f"`waveform` must be (samples,) or (samples, channels), not empty. Received: shape={waveform.shape}"
            )
        if waveform.dtype != np.int16 and not np.issubdtype(waveform.dtype, np.floating):
            raise ValueError(f"`waveform` must be float in [-1, 1] or int16. Received: dtype={waveform.dtype}")
        Converter(sample_rate, 1)  # checks the sample rate
        self.waveform = waveform
        self.sample_rate = sample_rate
        self.is_live = real_time
        self.chunk_ms = chunk_ms

    def chunks(self) -> Iterator[np.ndarray]:
        """Start a pass over the waveform. Yields `(samples,)` float32 at 16 kHz."""
        return _paced(self._chunks()) if self.is_live else self._chunks()

    def _chunks(self) -> Iterator[np.ndarray]:
        num_channels = self.waveform.shape[1] if self.waveform.ndim == 2 else 1
        convert = Converter(self.sample_rate, num_channels)
        step = max(1, round(self.chunk_ms * self.sample_rate / 1000))
        for start in range(0, len(self.waveform), step):
            part = self.waveform[start : start + step]
            part = part / INT16_SCALE if part.dtype == np.int16 else part
            yield convert(part, is_last=start + step >= len(self.waveform))


class AudioFile:
    """An audio file as a source: WAV, FLAC, OGG, MP3, of any length, sample rate and number of channels.

    The file is read chunk by chunk, so that memory stays flat.

    Args:
        path: the file, or its content as `AudioBytes`.
        real_time: give chunks at the speed of playback; False gives them as fast as they are taken.
        chunk_ms: length of a chunk in milliseconds.

    Attributes:
        duration_s: length of the file in seconds.

    Raises:
        AudioError: the file is empty, truncated or not audio, or its sample rate is impossible; names the file.
        OSError: the file is missing or may not be read.

    Examples:
        >>> import tempfile
        >>> from kaggle_speech.audio import write_wav
        >>> path = Path(tempfile.mkdtemp(), "a.wav")
        >>> write_wav(path, np.zeros(16_000))
        >>> source = AudioFile(path)
        >>> source.name, source.duration_s, sum(map(len, source.chunks()))
        ('a.wav', 1.0, 16000)
    """

    def __init__(self, path: AudioInput, *, real_time: bool = False, chunk_ms: float = CHUNK_MS):
        self.path = path if isinstance(path, AudioBytes) else Path(path)
        self.name = Path(str(path)).name
        self.is_live = real_time
        self.chunk_ms = chunk_ms
        with open_audio(self.path) as file:
            self.duration_s: float = file.frames / file.samplerate
            try:
                Converter(file.samplerate, file.channels)
            except ValueError as error:
                raise AudioError(f"{self.path}: {error}") from error

    def chunks(self) -> Iterator[np.ndarray]:
        """Start a pass over the file. Yields `(samples,)` float32 at 16 kHz."""
        return _paced(self._chunks()) if self.is_live else self._chunks()

    def _chunks(self) -> Iterator[np.ndarray]:
        with open_audio(self.path) as file:
            convert = Converter(file.samplerate, file.channels)
            num_frames = max(1, round(self.chunk_ms * file.samplerate / 1000))
            while True:
                chunk = file.read(num_frames, dtype="float32", always_2d=True)
                if not np.isfinite(chunk).all():
                    raise AudioError(f"{self.path}: samples must be finite. Received: NaN or infinity")
                yield convert(chunk, is_last=len(chunk) < num_frames)
                if len(chunk) < num_frames:
                    return


class StandardInput:
    """Raw 16-bit little-endian samples from a pipe as a source; channels are interleaved, there is no header.

    Args:
        file: binary file, such as `sys.stdin.buffer`.
        sample_rate: sample rate in Hz.
        num_channels: channels of the samples.
        chunk_ms: length of a chunk in milliseconds.

    Raises:
        ValueError: an impossible sample rate or number of channels.
    """

    name = "standard input"
    is_live = False

    def __init__(
        self,
        file: typing.BinaryIO,
        sample_rate: int = SAMPLE_RATE,
        num_channels: int = 1,
        *,
        chunk_ms: float = CHUNK_MS,
    ):
        Converter(sample_rate, num_channels)  # checks both
        self.file = file
        self.sample_rate = sample_rate
        self.num_channels = num_channels
        self.chunk_ms = chunk_ms

    def chunks(self) -> Iterator[np.ndarray]:
        """Read until the pipe is closed. Yields `(samples,)` float32 at 16 kHz; empty ones while nothing comes."""
        convert = Converter(self.sample_rate, self.num_channels)
        frame_bytes = 2 * self.num_channels
        num_bytes = frame_bytes * max(1, round(self.chunk_ms * self.sample_rate / 1000))
        read = getattr(self.file, "read1", self.file.read)
        rest = b""
        while True:
            if not self._is_ready():
                yield np.zeros(0, "float32")
                continue
            received = read(num_bytes)
            content = rest + received
            num_whole = len(content) - len(content) % frame_bytes
            rest = content[num_whole:]
            yield convert(np.frombuffer(content[:num_whole], "<i2") / np.float32(INT16_SCALE), is_last=not received)
            if not received:
                return

    def _is_ready(self) -> bool:
        """Whether a read would return at once; always True on Windows, where a read may wait."""
        try:
            descriptor = self.file.fileno()
        except (AttributeError, OSError):
            return True
        return os.name == "nt" or bool(select.select([descriptor], [], [], 0.1)[0])


def _sounddevice():
    """Import the package sounddevice; the error names the missing part."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the package is there, PortAudio is not
        raise SourceError(
            "a microphone needs the package sounddevice and the library PortAudio "
            f"(`pip install sounddevice`; on Linux also `apt install libportaudio2`). Received: {error}"
        ) from error
    return sounddevice


def input_devices() -> list[tuple[int, str]]:
    """Connected microphones as `(index, name)`; empty where there is none.

    Raises:
        SourceError: sounddevice or PortAudio is missing.
    """
    devices = _sounddevice().query_devices()
    return [(index, device["name"]) for index, device in enumerate(devices) if device["max_input_channels"] > 0]


class Microphone:
    """A microphone as a source, through the package sounddevice.

    Args:
        device: index or part of the name (see `input_devices`); None for the default microphone.
        chunk_ms: length of a chunk in milliseconds.

    Raises:
        SourceError: sounddevice, PortAudio or the microphone is missing.

    Examples:
        >>> Microphone("no such device")  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
            ...
        SourceError: `device` must be a microphone, one of ['USB microphone']. Received: device='no such device', ...
    """

    is_live = True

    def __init__(self, device: int | str | None = None, *, chunk_ms: float = CHUNK_MS):
        sounddevice = _sounddevice()
        try:
            properties = sounddevice.query_devices(device, "input")
        except (ValueError, sounddevice.PortAudioError) as error:
            names = [name for _, name in input_devices()]
            raise SourceError(
                f"`device` must be a microphone, one of {names or 'none: plug one in, or play a file'}. "
                f"Received: device={device!r}, {error}"
            ) from error
        self.device = device
        self.chunk_ms = chunk_ms
        self.name: str = properties["name"]
        self.sample_rate = round(properties["default_samplerate"])

    def chunks(self) -> Iterator[np.ndarray]:
        """Record from now on, until the generator is closed. Yields `(samples,)` float32 at 16 kHz.

        Raises:
            SourceError: the microphone cannot be opened, or nothing comes for two seconds.
        """
        sounddevice = _sounddevice()
        recorded: queue.Queue[np.ndarray] = queue.Queue(maxsize=100)
        convert = Converter(self.sample_rate, 1)

        def keep(chunk, num_frames, time_info, status):
            if not recorded.full():
                recorded.put_nowait(chunk[:, 0].copy())

        try:
            with sounddevice.InputStream(
                device=self.device,
                samplerate=self.sample_rate,
                blocksize=round(self.chunk_ms * self.sample_rate / 1000),
                channels=1,
                dtype="float32",
                callback=keep,
            ):
                while True:
                    yield convert(recorded.get(timeout=SILENT_DEVICE_S))
        except sounddevice.PortAudioError as error:
            raise SourceError(f"{self.name}: the microphone must open. Received: {error}") from error
        except queue.Empty as error:
            raise SourceError(
                f"{self.name}: nothing came from the microphone for {SILENT_DEVICE_S:g} s; is it unplugged?"
            ) from error
