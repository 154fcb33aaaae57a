"""Training loop for any model: optimizer, schedule, averaged weights, early stopping, resumption."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from kaggle_speech import files
from kaggle_speech.data.clip_batches import blend_targets
from kaggle_speech.inference.batches import shared_predict
from kaggle_speech.models import runs
from kaggle_speech.training.callbacks import (
    BEST_NAME,
    Backup,
    KeepBest,
    ProgressBar,
    SeedEpoch,
    StopTogether,
    finished_epochs,
    read_history,
)
from kaggle_speech.training.devices import (
    from_first_process,
    is_first_process,
    local_batches,
    replicate,
    use_devices,
)
from kaggle_speech.training.recipe import FitOptions

#: Name of the file of the arguments of `fit`, in the folder of the run.
FIT_NAME = "fit.json"
#: Values of the entries that `fit.json` of older versions lacks.
_OLDER_FIT = {"precision": "float32", "class_weights": None, "loss": None, "monitor": "val_loss"}


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and the backend, so that weights, dropout and SpecAugment repeat.

    Args:
        seed: a whole number from 0 to 4294967295.
    """
    keras.utils.set_random_seed(seed)


def soften_targets(train_ds: Any, teachers: Sequence[keras.Model], teacher_share: float = 0.9) -> Any:
    """Mix the mean probabilities of teachers, for the same waveforms, into the targets of a dataset.

    Shape: elements keep their shapes.

    Args:
        train_ds: tf.data batches of waveforms and targets.
        teachers: models with the outputs of the student.
        teacher_share: share of the teachers in a target, in [0, 1]; the rest is the label.

    Returns:
        tf.data dataset.

    Source: arXiv 1503.02531, with temperature 1.
    """
    predictors = [shared_predict(teacher) for teacher in teachers]

    def mean_probability(waveform):
        return np.mean([np.asarray(predict(waveform)) for predict in predictors], axis=0)

    return blend_targets(train_ds, mean_probability, teacher_share)


def start_from(model: keras.Model, initial: Path | str) -> None:
    """Copy the weights of a trained model; those of the last layer only where it has the same size.

    Args:
        model: built model, whose weights change.
        initial: folder of a run or a published model of the same network.

    Raises:
        ValueError: the network is another one.
        FileNotFoundError: the folder holds no finished run.
    """
    weights = runs.load_run(initial)[0].get_weights()
    fits = [old.shape == new.shape for old, new in zip(weights, model.weights, strict=False)]
    num_last = len(model.layers[-1].weights)
    if len(weights) != len(model.weights) or not all(fits[: len(fits) - num_last]):
        raise ValueError(
            f"{initial}: `initial` must be a model with the weights of {model.name}: {len(model.weights)} of the same "
            f"shapes. Received: {len(weights)}, {sum(fits)} of them with the same shapes"
        )
    pairs = zip(weights, model.weights, fits, strict=True)
    model.set_weights([old if fit_ else new.numpy() for old, new, fit_ in pairs])


def _check_same_fit(run_dir: Path, arguments: dict) -> None:
    """Make the folder and write the arguments, or raise ValueError where it was begun with other arguments."""
    fit_path = run_dir / FIT_NAME
    if fit_path.exists():
        defaults = dataclasses.asdict(FitOptions()) | _OLDER_FIT
        begun = {name: files.read_json(fit_path).get(name, defaults.get(name)) for name in arguments}
        begun_part, received_part = files.differences(begun, arguments)
        if begun_part:
            raise ValueError(
                f"{run_dir}: a run must be continued as it was begun, or be removed. It was begun with: {begun_part}. "
                f"Received: {received_part}"
            )
        return
    run_dir.mkdir(parents=True, exist_ok=True)
    files.write_json(fit_path, arguments)


def _num_batches(train_ds: Any) -> int:
    """Number of batches in a pass over a dataset."""
    num_batches = int(train_ds.cardinality())
    if num_batches < 1:
        raise ValueError(
            "`train_ds` must have a known number of batches, 1 or more; tf.data.experimental.assert_cardinality sets "
            f"it for a dataset without one. Received: cardinality={num_batches}"
        )
    return num_batches


def _batch_size(train_ds: Any) -> int | None:
    """Number of rows in every batch; None where the dataset does not state it."""
    return keras.tree.flatten(train_ds.element_spec)[0].shape[0]


def _skip_passes(train_ds: Any, num_passes: int) -> None:
    """Start passes over a dataset and drop them: the datasets of this package count them (`data.clip_batches`)."""
    for _ in range(num_passes):
        next(iter(train_ds))


