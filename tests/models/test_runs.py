"""runs.py: a run is found again, continued only with its own settings, and not lost by accident."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kaggle_speech import files
from kaggle_speech.data import clips
from kaggle_speech.evaluation import validation
from kaggle_speech.labels import COMPETITION_LABELS
from kaggle_speech.models import pretrained, runs
from kaggle_speech.models.registry import build_model

SETTINGS = {"model": "tc_resnet", "seed": 1, "pair": (1, 2)}


def open_run(run_dir, settings=SETTINGS, **options):
    return runs.open_run(
        run_dir, **{"task": "words", "vocabulary": COMPETITION_LABELS, "settings": settings, **options}
    )


def start_run(run_dir, settings=SETTINGS, **options):
    """As a training that is killed at once."""
    with open_run(run_dir, settings, **options) as run:
        assert run.metrics is None
        return run.path


def test_round_trip(tmp_path, speech):
    model = build_model("tc_resnet", 12)
    with open_run(tmp_path / "new" / "run") as run:
        started = files.read_json(run.path / "run.json")
        assert started["task"] == "words" and started["vocabulary"] == [*COMPETITION_LABELS]
        (run.path / "backup").mkdir()
        metrics = run.finish(model, {"accuracy": 0.5})
    loaded, vocabulary = runs.load_run(run.path)
    assert vocabulary == COMPETITION_LABELS
    np.testing.assert_array_equal(loaded.predict(speech, verbose=0), model.predict(speech, verbose=0))
    assert metrics == run.metrics == files.read_json(run.path / "metrics.json")
    assert metrics["accuracy"] == 0.5 and metrics["settings"]["seed"] == 1 and metrics["task"] == "words"
    assert {"python", "tensorflow", "keras", "kaggle_speech"} <= set(metrics["versions"])
    assert sorted(path.name for path in run.path.iterdir()) == ["metrics.json", "model.weights.h5", "run.json"]


def test_unfinished_run_is_continued_with_its_own_settings_only(tmp_path, capsys):
    run_dir = start_run(tmp_path / "run")
    (run_dir / "history.csv").write_text("epoch\n0\n")
    start_run(run_dir)
    with pytest.raises(
        ValueError, match=r"a killed run with other settings.* begun with {'seed': 1}. Received: {'seed': 2}"
    ):
        start_run(run_dir, SETTINGS | {"seed": 2})
    with pytest.raises(ValueError, match=r"begun with {'task': 'words'}. Received: {'task': 'transcripts'}"):
        start_run(run_dir, task="transcripts")
    assert (run_dir / "history.csv").exists()
    start_run(run_dir, overwrite=True)
    assert (run_dir / "history.csv").exists()  # the same run: overwriting still means to continue
    start_run(run_dir, SETTINGS | {"seed": 2}, overwrite=True)
    assert not (run_dir / "history.csv").exists()
    (old_dir,) = tmp_path.glob("run.old-*")
    assert (old_dir / "history.csv").read_text() == "epoch\n0\n"
    said = capsys.readouterr().err
    assert str(old_dir) in said and "{'seed': 1}. Received: {'seed': 2}" in said


def test_finished_run_is_read_and_another_sets_it_aside(tmp_path, capsys):
    run_dir = start_run(tmp_path / "run")
    files.write_json(run_dir / "metrics.json", {"accuracy": 0.0})
    record = (run_dir / "run.json").read_bytes()
    for overwrite in (False, True):
        with open_run(run_dir, overwrite=overwrite) as run:
            assert run.metrics == {"accuracy": 0.0}
    with pytest.raises(ValueError, match=r"must not hold a finished run.* {'seed': 1}. Received: {'seed': 2}"):
        start_run(run_dir, SETTINGS | {"seed": 2})
    for seed in (2, 1, 3):  # the first and the third are of the same settings, so that the names must be told apart
        start_run(run_dir, SETTINGS | {"seed": seed}, overwrite=True)
        files.write_json(run_dir / "metrics.json", {"accuracy": seed})
    old_dirs = [*tmp_path.glob("run.old-*")]
    assert sorted(files.read_json(path / "metrics.json")["accuracy"] for path in old_dirs) == [0, 1, 2]
    assert sum((path / "run.json").read_bytes() == record for path in old_dirs) == 2
    said = capsys.readouterr().err
    assert all(str(path) in said for path in old_dirs)


def test_a_run_that_fails_is_continued(tmp_path):
    with pytest.raises(KeyboardInterrupt), open_run(tmp_path / "run") as run:
        raise KeyboardInterrupt
    assert start_run(tmp_path / "run") == run.path


def test_folders_that_are_no_run(tmp_path):
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(ValueError, match=r"must not hold metrics.json without run.json"):
        start_run(tmp_path)
    with pytest.raises(ValueError, match=r"`task` must be one of \('words', 'transcripts'\). Received: task='songs'"):
        start_run(tmp_path / "run", task="songs")
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


def hold(run_dir, is_open, may_finish):
    """In another process: a training that takes until it is told to finish."""
    with open_run(run_dir) as run:
        is_open.set()
        assert may_finish.wait(60)
        files.write_json(run.path / "metrics.json", {"accuracy": 1.0})


def test_a_run_is_open_in_one_process_at_a_time(tmp_path):
    pytest.importorskip("filelock")
    context = multiprocessing.get_context("spawn")
    is_open, may_finish = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path / "run", is_open, may_finish))
    other.start()
    assert is_open.wait(60)
    with ThreadPoolExecutor(1) as pool:

        def metrics():
            with open_run(tmp_path / "run") as run:
                return run.metrics

        waiting = pool.submit(metrics)
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        may_finish.set()
        assert waiting.result(60) == {"accuracy": 1.0}  # the run of the other process, finished
    other.join(60)
    assert other.exitcode == 0


def test_a_setting_that_an_older_run_lacks_is_no_difference(tmp_path):
    older = {
        "model": "tc_resnet",
        "teachers": [],
        "augmentation": {"gain_db": 6.0},
        "architecture": "5a30d093b316be83",  # by version 0.1, which says nothing today
    }
    settings = {"model": "tc_resnet", "teachers": {}, "augmentation": {"gain_db": 6.0, "hiss_std": 0.0}, "patience": 30}
    settings["architecture"] = "a2:2d494289db05ad08"
    defaults = {"teachers": {}, "augmentation": {"gain_db": 1.0, "hiss_std": 0.0}, "patience": 30}
    defaults["architecture"] = settings["architecture"]
    run_dir = start_run(tmp_path / "run", older)
    start_run(run_dir, settings, defaults=defaults)  # is continued
    files.write_json(run_dir / "run.json", {"vocabulary": COMPETITION_LABELS, "settings": older})
    files.write_json(run_dir / "metrics.json", {"accuracy": 0.5})
    with open_run(run_dir, settings, defaults=defaults) as run:
        assert run.metrics == {"accuracy": 0.5}
    for other in ({"patience": 5}, {"augmentation": {"gain_db": 1.0}}, {"teachers": {"a": "0123"}}, {"new": 1}):
        with pytest.raises(ValueError, match="must not hold a finished run"):
            start_run(run_dir, settings | other, defaults=defaults)
    files.write_json(run_dir / "run.json", {"vocabulary": COMPETITION_LABELS, "settings": settings})
    with pytest.raises(ValueError, match=r"begun with {'architecture': 'a2:2d494289db05ad08'}"):
        start_run(run_dir, settings | {"architecture": "a2:0000000000000000"}, defaults=defaults)


def test_folder_without_a_model(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing: must hold a trained model .* `kaggle-speech train --out"):
        runs.load_run(tmp_path / "nothing")


@pytest.mark.parametrize(
    "pretrained_dir",
    sorted(pretrained.PRETRAINED_DIR.parent.glob("*/model.weights.h5")),
    ids=lambda path: path.parent.name,
)
def test_what_comes_with_the_package_is_what_its_card_says(pretrained_dir, real_dir):
    """On the real validation clips, of which a model of a larger set quotes more: those of the same speakers."""
    pretrained_dir = pretrained_dir.parent
    model, vocabulary = runs.load_run(pretrained_dir)
    metrics = files.read_json(pretrained_dir / "metrics.json")
    clips_df = clips.index_clips(real_dir)
    found, _ = validation.validate(model, vocabulary, clips.validation_clips(clips_df))
    is_same_data = clips.data_fingerprint(clips_df) == metrics["settings"]["data"]
    assert found["accuracy"] == pytest.approx(metrics["accuracy"], abs=0.002 if is_same_data else 0.015)
    card = (pretrained_dir / "README.md").read_text()
    headline = metrics.get("own_labels", metrics)["accuracy"]
    assert f"{headline:.2%}" in card or f"**{headline:.1%}**" in card
    assert "own_labels" not in metrics or f"competition it is right on {metrics['accuracy']:.1%} (95 %" in card
    assert f"`{metrics['settings']['data']}`" in card
    assert (pretrained_dir / "model.weights.h5").stat().st_size < 2e6


def test_without_data_the_packages_model_still_tells_speech_from_silence(sample_dir):
    """Rendered voices are not what it was trained on, so little is asked: far above chance."""
    model, vocabulary = runs.load_run()
    val_df = clips.validation_clips(clips.index_clips(sample_dir))
    metrics, _ = validation.validate(model, vocabulary, val_df)
    assert metrics["accuracy"] > 0.3
