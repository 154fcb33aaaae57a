"""What a model thinks of a folder of clips, in one file: names, probabilities, and what they came from. NumPy only.

An `.npz` with `names`, `probabilities`, `vocabulary` and, as JSON, `settings`. The same content gives the same bytes.
"""

import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np

from kaggle_speech.files import differences, fingerprint, replace_file

KEYS = {"names", "probabilities", "vocabulary", "settings"}


@dataclasses.dataclass(frozen=True)
class ProbabilityFile:
    """The content of a probability file.

    Args:
        names: `(clips,)` file names such as `clip_000044442.wav`, in order.
        probabilities: `(clips, len(vocabulary))` float32.
        vocabulary: labels in the order of the columns.
        settings: JSON-able; what the probabilities depend on. A shard has `shard: [number, of how many]`.
    """

    names: np.ndarray
    probabilities: np.ndarray
    vocabulary: tuple
    settings: dict

    def __post_init__(self):
        shape = (len(self.names), len(self.vocabulary))
        if self.probabilities.shape != shape:
            raise ValueError(
                "`probabilities` must have a row for each name and a column for each label, "
                f"{shape}. Received: shape={self.probabilities.shape}"
            )

    def write(self, path):
        """Write the file, whole or not at all."""
        arrays = {
            "names": np.array(self.names, dtype=np.str_),
            "probabilities": self.probabilities.astype("float32"),
            "vocabulary": np.array(self.vocabulary, dtype=np.str_),
            "settings": np.array(json.dumps(self.settings, sort_keys=True)),
        }
        Path(path).parent.mkdir(parents=True, exist_ok=True)

        def save(partial_path):
            with partial_path.open("wb") as file:
                np.savez(file, **arrays)

        replace_file(path, save)


def read_probabilities(path):
    """The content of a probability file.

    Raises:
        ValueError: the file is none; names it.
        OSError: it cannot be read.
    """
    try:
        with np.load(path) as arrays:
            found = {key: arrays[key] for key in KEYS & {*arrays}}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: must be a probability file. Received: {error}") from error
    if {*found} != KEYS:
        raise ValueError(f"{path}: must hold {sorted(KEYS)}. Received: {sorted(found)}")
    probabilities = found["probabilities"]
    if not np.isfinite(probabilities).all() or (probabilities < 0).any():
        raise ValueError(f"{path}: probabilities must be numbers from 0 up. Received: negative or not finite")
    vocabulary = tuple(map(str, found["vocabulary"]))
    return ProbabilityFile(found["names"], probabilities, vocabulary, json.loads(str(found["settings"])))


def names_fingerprint(names):
    """Sixteen hexadecimal digits that tell one list of file names from another."""
    return fingerprint("\n".join(names))


def merge_shards(paths):
    """One `ProbabilityFile` of all shards, as if one machine had made it.

    Args:
        paths: probability files, in any order.

    Raises:
        ValueError: a shard is missing or there twice, or of another model, folder or number of shards; names it.
    """
    shards = {}
    for path in map(Path, paths):
        file = read_probabilities(path)
        if "shard" not in file.settings:
            raise ValueError(f"{path}: must be a shard. Received: probabilities of a whole folder")
        number, num_shards = file.settings["shard"]
        origin = file.settings | {"shard": num_shards}
        if not shards:
            first_path, first, first_origin = path, file, origin
        if origin != first_origin:
            wanted, other = differences(first_origin, origin)
            raise ValueError(f"{path}: must be a shard of the same whole as {first_path}, {wanted}. Received: {other}")
        if number in shards:
            raise ValueError(f"{path}: each shard must be there once. Received: {number} of {num_shards} twice")
        shards[number] = file
    missing = sorted({*range(1, num_shards + 1)} - {*shards})
    if missing:
        raise ValueError(f"{first_path}: all {num_shards} shards must be there. Received: none of number {missing}")
    ordered = [shards[number] for number in sorted(shards)]
    return ProbabilityFile(
        np.concatenate([file.names for file in ordered]),
        np.concatenate([file.probabilities for file in ordered]),
        first.vocabulary,
        {name: value for name, value in first.settings.items() if name != "shard"},
    )
