"""The wheel: what `pip install kaggle_speech` brings is enough to recognise, and nothing is missing in it."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from kaggle_speech.audio import write_wav

ROOT = Path(__file__).parents[1]
#: Without what would show other packages to an empty environment.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel_path(tmp_path_factory):
    out_dir = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        out_dir,
        ROOT,
    ]
    subprocess.run(command, check=True, timeout=300)
    (path,) = out_dir.glob("*.whl")
    return path


def test_the_wheel_holds_every_file_of_the_package(wheel_path):
    names = {name for name in zipfile.ZipFile(wheel_path).namelist() if name.startswith("kaggle_speech/")}
    package_dir = ROOT / "kaggle_speech"
    files = {path for path in package_dir.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert names == {
        path.relative_to(ROOT).as_posix()
        for path in files
        if path.suffix != ".md" or path.parents[1].name == "pretrained"
    }


def test_it_recognises_in_an_empty_environment(wheel_path, tmp_path, speech):
    """Only what the wheel asks for is installed: no TensorFlow, no pandas."""
    venv.create(tmp_path / "env", with_pip=True)
    bin_dir = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin")
    install = [bin_dir / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel_path]
    subprocess.run(install, check=True, timeout=600, env=ENVIRONMENT)
    write_wav(tmp_path / "a.wav", speech[0])

    def run(*command):
        return subprocess.run(
            command, cwd=tmp_path, env=ENVIRONMENT, check=True, timeout=60, capture_output=True, text=True
        ).stdout

    (answer,) = json.loads(run(bin_dir / "kaggle-speech", "predict", "--format", "json", "a.wav"))
    assert 0 < answer["confidence"] <= 1
    code = "import json, kaggle_speech as ks; print(json.dumps([model.name for model in ks.list_models()]))"
    assert {"bc_resnet", "tc_resnet", "resnet_ctc"} <= {*json.loads(run(bin_dir / "python", "-c", code))}
    code = "import kaggle_speech as ks; print(ks.load('tc_resnet').predict('a.wav').label)"
    assert run(bin_dir / "python", "-c", code).strip()
    listed = run(bin_dir / "python", "-m", "pip", "list", "--format", "freeze")
    assert not {"tensorflow", "keras", "pandas", "librosa"} & {line.partition("==")[0] for line in listed.splitlines()}
