"""What happens at the end of an epoch: average, judge, keep, stop; and that a resumed run draws as an unbroken one."""

import math
import time
from pathlib import Path

import keras
import pandas as pd

from kaggle_speech.files import replace_file
from kaggle_speech.progress import progress_bar


def read_history(run_dir):
    """The curves of a run, one row an epoch; an empty frame before the first."""
    history_path = Path(run_dir) / "history.csv"
    return pd.read_csv(history_path) if history_path.exists() else pd.DataFrame()


class KeepBest(keras.callbacks.Callback):
    """Average the weights, judge the average, write history.csv and best.weights.h5, stop when nothing improves.

    The average reaches back about `average_epochs` and includes the statistics of batch normalisations: single epochs
    differ by half a point of accuracy by chance, and a few hundred clips cannot tell which of them is better. What is
    best, and since when, is always read off the history: a resumed run needs nothing else but the last average.

    Args:
        run_dir: folder of the run.
        judge: from the model to a dict of figures, columns of the history.
        monitor: the figure that is to be low; None takes the last epoch for the best.
        patience: stop after so many epochs without a lower one.
        average_epochs: how far back the average reaches.
        first_epoch: how many were made before the run was killed.
    """

    def __init__(self, run_dir, judge, monitor, patience, average_epochs, first_epoch):
        super().__init__()
        self.run_dir, self.judge, self.monitor, self.patience = run_dir, judge, monitor, patience
        self.average_epochs, self.first_epoch = average_epochs, first_epoch
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
        share = 1 / min(self.average_epochs, epoch + 1)  # at first the plain mean, or the start would linger
        self.average = [before + share * (now - before) for before, now in zip(old, weights, strict=True)]
        self.model.set_weights(self.average)
        logs |= self.judge(self.model)
        self.rows.append({"epoch": epoch, **logs, "seconds": round(time.monotonic() - self.start, 2)})
        replace_file(self.run_dir / "history.csv", lambda path: pd.DataFrame(self.rows).to_csv(path, index=False))
        self._average_path(epoch).parent.mkdir(exist_ok=True)
        replace_file(self._average_path(epoch), self.model.save_weights)
        self._average_path(epoch - 2).unlink(missing_ok=True)
        if self.num_epochs_without_gain == 0:
            replace_file(self.run_dir / "best.weights.h5", self.model.save_weights)
        self.model.set_weights(weights)
        self.model.stop_training = self.is_over

    @property
    def num_epochs_without_gain(self):
        if self.monitor is None:
            return 0
        losses = [float("inf") if math.isnan(row[self.monitor]) else row[self.monitor] for row in self.rows]
        return len(losses) - 1 - losses.index(min(losses))

    @property
    def is_over(self):
        return bool(self.rows) and self.num_epochs_without_gain >= self.patience


class SeedEpoch(keras.callbacks.Callback):
    """Start the random draws of each epoch (dropout, SpecAugment) at a place of its own, so that a resumed run
    draws what an uninterrupted one would: checkpoints do not hold the state of the generators."""

    def on_epoch_begin(self, epoch, logs=None):
        for variable in self.model.non_trainable_variables:
            if variable.name == "seed_generator_state":
                seed, _ = keras.ops.unstack(variable.value)
                variable.assign(keras.ops.stack([seed, keras.ops.cast(epoch << 20, variable.dtype)]))


class ProgressBar(keras.callbacks.Callback):
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
        shown = {name: f"{value:.3f}" for name, value in logs.items() if name != "seconds"}
        self.bar.set_postfix(epoch=f"{epoch + 1}/{self.num_epochs}", **shown)

    def on_train_end(self, logs=None):
        self.bar.close()
