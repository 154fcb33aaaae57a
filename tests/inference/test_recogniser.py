"""recogniser.py and windows.py against onnxruntime and NumPy: one answer for a clip, whoever asks."""

import dataclasses
import json
import shutil
import warnings

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import soundfile
import soxr

from kaggle_speech.audio import AudioError, audio_length, read_audio, read_clip, write_wav
from kaggle_speech.cli.main import main
from kaggle_speech.data.utterances import index_utterances
from kaggle_speech.evaluation.transcripts import utterance_error_rates
from kaggle_speech.inference.answers import Rejection, write_rejection
from kaggle_speech.inference.load import load
from kaggle_speech.inference.personal_words import enroll
from kaggle_speech.inference.predict import predict
from kaggle_speech.inference.recogniser import Answer, Recogniser
from kaggle_speech.inference.runtimes import OnnxModel
from kaggle_speech.inference.windows import loudest_start, select_windows
from kaggle_speech.labels import COMMANDS, COMPETITION_LABELS, VOCABULARIES
from kaggle_speech.models import pretrained
from kaggle_speech.streaming.runner import StreamRunner
from kaggle_speech.streaming.sources import AudioFile, Samples

MODEL_DIR = pretrained.PRETRAINED_DIR.parent / "tc_resnet"


@pytest.fixture(scope="module")
def recogniser():
    return load(MODEL_DIR)


