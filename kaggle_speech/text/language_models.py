"""The language models in a folder of a transcriber: one of characters, one of words."""

import shutil
from pathlib import Path

from kaggle_speech.text import ngram, word_ngram
from kaggle_speech.text.decoders import LanguageModel
from kaggle_speech.text.lexicon import Lexicon

FILE_NAMES = (ngram.FILE_NAME, ngram.OLD_FILE_NAME, word_ngram.FILE_NAME)


def read_language_model(folder: Path | str) -> LanguageModel | None:
    """The language model in a folder: of words where there is one, else of characters; None where there is neither.

    Args:
        folder: folder of a run or a published model.

    Raises:
        ValueError: a file is damaged; names it.
    """
    *ngram_paths, words_path = (Path(folder) / name for name in FILE_NAMES)
    spelling = next((ngram.read_ngram(path) for path in ngram_paths if path.exists()), None)
    return Lexicon(word_ngram.read_arpa(words_path), spelling) if words_path.exists() else spelling


def copy_language_models(folder: Path | str, new_folder: Path | str) -> None:
    """Copy the files of language models.

    Args:
        folder: where they are; none need be there.
        new_folder: another folder.
    """
    for name in FILE_NAMES:
        if (path := Path(folder) / name).exists():
            shutil.copyfile(path, Path(new_folder) / name)
