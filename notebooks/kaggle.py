"""Build the folder that goes to Kaggle as one data set: package, wheels, notebooks, and a README of five steps.

KAGGLE_USERNAME=you python notebooks/kaggle.py [OUT] [--pythons 3.11 3.12]
"""

import argparse
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kaggle_speech.data.places import COMPETITION
from kaggle_speech.files import make_folder, write_json

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
NAME = "kaggle-speech"
#: Kaggle's image has these, and all that they need.
IN_IMAGE = ("tensorflow", "pandas", "scikit-learn", "matplotlib", "seaborn", "onnx", "requests", "tqdm", "jupyter")
#: What the notebooks need of the package's extras.
EXTRAS = "kaggle_speech[train,export,archives]"
#: Kaggle's machines: Linux with a C library of version 2.35.
PLATFORMS = ("manylinux2014_x86_64", *(f"manylinux_2_{minor}_x86_64" for minor in range(17, 36)))
#: Kaggle's name of its two T4 cards.
GPU = "NvidiaTeslaT4Highmem"

README = """# kaggle_speech on Kaggle

The package, its notebooks, and wheels of what Kaggle's image lacks, for Python {pythons}: everything works without
internet. The wheels have licences of their own, which are in them.

1. `pip install kaggle`, put your API token where it says (kaggle.com, Settings, API), and accept the rules of the
   competition on its page: https://www.kaggle.com/c/{competition}
2. Upload this folder: `kaggle datasets create -p {out} --dir-mode zip`; later versions of it with
   `kaggle datasets version -p {out} --dir-mode zip -m "new"`.
3. Train: `kaggle kernels push -p {out}/notebooks/03_train_cnn`. `kaggle kernels status {user}/{name}-03-train-cnn` says
   when it is complete. Other notebooks likewise; each uses a GPU where that helps.
4. Answer the test clips: `kaggle kernels push -p {out}/notebooks/10_submit`. It takes the runs of 03 from its output.
5. On the page of that notebook: Output, `submission.csv`, Submit to Competition. Or:
   `kaggle kernels output {user}/{name}-10-submit -p .`, then
   `kaggle competitions submit -c {competition} -f submission.csv -m ensemble`.

In the browser instead of 3 and 4: import a notebook (File, Import Notebook), add this data set and the competition (Add
Input), and Save & Run All. In a notebook of your own, begin with
`!python /kaggle/input/{name}/kaggle_speech/kernel.py`, then `import kaggle_speech as ks`.

`13_transcribe` reads LibriSpeech: add a data set of it whose name begins with `librispeech`.
"""


def needed(requirements: tuple[str, ...]) -> set[str]:
    """Names of the installed distributions that requirements need, with all that those need."""
    names: set[str] = set()
    queue = [Requirement(text) for text in requirements]
    for requirement in queue:  # grows
        name = canonicalize_name(requirement.name)
        for text in () if name in names else metadata.requires(name) or ():
            other = Requirement(text)
            extras = requirement.extras or {""}
            if other.marker is None or any(other.marker.evaluate({"extra": extra}) for extra in extras):
                queue.append(other)
        names.add(name)
    return names


def pip(*arguments: str | Path) -> None:
    """Run pip; its own words tell what fails."""
    command = [sys.executable, "-m", "pip", *map(str, arguments), "--quiet", "--disable-pip-version-check"]
    subprocess.run(command, check=True)


def write_wheels(wheel_dir: Path, pythons: list[str]) -> None:
    """Build the package's wheel, and download those of what Kaggle's image lacks, in the versions installed here."""
    with tempfile.TemporaryDirectory() as folder:  # a wheel built in the checkout would hold files of earlier builds
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, folder)
        copy_package(Path(folder))
        pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheel_dir, folder)
    names = needed((EXTRAS,)) - needed(IN_IMAGE) - {canonicalize_name("kaggle_speech")}
    pinned = [f"{name}=={metadata.version(name)}" for name in sorted(names)]
    platforms = [option for platform in PLATFORMS for option in ("--platform", platform)]
    for python in pythons:
        options = ("--only-binary", ":all:", "--no-deps", "--implementation", "cp", "--python-version", python)
        pip("download", "--dest", wheel_dir, *options, *platforms, *pinned)


def copy_package(folder: Path) -> None:
    """Copy the package into a folder."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "kaggle_speech", folder / "kaggle_speech", ignore=ignored)


def slug(path: Path) -> str:
    """Kaggle's name of a notebook: its title in lower case, with dashes."""
    return f"{NAME}-{path.stem.replace('_', '-')}"


def kernel_metadata(path: Path, user: str) -> dict:
    """What Kaggle's program is to know of a notebook, from the table in its first cell.

    It runs on a GPU where that helps, and with the outputs of the notebooks whose runs it reads.
    """
    title = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
    *_, row = (line for line in title.splitlines() if line.startswith("|"))
    reads, _, gpu, _ = (text.strip() for text in row.strip("|").split("|"))
    read = [other for other in NOTEBOOKS if re.search(rf"`{other.stem}`", reads)]
    return {
        "id": f"{user}/{slug(path)}",
        "title": slug(path).replace("-", " ").replace(NAME.replace("-", " "), NAME),
        "code_file": path.name,
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_gpu": gpu == "helps",
        "machine_shape": GPU if gpu == "helps" else "",
        "enable_internet": False,
        "dataset_sources": [f"{user}/{NAME}"],
        "competition_sources": [COMPETITION],
        "kernel_sources": [f"{user}/{slug(other)}" for other in read],
        "model_sources": [],
    }


def build(out_dir: Path, user: str, pythons: list[str]) -> Path:
    """Build the folder; one of an earlier call is replaced, nothing else is."""
    facts = {"user": user, "name": NAME, "competition": COMPETITION, "out": out_dir, "pythons": " and ".join(pythons)}
    readme = README.format(**facts)

    def write(folder: Path) -> None:
        write_wheels(folder / "wheels", pythons)
        copy_package(folder)
        for path in NOTEBOOKS:
            kernel_dir = folder / "notebooks" / path.stem
            kernel_dir.mkdir(parents=True)
            shutil.copy(path, kernel_dir)
            write_json(kernel_dir / "kernel-metadata.json", kernel_metadata(path, user))
        (folder / "README.md").write_text(readme, encoding="utf-8")

    settings = {
        "title": "kaggle_speech: package, wheels, notebooks",
        "id": f"{user}/{NAME}",
        "licenses": [{"name": "other"}],
        "description": readme,
        "made_by": "kaggle_speech notebooks/kaggle.py",
        "made_at": datetime.datetime.now(datetime.UTC).isoformat(),  # else an older folder would be kept
    }
    return make_folder(out_dir, "dataset-metadata.json", settings, write)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="?", type=Path, default=Path("dist/kaggle"), help="folder (default: %(default)s)")
    parser.add_argument("--pythons", nargs="+", default=["3.11", "3.12"], help="versions (default: 3.11 3.12)")
    args = parser.parse_args()
    user = os.environ.get("KAGGLE_USERNAME", "INSERT_USERNAME_HERE")
    folder = build(args.out, user, args.pythons)
    num_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{args.out}: {num_bytes / 1e6:.0f} MB; its README.md has the next five steps")
    if "KAGGLE_USERNAME" not in os.environ:
        print(f"note: set KAGGLE_USERNAME and build again, or replace {user} in its .json files by your name on Kaggle")


if __name__ == "__main__":
    main()
