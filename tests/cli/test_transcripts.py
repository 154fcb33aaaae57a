"""The commands that make transcripts, from recordings to text, and what they say of bad input."""

import functools
import gzip
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from kaggle_speech.audio import read_audio
from kaggle_speech.cli.main import main
from kaggle_speech.data.rendered import sentences
from kaggle_speech.data.utterances import index_utterances
from kaggle_speech.files import read_json
from kaggle_speech.inference import load
from kaggle_speech.inference.recogniser import Transcriber
from kaggle_speech.models import pretrained
from kaggle_speech.streaming.runner import StreamRunner
from kaggle_speech.streaming.sources import AudioFile, SourceError
from kaggle_speech.streaming.transcripts import (
    FILE_WINDOWS,
    LIVE_WINDOWS,
    PartialTranscript,
    StreamingTranscriber,
    transcribe_source,
)
from kaggle_speech.text.decoders import BeamDecoder, GreedyDecoder
from kaggle_speech.text.word_ngram import read_arpa

pytest.importorskip("espeakng_loader", reason="rendering needs the optional package espeakng-loader")

#: Seconds after which a waiting loop gives up.
DEADLINE_S = 60
TINY = "resnet_ctc,num_filters=4,num_residual_blocks=1,num_units=8,num_recurrent_blocks=1"


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    return sentences.render_sentences(tmp_path_factory.mktemp("sentences") / "new", 24, progress=False)


@pytest.fixture(scope="module")
def run(speech, tmp_path_factory):
    """A trained and exported run; some of its utterances cannot be used."""
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    chapter_dir = speech / "rendered" / "1" / "1"
    recordings = sorted(chapter_dir.glob("*.flac"))
    recordings[0].write_bytes(recordings[0].read_bytes()[:2000])
    recordings[1].rename(chapter_dir / "1-1-0099.flac")
    text = ["--data", str(speech)]
    options = ["--model", TINY, "--num-epochs", "1", "--num-val-speakers", "2"]
    assert main(["train-transcriber", *text, "--out", str(run_dir), *options]) == 0
    assert main(["export", *text, "--run", str(run_dir)]) == 0
    return run_dir


@pytest.fixture
def recordings(speech):
    return sorted(speech.glob("rendered/[2-9]/1/*.flac"))


def understood(run, path, make_decoder, windows=FILE_WINDOWS):
    """What a stream of windows and a decoder make of a file; `make_decoder` gets the language model."""
    transcriber = load.load_transcriber(run)
    make_decoder = functools.partial(make_decoder, transcriber.language_model)
    stream = StreamingTranscriber(transcriber.model, transcriber.output_step, make_decoder, windows)
    text, _ = transcribe_source(stream, AudioFile(path, chunk_ms=1000))
    assert len(text) > 10
    return stream.decoder.text


def default_decoder(language_model):
    return BeamDecoder(language_model=language_model)


def lines_of(capsys):
    return capsys.readouterr().out.splitlines()


def test_training_lists_what_it_leaves_out(run):
    left_out = pd.read_csv(run / "left_out.csv")["error"]
    assert len(left_out) == 3
    for text in ("1-1-0000.flac", "1-1-0099: audio must have a transcript", "1-1-0001: a transcript must have audio"):
        assert left_out.str.contains(text, regex=False).sum() == 1


def test_export_writes_files_and_a_report(run):
    report_df = pd.read_csv(run / "model_report.csv")
    assert list(report_df["file"].fillna("")) == ["", "model.onnx", "model_float16.onnx"]
    assert report_df["bytes"][1:].is_monotonic_decreasing and (report_df["max_difference"] < [1e-6, 1e-3, 0.1]).all()
    assert (report_df["real_time_factor"] > 0).all()


def test_transcribe_prints_a_line_a_file(run, recordings, capsys):
    files = list(map(str, recordings[:3]))
    assert main(["transcribe", "--run", str(run), *files]) == 0
    lines = lines_of(capsys)
    assert [line.partition("\t")[0] for line in lines] == files
    assert main(["transcribe", "--run", str(run), "--engine", "keras", *files]) == 0
    assert lines_of(capsys) == lines
    assert main(["transcribe", "--onnx", str(run / "model.onnx"), "--times", *files]) == 0
    timed = [line.split("\t") for line in lines_of(capsys)]
    texts = {path: " ".join(word for where, *_, word in timed if where == path) for path in files}
    assert [f"{path}\t{text}" for path, text in texts.items()] == lines
    assert all(0 <= float(start) < float(end) for _, start, end, _ in timed)


