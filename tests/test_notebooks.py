"""The notebooks: their shape, and a run from top to bottom on the sample, in order."""

import ast
import base64
import io
import re
import statistics
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from kaggle_speech.data import places
from kaggle_speech.data.rendered.sentences import render_sentences
from kaggle_speech.inference.submission import check_submission

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
PRIVATE = r"<audio|data:audio|(?<![\w.])/(home|root|work|tmp|mnt|data|Users|kaggle)/|[A-Z]:\\"
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
        for output in cell.get("outputs", []):
            assert output.get("name") != "stderr"
            shown = [output.get("text", ""), *output.get("data", {}).values()]
            assert not any(re.search(PRIVATE, text) for text in shown)


@pytest.mark.parametrize("text", ["<td>/work/a.wav</td>", "\n/root/a", "('/tmp/a'", r"C:\Users\a", "<audio controls>"])
def test_private_is_found(text):
    assert re.search(PRIVATE, text) and not re.search(PRIVATE, text.replace("/", "").replace(":", "").replace("<", ""))


def test_execute_keeps_what_may_be_committed(tmp_path, monkeypatch):
    monkeypatch.delenv("MPLBACKEND")
    sources = (
        "import sys\nprint('kept')\nprint('progress', file=sys.stderr)",
        "from IPython.display import Audio\nAudio([0.0, 1.0], rate=16_000)",
        "import matplotlib.pyplot as plt\nplt.imshow([[0, 1]]);",
        "import ipywidgets\nipywidgets.FloatProgress(0.5)",
    )
    path = tmp_path / "a.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, sources))), path)
    subprocess.run([sys.executable, NOTEBOOKS[0].parent / "execute.py", path], check=True, capture_output=True)
    printed, player, picture, widget = (cell.outputs for cell in read(path).cells)
    assert [output.text for output in printed] == ["kept\n"] and player == widget == []
    assert "widgets" not in read(path).metadata
    pixels = plt.imread(io.BytesIO(base64.b64decode(picture[0].data["image/png"])))
    assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 2


#: Notebooks that need each other stay in one group, in order; groups run side by side.
GROUPS = {"data": ("01", "02", "12", "13"), "models": ("03", "04", "05", "06", "07", "08", "09", "10", "11")}
#: What trains long and proves little more than 03 does.
SLOW = ("04", "05", "06", "07", "09", "13")


def executed():
    for group, numbers in GROUPS.items():
        for number in numbers:
            (path,) = (path for path in NOTEBOOKS if path.stem.startswith(number))
            marks = [pytest.mark.xdist_group(f"notebooks_{group}"), *([pytest.mark.slow] if number in SLOW else [])]
            yield pytest.param(path, marks=marks, id=path.stem)


def test_every_notebook_is_executed():
    assert sorted(param.id for param in executed()) == [path.stem for path in NOTEBOOKS]


@pytest.fixture(scope="session")
def notebook_data_dir(sample_dir):
    """The sample, and rendered sentences in it: else real ones elsewhere would be used."""
    render_sentences(sample_dir / places.LIBRISPEECH, 60, progress=False)
    return sample_dir


@pytest.mark.parametrize("path", executed())
def test_it_runs_on_the_sample(path, notebook_data_dir, output_dir, monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)  # figures are to end up in the notebook
    monkeypatch.setenv(places.DATA_VARIABLE, str(notebook_data_dir))
    notebook = read(path)
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": path.parent}})
    client.execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert list((output_dir / "runs" / "figures").glob(f"{path.stem[:2]}_*.png"))
    shown = "".join(output.get("text", "") for output in outputs)
    assert not re.search(r"cuda|oneDNN|XLA|absl|computation_placer", shown), "TensorFlow's remarks are kept out"
    if path.stem.startswith("10"):
        check_submission(output_dir / "submissions" / "10_ensemble.csv", notebook_data_dir / "sample_submission.csv")
