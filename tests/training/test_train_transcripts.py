"""transcripts.py: it learns to write, is judged on other speakers, and goes on where it was killed."""

import dataclasses
import multiprocessing
import shutil
from pathlib import Path

import jiwer
import keras
import numpy as np
import pandas as pd
import pytest
from fakes import killed_at

from kaggle_speech import files
from kaggle_speech.data import utterances
from kaggle_speech.data.rendered import sentences
from kaggle_speech.data.utterance_batches import make_utterance_dataset
from kaggle_speech.evaluation.transcripts import decoders, summarize_transcripts, transcribe_utterances
from kaggle_speech.models import registry, runs
from kaggle_speech.text import ngram
from kaggle_speech.text.alphabet import ALPHABET
from kaggle_speech.text.decoders import BeamDecoder
from kaggle_speech.training.callbacks import read_history
from kaggle_speech.training.ctc_loss import CTC
from kaggle_speech.training.fit import fit
from kaggle_speech.training.recipe import FitOptions, TranscriptRecipe
from kaggle_speech.training.transcripts import train_transcriber

pytest.importorskip("espeakng_loader", reason="rendering needs the optional package espeakng-loader")

#: The run of the model that came with version 0.1.
OLD_RUN_PATH = Path(__file__).parent / "runs_of_0_1" / "resnet_ctc.json"
SHAPE = "resnet_ctc,num_filters=8,num_residual_blocks=1,num_recurrent_blocks=1"
TINY = TranscriptRecipe(model=f"{SHAPE},num_units=8", num_epochs=3, num_val_speakers=2)


@pytest.fixture(scope="module")
def spoken_df(tmp_path_factory):
    folder = sentences.render_sentences(tmp_path_factory.mktemp("sentences") / "new", 40, progress=False)
    return utterances.index_utterances(folder, progress=False)[0]


@pytest.mark.slow
def test_ten_utterances_are_learned_by_heart(spoken_df, tmp_path):
    keras.utils.set_random_seed(0)
    model = registry.build_model(f"{SHAPE},num_units=64,dropout_rate=0,recurrent_dropout_rate=0", len(ALPHABET))
    for name in ("num_time_masks", "num_frequency_masks"):
        setattr(model.get_layer("spec_augment"), name, 0)
    ten_df = spoken_df.nsmallest(10, "num_samples")
    fit(
        model,
        make_utterance_dataset(ten_df, 10).repeat(25),
        None,
        tmp_path,
        options=FitOptions(num_epochs=5, learning_rate=5e-3, average_epochs=1),
        loss=CTC(),
        epoch_metrics=lambda model: {},
        monitor=None,
    )
    transcripts_df = transcribe_utterances(model, ten_df, decoders())
    found = summarize_transcripts(transcripts_df.assign(path=ten_df["path"].to_numpy(), cer=0.0), decoders())
    assert [*found] == [*decoders()]  # the columns that are added are no decoders
    assert found["greedy"]["cer"] == found["beam"]["cer"] == found["greedy"]["wer"] == 0
    assert found["greedy"]["num_utterances"] == 10


@pytest.fixture(scope="module")
def run(spoken_df, tmp_path_factory):
    """A finished run of a recipe that leaves the longest utterances out, and what it returned."""
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    max_seconds = spoken_df["num_samples"].nlargest(3).iloc[-1] / 16_000 - 0.01
    recipe = dataclasses.replace(TINY, num_epochs=2, max_seconds=max_seconds)
    bad_df = pd.DataFrame([{"name": "broken", "path": "broken.flac", "error": "broken: it is"}])
    return run_dir, recipe, train_transcriber(recipe, spoken_df, run_dir, bad_df=bad_df)


