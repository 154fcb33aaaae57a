"""parquet.py: the data set holds what the probability file holds, however often it was begun."""

import json
import os

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("fsspec", reason="needs the extra `cluster`")
pytest.importorskip("pyarrow", reason="needs the extra `cluster`")

import fsspec
import pyarrow.dataset

from kaggle_speech.audio import write_wav
from kaggle_speech.cli.main import main
from kaggle_speech.cluster.parquet import SUCCESS_NAME, predict_to_parquet
from kaggle_speech.inference import load, predict
from kaggle_speech.inference.predict import UnreadableClipsError, predict_to_file


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(predict, "PART_CLIPS", 8)


@pytest.fixture(scope="module")
def recogniser():
    return load.load("tc_resnet")


@pytest.fixture
def clips_df(tmp_path, speech):
    folder = tmp_path / "clips"
    folder.mkdir()
    for number in range(20):
        write_wav(folder / f"clip_{number:02d}.wav", np.roll(speech[number % 4], 300 * number))
    paths = sorted(map(str, folder.iterdir()))
    return pd.DataFrame({"path": paths, "fname": list(map(os.path.basename, paths))})


def read_folder(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_data_set_holds_what_the_file_holds(recogniser, clips_df, tmp_path):
    predictions = predict_to_file(recogniser, clips_df, tmp_path / "a.npz", progress=False)
    predict_to_parquet(recogniser, clips_df, tmp_path / "a.parquet", progress=False)
    table = pyarrow.dataset.dataset(tmp_path / "a.parquet").to_table()
    assert table["name"].to_pylist() == list(predictions.names)
    labels, confidences = predictions.answers()
    assert table["label"].to_pylist() == list(labels)
    np.testing.assert_allclose(table["confidence"].to_numpy(), confidences, rtol=1e-6)
    np.testing.assert_array_equal(np.array(table["probabilities"].to_pylist(), "float32"), predictions.probabilities)
    assert json.loads(table.schema.metadata[b"kaggle_speech"])["vocabulary"] == list(recogniser.vocabulary)
    assert len(pd.read_parquet(tmp_path / "a.parquet")) == 20 and (tmp_path / "a.parquet" / SUCCESS_NAME).exists()


def test_it_continues_and_changes_no_byte(recogniser, clips_df, tmp_path, monkeypatch):
    out_dir = tmp_path / "a.parquet"
    predict_to_parquet(recogniser, clips_df, out_dir, progress=False)
    whole = read_folder(out_dir)
    (out_dir / "00000008.parquet").unlink()
    (out_dir / SUCCESS_NAME).unlink()
    (out_dir / ".0123.partial").write_bytes(b"of a killed worker")
    predicted = []
    predict_part = predict.predict_part

    def watch(model, part, **options):
        predicted.append(part.rows.start)
        return predict_part(model, part, **options)

    monkeypatch.setattr(predict, "predict_part", watch)
    predict_to_parquet(recogniser, clips_df, out_dir, progress=False)
    assert read_folder(out_dir) == whole and predicted == [8]
    predict_to_parquet(recogniser, clips_df, "memory://out/a.parquet", progress=False)
    memory = fsspec.filesystem("memory")
    assert {
        name.rpartition("/")[2]: memory.cat_file(name) for name in memory.ls("/out/a.parquet", detail=False)
    } == whole


def test_other_answers_and_files_are_refused(recogniser, clips_df, tmp_path):
    out_dir = tmp_path / "a.parquet"
    predict_to_parquet(recogniser, clips_df, out_dir, progress=False)
    with pytest.raises(
        ValueError, match=r"a.parquet: must be of the same model, clips and transforms.*'num_clips': 20"
    ):
        predict_to_parquet(recogniser, clips_df[:10], out_dir, progress=False)
    with pytest.raises(ValueError, match=r"clips: must be new, or of a killed call. Received: clip_00.wav"):
        predict_to_parquet(recogniser, clips_df, tmp_path / "clips", progress=False)


def test_bad_clips_are_named_and_the_others_kept(recogniser, clips_df, tmp_path):
    with open(clips_df["path"][9], "wb"):
        pass
    with pytest.raises(UnreadableClipsError, match=r"1 clips must be readable.*\n.*clip_09.wav"):
        predict_to_parquet(recogniser, clips_df, tmp_path / "a.parquet", progress=False)
    assert {path.name for path in (tmp_path / "a.parquet").glob("*.parquet")} == {
        "00000000.parquet",
        "00000016.parquet",
    }


def test_the_command_reads_a_listing_and_writes_either_form(recogniser, clips_df, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clips_df.to_csv("clips.csv", index=False)
    assert main(["probabilities", "--model", "tc_resnet", "--data", "clips.csv", "--out", "a.npz"]) == 0
    assert main(["probabilities", "--model", "tc_resnet", "--data", "clips.csv", "--out", "a.parquet"]) == 0
    assert "answers to 20 clips: a.parquet" in capsys.readouterr().out
    predict_to_file(recogniser, clips_df, tmp_path / "b.npz", progress=False)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert main(["submit", "--model", "tc_resnet", "--data", "clips.csv", "--out", "a.csv"]) == 0
    answers_df = pd.read_csv("a.csv")
    assert list(answers_df["fname"]) == list(clips_df["fname"])
    assert list(answers_df["label"]) == list(pd.read_parquet("a.parquet")["label"])
    assert main(["probabilities", "--data", "clips.csv", "--out", "b.parquet", "--shard", "1/2"]) == 1
    assert "--shard must come with a probability file" in capsys.readouterr().err
    assert main(["probabilities", "--data", "clips.csv", "--out", "c.npz", "--split", "val"]) == 1
    assert "--split must come with a folder of clips" in capsys.readouterr().err
