"""Places of data on this machine: folders of clips, archives, recordings with transcripts."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from kaggle_speech import folders
from kaggle_speech.files import what_is_there

COMPETITION = "tensorflow-speech-recognition-challenge"
#: The environment variable that names the data folder.
DATA_VARIABLE = "KAGGLE_SPEECH_DATA"
#: Archives of the competition, and a path in the content of each.
COMPETITION_ARCHIVES = {
    "train.7z": "train/audio",
    "test.7z": "test/audio",
    "sample_submission.7z": "sample_submission.csv",
}
#: Archives of Speech Commands as TensorFlow publishes them, and a path in their content.
SPEECH_COMMANDS_ARCHIVES = "speech_commands_*.tar.gz"
SPEECH_COMMANDS_CONTENT = "_background_noise_"
#: A folder with one of these inside holds clips.
CLIP_DIRS = ("train/audio", "test/audio", SPEECH_COMMANDS_CONTENT)
#: The folder that LibriSpeech's archives hold, and the ending of its transcripts.
LIBRISPEECH = "LibriSpeech"
TRANSCRIPT_SUFFIX = ".trans.txt"


class NoDataError(FileNotFoundError):
    """No data in any of the usual places. The message explains how to get some."""


def has_clips(folder: Path | str) -> bool:
    """Whether a folder holds extracted clips, the competition's or Speech Commands'.

    Args:
        folder: folder to look into.
    """
    return any((Path(folder) / clip_dir).is_dir() for clip_dir in CLIP_DIRS)


def find_archives(folder: Path | str) -> list[Path]:
    """Archives in a folder: the competition's, else those of Speech Commands; an empty list for none.

    Args:
        folder: folder to look into.
    """
    archives = [Path(folder) / name for name in COMPETITION_ARCHIVES if (Path(folder) / name).is_file()]
    return archives or sorted(Path(folder).glob(SPEECH_COMMANDS_ARCHIVES))


def archive_dir(archive_path: Path, out_dir: Path) -> Path:
    """Folder that an archive is extracted to: `out_dir` for the competition's, one of its own for Speech Commands."""
    if archive_path.name in COMPETITION_ARCHIVES:
        return out_dir
    return out_dir / archive_path.name.removesuffix(".tar.gz")


def archive_content(archive_path: Path | str) -> str:
    """Path inside the folder of extraction that exists once an archive of `find_archives` is extracted.

    Args:
        archive_path: path or name of the archive.

    Examples:
        >>> archive_content("test.7z"), archive_content("speech_commands_v0.02.tar.gz")
        ('test/audio', '_background_noise_')
    """
    return COMPETITION_ARCHIVES.get(Path(archive_path).name, SPEECH_COMMANDS_CONTENT)


def speech_files(folder: Path | str, pattern: str = "*") -> Iterator[Path]:
    """Files of a folder in LibriSpeech's layout, one by one: `<split>/<speaker>/<chapter>/<file>`.

    Args:
        folder: the root, the folder that holds a `LibriSpeech`, or that of one split.
        pattern: shell pattern of the file names.
    """
    root = Path(folder)
    if (root / LIBRISPEECH).is_dir():
        root = root / LIBRISPEECH
    for chapters in ("*/*/*", "*/*"):
        yield from root.glob(f"{chapters}/{pattern}")


def has_speech(folder: Path | str) -> bool:
    """Whether a folder holds recordings with transcripts, in LibriSpeech's layout.

    Args:
        folder: folder to look into.
    """
    return any(speech_files(folder, f"*{TRANSCRIPT_SUFFIX}"))


def extraction_dir(data_dir: Path | str) -> Path:
    """Folder that the archives in `data_dir` are extracted to.

    In a Kaggle kernel it is a temporary folder: `/kaggle/working` is saved with the kernel and limited to 20 GB.
    Each source has a folder of its own, so that the clips of two sources never mix.

    Args:
        data_dir: folder of the archives.
    """
    source_dir = Path(data_dir).resolve()
    if folders.is_kaggle_kernel():
        return folders.KAGGLE_DIR / "temp" / source_dir.name
    if source_dir == (folders.project_dir() / "data").resolve():
        return source_dir / COMPETITION
    return folders.project_dir() / "data" / f"{COMPETITION}-{hashlib.sha1(str(source_dir).encode()).hexdigest()[:8]}"


def speech_extraction_dir() -> Path:
    """Folder that LibriSpeech's archives are extracted to, each to a split of the same `LibriSpeech`."""
    return folders.KAGGLE_DIR / "temp" if folders.is_kaggle_kernel() else folders.project_dir() / "data"


