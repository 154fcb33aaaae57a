"""Speech Commands from its publisher: downloads that go on where they stopped and are checked."""

import hashlib
import time
from pathlib import Path

import requests

from kaggle_speech.archive_formats import ArchiveError, byte_bar

#: The bucket behind http://download.tensorflow.org/data/.
DOWNLOAD_URL = "https://storage.googleapis.com/download.tensorflow.org/data/"
NUM_ATTEMPTS = 4
RETRY_WAIT_S = 2.0


#: Release of Speech Commands: bytes and SHA-256 of `speech_commands_<release>.tar.gz`.
#: Sources: v0.01 huggingface/datasets, superb/dataset_infos.json ("ks"); v0.02 tensorflow/datasets,
#: url_checksums/speech_commands.txt. torchaudio's `_CHECKSUMS` agrees on the two training sets.
DOWNLOADS = {
    "v0.01": (1_489_096_277, "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d"),
    "v0.02": (2_428_923_189, "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"),
    "test_set_v0.01": (71_271_436, "baa084f6b62c91de660ff0588ae4dfc4e4d534aa99ac0e5f406cba75836cbd00"),
    "test_set_v0.02": (112_563_277, "cc2a00c1147c2254e9be3fa0f779d8c17421dc349b86366567a8edfa9acd51df"),
}


def download(name, out_dir, *, progress=True):
    """Download a release of Speech Commands, going on where an earlier attempt stopped.

    Args:
        name: a key of `DOWNLOADS`: `v0.01` (the competition's training clips), `v0.02`,
            or the test sets with 12 labels, `test_set_v0.01` and `test_set_v0.02`.
        out_dir: folder for the archive.
        progress: show a progress bar.

    Returns:
        Path of the archive, its size and SHA-256 verified.

    Raises:
        ArchiveError: what came is not the published file; it has been removed.
        requests.RequestException: the server cannot be reached.
    """
    if name not in DOWNLOADS:
        raise ValueError(f"`name` must be one of {', '.join(DOWNLOADS)}. Received: {name!r}")
    num_bytes, sha256 = DOWNLOADS[name]
    path = Path(out_dir) / f"speech_commands_{name}.tar.gz"
    if path.is_file() and path.stat().st_size == num_bytes:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_name(f"{path.name}.partial")
    for attempt in range(1, NUM_ATTEMPTS + 1):
        try:
            _fetch(DOWNLOAD_URL + path.name, partial_path, num_bytes, progress)
            break
        except requests.RequestException as error:
            is_refused = error.response is not None and error.response.status_code < 500
            if is_refused or attempt == NUM_ATTEMPTS:
                raise
            time.sleep(RETRY_WAIT_S * attempt)
    _verify(partial_path, num_bytes, sha256)
    return partial_path.replace(path)


def _fetch(url, path, num_bytes, progress):
    """Append to `path` what it lacks of a URL; from the start where the server cannot continue."""
    start = path.stat().st_size if path.exists() else 0
    if start == num_bytes:
        return
    headers = {"Accept-Encoding": "identity", "Range": f"bytes={start}-"}
    with requests.get(url, headers=headers, stream=True, timeout=30) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable and start:
            path.unlink()
            return _fetch(url, path, num_bytes, progress)
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            start = 0
        with path.open("ab" if start else "wb") as file, byte_bar(path.stem, num_bytes, progress, start) as bar:
            for chunk in response.iter_content(1 << 16):
                file.write(chunk)
                bar.update(len(chunk))


def _verify(path, num_bytes, sha256):
    """Remove a download that is not the published file, and raise ArchiveError."""
    with path.open("rb") as file:
        came = path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
    if came != (num_bytes, sha256):
        path.unlink()
        raise ArchiveError(
            f"{path.stem}: must be {num_bytes} bytes with SHA-256 {sha256}. "
            f"Received: {came[0]} bytes with SHA-256 {came[1]}; removed, so that the next attempt starts over"
        )
