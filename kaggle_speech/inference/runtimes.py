"""Exported models with Keras' `predict_on_batch`: waveforms in, probabilities out.

`OnnxModel` needs NumPy and onnxruntime only.
"""

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_speech.files import fingerprint
from kaggle_speech.quiet import quiet_stderr

#: File ending and precisions of each format.
FORMATS = {
    "onnx": (".onnx", ("float32", "float16", "int8")),
    "litert": (".tflite", ("float32", "float16")),
    "saved_model": ("_saved_model", ("float32",)),
}


class OnnxModel:
    """An ONNX file of this package, run by onnxruntime.

    Args:
        path: the `.onnx` file.
        num_threads: processor threads for one call; None or 0 for as many as there are cores.
        embedding: whether to give embeddings as well; needs the package onnx.

    Attributes:
        path: the file.
        metadata: dict of the facts in the file: vocabulary, sample rate, features, licence, ...
        vocabulary: labels in the order of the outputs.
        fingerprint: fingerprint of the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an ONNX model, or not of this package; one line that names it.
        ImportError: embeddings need the package onnx.
    """

    def __init__(self, path: Path | str, num_threads: int | None = None, *, embedding: bool = False):
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: must be an ONNX file. Received: none")
        self._start(path, Path(path).read_bytes(), num_threads, embedding)

    def _start(self, path, content, num_threads, embedding):
        import onnxruntime

        self._arguments = (path, content, num_threads, embedding)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads or 0
        self.path = Path(path)
        self.fingerprint = fingerprint(content)
        add_outputs = _embedding_adder() if embedding else bytes
        try:
            content = add_outputs(content)
            self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own classes have no common base
            reason = (str(error) or type(error).__name__).strip().splitlines()[0]
            raise ValueError(f"{path}: must be an ONNX model. Received: {reason}") from error
        metadata = self.session.get_modelmeta().custom_metadata_map
        try:
            self.metadata = {name: json.loads(value) for name, value in metadata.items()}
            if not isinstance(self.metadata["vocabulary"], list):
                raise TypeError("a vocabulary of another type")
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: must be exported by kaggle_speech. Received: metadata {sorted(metadata)}"
            ) from error
        self.vocabulary = tuple(self.metadata["vocabulary"])
        self.input_name = self.session.get_inputs()[0].name
        self.output_names = [output.name for output in self.session.get_outputs()]

    def __getstate__(self):
        """The content of the file, so that a copy in another process does not need it."""
        return self._arguments

    def __setstate__(self, state):
        self._start(*state)

    def predict_on_batch(self, inputs: Any) -> np.ndarray:
        """Outputs for a batch: probabilities, or log-probabilities of a transcriber.

        Shape: `(batch, samples)` float32, or a dict of the model's inputs by name, each of the type that the model
            takes -> `(batch, ..., len(vocabulary))` float32.
        """
        return self._run(self.output_names[:1], inputs)[0]

    def predict_with_embedding(self, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities, and the input of the last layer.

        Shape: `(batch, samples)` float32 -> `(batch, len(vocabulary))`, `(batch, features)` float32.
        """
        probabilities, embedding = self._run(self.output_names, waveform)
        return probabilities, embedding

    def _run(self, output_names, inputs):
        if not isinstance(inputs, dict):
            inputs = {self.input_name: np.asarray(inputs, dtype="float32")}
        return self.session.run(output_names, inputs)


def _embedding_adder():
    """A function of the bytes of an ONNX file that makes the input of its last dense layer its second output."""
    import onnx

    def add_embedding(content):
        proto = onnx.load_from_string(content)
        last_dense = [node for node in proto.graph.node if node.op_type in ("Gemm", "MatMul")][-1]
        value = onnx.helper.make_tensor_value_info(last_dense.input[0], onnx.TensorProto.FLOAT, None)
        proto.graph.output.append(value)
        return proto.SerializeToString()

    return add_embedding


def set_tensorflow_threads(num_threads: int) -> None:
    """Set the number of threads of an operation of TensorFlow; without effect after its first computation."""
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(num_threads)


class LiteRTModel:
    """A LiteRT file; it takes one clip at a time.

    Args:
        path: the `.tflite` file.
        num_threads: processor threads; None for LiteRT's default.

    Raises:
        ValueError: the file is not a LiteRT model.
    """

    def __init__(self, path: Path | str, num_threads: int | None = None):
        import tensorflow as tf

        with quiet_stderr():  # LiteRT reports its delegate
            self.interpreter = tf.lite.Interpreter(str(path), num_threads=num_threads)
            self.interpreter.allocate_tensors()
        self.input_index = self.interpreter.get_input_details()[0]["index"]
        self.output_index = self.interpreter.get_output_details()[0]["index"]

    def predict_on_batch(self, waveform: np.ndarray) -> np.ndarray:
        """Probabilities of a batch. Shape: `(batch, samples)` float32 -> `(batch, len(vocabulary))` float32."""
        return np.concatenate([self._predict(clip[None]) for clip in np.asarray(waveform, dtype="float32")])

    def _predict(self, waveform):
        self.interpreter.set_tensor(self.input_index, waveform)
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.output_index)


class SavedModel:
    """A SavedModel folder of TensorFlow.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path | str):
        import tensorflow as tf

        self.loaded = tf.saved_model.load(str(folder))

    def predict_on_batch(self, waveform: np.ndarray) -> np.ndarray:
        """Probabilities of a batch. Shape: `(batch, samples)` float32 -> `(batch, len(vocabulary))` float32."""
        import tensorflow as tf

        return self.loaded.serve(tf.constant(waveform)).numpy()
