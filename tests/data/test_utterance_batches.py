"""utterance_batches.py and utterance_dataset.py: which utterances go together, read, padded and changed."""

import numpy as np
import pandas as pd
import pytest
import soundfile
import tensorflow as tf

from kaggle_speech.audio import AudioError, read_audio, write_wav
from kaggle_speech.data.utterance_batches import (
    change_speed,
    encode_texts,
    make_utterance_dataset,
    plan_batches,
    read_batch,
)
from kaggle_speech.text.alphabet import indices_to_text

SECONDS = [0.5, 2.0, 1.0, 1.5, 0.6, 1.9, 1.1]
TEXTS = ["go", "open the door", "it's late", "go", "a", "the end of it", "up up"]


@pytest.fixture
def utterances_df(tmp_path, rng):
    rows = []
    for number, (seconds, text) in enumerate(zip(SECONDS, TEXTS, strict=True)):
        path = tmp_path / f"{number}.flac"
        soundfile.write(path, 0.1 * rng.standard_normal(round(seconds * 16_000)), 16_000)
        rows.append({"path": str(path), "text": text, "num_samples": round(seconds * 16_000)})
    return pd.DataFrame(rows)


def passes_of(dataset, num_passes=1):
    return [
        [({name: values.numpy() for name, values in inputs.items()}, targets.numpy()) for inputs, targets in dataset]
        for _ in range(num_passes)
    ]


def texts_of(targets):
    return [indices_to_text(row) for row in targets]


@pytest.mark.parametrize("shuffled", [False, True])
def test_batches_hold_every_utterance_once_beside_others_of_its_length(rng, shuffled):
    num_samples = rng.integers(8_000, 300_000, 1000)
    batches = plan_batches(num_samples, 16, rng if shuffled else None)
    assert sorted(np.concatenate(batches)) == list(range(1000)) and sorted(map(len, batches)) == [8] + 62 * [16]
    spread = [np.ptp(num_samples[batch]) for batch in batches]
    assert np.median(spread) < 16 * 300_000 / 1000 + 2 * 4_000
    assert shuffled != (batches[0][0] == np.argmin(num_samples))


@pytest.mark.parametrize("batch_size", [3, 10])
def test_whole_batches_repeat_the_longest_utterances(utterances_df, batch_size):
    """The last batch without shuffling; the others are the same as without."""
    plain, whole = (
        make_utterance_dataset(utterances_df, batch_size, whole_batches=is_whole) for is_whole in (False, True)
    )
    inputs, targets = whole.element_spec
    assert inputs["waveform"].shape[0] == inputs["num_samples"].shape[0] == targets.shape[0] == batch_size
    (batches,), (whole_batches,) = passes_of(plain), passes_of(whole)
    for (inputs, targets), (more_inputs, more_targets) in zip(batches, whole_batches, strict=True):
        rows = np.arange(batch_size) % len(targets)
        np.testing.assert_array_equal(more_targets, targets[rows])
        for name in inputs:
            np.testing.assert_array_equal(more_inputs[name], inputs[name][rows])


def test_passes_differ_and_seeds_repeat(utterances_df):
    make = lambda seed: make_utterance_dataset(utterances_df, 2, shuffle=True, speed_fraction=0.1, seed=seed)  # noqa: E731
    first, again, other = (passes_of(make(seed), 2) for seed in (0, 0, 1))
    for one, two in zip(first, again, strict=True):
        for (inputs, targets), (same_inputs, same_targets) in zip(one, two, strict=True):
            np.testing.assert_array_equal(inputs["waveform"], same_inputs["waveform"])
            np.testing.assert_array_equal(targets, same_targets)
    lengths = [np.concatenate([inputs["num_samples"] for inputs, _ in one]).tolist() for one in (*first, other[0])]
    assert len({tuple(sorted(values)) for values in lengths}) == 3


def test_every_utterance_comes_with_its_text_and_length(utterances_df):
    (batches,) = passes_of(make_utterance_dataset(utterances_df, 3))
    assert len(make_utterance_dataset(utterances_df, 3)) == 3
    num_samples = np.concatenate([inputs["num_samples"] for inputs, _ in batches])
    np.testing.assert_array_equal(num_samples, np.sort(utterances_df["num_samples"]))
    order = np.argsort(utterances_df["num_samples"], kind="stable")
    assert [text for _, targets in batches for text in texts_of(targets)] == [TEXTS[row] for row in order]
    for inputs, _ in batches:
        assert inputs["waveform"].shape[1] % 4_000 == 0
        for row, length in zip(inputs["waveform"], inputs["num_samples"], strict=True):
            assert not row[length:].any() and row[length - 1] != 0


def test_batches_are_read_as_files_are(utterances_df):
    padded, num_samples = read_batch(list(utterances_df["path"]))
    assert padded.dtype == np.float32 and num_samples.dtype == np.int32
    for row, length, path in zip(padded, num_samples, utterances_df["path"], strict=True):
        np.testing.assert_array_equal(row[:length], read_audio(path))


