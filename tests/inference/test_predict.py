"""predict.py: kills, shards and batches change nothing; bad clips are named and good ones kept."""

import concurrent.futures
import errno
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kaggle_speech.audio import AudioError, read_clip, wav_header, write_wav
from kaggle_speech.inference import batches, load, timing
from kaggle_speech.inference import predict as predict_module
from kaggle_speech.inference.answers import Rejection
from kaggle_speech.inference.batches import predict_waveforms
from kaggle_speech.inference.predict import (
    UnreadableClipsError,
    parse_transform,
    predict_probabilities,
    predict_to_file,
    shard_slice,
    split_into_parts,
)
from kaggle_speech.inference.predictions import merge_shards, read_predictions
from kaggle_speech.inference.recogniser import Recogniser

VOCABULARY = ("low", "middle", "high")


class Bands:
    """A model without a framework: the shares of three bands of the spectrum."""

    def predict_on_batch(self, waveform):
        power = np.abs(np.fft.rfft(waveform)[:, 1:6001]) ** 2 + 1e-9
        bands = power.reshape(len(waveform), 3, 2000).sum(axis=2)
        return (bands / bands.sum(axis=1, keepdims=True)).astype("float32")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(predict_module, "PART_CLIPS", 8)


@pytest.fixture
def clips_df(tmp_path, speech):
    """Thirty clips of different pitch and loudness, some shorter than a second."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for number in range(30):
        clip = np.roll(speech[number % 4], 300 * number) * (number + 1) / 30
        write_wav(folder / f"clip_{number:02d}.wav", clip[: 16_000 - 200 * (number % 3)])
    paths = sorted(map(str, folder.iterdir()))
    return pd.DataFrame({"path": paths, "fname": list(map(os.path.basename, paths))})


def predict(clips_df, out_path, **options):
    recogniser = Recogniser(Bands(), VOCABULARY, {"model": "bands"})
    return predict_to_file(recogniser, clips_df, out_path, progress=False, **options)


def test_rows_are_the_clips_whatever_the_batch_size(clips_df):
    from kaggle_speech.models.registry import build_model  # Keras, which the process that is killed goes without

    model = build_model("tc_resnet", 12)
    waveform = np.array([read_clip(path) for path in clips_df["path"][:10]])
    expected = model.predict(waveform, verbose=0)
    for batch_size in (3, 10, 64):
        found = predict_probabilities(model, clips_df[:10], batch_size, progress=False)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(predict_waveforms(model, waveform, 4), expected, atol=1e-5)


def test_calls_of_keras_on_jax_do_not_overlap(clips_df, monkeypatch):
    """Keras on JAX takes the weights of a model away while it predicts."""

    class Donating(Bands):
        weights = 1

        def jax_state_sync(self):
            """Only Keras on JAX has it."""

        def predict_on_batch(self, waveform):
            self.weights -= 1
            assert self.weights == 0, "Buffer has been deleted or donated"
            time.sleep(0.01)
            self.weights += 1
            return super().predict_on_batch(waveform)

    monkeypatch.setattr(batches, "num_cores", lambda: 4)
    found = predict_probabilities(Donating(), clips_df, batch_size=2, progress=False)
    np.testing.assert_array_equal(found, predict_probabilities(Bands(), clips_df, batch_size=2, progress=False))


def test_the_file_holds_what_the_model_answers(clips_df, tmp_path):
    file = predict(clips_df, tmp_path / "whole.npz")
    waveform = np.array([read_clip(path) for path in clips_df["path"]])
    np.testing.assert_allclose(file.probabilities, Bands().predict_on_batch(waveform), rtol=1e-5)
    assert list(read_predictions(tmp_path / "whole.npz").names) == list(clips_df["fname"])
    assert not (tmp_path / "whole.npz.parts").exists()


def test_transforms_are_averaged(clips_df):
    waveform = np.array([read_clip(path) for path in clips_df["path"]])
    earlier = np.zeros_like(waveform)
    earlier[:, :-1500] = waveform[:, 1500:]
    later = np.zeros_like(waveform)
    later[:, 800:] = waveform[:, :-800]
    expected = np.mean([Bands().predict_on_batch(clips) for clips in (waveform, earlier, later)], axis=0)
    transforms = ("as_is", "shift_ms=-93.75", "shift_ms=50")
    found = predict_probabilities(Bands(), clips_df, progress=False, transforms=transforms)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(parse_transform("gain=1.2")(waveform), 1.2 * waveform, rtol=1e-6)
    np.testing.assert_array_equal(parse_transform("shift_ms=2000")(waveform), 0)
    for text in ("louder", "gain", "shift_ms=", "gain=1=2"):
        with pytest.raises(ValueError, match="`transforms` must be among"):
            parse_transform(text)


def test_shards_merge_to_the_bytes_of_one_call(clips_df, tmp_path):
    predict(clips_df, tmp_path / "whole.npz")
    for num_shards in (3, 5):  # of four parts, so that one of five shards has none
        paths = [tmp_path / f"{number}_{num_shards}.npz" for number in range(1, num_shards + 1)]
        for number, path in enumerate(paths, start=1):
            predict(clips_df, path, shard=(number, num_shards))
        merge_shards(paths).save(tmp_path / "merged.npz")
        assert (tmp_path / "merged.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert shard_slice(30, 1, 4) == slice(0, 8) and shard_slice(30, 4, 4) == slice(24, 30)
    with pytest.raises(ValueError, match="`shard` must be from 1 of n"):
        predict(clips_df, tmp_path / "x.npz", shard=(4, 3))


SLOW = """
import sys, time
sys.path.insert(0, {tests!r})
from test_predict import Bands, predict, predict_module
import pandas as pd
predict_module.PART_CLIPS = 8
answer = Bands.predict_on_batch
Bands.predict_on_batch = lambda self, waveform: time.sleep(0.3) or answer(self, waveform)
predict(pd.read_csv({clips!r}), {out!r}, batch_size=4)
"""


def test_a_killed_pass_loses_no_part_and_changes_no_byte(clips_df, tmp_path):
    predict(clips_df, tmp_path / "whole.npz", batch_size=4)
    clips_df.to_csv(tmp_path / "clips.csv", index=False)
    out_path, parts_dir = tmp_path / "killed.npz", tmp_path / "killed.npz.parts"
    code = SLOW.format(tests=os.path.dirname(__file__), clips=str(tmp_path / "clips.csv"), out=str(out_path))

    def times():
        return {path.name: path.stat().st_mtime_ns for path in parts_dir.glob("0*.npy")}

    finished = {}
    for _ in range(2):  # of four parts
        process = subprocess.Popen([sys.executable, "-c", code])
        deadline = time.monotonic() + 60
        while len(times()) == len(finished) and process.poll() is None:
            assert time.monotonic() < deadline, "the pass finished no part"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert finished.items() < times().items() and not out_path.exists()  # more, and nothing is done again
        finished = times()
    read = []
    predict(clips_df, out_path, batch_size=4, read=lambda paths: read.extend(paths) or paths)
    assert len(read) == len(clips_df) - 8 * len(finished)
    assert out_path.read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_parts_by_other_processes_are_the_same_bytes(clips_df, tmp_path, monkeypatch):
    """A model goes to other processes as it is, without its file."""
    (tmp_path / "model").mkdir()
    onnx_path = shutil.copy(load.model_location("tc_resnet") / "model.onnx", tmp_path / "model" / "model.onnx")
    recogniser = load.load(tmp_path / "model")
    predict_to_file(recogniser, clips_df, tmp_path / "here.npz", progress=False)
    Path(onnx_path).unlink()
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        predict_to_file(recogniser, clips_df, tmp_path / "there.npz", progress=False, map_parts=pool.map)
    assert (tmp_path / "there.npz").read_bytes() == (tmp_path / "here.npz").read_bytes()
    with pytest.raises(FileNotFoundError, match=r"not_shared.npz.parts: must be a folder that all workers share"):
        nowhere = lambda write, parts: [[] for _ in parts]  # noqa: E731
        predict_to_file(recogniser, clips_df, tmp_path / "not_shared.npz", progress=False, map_parts=nowhere)


def test_a_model_of_keras_goes_to_a_new_process(clips_df, tmp_path):
    """Where nothing has imported the layers of this package, which are not Keras' own."""
    recogniser = load.load("tc_resnet", engine="keras", num_threads=1)
    predict_to_file(recogniser, clips_df, tmp_path / "here.npz", progress=False)
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        predict_to_file(recogniser, clips_df, tmp_path / "there.npz", progress=False, map_parts=pool.map)
    here, there = (read_predictions(tmp_path / f"{name}.npz").probabilities for name in ("here", "there"))
    np.testing.assert_allclose(there, here, atol=1e-5)


