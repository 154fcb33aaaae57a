"""The READMEs: their Python runs, commands and options exist, links lead somewhere, models are as stated."""

import ast
import importlib
import itertools
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import soundfile
from packaging.requirements import Requirement
from packaging.version import Version

import kaggle_speech as ks
from kaggle_speech.audio import SAMPLE_RATE, write_wav
from kaggle_speech.cli.main import MODULES, build_parser
from kaggle_speech.data import places
from kaggle_speech.files import read_json
from kaggle_speech.inference.submission import check_submission
from kaggle_speech.models.pretrained import PRETRAINED_DIR
from kaggle_speech.streaming.sources import Samples

ROOT = Path(__file__).parents[1]
BENCHMARKS_DIR = ROOT / "tests" / "benchmarks"
_TREES = (folder.rglob("README.md") for folder in map(ROOT.joinpath, ("kaggle_speech", "notebooks", "tests")))
#: Name of each README -> its text.
READMES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted({ROOT / "README.md", *ROOT.glob("[a-z]*/README.md"), *itertools.chain(*_TREES)})
}
#: A block of code: language, ` no_run` where it needs what the tests do not have, and the code.
BLOCK = re.compile(r"^```(\w*)( no_run)?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PROGRAM = re.compile(r"(?:python -m kaggle_speech|(?<![\w./-])kaggle-speech)(?: -q)? (?=[a-z])")


def python_blocks(is_run):
    """Blocks of Python that run as they stand, or those that do not."""
    return [
        pytest.param(code, id=f"{name}-{index}")
        for name, text in READMES.items()
        for index, (language, no_run, code) in enumerate(BLOCK.findall(text))
        if language == "python" and is_run != bool(no_run)
    ]


def inline_code(text):
    """Inline code, and the indented lines of model cards."""
    prose = BLOCK.sub("", text)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)] + re.findall(r"(?m)^ {4}(\S.*)", prose)


def commands(text):
    """Commands of the program as lists of words, without its name and comments, 1 for each variable of the shell."""
    code = "".join(code for language, _, code in BLOCK.findall(text) if language != "python")
    for line in [*code.replace("\\\n", "").splitlines(), *inline_code(text)]:
        for match in PROGRAM.finditer(line):
            command = re.split(r"\s#|\s[|<]\s|\"\]", line[match.end() :])[0]
            yield shlex.split(re.sub(r"\$\(\(.*?\)\)|\$\w+", "1", command))


def anchors(text):
    """Anchors of the headings, as GitHub makes them."""
    lines = re.findall(r"^#+ (.*)", BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.fixture(scope="module")
def parser():
    return build_parser()


@pytest.fixture
def reader_dir(speech, tmp_path, monkeypatch):
    """The current folder of a reader: recordings, the package, and a microphone."""
    write_wav(tmp_path / "yes.wav", speech[0])
    write_wav(tmp_path / "words.wav", speech.ravel())
    soundfile.write(tmp_path / "a.flac", speech[1], SAMPLE_RATE)
    (tmp_path / "kaggle_speech").symlink_to(ROOT / "kaggle_speech")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ks, "Microphone", lambda: Samples(speech.ravel(), SAMPLE_RATE), raising=False)
    return tmp_path


@pytest.mark.parametrize("code", python_blocks(is_run=True))
def test_python_runs_as_it_stands(code, reader_dir, request, monkeypatch):
    if "prepare_data" in code:
        monkeypatch.setenv(places.DATA_VARIABLE, str(request.getfixturevalue("sample_dir")))
    exec(code.replace("num_epochs=20", "num_epochs=2"), {})
    if "write_submission" in code:
        sample_dir = request.getfixturevalue("sample_dir")
        assert len(check_submission(reader_dir / "mine.csv", sample_dir / "sample_submission.csv")) > 0


@pytest.mark.parametrize("code", python_blocks(is_run=False))
def test_python_that_needs_more_than_the_tests_have_uses_names_that_exist(code):
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("kaggle_speech"):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ks":
            assert hasattr(ks, node.attr)


def test_python_of_a_kernel_is_that_of_the_docstring():
    (code,) = (code for _, _, code in BLOCK.findall(READMES["README.md"]) if "write_submission" in code)
    in_docstring = [line.partition("#")[0].strip() for line in ks.__doc__.splitlines()]
    assert {line.partition("#")[0].strip() for line in code.splitlines()} <= {*in_docstring}


@pytest.mark.parametrize("name", READMES)
def test_commands_are_understood(name, parser):
    for words in commands(READMES[name]):
        assert words[0] in MODULES, words
        if words[1:] not in ([], ["--help"]):
            assert parser.parse_args(words).command == words[0]


