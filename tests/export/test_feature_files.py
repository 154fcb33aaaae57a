"""convert.py: files hold what librosa and the features compute, and an interrupted call continues where it stopped."""

from pathlib import Path

import librosa
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kaggle_speech import audio, files
from kaggle_speech.data import clip_batches
from kaggle_speech.export import feature_files
from kaggle_speech.features import filters, ops
from kaggle_speech.features.filters import FeatureSpec
from kaggle_speech.models import vgg

LIBROSA = {"sr": 16_000, "n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 40, "fmin": 20, "n_mfcc": 13}


@pytest.fixture
def clips_df(tmp_path, speech):
    """Nine clips, the last one digital silence, in a mixed order."""
    (tmp_path / "clips").mkdir()
    rows = []
    for number, clip in enumerate([*speech, *speech[:, ::-1], np.zeros(16_000)]):
        path = tmp_path / "clips" / f"{number % 3:08x}_nohash_{number}.wav"
        audio.write_wav(path, clip)
        word, label = [("yes", "yes"), ("bed", "unknown")][number % 2]
        rows.append((str(path), word, label, "train" if number < 5 else "val"))
    return pd.DataFrame(rows, columns=["path", "word", "label", "split"]).sample(frac=1, random_state=0)


def read_picture(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")) / 255


def read_npz(path):
    with np.load(path) as table:
        return {name: table[name] for name in table}


def stop_after(monkeypatch, num_files):
    """Stop what writes files after so many of them, the next one half written."""
    files_left, replace_file = [None] * num_files, files.replace_file

    def replace_or_stop(path, write):
        replace_file(path, write if files_left else write_half)
        files_left.pop()

    def write_half(path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(feature_files, "replace_file", replace_or_stop)


# --- pictures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("color_map", ["viridis", "magma"])
def test_spectrogram_pictures_are_those_that_a_model_paints(clips_df, tmp_path, color_map):
    options = {"size": (80, 120), "color_map": color_map, "progress": False}
    paths = feature_files.write_feature_images(clips_df, tmp_path / "out", vgg.SPEC, **options)
    for path, clip_path in zip(paths, clips_df["path"], strict=True):
        expected = ops.spectrogram_image(audio.read_clip(clip_path), vgg.SPEC, 80, 120, color_map)
        assert np.abs(read_picture(path) - np.asarray(expected)).max() <= 1 / 255


@pytest.mark.parametrize(("name", "first"), [("mfcc", 1), ("log_mel_spectrogram", 0)])
def test_other_pictures_span_the_percentiles_of_their_clip(clips_df, tmp_path, name, first):
    options = {"size": (40 - first, 101), "color_map": "gray", "progress": False}  # a pixel a value
    paths = feature_files.write_feature_images(clips_df, tmp_path / "out", features=name, **options)
    for path, clip_path in zip(paths, clips_df["path"], strict=True):
        picture = read_picture(path)[::-1, :, 0].T  # low frequencies are at the bottom
        values = np.asarray(getattr(ops, name)(audio.read_clip(clip_path)))[:, first:]
        low, high = np.percentile(values, [1, 99])
        expected = (values - low) / (high - low) if high - low > 1 else 0 * values  # digital silence
        np.testing.assert_allclose(picture, np.clip(expected, 0, 1), atol=1 / 255)


def test_pictures_are_filed_by_split_and_label(clips_df, tmp_path):
    paths = feature_files.write_feature_images(clips_df, tmp_path / "out", progress=False)
    for path, clip in zip(paths, clips_df.itertuples(), strict=True):
        assert path == tmp_path / "out" / clip.split / clip.label / f"{clip.word}_{Path(clip.path).stem}.png"
    assert {path for path in (tmp_path / "out").rglob("*") if path.is_file()} == set(paths)


def test_interrupted_painting_continues(clips_df, tmp_path, monkeypatch):
    expected = feature_files.write_feature_images(clips_df, tmp_path / "whole", progress=False)
    with monkeypatch.context() as patch:
        stop_after(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            feature_files.write_feature_images(clips_df, tmp_path / "out", progress=False)
    first = [path for path in (tmp_path / "out").rglob("*.png") if not path.name.startswith("partial.")]
    times = [path.stat().st_mtime_ns for path in first]
    paths = feature_files.write_feature_images(clips_df, tmp_path / "out", progress=False)
    assert len(first) == 5 and [path.stat().st_mtime_ns for path in first] == times
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in expected]
    assert not list((tmp_path / "out").rglob("partial.*"))


def test_what_is_missing_or_made_of_something_else_is_painted_again(clips_df, tmp_path):
    paths = feature_files.write_feature_images(clips_df, tmp_path / "out", progress=False)
    before = [path.read_bytes() for path in paths]
    times = [path.stat().st_mtime_ns for path in paths]
    paths[0].unlink()
    paths[1].write_bytes(b"no picture")
    audio.write_wav(clips_df["path"].iloc[2], np.ones(8_000))
    feature_files.write_feature_images(clips_df, tmp_path / "out", progress=False)
    assert [path.read_bytes() for path in paths[:2]] == before[:2] and paths[2].read_bytes() != before[2]
    assert [path.stat().st_mtime_ns for path in paths[3:]] == times[3:]
    feature_files.write_feature_images(clips_df, tmp_path / "out", vgg.SPEC, progress=False)
    assert not any(path.read_bytes() == old for path, old in zip(paths, before, strict=True))


def test_two_clips_of_one_name_are_an_error(clips_df, tmp_path):
    with pytest.raises(ValueError, match=r"must name each clip once. Received: two for .*_nohash_\d.png"):
        feature_files.write_feature_images(pd.concat([clips_df, clips_df[:1]]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- tables -------------------------------------------------------------------------------------------------------


def read_table(path):
    """Features and labels of a table with 13 coefficients."""
    if path.suffix == ".npz":
        table = read_npz(path)
        return table["features"], list(table["labels"])
    table_df = pd.read_csv(path)
    assert [*table_df.columns[:15]] == ["label", *(f"0_{index}" for index in range(13)), "1_0"]
    return table_df.iloc[:, 1:].to_numpy().reshape(len(table_df), -1, 13), list(table_df["label"])


@pytest.mark.parametrize("name", ["table.npz", "table.csv"])
def test_tables_hold_librosas_mfcc(clips_df, tmp_path, monkeypatch, name):
    monkeypatch.setattr(feature_files, "SHARD_SIZE", 5)
    path = feature_files.write_feature_table(
        clips_df, str(tmp_path / "new" / name), FeatureSpec(num_mfcc=13), progress=False
    )
    values, labels = read_table(path)
    assert values.shape == (9, 101, 13) and labels == list(clips_df["label"])
    for row, clip_path in zip(values, clips_df["path"], strict=True):
        expected = librosa.feature.mfcc(y=audio.read_clip(clip_path).astype("float64"), **LIBROSA)
        np.testing.assert_allclose(row.T, expected, rtol=1e-5, atol=1e-3)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("features_name", "shape"), [("spectrogram", (101, 257)), ("log_mel_spectrogram", (101, 40))])
def test_npz_of_the_other_features(clips_df, tmp_path, features_name, shape):
    path = feature_files.write_feature_table(clips_df, tmp_path / "table.npz", features=features_name, progress=False)
    table = read_npz(path)
    assert table["features"].dtype == np.float32 and table["features"].shape == (9, *shape)
    assert list(table["paths"]) == list(clips_df["path"])
    power = np.asarray(ops.power_spectrogram(audio.read_clip(table["paths"][0])))
    power = power if features_name == "spectrogram" else power @ filters.mel_matrix(FeatureSpec())
    np.testing.assert_allclose(table["features"][0], librosa.power_to_db(power), atol=1e-3)


@pytest.mark.parametrize("name", ["table.npz", "table.csv"])
def test_interrupted_table_continues(clips_df, tmp_path, monkeypatch, name):
    spec = FeatureSpec(num_mfcc=13)
    monkeypatch.setattr(feature_files, "SHARD_SIZE", 4)  # batches of another size differ in the last bits
    expected = feature_files.write_feature_table(clips_df, tmp_path / "whole" / name, spec, progress=False)
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            feature_files.write_feature_table(clips_df, tmp_path / name, spec, progress=False)
    assert not (tmp_path / name).exists()
    computed, make_dataset = [], clip_batches.make_dataset
    monkeypatch.setattr(
        feature_files, "make_dataset", lambda df, **options: computed.extend(df["path"]) or make_dataset(df)
    )
    path = feature_files.write_feature_table(clips_df, tmp_path / name, spec, progress=False)
    assert computed == list(clips_df["path"][8:])
    for values, expected_values in zip(read_table(path), read_table(expected), strict=True):
        np.testing.assert_array_equal(values, expected_values)
    assert not list(tmp_path.glob(".*")) and not list(tmp_path.glob("partial.*"))


def test_other_settings_do_not_continue_an_interrupted_table(clips_df, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            feature_files.write_feature_table(clips_df, tmp_path / "table.npz", progress=False)
    path = feature_files.write_feature_table(
        clips_df[:4], tmp_path / "table.npz", FeatureSpec(num_mfcc=13), progress=False
    )
    assert read_npz(path)["features"].shape == (4, 101, 13)
    assert not list(tmp_path.glob(".*"))


def test_other_endings_are_an_error(clips_df, tmp_path):
    with pytest.raises(ValueError, match=r"`out_path` must end in one of \['.csv', '.npz'\]. Received: .*table.h5"):
        feature_files.write_feature_table(clips_df, tmp_path / "table.h5")


# --- both ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [feature_files.write_feature_images, feature_files.write_feature_table])
def test_bad_input(clips_df, tmp_path, write):
    out_path = tmp_path / "out.npz"
    with pytest.raises(ValueError, match=r"`features` must be one of .* Received: features='chroma'"):
        write(clips_df, out_path, features="chroma")
    with pytest.raises(ValueError, match=r"must have clips.* Received: 0"):
        write(clips_df[:0], out_path)
    with pytest.raises(ValueError, match=r"must have clips.* gaps in \['label'\]"):
        write(clips_df.assign(label=[None, *clips_df["label"][1:]]), out_path)
    with pytest.raises(ValueError, match=r"gaps in \['path'\]"):
        write(clips_df.drop(columns="path"), out_path)
    with pytest.raises(ValueError, match=r"must hold clips.* Received: noise recordings"):
        write(clips_df.assign(split="noise"), out_path)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.wav"):
        write(clips_df.assign(path="nowhere.wav", word=[f"word_{row}" for row in range(9)]), out_path)
    Path(clips_df["path"].iloc[0]).write_bytes(b"no audio")
    with pytest.raises(Exception, match=r"must have a data chunk|must be an audio file") as raised:
        write(clips_df, out_path, progress=False)
    assert clips_df["path"].iloc[0] in str(raised.value)
    assert not out_path.is_file()
