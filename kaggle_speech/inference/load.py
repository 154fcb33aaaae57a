"""Which model answers, and what runs it: onnxruntime where there is an exported file, else Keras."""

import importlib.util
import typing
from pathlib import Path

from kaggle_speech.inference.answers import Rejection, read_rejection
from kaggle_speech.inference.personal_words import PersonalAnswers, PersonalModel, read_words
from kaggle_speech.inference.runtimes import OnnxModel
from kaggle_speech.models import folder, pretrained
from kaggle_speech.text import ngram
from kaggle_speech.text.alphabet import ALPHABET, refuse_transcriber

ENGINES = ("onnxruntime", "keras")


class Engine(typing.NamedTuple):
    """A model that is ready to answer.

    Attributes:
        model: what has `predict_on_batch`, waveform in, probabilities out.
        vocabulary: labels in the order of its outputs.
        settings: JSON-able; tells the model and the engine from others.
        facts: what the model's folder or file says of its training, for the JSON beside a submission.
        rejection: how its probabilities become answers: the `rejection.json` beside it, else nothing is rejected.
        words: enrolled ones, the last of the vocabulary.
    """

    model: typing.Any
    vocabulary: tuple
    settings: dict
    facts: dict
    rejection: Rejection | PersonalAnswers = Rejection()
    words: tuple = ()


def load_engine(path=pretrained.PRETRAINED_DIR, engine=None, words_path=None):
    """The model of a run or of an exported file.

    Args:
        path: folder of a finished run, maybe with a `model.onnx` beside its weights; or an `.onnx` file.
        engine: `onnxruntime` (quicker, and imports no TensorFlow), `keras`, or None for the first that there is.
        words_path: file of enrolled words (`enroll`), which only onnxruntime can hear.

    Raises:
        FileNotFoundError: the folder holds no finished run, or no file for the engine.
        ValueError: `engine` is none of these, or the exported file is not one of this package, or of another model than
            the one beside it, or `rejection.json` is.
    """
    if words_path is not None and engine == "keras":
        raise ValueError("`engine` must be onnxruntime where enrolled words are to be heard. Received: engine='keras'")
    # One thread: `inference` gives each core batches of its own.
    found = Engine(*_load(path, engine, num_threads=1, embedding=words_path is not None))
    refuse_transcriber(path, found.vocabulary)
    found = found._replace(rejection=read_rejection(_onnx_path(path).parent, found.settings["model"]))
    return found if words_path is None else _with_words(found, read_words(words_path))


class Transcriber(typing.NamedTuple):
    """A model that is ready to make transcripts.

    Attributes:
        model: what has `predict_on_batch`: a dict of `waveform` and `num_samples` in, log-probabilities of
            `alphabet.ALPHABET` out.
        output_step: samples from one output to the next.
        settings, facts: as of an `Engine`.
        num_val_speakers: speakers that its training held out, those with the highest ids; None where that is unknown.
        language_model: the `ngram.NGram` beside it, None where there is none.
    """

    model: typing.Any
    output_step: int
    settings: dict
    facts: dict
    num_val_speakers: int | None = None
    language_model: ngram.NGram | None = None


def load_transcriber(path=pretrained.TRANSCRIBER_DIR, engine=None, num_threads=1):
    """The model of a run or of an exported file that makes transcripts.

    Args:
        path, engine: as in `load_engine`.
        num_threads: of the processor, for onnxruntime; None for as many as it has.

    Raises:
        FileNotFoundError: as `load_engine`.
        ValueError: as `load_engine`; or the model makes no transcripts.
    """
    if not _onnx_path(path).exists() and folder.model_path(path) is None:
        raise FileNotFoundError(
            f"{path}: must hold a trained model that makes transcripts (model.onnx or weights). Received: none; "
            f"train one with notebook 13_transcribe or `python -m kaggle_speech train-transcriber --out {path}`"
        )
    model, vocabulary, settings, facts = _load(path, engine, num_threads=num_threads)
    if vocabulary != ALPHABET:
        raise ValueError(
            f"{path}: must answer with the characters of the alphabet; this model makes no transcripts. "
            f"Received: labels {vocabulary}"
        )
    is_keras = settings["engine"] == "keras"
    output_step = model.get_layer("output_mask").frame_step if is_keras else facts["output_step"]
    ngram_path = _onnx_path(path).parent / ngram.FILE_NAME
    language_model = ngram.read_ngram(ngram_path) if ngram_path.exists() else None
    num_val_speakers = facts.get("settings", facts).get("num_val_speakers")
    return Transcriber(model, output_step, settings, facts, num_val_speakers, language_model)


def _load(path, engine, *, num_threads, embedding=False):
    """The model that answers, and its vocabulary, settings and facts. Args, Raises: as `load_engine`, `OnnxModel`."""
    if engine not in (None, *ENGINES):
        raise ValueError(f"`engine` must be one of {ENGINES}. Received: engine={engine!r}")
    path, onnx_path = Path(path), _onnx_path(path)
    is_there = onnx_path.exists() and importlib.util.find_spec("onnxruntime") is not None
    if engine == "onnxruntime" or path.suffix == ".onnx" or embedding or (engine is None and is_there):
        model = OnnxModel(onnx_path, num_threads, embedding=embedding)
        beside = folder.model_fingerprint(path) if path.is_dir() else None
        if beside not in (None, model.metadata.get("model")):
            raise ValueError(
                f"{onnx_path}: must be exported from the model beside it, {beside}. Export again, or remove it. "
                f"Received: one exported from {model.metadata.get('model')}"
            )
        settings = {name: model.metadata.get(name) for name in ("model", "precision")}
        return model, model.vocabulary, settings | {"engine": "onnxruntime"}, model.metadata
    from kaggle_speech import files
    from kaggle_speech.models import runs

    model, vocabulary = runs.load_run(path)
    settings = {"model": runs.model_fingerprint(path), "precision": "float32", "engine": "keras"}
    return model, vocabulary, settings, files.read_json(path / "metrics.json")


def load_embedder(path=pretrained.PRETRAINED_DIR):
    """The exported model of a run, giving embeddings, too; for `enroll.enroll`. Args, Raises: as `load_engine`."""
    return OnnxModel(_onnx_path(path), num_threads=1, embedding=True)


def _onnx_path(path):
    return Path(path) if Path(path).suffix == ".onnx" else Path(path) / "model.onnx"


def _with_words(engine, words):
    """The same that also answers with enrolled words."""
    model = PersonalModel(engine.model, words)
    answers = PersonalAnswers(words, engine.rejection)
    return engine._replace(model=model, vocabulary=model.vocabulary, rejection=answers, words=words.words)
