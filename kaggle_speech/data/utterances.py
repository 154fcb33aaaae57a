"""Table of utterances: recordings with their transcripts and speakers, and those that cannot be used.

Columns: `name, path, text, speaker, split, num_samples`. A second table, `name, path, error`,
lists every recording that is left out, with the reason.
"""

import concurrent.futures
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kaggle_speech import files, folders
from kaggle_speech.audio import SAMPLE_RATE, AudioError, read_audio
from kaggle_speech.data import places
from kaggle_speech.files import fingerprint, replace_file
from kaggle_speech.progress import progress_bar
from kaggle_speech.text.alphabet import min_ctc_frames, normalize_text

AUDIO_SUFFIXES = (".flac", ".wav")
_COLUMNS = ["name", "path", "text", "speaker", "split"]


def index_utterances(source: Path | str, *, progress: bool = True) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Table of the recordings that can be read and have a transcript, and of the others with the reason.

    Each file is decoded once, in full: a damaged FLAC has a good header. The length of a good one is kept in
    `folders.cache_dir()` and taken from there as long as its size and its time of change stay the same.

    Args:
        source: a folder in LibriSpeech's layout, `<split>/<speaker>/<chapter>/<speaker>-<chapter>-<number>.flac` (or
            .wav) with `<speaker>-<chapter>.trans.txt` beside it: the root, the folder that holds a `LibriSpeech`, or
            that of one split. Or a CSV with the columns `path, text`, and `speaker` and `split` where they are known;
            paths are absolute, or relative to its folder, and are the names, too.
        progress: show a progress bar.

    Returns:
        `utterances_df`, sorted by name, and `bad_df`. `text` is normalised (`alphabet.normalize_text`), `split` is the
        name of LibriSpeech's folder, `num_samples` is of the waveform of `read_audio` (16 kHz).

    Raises:
        ValueError: the folder or the CSV holds no transcripts; names it.

    Source: V. Panayotov et al., LibriSpeech, ICASSP 2015.
    """
    source = Path(source).expanduser().absolute()
    listed_df = _read_manifest(source) if source.suffix.lower() == ".csv" else _read_folder(source)
    listed_df = listed_df.sort_values(["name", "path"], ignore_index=True)
    is_repeated = listed_df["name"].duplicated(keep=False)
    rows = zip(listed_df["name"], listed_df["path"], listed_df["text"], is_repeated, strict=True)
    checked_df = pd.DataFrame([_text_or_error(*row) for row in rows], columns=["text", "error"])
    readable_df, without_text_df = _good_and_bad(listed_df.assign(text=checked_df["text"]), checked_df["error"])
    cache_path = folders.cache_dir() / f"utterances_{fingerprint(str(source))}.json"
    lengths = _checked_lengths(readable_df["path"], cache_path, progress)
    readable_df["num_samples"] = np.array([num_samples for num_samples, _ in lengths], dtype=int)
    utterances_df, without_audio_df = _good_and_bad(readable_df, [error for _, error in lengths])
    bad_df = pd.concat([without_text_df, without_audio_df])
    return utterances_df, bad_df.sort_values(["name", "path"], ignore_index=True)


def index_lengths(paths: Sequence[str], source: Path | str, *, progress: bool = True) -> pd.DataFrame:
    """Table of the recordings that can be read, without transcripts. Lengths are kept as those of `index_utterances`.

    Args:
        paths: audio files.
        source: where they are from; names the file of lengths in the cache.
        progress: show a progress bar.

    Returns:
        DataFrame with the columns `path, num_samples` (at 16 kHz), in the order of the paths.
    """
    cache_path = folders.cache_dir() / f"utterances_{fingerprint(str(source))}.json"
    lengths = _checked_lengths(pd.Series(paths, dtype=object), cache_path, progress)
    rows = [(path, num_samples) for path, (num_samples, error) in zip(paths, lengths, strict=True) if not error]
    return pd.DataFrame(rows, columns=["path", "num_samples"])


def _good_and_bad(utterances_df, errors):
    """The rows without an error, and name, path and error of the others."""
    utterances_df = utterances_df.assign(error=np.array(errors, dtype=object))
    is_good = utterances_df["error"] == ""
    good_df = utterances_df[is_good].drop(columns="error")
    bad_df = utterances_df[~is_good][["name", "path", "error"]]
    return good_df.reset_index(drop=True), bad_df.reset_index(drop=True)


def _read_folder(folder):
    """Audio files and lines of transcripts by name; a name with one of the two lacks the path or the text."""
    recordings, transcripts = [], []
    for path in places.speech_files(folder):
        if path.name.startswith("."):  # macOS puts `._name.flac` into archives
            continue
        if path.name.endswith(places.TRANSCRIPT_SUFFIX):
            lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
            transcripts += [(path.parent, *[*line.split(maxsplit=1), ""][:2]) for line in lines if line.strip()]
        elif path.suffix.lower() in AUDIO_SUFFIXES:
            recordings.append((path.parent, path.stem, str(path)))
    if not transcripts:
        raise ValueError(
            f"{folder}: must hold <split>/<speaker>/<chapter>/*{places.TRANSCRIPT_SUFFIX} with .flac or .wav files "
            f"beside them, as LibriSpeech does. Received: one {files.what_is_there(folder)}"
        )
    recordings_df = pd.DataFrame(recordings, columns=["chapter_dir", "name", "path"])
    transcripts_df = pd.DataFrame(transcripts, columns=["chapter_dir", "name", "text"])
    listed_df = recordings_df.merge(transcripts_df, how="outer", on=["chapter_dir", "name"])
    expected = listed_df["chapter_dir"].map(str) + "/" + listed_df["name"] + ".flac"
    return listed_df.assign(
        path=listed_df["path"].fillna(expected),
        speaker=[chapter_dir.parent.name for chapter_dir in listed_df["chapter_dir"]],
        split=[chapter_dir.parent.parent.name for chapter_dir in listed_df["chapter_dir"]],
    )[_COLUMNS]


def _read_manifest(csv_path):
    """The rows of a CSV; a name is the path as it is written there."""
    try:
        listed_df = pd.read_csv(csv_path, dtype=str, keep_default_na=False, encoding_errors="replace")
        if not isinstance(listed_df.index, pd.RangeIndex):  # pandas takes the first of too many for the name of the row
            raise ValueError(f"more values than columns in line 2, that of {listed_df.index[0]!r}")
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{csv_path}: must be a CSV with the columns `path` and `text`, a text with commas in double quotes. "
            f"Received: {error}"
        ) from error
    if not {"path", "text"} <= {*listed_df} or listed_df.empty:
        raise ValueError(
            f"{csv_path}: must have rows with `path` and `text`. Received: {len(listed_df)} of {[*listed_df]}"
        )
    return listed_df.assign(
        name=listed_df["path"],
        path=[str(csv_path.parent / path) for path in listed_df["path"]],
        speaker=listed_df.get("speaker", ""),
        split=listed_df.get("split", ""),
    )[_COLUMNS]


def _text_or_error(name, path, text, is_repeated):
    """The normalised text of an utterance, and an error or ""; its audio is only looked for."""
    if is_repeated:
        return "", f"{name}: a name must occur once, with one transcript. Received: it again, {path}"
    if pd.isna(text):
        return "", f"{name}: audio must have a transcript. Received: {path}, and no line with its name beside it"
    if not os.path.isfile(path):
        return "", f"{name}: a transcript must have audio, .flac or .wav. Received: no file {path}"
    if "\N{REPLACEMENT CHARACTER}" in text:
        return "", f"{name}: a transcript must be written in UTF-8. Received: {text!r}"
    try:
        normal = normalize_text(text)
    except ValueError as error:
        return "", f"{name}: {error}"
    return normal, "" if normal else f"{name}: a transcript must hold words. Received: {text!r}"


def _checked_lengths(audio_paths, cache_path, progress):
    """`(num_samples, error)` of each file; unchanged files that an earlier call read are not opened."""
    keys = [f"{path} {(status := os.stat(path)).st_size} {status.st_mtime_ns}" for path in audio_paths]
    known = _read_lengths(cache_path)
    new = {key: path for key, path in zip(keys, audio_paths, strict=True) if key not in known}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        results = pool.map(_length_or_error, new.values())
        is_shown = progress and len(new) > 0
        bar = progress_bar(results, desc="checking audio", total=len(new), unit="file", progress=is_shown)
        checked = dict(zip(new, bar, strict=True))
    lengths = [checked.get(key) or (known[key], "") for key in keys]
    if new:
        good = {key: num_samples for key, (num_samples, error) in zip(keys, lengths, strict=True) if not error}
        cache_path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(cache_path, lambda path: path.write_text(json.dumps(good), encoding="utf-8"))
    return lengths


def _read_lengths(cache_path):
    """Lengths that an earlier call kept; an empty dict where the file is missing or damaged."""
    try:
        known = json.loads(cache_path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _length_or_error(path):
    try:
        return len(read_audio(path)), ""
    except (AudioError, OSError) as error:
        return 0, str(error)


def select_utterances(
    utterances_df: pd.DataFrame, num_frames: Callable[[int], int], *, max_seconds: float, min_seconds: float = 0.3
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Utterances that a CTC model can be trained on, and the others with the reason.

    CTC needs an output frame for each character, and one more between two that are the same.

    Args:
        utterances_df: from `index_utterances`.
        num_frames: function of the number of samples to the number of output frames of the model.
        max_seconds: longer recordings are left out; the longest of a batch sets the cost of the batch.
        min_seconds: shorter recordings are left out.

    Returns:
        The rows that can be used, and `name, path, error` of the others.

    Raises:
        ValueError: the seconds are not in order.
    """
    if not 0 <= min_seconds < max_seconds:
        raise ValueError(
            f"`min_seconds` must be >= 0 and below `max_seconds`. Received: {min_seconds} and {max_seconds}"
        )

    def error(name, text, num_samples):
        seconds = num_samples / SAMPLE_RATE
        frames = int(num_frames(num_samples))
        min_frames = min_ctc_frames(text)
        if not min_seconds <= seconds <= max_seconds:
            return f"{name}: must last {min_seconds:g} to {max_seconds:g} s. Received: {seconds:.2f} s"
        if frames < min_frames:
            return f"{name}: must have the {min_frames} output frames that CTC needs for its text. Received: {frames}"
        return ""

    rows = zip(utterances_df["name"], utterances_df["text"], utterances_df["num_samples"], strict=True)
    return _good_and_bad(utterances_df, [error(*row) for row in rows])


def utterances_fingerprint(utterances_df: pd.DataFrame) -> str:
    """Short hash of a table of utterances, wherever its folder is: names, splits, file sizes and texts.

    Args:
        utterances_df: from `index_utterances`.
    """
    columns = (utterances_df[column] for column in ("name", "split", "path", "text"))
    rows = sorted(zip(*columns, strict=True))
    return fingerprint("\n".join(f"{name} {split} {os.path.getsize(path)} {text}" for name, split, path, text in rows))
