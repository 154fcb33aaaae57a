"""Streaming transcriber: overlapping windows give the text of one long window, however the sound is cut."""

import functools
import itertools
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kaggle_speech.audio import AudioError, read_audio
from kaggle_speech.data import splits, utterances
from kaggle_speech.evaluation.transcripts import transcript_metrics
from kaggle_speech.inference import load
from kaggle_speech.models import pretrained
from kaggle_speech.streaming.runner import StreamRunner
from kaggle_speech.streaming.sources import AudioFile, Samples
from kaggle_speech.streaming.transcripts import (
    LIVE_WINDOWS,
    PartialTranscript,
    StreamingTranscriber,
    Windows,
    transcribe_source,
)
from kaggle_speech.text.alphabet import ALPHABET, text_to_indices
from kaggle_speech.text.decoders import BeamDecoder, decode

STEP = 400
TEXT = "it's a long way to the end of the street said the baker and went on"


class Levels:
    """Hears the level of the sound: 0.01 is a space, 0.02 an apostrophe, and so on; nothing is blank.

    Within 0.4 s of the ends of what it is given it hears nonsense, as a network may, but not at the ends of the stream,
    where the sound fades in and out.
    """

    def __init__(self):
        self.num_calls, self.longest = 0, 0

    def predict_on_batch(self, inputs):
        (waveform,), (num_samples,) = inputs["waveform"], inputs["num_samples"]
        assert len(waveform) == num_samples
        self.num_calls, self.longest = self.num_calls + 1, max(self.longest, num_samples)
        num_frames = 1 + num_samples // STEP
        level = np.abs(np.append(waveform, 0))[::STEP][:num_frames]
        index = np.rint(100 * level).astype(int)
        for end, edge in ((0, slice(0, 16)), (-1, slice(-16, None))):
            if abs(waveform[end]) > 1e-9:
                index[edge] = 28
        frames = np.full((1, num_frames, len(ALPHABET)), -20.0)
        frames[0, np.arange(num_frames), index] = -1e-6
        return frames


def spoken(text):
    """75 ms of the level of each character, and 75 ms of nothing after it; a fade of 1e-10 tells the ends."""
    levels = np.repeat([level for index in text_to_indices(text) for level in (index / 100, 1e-6)], 3 * STEP)
    silence = np.full(8_000, 1e-6)
    silence[0] = 0
    return np.concatenate([silence, levels, silence[::-1]]).astype("float32")


def pieces(waveform, size):
    return [waveform[start : start + size] for start in range(0, len(waveform), size)]


@pytest.mark.parametrize("windows", [Windows(), LIVE_WINDOWS, Windows(0.6, 0.025, 0.6), Windows(1, 100, 1)])
@pytest.mark.parametrize("chunk_samples", [317, 16_000, 10**6])
def test_however_it_is_cut_it_reads_as_a_whole(windows, chunk_samples):
    waveform = spoken(TEXT)
    stream = StreamingTranscriber(Levels(), STEP, windows=windows)
    heard = [heard for chunk in pieces(waveform, chunk_samples) for heard in stream.process(chunk)]
    (last,) = stream.finish()
    whole = Levels().predict_on_batch({"waveform": waveform[None], "num_samples": [len(waveform)]})
    assert last == PartialTranscript(len(waveform) / 16_000, TEXT, "") and decode(whole[0]) == TEXT
    assert stream.decoder.num_frames == whole.shape[1]
    for before, after in itertools.pairwise([*heard, last]):
        assert after.settled.startswith(before.settled) and after.time_s >= before.time_s


def test_what_is_tentative_settles():
    stream = StreamingTranscriber(Levels(), STEP, windows=Windows(1, 0.5, 1))
    heard = stream.process(spoken(TEXT))
    assert any(one.tentative for one in heard)
    for one in heard:  # the last characters of a window are nonsense, but not those a little before
        assert (one.settled + one.tentative).rstrip("z")[:-1] in TEXT


