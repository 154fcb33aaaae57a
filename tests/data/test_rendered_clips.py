"""The rendered sample: shaped like the competition's data, the same bytes every time, never half there."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kaggle_speech.audio import CLIP_SAMPLES, read_audio, wav_header
from kaggle_speech.data.rendered import clips as clips_module
from kaggle_speech.data.rendered import espeak
from kaggle_speech.data.rendered.clips import _plan_clips, render_sample
from kaggle_speech.data.splits import speaker_percentage, which_set
from kaggle_speech.labels import BACKGROUND_NOISE_DIR, COMMANDS, COMPETITION_LABELS, WORDS_V1

pytest.importorskip("espeakng_loader", reason="rendering needs the optional package espeakng-loader")

NUM_CLIPS = 300


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    return render_sample(tmp_path_factory.mktemp("sample") / "rendered", NUM_CLIPS, progress=False)


def test_samples_of_earlier_versions_are_known(rendered):
    assert json.loads((rendered / "sample.json").read_text())["made_by"] == "kaggle_speech.sample"


@pytest.fixture
def copied(rendered, tmp_path):
    return shutil.copytree(rendered, tmp_path / "copied")


def tree_hash(folder):
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def labelled_clips(folder):
    return sorted(folder.glob("train/audio/[!_]*/*.wav"))


def speaker_of(path):
    return path.name.split("_nohash_")[0]


def no_rendering(*_):
    raise AssertionError("nothing should be rendered")


def test_layout_is_the_competitions(rendered):
    assert {path.name for path in rendered.iterdir()} == {
        "train", "test", "sample_submission.csv", "test_truth.csv", "sample.json"
    }  # fmt: skip
    assert {path.name for path in (rendered / "train" / "audio").iterdir()} == {*WORDS_V1, BACKGROUND_NOISE_DIR}
    for path in labelled_clips(rendered):
        speaker, take = path.stem.split("_nohash_")
        assert len(speaker) == 8 and int(speaker, 16) >= 0 and take in "012"
    for path in (rendered / "test" / "audio").iterdir():
        assert path.suffix == ".wav" and path.stem.startswith("clip_") and int(path.stem[5:], 16) >= 0
        assert len(path.stem) == 14


def test_every_wav_is_16_khz_mono_16_bit_and_at_most_a_second(rendered):
    clips = [path for path in rendered.rglob("*.wav") if path.parent.name != BACKGROUND_NOISE_DIR]
    lengths = []
    for path in clips:
        content = path.read_bytes()
        lengths.append((len(content) - 44) // 2)
        assert content[:44] == wav_header(lengths[-1])
    assert max(lengths) == CLIP_SAMPLES and min(lengths) >= 0.6 * CLIP_SAMPLES
    assert 0.04 < np.mean(np.array(lengths) < CLIP_SAMPLES) < 0.25


def test_noises_last_long_and_have_sane_levels(rendered):
    noises = sorted((rendered / "train" / "audio" / BACKGROUND_NOISE_DIR).iterdir())
    assert len(noises) == 6
    for path in noises:
        noise = read_audio(path)
        assert 10 * CLIP_SAMPLES <= len(noise) <= 20 * CLIP_SAMPLES
        assert 0.005 < noise.std() < 0.3 and abs(noise.mean()) < 0.01


def test_every_word_is_in_every_split_and_the_number_of_clips_is_kept(rendered):
    clips = labelled_clips(rendered)
    words = defaultdict(set)
    for path in clips:
        words[which_set(speaker_of(path))].add(path.parent.name)
    assert words == {split: set(WORDS_V1) for split in ("train", "val", "test")}
    truth_df = pd.read_csv(rendered / "test_truth.csv")
    assert len(clips) + (truth_df["label"] != "silence").sum() == NUM_CLIPS


def test_the_lists_hold_what_the_speaker_hash_says(rendered):
    for split, name in (("val", "validation_list.txt"), ("test", "testing_list.txt")):
        listed = (rendered / "train" / name).read_text().splitlines()
        hashed = [path for path in labelled_clips(rendered) if which_set(speaker_of(path)) == split]
        assert listed == sorted(f"{path.parent.name}/{path.name}" for path in hashed)
        assert len(listed) == NUM_CLIPS / 10


def test_some_training_speakers_are_where_they_can_be_held_out(rendered):
    speakers = {speaker_of(path) for path in labelled_clips(rendered)}
    assert sum(20 <= speaker_percentage(speaker) < 24 for speaker in speakers) >= 2
    assert sum(speaker_percentage(speaker) >= 24 for speaker in speakers) >= 20


def test_splits_share_no_voice_variant():
    labelled, unlabelled = _plan_clips(1000, 0, np.random.default_rng(0))
    variants = defaultdict(set)
    for clip in labelled:
        variants[which_set(speaker_of(Path(clip.path)))].add(clip.voice_plan.voice.split("+")[1])
    variants["unlabelled"] = {clip.voice_plan.voice.split("+")[1] for clip in unlabelled}
    assert len(variants) == 4 and all(variants.values())
    assert sum(map(len, variants.values())) == len(set.union(*variants.values()))


def test_a_speaker_says_a_word_one_to_three_times_each_time_differently():
    labelled, unlabelled = _plan_clips(3000, 0, np.random.default_rng(0))
    assert len({clip.path for clip in labelled + unlabelled}) == 3000
    takes = defaultdict(list)
    for clip in labelled:
        takes[clip.path.rpartition("_nohash_")[0]].append(clip.voice_plan)
    assert {len(utterances) for utterances in takes.values()} == {1, 2, 3}
    assert all(len(set(utterances)) == len(utterances) for utterances in takes.values())


def test_answers_fit_the_unlabelled_clips_and_cover_all_labels_about_equally(rendered):
    submission_df = pd.read_csv(rendered / "sample_submission.csv")
    truth_df = pd.read_csv(rendered / "test_truth.csv")
    assert list(submission_df["fname"]) == sorted(path.name for path in (rendered / "test" / "audio").iterdir())
    assert list(truth_df["fname"]) == list(submission_df["fname"])
    assert set(submission_df["label"]) == {"silence"}
    counts = Counter(truth_df["label"])
    assert set(counts) == set(COMPETITION_LABELS)
    assert max(counts.values()) - min(counts.values()) <= 2


def test_speech_is_never_silent_and_silence_never_loud(rendered):
    assert min(read_audio(path).std() for path in labelled_clips(rendered)) > 1e-3
    truth = pd.read_csv(rendered / "test_truth.csv", index_col="fname")["label"]
    for name, label in truth.items():
        level = read_audio(rendered / "test" / "audio" / name).std()
        assert level > 1e-3 if label in COMMANDS else level < 0.3


def test_another_process_renders_the_same_bytes(rendered, tmp_path):
    code = "from kaggle_speech.data.rendered.clips import render_sample; "
    code += f"render_sample('again', {NUM_CLIPS}, progress=False)"
    path = json.dumps(str(Path(__file__).parents[2]))
    subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {path}); {code}"], cwd=tmp_path, check=True)
    assert tree_hash(tmp_path / "again") == tree_hash(rendered)


def test_another_seed_replaces_the_sample_with_other_clips(rendered, copied):
    assert render_sample(copied, NUM_CLIPS, seed=1, progress=False) == copied
    assert json.loads((copied / "sample.json").read_text())["seed"] == 1
    before, after = ({path.read_bytes() for path in folder.rglob("*.wav")} for folder in (rendered, copied))
    assert len(before & after) <= 1  # digital silence
    assert len(labelled_clips(copied)) == len(labelled_clips(rendered))
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]


def test_a_finished_sample_is_kept_as_it_is(rendered, monkeypatch):
    monkeypatch.setattr(clips_module, "render_speech", no_rendering)
    before = tree_hash(rendered)
    assert render_sample(str(rendered), NUM_CLIPS) == rendered
    assert tree_hash(rendered) == before


@pytest.mark.parametrize("name", ["photo.jpg", "sample.json"])
@pytest.mark.parametrize("content", ["[]", "{}", "precious"])
def test_a_folder_of_someone_else_is_refused(tmp_path, monkeypatch, name, content):
    monkeypatch.setattr(clips_module, "render_speech", no_rendering)
    (tmp_path / name).write_text(content)
    with pytest.raises(FileExistsError, match="never overwritten"):
        render_sample(tmp_path, NUM_CLIPS)
    assert [path.read_text() for path in tmp_path.iterdir()] == [content]
    with pytest.raises(FileExistsError, match="never overwritten"):
        render_sample(tmp_path / name, NUM_CLIPS)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError("No space left on device")])
def test_an_interrupted_render_leaves_nothing_half_made(copied, monkeypatch, interruption):
    written = []

    def write_some(path, waveform):
        written.append(path)
        if len(written) > 20:
            raise interruption

    monkeypatch.setattr(clips_module, "write_wav", write_some)
    before = tree_hash(copied)
    for out_dir in (copied, copied.parent / "new"):
        written.clear()
        with pytest.raises((KeyboardInterrupt, OSError)):
            render_sample(out_dir, NUM_CLIPS, seed=2, progress=False)
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]
    assert tree_hash(copied) == before


def test_a_missing_wheel_is_named_with_the_next_step(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(ImportError, match="pip install espeakng-loader"):
        render_sample(tmp_path / "new", NUM_CLIPS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("num_clips", [0, 299, 20_001, 300.0, "3000", None, True])
def test_num_clips_has_a_range(tmp_path, num_clips):
    with pytest.raises(ValueError, match=r"`num_clips` must be .* 300 to 20000\. Received: "):
        render_sample(tmp_path / "new", num_clips)


@pytest.mark.parametrize("seed", [-1, 0.5, "0", None])
def test_seed_has_a_range(tmp_path, seed):
    with pytest.raises(ValueError, match=r"`seed` must be a whole number >= 0\. Received: "):
        render_sample(tmp_path / "new", NUM_CLIPS, seed)


def test_espeak_repeats_itself_and_obeys_rate_and_pitch():
    slow = espeak.VoicePlan("en-us+f2", "seven", 100, 40, 50)  # f2 is one of the voices with chance in them
    utterances = [slow, slow._replace(words_per_minute=250), slow._replace(pitch=80), slow._replace(voice="en+m3")]
    first, again = ([waveform.tobytes() for waveform in espeak.render_speech(utterances)] for _ in range(2))
    assert first == again and len(set(first)) == 4
    assert len(first[1]) < 0.7 * len(first[0])


def test_an_unknown_voice_is_named():
    good = espeak.VoicePlan("en", "yes", 150, 50, 50)
    with pytest.raises(RuntimeError, match=r"all 2 utterances\. Received: 1, then exit code 1: .*'xx-nobody'"):
        list(espeak.render_speech([good, good._replace(voice="xx-nobody")]))


def test_a_dying_process_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(espeak, "espeak_paths", lambda: (tmp_path / "missing.so", tmp_path))
    with pytest.raises(RuntimeError, match=r"(?s)Received: 0, then exit code 1: .*missing\.so"):
        next(espeak.render_speech([espeak.VoicePlan("en", "yes", 150, 50, 50)]))
