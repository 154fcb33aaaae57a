"""noise.py: regions apart, the protocol's silence, and files that are found again."""

import numpy as np
import pytest

from kaggle_speech import audio
from kaggle_speech.data import noise


@pytest.fixture
def recordings(tmp_path):
    """Two recordings whose samples tell their own position: a rising and a falling ramp of ten seconds."""
    ramp = np.arange(160_000) // 5
    audio.write_wav(tmp_path / "falling.wav", (-ramp).astype(np.int16))
    audio.write_wav(tmp_path / "rising.wav", ramp.astype(np.int16))
    return [tmp_path / "falling.wav", tmp_path / "rising.wav"]


def test_regions_do_not_overlap_and_follow_the_protocol(recordings):
    ends = {}
    for split in ("train", "tune", "val"):
        _, rising = noise.read_noise(recordings, split)
        heard = rising[rising > 0] * 32_768 * 5  # without the padding of short regions
        ends[split] = heard.min(), heard.max()
    assert ends["train"][1] < ends["tune"][0] < ends["tune"][1] < ends["val"][0]
    assert ends["val"][0] == pytest.approx(80_000, abs=5)


def test_scored_silence_is_one_recording_at_no_more_than_its_volume(recordings):
    paths = noise.write_silence_clips(recordings, 10, "val", recordings[0].parent / "cache")
    assert [path.name for path in paths[:2]] == ["falling_00000.wav", "falling_00002.wav"]
    clips = {path.stem: audio.read_audio(path) for path in paths}
    assert all(len(clip) == 16_000 for clip in clips.values())
    for name, clip in clips.items():
        sign = -1 if name.startswith("falling") else 1
        slope = np.polyfit(np.arange(16_000), sign * clip * 32_768 * 5, 1)[0]  # 1 at full volume
        assert 0 <= slope <= 1.01
    assert len({clip.tobytes() for clip in clips.values()}) == 10


def test_trained_silence_has_digital_silence_and_mixes(recordings):
    regions, rng = noise.read_noise(recordings, "train"), np.random.default_rng(0)
    clips = np.array([noise.silence_clip(regions, rng) for _ in range(400)])
    is_digital = (clips == 0).all(axis=1)
    assert 0.01 < is_digital.mean() < 0.12
    # A mix of a rising and a falling ramp is neither always positive nor always negative.
    assert (clips.min(axis=1) * clips.max(axis=1) < 0).any()
    assert np.abs(clips).max() <= 1


def test_tilt_is_decibels_per_octave_at_the_same_power(rng):
    white = rng.standard_normal(160_000)
    tilted = noise.tilt_spectrum(white, -6.0)
    assert np.mean(tilted**2) == pytest.approx(np.mean(white**2), rel=1e-3)
    power = np.abs(np.fft.rfft(tilted)) ** 2 / np.abs(np.fft.rfft(white)) ** 2
    at_hz = lambda frequency_hz: 10 * np.log10(power[round(frequency_hz * 10)])  # noqa: E731
    assert at_hz(1000) - at_hz(2000) == pytest.approx(6, abs=0.05)
    assert at_hz(500) - at_hz(4000) == pytest.approx(18, abs=0.05)
    np.testing.assert_array_equal(noise.tilt_spectrum(np.zeros(100), 3.0), 0)


def test_same_arguments_find_the_same_files(recordings):
    cache_dir = recordings[0].parent / "cache"
    first = noise.write_silence_clips(recordings, 7, "train", cache_dir, seed=3)
    written = [path.stat().st_mtime_ns for path in first]
    contents = [path.read_bytes() for path in first]
    assert noise.write_silence_clips(recordings, 7, "train", cache_dir, seed=3) == first
    assert [path.stat().st_mtime_ns for path in first] == written
    elsewhere = noise.write_silence_clips(recordings, 7, "train", cache_dir.with_name("other"), seed=3)
    assert [path.read_bytes() for path in elsewhere] == contents
    other_seed = noise.write_silence_clips(recordings, 7, "train", cache_dir, seed=4)
    assert [path.read_bytes() for path in other_seed] != contents


def test_no_recordings(tmp_path):
    with pytest.raises(ValueError, match="at least one recording of _background_noise_"):
        noise.write_silence_clips([], 5, "train", tmp_path)
    assert noise.background_noise([]) is None


def test_bad_recording_is_named(tmp_path, recordings):
    (tmp_path / "bad.wav").write_bytes(b"")
    with pytest.raises(audio.AudioError, match=r"bad\.wav"):
        noise.write_silence_clips([tmp_path / "bad.wav"], 5, "train", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