def test_any_sample_rate_and_channels(tmp_path):
    time_s = np.arange(44_100) / 44_100
    stereo = np.stack([np.sin(2 * np.pi * 440 * time_s), 0 * time_s], axis=1)
    soundfile.write(tmp_path / "stereo.wav", stereo, 44_100)
    padded, num_samples = read_batch([tmp_path / "stereo.wav"])
    assert num_samples == [16_000]
    middle = slice(2_000, 14_000)
    np.testing.assert_allclose(
        padded[0][middle], 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)[middle], atol=1e-3
    )


@pytest.mark.parametrize("speed", [0.9, 1.0, 1.1])
def test_speed_moves_the_pitch(speed):
    waveform = np.sin(2 * np.pi * 500 * np.arange(16_000) / 16_000).astype("float32")
    found = change_speed(waveform, speed)
    assert len(found) == pytest.approx(16_000 / speed, abs=1) and found.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(found * np.hanning(len(found))))
    assert np.argmax(spectrum) * 16_000 / len(found) == pytest.approx(500 * speed, abs=2)


def test_draws_stay_within_their_limits(tmp_path):
    write_wav(tmp_path / "a.wav", 0.25 * np.ones(16_000))
    levels, lengths = [], []
    for seed in range(50):
        padded, num_samples = read_batch(
            [tmp_path / "a.wav"], np.random.default_rng(seed), speed_fraction=0.2, gain_db=6.0
        )
        levels.append(20 * np.log10(padded[0, 4_000:8_000].mean() / 0.25))
        lengths.append(16_000 / num_samples[0])
    assert -6.05 < min(levels) < -4 and 4 < max(levels) < 6.05
    assert 0.799 < min(lengths) < 0.85 and 1.15 < max(lengths) < 1.201


def test_noise_is_as_loud_as_asked_and_rooms_sound_on(tmp_path, rng):
    """The difference from the clean utterance is noise of its power over the ratio; an echo comes in time."""
    waveform = 0.1 * rng.standard_normal(20_000).astype("float32")
    write_wav(tmp_path / "a.wav", waveform)
    clean, _ = read_batch([tmp_path / "a.wav"])
    noise = rng.standard_normal(7_000).astype("float32")  # shorter than the utterance
    for snr_db in (0.0, 20.0):
        noisy, _ = read_batch(
            [tmp_path / "a.wav"], rng, noise=noise, noise_fraction=1.0, min_snr_db=snr_db, max_snr_db=snr_db
        )
        powers = [np.square(sound[:20_000]).mean() for sound in (clean[0], noisy[0] - clean[0])]
        assert 10 * np.log10(powers[0] / powers[1]) == pytest.approx(snr_db, abs=0.1)
    room = np.zeros((1, 1_000), "float32")
    room[0, [0, 900]] = 0.8, 0.6
    placed, _ = read_batch([tmp_path / "a.wav"], rng, rooms=room, room_fraction=1.0)
    expected = 0.8 * clean[0, :20_000] + 0.6 * np.append(np.zeros(900), clean[0, : 20_000 - 900])
    np.testing.assert_allclose(placed[0, :20_000], expected, atol=1e-5)


def test_the_asked_share_of_utterances_is_noisy(tmp_path, rng):
    write_wav(tmp_path / "a.wav", 0.25 * np.ones(1_600))
    noise = rng.standard_normal(4_000).astype("float32")
    paths = 400 * [tmp_path / "a.wav"]
    found, _ = read_batch(paths, rng, noise=noise, noise_fraction=0.25, rooms=np.zeros((3, 8)), room_fraction=0.5)
    is_silent = ~found.any(axis=1)  # in rooms that swallow everything, where no noise has a ratio
    is_clean = (found[:, :1_600].std(axis=1) < 1e-4) & ~is_silent
    assert is_silent.mean() == pytest.approx(0.5, abs=0.1) and is_clean.sum() / (~is_silent).sum() == pytest.approx(
        0.75, abs=0.1
    )


def test_encoded_texts_come_back():
    encoded = encode_texts(TEXTS)
    assert encoded.shape == (7, 13) and encoded.dtype == np.int32 and texts_of(encoded) == TEXTS


def test_bad_input_is_named(utterances_df, tmp_path):
    with pytest.raises(ValueError, match="`utterances_df` must have at least one utterance"):
        make_utterance_dataset(utterances_df.head(0))
    with pytest.raises(ValueError, match=r"`text` must be of the characters.*Received: \['4'\] in 'at 4'"):
        make_utterance_dataset(utterances_df.assign(text="at 4"))
    path = tmp_path / "0.flac"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(AudioError, match=r"0\.flac"):
        read_batch([path])
    with pytest.raises(tf.errors.OpError, match=r"0\.flac"):
        passes_of(make_utterance_dataset(utterances_df, 3))
