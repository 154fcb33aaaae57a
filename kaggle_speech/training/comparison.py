"""Comparison of recipes: many runs in one table, and ablations of one recipe."""

import dataclasses
import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from kaggle_speech.files import replace_file
from kaggle_speech.inference import timing
from kaggle_speech.inference.predict import Map
from kaggle_speech.models import cost, runs
from kaggle_speech.training.devices import is_first_process
from kaggle_speech.training.recipe import Recipe
from kaggle_speech.training.words import train


def compare(
    recipes: Mapping[str, Recipe],
    num_seeds: int,
    clips_df: pd.DataFrame,
    out_path: Path | str,
    *,
    cache: Path | str | None = None,
    devices: int | str | None = None,
    overwrite: bool = False,
    map_runs: Map = map,
) -> pd.DataFrame:
    """Train one recipe after another and keep a table; a killed comparison continues where it stopped.

    Rows of other comparisons stay in the table, so recipes that differ in more than the model can share it.

    Args:
        recipes: dict of `Recipe` by name; all of the same vocabulary.
        num_seeds: number of trainings of each recipe: with its seed and the ones after it.
        clips_df: readable clips (`data.clips`), with the labels of the recipes' vocabulary.
        out_path: the CSV, written after every run; the runs go to `<out_path without .csv>/<name>_<seed>`.
        cache: "memory" or a folder to decode the clips to, once; None reads their files in every pass.
        devices: number of devices that share every batch, or "all", with Keras on JAX; None for one. Of several hosts
            each calls this function.
        overwrite: set a run of another recipe or of other clips aside, instead of raising.
        map_runs: trains the runs: the built-in `map` one after another, that of a cluster side by side, on machines
            that share the folders of the clips and of `out_path`. The table is the same but for its times.

    Returns:
        pandas DataFrame, a row for each run of this call: `name, seed`, the columns of `cost.describe_model`, `epochs`
        (at most), `minutes, accuracy, macro_f1, ms_per_clip` (one clip at a time).

    Raises:
        ValueError: a run was begun with another recipe or other clips, the CSV was not written by `compare`, or has no
            ending; the message names it.

    Examples:
        >>> import kaggle_speech as ks
        >>> clips_df, _ = ks.read_clips_table(data_dir, progress=False)
        >>> recipes = {"small": Recipe("tc_resnet"), "wide": Recipe("tc_resnet,width=1.5")}
        >>> Path("notes.csv").write_text("day,note")
        8
        >>> compare(recipes, 3, clips_df, "notes.csv")
        Traceback (most recent call last):
            ...
        ValueError: notes.csv: must be written by `compare`, or not exist. Received: columns ['day', 'note']
    """
    out_path = Path(out_path)
    if not out_path.suffix:
        raise ValueError(f"`out_path` must be a file such as results.csv. Received: {out_path}")
    rows = []
    _read_table(out_path)
    out_path.parent.mkdir(parents=True, exist_ok=True)
    runs_dir = out_path.with_suffix("").absolute()
    seeded = [
        (name, dataclasses.replace(recipe, seed=seed), runs_dir / re.sub(r"[^\w.]+", "_", f"{name} {seed}"))
        for name, recipe in recipes.items()
        for seed in range(recipe.seed, recipe.seed + num_seeds)
    ]
    trained = map_runs(functools.partial(_train_row, clips_df, cache, devices, overwrite), seeded)
    for (_, _, run_dir), row in zip(seeded, trained, strict=True):
        if not run_dir.is_dir():
            raise FileNotFoundError(f"{run_dir}: must be in a folder that all workers share. Received: none here")
        rows.append(row)
        if is_first_process():
            table = _read_table(out_path) | {(row["name"], row["seed"]): row}
            replace_file(out_path, functools.partial(pd.DataFrame(table.values()).to_csv, index=False))
    return pd.DataFrame(rows)


def _train_row(
    clips_df: pd.DataFrame, cache: Path | str | None, devices: int | str | None, overwrite: bool, run: tuple
) -> dict[str, Any]:
    """The row of a run, which is trained, continued or read."""
    name, recipe, run_dir = run
    metrics = train(recipe, clips_df, run_dir, cache=cache, devices=devices, overwrite=overwrite)
    model, _ = runs.load_run(run_dir)
    row = {"name": name, "seed": recipe.seed} | cost.describe_model(model)
    row |= {"epochs": recipe.num_epochs, "minutes": metrics["training_minutes"]}
    row |= {figure: metrics[figure] for figure in ("accuracy", "macro_f1")}
    return row | {"ms_per_clip": timing.milliseconds_per_clip(model)}


def _read_table(path: Path) -> dict[tuple, dict]:
    """The rows of a table by name and seed; none where there is no table yet."""
    if not path.exists():
        return {}
    runs_df = pd.read_csv(path)
    if not {"name", "seed", "accuracy"} <= {*runs_df}:
        raise ValueError(f"{path}: must be written by `compare`, or not exist. Received: columns {[*runs_df]}")
    return {(row["name"], row["seed"]): row for row in runs_df.to_dict("records")}


def summarize_runs(runs_df: pd.DataFrame) -> pd.DataFrame:
    """Mean of each recipe over its seeds, and the standard deviation of its accuracy.

    Args:
        runs_df: from `compare`.

    Returns:
        pandas DataFrame, a row for each recipe, in the order of the runs.
    """
    by_name = runs_df.groupby("name", sort=False)
    summary_df = by_name.mean(numeric_only=True).drop(columns="seed")
    summary_df.insert(0, "seeds", by_name.size())
    summary_df.insert([*summary_df].index("accuracy") + 1, "accuracy_sd", by_name["accuracy"].std())
    return summary_df.reset_index().round({"minutes": 1, "accuracy": 4, "accuracy_sd": 4, "macro_f1": 4})
