"""The notebooks: their shape, and a run from top to bottom on the sample, in order."""

import ast
import base64
import io
import re
import statistics
import subprocess
import sys

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from notebook_runs import GROUPS, NOTEBOOKS, group_params

PRIVATE = r"<audio|data:audio|(?<![\w.])/(home|root|work|tmp|mnt|data|Users|kaggle)/|[A-Z]:\\"
#: Also in the first cell, which finds the package beside Kaggle's working folder and leaves the rest to a script.
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
    assert len(cells) <= 13 and statistics.median(num_lines) <= 8 and max(num_lines) <= 25
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


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_picture_has_a_text_of_its_own(path):
    texts = []
    for cell in read(path).cells:
        pictures = [output for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
        written = cell.metadata.get("alt", [])
        assert [output.metadata["image/png"]["alt"] for output in pictures] == written
        texts += written
    assert len(texts) == len({*texts}) and all(20 <= len(text) <= 300 for text in texts)


@pytest.mark.parametrize("text", ["<td>/work/a.wav</td>", "\n/root/a", "('/tmp/a'", r"C:\Users\a", "<audio controls>"])
def test_private_is_found(text):
    assert re.search(PRIVATE, text) and not re.search(PRIVATE, text.replace("/", "").replace(":", "").replace("<", ""))


def test_execute_keeps_what_may_be_committed(tmp_path, monkeypatch):
    monkeypatch.delenv("MPLBACKEND")
    sources = (
        "import sys\nimport matplotlib.pyplot as plt\nprint('kept')\nprint('progress', file=sys.stderr)",
        "from IPython.display import Audio\nAudio([0.0, 1.0], rate=16_000)",
        "plt.imshow([[0, 1]]);",
        "import ipywidgets\nipywidgets.FloatProgress(0.5)",
        "from IPython.display import IFrame\nIFrame('about:blank', 300, 100)",
    )
    path = tmp_path / "a.ipynb"
    text = nbformat.v4.new_markdown_cell(
        "## Two pixels\n\nThe *left* one of [two](https://a.b) is `dark`.\n" + "Long. " * 60
    )
    described = nbformat.v4.new_code_cell("plt.plot([1, 2])\nplt.show()\nplt.plot([2, 1]);", metadata={"alt": ["Up."]})
    nbformat.write(nbformat.v4.new_notebook(cells=[text, *map(nbformat.v4.new_code_cell, sources), described]), path)
    subprocess.run([sys.executable, NOTEBOOKS[0].parent / "execute.py", path], check=True, capture_output=True)
    printed, player, picture, widget, page, two = (cell.outputs for cell in read(path).cells[1:])
    assert [output.text for output in printed] == ["kept\n"] and player == widget == page == []
    assert "widgets" not in read(path).metadata
    alt = picture[0].metadata["image/png"]["alt"]
    assert alt.startswith("Two pixels. The left one of two is dark. Long. ") and 250 < len(alt) < 320
    up, down = (output.metadata["image/png"]["alt"] for output in two if "image/png" in output.get("data", {}))
    assert (up, down) == ("Up.", alt)
    pixels = plt.imread(io.BytesIO(base64.b64decode(picture[0].data["image/png"])))
    assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 2


def test_every_notebook_is_executed():
    assert sorted(param.id for group in GROUPS for param in group_params(group)) == [path.stem for path in NOTEBOOKS]
