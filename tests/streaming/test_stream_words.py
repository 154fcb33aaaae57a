"""Recogniser of a stream: how sound is cut changes nothing, a word is one detection, and quiet costs nothing."""

import subprocess
import sys

import numpy as np
import pytest
from fakes import EVENTS, VOCABULARY, Tones, sentence, tone, tone_recogniser
from scipy.signal import lfilter

from kaggle_speech import audio
from kaggle_speech.data.clips import index_clips
from kaggle_speech.inference import load
from kaggle_speech.labels import COMMANDS, COMPETITION_LABELS
from kaggle_speech.models import pretrained
from kaggle_speech.streaming.chunks import RingBuffer, VoiceActivity, level_dbfs
from kaggle_speech.streaming.words import StreamingRecogniser, Trigger, score_labels


def labels(detections):
    return [detection.label for detection in detections]


def test_ring_buffer_keeps_the_last_samples(rng):
    ring, heard = RingBuffer(50), np.zeros(50, "float32")
    for _ in range(200):
        part = rng.standard_normal(rng.integers(0, 120)).astype("float32")
        ring.append(part)
        heard = np.concatenate([heard, part])[-50:]
        for num_samples in (1, 20, 50):
            np.testing.assert_array_equal(ring.latest(num_samples), heard[-num_samples:])


def test_level_of_a_sine_is_three_decibels_below_its_peak():
    assert level_dbfs(tone("yes", 1, level=1.0)) == pytest.approx(-3.01, abs=0.01)
    assert level_dbfs(np.zeros(100)) == level_dbfs(np.zeros(0)) == -100


@pytest.mark.parametrize("seed", range(12))
def test_cuts_change_nothing(seed):
    rng = np.random.default_rng(seed)
    waveform, heard = sentence(["yes", "unknown", "no", "yes"], rng), tone_recogniser()
    whole = heard.process(waveform)
    probabilities, asked = heard.probabilities, heard.num_asked
    assert labels(whole) == ["yes", "no", "yes"]
    heard.reset()
    longest, parts, start = rng.choice([7, 200, 1600, 5000, 50_000]), [], 0
    while start < len(waveform):
        num_samples = int(rng.integers(0, longest + 1))
        parts += heard.process(waveform[start : start + num_samples])
        start += num_samples
    assert parts == whole
    np.testing.assert_array_equal(heard.probabilities, probabilities)
    assert heard.num_asked == asked
    assert heard.time_s == len(waveform) / audio.SAMPLE_RATE
    np.testing.assert_array_equal(heard.latest(), waveform[-48_000:])


@pytest.mark.parametrize("shift", [0, 333, 1599])
def test_detections_are_within_a_hop_of_all_windows_at_once(shift, rng):
    """Every window in one batch, SciPy's filter, the first hop that is due; no ring, no chunks, no activity."""
    waveform = sentence(["yes", "no", "unknown", "yes"], rng)
    hop, smoothing, threshold = 1600, 0.7, 0.5
    padded = np.concatenate([np.zeros(audio.CLIP_SAMPLES, "float32"), waveform])
    windows = np.lib.stride_tricks.sliding_window_view(padded, audio.CLIP_SAMPLES)[hop::hop]
    heard = Tones().predict_on_batch(windows)
    rest, best = heard[:, 2:].sum(axis=1, keepdims=True), heard[:, :2].max(axis=1, keepdims=True)
    scores = 1 / (1 + np.sqrt(np.concatenate([rest, rest, best, best], axis=1) / heard))
    smoothed = lfilter([1 - smoothing], [1, -smoothing], scores, axis=0)
    expected, is_armed = [], True
    for number in range(1, len(smoothed)):
        leaders = smoothed[number - 1 : number + 1].argmax(axis=1)
        is_over = (smoothed[number - 1 : number + 1].max(axis=1) >= threshold).all() and leaders[0] == leaders[1]
        if is_over and leaders[0] < 2 and is_armed:
            expected.append(((number + 1) * hop / audio.SAMPLE_RATE, VOCABULARY[leaders[0]]))
            is_armed = False
        is_armed = is_armed or smoothed[number, :2].max() < threshold / 2
    shifted = np.concatenate([np.zeros(shift, "float32"), waveform])
    found = tone_recogniser(smoothing=smoothing, threshold=threshold, in_sentences=True).process(shifted)
    assert labels(found) == [label for _, label in expected] == ["yes", "no", "yes"]
    for detection, (time_s, _) in zip(found, expected, strict=True):
        assert abs(detection.time_s - shift / audio.SAMPLE_RATE - time_s) <= 0.1 + 1e-9


