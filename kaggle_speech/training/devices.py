"""Many devices: one training on all that JAX sees, in one process or in one process on each of several hosts.

A batch is divided among the devices and its gradient is that of the whole batch, so that the number of devices
changes nothing but the time. The first process alone evaluates, and writes the run.

Several hosts start the same program, each with the variables of Keras; its folder must be one that all of them see:

    export KERAS_BACKEND=jax KERAS_DISTRIBUTION_JOB_ADDRESSES=10.0.0.1:1234 KERAS_DISTRIBUTION_NUM_PROCESSES=2
    KERAS_DISTRIBUTION_PROCESS_ID=0 kaggle-speech train --devices all --out /shared/run  # 1 on the second host

Source: `keras.distribution.DataParallel`.
"""

import contextlib
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import keras

from kaggle_speech.data.clip_batches import part_of_batches
from kaggle_speech.models import runs

#: Variables of Keras that the launcher of several processes sets, one process for each host.
HOSTS_VARIABLES = (
    "KERAS_DISTRIBUTION_JOB_ADDRESSES",
    "KERAS_DISTRIBUTION_NUM_PROCESSES",
    "KERAS_DISTRIBUTION_PROCESS_ID",
)
#: Seconds that the other processes wait for the first one, which evaluates alone: a week.
TIMEOUT_S = 7 * 24 * 3600

Value = TypeVar("Value")

_message_numbers = itertools.count()


def use_devices(devices: int | str | None, batch_size: int | None) -> keras.distribution.DataParallel | None:
    """Devices for one training, checked; where the variables of Keras name several hosts, connect to them first.

    Call it before JAX computes anything: it cannot connect later.

    Args:
        devices: number of devices, or "all" of all hosts; None for one device of one process.
        batch_size: rows of every batch, of all devices together; None where it is not known or differs.

    Returns:
        The distribution; None for one device without one.

    Raises:
        ValueError: there are fewer devices, the batch cannot be divided among them, Keras runs on another backend than
            JAX, or several hosts are named and `devices` leaves some of theirs out.
    """
    is_number = isinstance(devices, int) and not isinstance(devices, bool) and devices > 0
    if not (devices is None or devices == "all" or is_number):
        raise ValueError(f'`devices` must be a number above 0, or "all". Received: devices={devices!r}')
    hosts_variables = [variable for variable in HOSTS_VARIABLES if variable in os.environ]
    if hosts_variables and devices != "all":
        raise ValueError(f'`devices` must be "all" where {hosts_variables[0]} is set. Received: devices={devices!r}')
    backend = keras.backend.backend()
    if backend != "jax":
        num_devices = _num_gpus(backend) if devices == "all" else int(devices or 1)
        if num_devices > 1 or hosts_variables:
            raise ValueError(
                f"`devices` must be 1 where Keras runs on {backend}; set KERAS_BACKEND=jax for more. On TensorFlow, "
                "each device would clip its gradients and normalise its part of the batch alone: another training. "
                f"Received: {num_devices} devices{' of one host' if hosts_variables else ''}"
            )
        return None
    if devices is None:
        return None
    if hosts_variables:
        _connect()
    names = keras.distribution.list_devices()
    num_devices = len(names) if devices == "all" else int(devices)
    if num_devices > len(names):
        raise ValueError(f"`devices` must be at most {len(names)}: {', '.join(names)}. Received: devices={devices}")
    if batch_size is None or batch_size % num_devices:
        raise ValueError(
            f"every batch must have the same size, a multiple of the number of devices, {num_devices}: choose another "
            "`batch_size`, and `whole_batches=True` for the datasets of this package, `drop_remainder=True` for those "
            f"of tf.data. Received: batch_size={batch_size}"
        )
    return keras.distribution.DataParallel(devices=names[:num_devices], auto_shard_dataset=False)


def _num_gpus(backend: str) -> int:
    return len(keras.distribution.list_devices("gpu")) if backend == "tensorflow" else 1


def _connect() -> None:
    import jax

    if not jax.distributed.is_initialized():
        keras.distribution.initialize()


def _num_processes() -> int:
    if keras.backend.backend() != "jax":
        return 1
    import jax

    return jax.process_count()


def is_first_process() -> bool:
    """Whether this process evaluates and writes: the only one, or the first of several hosts."""
    if keras.backend.backend() != "jax":
        return True
    import jax

    return jax.process_index() == 0


def from_first_process(value: Value) -> Value:
    """A value of the first process, in all of them: the others wait for it. All must call it, in the same order.

    Args:
        value: JSON-able; that of the other processes does not matter.
    """
    if _num_processes() == 1:
        return value
    # JAX's collectives give up after 30 s on some devices; its store of keys, which has no public name, does not.
    from jax._src import distributed

    client: Any = distributed.global_state.client
    key = f"kaggle_speech/{next(_message_numbers)}"
    if is_first_process():
        client.key_value_set(key, json.dumps(value))
        return value
    return json.loads(client.blocking_key_value_get(key, 1000 * TIMEOUT_S))


@contextlib.contextmanager
def open_run(run_dir: Path | str, **options: Any) -> Iterator[runs.Run]:
    """`runs.open_run` of the first process; the others get the same run when it is open, and its metrics at the end.

    Args:
        run_dir: the folder, which all hosts must see.
        options: further arguments of `runs.open_run`.

    Returns:
        context manager of a `Run`; a finished one has `metrics`.
    """
    if is_first_process():
        with runs.open_run(run_dir, **options) as run:
            from_first_process(run.metrics)
            yield run
            from_first_process(run.metrics)
    else:
        run = runs.Run(Path(run_dir), from_first_process(None))
        yield run
        run.metrics = from_first_process(None)


def replicate(model: keras.Model) -> keras.Model:
    """A copy of a model with its weights on every device of the current distribution; it is not compiled.

    Args:
        model: Keras model of one device.
    """
    replica = keras.models.clone_model(model)
    replica.dtype_policy = model.dtype_policy
    for copy, variable in zip(replica.variables, model.variables, strict=True):
        copy.assign(keras.ops.convert_to_numpy(variable))
    return replica


def local_batches(train_ds: Any) -> Any:
    """The part of every batch that the devices of this process get.

    Args:
        train_ds: tf.data batches of one size, known from their shapes.
    """
    if _num_processes() == 1:
        return train_ds
    import jax

    return part_of_batches(train_ds, jax.process_index(), jax.process_count())


@contextlib.contextmanager
def one_device() -> Iterator[None]:
    """Leave the scope of a distribution: for what one process does alone, which would wait for the others in it.

    Keras, for one, makes variables to find out what there is to save.
    """
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)
