"""What several test modules share: a small rendered data set, real clips where there are any, tiny WAV files."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # as many workers as cores: more threads only wait
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

from kaggle_speech import folders
from kaggle_speech.audio import write_wav
from kaggle_speech.data import archives, places
from kaggle_speech.data.rendered.sentences import render_sentences


def pytest_collection_modifyitems(items):
    """What takes longest first, the notebooks above all: else one worker would be at it when the other has finished."""
    long = ("tests/test_notebooks_of_models", "tests/test_notebooks_of", "tests/training", "tests/export", "tests/cli")
    items.sort(key=lambda item: next((rank for rank, name in enumerate(long) if name in item.nodeid), len(long)))


@pytest.fixture(scope="session", autouse=True)
def output_dir(tmp_path_factory):
    """Where everything goes that the tests make: not into the checkout, and locks not into the machine's /tmp."""
    os.environ[folders.OUTPUT_VARIABLE] = str(tmp_path_factory.mktemp("output"))
    os.environ["TMPDIR"] = tempfile.tempdir = str(tmp_path_factory.mktemp("locks"))
    return folders.output_dir()


@pytest.fixture(scope="session")
def sample_dir(tmp_path_factory):
    """A competition-shaped folder of a few hundred rendered clips."""
    pytest.importorskip("espeakng_loader", reason="the sample is rendered with espeakng-loader")
    from kaggle_speech.data.rendered.clips import render_sample

    return render_sample(tmp_path_factory.mktemp("sample") / "data", num_clips=600, progress=False)


@pytest.fixture(scope="session")
def notebook_sample_dir(tmp_path_factory):
    """The smallest sample, with rendered sentences in it: else real ones elsewhere would be used."""
    pytest.importorskip("espeakng_loader", reason="the sample is rendered with espeakng-loader")
    from kaggle_speech.data.rendered.clips import render_sample

    sample_dir = render_sample(tmp_path_factory.mktemp("notebooks") / "data", num_clips=300, progress=False)
    render_sentences(sample_dir / places.LIBRISPEECH, 60, progress=False)
    return sample_dir


@pytest.fixture(scope="session")
def sentences_dir(tmp_path_factory):
    """A folder of 24 rendered sentences with their transcripts, in LibriSpeech's layout."""
    pytest.importorskip("espeakng_loader", reason="sentences are rendered with espeakng-loader")
    return render_sentences(tmp_path_factory.mktemp("sentences") / "new", 24, progress=False)


@pytest.fixture
def notebook_data_dir(notebook_sample_dir, monkeypatch):
    """The sample for notebooks, as their data."""
    monkeypatch.delenv("MPLBACKEND", raising=False)  # figures are to end up in the notebook
    monkeypatch.setenv(places.DATA_VARIABLE, str(notebook_sample_dir))
    return notebook_sample_dir


@pytest.fixture(scope="session")
def real_dir():
    """The extracted real recordings that KAGGLE_SPEECH_DATA names."""
    if not os.environ.get(places.DATA_VARIABLE):
        pytest.skip(f"needs real recordings: {places.DATA_VARIABLE} is not set")
    return archives.prepare_data(progress=False)


@pytest.fixture(scope="session")
def speech_dir():
    """The real recordings with transcripts in the folder that KAGGLE_SPEECH_DATA names."""
    folder = Path(os.environ.get(places.DATA_VARIABLE, ""), places.LIBRISPEECH)
    if not os.environ.get(places.DATA_VARIABLE) or not places.has_speech(folder):
        pytest.skip(f"needs real recordings with transcripts: {places.DATA_VARIABLE} names no folder with LibriSpeech")
    return folder


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def speech(rng):
    """Four clips that look like speech: bursts of harmonics over a quiet floor. Shape: `(4, 16000)`."""
    time_s = np.arange(16_000) / 16_000
    clips = [
        sum(np.sin(2 * np.pi * k * pitch * time_s) / k for k in range(1, 8))
        * np.exp(-(((time_s - centre) / 0.15) ** 2))
        for pitch, centre in [(110, 0.3), (180, 0.5), (220, 0.6), (95, 0.7)]
    ]
    return (0.2 * np.array(clips) + 1e-3 * rng.standard_normal((4, 16_000))).astype("float32")


@pytest.fixture
def make_data(tmp_path, rng):
    """A function that writes a competition-shaped folder of noise: `make_data(words, speakers)`."""

    def make(words, speakers=("aaaa0000",), num_noises=2, num_test=3):
        for word in words:
            folder = tmp_path / "train" / "audio" / word
            folder.mkdir(parents=True)
            for speaker in speakers:
                write_wav(folder / f"{speaker}_nohash_0.wav", 0.1 * rng.standard_normal(16_000))
        noise_dir = tmp_path / "train" / "audio" / "_background_noise_"
        noise_dir.mkdir(parents=True)
        for number in range(num_noises):
            write_wav(noise_dir / f"noise_{number}.wav", 0.1 * rng.standard_normal(80_000))
        test_dir = tmp_path / "test" / "audio"
        test_dir.mkdir(parents=True)
        for number in range(num_test):
            write_wav(test_dir / f"clip_{number:09x}.wav", 0.1 * rng.standard_normal(16_000))
        return tmp_path

    return make
