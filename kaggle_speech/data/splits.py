"""Splits: which speaker is in train, tune, val or test. By speaker hash, official lists or held-out ids."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

#: Training speakers whose hash falls in this range of percent are set aside as `tune`.
TUNE_PERCENTAGES = (20.0, 24.0)


def _listed_clips(audio_dir, name):
    """`word/file.wav` lines of an official list beside or above the word folders; None where there is no list."""
    for folder in (audio_dir, audio_dir.parent):
        if (folder / name).is_file():
            return set((folder / name).read_text().split())
    return None


def split_by_speaker(clips_df: pd.DataFrame, audio_dir: Path) -> pd.Series:
    """Split of every clip: by the official lists where they exist, else by the hash of the speaker.

    Args:
        clips_df: columns `path, word, speaker`.
        audio_dir: folder of the word folders.

    Returns:
        pandas Series of `train`, `tune`, `val`, `test`.

    Raises:
        ValueError: the lists put a speaker into two splits; names the speaker.

    Source: `validation_list.txt`, `testing_list.txt` and `which_set` of Speech Commands.
    """
    val_clips, test_clips = (_listed_clips(audio_dir, f"{name}_list.txt") for name in ("validation", "testing"))
    if val_clips is None or test_clips is None:
        split = clips_df["speaker"].map({speaker: which_set(speaker) for speaker in clips_df["speaker"].unique()})
    else:
        name = clips_df["word"] + "/" + clips_df["path"].map(os.path.basename)
        split = pd.Series(np.select([name.isin(val_clips), name.isin(test_clips)], ["val", "test"], "train"))
        num_splits = split.groupby(clips_df["speaker"]).nunique()
        if (num_splits > 1).any():
            raise ValueError(
                f"{audio_dir.parent}: validation_list.txt and testing_list.txt must keep a speaker in one split. "
                f"Received: {num_splits.idxmax()!r} in {num_splits.max()}"
            )
    return _with_tune(split, clips_df["speaker"])


def _with_tune(split, speakers):
    """Splits with some training speakers as `tune`: those in a range of the hash, or the nearest one."""
    low, high = TUNE_PERCENTAGES
    percentages = {speaker: speaker_percentage(speaker) for speaker in speakers[split == "train"].unique()}
    chosen = {speaker for speaker, percentage in percentages.items() if low <= percentage < high}
    chosen = chosen or sorted(percentages, key=lambda speaker: abs(percentages[speaker] - low))[:1]
    return split.mask((split == "train") & speakers.isin(chosen), "tune")


def speaker_percentage(speaker: str) -> float:
    """Hash of a speaker in [0, 100], by which the competition splits clips.

    Args:
        speaker: the part of a file's name before `_nohash_`.

    Source: `which_set` in the README of Speech Commands (SHA-1 modulo 2^27 - 1 + 1).
    """
    num_buckets = 2**27 - 1
    return int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % (num_buckets + 1) * 100.0 / num_buckets


def which_set(speaker: str, val_percentage: float = 10.0, test_percentage: float = 10.0) -> str:
    """Split of a speaker by hash: `train`, `val` or `test`.

    Args:
        speaker: the part of a file's name before `_nohash_`.
        val_percentage, test_percentage: shares of the speakers, 0 to 100.

    Source: `which_set` in the README of Speech Commands.

    Examples:
        >>> which_set("004ae714"), which_set("00176480"), which_set("0132a06d")
        ('train', 'train', 'train')
    """
    percentage = speaker_percentage(speaker)
    if percentage < val_percentage:
        return "val"
    return "test" if percentage < val_percentage + test_percentage else "train"


def speaker_folds(speakers: Sequence[str], num_folds: int) -> np.ndarray:
    """Fold of each clip, so that all clips of a speaker are in one; speakers take turns in hash order.

    Shape: `(clips,)` -> `(clips,)` int, 0 to below `num_folds`.

    Args:
        speakers: speaker of each clip.
        num_folds: number of folds, 2 or more.

    Raises:
        ValueError: `num_folds` is below 2, or there are fewer speakers.
    """
    ordered = sorted({*speakers}, key=lambda speaker: (speaker_percentage(speaker), speaker))
    if not 2 <= num_folds <= len(ordered):
        raise ValueError(
            f"`num_folds` must be from 2 to the number of speakers, {len(ordered)}. Received: num_folds={num_folds}"
        )
    fold = {speaker: rank % num_folds for rank, speaker in enumerate(ordered)}
    return np.array([fold[speaker] for speaker in speakers])


def hold_out_fold(clips_df: pd.DataFrame, fold: int, num_folds: int) -> pd.DataFrame:
    """The clips with a fold of the speakers as `val`, and all others as `train` and `tune`; `test` is left out.

    Args:
        clips_df: columns `speaker, split`, from `clips.read_clips_table`.
        fold: the fold to hold out, 0 to below `num_folds`.
        num_folds: number of folds (see `speaker_folds`).

    Raises:
        ValueError: `num_folds` is below 2, or there are fewer speakers.
    """
    is_spoken = ~clips_df["split"].isin(["noise", "test"])
    spoken_df = clips_df[is_spoken]
    held_out = speaker_folds(spoken_df["speaker"], num_folds) == fold
    split = _with_tune(pd.Series(np.where(held_out, "val", "train"), spoken_df.index), spoken_df["speaker"])
    noise_df = clips_df[clips_df["split"] == "noise"]
    return pd.concat([spoken_df.assign(split=split), noise_df]).sort_index()


def split_speakers(utterances_df: pd.DataFrame, num_val_speakers: int = 6) -> pd.DataFrame:
    """Utterances with `split` set to `train` or `val`, so that no speaker is in both.

    The speakers with the highest ids are held out, as numbers where all ids are numbers: always the same ones, also
    when utterances of them are added. A `split` of the user, with `train`, `val` and at most `test`, stays as it is.

    Args:
        utterances_df: from `utterances.index_utterances`.
        num_val_speakers: number of speakers that are held out.

    Raises:
        ValueError: there are no utterances, one has no speaker, there are too few speakers for both splits, or some
            rows have a split of the user and others none.
    """
    if utterances_df.empty:
        raise ValueError("there must be utterances to split. Received: none")
    splits = set(utterances_df["split"])
    if {"train", "val"} <= splits:
        if strange := sorted(splits - {"train", "val", "test"}):
            raise ValueError(
                "the column `split` must be `train`, `val` or `test` in every row, or hold `train` and `val` in none. "
                f"Received: {strange} in {utterances_df['split'].isin(strange).sum()} of {len(utterances_df)} rows, too"
            )
        return utterances_df
    speakers = set(utterances_df["speaker"])
    if "" in speakers:
        raise ValueError(
            "every utterance must have a speaker, so that some can be held out: fill the column `speaker` of the list, "
            "or its column `split` with `train` and `val`. "
            f"Received: {(utterances_df['speaker'] == '').sum()} of {len(utterances_df)} utterances without"
        )
    if not 1 <= num_val_speakers < len(speakers):
        raise ValueError(
            "`num_val_speakers` must be at least 1 and below the number of speakers. "
            f"Received: {num_val_speakers} of {len(speakers)}"
        )
    are_numbers = all(speaker.isdecimal() for speaker in speakers)
    ordered = sorted(speakers, key=lambda speaker: (int(speaker) if are_numbers else 0, speaker))
    is_val = utterances_df["speaker"].isin(ordered[-num_val_speakers:])
    return utterances_df.assign(split=np.where(is_val, "val", "train"))
