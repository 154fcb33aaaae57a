"""Rendered sample: a small data set in the layout of the competition, made offline.

Many espeak-ng voices say the words, each at its own speed, pitch and level, in
its own room and noise. It shows that every step works, not how good a model is.
"""

import contextlib
import functools
import hashlib
import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kaggle_speech.audio import CLIP_SAMPLES, SAMPLE_RATE, write_wav
from kaggle_speech.data.rendered.acoustics import background_noises, record, rms, spoken_waveform
from kaggle_speech.data.rendered.espeak import (
    ACCENTS,
    VOICE_SAMPLE_RATE,
    VoicePlan,
    draw_voice_plans,
    render_speech,
    voice_variants,
)
from kaggle_speech.data.rendered.folder import render_folder
from kaggle_speech.data.splits import speaker_percentage, which_set
from kaggle_speech.labels import (
    BACKGROUND_NOISE_DIR,
    COMMANDS,
    COMPETITION_LABELS,
    SILENCE,
    WORDS_V1,
    WORDS_V2,
    word_to_label,
)
from kaggle_speech.progress import progress_bar

MIN_CLIPS, MAX_CLIPS = 300, 20_000
#: Raised whenever the same arguments give other clips, so that an old sample is rendered again.
SAMPLE_VERSION = 1

#: Marks the folders of this module. Fixed: folders of earlier versions have it.
MADE_BY = "kaggle_speech.sample"
_SETTINGS_NAME = "sample.json"
_CLIPS_PER_SPEAKER = 6
_MAX_TAKES = 3  # of one word by one speaker
_MAX_WORD_SAMPLES = round(0.9 * SAMPLE_RATE)
_NUM_BABBLE_WORDS = 120


class _Pool(NamedTuple):
    """Speakers that share no voice variant (timbre) with another pool."""

    share: float  # of the clips, and of the variants
    low: float  # the speaker hash puts them at `low <= percentage < high`, 0 to 100
    high: float


_POOLS = (
    _Pool(0.665, 24, 100),
    _Pool(0.035, 20, 24),  # training speakers too; the slice `tune`
    _Pool(0.1, 0, 10),
    _Pool(0.1, 10, 20),
    _Pool(0.1, 0, 100),  # the unlabelled test clips, whose speakers have no names
)


class _Clip(NamedTuple):
    path: str  # inside the sample
    label: str  # the word; the true answer where the clip is an unlabelled one
    voice_plan: VoicePlan
    tract_scale: float  # length of the vocal tract; 1 is the voice's own


def _pool_ends(total):
    """End of the part of each pool among `total` clips or variants."""
    return np.rint(np.cumsum([pool.share for pool in _POOLS]) * total).astype(int)


def _speaker_name(voice, pool):
    """Eight hex digits that the competition's speaker hash puts into the range of a pool."""
    counter = 0
    while True:
        name = hashlib.sha1(f"{voice} {counter}".encode()).hexdigest()[:8]
        if pool.low <= speaker_percentage(name) < pool.high:
            return name
        counter += 1