@pytest.fixture
def paths(speech, tmp_path):
    """Four files of a second."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for number, clip in enumerate(speech):
        write_wav(folder / f"{number}.wav", clip)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def commands_df(sample_dir, recogniser):
    """Rendered clips of commands, with what the model says, the most confident first."""
    audio_dir = sample_dir / "train" / "audio"
    paths = [path for word in COMMANDS for path in sorted((audio_dir / word).glob("*.wav"))]
    answers = recogniser.predict(paths)
    columns = {"label": [answer.label for answer in answers], "confidence": [answer.confidence for answer in answers]}
    clips_df = pd.DataFrame({"path": paths, "word": [path.parent.name for path in paths], **columns})
    return clips_df[clips_df["label"] == clips_df["word"]].sort_values("confidence", ascending=False)


def test_answers_are_those_of_onnxruntime(recogniser, speech):
    session = onnxruntime.InferenceSession(MODEL_DIR / "model.onnx")
    (expected,) = session.run(None, {session.get_inputs()[0].name: speech})
    for answer, row in zip(recogniser.predict(speech, 16_000), expected, strict=True):
        assert answer.label == COMPETITION_LABELS[row.argmax()]
        assert answer.confidence == pytest.approx(row.max(), abs=1e-5)
        assert list(answer.probabilities) == list(COMPETITION_LABELS)
        np.testing.assert_allclose(list(answer.probabilities.values()), row, atol=1e-5)
        assert repr(answer) == f"Answer(label={answer.label!r}, confidence={answer.confidence!r})"


def test_a_path_many_a_folder_and_arrays_are_the_same(recogniser, paths):
    expected = [recogniser.predict(path) for path in paths]
    assert all(isinstance(answer, Answer) for answer in expected)
    clips = np.array([read_clip(path) for path in paths])
    integers = np.rint(32_768 * clips).astype("int16")
    others = [
        recogniser.predict(paths),
        recogniser.predict(map(str, paths)),
        recogniser.predict(paths[0].parent),
        recogniser.predict(clips, 16_000),
        recogniser.predict(integers, 16_000),
        [recogniser.predict(clip, 16_000) for clip in clips],
    ]
    for answers in others:
        assert [answer.label for answer in answers] == [answer.label for answer in expected]
        for answer, other in zip(answers, expected, strict=True):
            assert answer.confidence == pytest.approx(other.confidence, abs=1e-5)


def test_a_model_of_other_words_answers_with_these_until_it_has_a_threshold():
    """Then words that are no command add up to `unknown`, as in a submission and in a stream."""

    class Model:
        def predict_on_batch(self, waveform):
            row = np.zeros(31, "float32")
            row[[0, 20, 21, 22]] = 0.4, 0.3, 0.2, 0.1
            return np.tile(row, (len(waveform), 1))

    recogniser = Recogniser(Model(), VOCABULARIES[31])
    answer = recogniser.predict(np.zeros(16_000), 16_000)
    assert (answer.label, answer.confidence) == ("yes", pytest.approx(0.4))
    assert tuple(answer.probabilities) == recogniser.labels == VOCABULARIES[31]
    assert answer.probabilities["bed"] == pytest.approx(0.3)
    probabilities = Model().predict_on_batch(np.zeros((1, 16_000)))
    assert recogniser.answers(probabilities)[0] == ["unknown"]
    assert list(recogniser.listen(np.zeros(32_000), 16_000, threshold=0.1)) == []

    answer = recogniser.with_threshold(0.2).predict(np.zeros(16_000), 16_000)
    assert (answer.label, answer.confidence) == ("unknown", pytest.approx(0.6))
    assert tuple(answer.probabilities) == COMPETITION_LABELS
    assert answer.probabilities["yes"] == pytest.approx(0.4) and sum(answer.probabilities.values()) == pytest.approx(1)


def test_enrolled_words_are_among_the_answers(speech, tmp_path):
    model = OnnxModel(pretrained.PRETRAINED_DIR / "model.onnx", embedding=True)
    enroll(model, "sesame", np.stack([speech[0], 0.7 * speech[0]])).write(tmp_path / "words.json")
    recogniser = load(words=tmp_path / "words.json")
    answer, other = recogniser.predict(speech[[0, 2]], 16_000)
    assert answer.label == "sesame" and other.label in COMPETITION_LABELS
    assert list(answer.probabilities) == [*COMPETITION_LABELS, "sesame"]
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert answer.confidence == pytest.approx(answer.probabilities["sesame"]) and answer.confidence > 0.5
    taught = dataclasses.replace(load(), vocabulary=(*COMPETITION_LABELS[:-1], "sesame"))
    with pytest.raises(ValueError, match=r"words.json: must hold words that are no labels of bc_resnet.*'sesame'"):
        taught.with_words(tmp_path / "words.json")


# --- longer recordings ----------------------------------------------------------------------------------------------


@pytest.fixture
def long_path(commands_df, tmp_path):
    """A command at 1.3 s of a stereo file of 44.1 kHz, over a quiet floor."""
    clip = read_clip(commands_df["path"].iloc[0])
    waveform = 1e-4 * np.random.default_rng(0).standard_normal(64_000).astype("float32")
    waveform[20_800:36_800] += clip
    stereo = np.stack([soxr.resample(waveform, 16_000, 44_100)] * 2, axis=1)
    soundfile.write(tmp_path / "long.wav", stereo, 44_100)
    return tmp_path / "long.wav"


def test_a_word_after_the_first_second_is_found(recogniser, commands_df, long_path):
    expected = commands_df["word"].iloc[0]
    with pytest.warns(UserWarning, match=r"long.wav lasts 4.0 s; `window=\"loudest\"` finds a word anywhere"):
        assert recogniser.predict(long_path).label == "silence"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert recogniser.predict(long_path, window="loudest").label == expected
        assert recogniser.predict(long_path, window="all").label == expected
        waveform = read_audio(long_path)
        assert recogniser.predict(waveform, 16_000, window="loudest").label == expected
        both = recogniser.predict([long_path, commands_df["path"].iloc[1]], window="all")
    assert [answer.label for answer in both] == [expected, commands_df["word"].iloc[1]]
    with pytest.warns(UserWarning, match="2 files are longer"):
        recogniser.predict([long_path, long_path])


@pytest.mark.parametrize("start", [0, 4_000, 30_000, 41_600])
def test_the_loudest_second_is_the_one_around_the_sound(start, rng):
    waveform = 0.01 * rng.standard_normal(48_000)
    waveform[start : start + 6_400] += 0.3 * rng.standard_normal(6_400)
    waveform[20_000:20_008] = 0.9  # a click is no word
    centre = start + 3_200
    assert loudest_start(waveform) == pytest.approx(min(max(centre - 8_000, 0), 32_000), abs=320)


def test_the_loudest_second_against_trying_all(rng):
    """Every position of a window in steps of a frame, with zeros around."""
    waveform = rng.standard_normal(30_000) * np.repeat(rng.random(300), 100)
    levels = np.sqrt(np.mean((waveform[:29_920] - waveform.mean()).reshape(-1, 160) ** 2, axis=1))
    padded = np.pad(levels, 99)
    weights = np.sin(np.pi * np.arange(1, 101) / 101) ** 2
    scores = [weights @ padded[start : start + 100] for start in range(len(padded) - 99)]
    assert loudest_start(waveform) == min(max(160 * (int(np.argmax(scores)) - 99), 0), 14_000)


def test_windows_of_all_seconds(rng):
    waveform = rng.standard_normal(20_000)
    windows = select_windows(waveform, "all")
    padded = np.pad(waveform, (0, 800))
    np.testing.assert_array_equal(windows, [padded[start : start + 16_000] for start in (0, 1600, 3200, 4800)])
    assert np.shares_memory(windows[0], windows[-1])
    for window in ("first", "loudest", "all"):
        (padded,) = select_windows(waveform[:10_000], window)
        np.testing.assert_array_equal(padded, np.pad(waveform[:10_000], (0, 6000)))
        assert select_windows(waveform[:16_000], window).shape == (1, 16_000)


# --- one answer, whoever asks ---------------------------------------------------------------------------------------


def heard(recogniser, path):
    """What the window's threads report of a file."""
    detections = []
    runner = StreamRunner(recogniser.stream(), AudioFile(path), on_event=detections.append)
    runner.start()
    assert runner.wait(60) and runner.error is None
    return [detection.label for detection in detections]


