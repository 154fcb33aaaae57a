"""The face of the package: what `import kaggle_speech as ks` offers, and what it costs."""

import ast
import importlib
import inspect
import pydoc
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import soundfile

import kaggle_speech as ks

ROOMS = (
    *("text", "features", "models", "data", "plots", "inference", "streaming", "evaluation", "training", "export"),
    *("web", "cluster", "cli"),
)
NAMES = [name for name in dir(ks) if not name.startswith("_") and name not in ROOMS]


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_it_imports_nothing_else():
    code = "import sys; before = {*sys.modules}; import kaggle_speech; print(*{*sys.modules} - before)"
    packages = {name.split(".")[0] for name in run_python(code).split()}
    assert packages - {*sys.stdlib_module_names} == {"kaggle_speech"}
    assert "kaggle_speech.inference" not in run_python(code).split()


def test_recognising_imports_neither_tensorflow_nor_pandas():
    code = """
import sys, kaggle_speech as ks, numpy as np
answer = ks.load().predict(np.zeros(16_000), 16_000)
ks.load("resnet_ctc").transcribe(np.zeros(16_000), 16_000)
ks.list_models()
print(answer.label, *{"tensorflow", "keras", "pandas", "scipy", "matplotlib", "sounddevice"} & {*sys.modules})
"""
    assert run_python(code).split() == ["silence"]


def test_completion_offers_names_and_rooms():
    assert {*ROOMS} <= {*dir(ks)}
    readme_names = "load Microphone prepare_data read_clips_table make_datasets Augmentation build_model"
    assert {*readme_names.split(), "write_submission", "predict", "test_clips", "list_models"} <= {*NAMES}
    assert all(name.startswith("__") for name in {*dir(ks)} - {*NAMES} - {*ROOMS})


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_a_docstring(name):
    value = getattr(ks, name)
    if callable(value):
        assert inspect.getdoc(value).splitlines()[0].endswith((".", ":"))
        assert value.__module__.startswith("kaggle_speech.")


@pytest.mark.parametrize("name", [name for name in NAMES if callable(getattr(ks, name))])
def test_every_callable_has_a_doctest_that_runs(name):
    docstring = inspect.getdoc(getattr(ks, name))
    assert ">>>" in docstring and "+SKIP" not in docstring


def test_editors_know_the_same_names():
    tree = ast.parse(Path(ks.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imported = {f"{node.module}.{alias.name}" for node in block.body for alias in node.names}
    places = {name: module for module, names in ks._NAMES.items() for name in names.split(", ")}
    assert imported == {f"kaggle_speech.{module}.{name}" for name, module in places.items()}


@pytest.mark.parametrize("room", ROOMS[:-1])
def test_rooms_list_what_is_in_them(room):
    module = importlib.import_module(f"kaggle_speech.{room}")
    names = [name for name in dir(module) if not name.startswith("_")]
    for name in names:
        assert callable(getattr(module, name)) or name.isupper()
        assert name in module.__doc__
    text = pydoc.plain(pydoc.render_doc(module))
    assert module.__doc__.splitlines()[0] in text and len(text.splitlines()) < 60
    files = {path.stem for path in Path(module.__file__).parent.glob("*")}
    assert not files & {*names}  # `import kaggle_speech.room.name` would put the module in the name's place


def test_rooms_and_their_files_are_reached_by_a_dot():
    code = "import kaggle_speech as ks; print(ks.data.splits.which_set('a'), ks.audio.SAMPLE_RATE, ks.inference.load)"
    assert run_python(code).startswith("train 16000 <module 'kaggle_speech.inference.load'")


def test_other_names_are_no_attributes():
    with pytest.raises(AttributeError, match=r"module 'kaggle_speech' has no attribute 'recognize'"):
        ks.recognize  # noqa: B018
    with pytest.raises(AttributeError, match=r"module 'kaggle_speech.data' has no attribute 'clipz'"):
        ks.data.clipz  # noqa: B018


def test_the_example_runs(sample_dir, tmp_path, monkeypatch, speech):
    """The block of the docstring as it stands, with one epoch, in a folder with the two files that it names."""
    block = textwrap.dedent(ks.__doc__.split("\n\n", 1)[1].split("\n\nA clip flows", 1)[0])
    assert "num_epochs=20" in block
    soundfile.write(tmp_path / "yes.wav", speech[0], 16_000)
    soundfile.write(tmp_path / "a.flac", speech[1], 16_000)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAGGLE_SPEECH_DATA", str(sample_dir))
    monkeypatch.setattr(ks, "Microphone", lambda: ks.AudioFile("yes.wav"), raising=False)
    names = {}
    exec(block.replace("num_epochs=20", "num_epochs=1"), names)
    assert names["model"].count_params() > 0 and (tmp_path / "runs" / "mine").is_dir()
    answers_df = ks.inference.check_submission(tmp_path / "mine.csv", sample_dir / "sample_submission.csv")
    assert len(answers_df) == len(ks.test_clips(sample_dir)) and len(names["bad_df"]) == 0
