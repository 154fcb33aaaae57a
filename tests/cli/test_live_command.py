"""`live` where Qt is not there: what it says."""

import builtins
import sys

from kaggle_speech.cli.parser import main


def test_without_pyside_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "PySide6", None)
    assert main(["live"]) == 1
    assert 'pip install "kaggle_speech[live]"' in capsys.readouterr().err


def test_without_the_systems_libraries_it_names_them(monkeypatch, capsys):
    load = builtins.__import__

    def without_egl(name, *args):
        if name.startswith("PySide6"):
            raise ImportError("libEGL.so.1: cannot open shared object file: No such file or directory")
        return load(name, *args)

    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr(builtins, "__import__", without_egl)
    assert main(["live"]) == 1
    error = capsys.readouterr().err
    assert "libEGL.so.1" in error and "apt install libegl1" in error