class Loud:
    """A model of 33 labels without a framework: `label` where it is loud, with half of the rest for `yes`."""

    def __init__(self, label):
        self.label = label

    def predict_on_batch(self, waveform):
        share = np.minimum(0.98, 100 * np.mean(np.square(waveform), axis=1))
        probabilities = np.zeros((len(waveform), 33), "float32")
        for label, values in {self.label: share, "yes": (1 - share) / 2, "silence": (1 - share) / 2}.items():
            probabilities[:, VOCABULARIES[33].index(label)] += values
        return probabilities


def test_a_stream_reports_the_words_that_are_asked_for():
    tone = 0.3 * np.sin(0.2 * np.arange(10_000))
    waveform = np.concatenate([np.zeros(24_000), tone, np.zeros(24_000)])
    recogniser = Recogniser(Loud("marvin"), VOCABULARIES[33])

    def heard(**options):
        return [detection.label for detection in recogniser.listen(waveform, 16_000, **options)]

    assert heard() == heard(events=["sheila"]) == heard(events=COMMANDS) == []
    assert heard(events=["marvin"]) == heard(events=["yes", "marvin"]) == ["marvin"]
    recogniser = Recogniser(Loud("go"), VOCABULARIES[33])
    assert heard() == heard(events=["go"]) == heard(events=["go", "sheila"]) == ["go"]
    assert heard(events=["stop"]) == []


@pytest.mark.parametrize("events", [[], ["silence"], ["yes", "lights"]])
def test_a_stream_reports_nothing_that_the_model_does_not_answer(events):
    recogniser = Recogniser(Loud("marvin"), VOCABULARIES[33])
    with pytest.raises(ValueError, match=r"`events` must be some of yes, .*forward. Received: (none|silence|yes, l)"):
        recogniser.stream(events=events)
    doubtful = dataclasses.replace(recogniser, rejection=Rejection("probability", 1.0, 0.9))  # answers with the twelve
    with pytest.raises(ValueError, match=r"`events` must be some of yes, no, .*stop, go. Received: marvin"):
        doubtful.stream(events=["marvin"])


