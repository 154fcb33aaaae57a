"""Predictions: a model's probabilities for many clips, in memory and in a file; shards of them. NumPy only.

The file is an `.npz` with `names`, `probabilities`, `vocabulary` and, as JSON, `settings` and, where there is one, the
`rejection`. The same content gives the same bytes.
"""

import dataclasses
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from kaggle_speech.files import differences, fingerprint, replace_file
from kaggle_speech.inference.answers import NOTHING_REJECTED, Rejection, competition_probabilities, rescale_temperature

KEYS = {"names", "probabilities", "vocabulary", "settings"}
#: Only in files whose answers are not simply the most probable labels.
REJECTION_KEY = "rejection"


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """Probabilities of a model for many clips.

    Args:
        names: `(clips,)` file names such as `clip_000044442.wav`, in order.
        probabilities: `(clips, len(vocabulary))` float32.
        vocabulary: labels in the order of the columns.
        settings: JSON-able; what the probabilities depend on. A shard has `shard: [number, of how many]`.
        logits: `(clips, len(vocabulary))`, before the softmax; None where they are not known. No file holds them.
        rejection: the model's rule that makes doubtful commands `unknown`.

    Raises:
        ValueError: arrays of other shapes.

    Examples:
        >>> predictions = Predictions(["a.wav", "b.wav"], np.array([[0.9, 0.1], [0.2, 0.8]]), ("yes", "marvin"))
        >>> predictions.labels()
        array(['yes', 'unknown'], dtype='<U7')
    """

    names: np.ndarray
    probabilities: np.ndarray
    vocabulary: tuple[str, ...]
    settings: dict = dataclasses.field(default_factory=dict)
    logits: np.ndarray | None = None
    rejection: Rejection = NOTHING_REJECTED

    def __post_init__(self):
        object.__setattr__(self, "names", np.asarray(self.names))
        shape = (len(self.names), len(self.vocabulary))
        for name, values in (("probabilities", self.probabilities), ("logits", self.logits)):
            if values is not None and values.shape != shape:
                raise ValueError(
                    f"`{name}` must have a row for each name and a column for each label, {shape}. "
                    f"Received: shape={values.shape}"
                )

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Predictions({len(self)} clips, {len(self.vocabulary)} labels)"

    def labels(self) -> np.ndarray:
        """The label of each clip, one of the competition's twelve. Shape: -> `(clips,)` array of str."""
        return self.answers()[0]

    def answers(self) -> tuple[np.ndarray, np.ndarray]:
        """Labels and confidences, by the model's rejection. Shape: -> `(clips,)` str, `(clips,)` from 0 to 1."""
        return self.rejection.apply(self.probabilities, self.vocabulary)

    def with_threshold(self, threshold: float | None) -> "Predictions":
        """A copy with another threshold of the rejection; None keeps the threshold."""
        return dataclasses.replace(self, rejection=self.rejection.with_threshold(threshold))

    def competition(self, temperature: float = 1.0) -> np.ndarray:
        """Probabilities over the competition's twelve labels; words that are no command add up to `unknown`.

        Shape: -> `(clips, 12)`.

        Args:
            temperature: above 0; above 1 makes the probabilities more alike, below 1 less.
        """
        return competition_probabilities(rescale_temperature(self.probabilities, temperature), self.vocabulary)

    def rows(self, rows: np.ndarray) -> "Predictions":
        """The predictions for some of the clips.

        Args:
            rows: positions, or a bool for each clip.
        """
        rows = np.asarray(rows)
        logits = None if self.logits is None else self.logits[rows]
        return dataclasses.replace(self, names=self.names[rows], probabilities=self.probabilities[rows], logits=logits)

    def save(self, path: Path | str) -> None:
        """Write the file, whole or not at all; its folder is made.

        Args:
            path: the `.npz` file.
        """
        arrays = {
            "names": np.array(self.names, dtype=np.str_),
            "probabilities": self.probabilities.astype("float32"),
            "vocabulary": np.array(self.vocabulary, dtype=np.str_),
            "settings": np.array(json.dumps(self.settings, sort_keys=True)),
        }
        if self.rejection != NOTHING_REJECTED:
            arrays[REJECTION_KEY] = np.array(json.dumps(dataclasses.asdict(self.rejection), sort_keys=True))
        Path(path).parent.mkdir(parents=True, exist_ok=True)

        def write(partial_path):
            with partial_path.open("wb") as file:
                np.savez(file, **arrays)

        replace_file(path, write)


