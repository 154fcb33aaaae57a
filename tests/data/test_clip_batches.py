"""dataset.py against audio.py, file by file, and the promises about order, seeds and memory."""

import numpy as np
import pandas as pd
import pytest
import soundfile
import tensorflow as tf

from kaggle_speech import audio
from kaggle_speech.data import clip_batches, clips
from kaggle_speech.data.augmentation import Augmentation
from kaggle_speech.labels import COMMANDS, COMPETITION_LABELS


@pytest.fixture
def clips_df(tmp_path, rng):
    """Fifty clips: the usual files, shorter and longer ones, and every kind that needs the other reader."""
    paths = []
    for number in range(50):
        path = tmp_path / f"clip_{number:02d}.wav"
        waveform = 0.3 * rng.standard_normal((9_000, 16_000, 16_000, 20_000)[number % 4])
        kind = number % 7
        if kind == 0:
            soundfile.write(path, waveform, 16_000, subtype="FLOAT")
        elif kind == 1:
            soundfile.write(path, waveform, 8_000, subtype="PCM_24")
        elif kind == 2:
            soundfile.write(path, np.stack([waveform, waveform], axis=1), 16_000)
        elif kind == 3:  # the usual header, then a chunk after the samples
            audio.write_wav(path, waveform)
            path.write_bytes(path.read_bytes() + b"LIST\x04\0\0\0INFO")
        else:
            audio.write_wav(path, waveform)
        paths.append(str(path))
    return pd.DataFrame({"path": paths, "label": [COMPETITION_LABELS[number % 12] for number in range(50)]})


def collect(batches_ds):
    waveforms, one_hot = zip(*batches_ds.as_numpy_iterator(), strict=True)
    return np.concatenate(waveforms), np.concatenate(one_hot)


def test_every_file_is_what_the_slow_reader_reads(clips_df):
    waveforms, one_hot = collect(clip_batches.make_dataset(clips_df, batch_size=8))
    expected = np.array([audio.read_clip(path) for path in clips_df["path"]])
    np.testing.assert_allclose(waveforms, np.clip(expected, -1, 32_767 / 32_768), atol=1 / 32_768)
    assert [COMPETITION_LABELS[row.argmax()] for row in one_hot] == list(clips_df["label"])


def test_usual_files_do_not_take_the_slow_reader(clips_df, monkeypatch):
    usual_df = clips_df[[number % 7 > 3 for number in range(50)]]
    monkeypatch.setattr(clip_batches, "read_clip", lambda path: pytest.fail(f"slow reader called for {path}"))
    assert len(collect(clip_batches.make_dataset(usual_df))[0]) == len(usual_df)


