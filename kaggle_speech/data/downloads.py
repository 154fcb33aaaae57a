"""Downloads of Speech Commands, LibriSpeech and its language model from their publishers: resumed and verified."""

import hashlib
import time
from pathlib import Path
from typing import NamedTuple

import requests

from kaggle_speech.data.archive_formats import ArchiveError, byte_bar
from kaggle_speech.files import one_at_a_time

NUM_ATTEMPTS = 4
RETRY_WAIT_S = 2.0


class Download(NamedTuple):
    """A published archive."""

    url: str
    num_bytes: int
    sha256: str


#: The bucket behind http://download.tensorflow.org/data/.
_SPEECH_COMMANDS_URL = "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_{}.tar.gz"
_LIBRISPEECH_URL = "https://www.openslr.org/resources/12/{}.tar.gz"
#: Bytes and SHA-256 of `speech_commands_<release>.tar.gz`.
#: Sources: v0.01 huggingface/datasets, superb/dataset_infos.json ("ks"); v0.02 tensorflow/datasets,
#: url_checksums/speech_commands.txt. torchaudio's `_CHECKSUMS` agrees on the two training sets.
_SPEECH_COMMANDS = {
    "v0.01": (1_489_096_277, "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d"),
    "v0.02": (2_428_923_189, "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"),
    "test_set_v0.01": (71_271_436, "baa084f6b62c91de660ff0588ae4dfc4e4d534aa99ac0e5f406cba75836cbd00"),
    "test_set_v0.02": (112_563_277, "cc2a00c1147c2254e9be3fa0f779d8c17421dc349b86366567a8edfa9acd51df"),
}
#: Bytes and SHA-256 of LibriSpeech's `<split>.tar.gz`.
#: Source: tensorflow/datasets, url_checksums/librispeech.txt. torchaudio's `_CHECKSUMS` (librispeech.py) agrees on
#: every hash, kaldi's `sizes_new` (egs/librispeech/s5/local/download_and_untar.sh) on every number of bytes.
_LIBRISPEECH = {
    "dev-clean": (337_926_286, "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3"),
    "dev-other": (314_305_928, "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365"),
    "test-clean": (346_663_984, "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23"),
    "test-other": (328_757_843, "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29"),
    "train-clean-100": (6_387_309_499, "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2"),
    "train-clean-360": (23_049_477_885, "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf"),
    "train-other-500": (30_593_501_606, "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2"),
}
#: The word 3-gram model of LibriSpeech's 14,500 books, pruned at 1e-7.
#: Sources: bytes, kaldi's `sizes` (egs/librispeech/s5/local/download_lm.sh); the publisher gives no hash, so the
#: SHA-256 is that of another laboratory's copy (in the DownloadJob of its recipes).
LANGUAGE_MODEL = "librispeech-lm"
_LANGUAGE_MODEL = Download(
    "https://www.openslr.org/resources/11/3-gram.pruned.1e-7.arpa.gz",
    34_094_057,
    "71dd880667cb6ea3942bb1982988c91fb1208839a21911eeec7e31c857c4bdfb",
)
DOWNLOADS = {
    name: Download(url.format(name), *facts)
    for url, archives in ((_SPEECH_COMMANDS_URL, _SPEECH_COMMANDS), (_LIBRISPEECH_URL, _LIBRISPEECH))
    for name, facts in archives.items()
} | {LANGUAGE_MODEL: _LANGUAGE_MODEL}


def download(name: str, out_dir: Path | str, *, progress: bool = True) -> Path:
    """Download a release of Speech Commands, a split of LibriSpeech or its language model; resumes where it stopped.

    Args:
        name: a key of `DOWNLOADS`: `v0.01` (the competition's training clips), `v0.02`,
            the test sets with 12 labels, `test_set_v0.01` and `test_set_v0.02`, a split such as `dev-clean`, or
            `librispeech-lm`, for `transcribe --language-model`.
        out_dir: folder for the archive.
        progress: show a progress bar.

    Returns:
        Path of the archive, its size and SHA-256 verified.

    Raises:
        ValueError: `name` is not a key of `DOWNLOADS`; lists the keys.
        ArchiveError: the download is not the published file; it has been removed.
        requests.RequestException: the server cannot be reached.
    """
    if name not in DOWNLOADS:
        raise ValueError(f"`name` must be one of {', '.join(DOWNLOADS)}. Received: {name!r}")
    return download_file(DOWNLOADS[name], out_dir, progress=progress)


def download_file(published: Download, out_dir: Path | str, *, progress: bool = True) -> Path:
    """Download a published archive; an interrupted download resumes.

    Args:
        published: its address, size and SHA-256.
        out_dir: folder for the archive.
        progress: show a progress bar.

    Returns:
        Path of the archive, its size and SHA-256 verified.

    Raises:
        ArchiveError: the download is not the published file; it has been removed.
        requests.RequestException: the server cannot be reached.
    """
    url, num_bytes, sha256 = published
    path = Path(out_dir) / url.rpartition("/")[2]
    if path.is_file() and path.stat().st_size == num_bytes:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(path):
        if not path.is_file() or path.stat().st_size != num_bytes:  # else another process has fetched it
            _download(url, path, num_bytes, sha256, progress)
    return path


def _download(url, path, num_bytes, sha256, progress):
    """Fetch and verify an archive by way of `<path>.partial`, where a later call goes on."""
    partial_path = path.with_name(f"{path.name}.partial")
    for attempt in range(1, NUM_ATTEMPTS + 1):
        try:
            _fetch(url, partial_path, num_bytes, progress)
            break
        except requests.RequestException as error:
            is_refused = error.response is not None and error.response.status_code < 500
            if is_refused or attempt == NUM_ATTEMPTS:
                raise
            time.sleep(RETRY_WAIT_S * attempt)
    _verify(partial_path, num_bytes, sha256)
    partial_path.replace(path)


def _fetch(url, path, num_bytes, progress):
    """Append the missing bytes of a URL to a file; start over where the server cannot continue."""
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
        num_received = path.stat().st_size
        received_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if (num_received, received_sha256) != (num_bytes, sha256):
        path.unlink()
        raise ArchiveError(
            f"{path.stem}: must be {num_bytes} bytes with SHA-256 {sha256}. "
            f"Received: {num_received} bytes with SHA-256 {received_sha256}; "
            "removed, so that the next attempt starts over"
        )
