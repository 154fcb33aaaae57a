"""Table of clips: word, label, speaker, split and length of each.

Columns: `path, word, label, speaker, utterance, split, num_samples`.
Splits: `train`, `val`, `test`; `tune`, a slice of the training speakers that chooses
the epoch, so that validation speakers do not; and `noise`, the recordings that
silence is cut from.
"""

import concurrent.futures
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kaggle_speech import folders
from kaggle_speech.audio import AudioError, audio_length, list_wavs
from kaggle_speech.data.archives import prepare_data
from kaggle_speech.data.noise import find_noise, write_silence_clips
from kaggle_speech.data.splits import split_by_speaker
from kaggle_speech.files import fingerprint, listing
from kaggle_speech.labels import BACKGROUND_NOISE_DIR, COMPETITION_LABELS, SILENCE, UNKNOWN, word_to_label
from kaggle_speech.progress import progress_bar

SPLITS = ("train", "tune", "val", "test")


def read_clips_table(
    data_dir: Path | str | None = None,
    vocabulary: Sequence[str] = COMPETITION_LABELS,
    *,
    progress: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Table of the clips that can be read, and of those that cannot.

    Args:
        data_dir: the competition's folder (with `train/audio`) or that of Speech Commands (word folders);
            None finds or unpacks the data (`archives.prepare_data`).
        vocabulary: labels for the words; a word without a place in it has a missing label.
        progress: show a progress bar.

    Returns:
        `clips_df` with the columns `path, word, label, speaker, utterance, split, num_samples` (at 16 kHz), sorted
        by path, and `bad_df` with `error` instead of `num_samples`.

    Raises:
        ValueError: there are no clips, or none of some word of the vocabulary; names the folder.
        NoDataError: `data_dir` is None and there is no data in the usual places.

    Examples:
        >>> clips_df, bad_df = read_clips_table(data_dir, progress=False)
        >>> clips_df.loc[0, ["word", "label"]].tolist(), sorted(clips_df["split"].unique())
        (['bed', 'unknown'], ['noise', 'test', 'train', 'tune', 'val'])
        >>> len(bad_df)
        0
    """
    data_dir = prepare_data(progress=progress) if data_dir is None else data_dir
    return check_clips(index_clips(data_dir, vocabulary), progress)


def test_clips(data_dir: Path | str | None = None) -> pd.DataFrame:
    """Table of the competition's test clips, sorted, with the columns `path, fname`.

    Args:
        data_dir: the competition's folder (with `test/audio`); None finds or unpacks the data.

    Raises:
        ValueError: `test/audio` is missing or holds no WAV files; names the folder.
        NoDataError: `data_dir` is None and there is no data in the usual places.

    Examples:
        >>> test_df = test_clips(data_dir)
        >>> list(test_df), test_df["fname"][0]
        (['path', 'fname'], 'clip_039b1832d.wav')
    """
    test_dir = Path(prepare_data() if data_dir is None else data_dir) / "test" / "audio"
    paths = _readable_wavs(test_dir) if test_dir.is_dir() else []
    if not paths:
        raise ValueError(f"{test_dir}: must hold the WAV clips of the test set. Received: none")
    return pd.DataFrame({"path": paths, "fname": [os.path.basename(path) for path in paths]})


test_clips.__test__ = False  # type: ignore[attr-defined]  # pytest takes it for a test where a test module imports it


def count_table(clips_df: pd.DataFrame, vocabulary: Sequence[str] = COMPETITION_LABELS) -> pd.DataFrame:
    """Number of clips of each split (rows) and label (columns).

    Args:
        clips_df: frame with the columns `split, label`.
        vocabulary: the columns, in this order; a label without clips has zeros.

    Examples:
        >>> clips_df = pd.DataFrame({"split": ["val", "train", "val"], "label": ["no", "no", "yes"]})
        >>> count_table(clips_df, ("yes", "no"))  # doctest: +NORMALIZE_WHITESPACE
        label  yes  no
        split
        train    0   1
        val      1   1
    """
    counts_df = clips_df.groupby(["split", "label"]).size().unstack(fill_value=0)
    splits = [split for split in (*SPLITS, "noise") if split in counts_df.index]
    return counts_df.reindex(index=splits, columns=pd.Index(vocabulary, name="label"), fill_value=0)


def find_audio_dir(data_dir: Path | str) -> Path:
    """Folder that holds the word folders: `train/audio` in the competition's layout, else `data_dir` itself.

    Args:
        data_dir: folder of the competition or of Speech Commands.
    """
    audio_dir = Path(data_dir) / "train" / "audio"
    return audio_dir if audio_dir.is_dir() else Path(data_dir)


def _readable_wavs(folder):
    """WAV files of a folder; a warning and an empty list where it may not be read."""
    try:
        return list_wavs(folder)
    except PermissionError as error:
        warnings.warn(f"{folder}: the folder must be readable, its clips are left out. Received: {error}", stacklevel=3)
        return []


def index_clips(data_dir: Path | str, vocabulary: Sequence[str] = COMPETITION_LABELS) -> pd.DataFrame:
    """Table of all clips of a folder, one row each, without opening a file.

    Args:
        data_dir: the competition's folder (with `train/audio`) or Speech Commands' own (word folders).
        vocabulary: labels for the words; a word without a place in it has a missing label.

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


def pseudo_clips(
    path: Path | str, data_dir: Path | str, vocabulary: Sequence[str] = COMPETITION_LABELS
) -> pd.DataFrame:
    """Test clips with labels from models (`ensemble.pseudo_labels`), as additional training clips.

    Args:
        path: CSV with the columns `fname, label`.
        data_dir: the competition's folder, with `test/audio`.
        vocabulary: labels of the training.

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
    clips_df = test_clips(data_dir).merge(labels_df, on="fname")
    strange = sorted({*labels_df["label"]} - {*vocabulary})
    is_wrong = labels_df["fname"].duplicated() | ~labels_df["fname"].isin(clips_df["fname"])
    if strange or is_wrong.any():
        raise ValueError(
            f"{path}: labels must be of the vocabulary, and clips in {data_dir}/test/audio, once each. "
            f"Received: labels {strange}, clips:\n  {listing(sorted(labels_df['fname'][is_wrong]), 3)}"
        )
    return clips_df[["path", "label"]]


def noise_paths(clips_df: pd.DataFrame) -> list[Path]:
    """Noise recordings of a table of clips, sorted.

    Args:
        clips_df: from `read_clips_table`.
    """
    return [Path(path) for path in sorted(clips_df.loc[clips_df["split"] == "noise", "path"])]


def _length_or_error(path):
    try:
        return audio_length(path), ""
    except (AudioError, OSError) as error:
        return 0, str(error)


def check_clips(clips_df: pd.DataFrame, progress: bool = True) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Separate the clips that can be read from those that cannot.

    Args:
        clips_df: frame with a `path` column.
        progress: show a progress bar.

    Returns:
        `good_df`, with a `num_samples` column (at 16 kHz), and `bad_df`, with an `error` column.
    """
    with concurrent.futures.ThreadPoolExecutor() as pool:
        results = pool.map(_length_or_error, clips_df["path"])
        bar = progress_bar(results, desc="checking clips", total=len(clips_df), unit="clip", progress=progress)
        checked_df = pd.DataFrame(list(bar), columns=["num_samples", "error"], index=clips_df.index)
    is_good = checked_df["error"] == ""
    # As arrays: pandas gives an empty frame the rows of a series that is assigned to it.
    good_df = clips_df[is_good].assign(num_samples=checked_df["num_samples"][is_good].to_numpy(int))
    bad_df = clips_df[~is_good].assign(error=checked_df["error"][~is_good].to_numpy())
    return good_df.reset_index(drop=True), bad_df.reset_index(drop=True)


def select_clips(
    clips_df: pd.DataFrame, split: str, *, unknown_fraction: float | None = 2.5, seed: int = 0
) -> pd.DataFrame:
    """Labelled words of one split, with a limited number of `unknown` clips; `with_silence` adds silence and shuffles.

    Args:
        clips_df: from `read_clips_table`.
        split: `train`, `tune`, `val` or `test`.
        unknown_fraction: ratio of `unknown` clips to the mean count of the other labels: twenty words are `unknown`
            in a vocabulary of twelve, and must not outweigh the ten commands. None keeps all.
        seed: for the choice of `unknown` clips.

    Returns:
        Rows of `clips_df`: the words of the vocabulary, then `unknown`.

    Raises:
        ValueError: the split has no clips.
    """
    split_df = clips_df[(clips_df["split"] == split) & clips_df["label"].notna()]
    is_unknown = split_df["label"] == UNKNOWN
    if is_unknown.all():
        raise ValueError(
            f"`split` must have clips, for which there must be enough speakers. Received: split={split!r}, "
            f"clips in {sorted(set(clips_df['split']))}"
        )
    unknown_df = split_df[is_unknown]
    if unknown_fraction is not None:
        num_unknown = round(unknown_fraction * _mean_count(split_df))
        unknown_df = unknown_df.sample(min(len(unknown_df), num_unknown), random_state=seed)
    return pd.concat([split_df[~is_unknown], unknown_df], ignore_index=True)


def _mean_count(clips_df):
    """Mean number of clips of the labels other than `unknown`."""
    word_df = clips_df[clips_df["label"] != UNKNOWN]
    return len(word_df) / word_df["label"].nunique()


def with_silence(
    selected_df: pd.DataFrame,
    clips_df: pd.DataFrame,
    *,
    silence_fraction: float = 2.0,
    seed: int = 0,
    cache_dir: Path | str | None = None,
) -> pd.DataFrame:
    """Add `silence` clips, which are cut from the noise recordings and written to a cache, and shuffle all rows.

    Args:
        selected_df: from `select_clips`.
        clips_df: the table with the noise recordings. None are cut where it has no recordings or its vocabulary has
            no `silence`.
        silence_fraction: ratio of `silence` clips to the mean count of the labels other than `unknown`; 0 for none.
        seed: for cutting and shuffling.
        cache_dir: folder for the silence clips; None for `folders.cache_dir()`.

    Returns:
        The rows of `selected_df` and of `silence`, in random order.

    Raises:
        AudioError: a noise recording cannot be read; names it.
    """
    recordings = noise_paths(clips_df)
    has_silence = clips_df.loc[clips_df["split"] == "noise", "label"].notna().all()
    if silence_fraction > 0 and recordings and has_silence:
        (split,) = selected_df["split"].unique()
        # The same number of clips of each recording.
        num_clips = len(recordings) * int(np.ceil(silence_fraction * _mean_count(selected_df) / len(recordings)))
        paths = write_silence_clips(recordings, num_clips, split, cache_dir or folders.cache_dir(), seed)
        silence_df = pd.DataFrame(
            {
                "path": [str(path) for path in paths],
                "word": SILENCE,
                "label": SILENCE,
                "speaker": [path.stem.rpartition("_")[0] for path in paths],
                "utterance": 0,
                "split": split,
            }
        )
        selected_df = pd.concat([selected_df, silence_df])
    return selected_df.sample(frac=1, random_state=seed).reset_index(drop=True)


def prepare_clips(
    clips_df: pd.DataFrame,
    split: str,
    *,
    unknown_fraction: float | None = 2.5,
    silence_fraction: float = 2.0,
    seed: int = 0,
    cache_dir: Path | str | None = None,
) -> pd.DataFrame:
    """Select the labelled words of one split and write silence clips for it: `select_clips`, then `with_silence`.

    Args:
        clips_df: from `read_clips_table`.
        split: `train`, `tune`, `val` or `test`.
        unknown_fraction: ratio of `unknown` clips to the mean count of the other labels; None keeps all.
        silence_fraction: ratio of `silence` clips to the mean count of the labels other than `unknown`; 0 for none.
        seed: for the choice of clips and their order.
        cache_dir: folder for the silence clips; None for `folders.cache_dir()`.

    Returns:
        The rows of all labels, in random order.

    Raises:
        ValueError: the split has no clips.
        AudioError: a noise recording cannot be read; names it.
    """
    selected_df = select_clips(clips_df, split, unknown_fraction=unknown_fraction, seed=seed)
    return with_silence(selected_df, clips_df, silence_fraction=silence_fraction, seed=seed, cache_dir=cache_dir)


def validation_clips(
    clips_df: pd.DataFrame,
    cache_dir: Path | str | None = None,
    vocabulary: Sequence[str] = COMPETITION_LABELS,
) -> pd.DataFrame:
    """Clips for all quoted accuracies; writes their silence clips.

    All clips of the vocabulary's words by validation speakers; as many of other words as an average word has; as much
    silence, cut from the second halves of the recordings, the same number from each, at 0 to 100 % of their volume.

    Args:
        clips_df: from `read_clips_table`.
        cache_dir: folder for the silence clips; None for `folders.cache_dir()`.
        vocabulary: the labels. Models of all vocabularies are compared on the twelve of the competition.

    Returns:
        Rows with these labels, in random order.

    Raises:
        ValueError: the split `val` has no clips.
        AudioError: a noise recording cannot be read; names it.

    Examples:
        >>> clips_df, _ = read_clips_table(data_dir, progress=False)
        >>> val_df = validation_clips(clips_df)
        >>> val_df["split"].unique().tolist(), val_df["label"].nunique()
        (['val'], 12)
    """
    labelled_df = clips_df.assign(label=[word_to_label(word, vocabulary) for word in clips_df["word"]])
    return prepare_clips(labelled_df, "val", unknown_fraction=1.0, silence_fraction=1.0, cache_dir=cache_dir)


def open_set_clips(clips_df: pd.DataFrame, cache_dir: Path | str | None = None) -> pd.DataFrame:
    """`validation_clips`, and after them all other validation clips of words that are not commands.

    The `unknown` clips of `validation_clips` are too few to measure how often such words are rejected.

    Args:
        clips_df: from `read_clips_table`.
        cache_dir: folder for the silence clips; None for `folders.cache_dir()`.

    Returns:
        Rows with the twelve labels of the competition; `is_quoted` marks those of `validation_clips`.
    """
    val_df = validation_clips(clips_df, cache_dir)
    labelled_df = clips_df.assign(label=clips_df["word"].map(word_to_label))
    is_other = (clips_df["split"] == "val") & (labelled_df["label"] == UNKNOWN)
    other_df = labelled_df[is_other & ~clips_df["path"].isin(val_df["path"])]
    return pd.concat([val_df.assign(is_quoted=True), other_df.assign(is_quoted=False)], ignore_index=True)


def data_fingerprint(clips_df: pd.DataFrame) -> str:
    """Short hash of a table of clips, wherever its folder is: names, splits and file sizes.

    Args:
        clips_df: from `read_clips_table`.
    """
    lines = sorted(
        f"{word}/{Path(path).name} {split} {Path(path).stat().st_size}"
        for path, word, split in zip(clips_df["path"], clips_df["word"], clips_df["split"], strict=True)
    )
    return fingerprint("\n".join(lines))