@pytest.mark.parametrize("name", READMES)
def test_options_programs_and_targets_that_are_named_exist(name, parser):
    text = READMES[name]
    options = {command: {*parser.commands[command].format_help().split()} for command in MODULES}
    for span in inline_code(text):
        first, *_ = span.split()
        scripts = re.findall(r"bench_\w+\.py", span)
        if first in MODULES:
            known = options[first]
        elif scripts:
            known = {*re.findall(r'"(--[\w-]+)"', (BENCHMARKS_DIR / scripts[0]).read_text(encoding="utf-8"))}
        elif first.startswith("--"):
            known = set().union(*options.values())
        else:
            continue
        for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", span):
            assert option in {word.strip(",") for word in known}, span
    for script in re.findall(r"bench_\w+\.py", text):
        assert (BENCHMARKS_DIR / script).is_file(), script
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^|`|\w )make ([a-z][a-z-]+)(?=`|$|\s\s|\sQUICK)", text, re.MULTILINE):
        assert re.search(rf"^\.PHONY:.* {target}( |$)", makefile, re.MULTILINE), target
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert {*re.findall(r"pip install \"(?:\.|kaggle_speech)\[([a-z]+)\]", text)} <= {*extras}


@pytest.mark.parametrize("name", READMES)
def test_links_files_and_pictures_are_there(name):
    text, folder = READMES[name], (ROOT / name).parent
    for target, _, anchor in (link.partition("#") for link in re.findall(r"(?:\]\(|src=\")(?!http)([^)\"]+)", text)):
        path = (folder / target).resolve() if target else ROOT / name
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text(encoding="utf-8")), f"{target}#{anchor}"
    for path in re.findall(r"(?<![\w/.-])(?:kaggle_speech|notebooks|tests)/[\w./-]*\w", text):
        assert (ROOT / path).exists(), path


def test_nothing_is_left_to_be_filled_in():
    assert not re.findall(r"\b[A-Z_]+_HERE\b|\bTODO\b|\bTBD\b", "".join(READMES.values()))


def test_the_first_page_is_short_and_opens_with_a_picture():
    lines = READMES["README.md"].splitlines()
    assert len(lines) <= 180
    assert any(line.startswith(("![", "<img ")) for line in lines[:15])


def test_lists_are_complete():
    package = READMES["kaggle_speech/README.md"]
    assert {*re.findall(r"^\| `([a-z-]+)` \|", package, re.MULTILINE)} >= {*MODULES}
    rooms = {path.parent.name for path in (ROOT / "kaggle_speech").glob("*/__init__.py")}
    names = {name for name in dir(ks) if not name.startswith("_")} - rooms
    assert {name for name in names if not re.search(rf"\b{name}\b", package)} == set()
    assert {room for room in rooms if f"\n| [{room}]({room}/README.md) |" not in package} == set()
    for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"):
        assert f"({path.name})" in READMES["notebooks/README.md"]
        assert f"(notebooks/{path.name})" in READMES["README.md"]
    for path in BENCHMARKS_DIR.glob("bench_*.py"):
        assert f"`{path.name}`" in READMES["tests/benchmarks/README.md"]


@pytest.mark.parametrize("name", ["README.md", "kaggle_speech/pretrained/README.md"])
def test_figures_of_the_packaged_models_are_those_of_their_files(name):
    """Parameters and size; the accuracy where a model's folder states that on the same clips as the default's."""
    num_clips = read_json(PRETRAINED_DIR / "metrics.json")["num_clips"]
    for model in (model for model in ks.list_models() if model.task == "words"):
        (row,) = re.findall(rf"^\| (?:`{model.name}`|\[{model.name}\]).*", READMES[name], re.MULTILINE)
        assert f"| {model.parameters:,} |" in row and f"{model.bytes / 1000:.0f} kB" in row
        if read_json(PRETRAINED_DIR.parent / model.name / "metrics.json")["num_clips"] == num_clips:
            assert f"| {100 * model.accuracy:.1f} % (" in row


def test_the_headline_is_that_of_the_default_model():
    default, num_clips = ks.list_models()[0], read_json(PRETRAINED_DIR / "metrics.json")["num_clips"]
    assert f"**{100 * default.accuracy:.1f} % of {num_clips:,} clips right" in READMES["README.md"]
    assert f"with {default.parameters:,} parameters: a {default.bytes / 1000:.0f} kB" in READMES["README.md"]


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
