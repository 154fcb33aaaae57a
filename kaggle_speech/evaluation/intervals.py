"""Confidence intervals over speakers (cluster bootstrap), and the comparison of two models (McNemar's test)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binomtest, chi2

from kaggle_speech.labels import COMPETITION_LABELS

#: Bootstrap resamples of an interval.
NUM_RESAMPLES = 2000
#: Coverage of an interval.
CONFIDENCE = 0.95


def bootstrap_means(
    values: npt.ArrayLike,
    speakers: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> np.ndarray:
    """Means over clips in bootstrap resamples of the speakers, drawn with replacement, each with all of its clips.

    Shape: `(clips, columns)`, `(clips,)`, `(clips, columns)` -> `(num_resamples, columns)`; NaN where a resample has no
        clip with a weight.

    Args:
        values: numbers to average, such as 1 where an answer is right.
        speakers: speaker of each clip.
        weights: weight of each value; None weights all equally.
        num_resamples: number of resamples.
        seed: seed of the resampling.

    Source: the cluster bootstrap of Davison and Hinkley, Bootstrap Methods and their Application, 3.8.
    """
    values = np.asarray(values, float)
    codes, names = pd.factorize(np.asarray(speakers))
    weights = np.ones(values.shape) if weights is None else np.asarray(weights, float)
    sums = np.zeros((len(names), values.shape[1]))
    counts = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, codes, weights * values)
    np.add.at(counts, codes, weights)
    equal = np.full(len(names), 1 / len(names))
    times_drawn = np.random.default_rng(seed).multinomial(len(names), equal, num_resamples)
    with np.errstate(invalid="ignore"):
        return (times_drawn @ sums) / (times_drawn @ counts)


def mean_intervals(
    values: npt.ArrayLike,
    speakers: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Means over clips, each with its 95 % interval over speakers.

    Shape: `(clips, columns)` -> DataFrame of `columns` rows: `mean, low, high`.

    Args:
        values: numbers to average, such as 1 where an answer is right.
        speakers: speaker of each clip.
        weights: `(clips, columns)`, weight of each value; None weights all equally.
        num_resamples: bootstrap resamples.
        seed: seed of the resampling.

    Raises:
        ValueError: there are no clips, or the numbers of values and speakers differ.

    Source: percentile intervals of `bootstrap_means`.
    """
    values = np.asarray(values, float)
    speakers = np.asarray(speakers)
    if len(values) == 0 or len(values) != len(speakers):
        raise ValueError(
            "`values` and `speakers` must have a row for each clip, at least one. "
            f"Received: {len(values)} values, {len(speakers)} speakers"
        )
    means = bootstrap_means(values, speakers, weights, num_resamples, seed)
    low, high = np.nanquantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    weights = None if weights is None else np.asarray(weights, float)
    return pd.DataFrame({"mean": np.average(values, axis=0, weights=weights), "low": low, "high": high})


def label_intervals(
    clips_df: pd.DataFrame,
    is_right: npt.ArrayLike,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
    labels: Sequence[str] = COMPETITION_LABELS,
) -> pd.DataFrame:
    """Accuracy over all clips and of each label, with 95 % intervals over speakers.

    An interval without width means that no resample had an error, not that errors are impossible.

    Args:
        clips_df: columns `label, speaker`.
        is_right: `(clips,)` bool.
        num_resamples: bootstrap resamples.
        seed: seed of the resampling.
        labels: in the order of the rows; those without a clip are left out.

    Returns:
        DataFrame by label, `all` first: `accuracy, low, high, num_clips, num_speakers`.
    """
    present = [label for label in labels if label in set(clips_df["label"])]
    weights = np.column_stack([np.ones(len(clips_df)), *(clips_df["label"] == label for label in present)])
    values = np.repeat(np.asarray(is_right, float)[:, None], weights.shape[1], axis=1)
    intervals_df = mean_intervals(values, clips_df["speaker"], weights, num_resamples, seed)
    intervals_df = intervals_df.rename(columns={"mean": "accuracy"})
    intervals_df = intervals_df.set_index(pd.Index(["all", *present], name="label"))
    by_label = clips_df.groupby("label")["speaker"]
    num_clips = {**by_label.size(), "all": len(clips_df)}
    num_speakers = {**by_label.nunique(), "all": clips_df["speaker"].nunique()}
    return intervals_df.assign(
        num_clips=intervals_df.index.map(num_clips).astype(int),
        num_speakers=intervals_df.index.map(num_speakers).astype(int),
    )


