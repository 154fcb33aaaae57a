"""Sources: every format gives what `read_audio` gives; errors name the source."""

import io
import os
import sys
import threading
import types

import numpy as np
import pytest
import soundfile
import soxr

from kaggle_speech.audio import AudioError, read_audio, write_wav
from kaggle_speech.streaming import sources


def heard(source):
    return np.concatenate([*source.chunks()])


@pytest.fixture
def stereo(rng):
    """A second and a bit of two channels at 44.1 kHz."""
    return (0.1 * rng.standard_normal((50_007, 2))).astype("float32")


@pytest.mark.parametrize("name, subtype", [("a.wav", "PCM_16"), ("a.wav", "FLOAT"), ("a.flac", None), ("a.ogg", None)])
@pytest.mark.parametrize("chunk_ms", [1, 50, 5000])
def test_a_file_is_what_read_audio_reads(stereo, tmp_path, name, subtype, chunk_ms):
    soundfile.write(tmp_path / name, stereo, 44_100, subtype=subtype)
    source = sources.AudioFile(tmp_path / name, chunk_ms=chunk_ms)
    np.testing.assert_allclose(heard(source), read_audio(tmp_path / name), atol=1e-6)
    np.testing.assert_array_equal(heard(source), heard(source))  # a new pass each time
    assert source.name == name and source.duration_s == pytest.approx(50_007 / 44_100)
    assert not source.is_live


def test_an_array_of_any_rate_type_and_number_of_channels(stereo):
    expected = soxr.resample(stereo.mean(axis=1), 44_100, 16_000)
    np.testing.assert_allclose(heard(sources.Samples(stereo, 44_100)), expected, atol=1e-6)
    np.testing.assert_array_equal(heard(sources.Samples(stereo[:, 0])), stereo[:, 0])
    integers = np.rint(stereo[:, 0] * 32_768).astype("int16")
    np.testing.assert_array_equal(heard(sources.Samples(integers)), integers / np.float32(32_768))
    np.testing.assert_array_equal(heard(sources.Samples(stereo[:3, 0])), stereo[:3, 0])


def test_real_time_is_as_long_as_the_sound(monkeypatch):
    slept, now = [], [100.0]
    clock = types.SimpleNamespace(monotonic=lambda: now[0], sleep=lambda s: (slept.append(s), now.append(0)))
    monkeypatch.setattr(sources, "time", clock)
    source = sources.Samples(np.zeros(16_000, "float32"), real_time=True, chunk_ms=100)
    assert source.is_live and len(heard(source)) == 16_000
    np.testing.assert_allclose(slept, np.arange(1, 11) / 10)


def pipe(content, **options):
    """A source at the end of a pipe into which another thread writes, a few bytes at a time."""
    read_end, write_end = os.pipe()

    def write():
        with os.fdopen(write_end, "wb", buffering=0) as file:
            for start in range(0, len(content), 333):
                file.write(content[start : start + 333])

    threading.Thread(target=write).start()
    return sources.StandardInput(os.fdopen(read_end, "rb"), **options)


def test_standard_input_is_raw_samples(stereo):
    integers = np.rint(stereo * 32_768).astype("<i2")
    source = pipe(integers[:, 0].tobytes())
    np.testing.assert_array_equal(heard(source), integers[:, 0] / np.float32(32_768))
    source.file.close()
    source = pipe(integers.tobytes() + b"\1", sample_rate=44_100, num_channels=2)  # half a sample at the end
    expected = soxr.resample((integers / np.float32(32_768)).mean(axis=1), 44_100, 16_000)
    np.testing.assert_allclose(heard(source), expected, atol=1e-6)
    source.file.close()
    np.testing.assert_array_equal(heard(sources.StandardInput(io.BytesIO(b"\0\x40"))), [0.5])


def test_standard_input_that_waits_does_not_hold_up():
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as file, os.fdopen(write_end, "wb") as writer:
        chunks = sources.StandardInput(file).chunks()
        assert len(next(chunks)) == 0
        writer.write(b"\0\x40" * 3)
        writer.flush()
        np.testing.assert_array_equal(next(chunks), [0.5] * 3)


