"""Where a stream comes from: microphone, file, standard input, array. Each is chunks of mono sound at 16 kHz.

A source has `name`, `is_live` (it does not wait for a slow listener) and `chunks()`, a new
pass over the sound; an empty chunk says that it is still waiting. Other sample rates are
resampled, channels averaged, on the way.
"""

import os
import queue
import select
import time
from pathlib import Path

import numpy as np

from kaggle_speech.audio import INT16_SCALE, SAMPLE_RATE, AudioError, open_audio

#: Seconds without a sample after which a microphone counts as gone.
SILENT_DEVICE_S = 2.0


class SourceError(OSError):
    """A source that cannot be opened, or that ended without being asked. The message says what to do."""


class Converter:
    """Chunks of any sample rate and number of channels to mono at 16 kHz; cuts between chunks leave no trace.

    Args:
        sample_rate: Hz, of what comes in.
        num_channels: of what comes in.

    Raises:
        ValueError: a sample rate or number of channels that no sound has.
    """

    def __init__(self, sample_rate, num_channels):
        if not 1_000 <= sample_rate <= 768_000:
            raise ValueError(f"`sample_rate` must be from 1000 to 768000 Hz. Received: sample_rate={sample_rate}")
        if num_channels < 1:
            raise ValueError(f"`num_channels` must be at least 1. Received: num_channels={num_channels}")
        self.num_channels, self._stream = num_channels, None
        if sample_rate != SAMPLE_RATE:
            import soxr

            self._stream = soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32")

    def __call__(self, chunk, *, is_last=False):
        """Shape: `(frames, num_channels)` or, of one channel, `(frames,)` float32 -> `(samples,)` float32."""
        waveform = np.asarray(chunk, "float32").reshape(-1, self.num_channels).mean(axis=1)
        return self._stream.resample_chunk(waveform, last=is_last) if self._stream else waveform


def _paced(chunks):
    """Chunks at the speed at which they sound."""
    start, num_samples = time.monotonic(), 0
    for chunk in chunks:
        num_samples += len(chunk)
        time.sleep(max(0.0, start + num_samples / SAMPLE_RATE - time.monotonic()))
        yield chunk


class Samples:
    """A waveform in memory.

    Args:
        waveform: `(samples,)` or `(samples, channels)`, float in [-1, 1] or int16.
        sample_rate: Hz.
        real_time: as fast as it sounds; else as fast as it is taken.
        chunk_ms: length of a chunk.

    Raises:
        ValueError: no waveform, or no sample rate.
    """

    name = "array"

    def __init__(self, waveform, sample_rate=SAMPLE_RATE, *, real_time=False, chunk_ms=50):
        waveform = np.asarray(waveform)
        if waveform.ndim not in (1, 2) or 0 in waveform.shape:
            raise ValueError(
                f"`waveform` must be (samples,) or (samples, channels), not empty. Received: shape={waveform.shape}"
            )
        if waveform.dtype != np.int16 and not np.issubdtype(waveform.dtype, np.floating):
            raise ValueError(f"`waveform` must be float in [-1, 1] or int16. Received: dtype={waveform.dtype}")
        self.waveform, self.sample_rate, self.is_live, self.chunk_ms = waveform, sample_rate, real_time, chunk_ms
        Converter(sample_rate, 1)

    def chunks(self):
        """A pass over the waveform."""
        return _paced(self._chunks()) if self.is_live else self._chunks()

    def _chunks(self):
        num_channels = self.waveform.shape[1] if self.waveform.ndim == 2 else 1
        convert = Converter(self.sample_rate, num_channels)
        step = max(1, round(self.chunk_ms * self.sample_rate / 1000))
        for start in range(0, len(self.waveform), step):
            part = self.waveform[start : start + step]
            part = part / INT16_SCALE if part.dtype == np.int16 else part
            yield convert(part, is_last=start + step >= len(self.waveform))