def test_predict_listen_live_and_submit_agree_after_a_threshold(commands_df, tmp_path, capsys):
    """Some clips are above the threshold of the package's model, others below; none is at it."""
    run_dir = shutil.copytree(MODEL_DIR, tmp_path / "run")
    sure_df = commands_df[:6]
    middle = sure_df["confidence"].iloc[-1] - 0.1
    clips_df = pd.concat([sure_df, commands_df[commands_df["confidence"] < middle - 0.15][:6]], ignore_index=True)
    clips_df["fname"] = [f"clip_{number}.wav" for number in range(len(clips_df))]
    assert len(clips_df) == 12
    write_rejection(Rejection("probability", 1.0, middle), run_dir, load(run_dir).settings["model"])
    expected = np.where(clips_df["confidence"] < middle, "unknown", clips_df["word"])
    recogniser = load(run_dir)
    paths = list(map(str, clips_df["path"]))
    assert [answer.label for answer in recogniser.predict(paths)] == list(expected)
    assert main(["predict", "--run", str(run_dir), *paths]) == 0
    assert [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()] == list(expected)

    test_dir = tmp_path / "data" / "test" / "audio"
    test_dir.mkdir(parents=True)
    for path, name in zip(paths, clips_df["fname"], strict=True):
        shutil.copy(path, test_dir / name)
    shutil.copytree(clips_df["path"][0].parents[1], tmp_path / "data" / "train" / "audio")
    out_path = tmp_path / "answers.csv"
    assert main(["submit", "--run", str(run_dir), "--data", str(tmp_path / "data"), "--out", str(out_path)]) == 0
    answers = pd.read_csv(out_path).set_index("fname")["label"]
    assert list(answers[clips_df["fname"]]) == list(expected)
    assert list(predict(recogniser, clips_df, progress=False).labels()) == list(expected)

    capsys.readouterr()
    for path, label in zip(paths, expected, strict=True):
        reported = [label] if label != "unknown" else []
        assert [detection.label for detection in recogniser.listen(path)] == reported
        assert heard(recogniser, path) == reported
        assert main(["listen", path, "--run", str(run_dir)]) == 0
        assert [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()] == reported


def test_a_threshold_can_be_changed(recogniser, speech):
    probabilities = recogniser.model.predict_on_batch(speech)
    strict = recogniser.with_threshold(1.1)
    assert not {*strict.answers(probabilities)[0]} & {*COMMANDS}
    assert strict.with_threshold(None).rejection == strict.rejection
    assert list(recogniser.answers(probabilities)[0]) == list(
        recogniser.with_threshold(-np.inf).answers(probabilities)[0]
    )


def test_listening_to_arrays_sources_and_files(recogniser, commands_df):
    path = commands_df["path"].iloc[0]
    waveform = np.pad(read_clip(path), (16_000, 16_000))
    (detection,) = recogniser.listen(waveform, 16_000)
    assert detection.label == commands_df["word"].iloc[0] and 1 < detection.time_s < 3
    assert list(recogniser.listen(Samples(waveform))) == [detection]
    assert list(recogniser.listen(waveform, 16_000, threshold=0.95, smoothing=0.9)) == []
    with pytest.raises(ValueError, match=r"`threshold` must be from 0.1 to 0.99"):
        recogniser.listen(waveform, 16_000, threshold=2)


# --- what cannot be read --------------------------------------------------------------------------------------------


