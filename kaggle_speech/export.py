"""A trained model as a file for other runtimes: ONNX, LiteRT, SavedModel.

All take waveforms: the frontend is inside. Each file is loaded again and compared with the model on real clips; one
that answers otherwise is an error and is not kept. In int8 the network is quantised and the frontend is not, because
the Fourier transform does not survive it.
"""

import dataclasses
import functools
import json
from pathlib import Path

import keras
import numpy as np
import onnx
import pandas as pd
import tensorflow as tf

from kaggle_speech import __version__, decoding, inference, onnx_graph, onnx_gru
from kaggle_speech.atomic import replace_file
from kaggle_speech.audio import CLIP_SAMPLES, SAMPLE_RATE, AudioError, read_clips
from kaggle_speech.model_folder import task_of
from kaggle_speech.progress import progress_bar
from kaggle_speech.runtimes import FORMATS, LiteRTModel, OnnxModel

#: How far a probability may be from the model's: rounding, and 16-bit weights. int8 is judged by its answers.
MAX_DIFFERENCE = {"float32": 1e-3, "float16": 0.1, "int8": 1.0}
#: Share of the answers that must be the model's, or a label that the model finds as likely within `SAME_MARGIN`.
MIN_AGREEMENT = {"float32": 0.99, "float16": 0.97, "int8": 0.95}
SAME_MARGIN = 0.1
OPSET = 18
LICENCE = "code MIT; trained on Speech Commands (Pete Warden, arXiv 1804.03209), CC BY 4.0"


class ExportError(RuntimeError):
    """A file that does not answer as the model does, or that no runtime loads. It is not kept."""


def frontend(model):
    """The layer that makes features of waveforms."""
    return next(layer for layer in model.layers if hasattr(layer, "spec"))


def _check(path, probabilities, expected, precision):
    difference = np.abs(probabilities - expected).max()
    of_answers = expected[np.arange(len(expected)), probabilities.argmax(axis=1)]
    agreement = (expected.max(axis=1) - of_answers <= SAME_MARGIN).mean()
    if not (difference <= MAX_DIFFERENCE[precision] and agreement >= MIN_AGREEMENT[precision]):
        raise ExportError(
            f"{path}: in {precision}, probabilities must be within {MAX_DIFFERENCE[precision]} of the model's, and "
            f"{MIN_AGREEMENT[precision]:.0%} of the answers the same. Received: {difference:.2g}, {agreement:.1%}"
        )


def metadata_of(model, vocabulary, more=()):
    """What an exported file says of itself, and what more, or other, is given: a dict of what is JSON-able."""
    return {
        "task": task_of({"vocabulary": vocabulary}),
        "vocabulary": list(vocabulary),
        "sample_rate": SAMPLE_RATE,
        "features": dataclasses.asdict(frontend(model).spec),
        "licence": LICENCE,
        "kaggle_speech": __version__,
        **dict(more),
    }


def _one_minus_erf(graph, node, name, _):
    """What tf2onnx lacks for the GELU: ONNX has no erfc."""
    one = graph.make_const(f"{name}_one", np.array(1, dtype=np.float32)).output[0]
    erf = graph.make_node("Erf", [node.input[0]], name=f"{name}_erf").output[0]
    node.type = "Sub"
    graph.replace_inputs(node, [one, erf])


def keras_to_onnx(model):
    """An ONNX model of a Keras model, folded; inputs have the same names, and any length where the model takes any."""
    import tf2onnx

    signature = keras.tree.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype, name=x.name), model.input)
    handlers = {"Erfc": (_one_minus_erf, []), **onnx_gru.HANDLERS}
    with onnx_graph.quiet():
        proto, _ = tf2onnx.convert.from_keras(model, (signature,), opset=OPSET, custom_op_handlers=handlers)
    return onnx_graph.fold(proto)


def write_onnx(proto, model, out_path, metadata, predict, expected, precision):
    """Write an ONNX model in few bytes, load it and compare its answers; one that answers otherwise is not kept.

    Args:
        proto: from `keras_to_onnx`.
        model: the Keras model that it is of.
        out_path, metadata, precision: as in `export_onnx`.
        predict: called with the loaded file; `(answers, labels)` probabilities, which are returned.
        expected: the same of the Keras model.

    Raises:
        ExportError: the file does not answer as the model does.
    """
    proto = onnx_graph.compute_dft_kernels(proto, frontend(model).spec)
    if precision == "float16":
        proto = onnx_graph.halve_weights(proto)
    proto = onnx_graph.shorten_names(proto)
    entries = metadata | {"precision": precision}
    onnx.helper.set_model_props(proto, {name: json.dumps(value) for name, value in entries.items()})
    return _write(out_path, lambda path: onnx.save(proto, path), OnnxModel, predict, expected, precision)


