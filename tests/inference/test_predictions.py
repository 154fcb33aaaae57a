"""predictions.py: round trips, the same bytes for the same content, and shards that make a whole or an error."""

import dataclasses
import hashlib
import zipfile

import numpy as np
import pytest

from kaggle_speech.inference.answers import Rejection
from kaggle_speech.inference.predictions import Predictions, merge_shards, read_predictions
from kaggle_speech.labels import COMMANDS, COMPETITION_LABELS


def make_file(names=("a.wav", "b.wav"), num_labels=3, **settings):
    probabilities = np.random.default_rng(len(names)).random((len(names), num_labels)).astype("float32")
    return Predictions(np.array(names), probabilities, tuple("xyz"[:num_labels]), {"model": "m", **settings})


def test_round_trip_and_the_same_bytes(tmp_path):
    file = make_file()
    for name in ("1.npz", "2.npz"):
        file.save(tmp_path / name)
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()
    found = read_predictions(tmp_path / "1.npz")
    np.testing.assert_array_equal(found.probabilities, file.probabilities)
    assert list(found.names) == list(file.names)
    assert (found.vocabulary, found.settings, found.rejection) == (file.vocabulary, file.settings, Rejection())
    rejecting = dataclasses.replace(file, rejection=Rejection("margin", 2.0, 0.25))
    rejecting.save(tmp_path / "3.npz")
    assert read_predictions(tmp_path / "3.npz").rejection == rejecting.rejection


def test_the_file_is_that_of_earlier_versions(tmp_path):
    """Digests of the members of a file of version 0.1.0, in their order; one that was begun then is continued."""
    probabilities = np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]], "float32")
    settings = {"num_clips": 2, "model": "m"}
    Predictions(["a.wav", "b.wav"], probabilities, ("x", "y", "z"), settings).save(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        digests = {name: hashlib.sha256(archive.read(name)).hexdigest()[:16] for name in archive.namelist()}
    assert list(digests.items()) == [
        ("names.npy", "d7bace8d25c9d422"),
        ("probabilities.npy", "1bbc1d17875afee8"),
        ("vocabulary.npy", "399d74cf5a39e1e6"),
        ("settings.npy", "5ffd3bde62a6dabe"),
    ]


def test_rows_keep_what_belongs_to_them(rng):
    logits = rng.normal(size=(3, 12))
    probabilities = rng.dirichlet(np.ones(12), 3)
    names = ["a.wav", "b.wav", "c.wav"]
    whole = Predictions(names, probabilities, COMPETITION_LABELS, {"model": "m"}, logits, Rejection(threshold=2.0))
    for rows in ([True, False, True], [0, 2]):
        part = whole.rows(rows)
        assert list(part.names) == ["a.wav", "c.wav"] and len(part) == 2 and part.settings == {"model": "m"}
        np.testing.assert_array_equal(part.logits, logits[[0, 2]])
        np.testing.assert_array_equal(part.competition(), probabilities[[0, 2]])
        assert part.rejection == whole.rejection
    best = np.array(COMPETITION_LABELS)[probabilities.argmax(axis=1)]
    assert list(whole.with_threshold(-np.inf).labels()) == list(best)
    assert list(whole.labels()) == list(np.where(np.isin(best, COMMANDS), "unknown", best))
    with pytest.raises(ValueError, match=r"`logits` must have a row for each name .* Received: shape=\(2, 12\)"):
        Predictions(names, probabilities, COMPETITION_LABELS, logits=logits[:2])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_bytes(b""), "must be a probability file"),
        (lambda path: path.write_text("names"), "must be a probability file"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)), "must be a probability file"),
        (lambda path: np.savez(path.open("wb"), names=["a"]), "must hold"),
        (lambda path: np.save(path.open("wb"), np.zeros(3)), "must be a probability file"),
    ],
)
def test_files_that_are_none(tmp_path, write, message):
    write(tmp_path / "bad.npz")
    with pytest.raises(ValueError, match=f"bad.npz: {message}"):
        read_predictions(tmp_path / "bad.npz")


def test_a_truncated_file_is_named(tmp_path):
    make_file().save(tmp_path / "bad.npz")
    content = (tmp_path / "bad.npz").read_bytes()
    (tmp_path / "bad.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"bad.npz: must be a probability file"):
        read_predictions(tmp_path / "bad.npz")


def test_values_that_are_no_probabilities(tmp_path):
    file = make_file()
    file.probabilities[0, 0] = np.nan
    file.save(tmp_path / "bad.npz")
    with pytest.raises(ValueError, match=r"bad.npz: probabilities must be numbers from 0 up"):
        read_predictions(tmp_path / "bad.npz")
    with pytest.raises(ValueError, match=r"`probabilities` must have a row for each name"):
        Predictions(np.array(["a"]), np.zeros((2, 3)), tuple("xyz"), {})


@pytest.fixture
def shard_paths(tmp_path):
    """Three shards of the same whole."""
    paths = [tmp_path / f"{number}.npz" for number in (1, 2, 3)]
    for number, path in enumerate(paths, start=1):
        make_file([f"{number}_{row}.wav" for row in range(number)], shard=[number, 3]).save(path)
    return paths


def test_shards_merge_in_any_order(shard_paths, tmp_path):
    whole = merge_shards(shard_paths[::-1])
    assert list(whole.names) == ["1_0.wav", "2_0.wav", "2_1.wav", "3_0.wav", "3_1.wav", "3_2.wav"]
    assert whole.settings == {"model": "m"}
    np.testing.assert_array_equal(whole.probabilities[1:3], read_predictions(shard_paths[1]).probabilities)


def test_shards_merge_with_their_rejection(shard_paths):
    for path in shard_paths:
        dataclasses.replace(read_predictions(path), rejection=Rejection(threshold=0.5)).save(path)
    assert merge_shards(shard_paths).rejection == Rejection(threshold=0.5)
    dataclasses.replace(read_predictions(shard_paths[2]), rejection=Rejection(threshold=0.6)).save(shard_paths[2])
    with pytest.raises(ValueError, match=r"3.npz: must be a shard of the same whole as .*0\.5.*Received: .*0\.6"):
        merge_shards(shard_paths)


def test_shards_that_make_no_whole(shard_paths, tmp_path):
    with pytest.raises(ValueError, match=r"all 3 shards must be there. Received: none of number \[2\]"):
        merge_shards([shard_paths[0], shard_paths[2]])
    with pytest.raises(ValueError, match=r"1.npz: each shard must be there once. Received: 1 of 3 twice"):
        merge_shards([*shard_paths, shard_paths[0]])
    other = {"model.npz": {"shard": [2, 3], "model": "n"}, "count.npz": {"shard": [2, 4]}}
    for name, settings in other.items():
        make_file(**settings).save(tmp_path / name)
        with pytest.raises(ValueError, match=f"{name}: must be a shard of the same whole"):
            merge_shards([shard_paths[0], tmp_path / name])
    make_file().save(tmp_path / "whole.npz")
    with pytest.raises(ValueError, match=r"whole.npz: must be a shard. Received"):
        merge_shards([tmp_path / "whole.npz"])
