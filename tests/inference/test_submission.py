"""submission.py: what is written is checked, and what is wrong is named and not lost."""

import json

import pandas as pd
import pytest

from kaggle_speech.inference.submission import (
    SubmissionError,
    blend_submissions,
    check_submission,
    compare_submissions,
    read_submission,
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
    write_submission(NAMES, ANSWERS, out_path, sample_path, settings={"seed": 1})
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
        write_submission(names, answers, out_path, sample_path)
    assert not out_path.exists()
    assert len(read_submission(tmp_path / "01_model.csv.partial")) == len(names)


def test_an_older_submission_is_not_lost(tmp_path, sample_path):
    out_path = tmp_path / "01_model.csv"
    write_submission(NAMES, ANSWERS, out_path, sample_path)
    with pytest.raises(SubmissionError):
        write_submission(NAMES, ["yes", "yes", "nonsense"], out_path, sample_path)
    assert list(check_submission(out_path, sample_path)["label"]) == ANSWERS


def test_differences_are_counted_label_by_label(tmp_path):
    names = [f"{number}.wav" for number in range(5)]
    write_submission(names, ["yes", "yes", "no", "up", "up"], tmp_path / "a.csv")
    write_submission(names[::-1], ["up", "no", "no", "yes", "no"], tmp_path / "b.csv")  # the other way round
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
    write_submission(["nan", "NA"], ["yes", "no"], tmp_path / "a.csv")
    assert list(check_submission(tmp_path / "a.csv")["fname"]) == ["nan", "NA"]
    assert isinstance(read_submission(tmp_path / "a.csv"), pd.DataFrame)


def test_votes_are_counted_and_other_clips_refused(tmp_path):
    for name, answers in {"a": ["yes", "no", "up"], "b": ["no", "no", "up"], "c": ["no", "yes", "go"]}.items():
        write_submission(NAMES[:3], answers, tmp_path / f"{name}.csv")
    paths = [tmp_path / f"{name}.csv" for name in "abc"]
    assert list(blend_submissions(paths)["label"]) == ["no", "no", "up"]
    assert list(blend_submissions(paths, [1, 1, 3])["label"]) == ["no", "yes", "go"]
    write_submission(["other.wav"], ["yes"], tmp_path / "d.csv")
    with pytest.raises(SubmissionError, match=r"d.csv: must answer every name"):
        blend_submissions([*paths, tmp_path / "d.csv"])
    for weights in ([1, 1], [1, 1, -1], [0, 0, 0]):
        with pytest.raises(ValueError, match="`weights` must be 3 numbers from 0 up, one for each file, and not all 0"):
            blend_submissions(paths, weights)