def test_bad_files_are_named_and_the_others_answered(recogniser, paths, tmp_path):
    (tmp_path / "empty.wav").write_bytes(b"")
    mixed = [paths[0], tmp_path / "none.wav", tmp_path / "empty.wav", tmp_path, paths[1]]
    outcomes = list(recogniser.predict_files(mixed))
    assert [path for path, _ in outcomes] == mixed
    assert [type(outcome) for _, outcome in outcomes] == [Answer, AudioError, AudioError, AudioError, Answer]
    messages = [f"{outcome}" for _, outcome in outcomes[1:4]]
    for message, rule in zip(messages, ("No such file", "must not be empty", "directory"), strict=True):
        assert rule in message and "\n" not in message
    with pytest.raises(AudioError, match=r"none.wav: must be an audio file(.|\n)*empty.wav"):
        recogniser.predict(mixed)
    with pytest.raises(AudioError, match=r"none.wav"):
        recogniser.predict(tmp_path / "none.wav")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match="nothing: must hold audio files"):
        recogniser.predict(tmp_path / "nothing")


def test_closing_the_iterator_ends_it(recogniser, paths):
    calls = []

    class Counting:
        def predict_on_batch(self, waveform):
            calls.append(len(waveform))
            return recogniser.model.predict_on_batch(waveform)

    outcomes = dataclasses.replace(recogniser, model=Counting()).predict_files(paths * 500)
    next(outcomes)
    outcomes.close()
    assert sum(calls) < 2000


def test_bad_arguments(recogniser):
    clip = np.zeros(16_000, "float32")
    with pytest.raises(ValueError, match="`sample_rate` must be given with an array"):
        recogniser.predict(clip)
    with pytest.raises(ValueError, match="`sample_rate` must be given with an array"):
        recogniser.listen(clip)
    with pytest.raises(ValueError, match=r"`window` must be one of .* Received: window='loud'"):
        recogniser.predict(clip, 16_000, window="loud")
    with pytest.raises(ValueError, match=r"`source` must be \(samples,\) or \(clips, samples\)"):
        recogniser.predict(np.zeros((2, 2, 2)), 16_000)
    with pytest.raises(ValueError, match=r"`source` must be float .* or int16. Received: dtype=int64"):
        recogniser.predict(np.zeros(16_000, int), 16_000)
    with pytest.raises(ValueError, match="`source` must be finite"):
        recogniser.predict(clip * np.nan, 16_000)


# --- transcripts ----------------------------------------------------------------------------------------------------


def test_transcripts_of_files_and_arrays(sentences_dir, tmp_path):
    transcriber = load("resnet_ctc")
    paths = sorted(sentences_dir.rglob("*.flac"))
    for name, path in (("a.wav", paths[0]), ("b.wav", paths[1])):
        write_wav(tmp_path / name, read_audio(path))
    first, second = transcriber.transcribe(tmp_path)
    assert transcriber.transcribe(tmp_path / "b.wav") == second
    assert transcriber.transcribe(read_audio(tmp_path / "b.wav"), 16_000) == second
    durations = [audio_length(tmp_path / name) / 16_000 for name in ("a.wav", "b.wav")]
    assert [first.duration_s, second.duration_s] == pytest.approx(durations)
    assert second.words and second.text == " ".join(word.word for word in second.words) != first.text
    assert all(0 <= word.start_s < word.end_s <= durations[1] for word in second.words)
    *_, last = transcriber.listen(tmp_path / "b.wav")
    assert last.settled and last.tentative == "" and last.time_s == pytest.approx(durations[1])
    with pytest.raises(ValueError, match="`lm_weight` must be left out"):
        transcriber.transcribe(tmp_path / "a.wav", beam_width=1, lm_weight=0.5)
    assert json.dumps(transcriber.settings)


def test_the_packaged_transcriber_hears_what_a_synthesiser_says(sentences_dir):
    """A stranger to it, so not well; but each sentence is more like its own text than like that of another one."""
    utterances_df, _ = index_utterances(sentences_dir, progress=False)
    heard = pd.Series([found.text for found in load("resnet_ctc").transcribe(list(utterances_df["path"]))])
    own, other = (
        utterance_error_rates(texts, heard)["cer"].mean()
        for texts in (utterances_df["text"], pd.Series(np.roll(utterances_df["text"], 1)))
    )
    assert own < 0.7 < 0.8 < other
