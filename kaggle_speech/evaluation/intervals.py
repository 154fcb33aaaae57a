"""Confidence intervals over speakers (cluster bootstrap), and the comparison of two models."""

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from kaggle_speech.labels import COMPETITION_LABELS

#: How often speakers are drawn for an interval.
NUM_RESAMPLES = 2000
#: Of an interval.
CONFIDENCE = 0.95


def bootstrap_means(values, speakers, weights=None, num_resamples=NUM_RESAMPLES, seed=0):
    """Means over clips, were other speakers drawn from those there are: as many, with replacement, each with all clips.

    Shape: `(clips, columns)`, `(clips,)`, `(clips, columns)` -> `(num_resamples, columns)`; NaN where no clip was drawn
        that counts.

    Args:
        values: numbers to average, such as 1 where an answer is right.
        speakers: whose clip each is.
        weights: how much a clip counts in a mean, such as 0 where it is of another label; None for 1.
        num_resamples: draws.
        seed: of the drawing.

    Source: the cluster bootstrap of Davison and Hinkley, Bootstrap Methods and their Application, 3.8.
    """
    codes, names = pd.factorize(np.asarray(speakers))
    weights = np.ones(np.shape(values)) if weights is None else np.asarray(weights, float)
    sums, counts = np.zeros((2, len(names), np.shape(values)[1]))
    np.add.at(sums, codes, weights * np.asarray(values, float))
    np.add.at(counts, codes, weights)
    equal = np.full(len(names), 1 / len(names))
    times_drawn = np.random.default_rng(seed).multinomial(len(names), equal, num_resamples)
    with np.errstate(invalid="ignore"):
        return (times_drawn @ sums) / (times_drawn @ counts)


def mean_intervals(values, speakers, weights=None, num_resamples=NUM_RESAMPLES, seed=0):
    """Means over clips, each with its 95 % interval: the middle of what `bootstrap_means` gives.

    Shape: `(clips, columns)` -> DataFrame of `columns` rows: `mean, low, high`.

    Args: as in `bootstrap_means`.

    Raises:
        ValueError: there are no clips, or not as many speakers.
    """
    values = np.asarray(values, float)
    if len(values) == 0 or len(values) != len(speakers):
        raise ValueError(
            "`values` and `speakers` must have a row for each clip, at least one. "
            f"Received: {len(values)} values, {len(speakers)} speakers"
        )
    drawn = bootstrap_means(values, speakers, weights, num_resamples, seed)
    low, high = np.nanquantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    return pd.DataFrame({"mean": np.average(values, axis=0, weights=weights), "low": low, "high": high})


def label_intervals(clips_df, is_right, num_resamples=NUM_RESAMPLES, seed=0, labels=COMPETITION_LABELS):
    """The share of right answers, over all clips and label by label, with 95 % intervals over speakers.

    An interval without width says that no draw had an error, not that there is none.

    Args:
        clips_df: columns `label, speaker`.
        is_right: `(clips,)` bool.
        num_resamples, seed: as in `bootstrap_means`.
        labels: in the order wanted; those without a clip are left out.

    Returns:
        DataFrame by label, `all` first: `accuracy, low, high, num_clips, num_speakers`.
    """
    present = [label for label in labels if label in set(clips_df["label"])]
    counts = np.column_stack([np.ones(len(clips_df)), *(clips_df["label"] == label for label in present)])
    values = np.repeat(np.asarray(is_right, float)[:, None], counts.shape[1], axis=1)
    found_df = mean_intervals(values, clips_df["speaker"], counts, num_resamples, seed)
    found_df = found_df.rename(columns={"mean": "accuracy"}).set_index(pd.Index(["all", *present], name="label"))
    by_label = clips_df.groupby("label")["speaker"]
    num_clips, num_speakers = ({"all": len(clips_df), **by_label.size()}, by_label.nunique().to_dict())
    num_speakers["all"] = clips_df["speaker"].nunique()
    return found_df.assign(
        num_clips=found_df.index.map(num_clips).astype(int), num_speakers=found_df.index.map(num_speakers).astype(int)
    )


def speaker_accuracy(clips_df, is_right):
    """How many clips of each speaker are answered right, those with most errors first.

    A speaker has few clips, and there is no other speaker like this one to draw: the interval is Wilson's, over clips.

    Args: as in `label_intervals`.

    Returns:
        DataFrame by speaker: `accuracy, low, high, num_clips, num_wrong`.
    """
    right = pd.Series(np.asarray(is_right, bool), clips_df.index).groupby(clips_df["speaker"])
    found_df = pd.DataFrame({"num_clips": right.size(), "num_right": right.sum()})
    intervals = [
        binomtest(row.num_right, row.num_clips).proportion_ci(CONFIDENCE, "wilson") for row in found_df.itertuples()
    ]
    found_df["accuracy"] = found_df["num_right"] / found_df["num_clips"]
    found_df["low"], found_df["high"] = zip(*intervals, strict=True)
    found_df["num_wrong"] = found_df["num_clips"] - found_df["num_right"]
    found_df = found_df.sort_values(["num_wrong", "num_clips"], ascending=[False, True], kind="stable")
    return found_df[["accuracy", "low", "high", "num_clips", "num_wrong"]]


def compare_answers(is_right, other_is_right, speakers, num_resamples=NUM_RESAMPLES, seed=0):
    """Whether one model answers more of the same clips right than another, or only other ones.

    McNemar's test looks at the clips that only one of them gets right: of equally good models each gets half of them.
    It takes clips for independent; the interval of the difference draws speakers.

    Args:
        is_right, other_is_right: `(clips,)` bool, of the same clips.
        speakers, num_resamples, seed: as in `bootstrap_means`.

    Returns:
        dict: `accuracy, other_accuracy, difference, low, high` (of the difference, 95 %), `num_both_right`,
        `num_only_this`, `num_only_other`, `num_both_wrong`, `p_value` (exact, two-sided).

    Raises:
        ValueError: not as many answers of one as of the other.

    Source: McNemar 1947; exact as `statsmodels.stats.contingency_tables.mcnemar(exact=True)`.
    """
    this, other = np.asarray(is_right, bool), np.asarray(other_is_right, bool)
    if this.shape != other.shape:
        raise ValueError(
            f"`other_is_right` must be of the clips of `is_right`. Received: {len(other)} clips, not {len(this)}"
        )
    differences = np.subtract(this, other, dtype=float)[:, None]
    difference = mean_intervals(differences, speakers, None, num_resamples, seed).loc[0]
    num_only_this, num_only_other = int((this & ~other).sum()), int((other & ~this).sum())
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
