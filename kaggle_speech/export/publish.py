"""Publish a finished run of either task: a folder with the files needed to use its model, and a card."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from kaggle_speech.evaluation import report, transcripts
from kaggle_speech.export import card
from kaggle_speech.export.report import REPORT_NAME
from kaggle_speech.files import read_json, what_is_there, write_json
from kaggle_speech.inference import answers
from kaggle_speech.inference.runtimes import OnnxModel
from kaggle_speech.models import runs
from kaggle_speech.models.folder import (
    CARD_NAME,
    FLOAT16_ONNX_NAME,
    INT8_ONNX_NAME,
    KERAS_NAME,
    METRICS_NAME,
    ONNX_NAME,
    RUN_NAME,
    WEIGHTS_NAME,
    model_path,
    read_run,
    task_of,
)
from kaggle_speech.text import language_models

#: Names of the files that a published folder may hold.
PUBLISHED_NAMES = {
    *(RUN_NAME, METRICS_NAME, CARD_NAME, WEIGHTS_NAME, KERAS_NAME, ONNX_NAME, INT8_ONNX_NAME, answers.FILE_NAME),
    *(*language_models.FILE_NAMES, card.CURVE_NAME, card.CURVE_TABLE_NAME),
}

#: Transcripts in the folder of a run, of the speakers that judge it, and of those that the training held out.
TEST_NAME = "transcripts_test.csv"
VAL_NAME = "transcripts_val.csv"


def publish_run(run_dir: Path | str, out_dir: Path | str) -> None:
    """Copy the files needed to use a model, and write its card: use, accuracy, training, data, limits.

    The card of a word recogniser also says what is in `evaluation`, `running_speech` and `model_report.csv` of the
    run's folder, where `evaluate`, `stream-evaluate --speech` and `export` have been told to write; that of a
    transcriber what is in `transcripts_test.csv`, written by `evaluate-transcriber --out`.

    A run of version 0.1, which holds `model.keras`, is converted to weights that every Keras loads, with the same
    fingerprint.

    Args:
        run_dir: folder of a finished run; of a transcriber, with `model_int8.onnx` or `model_float16.onnx` from
            `export_run`: the first of them is published.
        out_dir: folder to make, new, empty or of an earlier call. Always `run.json`, `metrics.json` and `README.md`;
            of a word recogniser `model.weights.h5`, and `model.onnx`, `model_int8.onnx`, `rejection.json`,
            `running_speech.png` and `running_speech.csv` where the run has them (older ones in `out_dir`, of another
            model, go); of a transcriber
            `model.onnx`, `ngram.json.gz`, and `words.arpa.gz` where the run has one.

    Raises:
        FileExistsError: `out_dir` holds other files, or a language model that the run lacks; nothing is changed.
        FileNotFoundError: the run is not finished, or its transcriber is not exported.
        ValueError: the model is in `model.keras`, and `build_model` builds another one.

    Examples:
        >>> from kaggle_speech.inference.load import model_location
        >>> publish_run(model_location("tc_resnet"), "published")
        >>> sorted(path.name for path in Path("published").iterdir())
        ['README.md', 'metrics.json', 'model.onnx', 'model.weights.h5', 'run.json']
    """
    run_dir = Path(run_dir)
    out_dir = Path(out_dir)
    _check_out_dir(out_dir, run_dir)
    runs.model_fingerprint(run_dir)  # raises where the run is not finished, or damaged
    run = {"task": task_of(read_run(run_dir))} | read_run(run_dir)
    metrics = read_json(run_dir / METRICS_NAME)
    if run["task"] == "words":
        run |= _publish_words(run_dir, out_dir, run)
        text = _words_card(run_dir, out_dir, metrics)
    else:
        _publish_transcripts(run_dir, out_dir)
        transcripts_df = _read_transcripts(run_dir / TEST_NAME)
        if transcripts_df is not None:
            metrics["test"] = transcripts.summarize_transcripts(transcripts_df, transcripts_df.columns[3:])
        else:
            transcripts_df = _read_transcripts(run_dir / VAL_NAME)
        text = card.transcriber_card(out_dir.name, metrics, OnnxModel(out_dir / ONNX_NAME).metadata, transcripts_df)
    write_json(out_dir / RUN_NAME, run)
    write_json(out_dir / METRICS_NAME, metrics | run)
    (out_dir / CARD_NAME).write_text(text)


def _check_out_dir(out_dir: Path, run_dir: Path) -> None:
    """Raise FileExistsError where a folder is neither new, nor empty, nor of an earlier call."""
    if not out_dir.exists():
        return
    names = {path.name for path in out_dir.iterdir()} if out_dir.is_dir() else set()
    is_published = {RUN_NAME, CARD_NAME} <= names <= PUBLISHED_NAMES
    if not out_dir.is_dir() or out_dir.resolve() == run_dir.resolve() or (names and not is_published):
        raise FileExistsError(
            "`out_dir` must be new, empty or of an earlier `publish`; other files are never overwritten. "
            f"Received: {out_dir}, {what_is_there(out_dir)}"
        )


def _publish_words(run_dir: Path, out_dir: Path, run: Mapping) -> dict:
    """Write the files of a word recogniser's model and its rejection, and return the changed entries of `run.json`."""
    changed = {}
    fingerprint = runs.model_fingerprint(run_dir)
    if not _holds(out_dir, fingerprint):
        for name in (card.CURVE_NAME, card.CURVE_TABLE_NAME):
            (out_dir / name).unlink(missing_ok=True)
    if model_path(run_dir) == run_dir / WEIGHTS_NAME:
        out_dir.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run_dir / WEIGHTS_NAME, out_dir / WEIGHTS_NAME)
    else:
        model, _ = runs.load_run(run_dir)
        rebuilt = runs.rebuild_with_weights(run_dir, model, run)
        out_dir.mkdir(parents=True, exist_ok=True)
        changed = runs.write_weights(out_dir, rebuilt, run) | {"model": runs.model_fingerprint(run_dir)}
    for name in (ONNX_NAME, INT8_ONNX_NAME):
        if (run_dir / name).exists():
            shutil.copyfile(run_dir / name, out_dir / name)
        elif (out_dir / name).exists() and not _is_exported_from(out_dir / name, fingerprint):
            (out_dir / name).unlink()
    answers.copy_rejection(run_dir, fingerprint, out_dir, fingerprint)
    return changed


