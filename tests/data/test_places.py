"""Where data is looked for, in which order, and what is said where there is none."""

from pathlib import Path

import pytest

from kaggle_speech import folders
from kaggle_speech.data import places
from kaggle_speech.evaluation import report
from kaggle_speech.models import pretrained


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine with an empty project and no Kaggle folders; returns its root."""
    (tmp_path / "project").mkdir()
    monkeypatch.delenv(places.DATA_VARIABLE, raising=False)
    monkeypatch.delenv(folders.OUTPUT_VARIABLE, raising=False)
    monkeypatch.setattr(folders, "KAGGLE_DIR", tmp_path / "kaggle")
    monkeypatch.setattr(folders, "project_dir", lambda: tmp_path / "project")
    return tmp_path


def put(path):
    """Create an empty file with its folders; returns its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path.parent


@pytest.mark.parametrize(
    "content",
    [
        "train/audio/yes/a.wav",
        "test/audio/clip_1.wav",
        "_background_noise_/pink_noise.wav",
        "train.7z",
        "test.7z",
        "speech_commands_v0.01.tar.gz",
        "speech_commands_test_set_v0.02.tar.gz",
    ],
)
def test_a_folder_with_clips_or_archives_is_usable(machine, content):
    put(machine / "mine" / content)
    assert places.find_data(machine / "mine") == machine / "mine"


def test_sources_are_tried_in_order(machine, monkeypatch):
    sample = put(machine / "project/data/sample/train/audio/yes/a.wav").parents[2]
    assert places.find_data() == sample
    extracted = put(machine / f"project/data/{places.COMPETITION}/train/audio/yes/a.wav").parents[2]
    assert places.find_data() == extracted
    data = put(machine / "project/data/train.7z")
    assert places.find_data() == data
    new_mount = put(machine / f"kaggle/input/competitions/{places.COMPETITION}/train.7z")
    assert places.find_data() == new_mount
    old_mount = put(machine / f"kaggle/input/{places.COMPETITION}/train.7z")
    assert places.find_data() == old_mount
    monkeypatch.setenv(places.DATA_VARIABLE, str(sample))
    assert places.find_data() == sample
    assert places.find_data(str(data)) == data


def test_extracted_speech_commands_are_found_without_their_archive(machine):
    folder = put(machine / f"project/data/{places.COMPETITION}/speech_commands_v0.01/_background_noise_/a.wav").parent
    assert places.find_data() == folder


def test_an_empty_variable_counts_as_unset(machine, monkeypatch):
    sample = put(machine / "project/data/sample/train/audio/yes/a.wav").parents[2]
    monkeypatch.setenv(places.DATA_VARIABLE, "")
    assert places.find_data() == sample


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("nowhere", "which does not exist"),
        ("a_file", "which is a file"),
        ("empty", "which is empty"),
        ("other", "with notes.txt"),
    ],
)
def test_a_named_folder_without_data_is_an_error(machine, monkeypatch, name, there):
    put(machine / "project/data/train.7z")  # never fallen back to
    put(machine / "a_file")
    put(machine / "other/notes.txt")
    (machine / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=f"`data_dir` must .*train/audio.*train.7z.*{name}, {there}"):
        places.find_data(machine / name)
    monkeypatch.setenv(places.DATA_VARIABLE, str(machine / name))
    with pytest.raises(FileNotFoundError, match=f"variable {places.DATA_VARIABLE} must .*{name}, {there}"):
        places.find_data()


def test_a_home_folder_is_expanded(machine, monkeypatch):
    monkeypatch.setenv("HOME", str(machine))
    monkeypatch.setenv("USERPROFILE", str(machine))
    put(machine / "mine/train.7z")
    assert places.find_data("~/mine") == machine / "mine"


def test_no_data_anywhere_names_the_next_steps():
    with pytest.raises(FileNotFoundError) as error:
        places.find_data()
    for step in ("kaggle-speech sample", "prepare --download v0.01", "train.7z", "project/data", places.DATA_VARIABLE):
        assert step in str(error.value)


def test_competition_archives_come_before_speech_commands(machine):
    put(machine / "speech_commands_v0.02.tar.gz")
    put(machine / "speech_commands_v0.01.tar.gz")
    assert [path.name for path in places.find_archives(machine)] == [
        "speech_commands_v0.01.tar.gz",
        "speech_commands_v0.02.tar.gz",
    ]
    put(machine / "test.7z")
    assert places.find_archives(machine) == [machine / "test.7z"]


TRANSCRIPT = "dev-clean/84/121123/84-121123.trans.txt"


@pytest.mark.parametrize("place", [f"LibriSpeech/{TRANSCRIPT}", TRANSCRIPT, TRANSCRIPT.removeprefix("dev-clean/")])
def test_a_root_what_holds_it_and_a_split_are_folders_with_speech(machine, place):
    assert not places.has_speech(machine / "mine")
    put(machine / "mine" / place)
    assert places.has_speech(machine / "mine")
    assert places.find_speech(machine / "mine") == machine / "mine"


