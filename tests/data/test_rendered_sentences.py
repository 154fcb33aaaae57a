"""The rendered sentences: shaped like LibriSpeech, the same bytes every time, never half there."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kaggle_speech import files
from kaggle_speech.data import places, splits, utterances
from kaggle_speech.data.rendered import sentences
from kaggle_speech.text.alphabet import ALPHABET, normalize_text

pytest.importorskip("espeakng_loader", reason="rendering needs the optional package espeakng-loader")

NUM_UTTERANCES = 104


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    return sentences.render_sentences(tmp_path_factory.mktemp("sentences") / "new", NUM_UTTERANCES, progress=False)


@pytest.fixture
def copied(rendered, tmp_path):
    return shutil.copytree(rendered, tmp_path / "copied")


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def no_rendering(*_):
    raise AssertionError("nothing should be rendered")


def test_they_are_read_as_real_ones_are(rendered):
    utterances_df, bad_df = utterances.index_utterances(rendered, progress=False)
    assert bad_df.empty and len(utterances_df) == NUM_UTTERANCES
    assert set(utterances_df["split"]) == {"rendered"}
    counts = utterances_df["speaker"].value_counts()
    assert set(counts.index) == {str(number) for number in range(1, 9)} and set(counts) == {13}
    seconds = utterances_df["num_samples"] / 16_000
    assert seconds.between(0.7, 5).all() and (seconds <= 3).mean() > 0.9
    kept_df, _ = utterances.select_utterances(utterances_df, lambda num_samples: num_samples // 320, max_seconds=5)
    assert len(kept_df) == NUM_UTTERANCES
    val_df = splits.split_speakers(utterances_df).query("split == 'val'")
    assert set(val_df["speaker"]) == {"3", "4", "5", "6", "7", "8"}
    assert places.find_speech(rendered) == rendered


def test_files_are_like_librispeechs(rendered):
    for path in rendered.rglob("*.flac"):
        info = soundfile.info(path)
        assert (info.format, info.subtype, info.samplerate, info.channels) == ("FLAC", "PCM_16", 16_000, 1)
        waveform, _ = soundfile.read(path)
        assert 1e-3 < waveform.std() < 0.5 and (np.abs(waveform) > 0.999).mean() < 0.001  # hardly anything is clipped
    for path in rendered.rglob("*.trans.txt"):
        names, texts = zip(*(line.split(" ", 1) for line in path.read_text().splitlines()), strict=True)
        assert list(names) == sorted(flac.stem for flac in path.parent.glob("*.flac"))
        assert all(text == text.upper() == normalize_text(text).upper() for text in texts)


def test_texts_are_many_and_use_the_whole_alphabet():
    rng = np.random.default_rng(0)
    texts = [sentences.draw_sentence(rng) for _ in range(400)]
    assert set("".join(texts)) == {*ALPHABET[1:]}
    assert all(text == normalize_text(text) and 3 <= len(text.split()) <= 11 for text in texts)
    assert len(set(texts)) > 350
    half, other = (set(" ".join(part).split()) for part in (texts[:300], texts[300:]))
    assert len(other & half) > 0.9 * len(other)  # sentences are new, words are not


def test_speakers_share_no_voice_variant():
    takes = sentences._draw_takes(400, np.random.default_rng(0))
    voices = {speaker: voice for _, voice, speaker in takes}
    assert len(voices) == 30 == len({voice.split("+")[1] for voice in voices.values()})
    assert all(voices[speaker] == voice for _, voice, speaker in takes)


def test_another_process_renders_the_same_bytes(rendered, tmp_path):
    code = "from kaggle_speech.data.rendered.sentences import render_sentences; "
    code += f"render_sentences('again', {NUM_UTTERANCES})"
    path = json.dumps(str(Path(sentences.__file__).parents[3]))
    subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {path}); {code}"], cwd=tmp_path, check=True)
    assert content(tmp_path / "again") == content(rendered)


def test_sentences_of_earlier_versions_are_known(rendered):
    assert json.loads((rendered / "sentences.json").read_text())["made_by"] == "kaggle_speech.sentences"


def test_other_arguments_replace_and_the_same_keep(rendered, copied, monkeypatch):
    before = content(rendered)
    assert sentences.render_sentences(copied, 24, seed=1, progress=False) == copied
    assert json.loads((copied / "sentences.json").read_text())["seed"] == 1
    assert len(list(copied.rglob("*.flac"))) == 24
    assert not {data for data in content(copied).values()} & {*before.values()}
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]
    monkeypatch.setattr(sentences, "render_speech", no_rendering)
    assert sentences.render_sentences(str(rendered), NUM_UTTERANCES) == rendered
    assert content(rendered) == before


@pytest.mark.parametrize("name", ["photo.jpg", "sentences.json"])
@pytest.mark.parametrize("text", ["[]", "{}", '{"made_by": "kaggle_speech.sample"}', "precious"])
def test_a_folder_of_someone_else_is_refused(tmp_path, monkeypatch, name, text):
    monkeypatch.setattr(sentences, "render_speech", no_rendering)
    (tmp_path / name).write_text(text)
    for out_dir in (tmp_path, tmp_path / name):
        with pytest.raises(FileExistsError, match="never overwritten"):
            sentences.render_sentences(out_dir)
    assert content(tmp_path) == {name: text.encode()}


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError("No space left on device")])
def test_an_interrupted_render_leaves_nothing_half_made(copied, monkeypatch, interruption):
    def record_some(*_):
        nonlocal num_left
        num_left -= 1
        if num_left == 0:
            raise interruption
        return np.zeros(16_000)

    monkeypatch.setattr(sentences, "record_at", record_some)
    before = content(copied)
    for out_dir in (copied, copied.parent / "new"):
        num_left = 10
        with pytest.raises((KeyboardInterrupt, OSError)):
            sentences.render_sentences(out_dir, 24, seed=2, progress=False)
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]
    assert content(copied) == before


@pytest.mark.parametrize("num_utterances", [0, 23, 5_001, 24.0, "400", None, True])
def test_num_utterances_has_a_range(tmp_path, num_utterances):
    with pytest.raises(ValueError, match=r"`num_utterances` must be a whole number, 24 to 5000\. Received: "):
        sentences.render_sentences(tmp_path / "new", num_utterances)


@pytest.mark.parametrize("seed", [-1, 0.5, "0", None])
def test_seed_has_a_range(tmp_path, seed):
    with pytest.raises(ValueError, match=r"`seed` must be a whole number >= 0\. Received: "):
        sentences.render_sentences(tmp_path / "new", seed=seed)


def test_a_missing_wheel_is_named_with_the_next_step(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(ImportError, match="pip install espeakng-loader"):
        sentences.render_sentences(tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_a_made_folder_has_its_settings_beside_what_was_written(tmp_path):
    settings = {"made_by": "me", "size": 3}
    out_dir = files.make_folder(tmp_path / "a" / "b", "me.json", settings, lambda folder: (folder / "x").touch())
    assert set(content(out_dir)) == {"x", "me.json"} and json.loads((out_dir / "me.json").read_text()) == settings
