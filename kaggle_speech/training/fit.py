"""Training loop for any model: optimizer, schedule, label smoothing, averaged weights, early stopping, resumption."""

import functools
import json
from pathlib import Path

import keras
import numpy as np

from kaggle_speech.data.clip_batches import blend_targets
from kaggle_speech.inference.batches import shared_predict
from kaggle_speech.training.callbacks import KeepBest, ProgressBar, SeedEpoch, read_history

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "cosine_restarts")


def set_seed(seed):
    """Seed Python, NumPy and the backend: weights, dropout and SpecAugment drawn afterwards repeat."""
    keras.utils.set_random_seed(seed)


def soften_targets(train_ds, teachers, teacher_share=0.9):
    """Batches whose targets are mostly the mean probabilities of an ensemble for the same waveforms.

    Shape: of an element: unchanged.

    Args:
        train_ds: batches of waveforms and targets.
        teachers: models with the outputs of the student; their mean probability counts.
        teacher_share: of the target; the rest is the label.

    Source: arXiv 1503.02531, with temperature 1.
    """
    predictors = [shared_predict(teacher) for teacher in teachers]

    def mean_probability(waveform):
        return np.mean([np.asarray(predict(waveform)) for predict in predictors], axis=0)

    return blend_targets(train_ds, mean_probability, teacher_share)


def _check_same_fit(run_dir, fit):
    """Make the folder and note the arguments, or raise ValueError where it was begun with others."""
    fit_path = run_dir / "fit.json"
    if fit_path.exists():
        found = json.loads(fit_path.read_text())
        if found != fit:
            differing = {name: found.get(name) for name in fit if found.get(name) != fit[name]}
            raise ValueError(
                f"{run_dir}: a run must be continued as it was begun, or be removed. It was begun with: {differing}"
            )
    run_dir.mkdir(parents=True, exist_ok=True)
    fit_path.write_text(json.dumps(fit, indent=2) + "\n")


def _finished_epochs(backup_dir):
    metadata_path = backup_dir / "training_metadata.json"
    return json.loads(metadata_path.read_text())["epoch"] if metadata_path.exists() else 0


def _learning_rate_schedule(schedule, learning_rate, num_updates, updates_per_epoch, warmup_fraction, restart_epochs):
    """The learning rate over updates of the weights."""
    if schedule == "cosine_restarts":
        return keras.optimizers.schedules.CosineDecayRestarts(
            learning_rate, restart_epochs * updates_per_epoch, t_mul=2.0
        )
    num_warmup_updates = max(1, round(warmup_fraction * num_updates))
    return keras.optimizers.schedules.CosineDecay(
        0.0, num_updates - num_warmup_updates, warmup_target=learning_rate, warmup_steps=num_warmup_updates
    )


def _make_optimizer(name, schedule, weight_decay, clip_norm, accumulation_steps):
    options = {"weight_decay": weight_decay, "clipnorm": clip_norm}
    if accumulation_steps > 1:
        options["gradient_accumulation_steps"] = accumulation_steps
    if name == "sgd":
        optimizer = keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True, **options)
    else:
        optimizer = keras.optimizers.AdamW(schedule, **options)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _evaluate(tune_ds, model):
    tuned = model.evaluate(tune_ds, verbose=0, return_dict=True)
    return {f"val_{name}": value for name, value in tuned.items()}