def test_a_beam_settles_too():
    make_decoder = functools.partial(BeamDecoder, 4)
    stream = StreamingTranscriber(Levels(), STEP, make_decoder)
    for _ in range(2):
        stream.reset()
        stream.process(spoken(TEXT))
        assert stream.finish()[-1].settled == TEXT


def test_words_have_times():
    stream = StreamingTranscriber(Levels(), STEP)
    stream.process(spoken("go up"))
    stream.finish()
    (start, end, word), (_, last, other) = stream.words
    assert (word, other) == ("go", "up")
    assert start == pytest.approx(0.5, abs=0.03) and end == pytest.approx(0.5 + 0.15, abs=0.05)
    assert last == pytest.approx(0.5 + 4 * 0.15, abs=0.05)


def test_windows_stay_short_and_sound_is_forgotten():
    model = Levels()
    stream = StreamingTranscriber(model, STEP, windows=Windows(1, 2, 0.5))
    for chunk in pieces(np.tile(spoken(TEXT), 20), 16_000):
        stream.process(chunk)
        assert sum(map(len, stream._chunks)) <= (1 + 2 + 0.5) * 16_000
    assert model.longest <= (1 + 2 + 0.5) * 16_000
    assert model.num_calls == pytest.approx(stream.time_s / 2, abs=1)


@pytest.mark.parametrize("num_samples", [0, 1, 100, 1600])
def test_hardly_anything(num_samples):
    stream = StreamingTranscriber(Levels(), STEP)
    assert stream.process(np.zeros(num_samples, "float32")) == []
    assert [one.settled for one in stream.finish()] == [""] * (num_samples > 0)


def test_files_of_any_format_and_length(tmp_path):
    for name, num_times in (("short.flac", 1), ("long.wav", 4)):
        soundfile.write(tmp_path / name, np.tile(spoken(TEXT), num_times), 16_000, subtype="PCM_24")
        text, words = transcribe_source(StreamingTranscriber(Levels(), STEP), AudioFile(tmp_path / name))
        assert text == TEXT * num_times and len(words) == len((TEXT * num_times).split())


class Babbler:
    """Hears a letter for sure every half second, and wavers between two of them after it."""

    def predict_on_batch(self, inputs):
        num_frames = 1 + inputs["num_samples"][0] // STEP
        frames = np.full((num_frames, len(ALPHABET)), -20.0)
        frames[:, 0] = -1e-6
        frames[::20, 0], frames[::20, 3] = -20.0, -1e-6
        frames[1::20, [0, 4, 5]] = np.log([0.1, 0.5, 0.4])
        return frames[None]


def memory_of_transcription(path):
    """Megabytes of this process each time that another minute was heard, and the length of the text."""
    stream, megabytes = StreamingTranscriber(Babbler(), STEP, functools.partial(BeamDecoder, 4)), []
    process = stream.process

    def watch(chunk):
        process(chunk)
        if stream.time_s % 60 == 0:
            num_pages = int(Path("/proc/self/statm").read_text().split()[1])
            megabytes.append(num_pages * os.sysconf("SC_PAGE_SIZE") / 1e6)

    stream.process = watch
    text, _ = transcribe_source(stream, AudioFile(path, chunk_ms=1000))
    return megabytes, len(text)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells the memory of a process so")
def test_memory_stays_flat(tmp_path):
    """An hour of sound is 230 MB in float32, and is not all there at once: in a process of its own, new to it."""
    with soundfile.SoundFile(tmp_path / "hour.flac", "w", 16_000, 1) as file:
        for _ in range(60):
            file.write(np.zeros(60 * 16_000, "float32"))
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        megabytes, num_characters = pool.submit(memory_of_transcription, tmp_path / "hour.flac").result()
    assert len(megabytes) >= 60 and num_characters > 7_000
    assert max(megabytes) - megabytes[0] < 20


