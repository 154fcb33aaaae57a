"""A model that makes transcripts as an ONNX file: batches and recordings of any length, the frontend inside."""

import numpy as np

from kaggle_speech import export, onnx_gru
from kaggle_speech.alphabet import ALPHABET

PRECISIONS = ("float32", "float16")
LICENCE = "code MIT; trained on LibriSpeech (Panayotov et al., ICASSP 2015), CC BY 4.0"


def metadata_of(model, more=()):
    """As `export.metadata_of`, for a model of `models.resnet_ctc`: with the samples from one output to the next."""
    output_step = model.get_layer("output_mask").frame_step
    return export.metadata_of(model, ALPHABET, {"output_step": output_step, "licence": LICENCE, **dict(more)})


def _frame_probabilities(model, inputs):
    """Probabilities for each frame of several batches, padding too. Shape: -> `(frames, characters)`."""
    log_probabilities = [np.asarray(model.predict_on_batch(batch)) for batch in inputs]
    return np.concatenate([np.exp(batch).reshape(-1, batch.shape[-1]) for batch in log_probabilities])


def export_transcriber(model, out_path, metadata, inputs, *, precision="float32"):
    """Write an ONNX file that `runtimes.OnnxModel` runs and `engines.load_transcriber` loads.

    Where the model is sure of a character, the file reads the same.

    Args:
        model: Keras model of `models.resnet_ctc`.
        out_path: the `.onnx` file.
        metadata: from `metadata_of`; goes into the file.
        inputs: batches to compare on, the model's inputs: recordings of several lengths, for answers that differ.
        precision: `float32`; `float16` stores the weights in half the bytes.

    Returns:
        The largest difference of a probability from the model's.

    Raises:
        ExportError: the file does not answer as the model does.
        ValueError: there is no such precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"`precision` must be one of {PRECISIONS}. Received: precision={precision!r}")
    expected = _frame_probabilities(model, inputs)
    proto = export.keras_to_onnx(onnx_gru.mark_gru(model))
    answers = export.write_onnx(
        proto, model, out_path, metadata, lambda loaded: _frame_probabilities(loaded, inputs), expected, precision
    )
    return float(np.abs(answers - expected).max())