def _draw_takes(words, voices, num_clips, rng):
    """`(word, voice, take)` of each clip: words and voices equally often, one to three takes of a pair."""
    words = rng.permutation(words).tolist()
    next_voice = itertools.cycle(voices.tolist())
    num_voices = len(voices)
    takes = []
    for index, word in enumerate(words):
        num_word_clips = (num_clips + index) // len(words)  # sums up to num_clips
        num_pairs = min(-(-num_word_clips // 2), num_voices)
        repeated_pairs = rng.permutation(np.repeat(np.arange(num_pairs), _MAX_TAKES - 1))
        repeated_pairs = repeated_pairs[: num_word_clips - num_pairs]
        for num_takes in 1 + np.bincount(repeated_pairs, minlength=num_pairs):
            voice = next(next_voice)
            takes += [(word, voice, take) for take in range(num_takes)]
    return takes


def _draw_test_takes(voices, num_clips, rng):
    """`(word, voice, take)` of each test clip: ten commands and `unknown` words, the eleven labels equally often."""
    num_commands = round(num_clips * len(COMMANDS) / (len(COMMANDS) + 1))
    # As in the competition, some of the unknown words have no folder to learn them from.
    unknown_words = [word for word in WORDS_V2 if word not in COMMANDS]
    takes = _draw_takes(COMMANDS, voices, num_commands, rng)
    return takes + _draw_takes(unknown_words, voices, num_clips - num_commands, rng)


def _plan_clips(num_clips, seed, rng):
    """`(labelled, unlabelled)`, two lists of `_Clip`, in the order of `_POOLS`."""
    variants = rng.permutation(voice_variants())
    labelled, unlabelled = [], []
    counts = np.diff(_pool_ends(num_clips), prepend=0)
    for pool, pool_variants, count in zip(
        _POOLS, np.split(variants, _pool_ends(len(variants))[:-1]), counts, strict=True
    ):
        voices = rng.permutation([f"{accent}+{variant}" for accent in ACCENTS for variant in pool_variants])
        voices = voices[: max(2, round(count / _CLIPS_PER_SPEAKER))]
        has_labels = pool is not _POOLS[-1]
        takes = _draw_takes(WORDS_V1, voices, count, rng) if has_labels else _draw_test_takes(voices, count, rng)
        for (word, voice, take), voice_plan in zip(takes, draw_voice_plans(takes, rng), strict=True):
            if has_labels:
                path = f"train/audio/{word}/{_speaker_name(voice, pool)}_nohash_{take}.wav"
                labelled.append(_Clip(path, word, *voice_plan))
            else:
                unlabelled.append(_Clip(_test_path(seed, len(unlabelled)), word_to_label(word), *voice_plan))
    return labelled, unlabelled


def _test_path(seed, index):
    return f"test/audio/clip_{hashlib.sha1(f'{seed} {index}'.encode()).hexdigest()[:9]}.wav"


def _word_waveform(samples, tract_scale):
    """The word alone, at most 0.9 s."""
    return spoken_waveform(samples, VOICE_SAMPLE_RATE, tract_scale, _MAX_WORD_SAMPLES)


def _silence(noises, index, rng):
    """One second of a noise file's second half, times a volume from 0 to 1; every tenth is all zeros."""
    noise = noises[index % len(noises)]
    offset = rng.integers(len(noise) // 2, len(noise) - CLIP_SAMPLES)
    volume = 0 if index % 10 == 9 else rng.uniform(0, 1)
    return volume * noise[offset : offset + CLIP_SAMPLES]


def _write_lists(folder, labelled, answers):
    """The lists of the splits, the empty submission and the truth."""
    speakers = {clip.path: clip.path.rsplit("/", 1)[1].split("_nohash_")[0] for clip in labelled}
    for split, name in (("val", "validation_list.txt"), ("test", "testing_list.txt")):
        lines = sorted(path.removeprefix("train/audio/") for path in speakers if which_set(speakers[path]) == split)
        (folder / "train" / name).write_text("".join(f"{line}\n" for line in lines), newline="\n")
    for name, answer in (("sample_submission.csv", lambda label: SILENCE), ("test_truth.csv", lambda label: label)):
        rows = [f"{Path(path).name},{answer(label)}\n" for path, label in sorted(answers.items())]
        (folder / name).write_text("".join(["fname,label\n", *rows]), newline="\n")


def _render(folder, num_clips, seed, progress):
    """Fill an empty folder."""
    rng = np.random.default_rng(seed)
    labelled, unlabelled = _plan_clips(num_clips, seed, rng)
    clips = labelled + unlabelled
    babble = [
        labelled[index].voice_plan for index in rng.choice(_pool_ends(num_clips)[0], _NUM_BABBLE_WORDS)
    ]  # training voices
    for path in sorted({Path(clip.path).parent for clip in clips} | {Path("train/audio", BACKGROUND_NOISE_DIR)}):
        (folder / path).mkdir(parents=True)
    speech = render_speech(babble + [clip.voice_plan for clip in clips])
    with contextlib.closing(speech):
        noises = background_noises([_word_waveform(next(speech), 1.0) for _ in babble], rng)
        for name, noise in noises.items():
            write_wav(folder / "train" / "audio" / BACKGROUND_NOISE_DIR / name, noise)
        noises = list(noises.values())
        even_noises = [noise / rms(noise) for noise in noises]
        for clip in progress_bar(clips, desc="rendering", unit="clip", progress=progress):
            write_wav(folder / clip.path, record(_word_waveform(next(speech), clip.tract_scale), even_noises, rng))
    answers = {clip.path: clip.label for clip in unlabelled}
    for index in range(max(1, round(len(unlabelled) / (len(COMPETITION_LABELS) - 1)))):
        path = _test_path(seed, len(unlabelled) + index)
        write_wav(folder / path, _silence(noises, index, rng))
        answers[path] = SILENCE
    _write_lists(folder, labelled, answers)


def render_sample(out_dir: Path | str, num_clips: int = 3000, seed: int = 0, *, progress: bool = True) -> Path:
    """Render a competition-shaped data set: labelled clips, noises, lists, unlabelled clips and their truth.

    `train/audio/<word>/<speaker>_nohash_<take>.wav`, `train/audio/_background_noise_/*.wav`,
    `train/validation_list.txt`, `train/testing_list.txt`, `test/audio/clip_*.wav`,
    `sample_submission.csv`, and `test_truth.csv` to score a submission with. The splits
    share no voice, and the competition's speaker hash gives the same splits as the lists.

    A finished sample of the same arguments is kept as it is; one of other arguments is
    replaced. The folder appears only when all of it is there. On one machine the same
    arguments give the same bytes.

    Args:
        out_dir: folder to write; new, empty or an earlier sample.
        num_clips: spoken clips, 300 to 20,000: 70 % train, 10 % val, 10 % test (these three
            labelled), 10 % unlabelled; silent unlabelled clips come on top.
        seed: 0 or more.
        progress: show a bar.

    Returns:
        The folder, as an absolute path.

    Raises:
        ValueError: `num_clips` or `seed` out of range.
        FileExistsError: `out_dir` holds something else; nothing is touched.
        ImportError: espeakng-loader is not installed.
        RuntimeError: espeak-ng failed.

    Source: layout and lists of Speech Commands (P. Warden, arXiv 1804.03209) and of the competition.
    """
    return render_folder(
        out_dir,
        _SETTINGS_NAME,
        {"made_by": MADE_BY, "version": SAMPLE_VERSION},
        {"num_clips": (num_clips, MIN_CLIPS, MAX_CLIPS)},
        seed,
        functools.partial(_render, progress=progress),
    )
