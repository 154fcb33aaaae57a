"""What the doctests of the package find: an empty current folder and, where they name it, rendered data."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest

from kaggle_speech import folders


@pytest.fixture(scope="session")
def doctest_data_dir(tmp_path_factory):
    """A competition-shaped folder of 300 rendered clips."""
    pytest.importorskip("espeakng_loader", reason="the sample is rendered with espeakng-loader")
    from kaggle_speech.data.rendered.clips import render_sample

    return render_sample(tmp_path_factory.mktemp("doctest") / "data", num_clips=300, progress=False)


@pytest.fixture(autouse=True)
def doctest_folder(request):
    """Run a doctest in a folder of its own, where its output goes, too; give it `data_dir` where it uses that."""
    if not isinstance(request.node, pytest.DoctestItem):
        return
    tmp_path, monkeypatch = map(request.getfixturevalue, ("tmp_path", "monkeypatch"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(folders.OUTPUT_VARIABLE, str(tmp_path))
    if any("data_dir" in example.source for example in request.node.dtest.examples):
        namespace = request.getfixturevalue("doctest_namespace")
        namespace["data_dir"] = request.getfixturevalue("doctest_data_dir")
