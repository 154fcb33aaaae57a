"""Personal words, enrolled from a few recordings on top of a trained network. NumPy only, no training.

The embedding of a clip (the input of the network's last layer) is similar for recordings of one word, even of a word
that was not in the training. A new word is the mean direction of the embeddings of its recordings; a clip is that word
if its embedding points the same way.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_speech.files import replace_file
from kaggle_speech.labels import COMPETITION_LABELS

#: Similarity from which on a clip is a word, and the width over which the probability rises from 12 to 88 %.
THRESHOLD = 0.9
SOFTNESS = 0.04


def _directions(embedding):
    return embedding / np.maximum(np.linalg.norm(embedding, axis=-1, keepdims=True), 1e-12)


@dataclasses.dataclass(frozen=True)
class PersonalWords:
    """Enrolled words.

    Args:
        words: the words.
        prototypes: `(words, features)`; the mean direction of each word's recordings, of length one.
        model: fingerprint of the exported file whose embeddings these are.
        threshold: cosine similarity, up to 1, from which on a clip is a word.

    Raises:
        ValueError: a word occurs twice or is one of the twelve labels, or an array has another shape.
    """

    words: tuple[str, ...]
    prototypes: np.ndarray
    model: str
    threshold: float = THRESHOLD

    def __post_init__(self):
        taken = {*COMPETITION_LABELS} & {*self.words}
        if taken or len({*self.words}) != len(self.words) or not all(self.words):
            raise ValueError(f"`words` must differ from each other and from the twelve labels. Received: {self.words}")
        if self.prototypes.ndim != 2 or len(self.prototypes) != len(self.words):
            raise ValueError(
                f"`prototypes` must have a row for each word, {len(self.words)}. "
                f"Received: shape={self.prototypes.shape}"
            )
        if not 0 < self.threshold < 1:
            raise ValueError(f"`threshold` must be between 0 and 1. Received: threshold={self.threshold}")

    def similarity(self, embedding: np.ndarray) -> np.ndarray:
        """Cosine of the angle to each word. Shape: `(clips, features)` -> `(clips, words)`, -1 to 1."""
        return _directions(embedding) @ self.prototypes.T

    def write(self, path: Path | str) -> None:
        """Write a JSON file, whole or not at all.

        Args:
            path: the file.
        """
        content = dataclasses.asdict(self) | {"prototypes": np.round(self.prototypes.astype(float), 6).tolist()}
        replace_file(path, lambda partial_path: partial_path.write_text(json.dumps(content) + "\n"))


def read_words(path: Path | str) -> PersonalWords:
    """Read a file of `PersonalWords.write`.

    Args:
        path: the file.

    Raises:
        ValueError: the file is of another kind, or damaged; names it.
        OSError: it cannot be read.
    """
    try:
        content = json.loads(Path(path).read_text())
        prototypes = np.array(content["prototypes"], dtype="float32")
        return PersonalWords(tuple(content["words"]), prototypes, content["model"], content["threshold"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: must be a file of enrolled words. Received: {error!r}") from error


def enroll(model: Any, word: str, waveform: np.ndarray, words: PersonalWords | None = None) -> PersonalWords:
    """Add a word, or replace the one of that name.

    Args:
        model: `runtimes.OnnxModel` that gives embeddings.
        word: the word.
        waveform: `(recordings, samples)`; three to ten, by the person who will speak it.
        words: `PersonalWords` so far.

    Returns:
        `PersonalWords`.

    Raises:
        ValueError: no recording, the word is a label of the model or one of the twelve, or the words so far are of
            another model.
    """
    if word in model.vocabulary:
        raise ValueError(f"`word` must be none that the model knows, {', '.join(model.vocabulary)}. Received: {word!r}")
    if not len(waveform):
        raise ValueError(f"`waveform` must be recordings of {word!r}. Received: none")
    _, embedding = model.predict_with_embedding(waveform)
    prototype = _directions(_directions(embedding).mean(axis=0))[None]
    if words is None:
        return PersonalWords((word,), prototype, model.fingerprint)
    _check_model(words, model)
    kept = [row for row, name in enumerate(words.words) if name != word]
    prototypes = np.concatenate([words.prototypes[kept], prototype])
    return dataclasses.replace(words, words=(*(words.words[row] for row in kept), word), prototypes=prototypes)


def _check_model(words, model):
    if words.model != model.fingerprint:
        raise ValueError(
            f"`words` must be enrolled with this model, {model.fingerprint}. Received: words of {words.model}"
        )


def split_words(probabilities: np.ndarray, num_words: int) -> tuple[np.ndarray, np.ndarray]:
    """Split the outputs of a `PersonalModel` into those of its model and those of the enrolled words.

    Shape: `(clips, labels + num_words)` -> `(clips, labels)`, which add up to 1 again, and `(clips, num_words)`.

    Args:
        probabilities: outputs, smoothed or not.
        num_words: number of enrolled words, the last of the outputs.
    """
    if not num_words:
        return probabilities, probabilities[:, :0]
    shares = probabilities[:, -num_words:]
    rest = probabilities[:, :-num_words] / np.maximum(1 - shares.sum(axis=1, keepdims=True), 1e-12)
    return rest, shares


class PersonalModel:
    """A model with the enrolled words at the end of its vocabulary.

    Args:
        model: `runtimes.OnnxModel` that gives embeddings.
        words: `PersonalWords`.

    Attributes:
        vocabulary: labels of the model, then the words.

    Raises:
        ValueError: the words are of another model.
    """

    def __init__(self, model: Any, words: PersonalWords):
        _check_model(words, model)
        self.model = model
        self.words = words
        self.vocabulary = (*model.vocabulary, *words.words)

    def predict_on_batch(self, waveform: np.ndarray) -> np.ndarray:
        """Probabilities of a batch, of which the nearest enrolled word takes its share.

        Shape: `(batch, samples)` float32 -> `(batch, len(vocabulary))` float32.
        """
        probabilities, embedding = self.model.predict_with_embedding(waveform)
        similarity = self.words.similarity(embedding)
        shares = 1 / (1 + np.exp(-4 * (similarity - self.words.threshold) / SOFTNESS))
        shares *= np.arange(len(self.words.words)) == similarity.argmax(axis=1)[:, None]  # one, also of two alike
        rest = probabilities * (1 - shares.sum(axis=1, keepdims=True))
        return np.concatenate([rest, shares], axis=1).astype("float32")