def read_predictions(path: Path | str) -> Predictions:
    """Read a file of `Predictions.save`.

    Args:
        path: the `.npz` file.

    Raises:
        ValueError: the file is of another kind, or damaged; names it.
        OSError: it cannot be read.
    """
    try:
        with np.load(path) as file:
            arrays = {key: file[key] for key in {*KEYS, REJECTION_KEY} & {*file}}
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:  # TypeError: an array of `np.save`
        raise ValueError(f"{path}: must be a probability file. Received: {error}") from error
    if not {*arrays} >= KEYS:
        raise ValueError(f"{path}: must hold {sorted(KEYS)}. Received: {sorted(arrays)}")
    probabilities = arrays["probabilities"]
    if not np.isfinite(probabilities).all() or (probabilities < 0).any():
        raise ValueError(f"{path}: probabilities must be numbers from 0 up. Received: negative or not finite")
    vocabulary = tuple(map(str, arrays["vocabulary"]))
    try:
        rejection = Rejection(**json.loads(str(arrays.get(REJECTION_KEY, "{}"))))
        settings = json.loads(str(arrays["settings"]))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: must hold settings and a rejection of `save`. Received: {error}") from error
    return Predictions(arrays["names"], probabilities, vocabulary, settings, rejection=rejection)


def names_fingerprint(names: Iterable[str]) -> str:
    """Sixteen hexadecimal digits that tell one list of file names from another."""
    return fingerprint("\n".join(names))


def merge_shards(paths: Iterable[Path | str]) -> Predictions:
    """Merge all shards into one `Predictions`, equal to that of a single call.

    Args:
        paths: probability files, in any order.

    Raises:
        ValueError: a shard is missing or given twice, or of another model, folder, threshold or number of shards; names
            it.
    """
    shards: dict[int, Predictions] = {}
    first_path = None
    first_origin: dict = {}
    for path in map(Path, paths):
        shard = read_predictions(path)
        if "shard" not in shard.settings:
            raise ValueError(f"{path}: must be a shard. Received: probabilities of a whole folder")
        number, num_shards = shard.settings["shard"]
        origin = shard.settings | {"shard": num_shards, REJECTION_KEY: dataclasses.asdict(shard.rejection)}
        if not shards:
            first_path = path
            first_origin = origin
        if origin != first_origin:
            wanted, received = differences(first_origin, origin)
            raise ValueError(
                f"{path}: must be a shard of the same whole as {first_path}, {wanted}. Received: {received}"
            )
        if number in shards:
            raise ValueError(f"{path}: each shard must be there once. Received: {number} of {num_shards} twice")
        shards[number] = shard
    if not shards:
        raise ValueError("`paths` must be probability files of shards. Received: none")
    missing = sorted({*range(1, first_origin["shard"] + 1)} - {*shards})
    if missing:
        raise ValueError(
            f"{first_path}: all {first_origin['shard']} shards must be there. Received: none of number {missing}"
        )
    ordered = [shards[number] for number in sorted(shards)]
    return Predictions(
        np.concatenate([shard.names for shard in ordered]),
        np.concatenate([shard.probabilities for shard in ordered]),
        ordered[0].vocabulary,
        {name: value for name, value in first_origin.items() if name not in ("shard", REJECTION_KEY)},
        rejection=ordered[0].rejection,
    )
