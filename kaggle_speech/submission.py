"""Labels to a CSV that the competition accepts. Needs no TensorFlow."""

import json
from pathlib import Path

import pandas as pd

from kaggle_speech.labels import COMPETITION_LABELS

COLUMNS = ("fname", "label")


class SubmissionError(ValueError):
    """A submission that the competition would not score. The message names the file and the rule it breaks."""


def _names(values, limit=5):
    """Some of many names, for a message."""
    values = sorted(map(str, values))
    return ", ".join(values[:limit]) + (f" and {len(values) - limit} more" if len(values) > limit else "")


def read_submission(path):
    """A submission as a frame of strings with the columns `fname, label`.

    Raises:
        SubmissionError: the file has other columns, or is no CSV.
        OSError: the file cannot be read.
    """
    try:
        answers_df = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise SubmissionError(f"{path}: must be a CSV with the columns {COLUMNS}. Received: {error}") from error
    if tuple(answers_df.columns) != COLUMNS or not isinstance(answers_df.index, pd.RangeIndex):
        raise SubmissionError(f"{path}: must have the columns {COLUMNS}. Received: {tuple(answers_df.columns)}")
    return answers_df


def check_submission(path, sample_path=None):
    """Make sure that a submission would be scored.

    Args:
        path: the CSV.
        sample_path: the competition's `sample_submission.csv`, for the names; None checks all but the names.

    Returns:
        The submission, a DataFrame with the columns `fname, label`.

    Raises:
        SubmissionError: wrong columns, a name twice, a label outside the twelve, or other names than the sample's.
    """
    answers_df = read_submission(path)
    twice = answers_df.loc[answers_df["fname"].duplicated(), "fname"]
    if len(twice):
        raise SubmissionError(f"{path}: each name must occur once. Received twice: {_names(set(twice))}")
    strange = set(answers_df["label"]) - set(COMPETITION_LABELS)
    if strange:
        raise SubmissionError(
            f"{path}: labels must be among {', '.join(COMPETITION_LABELS)}. Received: {_names(strange)}"
        )
    if sample_path is not None:
        wanted, given = set(read_submission(sample_path)["fname"]), set(answers_df["fname"])
        if wanted - given:
            raise SubmissionError(f"{path}: must answer every name of {sample_path}. Missing: {_names(wanted - given)}")
        if given - wanted:
            raise SubmissionError(
                f"{path}: must answer only names of {sample_path}. Received also: {_names(given - wanted)}"
            )
    return answers_df


def write_submission(file_names, answers, path, sample_path=None, settings=None, unreadable=()):
    """Write a checked submission. `path` appears complete and correct, or not at all.

    The rows are written to `<path>.partial` first; where something is wrong they stay there.

    Args:
        file_names: `(clips,)` names such as `clip_000044442.wav`.
        answers: `(clips,)` labels.
        path: CSV to write; its folder is made.
        sample_path: as in `check_submission`.
        settings: JSON-able; written beside the CSV, with the extension .json.
        unreadable: messages on test clips that could not be read, and so have no row.

    Raises:
        SubmissionError: a clip could not be read, or the check failed; names the partial file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_name(f"{path.name}.partial")
    pd.DataFrame(dict(zip(COLUMNS, (list(file_names), list(answers)), strict=True))).to_csv(partial_path, index=False)
    if len(unreadable):
        listed = "\n  ".join(list(unreadable)[:20])
        raise SubmissionError(
            f"{len(unreadable)} test clips must be readable to have an answer; "
            f"the other rows are in {partial_path}. Received:\n  {listed}"
        )
    check_submission(partial_path, sample_path)
    if settings is not None:
        path.with_suffix(".json").write_text(json.dumps(settings, indent=2) + "\n")
    partial_path.replace(path)
