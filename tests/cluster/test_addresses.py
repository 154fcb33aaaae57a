"""addresses.py: recordings in CSVs, tar shards, Parquet and at addresses are, byte for byte, those of the folder."""

import io
import os
import tarfile

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("fsspec", reason="needs the extra `cluster`")
pytest.importorskip("pyarrow", reason="needs the extra `cluster`")

import fsspec
import pyarrow
import pyarrow.parquet

from kaggle_speech.audio import AudioBytes, read_clips, write_wav
from kaggle_speech.cluster.addresses import find_recordings, is_listing, read_recordings
from kaggle_speech.inference import load


@pytest.fixture
def clips_dir(tmp_path, speech):
    """Nine clips in two folders of words, and what is no clip."""
    for number in range(9):
        folder = tmp_path / "clips" / ("yes", "no")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        write_wav(folder / f"{number}.wav", np.roll(speech[number % 4], 500 * number)[: 16_000 - 100 * number])
    (tmp_path / "clips" / "yes" / "._1.wav").write_bytes(b"of macOS")
    (tmp_path / "clips" / "notes.txt").write_text("no clip")
    return tmp_path / "clips"


def write_shards(clips_dir, folder, tar_format=tarfile.PAX_FORMAT):
    """Two tar shards as WebDataset wants them: a clip and a JSON of the same name, one after the other."""
    paths = sorted(clips_dir.rglob("*.wav"))
    for number, members in enumerate((paths[:4], paths[4:])):
        with tarfile.open(folder / f"clips-{number:04d}.tar", "w", format=tar_format) as tar:
            for path in members:
                tar.add(path, path.relative_to(clips_dir))
                content = b'{"speaker": "' + b"s" * 700 + b'"}'
                info = tarfile.TarInfo(str(path.relative_to(clips_dir).with_suffix(".json")))
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


def write_parquet(clips_dir, folder, row_group_size=2):
    """Two files like those of `Dataset.to_parquet` of Hugging Face `datasets`, with a text beside the audio."""
    audio = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    features = b'{"info": {"features": {"text": {"_type": "Value"}, "sound": {"_type": "Audio"}}}}'
    schema = pyarrow.schema([("text", pyarrow.string()), ("sound", audio)], metadata={"huggingface": features})
    paths = sorted(clips_dir.rglob("[0-9].wav"))
    for number, chosen in enumerate((paths[:5], paths[5:])):
        rows = [{"bytes": path.read_bytes(), "path": path.name} for path in chosen]
        table = pyarrow.table([[path.parent.name for path in chosen], pyarrow.array(rows, audio)], schema=schema)
        path = folder / f"train-{number:05d}-of-00002.parquet"
        pyarrow.parquet.write_table(table, path, row_group_size=row_group_size)


def contents(recordings):
    return [item.content if isinstance(item, AudioBytes) else open(item, "rb").read() for item in recordings]


def expected_contents(clips_dir):
    return [path.read_bytes() for path in sorted(clips_dir.rglob("[0-9].wav"))]


