"""Train a word recogniser: from a recipe to a finished run."""

import dataclasses
from pathlib import Path

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from kaggle_speech import files
from kaggle_speech.data import clip_batches, clips
from kaggle_speech.evaluation.validation import predict_competition, validate
from kaggle_speech.inference.answers import most_probable
from kaggle_speech.inference.predictions import names_fingerprint
from kaggle_speech.labels import COMPETITION_LABELS, UNKNOWN
from kaggle_speech.models import cost, registry, runs
from kaggle_speech.training import fit
from kaggle_speech.training.recipe import NUM_FAST_CLIPS, Recipe

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
        clips_df: from `clips.read_clips_table` with `recipe.vocabulary`.
        run_dir: folder of the run (see `runs`).
        teachers: folders of finished runs of the same vocabulary; their mean opinion is the target.
        pseudo_df: more training clips, with labels from models (`clips.pseudo_clips`).
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
    fit.set_seed(recipe.seed)
    model = registry.build_model(recipe.model, recipe.num_classes, precision=recipe.precision)
    settings = _settings(recipe, model, clips_df, teachers, pseudo_df)
    defaults = _defaults(recipe, settings)
    if runs.is_finished(run_dir, recipe.vocabulary, settings, defaults):
        return files.read_json(Path(run_dir) / "metrics.json")
    run_dir = runs.start_run(run_dir, recipe.vocabulary, settings, defaults=defaults, overwrite=overwrite)
    if bad_df is not None and len(bad_df):
        bad_df.to_csv(run_dir / "bad_clips.csv", index=False)
    is_left_out = clips_df["word"].isin(recipe.left_out_words)
    num_clips = NUM_FAST_CLIPS if recipe.fast else None
    fractions = {"unknown_fraction": recipe.unknown_fraction, "silence_fraction": recipe.silence_fraction}
    train_ds, tune_ds = clip_batches.make_datasets(
        clips_df[~is_left_out],
        vocabulary=recipe.vocabulary,
        batch_size=recipe.batch_size,
        augmentation=recipe.augmentation,
        num_clips=num_clips,
        mixup_alpha=recipe.mixup_alpha,
        mixup_fraction=recipe.mixup_fraction,
        pseudo_df=pseudo_df,
        pseudo_fraction=recipe.pseudo_fraction,
        cache=cache,
        seed=recipe.seed,
        **fractions,
    )
    if teachers:
        train_ds = fit.soften_targets(train_ds, _load_teachers(teachers, recipe), recipe.teacher_share)
    options = {name: getattr(recipe, name) for name in FIT_OPTIONS}
    if recipe.balanced:
        train_df = clips.prepare_clips(clips_df[~is_left_out], "train", seed=recipe.seed, **fractions).head(num_clips)
        options["class_weights"] = _balanced_weights(train_df, recipe.vocabulary)
    history_df = fit.compile_and_fit(model, train_ds, tune_ds, run_dir, **options)
    model = registry.float32_copy(model, recipe.model, recipe.num_classes)
    metrics, _ = validate(model, recipe.vocabulary, clips.validation_clips(clips_df))
    if recipe.left_out_words:
        left_df = clips_df[is_left_out & (clips_df["split"] == "val")]
        answers = most_probable(predict_competition(model, recipe.vocabulary, left_df))
        metrics["left_out"] = {"num_clips": len(left_df), "recall": float((answers == UNKNOWN).mean())}
    metrics["training_minutes"] = round(history_df["seconds"].sum() / 60, 2)
    runs.finish_run(run_dir, model, metrics)
    return files.read_json(run_dir / "metrics.json")


def _settings(recipe, model, clips_df, teachers, pseudo_df):
    """What the result of a training depends on, for its JSON."""
    settings = dataclasses.asdict(recipe)
    if pseudo_df is None:
        del settings["pseudo_fraction"]
    else:
        names = pseudo_df["path"].map(lambda path: Path(path).name)
        settings["pseudo"] = names_fingerprint(sorted(names + " " + pseudo_df["label"]))
    return settings | {
        "architecture": cost.architecture_fingerprint(model),
        "teachers": {Path(teacher).name: runs.model_fingerprint(teacher) for teacher in teachers},
        "data": clips.data_fingerprint(clips_df),
    }


def _defaults(recipe, settings):
    """What `_settings` of older versions lacks: fields that came later, and the architecture, which is the same."""
    defaults = dataclasses.asdict(Recipe(recipe.model)) | {"architecture": settings["architecture"], "teachers": {}}
    return {name: default for name, default in defaults.items() if name in settings}


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