@pytest.mark.parametrize(
    ("options", "make_decoder"),
    [
        ("", default_decoder),
        ("--beam-width 1", lambda language_model: GreedyDecoder()),
        ("--beam-width 2", lambda language_model: BeamDecoder(2, language_model)),
        ("--lm-weight 0", lambda language_model: BeamDecoder()),
        ("--lm-weight 0.2", lambda language_model: BeamDecoder(language_model=language_model, lm_weight=0.2)),
    ],
)
def test_ways_to_decode(run, recordings, options, make_decoder, capsys):
    assert main(["transcribe", "--run", str(run), *options.split(), *map(str, recordings[:3])]) == 0
    texts = [line.split("\t")[1] for line in lines_of(capsys)]
    assert texts == [" ".join(understood(run, path, make_decoder).split()) for path in recordings[:3]]
    defaults = [" ".join(understood(run, path, default_decoder).split()) for path in recordings[:3]]
    assert (texts == defaults) == (options == "")


@pytest.mark.parametrize("options", [["--beam-width", "1", "--lm-weight", "0.5"], ["--lm-weight", "0.5"]])
def test_a_weight_needs_a_beam_and_a_language_model(run, recordings, options, tmp_path, capsys):
    shutil.copy(run / "model.onnx", tmp_path)
    folder = run if "--beam-width" in options else tmp_path
    assert main(["transcribe", "--run", str(folder), *options, str(recordings[0])]) == 1
    printed = capsys.readouterr()
    assert "`lm_weight` must be left out where no language model is used" in printed.err and printed.out == ""


