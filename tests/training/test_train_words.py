"""words.py and comparison.py on the sample: one run and its variants, and a comparison that is killed and continued."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from kaggle_speech.data import clip_batches, clips
from kaggle_speech.evaluation import validation
from kaggle_speech.models import cnn, runs
from kaggle_speech.training import comparison, fit
from kaggle_speech.training import words as words_module
from kaggle_speech.training.recipe import Recipe
from kaggle_speech.training.words import train

OLD_RUNS_DIR = Path(__file__).parent / "runs_of_0_1"
#: Two networks of few layers: most of the time goes to TensorFlow's tracing of each layer.
TINY, TINIER = "cnn,num_filters=(8,16)", "cnn,num_filters=(4,8)"
OPTIONS = {"model": TINY, "num_epochs": 2, "batch_size": 32}


@pytest.fixture(scope="module")
def clips_df(sample_dir):
    return clips.check_clips(clips.index_clips(sample_dir), progress=False)[0]


@pytest.fixture(scope="module")
def table_path(clips_df, tmp_path_factory):
    """Two models, two seeds; stopped after the first run and continued."""
    path = tmp_path_factory.mktemp("compare") / "results.csv"
    recipes = {name: Recipe(**OPTIONS | {"model": model}) for name, model in (("tinier", TINIER), ("tiny", TINY))}
    comparison.compare({"tinier": recipes["tinier"]}, 1, clips_df, path)
    (path.with_suffix("") / "tinier_0" / "trained_once").touch()
    runs_df = comparison.compare(recipes, 2, clips_df, path)
    pd.testing.assert_frame_equal(pd.read_csv(path), runs_df, check_dtype=False)
    assert (path.with_suffix("") / "tinier_0" / "trained_once").exists()
    return path


def test_comparison_has_a_row_a_run(table_path):
    runs_df = pd.read_csv(table_path)
    assert list(zip(runs_df["name"], runs_df["seed"], strict=True)) == [
        *(("tinier", 0), ("tinier", 1), ("tiny", 0), ("tiny", 1))
    ]
    for row in runs_df.itertuples():
        metrics = json.loads((table_path.with_suffix("") / f"{row.name}_{row.seed}" / "metrics.json").read_text())
        assert (row.accuracy, row.macro_f1) == pytest.approx((metrics["accuracy"], metrics["macro_f1"]))
    assert (runs_df["ms_per_clip"] > 0).all() and set(runs_df["epochs"]) == {2}


def test_a_table_keeps_the_rows_of_another_comparison(table_path, clips_df, tmp_path):
    runs_df = pd.read_csv(table_path)
    own_path = tmp_path / "results.csv"
    runs_df.assign(name="other " + runs_df["name"]).to_csv(own_path, index=False)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "tiny_0").symlink_to(table_path.with_suffix("") / "tiny_0")
    own_df = comparison.compare({"tiny": Recipe(**OPTIONS)}, 1, clips_df, own_path)
    assert list(own_df["name"]) == ["tiny"] and own_df["accuracy"].iloc[0] == pytest.approx(runs_df["accuracy"].iloc[2])
    whole_df = pd.read_csv(own_path)
    assert list(whole_df["name"]) == [*("other " + runs_df["name"]), "tiny"]
    pd.testing.assert_frame_equal(whole_df.tail(1).reset_index(drop=True), own_df, check_dtype=False)
    pd.DataFrame({"fname": ["a.wav"], "label": ["yes"]}).to_csv(own_path, index=False)
    with pytest.raises(ValueError, match=r"results.csv: must be written by `compare`, or not exist. Received: columns"):
        comparison.compare({}, 1, clips_df, own_path)


def test_summary_is_mean_and_deviation(table_path):
    runs_df = pd.read_csv(table_path)
    summary_df = comparison.summarize_runs(runs_df).set_index("name")
    for model in ("tinier", "tiny"):
        accuracies = runs_df.loc[runs_df["name"] == model, "accuracy"]
        assert summary_df.loc[model, "accuracy"] == pytest.approx(np.mean(accuracies), abs=1e-4)
        assert summary_df.loc[model, "accuracy_sd"] == pytest.approx(np.std(accuracies, ddof=1), abs=1e-4)
        assert summary_df.loc[model, "seeds"] == 2


def test_a_comparison_with_another_recipe_keeps_what_is_there(table_path, clips_df):
    with pytest.raises(ValueError, match="tinier_0: must not hold a finished run"):
        recipes = {"tinier": Recipe(**OPTIONS | {"model": TINIER, "num_epochs": 3})}
        comparison.compare(recipes, 1, clips_df, table_path)


def test_a_student_hears_what_its_teachers_say(table_path, clips_df, tmp_path, monkeypatch):
    """The targets, seen by a spy, against the teachers' own opinion of the same waveforms."""
    teachers = [table_path.with_suffix("") / f"tiny_{seed}" for seed in (0, 1)]
    seen = []
    fit_model = fit.fit

    def spy(model, train_ds, *args, **options):
        seen.extend(train_ds.take(1).as_numpy_iterator())
        return fit_model(model, train_ds, *args, **options)

    monkeypatch.setattr(fit, "fit", spy)
    recipe = Recipe(**OPTIONS | {"num_epochs": 1, "teacher_share": 0.75, "mixup_fraction": 1.0})
    train(recipe, clips_df, tmp_path / "student", teachers=teachers)
    (waveform, target), *_ = seen
    opinion = np.mean([runs.load_run(teacher)[0].predict(waveform, verbose=0) for teacher in teachers], axis=0)
    label = (target - 0.75 * opinion) / 0.25
    np.testing.assert_allclose(label.sum(axis=1), 1, atol=1e-3)
    assert (label > -1e-3).all() and (np.sort(label, axis=1)[:, :-2] < 1e-3).all()  # two labels, blended
    kept = json.loads((tmp_path / "student" / "run.json").read_text())["settings"]["teachers"]
    hashes = [hashlib.sha256((teacher / "model.weights.h5").read_bytes()).hexdigest() for teacher in teachers]
    assert kept == {teacher.name: digest[:16] for teacher, digest in zip(teachers, hashes, strict=True)}
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"student: must not hold a finished run.* begun with {'teachers'"):
        train(recipe, clips_df, tmp_path / "student", teachers=teachers[:1])


