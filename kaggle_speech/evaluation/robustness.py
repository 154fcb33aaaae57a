"""How the answers hold when it gets noisy, and when the word comes early or late. NumPy only.

The noise is of the recordings' second halves; training hears the first ones, so that noises of other kinds may cost
more. Each clip keeps its piece of one recording over all ratios: a curve shows the ratio and not the draw.
"""

import numpy as np
import pandas as pd

from kaggle_speech.audio import CLIP_SAMPLES
from kaggle_speech.data.noise import mix_at_snr, read_noise
from kaggle_speech.evaluation.intervals import NUM_RESAMPLES, mean_intervals
from kaggle_speech.inference.answers import competition_probabilities, most_probable
from kaggle_speech.inference.predict import predict_conditions, transform_changes
from kaggle_speech.labels import SILENCE, UNKNOWN

SNRS_DB = (20, 15, 10, 5, 0, -5)
SHIFTS_MS = (-300, -200, -100, 0, 100, 200, 300)


def draw_segments(noise_paths, num_clips, seed=0, split="val"):
    """Which piece of which recording goes behind each clip, the recordings equally often.

    Shape: -> `(num_clips,)` numbers of recordings, and a function of a slice of clips to `(batch, CLIP_SAMPLES)` noise.

    Args:
        noise_paths: recordings, not empty.
        num_clips: how many clips there are.
        seed: of the drawing.
        split: whose part of the recordings (see `noise.REGIONS`).

    Raises:
        ValueError: there is no recording.
    """
    if not noise_paths:
        raise ValueError("`noise_paths` must name at least one recording. Received: none")
    rng, regions = np.random.default_rng(seed), read_noise(noise_paths, split)
    numbers = rng.permutation(np.arange(num_clips) % len(regions))
    starts = rng.integers([len(regions[number]) - CLIP_SAMPLES + 1 for number in numbers])

    def segments(rows):
        return np.array([regions[n][at : at + CLIP_SAMPLES] for n, at in zip(numbers[rows], starts[rows], strict=True)])

    return numbers, segments


def answers_under(model, vocabulary, clips_df, changes, progress=True):
    """The answers under each condition. Args: as in `inference.predict_conditions`.

    Shape: -> `(len(changes), len(clips_df))` labels.
    """
    description = f"{len(changes)} conditions"
    found = predict_conditions(model, clips_df, changes, progress=progress, description=description)
    return np.array([most_probable(competition_probabilities(values, vocabulary)) for values in found])


def robustness(
    model,
    vocabulary,
    clips_df,
    noise_paths,
    *,
    snrs_db=SNRS_DB,
    shifts_ms=SHIFTS_MS,
    num_resamples=NUM_RESAMPLES,
    seed=0,
    progress=True,
):
    """How many clips are answered right under noise and shifts.

    Noise goes behind spoken clips only: silence with noise is silence, at no ratio. Shifts move all clips; what moves
    out of the second is lost, and zeros fill up.

    Args:
        model: waveform in, probabilities out.
        vocabulary: labels in the order of its outputs.
        clips_df: columns `path, label, speaker`.
        noise_paths: recordings; where there are none, there is no noise.
        snrs_db: signal-to-noise ratios in mean power.
        shifts_ms: below 0 is earlier.
        num_resamples, seed: of the intervals, and of the drawing of noise.
        progress: show progress bars.

    Returns:
        DataFrame, a row a condition: `kind` (`snr_db` or `shift_ms`), `value`, `noise` (a recording, or `all`),
        `accuracy, low, high` (95 %, over speakers), `missed` (share of commands taken for silence or unknown),
        `confused` (share of commands taken for another one), `num_clips`.
    """
    frames, options = [], {"num_resamples": num_resamples, "seed": seed}
    spoken_df = clips_df[clips_df["label"] != SILENCE].reset_index(drop=True)
    if noise_paths and len(spoken_df) and snrs_db:
        numbers, segments = draw_segments(noise_paths, len(spoken_df), seed)
        changes = [
            lambda waveform, rows, snr_db=snr_db: mix_at_snr(waveform, segments(rows), snr_db) for snr_db in snrs_db
        ]
        answers = answers_under(model, vocabulary, spoken_df, changes, progress)
        names = {"all": slice(None)} | {path.stem: numbers == n for n, path in enumerate(noise_paths)}
        for name, rows in names.items():
            if len(spoken_df[rows]):
                found_df = _rates(spoken_df[rows], answers[:, rows], **options)
                frames.append(found_df.assign(kind="snr_db", value=snrs_db, noise=name))
    if shifts_ms:
        changes = transform_changes([f"shift_ms={shift_ms}" for shift_ms in shifts_ms])
        answers = answers_under(model, vocabulary, clips_df, changes, progress)
        frames.append(_rates(clips_df, answers, **options).assign(kind="shift_ms", value=shifts_ms, noise=""))
    columns = ["kind", "value", "noise", "accuracy", "low", "high", "missed", "confused", "num_clips"]
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def _rates(clips_df, answers, **options):
    """What becomes of the clips, a row a condition. Shape: `answers` is `(conditions, clips)`."""
    labels = clips_df["label"].to_numpy()
    is_right, is_passed = answers == labels, np.isin(answers, (SILENCE, UNKNOWN))
    is_command = ~np.isin(labels, (SILENCE, UNKNOWN))
    found_df = mean_intervals(is_right.T, clips_df["speaker"], **options).rename(columns={"mean": "accuracy"})
    return found_df.assign(
        missed=is_passed[:, is_command].mean(axis=1),
        confused=(~is_passed & ~is_right)[:, is_command].mean(axis=1),
        num_clips=len(clips_df),
    )
