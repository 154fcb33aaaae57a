"""The program around the commands: help, misspelt words, errors, exit statuses, quiet."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from kaggle_speech import __version__
from kaggle_speech.audio import write_wav
from kaggle_speech.cli.main import GROUPS, MODULES, build_parser, main
from kaggle_speech.cli.train import options_from
from kaggle_speech.data.augmentation import Augmentation
from kaggle_speech.training.recipe import Recipe, TranscriptRecipe


def run(*arguments, **options):
    """The program in a process of its own."""
    command = [sys.executable, "-m", "kaggle_speech", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def exit_of(arguments):
    """Exit status of arguments that end the process."""
    with pytest.raises(SystemExit) as error:
        main(arguments)
    return error.value.code


def test_help_opens_with_what_the_program_does_and_lists_all_commands(capsys):
    assert exit_of(["--help"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[2].startswith("Recognise spoken commands")
    assert re.findall(r"^([A-Z]\w+)$", text, re.MULTILINE) == [*GROUPS, "Options", "Examples"]
    for command in MODULES:
        assert re.search(rf"^  {command} +\w", text, re.MULTILINE), command


@pytest.mark.parametrize("command", MODULES)
def test_help_of_a_command_ends_with_examples_that_parse(command, capsys):
    assert exit_of([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "None" not in text and not re.search(r"(?<![\w.])/\w+/", text)
    _, _, examples = text.partition("examples:\n")
    assert examples
    for line in examples.splitlines():
        words = line.partition(f" {command}")[2].replace("'", "").partition(" < ")[0].split()
        assert build_parser().parse_args([command, *words]).command == command


def test_the_table_holds_the_commands_that_there_are():
    assert set(build_parser().commands) == set(MODULES)
    for module in {*MODULES.values()}:
        assert set(build_parser([module]).commands) == {name for name in MODULES if MODULES[name] == module}


def test_only_the_module_of_a_command_is_imported():
    code = """
