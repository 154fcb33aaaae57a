"""publish.py: a published model is a run with a card, for both tasks; nothing else is overwritten."""

import dataclasses
import json
import shlex
import shutil

import numpy as np
import pandas as pd
import pytest

from kaggle_speech import files
from kaggle_speech.cli.main import build_parser
from kaggle_speech.cli.train import options_from
from kaggle_speech.export.card import train_command, words_card
from kaggle_speech.export.publish import publish_run
from kaggle_speech.inference.answers import Rejection, write_rejection
from kaggle_speech.inference.load import load, model_location
from kaggle_speech.labels import COMPETITION_LABELS, VOCABULARIES
from kaggle_speech.models import pretrained, runs
from kaggle_speech.models.registry import build_model
from kaggle_speech.text.alphabet import ALPHABET
from kaggle_speech.training.recipe import Recipe, TranscriptRecipe

SETTINGS = {"model": "tc_resnet", "seed": 1, "data": "0123456789abcdef", "label_smoothing": 0.2}
METRICS = {"accuracy": 0.95123, "macro_f1": 0.9444, "num_clips": 964, "training_minutes": 7.5}
PUBLISHED = {"model.weights.h5", "run.json", "metrics.json", "README.md"}


@pytest.fixture(scope="module")
def model():
    return build_model("tc_resnet", 12)


@pytest.fixture(scope="module")
def run_dir(model, tmp_path_factory):
    """A finished run."""
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    with runs.open_run(run_dir, task="words", vocabulary=COMPETITION_LABELS, settings=SETTINGS) as run:
        run.finish(model, METRICS | {"recall": {"yes": 0.9875, "no": 0.91}})
    (run_dir / "history.csv").write_text("epoch\n0\n")
    return run_dir


def test_a_published_run_is_a_run_with_a_card(model, run_dir, tmp_path, speech):
    out_dir = tmp_path / "public"
    (run_dir / "model.onnx").write_bytes(b"exported")
    publish_run(run_dir, out_dir)
    assert (out_dir / "model.onnx").read_bytes() == b"exported"
    (run_dir / "model.onnx").unlink()
    publish_run(run_dir, out_dir)  # an earlier publication is replaced
    assert {path.name for path in out_dir.iterdir()} == PUBLISHED
    loaded, vocabulary = runs.load_run(out_dir)
    assert vocabulary == COMPETITION_LABELS
    np.testing.assert_array_equal(loaded.predict(speech, verbose=0), model.predict(speech, verbose=0))
    assert runs.model_fingerprint(out_dir) == runs.model_fingerprint(run_dir)
    assert files.read_json(out_dir / "run.json")["task"] == "words"
    card = (out_dir / "README.md").read_text()
    facts = ("**95.1%** of 964", "F1 0.944", "| yes | 98.8% |", "| no | 91.0% |", "CC BY 4.0", "0123456789abcdef")
    command = "kaggle-speech train --data DIR --out RUN --model tc_resnet --seed 1 --label-smoothing 0.2"
    for fact in ("# public: ten commands, silence, unknown", "took 8 minutes", command, *facts):
        assert fact in card
    assert "noise, dB" not in card and "{" not in card


