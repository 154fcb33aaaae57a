"""One recipe that fits any model: AdamW, warm-up and cosine, label smoothing, early stopping, resumable."""

import json
import math
import time
from pathlib import Path

import keras
import pandas as pd

from kaggle_speech.progress import progress_bar

MONITOR = "val_loss"
#: Share of the newest epoch in the running average of the weights: it reaches back about five epochs.
AVERAGE_SHARE = 0.2


def set_seed(seed):
    """Seed Python, NumPy and the backend: weights, dropout and SpecAugment drawn afterwards repeat."""
    keras.utils.set_random_seed(seed)


def read_history(run_dir):
    """The curves of a run, one row an epoch; an empty frame before the first."""
    history_path = Path(run_dir) / "history.csv"
    return pd.read_csv(history_path) if history_path.exists() else pd.DataFrame()


class _KeepBest(keras.callbacks.Callback):
    """Average the weights, judge the average, write history.csv and best.weights.h5, stop when nothing improves.

    The average runs over epochs and includes the statistics of batch normalisations: single epochs differ by half a
    point of accuracy by chance, and a few hundred clips cannot tell which of them is better. What is best, and since
    when, is always read off the history: a resumed run needs nothing else but the last average.
    """

    def __init__(self, run_dir, tune_ds, patience, first_epoch):
        super().__init__()
        self.run_dir, self.tune_ds, self.patience, self.first_epoch = run_dir, tune_ds, patience, first_epoch
        self.rows = read_history(run_dir).to_dict("records")[:first_epoch]
        self.average = None

    def _average_path(self, epoch):
        return self.run_dir / "backup" / f"average_{epoch}.weights.h5"

    def on_train_begin(self, logs=None):
        if self.first_epoch:
            self.model.load_weights(self._average_path(self.first_epoch - 1))
            self.average = self.model.get_weights()

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        weights = self.model.get_weights()
        old = self.average or weights
        self.average = [before + AVERAGE_SHARE * (now - before) for before, now in zip(old, weights, strict=True)]
        self.model.set_weights(self.average)
        tuned = self.model.evaluate(self.tune_ds, verbose=0, return_dict=True)
        logs |= {f"val_{name}": value for name, value in tuned.items()}
        self.rows.append({"epoch": epoch, **logs, "seconds": round(time.monotonic() - self.start, 2)})
        _replace(self.run_dir / "history.csv", lambda path: pd.DataFrame(self.rows).to_csv(path, index=False))
        self._average_path(epoch).parent.mkdir(exist_ok=True)
        _replace(self._average_path(epoch), self.model.save_weights)
        self._average_path(epoch - 2).unlink(missing_ok=True)
        if self.num_epochs_without_gain == 0:
            _replace(self.run_dir / "best.weights.h5", self.model.save_weights)
        self.model.set_weights(weights)
        self.model.stop_training = self.is_over

    @property
    def num_epochs_without_gain(self):
        losses = [float("inf") if math.isnan(row[MONITOR]) else row[MONITOR] for row in self.rows]
        return len(losses) - 1 - losses.index(min(losses))

    @property
    def is_over(self):
        return bool(self.rows) and self.num_epochs_without_gain >= self.patience


class _SeedEpoch(keras.callbacks.Callback):
    """Start the random draws of each epoch (dropout, SpecAugment) at a place of its own, so that a resumed run
    draws what an uninterrupted one would: checkpoints do not hold the state of the generators."""

    def on_epoch_begin(self, epoch, logs=None):
        for variable in self.model.non_trainable_variables:
            if variable.name == "seed_generator_state":
                seed, _ = keras.ops.unstack(variable.value)
                variable.assign(keras.ops.stack([seed, keras.ops.cast(epoch << 20, variable.dtype)]))


