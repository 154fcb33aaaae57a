"""augment.py against brute force in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from kaggle_speech import augment
from kaggle_speech.augment import Augmentation

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


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shift_ms": -1.0}, "`shift_ms` must not be negative. Received: shift_ms=-1.0"),
        ({"speed_fraction": 1.0}, "`speed_fraction` must be < 1"),
        ({"noise_fraction": 1.5}, "`noise_fraction` <= 1. Received: .*noise_fraction=1.5"),
        ({"min_snr_db": 31.0}, "`min_snr_db` must be <= `max_snr_db`. Received: min_snr_db=31.0"),
    ],
)
def test_bad_limits(values, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**values)
