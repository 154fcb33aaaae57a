"""index.py: the frame, the splits, and what happens to folders and files that are not as they should be."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kaggle_speech.data import clips
from kaggle_speech.data.splits import which_set
from kaggle_speech.labels import COMMANDS, COMPETITION_LABELS, VOCABULARIES, WORDS_V2

SPEAKERS = [f"{number:08x}" for number in range(40)]


@pytest.fixture
def data_dir(make_data):
    return make_data([*COMMANDS, "bed", "cat"], SPEAKERS)


def test_frame_has_a_row_for_every_clip(data_dir):
    clips_df = clips.index_clips(data_dir)
    assert list(clips_df.columns) == ["path", "word", "label", "speaker", "utterance", "split"]
    assert (clips_df["split"] == "noise").sum() == 2
    spoken_df = clips_df[clips_df["split"] != "noise"]
    assert len(spoken_df) == 12 * 40
    assert set(spoken_df["label"]) == {*COMMANDS, "unknown"}
    assert set(clips_df.loc[clips_df["split"] == "noise", "label"]) == {"silence"}
    assert set(spoken_df["speaker"]) == set(SPEAKERS)
    assert clips.noise_paths(clips_df) == sorted((data_dir / "train/audio/_background_noise_").iterdir())


def test_without_lists_the_hash_decides(data_dir):
    clips_df = clips.index_clips(data_dir)
    spoken_df = clips_df[clips_df["split"] != "noise"]
    split = spoken_df["split"].replace("tune", "train")
    assert (split == spoken_df["speaker"].map(which_set)).all()
    assert "tune" in set(spoken_df["split"])
    assert (spoken_df.groupby("speaker")["split"].nunique() == 1).all()


def test_official_lists_decide_where_they_are_there(data_dir):
    (data_dir / "train" / "validation_list.txt").write_text(
        "".join(f"{word}/00000001_nohash_0.wav\n" for word in [*COMMANDS, "bed", "cat"])
    )
    (data_dir / "train" / "testing_list.txt").write_text("")
    clips_df = clips.index_clips(data_dir)
    assert set(clips_df.loc[clips_df["split"] == "val", "speaker"]) == {"00000001"}
    assert "test" not in set(clips_df["split"])


def test_speaker_in_two_splits_is_an_error(data_dir):
    (data_dir / "train" / "validation_list.txt").write_text("yes/00000001_nohash_0.wav\n")
    (data_dir / "train" / "testing_list.txt").write_text("")
    with pytest.raises(ValueError, match=r"keep a speaker in one split. Received: '00000001' in 2"):
        clips.index_clips(data_dir)


def test_speech_commands_own_layout(data_dir):
    assert len(clips.index_clips(data_dir / "train" / "audio")) == len(clips.index_clips(data_dir))


@pytest.mark.parametrize(("num_classes", "label"), [(12, "unknown"), (31, "bed"), (32, "bed")])
def test_vocabulary_files_the_words(make_data, num_classes, label):
    words = [word for word in VOCABULARIES[num_classes] if word not in ("silence", "unknown")]
    clips_df = clips.index_clips(make_data([*dict.fromkeys([*words, "bed", "visual"])]), VOCABULARIES[num_classes])
    by_word = clips_df.drop_duplicates("word").set_index("word")["label"]
    assert by_word["bed"] == label
    assert pd.isna(by_word["visual"]) if num_classes == 31 else by_word["visual"] == "unknown"


def test_missing_word_is_named(make_data):
    with pytest.raises(ValueError, match=r"clips of every word.* none of \['go', 'stop'\]"):
        clips.index_clips(make_data([word for word in COMMANDS if word not in ("go", "stop")]))


def test_empty_folder_and_missing_test_clips(tmp_path):
    with pytest.raises(ValueError, match=r"must hold folders of WAV clips, one a word. Received: no folders"):
        clips.index_clips(tmp_path)
    with pytest.raises(ValueError, match=r"test.audio: must hold the WAV clips of the test set"):
        clips.test_clips(tmp_path)


def test_folder_without_permission_is_left_out_with_a_warning(data_dir, monkeypatch):
    def scandir(path="."):
        if str(path).endswith("bed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real_scandir(path)

    real_scandir = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.warns(UserWarning, match=r"bed: the folder must be readable"):
        clips_df = clips.index_clips(data_dir)
    assert "bed" not in set(clips_df["word"]) and "cat" in set(clips_df["word"])


def test_bad_clips_are_listed_and_left_out(data_dir):
    folder = data_dir / "train" / "audio" / "yes"
    usual = (folder / "00000000_nohash_0.wav").read_bytes()
    (folder / "bad0_nohash_0.wav").write_bytes(b"")
    (folder / "bad1_nohash_0.wav").write_text("text")
    (folder / "bad2_nohash_0.wav").write_bytes(usual[:1000])
    (folder / "short_nohash_0.wav").write_bytes(usual[:4] + usual[4:40] + b"\x80\x3e\0\0" + usual[44 : 44 + 16_000])
    good_df, bad_df = clips.check_clips(clips.index_clips(data_dir), progress=False)
    assert list(bad_df["speaker"]) == ["bad0", "bad1", "bad2"]
    assert bad_df["error"].str.contains("bad").all()
    assert len(good_df) == 12 * 40 + 2 + 1
    assert good_df.set_index("speaker")["num_samples"]["short"] == 8_000


def test_nothing_is_listed_where_all_clips_are_good_or_bad(data_dir):
    clips_df = clips.index_clips(data_dir)
    good_df, bad_df = clips.check_clips(clips_df, progress=False)
    assert len(good_df) == len(clips_df) and len(bad_df) == 0 and "error" in bad_df
    good_df, bad_df = clips.check_clips(clips_df.assign(path="none.wav"), progress=False)
    assert len(good_df) == 0 and len(bad_df) == len(clips_df) and "num_samples" in good_df


def test_table_is_index_and_check(data_dir):
    (data_dir / "train" / "audio" / "yes" / "bad0_nohash_0.wav").write_bytes(b"")
    clips_df, bad_df = clips.read_clips_table(data_dir, progress=False)
    good_df, expected_bad_df = clips.check_clips(clips.index_clips(data_dir), progress=False)
    pd.testing.assert_frame_equal(clips_df, good_df)
    pd.testing.assert_frame_equal(bad_df, expected_bad_df)
    assert [*bad_df["speaker"]] == ["bad0"] and len(clips_df) == 12 * 40 + 2


def test_table_finds_the_data_that_the_environment_names(data_dir, monkeypatch):
    monkeypatch.setenv("KAGGLE_SPEECH_DATA", str(data_dir))
    assert len(clips.read_clips_table(progress=False)[0]) == 12 * 40 + 2
    assert [*clips.test_clips()["fname"]] == [*clips.test_clips(data_dir)["fname"]]


def test_selection_writes_nothing_and_silence_is_added_to_it(data_dir, tmp_path):
    clips_df = clips.index_clips(data_dir)
    selected_df = clips.select_clips(clips_df, "train", unknown_fraction=0.5, seed=1)
    assert "silence" not in set(selected_df["label"])
    assert not (tmp_path / "cache").exists()
    all_df = clips.with_silence(selected_df, clips_df, seed=1, cache_dir=tmp_path / "cache")
    assert set(all_df["path"]) - set(selected_df["path"]) == set(map(str, (tmp_path / "cache").rglob("*.wav")))
    prepared_df = clips.prepare_clips(clips_df, "train", unknown_fraction=0.5, seed=1, cache_dir=tmp_path / "cache")
    pd.testing.assert_frame_equal(all_df, prepared_df)


def test_counts_of_splits_and_labels(data_dir):
    clips_df = clips.index_clips(data_dir)
    counts_df = clips.count_table(clips_df)
    assert [*counts_df.columns] == [*COMPETITION_LABELS]
    assert [*counts_df.index] == ["train", "tune", "val", "test", "noise"]
    for split, row in counts_df.iterrows():
        for label, count in row.items():
            assert count == ((clips_df["split"] == split) & (clips_df["label"] == label)).sum()


def test_check_of_no_clips():
    good_df, bad_df = clips.check_clips(pd.DataFrame({"path": []}), progress=False)
    assert len(good_df) == len(bad_df) == 0


def test_fractions_of_unknown_and_silence(data_dir, tmp_path):
    clips_df = clips.index_clips(data_dir)
    num_speakers = clips_df.loc[clips_df["split"] == "train", "speaker"].nunique()

    def counts(**fractions):
        return clips.prepare_clips(clips_df, "train", cache_dir=tmp_path / "cache", **fractions)["label"].value_counts()

    assert counts(unknown_fraction=None)["unknown"] == 2 * num_speakers  # all there are: two words
    assert counts()["unknown"] == 2 * num_speakers  # fewer than the default asks for
    assert counts(unknown_fraction=0.5)["unknown"] == round(num_speakers / 2)
    assert "silence" not in counts(silence_fraction=0.0)
    silence = counts(silence_fraction=2.0)["silence"]
    assert 2 * num_speakers <= silence <= 2 * num_speakers + 1  # a multiple of the two recordings


def test_selection_repeats_for_a_seed(data_dir, tmp_path):
    clips_df = clips.index_clips(data_dir)
    first, again, other = (
        clips.prepare_clips(clips_df, "train", unknown_fraction=0.5, seed=seed, cache_dir=tmp_path)
        for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not first["path"].equals(other["path"])


def test_split_without_clips(data_dir, tmp_path):
    clips_df = clips.index_clips(data_dir)
    with pytest.raises(ValueError, match=r"`split` must have clips.* Received: split='nothing'"):
        clips.select_clips(clips_df, "nothing")


def test_fingerprint_follows_the_clips_not_their_place(data_dir, tmp_path):
    first = clips.data_fingerprint(clips.index_clips(data_dir))
    moved = data_dir.with_name("moved")
    data_dir.rename(moved)
    assert clips.data_fingerprint(clips.index_clips(moved)) == first
    next((moved / "train" / "audio" / "cat").iterdir()).unlink()
    assert clips.data_fingerprint(clips.index_clips(moved)) != first


def test_few_speakers_still_have_one_that_chooses_the_epoch(make_data):
    clips_df = clips.index_clips(make_data(COMMANDS, SPEAKERS[:3]))
    speakers = clips_df[clips_df["split"] == "tune"]["speaker"].unique()
    assert len(speakers) == 1 and which_set(speakers[0]) == "train"


def test_without_recordings_there_is_a_warning_and_no_silence(make_data):
    with pytest.warns(UserWarning, match="no recordings in _background_noise_"):
        clips_df = clips.index_clips(make_data(COMMANDS, SPEAKERS, num_noises=0))
    assert "silence" not in set(clips.prepare_clips(clips_df, "train")["label"])


@pytest.mark.parametrize("num_classes", VOCABULARIES)
def test_every_vocabulary_can_be_trained_on(make_data, num_classes):
    vocabulary = VOCABULARIES[num_classes]
    clips_df = clips.index_clips(make_data(WORDS_V2, SPEAKERS), vocabulary)
    train_df = clips.prepare_clips(clips_df, "train")
    assert set(train_df["label"]) == set(vocabulary)
    assert len(clips.validation_clips(clips_df)) > 0


def test_protocol(real_dir):
    """The rule that accuracies are quoted by, on whichever real clips there are."""
    clips_df = clips.index_clips(real_dir)
    val_df = clips.validation_clips(clips_df)
    of_commands_df = clips_df[(clips_df["split"] == "val") & clips_df["word"].isin(COMMANDS)]
    counts = val_df["label"].value_counts()
    assert (counts[list(COMMANDS)] == of_commands_df["label"].value_counts()[list(COMMANDS)]).all()
    assert counts["unknown"] == round(len(of_commands_df) / 10)
    recordings = val_df[val_df["label"] == "silence"]["speaker"].value_counts()
    assert recordings.nunique() == 1 and len(recordings) == len(clips.noise_paths(clips_df))
    assert 0 <= counts["silence"] - counts["unknown"] < len(recordings)
    # The same clips whatever vocabulary the index was made for.
    again_df = clips.validation_clips(clips.index_clips(real_dir, VOCABULARIES[32]))
    assert set(again_df["path"]) == set(val_df["path"])
    spoken_df = clips_df[clips_df["split"] != "noise"]
    assert (spoken_df.groupby("speaker")["split"].nunique() == 1).all()
    assert np.isin(["train", "tune", "val"], spoken_df["split"]).all()


def test_pseudo_labels_find_their_clips(make_data, tmp_path):
    data_dir = make_data(("yes", "no"), num_test=3)
    names = clips.test_clips(data_dir)["fname"]
    path = tmp_path / "pseudo.csv"

    def write(**columns):
        pd.DataFrame(columns).to_csv(path, index=False)

    write(fname=[names[2], names[0]], label=["yes", "silence"], probability=[0.9, 0.8])
    pseudo_df = clips.pseudo_clips(path, data_dir)
    labels = {Path(clip).name: label for clip, label in zip(pseudo_df["path"], pseudo_df["label"], strict=True)}
    assert labels == {names[2]: "yes", names[0]: "silence"} and list(pseudo_df) == ["path", "label"]
    for columns, message in [
        ({"fname": ["nowhere.wav"], "label": ["yes"]}, "nowhere.wav"),
        ({"fname": [names[0]], "label": ["bed"]}, r"labels \['bed'\]"),
        ({"name": [names[0]], "label": ["yes"]}, "must have rows with `fname` and `label`"),
        ({"fname": [], "label": []}, "must have rows with `fname` and `label`"),
    ]:
        write(**columns)
        with pytest.raises(ValueError, match=f"(?s)pseudo.csv: .*{message}"):
            clips.pseudo_clips(path, data_dir)
