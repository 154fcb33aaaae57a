"""Synthetic streams and scores: words, times and detections, counted by hand."""

import numpy as np
import pandas as pd
import pytest
from fakes import EVENTS, VOCABULARY, Tones, tone, tone_recogniser

from kaggle_speech import audio
from kaggle_speech.audio import write_wav
from kaggle_speech.cli.main import main
from kaggle_speech.plots import streams
from kaggle_speech.streaming import made_streams
from kaggle_speech.streaming.made_streams import Utterance
from kaggle_speech.streaming.scores import replay, score_detections, stream_evaluate, trace_stream
from kaggle_speech.streaming.words import Detection, StreamingRecogniser


@pytest.fixture
def clips_df(tmp_path, rng):
    """Clips of two commands and a word that is none, half a second long and a second in all."""
    rows = []
    for word in ("yes", "no", "bed"):
        for number in range(4):
            clip = 1e-4 * rng.standard_normal(16_000)
            clip[4000:12_000] += tone("unknown" if word == "bed" else word, level=rng.uniform(0.05, 0.5))
            rows.append((str(tmp_path / f"{word}_{number}.wav"), word))
            write_wav(rows[-1][0], clip)
    return pd.DataFrame(rows, columns=["path", "word"])


@pytest.fixture
def regions(rng):
    """Steady noise, and noise that comes and goes."""
    return [rng.standard_normal(32_000).astype("float32"), np.repeat(rng.standard_normal(50), 500).astype("float32")]


def test_span_of_a_word(rng):
    clip = 0.001 * rng.standard_normal(16_000)
    clip[5000:9000] += 0.3 * rng.standard_normal(4000)
    first, end = made_streams.sounding_span(clip)
    assert abs(first - 5000) <= 320 and abs(end - 9000) <= 320
    assert made_streams.sounding_span(np.zeros(16_000)) == (0, 16_000)
    loud_first, loud_end = made_streams.sounding_span(rng.standard_normal(16_000))
    assert loud_first < 1600 and loud_end > 14_400


def test_streams_are_what_they_say(clips_df, regions):
    duration_s, snr_db = 200, 15
    whole, utterances = zip(*made_streams.stream_pieces(clips_df, regions, snr_db, duration_s, seed=3), strict=True)
    noise = [
        piece for piece, _ in made_streams.stream_pieces(clips_df, regions, snr_db, duration_s, 3, has_words=False)
    ]
    lengths_s = np.array([len(piece) for piece in whole]) / 16_000
    assert duration_s <= lengths_s.sum() < duration_s + 4 and lengths_s.min() >= 2 and lengths_s.max() <= 4
    kinds = pd.Series(["none" if found is None else found.word for found in utterances]).value_counts()
    assert set(kinds.index) == {"none", "yes", "no", "bed"} and kinds["none"] > 10
    starts_s = np.cumsum(lengths_s) - lengths_s
    for piece, start_s, found in zip(whole, starts_s, utterances, strict=True):
        if found:
            assert found.start_s - start_s == pytest.approx(0.25, abs=0.03)
            assert found.end_s - start_s == pytest.approx(0.75, abs=0.03)
            # A tone and noise below it: what is louder while the word sounds, than after it.
            first, end = (round((at - start_s) * 16_000) for at in (found.start_s, found.end_s))
            assert np.mean(piece[first:end] ** 2) > np.mean(piece[16_000:] ** 2)
    power_db = 10 * np.log10(np.mean(np.concatenate(noise) ** 2))
    assert power_db == pytest.approx(made_streams.WORD_LEVEL_DBFS - snr_db, abs=1)
    again = [piece for piece, _ in made_streams.stream_pieces(clips_df, regions, snr_db, duration_s, seed=3)]
    np.testing.assert_array_equal(np.concatenate(again), np.concatenate(whole))
    other = next(made_streams.stream_pieces(clips_df, regions, snr_db, duration_s, seed=4))
    assert len(other[0]) != len(whole[0])


def test_word_level_is_that_while_it_sounds(clips_df):
    for path in clips_df["path"]:
        clip, first, end = made_streams.level_clip(audio.read_clip(path))
        assert 10 * np.log10(np.mean(clip[first:end] ** 2)) == pytest.approx(made_streams.WORD_LEVEL_DBFS, abs=0.01)
        assert clip[0] == clip[-1] == 0


def test_streams_need_commands_words_and_noise(clips_df, regions):
    for frame, noise in ((clips_df[:8], regions), (clips_df[8:], regions), (clips_df, [])):
        with pytest.raises(ValueError, match="`clips_df` must hold commands and other words, `regions` recordings"):
            next(made_streams.stream_pieces(frame, noise, 10, 1))


