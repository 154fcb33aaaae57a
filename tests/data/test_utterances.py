"""utterances.py: every recording is in one of the two frames, and what is said of it is so."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile

from kaggle_speech import folders
from kaggle_speech.audio import read_audio
from kaggle_speech.data import places, utterances
from kaggle_speech.data.splits import split_speakers

#: What is said in one chapter of each of these speakers.
TEXTS = ("GO DO YOU HEAR", "HE DOESN'T WORK AT ALL", "HELLO")
SPEAKERS = ("84", "174", "1272")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(folders.OUTPUT_VARIABLE, str(tmp_path / "output"))


@pytest.fixture
def write_audio(rng):
    """A function that writes noise: `write_audio(path, seconds=1.0, sample_rate=16_000, channels=1)`."""

    def write(path, seconds=1.0, sample_rate=16_000, channels=1):
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.standard_normal((round(seconds * sample_rate), channels)), sample_rate)
        return path

    return write


@pytest.fixture
def corpus(tmp_path, write_audio):
    """`LibriSpeech/dev-clean` with three speakers of three utterances; returns the folder of `LibriSpeech`."""
    root = tmp_path / "data" / "LibriSpeech"
    for speaker in SPEAKERS:
        chapter_dir = root / "dev-clean" / speaker / "7"
        names = [f"{speaker}-7-{number:04d}" for number in range(len(TEXTS))]
        for number, name in enumerate(names):
            write_audio(chapter_dir / f"{name}.flac", 1 + number)
        lines = "".join(f"{name} {text}\n" for name, text in zip(names, TEXTS, strict=True))
        (chapter_dir / f"{speaker}-7.trans.txt").write_text(lines)
    (root / "LICENSE.TXT").write_text("CC BY 4.0")
    return root


def index(source):
    return utterances.index_utterances(source, progress=False)


def chapter(corpus, speaker="84"):
    return corpus / "dev-clean" / speaker / "7"


def add_line(corpus, line):
    with (chapter(corpus) / "84-7.trans.txt").open("ab") as file:
        file.write(line if isinstance(line, bytes) else line.encode())


def the_only_error(source):
    """The single row of `bad_df`; the nine good utterances must still be there."""
    utterances_df, bad_df = index(source)
    assert len(utterances_df) == 9 and len(bad_df) == 1
    assert list(bad_df) == ["name", "path", "error"]
    return bad_df.iloc[0]


def test_a_row_for_every_utterance(corpus):
    utterances_df, bad_df = index(corpus)
    assert bad_df.empty and list(bad_df) == ["name", "path", "error"]
    assert list(utterances_df) == ["name", "path", "text", "speaker", "split", "num_samples"]
    names = sorted(path.stem for path in corpus.rglob("*.flac"))
    assert list(utterances_df["name"]) == names and len(names) == 9
    for row in utterances_df.to_dict("records"):
        speaker, _, number = row["name"].split("-")
        assert row["speaker"] == speaker and row["split"] == "dev-clean"
        assert row["text"] == TEXTS[int(number)].lower()
        assert row["num_samples"] == 16_000 * (1 + int(number)) == soundfile.info(row["path"]).frames


def test_the_root_its_parent_and_a_split_are_the_same(corpus, monkeypatch):
    utterances_df, _ = index(corpus)
    monkeypatch.chdir(corpus.parent)
    for folder in (corpus.parent, corpus / "dev-clean", "LibriSpeech", "."):
        pd.testing.assert_frame_equal(index(folder)[0], utterances_df)


def test_splits_have_the_names_of_their_folders(corpus):
    shutil.copytree(corpus / "dev-clean" / "84", corpus / "test-other" / "85")
    for path in sorted((corpus / "test-other").rglob("84*")):
        path.rename(path.with_name(path.name.replace("84", "85")))
    transcript = corpus / "test-other/85/7/85-7.trans.txt"
    transcript.write_text(transcript.read_text().replace("84", "85"))
    utterances_df, bad_df = index(corpus)
    assert bad_df.empty
    assert utterances_df.groupby("split")["speaker"].unique().map(set).to_dict() == {
        "dev-clean": set(SPEAKERS),
        "test-other": {"85"},
    }


def test_wav_stereo_and_other_sample_rates_are_fine(corpus, write_audio):
    write_audio(chapter(corpus) / "84-7-0003.wav", 0.5)
    write_audio(chapter(corpus) / "84-7-0004.flac", 1.5, 44_100, 2)
    write_audio(chapter(corpus) / "._84-7-0004.flac")  # what macOS puts into archives
    add_line(corpus, "84-7-0003 ONE\r\n\n84-7-0004\tTWO")
    utterances_df, bad_df = index(corpus)
    assert bad_df.empty
    added_df = utterances_df[utterances_df["name"].isin(["84-7-0003", "84-7-0004"])]
    assert list(added_df["text"]) == ["one", "two"]
    assert list(added_df["num_samples"]) == [8_000, 24_000] == [len(read_audio(path)) for path in added_df["path"]]


def test_a_csv_lists_files_wherever_they_are(corpus, write_audio, tmp_path):
    write_audio(tmp_path / "mine" / "a.wav", 0.5)
    write_audio(tmp_path / "other" / "a.wav", 0.75)
    csv_path = tmp_path / "list.csv"
    pd.DataFrame({"path": ["mine/a.wav", str(tmp_path / "other/a.wav")], "text": ["Yes!", "none"]}).to_csv(csv_path)
    utterances_df, bad_df = index(csv_path)
    assert bad_df.empty
    rows = {row["name"]: row for row in utterances_df.to_dict("records")}
    mine = rows.pop("mine/a.wav")
    assert (mine["text"], mine["num_samples"], mine["speaker"], mine["split"]) == ("yes", 8_000, "", "")
    assert set(rows) == {str(tmp_path / "other/a.wav")}
    whole_df, _ = index(corpus)
    whole_df.to_csv(csv_path, index=False)
    listed_df, _ = index(csv_path)
    columns = ["path", "text", "speaker", "split", "num_samples"]
    pd.testing.assert_frame_equal(listed_df[columns], whole_df[columns])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("84-7-0009 NO SOUND\n", r"^84-7-0009: a transcript must have audio.*Received: no file .*84-7-0009.flac$"),
        (
            "84-7-0003 ROOM 12\n",
            r"^84-7-0003: a transcript must be words of .* numbers and signs .* spelled out.* 1 2 in",
        ),
        ("84-7-0003 ПРИВЕТ\n", r"^84-7-0003: a transcript must be words of the letters a to z"),
        ("84-7-0003\n", r"^84-7-0003: a transcript must hold words. Received: ''$"),
        ("84-7-0003 -- ...\n", r"^84-7-0003: a transcript must hold words. Received: '-- ...'$"),
        (b"84-7-0003 CAF\xe9\n", r"^84-7-0003: a transcript must be written in UTF-8. Received: 'CAF"),
        ("", r"^84-7-0003: audio must have a transcript. Received: .*84-7-0003.flac, and no line with its name"),
    ],
)
def test_transcripts_that_cannot_be_used(corpus, write_audio, line, message):
    if "0009" not in message:
        write_audio(chapter(corpus) / "84-7-0003.flac")
    add_line(corpus, line)
    bad = the_only_error(corpus)
    assert pd.Series([bad["error"]]).str.contains(message).all(), bad["error"]
    assert bad["path"] == str(chapter(corpus) / f"{bad['name']}.flac")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: b"", "must not be empty. Received: 0 bytes"),
        (lambda content: b"no sound at all", "must be an audio file that libsndfile reads"),
        (lambda content: content[: len(content) // 2], "must be an audio file that libsndfile reads"),
        (
            lambda content: content[:20_000] + bytes(100) + content[20_100:],
            "must be an audio file that libsndfile reads",
        ),
        (lambda content: content[:20_000] + bytes([content[20_000] ^ 8]) + content[20_001:], "must be an audio file"),
    ],
)
def test_damaged_audio_is_found_behind_a_good_header(corpus, write_audio, damage, message):
    path = write_audio(chapter(corpus) / "84-7-0003.flac", 2.0)
    add_line(corpus, "84-7-0003 GOOD BYE\n")
    content = path.read_bytes()
    assert len(content) > 30_000
    path.write_bytes(damage(content))
    bad = the_only_error(corpus)
    assert (bad["name"], bad["path"]) == ("84-7-0003", str(path))
    assert bad["error"].startswith(f"{path}: ") and message in bad["error"]


@pytest.mark.parametrize("kind", ["nan", "no samples", "truncated"])
def test_damaged_wav(corpus, write_audio, kind):
    path = chapter(corpus) / "84-7-0003.wav"
    waveform = np.zeros(0 if kind == "no samples" else 8_000, "float32")
    waveform[100:101] = np.nan if kind == "nan" else 0
    soundfile.write(path, waveform, 16_000, subtype="FLOAT")
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:10_000])
    add_line(corpus, "84-7-0003 GOOD BYE\n")
    expected = {"nan": "samples must be finite", "no samples": "must hold samples", "truncated": "truncated"}[kind]
    assert expected in the_only_error(corpus)["error"]


def test_a_file_that_may_not_be_read_is_bad(corpus, monkeypatch):
    def forbidden(path):
        if "1272-7-0000" in path:
            raise PermissionError(13, "Permission denied", path)
        return read_audio(path)

    monkeypatch.setattr(utterances, "read_audio", forbidden)
    utterances_df, bad_df = index(corpus)
    assert len(utterances_df) == 8 and list(bad_df["name"]) == ["1272-7-0000"]
    assert "Permission denied" in bad_df["error"][0]


def test_a_name_that_occurs_twice_is_bad_each_time(corpus, write_audio):
    add_line(corpus, "84-7-0000 GO\n")
    write_audio(chapter(corpus, "174") / "174-7-0002.wav")
    copy_dir = corpus / "test-clean" / "1272" / "7"
    copy_dir.mkdir(parents=True)
    shutil.copy(chapter(corpus, "1272") / "1272-7-0001.flac", copy_dir)
    (copy_dir / "1272-7.trans.txt").write_text("1272-7-0001 HE DOESN'T WORK AT ALL\n")
    utterances_df, bad_df = index(corpus)
    assert list(bad_df["name"]) == ["1272-7-0001"] * 2 + ["174-7-0002"] * 2 + ["84-7-0000"] * 2
    assert bad_df["error"].str.contains("a name must occur once").all()
    assert len(utterances_df) == 6 and not set(utterances_df["name"]) & set(bad_df["name"])


def test_transcripts_without_any_audio_are_all_bad(corpus):
    for path in corpus.rglob("*.flac"):
        path.unlink()
    utterances_df, bad_df = index(corpus)
    assert utterances_df.empty and len(bad_df) == 9
    assert bad_df["error"].str.contains("a transcript must have audio").all()


def test_a_folder_without_speech_is_an_error(tmp_path, make_data):
    rule = r"must hold <split>/<speaker>/<chapter>/\*.trans.txt with .flac or .wav files beside them.*Received: one"
    with pytest.raises(ValueError, match=rf"nowhere: {rule} which does not exist"):
        index(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=rf"empty: {rule} which is empty"):
        index(tmp_path / "empty")
    (tmp_path / "a.txt").touch()
    with pytest.raises(ValueError, match=rf"a.txt: {rule} which is a file"):
        index(tmp_path / "a.txt")
    with pytest.raises(ValueError, match=rf"{rule} with a.txt, empty, test, train"):
        index(make_data(["yes"]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "must be a CSV with the columns `path` and `text`"),
        ('path,text\n"a', "must be a CSV with the columns `path` and `text`"),
        ("path,text\n", r"must have rows with `path` and `text`. Received: 0 of \['path', 'text'\]"),
        ("path,label\na.wav,yes\n", r"must have rows with `path` and `text`. Received: 1 of \['path', 'label'\]"),
        (
            "path,text\na.wav,one, two\nb.wav,three\n",
            "must be a CSV .* commas in double quotes.*than columns in line 2, .* 'a.wav'$",
        ),
        (
            "path,text\na.wav,1,2,3\n",
            r"must be a CSV .* commas in double quotes.*than columns in line 2, .* \('a.wav', '1'\)$",
        ),
        (
            "path,text\na.wav,one\nb.wav,two, three\n",
            "must be a CSV .* commas in double quotes.* Expected 2 fields in line 3, saw 3",
        ),
        (None, "must be a CSV .* Received: .*No such file"),
    ],
)
def test_a_csv_without_utterances_is_an_error(tmp_path, content, message):
    if content is not None:
        (tmp_path / "list.csv").write_text(content)
    with pytest.raises(ValueError, match=rf"list.csv: {message}"):
        index(tmp_path / "list.csv")


def test_rows_of_a_csv_that_cannot_be_used(tmp_path, write_audio):
    write_audio(tmp_path / "a.wav")
    write_audio(tmp_path / "b.wav")
    (tmp_path / "list.csv").write_bytes(b"path,text\na.wav,NA\na.wav,two\nb.wav,caf\xe9\nc.wav,three\n,four\nb.flac,\n")
    utterances_df, bad_df = index(tmp_path / "list.csv")
    assert utterances_df.empty and list(utterances_df) == [*["name", "path", "text", "speaker", "split", "num_samples"]]
    assert list(bad_df["name"]) == ["", "a.wav", "a.wav", "b.flac", "b.wav", "c.wav"]


def test_names_in_a_csv_keep_their_endings(tmp_path, write_audio):
    write_audio(tmp_path / "a.wav")
    write_audio(tmp_path / "a.flac")
    (tmp_path / "L.CSV").write_text('path,text\na.wav,"one, two"\na.flac,three\n')
    assert places.find_speech(tmp_path / "L.CSV") == tmp_path / "L.CSV"
    utterances_df, bad_df = index(tmp_path / "L.CSV")
    assert bad_df.empty and dict(zip(utterances_df["name"], utterances_df["text"], strict=True)) == {
        "a.flac": "three",
        "a.wav": "one two",
    }


def test_what_was_read_once_is_not_read_again_until_it_changes(corpus, write_audio, monkeypatch):
    damaged = write_audio(chapter(corpus) / "84-7-0003.flac")
    damaged.write_bytes(damaged.read_bytes()[:5_000])
    add_line(corpus, "84-7-0003 GOOD BYE\n")
    first = index(corpus)
    read = []
    monkeypatch.setattr(utterances, "read_audio", lambda path: read.append(path) or read_audio(path))
    for frame, again in zip(first, index(corpus), strict=True):
        pd.testing.assert_frame_equal(frame, again)
    assert read == [str(damaged)]
    changed = write_audio(chapter(corpus, "174") / "174-7-0000.flac", 0.5)
    write_audio(damaged, 0.25)
    read.clear()
    utterances_df, bad_df = index(corpus)
    assert sorted(read) == sorted([str(damaged), str(changed)]) and bad_df.empty
    lengths = utterances_df.set_index("name")["num_samples"]
    assert lengths["174-7-0000"] == 8_000 and lengths["84-7-0003"] == 4_000 and len(lengths) == 10


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"'])
def test_a_damaged_cache_is_made_again(corpus, content):
    first, _ = index(corpus)
    (cache_path,) = folders.cache_dir().iterdir()
    kept = json.loads(cache_path.read_text())
    cache_path.write_text(content)
    pd.testing.assert_frame_equal(index(corpus)[0], first)
    assert json.loads(cache_path.read_text()) == kept and len(kept) == 9


def frames_of(num_samples):
    return 1 + num_samples // 160 // 2


def frame_of(*rows):
    return pd.DataFrame(rows, columns=["name", "text", "num_samples"]).assign(path="a.flac", speaker="1", split="val")


def test_selection_leaves_out_what_is_too_long_too_short_or_has_too_few_frames():
    utterances_df = frame_of(
        ("short", "a", 1_600),
        ("long", "a", 35 * 16_000),
        ("fits", "hello", 5 * 320),  # six frames
        ("lacks", "hello", 4 * 320),
        ("good", "good", 16_000),
    )
    kept_df, left_out_df = utterances.select_utterances(utterances_df, frames_of, max_seconds=30, min_seconds=0.08)
    assert list(kept_df["name"]) == ["short", "fits", "good"] and list(kept_df) == list(utterances_df)
    assert list(left_out_df) == ["name", "path", "error"]
    assert list(left_out_df["error"]) == [
        "long: must last 0.08 to 30 s. Received: 35.00 s",
        "lacks: must have the 6 output frames that CTC needs for its text. Received: 5",
    ]
    kept_df, left_out_df = utterances.select_utterances(utterances_df, frames_of, max_seconds=17.5)
    assert list(kept_df["name"]) == ["good"]
    assert left_out_df["error"][0] == "short: must last 0.3 to 17.5 s. Received: 0.10 s"


def test_frames_are_whole():
    kept_df, left_out_df = utterances.select_utterances(
        frame_of(("fits", "ab", 16_000), ("lacks", "abc", 16_000)), lambda num_samples: 2.9, max_seconds=3
    )
    assert list(kept_df["name"]) == ["fits"]
    assert left_out_df["error"][0] == "lacks: must have the 3 output frames that CTC needs for its text. Received: 2"


@pytest.mark.parametrize("num_frames", [5, 6, 7])
def test_ctc_can_spell_what_is_kept(num_frames):
    """Whether any path of so many frames collapses to the text, by trying all of them over three symbols."""
    grids = np.array(np.meshgrid(*[[0, 1, 2]] * num_frames)).reshape(num_frames, -1).T
    spelled = set()
    for grid in grids:
        kept = grid[np.flatnonzero(np.diff(grid, prepend=-1))]
        spelled.add("".join(" ab"[symbol] for symbol in kept[kept > 0]))
    for text in ("abab", "aabb", "aaab", "aaaa", "ababab", "aabbab"):
        kept_df, _ = utterances.select_utterances(
            frame_of((text, text, 16_000)), lambda num_samples: num_frames, max_seconds=1
        )
        assert (len(kept_df) == 1) == (text in spelled)


@pytest.mark.parametrize(("low", "high"), [(-1, 3), (3, 3), (4, 3), (float("nan"), 3)])
def test_selection_needs_seconds_in_order(low, high):
    with pytest.raises(ValueError, match=r"`min_seconds` must be >= 0 and below `max_seconds`. Received: "):
        utterances.select_utterances(frame_of(), frames_of, min_seconds=low, max_seconds=high)


def test_nothing_to_select_from():
    kept_df, left_out_df = utterances.select_utterances(frame_of(), frames_of, max_seconds=30)
    assert kept_df.empty and left_out_df.empty


@pytest.mark.parametrize(
    ("speakers", "held_out"),
    [(["9", "10", "100", "84"], {"84", "100"}), (["9", "10", "x", "84"], {"9", "x"}), (["03", "2", "1"], {"2", "03"})],
)
def test_the_speakers_with_the_highest_ids_are_held_out(speakers, held_out):
    utterances_df = pd.DataFrame({"name": speakers * 2, "speaker": speakers * 2, "split": "dev-clean"})
    split_df = split_speakers(utterances_df, num_val_speakers=2)
    assert set(split_df.loc[split_df["split"] == "val", "speaker"]) == held_out
    assert set(split_df.loc[split_df["split"] == "train", "speaker"]) == set(speakers) - held_out
    assert set(utterances_df["split"]) == {"dev-clean"}  # the frame that was given stays


@pytest.mark.parametrize(("num_speakers", "num_val"), [(1, 1), (6, 6), (3, 6), (5, 0), (5, -1)])
def test_both_splits_need_speakers(num_speakers, num_val):
    utterances_df = pd.DataFrame({"speaker": [str(number) for number in range(num_speakers)], "split": "dev-clean"})
    with pytest.raises(ValueError, match=rf"below the number of speakers. Received: {num_val} of {num_speakers}$"):
        split_speakers(utterances_df, num_val)


def test_someones_own_split_stays(tmp_path, write_audio):
    """In any number of speakers, known or not, and whatever `num_val_speakers` says."""
    rows = [("a.wav", "one", "train"), ("b.wav", "two", "train"), ("c.wav", "three", "val"), ("d.wav", "four", "test")]
    for path, *_ in rows:
        write_audio(tmp_path / path)
    for number in (3, 4):
        pd.DataFrame(rows[:number], columns=["path", "text", "split"]).to_csv(tmp_path / "list.csv", index=False)
        utterances_df, _ = index(tmp_path / "list.csv")
        split_df = split_speakers(utterances_df, 6)
        assert list(split_df["split"]) == [split for *_, split in rows[:number]]
        pd.testing.assert_frame_equal(split_df, utterances_df)


def test_what_was_split_stays_split():
    utterances_df = pd.DataFrame({"speaker": ["1", "2", "3"], "split": "dev-clean"})
    split_df = split_speakers(utterances_df, 1)
    pd.testing.assert_frame_equal(split_speakers(split_df, 2), split_df)


@pytest.mark.parametrize("split", ["dev-clean", ""])
def test_a_split_for_some_rows_only_is_refused(split):
    """Else the user's validation clips would be trained on."""
    utterances_df = pd.DataFrame({"speaker": ["3", "1", "2"], "split": ["train", "val", split]})
    with pytest.raises(ValueError, match=rf"or `test` in every row, or .* Received: \['{split}'\] in 1 of 3 rows"):
        split_speakers(utterances_df, 1)