def test_sound_of_all_kinds_and_lengths(run, recordings, tmp_path, rng, capsys):
    waveform = read_audio(recordings[0])
    files = {
        "short.wav": (waveform[:1600], 16_000),
        "long.flac": (np.tile(waveform, 1 + 35 * 16_000 // len(waveform))[: 35 * 16_000], 16_000),
        "stereo.wav": (np.stack([waveform, waveform], axis=1), 16_000),
        "music.wav": (0.1 * rng.standard_normal((44_100, 2)), 44_100),
        "silence.wav": (np.zeros(16_000), 16_000),
    }
    for name, (samples, sample_rate) in files.items():
        soundfile.write(tmp_path / name, samples, sample_rate)
    assert main(["transcribe", "--run", str(run), *(str(tmp_path / name) for name in files), str(recordings[0])]) == 0
    texts = dict(line.split("\t") for line in lines_of(capsys))
    assert len(texts) == 6 and texts[str(tmp_path / "stereo.wav")] == texts[str(recordings[0])]


def test_bad_files_are_named_and_the_others_transcribed(run, recordings, tmp_path, capsys):
    damaged = tmp_path / "damaged.flac"
    content = bytearray(recordings[0].read_bytes())
    content[len(content) // 2 : len(content) // 2 + 200] = bytes(200)
    damaged.write_bytes(content)
    (tmp_path / "text.wav").write_text("no sound")
    bad = [damaged, tmp_path / "text.wav", tmp_path / "missing.wav"]
    assert main(["transcribe", "--run", str(run), *map(str, bad), str(recordings[1])]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith(str(recordings[1])) and len(printed.out.splitlines()) == 1
    for path in bad:
        assert str(path) in printed.err


def test_live_writes_what_the_file_says(run, recordings, capsys):
    assert main(["transcribe", "--run", str(run), "--live", str(recordings[0])]) == 0
    text = understood(run, recordings[0], default_decoder, LIVE_WINDOWS)
    assert capsys.readouterr().out == text + "\n"


class Microphone:
    """Gives a waveform, then silence without a sample until nobody listens any more; or breaks."""

    name, is_live = "microphone", False

    def __init__(self, waveform, error=None):
        self.waveform = waveform
        self.error = error
        self.has_given_all = False

    def chunks(self):
        for start in range(0, len(self.waveform), 800):
            yield self.waveform[start : start + 800]
        if self.error:
            raise self.error
        for _ in range(round(DEADLINE_S / 0.01)):
            time.sleep(0.01)
            self.has_given_all = True
            yield self.waveform[:0]
        raise SourceError("nobody stopped the microphone")


def plug_in(monkeypatch, microphone):
    monkeypatch.setattr("kaggle_speech.streaming.sources.Microphone", lambda device: microphone)


def test_an_interrupt_keeps_what_was_said(run, recordings, monkeypatch, capsys):
    waveform = read_audio(recordings[0])
    interrupts = [KeyboardInterrupt]
    wait = StreamRunner.wait

    def interrupted(runner, timeout_s=None):
        if not interrupts:
            return wait(runner, timeout_s)
        deadline = time.monotonic() + DEADLINE_S
        while runner.is_running and runner.stream.time_s < len(waveform) / 16_000:
            assert time.monotonic() < deadline, "the recording was never taken in"
            time.sleep(0.01)
        raise interrupts.pop()

    monkeypatch.setattr(StreamRunner, "wait", interrupted)
    plug_in(monkeypatch, Microphone(waveform))
    assert main(["transcribe", "--run", str(run), "--live"]) == 0
    text = understood(run, recordings[0], default_decoder, LIVE_WINDOWS)
    assert not interrupts and capsys.readouterr().out == text + "\n"


def test_an_error_has_a_line_of_its_own(monkeypatch, capsys):
    plug_in(monkeypatch, Microphone(np.zeros(8000, "float32"), SourceError("the microphone is gone")))
    monkeypatch.setattr(Transcriber, "stream", lambda transcriber, **options: Speaker())
    assert main(["transcribe", "--live"]) == 1
    printed = capsys.readouterr()
    assert printed.out.endswith("\n") and printed.err == "error: the microphone is gone\n"


class Speaker:
    """Says one more character for each chunk, and always thinks that other words follow."""

    text, time_s = "the quick brown fox jumps over the lazy dog and runs away", 0.0

    def reset(self):
        self.num_chunks = 0

    def skip(self, num_samples):
        assert num_samples == 0

    def process(self, chunk):
        self.num_chunks += 1
        return [PartialTranscript(self.time_s, self.text[: self.num_chunks], " or another word")]

    def finish(self):
        return [PartialTranscript(self.time_s, self.text, "")]


def test_a_terminal_keeps_what_is_settled_and_takes_the_rest_back(recordings, monkeypatch, capsys):
    monkeypatch.setattr(Transcriber, "stream", lambda transcriber, **options: Speaker())
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "24")
    assert main(["transcribe", "--live", str(recordings[0])]) == 0
    screen, longest, seen = [""], 0, ""
    for character in re.sub(r"\x1b\[(2|0)m", "", capsys.readouterr().out).replace("\r\x1b[K", "\r"):
        screen = [*screen, ""] if character == "\n" else screen
        screen[-1] = screen[-1] + character if character not in "\r\n" else ""
        longest, seen = max(longest, len(screen[-1])), seen + character
    assert "".join(screen) == Speaker.text and longest < 24 and "or another" in seen


def test_evaluate_counts_errors(run, speech, tmp_path, capsys):
    metrics, text = read_json(run / "metrics.json")["val"], ["--data", str(speech), "--beam-width", "16"]
    rates = {way: [f"CER {found['cer']:.4f} (", f"WER {found['wer']:.4f} ("] for way, found in metrics.items()}
    for model in (["--run", str(run), "--engine", "keras"], ["--onnx", str(run / "model.onnx")]):  # the two held out
        assert main(["evaluate-transcriber", *model, *text, "--out", str(tmp_path / "texts.csv")]) == 0
        first, *lines = lines_of(capsys)
        assert first == f"{metrics['beam']['num_utterances']} utterances of 2 speakers"
        for (way, texts), line in zip(rates.items(), lines, strict=False):
            assert line.startswith(f"{way}: ") and all(text in line for text in texts)
        assert lines[3:5] == ["", "words missed most often (beam_ngram):"]
        assert sum(line.startswith("REF: ") for line in lines) == min(10, metrics["beam"]["num_utterances"])
    assert len(pd.read_csv(tmp_path / "texts.csv")) == metrics["greedy"]["num_utterances"]
    assert main(["evaluate-transcriber", "--run", str(run), *text, "--num-val-speakers", "0"]) == 0
    assert "of 8 speakers" in lines_of(capsys)[0]


def test_speakers_that_are_asked_for_are_counted_whatever_the_split(run, speech, tmp_path, capsys):
    """And the table goes into a folder that is not there yet."""
    utterances_df, _ = index_utterances(speech, progress=False)
    split = np.where(utterances_df["speaker"] == utterances_df["speaker"].min(), "val", "train")
    utterances_df.assign(split=split).to_csv(tmp_path / "speech.csv", index=False)
    for options, speakers in (([], split), (["--num-val-speakers", "1"], None)):
        out_path = tmp_path / "new" / f"{len(options)}.csv"
        command = ["evaluate-transcriber", "--run", str(run), "--data", str(tmp_path / "speech.csv"), *options]
        assert main([*command, "--beam-width", "1", "--out", str(out_path)]) == 0
        chosen = utterances_df["speaker"].min() if speakers is not None else utterances_df["speaker"].max()
        assert set(pd.read_csv(out_path, dtype=str)["speaker"]) == {chosen}


def test_evaluate_tries_weights_of_the_language_model(run, speech, capsys):
    """A weight of 0 is a search without the model; the best of the table is for the user to take."""
    model = ["--run", str(run), "--data", str(speech), "--beam-width", "16"]
    beam = read_json(run / "metrics.json")["val"]["beam"]
    assert main(["evaluate-transcriber", *model, "--lm-weights", "0", "0.5", "--lm-bonuses", "1", "2"]) == 0
    lines = lines_of(capsys)[1:5]
    names = [f"weight {weight}, bonus {bonus}" for weight in ("0", "0.5") for bonus in ("1", "2")]
    assert [line.partition(":")[0] for line in lines] == names
    assert all(f"CER {beam['cer']:.4f} (" in line and f"WER {beam['wer']:.4f} (" in line for line in lines[:2])
    assert main(["evaluate-transcriber", *model, "--lm-weights", "-1"]) == 1
    assert "`lm_weight` not below" in capsys.readouterr().err


def test_publish_wants_an_exported_run(run, tmp_path, capsys):
    for name in ("run.json", "metrics.json", "model.weights.h5"):
        shutil.copy(run / name, tmp_path)
    assert main(["publish", "--run", str(tmp_path), "--out", str(tmp_path / "mine")]) == 1
    assert "must hold model_float16.onnx" in capsys.readouterr().err and not (tmp_path / "mine").exists()


def test_publish_hands_on_what_transcribe_needs(run, recordings, tmp_path, capsys):
    assert main(["publish", "--run", str(run), "--out", str(tmp_path / "mine")]) == 0
    names = {path.name for path in (tmp_path / "mine").iterdir()}
    assert names == {"model.onnx", "ngram.json.gz", "metrics.json", "run.json", "README.md"}
    assert "utterances of 2 speakers" in (tmp_path / "mine" / "README.md").read_text()
    capsys.readouterr()
    for folder in (run, tmp_path / "mine"):
        assert main(["transcribe", "--run", str(folder), "--beam-width", "1", str(recordings[0])]) == 0
    first, second = lines_of(capsys)
    assert first == second


def test_nothing_heavy_is_imported_to_transcribe(run, recordings):
    code = (
        "import sys; from kaggle_speech.cli.main import main\n"
        f"main(['transcribe', '--run', {str(run)!r}, {str(recordings[0])!r}])\n"
        "print({'tensorflow', 'keras', 'pandas', 'sklearn'} & {*sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "set()"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "audio files must be named"),
        (["--live", "a.wav", "b.wav"], "one file at most must be named with `--live`"),
        (["--microphone", "0", "a.wav"], "`--microphone` must be given with `--live`, and without a file"),
        (["--live", "--microphone", "0", "a.wav"], "Received: live=True, 1 files"),
        (["--live", "--times"], "must be given without `--live`"),
        (["--live", "--top", "2"], "must be given without `--live`"),
        (["--format", "srt", "a.wav", "b.wav"], "`--format srt` must be given with one file. Received: 2"),
        (["--format", "vtt", "--times", "a.wav"], "`--format vtt` must be given without `--times`"),
        (["--format", "txt", "--top", "2", "a.wav"], "`--format txt` must be given without"),
        (["--top", "2", "--times", "a.wav"], "given without `--times`. Received: top=2"),
        (["--top", "65", "a.wav"], "must be at most `--beam-width`"),
        (["--live", "--format", "json"], "must be given without `--live`"),
    ],
)
def test_options_that_do_not_go_together(run, arguments, message, capsys):
    assert main(["transcribe", "--run", str(run), *arguments]) == 1
    assert message in capsys.readouterr().err


def test_a_model_of_words_makes_no_transcripts(recordings, capsys):
    assert main(["transcribe", "--run", str(pretrained.PRETRAINED_DIR), str(recordings[0])]) == 1
    assert "use `predict`" in capsys.readouterr().err


def test_a_transcriber_is_no_model_of_words(run, recordings, capsys):
    assert main(["predict", "--run", str(run), str(recordings[0])]) == 1
    assert "use `transcribe`" in capsys.readouterr().err


def test_export_refuses_formats_that_transcribers_do_not_have(run, capsys):
    assert main(["export", "--run", str(run), "--formats", "litert"]) == 1
    assert "`--formats` must be onnx for a model that makes transcripts" in capsys.readouterr().err


def test_rows_of_words_have_a_header_and_numbers(run, recordings, tmp_path, capsys):
    path, out_path = str(recordings[0]), tmp_path / "words.json"
    assert main(["transcribe", "--run", str(run), "--times", "--format", "csv", path]) == 0
    header, *rows = lines_of(capsys)
    assert header == "file,start_s,end_s,word" and len(rows) > 1
    options = ["--times", "--format", "json", "--output", str(out_path)]
    assert main(["transcribe", "--run", str(run), *options, path]) == 0
    assert capsys.readouterr().out == ""
    words = read_json(out_path)
    assert [f"{path},{word['start_s']:.2f},{word['end_s']:.2f},{word['word']}" for word in words] == rows


def test_top_prints_the_next_texts_after_the_best_one(run, recordings, capsys):
    path = str(recordings[0])
    assert main(["transcribe", "--run", str(run), path]) == 0
    best = capsys.readouterr().out.strip("\n").split("\t")[1]
    assert main(["transcribe", "--run", str(run), "--top", "3", path]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [rank for _, rank, _ in rows] == ["1", "2", "3"]
    assert rows[0][2] == best and len({text for _, _, text in rows}) == 3


def test_no_speech_says_what_to_do(tmp_path, capsys):
    assert main(["train-transcriber", "--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 1
    assert "must name a folder with <split>/<speaker>/<chapter>" in capsys.readouterr().err


def test_transcripts_come_as_texts_and_as_subtitles(tmp_path, capsys, speech):
    path = str(next(speech.rglob("*.flac")))
    out_path = tmp_path / "speech.srt"
    onnx = ["transcribe", "--model", "resnet_ctc", path]
    assert main([*onnx, "--format", "txt"]) == 0
    text = capsys.readouterr().out.strip()
    assert main([*onnx, "--format", "srt", "--output", str(out_path)]) == 0
    shown = out_path.read_text().split("\n\n")
    assert " ".join(cue.split("\n")[2] for cue in shown if cue) == text and "\t" not in text
    assert shown[0].startswith("1\n00:00:0")
    before = out_path.read_text()
    assert main([*onnx[:-1], str(speech), "--format", "srt", "--output", str(out_path)]) == 1  # a folder of several
    assert main([*onnx[:-1], str(Path(path).parent), "--format", "srt", "--output", str(out_path)]) == 1
    assert "`--format srt` must be given with one file" in capsys.readouterr().err and out_path.read_text() == before


def test_a_language_model_is_counted_from_books_and_transcripts(speech, tmp_path, capsys):
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "one.txt").write_text("It was late. The house was dark; nobody spoke.")
    (tmp_path / "books" / "two.txt.gz").write_bytes(gzip.compress(b"In 1861 it began. It was late again."))
    (tmp_path / "other.txt").write_text("It was dark again. Zebras!")
    out_path = tmp_path / "words.arpa.gz"
    arguments = ["train-language-model", tmp_path / "books", "--out", out_path, "--check", tmp_path / "other.txt"]
    assert main([*map(str, arguments)]) == 0
    shown = capsys.readouterr().out
    assert "13 words of 4 sentences" in shown and "5 other words, of which 20.0% are unknown" in shown
    model = read_arpa(out_path)
    assert model.order == 3 and model.log_probability(["it", "was"], "late") > model.log_probability(["it"], "late")

    assert main([*map(str, arguments)]) == 1
    assert f"{out_path}: must be a new file" in capsys.readouterr().err
    assert main(["train-language-model", str(speech), "--out", str(tmp_path / "speech.arpa")]) == 0
    assert "sentences" in capsys.readouterr().out
    recording = str(next(speech.rglob("*.flac")))
    assert main(["transcribe", recording, "--language-model", str(out_path)]) == 0
    assert len(capsys.readouterr().out.split()) > 1
    assert main(["transcribe", recording, "--language-model", recording]) == 1
    assert "must be an ARPA file" in capsys.readouterr().err
    assert main(["evaluate-transcriber", "--data", str(speech), "--language-model", str(tmp_path / "speech.arpa")]) == 0
    assert "\nbeam_words: CER " in capsys.readouterr().out
    (tmp_path / "empty").mkdir()
    assert main(["train-language-model", str(tmp_path / "empty"), "--out", str(tmp_path / "none.arpa")]) == 1
    assert "empty: must hold .txt or .txt.gz files" in capsys.readouterr().err
