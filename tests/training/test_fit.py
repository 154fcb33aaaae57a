"""fit.py: it learns, it keeps the best epoch, and a killed run ends like one that was not."""

import multiprocessing
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from fakes import killed_at

from kaggle_speech import files
from kaggle_speech.audio import write_wav
from kaggle_speech.data import clip_batches
from kaggle_speech.data.augmentation import Augmentation
from kaggle_speech.models.registry import build_model
from kaggle_speech.training import callbacks
from kaggle_speech.training.callbacks import KeepBest, read_history
from kaggle_speech.training.fit import fit, learning_rate_curve, set_seed
from kaggle_speech.training.recipe import FitOptions

VOCABULARY = ("low", "high")
NUM_EPOCHS = 4
#: The arguments of a run, as version 0.1 wrote them.
OLD_FIT_PATH = Path(__file__).parent / "runs_of_0_1" / "fit.json"


@pytest.fixture
def clips_df(tmp_path, rng):
    """Two easy words: a low and a high tone in noise."""
    rows = []
    for number in range(48):
        pitch = (300, 2500)[number % 2] * rng.uniform(0.9, 1.1)
        waveform = 0.3 * np.sin(2 * np.pi * pitch * np.arange(16_000) / 16_000) + 0.05 * rng.standard_normal(16_000)
        write_wav(tmp_path / f"{number}.wav", waveform)
        rows.append((str(tmp_path / f"{number}.wav"), VOCABULARY[number % 2]))
    return pd.DataFrame(rows, columns=["path", "label"])


