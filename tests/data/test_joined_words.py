"""Joined halves of words: where the cut lies, which pairs there are, and what they are called."""

import numpy as np
import pandas as pd
import pytest

from kaggle_speech import audio
from kaggle_speech.data import clip_batches, joined_words
from kaggle_speech.labels import COMMANDS, COMPETITION_LABELS, SILENCE, UNKNOWN

time_s = np.arange(audio.CLIP_SAMPLES) / audio.SAMPLE_RATE


def burst(frequency, middle_s=0.5, level=0.5):
    """A tone that swells and fades about a time. Shape: scalars -> `(CLIP_SAMPLES,)`."""
    envelope = np.exp(-0.5 * ((time_s - middle_s) / 0.08) ** 2)
    return (level * envelope * np.sin(2 * np.pi * frequency * time_s)).astype("float32")


def frequency(label):
    return 500.0 + 500 * COMPETITION_LABELS.index(label)


def labels_of_halves(waveform):
    """The labels whose frequencies are strongest before and after all cuts."""
    halves = [waveform[time_s < 0.43], waveform[time_s > 0.57]]
    peaks = [np.abs(np.fft.rfft(half)).argmax() * audio.SAMPLE_RATE / len(half) for half in halves]
    return [min(COMPETITION_LABELS, key=lambda label: abs(frequency(label) - peak)) for peak in peaks]


def test_middle_is_where_the_energy_lies():
    waveform = np.stack([burst(440, 0.4), burst(3_000, 0.7) + 0.1, np.zeros(audio.CLIP_SAMPLES, "float32")])
    middle = joined_words.word_middle(waveform).numpy() / audio.SAMPLE_RATE
    np.testing.assert_allclose(middle, [0.4, 0.7, 0.5], atol=0.005)


@pytest.mark.parametrize("jitter_s", (-0.05, 0.0, 0.05))
def test_joined_word_begins_as_the_first_and_ends_as_the_second_at_its_loudness(jitter_s):
    first, second = burst(500, 0.4), burst(2_000, 0.6, level=0.1)
    jitter = np.float32([jitter_s * audio.SAMPLE_RATE])
    joined = joined_words.join_halves(first[None], second[None], jitter).numpy()[0]
    before, after = time_s < 0.4 + jitter_s - 0.011, (time_s > 0.4 + jitter_s + 0.011) & (time_s < 0.75)
    np.testing.assert_allclose(joined[before], first[before], atol=1e-6)
    np.testing.assert_allclose(joined[after], burst(2_000, 0.4)[after], atol=0.02)
    silence = joined_words.join_halves(first[None], 0 * second[None], jitter).numpy()[0]
    np.testing.assert_array_equal(silence[after], 0)


def test_pairs_are_of_different_words_or_keep_their_label():
    batch = [*COMPETITION_LABELS] * 3
    waveform = np.stack([burst(frequency(label)) for label in batch])
    target = np.eye(len(COMPETITION_LABELS), dtype="float32")[[COMPETITION_LABELS.index(label) for label in batch]]
    join = joined_words.JoinedWords(400, COMPETITION_LABELS)
    joined, joined_target = (values.numpy() for values in join(waveform, target, (3, 4)))
    assert joined.shape == (400, audio.CLIP_SAMPLES)
    np.testing.assert_array_equal(joined_target.sum(axis=1), 1)
    pairs = set()
    for clip, label_index in zip(joined, joined_target.argmax(axis=1), strict=True):
        first, second = labels_of_halves(clip)
        assert COMPETITION_LABELS[label_index] == (first if first == second else UNKNOWN)
        pairs.add((first, second))
    words = {*COMMANDS, UNKNOWN}
    assert {word for pair in pairs for word in pair} == words
    assert not any({*pair} == {*alike} for pair in pairs for alike in joined_words.ALIKE)
    is_same = joined_target.argmax(axis=1) != COMPETITION_LABELS.index(UNKNOWN)
    assert 0.15 < is_same.mean() < 0.35
    again, other = (join(waveform, target, seed)[0].numpy() for seed in ((3, 4), (3, 5)))
    np.testing.assert_array_equal(joined, again)
    assert not np.array_equal(joined, other)


def test_clip_without_a_partner_is_joined_with_itself():
    target = np.eye(len(COMPETITION_LABELS), dtype="float32")
    for label in (SILENCE, "yes"):
        rows = [COMPETITION_LABELS.index(label), COMPETITION_LABELS.index(SILENCE)]
        waveform = np.stack([burst(frequency(COMPETITION_LABELS[row])) for row in rows])
        joined, joined_target = joined_words.JoinedWords(8, COMPETITION_LABELS)(waveform, target[rows], (0, 1))
        expected = frequency(label)
        assert {COMPETITION_LABELS[row] for row in joined_target.numpy().argmax(axis=1)} == {label}
        for clip in joined.numpy():
            np.testing.assert_allclose(clip, burst(expected), atol=0.02)


def test_vocabulary_without_unknown_is_refused():
    with pytest.raises(ValueError, match=r"`joined_fraction` must be 0 .*'unknown'"):
        joined_words.JoinedWords(4, (*COMMANDS, SILENCE))


def test_they_fill_a_share_of_every_batch(tmp_path):
    labels = [*COMPETITION_LABELS[:4]] * 6
    paths = [str(tmp_path / f"{number}.wav") for number in range(len(labels))]
    for path, label in zip(paths, labels, strict=True):
        audio.write_wav(path, burst(frequency(label)))
    clips_df = pd.DataFrame({"path": paths, "label": labels})
    options = {"batch_size": 16, "shuffle": True, "joined_fraction": 0.25, "seed": 1}
    batches = [*clip_batches.make_dataset(clips_df, **options).as_numpy_iterator()]
    assert [len(waveform) for waveform, _ in batches] == [16, 16]
    for waveform, target in batches:
        assert target[:12, COMPETITION_LABELS.index(UNKNOWN)].sum() == 0
        for clip, label_index in zip(waveform, target.argmax(axis=1), strict=True):
            first, second = labels_of_halves(clip)
            assert COMPETITION_LABELS[label_index] == (first if first == second else UNKNOWN)
    plain_ds = clip_batches.make_dataset(clips_df, batch_size=12, shuffle=True, seed=1)
    for (waveform, _), (own, _) in zip(batches, plain_ds.as_numpy_iterator(), strict=True):
        np.testing.assert_array_equal(waveform[:12], own)
    with pytest.raises(ValueError, match=r"must have a `label` column .*Received: the columns \['path'\]"):
        clip_batches.make_dataset(clips_df[["path"]], joined_fraction=0.25)
    with pytest.raises(ValueError, match=r"must leave room .*joined_fraction=0\.99"):
        clip_batches.make_dataset(clips_df, batch_size=16, joined_fraction=0.99)
