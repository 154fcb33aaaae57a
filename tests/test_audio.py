"""audio.py against soundfile's writer, hand-made RIFF files and analytic tones."""

import struct

import numpy as np
import pytest
import soundfile

from kaggle_speech import audio, files


def tone(sample_rate, seconds=1.0, frequency_hz=440.0):
    return 0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * sample_rate)) / sample_rate)


def with_chunk(path, name, content, before):
    """Rewrite a usual WAV with a further chunk before or after its samples."""
    raw = path.read_bytes()
    chunk = name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    raw = raw[:36] + chunk + raw[36:] if before else raw + chunk
    path.write_bytes(raw[:4] + struct.pack("<I", len(raw) - 8) + raw[8:])


def test_written_file_is_what_soundfile_reads(tmp_path):
    path = tmp_path / "a.wav"
    audio.write_wav(path, tone(16_000))
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.subtype, info.frames) == (16_000, 1, "PCM_16", 16_000)
    waveform, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_array_equal(audio.read_audio(path), waveform)
    np.testing.assert_allclose(waveform, tone(16_000), atol=1 / 32_768)


def test_int16_round_trip_and_clipping(tmp_path):
    clip = np.array([-32_768, -1, 0, 1, 32_767], np.int16)
    audio.write_wav(tmp_path / "a.wav", clip)
    np.testing.assert_array_equal(audio.read_audio(tmp_path / "a.wav") * 32_768, clip)
    audio.write_wav(tmp_path / "b.wav", np.array([-2.0, 2.0]))
    np.testing.assert_array_equal(audio.read_audio(tmp_path / "b.wav") * 32_768, [-32_768, 32_767])


@pytest.mark.parametrize(
    ("file_format", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 1 / 64),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "PCM_32", 1e-6),
        ("WAV", "FLOAT", 1e-6),
        ("WAV", "DOUBLE", 1e-6),
        ("WAVEX", "PCM_16", 1e-4),
        ("FLAC", "PCM_16", 1e-4),
    ],
)
def test_every_format_gives_the_same_waveform(tmp_path, file_format, subtype, tolerance):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(16_000), 16_000, subtype=subtype, format=file_format)
    waveform = audio.read_clip(path)
    assert waveform.dtype == np.float32
    np.testing.assert_allclose(waveform, tone(16_000), atol=tolerance)
    assert audio.audio_length(path) == 16_000


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(("name", "content"), [(b"JUNK", bytes(28)), (b"LIST", b"INFOabc")])
def test_further_chunks_are_not_sound(tmp_path, name, content, before):
    path = tmp_path / "a.wav"
    audio.write_wav(path, tone(16_000))
    with_chunk(path, name, content, before)
    np.testing.assert_allclose(audio.read_audio(path), tone(16_000), atol=1e-4)
    assert audio.audio_length(path) == 16_000


def test_stereo_is_averaged(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([tone(16_000), -tone(16_000) / 2], axis=1), 16_000, subtype="FLOAT")
    np.testing.assert_allclose(audio.read_audio(tmp_path / "a.wav"), tone(16_000) / 4, atol=1e-6)


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 48_000])
def test_other_sample_rates_are_resampled(tmp_path, sample_rate):
    soundfile.write(tmp_path / "a.wav", tone(sample_rate), sample_rate, subtype="FLOAT")
    clip = audio.read_clip(tmp_path / "a.wav")
    assert clip.shape == (16_000,)
    np.testing.assert_allclose(clip[400:-400], tone(16_000)[400:-400], atol=5e-3)
    assert audio.audio_length(tmp_path / "a.wav") == 16_000


def test_long_file_gives_its_first_second(tmp_path):
    path = tmp_path / "ten_minutes.wav"
    soundfile.write(path, np.tile(tone(44_100), 600), 44_100)
    np.testing.assert_allclose(audio.read_clip(path)[400:], tone(16_000)[400:], atol=5e-3)
    assert audio.audio_length(path) == 600 * 16_000


