"""Commands that use a model: rows in three formats, files and folders, streams, words of your own."""

import builtins
import csv
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from kaggle_speech.audio import read_audio, write_wav
from kaggle_speech.cli.main import main
from kaggle_speech.inference.load import load_recogniser
from kaggle_speech.labels import COMMANDS, COMPETITION_LABELS


def test_without_pyside_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "PySide6", None)
    assert main(["live"]) == 1
    assert 'pip install "kaggle_speech[live]"' in capsys.readouterr().err


def test_without_the_systems_libraries_it_names_them(monkeypatch, capsys):
    load = builtins.__import__

    def without_egl(name, *args):
        if name.startswith("PySide6"):
            raise ImportError("libEGL.so.1: cannot open shared object file: No such file or directory")
        return load(name, *args)

    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr(builtins, "__import__", without_egl)
    assert main(["live"]) == 1
    error = capsys.readouterr().err
    assert "libEGL.so.1" in error and "apt install libegl1" in error


@pytest.fixture
def folder(tmp_path, speech):
    """A folder with four clips, a text and a file that is no audio."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for number, waveform in enumerate(speech):
        write_wav(folder / f"{number}.wav", waveform)
    (folder / "notes.txt").write_text("not audio")
    return folder


@pytest.fixture
def clips(sample_dir):
    """Rendered clips, three of each of two words."""
    return [path for word in ("yes", "stop") for path in sorted((sample_dir / "train/audio" / word).iterdir())[:3]]


def rows_of(text, file_format):
    """Rows as dicts; those of TSV have numbers for names."""
    if file_format == "json":
        return json.loads(text)
    if file_format == "csv":
        return list(csv.DictReader(text.splitlines()))
    return [dict(enumerate(line.split("\t"))) for line in text.splitlines()]


def test_predict_gives_the_recognisers_answers_in_each_format(clips, tmp_path, capsys):
    answers = load_recogniser("tc_resnet").predict(clips, window="loudest")
    names = list(map(str, clips))
    for file_format in ("tsv", "csv", "json"):
        out_path = tmp_path / f"labels.{file_format}"
        command = ["predict", "--model", "tc_resnet", "--format", file_format, *names]
        assert main(command) == 0
        printed = capsys.readouterr().out
        assert main([*command, "--output", str(out_path)]) == 0
        assert capsys.readouterr().out == "" and out_path.read_text() == printed
        rows = [list(row.values()) for row in rows_of(printed, file_format)]
        assert [row[:2] for row in rows] == [[name, answer.label] for name, answer in zip(names, answers, strict=True)]
        assert [float(row[2]) for row in rows] == pytest.approx([answer.confidence for answer in answers], abs=1e-3)


def test_top_ranks_labels(clips, capsys):
    assert main(["predict", "--top", "12", "--format", "json", str(clips[0])]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["rank"] for row in rows] == list(range(1, 13))
    assert {row["label"] for row in rows} == set(COMPETITION_LABELS)
    confidences = [row["confidence"] for row in rows]
    assert confidences == sorted(confidences, reverse=True) and sum(confidences) == pytest.approx(1, abs=0.01)


def test_folders_and_patterns_are_their_audio_files(folder, capsys):
    files = [str(folder / f"{number}.wav") for number in range(4)]
    for name in (folder, folder / "*.wav", folder.parent / "**" / "*.wav"):
        assert main(["predict", str(name)]) == 0
        assert [row[0] for row in rows_of(capsys.readouterr().out, "tsv").copy()] == files


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing.wav", "nothing.wav: no such file"),
        ("*.mp3", "must match an audio file"),
        ("empty", "must hold audio files"),
    ],
)
def test_files_that_are_not_there_are_an_error_before_the_model_loads(folder, name, message, capsys, monkeypatch):
    (folder / "empty").mkdir()
    monkeypatch.setattr("kaggle_speech.inference.load.load_recogniser", None)
    assert main(["predict", str(folder / name)]) == 1
    assert message in capsys.readouterr().err


def test_predict_names_bad_files_and_answers_the_others(folder, capsys):
    (folder / "bad.wav").write_text("not audio")
    assert main(["predict", str(folder)]) == 1
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 4
    assert len(printed.err.splitlines()) == 1 and "bad.wav" in printed.err


def test_a_word_late_in_a_recording_is_found(clips, tmp_path, capsys):
    word = read_audio(clips[0])
    path = tmp_path / "late.wav"
    write_wav(path, np.concatenate([np.zeros(20_800), word, np.zeros(16_000)]))
    labels = {}
    for name, arguments in {"alone": [str(clips[0])], "late": [str(path)]}.items():
        assert main(["predict", *arguments]) == 0
        labels[name] = capsys.readouterr().out.split("\t")[1]
    assert labels["late"] == labels["alone"] != "silence"
    assert main(["predict", "--window", "first", str(path)]) == 0
    printed = capsys.readouterr()
    assert printed.out.split("\t")[1] != labels["alone"]
    assert printed.err.startswith("note: only the first second") and len(printed.err.splitlines()) == 1


@pytest.fixture
def stream_path(clips, tmp_path):
    """Six words, two seconds apart."""
    parts = [part for path in clips for part in (np.zeros(16_000), read_audio(path), np.zeros(16_000))]
    path = tmp_path / "stream.wav"
    write_wav(path, np.concatenate(parts) + 1e-4 * np.random.default_rng(0).standard_normal(sum(map(len, parts))))
    return path


def test_listen_prints_what_the_recogniser_detects(stream_path, capsys):
    detections = list(load_recogniser().listen(stream_path))
    assert len(detections) >= 2
    for file_format in ("tsv", "csv", "json"):
        assert main(["listen", str(stream_path), "--format", file_format]) == 0
        rows = [list(row.values()) for row in rows_of(capsys.readouterr().out, file_format)]
        assert [row[1] for row in rows] == [detection.label for detection in detections]
        numbers = [(float(row[0]), float(row[2])) for row in rows]
        assert numbers == [pytest.approx((found.time_s, found.confidence), abs=0.01) for found in detections]


def test_listen_reports_the_words_that_are_asked_for(stream_path, capsys):
    detections = [found.label for found in load_recogniser().listen(stream_path)]
    assert main(["listen", str(stream_path), "--events", detections[0], "--format", "csv"]) == 0
    labels = {row["label"] for row in rows_of(capsys.readouterr().out, "csv")}
    assert labels == {detections[0]} < {*detections}


def test_listen_ranks_labels(stream_path, capsys):
    assert main(["listen", str(stream_path), "--top", "3", "--format", "csv"]) == 0
    rows = rows_of(capsys.readouterr().out, "csv")
    assert [row["rank"] for row in rows] == ["1", "2", "3"] * (len(rows) // 3)
    assert all(row["label"] in COMMANDS for row in rows if row["rank"] == "1")
    detections = list(load_recogniser().listen(stream_path))
    for number, found in enumerate(detections):  # the labels as of the word, not of its report, which comes later
        assert found.confidence == found.scores[found.label] == max(found.scores.values())
        shown = [float(row["confidence"]) for row in rows[3 * number : 3 * number + 3]]
        assert shown == pytest.approx(sorted(found.scores.values(), reverse=True)[:3], abs=1e-3)


def test_listen_reads_a_pipe_until_it_is_interrupted(stream_path):
    """Ctrl+C ends a stream that does not end, with what was heard so far."""
    command = [sys.executable, "-m", "kaggle_speech", "listen", "-"]
    samples = np.round(read_audio(stream_path) * 32_767).astype("<i2").tobytes()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdin.write(samples)
        process.stdin.flush()
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, error = process.communicate(timeout=60)
    assert process.returncode == 0 and error == b""
    assert all(line.split(b"\t")[1].decode() in COMMANDS for line in (first + rest).splitlines())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.wav", "--microphone"], "and not both"),
        (["missing.wav"], "missing.wav"),
        (["{empty}"], "must not be empty"),
        (["--microphone"], "needs the package sounddevice"),
        ([], "needs the package sounddevice"),
        (["-", "--sample-rate", "7"], "`sample_rate` must be from 1000 to 768000 Hz"),
        (["{clip}", "--threshold", "1.5"], "`threshold` must be from 0.1 to 0.99"),
        (["{clip}", "--events", "go", "lights"], "`events` must be some of yes, no, up, down, left, right, on, off, "),
    ],
)
def test_listen_says_what_is_wrong(arguments, message, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    (tmp_path / "empty.wav").write_bytes(b"")
    arguments = [argument.format(empty=tmp_path / "empty.wav", clip=folder / "0.wav") for argument in arguments]
    assert main(["listen", *arguments]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ") and message in printed.err and printed.out == ""


def test_listen_takes_the_microphone_where_nothing_is_named(stream_path, monkeypatch, capsys):
    devices = []

    def plug_in(device):
        devices.append(device)
        from kaggle_speech.streaming.sources import AudioFile

        return AudioFile(stream_path)

    monkeypatch.setattr("kaggle_speech.streaming.sources.Microphone", plug_in)
    for arguments in ([], ["--microphone"], ["--microphone", "2"], ["--microphone", "USB"]):
        assert main(["listen", *arguments]) == 0
    assert devices == [None, None, 2, "USB"] and capsys.readouterr().out
    assert main(["listen", str(stream_path), "--microphone"]) == 1
    assert "and not both" in capsys.readouterr().err


def test_enroll_says_how_alike_the_recordings_are(clips, tmp_path, capsys):
    words_path = tmp_path / "words.json"
    assert main(["enroll", "--word", "lights", "--words", str(words_path), *map(str, clips[:3])]) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("3 recordings of 'lights', similarity 0.")
    assert others[-1] == f"words in {words_path}: lights"
    assert main(["enroll", "--word", "door", "--words", str(words_path), *map(str, clips)]) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("6 recordings of 'door'") and others[-1].endswith(": lights, door")
    assert sum("would not be recognised" in line for line in others) >= 1  # `yes` and `stop` are not one word
    assert main(["predict", "--words", str(words_path), str(clips[0])]) == 0
    assert capsys.readouterr().out.split("\t")[1] == "lights"


def test_nothing_heavy_is_imported_to_predict(clips):
    code = (
        "import sys; from kaggle_speech.cli.main import main\n"
        f"main(['predict', {str(clips[0])!r}])\n"
        "print({'tensorflow', 'keras', 'pandas', 'sklearn', 'matplotlib'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "set()" and done.stderr == ""


def test_a_reader_that_goes_ends_it_quietly(folder):
    command = [sys.executable, "-m", "kaggle_speech", "predict", *[str(folder / "0.wav")] * 200]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=60) == 141
        error = process.stderr.read().decode()
    assert "Error" not in error and "error" not in error


def test_the_engine_keras_starts_without_a_line(folder):
    pytest.importorskip("tensorflow")
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-m", "kaggle_speech", "predict", "--engine", "keras", str(folder / "0.wav")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