def find_data(data_dir: Path | str | None = None) -> Path:
    """Find the folder that holds the data: extracted clips, or archives of them.

    Order of search: the argument, the environment variable KAGGLE_SPEECH_DATA, the
    competition's folder in a Kaggle kernel, the project's `data/`. A folder without data
    that one of the first two names is an error; no other is tried.

    Args:
        data_dir: the folder; None looks for it.

    Raises:
        FileNotFoundError: the folder that was named holds no data.
        NoDataError: no folder was named, and there is none in the usual places.
    """
    if data_dir is not None:
        return _named_dir("`data_dir`", data_dir)
    if os.environ.get(DATA_VARIABLE):
        return _named_dir(f"environment variable {DATA_VARIABLE}", os.environ[DATA_VARIABLE])
    searched = _usual_dirs()
    for folder in searched:
        if has_clips(folder) or find_archives(folder):
            return folder
    raise NoDataError(
        f"There must be data in one of: {', '.join(map(str, searched))}. Received: none there. Next, one of:\n"
        f"  put the competition's train.7z, test.7z and sample_submission.7z into {folders.project_dir() / 'data'}\n"
        "  kaggle-speech prepare --download v0.01    downloads Speech Commands, the same training clips\n"
        "  kaggle-speech sample                      renders a small stand-in, offline\n"
        f"  set {DATA_VARIABLE}=<folder>                  names a folder that holds the data"
    )


def _usual_dirs():
    """Folders where clips are looked for when none is named."""
    data = folders.project_dir() / "data"
    return [
        folders.KAGGLE_DIR / "input" / COMPETITION,
        folders.KAGGLE_DIR / "input" / "competitions" / COMPETITION,
        data,
        data / COMPETITION,
        *sorted((data / COMPETITION).glob("speech_commands_v*")),
        data / "sample",
    ]


def _named_dir(source, value):
    """The folder that the user named; FileNotFoundError where it holds no data."""
    folder = Path(value).expanduser().absolute()  # notebooks run in a folder of their own
    if has_clips(folder) or find_archives(folder):
        return folder
    raise FileNotFoundError(
        f"{source} must name a folder with clips ({', '.join(CLIP_DIRS)}) or archives "
        f"({', '.join(COMPETITION_ARCHIVES)}, {SPEECH_COMMANDS_ARCHIVES}). Received: {folder}, {what_is_there(folder)}"
    )


def find_speech(source: Path | str | None = None) -> Path:
    """Find recordings with transcripts: a folder in LibriSpeech's layout, or a CSV that lists them.

    Order of search: the argument, `LibriSpeech` in the folder that KAGGLE_SPEECH_DATA names, a Kaggle kernel's input,
    an extracted download, the rendered sentences. If there is an argument, no other is tried.

    Args:
        source: the folder or the CSV (see `utterances.index_utterances`); None looks for a folder.

    Raises:
        FileNotFoundError: `source` is neither.
        NoDataError: `source` is None, and there are no recordings in the usual places.
    """
    if source is not None:
        path = Path(source).expanduser().absolute()
        if has_speech(path) or (path.suffix.lower() == ".csv" and path.is_file()):
            return path
        raise FileNotFoundError(
            f"`source` must name a folder with <split>/<speaker>/<chapter>/*{TRANSCRIPT_SUFFIX} or a CSV file. "
            f"Received: {path}, {what_is_there(path)}"
        )
    searched = _usual_speech_dirs()
    for folder in searched:
        if has_speech(folder):
            return folder
    raise NoDataError(
        f"There must be recordings with transcripts in one of: {', '.join(map(str, searched))}. Received: none there. "
        "Next, one of:\n"
        "  kaggle-speech prepare --download dev-clean    downloads five hours of LibriSpeech\n"
        "  kaggle-speech sentences                       renders a small stand-in, offline\n"
        f"  set {DATA_VARIABLE}=<folder>                      names a folder that holds a {LIBRISPEECH}"
    )


def _usual_speech_dirs():
    """Folders where recordings with transcripts are looked for when none is named."""
    named = os.environ.get(DATA_VARIABLE)
    return [
        *([Path(named).expanduser().absolute() / LIBRISPEECH] if named else []),
        *sorted((folders.KAGGLE_DIR / "input").glob("librispeech*")),
        *sorted((folders.KAGGLE_DIR / "input" / "datasets").glob("*/librispeech*")),
        speech_extraction_dir() / LIBRISPEECH,
        folders.project_dir() / "data" / "sentences",
    ]
