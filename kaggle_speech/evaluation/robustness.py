"""Robustness: accuracy under background noise at several ratios, in rooms, and with the word early or late.

The noise comes from the second halves of the recordings beside the clips, whose first halves training uses; or from a
folder of recordings that training never had, which cost more. Each clip keeps its segment of one recording over all
ratios, so a curve shows the ratio and not the choice of the segment. The rooms are made, and no training has them.
"""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kaggle_speech.audio import CLIP_SAMPLES
from kaggle_speech.data.noise import mix_at_snr, read_noise
from kaggle_speech.data.rooms import make_rooms, place_in_rooms
from kaggle_speech.evaluation.intervals import NUM_RESAMPLES, mean_intervals
from kaggle_speech.inference.answers import competition_probabilities, most_probable
from kaggle_speech.inference.predict import predict_conditions, transform_changes
from kaggle_speech.inference.recogniser import Recogniser
from kaggle_speech.labels import SILENCE, UNKNOWN

SNRS_DB = (20, 15, 10, 5, 0, -5)
#: Reverberation times in seconds: a furnished bedroom, a living room, a bare kitchen.
REVERBERATIONS_S = (0.2, 0.4, 0.8)
NUM_ROOMS = 32
#: Added to the seed of the rooms: no training has the same ones.
ROOM_SEED = 1_000_000
SHIFTS_MS = (-300, -200, -100, 0, 100, 200, 300)


def draw_segments(
    noise_paths: Sequence[Path | str], num_clips: int, seed: int = 0, split: str = "val"
) -> tuple[np.ndarray, Callable[[slice], np.ndarray]]:
    """Choose a segment of a noise recording for each clip, the recordings equally often.

    Args:
        noise_paths: recordings, not empty.
        num_clips: number of clips.
        seed: seed of the choice.
        split: part of the recordings to use (see `noise.REGIONS`).

    Returns:
        The index of each clip's recording, `(num_clips,)`, and a function from a slice of clips to their noise,
        `(batch, CLIP_SAMPLES)`.

    Raises:
        ValueError: `noise_paths` is empty.
    """
    if not noise_paths:
        raise ValueError("`noise_paths` must name at least one recording. Received: none")
    rng = np.random.default_rng(seed)
    regions = read_noise(noise_paths, split)
    recordings = rng.permutation(np.arange(num_clips) % len(regions))
    starts = rng.integers([len(regions[recording]) - CLIP_SAMPLES + 1 for recording in recordings])

    def segments(rows: slice) -> np.ndarray:
        chosen = zip(recordings[rows], starts[rows], strict=True)
        return np.array([regions[recording][start : start + CLIP_SAMPLES] for recording, start in chosen])

    return recordings, segments


def _add_noise(
    waveform: np.ndarray, rows: slice, *, segments: Callable[[slice], np.ndarray], snr_db: float
) -> np.ndarray:
    return mix_at_snr(waveform, segments(rows), snr_db)


def _place_in_rooms(waveform: np.ndarray, rows: slice, *, responses: np.ndarray) -> np.ndarray:
    numbers = np.arange(rows.start, rows.start + len(waveform)) % len(responses)
    return place_in_rooms(waveform, responses[numbers])


def answers_under(
    recogniser: Recogniser,
    clips_df: pd.DataFrame,
    changes: Sequence[Callable[[np.ndarray, slice], np.ndarray]],
    progress: bool = True,
) -> np.ndarray:
    """Most probable labels of clips under several conditions. Shape: -> `(len(changes), len(clips_df))` str.

    Args:
        recogniser: its model and vocabulary are used, not its rejection.
        clips_df: frame with a `path` column.
        changes: functions of `(batch, samples)` waveforms, and of the slice of rows that they are, to the waveforms
            under a condition.
        progress: show a progress bar.

    Raises:
        AudioError: a file cannot be read; names it.
        ValueError: the frame is empty.
    """
    description = f"{len(changes)} conditions"
    conditions = predict_conditions(recogniser.model, clips_df, changes, progress=progress, description=description)
    return np.array(
        [most_probable(competition_probabilities(probabilities, recogniser.vocabulary)) for probabilities in conditions]
    )


