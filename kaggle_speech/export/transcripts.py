"""ONNX files of transcribers, their report and their card."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from kaggle_speech import files
from kaggle_speech.audio import SAMPLE_RATE
from kaggle_speech.data.utterance_batches import read_batch
from kaggle_speech.evaluation.transcripts import summarize_transcripts, transcribe_utterances
from kaggle_speech.export import onnx, onnx_gru, publish
from kaggle_speech.files import replace_file
from kaggle_speech.inference.runtimes import OnnxModel
from kaggle_speech.inference.timing import real_time_factor
from kaggle_speech.models import runs
from kaggle_speech.progress import progress_bar
from kaggle_speech.text import ngram
from kaggle_speech.text.alphabet import ALPHABET

#: Of the weights in the files.
FILE_PRECISIONS = ("float32", "float16")
#: Utterances, about, that a file is compared with its model on.
NUM_COMPARED = 24
LICENCE = "code MIT; weights as their training data: LibriSpeech (Panayotov et al., ICASSP 2015) is CC BY 4.0"


def transcriber_metadata(model, more=()):
    """As `export.metadata_of`, for a model of `models.resnet_ctc`: with the samples from one output to the next."""
    output_step = model.get_layer("output_mask").frame_step
    return onnx.metadata_of(model, ALPHABET, {"output_step": output_step, "licence": LICENCE, **dict(more)})


def _frame_probabilities(model, inputs):
    """Probabilities for each frame of several batches, padding too. Shape: -> `(frames, characters)`."""
    log_probabilities = [np.asarray(model.predict_on_batch(batch)) for batch in inputs]
    return np.concatenate([np.exp(batch).reshape(-1, batch.shape[-1]) for batch in log_probabilities])


def export_transcriber(model, out_path, metadata, inputs, *, precision="float32"):
    """Write an ONNX file that `runtimes.OnnxModel` runs and `inference.load` loads.

    Where the model is sure of a character, the file reads the same.

    Args:
        model: Keras model of `models.resnet_ctc`.
        out_path: the `.onnx` file.
        metadata: from `metadata_of`; goes into the file.
        inputs: batches to compare on, the model's inputs: recordings of several lengths, for answers that differ.
        precision: `float32`; `float16` stores the weights in half the bytes.

    Returns:
        The largest difference of a probability from the model's.

    Raises:
        ExportError: the file does not answer as the model does.
        ValueError: there is no such precision.
    """
    if precision not in FILE_PRECISIONS:
        raise ValueError(f"`precision` must be one of {FILE_PRECISIONS}. Received: precision={precision!r}")
    expected = _frame_probabilities(model, inputs)
    proto = onnx.keras_to_onnx(onnx_gru.mark_gru(model))
    answers = onnx.write_onnx(
        proto, model, out_path, metadata, lambda loaded: _frame_probabilities(loaded, inputs), expected, precision
    )
    return float(np.abs(answers - expected).max())


def export_transcriber_run(run_dir, out_dir, utterances_df):
    """Export the model of a run and write a report; its language model goes along.

    Args:
        run_dir: folder of a finished run (`transcript_experiment`).
        out_dir: folder for `model.onnx`, `model_float16.onnx`, `model_report.csv`.
        utterances_df: utterances to compare and to count errors on.

    Returns:
        pandas DataFrame, a row a file: `file, precision, bytes`; `max_difference` of a probability from the model's;
        `cer` of the best path; `real_time_factor`, of 8 s of sound on one thread.

    Raises:
        ExportError: a file does not answer as the model does; those before it are kept.
        FileNotFoundError: the folder holds no finished run.
    """
    run_dir, out_dir = Path(run_dir), Path(out_dir)
    model, _ = runs.load_run(run_dir)
    by_length_df = utterances_df.sort_values("num_samples")
    compared_df = by_length_df.iloc[:: max(1, len(by_length_df) // NUM_COMPARED)]  # of all lengths
    batches = [read_batch(compared_df["path"].iloc[start : start + 4]) for start in range(0, len(compared_df), 4)]
    inputs = [{"waveform": waveform, "num_samples": num_samples} for waveform, num_samples in batches]
    metrics = files.read_json(run_dir / "metrics.json")
    facts = {name: metrics[name] for name in ("train", "val")}
    facts["num_val_speakers"] = metrics["settings"]["num_val_speakers"]
    metadata = transcriber_metadata(model, publish.export_metadata(run_dir) | facts)
    rows = []
    for precision in progress_bar(FILE_PRECISIONS, desc="exporting", unit="file"):
        path = out_dir / ("model.onnx" if precision == "float32" else f"model_{precision}.onnx")
        difference = export_transcriber(model, path, metadata, inputs, precision=precision)
        loaded = OnnxModel(path, num_threads=1)
        errors = summarize_transcripts(transcribe_utterances(loaded, utterances_df))["greedy"]
        row = {"file": path.name, "precision": precision, "bytes": path.stat().st_size, "max_difference": difference}
        rows.append(row | {"cer": errors["cer"], "real_time_factor": real_time_factor(loaded)})
    if out_dir != run_dir:
        shutil.copyfile(run_dir / ngram.FILE_NAME, out_dir / ngram.FILE_NAME)
    report_df = pd.DataFrame(rows)
    replace_file(out_dir / "model_report.csv", lambda path: report_df.to_csv(path, index=False))
    return report_df


CARD = """# {model}: speech to text

