"""augment.py against brute force in NumPy, and librosa."""

import dataclasses

import librosa
import numpy as np
import pytest
import tensorflow as tf

from kaggle_speech.data import augment
from kaggle_speech.data.augment import time_stretch
from kaggle_speech.data.augmentation import Augmentation

NOTHING = Augmentation(shift_ms=0, speed_fraction=0, gain_db=0, noise_fraction=0)


def test_shift_moves_and_fills_with_zeros(speech):
    shifted = augment.shift_and_speed(speech, tf.constant([100.0, -250.0, 0.0, 3.0]), tf.ones(4)).numpy()
    np.testing.assert_allclose(shifted[0, 100:], speech[0, :-100], atol=1e-3)
    np.testing.assert_array_equal(shifted[0, :99], 0)
    np.testing.assert_allclose(shifted[1, :-250], speech[1, 250:], atol=1e-3)
    np.testing.assert_array_equal(shifted[1, -249:], 0)
    np.testing.assert_allclose(shifted[2], speech[2], atol=1e-3)


@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_speed_is_interpolation_about_the_middle(speech, speed):
    middle = 15_999 / 2
    position = (np.arange(16_000) - middle) * speed + middle
    expected = np.interp(position, np.arange(16_000), speech[0], left=0, right=0)
    changed = augment.shift_and_speed(speech[:1], tf.zeros(1), tf.constant([speed])).numpy()
    np.testing.assert_allclose(changed[0], expected, atol=2e-3)


@pytest.mark.parametrize("rate", [0.8, 1.0, 1.2])
def test_time_stretch_is_librosas_phase_vocoder(speech, rate):
    stretched = time_stretch(speech, tf.fill((4,), rate), 20_000).numpy()
    options = {"n_fft": 512, "hop_length": 128}
    for clip, ours in zip(speech, stretched, strict=True):
        spectrum = librosa.phase_vocoder(librosa.stft(clip, pad_mode="constant", **options), rate=rate, hop_length=128)
        theirs = librosa.istft(spectrum, **options)[: int(16_000 / rate) - 600]
        np.testing.assert_allclose(ours[: len(theirs)], theirs, atol=0.01 * np.abs(theirs).max())
        np.testing.assert_allclose(ours[int(16_000 / rate) + 600 :], 0, atol=1e-4)


def sweep_of_tones(frequency_hz):
    """A tone in the middle half of a second: its length and its pitch can be read off."""
    time_s = np.arange(16_000) / 16_000
    return (np.sin(2 * np.pi * frequency_hz * time_s) * ((time_s > 0.25) & (time_s < 0.75))).astype("float32")


@pytest.mark.parametrize(("tempo", "semitones"), [(0.8, 0), (1.2, 0), (1.0, 4), (1.0, -4), (1.2, -3), (1.0, 0)])
def test_tempo_and_pitch_change_apart(tempo, semitones):
    clip = sweep_of_tones(500)[None]
    factor = 2 ** (semitones / 12)
    changed = augment.change_tempo_and_pitch(tf.constant(clip), tf.constant([tempo]), tf.constant([factor])).numpy()[0]
    loud = np.flatnonzero(np.abs(changed) > 0.5)
    assert (loud[-1] - loud[0]) / 8000 == pytest.approx(1 / tempo, rel=0.03)
    assert (loud[-1] + loud[0]) / 2 == pytest.approx(8000, abs=150)
    spectrum = np.abs(np.fft.rfft(changed * np.hanning(16_000)))
    assert spectrum.argmax() == pytest.approx(500 * factor, abs=3)


def test_the_share_of_clips_that_the_vocoder_changes(speech):
    clips = np.concatenate([speech, speech])
    augmentation = dataclasses.replace(NOTHING, tempo_fraction=0.2, pitch_semitones=4, vocoder_fraction=0.25)
    augmented = augment.augment_waveforms(tf.constant(clips), (0, 0), augmentation).numpy()
    assert (np.abs(augmented - clips).max(axis=1) > 0.01).tolist() == [True] * 2 + [False] * 6


