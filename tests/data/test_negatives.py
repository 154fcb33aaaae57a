"""Running speech as `unknown`: which sentences, which seconds, and their share of every batch."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from kaggle_speech.audio import AudioError, read_audio, write_wav
from kaggle_speech.data import clip_batches, negatives
from kaggle_speech.labels import COMPETITION_LABELS, UNKNOWN, VOCABULARIES


@pytest.fixture
def recordings(tmp_path, rng):
    """FLAC of two seconds, stereo WAV of three at 8 kHz, and half a second; names and lengths at 16 kHz."""
    noise = 0.1 * rng.standard_normal((48_000, 2))
    soundfile.write(tmp_path / "a.flac", noise[:32_000, 0], 16_000)
    soundfile.write(tmp_path / "b.wav", noise[:24_000], 8_000)
    soundfile.write(tmp_path / "c.wav", noise[:8_000, 0], 16_000)
    return {str(tmp_path / name): length for name, length in (("a.flac", 32_000), ("b.wav", 48_000), ("c.wav", 8_000))}


def test_sentences_with_a_command_are_left_out(tmp_path, recordings):
    texts = ["he said no twice", "nothing stopped", "upstairs"]
    pd.DataFrame({"path": [*recordings], "text": texts}).to_csv(tmp_path / "speech.csv", index=False)
    speech_df = negatives.speech_negatives(tmp_path / "speech.csv", progress=False)
    assert dict(zip(speech_df["path"], speech_df["num_samples"], strict=True)) == {
        path: length for path, length in recordings.items() if not path.endswith("a.flac")
    }


def test_of_a_folder_without_transcripts_all_is_used(tmp_path, recordings):
    (tmp_path / "bad.wav").write_text("no sound")
    speech_df = negatives.speech_negatives(tmp_path, progress=False)
    assert dict(zip(speech_df["path"], speech_df["num_samples"], strict=True)) == recordings
    print_of = negatives.speech_fingerprint
    moved_df = speech_df.assign(path=speech_df["path"].str.replace(str(tmp_path), "/elsewhere"))
    assert print_of(moved_df) == print_of(speech_df) != print_of(speech_df.head(2))


@pytest.mark.parametrize("part", ["84", "84/121"])
def test_transcripts_in_a_part_of_a_set_are_not_passed_over(tmp_path, part):
    """Its sentences with commands would be `unknown`."""
    chapter = tmp_path / "84" / "121"
    chapter.mkdir(parents=True)
    for number in (0, 1):
        soundfile.write(chapter / f"84-121-000{number}.flac", np.zeros(32_000), 16_000)
    (chapter / "84-121.trans.txt").write_text("84-121-0000 HE SAID NO\n84-121-0001 HE SAID THAT\n")
    assert len(negatives.speech_negatives(tmp_path, progress=False)) == 1
    with pytest.raises(ValueError, match=rf"{part}: must be the folder of a whole set"):
        negatives.speech_negatives(tmp_path / part, progress=False)


@pytest.mark.parametrize("name", ["none", "empty"])
def test_no_recordings(name, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=rf"{name}: must hold recordings of speech.* Received: one "):
        negatives.speech_negatives(tmp_path / name, progress=False)


def test_every_second_is_as_likely_as_every_other(rng):
    num_samples = np.array([16_000, 8_000, 16_003, 16_001])  # 1, 1, 4 and 2 windows
    rows, starts = negatives.window_starts(num_samples, (np.arange(8) + 0.5) / 8)
    assert list(zip(rows, starts, strict=True)) == [(0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (2, 3), (3, 0), (3, 1)]
    rows, starts = negatives.window_starts(num_samples, np.array([0.0, 1.0]))
    assert rows.tolist() == [0, 3] and starts.tolist() == [0, 1]


def test_windows_are_cut_from_the_waveform(recordings):
    paths, starts = [*recordings, *recordings], [0, 17, 0, 16_000, 30_000, 100]
    for path, start, window in zip(paths, starts, negatives.read_windows(paths, starts), strict=True):
        expected = np.pad(read_audio(path)[start : start + 16_000], (0, 16_000))[:16_000]
        np.testing.assert_allclose(window / 32_768, expected, atol=1 / 32_768)
    with pytest.raises(AudioError, match=r"bad\.wav: "):
        bad = paths[0].replace("a.flac", "bad.wav")
        write_wav(bad, np.zeros(10))
        with open(bad, "wb") as file:
            file.write(b"no sound")
        negatives.read_windows([bad], [0])


def test_a_share_of_every_batch_is_running_speech(tmp_path, recordings, rng):
    paths = [str(tmp_path / f"clip_{number}.wav") for number in range(10)]
    for path in paths:
        write_wav(path, np.full(16_000, 0.5))
    clips_df = pd.DataFrame({"path": paths, "label": "yes"})
    speech_df = pd.DataFrame({"path": [*recordings][:2], "num_samples": [*recordings.values()][:2]})
    options = {"shuffle": True, "speech_df": speech_df, "speech_fraction": 0.375, "seed": 2}
    ds = clip_batches.make_dataset(clips_df, COMPETITION_LABELS, 8, **options)
    passes = [[(waveform.numpy(), target.numpy()) for waveform, target in ds] for _ in range(2)]
    assert ds.cardinality() == len(passes[0]) == 2  # ten clips, five a batch
    unknown, whole = COMPETITION_LABELS.index(UNKNOWN), np.concatenate([read_audio(path) for path in recordings])
    for waveform, target in passes[0] + passes[1]:
        is_speech = target[:, unknown] == 1
        assert is_speech.tolist() == 5 * [False] + 3 * [True]
        assert (waveform[~is_speech] == 0.5).all()
        for clip in waveform[is_speech]:
            start = np.abs(np.lib.stride_tricks.sliding_window_view(whole, 50) - clip[:50]).sum(axis=1).argmin()
            np.testing.assert_allclose(clip, whole[start : start + 16_000], atol=1 / 32_768)
    assert not np.array_equal(passes[0][0][0][5:], passes[1][0][0][5:])  # other seconds in the next pass
    again = next(iter(clip_batches.make_dataset(clips_df, COMPETITION_LABELS, 8, **options)))
    np.testing.assert_array_equal(again[0], passes[0][0][0])


def test_no_room_and_no_unknown(recordings, tmp_path):
    clips_df = pd.DataFrame({"path": ["a.wav"], "label": ["yes"]})
    speech_df = pd.DataFrame({"path": [*recordings], "num_samples": [*recordings.values()]})
    options = {"speech_df": speech_df, "speech_fraction": 0.75, "pseudo_df": clips_df}
    with pytest.raises(ValueError, match="must leave room for `clips_df` in a batch"):
        clip_batches.make_dataset(clips_df, COMPETITION_LABELS, 8, **options)
    with pytest.raises(ValueError, match="must be left out where the vocabulary has no 'unknown'"):
        clip_batches.make_dataset(clips_df, VOCABULARIES[11], 8, speech_df=speech_df)


def test_mined_seconds_are_a_share_of_the_windows(tmp_path, recordings, rng):
    """Drawn near where they were found, as often as asked; the rest of the speech is drawn as before."""
    paths = [*recordings]
    speech_df = pd.DataFrame({"path": paths, "num_samples": [*recordings.values()]})
    mined_df = pd.DataFrame({"path": [paths[0], paths[1]], "first_sample": [400, 20_000], "label": "no"})
    mined_df.to_csv(tmp_path / "mined.csv", index=False)
    both_df = negatives.with_mined(speech_df, tmp_path / "mined.csv", 0.4)
    windows = clip_batches._SpeechWindows(both_df, 1, COMPETITION_LABELS)
    rows, starts = negatives.window_starts(windows.num_samples, rng.uniform(size=20_000), windows.weights)
    is_mined = rows >= 3
    assert is_mined.mean() == pytest.approx(0.4, abs=0.02)
    first = windows.first[rows] + starts
    assert first[rows == 3].min() < 10 and 400 + negatives.JITTER_SAMPLES - 10 < first[rows == 3].max() <= 2000
    assert abs(first[rows == 4] - 20_000).max() <= negatives.JITTER_SAMPLES
    assert (rows[~is_mined] == 1).mean() == pytest.approx(32_001 / 48_003, abs=0.02)
    print_of = negatives.speech_fingerprint
    assert print_of(both_df) != print_of(speech_df)
    assert print_of(both_df) != print_of(negatives.with_mined(speech_df, tmp_path / "mined.csv", 0.5))


def test_bad_files_of_mined_seconds(tmp_path, recordings):
    speech_df = pd.DataFrame({"path": [*recordings], "num_samples": [*recordings.values()]})
    for rows, rule in (
        ({"path": [], "first_sample": []}, r"bad.csv: must be a file of `mine` .* Received: 0 rows of "),
        ({"path": ["a"]}, r"Received: 1 rows of \['path'\]"),
        ({"path": ["/x.flac"], "first_sample": [3]}, r"must name recordings of the running speech. Received: /x.flac"),
    ):
        pd.DataFrame(rows).to_csv(tmp_path / "bad.csv", index=False)
        with pytest.raises(ValueError, match=rule):
            negatives.with_mined(speech_df, tmp_path / "bad.csv", 0.3)
