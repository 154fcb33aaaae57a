"""Mining: where tones of commands are hidden in recordings, they are found, once each."""

import numpy as np
import pandas as pd
import pytest

from kaggle_speech.audio import write_wav
from kaggle_speech.cli.main import main
from kaggle_speech.evaluation.mining import mine
from kaggle_speech.inference.recogniser import Recogniser
from kaggle_speech.labels import COMPETITION_LABELS


class ToneModel:
    """The probability of a label is the share of its tone's power, in a window of a second; hiss is `unknown`."""

    def predict_on_batch(self, waveform):
        power = np.abs(np.fft.rfft(waveform)) ** 2
        tones = power[:, 500:5001:500]
        rest = power.sum(axis=1, keepdims=True) - tones.sum(axis=1, keepdims=True)
        shares = np.concatenate([tones, 0 * rest, rest], axis=1)
        return (shares / shares.sum(axis=1, keepdims=True)).astype("float32")


@pytest.fixture
def speech_df(tmp_path, rng):
    """Four seconds of hiss with `up` at 1.0 s and `stop` at 2.6 s, and half a second of hiss."""
    sound = 0.1 * rng.standard_normal(64_000)
    time_s = np.arange(9_600) / 16_000
    for label, start in (("up", 16_000), ("stop", 41_600)):
        hz = 500 * (1 + COMPETITION_LABELS.index(label))
        sound[start : start + 9_600] = 0.3 * np.sin(2 * np.pi * hz * time_s)
    write_wav(tmp_path / "a.wav", sound)
    write_wav(tmp_path / "b.wav", 0.01 * rng.standard_normal(8_000))
    return pd.DataFrame({"path": [str(tmp_path / "a.wav"), str(tmp_path / "b.wav")], "num_samples": [64_000, 8_000]})


def test_the_seconds_around_commands_are_found(speech_df):
    recogniser = Recogniser(ToneModel(), COMPETITION_LABELS)
    mined_df = mine(recogniser, speech_df, min_confidence=0.5, progress=False)
    assert list(mined_df) == ["path", "first_sample", "label", "confidence"]
    best_df = mined_df.groupby("label").first()  # the likeliest come first
    assert list(best_df.index) == ["stop", "up"] and (mined_df["path"] == speech_df["path"][0]).all()
    for label, start in (("up", 16_000), ("stop", 41_600)):
        first = best_df["first_sample"][label]
        assert first <= start and first + 16_000 >= start + 9_600 and best_df["confidence"][label] > 0.5
    assert mined_df["confidence"].is_monotonic_decreasing and mined_df["confidence"].min() >= 0.5
    starts = np.sort(mined_df["first_sample"].to_numpy())
    assert (np.diff(starts) >= 8_000).all()
    assert mine(recogniser, speech_df, min_confidence=1.0, progress=False).empty
    with pytest.raises(ValueError, match=r"`min_confidence` must be in \[0, 1\]. Received: min_confidence=2"):
        mine(recogniser, speech_df, min_confidence=2)


def test_the_command_writes_what_train_reads(sample_dir, tmp_path, capsys):
    out_path = tmp_path / "mined.csv"
    speech_dir = sample_dir / "train" / "audio" / "bed"
    arguments = ["mine", "--model", "tc_resnet", "--speech", speech_dir, "--min-confidence", 0, "--out", out_path]
    assert main([*map(str, arguments)]) == 0
    mined_df = pd.read_csv(out_path)
    assert f"{len(mined_df)} seconds in" in capsys.readouterr().out and len(mined_df) >= 1
    before = out_path.read_bytes()
    assert main([*map(str, arguments)]) == 1 and out_path.read_bytes() == before
    assert f"{out_path}: must be a new file" in capsys.readouterr().err
    assert main(["train", "--data", str(sample_dir), "--out", str(tmp_path / "run"), "--mined", str(out_path)]) == 1
    assert "--mined must come with --speech-negatives" in capsys.readouterr().err