class _ProgressBar(keras.callbacks.Callback):
    """One bar over the whole run; Keras' own prints a line an epoch."""

    def __init__(self, num_epochs, steps_per_epoch, first_epoch):
        super().__init__()
        self.num_epochs, self.steps_per_epoch, self.first_epoch = num_epochs, steps_per_epoch, first_epoch

    def on_train_begin(self, logs=None):
        total, done = (num_epochs * self.steps_per_epoch for num_epochs in (self.num_epochs, self.first_epoch))
        self.bar = progress_bar(total=total, initial=done, desc="training", unit="batch")

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update(1)

    def on_epoch_end(self, epoch, logs=None):
        shown = {name: f"{logs[name]:.3f}" for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
        self.bar.set_postfix(epoch=f"{epoch + 1}/{self.num_epochs}", **shown)

    def on_train_end(self, logs=None):
        self.bar.close()


def _replace(path, write):
    """Write a file beside its place, then move it there: a killed run leaves the old one whole."""
    partial_path = path.with_name(f"partial.{path.name}")
    write(partial_path)
    partial_path.replace(path)


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


def compile_and_fit(
    model,
    train_ds,
    tune_ds,
    run_dir,
    *,
    num_epochs=100,
    learning_rate=4e-3,
    weight_decay=1e-2,
    warmup_fraction=0.05,
    label_smoothing=0.1,
    clip_norm=1.0,
    patience=20,
):
    """Train a model and give it its best weights, averaged over epochs. A killed run continues where it stopped.

    Args:
        model: waveform in, probabilities out.
        train_ds: batches of waveforms and one-hot labels of known number; each pass has its own order.
        tune_ds: clips that choose the epoch (lowest loss). Their figures are `val_...` in the history.
        run_dir: folder for `history.csv`, `best.weights.h5`, `fit.json` (these arguments) and `backup/`. A complete
            run found there is not trained again.
        num_epochs: passes over `train_ds`.
        learning_rate: reached at the end of the warm-up; falls to zero along a cosine.
        weight_decay: of AdamW; biases and normalisations are left out.
        warmup_fraction: share of all steps with a rising learning rate.
        label_smoothing: probability mass that is spread over the other classes.
        clip_norm: limit on the norm of each weight's gradient.
        patience: stop after so many epochs without a lower loss.

    Returns:
        pandas DataFrame, one row an epoch: `epoch, loss, accuracy, val_loss, val_accuracy, seconds`.

    Raises:
        ValueError: the folder holds a run with other arguments or another model.
    """
    run_dir = Path(run_dir)
    steps_per_epoch = int(train_ds.cardinality())
    fit = {
        **{"model": model.name, "num_parameters": model.count_params(), "steps_per_epoch": steps_per_epoch},
        **{"num_epochs": num_epochs, "learning_rate": learning_rate, "weight_decay": weight_decay},
        **{"warmup_fraction": warmup_fraction, "label_smoothing": label_smoothing, "clip_norm": clip_norm},
        "patience": patience,
    }
    _check_same_fit(run_dir, fit)
    num_steps = num_epochs * steps_per_epoch
    num_warmup_steps = max(1, round(warmup_fraction * num_steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, num_steps - num_warmup_steps, warmup_target=learning_rate, warmup_steps=num_warmup_steps
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=weight_decay, clipnorm=clip_norm)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)
    optimizer.build(model.trainable_variables)  # weights are saved and loaded with its state
    model.compile(optimizer, loss, metrics=["accuracy"])

    first_epoch = _finished_epochs(run_dir / "backup")
    keep_best = _KeepBest(run_dir, tune_ds, patience, first_epoch)
    if first_epoch < num_epochs and not keep_best.is_over:
        for _ in range(first_epoch):  # the passes that were made before the run was killed
            next(iter(train_ds))
        # Last the backup: an epoch counts as done when everything else about it is written.
        backup = keras.callbacks.BackupAndRestore(run_dir / "backup", double_checkpoint=True, delete_checkpoint=False)
        bar = _ProgressBar(num_epochs, steps_per_epoch, first_epoch)
        model.fit(
            train_ds,
            epochs=num_epochs,
            shuffle=False,  # the dataset does
            verbose=0,
            callbacks=[_SeedEpoch(), keep_best, bar, backup],
        )
    model.load_weights(run_dir / "best.weights.h5")
    return read_history(run_dir)
