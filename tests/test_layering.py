"""The data path goes one way: which module may import which, and which may import TensorFlow."""

import ast
from pathlib import Path

import pytest

import kaggle_speech

PACKAGE_DIR = Path(kaggle_speech.__file__).parent
#: module -> what it may import from the package. The commands and `__main__` may import everything.
ALLOWED = {
    "__init__": [],
    "labels": [],
    "alphabet": [],
    "paths": [],
    "archive_formats": ["progress"],
    "archives": ["atomic", "paths", "archive_formats"],
    "downloads": ["archive_formats", "atomic"],
    "progress": [],
    "audio": [],
    "acoustics": ["audio"],
    "espeak": [],
    "sample": ["atomic", "labels", "audio", "acoustics", "espeak", "progress"],
    "sentences": ["paths", "atomic", "audio", "acoustics", "espeak", "progress"],
    "noise": ["atomic", "labels", "audio"],
    "utterances": ["alphabet", "atomic", "audio", "paths", "progress"],
    "index": ["atomic", "labels", "paths", "audio", "noise", "progress"],
    "vocoder": [],
    "recipe": ["labels"],
    "augment": ["audio", "vocoder", "recipe"],
    "dataset": ["atomic", "labels", "audio", "augment", "progress"],
    "filters": ["audio"],
    "features": ["filters"],
    "utterance_batches": ["alphabet", "audio"],
    "utterance_dataset": ["dataset", "utterance_batches"],
    "transcription": ["audio", "ctc", "progress", "sources", "streaming"],
    "transcript_evaluation": ["ctc", "error_rates", "progress", "utterance_batches"],
    "transcript_experiment": [
        *("alphabet", "audio", "models", "models.resnet_ctc", "ngram", "recipe", "runs", "training"),
        "transcript_evaluation",
        *("utterance_dataset", "utterances"),
    ],
    "convert": ["features", "atomic", "dataset", "progress"],
    "models.blocks": ["audio"],
    **{
        f"models.{name}": ["features", "models.blocks"]
        for name in ("cnn", "vgg", "cnn_bigru", "efficientnet", "tc_resnet", "bc_resnet", "ds_cnn")
    },
    "models.resnet_ctc": ["alphabet", "features", "models.blocks"],
    "models.complexity": ["atomic"],
    "models.weights": [],
    "models.__init__": [
        *("models.cnn", "models.vgg", "models.cnn_bigru", "models.efficientnet", "models.tc_resnet"),
        *("models.bc_resnet", "models.ds_cnn", "models.resnet_ctc", "models.complexity", "models.blocks"),
        "models.weights",
    ],
    "atomic": [],
    "model_folder": ["alphabet", "atomic"],
    "callbacks": ["atomic", "progress"],
    "training": ["callbacks"],
    "runs": ["__init__", "alphabet", "atomic", "audio", "model_folder", "paths", "features", "models", "rejection"],
    "decoding": ["labels"],
    "rejection": ["atomic", "labels", "decoding"],
    "open_set": ["labels", "decoding", "rejection"],
    "probability_file": ["atomic"],
    "inference": ["atomic", "audio", "probability_file", "progress"],
    "runtimes": ["atomic"],
    "enroll": ["atomic", "labels"],
    "engines": ["alphabet", "enroll", "model_folder", "ngram", "paths", "rejection", "runs", "runtimes"],
    "ensemble": ["labels", "decoding", "probability_file"],
    "sources": ["audio"],
    "streaming": ["audio", "labels"],
    "live": [],
    "streams": ["audio", "labels"],
    "stream_evaluation": ["progress", "streaming", "streams"],
    "app.__init__": [],
    "app.palette": [],
    "app.theme": ["app.palette"],
    "app.widgets": ["app", "app.palette", "app.theme", "labels"],
    "app.strip": ["app", "app.palette", "audio", "filters", "streaming"],
    "app.log": ["app.widgets", "atomic"],
    "app.window": [
        *("__init__", "app", "app.palette", "app.theme", "app.widgets", "app.strip", "app.log"),
        *("live", "sources", "streaming"),
    ],
    "app.launch": ["app", "app.theme", "app.window"],
    "app.panel": ["__init__", "app", "app.palette", "live", "labels"],
    "onnx_graph": ["filters"],
    "ctc": ["alphabet"],
    "alignment": ["alphabet", "ctc"],
    "ngram": ["atomic", "alphabet"],
    "error_rates": [],
    "onnx_gru": [],
    "export": [
        *("__init__", "atomic", "audio", "decoding", "inference", "onnx_graph", "onnx_gru", "runtimes"),
        *("model_folder", "progress"),
    ],
    "transcript_export": [
        *("alphabet", "atomic", "audio", "export", "ngram", "onnx_gru", "progress", "runs", "runtimes"),
        *("transcript_evaluation", "utterance_batches"),
    ],
    "evaluation": ["labels"],
    "experiment": [
        *("atomic", "labels", "noise", "index", "dataset", "recipe", "models", "training", "runs"),
        *("inference", "decoding", "evaluation", "probability_file", "open_set"),
    ],
    "robustness": ["audio", "labels", "noise", "inference", "decoding", "evaluation"],
    "assessment": ["labels", "index", "inference", "decoding", "evaluation", "robustness", "runs"],
    "plots": ["audio", "labels"],
    "transcript_plots": ["alphabet"],
    "html_page": ["audio"],
    "report": ["audio", "labels", "features", "plots", "html_page", "runs", "progress"],
    "submission": ["atomic", "labels", "ensemble"],
}
MAY_IMPORT_TENSORFLOW = {"vocoder", "augment", "dataset", "utterance_dataset", "runtimes", "onnx_gru", "export"}
MODULES = {
    ".".join(path.relative_to(PACKAGE_DIR).with_suffix("").parts): path for path in sorted(PACKAGE_DIR.rglob("*.py"))
}


def imported(path):
    """Dotted names that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_module_has_its_place():
    assert set(MODULES) == {*ALLOWED, "commands", "live_commands", "transcript_commands", "__main__"}


@pytest.mark.parametrize("module", ALLOWED)
def test_imports_go_one_way(module):
    names = {name.removeprefix("kaggle_speech.") for name in imported(MODULES[module]) if "kaggle_speech." in name}
    modules = {
        name if name in MODULES else f"{name}.__init__" if f"{name}.__init__" in MODULES else "" for name in names
    }
    modules = {name.removesuffix(".__init__") for name in modules if name}
    assert modules <= {*ALLOWED[module]}


@pytest.mark.parametrize("module", [name for name in MODULES if name not in MAY_IMPORT_TENSORFLOW])
def test_tensorflow_stays_where_it_is_needed(module):
    assert not any(name.split(".")[0] == "tensorflow" for name in imported(MODULES[module]))


@pytest.mark.parametrize("module", MODULES)
def test_files_are_short_enough_to_read(module):
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= 450
