"""Imports go one way, room by room; TensorFlow and Keras stay where they are needed."""

import ast
from pathlib import Path

import pytest

import kaggle_speech

PACKAGE_DIR = Path(kaggle_speech.__file__).parent
#: The plain files at the root, and what they may import of each other; every room may import them.
GROUND = {
    "labels": set(),
    "audio": set(),
    "files": {"progress"},
    "folders": set(),
    "progress": set(),
    "quiet": set(),
    "backend": {"quiet"},
    "lazy": set(),
    "kernel": {"files", "folders"},
}
#: room -> rooms that it may import, beside the ground and itself.
ROOMS = {
    "text": set(),
    "features": set(),
    "models": {"features", "text"},
    "data": {"text"},
    "plots": {"features", "text"},
    "inference": {"models", "text", "streaming"},
    "streaming": {"features", "text"},
    "evaluation": {"inference", "data", "plots", "models", "features", "text", "streaming"},
    "training": {"data", "models", "inference", "evaluation", "text"},
    "web": {"inference", "data", "features", "streaming", "export"},
    "export": {"models", "inference", "evaluation", "training", "data", "features", "text"},
    "cluster": {"inference"},
}
#: Who may import everything; nobody imports them.
TOP = {"cli", "__main__"}
#: Files and rooms that may import TensorFlow, Keras, and what the extra `cluster` brings.
MAY_IMPORT = {
    "tensorflow": {
        *("data/clip_batches", "data/utterance_batches", "data/augment", "data/joined_words"),
        *("models/blocks", "training/ctc_loss", "inference/runtimes", "export"),
    },
    "jax": {"training/devices"},
    "keras": {"features/ops", "features/layers", "models", "training", "export"},
    "ray": {"cluster/ray_map"},
    "fsspec": {"cluster/addresses"},
    "pyarrow": {"cluster/addresses", "cluster/parquet"},
}
FILES = {str(path.relative_to(PACKAGE_DIR).with_suffix("")): path for path in sorted(PACKAGE_DIR.rglob("*.py"))}


def imported(path):
    """Dotted names that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports must be absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_rooms(path):
    """The rooms and ground files that a file imports."""
    names = (name.split(".") for name in imported(path))
    return {parts[1] for parts in names if parts[0] == "kaggle_speech" and parts[1] != "__version__"}


def test_every_file_has_its_room():
    assert {name.split("/")[0] for name in FILES} == {"__init__", *GROUND, *ROOMS, *TOP}


@pytest.mark.parametrize("name", [name for name in FILES if name.split("/")[0] not in {"__init__", *TOP}])
def test_imports_go_one_way(name):
    room = name.split("/")[0]
    allowed = GROUND[room] if room in GROUND else {*GROUND, *ROOMS[room], room}
    assert imported_rooms(FILES[name]) <= allowed


@pytest.mark.parametrize("library", MAY_IMPORT)
def test_heavy_libraries_stay_where_they_are_needed(library):
    users = {name for name, path in FILES.items() if any(found.split(".")[0] == library for found in imported(path))}
    assert {name for name in users if not {name, name.split("/")[0]} & MAY_IMPORT[library]} == set()
