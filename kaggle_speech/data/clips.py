"""Which clips there are, what they say, who says it, and which split they belong to. One pandas frame.

Columns: `path, word, label, speaker, utterance, split`; `check_clips` adds `num_samples`.
Splits: `train`, `val`, `test`; `tune`, a slice of the training speakers that chooses
the epoch, so that validation speakers do not; and `noise`, the recordings that
silence is cut from.
"""

import concurrent.futures
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from kaggle_speech import folders
from kaggle_speech.audio import AudioError, audio_length, list_wavs
from kaggle_speech.data.noise import find_noise, write_silence_clips
from kaggle_speech.data.splits import split_by_speaker
from kaggle_speech.files import fingerprint
from kaggle_speech.labels import BACKGROUND_NOISE_DIR, COMPETITION_LABELS, SILENCE, UNKNOWN, word_to_label
from kaggle_speech.progress import progress_bar


def find_audio_dir(data_dir):
    """The folder of the word folders: `train/audio` in the competition's layout, else `data_dir` itself."""
    audio_dir = Path(data_dir) / "train" / "audio"
    return audio_dir if audio_dir.is_dir() else Path(data_dir)


def _readable_wavs(folder):
    """The WAV files of a folder; a warning and none where it may not be read."""
    try:
        return list_wavs(folder)
    except PermissionError as error:
        warnings.warn(f"{folder}: the folder must be readable, its clips are left out. Received: {error}", stacklevel=3)
        return []


def index_clips(data_dir, vocabulary=COMPETITION_LABELS):
    """Every clip of a folder, one row each; nothing is opened.

    Args:
        data_dir: the competition's folder (with `train/audio`) or Speech Commands' own (word folders).
        vocabulary: labels to file the words under; the label of a word that it has no place for is missing.

    Returns:
        pandas DataFrame with the columns `path, word, label, speaker, utterance, split`, sorted by path.

    Raises:
        ValueError: there are no clips, or none of some word of the vocabulary; names the folder.
    """
    audio_dir = find_audio_dir(data_dir)
    words = sorted(entry.name for entry in os.scandir(audio_dir) if entry.is_dir()) if audio_dir.is_dir() else []
    words = [word for word in words if word[0] not in "._"]
    rows = [(path, word) for word in words for path in _readable_wavs(audio_dir / word)]
    if not rows:
        raise ValueError(f"{audio_dir}: must hold folders of WAV clips, one a word. Received: {words or 'no folders'}")
    missing = sorted(set(vocabulary) - {word for _, word in rows} - {SILENCE, UNKNOWN})
    if missing:
        raise ValueError(f"{audio_dir}: must hold clips of every word of the vocabulary. Received: none of {missing}")
    clips_df = pd.DataFrame(rows, columns=["path", "word"])
    name = clips_df["path"].map(lambda path: Path(path).stem).str.partition("_nohash_")
    clips_df["label"] = clips_df["word"].map({word: word_to_label(word, vocabulary) for word in words})
    clips_df["speaker"] = name[0]
    clips_df["utterance"] = pd.to_numeric(name[2], errors="coerce").fillna(0).astype(int)
    clips_df["split"] = split_by_speaker(clips_df, audio_dir)
    noise_df = pd.DataFrame({"path": [str(path) for path in find_noise(audio_dir)]})
    silence = word_to_label(SILENCE, vocabulary)
    if silence and noise_df.empty:
        warnings.warn(f"{audio_dir}: no recordings in {BACKGROUND_NOISE_DIR}, so no silence clips", stacklevel=2)
    noise_df = noise_df.assign(word=SILENCE, label=silence, speaker="", utterance=0, split="noise")
    return pd.concat([clips_df, noise_df], ignore_index=True)


def index_test_clips(data_dir):
    """The clips to be answered, sorted: a pandas DataFrame with the columns `path, fname`.

    Raises:
        ValueError: `test/audio` is missing or holds no WAV files; names the folder.
    """
    test_dir = Path(data_dir) / "test" / "audio"
    test_paths = _readable_wavs(test_dir) if test_dir.is_dir() else []
    if not test_paths:
        raise ValueError(f"{test_dir}: must hold the WAV clips to be answered. Received: none")
    return pd.DataFrame({"path": test_paths, "fname": [os.path.basename(path) for path in test_paths]})


def pseudo_clips(path, data_dir, vocabulary=COMPETITION_LABELS):
    """Test clips with labels from models (`ensemble.pseudo_labels`), to train on as well.

    Args:
        path: CSV with the columns `fname, label`.
        data_dir: the competition's folder, with `test/audio`.
        vocabulary: of the training.

    Returns:
        pandas DataFrame with the columns `path, label`.

    Raises:
        ValueError: other columns, no rows, a label that is not in the vocabulary, or a clip that is not in the folder.
    """
    labels_df = pd.read_csv(path)
    if not {"fname", "label"} <= {*labels_df} or labels_df.empty:
        raise ValueError(
            f"{path}: must have rows with `fname` and `label`. Received: {len(labels_df)} of {[*labels_df]}"
        )
    clips_df = index_test_clips(data_dir).merge(labels_df, on="fname")
    strange = sorted({*labels_df["label"]} - {*vocabulary})
    if strange or len(clips_df) < len(labels_df):
        missing = sorted({*labels_df["fname"]} - {*clips_df["fname"]})[:3]
        raise ValueError(
            f"{path}: labels must be of the vocabulary, and clips in {data_dir}/test/audio, once each. "
            f"Received: labels {strange}, clips {missing}"
        )
    return clips_df[["path", "label"]]


