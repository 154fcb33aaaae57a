"""README: its Python runs as it stands, and its commands exist."""

import itertools
import re
import tomllib
from pathlib import Path

import pytest
import soundfile
from packaging.requirements import Requirement
from packaging.version import Version

import kaggle_speech as ks
from kaggle_speech.audio import SAMPLE_RATE, write_wav
from kaggle_speech.cli.main import build_parser
from kaggle_speech.data import places
from kaggle_speech.inference.submission import check_submission
from kaggle_speech.streaming.sources import Samples

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_python_of_a_kernel_runs_as_it_stands(sample_dir, tmp_path, monkeypatch):
    """The same lines as in the package's docstring."""
    _, code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    in_docstring = [line.partition("#")[0].strip() for line in ks.__doc__.splitlines()]
    assert {line.partition("#")[0].strip() for line in code.splitlines()} <= {*in_docstring}
    monkeypatch.setenv(places.DATA_VARIABLE, str(sample_dir))
    monkeypatch.chdir(tmp_path)
    exec(code.replace("num_epochs=20", "num_epochs=2"), {})
    assert len(check_submission(tmp_path / "mine.csv", sample_dir / "sample_submission.csv")) > 0


def test_python_that_recognises_runs_as_it_stands(speech, tmp_path, monkeypatch):
    code, _ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    write_wav(tmp_path / "yes.wav", speech[0])
    soundfile.write(tmp_path / "a.flac", speech[1], SAMPLE_RATE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ks, "Microphone", lambda: Samples(speech.ravel(), SAMPLE_RATE), raising=False)
    exec(code, {})


@pytest.mark.parametrize("line", re.findall(r"(?:python -m kaggle_speech|kaggle-speech) (\w+.*)", README))
def test_commands_are_understood(line):
    line = re.sub(r"[`;)].*|,(\s.*)?$| #.*", "", line)
    assert build_parser().parse_args(line.split()).function.__name__ == line.split()[0].replace("-", "_")


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_nothing_is_left_to_be_filled_in():
    assert not re.findall(r"\b[A-Z_]+_HERE\b|\bTODO\b|\bTBD\b", README)


def pinned_versions(file_name):
    return dict(line.split("==") for line in (ROOT / file_name).read_text().splitlines() if "==" in line)


def test_requirements_and_package_agree():
    """The same lower bounds in both files, a tested version for each that meets them, and the bounds themselves."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: lines for name, lines in project["optional-dependencies"].items() if name != "all"}
    assert project["optional-dependencies"]["all"] == [f"{project['name']}[{','.join(extras)}]"]
    of_package = {*project["dependencies"], *itertools.chain(*extras.values())}
    lines = {line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"}
    assert lines <= of_package  # the tests need no hub, and a cluster only in `make test-all`
    assert of_package - lines < {*extras["cluster"], *extras["hubs"]}
    tested, oldest = map(pinned_versions, ("constraints.txt", "constraints-oldest.txt"))
    assert oldest.keys() == {requirement.name for requirement in map(Requirement, of_package)}
    for requirement in map(Requirement, of_package):
        assert requirement.specifier.contains(tested[requirement.name]), requirement
        (lower_bound,) = (clause for clause in requirement.specifier if clause.operator == ">=")
        assert Version(lower_bound.version) == Version(oldest[requirement.name]), requirement
