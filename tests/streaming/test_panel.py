"""Live panel: the widgets of a notebook cell, asked for their content."""

import numpy as np
import pytest

from kaggle_speech.labels import COMPETITION_LABELS
from kaggle_speech.streaming import sources
from kaggle_speech.streaming.app import palette, panel
from kaggle_speech.streaming.words import Detection, LiveState, StreamingRecogniser

pytest.importorskip("ipywidgets", reason="the panel is made of ipywidgets")


class LoudnessModel:
    """Loud is `go`, and quiet is silence."""

    def predict_on_batch(self, waveform):
        is_loud = np.square(waveform).mean(axis=1) > 1e-3
        return np.eye(12, dtype="float32")[np.where(is_loud, COMPETITION_LABELS.index("go"), 10)]


@pytest.fixture
def recogniser():
    return StreamingRecogniser(LoudnessModel(), COMPETITION_LABELS)


def waveform_with_a_word(rng):
    return np.concatenate([np.zeros(8000), 0.3 * rng.standard_normal(8000), np.zeros(24_000)]).astype("float32")


def test_a_source_is_followed_to_its_end(recogniser, rng):
    waveform = waveform_with_a_word(rng)
    expected = recogniser.process(waveform)
    shown = panel.LivePanel(COMPETITION_LABELS)
    assert shown.follow(recogniser, sources.Samples(waveform)) == expected
    assert [found.label for found in expected] == ["go"] and ">go<" in shown.word.value
    assert shown.bars[10].value > 0.9  # silence at the end
    assert [bar.description for bar in shown.bars] == list(COMPETITION_LABELS)
    assert len(shown.view.children) == 3 and shown.view.children[1].children == tuple(shown.bars[:6])


def test_bars_and_word_follow_the_state():
    shown = panel.LivePanel(COMPETITION_LABELS)
    assert "nothing heard yet" in shown.word.value
    shown.show(None, [], 0.5)  # before the first chunk
    state = LiveState(3.0, -20.0, True, np.linspace(0, 1, 12), np.zeros(48_000))
    shown.show(state, [Detection(2.5, "yes", 0.75)], 0.5)
    np.testing.assert_allclose([bar.value for bar in shown.bars], state.scores)
    colors = [bar.style.bar_color for bar in shown.bars]
    assert colors == [palette.BLUE] * 6 + [palette.ORANGE] * 4 + [palette.BLUE] * 2  # silence, unknown: not reported
    assert "75 % sure" in shown.word.value and palette.ORANGE in shown.word.value
    assert "3.0 s, -20 dBFS" in shown.status.value
    shown.show(state._replace(time_s=9.0), [Detection(2.5, "yes", 0.75)], 0.5)
    assert palette.MUTED in shown.word.value


def test_what_ends_the_source_is_raised(recogniser):
    with pytest.raises(ValueError, match="must be finite"):
        panel.LivePanel(COMPETITION_LABELS).follow(recogniser, sources.Samples(np.full(1600, np.nan, "float32")))


def test_an_interrupt_ends_it_and_keeps_what_was_heard(recogniser, rng, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    shown = panel.LivePanel(COMPETITION_LABELS)
    monkeypatch.setattr(panel.time, "sleep", interrupt)
    endless = sources.Samples(np.tile(waveform_with_a_word(rng), 100), real_time=False)
    assert len(shown.follow(recogniser, endless)) < 100
