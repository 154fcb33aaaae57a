"""Check of exported files: loaded again and compared with the model before they are kept."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kaggle_speech.export import onnx_graph
from kaggle_speech.files import replace_file
from kaggle_speech.inference.batches import predict_waveforms

#: Largest difference of a probability from the model's, by rounding and 16-bit weights; int8 is limited by agreement.
MAX_DIFFERENCE = {"float32": 1e-3, "float16": 0.1, "int8": 1.0}
#: Least share of answers that are the model's, or a label whose probability is within `SAME_MARGIN` of its answer's.
MIN_AGREEMENT = {"float32": 0.99, "float16": 0.97, "int8": 0.95}
SAME_MARGIN = 0.1


class ExportError(RuntimeError):
    """An exported file with other probabilities than its model, or that no runtime loads; it is not kept."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Inputs for the comparison of an exported file with its model.

    Attributes:
        predict: function from a loaded file, or a model, to its probabilities for the inputs, `(answers, labels)`.
        expected: the probabilities of the model, `(answers, labels)`.
    """

    predict: Callable[[Any], np.ndarray]
    expected: np.ndarray


def compare_on_clips(model: keras.Model, waveform: np.ndarray) -> Comparison:
    """Comparison of a word recogniser's files on clips.

    Args:
        model: waveform in, probabilities out.
        waveform: `(clips, samples)` float32.
    """

    def predict(runtime: Any) -> np.ndarray:
        return predict_waveforms(runtime, waveform)

    return Comparison(predict, predict(model))


def compare_on_batches(model: keras.Model, batches: Sequence[dict[str, np.ndarray]]) -> Comparison:
    """Comparison of a transcriber's files on batches; each frame is an answer, padding included.

    Args:
        model: a dict of inputs in, log-probabilities out.
        batches: inputs of the model: recordings of several lengths, for answers that differ.
    """

    def predict(runtime: Any) -> np.ndarray:
        log_probabilities = [np.asarray(runtime.predict_on_batch(batch)) for batch in batches]
        return np.concatenate([np.exp(batch).reshape(-1, batch.shape[-1]) for batch in log_probabilities])

    return Comparison(predict, predict(model))


def _check_probabilities(path: Path | str, probabilities: np.ndarray, expected: np.ndarray, precision: str) -> None:
    difference = np.abs(probabilities - expected).max()
    answer_probabilities = expected[np.arange(len(expected)), probabilities.argmax(axis=1)]
    agreement = (expected.max(axis=1) - answer_probabilities <= SAME_MARGIN).mean()
    if not (difference <= MAX_DIFFERENCE[precision] and agreement >= MIN_AGREEMENT[precision]):
        raise ExportError(
            f"{path}: in {precision}, probabilities must be within {MAX_DIFFERENCE[precision]} of the model's, and "
            f"{MIN_AGREEMENT[precision]:.0%} of the answers the same. Received: {difference:.2g}, {agreement:.1%}"
        )


def write_checked(
    out_path: Path | str,
    write: Callable[[Path], Any],
    runtime_class: Callable[[Path], Any],
    comparison: Comparison,
    precision: str,
) -> np.ndarray:
    """Write a file, load it and compare its probabilities; keep it only if they agree.

    Args:
        out_path: the file or folder.
        write: called with the path to write to.
        runtime_class: called with the path to load the file.
        comparison: inputs, and the probabilities of the model.
        precision: key of `MAX_DIFFERENCE`.

    Returns:
        Probabilities of the file, `(answers, labels)`.

    Raises:
        ExportError: the file cannot be written or loaded, or its probabilities differ.
    """
    Path(out_path).parent.mkdir(parents=True, exist_ok=True)
    probabilities = np.empty(0)

    def write_and_check(path: Path) -> None:
        nonlocal probabilities
        try:
            with onnx_graph.quiet():
                write(path)
                runtime = runtime_class(path)
            probabilities = comparison.predict(runtime)
        except Exception as error:
            raise ExportError(f"{out_path}: must convert and load again. Received: {error}") from error
        _check_probabilities(out_path, probabilities, comparison.expected, precision)

    replace_file(out_path, write_and_check)
    return probabilities
