"""progress.py: bars and notes, and the switch that turns them off."""

import pytest

from kaggle_speech import progress


@pytest.fixture
def quiet():
    progress.set_quiet(True)
    yield
    progress.set_quiet(False)


def count():
    assert list(progress.progress_bar(range(3), desc="counting")) == [0, 1, 2]
    with progress.progress_bar(total=3, desc="counting", unit="clip") as bar:
        bar.update(3)
        bar.set_postfix(loss=1)
        bar.close()
    progress.note("three")


def test_bar_passes_on_and_counts(capsys):
    count()
    error = capsys.readouterr().err
    assert "counting" in error and "three" in error


def test_no_bar_when_not_wanted(capsys):
    assert list(progress.progress_bar(range(3), progress=False)) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_quiet_shows_nothing(quiet, capsys):
    count()
    assert capsys.readouterr().err == ""
