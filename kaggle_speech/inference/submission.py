"""Labels to a CSV that the competition accepts. Needs no TensorFlow."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from kaggle_speech.files import replace_file
from kaggle_speech.inference.ensemble import check_weights
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


def compare_submissions(path, other_path):
    """How the answers of two submissions differ, label by label.

    Returns:
        pandas DataFrame with a row a label: `before` and `after`, its clips in the one and in the other; `left` and
        `came`, those that changed from and to it.

    Raises:
        SubmissionError: a file is no submission, or they answer other clips.
    """
    answers_df = check_submission(path).merge(check_submission(other_path, path), on="fname")
    before, after = answers_df["label_x"], answers_df["label_y"]
    changed = before != after
    columns = {"before": before, "after": after, "left": before[changed], "came": after[changed]}
    counts = {name: answers.value_counts() for name, answers in columns.items()}
    return pd.DataFrame(counts).reindex(COMPETITION_LABELS).fillna(0).astype(int)


def blend_submissions(paths, weights=None):
    """The weighted vote of submissions whose probabilities are not at hand; ties go to the first of the twelve labels.

    Args:
        paths: CSVs on the same clips.
        weights: one for each; None gives all the same.

    Returns:
        pandas DataFrame with the columns `fname, label`, in the order of the first.

    Raises:
        SubmissionError: a file is no submission, or they answer other clips.
        ValueError: weights that are none.
    """
    first_df = check_submission(paths[0])
    votes = np.zeros((len(first_df), len(COMPETITION_LABELS)))
    for path, weight in zip(paths, check_weights(weights, len(paths)), strict=True):
        answers = check_submission(path, paths[0]).set_index("fname")["label"][first_df["fname"]]
        columns = pd.Index(COMPETITION_LABELS).get_indexer(answers)
        votes[np.arange(len(votes)), columns] += weight
    return first_df.assign(label=np.array(COMPETITION_LABELS)[votes.argmax(axis=1)])


def write_submission(file_names, answers, path, sample_path=None, settings=None):
    """Write a checked submission. `path` appears complete and correct, or not at all.

    Where something is wrong the rows are kept as `<path>.partial`.

    Args:
        file_names: `(clips,)` names such as `clip_000044442.wav`.
        answers: `(clips,)` labels.
        path: CSV to write; its folder is made.
        sample_path: as in `check_submission`.
        settings: JSON-able; written beside the CSV, with the extension .json.

    Raises:
        SubmissionError: the check failed; names the partial file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    answers_df = pd.DataFrame(dict(zip(COLUMNS, (list(file_names), list(answers)), strict=True)))
    content = json.dumps(settings, indent=2) + "\n"

    def write_and_check(new_path):
        answers_df.to_csv(new_path, index=False)
        try:
            check_submission(new_path, sample_path)
        except SubmissionError:
            wrong_path = path.with_name(f"{path.name}.partial")
            new_path.replace(wrong_path)
            check_submission(wrong_path, sample_path)  # the same error, with the name of the file that stays
            raise
        if settings is not None:
            replace_file(path.with_suffix(".json"), lambda json_path: json_path.write_text(content))

    replace_file(path, write_and_check)
