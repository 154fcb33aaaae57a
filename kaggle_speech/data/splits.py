"""Splits: which speaker is in train, tune, val or test. The speaker hash, official lists, held-out speakers."""

import hashlib
import os

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


def split_by_speaker(clips_df, audio_dir):
    """The split of every clip: by the official lists where they are there, else by the speaker's hash.

    Args:
        clips_df: columns `path, word, speaker`.
        audio_dir: folder of the word folders.

    Returns:
        pandas Series of `train`, `tune`, `val`, `test`.

    Raises:
        ValueError: a speaker is on both sides; names the speaker.

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
    return split.mask((split == "train") & clips_df["speaker"].isin(_tune_speakers(clips_df["speaker"], split)), "tune")


def _tune_speakers(speakers, split):
    """The training speakers that choose the epoch: a range of the hash; of few speakers the one nearest to it."""
    low, high = TUNE_PERCENTAGES
    percentages = {speaker: speaker_percentage(speaker) for speaker in speakers[split == "train"].unique()}
    chosen = {speaker for speaker, percentage in percentages.items() if low <= percentage < high}
    return chosen or sorted(percentages, key=lambda speaker: abs(percentages[speaker] - low))[:1]


def speaker_percentage(speaker):
    """Where the competition's hash puts a speaker, in [0, 100].

    Source: `which_set` in the README of Speech Commands (SHA-1 modulo 2^27 - 1 + 1).
    """
    num_buckets = 2**27 - 1
    return int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % (num_buckets + 1) * 100.0 / num_buckets


def which_set(speaker, val_percentage=10.0, test_percentage=10.0):
    """The split of a speaker: `train`, `val` or `test`, always the same one.

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


def speaker_halves(speakers):
    """0 or 1 for each clip: every second speaker in the order of their hashes, all clips of a speaker in one half.

    Raises:
        ValueError: there are not two speakers.
    """
    ordered = sorted({*speakers}, key=lambda speaker: (speaker_percentage(speaker), speaker))
    if len(ordered) < 2:
        raise ValueError(f"`speakers` must be two or more. Received: {ordered}")
    half = {speaker: rank % 2 for rank, speaker in enumerate(ordered)}
    return np.array([half[speaker] for speaker in speakers])


def split_speakers(utterances_df, num_val_speakers=6):
    """The utterances with `split` set to `train` or `val`, so that no speaker is in both.

    Held out are the speakers with the highest ids, as numbers where all of them are numbers: the same ones
    every time, and whoever adds utterances of them. Where `split` says `train` and `val` already, and at most `test`
    beside them, it is someone's own and stays as it is, whoever speaks.

    Args:
        utterances_df: from `index_utterances`.
        num_val_speakers: how many are held out.

    Raises:
        ValueError: there are no utterances, one has no speaker, or there are too few speakers for both splits.
    """
    if utterances_df.empty:
        raise ValueError("there must be utterances to split. Received: none")
    if {"train", "val"} <= set(utterances_df["split"]) <= {"train", "val", "test"}:
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