def export_onnx(model, out_path, metadata, waveform, expected, *, precision="float32", calibration=None):
    """Write an ONNX file that `runtimes.OnnxModel` runs: any number of clips at a time.

    Args:
        model: Keras model, waveform in, probabilities out.
        out_path: the `.onnx` file.
        metadata: from `metadata_of`; goes into the file.
        waveform: `(clips, samples)` float32; clips to compare on.
        expected: `(clips, labels)`; what the model answers for them.
        precision: `float32`; `float16` stores the weights in half the bytes; `int8` quantises convolutions and dense
            layers, with ranges from `calibration`.
        calibration: `(clips, samples)` of training clips, some hundred; only for int8.

    Returns:
        `(clips, labels)`; what the file answers.

    Raises:
        ExportError: the file does not answer as the model does.
        ValueError: int8 without clips to calibrate on.
    """
    if precision == "int8" and calibration is None:
        raise ValueError("`calibration` must be training clips where `precision` is int8. Received: None")
    proto = keras_to_onnx(model)
    if precision == "int8":
        proto = onnx_graph.quantize(proto, calibration, [frontend(model).name])
    facts = metadata | {"clip_samples": CLIP_SAMPLES}
    return write_onnx(proto, model, out_path, facts, _predict(waveform), expected, precision)


def export_litert(model, out_path, waveform, expected, *, precision="float32"):
    """Write a LiteRT (TFLite) file that takes one clip at a time. Args, Returns, Raises: as `export_onnx`."""
    waveform_input = keras.Input(batch_shape=(1, CLIP_SAMPLES))  # recurrent layers convert for a fixed batch only
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(waveform_input, model(waveform_input)))
    if precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]

    def write(path):
        path.write_bytes(converter.convert())

    return _write(out_path, write, LiteRTModel, _predict(waveform), expected, precision)


def export_saved_model(model, out_dir, waveform, expected):
    """Write a SavedModel folder, whose `serve` takes any number of clips. Args, Returns, Raises: as `export_onnx`."""
    export = functools.partial(model.export, verbose=False)
    return _write(out_dir, export, SavedModel, _predict(waveform), expected, "float32")


class SavedModel:
    """A folder from `export_saved_model`."""

    def __init__(self, folder):
        self.loaded = tf.saved_model.load(str(folder))

    def predict_on_batch(self, waveform):
        """Shape: `(batch, samples)` float32 -> `(batch, len(vocabulary))` float32."""
        return self.loaded.serve(tf.constant(waveform)).numpy()


def _predict(waveform):
    """A function of a model: what it answers for clips."""
    return lambda model: inference.predict_waveforms(model, waveform)


def _write(out_path, write, runtime_class, predict, expected, precision):
    """Write a file, load it and compare its answers, which are returned; only then does it take its place."""
    Path(out_path).parent.mkdir(parents=True, exist_ok=True)
    found = []

    def write_and_check(path):
        try:
            with onnx_graph.quiet():
                write(path)
                runtime = runtime_class(path)
            found.append(predict(runtime))
        except Exception as error:
            raise ExportError(f"{out_path}: must convert and load again. Received: {error}") from error
        _check(out_path, found[0], expected, precision)

    replace_file(out_path, write_and_check)
    return found[0]


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
    expected = inference.predict_waveforms(model, waveform)
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
    answers = decoding.most_probable(decoding.competition_probabilities(found, vocabulary))
    row = {
        "max_difference": float(np.abs(found - expected).max()),
        "agreement": float((found.argmax(axis=1) == expected.argmax(axis=1)).mean()),
        "accuracy": float((answers == val_df["label"]).mean()),
    }
    for num_threads, unit in ((1, "thread"), (2, "threads")):
        runtime = runtimes.get(num_threads)
        row[f"ms_{num_threads}_{unit}"] = runtime and inference.milliseconds_per_clip(runtime)
    for batch_size in (16, 64):
        milliseconds = inference.milliseconds_per_clip(runtimes[2], 320 // batch_size, batch_size)
        row[f"clips_per_s_{batch_size}"] = round(1000 / milliseconds)
    return row
