"""Runner of streams: two threads and a queue that cannot grow; errors are reported, and everything starts again."""

import threading

import numpy as np
import pytest
from fakes import EVENTS, VOCABULARY, Chunks, Tones, sentence, tone_recogniser, wait_for

from kaggle_speech.streaming.runner import StreamRunner
from kaggle_speech.streaming.sources import Samples
from kaggle_speech.streaming.words import StreamingRecogniser

STATE = StreamingRecogniser.live_state


@pytest.fixture
def live_threads():
    """A function that counts the threads of a live recogniser that are alive."""
    return lambda: sum(thread.name.startswith("kaggle_speech") for thread in threading.enumerate())


def test_a_source_that_waits_loses_nothing(rng):
    waveform, found = sentence(["yes", "no", "yes"], rng), []
    expected = tone_recogniser().process(waveform)
    live = StreamRunner(tone_recogniser(), Samples(waveform), on_event=found.append, observe=STATE, max_waiting=2)
    for _ in range(2):  # a start begins a new stream
        found.clear()
        live.start()
        assert live.wait(30) and not live.is_running
        assert found == expected and live.error is None and live.num_dropped == 0
    assert live.state.time_s == pytest.approx(len(waveform) / 16_000 + 0.5)  # and the silence after it
    np.testing.assert_array_equal(live.state.waveform[:-8000], waveform[-40_000:])
    assert live.state.scores.shape == (4,) and live.state.level_dbfs == -100 and not live.state.is_active


def test_a_slow_recogniser_drops_and_counts(live_threads):
    go_on, num_heard = threading.Event(), []

    class Slow(StreamingRecogniser):
        def process(self, chunk):
            go_on.wait(10)
            num_heard.append(int(chunk[0]))
            return []

    source = Chunks([np.full(800, number, "float32") for number in range(200)], waits=True)
    live = StreamRunner(Slow(Tones(), VOCABULARY, events=EVENTS), source, max_waiting=5)
    live.start()
    wait_for(lambda: live.num_dropped >= 194)  # all but the one to five that wait and, maybe, one in process
    go_on.set()
    wait_for(lambda: len(num_heard) >= 200 - live.num_dropped)
    live.stop()
    assert live_threads() == 0 and live.error is None
    assert 194 <= live.num_dropped <= 199 and len(num_heard) == 200 - live.num_dropped
    assert num_heard[1:] == [*range(201 - len(num_heard), 200)], "what is heard is the newest, and in one piece"


def test_the_clock_counts_what_was_dropped():
    """Of ten chunks the second to ninth are dropped; the tenth is at its own time."""
    first_heard, go_on = threading.Event(), threading.Event()

    class Slow(StreamingRecogniser):
        def process(self, chunk):
            first_heard.set()
            go_on.wait(10)
            return super().process(chunk)

    live = StreamRunner(Slow(Tones(), VOCABULARY, events=EVENTS), None, observe=STATE, max_waiting=1)

    class Source(Chunks):
        def chunks(self):
            yield np.zeros(800, "float32")
            first_heard.wait(10)
            for _ in range(8):
                yield np.zeros(800, "float32")
            go_on.set()
            wait_for(lambda: live.state and not live.num_waiting)
            yield np.zeros(800, "float32")

    live.source = Source([])
    live.start()
    assert live.wait(10) and live.num_dropped == 7
    assert live.state.time_s == pytest.approx(10 * 0.05 + 0.5)


@pytest.mark.parametrize("where", ["source", "nan", "model", "callback"])
def test_an_error_ends_the_run_and_it_starts_again(where, rng, live_threads):
    waveform, errors = sentence(["yes"], rng), []
    cut = [waveform[start : start + 800] for start in range(0, len(waveform), 800)]
    broken = {
        "source": Chunks(cut, OSError("unplugged")),
        "nan": Chunks([*cut, np.full(800, np.nan, "float32")], waits=True),
    }.get(where, Chunks(cut, waits=True))
    heard, found = tone_recogniser(), []
    live = StreamRunner(heard, broken, on_event=found.append, on_error=errors.append, max_waiting=1000)
    answer = heard.model.predict_on_batch
    if where == "model":
        heard.model.predict_on_batch = lambda waveform: 1 / 0
    if where == "callback":
        live.on_event = lambda detection: 1 / 0
    live.start()
    assert live.wait(10) and live_threads() == 0 and broken.num_closed == 1
    rule = {"source": "unplugged", "nan": "must be finite", "model": "division by zero", "callback": "division"}[where]
    assert rule in str(live.error) and errors == [live.error]
    if where == "source":
        assert [detection.label for detection in found] == ["yes"], "what was heard before the error counts"
    heard.model.predict_on_batch, live.on_event, live.source = answer, found.append, Samples(waveform)
    found.clear()
    live.start()
    assert live.wait(10) and live.error is None and [detection.label for detection in found] == ["yes"]


def test_starting_and_stopping_leaks_no_thread(live_threads):
    before = threading.active_count()
    source = Chunks([np.zeros(800, "float32")] * 3, waits=True)
    live = StreamRunner(tone_recogniser(), source)
    live.stop()  # nothing runs: nothing happens
    for _ in range(100):
        live.start()
        assert live.is_running
        live.stop()
        assert not live.is_running
    assert live_threads() == 0 and threading.active_count() == before
    assert source.num_closed == 100 and live.error is None


def test_it_runs_once_at_a_time():
    live = StreamRunner(tone_recogniser(), Chunks([], waits=True))
    live.start()
    with pytest.raises(RuntimeError, match="`start` must be called when nothing runs"):
        live.start()
    assert not live.wait(0.01)
    live.stop()


def test_a_callback_may_stop_it(rng):
    found = []

    def stop(detection):
        found.append(detection.label)
        live.stop()

    live = StreamRunner(tone_recogniser(), Samples(sentence(["yes", "no"], rng)), on_event=stop)
    live.start()
    assert live.wait(10) and found == ["yes"] and live.error is None