@pytest.mark.parametrize("length", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\xff\xef\xff\x7f"])
def test_length_unknown_in_the_header_reads_to_the_end(length, tmp_path):
    """As ffmpeg, arecord and sox write it to a pipe."""
    path = tmp_path / "pipe.wav"
    audio.write_wav(path, tone(16_000))
    raw = path.read_bytes()
    path.write_bytes(raw[:4] + length + raw[8:40] + length + raw[44:])
    assert len(audio.read_audio(path)) == 16_000


def bad_file(path, kind):
    audio.write_wav(path, tone(16_000))
    raw = path.read_bytes()
    if kind == "not finite":
        soundfile.write(path, np.full(100, np.nan, "float32"), 16_000, subtype="FLOAT")
        return
    contents = {
        "empty": b"",
        "text": b"this is no sound",
        "truncated": raw[: len(raw) // 2],
        "header only": raw[:44],
        "half a header": raw[:20],
        "no data chunk": raw[:36],
    }
    path.write_bytes(contents[kind])


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("empty", "must not be empty. Received: 0 bytes"),
        ("text", "must be an audio file"),
        ("truncated", "truncated, .* 32000 bytes of audio promised, 15978 there"),
        ("header only", "truncated"),
        ("half a header", "must have a data chunk"),
        ("no data chunk", "must have a data chunk"),
    ],
)
@pytest.mark.parametrize("read", [audio.read_audio, audio.read_clip, audio.audio_length])
def test_bad_files_are_named(tmp_path, read, kind, rule):
    path = tmp_path / "bad.wav"
    bad_file(path, kind)
    with pytest.raises(audio.AudioError, match=f"bad.wav: .*{rule}"):
        read(path)


def test_samples_must_be_finite(tmp_path):
    bad_file(tmp_path / "bad.wav", "not finite")
    with pytest.raises(audio.AudioError, match=r"bad\.wav: samples must be finite"):
        audio.read_audio(tmp_path / "bad.wav")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        audio.read_audio(tmp_path / "nowhere.wav")


def test_real_clips_have_the_length_that_soundfile_sees(real_dir):
    paths = sorted((real_dir / "train" / "audio" / "yes").glob("*.wav"))[:50]
    assert [audio.audio_length(path) for path in paths] == [soundfile.info(path).frames for path in paths]


def test_many_clips_are_read_as_one_by_one(tmp_path, rng):
    """The usual files, shorter and longer ones, and those for the other reader, in one call."""
    paths = [tmp_path / f"{number}.wav" for number in range(6)]
    for path, num_samples in zip(paths, (16_000, 9_000, 20_000, 1, 16_000, 16_000), strict=True):
        audio.write_wav(path, 0.3 * rng.standard_normal(num_samples))
    with_chunk(paths[4], b"LIST", b"abc", before=True)
    soundfile.write(paths[5], tone(44_100), 44_100, subtype="FLOAT")
    clips, errors = audio.read_clips(paths)
    assert errors == [] and clips.dtype == np.float32
    np.testing.assert_array_equal(clips, [audio.read_clip(path) for path in paths])


def test_of_many_clips_the_bad_ones_are_named(tmp_path):
    paths = [tmp_path / f"{name}.wav" for name in ("good", "missing", "empty", "truncated", "rate")]
    audio.write_wav(paths[0], tone(16_000))
    paths[2].write_bytes(b"")
    paths[3].write_bytes(paths[0].read_bytes()[:-2])
    audio.write_wav(paths[4], tone(44_100), 44_100)
    clips, errors = audio.read_clips(paths, resample=False)
    np.testing.assert_array_equal(clips[0], audio.read_clip(paths[0]))
    assert not clips[1:].any()
    rules = ("No such file", "must not be empty", "truncated", "must have 16000 samples a second. Received: 44100")
    for path, rule, error in zip(paths[1:], rules, errors, strict=True):
        assert path.name in error and rule in error


def test_many_errors_are_counted_not_listed():
    errors = [f"{number}.wav: bad" for number in range(23)]
    assert files.listing(errors[:20]).split("\n  ") == errors[:20]
    assert files.listing(errors).split("\n  ") == [*errors[:20], "and 3 more"]
