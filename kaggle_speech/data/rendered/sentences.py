"""Rendered sentences: short English sentences with transcripts, in LibriSpeech's layout, made offline.

Many espeak-ng voices read the sentences of a small grammar, each at its own speed, pitch and
level, in its own room and noise. They show that every step works, not how good a model is.
"""

import contextlib
import functools
from pathlib import Path

import numpy as np

from kaggle_speech import folders
from kaggle_speech.audio import SAMPLE_RATE
from kaggle_speech.data import places
from kaggle_speech.data.rendered.acoustics import background_noises, record_at, rms, spoken_waveform
from kaggle_speech.data.rendered.espeak import (
    ACCENTS,
    VOICE_SAMPLE_RATE,
    draw_voice_plans,
    render_speech,
    voice_variants,
)
from kaggle_speech.data.rendered.folder import render_folder
from kaggle_speech.progress import progress_bar

MIN_UTTERANCES, MAX_UTTERANCES = 24, 5_000
#: Raised whenever the same arguments give other recordings, so that old sentences are rendered again.
SENTENCES_VERSION = 1
#: Marks the folders of this module. Fixed: folders of earlier versions have it.
MADE_BY = "kaggle_speech.sentences"
#: The name of the only split.
SPLIT = "rendered"

_SETTINGS_NAME = "sentences.json"
_MIN_SPEAKERS = 8
_UTTERANCES_PER_SPEAKER = 13
_WORDS_PER_MINUTE = (150, 210)
_MARGIN_SAMPLES = (round(0.1 * SAMPLE_RATE), round(0.3 * SAMPLE_RATE))  # before and after the sentence, each
_NUM_BABBLE_SENTENCES = 24

_TEMPLATES = (
    "{who} {did} {thing}",
    "{who} {did} {thing} {where}",
    "{who} {did} {thing} {when}",
    "{who} {went} {where}",
    "{who} {went} {where} {when}",
    "{when} {who} {went} {where}",
    "{thing} was {quality}",
    "{thing} is {where}",
    "it's {quality} {where}",
    "where is {thing}",
    "who took {thing} {when}",
    "why don't you {do} {thing}",
    "don't {do} {thing} {when}",
    "i can't {do} {thing}",
    "we'll {do} {thing} {when}",
    "please {do} {thing}",
    "isn't {thing} {quality}",
    "that's {thing} said {who}",
    "{who} isn't {where}",
    "{who} was {quality} and {quality}",
)
_WORD_LISTS = {
    "who": "my sister|the captain|our neighbour|the doctor|her uncle|a young queen|the miller's daughter|the judge|she|"
    "he|the smallest boy|old max|the postman|a stranger|his wife",
    "did": "found|carried|opened|painted|followed|watched|forgot|mended|hid|sold|brought|examined|lost|wanted",
    "do": "find|carry|open|paint|follow|watch|forget|mend|hide|sell|bring|examine|lose|keep",
    "thing": "the letter|the wooden box|the yellow lamp|his father's jacket|the broken clock|the silver key|the boat|"
    "the basket of bread|the map|the grey fox|that book|the blue vase|the horse|my sister's violin|the garden gate",
    "went": "walked|waited|sat|slept|worked|stood|played|sang|rested|ran",
    "where": "by the river|in the kitchen|behind the zoo|under the bridge|near the exit|on the hill|at the market|"
    "in the frozen field|outside the church|across the square|upstairs|below the window",
    "when": "at dawn|last night|before supper|after the storm|in the evening|today|on sunday|at six o'clock|in july",
    "quality": "quiet|cold|very old|small|dark|lovely|heavy|strange|warm|quite empty|expensive|dusty",
}
_WORDS = {slot: words.split("|") for slot, words in _WORD_LISTS.items()}


def draw_sentence(rng: np.random.Generator) -> str:
    """Draw a sentence of three to eleven words: small letters, spaces and apostrophes.

    Args:
        rng: NumPy generator.
    """
    sentence = _TEMPLATES[rng.integers(len(_TEMPLATES))]
    for slot, words in _WORDS.items():
        while f"{{{slot}}}" in sentence:
            sentence = sentence.replace(f"{{{slot}}}", words[rng.integers(len(words))], 1)
    return sentence