class AudioFile:
    """An audio file of any length that `audio.read_audio` could read: WAV, FLAC, OGG, ...

    Args:
        path: the file.
        real_time, chunk_ms: as in `Samples`.

    Raises:
        AudioError: empty, truncated or no audio, or a sample rate that no sound has; names the file.
        OSError: the file is missing or may not be read.
    """

    def __init__(self, path, *, real_time=False, chunk_ms=50):
        self.path, self.name, self.is_live, self.chunk_ms = Path(path), Path(path).name, real_time, chunk_ms
        with open_audio(self.path) as file:
            self.duration_s = file.frames / file.samplerate
            try:
                Converter(file.samplerate, file.channels)
            except ValueError as error:
                raise AudioError(f"{self.path}: {error}") from error

    def chunks(self):
        """A pass over the file."""
        return _paced(self._chunks()) if self.is_live else self._chunks()

    def _chunks(self):
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
    """Raw 16-bit little-endian samples from a pipe, channels interleaved, without a header.

    Args:
        file: binary file, such as `sys.stdin.buffer`.
        sample_rate, num_channels: of the samples.
        chunk_ms: length of a chunk.

    Raises:
        ValueError: no sample rate or number of channels.
    """

    name, is_live = "standard input", False

    def __init__(self, file, sample_rate=SAMPLE_RATE, num_channels=1, *, chunk_ms=50):
        self.file, self.sample_rate, self.num_channels, self.chunk_ms = file, sample_rate, num_channels, chunk_ms
        Converter(sample_rate, num_channels)

    def chunks(self):
        """What comes until the pipe is closed."""
        convert, frame_bytes, rest = Converter(self.sample_rate, self.num_channels), 2 * self.num_channels, b""
        num_bytes = frame_bytes * max(1, round(self.chunk_ms * self.sample_rate / 1000))
        while True:
            if not self._is_ready():
                yield np.zeros(0, "float32")
                continue
            read = getattr(self.file, "read1", self.file.read)
            received = read(num_bytes)
            content = rest + received
            whole = len(content) - len(content) % frame_bytes
            rest = content[whole:]
            yield convert(np.frombuffer(content[:whole], "<i2") / np.float32(INT16_SCALE), is_last=not received)
            if not received:
                return

    def _is_ready(self):
        """Whether a read would not wait; where the system cannot tell (Windows), a read waits."""
        try:
            descriptor = self.file.fileno()
        except (AttributeError, OSError):
            return True
        return os.name == "nt" or bool(select.select([descriptor], [], [], 0.1)[0])


def _sounddevice():
    """The package, or an error that says what is missing."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the package is there, PortAudio is not
        raise SourceError(
            "a microphone needs the package sounddevice and the library PortAudio "
            f"(`pip install sounddevice`; on Linux also `apt install libportaudio2`). Received: {error}"
        ) from error
    return sounddevice


def input_devices():
    """The microphones there are. Shape: -> list of `(index, name)`, empty where there are none.

    Raises:
        SourceError: sounddevice or PortAudio is missing.
    """
    devices = _sounddevice().query_devices()
    return [(index, device["name"]) for index, device in enumerate(devices) if device["max_input_channels"] > 0]


class Microphone:
    """A microphone, by sounddevice.

    Args:
        device: index or part of a name (see `input_devices`); None for the default one.
        chunk_ms: length of a chunk.

    Raises:
        SourceError: sounddevice, PortAudio or the device is missing.
    """

    is_live = True

    def __init__(self, device=None, *, chunk_ms=50):
        self.chunk_ms, sounddevice = chunk_ms, _sounddevice()
        try:
            found = sounddevice.query_devices(device, "input")
        except (ValueError, sounddevice.PortAudioError) as error:
            names = [name for _, name in input_devices()]
            raise SourceError(
                f"`device` must be a microphone, one of {names or 'none: plug one in, or play a file'}. "
                f"Received: device={device!r}, {error}"
            ) from error
        self.device, self.name, self.sample_rate = device, found["name"], round(found["default_samplerate"])

    def chunks(self):
        """What the microphone hears, from now on; raises SourceError when nothing comes for two seconds."""
        sounddevice, heard = _sounddevice(), queue.Queue(maxsize=100)
        convert = Converter(self.sample_rate, 1)

        def listen(chunk, num_frames, time_info, status):
            if not heard.full():
                heard.put_nowait(chunk[:, 0].copy())

        try:
            with sounddevice.InputStream(
                device=self.device,
                samplerate=self.sample_rate,
                blocksize=round(self.chunk_ms * self.sample_rate / 1000),
                channels=1,
                dtype="float32",
                callback=listen,
            ):
                while True:
                    yield convert(heard.get(timeout=SILENT_DEVICE_S))
        except sounddevice.PortAudioError as error:
            raise SourceError(f"{self.name}: the microphone must open. Received: {error}") from error
        except queue.Empty as error:
            raise SourceError(
                f"{self.name}: nothing came from the microphone for {SILENT_DEVICE_S:g} s; is it unplugged?"
            ) from error