@pytest.mark.parametrize("windows", [Windows(), LIVE_WINDOWS])
def test_windows_of_real_speech_cost_little(windows, speech_dir):
    if not (pretrained.TRANSCRIBER_DIR / "model.onnx").exists():
        pytest.skip("needs the published model: the package has none that makes transcripts")
    transcriber = load.load_transcriber()
    utterances_df = splits.split_speakers(utterances.index_utterances(speech_dir, progress=False)[0])
    long_df = utterances_df[utterances_df["split"] == "val"].sort_values("num_samples", ascending=False)
    chosen_df = long_df.groupby("speaker").head(1).head(3)
    pause = np.zeros(round(0.3 * 16_000), "float32")
    waveform = np.concatenate([part for path in chosen_df["path"] for part in (read_audio(path), pause)])
    stream = StreamingTranscriber(transcriber.model, transcriber.output_step, windows=windows)
    stream.process(waveform)
    stream.finish()
    inputs = {"waveform": waveform[None], "num_samples": np.array([len(waveform)], "int32")}
    (whole,) = transcriber.model.predict_on_batch(inputs)
    reference = [" ".join(chosen_df["text"])]
    cer, whole_cer = (transcript_metrics(reference, [text])["cer"] for text in (stream.decoder.text, decode(whole)))
    assert cer <= whole_cer + 0.05


def test_live_is_the_same_in_threads():
    found = []
    stream = StreamingTranscriber(Levels(), STEP, windows=LIVE_WINDOWS)
    live = StreamRunner(stream, Samples(spoken(TEXT)), on_event=found.append, observe=lambda heard: heard.time_s)
    for _ in range(2):
        live.start()
        assert live.wait(30) and live.error is None
        assert found[-1].settled == TEXT and live.state == pytest.approx(len(spoken(TEXT)) / 16_000)


def test_lost_sound_keeps_the_clock():
    stream = StreamingTranscriber(Levels(), STEP)
    stream.skip(16_000)
    stream.process(spoken("go"))
    stream.finish()
    assert stream.time_s == pytest.approx(1 + len(spoken("go")) / 16_000) and stream.words[0][0] > 1.4


@pytest.mark.parametrize("gap_s", [0.3, 0.5, 2.0125, 100.0])
def test_a_gap_costs_one_window_at_most(gap_s):
    """What was said before it and after it is heard, at its time, however long it was."""
    model = Levels()
    stream = StreamingTranscriber(model, STEP, windows=LIVE_WINDOWS)
    first, second = spoken("go up"), spoken("and on")
    stream.process(first)
    num_calls = model.num_calls
    stream.skip(round(16_000 * gap_s))
    assert model.num_calls <= num_calls + 1
    stream.process(second)
    (last,) = stream.finish()
    assert last.settled.replace(" ", "") == "goupandon"
    assert stream.time_s == last.time_s == pytest.approx((len(first) + len(second)) / 16_000 + gap_s)
    if gap_s >= LIVE_WINDOWS.hop_s:  # a word does not go on over a gap
        starts = {word: start for start, _, word in stream.words}
        assert starts["and"] == pytest.approx(len(first) / 16_000 + gap_s + 0.5, abs=0.05)


def test_after_a_gap_the_stream_may_end():
    for first in (np.zeros(0, "float32"), spoken("go")):
        stream = StreamingTranscriber(Levels(), STEP, windows=LIVE_WINDOWS)
        stream.process(first)
        stream.skip(16_000)
        (last,) = stream.finish()
        assert last.settled.strip() == "go"[: len(first)] and last.time_s == pytest.approx(len(first) / 16_000 + 1)


@pytest.mark.parametrize("windows", [Windows(1, 0, 1), Windows(-1, 1, 1), Windows(1, 1, -0.5)])
def test_windows_without_anything(windows):
    with pytest.raises(ValueError, match="`windows` must have a `hop_s` above 0, and no negative margins"):
        StreamingTranscriber(Levels(), STEP, windows=windows)


def test_bad_sound_is_named(tmp_path):
    stream = StreamingTranscriber(Levels(), STEP)
    with pytest.raises(ValueError, match="`chunk` must be mono"):
        stream.process(np.zeros((2, 100), "float32"))
    with pytest.raises(FileNotFoundError, match="none"):
        transcribe_source(stream, AudioFile(tmp_path / "none.wav"))
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(AudioError, match=r"text\.wav"):
        transcribe_source(stream, AudioFile(tmp_path / "text.wav"))
