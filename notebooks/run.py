"""Run the notebooks from top to bottom into HTML pages, a line for each when it ends.

python notebooks/run.py [FILE ...] [--jobs 2]
"""

import argparse
import concurrent.futures
import re
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from execute import describe_pictures
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from kaggle_speech import folders
from kaggle_speech.data import clips, places

FOLDER = Path(__file__).parent
#: More clips than the sample has; from so many on, the notebooks train as long as real clips need.
MIN_REAL_CLIPS = 5000


def minutes_on(title: str, num_clips: int) -> float:
    """Minutes that a notebook takes on two cores, from the table in its first cell.

    Args:
        title: source of the first cell, with `1 on the sample, 30 on 9,000 clips and two cores` or a single number.
        num_clips: clips of the data; real clips scale the second number.

    Examples:
        >>> minutes_on("| 1 on the sample, 30 on 9,000 clips and two cores |", 18_000)
        60.0
    """
    row = [line for line in title.splitlines() if line.startswith("|")][-1]
    stated = row.strip("| ").rpartition("|")[2].strip()
    sample, *real = re.findall(r"\d+(?= on |$|;|,)", stated) or ["1"]
    if num_clips < MIN_REAL_CLIPS or not real:
        return float(sample)
    scale = num_clips / 9000 if "clips" in stated else 1.0
    return float(real[0]) * scale


def execute(path: Path, html_path: Path) -> str:
    """Run one notebook, write its page, and return the first sentence of what was learned."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=None, coalesce_streams=True, resources={"metadata": {"path": path.parent}}
    )
    try:
        client.execute()
    finally:
        describe_pictures(notebook)
        page, _ = HTMLExporter().from_notebook_node(notebook)
        html_path.write_text(page, encoding="utf-8")
    learned = notebook.cells[-1].outputs[-1].get("data", {}).get("text/markdown", "")
    return next((line.strip("- ") for line in learned.splitlines() if line.strip()), "")


def run_apart(path: Path, out_dir: Path) -> tuple[Path, float, str, bool]:
    """Run one notebook in a process of its own, whose remarks go to a log beside the page.

    Returns:
        The notebook, seconds, the sentence or the error, and whether it succeeded.
    """
    log_path, start = out_dir / f"{path.stem}.log", time.monotonic()
    with log_path.open("w", encoding="utf-8") as log:
        command = [sys.executable, __file__, "--one", str(path), str(out_dir / f"{path.stem}.html")]
        finished = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True)
    said = finished.stdout.strip()
    if finished.returncode:
        lines = [line for line in log_path.read_text(encoding="utf-8").splitlines() if line.strip()]
        said = f"failed: {lines[-1] if lines else 'no message'} ({log_path})"
    return path, time.monotonic() - start, said, finished.returncode == 0


def announce(paths: list[Path], jobs: int) -> None:
    """Say what the run will take, before it starts."""
    data_dir = places.find_data()
    num_clips = len(clips.index_clips(data_dir))
    minutes = sum(minutes_on(nbformat.read(path, as_version=4).cells[0].source, num_clips) for path in paths)
    if num_clips < MIN_REAL_CLIPS:
        print(f"{num_clips} synthetic clips, {len(paths)} notebooks: about {minutes:.0f} min on two cores")
    else:
        print(
            f"{num_clips:,} clips, {len(paths)} notebooks: about {minutes / 60:.1f} hours on two cores, less where "
            "trainings are finished: they are read, not repeated. An interrupted run continues where it stopped.\n"
            "`make run QUICK=1` trains TC-ResNet8 alone and writes a checked submission."
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="notebooks; all of this folder without")
    parser.add_argument("--jobs", type=int, default=2, help="notebooks at a time (default: 2)")
    parser.add_argument("--one", nargs=2, type=Path, metavar=("NOTEBOOK", "HTML"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(execute(*args.one))
        return 0
    paths = [path.resolve() for path in args.files] or sorted(FOLDER.glob("[0-9]*.ipynb"))
    out_dir = folders.output_dir() / "runs" / "notebooks"
    out_dir.mkdir(parents=True, exist_ok=True)
    announce(paths, args.jobs)
    training = [path for path in paths if "01" <= path.stem[:2] <= "07"]
    for group in (training, [path for path in paths if path not in training]):  # the others read their runs
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            is_complete = True
            for future in concurrent.futures.as_completed([pool.submit(run_apart, path, out_dir) for path in group]):
                path, seconds, said, succeeded = future.result()
                print(f"{path.stem:24} {int(seconds) // 60}:{int(seconds) % 60:02}  {said}", flush=True)
                is_complete &= succeeded
        if not is_complete:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