def test_a_run_says_what_it_did(run, spoken_df):
    run_dir, recipe, metrics = run
    model, vocabulary = runs.load_run(run_dir)
    assert vocabulary == ALPHABET and model.name == "resnet_ctc"
    transcripts = {split: pd.read_csv(run_dir / f"transcripts_{split}.csv") for split in ("train", "val")}
    held_out = set(transcripts["val"]["speaker"])
    assert held_out == {*sorted(spoken_df["speaker"].astype(int).unique())[-2:]}
    assert not held_out & set(transcripts["train"]["speaker"])
    left_out = list(pd.read_csv(run_dir / "left_out.csv")["name"])
    longest_df = spoken_df.nlargest(3, "num_samples").sort_index()
    is_val = longest_df["speaker"].astype(int).isin(held_out)  # who is judged, whatever the length
    assert left_out == ["broken", *longest_df[~is_val]["name"]]
    assert len(transcripts["train"]) + len(transcripts["val"]) == 40 - sum(~is_val)
    for split, found_df in transcripts.items():
        found_df = found_df.fillna("")
        for way in ("greedy", "beam", "beam_ngram"):
            expected = jiwer.cer(list(found_df["text"]), list(found_df[way]))
            assert metrics[split][way]["cer"] == pytest.approx(expected)
    history_df = read_history(run_dir)
    assert list(history_df.columns) == ["epoch", "loss", "train_cer", "val_cer", "learning_rate", "seconds"]
    assert history_df["val_cer"].iloc[-1] == pytest.approx(metrics["val"]["greedy"]["cer"])
    assert files.read_json(run_dir / "run.json")["settings"]["max_seconds"] == recipe.max_seconds


def test_the_loss_is_that_of_keras(rng):
    """Loss and gradient, of texts of several lengths (one with a letter twice) and of padded frames."""
    tf = pytest.importorskip("tensorflow")
    targets = np.array([[3, 3, 7, 1], [5, 2, 0, 0], [9, 0, 0, 0]])
    logits = np.array(keras.ops.log_softmax(rng.standard_normal((3, 12, len(ALPHABET))).astype("float32")))
    logits[1, 8:] = [0, *[-1e4] * (len(ALPHABET) - 1)]
    results = []
    for loss in (CTC(), keras.losses.CTC()):
        with tf.GradientTape() as tape:
            outputs = tf.Variable(logits)
            value = loss(targets, outputs)
        results.append((value, tape.gradient(value, outputs)))
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_test_split_is_neither_trained_on_nor_judged(spoken_df, tmp_path):
    speakers = sorted(spoken_df["speaker"].unique())
    split = spoken_df["speaker"].map({speakers[0]: "test", speakers[1]: "val"}).fillna("train")
    train_transcriber(dataclasses.replace(TINY, num_epochs=1), spoken_df.assign(split=split), tmp_path / "run")
    seen = {
        name: set(pd.read_csv(tmp_path / "run" / f"transcripts_{name}.csv", dtype=str)["speaker"])
        for name in ("train", "val")
    }
    assert seen == {"train": set(speakers[2:]), "val": {speakers[1]}}


def test_the_language_model_knows_the_training_texts_only(run):
    run_dir, recipe, _ = run
    texts = pd.read_csv(run_dir / "transcripts_train.csv")["text"]
    expected = ngram.count_ngrams(texts, recipe.ngram_order)
    assert ngram.read_ngram(run_dir / "ngram.json.gz").counts == expected.counts


def test_a_finished_run_is_read_and_another_is_not_mixed_in(run, spoken_df):
    run_dir, recipe, metrics = run
    before = (run_dir / "model.weights.h5").read_bytes()
    assert train_transcriber(recipe, spoken_df, run_dir) == metrics
    with pytest.raises(ValueError, match=r"must not hold a finished run.*speed_fraction"):
        other = dataclasses.replace(recipe, speed_fraction=0.05)
        train_transcriber(other, spoken_df, run_dir)
    with pytest.raises(ValueError, match=r"must not hold a finished run.*data"):
        train_transcriber(recipe, spoken_df.iloc[1:], run_dir)
    assert (run_dir / "model.weights.h5").read_bytes() == before


def test_a_run_may_start_from_another_in_rooms_and_noise(run, spoken_df, tmp_path):
    """With a learning rate of next to nothing it stays the model it starts from, and says which that was."""
    pytest.importorskip("pyroomacoustics", reason="rooms need the optional package pyroomacoustics")
    run_dir, recipe, _ = run
    again = dataclasses.replace(
        recipe, num_epochs=1, learning_rate=1e-9, noise_fraction=0.5, room_fraction=0.5, made_noise_minutes=0.2
    )
    train_transcriber(again, spoken_df, tmp_path / "run", initial=run_dir)
    settings = files.read_json(tmp_path / "run" / "run.json")["settings"]
    assert settings["initial"] == runs.model_fingerprint(run_dir)
    models = [runs.load_run(folder)[0] for folder in (tmp_path / "run", run_dir)]
    for weight, first in zip(*(model.trainable_weights for model in models), strict=True):
        np.testing.assert_allclose(weight, first, atol=1e-5)
    with pytest.raises(ValueError, match="`initial` must be a model with the weights of resnet_ctc"):
        other = dataclasses.replace(TINY, model=f"{SHAPE},num_units=12")
        train_transcriber(other, spoken_df, tmp_path / "other", initial=run_dir)


