"""From a recipe to a run: datasets, model, training, validation; and many of them side by side in one table."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.utils.class_weight import compute_class_weight

from kaggle_speech import dataset, decoding, evaluation, index, inference, models, open_set, runs, training
from kaggle_speech.atomic import replace_file
from kaggle_speech.labels import COMPETITION_LABELS, UNKNOWN
from kaggle_speech.noise import background_noise
from kaggle_speech.probability_file import names_fingerprint
from kaggle_speech.recipe import NUM_FAST_CLIPS, Recipe

#: Fields of a recipe that are arguments of `training.compile_and_fit`.
FIT_OPTIONS = (
    *("num_epochs", "learning_rate", "optimizer", "weight_decay", "schedule", "restart_epochs"),
    *("label_smoothing", "clip_norm", "accumulation_steps", "average_epochs", "patience"),
)


def train_run(recipe, clips_df, run_dir, *, teachers=(), pseudo_df=None, cache=None, overwrite=False, bad_df=None):
    """Train a model and judge it on the validation speakers.

    A killed run continues where it stopped; a finished one of the same recipe and clips is not trained again.

    Args:
        recipe: `Recipe`.
        clips_df: readable clips: `index.index_clips` with `recipe.vocabulary`, then `index.check_clips`.
        run_dir: folder of the run (see `runs`).
        teachers: folders of finished runs of the same vocabulary; their mean opinion is the target.
        pseudo_df: more training clips, with labels from models (`index.pseudo_clips`).
        cache: as in `dataset.make_dataset`.
        overwrite: set a run of another recipe or of other clips aside (see `runs.start_run`).
        bad_df: clips that cannot be read, to be listed in the folder.

    Returns:
        dict, what `metrics.json` holds: accuracy, recall by label, macro F1, minutes.

    Raises:
        ValueError: the folder holds a run of another recipe or of other clips, a teacher has another vocabulary, or a
            word that is left out is a command.
    """
    left_out_words = {*recipe.left_out_words}
    strange = sorted(left_out_words & {*COMPETITION_LABELS} | left_out_words - {*clips_df["word"]})
    if strange:
        raise ValueError(f"`left_out_words` must be words of the data that are no command. Received: {strange}")
    training.set_seed(recipe.seed)
    model = models.build_model(recipe.model, recipe.num_classes, precision=recipe.precision)
    settings = _settings(recipe, model, clips_df, teachers, pseudo_df)
    defaults = _defaults(recipe, settings)
    if runs.is_finished(run_dir, recipe.vocabulary, settings, defaults):
        return runs.read_json(Path(run_dir) / "metrics.json")
    run_dir = runs.start_run(run_dir, recipe.vocabulary, settings, defaults=defaults, overwrite=overwrite)
    if bad_df is not None and len(bad_df):
        bad_df.to_csv(run_dir / "bad_clips.csv", index=False)
    is_left_out = clips_df["word"].isin(recipe.left_out_words)
    train_df, train_ds, tune_ds = _datasets(recipe, clips_df[~is_left_out], pseudo_df, cache)
    if teachers:
        train_ds = training.soften_targets(train_ds, _load_teachers(teachers, recipe), recipe.teacher_share)
    options = {name: getattr(recipe, name) for name in FIT_OPTIONS}
    options["class_weights"] = _balanced_weights(train_df, recipe.vocabulary) if recipe.balanced else None
    history_df = training.compile_and_fit(model, train_ds, tune_ds, run_dir, **options)
    model = models.float32_copy(model, recipe.model, recipe.num_classes)
    metrics, _ = validate(model, recipe.vocabulary, index.validation_clips(clips_df))
    if recipe.left_out_words:
        left_df = clips_df[is_left_out & (clips_df["split"] == "val")]
        answers = decoding.most_probable(predict_competition(model, recipe.vocabulary, left_df))
        metrics["left_out"] = {"num_clips": len(left_df), "recall": float((answers == UNKNOWN).mean())}
    metrics["training_minutes"] = round(history_df["seconds"].sum() / 60, 2)
    runs.finish_run(run_dir, model, metrics)
    return runs.read_json(run_dir / "metrics.json")


def _settings(recipe, model, clips_df, teachers, pseudo_df):
    """What the result of a training depends on, for its JSON."""
    settings = dataclasses.asdict(recipe)
    if pseudo_df is None:
        del settings["pseudo_fraction"]
    else:
        names = pseudo_df["path"].map(lambda path: Path(path).name)
        settings["pseudo"] = names_fingerprint(sorted(names + " " + pseudo_df["label"]))
    return settings | {
        "architecture": models.architecture_fingerprint(model),
        "teachers": {Path(teacher).name: runs.model_fingerprint(teacher) for teacher in teachers},
        "data": index.data_fingerprint(clips_df),
    }


def _defaults(recipe, settings):
    """What `_settings` of older versions lacks: fields that came later, and the architecture, which is the same."""
    defaults = dataclasses.asdict(Recipe(recipe.model)) | {"architecture": settings["architecture"], "teachers": {}}
    return {name: default for name, default in defaults.items() if name in settings}


def _datasets(recipe, clips_df, pseudo_df, cache):
    """The training clips and their batches, and the batches that choose the epoch."""
    fractions = {"unknown_fraction": recipe.unknown_fraction, "silence_fraction": recipe.silence_fraction}
    train_df = index.select_clips(clips_df, "train", seed=recipe.seed, **fractions)
    if recipe.fast:
        train_df = train_df.head(NUM_FAST_CLIPS)
    train_ds = dataset.make_dataset(
        train_df,
        recipe.vocabulary,
        recipe.batch_size,
        shuffle=True,
        augmentation=recipe.augmentation,
        noise=background_noise(index.noise_paths(clips_df)),
        mixup_alpha=recipe.mixup_alpha,
        mixup_fraction=recipe.mixup_fraction,
        pseudo_df=pseudo_df,
        pseudo_fraction=recipe.pseudo_fraction,
        cache=cache,
        seed=recipe.seed,
    )
    tune_df = index.select_clips(clips_df, "tune", **fractions)
    return train_df, train_ds, dataset.make_dataset(tune_df, recipe.vocabulary, 256)


def _balanced_weights(train_df, vocabulary):
    """Weights that let every label count the same; a label without clips weighs nothing."""
    present = np.unique(train_df["label"])
    weights = compute_class_weight("balanced", classes=present, y=train_df["label"])
    weight = dict(zip(present, weights, strict=True))
    return [weight.get(label, 0.0) for label in vocabulary]


def _load_teachers(teachers, recipe):
    loaded = []
    for teacher in teachers:
        model, vocabulary = runs.load_run(teacher)
        if vocabulary != recipe.vocabulary:
            raise ValueError(
                f"{teacher}: a teacher must have the vocabulary of the student, {recipe.num_classes} labels. "
                f"Received: {len(vocabulary)} labels"
            )
        loaded.append(model)
    return loaded


def predict_competition(model, vocabulary, clips_df, progress=True):
    """Probabilities over the twelve labels. Shape: -> `(len(clips_df), 12)`."""
    probabilities = inference.predict_probabilities(model, clips_df, progress=progress)
    return decoding.competition_probabilities(probabilities, vocabulary)


def validate(model, vocabulary, val_df):
    """Metrics over the competition's labels, and the probabilities they come from, `(len(val_df), 12)`."""
    probabilities = predict_competition(model, vocabulary, val_df)
    return evaluation.classification_metrics(val_df["label"], decoding.most_probable(probabilities)), probabilities


