"""Ray with two workers: killed workers, killed drivers, poisoned clips, two drivers; every clip is answered once."""

import contextlib
import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fakes import wait_for
from workers import Reader, fill_the_disk, train_after_a_death

from kaggle_speech.audio import write_wav
from kaggle_speech.cli.main import main
from kaggle_speech.cluster.ray_map import RAY_VARIABLES, RayMap, map_parts, map_runs
from kaggle_speech.data import clips
from kaggle_speech.inference import load, predict
from kaggle_speech.inference.predict import UnreadableClipsError, predict_to_file
from kaggle_speech.training import comparison, cross_validation
from kaggle_speech.training.recipe import Recipe

pytestmark = pytest.mark.slow

NUM_CLIPS = 60
TESTS_DIR = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def ray():
    """A Ray of this machine with two workers."""
    ray = pytest.importorskip("ray", reason="needs the extra `cluster`")
    os.environ.update(RAY_VARIABLES)
    before = os.environ.get("PYTHONPATH", "")
    folders = (TESTS_DIR.parent, TESTS_DIR, TESTS_DIR / "cluster")  # where workers find workers.py
    os.environ["PYTHONPATH"] = os.pathsep.join([*map(str, folders), before])
    temp_dir = f"/tmp/ray_of_tests_{os.getpid()}"  # sockets in it: their paths must be short
    options = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error", "_temp_dir": temp_dir}
    ray.init("local", num_cpus=2, object_store_memory=100 * 2**20, **options)
    os.environ["PYTHONPATH"] = before
    yield ray
    ray.shutdown()
    shutil.rmtree(temp_dir, ignore_errors=True)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(predict, "PART_CLIPS", 4)


@pytest.fixture
def clips_df(tmp_path, speech):
    folder = tmp_path / "clips"
    folder.mkdir()
    for number in range(NUM_CLIPS):
        write_wav(folder / f"clip_{number:02d}.wav", np.roll(speech[number % 4], 300 * number))
    paths = sorted(map(str, folder.iterdir()))
    return pd.DataFrame({"path": paths, "fname": list(map(os.path.basename, paths))})


@pytest.fixture
def expected(clips_df, tmp_path):
    """Bytes of the file that this process writes by itself."""
    predict_to_file(load.load("tc_resnet"), clips_df, tmp_path / "here.npz", progress=False)
    return (tmp_path / "here.npz").read_bytes()


def read_log(path):
    return sorted(Path(path).read_text().split())


def test_workers_write_the_bytes_of_this_process(ray, clips_df, expected, tmp_path):
    (tmp_path / "model").mkdir()
    model_path = shutil.copy(load.model_location("tc_resnet") / "model.onnx", tmp_path / "model" / "model.onnx")
    recogniser = load.load(tmp_path / "model")
    os.unlink(model_path)  # the workers do without the file
    options = {"read": Reader(tmp_path / "log"), "progress": False, "map_parts": map_parts()}
    predict_to_file(recogniser, clips_df, tmp_path / "there.npz", **options)
    assert (tmp_path / "there.npz").read_bytes() == expected
    assert read_log(tmp_path / "log") == list(clips_df["fname"])


def test_a_killed_worker_costs_its_part_only(ray, clips_df, expected, tmp_path):
    read = Reader(tmp_path / "log", "clip_21", tmp_path / "killed")
    options = {"read": read, "progress": False, "map_parts": map_parts()}
    predict_to_file(load.load("tc_resnet"), clips_df, tmp_path / "there.npz", **options)
    assert (tmp_path / "killed").exists() and (tmp_path / "there.npz").read_bytes() == expected
    assert read_log(tmp_path / "log") == list(clips_df["fname"])


def test_a_clip_that_kills_every_worker_is_named_and_the_others_kept(ray, clips_df, expected, tmp_path):
    options = {"progress": False, "map_parts": map_parts()}
    recogniser = load.load("tc_resnet")
    with pytest.raises(UnreadableClipsError, match=r"clips 20 to 23: its worker died 4 times"):
        predict_to_file(
            recogniser, clips_df, tmp_path / "there.npz", read=Reader(tmp_path / "log", "clip_21"), **options
        )
    assert len(list((tmp_path / "there.npz.parts").glob("*.npy"))) == NUM_CLIPS // 4 - 1
    predict_to_file(recogniser, clips_df, tmp_path / "there.npz", read=Reader(tmp_path / "log"), **options)
    assert (tmp_path / "there.npz").read_bytes() == expected
    assert read_log(tmp_path / "log") == list(clips_df["fname"])


def test_a_poisoned_clip_is_named_and_the_others_kept(ray, clips_df, tmp_path, capsys):
    with open(clips_df["path"][21], "wb"):
        pass
    clips_df.to_csv(tmp_path / "clips.csv", index=False)
    arguments = ["probabilities", "--model", "tc_resnet", "--data", tmp_path / "clips.csv", "--ray", "auto"]
    assert main([*arguments, "--out", tmp_path / "there.npz"]) == 1
    error = capsys.readouterr().err
    assert "1 clips must be readable" in error and "clip_21.wav: an audio file must not be empty" in error
    assert len(list((tmp_path / "there.npz.parts").glob("*.npy"))) == NUM_CLIPS // 4 - 1


DRIVER = """
import sys
sys.path[:0] = [{tests!r}, {folder!r}]
import pandas as pd
from workers import Reader
from kaggle_speech.cluster.ray_map import map_parts
from kaggle_speech.inference import load, predict
predict.PART_CLIPS = 4
options = {{"read": Reader({log!r}), "progress": False, "map_parts": map_parts({address!r})}}
predict.predict_to_file(load.load("tc_resnet"), pd.read_csv({clips!r}), {out!r}, **options)
"""


