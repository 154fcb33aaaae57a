"""`--ray` without Ray, with a wrong address, or where it has no meaning: one line, before anything is done."""

import sys

import pytest

from kaggle_speech.cli.main import main
from kaggle_speech.cluster import addresses, parquet, ray_map


@pytest.fixture
def wav_path(make_data, tmp_path):
    return make_data(["yes"]) / "test" / "audio" / "clip_000000000.wav"


@pytest.mark.parametrize(
    "arguments",
    [
        ["probabilities", "--data", ".", "--out", "a.npz"],
        ["submit", "--data", ".", "--out", "a.csv"],
        ["transcribe", "test/audio"],
    ],
)
def test_without_ray_its_extra_is_named(arguments, wav_path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([*arguments, "--ray"]) == 1
    assert 'needs the package ray; `pip install "kaggle_speech[cluster]"` brings it' in capsys.readouterr().err
    assert not (tmp_path / "a.npz.parts").exists()


def test_without_fsspec_and_pyarrow_their_extra_is_named(monkeypatch, tmp_path, capsys):
    (tmp_path / "a.csv").write_text("path\na.wav\n")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    assert main(["probabilities", "--data", str(tmp_path / "a.csv"), "--out", str(tmp_path / "a.npz")]) == 1
    assert 'need fsspec; `pip install "kaggle_speech[cluster]"` brings it' in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"Parquet needs pyarrow; `pip install"):
        addresses.import_parquet()
    with pytest.raises(ImportError, match=r"Parquet needs pyarrow; `pip install"):
        parquet.predict_to_parquet(None, None, tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "--ray"], "--ray must come with --folds. Received: --ray without it"),
        (["transcribe", "--live", "--ray"], "`--ray` must be given without `--live` and subtitles"),
        (["transcribe", "a.wav", "--format", "srt", "--ray"], "`--ray` must be given without `--live` and subtitles"),
    ],
)
def test_options_that_would_be_ignored_are_refused(arguments, message, capsys):
    assert main(arguments) == 1
    assert message in capsys.readouterr().err


def test_addresses_of_clusters():
    for address in ("auto", "local", "head:6379", "10.0.0.1:6379"):
        assert ray_map.ADDRESS.fullmatch(address)
    for address in ("a.wav", "head", "http://head:8265", "ray://head:10001"):
        with pytest.raises(ValueError, match=f"`--ray` must be auto, local or .* Received: {address}"):
            ray_map.connect(address)