@pytest.mark.parametrize("splits", [["train"] * 3, ["val"] * 3, ["train", "dev-clean", ""]])
def test_other_splits_give_way_to_that_of_the_speakers(splits):
    utterances_df = pd.DataFrame({"speaker": ["3", "1", "2"], "split": splits})
    assert list(split_speakers(utterances_df, 1)["split"]) == ["val", "train", "train"]


@pytest.mark.parametrize(("speakers", "received"), [(["", ""], "2 of 2"), (["1", "", "2"], "1 of 3")])
def test_utterances_without_speakers_cannot_be_split(speakers, received):
    utterances_df = pd.DataFrame({"speaker": speakers, "split": ""})
    message = rf"column `speaker` of the list, or its column `split` with `train` and `val`. Received: {received} utt"
    with pytest.raises(ValueError, match=message):
        split_speakers(utterances_df)


def test_nothing_cannot_be_split():
    with pytest.raises(ValueError, match=r"there must be utterances to split. Received: none"):
        split_speakers(frame_of())


def test_fingerprint_follows_what_is_said_not_where_it_lies(corpus, write_audio):
    def fingerprint(root):
        return utterances.utterances_fingerprint(split_speakers(index(root)[0], 1))

    first = fingerprint(corpus)
    utterances_df, _ = index(corpus)
    assert utterances.utterances_fingerprint(utterances_df) != first  # other splits
    moved = corpus.with_name("moved")
    corpus.rename(moved)
    assert fingerprint(moved) == first
    shuffled_df = split_speakers(index(moved)[0], 1).sample(frac=1, random_state=0)
    assert utterances.utterances_fingerprint(shuffled_df) == first
    path = chapter(moved) / "84-7.trans.txt"
    path.write_text(path.read_text().replace("HELLO", "HELLA"))
    assert fingerprint(moved) != first
    path.write_text(path.read_text().replace("HELLA", "HELLO"))
    assert fingerprint(moved) == first
    write_audio(chapter(moved) / "84-7-0000.flac", 1.1)
    assert fingerprint(moved) != first