def test_speech_is_looked_for_in_order(machine, monkeypatch):
    rendered = put(machine / "project/data/sentences" / TRANSCRIPT).parents[2]
    assert places.find_speech() == rendered
    downloaded = put(machine / "project/data/LibriSpeech" / TRANSCRIPT).parents[2]
    assert places.find_speech() == downloaded == places.speech_extraction_dir() / "LibriSpeech"
    new_mount = put(machine / "kaggle/input/datasets/me/librispeech-clean/LibriSpeech" / TRANSCRIPT).parents[3]
    assert places.find_speech() == new_mount
    attached = put(machine / "kaggle/input/librispeech-clean/LibriSpeech" / TRANSCRIPT).parents[3]
    assert places.find_speech() == attached
    (machine / "clips").mkdir()
    monkeypatch.setenv(places.DATA_VARIABLE, str(machine / "clips"))  # has none, which is no error
    assert places.find_speech() == attached
    named = put(machine / "clips/LibriSpeech" / TRANSCRIPT).parents[2]
    assert places.find_speech() == named
    assert places.find_speech(str(rendered)) == rendered
    put(machine / "list.csv")
    monkeypatch.chdir(machine)
    assert places.find_speech("list.csv") == machine / "list.csv"


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("nowhere", "which does not exist"),
        ("list.txt", "which is a file"),
        ("clips", "with train"),
        ("no.csv", "which"),
    ],
)
def test_what_was_named_without_speech_is_an_error(machine, name, there):
    put(machine / "project/data/LibriSpeech" / TRANSCRIPT)  # never fallen back to
    put(machine / "list.txt")
    put(machine / "clips/train/audio/yes/a.wav")
    with pytest.raises(FileNotFoundError, match=rf"`source` must name .*trans.txt or a CSV file.*{name}, {there}"):
        places.find_speech(machine / name)


def test_no_speech_anywhere_names_the_next_steps(machine, monkeypatch):
    monkeypatch.setenv(places.DATA_VARIABLE, str(machine / "clips"))
    with pytest.raises(places.NoDataError) as error:
        places.find_speech()
    steps = ("kaggle-speech sentences", "prepare --download dev-clean", places.DATA_VARIABLE)
    for step in (*steps, str(machine / "clips/LibriSpeech"), str(machine / "project/data/LibriSpeech")):
        assert step in str(error.value)


def test_folders_on_a_desktop(machine):
    assert not folders.is_kaggle_kernel()
    assert folders.output_dir() == machine / "project"
    assert folders.cache_dir() == machine / "project/runs/cache"
    assert places.extraction_dir(machine / "project/data") == machine / "project/data" / places.COMPETITION


def test_every_source_is_extracted_to_a_folder_of_its_own(machine):
    first, second = (places.extraction_dir(machine / name) for name in ("first", "second"))
    assert first != second and first == places.extraction_dir(machine / "first")
    assert {first.parent, second.parent} == {machine / "project/data"}


def test_output_goes_where_the_variable_says(machine, monkeypatch):
    (machine / "kaggle/working").mkdir(parents=True)
    monkeypatch.setenv(folders.OUTPUT_VARIABLE, str(machine / "mine"))
    assert folders.output_dir() == machine / "mine"


def test_relative_folders_are_made_absolute(machine, monkeypatch):
    put(machine / "mine/train.7z")
    monkeypatch.chdir(machine)
    monkeypatch.setenv(places.DATA_VARIABLE, "mine")
    assert places.find_data() == machine / "mine" == places.find_data("mine")


def test_folders_in_a_kaggle_kernel(machine):
    (machine / "kaggle/working").mkdir(parents=True)
    assert folders.is_kaggle_kernel()
    assert folders.output_dir() == machine / "kaggle/working"
    input_dir = machine / "kaggle/input" / places.COMPETITION
    assert places.extraction_dir(input_dir) == machine / "kaggle/temp" / places.COMPETITION
    assert places.speech_extraction_dir() == machine / "kaggle/temp"


def test_project_dir_is_the_checkout_else_the_current_folder(machine, monkeypatch):
    monkeypatch.undo()
    assert folders.project_dir() == Path(__file__).resolve().parents[2]
    monkeypatch.setattr(folders, "__file__", str(machine / "site-packages/kaggle_speech/paths.py"))
    monkeypatch.chdir(machine)
    assert folders.project_dir() == machine


def test_evaluations_go_to_the_run_or_beside_the_file_but_never_into_the_package(machine):
    assert report.evaluation_dir("runs/a") == Path("runs/a/evaluation")
    assert report.evaluation_dir("runs/a/model_int8.onnx") == Path("runs/a/model_int8_evaluation")
    own = folders.output_dir() / "runs" / "evaluation_bc_resnet"
    assert report.evaluation_dir(pretrained.PRETRAINED_DIR) == own
    assert report.evaluation_dir(pretrained.PRETRAINED_DIR / "model.onnx") == own
