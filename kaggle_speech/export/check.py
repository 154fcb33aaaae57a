"""Check of exported files: written, loaded again and compared with the model before they take their place."""

from pathlib import Path

import numpy as np

from kaggle_speech.export import onnx_graph
from kaggle_speech.files import replace_file
from kaggle_speech.inference.batches import predict_waveforms

#: How far a probability may be from the model's: rounding, and 16-bit weights. int8 is judged by its answers.
MAX_DIFFERENCE = {"float32": 1e-3, "float16": 0.1, "int8": 1.0}
#: Share of the answers that must be the model's, or a label that the model finds as likely within `SAME_MARGIN`.
MIN_AGREEMENT = {"float32": 0.99, "float16": 0.97, "int8": 0.95}
SAME_MARGIN = 0.1


class ExportError(RuntimeError):
    """A file that does not answer as the model does, or that no runtime loads. It is not kept."""


def check_answers(path, probabilities, expected, precision):
    difference = np.abs(probabilities - expected).max()
    of_answers = expected[np.arange(len(expected)), probabilities.argmax(axis=1)]
    agreement = (expected.max(axis=1) - of_answers <= SAME_MARGIN).mean()
    if not (difference <= MAX_DIFFERENCE[precision] and agreement >= MIN_AGREEMENT[precision]):
        raise ExportError(
            f"{path}: in {precision}, probabilities must be within {MAX_DIFFERENCE[precision]} of the model's, and "
            f"{MIN_AGREEMENT[precision]:.0%} of the answers the same. Received: {difference:.2g}, {agreement:.1%}"
        )


def predict_clips(waveform):
    """A function of a model: what it answers for clips."""
    return lambda model: predict_waveforms(model, waveform)


def write_checked(out_path, write, runtime_class, predict, expected, precision):
    """Write a file, load it and compare its answers, which are returned; only then does it take its place."""
    Path(out_path).parent.mkdir(parents=True, exist_ok=True)
    found = []

    def write_and_check(path):
        try:
            with onnx_graph.quiet():
                write(path)
                runtime = runtime_class(path)
            found.append(predict(runtime))
        except Exception as error:
            raise ExportError(f"{out_path}: must convert and load again. Received: {error}") from error
        check_answers(out_path, found[0], expected, precision)

    replace_file(out_path, write_and_check)
    return found[0]