def test_a_run_of_version_0_1_is_finished_today(spoken_df, tmp_path, monkeypatch):
    """Its `run.json` lacks settings of today, and has an architecture by another scheme."""
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    shutil.copyfile(OLD_RUN_PATH, run_dir / "run.json")
    files.write_json(run_dir / "metrics.json", {"training_minutes": 1.0})
    settings = files.read_json(OLD_RUN_PATH)["settings"]
    monkeypatch.setattr(utterances, "utterances_fingerprint", lambda utterances_df: settings["data"])
    for overwrite in (False, True):
        assert train_transcriber(TranscriptRecipe(), spoken_df, run_dir, overwrite=overwrite) == {"training_minutes": 1}
    with pytest.raises(ValueError, match=r"begun with {'learning_rate': 0.0015}. Received: {'learning_rate': 0.001}"):
        train_transcriber(TranscriptRecipe(learning_rate=0.001), spoken_df, run_dir)
    assert files.read_json(run_dir / "run.json") == files.read_json(OLD_RUN_PATH)


def train(spoken_df, run_dirs, kill_at):
    """In a process of its own: one run after another, or one that is killed."""
    if kill_at is not None:
        keras.Model.fit = killed_at(keras.Model.fit, kill_at)
    for run_dir in run_dirs:
        keras.backend.clear_session()
        train_transcriber(TINY, spoken_df, run_dir)


@pytest.mark.slow
def test_a_killed_run_ends_like_one_that_was_not(spoken_df, tmp_path, monkeypatch):
    """On one thread: several add in any order."""
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "1")

    def exit_code(run_dirs, kill_at=None):
        child = multiprocessing.get_context("spawn").Process(target=train, args=(spoken_df, run_dirs, kill_at))
        child.start()
        child.join()
        return child.exitcode

    assert exit_code([tmp_path / "killed"], 2) == 9 and len(read_history(tmp_path / "killed")) == 2
    assert exit_code([tmp_path / "killed", tmp_path / "whole"]) == 0
    columns = ["epoch", "loss", "train_cer", "val_cer"]
    whole_df, killed_df = (read_history(tmp_path / name)[columns] for name in ("whole", "killed"))
    pd.testing.assert_frame_equal(killed_df, whole_df, rtol=1e-4)
    texts = [(tmp_path / name / "transcripts_val.csv").read_text() for name in ("whole", "killed")]
    assert texts[0] == texts[1]


def test_bad_recipes(spoken_df, tmp_path):
    with pytest.raises(ValueError, match=r"`model` must be one of \['resnet_ctc'\], .* Received: 'tc_resnet'"):
        train_transcriber(TranscriptRecipe(model="tc_resnet"), spoken_df, tmp_path / "run")
    with pytest.raises(ValueError, match="`num_val_speakers` must be at least 1 and below the number of speakers"):
        train_transcriber(TranscriptRecipe(num_val_speakers=99), spoken_df, tmp_path / "run")
    wrong = {"precision": "int8", "batch_size": 0, "num_epochs": -1, "average_epochs": 0, "warmup_fraction": 1}
    wrong |= {"noise_fraction": 2.0, "min_snr_db": 40.0}
    for name, value in (wrong | {"speed_fraction": 1.0, "gain_db": -3, "weight_decay": -1}).items():
        with pytest.raises(ValueError, match=rf"`{name}` must .*Received: {name}={value!r}"):
            TranscriptRecipe(**{name: value})
    with pytest.raises(ValueError, match=r"at most 0.5 s \(`max_seconds`\).*\n.*must last 0.3 to 0.5 s. Received: "):
        recipe = dataclasses.replace(TINY, max_seconds=0.5)
        train_transcriber(recipe, spoken_df, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_decoders_have_names():
    assert isinstance(decoders()["beam"](), BeamDecoder) and [*decoders()] == ["greedy", "beam"]
    found = decoders(ngram.count_ngrams(["go"], 3))
    assert found["beam_ngram"]().language_model.order == 3