def compile_and_fit(
    model,
    train_ds,
    tune_ds,
    run_dir,
    *,
    num_epochs=100,
    learning_rate=4e-3,
    optimizer="adamw",
    weight_decay=1e-2,
    schedule="cosine",
    warmup_fraction=0.05,
    restart_epochs=10,
    label_smoothing=0.1,
    clip_norm=1.0,
    accumulation_steps=1,
    class_weights=None,
    average_epochs=5.0,
    patience=30,
    loss=None,
    judge=None,
    monitor="val_loss",
):
    """Train a model and give it its best weights, averaged over epochs. A killed run continues where it stopped.

    Args:
        model: waveform in, probabilities out; or whatever `loss` and `judge` take.
        train_ds: batches of waveforms and one-hot labels, known in number; each pass has its own order.
        tune_ds: clips that choose the epoch. Their figures are `val_...` in the history. None where `judge` is given.
        run_dir: folder for `history.csv`, `best.weights.h5`, `fit.json` (these arguments) and `backup/`. A complete
            run found there is not trained again.
        num_epochs: passes over `train_ds`.
        learning_rate: the highest of the schedule.
        optimizer: `adamw` or `sgd` (Nesterov momentum 0.9).
        weight_decay: biases and normalisations are left out.
        schedule: `cosine`, up in a straight line and down to zero along a cosine; or `cosine_restarts`, down along
            cosines each twice as long as the one before.
        warmup_fraction: of `cosine`, share of all updates with a rising learning rate.
        restart_epochs: of `cosine_restarts`, the length of the first.
        label_smoothing: probability mass that is spread over the other classes; not for a `loss` of one's own.
        clip_norm: limit on the norm of each weight's gradient.
        accumulation_steps: batches whose mean gradient makes one update.
        class_weights: weight of each class in the loss, in the order of the outputs; None for equal weights.
        average_epochs: how far back the running average of the weights reaches; 1 for no average. A network that still
            changes much from epoch to epoch is worse for it.
        patience: stop after so many epochs without a lower `monitor`.
        loss: Keras loss; None for the cross-entropy, with `label_smoothing` and the accuracy as a metric.
        judge: from the model to a dict of figures for the history; None evaluates it on `tune_ds`.
        monitor: the figure whose lowest value tells the best epoch; None takes the last one.

    Returns:
        pandas DataFrame, one row an epoch: `epoch, loss, accuracy, val_loss, val_accuracy, seconds`; with a `loss` no
        accuracy, and with a `judge` its figures.

    Raises:
        ValueError: `optimizer` or `schedule` is none of these, there is neither `tune_ds` nor `judge`, or the folder
            holds a run with other arguments or another model.
    """
    for name, value, known in (("optimizer", optimizer, OPTIMIZERS), ("schedule", schedule, SCHEDULES)):
        if value not in known:
            raise ValueError(f"`{name}` must be one of {known}. Received: {name}={value!r}")
    if tune_ds is None and judge is None:
        raise ValueError("`tune_ds` must be given where `judge` is not. Received: neither")
    run_dir = Path(run_dir)
    steps_per_epoch = int(train_ds.cardinality())
    class_weights = None if class_weights is None else [float(weight) for weight in class_weights]
    fit = {
        **{"model": model.name, "num_parameters": model.count_params(), "precision": model.dtype_policy.name},
        **{"steps_per_epoch": steps_per_epoch},
        **{"num_epochs": num_epochs, "learning_rate": learning_rate, "optimizer": optimizer},
        **{"weight_decay": weight_decay, "schedule": schedule, "warmup_fraction": warmup_fraction},
        **{"restart_epochs": restart_epochs, "label_smoothing": label_smoothing, "clip_norm": clip_norm},
        **{"accumulation_steps": accumulation_steps, "class_weights": class_weights},
        **{"average_epochs": average_epochs, "patience": patience},
    }
    if loss is not None or monitor != "val_loss":
        fit |= {"loss": getattr(loss, "name", None), "monitor": monitor}
    _check_same_fit(run_dir, fit)
    updates_per_epoch = max(1, steps_per_epoch // accumulation_steps)
    num_updates = max(2, num_epochs * steps_per_epoch // accumulation_steps)
    rates = _learning_rate_schedule(
        schedule, learning_rate, num_updates, updates_per_epoch, warmup_fraction, restart_epochs
    )
    optimizer = _make_optimizer(optimizer, rates, weight_decay, clip_norm, accumulation_steps)
    metrics = ["accuracy"] if loss is None else []
    loss = loss or keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)
    model.compile(optimizer, loss, metrics=metrics)
    model.optimizer.build(model.trainable_variables)  # weights are saved and loaded with its state

    first_epoch = _finished_epochs(run_dir / "backup")
    judge = judge or functools.partial(_evaluate, tune_ds)
    keep_best = KeepBest(run_dir, judge, monitor, patience, average_epochs, first_epoch)
    if first_epoch < num_epochs and not keep_best.is_over:
        for _ in range(first_epoch):  # the passes that were made before the run was killed
            next(iter(train_ds))
        # Last the backup: an epoch counts as done when everything else about it is written.
        backup = keras.callbacks.BackupAndRestore(run_dir / "backup", double_checkpoint=True, delete_checkpoint=False)
        bar = ProgressBar(num_epochs, steps_per_epoch, first_epoch)
        model.fit(
            train_ds,
            epochs=num_epochs,
            shuffle=False,  # the dataset does
            verbose=0,
            class_weight=None if class_weights is None else dict(enumerate(class_weights)),
            callbacks=[SeedEpoch(), keep_best, bar, backup],
        )
    model.load_weights(run_dir / "best.weights.h5")
    return read_history(run_dir)