def robustness(
    recogniser: Recogniser,
    clips_df: pd.DataFrame,
    noise_paths: Sequence[Path | str],
    *,
    noise_kinds: Sequence[str] | None = None,
    noise_split: str = "val",
    snrs_db: Sequence[float] = SNRS_DB,
    reverberations_s: Sequence[float] = (),
    shifts_ms: Sequence[float] = SHIFTS_MS,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Accuracy under noise, in rooms and under shifts.

    Noise is added to spoken clips only: silence with noise is silence, at any ratio. So are rooms, of which each clip
    has one of its own. Shifts move all clips; samples that leave the second are lost, and zeros fill the gap.

    Args:
        recogniser: its model and vocabulary are used, not its rejection.
        clips_df: columns `path, label, speaker`.
        noise_paths: recordings; where there are none, no noise is added.
        noise_kinds: kind of each recording, for rows of their own; None for the names of the files.
        noise_split: part of the recordings to use, a key of `noise.REGIONS`.
        snrs_db: signal-to-noise ratios in dB of mean power.
        reverberations_s: times in seconds in which the sound of a room falls by 60 dB, 0.1 or more; they need
            pyroomacoustics.
        shifts_ms: shifts in milliseconds; below 0 is earlier.
        num_resamples: number of bootstrap resamples of the intervals.
        seed: seed of the intervals and of the noise.
        progress: show progress bars.

    Returns:
        DataFrame, a row for each condition: `kind` (`snr_db`, `reverberation_s` or `shift_ms`), `value`, `noise` (a
        kind, or `all`), `accuracy, low, high` (95 %, over speakers), `missed` (fraction of commands taken for silence
        or unknown), `confused` (fraction of commands taken for another command), `num_clips`.
    """
    frames = []
    bootstrap_options = {"num_resamples": num_resamples, "seed": seed}
    spoken_df = clips_df[clips_df["label"] != SILENCE].reset_index(drop=True)
    if noise_paths and len(spoken_df) and snrs_db:
        recordings, segments = draw_segments(noise_paths, len(spoken_df), seed, noise_split)
        noises = [functools.partial(_add_noise, segments=segments, snr_db=snr_db) for snr_db in snrs_db]
        answers = answers_under(recogniser, spoken_df, noises, progress)
        groups = {"all": np.full(len(spoken_df), True)}
        kinds = np.array(noise_kinds or [Path(path).stem for path in noise_paths])[recordings]
        groups |= {str(kind): kinds == kind for kind in np.unique(kinds)}
        for name, rows in groups.items():
            if rows.any():
                rates_df = _rates(spoken_df[rows], answers[:, rows], **bootstrap_options)
                frames.append(rates_df.assign(kind="snr_db", value=snrs_db, noise=name))
    if reverberations_s and len(spoken_df):
        rooms = [
            functools.partial(_place_in_rooms, responses=make_rooms(NUM_ROOMS, ROOM_SEED + seed, (time_s, time_s)))
            for time_s in reverberations_s
        ]
        answers = answers_under(recogniser, spoken_df, rooms, progress)
        rates_df = _rates(spoken_df, answers, **bootstrap_options)
        frames.append(rates_df.assign(kind="reverberation_s", value=reverberations_s, noise=""))
    if shifts_ms:
        shifts = transform_changes([f"shift_ms={shift_ms}" for shift_ms in shifts_ms])
        answers = answers_under(recogniser, clips_df, shifts, progress)
        rates_df = _rates(clips_df, answers, **bootstrap_options)
        frames.append(rates_df.assign(kind="shift_ms", value=shifts_ms, noise=""))
    columns = ["kind", "value", "noise", "accuracy", "low", "high", "missed", "confused", "num_clips"]
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def _rates(clips_df: pd.DataFrame, answers: np.ndarray, **bootstrap_options: int) -> pd.DataFrame:
    """Accuracy and kinds of errors, a row for each condition. Shape: `answers` is `(conditions, clips)`."""
    labels = clips_df["label"].to_numpy()
    is_right = answers == labels
    is_passed = np.isin(answers, (SILENCE, UNKNOWN))
    is_command = ~np.isin(labels, (SILENCE, UNKNOWN))
    rates_df = mean_intervals(is_right.T, clips_df["speaker"], **bootstrap_options)
    return rates_df.rename(columns={"mean": "accuracy"}).assign(
        missed=is_passed[:, is_command].mean(axis=1),
        confused=(~is_passed & ~is_right)[:, is_command].mean(axis=1),
        num_clips=len(clips_df),
    )
