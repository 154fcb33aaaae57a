"""Keras callbacks: weight averaging, best epoch, early stopping, and seeding that makes resumed runs repeat."""

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import pandas as pd

from kaggle_speech.files import replace_file
from kaggle_speech.models.folder import BACKUP_NAME, HISTORY_NAME
from kaggle_speech.progress import progress_bar
from kaggle_speech.training.devices import from_first_process, is_first_process, one_device

#: Averaged weights of the best epoch.
BEST_NAME = "best.weights.h5"
#: State and number of epochs of a run that Keras' `BackupAndRestore` wrote, before version 0.2.
OLDER_STATE_NAME = "latest.weights.h5"
OLDER_METADATA_NAME = "training_metadata.json"


def read_history(run_dir: Path | str) -> pd.DataFrame:
    """Read the history of a run.

    Args:
        run_dir: folder of the run.

    Returns:
        pandas DataFrame, a row for each epoch: its metrics, the learning rate at its end and its seconds; empty before
        the end of the first.
    """
    history_path = Path(run_dir) / HISTORY_NAME
    return pd.read_csv(history_path) if history_path.exists() else pd.DataFrame()


class KeepBest(keras.callbacks.Callback):
    """Average the weights, evaluate the average, write history.csv and best.weights.h5, stop without improvement.

    The average reaches back about `average_epochs` and includes the statistics of batch normalisations: single epochs
    differ by half a point of accuracy by chance, and a few hundred clips do not show which of them is better. The best
    epoch is always read off the history, so that a resumed run needs nothing else but the last average.

    Args:
        run_dir: folder of the run.
        epoch_metrics: function from the model to a dict of figures, columns of the history.
        monitor: figure whose lowest value marks the best epoch; None takes the last epoch.
        patience: number of epochs without a lower figure after which training stops.
        average_epochs: number of epochs that the average reaches back.
        first_epoch: number of epochs that were finished before the run was killed.
        averaged_model: model that gets the averages, to be evaluated and saved; None for the model that is trained.
    """

    def __init__(
        self,
        run_dir: Path,
        epoch_metrics: Callable[[keras.Model], Mapping[str, float]],
        monitor: str | None,
        patience: int,
        average_epochs: float,
        first_epoch: int,
        averaged_model: keras.Model | None = None,
    ) -> None:
        super().__init__()
        self.run_dir = run_dir
        self.epoch_metrics = epoch_metrics
        self.monitor = monitor
        self.patience = patience
        self.average_epochs = average_epochs
        self.first_epoch = first_epoch
        self.given_model = averaged_model
        self.rows = read_history(run_dir).to_dict("records")[:first_epoch]
        self.average: list | None = None

    @property
    def averaged_model(self) -> keras.Model:
        """The model that gets the averages."""
        return self.model if self.given_model is None else self.given_model

    def _average_path(self, epoch: int) -> Path:
        return self.run_dir / BACKUP_NAME / f"average_{epoch}.weights.h5"

    @one_device()
    def on_train_begin(self, logs: dict | None = None) -> None:
        if self.first_epoch:
            self.averaged_model.load_weights(self._average_path(self.first_epoch - 1))
            self.average = self.averaged_model.get_weights()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.start = time.monotonic()

    @one_device()
    def on_epoch_end(self, epoch: int, logs: dict) -> None:
        weights = self.model.get_weights()
        old = self.average or weights
        share = 1 / min(self.average_epochs, epoch + 1)  # at first the plain mean, or the start would linger
        self.average = [before + share * (now - before) for before, now in zip(old, weights, strict=True)]
        self.averaged_model.set_weights(self.average)
        # Keras passes the same dict on to the callbacks that follow.
        logs.update(self.epoch_metrics(self.averaged_model))
        learning_rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        seconds = round(time.monotonic() - self.start, 2)
        self.rows.append({"epoch": epoch, **logs, "learning_rate": learning_rate, "seconds": seconds})
        replace_file(self.run_dir / HISTORY_NAME, lambda path: pd.DataFrame(self.rows).to_csv(path, index=False))
        self._average_path(epoch).parent.mkdir(exist_ok=True)
        replace_file(self._average_path(epoch), self.averaged_model.save_weights)
        self._average_path(epoch - 2).unlink(missing_ok=True)
        if self.num_epochs_without_gain == 0:
            replace_file(self.run_dir / BEST_NAME, self.averaged_model.save_weights)
        if self.averaged_model is self.model:
            self.model.set_weights(weights)
        self.model.stop_training = self.is_over

    @property
    def num_epochs_without_gain(self) -> int:
        """Epochs since the best one."""
        if self.monitor is None:
            return 0
        losses = [float("inf") if math.isnan(row[self.monitor]) else row[self.monitor] for row in self.rows]
        return len(losses) - 1 - losses.index(min(losses))

    @property
    def is_over(self) -> bool:
        """Whether the patience is exhausted."""
        return bool(self.rows) and self.num_epochs_without_gain >= self.patience