def test_a_second_call_waits_and_reads_what_the_first_wrote(clips_df, tmp_path):
    pytest.importorskip("filelock", reason="without it none waits")
    num_read = []

    def read(clips):
        num_read.append(len(clips))
        time.sleep(0.05)
        return clips

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(predict, clips_df, tmp_path / "file.npz", read=read) for _ in range(2)]
        first, second = (call.result() for call in calls)
    assert sum(num_read) == len(clips_df)
    np.testing.assert_array_equal(first.probabilities, second.probabilities)


def test_a_finished_file_is_read_and_one_of_other_settings_refused(clips_df, tmp_path):
    out_path = tmp_path / "file.npz"
    predict(clips_df, out_path)
    before = out_path.stat().st_mtime_ns
    predict(clips_df, out_path)
    assert out_path.stat().st_mtime_ns == before
    for options in ({"transforms": ("gain=2",)}, {"shard": (1, 2)}):
        with pytest.raises(ValueError, match=r"file.npz: must be of the same model, clips and transforms"):
            predict(clips_df, out_path, **options)
    with pytest.raises(ValueError, match="'num_clips': 30"):
        predict(clips_df[:5], out_path)
    content = out_path.read_bytes()
    assert predict(clips_df[:5], out_path, overwrite=True).probabilities.shape == (5, 3)
    (aside_path,) = tmp_path.glob("file.npz.old-*")
    assert aside_path.read_bytes() == content, "what took minutes is set aside"


