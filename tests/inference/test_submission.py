"""submission.py: what is written is checked, and what is wrong is named and not lost."""

import json

import numpy as np
import pandas as pd
import pytest

from kaggle_speech import folders
from kaggle_speech.inference.predictions import Predictions
from kaggle_speech.inference.submission import (
    SubmissionError,
    check_submission,
    compare_submissions,
    read_submission,
    write_answers,
    write_submission,
)

NAMES = ["clip_a.wav", "clip_b.wav", "clip_c.wav"]
ANSWERS = ["yes", "silence", "unknown"]


@pytest.fixture
def sample_path(tmp_path):
    path = tmp_path / "sample_submission.csv"
    path.write_text("fname,label\n" + "".join(f"{name},silence\n" for name in NAMES))
    return path


def test_round_trip(tmp_path, sample_path):
    out_path = tmp_path / "new" / "01_model.csv"
    write_answers(NAMES, ANSWERS, out_path, sample_path, settings={"seed": 1})
    assert out_path.read_text() == "fname,label\nclip_a.wav,yes\nclip_b.wav,silence\nclip_c.wav,unknown\n"
    answers_df = check_submission(out_path, sample_path)
    assert dict(zip(answers_df["fname"], answers_df["label"], strict=True)) == dict(zip(NAMES, ANSWERS, strict=True))
    assert json.loads((tmp_path / "new" / "01_model.json").read_text()) == {"seed": 1}
    assert sorted(path.name for path in out_path.parent.iterdir()) == ["01_model.csv", "01_model.json"]


@pytest.mark.parametrize(
    ("names", "answers", "message"),
    [
        ([*NAMES, "clip_a.wav"], [*ANSWERS, "no"], r"each name must occur once. Received twice: clip_a.wav"),
        (NAMES, ["yes", "silence", "marvin"], r"labels must be among .* Received: marvin"),
        (NAMES[:2], ANSWERS[:2], r"must answer every name of .*sample_submission.csv. Missing: clip_c.wav"),
        ([*NAMES, "clip_d.wav"], [*ANSWERS, "no"], r"only names of .* Received also: clip_d.wav"),
    ],
)
def test_wrong_submissions_stay_partial(tmp_path, sample_path, names, answers, message):
    out_path = tmp_path / "01_model.csv"
    with pytest.raises(SubmissionError, match=message):
        write_answers(names, answers, out_path, sample_path)
    assert not out_path.exists()
    assert len(read_submission(tmp_path / "01_model.csv.partial")) == len(names)


def test_an_older_submission_is_not_lost(tmp_path, sample_path):
    out_path = tmp_path / "01_model.csv"
    write_answers(NAMES, ANSWERS, out_path, sample_path)
    with pytest.raises(SubmissionError):
        write_answers(NAMES, ["yes", "yes", "nonsense"], out_path, sample_path)
    assert list(check_submission(out_path, sample_path)["label"]) == ANSWERS


def test_differences_are_counted_label_by_label(tmp_path):
    names = [f"{number}.wav" for number in range(5)]
    write_answers(names, ["yes", "yes", "no", "up", "up"], tmp_path / "a.csv")
    write_answers(names[::-1], ["up", "no", "no", "yes", "no"], tmp_path / "b.csv")  # the other way round
    changes_df = compare_submissions(tmp_path / "a.csv", tmp_path / "b.csv")
    by_hand = {"yes": (2, 1, 1, 0), "no": (1, 3, 0, 2), "up": (2, 1, 1, 0), "down": (0, 0, 0, 0)}
    for label, counts in by_hand.items():
        assert tuple(changes_df.loc[label]) == counts, label


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "fname,label\nx,y,z,w\n", "fname;label\n"])
def test_files_that_are_no_submission(tmp_path, content):
    (tmp_path / "bad.csv").write_text(content)
    with pytest.raises(SubmissionError, match=r"bad.csv: must (be a CSV with|have) the columns"):
        check_submission(tmp_path / "bad.csv")


def test_names_like_nan_are_names(tmp_path):
    write_answers(["nan", "NA"], ["yes", "no"], tmp_path / "a.csv")
    assert list(check_submission(tmp_path / "a.csv")["fname"]) == ["nan", "NA"]
    assert isinstance(read_submission(tmp_path / "a.csv"), pd.DataFrame)


def test_predictions_are_written_with_how_they_were_made(tmp_path, sample_path, capsys):
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    predictions = Predictions(NAMES, probabilities, ("yes", "marvin"), {"model": "m"})
    write_submission(predictions, tmp_path / "a.csv", tmp_path)
    assert list(check_submission(tmp_path / "a.csv", sample_path)["label"]) == ["yes", "yes", "unknown"]
    how = json.loads((tmp_path / "a.json").read_text())
    rejection = {"score": "probability", "temperature": 1.0, "threshold": None}
    assert how == {"probabilities": {"model": "m"}, "rejection": rejection}
    write_submission(predictions.with_threshold(0.7), tmp_path / "b.csv", tmp_path / "no_data", settings={"seed": 1})
    assert list(check_submission(tmp_path / "b.csv")["label"]) == ["yes", "unknown", "unknown"]
    how = json.loads((tmp_path / "b.json").read_text())
    assert how == {"seed": 1, "probabilities": {"model": "m"}, "rejection": rejection | {"threshold": 0.7}}
    assert "sample_submission.csv is missing: the names" in capsys.readouterr().err
    with pytest.raises(SubmissionError, match=r"must answer every name of .*Missing: clip_c.wav"):
        write_submission(predictions.rows([True, True, False]), tmp_path / "c.csv", tmp_path)


def test_a_kaggle_kernel_offers_the_last_submission(tmp_path, sample_path, monkeypatch):
    monkeypatch.setattr(folders, "KAGGLE_DIR", tmp_path / "kaggle")
    offered_path = tmp_path / "kaggle" / "working" / "submission.csv"
    offered_path.parent.mkdir(parents=True)
    predictions = Predictions(NAMES, np.eye(3), ("yes", "silence", "unknown"))
    path = write_submission(predictions, tmp_path / "mine.csv", sample_path.parent)
    assert offered_path.read_bytes() == path.read_bytes()
    offered_path.write_text("older")
    assert write_submission(predictions, offered_path, sample_path.parent) == offered_path
    assert offered_path.read_bytes() == path.read_bytes()
