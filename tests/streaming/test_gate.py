"""Gate of a streaming recogniser: a word between quiet passes, the same word in a sentence does not."""

import numpy as np
import pytest
from fakes import sentence, tone, tone_recogniser

from kaggle_speech.streaming.gate import SpokenAlone
from kaggle_speech.streaming.words import Trigger

QUIET, WORD = -60.0, -20.0


def verdicts(levels, **options):
    gate = SpokenAlone(100, **options)
    return [gate.update(level) for level in levels]


@pytest.mark.parametrize("num_hops", [1, 5, 10])
def test_a_word_passes_as_soon_as_it_was_quiet_after_it(num_hops):
    found = verdicts(10 * [QUIET] + num_hops * [WORD] + 5 * [QUIET])
    assert found[10 : 10 + num_hops + 2] == (num_hops + 2) * [None]  # it lasts, and a hop might be a closed /t/
    assert found[10 + num_hops + 2 :] == 3 * [True]


def test_a_longer_sound_does_not_pass():
    found = verdicts(10 * [QUIET] + 11 * [WORD] + 8 * [QUIET])
    assert found[19] is None and found[20:] == 9 * [False]


@pytest.mark.parametrize(("pause", "passes"), [(2, False), (3, True)])
def test_quiet_before_a_word_must_last(pause, passes):
    levels = 10 * [QUIET] + 9 * [WORD] + pause * [QUIET] + 6 * [WORD] + 3 * [QUIET]
    assert verdicts(levels)[-1] is passes
    assert verdicts(levels, before_ms=100 * pause)[-1] is True
    assert verdicts(levels, before_ms=100 * pause + 100)[-1] is False


@pytest.mark.parametrize(("level", "passes"), [(-36.0, True), (-34.0, False)])
def test_what_is_quiet_is_relative_to_the_word(level, passes):
    """The tail of a word in a room, 15 dB below it."""
    assert verdicts(10 * [QUIET] + 8 * [WORD] + 8 * [level])[-1] is passes


def test_steady_noise_is_quiet(rng):
    noise = -35 + rng.uniform(-2, 2, 60)
    assert verdicts([*noise, *6 * [WORD], *noise[:3]])[-1] is True
    assert verdicts(noise) == 60 * [True]  # nothing stands out: the gate is open


def test_a_louder_sentence_a_second_ago_hides_no_word():
    levels = 30 * [QUIET] + 25 * [WORD + 25] + 12 * [QUIET] + 5 * [WORD] + 3 * [QUIET]
    found = verdicts(levels)
    assert found[54] is False and found[-1] is True


def test_a_new_stream_may_begin_with_a_word():
    gate = SpokenAlone(100)
    for level in 40 * [WORD]:
        gate.update(level)
    gate.reset()
    assert [gate.update(level) for level in 4 * [WORD] + 3 * [QUIET]][-1] is True


def test_nothing_is_reported_before_it_is_known_to_be_alone():
    trigger = Trigger(("yes", "no"), ("yes",), threshold=0.5)
    verdicts_of_hops = [None, None, False, None, True, True]
    found = [
        trigger.step(number / 10, np.array([0.9, 0.1]), is_alone=is_alone)
        for number, is_alone in enumerate(verdicts_of_hops)
    ]
    assert [detection is not None for detection in found] == [False, False, False, False, True, False]


def test_a_recogniser_reports_words_alone_and_on_request_those_in_sentences(rng):
    quiet = np.zeros(16_000, "float32")
    alone = sentence(["yes", "no"], rng)
    run_on = np.concatenate([quiet, tone("unknown", 0.7), tone("yes", 0.9), tone("unknown", 0.7), quiet])
    stream = np.concatenate([alone, run_on])
    gated = tone_recogniser().process(stream)
    assert [detection.label for detection in gated] == ["yes", "no"]
    everywhere = tone_recogniser(in_sentences=True).process(stream)
    assert [detection.label for detection in everywhere] == ["yes", "no", "yes"]
    for early, late in zip(everywhere, gated, strict=False):
        assert 0 <= late.time_s - early.time_s <= 0.7