def test_hiss_is_gaussian_up_to_its_level():
    augmentation = dataclasses.replace(NOTHING, hiss_std=0.1)
    hiss = augment.augment_waveforms(tf.zeros((64, 16_000)), (0, 0), augmentation).numpy()
    levels = hiss.std(axis=1)
    assert levels.max() < 0.101 and levels.min() < 0.02 and levels.mean() == pytest.approx(0.05, abs=0.02)
    kurtosis = ((hiss / levels[:, None]) ** 4).mean()
    assert kurtosis == pytest.approx(3, abs=0.05)


def test_mixup_blends_clips_and_targets_alike(speech):
    clips, target = np.tile(speech, (50, 1)), np.eye(200, dtype="float32")
    mixed, mixed_target = (values.numpy() for values in augment.mixup(clips, target, (3, 4), alpha=0.4))
    np.testing.assert_allclose(mixed_target.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(mixed, mixed_target @ clips, atol=1e-4)  # the shares of the target made the clip
    own = np.diag(mixed_target)
    assert own.min() >= 0.5 and own.max() <= 1
    # The larger share of a Beta(0.4, 0.4) pair, drawn apart.
    drawn = np.random.default_rng(0).beta(0.4, 0.4, 100_000)
    assert np.median(own) == pytest.approx(np.median(np.maximum(drawn, 1 - drawn)), abs=0.05)
    again, _ = augment.mixup(clips, target, (3, 4), alpha=0.4)
    np.testing.assert_array_equal(mixed, again)


def test_gain_is_decibels(speech):
    louder = augment.change_gain(speech, tf.fill((4,), 6.0)).numpy()
    np.testing.assert_allclose(20 * np.log10(np.abs(louder).max() / np.abs(speech).max()), 6, atol=1e-3)


def test_noise_is_mixed_at_the_ratio(speech, rng):
    noise = rng.standard_normal(speech.shape).astype("float32")
    added = augment.mix_at_snr(speech, noise, tf.constant([0.0, 10.0, 20.0, -5.0])).numpy() - speech
    snr_db = 10 * np.log10((speech**2).mean(axis=1) / (added**2).mean(axis=1))
    np.testing.assert_allclose(snr_db, [0, 10, 20, -5], atol=1e-2)


def test_silence_has_no_ratio_and_stays(speech):
    zeros = np.zeros_like(speech)
    np.testing.assert_array_equal(augment.mix_at_snr(zeros, speech, tf.zeros(4)), zeros)
    np.testing.assert_array_equal(augment.mix_at_snr(speech, zeros, tf.zeros(4)), speech)


def test_drawn_noise_is_cut_from_the_recording():
    noise = tf.range(20_000, dtype=tf.float32)
    segments = augment.draw_noise(noise, 50, 16_000, (1, 2)).numpy()
    np.testing.assert_array_equal(np.diff(segments), 1)
    assert segments.min() >= 0 and segments.max() < 20_000 and len(np.unique(segments[:, 0])) > 40


def test_same_seed_same_result_other_seed_another(speech, rng):
    noise = tf.constant(rng.standard_normal(40_000), tf.float32)
    first, again, other = (augment.augment_waveforms(speech, seed, noise=noise) for seed in [(1, 2), (1, 2), (1, 3)])
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other, atol=1e-2)
    assert first.shape == speech.shape and np.abs(first).max() <= 1


def test_every_clip_draws_for_itself(speech):
    same = np.repeat(speech[:1], 8, axis=0)
    augmented = augment.augment_waveforms(same, (0, 0)).numpy()
    assert len(np.unique(augmented.max(axis=1))) == 8


def test_no_augmentation_changes_nothing(speech):
    np.testing.assert_allclose(augment.augment_waveforms(speech, (0, 0), NOTHING), speech, atol=1e-3)
