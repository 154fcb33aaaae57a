"""files.py: a file or folder is the old one or the new one, whoever else writes it and whatever is killed."""

import subprocess
import sys
import threading
import time

import pytest

from kaggle_speech import files

WRITER = """
import sys, time
from kaggle_speech.files import replace_file

def write(path):
    with path.open("w") as file:
        for _ in range(100):
            file.write(1000 * sys.argv[2])
            file.flush()

for _ in range(30):
    replace_file(sys.argv[1], write)
"""
KILLED_WRITER = """
import os, signal, sys
from kaggle_speech.files import replace_file

def write(path):
    path.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

replace_file(sys.argv[1], write)
"""


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_of_two_processes_that_write_a_file_one_wins(tmp_path):
    path = tmp_path / "file.txt"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), letter]) for letter in "ab"]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    assert path.read_text() in (100_000 * "a", 100_000 * "b")
    assert names_in(tmp_path) == ["file.txt"]


@pytest.mark.parametrize("is_folder", [False, True])
def test_of_two_threads_that_write_at_once_one_wins(tmp_path, is_folder):
    path, both_have_begun = tmp_path / "result", threading.Barrier(2, timeout=60)

    def replace(content):
        def write(new_path):
            if is_folder:
                new_path.mkdir()
            for name in ("first", "second"):
                with (new_path / name if is_folder else new_path).open("a") as file:
                    file.write(content)
                both_have_begun.wait()

        files.replace_file(path, write)

    threads = [threading.Thread(target=replace, args=(content,)) for content in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    found = "".join(part.read_text() for part in path.iterdir()) if is_folder else path.read_text()
    assert found in ("aa", "bb")
    assert names_in(tmp_path) == ["result"]


def test_a_folder_is_replaced_when_the_new_one_is_whole(tmp_path):
    def write(content, error=None):
        def fill(folder):
            folder.mkdir()
            (folder / content).touch()
            if error:
                raise error

        return fill

    files.replace_file(tmp_path / "folder", write("old"))
    with pytest.raises(KeyboardInterrupt):
        files.replace_file(tmp_path / "folder", write("half", KeyboardInterrupt()))
    assert names_in(tmp_path) == ["folder"] and names_in(tmp_path / "folder") == ["old"]
    files.replace_file(tmp_path / "folder", write("new"))
    assert names_in(tmp_path) == ["folder"] and names_in(tmp_path / "folder") == ["new"]


def test_a_folder_comes_back_where_the_new_one_cannot_be_moved(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").touch()
    rename = files.Path.rename

    def refuse(path, target):
        if path.name.startswith("partial."):
            raise PermissionError("in use")
        return rename(path, target)

    monkeypatch.setattr(files.Path, "rename", refuse)
    with pytest.raises(PermissionError):
        files.replace_file(tmp_path / "folder", lambda path: path.mkdir())
    assert names_in(tmp_path) == ["folder"] and names_in(tmp_path / "folder") == ["old"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is known of other processes")
def test_only_what_dead_processes_left_is_removed(tmp_path):
    path = tmp_path / "file.txt"
    assert subprocess.run([sys.executable, "-c", KILLED_WRITER, str(path)]).returncode < 0
    assert len(names_in(tmp_path)) == 1
    with files.partial_path(tmp_path / "other.txt") as partial_path:
        partial_path.write_text("in work")
        (tmp_path / "partial.00000000-1-00000000.x").touch()  # of another machine
        subprocess.run([sys.executable, "-c", WRITER, str(path), "a"], check=True)
        assert names_in(tmp_path) == sorted(["file.txt", partial_path.name, "partial.00000000-1-00000000.x"])


def test_the_current_folder_is_not_replaced(tmp_path, monkeypatch):
    """Shells in it would be nowhere."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="`out_dir` must not be the current folder"):
        files.make_folder(".", "settings.json", {"made_by": "test"}, lambda folder: None)
    assert files.make_folder("new", "settings.json", {"made_by": "test"}, lambda folder: None) == tmp_path / "new"
    monkeypatch.chdir(tmp_path / "new")
    assert files.make_folder(".", "settings.json", {"made_by": "test"}, lambda folder: None) == tmp_path / "new"


def test_who_waits_for_another_process_says_so(tmp_path, capsys):
    pytest.importorskip("filelock")
    path, ended = tmp_path / "run", threading.Event()

    def wait_and_end():
        with files.one_at_a_time(path):
            ended.set()

    thread, said, deadline = threading.Thread(target=wait_and_end), "", time.monotonic() + 60
    with files.one_at_a_time(path):
        thread.start()
        while not said and time.monotonic() < deadline:
            time.sleep(0.05)
            said = capsys.readouterr().err
        assert not ended.is_set()
    thread.join(timeout=60)
    assert ended.is_set() and said == f"{path}: another process writes it; waiting until it ends\n"
    with files.one_at_a_time(path):
        pass
    assert capsys.readouterr().err == ""