def test_scores_by_hand():
    utterances = [
        *(Utterance("yes", 1.0, 1.5), Utterance("no", 4.0, 4.5), Utterance("bed", 7.0, 7.5)),
        *(Utterance("yes", 9.0, 9.5), Utterance("cat", 10.0, 10.5)),
    ]
    detections = [
        Detection(0.5, "yes", 1),  # noise, before all words
        Detection(1.4, "yes", 1),  # a hit before the end of the word
        Detection(2.4, "yes", 1),  # the same word again
        Detection(3.0, "yes", 1),  # noise: the word is over for more than a second
        Detection(4.6, "go", 1),  # wrong
        Detection(4.9, "no", 1),  # and right
        Detection(7.3, "up", 1),  # another word taken for a command, twice, which is one word
        Detection(7.9, "on", 1),
        Detection(10.1, "yes", 1),  # put down to the word that began last
    ]
    scores = score_detections(detections, utterances, 20.0)
    assert scores.pop("latencies_s") == pytest.approx([-0.1, 0.4])
    assert scores.pop("noise_s") == pytest.approx(20 - 3 * 1.5 - 1.0 - 1.5)
    assert scores == {
        **{"num_commands": 3, "num_unknown": 2, "num_hits": 2, "num_wrong": 1, "num_repeated": 1},
        **{"num_accepted": 2, "num_noise_alarms": 2},
    }
    nothing = score_detections([Detection(1, "yes", 1)], [], 60.0)
    assert nothing["num_noise_alarms"] == 1 and nothing["noise_s"] == 60


def test_a_replay_is_what_the_recogniser_itself_reports(clips_df, regions):
    pieces = list(made_streams.stream_pieces(clips_df, regions, 0, 60, seed=1))
    heard = tone_recogniser()
    trace = trace_stream(heard, pieces)
    assert trace.detections and replay(trace, heard.trigger, heard.threshold) == trace.detections
    assert len(trace.times_s) == len(trace.scores) == len(trace.probabilities) == heard.num_hops
    for threshold in (0.1, 0.9, 0.95):
        other = tone_recogniser(threshold=threshold)
        expected = other.process(np.concatenate([piece for piece, _ in pieces]))
        assert replay(trace, heard.trigger, threshold) == expected
    assert heard.threshold == 0.55


def test_evaluation_of_a_recogniser_that_is_always_right(clips_df, regions):
    curve_df = stream_evaluate(
        tone_recogniser(in_sentences=True),
        clips_df,
        regions,
        snr_db=(30, 20),
        hours=0.03,
        seed=2,
        thresholds=(0.5,),
        progress=False,
    )
    assert list(curve_df["snr_db"]) == [30, 30, 20, 20] and list(curve_df["threshold"]) == [0.5, 0.55, 0.5, 0.55]
    assert list(curve_df["is_default"]) == [False, True, False, True]
    assert (curve_df["hit_rate"] == 1).all() and (curve_df["num_commands"] > 5).all()
    for name in ("wrong_word_rate", "unknown_accept_rate", "unknown_alarms_per_hour", "noise_alarms_per_hour"):
        assert (curve_df[name] == 0).all()
    assert curve_df["latency_median_ms"].between(-500, 300).all()
    assert (curve_df["noise_hours"] > curve_df["hours"]).all()
    with pytest.raises(ValueError, match="`hours` must be above 0"):
        stream_evaluate(tone_recogniser(), clips_df, regions, hours=0)


class Deaf(Tones):
    """Says `yes` to everything that sounds."""

    def predict_on_batch(self, waveform):
        return np.tile(np.array([0.9, 0.05, 0.03, 0.02], "float32"), (len(waveform), 1))


def test_evaluation_of_a_recogniser_that_always_says_yes(clips_df, regions):
    deaf = StreamingRecogniser(Deaf(), VOCABULARY, events=EVENTS, threshold=0.55)
    options = {"snr_db": (20,), "hours": 0.05, "thresholds": (0.95,), "progress": False}
    always_df = stream_evaluate(deaf, clips_df, regions, **options).set_index("threshold")
    assert always_df["hit_rate"][0.95] == always_df["unknown_accept_rate"][0.95] == 0
    assert np.isnan(always_df["latency_median_ms"][0.95])
    row = always_df.loc[0.55]
    assert row["unknown_accept_rate"] > 0.5 and row["wrong_word_rate"] > 0 and row["hit_rate"] > 0
    expected = row["unknown_accept_rate"] * row["num_unknown"] / row["hours"]
    assert row["unknown_alarms_per_hour"] == pytest.approx(expected)


def test_curve_shows_both_kinds_of_alarms(clips_df, regions):
    rows = {"snr_db": [20, 20], "threshold": [0.5, 0.9], "is_default": [True, False], "hit_rate": [0.9, 0.8]}
    rows |= {"unknown_alarms_per_hour": [20.0, 5.0], "noise_alarms_per_hour": [1.0, 0.0]}
    curve_df = pd.DataFrame(rows | {"hours": 2.0, "noise_hours": 4.0})
    ax = streams.plot_stream_curve(curve_df, min_hit_rate=0.84, max_alarms_per_hour=24)
    words, _, noise, _, *limits = ax.get_lines()
    np.testing.assert_array_equal(words.get_xydata(), [[20, 90], [5, 80]])
    np.testing.assert_array_equal(noise.get_xydata(), [[1, 90], [0.125, 80]])
    assert [limit.get_ydata()[0] for limit in limits[:1]] == [84] and limits[1].get_xdata()[0] == 24
    ax.figure.clear()


def test_commands(real_dir, tmp_path, capsys):
    pytest.importorskip("onnxruntime", reason="runs the pretrained model")
    arguments = ["--data", real_dir, "--hours", "0.01", "--snr-db", "20", "--out", tmp_path / "out"]
    assert main(["stream-evaluate", *map(str, arguments)]) == 0
    curve_df = pd.read_csv(tmp_path / "out" / "stream.csv")
    assert curve_df["is_default"].sum() == 1 and (tmp_path / "out" / "stream.png").stat().st_size > 10_000
    assert "hit_rate" in capsys.readouterr().out