def noise_paths(clips_df):
    """The noise recordings of an index, sorted."""
    return [Path(path) for path in sorted(clips_df.loc[clips_df["split"] == "noise", "path"])]


def _length_or_error(path):
    try:
        return audio_length(path), ""
    except (AudioError, OSError) as error:
        return 0, str(error)


def check_clips(clips_df, progress=True):
    """Sort the clips that can be read from those that cannot.

    Args:
        clips_df: frame with a `path` column.
        progress: show a progress bar.

    Returns:
        `good_df`, with a `num_samples` column (at 16 kHz), and `bad_df`, with an `error` column.
    """
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = pool.map(_length_or_error, clips_df["path"])
        bar = progress_bar(found, desc="checking clips", total=len(clips_df), unit="clip", progress=progress)
        found = list(bar)
    num_samples, errors = zip(*found, strict=True) if found else ((), ())
    is_good = np.array([not error for error in errors], dtype=bool)
    good_df = clips_df.assign(num_samples=np.array(num_samples, dtype=int))[is_good]
    bad_df = clips_df.assign(error=np.array(errors, dtype=object))[~is_good]
    return good_df.reset_index(drop=True), bad_df.reset_index(drop=True)


def select_clips(clips_df, split, *, unknown_fraction=2.5, silence_fraction=2.0, seed=0, cache_dir=None):
    """The clips of one split that have a label, with as much `unknown` and `silence` as is wanted.

    Args:
        clips_df: from `index_clips`.
        split: `train`, `tune`, `val` or `test`.
        unknown_fraction: clips of the label `unknown` over those of an average other word; a vocabulary of twelve has
            twenty words there, which must not outweigh the ten commands. None takes all there are.
        silence_fraction: the same for `silence`; 0 for none. None where the vocabulary has no silence or the
            index no recordings.
        seed: of what is drawn.
        cache_dir: folder where silence clips are written; None: `paths.cache_dir()`.

    Returns:
        pandas DataFrame with the columns of `index_clips`, shuffled once.

    Raises:
        ValueError: the split has no clips.
    """
    split_df = clips_df[(clips_df["split"] == split) & clips_df["label"].notna()]
    is_unknown = split_df["label"] == UNKNOWN
    word_df, unknown_df = split_df[~is_unknown], split_df[is_unknown]
    if word_df.empty:
        raise ValueError(
            f"`split` must have clips, for which there must be enough speakers. Received: split={split!r}, "
            f"clips in {sorted(set(clips_df['split']))}"
        )
    mean_count = len(word_df) / word_df["label"].nunique()
    if unknown_fraction is not None:
        num_unknown = min(len(unknown_df), round(unknown_fraction * mean_count))
        unknown_df = unknown_df.sample(num_unknown, random_state=seed)
    frames, recordings = [word_df, unknown_df], noise_paths(clips_df)
    if silence_fraction > 0 and recordings and clips_df.loc[clips_df["split"] == "noise", "label"].notna().all():
        # The same number of clips of each recording.
        num_silence = len(recordings) * int(np.ceil(silence_fraction * mean_count / len(recordings)))
        clips = write_silence_clips(recordings, num_silence, split, cache_dir or folders.cache_dir(), seed)
        silence_df = pd.DataFrame({"path": [str(path) for path in clips]})
        speaker = [path.stem.rpartition("_")[0] for path in clips]
        frames.append(silence_df.assign(word=SILENCE, label=SILENCE, speaker=speaker, utterance=0, split=split))
    selected_df = pd.concat([frame for frame in frames if len(frame)])
    return selected_df.sample(frac=1, random_state=seed).reset_index(drop=True)


def validation_clips(clips_df, cache_dir=None):
    """The clips that accuracies are quoted by, the same for every vocabulary that was trained on.

    All clips of the ten commands by validation speakers; as many of other words as an average command has; as much
    silence, cut from the second halves of the recordings, the same number from each, at 0 to 100 % of their volume.

    Args, Returns: as `select_clips`, with the twelve labels of the competition.
    """
    labelled_df = clips_df.assign(label=clips_df["word"].map(word_to_label))
    return select_clips(labelled_df, "val", unknown_fraction=1.0, silence_fraction=1.0, seed=0, cache_dir=cache_dir)


def open_set_clips(clips_df, cache_dir=None):
    """`validation_clips`, and after them all other validation clips of words that are no command.

    Those among the former are too few to tell how often such words are recognised as none.

    Args: as `select_clips`.

    Returns:
        pandas DataFrame with the columns of `select_clips` and `is_quoted`, whether a clip is of `validation_clips`.
    """
    val_df = validation_clips(clips_df, cache_dir)
    labelled_df = clips_df.assign(label=clips_df["word"].map(word_to_label))
    is_other = (clips_df["split"] == "val") & (labelled_df["label"] == UNKNOWN)
    other_df = labelled_df[is_other & ~clips_df["path"].isin(val_df["path"])]
    return pd.concat([val_df.assign(is_quoted=True), other_df.assign(is_quoted=False)], ignore_index=True)


def data_fingerprint(clips_df):
    """A short hash of which clips there are, wherever their folder is: names, splits and file sizes."""
    lines = sorted(
        f"{word}/{Path(path).name} {split} {Path(path).stat().st_size}"
        for path, word, split in zip(clips_df["path"], clips_df["word"], clips_df["split"], strict=True)
    )
    return fingerprint("\n".join(lines))