def _draw_takes(num_utterances, rng):
    """`(text, voice, speaker)` of each utterance; no two speakers share a voice variant (timbre)."""
    variants = rng.permutation(voice_variants())
    num_speakers = min(max(num_utterances // _UTTERANCES_PER_SPEAKER, _MIN_SPEAKERS), len(variants))
    voices = [f"{ACCENTS[rng.integers(len(ACCENTS))]}+{variant}" for variant in variants[:num_speakers]]
    speakers = [index * num_speakers // num_utterances for index in range(num_utterances)]
    return [(draw_sentence(rng), voices[speaker], speaker + 1) for speaker in speakers]


def _render(folder, num_utterances, seed, progress):
    """Fill an empty folder."""
    import soundfile

    rng = np.random.default_rng(seed)
    takes = _draw_takes(num_utterances, rng)
    voice_plans, tract_scales = zip(*draw_voice_plans(takes, rng, _WORDS_PER_MINUTE), strict=True)
    babble = [voice_plans[index] for index in rng.choice(num_utterances, _NUM_BABBLE_SENTENCES)]
    transcripts = {}
    with contextlib.closing(render_speech([*babble, *voice_plans])) as speech:
        noises = background_noises([spoken_waveform(next(speech), VOICE_SAMPLE_RATE) for _ in babble], rng)
        even_noises = [noise / rms(noise) for noise in noises.values()]
        bar = progress_bar(takes, desc="rendering", unit="sentence", progress=progress)
        for (text, _, speaker), tract_scale, samples in zip(bar, tract_scales, speech, strict=True):
            chapter_dir = folder / SPLIT / str(speaker) / "1"
            chapter_dir.mkdir(parents=True, exist_ok=True)
            lines = transcripts.setdefault(chapter_dir / f"{speaker}-1.trans.txt", [])
            name = f"{speaker}-1-{len(lines):04d}"
            lines.append(f"{name} {text.upper()}\n")
            spoken = spoken_waveform(samples, VOICE_SAMPLE_RATE, tract_scale)
            before, after = rng.integers(*_MARGIN_SAMPLES, 2)
            waveform = record_at(spoken, before, before + len(spoken) + after, even_noises, rng)
            soundfile.write(chapter_dir / f"{name}.flac", waveform, SAMPLE_RATE)
    for path, lines in transcripts.items():
        path.write_text("".join(lines), newline="\n")


def render_sentences(out_dir: Path | str, num_utterances: int = 400, seed: int = 0, *, progress: bool = True) -> Path:
    """Render spoken sentences with their transcripts, one split in LibriSpeech's layout.

    `rendered/<speaker>/1/<speaker>-1-<number>.flac` and `<speaker>-1.trans.txt`; the speakers are
    numbers, have about thirteen sentences each, and share no voice. A sentence lasts one to
    three seconds, as a rule.

    Finished sentences of the same arguments are kept as they are; those of other arguments are
    replaced. The folder appears only when all of it is there. On one machine the same
    arguments give the same bytes.

    Args:
        out_dir: folder to write; new, empty or earlier sentences.
        num_utterances: 24 to 5,000.
        seed: 0 or more.
        progress: show a bar.

    Returns:
        The folder, as an absolute path.

    Raises:
        ValueError: `num_utterances` or `seed` out of range.
        FileExistsError: `out_dir` holds something else; nothing is touched.
        ImportError: espeakng-loader is not installed.
        RuntimeError: espeak-ng failed.

    Source: layout of LibriSpeech (V. Panayotov et al., ICASSP 2015).
    """
    return render_folder(
        out_dir,
        _SETTINGS_NAME,
        {"made_by": MADE_BY, "version": SENTENCES_VERSION},
        {"num_utterances": (num_utterances, MIN_UTTERANCES, MAX_UTTERANCES)},
        seed,
        functools.partial(_render, progress=progress),
    )


def find_or_render_speech(source: Path | str | None = None) -> Path:
    """Find recordings with transcripts; render sentences where `source` is None and there are no recordings.

    Args:
        source: a folder in LibriSpeech's layout, or a CSV that lists recordings; None looks in the usual places.

    Returns:
        A folder or a CSV for `utterances.index_utterances`.

    Raises:
        FileNotFoundError: `source` is neither.
        ImportError: espeakng-loader is not installed, and there are no recordings.
    """
    try:
        return places.find_speech(source)
    except places.NoDataError:
        return render_sentences(folders.cache_dir() / "sentences")
