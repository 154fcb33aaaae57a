"""Export to several files, with a report: size, difference, accuracy and speed of each."""

from pathlib import Path

import numpy as np
import pandas as pd

from kaggle_speech.audio import AudioError, read_clips
from kaggle_speech.export.onnx import export_onnx, metadata_of
from kaggle_speech.export.other_formats import export_litert, export_saved_model
from kaggle_speech.files import replace_file
from kaggle_speech.inference import batches, timing
from kaggle_speech.inference.answers import competition_probabilities, most_probable
from kaggle_speech.inference.runtimes import FORMATS, LiteRTModel, OnnxModel, SavedModel
from kaggle_speech.progress import progress_bar


def export_run(model, vocabulary, out_dir, name, files, val_df, calibration_df, metadata):
    """Export a model to several files and write a report on them.

    Args:
        model: Keras model.
        vocabulary: labels in the order of its outputs.
        out_dir: folder to write to.
        name: what the files begin with.
        files: `(format, precision)` pairs, of `FORMATS`.
        val_df: labelled clips (`index.validation_clips`) that the files are compared and judged on.
        calibration_df: training clips for int8.
        metadata: more to say in the ONNX files, such as the accuracy.

    Returns:
        pandas DataFrame, a row a file and one for the model itself, also written to `<out_dir>/<name>_report.csv`:
        `file, runtime, precision, bytes`; `max_difference` of a probability and `agreement` of the answers with the
        model; `accuracy` over the twelve labels; `ms_1_thread, ms_2_threads` for one clip at a time;
        `clips_per_s_16, clips_per_s_64` in batches, with two threads.

    Raises:
        ExportError: a file does not answer as the model does; those before it are kept.
        ValueError: there is no such format or precision.
    """
    for file_format, precision in files:
        if precision not in FORMATS.get(file_format, ("", ()))[1]:
            known = {name: precisions for name, (_, precisions) in FORMATS.items()}
            raise ValueError(f"`files` must be pairs of {known}. Received: {(file_format, precision)}")
    waveform, calibration = _waveforms(val_df), _waveforms(calibration_df)
    expected = batches.predict_waveforms(model, waveform)
    facts = metadata_of(model, vocabulary, metadata)
    rows = [_speed_and_accuracy({2: model}, expected, expected, val_df, vocabulary) | {"file": "", "runtime": "keras"}]
    for file_format, precision in progress_bar(files, desc="exporting", unit="file"):
        suffix = "" if precision == "float32" else f"_{precision}"
        path = Path(out_dir) / f"{name}{suffix}{FORMATS[file_format][0]}"
        if file_format == "onnx":
            options = {"precision": precision, "calibration": calibration}
            found = export_onnx(model, path, facts, waveform, expected, **options)
            runtimes = {num_threads: OnnxModel(path, num_threads) for num_threads in (1, 2)}
        elif file_format == "litert":
            found = export_litert(model, path, waveform, expected, precision=precision)
            runtimes = {num_threads: LiteRTModel(path, num_threads) for num_threads in (1, 2)}
        else:
            found = export_saved_model(model, path, waveform, expected)
            runtimes = {2: SavedModel(path)}
        size = sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())
        row = {"file": path.name, "runtime": file_format, "precision": precision, "bytes": size}
        rows.append(row | _speed_and_accuracy(runtimes, found, expected, val_df, vocabulary))
    columns = ["file", "runtime", "precision", "bytes"]
    report_df = pd.DataFrame(rows)
    report_df = report_df[[*columns, *(column for column in report_df if column not in columns)]]
    replace_file(Path(out_dir) / f"{name}_report.csv", lambda path: report_df.to_csv(path, index=False))
    return report_df


def _waveforms(clips_df):
    waveform, errors = read_clips(list(clips_df["path"]))
    if errors:
        raise AudioError("\n".join(errors))
    return waveform


def _speed_and_accuracy(runtimes, found, expected, val_df, vocabulary):
    """What the report says of a model; `runtimes` holds it with one and with two threads where that can be chosen."""
    answers = most_probable(competition_probabilities(found, vocabulary))
    row = {
        "max_difference": float(np.abs(found - expected).max()),
        "agreement": float((found.argmax(axis=1) == expected.argmax(axis=1)).mean()),
        "accuracy": float((answers == val_df["label"]).mean()),
    }
    for num_threads, unit in ((1, "thread"), (2, "threads")):
        runtime = runtimes.get(num_threads)
        row[f"ms_{num_threads}_{unit}"] = runtime and timing.milliseconds_per_clip(runtime)
    for batch_size in (16, 64):
        milliseconds = timing.milliseconds_per_clip(runtimes[2], 320 // batch_size, batch_size)
        row[f"clips_per_s_{batch_size}"] = round(1000 / milliseconds)
    return row
