"""runs.py: a run is found again, continued only with its own settings, and not lost by accident."""

import shutil

import numpy as np
import pandas as pd
import pytest

from kaggle_speech import files
from kaggle_speech.data import clips
from kaggle_speech.evaluation import validation
from kaggle_speech.export import publish
from kaggle_speech.labels import COMPETITION_LABELS
from kaggle_speech.models import pretrained, registry, runs
from kaggle_speech.models.registry import build_model
from kaggle_speech.training import words
from kaggle_speech.training.recipe import Recipe

SETTINGS = {"model": "tc_resnet", "seed": 1, "pair": (1, 2)}


def test_round_trip(tmp_path, speech):
    run_dir = runs.start_run(tmp_path / "new" / "run", COMPETITION_LABELS, SETTINGS)
    model = build_model("tc_resnet", 12)
    runs.finish_run(run_dir, model, {"accuracy": 0.5})
    loaded, vocabulary = runs.load_run(run_dir)
    assert vocabulary == COMPETITION_LABELS
    np.testing.assert_array_equal(loaded.predict(speech, verbose=0), model.predict(speech, verbose=0))
    metrics = files.read_json(run_dir / "metrics.json")
    assert metrics["accuracy"] == 0.5 and metrics["settings"]["seed"] == 1
    assert {"python", "tensorflow", "keras", "kaggle_speech"} <= set(metrics["versions"])
    assert sorted(path.name for path in run_dir.iterdir()) == ["metrics.json", "model.weights.h5", "run.json"]


def test_unfinished_run_is_continued_with_its_own_settings_only(tmp_path, capsys):
    run_dir = runs.start_run(tmp_path / "run", COMPETITION_LABELS, SETTINGS)
    (run_dir / "history.csv").write_text("epoch\n0\n")
    runs.start_run(run_dir, COMPETITION_LABELS, SETTINGS)
    with pytest.raises(
        ValueError, match=r"a killed run with other settings.* begun with {'seed': 1}. Received: {'seed': 2}"
    ):
        runs.start_run(run_dir, COMPETITION_LABELS, SETTINGS | {"seed": 2})
    assert (run_dir / "history.csv").exists()
    runs.start_run(run_dir, COMPETITION_LABELS, SETTINGS, overwrite=True)
    assert (run_dir / "history.csv").exists()  # the same run: overwriting still means to continue
    runs.start_run(run_dir, COMPETITION_LABELS, SETTINGS | {"seed": 2}, overwrite=True)
    assert not (run_dir / "history.csv").exists()
    (old_dir,) = tmp_path.glob("run.old-*")
    assert (old_dir / "history.csv").read_text() == "epoch\n0\n"
    said = capsys.readouterr().err
    assert str(old_dir) in said and "{'seed': 1}. Received: {'seed': 2}" in said


def test_finished_run_is_kept_unless_overwritten_and_then_set_aside(tmp_path, capsys):
    run_dir = runs.start_run(tmp_path / "run", COMPETITION_LABELS, SETTINGS)
    (run_dir / "metrics.json").write_text("first")
    with pytest.raises(ValueError, match="must not hold a finished run"):
        runs.start_run(run_dir, COMPETITION_LABELS, SETTINGS)
    record = (run_dir / "run.json").read_bytes()
    for content in ("second", "third"):  # of the same settings, so that the names must be told apart
        runs.start_run(run_dir, COMPETITION_LABELS, SETTINGS, overwrite=True)
        assert not (run_dir / "metrics.json").exists()
        (run_dir / "metrics.json").write_text(content)
    old_dirs = sorted(tmp_path.glob("run.old-*"), key=lambda path: len(path.name))
    assert [(path / "metrics.json").read_text() for path in old_dirs] == ["first", "second"]
    assert all((path / "run.json").read_bytes() == record for path in old_dirs)
    said = capsys.readouterr().err
    assert all(str(path) in said for path in old_dirs) and "Its settings are the same" in said


def test_a_setting_that_an_older_run_lacks_is_no_difference(tmp_path):
    older = {"model": "tc_resnet", "teachers": [], "augmentation": {"gain_db": 6.0}}
    settings = {"model": "tc_resnet", "teachers": {}, "augmentation": {"gain_db": 6.0, "hiss_std": 0.0}, "patience": 30}
    defaults = {"teachers": {}, "augmentation": {"gain_db": 1.0, "hiss_std": 0.0}, "patience": 30}
    run_dir = runs.start_run(tmp_path / "run", COMPETITION_LABELS, older)
    runs.start_run(run_dir, COMPETITION_LABELS, settings, defaults=defaults)  # is continued
    files.write_json(run_dir / "run.json", {"vocabulary": COMPETITION_LABELS, "settings": older})
    files.write_json(run_dir / "metrics.json", {})
    assert runs.is_finished(run_dir, COMPETITION_LABELS, settings, defaults)
    for other in ({"patience": 5}, {"augmentation": {"gain_db": 1.0}}, {"teachers": {"a": "0123"}}, {"new": 1}):
        assert not runs.is_finished(run_dir, COMPETITION_LABELS, settings | other, defaults)


