"""Submissions: CSV files of labels, checked by the rules of the competition. Needs no TensorFlow."""

import dataclasses
import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kaggle_speech import folders
from kaggle_speech.files import listing, replace_file
from kaggle_speech.inference.predictions import Predictions
from kaggle_speech.labels import COMPETITION_LABELS
from kaggle_speech.progress import note

COLUMNS = ("fname", "label")


class SubmissionError(ValueError):
    """A submission that breaks a rule of the competition. The message names the file and the rule."""


def read_submission(path: Path | str) -> pd.DataFrame:
    """Read a submission as a frame of strings with the columns `fname, label`.

    Args:
        path: the CSV.

    Raises:
        SubmissionError: the file has other columns, or is not a CSV.
        OSError: the file cannot be read.
    """
    try:
        answers_df = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise SubmissionError(f"{path}: must be a CSV with the columns {COLUMNS}. Received: {error}") from error
    if tuple(answers_df.columns) != COLUMNS or not isinstance(answers_df.index, pd.RangeIndex):
        raise SubmissionError(f"{path}: must have the columns {COLUMNS}. Received: {tuple(answers_df.columns)}")
    return answers_df


def _some(names):
    return listing(sorted({*names}), limit=5)


def check_submission(path: Path | str, sample_path: Path | str | None = None) -> pd.DataFrame:
    """Check a submission by the rules of the competition.

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
        raise SubmissionError(
            f"{path}: each name must occur once. Received twice: {listing(sorted({*twice}), limit=5)}"
        )
    strange = set(answers_df["label"]) - set(COMPETITION_LABELS)
    if strange:
        raise SubmissionError(
            f"{path}: labels must be among {', '.join(COMPETITION_LABELS)}. Received: {_some(strange)}"
        )
    if sample_path is not None:
        wanted = set(read_submission(sample_path)["fname"])
        given = set(answers_df["fname"])
        if wanted - given:
            raise SubmissionError(f"{path}: must answer every name of {sample_path}. Missing: {_some(wanted - given)}")
        if given - wanted:
            raise SubmissionError(
                f"{path}: must answer only names of {sample_path}. Received also: {_some(given - wanted)}"
            )
    return answers_df


def compare_submissions(path: Path | str, other_path: Path | str) -> pd.DataFrame:
    """Differences between the answers of two submissions, label by label.

    Args:
        path: CSV of one submission.
        other_path: CSV of the other.

    Returns:
        pandas DataFrame, a row for each label: `before` and `after`, its clips in the one and in the other; `left` and
        `came`, those that changed from and to it.

    Raises:
        SubmissionError: a file is not a submission, or the two are of other clips.
    """
    answers_df = check_submission(path).merge(check_submission(other_path, path), on="fname")
    before = answers_df["label_x"]
    after = answers_df["label_y"]
    changed = before != after
    columns = {"before": before, "after": after, "left": before[changed], "came": after[changed]}
    counts = {name: answers.value_counts() for name, answers in columns.items()}
    return pd.DataFrame(counts).reindex(COMPETITION_LABELS).fillna(0).astype(int)


def write_submission(
    predictions: Predictions,
    path: Path | str,
    data_dir: Path | str | None = None,
    *,
    settings: dict | None = None,
) -> Path:
    r"""Write a checked submission, and a JSON file of its settings beside it.

    In a Kaggle kernel the last one is also `submission.csv` in the kernel's output, which Kaggle offers to submit.

    Args:
        predictions: from `predict`, for the test clips.
        path: CSV to write; its folder is made.
        data_dir: folder of the competition's data; its `sample_submission.csv`, if it exists, gives the names.
        settings: JSON-able; further entries of the JSON file.

    Returns:
        `path`.

    Raises:
        SubmissionError: the check failed; names the partial file that stays.

    Examples:
        >>> import tempfile
        >>> predictions = Predictions(["a.wav", "b.wav"], np.array([[0.9, 0.1], [0.2, 0.8]]), ("yes", "no"))
        >>> write_submission(predictions, Path(tempfile.mkdtemp()) / "mine.csv").read_text()
        'fname,label\na.wav,yes\nb.wav,no\n'
    """
    sample_path = None if data_dir is None else Path(data_dir) / "sample_submission.csv"
    if sample_path is not None and not sample_path.exists():
        note(f"{sample_path} is missing: the names of the clips could not be checked")
        sample_path = None
    rejection = dataclasses.asdict(predictions.rejection)
    if rejection["threshold"] == -math.inf:
        rejection["threshold"] = None  # JSON has no infinity
    settings = (settings or {}) | {"probabilities": predictions.settings, "rejection": rejection}
    write_answers(predictions.names, predictions.labels(), path, sample_path, settings)
    if folders.is_kaggle_kernel():
        offered_path = folders.KAGGLE_DIR / "working" / "submission.csv"
        if Path(path).resolve() != offered_path.resolve():
            replace_file(offered_path, lambda new_path: shutil.copyfile(path, new_path))
    return Path(path)


def write_answers(
    file_names: Sequence[str] | np.ndarray,
    answers: Sequence[str] | np.ndarray,
    path: Path | str,
    sample_path: Path | str | None = None,
    settings: dict | None = None,
) -> None:
    """Write a checked submission of given labels. `path` appears complete and correct, or not at all.

    Rows that fail the check are kept as `<path>.partial`.

    Args:
        file_names: `(clips,)` names such as `clip_000044442.wav`.
        answers: `(clips,)` labels.
        path: CSV to write; its folder is made.
        sample_path: the competition's `sample_submission.csv`, for the names; None checks all but the names.
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