def fit_points(run_dir, precision="float32", class_weights=None, swapped=False, **options):
    """Two clouds of points: 32 to train on in 4 batches, 16 to tune on, whose labels can be swapped."""
    keras.backend.clear_session()
    set_seed(0)
    layers = [keras.Input((4,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(2, activation="softmax")]
    model = keras.Sequential(layers, name="points")
    model.dtype_policy = keras.DTypePolicy(precision)
    label = np.arange(48) % 2
    points = np.random.default_rng(0).standard_normal((48, 4)).astype("float32") + 4 * label[:, None] - 2
    target = np.eye(2, dtype="float32")[label]
    train_ds = tf.data.Dataset.from_tensor_slices((points[:32], target[:32])).shuffle(32, seed=0).batch(8)
    tune_ds = tf.data.Dataset.from_tensors((points[32:], target[32:, ::-1] if swapped else target[32:]))
    options = FitOptions(**{"num_epochs": NUM_EPOCHS, **options})
    return model, tune_ds, fit(model, train_ds, tune_ds, run_dir, options=options, class_weights=class_weights)


def fit_clips(clips_df, run_dir, kill_at=None, precision="float32", **options):
    keras.backend.clear_session()
    set_seed(0)
    model = build_model("cnn,num_filters=(4,8)", 2, precision=precision)  # few layers: TensorFlow traces each
    train_ds = clip_batches.make_dataset(clips_df.head(32), VOCABULARY, 8, shuffle=True, augmentation=Augmentation())
    tune_ds = clip_batches.make_dataset(clips_df.tail(16), VOCABULARY, 16)
    if kill_at is not None:
        model.fit = killed_at(model.fit, kill_at)
    options = FitOptions(**{"num_epochs": NUM_EPOCHS, **options})
    return model, fit(model, train_ds, tune_ds, run_dir, options=options)


def fit_each(clips_df, run_dirs, kill_at, precision):
    """In a process of its own: one run after another, or one that is killed."""
    for run_dir in run_dirs:
        fit_clips(clips_df, run_dir, kill_at, precision)


def test_learns_and_gives_back_the_best_epoch(tmp_path):
    model, tune_ds, history_df = fit_points(tmp_path / "run", num_epochs=25, learning_rate=1e-2)
    assert list(history_df["epoch"]) == list(range(len(history_df)))
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"} == {*history_df.columns} - {
        "epoch"
    }
    logs = model.evaluate(tune_ds, return_dict=True, verbose=0)
    assert logs["loss"] == pytest.approx(history_df["val_loss"].min(), abs=1e-5)
    assert logs["accuracy"] == 1.0


def test_a_complete_run_is_not_trained_again(tmp_path):
    model, _, history_df = fit_points(tmp_path / "run")
    again, _, again_df = fit_points(tmp_path / "run")
    pd.testing.assert_frame_equal(again_df, history_df)  # the seconds, too
    for weight, expected in zip(again.weights, model.weights, strict=True):
        np.testing.assert_array_equal(weight, expected)
    with pytest.raises(ValueError, match=r"continued as it was begun.* \{'num_epochs': 4\}"):
        fit_points(tmp_path / "run", num_epochs=5)


def test_stops_when_nothing_improves(tmp_path):
    """The better it learns, the worse it does on tune points with swapped labels."""
    _, _, history_df = fit_points(tmp_path / "run", swapped=True, num_epochs=40, learning_rate=1e-2, patience=3)
    assert len(history_df) < 40
    assert len(history_df) - 1 - history_df["val_loss"].idxmin() == 3


def test_schedule_warms_up_and_falls_to_zero(tmp_path):
    model, _, _ = fit_points(tmp_path / "run", learning_rate=1e-2, warmup_fraction=0.25)
    schedule = [float(model.optimizer._learning_rate(step)) for step in range(17)]  # 4 epochs of 4 steps
    assert schedule[0] == 0 and schedule[4] == pytest.approx(1e-2) and schedule[16] == pytest.approx(0, abs=1e-9)
    assert np.all(np.diff(schedule[:5]) > 0) and np.all(np.diff(schedule[4:]) < 0)


def test_schedule_restarts_twice_as_long(tmp_path):
    """4 steps an epoch: down over 4, then over 8."""
    options = {"schedule": "cosine_restarts", "restart_epochs": 1}
    model, _, _ = fit_points(tmp_path / "run", learning_rate=1e-2, **options)
    rates = [float(model.optimizer._learning_rate(step)) for step in range(12)]
    by_hand = [0.5e-2 * (1 + np.cos(np.pi * step / 4)) for step in range(4)]
    by_hand += [0.5e-2 * (1 + np.cos(np.pi * step / 8)) for step in range(8)]
    np.testing.assert_allclose(rates, by_hand, atol=1e-6)


def test_accumulated_gradients_make_fewer_updates_at_the_same_learning_rates(tmp_path):
    _, _, one_df = fit_points(tmp_path / "one", learning_rate=1e-2)
    model, _, two_df = fit_points(tmp_path / "two", learning_rate=1e-2, accumulation_steps=2)
    assert int(model.optimizer.iterations) == NUM_EPOCHS * 4 // 2
    np.testing.assert_allclose(two_df["learning_rate"], one_df["learning_rate"])
    assert two_df["learning_rate"].iloc[1] > 5e-3


@pytest.mark.parametrize("options", [{}, {"schedule": "cosine_restarts", "restart_epochs": 1}])
def test_the_learning_rates_are_those_that_were_planned(options, tmp_path):
    options = {"num_epochs": 5, "learning_rate": 1e-2, **options}
    _, _, history_df = fit_points(tmp_path / "run", **options)
    epochs, rates = learning_rate_curve(FitOptions(**options), 4)
    planned = [rates[list(epochs).index(epoch + 1)] for epoch in history_df["epoch"]]
    np.testing.assert_allclose(history_df["learning_rate"], planned, rtol=1e-6)


def test_sgd_learns_too(tmp_path):
    model, _, history_df = fit_points(tmp_path / "run", num_epochs=25, optimizer="sgd", learning_rate=0.1)
    assert isinstance(model.optimizer, keras.optimizers.SGD)
    assert history_df["accuracy"].max() == 1.0 and history_df["val_accuracy"].max() == 1.0


@pytest.mark.parametrize(("average_epochs", "expected"), [(1, [1, 2, 3, 10]), (2, [1, 1.5, 2.25, 6.125])])
def test_the_average_reaches_back_so_far(average_epochs, expected, tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(loss="mse", metrics=["accuracy"])
    tune_ds = tf.data.Dataset.from_tensors((np.ones((1, 1)), np.zeros((1, 1))))
    epoch_metrics = lambda model: {"val_loss": model.evaluate(tune_ds, verbose=0)[0]}  # noqa: E731
    keep_best = KeepBest(tmp_path, epoch_metrics, "val_loss", 10, average_epochs, 0)
    keep_best.set_model(model)
    for epoch, weight in enumerate([1.0, 2.0, 3.0, 10.0]):
        model.set_weights([np.array([[weight]])])
        keep_best.on_epoch_begin(epoch)
        keep_best.on_epoch_end(epoch, {})
        assert model.get_weights() == [[[weight]]]  # training goes on from its own weights
    np.testing.assert_allclose(read_history(tmp_path)["val_loss"] ** 0.5, expected)


def test_other_figures_and_the_last_epoch(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    train_ds = tf.data.Dataset.from_tensors((np.ones((1, 1)), np.zeros((1, 1))))
    figures = iter([{"val_cer": 0.1}, {"val_cer": 0.5}, {"val_cer": 0.9}])
    history_df = fit(
        model,
        train_ds,
        None,
        tmp_path,
        num_epochs=3,
        options=FitOptions(average_epochs=1),
        loss=keras.losses.MeanSquaredError(),
        epoch_metrics=lambda model: next(figures),
        monitor=None,
    )
    assert list(history_df["val_cer"]) == [0.1, 0.5, 0.9] and "accuracy" not in history_df
    assert model.get_weights()[0].item() ** 2 < history_df["loss"].iloc[-1]  # which is that before the last epoch


def test_bad_arguments(tmp_path):
    model = build_model("tc_resnet", 2)
    with pytest.raises(ValueError, match="`tune_ds` must be given where `epoch_metrics` is not"):
        fit(model, None, None, tmp_path / "run")
    clips_ds = tf.data.Dataset.from_tensors((np.zeros((1, 16_000)), np.eye(2)[:1]))
    for train_ds, cardinality in ((clips_ds.repeat(), -1), (clips_ds.filter(lambda *_: True), -2)):
        with pytest.raises(ValueError, match=f"known number of batches.*Received: cardinality={cardinality}"):
            fit(model, train_ds, clips_ds, tmp_path / "run")
    with pytest.raises(ValueError, match=r"`num_epochs` must be above 0\. Received: num_epochs=0"):
        fit(model, clips_ds, clips_ds, tmp_path / "run", num_epochs=0)
    assert not (tmp_path / "run").exists()


def test_a_run_of_an_older_version_is_the_same_run(tmp_path):
    """Its `fit.json` lacks the precision and the averaged epochs; its options are beside each other, as today."""
    older = files.read_json(OLD_FIT_PATH) | {"model": "points", "num_parameters": 58}
    (tmp_path / "run").mkdir()
    files.write_json(tmp_path / "run" / "fit.json", older)
    _, _, history_df = fit_points(tmp_path / "run")
    assert len(history_df) == NUM_EPOCHS
    assert files.read_json(tmp_path / "run" / "fit.json") == older
    fit_points(tmp_path / "new")
    written = files.read_json(tmp_path / "new" / "fit.json")
    assert written.items() >= older.items()
    assert {*written} - {*older} == {"precision", "average_epochs", "loss", "monitor"}
    for name, value in {"average_epochs": 2.0, "learning_rate": 1e-3, "precision": "mixed_bfloat16"}.items():
        with pytest.raises(ValueError, match=rf"continued as it was begun.*\n?.*'{name}'"):
            fit_points(tmp_path / "run", **{name: value})


class Interrupt(keras.callbacks.Callback):
    """Stop, as Ctrl-C does, at the beginning of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def fit_numbers(run_dir, is_shuffled=False, interrupt_at=None):
    """Twelve numbers in three batches, by a dataset of `tf.data` alone, for three epochs."""
    keras.backend.clear_session()
    set_seed(0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, activation="softmax")])
    numbers_ds = tf.data.Dataset.range(12)
    elements_ds = numbers_ds.map(lambda number: (tf.cast(number, tf.float32)[None], tf.one_hot(number % 2, 2)))
    train_ds = (elements_ds.shuffle(12) if is_shuffled else elements_ds).batch(4)
    if interrupt_at is not None:
        fit_model = model.fit
        model.fit = lambda *args, callbacks, **others: fit_model(
            *args, callbacks=[*callbacks, Interrupt(interrupt_at)], **others
        )
    return fit(model, train_ds, elements_ds.batch(12), run_dir, num_epochs=3).drop(columns="seconds")


@pytest.mark.parametrize("is_shuffled", [True, False])
def test_a_dataset_of_ones_own_is_continued(is_shuffled, tmp_path):
    """In a fixed order, the result is that of a run that was not interrupted."""
    whole_df = fit_numbers(tmp_path / "whole", is_shuffled)
    with pytest.raises(KeyboardInterrupt):
        fit_numbers(tmp_path / "killed", is_shuffled, interrupt_at=2)
    continued_df = fit_numbers(tmp_path / "killed", is_shuffled)
    assert list(continued_df["epoch"]) == list(whole_df["epoch"]) == [0, 1, 2]
    np.testing.assert_allclose(continued_df["loss"], whole_df["loss"], rtol=0.05)
    if not is_shuffled:
        pd.testing.assert_frame_equal(continued_df, whole_df, rtol=1e-5)


@pytest.mark.parametrize("moment", ["before", "within", "after"])
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_kill_while_the_state_is_written_changes_nothing(moment, epoch, tmp_path, monkeypatch):
    whole_df = fit_numbers(tmp_path / "whole")

    def killed(path, write):
        if path.name == f"state_{epoch}.weights.h5":
            if moment == "within":
                write(path.with_name(f"partial.1.{path.name}"))
            if moment == "after":
                files.replace_file(path, write)
            raise KeyboardInterrupt
        files.replace_file(path, write)

    monkeypatch.setattr(callbacks, "replace_file", killed)
    with pytest.raises(KeyboardInterrupt):
        fit_numbers(tmp_path / "killed")
    monkeypatch.undo()
    pd.testing.assert_frame_equal(fit_numbers(tmp_path / "killed"), whole_df, rtol=1e-5)
    assert [path.name for path in (tmp_path / "killed" / "backup").glob("state_*")] == ["state_3.weights.h5"]


def test_a_run_that_version_0_1_began_is_continued(tmp_path):
    """Its state is that of Keras' `BackupAndRestore`."""
    whole_df = fit_numbers(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit_numbers(tmp_path / "older", interrupt_at=2)
    backup_dir = tmp_path / "older" / "backup"
    (backup_dir / "state_2.weights.h5").rename(backup_dir / "latest.weights.h5")
    (backup_dir / "training_metadata.json").write_text('{"epoch": 2, "batch": 0}')
    pd.testing.assert_frame_equal(fit_numbers(tmp_path / "older"), whole_df, rtol=1e-5)


def test_class_weights_weigh(tmp_path):
    """Where only one class counts it is always answered: of two classes, that is right half of the time."""
    options = {"num_epochs": 12, "learning_rate": 0.1}
    _, _, history_df = fit_points(tmp_path / "run", class_weights=[1.0, 0.0], **options)
    assert history_df["accuracy"].iloc[-1] == 0.5
    _, _, history_df = fit_points(tmp_path / "equal", class_weights=[1.0, 1.0], **options)
    assert history_df["accuracy"].iloc[-1] > 0.8


@pytest.mark.slow
@pytest.mark.parametrize(("kill_at", "precision"), [(1, "float32"), (2, "mixed_float16")])
def test_a_killed_run_ends_like_one_that_was_not(clips_df, tmp_path, monkeypatch, kill_at, precision):
    """On one thread: several add in any order, and in half precision no two runs are then the same."""
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "1")

    def exit_code(*names, kill_at=None):
        run_dirs = [tmp_path / name for name in names]
        arguments = (clips_df, run_dirs, kill_at, precision)
        child = multiprocessing.get_context("spawn").Process(target=fit_each, args=arguments)
        child.start()
        child.join()
        return child.exitcode

    assert exit_code("killed", kill_at=kill_at) == 9
    assert len(read_history(tmp_path / "killed")) == kill_at
    with pytest.raises(ValueError, match="must be continued as it was begun"):
        fit_clips(clips_df, tmp_path / "killed", precision="mixed_bfloat16")
    assert exit_code("killed", "whole") == 0
    # A finished run is read, not trained again.
    whole, whole_df = fit_clips(clips_df, tmp_path / "whole", precision=precision)
    continued, continued_df = fit_clips(clips_df, tmp_path / "killed", precision=precision)
    columns = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    pd.testing.assert_frame_equal(continued_df[columns], whole_df[columns], rtol=1e-3, atol=1e-4)
    for weight, expected in zip(continued.trainable_weights, whole.trainable_weights, strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-4)
