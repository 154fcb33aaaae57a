"""Execution of notebooks on the sample. Each group has a test file of its own: its tests stay in one process."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
#: Notebooks that need each other stay in one group, in order; groups run side by side.
GROUPS = {"data": ("01", "02", "12", "13"), "models": ("03", "04", "05", "06", "07", "08", "09", "10", "11")}
#: What trains long and proves little more than 03 does.
SLOW = ("02", "04", "05", "06", "07", "09", "11", "12", "13")


def group_params(group):
    """A `pytest.param` for each notebook of a group."""
    params = []
    for number in GROUPS[group]:
        (path,) = (path for path in NOTEBOOKS if path.stem.startswith(number))
        params.append(pytest.param(path, marks=[pytest.mark.slow] if number in SLOW else [], id=path.stem))
    return params


def run_notebook(path, output_dir):
    """Execute a notebook; it draws, saves its figures, and shows nothing of TensorFlow's start."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": path.parent}})
    client.execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert list((output_dir / "runs" / "figures").glob(f"{path.stem[:2]}_*.png"))
    shown = "".join(output.get("text", "") for output in outputs)
    assert not re.search(r"cuda|oneDNN|XLA|absl|computation_placer", shown), "TensorFlow's remarks are kept out"
