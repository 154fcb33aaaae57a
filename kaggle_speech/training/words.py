"""Train a word recogniser: from a recipe to a finished run."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np
import pandas as pd
from sklearn.utils.class_weight import compute_class_weight

from kaggle_speech.data import clip_batches, clips
from kaggle_speech.data.negatives import speech_fingerprint
from kaggle_speech.evaluation.intervals import mean_intervals
from kaggle_speech.evaluation.validation import predict_competition, validate, validate_own_labels
from kaggle_speech.inference.answers import most_probable
from kaggle_speech.inference.predictions import names_fingerprint
from kaggle_speech.labels import COMPETITION_LABELS, UNKNOWN
from kaggle_speech.models import cost, registry, runs
from kaggle_speech.training import device_augment, fit
from kaggle_speech.training.devices import is_first_process, open_run, use_devices
from kaggle_speech.training.recipe import NUM_FAST_CLIPS, Recipe

#: Name of the file of clips that cannot be read, in the folder of the run.
BAD_CLIPS_NAME = "bad_clips.csv"


def train(
    recipe: Recipe,
    clips_df: pd.DataFrame,
    run_dir: Path | str,
    *,
    teachers: Sequence[Path | str] = (),
    pseudo_df: pd.DataFrame | None = None,
    speech_df: pd.DataFrame | None = None,
    initial: Path | str | None = None,
    cache: Path | str | None = None,
    devices: int | str | None = None,
    overwrite: bool = False,
    bad_df: pd.DataFrame | None = None,
) -> dict:
    """Train a word recogniser and evaluate it on the validation speakers.

    A killed run continues where it stopped; a finished one of the same recipe and clips is not trained again.

    Args:
        recipe: `Recipe`.
        clips_df: from `clips.read_clips_table` with `recipe.vocabulary`.
        run_dir: folder of the run (see `models.runs`).
        teachers: folders of finished runs of the same vocabulary; their mean probabilities are mixed into the targets.
        pseudo_df: more training clips, with labels from models (`clips.pseudo_clips`).
        speech_df: running speech (`negatives.speech_negatives`), of which random seconds are `unknown`.
        initial: folder of a finished run or of a published model whose weights the training starts from; all of them
            must fit, or all but those of the last layer.
        cache: "memory" or a folder to decode the clips to, once; None reads their files in every pass.
        devices: number of devices that share every batch, or "all", with Keras on JAX; None for one. A run may be
            continued on another number of devices. Of several hosts (see `training.devices`) each calls this function.
        overwrite: set a run of another recipe or of other clips aside, instead of raising.
        bad_df: clips that cannot be read, to be listed in `bad_clips.csv` of the folder.

    Returns:
        dict, the content of `metrics.json`: accuracy, recall by label, macro F1, minutes, settings, versions.

    Raises:
        ValueError: the folder holds a run of another recipe or of other clips, a teacher has another vocabulary, a
            word that is left out is a command, there are teachers and `augment_on_device`, or there are not so many
            devices for batches of that size.

    Examples:
        >>> import kaggle_speech as ks
        >>> clips_df, bad_df = ks.read_clips_table(data_dir, progress=False)
        >>> recipe = Recipe("tc_resnet", num_epochs=20, left_out_words=("bed", "yes"))
        >>> train(recipe, clips_df, "runs/mine", bad_df=bad_df)
        Traceback (most recent call last):
            ...
        ValueError: `left_out_words` must be words of the data that are no command. Received: ['yes']
    """
    left_out_words = {*recipe.left_out_words}
    wrong_words = sorted(left_out_words & {*COMPETITION_LABELS} | left_out_words - {*clips_df["word"]})
    if wrong_words:
        raise ValueError(f"`left_out_words` must be words of the data that are no command. Received: {wrong_words}")
    if recipe.augment_on_device and teachers:
        raise ValueError(
            "`teachers` must be left out where the network's device augments: they would not hear what it hears. "
            f"Received: {[str(teacher) for teacher in teachers]}"
        )
    val_df = clips.validation_clips(clips_df)  # raises where nothing could judge the model
    fit.set_seed(recipe.seed)
    distribution = use_devices(devices, recipe.batch_size)
    model = registry.build_model(recipe.model, recipe.num_classes, precision=recipe.precision)
    settings = _settings(recipe, model, clips_df, teachers, pseudo_df, speech_df)
    if initial is not None:
        settings["initial"] = runs.model_fingerprint(initial)
    with open_run(
        run_dir,
        task="words",
        vocabulary=recipe.vocabulary,
        settings=settings,
        defaults=_defaults(recipe, settings),
        overwrite=overwrite,
    ) as run:
        if run.metrics is not None:
            return run.metrics
        if bad_df is not None and len(bad_df) and is_first_process():
            bad_df.to_csv(run.path / BAD_CLIPS_NAME, index=False)
        is_left_out = clips_df["word"].isin(recipe.left_out_words)
        num_clips = NUM_FAST_CLIPS if recipe.fast else None
        fractions: dict[str, Any] = {
            "unknown_fraction": recipe.unknown_fraction,
            "silence_fraction": recipe.silence_fraction,
        }
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
            joined_fraction=recipe.joined_fraction,
            speech_df=speech_df,
            speech_fraction=recipe.speech_fraction,
            made_noise_minutes=recipe.made_noise_minutes,
            cache=cache,
            changes_apart=recipe.augment_on_device,
            whole_batches=distribution is not None,
            seed=recipe.seed,
            **fractions,
        )
        if teachers:
            train_ds = fit.soften_targets(train_ds, _load_teachers(teachers, recipe), recipe.teacher_share)
        if initial is not None:
            fit.start_from(model, initial)
        class_weights = None
        if recipe.balanced:
            train_df = clips.prepare_clips(clips_df[~is_left_out], "train", seed=recipe.seed, **fractions)
            class_weights = _balanced_weights(train_df[:num_clips], recipe.vocabulary)
        fit_options: dict[str, Any] = {"options": recipe, "class_weights": class_weights, "devices": devices}
        trained_model = model
        if recipe.augment_on_device:
            trained_model = device_augment.with_changes(model, train_ds.element_spec[0])
            model.compile(loss=fit.label_loss(recipe), metrics=[fit.label_accuracy()])
            fit_options["epoch_metrics"] = lambda _: fit.tune_metrics(tune_ds, model)
        history_df = fit.fit(trained_model, train_ds, tune_ds, run.path, **fit_options)
        if is_first_process():
            model = registry.float32_copy(model, recipe.model, recipe.num_classes)
            metrics, _ = validate(model, recipe.vocabulary, val_df)
            if recipe.vocabulary != COMPETITION_LABELS:
                metrics["own_labels"] = validate_own_labels(model, recipe.vocabulary, clips_df[~is_left_out])
            left_df = clips_df[is_left_out & (clips_df["split"] == "val")]
            if len(left_df):
                answers = most_probable(predict_competition(model, recipe.vocabulary, left_df))
                row = mean_intervals((answers == UNKNOWN)[:, None], left_df["speaker"]).iloc[0]
                metrics["left_out"] = {"num_clips": len(left_df), "recall": row["mean"], **row[["low", "high"]]}
            metrics["training_minutes"] = round(history_df["seconds"].sum() / 60, 2)
            run.finish(model, metrics)
    return cast(dict, run.metrics)


def _settings(
    recipe: Recipe,
    model: keras.Model,
    clips_df: pd.DataFrame,
    teachers: Sequence[Path | str],
    pseudo_df: pd.DataFrame | None,
    speech_df: pd.DataFrame | None,
) -> dict:
    """Everything that the result of a training depends on, JSON-able."""
    settings = dataclasses.asdict(recipe)
    if pseudo_df is None:
        del settings["pseudo_fraction"]
    else:
        names = pseudo_df["path"].map(lambda path: Path(path).name)
        settings["pseudo"] = names_fingerprint(sorted(names + " " + pseudo_df["label"]))
    if speech_df is None:
        del settings["speech_fraction"]
    if speech_df is None or "weight" not in speech_df:
        del settings["mined_share"]
    if speech_df is not None:
        settings["speech"] = speech_fingerprint(speech_df)
    return settings | {
        "architecture": cost.architecture_fingerprint(model),
        "teachers": _teacher_fingerprints(teachers),
        "data": clips.data_fingerprint(clips_df),
    }


def _teacher_fingerprints(teachers: Sequence[Path | str]) -> dict[str, str]:
    """Fingerprint of each teacher by the name of its folder, with a number where another one has that name."""
    prints: dict[str, str] = {}
    for teacher in teachers:
        name, number = Path(teacher).name, 1
        while name in prints:
            number += 1
            name = f"{Path(teacher).name}-{number}"
        prints[name] = runs.model_fingerprint(teacher)
    return prints


def _defaults(recipe: Recipe, settings: dict) -> dict:
    """Values of the settings that older versions lack: later fields, and the architecture, which is the same."""
    defaults = dataclasses.asdict(Recipe(recipe.model)) | {"architecture": settings["architecture"], "teachers": {}}
    return {name: default for name, default in defaults.items() if name in settings}


def _balanced_weights(train_df: pd.DataFrame, vocabulary: Sequence[str]) -> list[float]:
    """Weights that give every label the same total; 0 for a label without clips."""
    present = np.unique(train_df["label"])
    weights = compute_class_weight("balanced", classes=present, y=train_df["label"])
    weight_by_label = dict(zip(present, weights, strict=True))
    return [weight_by_label.get(label, 0.0) for label in vocabulary]


def _load_teachers(teachers: Sequence[Path | str], recipe: Recipe) -> list[keras.Model]:
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
