"""Running speech: streams of sentences and commands, scores counted by hand, the same traces in batches."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from fakes import EVENTS, VOCABULARY, Tones, sentence, tone, tone_recogniser
from scipy.stats import poisson

from kaggle_speech.audio import write_wav
from kaggle_speech.cli.main import main
from kaggle_speech.evaluation import intervals
from kaggle_speech.evaluation.running_speech import (
    PAUSE_S,
    Part,
    operating_points,
    running_speech_curve,
    score_running_speech,
    speech_pieces,
)
from kaggle_speech.plots import streams
from kaggle_speech.streaming.scores import replay, trace_in_batches, trace_stream
from kaggle_speech.streaming.words import Detection, StreamingRecogniser

#: Parts, detections and scores of a stream, for other implementations, too.
GOLDEN = json.loads((Path(__file__).parent / "running_speech.json").read_text())


@pytest.fixture
def clips_df(tmp_path, rng):
    """Clips of two commands, half a second of a tone each, and of another word."""
    rows = []
    for word in ("yes", "no", "bed"):
        for number in range(3):
            clip = 1e-4 * rng.standard_normal(16_000)
            clip[4000:12_000] += tone("unknown" if word == "bed" else word)
            rows.append((str(tmp_path / f"{word}_{number}.wav"), word))
            write_wav(rows[-1][0], clip)
    return pd.DataFrame(rows, columns=["path", "word"])


@pytest.fixture
def utterances_df(tmp_path, rng):
    """Sentences of three words: one without a command, one with, and one that sounds like a command."""
    texts = {"the bed is": ("unknown",) * 3, "a yes was": ("unknown", "yes", "unknown"), "guess the": ("yes",)}
    rows = []
    for number, (text, tones) in enumerate(2 * [*texts.items()]):
        path = tmp_path / f"sentence_{number}.wav"
        write_wav(path, sentence(tones, rng, pause_s=0.6))
        rows.append((str(path), text))
    return pd.DataFrame(rows, columns=["path", "text"])


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_scores_are_those_of_the_golden_file(case):
    parts = [Part(*part[:3], tuple(part[3])) for part in case["parts"]]
    detections = [Detection(*detection) for detection in case["detections"]]
    scores = score_running_speech(detections, parts)
    assert scores.pop("latencies_s") == pytest.approx(case["scores"]["latencies_s"])
    assert scores == pytest.approx({name: value for name, value in case["scores"].items() if name in scores})


def test_a_stream_is_what_its_parts_say(utterances_df, clips_df):
    pieces, parts = zip(*speech_pieces(utterances_df, clips_df, seed=1), strict=True)
    assert [bool(part.word) for part in parts] == 6 * [False, True]
    assert [part.commands for part in parts[::2]] == 2 * [(), ("yes",), ()]
    assert sorted(part.word for part in parts[1::2]) == ["no"] * 3 + ["yes"] * 3  # each clip once
    stream = np.concatenate(pieces)
    for part in parts:
        sound = stream[round(16_000 * part.start_s) : round(16_000 * part.end_s)]
        pause = stream[round(16_000 * part.end_s) + 4000 :][:8000] if part.word else np.zeros(1)
        assert 10 * np.log10(np.mean(sound**2)) == pytest.approx(-23, abs=0.5)
        assert np.abs(pause).max() < 0.01
    again = np.concatenate([piece for piece, _ in speech_pieces(utterances_df, clips_df, seed=1)])
    np.testing.assert_array_equal(stream, again)
    ends = np.array([part.end_s for part in parts])
    starts = np.array([part.start_s for part in parts])
    assert (starts[1:] - ends[:-1] >= PAUSE_S - 1e-6).all()


@pytest.mark.parametrize("options", [{}, {"hop_ms": 70, "smoothing": 0.5}, {"skip_silence": False}])
def test_a_trace_in_batches_is_that_of_one_hop_at_a_time(utterances_df, clips_df, options):
    pieces = [*speech_pieces(utterances_df, clips_df)]
    whole = trace_stream(tone_recogniser(**options), [(piece, None) for piece, _ in pieces])
    model = Tones()
    trace, parts = trace_in_batches(tone_recogniser(**options), pieces, model.predict_on_batch)
    assert parts == [part for _, part in pieces] and 0 < model.num_calls < 3
    np.testing.assert_array_equal(trace.times_s, whole.times_s)
    np.testing.assert_allclose(trace.scores, whole.scores, atol=1e-6)
    np.testing.assert_allclose(trace.probabilities, whole.probabilities, atol=1e-6)
    assert trace.fraction_asked == whole.fraction_asked
    recogniser = tone_recogniser(**options)
    found = replay(trace, recogniser.trigger, recogniser.threshold)
    assert [detection[:2] for detection in found] == [detection[:2] for detection in whole.detections]


def test_a_curve_counts_what_the_tones_say(utterances_df, clips_df):
    curve_df = running_speech_curve(tone_recogniser(), utterances_df, clips_df, thresholds=(0.3, 0.9), progress=False)
    assert list(curve_df["threshold"]) == [0.3, 0.55, 0.9] and list(curve_df["is_default"]) == [False, True, False]
    default = curve_df.iloc[1]
    assert (default["found_rate"], default["wrong_rate"], default["num_commands"]) == (1, 0, 6)
    assert (default["num_alarms"], default["num_spoken"], default["num_spoken_reported"]) == (2, 2, 2)
    assert default["alarms_low"] < default["alarms_per_hour"] < default["alarms_high"]
    assert 200 < default["latency_median_ms"] < 450  # 300 ms of quiet after the word
    ax = streams.plot_running_speech(curve_df, name="tones")
    assert ax.get_xscale() == "log" and ax.get_legend_handles_labels()[1] == ["tones"]
    ax.figure.clear()  # other tests draw on the same axes


def test_of_the_thresholds_without_alarm_the_best_is_drawn():
    curve_df = pd.DataFrame({"found_rate": [0.9, 0.8, 0.7, 0.1], "alarms_per_hour": [4.0, 2.0, 0, 0]}).assign(
        alarms_low=[3.0, 1.0, 0, 0], alarms_high=[6.0, 3.0, 1.0, 1.0], alarm_hours=2.0, is_default=[False, True] * 2
    )
    ax = streams.plot_running_speech(curve_df, plt.figure().add_subplot())
    alarms, found = ax.lines[0].get_data()
    assert list(alarms) == [4, 2, 0.25] and list(found) == pytest.approx([90, 80, 70])
    assert [text.get_text() for text in ax.texts] == ["no alarm"]
    plt.close(ax.figure)


def test_operating_points_find_most_within_a_limit():
    curve_df = pd.DataFrame(
        {"threshold": [0.1, 0.2, 0.3], "found_rate": [0.9, 0.8, 0.85], "alarms_per_hour": [9.0, 1.0, 0.5]}
    )
    points_df = operating_points(curve_df, (0, 1, 10))
    assert list(points_df["limit"]) == [1, 10] and list(points_df["threshold"]) == [0.3, 0.1]


@pytest.mark.parametrize("count", [0, 1, 7, 300])
def test_poisson_intervals_are_exact(count):
    low, high = intervals.poisson_interval(count)
    assert poisson.cdf(count, high) == pytest.approx(0.025)
    assert poisson.sf(count - 1, low) == pytest.approx(0.025) if count else low == 0


def test_bad_arguments(utterances_df, clips_df):
    recogniser = StreamingRecogniser(Tones(), VOCABULARY, events=EVENTS)
    for sentences_df, words_df in ((utterances_df.head(0), clips_df), (utterances_df, clips_df.tail(3))):
        with pytest.raises(ValueError, match=r"must hold sentences, `clips_df` commands. Received: "):
            running_speech_curve(recogniser, sentences_df, words_df, progress=False)
    with pytest.raises(ValueError, match=r"must hold sentences without a command. Received: none"):
        running_speech_curve(recogniser, utterances_df.iloc[[1]], clips_df, progress=False)


def test_the_command_writes_a_table_a_figure_and_the_operating_points(sample_dir, utterances_df, tmp_path, capsys):
    utterances_df.assign(path=utterances_df["path"].map(lambda path: Path(path).name)).to_csv(
        tmp_path / "sentences.csv", index=False
    )
    out_dir = tmp_path / "out"
    arguments = ["--model", "tc_resnet", "--data", sample_dir, "--speech", tmp_path / "sentences.csv", "--out", out_dir]
    assert main(["stream-evaluate", *map(str, arguments)]) == 0
    curve_df = pd.read_csv(out_dir / "running_speech.csv")
    assert curve_df["is_default"].sum() == 1 and (curve_df["num_commands"] == 6).all()
    points_df = pd.read_csv(out_dir / "operating_points.csv")
    assert (points_df["alarms_per_hour"] <= points_df["limit"]).all()
    assert (out_dir / "running_speech.png").stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert "6 commands between 6 sentences" in printed and "default: threshold 0.80" in printed