def test_integers_are_heard_as_floats(rng):
    integers = np.rint(32_768 * sentence(["yes", "no"], rng)).astype("int16")
    assert tone_recogniser().process(integers) == tone_recogniser().process(integers / np.float32(32_768))
    assert tone_recogniser().process(integers) == tone_recogniser().process(integers / 32_768.0)


def test_a_word_is_reported_once_however_long_it_is(rng):
    long_word = np.concatenate([np.zeros(16_000, "float32"), tone("yes", 4.0), np.zeros(32_000, "float32")])
    (found,) = tone_recogniser(in_sentences=True).process(long_word)
    assert found.label == "yes" and 1.0 < found.time_s < 2.0 and found.confidence >= 0.55


def test_scores_are_odds_against_what_is_not_reported(rng):
    probabilities = rng.dirichlet(np.ones(5))
    is_event = np.array([True, True, False, False, True])
    scores = score_labels(probabilities, is_event)
    odds = (scores / (1 - scores)) ** 2
    np.testing.assert_allclose(odds[is_event], probabilities[is_event] / probabilities[~is_event].sum())
    np.testing.assert_allclose(odds[~is_event], probabilities[~is_event] / probabilities[is_event].max())
    everyone = score_labels(probabilities, np.full(5, True))
    np.testing.assert_allclose((everyone / (1 - everyone)) ** 2, probabilities / (1 - probabilities))
    np.testing.assert_array_equal(score_labels(np.array([0.0, 0, 0, 1, 0]), is_event), [0, 0, 0, 1, 0])
    assert (score_labels(np.zeros(5), is_event) == 0).all()


def run_trigger(rows, **options):
    """Detections of rows of (label, probability), a row every 100 ms."""
    trigger = Trigger(VOCABULARY, EVENTS, **{"threshold": 0.5, **options})
    found = []
    for number, (label, value) in enumerate(rows):
        probabilities = np.full(4, (1 - value) / 3)
        probabilities[VOCABULARY.index(label)] = value
        found.append(trigger.step(number / 10, probabilities))
    return [(round(10 * detection.time_s), detection.label) for detection in found if detection]


def test_trigger_rules():
    yes, no, quiet = ("yes", 0.9), ("no", 0.9), ("silence", 0.9)
    assert run_trigger([yes, yes, yes]) == [(1, "yes")]
    assert run_trigger([yes, quiet, yes, quiet]) == []  # never two hops in a row
    assert run_trigger([yes, no, yes, no], min_hops=1) == [(0, "yes")]  # 500 ms between two
    assert run_trigger([yes, yes, *6 * [no]]) == [(1, "yes"), (6, "no")]
    assert run_trigger([yes, yes, *6 * [("yes", 0.3)], yes, yes]) == [(1, "yes")]  # above half of the threshold
    assert run_trigger([yes, yes, *6 * [quiet], yes, yes]) == [(1, "yes"), (9, "yes")]
    assert run_trigger([yes, yes, quiet, yes, yes], min_gap_ms=100) == [(1, "yes"), (4, "yes")]
    assert run_trigger(10 * [("unknown", 0.9)]) == run_trigger(10 * [quiet]) == []
    assert run_trigger([("yes", 0.6)] * 3, threshold=0.7) == []


