"""Sentences of texts, as they are read aloud."""

import gzip

import pytest

from kaggle_speech.text.corpus import read_sentences, split_sentences

BOOK = """The Project Gutenberg eBook of Nothing. Title: Nothing.

*** START OF THE PROJECT GUTENBERG EBOOK NOTHING ***

CHAPTER I

Mrs. Grey--a widow--met Dr. Fell, whom she did
not like. \u201cWhy not?\u201d asked Mr. Pym; nobody knew: not even he.

In 1872 she left. She kept _two_ cats.

*** END OF THE PROJECT GUTENBERG EBOOK NOTHING ***

Small print!
"""
SENTENCES = [
    *("chapter i", "missus grey a widow met doctor fell whom she did not like", "why not", "asked mister pym"),
    *("nobody knew", "not even he", "she kept two cats"),
]


def test_a_book_is_its_sentences():
    assert [*split_sentences(BOOK)] == SENTENCES
    assert [*split_sentences("")] == [*split_sentences("1, 2, 3.")] == []


@pytest.mark.parametrize("name", ["book.txt", "book.txt.gz"])
def test_files_may_be_compressed(tmp_path, name):
    content = BOOK.encode("utf-8-sig")
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert [*read_sentences(tmp_path / name)] == SENTENCES


@pytest.mark.parametrize("name", ["book.txt", "book.txt.gz"])
def test_a_file_that_is_no_text_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"\xff\xfe\x00 no text")
    with pytest.raises(ValueError, match=rf"{name}: must be a text in UTF-8"):
        read_sentences(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_sentences(tmp_path / "none.txt")