`model.onnx`: `waveform` `(batch, samples)` (16 kHz, mono, float in [-1, 1], zeros after the end of each) and
`num_samples` `(batch,)` (int32) in; out come log-probabilities of a blank, a space, an apostrophe and the letters a to
z, every {step_ms:g} ms. Weights are stored in 16 bits. `ngram.json` counts which characters follow which in the
training transcripts.

- **Errors** held-out speakers ({num_utterances} utterances, none of them trained on, and none chose the epoch):
  {val}.
  Training speakers, whose texts the language model knows: {train}.
- **Recipe** `{recipe}`
- **Data** fingerprint `{data}`. LibriSpeech (V. Panayotov et al., ICASSP 2015) is CC BY 4.0; no recording is in here.
- **Versions** {versions}; training took {training_minutes} minutes.
- **Limits** read English in quiet rooms, and only what its training data teaches: look at the errors before you use it.
"""


def publish_transcriber_run(run_dir, out_dir):
    """Copy what it takes to transcribe, from a run that is exported in float16, and write its card.

    Args:
        run_dir: folder of a finished run with `model_float16.onnx`.
        out_dir: folder to make: `model.onnx`, `ngram.json`, `run.json`, `metrics.json`, `README.md`.

    Raises:
        FileNotFoundError: the run is not finished, or not exported.
    """
    run_dir, out_dir = Path(run_dir), Path(out_dir)
    if not (run_dir / "model_float16.onnx").exists():
        raise FileNotFoundError(
            f"{run_dir}: must hold model_float16.onnx. Received: none; "
            f"write it with `python -m kaggle_speech export-transcriber --run {run_dir}`"
        )
    out_dir.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run_dir / "model_float16.onnx", out_dir / "model.onnx")
    for name in (ngram.FILE_NAME, "run.json", "metrics.json"):
        shutil.copyfile(run_dir / name, out_dir / name)
    metrics = files.read_json(run_dir / "metrics.json")
    settings = metrics["settings"]
    rates = {
        split: "; ".join(f"{way} CER {of['cer']:.1%}, WER {of['wer']:.1%}" for way, of in metrics[split].items())
        for split in ("train", "val")
    }
    card = CARD.format(
        **rates,
        model=settings["model"],
        step_ms=1000 * OnnxModel(out_dir / "model.onnx").metadata["output_step"] / SAMPLE_RATE,
        num_utterances=metrics["val"]["greedy"]["num_utterances"],
        recipe={name: value for name, value in settings.items() if name not in ("data", "model")},
        data=settings["data"],
        training_minutes=metrics["training_minutes"],
        versions=", ".join(f"{name} {version}" for name, version in metrics["versions"].items()),
    )
    (out_dir / "README.md").write_text(card)