def _holds(folder: Path, fingerprint: str) -> bool:
    """Whether a folder holds the model of a fingerprint."""
    try:
        return runs.model_fingerprint(folder) == fingerprint
    except (FileNotFoundError, ValueError):
        return False


def _is_exported_from(path: Path, fingerprint: str) -> bool:
    try:
        return OnnxModel(path).metadata.get("model") == fingerprint
    except ValueError:  # damaged
        return False


def _publish_transcripts(run_dir: Path, out_dir: Path) -> None:
    """Copy the smallest exported file and the language model of a transcriber."""
    exported = [run_dir / name for name in (INT8_ONNX_NAME, FLOAT16_ONNX_NAME) if (run_dir / name).exists()]
    if not exported:
        raise FileNotFoundError(
            f"{run_dir}: must hold {FLOAT16_ONNX_NAME} or {INT8_ONNX_NAME}. Received: neither; "
            f"write one with `kaggle-speech export --run {run_dir}`"
        )
    for name in language_models.FILE_NAMES:
        if (out_dir / name).exists() and not (run_dir / name).exists():
            raise FileExistsError(
                "`out_dir` must hold no language model that the run lacks: it would be used. "
                f"Received: {out_dir / name}; move it away, or into {run_dir}"
            )
    out_dir.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(exported[0], out_dir / ONNX_NAME)
    language_models.copy_language_models(run_dir, out_dir)


def _words_card(run_dir: Path, out_dir: Path, metrics: Mapping) -> str:
    """Card of a word recogniser, by what was measured of it; copies the curve in running speech and its table."""
    evaluation_path = run_dir / "evaluation" / report.EVALUATION_NAME
    evaluation = read_json(evaluation_path) if evaluation_path.exists() else None
    speech_dir = run_dir / "running_speech"
    points_df = None
    if (speech_dir / "operating_points.csv").exists():
        points_df = pd.read_csv(speech_dir / "operating_points.csv")
        for name in (card.CURVE_NAME, card.CURVE_TABLE_NAME):
            shutil.copyfile(speech_dir / name, out_dir / name)
    files_df = None
    if (run_dir / REPORT_NAME).exists():
        files_df = pd.read_csv(run_dir / REPORT_NAME)
        files_df = files_df[files_df["file"].isin([path.name for path in out_dir.iterdir()])]
    return card.words_card(out_dir.name, metrics, evaluation, points_df, files_df)


def _read_transcripts(path: Path) -> pd.DataFrame | None:
    """A table of transcripts, or None where there is none."""
    return pd.read_csv(path, dtype=str, keep_default_na=False) if path.exists() else None
