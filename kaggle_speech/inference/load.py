"""Load a model by name, folder or file: onnxruntime where there is an exported file, else Keras."""

import difflib
import importlib.util
import typing
import zipfile
from pathlib import Path

from kaggle_speech.files import read_json, what_is_there
from kaggle_speech.inference.answers import NOTHING_REJECTED, read_rejection
from kaggle_speech.inference.recogniser import Recogniser, Transcriber
from kaggle_speech.inference.runtimes import OnnxModel, set_tensorflow_threads
from kaggle_speech.models import folder, pretrained
from kaggle_speech.quiet import import_tensorflow_quietly
from kaggle_speech.text.alphabet import ALPHABET
from kaggle_speech.text.language_models import read_language_model

#: Inference engines, the preferred one first.
ENGINES = ("onnxruntime", "keras")
ONNX_NAME = "model.onnx"


def load(
    source: Path | str | None = None,
    *,
    engine: str | None = None,
    num_threads: int | None = None,
    words: Path | str | None = None,
    reject: bool = True,
) -> Recogniser | Transcriber:
    """Load a model that comes with the package, that was trained, or that was exported.

    Args:
        source: name of a model of the package (see `list_models`), folder of a finished run, or an `.onnx` file; None
            for the package's default model. A name wins over a folder of that name; write `./name` for the folder.
        engine: `onnxruntime` (faster, imports no TensorFlow), `keras`, or None for
            onnxruntime where there is an exported file, else keras.
        num_threads: processor threads for one call of the model, 0 for all; None for one by onnxruntime (many files are
            recognised side by side, one a core), and for TensorFlow's own choice by Keras. TensorFlow keeps to a number
            for the rest of the process.
        words: file of enrolled words (`kaggle-speech enroll`), for a model that recognises words, by onnxruntime.
        reject: apply the `rejection.json` beside a model that recognises words, where there is one.

    Returns:
        `Recogniser`, or `Transcriber` where the run or the file states the task `transcripts`.

    Raises:
        FileNotFoundError: there is no such model, or the folder holds none for the engine.
        ValueError: a file is damaged, not of this package, or of another model than the one beside it.

    Examples:
        >>> load()
        Recogniser(bc_resnet, 12 labels, onnxruntime)
        >>> load("resnet_ctc")
        Transcriber(resnet_ctc, onnxruntime)
    """
    if engine not in (None, *ENGINES):
        raise ValueError(f"`engine` must be one of {ENGINES}. Received: engine={engine!r}")
    if words is not None and engine == "keras":
        raise ValueError("`engine` must be onnxruntime where `words` is given. Received: engine='keras'")
    path = model_location(source)
    model, facts, settings = _load_model(path, engine, num_threads=num_threads, embedding=words is not None)
    name = path.stem if path.suffix == ".onnx" and path.name != ONNX_NAME else _folder(path).resolve().name
    if folder.task_of(facts) == "transcripts":
        if words is not None:
            raise ValueError(f"`words` must be left out for {path}, which makes transcripts. Received: words={words}")
        return _transcriber(path, model, facts, settings, name)
    rejection = read_rejection(_folder(path), settings["model"]) if reject else NOTHING_REJECTED
    recogniser = Recogniser(model, tuple(facts["vocabulary"]), settings, facts, rejection, name=name)
    return recogniser if words is None else recogniser.with_words(words)


def load_recogniser(source: Path | str | None = None, **options: typing.Any) -> Recogniser:
    """Load a model that recognises words.

    Args:
        source: name of a model of the package, folder of a finished run, or `.onnx` file; None for the default model.
        options: `engine`, `num_threads`, `words`, `reject` of `load`.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: the model makes transcripts, or a file is damaged.
    """
    if task(source) == "transcripts":
        raise ValueError(f"{source}: must recognise words. Received: a model that makes transcripts; use `transcribe`")
    return typing.cast(Recogniser, load(source, **options))


def load_transcriber(source: Path | str | None = None, **options: typing.Any) -> Transcriber:
    """Load a model that makes transcripts.

    Args:
        source: name of a model of the package, folder of a finished run, or `.onnx` file; None for the package's
            transcriber.
        options: `engine`, `num_threads` of `load`.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: the model recognises words, or a file is damaged.
    """
    source = pretrained.TRANSCRIBER_DIR if source is None else source
    if task(source) == "words":
        raise ValueError(f"{source}: must make transcripts. Received: a model that recognises words; use `predict`")
    return typing.cast(Transcriber, load(source, **options))


def task(source: Path | str | None = None) -> str:
    """Task of a model, `words` or `transcripts`. Only its `run.json`, or its `.onnx` file, is read.

    Args:
        source: name of a model of the package, folder of a finished run, or `.onnx` file; None for the default model.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: the file is damaged, or not of this package.
    """
    path = model_location(source)
    if (_folder(path) / folder.RUN_NAME).is_file() and path.suffix != ".onnx":
        return folder.task_of(folder.read_run(path))
    return folder.task_of(OnnxModel(_onnx_path(path)).metadata)