def test_a_card_tells_what_was_measured(run_dir, tmp_path):
    measured_dir = shutil.copytree(run_dir, tmp_path / "measured")
    noisy = [
        {"kind": "snr_db", "value": value, "noise": noise, "accuracy": accuracy}
        for noise in ("all", "rain")
        for value, accuracy in ((20, 0.94), (0, 0.751))
    ]
    noisy.append({"kind": "reverberation_s", "value": 0.4, "noise": "", "accuracy": 0.884})
    labels = {"yes": {"accuracy": 0.9, "low": 0.8, "high": 0.95, "num_clips": 406}}
    evaluation = {"accuracy": 0.97, "macro_f1": 0.96, "num_clips": 3794, "accuracy_interval": [0.961, 0.978]}
    evaluation |= {"labels": labels, "robustness": noisy, "settings": {"noise": "40 recordings of rain"}}
    (measured_dir / "evaluation").mkdir()
    files.write_json(measured_dir / "evaluation" / "evaluation.json", evaluation)
    (measured_dir / "running_speech").mkdir()
    (measured_dir / "running_speech" / "running_speech.png").write_bytes(b"picture")
    (measured_dir / "running_speech" / "running_speech.csv").write_text("threshold,found_rate\n0.8,0.9\n")
    points = {"limit": 1.0, "threshold": 0.85, "found_rate": 0.9012, "wrong_rate": 0.002, "alarms_per_hour": 0.8}
    points |= {"alarms_low": 0.2, "alarms_high": 2.2, "num_commands": 2703, "alarm_hours": 3.8}
    pd.DataFrame([points]).to_csv(measured_dir / "running_speech" / "operating_points.csv", index=False)
    (measured_dir / "model_int8.onnx").write_bytes(b"exported")
    (measured_dir / "model_report.csv").write_text(
        "file,bytes,accuracy,agreement,ms_1_thread\n,400000,0.97,1,0.5\nmodel_int8.onnx,53123,0.9612,0.981,0.377\n"
        "model_float16.onnx,60000,0.97,1,0.4\n"  # which is not published
    )
    publish_run(measured_dir, tmp_path / "public")
    assert (tmp_path / "public" / "model_int8.onnx").read_bytes() == b"exported"
    assert (tmp_path / "public" / "running_speech.png").read_bytes() == b"picture"
    assert (tmp_path / "public" / "running_speech.csv").read_text().endswith("0.8,0.9\n")
    card = (tmp_path / "public" / "README.md").read_text()
    for fact in (
        "**97.0%** (95 % interval over speakers 96.1% to 97.8%) of 3,794",
        "| yes | 90.0% | 80.0% to 95.0% | 406 |",
        "| speech over noise | 20 dB | 0 dB |\n|---|---|---|\n| right | 94.0% | 75.1% |",
        "40 recordings of rain",
        "| reverberation time | 0.4 s |\n|---|---|\n| right | 88.4% |",
        "2703 commands between sentences; false alarms are counted in 3.8 hours",
        "| 1 | 0.85 | 90.1% | 0.2% | 0.8 (0.2 to 2.2) |",
        "one thread |\n|---|---|---|---|---|\n| model_int8.onnx | 53.1 | 96.12% | 98.10% | 0.38 |\n\n",
    ):
        assert fact in card
    publish_run(measured_dir, tmp_path / "public")  # again


def test_a_card_of_other_labels_begins_with_these():
    labels = {"cat": {"accuracy": 0.9, "low": 0.8, "high": 0.95, "num_clips": 40}}
    own = {"accuracy": 0.93, "macro_f1": 0.92, "num_clips": 6780, "num_labels": 31, "accuracy_interval": [0.91, 0.95]}
    evaluation = {"accuracy": 0.97, "macro_f1": 0.96, "num_clips": 3794, "accuracy_interval": [0.961, 0.978]}
    evaluation |= {"own_labels": own | {"labels": labels}, "robustness": [], "settings": {}}
    metrics = METRICS | {"vocabulary": VOCABULARIES[31], "settings": SETTINGS, "versions": {}}
    text = words_card("other", metrics, evaluation)
    for fact in (
        "# other: 31 labels",
        "**93.0%** (95 % interval over speakers 91.0% to 95.0%) of 6,780 clips with its 31 labels, macro F1 0.920",
        "it is right on 97.0% (95 % interval over speakers 96.1% to 97.8%) of 3,794 clips",
        "| cat | 90.0% | 80.0% to 95.0% | 40 |",
        "It has no label for other words",
    ):
        assert fact in text


@pytest.mark.parametrize(
    "options",
    [
        ["--model", "bc_resnet,width=3", "--seed", "1", "--balanced", "--gain-db", "3"],
        ["--left-out-words", "six", "nine", "--num-epochs", "7", "--made-noise-minutes", "20"],
    ],
)
def test_the_command_of_a_card_trains_the_same_recipe(options):
    recipe = recipe_of(["--data", "DIR", "--out", "RUN", *options])
    command = train_command(json.loads(json.dumps(dataclasses.asdict(recipe))))
    assert recipe_of(shlex.split(command)[2:]) == recipe