def test_threshold_can_be_changed_while_it_runs():
    trigger, probabilities = Trigger(VOCABULARY, EVENTS, threshold=0.95), np.array([0.6, 0.2, 0.1, 0.1])
    assert not any(trigger.step(number / 10, probabilities) for number in range(5))
    trigger.threshold = 0.5
    first, second, third = (trigger.step(number / 10, probabilities) for number in (5, 6, 7))
    assert first is None and second[:3] == (0.6, "yes", 0.6) and third is None
    heard = tone_recogniser()
    heard.threshold = 0.3
    assert heard.threshold == heard.trigger.threshold == 0.3
    for threshold in (0.0, 0.09, 0.995, np.nan):
        with pytest.raises(ValueError, match=r"`threshold` must be from 0.1 to 0.99"):
            heard.threshold = threshold
    assert heard.threshold == 0.3


class RejectNo:
    """As `Recogniser.answers`, which doubts every `no`."""

    def __init__(self):
        self.asked = set()

    def __call__(self, probabilities):
        self.asked.add(probabilities.shape)
        best = np.array(VOCABULARY)[probabilities.argmax(axis=1)]
        return np.where(best == "no", "unknown", best), np.full(len(best), 0.123)


def test_rejection_has_the_last_word(rng):
    answers = RejectNo()
    (detection,) = tone_recogniser(answers=answers).process(sentence(["no", "yes"], rng))
    assert detection.label == "yes" and 0.3 <= detection.confidence <= 1  # smoothed, not the 0.123 of the answer
    assert answers.asked == {(1, 4)}


def test_quiet_does_not_ask_the_model(rng):
    heard = tone_recogniser()
    num_calls = heard.model.num_calls
    heard.process(np.zeros(160_000, "float32"))
    assert heard.num_hops == 100 and heard.num_asked == 0 and not heard.is_active
    assert heard.model.num_calls == num_calls
    assert heard.probabilities.tolist() == [0, 0, 1, 0]
    always = tone_recogniser(skip_silence=False)
    always.process(np.zeros(16_000, "float32"))
    assert always.num_asked == 10 and always.is_active


def test_floor_follows_steady_noise_and_words_stand_out_of_it(rng):
    noise = (0.02 * rng.standard_normal(60 * 16_000)).astype("float32")
    heard = tone_recogniser()
    heard.process(noise[: 30 * 16_000])
    asked = heard.num_asked
    heard.process(noise[30 * 16_000 :])
    assert heard.num_asked == asked
    assert heard.activity.floor_dbfs == pytest.approx(level_dbfs(noise), abs=1)
    assert labels(heard.process(sentence(["yes", "no"], rng, noise=0.02))) == ["yes", "no"]


def test_floor_falls_at_once_and_rises_slowly():
    activity = VoiceActivity(100, margin_db=6, rise_db_per_s=3, hangover_ms=300)
    for _ in range(100):
        activity.update(-40)
    assert activity.floor_dbfs == -40 and not activity.is_active
    assert activity.update(-20) and activity.floor_dbfs == pytest.approx(-39.7)
    assert [activity.update(-50) for _ in range(3)] == [True, True, False]
    assert activity.floor_dbfs == -50
    activity.update(-90)
    assert activity.floor_dbfs == -65


def test_lost_samples_move_the_clock(rng):
    waveform, heard = sentence(["yes", "no"], rng), tone_recogniser()
    first, second = heard.process(waveform)
    heard.reset()
    middle = round(1.3 * first.time_s * 16_000)
    found = heard.process(waveform[:middle])
    heard.skip(8_000)
    found += heard.process(waveform[middle:])
    assert found == [first, second._replace(time_s=found[1].time_s)]
    assert found[1].time_s == pytest.approx(second.time_s + 0.5)