def model_location(source: Path | str | None = None) -> Path:
    """The folder or `.onnx` file that `load` reads for a source.

    Args:
        source: name of a model of the package, folder or `.onnx` file; None for the package's default model.

    Raises:
        FileNotFoundError: there is no such model; names the models of the package.
    """
    if source is None:
        return pretrained.PRETRAINED_DIR
    names = pretrained.model_names()
    if isinstance(source, str) and source in names:
        return pretrained.PRETRAINED_DIR.parent / source
    path = Path(source).expanduser()
    if path.suffix == ".onnx" and path.is_file():
        return path
    if path.is_dir() and (_onnx_path(path).exists() or folder.model_path(path) is not None):
        return path
    if path.is_dir():
        raise FileNotFoundError(
            f"{path}: must hold a trained model ({ONNX_NAME}, {folder.WEIGHTS_NAME} or {folder.KERAS_NAME}). "
            f"Received: a folder {what_is_there(path)}"
        )
    close = difflib.get_close_matches(str(source), names, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise FileNotFoundError(
        f"{source}: must be the name of a model ({', '.join(names)}), the folder of a finished run or an .onnx file. "
        f"Received: {source}, {what_is_there(path)}{hint}"
    )


def load_embedder(source: Path | str | None = None) -> OnnxModel:
    """Load the exported model of a run with embeddings, for `personal_words.enroll`.

    Args:
        source: name of a model of the package, folder of a finished run, or `.onnx` file; None for the default model.

    Raises:
        FileNotFoundError: there is no such model, or the folder holds no exported one.
        ValueError: the model makes transcripts, or its file is damaged.
    """
    path = model_location(source)
    model = OnnxModel(_onnx_path(path), num_threads=1, embedding=True)
    if folder.task_of(model.metadata) == "transcripts":
        raise ValueError(f"{path}: must recognise words. Received: a model that makes transcripts; use `transcribe`")
    return model


def _load_model(path, engine, *, num_threads, embedding):
    """The model, the facts of its folder or file, and the settings that tell it from others."""
    is_exported = _onnx_path(path).exists() and importlib.util.find_spec("onnxruntime") is not None
    if engine == "onnxruntime" or path.suffix == ".onnx" or embedding or (engine is None and is_exported):
        return _load_onnx(path, num_threads, embedding)
    run = folder.read_run(path)
    keras_path = folder.model_path(path)
    if keras_path is None:
        raise FileNotFoundError(f"{path}: must hold weights for the engine keras. Received: {what_is_there(path)}")
    if keras_path.name == folder.KERAS_NAME and not zipfile.is_zipfile(keras_path):
        raise ValueError(f"{keras_path}: must be a file of Keras. Received: no zip archive")
    fingerprint = folder.model_fingerprint(path)  # raises where the weights are damaged, before TensorFlow starts
    import_tensorflow_quietly()
    from kaggle_speech.models import runs

    if num_threads:
        set_tensorflow_threads(num_threads)
    model, _ = runs.load_run(path)
    metrics_path = path / "metrics.json"
    facts = read_json(metrics_path) if metrics_path.exists() else {}
    return model, run | facts, {"model": fingerprint, "precision": "float32", "engine": "keras"}


def _load_onnx(path, num_threads, embedding):
    onnx_path = _onnx_path(path)
    if not onnx_path.exists():
        raise FileNotFoundError(f"{path}: must hold {ONNX_NAME} for onnxruntime. Received: {what_is_there(path)}")
    model = OnnxModel(onnx_path, 1 if num_threads is None else num_threads, embedding=embedding)
    exported_from = model.metadata.get("model")
    folder_fingerprint = folder.model_fingerprint(path) if path.is_dir() else None
    if folder_fingerprint not in (None, exported_from):
        raise ValueError(
            f"{onnx_path}: must be exported from the model beside it, {folder_fingerprint}. Export again, or "
            f"remove it. Received: one exported from {exported_from}"
        )
    settings = {"model": exported_from, "precision": model.metadata.get("precision"), "engine": "onnxruntime"}
    return model, model.metadata, settings


def _transcriber(path, model, facts, settings, name):
    if tuple(facts["vocabulary"]) != ALPHABET:
        raise ValueError(f"{path}: must output the characters of the alphabet. Received: {facts['vocabulary']}")
    is_keras = settings["engine"] == "keras"
    output_step = model.get_layer("output_mask").frame_step if is_keras else facts["output_step"]
    language_model = read_language_model(_folder(path))
    num_val_speakers = facts.get("settings", facts).get("num_val_speakers")
    return Transcriber(model, output_step, settings, facts, num_val_speakers, language_model, name)


def _onnx_path(path):
    return path if path.suffix == ".onnx" else path / ONNX_NAME


def _folder(path):
    return path.parent if path.suffix == ".onnx" else path