@pytest.mark.parametrize("batch_size", [1, 7, 50, 64])
def test_order_and_number_do_not_depend_on_the_batch(clips_df, batch_size):
    batches_ds = clip_batches.make_dataset(clips_df, batch_size=batch_size)
    assert len(batches_ds) == -(-50 // batch_size) == len(list(batches_ds))
    np.testing.assert_array_equal(
        collect(batches_ds)[0], collect(clip_batches.make_dataset(clips_df, batch_size=50))[0]
    )


def test_same_seed_same_batches_each_pass_its_own(clips_df):
    def passes(seed):
        noise = np.random.default_rng(0).standard_normal(40_000).astype("float32")
        options = {"shuffle": True, "augmentation": Augmentation(), "noise": noise, "seed": seed}
        batches_ds = clip_batches.make_dataset(clips_df, batch_size=4, **options)
        return [collect(batches_ds) for _ in range(2)]

    first, again, other = passes(5), passes(5), passes(6)
    for (waveforms, one_hot), (same_waveforms, same_one_hot) in zip(first, again, strict=True):
        np.testing.assert_array_equal(waveforms, same_waveforms)
        np.testing.assert_array_equal(one_hot, same_one_hot)
    assert not np.array_equal(first[0][1], first[1][1])
    assert not np.array_equal(first[0][1], other[0][1])
    assert sorted(map(tuple, first[0][1])) == sorted(map(tuple, first[1][1]))  # every clip once a pass


def test_augmentation_changes_clips_and_none_does_not(clips_df):
    plain = collect(clip_batches.make_dataset(clips_df))[0]
    np.testing.assert_array_equal(plain, collect(clip_batches.make_dataset(clips_df))[0])
    augmented = collect(clip_batches.make_dataset(clips_df, augmentation=Augmentation()))[0]
    assert (np.abs(plain - augmented).max(axis=1) > 0.01).all()


@pytest.mark.parametrize("in_memory", [True, False])
def test_cache_gives_the_same_clips(clips_df, tmp_path, in_memory):
    cache = "memory" if in_memory else tmp_path / "cache"
    plain = collect(clip_batches.make_dataset(clips_df, shuffle=True, seed=1))
    cached = collect(clip_batches.make_dataset(clips_df, shuffle=True, seed=1, cache=cache))
    for expected, received in zip(plain, cached, strict=True):
        np.testing.assert_array_equal(expected, received)


def test_cache_on_disk_is_found_again_and_made_anew_for_changed_files(clips_df, tmp_path):
    paths = list(clips_df["path"])
    first = clip_batches.decode_to_cache(paths, tmp_path / "cache", progress=False)
    assert first.dtype == np.int16 and isinstance(first, np.memmap)
    clip_batches.decode_to_cache(paths, tmp_path / "cache", progress=False)
    assert len(list((tmp_path / "cache").iterdir())) == 1
    audio.write_wav(paths[4], np.zeros(8_000))
    changed = clip_batches.decode_to_cache(paths, tmp_path / "cache", progress=False)
    np.testing.assert_array_equal(changed[4], 0)


@pytest.mark.parametrize("batch_size", [8, 64])
@pytest.mark.parametrize("is_labelled", [True, False])
def test_whole_batches_end_with_the_first_clips_of_the_pass(clips_df, batch_size, is_labelled):
    """Those before are the same as without, and the size is known before the first batch is made."""
    frame = clips_df if is_labelled else clips_df[["path"]]
    options = {"batch_size": batch_size, "shuffle": True}
    plain, whole = (clip_batches.make_dataset(frame, whole_batches=is_whole, **options) for is_whole in (False, True))
    assert tf.nest.flatten(whole.element_spec)[0].shape[0] == batch_size and len(whole) == len(plain)
    if is_labelled:
        plain, whole = (batches_ds.map(lambda waveform, _: waveform) for batches_ds in (plain, whole))
    waveforms = np.concatenate(list(plain.as_numpy_iterator()))
    num_rows = len(plain) * batch_size
    expected = waveforms[np.arange(num_rows) % len(waveforms)]
    np.testing.assert_array_equal(np.concatenate(list(whole.as_numpy_iterator())), expected)


def test_frame_without_labels_gives_waveforms_alone(clips_df):
    (waveform,) = clip_batches.make_dataset(clips_df[["path"]].head(3))
    assert waveform.shape == (3, 16_000) and waveform.dtype == tf.float32


def test_bad_frames(clips_df):
    with pytest.raises(ValueError, match="at least one clip"):
        clip_batches.make_dataset(clips_df.head(0))
    with pytest.raises(ValueError, match=r"labels of the vocabulary .* Received: \['nonsense'\]"):
        clip_batches.make_dataset(clips_df.assign(label="nonsense"))


@pytest.mark.parametrize("content", [b"", b"no sound", None])
def test_bad_file_is_named(clips_df, tmp_path, content):
    path = tmp_path / "clip_20.wav"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(tf.errors.OpError, match=r"clip_20\.wav"):
        collect(clip_batches.make_dataset(clips_df))


def test_mixup_blends_a_share_of_the_batches(clips_df):
    """Clips of a frequency each: what is in a mixed clip can be looked up in its target."""
    options = {"batch_size": 4, "shuffle": True, "seed": 5}
    clips_df = pd.concat([clips_df] * 10)
    plain = [target for _, target in clip_batches.make_dataset(clips_df, **options).as_numpy_iterator()]
    mixed = [
        target for _, target in clip_batches.make_dataset(clips_df, mixup_fraction=0.5, **options).as_numpy_iterator()
    ]
    is_mixed = [not np.isin(target, (0, 1)).all() for target in mixed]
    assert 0.2 < np.mean(is_mixed) < 0.8
    for before, after, was_mixed in zip(plain, mixed, is_mixed, strict=True):
        np.testing.assert_allclose(after.sum(axis=1), 1, atol=1e-6)
        if not was_mixed:
            np.testing.assert_array_equal(before, after)


def test_pseudo_labelled_clips_fill_a_share_of_every_batch(clips_df):
    labels = COMPETITION_LABELS[:2]
    clips_df = clips_df.assign(label=labels[0])
    pseudo_df = clips_df.head(7).assign(label=labels[1])
    options = {"batch_size": 16, "shuffle": True, "pseudo_df": pseudo_df, "pseudo_fraction": 0.25, "seed": 3}
    ds = clip_batches.make_dataset(clips_df, labels, **options)
    passes = [[target.numpy() for _, target in ds] for _ in range(2)]
    assert ds.cardinality() == len(passes[0]) == 5  # 50 clips, 12 a batch
    for targets in passes:
        assert [int(target[:, 1].sum()) for target in targets] == [4] * 5
        assert sum(int(target[:, 0].sum()) for target in targets) == 50
    again = [target.numpy() for _, target in clip_batches.make_dataset(clips_df, labels, **options)]
    for one, other in zip(passes[0], again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_datasets_are_of_their_splits_and_of_the_seed(make_data):
    speakers = [f"{number:08x}" for number in range(40)]
    table_df, _ = clips.read_clips_table(make_data([*COMMANDS, "bed"], speakers), progress=False)
    options = {"augmentation": Augmentation(), "batch_size": 32, "seed": 3}
    train_ds, tune_ds = clip_batches.make_datasets(table_df, **options)
    again_ds, _ = clip_batches.make_datasets(table_df, **options)
    np.testing.assert_array_equal(collect(train_ds)[0], collect(again_ds)[0])
    train_df = clips.prepare_clips(table_df, "train", seed=3)
    tune_df = clips.prepare_clips(table_df, "tune")
    assert collect(train_ds)[1].sum(axis=0).tolist() == clips.count_table(train_df).loc["train"].tolist()
    tune_waveforms, tune_targets = collect(tune_ds)
    expected = np.array([audio.read_clip(path) for path in tune_df["path"]])
    np.testing.assert_allclose(tune_waveforms, expected, atol=1 / 32_768)
    assert [COMPETITION_LABELS[row.argmax()] for row in tune_targets] == [*tune_df["label"]]
    few_ds, _ = clip_batches.make_datasets(table_df, num_clips=5)
    assert len(collect(few_ds)[0]) == 5
