"""Robustness of models that are right under known conditions only."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from kaggle_speech import audio
from kaggle_speech.audio import AudioError, write_wav
from kaggle_speech.data import noise, rooms
from kaggle_speech.evaluation import robustness
from kaggle_speech.inference import batches, predict
from kaggle_speech.inference.recogniser import Recogniser
from kaggle_speech.labels import COMPETITION_LABELS

TIME_S = np.arange(16_000) / 16_000


class Judge:
    """Tells a tone's label by its frequency while a condition holds, and gives one other answer where it does not."""

    def __init__(self, holds, otherwise):
        self.holds, self.otherwise = holds, COMPETITION_LABELS.index(otherwise)

    def predict_on_batch(self, waveform):
        assert waveform.shape[0] <= 32 and waveform.shape[1] == 16_000  # never all clips at once
        power = np.abs(np.fft.rfft(waveform)) ** 2
        heard = power[:, 500:6001:500].argmax(axis=1)
        answers = np.where(self.holds(waveform, power), heard, self.otherwise)
        return np.eye(12, dtype="float32")[answers]


@pytest.fixture
def clips_df(tmp_path):
    """A tone of a frequency of its own for each label, in the middle of the clip, from seven speakers."""
    rows = []
    for number, label in enumerate(COMPETITION_LABELS):
        for speaker in range(7):
            path = tmp_path / f"{label}_{speaker}.wav"
            is_on = np.abs(TIME_S - 0.5) < 0.1
            write_wav(path, 0.1 * np.sin(2 * np.pi * 500 * (number + 1) * TIME_S) * is_on)
            rows.append({"path": str(path), "label": label, "speaker": str(speaker)})
    return pd.DataFrame(rows)


@pytest.fixture
def recordings(tmp_path, rng):
    """A loud and a quiet recording of hiss."""
    folder = tmp_path / "noise"
    folder.mkdir()
    for name, level in {"loud": 0.2, "quiet": 0.01}.items():
        write_wav(folder / f"{name}.wav", level * rng.standard_normal(64_000))
    return sorted(folder.iterdir())


def snr_db(waveform, power):
    """Of a clip of one tone: the power near its frequency over the rest."""
    peak = power[:, 500:6001:500].argmax(axis=1)
    tone = np.array([row[500 * n + 470 : 500 * n + 531].sum() for row, n in zip(power, peak, strict=True)])
    rest = power.sum(axis=1) - tone
    return 10 * np.log10(tone / rest)


@pytest.mark.parametrize(("otherwise", "fate"), [("silence", "missed"), ("unknown", "missed"), ("go", "confused")])
def test_a_model_that_hears_above_a_ratio_falls_at_that_ratio(clips_df, recordings, otherwise, fate):
    model = Judge(lambda waveform, power: snr_db(waveform, power) > 7.5, otherwise)
    found_df = robustness.robustness(
        Recogniser(model, COMPETITION_LABELS), clips_df, recordings, shifts_ms=(), progress=False
    )
    all_df = found_df[found_df["noise"] == "all"].set_index("value")
    assert list(all_df.index) == list(robustness.SNRS_DB) and (all_df["num_clips"] == 77).all()  # silence is left out
    np.testing.assert_allclose(all_df.loc[[20, 15, 10], ["accuracy", "low", "high"]], 1)
    still_right = {"unknown": 7, "go": 7}.get(otherwise, 0)  # its clips are answered so anyway
    np.testing.assert_allclose(all_df.loc[[5, 0, -5], "accuracy"], still_right / 77)
    commands_right = still_right / 70 if otherwise == "go" else 0
    np.testing.assert_allclose(all_df.loc[[5, 0, -5], fate], 1 - commands_right)
    other_fate = {"missed": "confused", "confused": "missed"}[fate]
    np.testing.assert_allclose(all_df[other_fate], 0)
    by_recording = found_df[found_df["noise"] != "all"].groupby("noise")["num_clips"].first()
    assert by_recording.to_dict() == {"loud": 39, "quiet": 38}