def test_real_recordings(speech_dir):
    """The same count by a plain loop; every speaker in one split."""
    utterances_df, bad_df = index(speech_dir)
    assert bad_df.empty
    texts, frames = {}, {}
    for path in speech_dir.rglob("*.trans.txt"):
        texts |= dict(line.split(" ", 1) for line in path.read_text().splitlines())
    for path in speech_dir.rglob("*.flac"):
        frames[path.stem] = soundfile.info(path).frames
    assert utterances_df.set_index("name")["num_samples"].to_dict() == frames
    assert utterances_df.set_index("name")["text"].to_dict() == {name: text.lower() for name, text in texts.items()}
    speakers = {name.split("-")[0] for name in frames}
    assert set(utterances_df["speaker"]) == speakers
    split_df = split_speakers(utterances_df)
    held_out = set(sorted(speakers, key=int)[-6:])
    assert set(split_df.loc[split_df["split"] == "val", "speaker"]) == held_out
    assert set(split_df.loc[split_df["split"] == "train", "speaker"]) == speakers - held_out
    if len(frames) == 400:  # of dev-clean, those of at most three seconds
        assert len(speakers) == 39 and round(sum(frames.values()) / 16_000) == 999
        assert held_out == {"6319", "6345", "7850", "7976", "8297", "8842"}
        assert len(utterances.select_utterances(utterances_df, frames_of, max_seconds=3)[0]) == 400
