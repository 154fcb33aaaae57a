"""The page as a folder: static files, model, settings and runtime, for any static server."""

import json
import tempfile
import typing
from pathlib import Path

import numpy as np

from kaggle_speech.audio import CLIP_SAMPLES
from kaggle_speech.files import fingerprint, make_folder
from kaggle_speech.inference.recogniser import Recogniser
from kaggle_speech.inference.runtimes import OnnxModel
from kaggle_speech.web import runtime
from kaggle_speech.web.settings import page_settings

STATIC_DIR = Path(__file__).parent / "static"
SETTINGS_NAME = "settings.json"
MODEL_NAME = "model.onnx"
#: Script that only a notebook needs, and a file for Node, which runs the tests of the scripts.
LOADER_NAME = "loader.js"
NODE_NAME = "package.json"
MADE_BY = "kaggle_speech page"
#: Clips of noise that a model is compared on which is exported for the page.
NUM_COMPARED = 16


def write_page(
    recogniser: Recogniser, out_dir: Path | str, *, cdn: bool = False, progress: bool = True, **options: typing.Any
) -> Path:
    """Write a folder that any static server can serve, under any path: the recogniser as a page.

    A folder of an earlier call is replaced; nothing else is.

    Args:
        recogniser: the recogniser, without enrolled words; a model that Keras runs is exported (needs the extra
            `export`).
        out_dir: folder to make.
        cdn: leave onnxruntime-web, 14 MB of the folder, to a content network; the browser fetches it.
        progress: show a progress bar while onnxruntime-web is fetched, once.
        options: arguments of `Recogniser.stream`, such as `threshold`, `hop_ms`, `in_sentences`.

    Returns:
        The folder, as an absolute path.

    Raises:
        ValueError: an option is out of range, or the recogniser has enrolled words.
        FileExistsError: `out_dir` holds something else; nothing is touched.
        OSError: onnxruntime-web cannot be fetched.

    Examples:
        >>> import kaggle_speech as ks
        >>> folder = write_page(ks.load("tc_resnet"), "page", cdn=True)
        >>> (folder / "index.html").is_file() and (folder / "model.onnx").is_file()
        True
    """
    files = page_files(recogniser, cdn=cdn, progress=progress, **options)
    settings = json.loads(files.pop(SETTINGS_NAME))

    def write(folder: Path) -> None:
        for name, content in files.items():
            (folder / name).write_bytes(content)

    return make_folder(out_dir, SETTINGS_NAME, settings, write)


def page_files(
    recogniser: Recogniser, *, cdn: bool = False, progress: bool = True, **options: typing.Any
) -> dict[str, bytes]:
    """Files of the page.

    Args:
        recogniser: the recogniser, without enrolled words.
        cdn: leave onnxruntime-web to a content network.
        progress: show a progress bar while onnxruntime-web is fetched, once.
        options: arguments of `Recogniser.stream`.

    Returns:
        name -> content.

    Raises:
        ValueError: an option is out of range, or the recogniser has enrolled words.
        OSError: onnxruntime-web cannot be fetched.
    """
    settings = page_settings(recogniser, **options)
    paths = sorted(path for path in STATIC_DIR.iterdir() if path.name not in (LOADER_NAME, NODE_NAME))
    static = {path.name: path.read_bytes() for path in paths}
    if cdn:
        static["index.html"] = allow(static["index.html"], runtime.CDN_ORIGIN)
    model = model_content(recogniser)
    settings |= {
        "made_by": MADE_BY,
        "page": fingerprint(b"".join(static.values())),
        "runtime": runtime.runtime_addresses(cdn=cdn),
        "model": {"name": recogniser.name, "fingerprint": fingerprint(model)},
    }
    files = {**static, MODEL_NAME: model, SETTINGS_NAME: json.dumps(settings).encode()}
    return files if cdn else files | runtime.runtime_files(progress=progress)


def allow(index: bytes, origin: str) -> bytes:
    """The `index.html` with an origin in its content security policy, for scripts and other content."""
    for directive in (b"script-src", b"connect-src"):
        index = index.replace(directive, directive + b" " + origin.encode(), 1)
    return index


def model_content(recogniser: Recogniser) -> bytes:
    """Content of the recogniser's ONNX file; a model that Keras runs is exported, and compared.

    Args:
        recogniser: the recogniser.

    Raises:
        ExportError: the exported file has other probabilities than the model.
        ImportError: the packages of the extra `export` are not installed.
    """
    if isinstance(recogniser.model, OnnxModel):
        return recogniser.model.path.read_bytes()
    from kaggle_speech.export.check import compare_on_clips
    from kaggle_speech.export.onnx import export_onnx, metadata_of

    model: typing.Any = recogniser.model
    waveform = 0.1 * np.random.default_rng(0).standard_normal((NUM_COMPARED, CLIP_SAMPLES)).astype("float32")
    facts = {"model": recogniser.settings.get("model")}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, MODEL_NAME)
        metadata = metadata_of(model, recogniser.task, recogniser.vocabulary, facts)
        export_onnx(model, path, metadata, compare_on_clips(model, waveform))
        return path.read_bytes()
