"""progress.py: the same with tqdm and without."""

import pytest

from kaggle_speech import progress


@pytest.mark.parametrize("has_tqdm", [True, False])
def test_bar_passes_on_and_counts(monkeypatch, capsys, has_tqdm):
    if not has_tqdm:
        monkeypatch.setattr(progress, "tqdm", None)
    assert list(progress.progress_bar(range(3), desc="counting")) == [0, 1, 2]
    with progress.progress_bar(total=3, desc="counting", unit="clip") as bar:
        bar.update(3)
        bar.set_postfix(loss=1)
        bar.close()
    assert ("counting" in capsys.readouterr().err) == has_tqdm


def test_no_bar_when_not_wanted(capsys):
    assert list(progress.progress_bar(range(3), progress=False)) == [0, 1, 2]
    assert capsys.readouterr().err == ""
