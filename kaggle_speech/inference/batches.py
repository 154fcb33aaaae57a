"""Batch prediction of waveforms in memory, or of files that several threads read. NumPy only."""

import concurrent.futures
import functools
import os
import threading
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from kaggle_speech.audio import AudioInput, read_clips
from kaggle_speech.streaming.stream import BatchModel

#: Function of waveforms, `(batch, samples)`, and of their slice of all clips, to changed waveforms.
Change = Callable[[np.ndarray, slice], np.ndarray]

Item = typing.TypeVar("Item")
Result = typing.TypeVar("Result")


class Batch(typing.NamedTuple):
    """Probabilities of some of many clips.

    Attributes:
        rows: their positions among all clips.
        probabilities: `(changes, batch, num_classes)`; rows of zeros went in for files that cannot be read.
        errors: a message for each file that cannot be read.
    """

    rows: slice
    probabilities: np.ndarray
    errors: list[str]


def num_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parallel_map(
    function: Callable[[Item], Result], items: Iterable[Item], num_threads: int | None = None
) -> Iterator[Result]:
    """Results of a function for each item, in order, several at a time.

    Calls that have not begun when the iterator is closed are cancelled.

    Args:
        function: called in threads.
        items: its arguments.
        num_threads: number of threads; None for as many as there are cores.
    """
    pool = concurrent.futures.ThreadPoolExecutor(num_threads or num_cores())
    try:
        yield from pool.map(function, items)
    finally:
        pool.shutdown(cancel_futures=True)


def shared_predict(model: BatchModel) -> Callable[[np.ndarray], np.ndarray]:
    """A thread-safe `model.predict_on_batch`.

    Keras on JAX donates the weights of a model to each call and takes them back from its result: calls that overlap
    fail with "Buffer has been deleted or donated". Here they wait for each other; XLA uses all cores for one call.

    Args:
        model: waveforms in, probabilities out.

    Returns:
        The function. Threads that share the model must share it, too.
    """
    if not hasattr(model, "jax_state_sync"):
        return model.predict_on_batch
    lock = threading.Lock()

    def predict(waveform):
        with lock:
            return model.predict_on_batch(waveform)

    return predict


def sendable(function: Callable[..., Result], model: typing.Any) -> Callable[..., Result]:
    """A function that works in other processes with the Keras model that it holds.

    Keras loads a model only where the modules of its layers were imported. Pickle restores the classes of the layers
    first, and so imports them.

    Args:
        function: can be pickled; holds the model.
        model: any model; only those of Keras have layers.
    """
    return functools.partial(_call, [type(layer) for layer in getattr(model, "layers", ())], function)


def _call(_, function, *args, **options):
    return function(*args, **options)


def predict_waveforms(model: BatchModel, waveform: np.ndarray, batch_size: int = 64) -> np.ndarray:
    """Probabilities of clips in memory.

    Shape: `(clips, samples)` -> `(clips, num_classes)` float32.

    Args:
        model: waveforms in, probabilities out.
        waveform: at 16 kHz.
        batch_size: clips at a time.
    """
    starts = range(0, len(waveform), batch_size)
    return np.concatenate([np.asarray(model.predict_on_batch(waveform[row : row + batch_size])) for row in starts])


def predict_files(
    model: BatchModel,
    paths: Sequence[AudioInput],
    changes: Sequence[Change],
    *,
    batch_size: int = 32,
    first_row: int = 0,
    is_strict: bool = False,
    num_threads: int | None = None,
) -> Iterator[Batch]:
    """Probabilities of the first second of many files, batch by batch; each file is read once.

    Args:
        model: waveforms in, probabilities out; called from several threads.
        paths: audio files.
        changes: a function for each condition, from waveforms to those that the model gets.
        batch_size: files at a time.
        first_row: position of the first path among all clips; added to the rows that `changes` get.
        is_strict: whether sample rates other than 16 kHz are errors, and a last batch is filled up, so that the last
            bits of a probability do not depend on the number of files.
        num_threads: number of threads; None for as many as there are cores.
    """
    predict_batch = shared_predict(model)

    def predict(first):
        batch = paths[first : first + batch_size]
        rows = slice(first_row + first, first_row + first + len(batch))
        waveform, errors = read_clips(batch, resample=not is_strict)
        if is_strict and len(batch) < batch_size:  # a copy of every batch would cost a sixth of the speed
            waveform = np.pad(waveform, ((0, batch_size - len(batch)), (0, 0)))
        outputs = [np.asarray(predict_batch(change(waveform, rows)))[: len(batch)] for change in changes]
        return Batch(rows, np.array(outputs), errors)

    return parallel_map(predict, range(0, len(paths), batch_size), num_threads)