def open_set_opinion(run_dir, clips_df):
    """What the model of a run thinks of clips, its logits, too: an `open_set.Opinion`."""
    model, vocabulary = runs.load_run(run_dir)
    logits = inference.predict_probabilities(models.logits_model(model), clips_df)
    return open_set.Opinion(softmax(logits, axis=1), vocabulary, logits)


def compare(recipes, num_seeds, clips_df, out_path, *, cache=None, overwrite=False):
    """Train one recipe after another and keep a table; a killed comparison continues where it stopped.

    What other comparisons write into the table stays there, so that recipes which differ in more than the model can
    share it.

    Args:
        recipes: dict of `Recipe` by name; all of the same vocabulary.
        num_seeds: each is trained with its own seed and the ones after it, so many in all.
        clips_df: as in `train_run`.
        out_path: the CSV, written after every run; the runs go to `<out_path without .csv>/<name>_<seed>`.
        cache, overwrite: as in `train_run`.

    Returns:
        pandas DataFrame, a row a run of this call: `name, seed`, the columns of `models.describe_model`, `epochs`
        (at most), `minutes, accuracy, macro_f1, ms_per_clip` (one clip at a time).

    Raises:
        ValueError: a run was begun with another recipe or other clips, or the CSV is none of `compare`; names it.
    """
    out_path, rows = Path(out_path), []
    _read_table(out_path)
    out_path.parent.mkdir(parents=True, exist_ok=True)
    for name, first_recipe in recipes.items():
        for seed in range(first_recipe.seed, first_recipe.seed + num_seeds):
            recipe = dataclasses.replace(first_recipe, seed=seed)
            folder = re.sub(r"[^\w.]+", "_", f"{name} {seed}")
            run_dir = out_path.with_suffix("") / folder
            metrics = train_run(recipe, clips_df, run_dir, cache=cache, overwrite=overwrite)
            model, _ = runs.load_run(run_dir)
            row = {"name": name, "seed": seed} | models.describe_model(model)
            row |= {"epochs": recipe.num_epochs, "minutes": metrics["training_minutes"]}
            row |= {figure: metrics[figure] for figure in ("accuracy", "macro_f1")}
            rows.append(row | {"ms_per_clip": inference.milliseconds_per_clip(model)})
            table = _read_table(out_path) | {(name, seed): rows[-1]}
            replace_file(out_path, lambda path, table=table: pd.DataFrame(table.values()).to_csv(path, index=False))
    return pd.DataFrame(rows)


def _read_table(path):
    """The rows of a table by name and seed; none where there is no table yet."""
    if not path.exists():
        return {}
    runs_df = pd.read_csv(path)
    if not {"name", "seed", "accuracy"} <= {*runs_df}:
        raise ValueError(f"{path}: must be a table of `compare`, or not exist. Received: columns {[*runs_df]}")
    return {(row["name"], row["seed"]): row for row in runs_df.to_dict("records")}


def summarize(runs_df):
    """A row a recipe, in the order of the runs: the mean over its seeds, and the standard deviation of the accuracy.

    Args:
        runs_df: from `compare`.
    """
    by_name = runs_df.groupby("name", sort=False)
    summary_df = by_name.mean(numeric_only=True).drop(columns="seed")
    summary_df.insert(0, "seeds", by_name.size())
    summary_df.insert(summary_df.columns.get_loc("accuracy") + 1, "accuracy_sd", by_name["accuracy"].std())
    return summary_df.reset_index().round({"minutes": 1, "accuracy": 4, "accuracy_sd": 4, "macro_f1": 4})