def test_bad_files_are_named(tmp_path, rng):
    with pytest.raises(FileNotFoundError, match=r"missing\.wav"):
        sources.AudioFile(tmp_path / "missing.wav")
    for content, rule in {b"": "must not be empty", b"no sound": "must be an audio file"}.items():
        (tmp_path / "bad.wav").write_bytes(content)
        with pytest.raises(AudioError, match=f"bad.wav: .*{rule}"):
            sources.AudioFile(tmp_path / "bad.wav")
    write_wav(tmp_path / "cut.wav", rng.standard_normal(16_000))
    (tmp_path / "cut.wav").write_bytes((tmp_path / "cut.wav").read_bytes()[:1000])
    with pytest.raises(AudioError, match="truncated"):
        sources.AudioFile(tmp_path / "cut.wav")
    write_wav(tmp_path / "slow.wav", rng.standard_normal(900), sample_rate=900)
    with pytest.raises(AudioError, match=r"slow.wav: `sample_rate` must be from 1000 .* sample_rate=900"):
        sources.AudioFile(tmp_path / "slow.wav")
    broken = np.zeros(16_000, "float32")
    broken[9000] = np.nan
    soundfile.write(tmp_path / "nan.wav", broken, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"nan.wav: samples must be finite"):
        heard(sources.AudioFile(tmp_path / "nan.wav"))


def test_bad_arrays_and_formats():
    for waveform in (np.zeros(0), np.zeros((2, 2, 2)), 0.5):
        with pytest.raises(ValueError, match=r"`waveform` must be \(samples,\) or \(samples, channels\), not empty"):
            sources.Samples(waveform)
    with pytest.raises(ValueError, match=r"`waveform` must be float .* Received: dtype=int64"):
        sources.Samples(np.zeros(5, int))
    with pytest.raises(ValueError, match=r"`sample_rate` must be from 1000 to 768000 Hz. Received: sample_rate=16"):
        sources.Samples(np.zeros(5), 16)
    with pytest.raises(ValueError, match="`num_channels` must be at least 1"):
        sources.StandardInput(io.BytesIO(), num_channels=0)


class FakePortAudioError(Exception):
    """As sounddevice's: a plain Exception."""


class FakeDevices(types.ModuleType):
    """As the package sounddevice, with two devices of which one is a microphone, at 48 kHz."""

    PortAudioError = FakePortAudioError
    devices = (
        {"name": "speaker", "max_input_channels": 0, "default_samplerate": 48_000.0},
        {"name": "headset", "max_input_channels": 1, "default_samplerate": 48_000.0},
    )
    waveform, num_open, is_busy = np.zeros(0, "float32"), 0, False

    def query_devices(self, device=None, kind=None):
        if kind is None:
            return self.devices
        found = [entry for entry in self.devices if entry["max_input_channels"] and device in (None, 1, entry["name"])]
        if not found and device is None:
            raise FakePortAudioError("Error querying device -1")
        if not found:
            raise ValueError(f"No input device matching {device!r}")
        return found[0]

    def InputStream(self, *, samplerate, blocksize, channels, dtype, device, callback):  # noqa: N802
        if self.is_busy:
            raise FakePortAudioError("Device unavailable [PaErrorCode -9985]")
        module = self

        class Stream:
            def __enter__(self):
                module.num_open += 1
                for start in range(0, len(module.waveform), blocksize):
                    callback(module.waveform[start : start + blocksize, None], blocksize, None, None)

            def __exit__(self, *error):
                module.num_open -= 1

        return Stream()


@pytest.fixture
def devices(monkeypatch):
    module = FakeDevices("sounddevice")
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    monkeypatch.setattr(sources, "SILENT_DEVICE_S", 0.05)
    return module


def test_a_microphone_is_resampled_and_one_that_is_unplugged_says_so(devices, rng):
    devices.waveform = (0.1 * rng.standard_normal(48_000)).astype("float32")
    assert sources.input_devices() == [(1, "headset")]
    source, chunks = sources.Microphone(), []
    assert source.name == "headset" and source.is_live
    with pytest.raises(sources.SourceError, match=r"headset: nothing came from the microphone .* is it unplugged\?"):
        for chunk in source.chunks():
            assert devices.num_open == 1
            chunks.append(chunk)
    assert devices.num_open == 0
    found = np.concatenate(chunks)
    np.testing.assert_allclose(found, soxr.resample(devices.waveform, 48_000, 16_000)[: len(found)], atol=1e-6)
    assert len(found) > 15_000


def test_a_microphone_that_is_not_there(devices, monkeypatch):
    with pytest.raises(sources.SourceError, match=r"`device` must be a microphone, one of \['headset'\].*'lamp'"):
        sources.Microphone("lamp")
    devices.is_busy = True
    with pytest.raises(sources.SourceError, match=r"headset: the microphone must open.*-9985"):
        next(sources.Microphone("headset").chunks())
    devices.devices = devices.devices[:1]
    with pytest.raises(sources.SourceError, match=r"none: plug one in, or play a file.*device -1"):
        sources.Microphone()
    assert sources.input_devices() == []
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(sources.SourceError, match="a microphone needs the package sounddevice and the library PortAu"):
        sources.Microphone()
