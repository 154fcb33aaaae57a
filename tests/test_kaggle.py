"""Kaggle: the folder of `make kaggle`, and the first cell of each notebook."""

import importlib.util
import json
import subprocess
from pathlib import Path

import nbformat
import pytest
from notebook_runs import NOTEBOOKS

from kaggle_speech import kernel
from kaggle_speech.data.places import COMPETITION

BUILDER = NOTEBOOKS[0].parent / "kaggle.py"


def first_code(path):
    return next(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")


@pytest.fixture(scope="module")
def builder():
    spec = importlib.util.spec_from_file_location("notebooks_kaggle", BUILDER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def without_wheels(builder, monkeypatch):
    """The builder, which writes empty wheels; returns the arguments that pip was called with."""
    calls = []

    def pip(*arguments):
        calls.append(arguments)
        wheel_dir = next(Path(argument) for argument in arguments if str(argument).endswith("wheels"))
        wheel_dir.mkdir(exist_ok=True)
        (wheel_dir / f"{arguments[0]}-1-py3-none-any.whl").touch()

    monkeypatch.setattr(builder, "pip", pip)
    return calls


def test_the_folder_is_what_kaggle_takes(builder, without_wheels, tmp_path):
    """By the rules in the documentation of Kaggle's program."""
    folder = builder.build(tmp_path / "kaggle", "me", ["3.12"])
    about = json.loads((folder / "dataset-metadata.json").read_text())
    assert about["id"] == "me/kaggle-speech" and 6 <= len(about["title"]) <= 50 and len(about["licenses"]) == 1
    assert (folder / "kaggle_speech" / "kernel.py").is_file() and not list(folder.rglob("__pycache__"))
    for path in NOTEBOOKS:
        kernel_dir = folder / "notebooks" / path.stem
        about = json.loads((kernel_dir / "kernel-metadata.json").read_text())
        assert (kernel_dir / about["code_file"]).read_bytes() == path.read_bytes()
        assert about["id"] == "me/" + about["title"].lower().replace(" ", "-") and len(about["title"]) >= 5
        assert about["competition_sources"] == [COMPETITION] and about["dataset_sources"] == ["me/kaggle-speech"]
        assert not about["enable_internet"] and about["is_private"]
        assert about["enable_gpu"] == bool(about["machine_shape"]) == (path.stem[:2] in {"04", "05", "06", "07"})
    about = json.loads((folder / "notebooks" / "10_submit" / "kernel-metadata.json").read_text())
    assert about["kernel_sources"] == ["me/kaggle-speech-03-train-cnn", "me/kaggle-speech-05-train-cnn-bigru"]
    readme = (folder / "README.md").read_text()
    assert [f"{number}. " in readme for number in range(1, 6)] == [True] * 5 and "{" not in readme
    assert [arguments[0] for arguments in without_wheels] == ["wheel", "download"] and "3.12" in without_wheels[1]


def test_only_a_folder_of_an_earlier_call_is_replaced(builder, without_wheels, tmp_path):
    builder.build(tmp_path / "kaggle", "me", ["3.12"])
    (tmp_path / "kaggle" / "wheels" / "older-1-py3-none-any.whl").touch()
    builder.build(tmp_path / "kaggle", "you", ["3.12"])
    assert not (tmp_path / "kaggle" / "wheels" / "older-1-py3-none-any.whl").exists()
    with pytest.raises(FileExistsError, match="`out_dir` must be new, empty or of an earlier call"):
        builder.build(tmp_path, "me", ["3.12"])


def test_wheels_are_of_what_the_image_lacks(builder, without_wheels, tmp_path):
    builder.write_wheels(tmp_path / "wheels", ["3.12"])
    names = {argument.partition("==")[0] for argument in without_wheels[1] if "==" in str(argument)}
    assert names >= {"onnxruntime", "soundfile", "soxr", "py7zr", "texttable", "filelock", "jiwer", "rapidfuzz"}
    assert not names & {"tensorflow", "keras", "numpy", "pandas", "protobuf", "matplotlib", "kaggle-speech"}


def test_all_notebooks_begin_with_the_same_few_lines():
    (code,) = {first_code(path) for path in NOTEBOOKS}
    assert len(code.splitlines()) <= 6


@pytest.mark.parametrize("place", ["any-name", "datasets/me/any-name"])
def test_the_first_cell_runs_the_script_of_the_data_set(place, tmp_path, monkeypatch):
    monkeypatch.chdir(NOTEBOOKS[0].parent)
    exec(first_code(NOTEBOOKS[0]), {})  # at home: nothing
    script = tmp_path / "input" / place / "kaggle_speech" / "kernel.py"
    script.parent.mkdir(parents=True)
    script.write_text("from pathlib import Path\nif __name__ == '__main__':\n    Path('ran').write_text(__file__)\n")
    (tmp_path / "working").mkdir()
    monkeypatch.chdir(tmp_path / "working")
    exec(first_code(NOTEBOOKS[0]), {})
    assert Path(Path("ran").read_text()).resolve() == script


def test_only_what_is_missing_is_installed(tmp_path, monkeypatch):
    commands = []
    finished = subprocess.CompletedProcess([], 0, "", "")
    monkeypatch.setattr(subprocess, "run", lambda command, **_: commands.append(command) or finished)
    for name in ("numpy-99.0", "no_such_package-1.0", "other_missing-2.0"):
        (tmp_path / f"{name}-py3-none-any.whl").touch()
    assert kernel.install_missing(tmp_path) == ["no_such_package", "other_missing"]
    (command,) = commands
    assert {"--no-index", "--no-deps", str(tmp_path)} < {*command} and "numpy" not in command
    finished.returncode = 1
    with pytest.raises(RuntimeError, match=r"must hold a wheel of \['no_such_package'"):
        kernel.install_missing(tmp_path)
    with pytest.raises(FileNotFoundError, match="must hold the wheels"):
        kernel.install_missing(tmp_path / "none")


def test_runs_of_attached_kernels_are_copied_once(tmp_path):
    old_mount = tmp_path / "input" / "one" / "runs"
    new_mount = tmp_path / "input" / "notebooks" / "me" / "two" / "runs"
    for run_dir in (old_mount / "03_cnn", old_mount / "figures", new_mount / "07_bc_resnet" / "0", new_mount / "mine"):
        run_dir.mkdir(parents=True)
        (run_dir / ("a.png" if run_dir.name == "figures" else "run.json")).write_text(str(run_dir))
    runs_dir = tmp_path / "working" / "runs"
    (runs_dir / "mine").mkdir(parents=True)
    assert kernel.copy_runs(tmp_path / "input", runs_dir) == ["03_cnn", "07_bc_resnet"]
    assert kernel.copy_runs(tmp_path / "input", runs_dir) == []
    assert (runs_dir / "07_bc_resnet" / "0" / "run.json").read_text() == str(new_mount / "07_bc_resnet" / "0")
    assert sorted(path.name for path in runs_dir.iterdir()) == ["03_cnn", "07_bc_resnet", "mine"]
