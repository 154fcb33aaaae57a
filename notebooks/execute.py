"""Run notebooks and keep what they show, for committing: no recordings, no progress bars, small pictures.

KAGGLE_SPEECH_DATA=/path/to/clips python notebooks/execute.py [FILE ...]
"""

import base64
import io
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image


def is_kept(output):
    """Whether an output may be committed.

    Players hold recordings, frames a model, the error stream progress and remarks, and widgets show nothing without a
    kernel.
    """
    data = output.get("data", {})
    is_widget = "application/vnd.jupyter.widget-view+json" in data
    is_left_out = any(tag in str(data.get("text/html")) for tag in ("<audio", "<iframe"))
    return output.get("name") != "stderr" and not is_left_out and not is_widget


def shrink_png(encoded):
    """The same picture in 256 colours. Shape: base64 -> base64."""
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        few = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        small = io.BytesIO()
        few.save(small, "PNG", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def execute(path):
    """Run one notebook from top to bottom, and write what it shows into it."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=None,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": path.parent}},
    ).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if is_kept(output)]
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output["data"]["image/png"] = shrink_png(output["data"]["image/png"])
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for notebook_path in map(Path, sys.argv[1:] or sorted(Path(__file__).parent.glob("*.ipynb"))):
        print(notebook_path, flush=True)
        execute(notebook_path)
