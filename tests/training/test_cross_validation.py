"""Folds of speakers: every clip is judged once, by a model that never heard its speaker."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from kaggle_speech.cli.main import main
from kaggle_speech.data import clips, splits
from kaggle_speech.models import runs
from kaggle_speech.training import cross_validation, words
from kaggle_speech.training.recipe import Recipe, recipe_of

RECIPE = Recipe("cnn,num_filters=(4,8)", num_epochs=1, batch_size=32, left_out_words=("bed",))


@pytest.fixture(scope="module")
def clips_df(sample_dir):
    return clips.check_clips(clips.index_clips(sample_dir), progress=False)[0]


def test_folds_share_the_speakers_out(clips_df):
    spoken_df = clips_df[~clips_df["split"].isin(["noise", "test"])]
    held_out = []
    for fold in range(3):
        fold_df = splits.hold_out_fold(clips_df, fold, 3)
        assert {*fold_df["split"]} == {"train", "tune", "val", "noise"}
        by_speaker = fold_df[fold_df["split"] != "noise"].groupby("speaker")["split"].nunique()
        assert by_speaker.max() == 1  # no speaker is in two splits
        held_out += list(fold_df.index[fold_df["split"] == "val"])
    assert sorted(held_out) == list(spoken_df.index)
    with pytest.raises(ValueError, match=r"`num_folds` must be from 2 to .* Received: num_folds=1"):
        splits.hold_out_fold(clips_df, 0, 1)


def test_all_clips_are_judged_by_models_without_their_speakers(clips_df, tmp_path, monkeypatch):
    trained = []

    def finish_at_once(recipe, fold_df, run_dir, **options):
        """A run whose model knows the labels of the speakers it was trained on, and says `go` to all others."""
        trained.append({*fold_df.loc[fold_df["split"].isin(["train", "tune"]), "speaker"]})

    class Parrot:
        def __init__(self, known):
            self.known = known

    def answer(model, vocabulary, val_df, progress):
        labels = np.where(val_df["speaker"].isin(model.known), val_df["label"], "go")
        return (labels[:, None] == np.array(vocabulary)).astype("float32")

    monkeypatch.setattr(cross_validation, "train", finish_at_once)
    monkeypatch.setattr(runs, "load_run", lambda run_dir: (Parrot(trained[-1]), RECIPE.vocabulary))
    monkeypatch.setattr(cross_validation, "predict_competition", answer)
    metrics = cross_validation.cross_validate(RECIPE, clips_df, 4, tmp_path, progress=False)
    answers_df = pd.read_csv(tmp_path / "answers.csv")
    spoken_df = answers_df[answers_df["label"] != "silence"]
    commands_df = clips_df[~clips_df["split"].isin(["noise", "test"]) & clips_df["label"].isin(RECIPE.vocabulary[:10])]
    judged_df = spoken_df[spoken_df["label"] != "unknown"]
    assert sorted(judged_df["path"]) == sorted(commands_df["path"]) and (spoken_df["answer"] == "go").all()
    share = (spoken_df["label"] == "go").mean()
    assert metrics["accuracy"] == pytest.approx(share) and len(metrics["fold_accuracy"]) == 4
    assert metrics["accuracy_interval"][0] <= share <= metrics["accuracy_interval"][1]


@pytest.mark.parametrize(
    ("settings", "has_speech", "message"),
    [
        ({"teachers": {"a": "1"}, "pseudo": "2"}, False, "trained without other models .* a run with teachers, pseudo"),
        ({"initial": "1"}, False, "Received: a run with initial"),
        ({"speech": "1"}, False, "`speech_df` must be given .* Received: none"),
        ({}, True, "Received: running speech"),
    ],
)
def test_a_run_with_helpers_has_no_folds(settings, has_speech, message):
    with pytest.raises(ValueError, match=message):
        cross_validation.check_trains_alone(settings, has_speech)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--folds", "2", "--noise", "rain"], "--folds must come without --noise. Received: both"),
        (["--folds", "2", "--against", "tc_resnet"], "--folds must come without --against"),
        (["--folds", "2", "--rooms"], "--folds must come without --rooms"),
        (["--folds", "2", "--seed", "1"], "--folds must come without --seed"),
        (["--speech-negatives", "speech"], "--speech-negatives must come with --folds"),
    ],
)
def test_options_that_would_be_ignored_are_refused(options, message, capsys):
    assert main(["evaluate", *options]) == 1
    assert message in capsys.readouterr().err


def test_a_recipe_survives_its_settings():
    settings = json.loads(json.dumps(dataclasses.asdict(RECIPE))) | {"data": "0123", "teachers": {}}
    assert recipe_of(settings) == RECIPE
    assert recipe_of({"model": "tc_resnet", "augmentation": {"gain_db": 3.0}}).augmentation.gain_db == 3.0


@pytest.mark.slow
def test_the_command_trains_folds_and_reads_finished_ones(clips_df, sample_dir, tmp_path, capsys):
    words.train(dataclasses.replace(RECIPE, left_out_words=()), clips_df, tmp_path / "run")
    arguments = ["evaluate", "--run", tmp_path / "run", "--data", sample_dir, "--folds", 2, "--out", tmp_path / "folds"]
    texts = []
    for _ in range(2):
        assert main([*map(str, arguments)]) == 0
        texts.append(capsys.readouterr().out)
    assert "95 % interval over speakers" in texts[0] and texts[0] == texts[1]
    answers_df = pd.read_csv(tmp_path / "folds" / "answers.csv")
    assert set(answers_df["fold"]) == {0, 1} and (tmp_path / "folds" / "fold_1" / "metrics.json").exists()
