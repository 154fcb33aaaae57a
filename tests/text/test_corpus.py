"""Sentences of texts, as they are read aloud."""

import gzip

import pytest

from kaggle_speech.text.corpus import books_of_tests, is_one_of, read_text, split_sentences

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


def test_a_long_title_may_wrap():
    title = "OF NOTHING, IN SIX VOLUMES, VOLUME I (OF\n6)"
    assert [*split_sentences(BOOK.replace("EBOOK NOTHING", f"EBOOK {title}"))] == SENTENCES


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["book.txt", "book.txt.gz"])
def test_files_may_be_compressed_and_of_windows(tmp_path, name, end):
    content = BOOK.replace("\n", end).encode("utf-8-sig")
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert [*split_sentences(read_text(tmp_path / name))] == SENTENCES


@pytest.mark.parametrize("name", ["book.txt", "book.txt.gz"])
def test_a_file_that_is_no_text_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"\xff\xfe\x00 no text")
    with pytest.raises(ValueError, match=rf"{name}: must be a text in UTF-8"):
        read_text(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "none.txt")


CHAPTERS = """; chapter_id | reader_id | duration | subset | project_id | book_id | chapter_title | project_title
1    | 19   | 12.51 | dev-clean        | 219  | 121   | Chapter 01 | Northanger Abbey (version 2)
2    | 19   | 12.51 | test-other       | 220  | 11    | 01 | Alice's Adventures in Wonderland
3    | 89   | 13.82 | train-clean-100  | 221  | 158   | Chapter 02 | Emma
"""


@pytest.mark.parametrize(
    ("text", "is_read"),
    [
        ("Title: Another name\n[EBook #121]", True),
        ("Title: Northanger Abbey, or: What Was Read\n[EBook #9]", True),
        ("Title: The Works of Jane Austen\n\nNORTHANGER ABBEY\n\nNo one", True),
        ("Title: Alice's Adventures in Wonderland", True),
        ("Title: Emma\n[EBook #158]\n\nShe had read Northanger Abbey.", False),
        ("Northanger Abbey was read to her.", False),
    ],
)
def test_books_that_the_tests_read_are_known(tmp_path, text, is_read):
    (tmp_path / "CHAPTERS.TXT").write_text(CHAPTERS)
    assert is_one_of(text, books_of_tests(tmp_path / "CHAPTERS.TXT")) == is_read


def test_another_list_of_chapters_is_refused(tmp_path):
    (tmp_path / "books.txt").write_text(CHAPTERS.replace("dev", "train").replace("test", "train"))
    with pytest.raises(ValueError, match=r"books\.txt: must be LibriSpeech's CHAPTERS\.TXT"):
        books_of_tests(tmp_path / "books.txt")