def test_the_command_of_a_card_names_all_data():
    settings = json.loads(json.dumps(dataclasses.asdict(Recipe("tc_resnet"))))
    extra = {"pseudo": "0123456789abcdef", "speech": "0123456789abcdef", "initial": "0123456789abcdef"}
    words = shlex.split(train_command(settings | extra))
    assert {"--pseudo", "--speech-negatives", "--initial"} <= {*words}


def recipe_of(arguments):
    """The recipe of a command line."""
    return options_from(build_parser().parse_args(["train", *arguments]), Recipe)


def test_a_run_of_version_0_1_becomes_one_that_every_keras_loads(model, run_dir, tmp_path, speech):
    old_dir = shutil.copytree(run_dir, tmp_path / "old")
    (old_dir / "model.weights.h5").unlink()
    model.save(old_dir / "model.keras")
    run = files.read_json(old_dir / "run.json")
    files.write_json(old_dir / "run.json", {name: run[name] for name in ("vocabulary", "settings", "versions")})
    publish_run(old_dir, tmp_path / "public")
    assert {path.name for path in (tmp_path / "public").iterdir()} == PUBLISHED
    assert runs.model_fingerprint(tmp_path / "public") == runs.model_fingerprint(old_dir)
    loaded, _ = runs.load_run(tmp_path / "public")
    np.testing.assert_allclose(loaded.predict(speech, verbose=0), model.predict(speech, verbose=0), atol=1e-6)


def test_a_transcriber_is_published_as_its_exported_file(tmp_path):
    published_dir, run_dir = pretrained.TRANSCRIBER_DIR, tmp_path / "run"
    metrics = files.read_json(published_dir / "metrics.json")
    settings = metrics["settings"]
    with runs.open_run(run_dir, task="transcripts", vocabulary=ALPHABET, settings=settings) as run:
        run.finish(build_model("resnet_ctc", len(ALPHABET)), metrics)
    with pytest.raises(FileNotFoundError, match=r"must hold model_float16.onnx or model_int8.onnx.* export --run"):
        publish_run(run_dir, tmp_path / "public")
    assert not (tmp_path / "public").exists()
    shutil.copyfile(published_dir / "model.onnx", run_dir / "model_float16.onnx")
    shutil.copyfile(published_dir / "ngram.json.gz", run_dir / "ngram.json.gz")
    publish_run(run_dir, tmp_path / "public")
    names = {path.name for path in (tmp_path / "public").iterdir()}
    assert names == {"model.onnx", "ngram.json.gz", "run.json", "metrics.json", "README.md"}
    assert files.read_json(tmp_path / "public" / "run.json")["task"] == "transcripts"
    card = (tmp_path / "public" / "README.md").read_text()
    errors = metrics["val"]["greedy"]
    facts = ("# public: speech to text", "every 25 ms", f"| greedy | {errors['wer']:.1%} | {errors['cer']:.1%} |")
    for fact in (*facts, f"{errors['num_utterances']} utterances", settings["data"]):
        assert fact in card
    shutil.copyfile(published_dir / "words.arpa.gz", tmp_path / "public" / "words.arpa.gz")  # as of an earlier run
    with pytest.raises(FileExistsError, match=r"must hold no language model that the run lacks.*words.arpa.gz"):
        publish_run(run_dir, tmp_path / "public")
    assert (tmp_path / "public" / "words.arpa.gz").exists(), "it may have taken hours"


