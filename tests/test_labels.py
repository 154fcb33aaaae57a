"""labels.py against the published sizes of the vocabularies and the published hash."""

import re
import subprocess
import sys

import pytest

from kaggle_speech import labels
from kaggle_speech.data.splits import which_set


def test_vocabularies_have_their_sizes_and_no_word_twice():
    for num_classes, vocabulary in labels.VOCABULARIES.items():
        assert len(vocabulary) == len(set(vocabulary)) == num_classes


@pytest.mark.parametrize(
    ("word", "num_classes", "label"),
    [
        ("left", 12, "left"),
        ("bed", 12, "unknown"),
        ("silence", 12, "silence"),
        ("bed", 32, "bed"),
        ("visual", 32, "unknown"),
        ("visual", 31, None),
        ("visual", 35, "visual"),
        ("silence", 35, None),
    ],
)
def test_word_to_label(word, num_classes, label):
    assert labels.word_to_label(word, labels.VOCABULARIES[num_classes]) == label


def test_hash_gives_the_asked_shares():
    splits = [which_set(f"{number:08x}", 10, 20) for number in range(5000)]
    assert abs(splits.count("val") / 5000 - 0.1) < 0.02
    assert abs(splits.count("test") / 5000 - 0.2) < 0.02


def test_hash_agrees_with_the_official_lists(real_dir):
    audio_dir = real_dir / "train" / "audio"
    listed = set((real_dir / "train" / "validation_list.txt").read_text().split())
    clips = [path for path in audio_dir.glob("*/*.wav") if "_nohash_" in path.name]
    hashed = {
        f"{path.parent.name}/{path.name}" for path in clips if which_set(re.sub(r"_nohash_.*$", "", path.name)) == "val"
    }
    assert len(clips) > 1000 and hashed == listed


def test_package_and_plain_modules_import_no_tensorflow():
    modules = (
        *(
            "labels",
            "audio",
            "files",
            "folders",
            "progress",
            "data.archives",
            "data.downloads",
            "data.clips",
            "data.splits",
        ),
        *(
            "data.noise",
            "data.utterances",
            "data.rendered.clips",
            "inference.load",
            "inference.submission",
            "plots.scores",
        ),
        *("streaming.words", "streaming.transcripts", "text.decoders", "evaluation.metrics", "evaluation.intervals"),
    )
    imports = ", ".join(f"kaggle_speech.{name}" for name in modules)
    code = f"import sys, {imports}; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
