"""README: its Python runs as it stands, and its commands exist."""

import re
from pathlib import Path

import pytest

from kaggle_speech import paths
from kaggle_speech.__main__ import build_parser
from kaggle_speech.submission import check_submission

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_python_runs_as_it_stands(sample_dir, tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.setenv(paths.DATA_VARIABLE, str(sample_dir))
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    assert len(check_submission(tmp_path / "mine.csv", sample_dir / "sample_submission.csv")) == len(names["test_df"])


@pytest.mark.parametrize("line", re.findall(r"python -m kaggle_speech (\w+.*)", README))
def test_commands_are_understood(line):
    line = re.sub(r"[`;,)].*| #.*", "", line)
    assert build_parser().parse_args(line.split()).function.__name__ == line.split()[0]


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / target).exists(), target