import sys
from kaggle_speech.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
heavy = {"numpy", "pandas", "tensorflow", "keras", "sklearn", "matplotlib", "onnxruntime"} & {*sys.modules}
print(sorted(heavy), sorted(name for name in sys.modules if name.startswith("kaggle_speech.cli.")))
"""
    shown = subprocess.run([sys.executable, "-c", code, "--help"], check=True, capture_output=True, text=True).stdout
    assert shown.splitlines()[-1] == "[] ['kaggle_speech.cli.main', 'kaggle_speech.cli.parser']"
    shown = subprocess.run([sys.executable, "-c", code, "train", "-h"], check=True, capture_output=True, text=True)
    assert shown.stdout.splitlines()[-1].startswith("[] ")


def test_the_program_has_the_name_that_was_typed():
    assert run("--help").stdout.startswith("usage: python -m kaggle_speech COMMAND")
    code = "import sys; sys.argv[0] = '/usr/bin/kaggle-speech'; from kaggle_speech.cli.main import main; main()"
    shown = subprocess.run([sys.executable, "-c", code, "predict", "-h"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("usage: kaggle-speech predict [options] FILE")


def test_version(capsys):
    assert exit_of(["--version"]) == 0
    assert capsys.readouterr().out == f"kaggle_speech {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predct", "a.wav"], "there is no command `predct`. Did you mean `predict`?"),
        (["--quiet", "pubish"], "Did you mean `publish`?"),
        (["xyzzy"], "there is no command `xyzzy`.\n"),
        (["predict", "--windw", "first", "a.wav"], "there is no option `--windw`. Did you mean `--window`?"),
        (["train", "--ot", "run"], "there is no option `--ot`. Did you mean `--out`?"),
        (["train"], "required: --out"),
        (["predict", "a.wav", "--threshold", "x"], "--threshold: must be a number or `none`. Received: x"),
        (["predict", "a.wav", "--top", "0"], "--top: must be above 0. Received: 0"),
        (["predict", "a.wav", "--top", "x"], "--top: must be a whole number. Received: x"),
        (["stream-evaluate", "--out", "x", "--hours", "x"], "--hours: must be a number. Received: x"),
        (["probabilities", "--out", "x", "--shard", "3/2"], "must be K/N with K from 1 to N"),
        (["predict", "a.wav", "--format", "xml"], "invalid choice: 'xml'"),
    ],
)
def test_wrong_arguments_are_two_lines_and_status_2(arguments, message, capsys):
    assert exit_of(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and len(error.splitlines()) == 2
    assert "--help" in error.splitlines()[1]


def test_without_a_command_the_help_is_shown_as_an_error(capsys):
    assert exit_of([]) == 2
    assert "usage: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "--model", "bc_resent", "{wav}"], "did you mean bc_resnet"),
        (["predict", "--run", "{folder}", "{wav}"], "must hold a trained model"),
        (["predict", "--onnx", "{folder}/none.onnx", "{wav}"], "must be the name of a model"),
        (["predict", "--engine", "keras", "{folder}/none.wav"], "no such file"),
        (["transcribe", "--model", "tc_resnet", "{wav}"], "use `predict`"),
        (["evaluate", "--run", "{folder}"], "must hold a trained model"),
        (["submit", "--run", "{folder}"], "must hold a trained model"),
        (["export", "--run", "{folder}"], "must be the folder of a finished run"),
        (["publish", "--run", "{folder}", "--out", "{folder}/x"], "must be the folder of a finished run"),
        (["train", "--model", "vgg19", "--out", "{folder}/run"], "vgg19"),
        (["train", "--data", "{folder}", "--out", "{folder}/run"], "must name a folder with clips"),
        (["compare", "--models", "vgg19", "--out", "{folder}/x.csv"], "vgg19"),
    ],
)
def test_errors_of_the_user_are_told_without_tensorflow(arguments, message, tmp_path, speech, capsys, monkeypatch):
    write_wav(tmp_path / "a.wav", speech[0])
    (tmp_path / "folder").mkdir()
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # an import is an error
    arguments = [argument.format(folder=tmp_path / "folder", wav=tmp_path / "a.wav") for argument in arguments]
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error


@pytest.mark.parametrize(
    ("error", "is_shown"),
    [
        (KeyError("accuracy"), True),
        (TypeError("an integer is required"), True),
        (AssertionError(), True),
        (ValueError("operands could not be broadcast together"), True),  # raised elsewhere than in this package
        (OSError(28, "No space left on device", "out.csv"), False),
        (ModuleNotFoundError("No module named 'pandas'", name="pandas"), False),
    ],
)
def test_bugs_keep_their_traceback(error, is_shown, monkeypatch, capsys):
    def fail():
        raise error

    monkeypatch.setattr("kaggle_speech.models.pretrained.list_models", fail)
    if is_shown:
        with pytest.raises(type(error)):
            main(["models"])
        return
    assert main(["models"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line in (
        "error: out.csv: No space left on device",
        'error: the package pandas is not installed; `pip install "kaggle_speech[all]"` brings all there are',
    )
    with pytest.raises(type(error)):
        main(["models", "--traceback"])


def test_an_interrupt_is_one_line(monkeypatch, capsys):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("kaggle_speech.models.pretrained.list_models", interrupt)
    assert main(["models"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_full_pipe_is_no_error():
    code = "import sys; from kaggle_speech.cli.main import main; sys.exit(main(['models']))"
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end) as output:
        done = subprocess.run([sys.executable, "-c", code], stdout=output, stderr=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stderr) == (141, b"")


def test_without_standard_error_the_output_is_the_same(tmp_path, speech):
    """Two batches and a long file, which make a bar and a note."""
    for number in range(33):
        write_wav(tmp_path / f"{number:02d}.wav", np.tile(speech[number % 4], 2))
    predict = f"{sys.executable} -m kaggle_speech predict --window first {tmp_path}"
    with_it, without = (
        subprocess.run(["bash", "-c", f"{predict} {closed}"], capture_output=True, text=True)
        for closed in ("2>/dev/null", "2>&-")
    )
    assert with_it.returncode == without.returncode == 0 and with_it.stdout == without.stdout
    assert len(without.stdout.splitlines()) == 33
    wrong = subprocess.run(["bash", "-c", f"{predict}/none 2>&-"], capture_output=True, text=True)
    assert wrong.returncode == 1 and wrong.stdout == ""


def test_quiet_hides_bars_and_notes_for_this_command_only(speech, tmp_path, capsys):
    for number in range(70):
        write_wav(tmp_path / f"{number}.wav", np.tile(speech[0], 2))
    command = ["predict", "--window", "first", str(tmp_path)]
    for arguments in (["--quiet", *command], [*command, "-q"]):
        assert main(arguments) == 0
        assert capsys.readouterr().err == ""
    assert main(command) == 0
    error = capsys.readouterr().err
    assert "70/70" in error and "note: only the first second was used" in error


def test_models_lists_those_of_the_package(capsys):
    assert main(["models"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "task", "labels", "parameters", "accuracy", "clips", "kB"]
    tasks = dict(row.split()[:2] for row in rows)
    assert next(iter(tasks)) == "bc_resnet" and tasks["bc_resnet"] == "words"
    assert tasks["resnet_ctc"] == "transcripts"


def test_every_field_of_a_recipe_is_an_option():
    parser = build_parser(["train"])
    given = ["--epochs", "7", "--gain-db", "3", "--balanced", "--left-out-words", "bed", "cat", "--optimizer", "sgd"]
    recipe = options_from(parser.parse_args(["train", "--out", "run", *given]), Recipe)
    changed = {"num_epochs": 7, "balanced": True, "left_out_words": ("bed", "cat"), "optimizer": "sgd"}
    assert recipe == Recipe(**changed, augmentation=Augmentation(gain_db=3.0))
    assert options_from(parser.parse_args(["train", "--out", "run"]), Recipe) == Recipe()
    args = parser.parse_args(["train-transcriber", "--out", "run", "--ngram-order", "4"])
    assert options_from(args, TranscriptRecipe) == TranscriptRecipe(ngram_order=4)