def test_a_model_that_hears_early_words_falls_where_they_are_late(clips_df):
    def is_early(waveform, power):
        return np.abs(waveform).argmax(axis=1) < 16_000 * 0.45  # tones begin at 0.4 s

    model = Judge(is_early, "unknown")
    shifts_ms = (-300, -100, 0, 100, 300)
    options = {"shifts_ms": shifts_ms, "progress": False}
    found_df = robustness.robustness(Recogniser(model, COMPETITION_LABELS), clips_df, [], **options)
    assert list(found_df["value"]) == list(shifts_ms) and set(found_df["kind"]) == {"shift_ms"}
    np.testing.assert_allclose(found_df["accuracy"], [1, 1, 1, 1 / 12, 1 / 12])
    assert (found_df["num_clips"] == 84).all()
    np.testing.assert_allclose(found_df["missed"], [0, 0, 0, 1, 1])


def test_intervals_are_over_speakers_and_the_seed_decides(clips_df, recordings):
    model = Judge(lambda waveform, power: waveform[:, 0] > 0, "silence")  # as the noise has it
    arguments = (Recogniser(model, COMPETITION_LABELS), clips_df, recordings)
    first_df, second_df, other_df = (
        robustness.robustness(*arguments, snrs_db=(5,), shifts_ms=(), seed=seed, progress=False) for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first_df, second_df)
    assert not first_df.equals(other_df)
    row = first_df.iloc[0]
    assert row["low"] < row["accuracy"] < row["high"]


