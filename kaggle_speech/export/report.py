"""Export of a run of either task to several files, with a report on size, difference, quality and speed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from kaggle_speech.audio import AudioError, read_clips
from kaggle_speech.data import clips, splits
from kaggle_speech.data.utterance_batches import read_batch
from kaggle_speech.evaluation.transcripts import summarize_transcripts, transcribe_utterances
from kaggle_speech.export.check import compare_on_batches, compare_on_clips
from kaggle_speech.export.onnx import PRECISIONS, export_onnx, metadata_of
from kaggle_speech.export.other_formats import export_litert, export_saved_model
from kaggle_speech.export.tensorflow_process import call_on_tensorflow
from kaggle_speech.files import listing, read_json, replace_file
from kaggle_speech.inference import timing
from kaggle_speech.inference.answers import competition_probabilities, copy_rejection, most_probable
from kaggle_speech.inference.runtimes import FORMATS, LiteRTModel, OnnxModel, SavedModel
from kaggle_speech.models import runs
from kaggle_speech.models.folder import METRICS_NAME, model_fingerprint, task_of
from kaggle_speech.progress import progress_bar
from kaggle_speech.text.language_models import copy_language_models

#: Beginning of the names of the files; `load` reads `model.onnx`.
STEM = "model"
REPORT_NAME = f"{STEM}_report.csv"
#: Approximate number of utterances that the files of a transcriber are compared on, and their number in a batch.
NUM_COMPARED = 24
COMPARED_BATCH_SIZE = 4
#: Figures of `metrics.json` in the metadata of a file, by task.
FIGURES = {"words": ("accuracy", "recall", "num_clips"), "transcripts": ("train", "val")}
#: Formats and their precisions, by task.
KNOWN_FILES: dict[str, dict[str, tuple[str, ...]]] = {
    "words": {name: precisions for name, (_, precisions) in FORMATS.items()},
    "transcripts": {"onnx": PRECISIONS},
}


def export_run(
    run_dir: Path | str,
    out_dir: Path | str,
    df: pd.DataFrame,
    files: Sequence[tuple[str, str]] = (("onnx", "float32"), ("onnx", "float16")),
    *,
    num_calibration: int = 256,
) -> pd.DataFrame:
    """Export the model of a finished run to several files, and write a report on them.

    Its `rejection.json`, or its language model, is copied; a `rejection.json` of another model goes. Where Keras runs
    on another backend than TensorFlow, all this is done in a process of its own.

    Args:
        run_dir: folder of a finished run.
        out_dir: folder for `model.onnx`, `model_float16.onnx`, `model.tflite`, ... and `model_report.csv`.
        df: of a word recogniser, readable clips of all splits (`data.clips`); of a transcriber, utterances of all
            speakers (`data.utterances`). The files are compared and evaluated on those that the training held out.
        files: `(format, precision)` pairs: formats onnx, litert, saved_model, precisions float32, float16, int8.
        num_calibration: number of training clips that measure the ranges of a word recogniser for int8.

    Returns:
        pandas DataFrame, a row for each file, after a row for the model itself: `file, runtime, precision, bytes`;
        `max_difference` of a probability from the model's. Of a word recogniser `agreement` of the answers with the
        model's, `accuracy` over the twelve labels, `ms_1_thread, ms_2_threads` for one clip at a time,
        `clips_per_s_16, clips_per_s_64` in batches with two threads; of a transcriber `cer` of the best path, and
        `real_time_factor`, of 8 s of sound on one thread.

    Raises:
        ExportError: the probabilities of a file are not those of the model; the files before it are kept.
        FileNotFoundError: the folder holds no finished run.
        ValueError: there is no such format or precision, or no file at all.

    Examples:
        >>> import kaggle_speech as ks
        >>> from kaggle_speech.inference.load import model_location
        >>> clips_df, _ = ks.read_clips_table(data_dir, progress=False)
        >>> report_df = export_run(model_location("tc_resnet"), "exported", clips_df, [("onnx", "float32")])
        >>> report_df["file"].tolist(), report_df["agreement"].tolist()
        (['', 'model.onnx'], [1.0, 1.0])
    """
    if keras.backend.backend() != "tensorflow":
        return call_on_tensorflow(export_run, run_dir, out_dir, df, files, num_calibration=num_calibration)
    run_dir = Path(run_dir)
    out_dir = Path(out_dir)
    model, vocabulary = runs.load_run(run_dir)
    metrics = read_json(run_dir / METRICS_NAME)
    task = task_of(metrics)
    known = KNOWN_FILES[task]
    if not files:
        raise ValueError(f"`files` must be pairs of {known}. Received: none")
    for file_format, precision in files:
        if precision not in known.get(file_format, ()):
            raise ValueError(f"`files` must be pairs of {known}. Received: {(file_format, precision)}")
    metadata = metadata_of(model, task, vocabulary, export_metadata(run_dir, metrics))
    quality: _WordsQuality | _TranscriptsQuality
    if task == "words":
        quality = _WordsQuality(model, vocabulary, df)
    else:
        quality = _TranscriptsQuality(model, df, metadata["num_val_speakers"])
    needs_clips = task == "words" and any(precision == "int8" for _, precision in files)
    calibration = _calibration(df, num_calibration) if needs_clips else None
    rows = [{"file": "", "runtime": "keras"} | quality.figures({2: model}, quality.comparison.expected)]
    for file_format, precision in progress_bar(files, desc="exporting", unit="file"):
        suffix = "" if precision == "float32" else f"_{precision}"
        path = out_dir / f"{STEM}{suffix}{FORMATS[file_format][0]}"
        if file_format == "onnx":
            options: dict[str, Any] = {"precision": precision, "calibration": calibration}
            probabilities = export_onnx(model, path, metadata, quality.comparison, **options)
        elif file_format == "litert":
            probabilities = export_litert(model, path, quality.comparison, precision=precision)
        else:
            probabilities = export_saved_model(model, path, quality.comparison)
        row = {"file": path.name, "runtime": file_format, "precision": precision, "bytes": _num_bytes(path)}
        rows.append(row | quality.figures(_runtimes(file_format, path), probabilities))
    if task == "words":
        copy_rejection(run_dir, metadata["model"], out_dir, metadata["model"])
    elif out_dir.resolve() != run_dir.resolve():
        copy_language_models(run_dir, out_dir)
    first_columns = ["file", "runtime", "precision", "bytes"]
    report_df = pd.DataFrame(rows)
    report_df = report_df[[*first_columns, *(column for column in report_df if column not in first_columns)]]
    replace_file(out_dir / REPORT_NAME, lambda path: report_df.to_csv(path, index=False))
    return report_df


def export_metadata(run_dir: Path | str, metrics: Mapping) -> dict:
    """Metadata of an exported file about its run: fingerprint of the model, figures.

    Args:
        run_dir: folder of a finished run.
        metrics: content of its `metrics.json`.
    """
    task = task_of(metrics)
    facts = {"model": model_fingerprint(run_dir)}
    if task == "transcripts":
        facts["num_val_speakers"] = metrics["settings"].get("num_val_speakers")
    return facts | {name: metrics[name] for name in FIGURES[task] if name in metrics}


def _num_bytes(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def _runtimes(file_format: str, path: Path) -> dict[int, Any]:
    """Load a file with one and with two threads, or with two only where there is no choice."""
    if file_format == "saved_model":
        return {2: SavedModel(path)}
    runtime_class = {"onnx": OnnxModel, "litert": LiteRTModel}[file_format]
    return {num_threads: runtime_class(path, num_threads) for num_threads in (1, 2)}


def _read_clips(clips_df: pd.DataFrame) -> np.ndarray:
    """Waveforms of clips. Shape: `(clips, samples)`."""
    waveform, errors = read_clips(list(clips_df["path"]))
    if errors:
        raise AudioError(listing(errors))
    return waveform


def _calibration(clips_df: pd.DataFrame, num_clips: int) -> np.ndarray:
    """Training clips that measure the ranges for int8. Shape: `(clips, samples)`."""
    return _read_clips(clips.prepare_clips(clips_df, "train", seed=0).head(num_clips))


class _WordsQuality:
    """Quality and speed of the files of a word recogniser, on the validation clips.

    Attributes:
        comparison: the clips, and the probabilities of the model.
    """

    def __init__(self, model: keras.Model, vocabulary: Sequence[str], clips_df: pd.DataFrame) -> None:
        val_df = clips.validation_clips(clips_df)
        self.labels = val_df["label"]
        self.vocabulary = vocabulary
        self.comparison = compare_on_clips(model, _read_clips(val_df))

    def figures(self, runtimes: Mapping[int, Any], probabilities: np.ndarray) -> dict:
        """Columns of the report for a file.

        Args:
            runtimes: number of threads -> the loaded file; 1 may be missing.
            probabilities: probabilities of the file."""
        expected = self.comparison.expected
        answers = most_probable(competition_probabilities(probabilities, self.vocabulary))
        row = {
            "max_difference": float(np.abs(probabilities - expected).max()),
            "agreement": float((probabilities.argmax(axis=1) == expected.argmax(axis=1)).mean()),
            "accuracy": float((answers == self.labels).mean()),
            "ms_1_thread": timing.milliseconds_per_clip(runtimes[1]) if 1 in runtimes else None,
            "ms_2_threads": timing.milliseconds_per_clip(runtimes[2]),
        }
        for batch_size in (16, 64):
            milliseconds = timing.milliseconds_per_clip(runtimes[2], 320 // batch_size, batch_size)
            row[f"clips_per_s_{batch_size}"] = round(1000 / milliseconds)
        return row


class _TranscriptsQuality:
    """Quality and speed of the files of a transcriber, on the utterances of held-out speakers.

    Attributes:
        comparison: some of the utterances, of all lengths, and the probabilities of the model.
    """

    def __init__(self, model: keras.Model, utterances_df: pd.DataFrame, num_val_speakers: int) -> None:
        utterances_df = splits.split_speakers(utterances_df, num_val_speakers)
        self.val_df = utterances_df[utterances_df["split"] == "val"]
        by_length_df = self.val_df.sort_values("num_samples")
        paths = by_length_df["path"].iloc[:: max(1, len(by_length_df) // NUM_COMPARED)]
        batches = []
        for start in range(0, len(paths), COMPARED_BATCH_SIZE):
            waveform, num_samples = read_batch(paths.iloc[start : start + COMPARED_BATCH_SIZE])
            batches.append({"waveform": waveform, "num_samples": num_samples})
        self.comparison = compare_on_batches(model, batches)

    def figures(self, runtimes: Mapping[int, Any], probabilities: np.ndarray) -> dict:
        """Columns of the report for a file.

        Args:
            runtimes: number of threads, 1 or 2 -> the loaded file.
            probabilities: probabilities of the file."""
        runtime = runtimes.get(1, runtimes.get(2))
        errors = summarize_transcripts(transcribe_utterances(runtime, self.val_df))["greedy"]
        return {
            "max_difference": float(np.abs(probabilities - self.comparison.expected).max()),
            "cer": errors["cer"],
            "real_time_factor": timing.real_time_factor(runtime),
        }