def test_a_stream_shorter_than_a_hop_and_a_word_at_its_end(rng):
    heard = tone_recogniser()
    assert heard.process(np.zeros(0, "float32")) == heard.process(tone("yes", 0.01)) == []
    assert heard.num_hops == 0 and heard.finish() == []
    heard.reset()
    cut_off = np.concatenate([np.zeros(16_000, "float32"), tone("yes", 0.3)])
    assert heard.process(cut_off) == [] and labels(heard.finish()) == ["yes"]


def test_bad_chunks_are_refused_and_leave_no_trace(rng):
    waveform, heard = sentence(["yes", "no"], rng), tone_recogniser()
    expected = tone_recogniser().process(waveform)
    broken = waveform.copy()
    broken[[5, 7000]] = np.nan, np.inf
    found = heard.process(waveform[:30_000])
    for chunk, rule in {
        "`chunk` must be finite. Received: 2 samples": broken,
        r"`chunk` must be mono, of shape \(samples,\). Received: shape=\(100, 2\)": np.zeros((100, 2), "float32"),
        r"`chunk` must be mono.* shape=\(\)": 0.5,
        "`chunk` must be float in .* or int16. Received: dtype=int32": np.zeros(100, "int32"),
        "Received: dtype=uint8": np.zeros(100, "uint8"),
        "Received: dtype=object": np.array(["a", None], object),
    }.items():
        with pytest.raises(ValueError, match=chunk):
            heard.process(rule)
    assert found + heard.process(waveform[30_000:]) == expected


class FixedLength:
    """As an exported model with a fixed input."""

    def predict_on_batch(self, waveform):
        if waveform.shape != (1, 8000):
            raise RuntimeError(f"Got invalid dimensions for input: {waveform.shape}")
        return np.ones((1, 4)) / 4


def test_bad_options_and_models():
    with pytest.raises(ValueError, match=r"`hop_ms` must be from 10 to 1000. Received: hop_ms=5"):
        tone_recogniser(hop_ms=5)
    for smoothing in (-0.1, 1.0):
        with pytest.raises(ValueError, match="`smoothing` must be at least 0 and below 1"):
            tone_recogniser(smoothing=smoothing)
    with pytest.raises(ValueError, match="`threshold` must be from"):
        tone_recogniser(threshold=55)
    with pytest.raises(ValueError, match=r"`vocabulary` must hold the labels to report.* without \['up', 'down'"):
        StreamingRecogniser(Tones(), VOCABULARY)
    with pytest.raises(ValueError, match=r"`vocabulary` must have a label for each output.* 12 labels, \(4,\) outputs"):
        StreamingRecogniser(Tones(), COMPETITION_LABELS)
    with pytest.raises(ValueError, match=r"`model` must take waveforms of 16000 samples. Received: Got invalid"):
        StreamingRecogniser(FixedLength(), VOCABULARY, events=EVENTS)


def test_no_tensorflow():
    code = "import sys; from kaggle_speech.inference import load;"
    code += "from kaggle_speech.streaming import runner, sources, words; load.load();"
    code += "assert not {'tensorflow', 'keras', 'sounddevice'} & {*sys.modules}"
    pytest.importorskip("onnxruntime", reason="the engine that needs no TensorFlow")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_real_commands_are_heard(real_dir):
    """A validation clip of each command, a second apart."""
    pytest.importorskip("onnxruntime", reason="runs the pretrained model")
    engine = load.load_recogniser(pretrained.PRETRAINED_DIR)
    clips_df = index_clips(real_dir)
    val_df = clips_df[clips_df["split"] == "val"].groupby("word").nth(3).set_index("word")
    clips = [audio.read_clip(val_df["path"][word]) for word in COMMANDS]
    waveform = np.concatenate([np.pad(clip, (0, 16_000)) for clip in clips])
    found = StreamingRecogniser(engine.model, engine.vocabulary).process(waveform)
    right = [detection for detection in found if COMMANDS[int(detection.time_s // 2)] == detection.label]
    assert len(right) >= 8 and len(found) <= 11
