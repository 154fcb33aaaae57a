"""The notebooks on a machine that is as Kaggle's as far as it can be had: from the first cell to a submission.

/kaggle/input is read-only and holds the competition's archives and the folder of `make kaggle`; there is no network;
Keras is older; none of the wheels is installed; Python and TensorFlow are told of four cores. The folders, the mounts
and the network are a namespace's, so that nothing outside is touched. Not as on Kaggle: TensorFlow is the one that is
here, so are the true cores, and where the 7-Zip program is not installed a script stands in for it.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib import metadata
from pathlib import Path

import nbformat
import py7zr
import pytest
from notebook_runs import NOTEBOOKS

from kaggle_speech.data.places import COMPETITION
from kaggle_speech.inference.submission import check_submission

KERAS = "keras==3.10.0"
PACKAGES = Path(sysconfig.get_path("purelib"))
#: As root of this machine, or as one of a namespace of users.
NAMESPACE = ["unshare", "--mount", "--net", *([] if getattr(os, "geteuid", int)() == 0 else ["--map-root-user"])]
#: Make a root folder with everything of this machine and /kaggle in it, and run a command in /kaggle/working.
ENTER = r"""
set -e
root=$1 kaggle=$2 packages=$3
shift 3
"$PYTHON" -c 'import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH22x", b"lo", 1))'
for entry in /*; do
    if [ -L "$entry" ]; then ln -sfn "$(readlink "$entry")" "$root$entry"; continue; fi
    if [ -d "$entry" ]; then mkdir -p "$root$entry"; mount --rbind "$entry" "$root$entry"; fi
done
mkdir -p "$root/kaggle"
mount --rbind "$kaggle" "$root/kaggle"
for folder in /kaggle/input "$packages"; do
    mount --bind "$root$folder" "$root$folder"
    mount -o remount,bind,ro "$root$folder"
done
exec chroot "$root" sh -c 'cd /kaggle/working && exec "$@"' sh "$@"
"""
RUN_NOTEBOOK = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=None, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""
#: A .pth file, which each start of Python runs.
CORES = "import os; os.cpu_count = lambda: 4; os.sched_getaffinity = lambda pid: {*range(4)}\n"
#: What stands in for the 7-Zip program: its two commands that the package calls, by a py7zr outside of the image.
SEVENZIP = f"""#!{sys.executable}
import sys, py7zr
command, *options, archive_path = sys.argv[1:]
with py7zr.SevenZipFile(archive_path) as archive:
    members = [(member.filename, member.uncompressed, "D" if member.is_directory else "A") for member in archive.files]
    if command == "x":
        archive.extractall(next(option for option in options if option.startswith("-o"))[2:])
for name, size, attributes in members:
    lines = {{"x": [f"- {{name}}"], "l": [f"Path = {{name}}", f"Size = {{size}}", f"Attributes = {{attributes}}", ""]}}
    print(*lines[command], sep="\\n")
"""
#: What the machine is said to be, and `make run QUICK=1` with few epochs.
CHECKS = """
import errno, os, socket, keras, onnxruntime, py7zr, kaggle_speech
assert keras.__version__ == "3.10.0" and os.cpu_count() == 4
assert all(PREFIX in module.__file__ for module in (onnxruntime, py7zr, kaggle_speech)), onnxruntime.__file__
for attempt in (lambda: open("../input/a", "w"), lambda: socket.create_connection(("192.0.2.1", 80), 5)):
    try:
        attempt()
    except OSError as error:
        assert error.errno in (errno.EROFS, errno.ENETUNREACH), error
    else:
        raise AssertionError(attempt)
"""
QUICK = """
from kaggle_speech.cli.main import main
assert main("train --model tc_resnet --num-epochs 2 --batch-size 32 --out runs/03_tc_resnet".split()) == 0
assert main("submit --run runs/03_tc_resnet --out submissions/quick.csv".split()) == 0
"""

pytestmark = pytest.mark.slow


def run(command, **options):
    process = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=1800, **options)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def make_environment(env_dir, wheel_dir):
    """An environment with the packages of this one, linked, but the older Keras and none of the wheels; and `7z`.

    Returns:
        Its Python.
    """
    venv.create(env_dir, symlinks=True)
    (packages_dir,) = env_dir.glob("lib/python*/site-packages")
    hidden = {"keras", "kaggle_speech", *(path.name.split("-")[0] for path in wheel_dir.glob("*.whl"))}
    files = (file for name in hidden for file in metadata.distribution(name).files or ())
    left_out = {"__pycache__", *(file.parts[0] for file in files)}
    for path in PACKAGES.iterdir():
        if path.name not in left_out and path.suffix != ".pth":
            (packages_dir / path.name).symlink_to(path)
    run([env_dir / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", KERAS])
    (packages_dir / "cores.pth").write_text(CORES)
    if not shutil.which("7z"):
        (env_dir / "bin" / "7z").write_text(SEVENZIP)
        (env_dir / "bin" / "7z").chmod(0o755)
    return env_dir / "bin" / "python"


class Machine:
    """A folder that is /kaggle to what runs in it, and the Python of its image."""

    def __init__(self, folder, python):
        self.root_dir = folder / "root"
        self.kaggle_dir = folder / "kaggle"
        self.python = python
        self.root_dir.mkdir()

    def start(self):
        """Begin a kernel: `working` and `temp` are empty."""
        for name in ("working", "temp"):
            shutil.rmtree(self.kaggle_dir / name, ignore_errors=True)
            (self.kaggle_dir / name).mkdir(parents=True)

    def run(self, *command):
        """Run a command in /kaggle/working."""
        path = f"{self.python.parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
        env = {"PATH": path, "HOME": str(self.root_dir), "PYTHON": sys.executable, "TF_NUM_INTRAOP_THREADS": "4"}
        enter = [*NAMESPACE, "sh", "-c", ENTER, "sh", self.root_dir, self.kaggle_dir, PACKAGES]
        return run([*enter, *command], env=env)

    def run_notebook(self, path):
        """Run a notebook; returns the text of its cells' outputs."""
        self.run(self.python, "-c", RUN_NOTEBOOK, path, "executed.ipynb")
        cells = nbformat.read(self.kaggle_dir / "working" / "executed.ipynb", as_version=4).cells
        return ["".join(output.get("text", "") for output in cell.get("outputs", ())) for cell in cells]


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("machine")
    machine = Machine(folder, folder / "env" / "bin" / "python")
    machine.start()
    (machine.kaggle_dir / "input").mkdir()
    try:
        machine.run("true")
    except (AssertionError, OSError) as error:
        pytest.skip(f"needs Linux, and the right to make namespaces: {error}")
    data_set_dir = machine.kaggle_dir / "input" / "any-name"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    run([sys.executable, NOTEBOOKS[0].parent / "kaggle.py", data_set_dir, "--pythons", version])
    make_environment(folder / "env", data_set_dir / "wheels")
    return machine


@pytest.fixture(scope="module")
def competition_dir(machine):
    """The competition's archives, of a rendered sample."""
    pytest.importorskip("espeakng_loader", reason="the sample is rendered with espeakng-loader")
    from kaggle_speech.data.rendered.clips import render_sample

    sample_dir = render_sample(machine.kaggle_dir.parent / "sample", num_clips=300, progress=False)
    folder = machine.kaggle_dir / "input" / COMPETITION
    folder.mkdir()
    for name in ("train", "test", "sample_submission.csv"):
        archive_path = folder / f"{Path(name).stem}.7z"
        with py7zr.SevenZipFile(archive_path, "w", filters=[{"id": py7zr.FILTER_COPY}]) as archive:
            archive.writeall(sample_dir / name, name)
    return folder


def check_offered(working_dir, name, machine):
    """The submission of that name is the one that Kaggle offers to submit, and answers what is asked."""
    assert (working_dir / "submission.csv").read_bytes() == (working_dir / "submissions" / name).read_bytes()
    check_submission(working_dir / "submission.csv", next(machine.kaggle_dir.glob("temp/*/sample_submission.csv")))


def test_from_the_first_cell_to_a_submission(machine, competition_dir, tmp_path):
    input_dir = machine.kaggle_dir / "input"
    working_dir = machine.kaggle_dir / "working"
    first_cell = nbformat.read(NOTEBOOKS[0], as_version=4).cells[1].source
    sources = [first_cell, f"PREFIX = {str(machine.python.parents[1])!r}" + CHECKS, QUICK]
    quick = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, sources)))
    nbformat.write(quick, working_dir / "quick.ipynb")
    said, *_ = machine.run_notebook("quick.ipynb")
    assert said.count("\n") == 1 and "of /kaggle/input/any-name; installed: " in said and "py7zr" in said
    check_offered(working_dir, "quick.csv", machine)

    # Another kernel, with the output of the first, and a data set where Kaggle puts newer ones, but without py7zr.
    working_dir.rename(input_dir / "kaggle-speech-03-train-cnn")
    (input_dir / "datasets" / "me").mkdir(parents=True)
    data_set_dir = (input_dir / "any-name").rename(input_dir / "datasets" / "me" / "any-name")
    (wheel_path,) = data_set_dir.glob("wheels/py7zr-*.whl")
    wheel_path.unlink()
    run([machine.python, "-m", "pip", "uninstall", "--quiet", "--yes", "py7zr"])
    machine.start()
    machine.run(machine.python, "-c", "import importlib.util as util; assert not util.find_spec('py7zr')")
    path = data_set_dir / "notebooks" / "10_submit" / "10_submit.ipynb"
    _, said, *_ = machine.run_notebook(Path("/kaggle") / path.relative_to(machine.kaggle_dir))
    assert said.endswith("installed: nothing, all is there; runs: 03_tc_resnet\n")
    check_offered(working_dir, "10_ensemble.csv", machine)