def test_the_card_of_a_transcriber_tells_who_judged_it(tmp_path):
    settings = dataclasses.asdict(TranscriptRecipe("resnet_ctc", num_epochs=7, noise_fraction=0.2)) | {"data": "0123"}
    metrics = {"training_minutes": 61.2, "val": {"greedy": {"wer": 0.9, "cer": 0.5, "num_utterances": 3}}}
    with runs.open_run(tmp_path / "run", task="transcripts", vocabulary=ALPHABET, settings=settings) as run:
        run.finish(build_model("resnet_ctc", len(ALPHABET)), metrics)
    shutil.copyfile(pretrained.TRANSCRIBER_DIR / "model.onnx", tmp_path / "run" / "model_int8.onnx")
    rows = ["name,speaker,text,greedy,beam_words", "a,7,go up now,go cup now,go up now", "b,8,stop,,stop"]
    (tmp_path / "run" / "transcripts_test.csv").write_text("\n".join(rows))
    publish_run(tmp_path / "run", tmp_path / "public")
    card = (tmp_path / "public" / "README.md").read_text()
    assert "2 utterances of 2 speakers" in card
    assert "| greedy | 50.0% (33.3% to 100.0%) |" in card and "| beam_words | 0.0% (0.0% to 0.0%) | 0.0%" in card
    assert "--out RUN --model resnet_ctc --num-epochs 7 --noise-fraction 0.2\n" in card
    assert files.read_json(tmp_path / "public" / "metrics.json")["test"]["greedy"]["wer"] == 0.5


def test_the_threshold_published_is_that_of_the_run(tmp_path):
    run_dir = shutil.copytree(model_location("tc_resnet"), tmp_path / "run")
    write_rejection(Rejection(threshold=0.7), run_dir, runs.model_fingerprint(run_dir))
    publish_run(run_dir, tmp_path / "public")
    assert load(tmp_path / "public").rejection == Rejection(threshold=0.7)
    (run_dir / "rejection.json").unlink()
    publish_run(run_dir, tmp_path / "public")  # the same model: chosen there, maybe
    assert load(tmp_path / "public").rejection == Rejection(threshold=0.7)
    publish_run(shutil.copytree(model_location("bc_resnet_tiny"), tmp_path / "other"), tmp_path / "public")
    assert load(tmp_path / "public").rejection == Rejection()


def test_a_curve_of_another_model_goes(tmp_path):
    names = ("tc_resnet", "bc_resnet_tiny")
    tc_dir, bc_dir = (shutil.copytree(model_location(name), tmp_path / name) for name in names)
    publish_run(tc_dir, tmp_path / "public")
    (tmp_path / "public" / "running_speech.csv").write_text("measured")
    publish_run(tc_dir, tmp_path / "public")
    assert (tmp_path / "public" / "running_speech.csv").read_text() == "measured"
    publish_run(bc_dir, tmp_path / "public")
    assert not (tmp_path / "public" / "running_speech.csv").exists()


def test_nothing_else_is_overwritten(run_dir, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    other_dir = shutil.copytree(run_dir, tmp_path / "other")
    before = {path.name: path.read_bytes() for path in other_dir.iterdir()}
    for out_dir in (tmp_path, other_dir, run_dir, tmp_path / "README.md"):
        with pytest.raises(FileExistsError, match="`out_dir` must be new, empty or of an earlier `publish`"):
            publish_run(run_dir, out_dir)
    assert (tmp_path / "README.md").read_text() == "mine"
    assert {path.name: path.read_bytes() for path in other_dir.iterdir()} == before


def test_a_run_that_is_not_finished(tmp_path):
    with pytest.raises(FileNotFoundError, match="must hold a trained model"):
        publish_run(tmp_path, tmp_path / "public")
    assert not (tmp_path / "public").exists()


def test_an_exported_file_of_the_same_model_stays(tmp_path):
    packaged_dir = model_location("tc_resnet")
    run_dir = shutil.copytree(packaged_dir, tmp_path / "run")
    publish_run(run_dir, tmp_path / "public")
    (run_dir / "model.onnx").unlink()
    publish_run(run_dir, tmp_path / "public")
    assert (tmp_path / "public" / "model.onnx").read_bytes() == (packaged_dir / "model.onnx").read_bytes()
    shutil.copyfile(model_location("bc_resnet") / "model.onnx", tmp_path / "public" / "model.onnx")
    publish_run(run_dir, tmp_path / "public")
    assert not (tmp_path / "public" / "model.onnx").exists()
