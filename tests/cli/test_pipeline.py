"""Commands from clips to a checked submission, on the sample, and their errors."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pandas as pd
import pytest

from kaggle_speech import folders
from kaggle_speech.cli.main import main
from kaggle_speech.data import places
from kaggle_speech.inference.answers import Rejection, write_rejection
from kaggle_speech.inference.load import load_recogniser
from kaggle_speech.inference.submission import check_submission, read_submission
from kaggle_speech.labels import COMMANDS, COMPETITION_LABELS
from kaggle_speech.models import pretrained

#: Networks of few layers: most of the time goes to TensorFlow's tracing of each layer.
TINY, TINIER = "cnn,num_filters=(8,16)", "cnn,num_filters=(4,8)"


@pytest.fixture(scope="module")
def data_dir(sample_dir, tmp_path_factory):
    """The sample with a damaged training clip."""
    data_dir = tmp_path_factory.mktemp("main") / "data"
    shutil.copytree(sample_dir, data_dir)
    (data_dir / "train/audio/yes/00000000_nohash_0.wav").write_text("no sound")
    return data_dir


@pytest.fixture(scope="module")
def run_dir(data_dir, tmp_path_factory):
    """A run of a few epochs."""
    run_dir = tmp_path_factory.mktemp("runs") / "tiny"
    arguments = [
        "--data",
        data_dir,
        "--out",
        run_dir,
        "--model",
        TINY,
        "--epochs",
        "6",
        "--batch-size",
        "32",
        "--seed",
        "3",
    ]
    assert main(["train", *map(str, arguments)]) == 0
    return run_dir


def test_train_writes_what_a_run_holds(run_dir):
    metrics = json.loads((run_dir / "metrics.json").read_text())
    assert metrics["settings"]["seed"] == 3 and len(metrics["settings"]["data"]) == 16
    assert metrics["vocabulary"] == list(COMPETITION_LABELS)
    assert set(metrics["recall"]) == set(COMPETITION_LABELS)
    assert metrics["training_minutes"] > 0
    assert len(pd.read_csv(run_dir / "history.csv")) == 6
    bad_df = pd.read_csv(run_dir / "bad_clips.csv")
    assert bad_df["error"].str.contains("00000000_nohash_0.wav: must be an audio file").all() and len(bad_df) == 1


def test_train_keeps_a_finished_run(run_dir, data_dir, capsys):
    assert main(["train", "--data", str(data_dir), "--out", str(run_dir)]) == 1
    assert "must not hold a finished run" in capsys.readouterr().err


def test_evaluate_repeats_the_metrics_and_draws(run_dir, data_dir, tmp_path, capsys):
    assert main(["evaluate", "--run", str(run_dir), "--data", str(data_dir), "--out", str(tmp_path)]) == 0
    trained = json.loads((run_dir / "metrics.json").read_text())
    evaluated = json.loads((tmp_path / "evaluation.json").read_text())
    assert evaluated["accuracy"] == trained["accuracy"]
    captured = capsys.readouterr()
    assert f"validation accuracy {trained['accuracy']:.4f}" in captured.out
    assert f"data: {data_dir}\n" in captured.err
    confusion_df = pd.read_csv(tmp_path / "confusion.csv", index_col=0)
    assert confusion_df.to_numpy().sum() == trained["num_clips"]
    assert (tmp_path / "confusion.svg").stat().st_size > 10_000
    assert len(pd.read_csv(tmp_path / "worst_clips.csv")) == 10
    assert "<h1>" in (tmp_path / "report.html").read_text()


def test_evaluate_leaves_the_record_of_a_run_alone(run_dir, data_dir, capsys):
    before = {path.name: path.read_bytes() for path in run_dir.iterdir() if path.is_file()}
    assert main(["evaluate", "--run", str(run_dir), "--data", str(data_dir), "--out", str(run_dir)]) == 1
    assert "must not be the folder of a run" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in run_dir.iterdir() if path.is_file()} == before


def test_evaluate_takes_an_exported_file_and_another_run(run_dir, data_dir, tmp_path, capsys):
    onnx_path = tmp_path / "net.onnx"
    shutil.copyfile(pretrained.PRETRAINED_DIR.with_name("tc_resnet") / "model.onnx", onnx_path)
    arguments = ["--onnx", onnx_path, "--data", data_dir, "--against", run_dir, "--seed", "5"]
    assert main(["evaluate", *map(str, arguments)]) == 0
    metrics = json.loads((tmp_path / "net_evaluation" / "evaluation.json").read_text())
    assert metrics["settings"]["engine"] == "onnxruntime" and metrics["settings"]["seed"] == 5
    other = json.loads((run_dir / "metrics.json").read_text())
    assert metrics["comparison"]["other_accuracy"] == pytest.approx(other["accuracy"])
    assert metrics["comparison"]["other_recall"] == pytest.approx(other["recall"])
    assert f"against {run_dir}: This model recognises" in capsys.readouterr().out


def test_submit_answers_every_test_clip(run_dir, data_dir, tmp_path):
    out_path = tmp_path / "01_tc_resnet.csv"
    assert main(["submit", "--run", str(run_dir), "--data", str(data_dir), "--out", str(out_path)]) == 0
    answers_df = check_submission(out_path, data_dir / "sample_submission.csv")
    answers = load_recogniser(run_dir).predict([data_dir / "test" / "audio" / name for name in answers_df["fname"]])
    assert list(answers_df["label"]) == [answer.label for answer in answers]
    assert json.loads(out_path.with_suffix(".json").read_text())["settings"]["seed"] == 3


def test_a_submission_has_the_name_of_its_run(run_dir, data_dir, tmp_path, monkeypatch):
    """Also of one with a dot in it, and of a model whose doubtful commands are `unknown`, in one step or two."""
    monkeypatch.setenv(folders.OUTPUT_VARIABLE, str(tmp_path))
    shutil.copytree(run_dir, tmp_path / "lr0.001")
    data, model = ["--data", str(data_dir)], ["--run", str(tmp_path / "lr0.001")]
    write_rejection(Rejection(threshold=2.0), tmp_path / "lr0.001", load_recogniser(run_dir).settings["model"])
    assert main(["submit", *data, *model]) == 0
    assert main(["probabilities", *data, *model, "--out", str(tmp_path / "two.npz")]) == 0
    assert main(["submit", *data, "--probabilities", str(tmp_path / "two.npz")]) == 0
    one_df, two_df = (read_submission(tmp_path / "submissions" / f"{name}.csv") for name in ("lr0.001", "two"))
    pd.testing.assert_frame_equal(one_df, two_df)
    assert not one_df["label"].isin(COMMANDS).any() and one_df["label"].eq("unknown").any()


def test_submit_with_unreadable_clips_names_them_and_continues(run_dir, data_dir, tmp_path, capsys):
    broken_dir, out_path = tmp_path / "broken", tmp_path / "01.csv"
    shutil.copytree(data_dir / "test", broken_dir / "test")
    shutil.copy(data_dir / "sample_submission.csv", broken_dir)
    bad_path = sorted((broken_dir / "test" / "audio").iterdir())[0]
    content = bad_path.read_bytes()
    bad_path.write_bytes(content[:5000])
    command = ["submit", "--run", str(run_dir), "--data", str(broken_dir), "--out", str(out_path)]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert bad_path.name in error and "truncated" in error and "01.npz.parts" in error
    assert not out_path.exists()
    bad_path.write_bytes(content)
    assert main(command) == 0
    assert len(check_submission(out_path, data_dir / "sample_submission.csv")) > 0


def test_probabilities_in_shards_are_those_of_one_pass_and_submit(run_dir, data_dir, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("kaggle_speech.inference.predict.PART_CLIPS", 64)
    model = ["--run", str(run_dir), "--data", str(data_dir), "--transforms", "as_is", "gain=1.2"]
    shards = [str(tmp_path / f"{number}.npz") for number in (1, 2)]
    for number, path in enumerate(shards, start=1):
        assert main(["probabilities", *model, "--out", path, "--shard", f"{number}/2"]) == 0
    assert main(["merge", *shards, "--out", str(tmp_path / "merged.npz")]) == 0
    assert main(["probabilities", *model, "--out", str(tmp_path / "whole.npz")]) == 0
    assert (tmp_path / "merged.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert main(["merge", shards[0], "--out", str(tmp_path / "x.npz")]) == 1
    assert "all 2 shards must be there" in capsys.readouterr().err
    for name, options in {"a": [], "b": ["--match-label-mix"]}.items():
        submit = ["submit", "--data", str(data_dir), "--probabilities", str(tmp_path / "whole.npz"), *options]
        assert main([*submit, "--out", str(tmp_path / f"{name}.csv")]) == 0
        check_submission(tmp_path / f"{name}.csv", data_dir / "sample_submission.csv")
    how = json.loads((tmp_path / "b.json").read_text())
    assert how["match_label_mix"] and how["probabilities"]["transforms"] == ["as_is", "gain=1.2"]
    capsys.readouterr()
    assert main(["diff", "--before", str(tmp_path / "a.csv"), "--after", str(tmp_path / "b.csv")]) == 0
    answers_df = read_submission(tmp_path / "a.csv").merge(read_submission(tmp_path / "b.csv"), on="fname")
    num_changed = (answers_df["label_x"] != answers_df["label_y"]).sum()
    assert f"{num_changed} of {len(answers_df)} answers changed" in capsys.readouterr().out


def test_blend_pseudo_labels_and_training_on_them(run_dir, data_dir, tmp_path, capsys):
    def path(name):
        return str(tmp_path / name)

    for split in ("test", "val"):
        for name, run in {"mine": ["--run", str(run_dir)], "own": []}.items():
            options = [*run, "--data", str(data_dir), "--split", split, "--out", path(f"{name}_{split}.npz")]
            assert main(["probabilities", *options]) == 0
    capsys.readouterr()
    files = [path("mine_test.npz"), path("own_test.npz")]
    fit = ["--fit", path("mine_val.npz"), path("own_val.npz")]
    assert main(["blend", *files, *fit, "--out", path("blend.npz")]) == 0
    weights = [float(line.split()[0]) for line in capsys.readouterr().out.splitlines()[:2]]
    assert sum(weights) == pytest.approx(1, abs=0.01)
    assert main(["blend", *files, "--fit", *files, "--out", path("x.npz")]) == 1
    assert "must be of validation clips" in capsys.readouterr().err
    assert main(["blend", path("mine_val.npz"), "--out", path("val.npz")]) == 0
    accuracy = json.loads((run_dir / "metrics.json").read_text())["accuracy"]
    assert f"validation accuracy {accuracy:.4f}" in capsys.readouterr().out
    assert main(["blend", *files, "--weights", "1", "--out", path("x.npz")]) == 1
    assert "`weights` must be 2 numbers" in capsys.readouterr().err
    assert main(["pseudo", files[1], "--min-probability", "0.2", "--max-per-label", "9", "--out", path("p.csv")]) == 0
    pseudo_df = pd.read_csv(path("p.csv"))
    assert pseudo_df["label"].value_counts().max() <= 9 and len(pseudo_df) > 5
    train = [
        "train",
        "--data",
        str(data_dir),
        "--model",
        TINY,
        "--epochs",
        "1",
        "--pseudo",
        path("p.csv"),
        "--out",
        path("run"),
    ]
    assert main(train) == 0
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert settings["pseudo_fraction"] == 0.25 and len(settings["pseudo"]) == 16
    pseudo_df.assign(fname="none.wav").to_csv(path("p.csv"), index=False)
    assert main([*train, "--overwrite"]) == 1
    assert "p.csv: labels must be of the vocabulary, and clips in" in capsys.readouterr().err


def test_export_writes_files_that_predict(run_dir, data_dir, tmp_path, capsys):
    options = ["--formats", "onnx", "--precisions", "float32", "int8", "--num-calibration", "16"]
    assert main(["export", "--run", str(run_dir), "--data", str(data_dir), "--out", str(tmp_path), *options]) == 0
    report_df = pd.read_csv(tmp_path / "model_report.csv")
    assert list(report_df["file"].fillna("")) == ["", "model.onnx", "model_int8.onnx"]
    clip = next((data_dir / "test" / "audio").glob("*.wav"))
    capsys.readouterr()
    answers = []
    for model in (["--run", str(run_dir)], ["--onnx", str(tmp_path / "model.onnx")]):
        assert main(["predict", *model, str(clip)]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1]


def test_predict_answers_good_files_and_names_bad_ones(run_dir, data_dir, tmp_path, capsys):
    good = sorted((data_dir / "test" / "audio").iterdir())[:2]
    bad_path = tmp_path / "bad.wav"
    bad_path.write_bytes(b"")
    assert main(["predict", "--run", str(run_dir), str(good[0]), str(bad_path), str(good[1])]) == 1
    captured = capsys.readouterr()
    rows = [line.split("\t") for line in captured.out.splitlines()]
    assert [row[0] for row in rows] == [str(path) for path in good]
    assert all(row[1] in COMPETITION_LABELS and 0 < float(row[2]) <= 1 for row in rows)
    assert "bad.wav: an audio file must not be empty" in captured.err


def test_without_a_run_the_packages_own_model_answers(sample_dir, tmp_path, capsys):
    clip = next((sample_dir / "train" / "audio" / "yes").glob("*.wav"))
    assert main(["predict", str(clip)]) == 0
    path, label, _ = capsys.readouterr().out.split("\t")
    assert path == str(clip) and label in COMPETITION_LABELS
    assert main(["submit", "--data", str(sample_dir), "--out", str(tmp_path / "own.csv")]) == 0
    check_submission(tmp_path / "own.csv", sample_dir / "sample_submission.csv")


def test_publish_makes_a_folder_that_predicts(run_dir, sample_dir, tmp_path, capsys):
    assert main(["publish", "--run", str(run_dir), "--out", str(tmp_path / "mine")]) == 0
    clip = next((sample_dir / "train" / "audio" / "yes").glob("*.wav"))
    answers = []
    for folder in (run_dir, tmp_path / "mine"):
        assert main(["predict", "--run", str(folder), str(clip)]) == 0
        answers.append(capsys.readouterr().out.splitlines()[-1])
    assert answers[0] == answers[1]


def test_prepare_and_sample_print_their_folder(sample_dir, tmp_path, capsys, monkeypatch):
    assert main(["prepare", "--data", str(sample_dir)]) == 0
    assert capsys.readouterr().out.strip() == str(sample_dir)
    monkeypatch.delenv(places.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(folders, "project_dir", lambda: tmp_path)
    assert main(["sample", "--num-clips", "300", "--out", str(tmp_path / "data" / "sample")]) == 0
    assert main(["prepare"]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "data" / "sample")] * 2


def test_sentences_are_put_where_they_are_found(tmp_path, capsys, monkeypatch):
    pytest.importorskip("espeakng_loader", reason="sentences are rendered with espeakng-loader")
    monkeypatch.delenv(places.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(folders, "project_dir", lambda: tmp_path)
    assert main(["sentences", "--num-utterances", "24", "--seed", "1"]) == 0
    assert capsys.readouterr().out.strip() == str(places.find_speech()) == str(tmp_path / "data" / "sentences")


def test_prepare_unpacks_a_download_to_where_it_is_found(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv(places.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(folders, "project_dir", lambda: tmp_path)

    def fake_download(name, out_dir):
        """An archive as the publisher packs it."""
        member = {"dev-clean": "LibriSpeech/dev-clean/84/1/84-1.trans.txt", "v0.01": "_background_noise_/a.wav"}[name]
        file_name = {"dev-clean": "dev-clean.tar.gz", "v0.01": "speech_commands_v0.01.tar.gz"}[name]
        out_dir.mkdir(exist_ok=True)
        with tarfile.open(out_dir / file_name, "w:gz") as archive:
            archive.addfile(tarfile.TarInfo(member))
        return out_dir / file_name

    monkeypatch.setattr("kaggle_speech.data.downloads.download", fake_download)
    assert main(["prepare", "--download", "dev-clean"]) == 0
    assert main(["prepare", "--download", "v0.01"]) == 0
    speech_dir, clips_dir = capsys.readouterr().out.split()
    assert Path(speech_dir) == places.find_speech() == tmp_path / "data" / "LibriSpeech"
    assert Path(clips_dir).name == "speech_commands_v0.01" and places.has_clips(clips_dir)
    assert main(["prepare", "--download", "dev-clean", "--out", str(tmp_path / "mine")]) == 0
    assert places.has_speech(tmp_path / "mine")


def test_prepare_leaves_a_language_model_packed(tmp_path, capsys, monkeypatch):
    arpa_path = tmp_path / "3-gram.pruned.1e-7.arpa.gz"
    monkeypatch.setattr("kaggle_speech.data.downloads.download", lambda name, out_dir: arpa_path)
    assert main(["prepare", "--download", "librispeech-lm"]) == 0
    assert capsys.readouterr().out.strip() == str(arpa_path) and not list(tmp_path.iterdir())


def test_without_data_prepare_says_what_to_do(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv(places.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(folders, "project_dir", lambda: tmp_path)
    assert main(["prepare"]) == 1
    assert "kaggle-speech sample" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--data", "{empty}", "--out", "{empty}/run"], "must name a folder with clips"),
        (["train", "--data", "{data}", "--out", "{empty}/run", "--model", "vgg19"], "`model` must be one of"),
        (["train", "--data", "{data}", "--out", "{empty}/run", "--model", "vgg,size=3"], "argument 'size'"),
        (["train", "--data", "{data}", "--out", "{empty}/run", "--epochs", "0"], "`num_epochs` must be above 0"),
        (["evaluate", "--run", "{empty}", "--data", "{data}"], "must hold a trained model"),
        (["evaluate", "--data", "{data}", "--against", "{empty}"], "must hold a trained model"),
        (["submit", "--run", "{empty}", "--data", "{data}"], "must hold a trained model"),
        (["predict", "--run", "{empty}", "{data}/nowhere.wav"], "nowhere.wav"),
        (["predict", "--onnx", "{empty}/none.onnx", "{data}/nowhere.wav"], "nowhere.wav"),
        (["submit", "--data", "{data}", "--probabilities", "{data}/test_truth.csv"], "must be a probability file"),
        (["sample", "--num-clips", "3", "--out", "{empty}/sample"], "`num_clips` must be a whole number"),
        (["sentences", "--num-utterances", "3", "--out", "{empty}/new"], "`num_utterances` must be a whole number"),
        (["prepare", "--download", "dev-cleen"], "`name` must be one of v0.01"),
    ],
)
def test_bad_arguments(arguments, message, tmp_path, sample_dir, capsys):
    arguments = [argument.format(empty=tmp_path, data=sample_dir) for argument in arguments]
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") or "\nerror: " in error
    assert message in error


@pytest.mark.slow
def test_compare_prints_a_row_a_model(data_dir, tmp_path, capsys):
    arguments = ["--models", TINY, TINIER, "--num-seeds", "1", "--epochs", "1", "--fast", "--batch-size", "32"]
    out_path = tmp_path / "results.csv"
    assert main(["compare", "--data", str(data_dir), "--out", str(out_path), *arguments]) == 0
    printed = capsys.readouterr().out
    for row in pd.read_csv(out_path).itertuples():
        assert f"{row.accuracy:.4f}" in printed and row.epochs == 1
    assert json.loads((tmp_path / "results" / "cnn_num_filters_4_8_0" / "run.json").read_text())["settings"]["fast"]


@pytest.mark.slow
def test_models_lists_the_sizes_of_architectures(capsys):
    assert main(["models", "--architectures"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["model", "parameters", "megabytes", "million_macs", "features"]
    assert ["bc_resnet,width=1", "9232"] in [line.split()[:2] for line in lines]


@pytest.mark.slow
def test_ablate_trains_without_each_part(data_dir, tmp_path):
    off = ["label_smoothing", "balanced", "mixup_fraction", "speed_fraction", "tempo_fraction", "pitch_semitones"]
    off += ["gain_db", "noise_fraction", "hiss_std", "shift_ms"]
    arguments = [f"--{name.replace('_', '-')}=0" for name in off if name != "balanced"]
    arguments += ["--model", TINY, "--epochs", "1", "--fast", "--batch-size", "32", "--num-seeds", "1"]
    out_path = tmp_path / "ablation.csv"
    assert main(["ablate", "--data", str(data_dir), "--out", str(out_path), *arguments]) == 0
    assert list(pd.read_csv(out_path)["name"]) == ["everything", "no weight_decay"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--model", TINY, "--out", "{out}", "--epochs", "1", "--fast"],
        ["evaluate", "--model", "{run}", "--out", "{out}"],
        ["export", "--run", "{run}", "--out", "{out}", "--formats", "onnx", "litert", "saved_model"],
    ],
)
def test_quiet_commands_write_nothing_to_standard_error(arguments, run_dir, sample_dir, tmp_path):
    """Neither TensorFlow, CUDA and LiteRT, nor this package."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    words = [argument.format(out=tmp_path / "out", run=run_dir) for argument in arguments]
    command = [sys.executable, "-m", "kaggle_speech", "--quiet", *words, "--data", str(sample_dir)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
