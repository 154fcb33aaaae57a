"""Cross-validation over speakers, for small sets: every clip is judged by a model that never heard its speaker."""

import functools
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from kaggle_speech.data import clips, splits
from kaggle_speech.evaluation import intervals
from kaggle_speech.evaluation.metrics import classification_metrics
from kaggle_speech.evaluation.validation import predict_competition
from kaggle_speech.files import replace_file
from kaggle_speech.inference.answers import most_probable
from kaggle_speech.inference.predict import Map
from kaggle_speech.labels import SILENCE
from kaggle_speech.models import runs
from kaggle_speech.training.recipe import Recipe
from kaggle_speech.training.words import train

#: Answers to all clips, in the folder of a cross-validation.
ANSWERS_NAME = "answers.csv"


def check_trains_alone(settings: Mapping, has_speech: bool) -> None:
    """Check that the recipe of a run can be trained again without a part of the speakers.

    Args:
        settings: entry `settings` of its `run.json`.
        has_speech: whether there is running speech to train on.

    Raises:
        ValueError: other models had a part in the run, which may know the speakers that a fold holds out; or it was
            trained on running speech and there is none, or the other way round.
    """
    helpers = [name for name in ("teachers", "initial", "pseudo") if settings.get(name)]
    if helpers:
        raise ValueError(
            "a run must be trained without other models for its folds, because those may know the speakers that a fold "
            f"holds out. Received: a run with {', '.join(helpers)}"
        )
    if has_speech != ("speech" in settings):
        received = "running speech" if has_speech else "none"
        raise ValueError(f"`speech_df` must be given where the run was trained on running speech. Received: {received}")


def cross_validate(
    recipe: Recipe,
    clips_df: pd.DataFrame,
    num_folds: int,
    out_dir: Path | str,
    *,
    speech_df: pd.DataFrame | None = None,
    cache: Path | str | None = None,
    progress: bool = True,
    map_runs: Map = map,
) -> dict:
    """Train a recipe once for each fold of the speakers, without them, and judge its clips of the commands.

    Of other words as many are judged as of an average command (`clips.validation_clips`). Finished folds are read; a
    killed one continues. Clips of the split `test` have no part in it.

    Args:
        recipe: `Recipe`.
        clips_df: readable clips (`clips.read_clips_table`), with the labels of the recipe's vocabulary.
        num_folds: number of trainings, 2 or more.
        out_dir: folder for the runs `fold_<number>`, and `answers.csv`: a row for each clip with `path, label, speaker,
            fold, answer`.
        speech_df: running speech (`negatives.speech_negatives`), of which random seconds are `unknown`.
        cache: "memory" or a folder to decode the clips to, once; None reads their files in every pass.
        progress: show progress bars.
        map_runs: trains the folds: the built-in `map` one after another, that of a cluster side by side, on machines
            that share the folders of the clips and of `out_dir`.

    Returns:
        dict: that of `metrics.classification_metrics` over the spoken clips of all folds, `accuracy_interval` (95 %,
        over speakers), `fold_accuracy` (a list).

    Raises:
        ValueError: `num_folds` is below 2 or above the number of speakers, or a fold was begun with another recipe or
            other clips.
    """
    judge = functools.partial(
        _judge_fold, recipe, clips_df, num_folds, Path(out_dir).absolute(), speech_df, cache, progress
    )
    answered = [*map_runs(judge, range(num_folds))]
    answers_df = pd.concat(answered, ignore_index=True)
    replace_file(Path(out_dir) / ANSWERS_NAME, functools.partial(answers_df.to_csv, index=False))
    spoken_df = answers_df[answers_df["label"] != SILENCE]  # silence has no speaker, and is the same in every fold
    is_right = spoken_df["answer"] == spoken_df["label"]
    interval = intervals.mean_intervals(is_right.to_frame(), spoken_df["speaker"], seed=recipe.seed).iloc[0]
    return {
        **classification_metrics(spoken_df["label"], spoken_df["answer"].to_numpy()),
        "accuracy_interval": [float(interval["low"]), float(interval["high"])],
        "fold_accuracy": is_right.groupby(spoken_df["fold"]).mean().tolist(),
    }


def _judge_fold(recipe, clips_df, num_folds, out_dir, speech_df, cache, progress, number):
    """Answers to the clips of a fold, by a model that is trained, continued or read."""
    fold_df = splits.hold_out_fold(clips_df, number, num_folds)
    run_dir = out_dir / f"fold_{number}"
    train(recipe, fold_df, run_dir, speech_df=speech_df, cache=cache)
    model, vocabulary = runs.load_run(run_dir)
    val_df = clips.validation_clips(fold_df)
    probabilities = predict_competition(model, vocabulary, val_df, progress)
    columns = val_df[["path", "label", "speaker"]]
    return columns.assign(fold=number, answer=most_probable(probabilities))
