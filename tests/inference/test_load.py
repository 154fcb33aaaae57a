"""load.py and models/pretrained.py: what a source is, and one line where it is none, before TensorFlow starts."""

import dataclasses
import json
import math
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest

from kaggle_speech.inference import load as load_module
from kaggle_speech.inference.load import load, load_embedder, load_recogniser, load_transcriber, task
from kaggle_speech.inference.recogniser import Recogniser, Transcriber
from kaggle_speech.models import pretrained
from kaggle_speech.text.kneser_ney import count_words
from kaggle_speech.text.lexicon import Lexicon

TC_DIR = pretrained.PRETRAINED_DIR.parent / "tc_resnet"


@pytest.fixture
def run_dir(tmp_path):
    """A folder as it comes from a training, without an exported file."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("run.json", "metrics.json", "model.weights.h5"):
        shutil.copy(TC_DIR / name, folder)
    return folder


def test_names_folders_and_files_are_the_same_model(tmp_path, monkeypatch):
    waveform = 0.1 * np.random.default_rng(0).standard_normal(16_000)
    shutil.copy(TC_DIR / "model.onnx", tmp_path / "mine.onnx")
    models = [load("tc_resnet"), load(TC_DIR), load(str(TC_DIR)), load(TC_DIR / "model.onnx")]
    answers = [model.predict(waveform, 16_000) for model in (*models, load(tmp_path / "mine.onnx"))]
    assert all(answer == answers[0] for answer in answers)
    assert [model.name for model in models] == ["tc_resnet"] * 4 and load(tmp_path / "mine.onnx").name == "mine"
    assert load().name == "bc_resnet"
    (tmp_path / "bc_resnet").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load("bc_resnet").name == "bc_resnet"  # the name, not the folder
    with pytest.raises(FileNotFoundError, match="bc_resnet: must hold a trained model"):
        load("./bc_resnet")


def test_the_class_follows_the_task():
    assert isinstance(load("bc_resnet"), Recogniser) and isinstance(load("resnet_ctc"), Transcriber)
    assert (task(), task("resnet_ctc"), task(TC_DIR / "model.onnx")) == ("words", "transcripts", "words")
    with pytest.raises(ValueError, match=r"resnet_ctc: must recognise words\. .* transcripts; use `transcribe`"):
        load_recogniser("resnet_ctc")
    with pytest.raises(ValueError, match=r"tc_resnet: must make transcripts\. .* words; use `predict`"):
        load_transcriber("tc_resnet")
    with pytest.raises(ValueError, match="must recognise words"):
        load_embedder("resnet_ctc")
    with pytest.raises(ValueError, match="`words` must be left out for"):
        load("resnet_ctc", words="words.json")


def test_threads_are_those_of_the_caller(monkeypatch):
    threads = []
    onnx_model = load_module.OnnxModel
    monkeypatch.setattr(
        load_module,
        "OnnxModel",
        lambda path, num_threads, **options: threads.append(num_threads) or onnx_model(path, num_threads, **options),
    )
    for options in ({}, {"num_threads": 2}, {"num_threads": 0}):
        load("tc_resnet", **options)
    assert threads == [1, 2, 0]


def test_bad_engines(run_dir):
    with pytest.raises(ValueError, match=r"`engine` must be one of .* Received: engine='torch'"):
        load(engine="torch")
    with pytest.raises(FileNotFoundError, match=r"run: must hold model.onnx for onnxruntime\. Received: with"):
        load(run_dir, engine="onnxruntime")
    with pytest.raises(FileNotFoundError, match="must hold weights for the engine keras"):
        load("resnet_ctc", engine="keras")


def damage_weights(folder):
    content = (folder / "model.weights.h5").read_bytes()
    (folder / "model.weights.h5").write_bytes(content[:5000])


def write_foreign_onnx(folder):
    (folder / "model.onnx").write_bytes(b"no model")


def write_keras(folder):
    (folder / "model.weights.h5").unlink()
    (folder / "model.keras").write_text("no archive")


def damage_run(folder):
    (folder / "run.json").write_text('{"vocabulary": ')


def forget_vocabulary(folder):
    run = json.loads((folder / "run.json").read_text())
    del run["vocabulary"]
    (folder / "run.json").write_text(json.dumps(run))


def empty(folder):
    for path in folder.iterdir():
        path.unlink()


WRONG = {
    damage_weights: "model.weights.h5: must be the file that run.json beside it states",
    write_foreign_onnx: "model.onnx: must be an ONNX model",
    write_keras: "model.keras: must be a file of Keras",
    damage_run: "run.json: must hold a JSON object",
    forget_vocabulary: "run.json: must hold a JSON object",
    empty: "run: must hold a trained model",
}


@pytest.mark.parametrize("break_it", WRONG)
def test_damaged_and_foreign_files_are_one_line(run_dir, break_it):
    break_it(run_dir)
    with pytest.raises((ValueError, FileNotFoundError), match=WRONG[break_it]) as caught:
        load(run_dir)
    assert "\n" not in str(caught.value)


def test_what_is_wrong_is_said_before_tensorflow_starts(tmp_path):
    """All of them in one process, which ends without it."""
    for break_it in WRONG:
        folder = tmp_path / break_it.__name__
        folder.mkdir()
        for name in ("run.json", "metrics.json", "model.weights.h5"):
            shutil.copy(TC_DIR / name, folder)
        break_it(folder)
    (tmp_path / "file.txt").write_text("no model")
    code = f"""