def test_parts_without_settings_are_not_taken_for_those_of_this_pass(clips_df, tmp_path):
    """What is left where a call was killed while it removed its parts."""
    predict(clips_df, tmp_path / "whole.npz")
    parts_dir = tmp_path / "file.npz.parts"
    parts_dir.mkdir()
    first_name = next(iter(split_into_parts(list(clips_df["path"]), slice(0, 30), parts_dir))).path
    np.save(first_name, np.zeros((8, 3), "float32"))
    predict(clips_df, tmp_path / "file.npz")
    assert (tmp_path / "file.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_a_threshold_chosen_later_is_kept_with_the_probabilities(clips_df, tmp_path):
    predict(clips_df, tmp_path / "file.npz")
    recogniser = Recogniser(Bands(), VOCABULARY, {"model": "bands"}, rejection=Rejection(threshold=0.5))
    predict_to_file(recogniser, clips_df, tmp_path / "file.npz", progress=False)
    assert read_predictions(tmp_path / "file.npz").rejection == recogniser.rejection


def test_bad_clips_are_named_and_the_others_kept(clips_df, tmp_path):
    paths = [Path(path) for path in clips_df["path"]]
    contents = {row: paths[row].read_bytes() for row in (0, 1, 9, 10)}
    paths[0].unlink()
    paths[1].write_bytes(b"")
    paths[9].write_bytes(contents[9][:5000])
    paths[10].write_bytes(wav_header(44_100, 44_100) + bytes(88_200))
    with pytest.raises(UnreadableClipsError, match=r"4 clips must be readable") as caught:
        predict(clips_df, tmp_path / "file.npz")
    message = str(caught.value)
    for row, rule in {0: "No such file", 1: "must not be empty", 9: "truncated", 10: "must have 16000"}.items():
        assert any(clips_df["fname"][row] in line and rule in line for line in message.splitlines()), message
    assert "file.npz.parts" in message
    parts = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "file.npz.parts").glob("*.npy")}
    assert {*parts} == {"00000016.npy", "00000024.npy"}
    for row, content in contents.items():
        paths[row].write_bytes(content)
    predict(clips_df, tmp_path / "file.npz")
    predict(clips_df, tmp_path / "unbroken.npz")
    assert (tmp_path / "file.npz").read_bytes() == (tmp_path / "unbroken.npz").read_bytes()
    paths[0].write_bytes(b"")
    with pytest.raises(AudioError, match="must not be empty"):
        predict_probabilities(Bands(), clips_df, progress=False)
    with pytest.raises(ValueError, match="must have at least one clip"):
        predict_probabilities(Bands(), clips_df[:0], progress=False)


def test_a_full_disk_keeps_what_is_finished(clips_df, tmp_path, monkeypatch):
    save, calls = np.save, []

    def fill(path, array):
        calls.append(path)
        if len(calls) == 3:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        save(path, array)

    monkeypatch.setattr(np, "save", fill)
    with pytest.raises(OSError, match="No space left on device"):
        predict(clips_df, tmp_path / "file.npz")
    assert {path.name for path in (tmp_path / "file.npz.parts").glob("*.npy")} == {"00000000.npy", "00000008.npy"}
    predict(clips_df, tmp_path / "file.npz")
    assert len(calls) == 3 + 2  # the two parts that were missing


def test_milliseconds_are_those_of_a_clip(monkeypatch):
    class Sleeper:
        def predict_on_batch(self, waveform):
            assert waveform.shape == (4, 16_000)
            return np.zeros((len(waveform), 3))

    ticks = iter(np.cumsum([0, 0.004, 1, 0.008, 1, 0.002]))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(ticks))
    assert timing.milliseconds_per_clip(Sleeper(), 3, batch_size=4) == 1.0  # the median of 4, 8 and 2 ms, over four