def finished_epochs(run_dir: Path) -> int:
    """Number of epochs after which `Backup` wrote the last state of a run; 0 where there is none.

    Args:
        run_dir: folder of the run.
    """
    backup_dir = run_dir / BACKUP_NAME
    older_path = backup_dir / OLDER_METADATA_NAME
    older = json.loads(older_path.read_text())["epoch"] if older_path.exists() else 0
    names = [path.name for path in backup_dir.glob("state_*.weights.h5")]
    return max([older, *(int(name.removeprefix("state_").removesuffix(".weights.h5")) for name in names)])


class Backup(keras.callbacks.Callback):
    """State of the training after an epoch, in one file with the epoch in its name: the first process writes it.

    That of Keras, `BackupAndRestore`, writes two files in place, weights and epoch: after a kill between them an epoch
    is trained twice, without an error.

    Args:
        run_dir: folder of the run.
        first_epoch: number of epochs that were finished before the run was killed; their state is loaded.
    """

    def __init__(self, run_dir: Path, first_epoch: int) -> None:
        super().__init__()
        self.backup_dir = run_dir / BACKUP_NAME
        self.first_epoch = first_epoch

    def _state_path(self, num_epochs: int) -> Path:
        return self.backup_dir / f"state_{num_epochs}.weights.h5"

    @one_device()
    def on_train_begin(self, logs: dict | None = None) -> None:
        if self.first_epoch:
            if not self.model.optimizer.built:
                self.model.optimizer.build(self.model.trainable_variables)
            path = self._state_path(self.first_epoch)
            self.model.load_weights(path if path.exists() else self.backup_dir / OLDER_STATE_NAME)

    @one_device()
    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if is_first_process():
            self.backup_dir.mkdir(exist_ok=True)
            replace_file(self._state_path(epoch + 1), self.model.save_weights)
            others = {*self.backup_dir.glob("state_*.weights.h5")} - {self._state_path(epoch + 1)}
            for path in (*others, self.backup_dir / OLDER_METADATA_NAME, self.backup_dir / OLDER_STATE_NAME):
                path.unlink(missing_ok=True)


class StopTogether(keras.callbacks.Callback):
    """Stop in all processes of a training where the first one stops; the others wait here while it evaluates."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.model.stop_training = from_first_process(self.model.stop_training)


class SeedEpoch(keras.callbacks.Callback):
    """Seed dropout and SpecAugment anew at the start of each epoch, from the number of the epoch.

    A resumed run then repeats an uninterrupted one: checkpoints do not hold the state of the generators.
    """

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        for variable in self.model.non_trainable_variables:
            if variable.name == "seed_generator_state":
                seed, _ = keras.ops.unstack(variable.value)
                variable.assign(keras.ops.stack([seed, keras.ops.cast(epoch << 20, variable.dtype)]))


class ProgressBar(keras.callbacks.Callback):
    """Progress bar over the whole run, where Keras' own prints a line for each epoch.

    Args:
        num_epochs: number of epochs of the run.
        steps_per_epoch: number of batches of an epoch.
        first_epoch: number of epochs that were finished before the run was killed.
    """

    def __init__(self, num_epochs: int, steps_per_epoch: int, first_epoch: int) -> None:
        super().__init__()
        self.num_epochs = num_epochs
        self.steps_per_epoch = steps_per_epoch
        self.first_epoch = first_epoch

    def on_train_begin(self, logs: dict | None = None) -> None:
        total = self.num_epochs * self.steps_per_epoch
        initial = self.first_epoch * self.steps_per_epoch
        self.bar = progress_bar(total=total, initial=initial, desc="training", unit="batch")

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.bar.update(1)

    def on_epoch_end(self, epoch: int, logs: dict) -> None:
        shown = {name: f"{value:.3f}" for name, value in logs.items() if name != "seconds"}
        self.bar.set_postfix(epoch=f"{epoch + 1}/{self.num_epochs}", **shown)

    def on_train_end(self, logs: dict | None = None) -> None:
        self.bar.close()
