"""Made rooms against what acoustics says of them."""

import numpy as np
import pytest

from kaggle_speech.data import augment, rooms


def decay_s(response):
    """Reverberation time by Schroeder's backward integration (1965), from the fall by 5 to 20 dB."""
    energy_db = 10 * np.log10(np.cumsum(response[::-1] ** 2)[::-1] / np.sum(response**2) + 1e-12)
    first, last = (int(np.argmax(energy_db < level)) for level in (-5, -20))
    return 60 * (last - first) / 15 / 16_000


@pytest.mark.parametrize("reverberation_s", [0.2, 0.4, 0.6])
def test_rooms_sound_as_long_as_asked(reverberation_s):
    responses = rooms.make_rooms(6, 3, (reverberation_s, reverberation_s))
    assert np.median([decay_s(response) for response in responses]) == pytest.approx(reverberation_s, rel=0.2)
    np.testing.assert_allclose(np.sum(responses**2, axis=1), 1, rtol=1e-5)
    assert np.abs(responses[:, :20]).max(axis=1).min() > 0.02  # the direct sound comes first


def test_the_same_seed_makes_the_same_rooms():
    first, again, other = (rooms.make_rooms(3, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    with pytest.raises(ValueError, match=r"`reverberation_s` must be two times, 0.1 or more.*\(0.01, 0.5\)"):
        rooms.make_rooms(1, reverberation_s=(0.01, 0.5))


def test_clips_in_rooms_are_convolutions(rng):
    waveform = rng.standard_normal((2, 16_000)).astype("float32")
    responses = rooms.make_rooms(2)
    expected = [np.convolve(clip, response)[:16_000] for clip, response in zip(waveform, responses, strict=True)]
    np.testing.assert_allclose(rooms.place_in_rooms(waveform, responses), expected, atol=1e-4)


def test_some_clips_of_a_batch_are_placed_in_rooms(rng):
    """As many as asked, wherever they are in the batch, each by one of the rooms."""
    waveform = rng.standard_normal((8, 16_000)).astype("float32")
    responses = rooms.make_rooms(3)
    placed, again, other = (augment.place_in_rooms(waveform, responses, 3, (1, seed)).numpy() for seed in (1, 1, 5))
    np.testing.assert_array_equal(placed, again)
    changed, others = (np.flatnonzero(np.abs(batch - waveform).max(axis=1) > 0) for batch in (placed, other))
    assert len(changed) == len(others) == 3 and list(changed) != list(others)
    for row in changed:
        possible = rooms.place_in_rooms(np.repeat(waveform[row : row + 1], 3, axis=0), responses)
        assert np.abs(possible - placed[row]).max(axis=1).min() < 1e-3


def test_rooms_are_a_share_of_the_training_clips(rng):
    clips = 0.1 * rng.standard_normal((10, 16_000)).astype("float32")
    options = {"shift_ms": 0, "speed_fraction": 0, "gain_db": 0, "noise_fraction": 0}
    responses = rooms.make_rooms(2)
    for fraction, rooms_or_none, expected in ((0.4, responses, 4), (0.4, None, 0), (0.0, responses, 0)):
        augmentation = augment.Augmentation(**options, room_fraction=fraction)
        augmented = augment.augment_waveforms(clips, (0, 0), augmentation, rooms=rooms_or_none).numpy()
        assert np.sum(np.abs(augmented - clips).max(axis=1) > 1e-3) == expected