def _learning_rate_schedule(
    options: FitOptions, steps_per_epoch: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate over batches: Keras counts each of them, also where several make one update."""
    if options.schedule == "cosine_restarts":
        return keras.optimizers.schedules.CosineDecayRestarts(
            options.learning_rate, options.restart_epochs * steps_per_epoch, t_mul=2.0
        )
    num_steps = max(2, options.num_epochs * steps_per_epoch)
    num_warmup_steps = max(1, round(options.warmup_fraction * num_steps))
    return keras.optimizers.schedules.CosineDecay(
        0.0, num_steps - num_warmup_steps, warmup_target=options.learning_rate, warmup_steps=num_warmup_steps
    )


def learning_rate_curve(options: FitOptions, steps_per_epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """The learning rate of a training before it is run, at ten points of each epoch.

    Shape: -> `(10 * options.num_epochs + 1,)` epochs from 0 to `num_epochs`, and as many learning rates.

    Args:
        options: `FitOptions`, or a recipe, which extends them.
        steps_per_epoch: batches of an epoch.

    Examples:
        >>> epochs, rates = learning_rate_curve(FitOptions(num_epochs=20, learning_rate=0.01), 100)
        >>> [round(float(rate), 4) for rate in rates[[0, 5, 10, 200]]]  # warm-up over the first of the 20 epochs
        [0.0, 0.005, 0.01, 0.0]
    """
    schedule = _learning_rate_schedule(options, steps_per_epoch)
    epochs = np.arange(10 * options.num_epochs + 1) / 10
    rates = [keras.ops.convert_to_numpy(schedule(round(epoch * steps_per_epoch))) for epoch in epochs]
    return epochs, np.array(rates)


def _make_optimizer(options: FitOptions, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    arguments: dict[str, Any] = {"weight_decay": options.weight_decay, "clipnorm": options.clip_norm}
    if options.accumulation_steps > 1:
        arguments["gradient_accumulation_steps"] = options.accumulation_steps
    schedule = _learning_rate_schedule(options, steps_per_epoch)
    if options.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True, **arguments)
    else:
        optimizer = keras.optimizers.AdamW(schedule, **arguments)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def label_loss(options: FitOptions) -> keras.losses.Loss:
    """Cross-entropy with the label smoothing of the options.

    Args:
        options: `FitOptions`, or a recipe, which extends them.
    """
    return keras.losses.CategoricalCrossentropy(label_smoothing=options.label_smoothing)


def label_accuracy() -> keras.metrics.Metric:
    """Share of right labels. Given to `compile` by its name instead, it has each step traced twice."""
    return keras.metrics.CategoricalAccuracy(name="accuracy")


def _compile(
    model: keras.Model, options: FitOptions, steps_per_epoch: int, loss: keras.losses.Loss | None
) -> keras.Model:
    model.compile(
        _make_optimizer(options, steps_per_epoch),
        loss or label_loss(options),
        metrics=[label_accuracy()] if loss is None else [],
    )
    model.optimizer.build(model.trainable_variables)  # weights are saved and loaded with its state
    return model


def tune_metrics(tune_ds: Any, model: keras.Model) -> dict[str, float]:
    """Loss and metrics of a compiled model on the batches that choose the epoch, as columns of the history.

    Args:
        tune_ds: batches of what the model takes, and targets.
        model: compiled model.
    """
    metrics = model.evaluate(tune_ds, verbose=0, return_dict=True)
    return {f"val_{name}": value for name, value in metrics.items()}


def fit(
    model: keras.Model,
    train_ds: Any,
    tune_ds: Any | None,
    run_dir: Path | str,
    *,
    num_epochs: int | None = None,
    options: FitOptions | None = None,
    class_weights: Sequence[float] | None = None,
    loss: keras.losses.Loss | None = None,
    epoch_metrics: Callable[[keras.Model], Mapping[str, float]] | None = None,
    monitor: str | None = "val_loss",
    devices: int | str | None = None,
) -> pd.DataFrame:
    """Train a model and load its best weights, averaged over epochs; a killed run continues where it stopped.

    A complete run in the folder is read, not trained again. A killed one continues after its last whole epoch.

    The datasets of this package count their passes: a resumed run has the order and the augmentation that it would
    have had, and ends as an uninterrupted one. A dataset of your own continues with its next pass: in a fixed order
    the result is the same, too; with a `shuffle` of tf.data the resumed epochs have other orders. The passes that were
    made are started once more, for one batch each, so a pass should be quick to start.

    Args:
        model: waveform in, probabilities out; or any model that `loss` and `epoch_metrics` suit.
        train_ds: tf.data batches of waveforms and one-hot labels, known in number.
        tune_ds: batches that choose the best epoch; their figures are `val_...` in the history. None where
            `epoch_metrics` is given.
        run_dir: folder for `history.csv`, `best.weights.h5`, `fit.json` (these arguments) and `backup/`.
        num_epochs: passes over `train_ds`; None for `options.num_epochs`.
        options: `FitOptions`, or a recipe, which extends them; None for the defaults.
        class_weights: weight of each class in the loss, in the order of the outputs; None for equal weights.
        loss: Keras loss; None for the cross-entropy with `options.label_smoothing`, and the accuracy as a metric.
        epoch_metrics: function of the model to a dict of figures for the history; None evaluates it on `tune_ds`.
        monitor: the figure whose lowest value marks the best epoch; None takes the last epoch.
        devices: number of devices that share every batch, or "all", with Keras on JAX; None for one. The batches of
            `train_ds` must then be of one size. A run may be continued on another number of devices. Several hosts
            need `keras.distribution.initialize()` before any model, and a `run_dir` that all of them see.

    Returns:
        pandas DataFrame, a row for each epoch: `epoch, loss, accuracy, val_loss, val_accuracy`, `learning_rate` (at its
        end) and `seconds`; with a `loss` no accuracy, and with `epoch_metrics` its figures.

    Raises:
        ValueError: there is neither `tune_ds` nor `epoch_metrics`, the batches are not known in number, the folder
            holds a run with other arguments or another model, or there are not so many devices for such batches.

    Examples:
        >>> import kaggle_speech as ks
        >>> clips_df, _ = ks.read_clips_table(data_dir, progress=False)
        >>> train_ds, tune_ds = ks.make_datasets(clips_df, num_clips=32, batch_size=16)
        >>> model = keras.Sequential([keras.Input((ks.SAMPLE_RATE,)), keras.layers.Dense(12, "softmax")])
        >>> history_df = fit(model, train_ds, tune_ds, "runs/mine", num_epochs=2)
        >>> sorted(history_df)
        ['accuracy', 'epoch', 'learning_rate', 'loss', 'seconds', 'val_accuracy', 'val_loss']
        >>> len(fit(model, train_ds, tune_ds, "runs/mine", num_epochs=2))  # read, not trained again
        2
    """
    if tune_ds is None and epoch_metrics is None:
        raise ValueError("`tune_ds` must be given where `epoch_metrics` is not. Received: neither")
    options = options or FitOptions()
    if num_epochs is not None:
        options = dataclasses.replace(options, num_epochs=num_epochs)
    run_dir = Path(run_dir)
    steps_per_epoch = _num_batches(train_ds)
    distribution = use_devices(devices, None if devices is None else _batch_size(train_ds))
    class_weights = None if class_weights is None else [float(weight) for weight in class_weights]
    arguments = {
        "model": model.name,
        "num_parameters": model.count_params(),
        "precision": model.dtype_policy.name,
        "steps_per_epoch": steps_per_epoch,
        **{field.name: getattr(options, field.name) for field in dataclasses.fields(FitOptions)},
        "class_weights": class_weights,
        "loss": getattr(loss, "name", None),
        "monitor": monitor,
    }
    if loss is not None:
        del arguments["label_smoothing"]
    if is_first_process():
        _check_same_fit(run_dir, arguments)
    _compile(model, options, steps_per_epoch, loss)
    first_epoch = finished_epochs(run_dir)
    keep_best = KeepBest(
        run_dir,
        epoch_metrics or functools.partial(tune_metrics, tune_ds),
        monitor,
        options.patience,
        options.average_epochs,
        first_epoch,
        averaged_model=None if distribution is None else model,
    )
    first_epoch, is_over = from_first_process([first_epoch, keep_best.is_over])
    if first_epoch < options.num_epochs and not is_over:
        _skip_passes(train_ds, first_epoch)
        bar = ProgressBar(options.num_epochs, steps_per_epoch, first_epoch)
        keeping = [keep_best] if is_first_process() else []
        trained_model = model
        with contextlib.nullcontext() if distribution is None else distribution.scope():
            if distribution is not None:
                trained_model = _compile(replicate(model), options, steps_per_epoch, loss)
                train_ds = local_batches(train_ds)
            trained_model.fit(
                train_ds,
                initial_epoch=first_epoch,
                epochs=options.num_epochs,
                shuffle=False,  # the dataset shuffles itself
                verbose=0,
                class_weight=None if class_weights is None else dict(enumerate(class_weights)),
                # Last the backup: an epoch counts as done when everything else about it is written.
                callbacks=[SeedEpoch(), *keeping, StopTogether(), bar, Backup(run_dir, first_epoch)],
            )
    model.load_weights(run_dir / BEST_NAME)
    return read_history(run_dir)