def test_each_clip_keeps_its_noise_over_all_ratios(recordings):
    numbers, segments = robustness.draw_segments(recordings, 9, seed=5)
    assert sorted(np.bincount(numbers)) == [4, 5]
    whole = segments(slice(0, 9))
    np.testing.assert_array_equal(np.concatenate([segments(slice(0, 4)), segments(slice(4, 9))]), whole)
    regions = noise.read_noise(recordings, "val")
    for number, segment in zip(numbers, whole, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(regions[number], 16_000)
        assert (windows[:, :50] == segment[:50]).all(axis=1).any()
    with pytest.raises(ValueError, match="`noise_paths` must name at least one recording"):
        robustness.draw_segments([], 3)


def test_nothing_to_ask_gives_an_empty_table(clips_df):
    found_df = robustness.robustness(Recogniser(None, COMPETITION_LABELS), clips_df, [], shifts_ms=(), progress=False)
    assert found_df.empty and {"kind", "value", "accuracy"} <= {*found_df}


def test_conditions_get_their_rows_and_files_are_read_once(clips_df, monkeypatch):
    read, num_read = audio.read_clips, []
    monkeypatch.setattr(batches, "read_clips", lambda *args, **options: num_read.append(args) or read(*args, **options))

    class Sums:
        def predict_on_batch(self, waveform):
            return waveform.sum(axis=1, keepdims=True)

    numbers = np.arange(len(clips_df), dtype="float32")
    changes = [lambda waveform, rows: np.zeros_like(waveform) + numbers[rows, None], lambda waveform, rows: waveform]
    found = predict.predict_conditions(Sums(), clips_df, changes, batch_size=10, progress=False)
    assert found.shape == (2, len(clips_df), 1) and len(num_read) == 9
    np.testing.assert_allclose(found[0, :, 0], 16_000 * numbers)
    with pytest.raises(ValueError, match="must have at least one clip"):
        predict.predict_conditions(Sums(), clips_df[:0], changes)
    with pytest.raises(AudioError, match=r"none\.wav|No such file"):
        predict.predict_conditions(Sums(), clips_df.assign(path="none.wav"), changes, progress=False)


@pytest.mark.parametrize("snr", [-5, 0, 20])
def test_noise_is_mixed_at_the_ratio(rng, snr):
    waveform, hiss = 0.01 * rng.standard_normal((2, 3, 16_000)).astype("float32")
    waveform[1] = 0
    hiss[2] = 0
    mixed = noise.mix_at_snr(waveform, hiss, snr)
    added = mixed - waveform
    assert mixed.dtype == np.float32
    ratio = 10 * np.log10(np.mean(waveform[0] ** 2) / np.mean(added[0] ** 2))
    assert ratio == pytest.approx(snr, abs=0.01)
    np.testing.assert_array_equal(added[1:], 0)  # digital silence has no ratio
    assert np.abs(noise.mix_at_snr(100 * waveform, hiss, snr)).max() == 1


def test_noise_is_mixed_as_in_training(rng):
    from kaggle_speech.data import augment

    waveform, hiss = 0.05 * rng.standard_normal((2, 3, 16_000)).astype("float32")
    expected = augment.mix_at_snr(waveform, hiss, np.full(3, 5, "float32"))
    np.testing.assert_allclose(noise.mix_at_snr(waveform, hiss, 5), expected, atol=1e-6)


def test_each_spoken_clip_is_heard_in_a_room_of_its_own(clips_df):
    heard = []

    class Recorder:
        def predict_on_batch(self, waveform):
            heard.extend(waveform.copy())
            return np.eye(12, dtype="float32")[np.zeros(len(waveform), int)]

    options = {"reverberations_s": (0.3,), "snrs_db": (), "shifts_ms": (), "progress": False}
    found_df = robustness.robustness(Recogniser(Recorder(), COMPETITION_LABELS), clips_df, [], **options)
    assert found_df[["kind", "value", "num_clips"]].to_numpy().tolist() == [["reverberation_s", 0.3, 77]]
    paths = clips_df.loc[clips_df["label"] != "silence", "path"]
    responses = rooms.make_rooms(robustness.NUM_ROOMS, robustness.ROOM_SEED, (0.3, 0.3))
    expected = [
        np.convolve(audio.read_clip(path), responses[number % len(responses)])[:16_000]
        for number, path in enumerate(paths)
    ]
    heard, expected = (sorted(sounds, key=lambda sound: np.sum(sound**2)) for sounds in (heard, expected))
    np.testing.assert_allclose(heard, expected, atol=1e-5)  # batches come in any order


def test_noise_of_a_folder_is_used_whole_and_counted_by_kind(clips_df, tmp_path, rng):
    """Of recordings whose first half is digital silence the other half is heard; kinds are folders."""
    for name, kind in {"rain_1": "rain.1", "rain_2": "rain.1", "dog": "."}.items():
        (tmp_path / "kinds" / kind).mkdir(parents=True, exist_ok=True)
        hiss = 0.1 * rng.standard_normal(20_000)
        soundfile.write(tmp_path / "kinds" / kind / f"{name}.flac", np.concatenate([np.zeros(30_000), hiss]), 16_000)
    (tmp_path / "kinds" / "rain.1" / "._rain_1.flac").write_bytes(b"of macOS")
    kinds = noise.find_recordings(tmp_path / "kinds")
    assert [(path.name, kind) for path, kind in kinds.items()] == [
        *(("dog.flac", "dog"), ("rain_1.flac", "rain.1"), ("rain_2.flac", "rain.1"))
    ]
    assert [len(region) for region in noise.read_noise([*kinds], "all")] == 3 * [20_000]
    model = Judge(lambda waveform, power: snr_db(waveform, power) > 7.5, "silence")
    options = {"noise_kinds": [*kinds.values()], "noise_split": "all", "snrs_db": (10, 5), "shifts_ms": ()}
    recogniser = Recogniser(model, COMPETITION_LABELS)
    found_df = robustness.robustness(recogniser, clips_df, [*kinds], **options, progress=False)
    assert found_df.groupby("noise")["num_clips"].first().to_dict() == {"all": 77, "dog": 26, "rain.1": 51}
    assert found_df.groupby("value")["accuracy"].agg(["min", "max"]).to_numpy().tolist() == [[0, 0], [1, 1]]
    with pytest.raises(ValueError, match=r"empty: must be a folder of recordings, .wav, .flac, .ogg. Received: "):
        noise.find_recordings(tmp_path / "empty")