def speaker_accuracy(clips_df: pd.DataFrame, is_right: npt.ArrayLike) -> pd.DataFrame:
    """Accuracy of each speaker with its 95 % interval, those with most errors first.

    The clips of a speaker are few and the speaker is fixed, so the interval is over clips.

    Args:
        clips_df: columns `label, speaker`.
        is_right: `(clips,)` bool.

    Returns:
        DataFrame by speaker: `accuracy, low, high, num_clips, num_wrong`.

    Source: Wilson's interval, as `scipy.stats.binomtest(...).proportion_ci(method="wilson")`.
    """
    by_speaker = pd.Series(np.asarray(is_right, bool), clips_df.index).groupby(clips_df["speaker"])
    speakers_df = pd.DataFrame({"num_clips": by_speaker.size(), "num_right": by_speaker.sum()})
    intervals = [
        binomtest(row.num_right, row.num_clips).proportion_ci(CONFIDENCE, "wilson") for row in speakers_df.itertuples()
    ]
    speakers_df["accuracy"] = speakers_df["num_right"] / speakers_df["num_clips"]
    speakers_df["low"] = [interval.low for interval in intervals]
    speakers_df["high"] = [interval.high for interval in intervals]
    speakers_df["num_wrong"] = speakers_df["num_clips"] - speakers_df["num_right"]
    speakers_df = speakers_df.sort_values(["num_wrong", "num_clips"], ascending=[False, True], kind="stable")
    return speakers_df[["accuracy", "low", "high", "num_clips", "num_wrong"]]


def compare_answers(
    is_right: npt.ArrayLike,
    other_is_right: npt.ArrayLike,
    speakers: npt.ArrayLike,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare the answers of two models to the same clips.

    McNemar's test compares the numbers of clips that only one model answers right, which equally good models share
    evenly. It assumes independent clips; the interval of the difference resamples speakers.

    Args:
        is_right: `(clips,)` bool, of one model.
        other_is_right: `(clips,)` bool, of the other model.
        speakers: speaker of each clip.
        num_resamples: bootstrap resamples.
        seed: seed of the resampling.

    Returns:
        dict: `accuracy, other_accuracy, difference, low, high` (of the difference, 95 %), `num_both_right`,
        `num_only_this`, `num_only_other`, `num_both_wrong`, `p_value` (exact, two-sided).

    Raises:
        ValueError: the two have different numbers of answers.

    Source: McNemar 1947; exact as `statsmodels.stats.contingency_tables.mcnemar(exact=True)`.
    """
    this = np.asarray(is_right, bool)
    other = np.asarray(other_is_right, bool)
    if this.shape != other.shape:
        raise ValueError(
            f"`other_is_right` must be of the clips of `is_right`. Received: {len(other)} clips, not {len(this)}"
        )
    differences = np.subtract(this, other, dtype=float)[:, None]
    difference = mean_intervals(differences, speakers, None, num_resamples, seed).iloc[0].to_dict()
    num_only_this = int((this & ~other).sum())
    num_only_other = int((other & ~this).sum())
    num_different = num_only_this + num_only_other
    return {
        "accuracy": float(this.mean()),
        "other_accuracy": float(other.mean()),
        "difference": float(difference["mean"]),
        "low": float(difference["low"]),
        "high": float(difference["high"]),
        "num_both_right": int((this & other).sum()),
        "num_only_this": num_only_this,
        "num_only_other": num_only_other,
        "num_both_wrong": int((~this & ~other).sum()),
        "p_value": float(binomtest(num_only_this, num_different).pvalue) if num_different else 1.0,
    }


def poisson_interval(count: int) -> tuple[float, float]:
    """95 % interval of the mean of a Poisson count; divide it by the hours for a rate.

    Args:
        count: number of events, 0 or more.

    Source: F. Garwood, Fiducial limits for the Poisson distribution, Biometrika 28 (1936): exact.

    Examples:
        >>> [round(limit, 2) for limit in poisson_interval(0) + poisson_interval(4)]
        [0.0, 3.69, 1.09, 10.24]
    """
    low = float(chi2.ppf((1 - CONFIDENCE) / 2, 2 * count) / 2) if count else 0.0
    return low, float(chi2.ppf((1 + CONFIDENCE) / 2, 2 * (count + 1)) / 2)