@pytest.fixture
def driver(ray, clips_df, tmp_path):
    """A function that starts a process which writes `there.npz` by the same Ray."""
    clips_df.to_csv(tmp_path / "clips.csv", index=False)
    texts = {"log": tmp_path / "log", "clips": tmp_path / "clips.csv", "out": tmp_path / "there.npz"}
    texts |= {"tests": TESTS_DIR, "folder": TESTS_DIR / "cluster"}
    address = ray.get_runtime_context().gcs_address
    code = DRIVER.format(address=address, **{name: str(path) for name, path in texts.items()})
    processes = []

    def start():
        processes.append(subprocess.Popen([sys.executable, "-c", code], cwd=TESTS_DIR.parent))
        return processes[-1]

    yield start
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()


def test_a_killed_driver_loses_no_part(driver, clips_df, expected, tmp_path):
    parts_dir = tmp_path / "there.npz.parts"
    process = driver()
    wait_for(lambda: len(list(parts_dir.glob("0*.npy"))) > 2 or process.poll() is not None, timeout_s=120)
    process.kill()
    process.wait()
    assert not (tmp_path / "there.npz").exists(), "it was too quick to be killed"
    kept = {path: path.stat().st_mtime_ns for path in parts_dir.glob("0*.npy")}
    assert driver().wait(120) == 0
    assert (tmp_path / "there.npz").read_bytes() == expected
    num_read = pd.Series(read_log(tmp_path / "log")).value_counts()
    assert len(num_read) == NUM_CLIPS  # those of parts that were begun when it was killed are read twice
    again = {path for path in kept if (num_read[clips_df["fname"][int(path.stem)]]) > 1}
    assert len(again) <= 2


def test_two_drivers_at_once_answer_every_clip_once(driver, clips_df, expected, tmp_path):
    processes = [driver(), driver()]
    assert [process.wait(120) for process in processes] == [0, 0]
    assert (tmp_path / "there.npz").read_bytes() == expected
    assert read_log(tmp_path / "log") == list(clips_df["fname"])


def test_results_are_in_order_and_errors_are_those_of_the_function(ray):
    assert list(RayMap()(lambda item: item**2, range(50))) == [item**2 for item in range(50)]
    assert list(RayMap()(str, [])) == []
    with pytest.raises(OSError, match="No space left") as caught:
        list(RayMap()(fill_the_disk, range(5)))
    assert caught.value.filename == "a.npy"


def test_texts_are_those_of_this_process(ray, sentences_dir, tmp_path, capsys):
    paths = [shutil.copy(path, tmp_path) for path in sorted(sentences_dir.rglob("*.flac"))[:4]]
    with open(paths[1], "wb"):
        pass
    texts = []
    for options in ([], ["--ray", "auto"]):
        assert main(["transcribe", *paths, "--times", *options]) == 1
        captured = capsys.readouterr()
        texts.append((captured.out, captured.err.splitlines()[-1]))
    assert texts[0] == texts[1] and "must not be empty" in texts[0][1]
    assert {line.split("\t")[0] for line in texts[0][0].splitlines()} == {*map(str, paths)} - {str(paths[1])}


TIMES = ["minutes", "ms_per_clip"]


def test_a_comparison_is_that_of_the_loop_though_a_worker_dies(ray, sample_dir, tmp_path):
    clips_df, _ = clips.check_clips(clips.index_clips(sample_dir), progress=False)
    sizes = {"small": "(4,8)", "smaller": "(4,4)"}
    recipes = {
        name: Recipe(f"cnn,num_filters={size}", num_epochs=2, batch_size=32, fast=True) for name, size in sizes.items()
    }
    in_loop_df = comparison.compare(recipes, 1, clips_df, tmp_path / "loop.csv")

    def map_and_die(function, items):
        return map_runs()(functools.partial(train_after_a_death, function, str(tmp_path / "killed")), items)

    by_ray_df = comparison.compare(recipes, 1, clips_df, tmp_path / "ray.csv", map_runs=map_and_die)
    assert (tmp_path / "killed").exists()
    pd.testing.assert_frame_equal(by_ray_df.drop(columns=TIMES), in_loop_df.drop(columns=TIMES))
    tables = [pd.read_csv(tmp_path / name).drop(columns=TIMES) for name in ("ray.csv", "loop.csv")]
    pd.testing.assert_frame_equal(*tables)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("ray/*/model.weights.h5")}
    comparison.compare(recipes, 1, clips_df, tmp_path / "ray.csv", map_runs=map_runs())
    assert len(before) == 2 and before == {path: path.stat().st_mtime_ns for path in before}, "finished runs are read"


def test_folds_are_judged_as_in_the_loop(ray, sample_dir, tmp_path):
    clips_df, _ = clips.check_clips(clips.index_clips(sample_dir), progress=False)
    recipe = Recipe("cnn,num_filters=(4,4)", num_epochs=1, batch_size=32, fast=True)
    options = {"progress": False}
    by_ray = cross_validation.cross_validate(recipe, clips_df, 2, tmp_path, map_runs=map_runs(), **options)
    answers = (tmp_path / "answers.csv").read_bytes()
    assert cross_validation.cross_validate(recipe, clips_df, 2, tmp_path, **options) == by_ray
    assert (tmp_path / "answers.csv").read_bytes() == answers


def test_a_model_of_keras_goes_to_the_workers(ray, clips_df, tmp_path):
    recogniser = load.load("tc_resnet", engine="keras", num_threads=1)
    predict_to_file(recogniser, clips_df, tmp_path / "here.npz", progress=False)
    predict_to_file(recogniser, clips_df, tmp_path / "there.npz", progress=False, map_parts=map_parts())
    assert (tmp_path / "there.npz").read_bytes() == (tmp_path / "here.npz").read_bytes()