def test_a_teacher_must_share_the_vocabulary(table_path, sample_dir, tmp_path):
    recipe = Recipe(**OPTIONS | {"num_classes": 32})
    clips_df = clips.check_clips(clips.index_clips(sample_dir, recipe.vocabulary), progress=False)[0]
    with pytest.raises(ValueError, match=r"must have the vocabulary of the student, 32 labels\. Received: 12"):
        train(recipe, clips_df, tmp_path, teachers=[table_path.with_suffix("") / "tiny_0"])


def test_teachers_of_one_name_are_told_apart(table_path, clips_df, tmp_path):
    runs_dir = table_path.with_suffix("")
    teachers = [shutil.copytree(runs_dir / f"tiny_{seed}", tmp_path / str(seed) / "run") for seed in (0, 1)]
    train(Recipe(**OPTIONS), clips_df, tmp_path / "student", teachers=teachers)
    kept = json.loads((tmp_path / "student" / "run.json").read_text())["settings"]["teachers"]
    assert kept == {name: runs.model_fingerprint(path) for name, path in zip(("run", "run-2"), teachers, strict=True)}


def test_without_validation_clips_nothing_is_trained(clips_df, tmp_path, monkeypatch):
    monkeypatch.setattr("kaggle_speech.training.fit.fit", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(ValueError, match=r"`split` must have clips.*Received: split='val'"):
        train(Recipe(**OPTIONS), clips_df[clips_df["split"] != "val"], tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_table_without_an_ending_would_take_the_place_of_its_runs(clips_df, tmp_path):
    with pytest.raises(ValueError, match=r"`out_path` must be a file such as results.csv. Received: .*results"):
        comparison.compare({"tiny": Recipe(**OPTIONS)}, 1, clips_df, tmp_path / "results")


def test_words_left_out_are_not_heard_and_are_judged(clips_df, tmp_path, monkeypatch):
    heard = []
    make_dataset = clip_batches.make_dataset

    def spy(clips_df, *args, **options):
        heard.append(clips_df)
        return make_dataset(clips_df, *args, **options)

    monkeypatch.setattr(clip_batches, "make_dataset", spy)
    words = ("bed", "marvin")
    metrics = train(Recipe(**OPTIONS, left_out_words=words), clips_df, tmp_path / "run")
    assert len(heard) == 2 and not any(frame["word"].isin(words).any() for frame in heard)
    in_val = (clips_df["split"] == "val") & clips_df["word"].isin(words)
    assert metrics["left_out"]["num_clips"] == in_val.sum() > 0
    assert 0 <= metrics["left_out"]["low"] <= metrics["left_out"]["recall"] <= metrics["left_out"]["high"] <= 1
    assert runs.read_json(tmp_path / "run" / "metrics.json")["left_out"] == metrics["left_out"]
    with pytest.raises(ValueError, match=r"words of the data that are no command. Received: \['nonsense', 'yes'\]"):
        train(Recipe(**OPTIONS, left_out_words=("yes", "nonsense")), clips_df, tmp_path / "other")


@pytest.mark.slow
def test_a_word_with_an_output_of_its_own_can_be_left_out(sample_dir, tmp_path):
    recipe = Recipe(**OPTIONS | {"num_classes": 32}, left_out_words=("bed",))
    clips_df = clips.check_clips(clips.index_clips(sample_dir, recipe.vocabulary), progress=False)[0]
    metrics = train(recipe, clips_df, tmp_path / "run")
    assert metrics["left_out"]["num_clips"] == ((clips_df["split"] == "val") & (clips_df["word"] == "bed")).sum() > 0
    own = metrics["own_labels"]
    assert {*own["recall"]} < {*recipe.vocabulary} and "bed" not in own["recall"] and "silence" in own["recall"]
    assert own["num_clips"] == sum(row["num_clips"] for row in own["labels"].values()) > metrics["num_clips"]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_what_is_trained_in_mixed_precision_is_kept_in_float32(precision, clips_df, tmp_path, monkeypatch):
    recipe, policies, fit_model = Recipe(**OPTIONS, precision=precision), [], fit.fit

    def spy(model, *args, **options):
        policies.append(model.dtype_policy.name)
        return fit_model(model, *args, **options)

    monkeypatch.setattr(fit, "fit", spy)
    metrics = train(recipe, clips_df, tmp_path / "run")
    assert policies == [precision]
    model, vocabulary = runs.load_run(tmp_path / "run")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    again, _ = validation.validate(model, vocabulary, clips.validation_clips(clips_df))
    assert again["accuracy"] == metrics["accuracy"]
    history_df = pd.read_csv(tmp_path / "run" / "history.csv")
    assert history_df["loss"].iloc[-1] < history_df["loss"].iloc[0]


def test_a_finished_run_is_read_unless_the_recipe_or_the_network_differs(table_path, clips_df, tmp_path, monkeypatch):
    run_dir = shutil.copytree(table_path.with_suffix("") / "tiny_0", tmp_path / "run")
    recipe = Recipe(**OPTIONS)
    monkeypatch.setattr(fit, "fit", None)
    for overwrite in (False, True):
        metrics = train(recipe, clips_df, run_dir, overwrite=overwrite)
        assert metrics == json.loads((run_dir / "metrics.json").read_text())
    other = dataclasses.replace(recipe, label_smoothing=0.2)
    with pytest.raises(ValueError, match=r"begun with {'label_smoothing': 0.1}. Received: {'label_smoothing': 0.2}"):
        train(other, clips_df, run_dir)
    monkeypatch.setattr(cnn, "CepstralMeanNormalization", lambda **_: keras.layers.Identity())
    with pytest.raises(ValueError, match=r"must not hold a finished run.* begun with {'architecture': "):
        train(recipe, clips_df, run_dir)
    with pytest.raises(TypeError, match="NoneType"):  # it comes to train
        train(recipe, clips_df, run_dir, overwrite=True)
    (old_dir,) = tmp_path.glob("run.old-*")
    assert metrics == json.loads((old_dir / "metrics.json").read_text()) and (old_dir / "model.weights.h5").exists()


@pytest.mark.parametrize("name", ["bc_resnet", "bc_resnet_distilled"])
def test_runs_of_version_0_1_are_finished_today(name, clips_df, tmp_path, monkeypatch):
    """Their `run.json` lacks settings of today, or has an architecture by another scheme; it is read, nothing moves."""
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    shutil.copyfile(OLD_RUNS_DIR / f"{name}.json", run_dir / "run.json")
    (run_dir / "metrics.json").write_text(json.dumps({"accuracy": 0.5}))
    before = {path.name: path.read_bytes() for path in run_dir.iterdir()}
    settings = json.loads(before["run.json"])["settings"]
    teachers = {tmp_path / teacher: digits for teacher, digits in dict(settings["teachers"]).items()}
    monkeypatch.setattr(runs, "model_fingerprint", teachers.get)
    monkeypatch.setattr(clips, "data_fingerprint", lambda clips_df: settings["data"])
    recipe = Recipe(settings["model"])
    for overwrite in (False, True):
        assert train(recipe, clips_df, run_dir, teachers=[*teachers], overwrite=overwrite) == {"accuracy": 0.5}
    with pytest.raises(ValueError, match=r"begun with {'patience': 30}. Received: {'patience': 5}"):
        train(dataclasses.replace(recipe, patience=5), clips_df, run_dir, teachers=[*teachers])
    assert {path.name: path.read_bytes() for path in run_dir.iterdir()} == before


def test_running_speech_belongs_to_a_run(clips_df, tmp_path):
    speech_df = clips_df[clips_df["word"] == "bed"][["path", "num_samples"]]
    recipe = Recipe(**OPTIONS | {"num_epochs": 1}, speech_fraction=0.5)
    train(recipe, clips_df, tmp_path / "run", speech_df=speech_df)
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert settings["speech_fraction"] == 0.5 and len(settings["speech"]) == 16
    fit = json.loads((tmp_path / "run" / "fit.json").read_text())
    assert fit["steps_per_epoch"] == -(-len(clips.prepare_clips(clips_df, "train")) // 16)  # half of 32 a batch
    with pytest.raises(ValueError, match=r"must not hold a finished run.* begun with {.*'speech'"):
        train(recipe, clips_df, tmp_path / "run", speech_df=speech_df.head(3))
    with pytest.raises(ValueError, match=r"must not hold a finished run"):
        train(recipe, clips_df, tmp_path / "run")


def test_a_training_starts_from_the_weights_of_a_run(table_path, clips_df, sample_dir, tmp_path, monkeypatch):
    initial = table_path.with_suffix("") / "tiny_0"
    first_weights = runs.load_run(initial)[0].get_weights()
    started = []

    def fit_nothing(model, *args, **kwargs):
        started.append(model.get_weights())
        return pd.DataFrame({"seconds": [1.0]})

    monkeypatch.setattr(fit, "fit", fit_nothing)
    recipe = Recipe(**OPTIONS | {"seed": 5})
    train(recipe, clips_df, tmp_path / "run", initial=initial)
    for ours, theirs in zip(started[0], first_weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert settings["initial"] == runs.model_fingerprint(initial)
    more_labels = dataclasses.replace(recipe, num_classes=31)
    more_df, _ = clips.read_clips_table(sample_dir, more_labels.vocabulary, progress=False)
    train(more_labels, more_df, tmp_path / "more", initial=initial)
    for ours, theirs in zip(started[1][:-2], first_weights[:-2], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match=r"tiny_0: `initial` must be a model with the weights of cnn: .* Received: "):
        train(dataclasses.replace(recipe, model=TINIER), clips_df, tmp_path / "other", initial=initial)


def test_fast_and_balanced(clips_df, tmp_path, monkeypatch):
    monkeypatch.setattr(words_module, "NUM_FAST_CLIPS", 64)
    train(Recipe(**OPTIONS, fast=True, balanced=True), clips_df, tmp_path / "run")
    fit = json.loads((tmp_path / "run" / "fit.json").read_text())
    assert fit["steps_per_epoch"] == 2
    train_df = clips.prepare_clips(clips_df, "train").head(64)
    counts = train_df["label"].value_counts()
    by_hand = [64 / (len(counts) * counts[label]) if label in counts else 0 for label in Recipe().vocabulary]
    np.testing.assert_allclose(fit["class_weights"], by_hand)
