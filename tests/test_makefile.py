"""The Makefile removes what it says, and trainings only after a yes."""

import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[1] / "Makefile"

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture
def folder(tmp_path):
    shutil.copy(MAKEFILE, tmp_path)
    for name in ("runs/net/metrics.json", ".venv/bin/python", "build/x", "data/sample/x", "data/mine/x"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("content")
    return tmp_path


def make(folder, *arguments):
    return subprocess.run(["make", "-C", str(folder), *arguments], capture_output=True, text=True)


def test_clean_keeps_trainings_and_data(folder):
    assert make(folder, "clean").returncode == 0
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {"Makefile", "runs/net/metrics.json", "data/mine/x"}


def test_clean_runs_says_what_it_would_remove_and_needs_a_yes(folder):
    refused = make(folder, "clean-runs")
    assert refused.returncode != 0
    assert "runs/net" in refused.stdout and "CONFIRM=yes" in refused.stdout
    assert (folder / "runs/net/metrics.json").exists()
    assert make(folder, "clean-runs", "CONFIRM=yes").returncode == 0
    assert not (folder / "runs").exists() and (folder / ".venv").exists()
