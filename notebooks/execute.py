"""Run notebooks and keep what they show, for committing: no recordings, no progress bars, small pictures with a text.

KAGGLE_SPEECH_DATA=/path/to/clips python notebooks/execute.py [FILE ...]
"""

import argparse
import base64
import io
import re
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

#: Longest alternative text of a picture, in characters.
MAX_TEXT = 300


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


def plain_text(markdown):
    """Heading and first sentences of a text in Markdown, without its marks."""
    lines = [line.strip() for line in markdown.splitlines() if line.strip() and not line.startswith(("|", "!["))]
    heading = [line.lstrip("# ").removesuffix("?") + "." for line in lines if line.startswith("#")][-1:]
    prose = " ".join(line for line in lines if not line.startswith("#"))
    sentences = re.split(r"(?<=[.?!])\s", re.sub(r"\[(.+?)\]\(.+?\)|[`*]", r"\1", prose))
    while len(" ".join(sentences)) > MAX_TEXT and len(sentences) > 1:
        sentences.pop()
    return " ".join([*heading, *sentences])


def describe_pictures(notebook):
    """Give every picture an alternative text for those who do not see it.

    The next of the texts `alt` in the metadata of its cell; without one, the heading and the text before the cell.
    """
    text = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = plain_text(cell.source)
        alts = iter(cell.metadata.get("alt", []))
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output["metadata"].setdefault("image/png", {})["alt"] = next(alts, text)


def execute(path):
    """Run one notebook from top to bottom."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=None,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": path.parent}},
    ).execute()
    return notebook


def strip(notebook):
    """Leave out of a notebook what may not be committed, and shrink its pictures."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if is_kept(output)]
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output["data"]["image/png"] = shrink_png(output["data"]["image/png"])
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="notebooks; all of this folder without")
    parser.add_argument("--describe", action="store_true", help="run nothing; only write the pictures' texts anew")
    args = parser.parse_args()
    for path in args.files or sorted(Path(__file__).parent.glob("*.ipynb")):
        print(path, flush=True)
        if args.describe:
            notebook = nbformat.read(path, as_version=4)
        else:
            notebook = execute(path)
            strip(notebook)
        describe_pictures(notebook)
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