import sys
from pathlib import Path
import kaggle_speech as ks
sources = [*Path({str(tmp_path)!r}).iterdir(), "nowhere", "bc_resnt", "nowhere.onnx"]
for source in sources:
    try:
        ks.load(source)
    except (ValueError, OSError) as error:
        print(error)
assert not {{"tensorflow", "keras"}} & {{*sys.modules}}
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    lines = output.splitlines()
    assert len(lines) == len(WRONG) + 4
    assert lines[-3].startswith("nowhere: must be the name of a model (bc_resnet, ") and "does not exist" in lines[-3]
    assert "did you mean bc_resnet?" in lines[-2]


def test_list_models_states_what_the_folders_hold():
    models = {model.name: model for model in pretrained.list_models()}
    assert next(iter(models)) == "bc_resnet" and len(models) >= 4
    for name, model in models.items():
        folder = pretrained.PRETRAINED_DIR.parent / name
        run = json.loads((folder / "run.json").read_text())
        assert (model.labels, model.task) == (len(run["vocabulary"]), task(name))
        assert model.bytes == (folder / "model.onnx").stat().st_size and 0 < model.accuracy < 1
    metrics = json.loads((pretrained.PRETRAINED_DIR / "metrics.json").read_text())
    assert models["bc_resnet"].accuracy == pytest.approx(metrics["accuracy"], abs=1e-4)
    assert models["bc_resnet"].num_clips == metrics["num_clips"] != models["bc_resnet_distilled"].num_clips
    assert models["resnet_ctc"].task == "transcripts" and models["resnet_ctc"].num_clips is None


def test_parameters_are_those_of_the_networks():
    from kaggle_speech.models import registry

    for model in pretrained.list_models():
        run = json.loads((pretrained.PRETRAINED_DIR.parent / model.name / "run.json").read_text())
        network = registry.build_untrained(run["settings"]["model"], len(run["vocabulary"]))
        assert model.parameters == sum(math.prod(weight.shape) for weight in network.trainable_weights)


def test_copies_by_pickle_answer_the_same(speech, sentences_dir):
    """What goes to the workers of a cluster: everything that `load` gives, and a lexicon."""
    recogniser = load("tc_resnet")
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(recogniser)).model.predict_on_batch(speech), recogniser.model.predict_on_batch(speech)
    )
    transcriber = load("resnet_ctc")
    words = Lexicon(count_words(["the cat sat", "the cat ran"], order=2), transcriber.language_model)
    for original in (transcriber, dataclasses.replace(transcriber, language_model=words)):
        copy = pickle.loads(pickle.dumps(original))
        heard = original.transcribe(next(sentences_dir.rglob("*.flac")))
        assert heard.words and copy.transcribe(next(sentences_dir.rglob("*.flac"))) == heard
        for text, character in (("the c", "a"), ("the cat", " "), ("xy", "z")):
            assert copy.language_model.log_probability(text, character) == pytest.approx(
                original.language_model.log_probability(text, character)
            )