@pytest.mark.parametrize("tar_format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("source", ["*.tar", "clips-{0000..0001}.tar", ""])
def test_members_of_shards_are_the_files(clips_dir, tmp_path, source, tar_format):
    (tmp_path / "shards").mkdir()
    write_shards(clips_dir, tmp_path / "shards", tar_format)
    clips_df = find_recordings(f"{tmp_path}/shards/{source}")
    assert list(clips_df["fname"]) == [
        str(path.relative_to(clips_dir)) for path in sorted(clips_dir.rglob("[0-9].wav"))
    ]
    assert contents(read_recordings(clips_df["path"])) == expected_contents(clips_dir)
    shuffled_df = clips_df.sample(frac=1, random_state=0)
    assert contents(read_recordings(shuffled_df["path"])) == [
        (clips_dir / name).read_bytes() for name in shuffled_df["fname"]
    ]


@pytest.mark.parametrize("row_group_size", [1, 2, 100])
def test_rows_of_parquet_are_the_files(clips_dir, tmp_path, row_group_size):
    (tmp_path / "data").mkdir()
    write_parquet(clips_dir, tmp_path / "data", row_group_size)
    clips_df = find_recordings(tmp_path / "data")
    assert list(clips_df["fname"]) == [path.name for path in sorted(clips_dir.rglob("[0-9].wav"))]
    assert contents(read_recordings(clips_df["path"])) == expected_contents(clips_dir)
    assert contents(read_recordings(clips_df["path"][3:7])) == expected_contents(clips_dir)[3:7]


@pytest.mark.parametrize("is_embedded", [True, False])
def test_parquet_of_hugging_face(clips_dir, tmp_path, is_embedded):
    """The layout of data sets on the hub, and that of `to_parquet`, which leaves the bytes in the files."""
    datasets = pytest.importorskip("datasets", reason="needs the package datasets")
    paths = sorted(clips_dir.rglob("[0-9].wav"))
    dataset = datasets.Dataset.from_dict({"audio": list(map(str, paths))}).cast_column("audio", datasets.Audio())
    if is_embedded:
        dataset = dataset.with_format("arrow").map(datasets.table.embed_table_storage, batched=True)
    dataset.to_parquet(tmp_path / "data.parquet")
    clips_df = find_recordings(tmp_path / "data.parquet")
    assert [os.path.basename(name) for name in clips_df["fname"]] == [path.name for path in paths]
    recordings = read_recordings(clips_df["path"])
    assert contents(recordings) == expected_contents(clips_dir)
    assert {isinstance(recording, AudioBytes) for recording in recordings} == {is_embedded}


def test_files_of_a_csv(clips_dir, tmp_path):
    paths = sorted(clips_dir.rglob("[0-9].wav"))
    names = [str(path.relative_to(tmp_path)) if row % 2 else str(path) for row, path in enumerate(paths)]
    pd.DataFrame({"speaker": "s", "path": names}).to_csv(tmp_path / "clips.csv", index=False)
    clips_df = find_recordings(tmp_path / "clips.csv")
    assert list(map(os.path.realpath, clips_df["path"])) == list(map(os.path.realpath, paths))
    assert read_recordings(clips_df["path"]) == list(clips_df["path"])  # files stay files, which are read quickest
    pd.DataFrame({"path": names, "fname": range(9)}).to_csv(tmp_path / "named.csv", index=False)
    assert list(find_recordings(tmp_path / "named.csv")["fname"]) == list("012345678")


@pytest.mark.parametrize("source", ["", "*/*.wav", "clips.csv", "clips-0000.tar", "train-00000-of-00002.parquet"])
def test_addresses_are_read_as_folders_are(clips_dir, tmp_path, source):
    write_shards(clips_dir, tmp_path)
    write_parquet(clips_dir, tmp_path)
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    for path in sorted(clips_dir.rglob("[0-9].wav")):
        memory.pipe_file(f"/bucket/{path.relative_to(clips_dir)}", path.read_bytes())
    memory.pipe_file("/bucket/clips.csv", b"path\nno/1.wav\nmemory://bucket/no/3.wav\n")
    for path in (*tmp_path.glob("*.tar"), *tmp_path.glob("*.parquet")):
        memory.pipe_file(f"/bucket/{path.name}", path.read_bytes())
    clips_df = find_recordings(f"memory://bucket/{source}")
    found = contents(read_recordings(clips_df["path"]))
    assert found == expected_contents(clips_dir)[: len(found)] and len(found) == {
        "clips.csv": 2,
        "": 9,
        "*/*.wav": 9,
    }.get(source, 5 if "parquet" in source else 4)
    waveform, errors = read_clips(read_recordings(["memory://bucket/no/1.wav", "memory://bucket/no/gone.wav"]))
    assert waveform[0].any() and "memory://bucket/no/gone.wav (FileNotFoundError" in errors[0]


def test_other_features_and_empty_cells_of_parquet(clips_dir, tmp_path):
    """A list as a feature, a cell without audio, and an ending in capitals."""
    write_parquet(clips_dir, tmp_path)
    path = tmp_path / "train-00000-of-00002.parquet"
    table = pyarrow.parquet.read_table(path)
    features = b'{"info": {"features": {"tags": [{"_type": "Value"}], "sound": {"_type": "Audio"}}}}'
    sounds = pyarrow.array([*table["sound"].to_pylist()[:2], None], table["sound"].type)
    schema = pyarrow.schema([("sound", sounds.type)], metadata={"huggingface": features})
    pyarrow.parquet.write_table(pyarrow.table([sounds], schema=schema), tmp_path / "B.PARQUET")
    clips_df = find_recordings(tmp_path / "B.PARQUET")
    recordings = read_recordings(clips_df["path"])
    assert contents(recordings) == [*expected_contents(clips_dir)[:2], b""]
    _, errors = read_clips(recordings)
    assert len(errors) == 1 and "B.PARQUET#sound:2" in errors[0]


def test_names_with_characters_of_patterns(clips_dir):
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    names = ["take [1].wav", "take 1.wav", "why?.wav"]
    for name, content in zip(names, expected_contents(clips_dir), strict=False):
        memory.pipe_file(f"/bucket/{name}", content)
    addresses = [f"memory://bucket/{name}" for name in names]
    assert contents(read_recordings(addresses)) == expected_contents(clips_dir)[:3]
    assert contents(read_recordings(addresses[:1])) == expected_contents(clips_dir)[:1]
    assert contents(read_recordings(["memory://bucket/gone [1].wav"])) == [b""]


def test_what_cannot_be_read_is_named(clips_dir, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.tar").write_bytes(b"no tar" * 1000)
    (tmp_path / "a.parquet").write_bytes(b"no parquet")
    (tmp_path / "a.csv").write_text("file\na.wav\n")
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"]}), tmp_path / "text.parquet")
    for name, message in {
        "a.tar": "must be an uncompressed tar",
        "a.parquet": "must be a Parquet file",
        "text.parquet": r"must have a column of audio.*columns \['text'\]",
        "a.csv": r"must have a column `path`. Received: columns \['file'\]",
        "a.*": "must be files of one kind. Received: .csv, .parquet, .tar",
        "empty": "must be files of one kind. Received: none",
    }.items():
        with pytest.raises(ValueError, match=message):
            find_recordings(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"gone.tar: no such file"):
        find_recordings(tmp_path / "gone.tar")


def test_a_truncated_shard_is_an_error_of_the_clip(clips_dir, tmp_path):
    write_shards(clips_dir, tmp_path)
    clips_df = find_recordings(tmp_path / "clips-0000.tar")
    with open(tmp_path / "clips-0000.tar", "r+b") as file:
        file.truncate(int(clips_df["path"].iloc[-1].rpartition("@")[2].split("+")[0]) + 100)
    _, errors = read_clips(read_recordings(clips_df["path"]))
    assert len(errors) == 1 and clips_df["path"].iloc[-1] in errors[0] and "truncated" in errors[0]


def test_what_counts_as_a_listing():
    assert all(map(is_listing, ("a.csv", "A.CSV", "x/*.tar", "a-{00..10}.parquet", "s3://bucket/folder", "hf://data")))
    assert not any(map(is_listing, (None, "clips", "clips.csv.d", "a.wav")))


def test_texts_of_content_are_those_of_files(sentences_dir, tmp_path):
    paths = sorted(sentences_dir.rglob("*.flac"))[:2]
    with tarfile.open(tmp_path / "sentences.tar", "w") as tar:
        for path in paths:
            tar.add(path, path.name)
    transcriber = load.load("resnet_ctc")
    texts = transcriber.transcribe(paths)
    assert all(text.words for text in texts)
    assert transcriber.transcribe(read_recordings(find_recordings(tmp_path / "sentences.tar")["path"])) == texts
