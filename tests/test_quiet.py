"""quiet.py: what is dropped, what is shown after all, and what else stays as it was. In processes of their own."""

import subprocess
import sys

import pytest


def run(code, shell=""):
    """Output of Python code."""
    command = [sys.executable, "-c", code]
    if shell:
        command = ["sh", "-c", f'exec "$0" "$@" {shell}', *command]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


NOISE = "import os, sys; from kaggle_speech.quiet import quiet_stderr\n"


def test_messages_of_c_and_python_are_dropped_and_later_ones_are_not():
    done = run(NOISE + "with quiet_stderr(): os.write(2, b'noise'); print('noise', file=sys.stderr)\nos.write(2, b'x')")
    assert (done.returncode, done.stderr) == (0, "x")


def test_messages_before_an_exception_are_shown():
    done = run(NOISE + "with quiet_stderr():\n  os.write(2, b'the reason'); raise ImportError('no such symbol')")
    assert done.returncode == 1
    assert done.stderr.startswith("the reason") and done.stderr.endswith("ImportError: no such symbol\n")


def test_a_closed_descriptor_is_no_error():
    done = run(NOISE + "with quiet_stderr(): print('said')", shell="2>&-")
    assert (done.returncode, done.stdout) == (0, "said\n")


def test_no_descriptor_is_left_open():
    code = "def count(): return len(os.listdir('/proc/self/fd'))\n"
    code += "before = count()\nfor _ in range(5):\n  with quiet_stderr(): pass\nassert count() == before"
    assert run(NOISE + code).returncode == 0


def test_tensorflow_starts_without_a_line():
    pytest.importorskip("tensorflow")
    code = "from kaggle_speech.quiet import import_tensorflow_quietly as start\n"
    done = run(code + "print(start().reduce_sum([1, 2]).numpy(), start() is start())")
    assert (done.returncode, done.stdout, done.stderr) == (0, "3 True\n", "")
