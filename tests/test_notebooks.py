"""The notebooks: their shape, and a run from top to bottom on the sample, in order."""

import ast
import re
import statistics
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from kaggle_speech import paths
from kaggle_speech.submission import check_submission

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
FORBIDDEN = [r"!\s*pip", r"%pip", r"sys\.path", r"[\"']/(home|root|work|kaggle|tmp)/", r"^\s*# *\w+\(.*\)$"]


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell.source for cell in read(path).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_shape(path):
    assert re.fullmatch(r"\d\d_[a-z]+(_[a-z]+)*", path.stem)
    cells = code_cells(path)
    num_lines = [len(source.splitlines()) for source in cells]
    assert len(cells) <= 12 and statistics.median(num_lines) <= 8 and max(num_lines) <= 25
    for source in cells:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 5
    title = read(path).cells[0].source
    assert title.startswith("# ") and "| Reads | Writes | Needs GPU | Minutes |" in title
    assert read(path).cells[-1].cell_type == "code" and "learned" in read(path).cells[-2].source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_in_it_ties_it_to_one_machine(path):
    for source in code_cells(path):
        for pattern in FORBIDDEN:
            assert not re.search(pattern, source, re.MULTILINE), pattern


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_committed_holds_no_recording_and_no_path(path):
    for cell in read(path).cells:
        outputs = str(cell.get("outputs", ""))
        assert not re.search(r"<audio|data:audio|stderr|[\"'\s](/|[A-Z]:)(home|root|work|tmp|Users|kaggle)", outputs)


def test_they_run_in_order_on_the_sample(sample_dir, output_dir, monkeypatch):
    monkeypatch.delenv("MPLBACKEND")  # figures are to end up in the notebook
    monkeypatch.setenv(paths.DATA_VARIABLE, str(sample_dir))
    for path in NOTEBOOKS:
        notebook = read(path)
        client = NotebookClient(
            notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": path.parent}}
        )
        client.execute()
        outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
        assert any("image/png" in output.get("data", {}) for output in outputs), path
        assert list((output_dir / "runs" / "figures").glob(f"{path.stem[:2]}_*.png")), path
    check_submission(output_dir / "submissions" / "10_tc_resnet.csv", sample_dir / "sample_submission.csv")
