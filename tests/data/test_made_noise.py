"""Made noise: seeded, level, of every kind, with and without voices."""

import numpy as np
import pandas as pd
import pytest
from scipy.signal import welch

from kaggle_speech.audio import SAMPLE_RATE, write_wav
from kaggle_speech.data import clip_batches, clips, made_noise
from kaggle_speech.data.clip_batches import make_datasets
from kaggle_speech.data.made_noise import KINDS, PIECE_SAMPLES, RMS, make_noise


def spectral_flatness(sound):
    """Geometric over arithmetic mean of the power spectrum: 1 for white noise, near 0 for a tone."""
    _, power = welch(sound, SAMPLE_RATE, nperseg=2048)
    return np.exp(np.mean(np.log(power + 1e-20))) / np.mean(power)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_sounds_and_follows_its_seed(kind):
    for seed in range(5):
        sound = kind(np.random.default_rng(seed))
        assert sound.shape == (PIECE_SAMPLES,) and np.isfinite(sound).all() and sound.std() > 1e-3
        np.testing.assert_array_equal(sound, kind(np.random.default_rng(seed)))
        assert np.abs(sound - kind(np.random.default_rng(seed + 100))).max() > 1e-3


def test_pieces_are_equally_loud_and_of_many_kinds():
    noise = make_noise(200, seed=3)
    pieces = noise.reshape(-1, PIECE_SAMPLES)
    assert len(pieces) == 50 and noise.dtype == np.float32
    np.testing.assert_allclose(pieces.std(axis=1), RMS, rtol=1e-3)
    flatness = np.array([spectral_flatness(piece) for piece in pieces])
    assert flatness.min() < 0.001 and flatness.max() > 0.3
    np.testing.assert_array_equal(noise, make_noise(200, seed=3))
    assert np.abs(noise - make_noise(200, seed=4)).max() > 0.01


def test_babble_is_made_of_the_recordings(tmp_path, monkeypatch):
    path = tmp_path / "tone.wav"
    write_wav(path, 0.3 * np.sin(2 * np.pi * 1000 * np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE))
    monkeypatch.setattr(made_noise, "KINDS", ())
    monkeypatch.setattr(made_noise, "PROBABILITY_OF_TWO", 0.0)
    noise = make_noise(8, speech_df=pd.DataFrame({"path": [str(path)], "num_samples": [5 * SAMPLE_RATE]}))
    frequency_hz, power = welch(noise, SAMPLE_RATE, nperseg=2048)
    assert frequency_hz[power.argmax()] == pytest.approx(1000, abs=8) and len(noise) == 8 * SAMPLE_RATE


@pytest.mark.parametrize(("num_seconds", "num_pieces"), [(0.6, 1), (4.0, 1), (4.8, 2)])
def test_noise_is_as_long_as_asked_for(num_seconds, num_pieces):
    assert len(make_noise(num_seconds)) == num_pieces * PIECE_SAMPLES


def test_made_noise_joins_the_background(sample_dir, monkeypatch):
    given = []
    monkeypatch.setattr(clip_batches, "make_dataset", lambda *args, noise=None, **options: given.append(noise))
    clips_df, _ = clips.read_clips_table(sample_dir, progress=False)
    make_datasets(clips_df, seed=2)
    make_datasets(clips_df, seed=2, made_noise_minutes=0.2)
    recorded, both = given[0], given[2]
    made = make_noise(12, 2)
    np.testing.assert_array_equal(both, np.concatenate([recorded, made]))