@pytest.mark.parametrize("name", ["bc_resnet", "tc_resnet", "bc_resnet_distilled"])
def test_runs_of_earlier_versions_are_finished_today(name, tmp_path, monkeypatch):
    """The package's own runs, whose `run.json` lacks settings of today, are read and neither moved nor trained."""
    published_dir, run_dir = pretrained.PRETRAINED_DIR.with_name(name), tmp_path / "run"
    shutil.copytree(published_dir, run_dir)
    before = {path.name: path.read_bytes() for path in run_dir.iterdir()}
    settings = files.read_json(run_dir / "run.json")["settings"]
    teachers = {tmp_path / teacher: digits for teacher, digits in (settings["teachers"] or {}).items()}
    monkeypatch.setattr(runs, "model_fingerprint", teachers.get)
    monkeypatch.setattr(clips, "data_fingerprint", lambda clips_df: settings["data"])
    if "architecture" in settings:
        monkeypatch.setattr(registry, "architecture_fingerprint", lambda model: settings["architecture"])
    monkeypatch.setattr(runs, "start_run", None)
    clips_df = pd.DataFrame({"word": ["yes"]})
    metrics = words.train_run(Recipe(settings["model"]), clips_df, run_dir, teachers=[*teachers], overwrite=True)
    assert metrics == files.read_json(published_dir / "metrics.json")
    assert {path.name: path.read_bytes() for path in run_dir.iterdir()} == before
    monkeypatch.setattr(runs, "start_run", lambda *args, **options: pytest.fail("other settings"))
    with pytest.raises(pytest.fail.Exception, match="other settings"):
        words.train_run(Recipe(settings["model"], patience=5), clips_df, run_dir, teachers=[*teachers])


def test_folder_without_a_model(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing: must hold a trained model .* kaggle_speech train --out"):
        runs.load_run(tmp_path / "nothing")


def test_a_published_run_is_a_run_with_a_card(tmp_path, speech):
    settings = SETTINGS | {"data": "0123456789abcdef", "label_smoothing": 0.1}
    run_dir = runs.start_run(tmp_path / "run", COMPETITION_LABELS, settings)
    model = build_model("tc_resnet", 12)
    metrics = {"accuracy": 0.95123, "macro_f1": 0.9444, "num_clips": 964, "training_minutes": 7.5}
    runs.finish_run(run_dir, model, metrics | {"recall": {"yes": 0.9875, "no": 0.91}})
    publish.publish_run(run_dir, tmp_path / "public")
    loaded, vocabulary = runs.load_run(tmp_path / "public")
    assert vocabulary == COMPETITION_LABELS
    np.testing.assert_array_equal(loaded.predict(speech, verbose=0), model.predict(speech, verbose=0))
    card = (tmp_path / "public" / "README.md").read_text()
    for fact in (
        "tc_resnet",
        "95.12%",
        "0.9444",
        "964",
        "yes 0.988, no 0.910",
        '"label_smoothing": 0.1',
        "CC BY 4.0",
        "0123",
    ):
        assert fact in card


@pytest.mark.parametrize(
    "pretrained_dir",
    sorted(pretrained.PRETRAINED_DIR.parent.glob("*/model.weights.h5")),
    ids=lambda path: path.parent.name,
)
def test_what_comes_with_the_package_is_what_its_card_says(pretrained_dir, real_dir):
    """On the real validation clips."""
    pretrained_dir = pretrained_dir.parent
    model, vocabulary = runs.load_run(pretrained_dir)
    metrics = files.read_json(pretrained_dir / "metrics.json")
    clips_df = clips.index_clips(real_dir)
    assert clips.data_fingerprint(clips_df) == metrics["settings"]["data"]
    found, _ = validation.validate(model, vocabulary, clips.validation_clips(clips_df))
    assert found["accuracy"] == pytest.approx(metrics["accuracy"], abs=0.002)
    assert f"{metrics['accuracy']:.2%}" in (pretrained_dir / "README.md").read_text()
    assert (pretrained_dir / "model.weights.h5").stat().st_size < 2e6


def test_without_data_the_packages_model_still_tells_speech_from_silence(sample_dir):
    """Rendered voices are not what it was trained on, so little is asked: far above chance."""
    model, vocabulary = runs.load_run()
    val_df = clips.validation_clips(clips.index_clips(sample_dir))
    metrics, _ = validation.validate(model, vocabulary, val_df)
    assert metrics["accuracy"] > 0.3
