"""`kaggle-speech COMMAND`: the commands, their help and their errors.

Only the module of the chosen command is imported, so that `--help` takes a fifth of a second.
"""

import argparse
import dis
import importlib
import os
import sys
import typing
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import kaggle_speech
from kaggle_speech import progress
from kaggle_speech.cli.parser import GENERAL_OPTIONS, CommandParser, best_match, program_name

DESCRIPTION = """\
Recognise spoken commands (yes no up down left right on off stop go) and sentences,
train networks that do so, and make submissions for Kaggle's TensorFlow Speech Recognition Challenge."""

#: Group -> its module in this package, and its commands with their summaries.
GROUPS = {
    "Recognise": (
        "recognise",
        {
            "predict": "label of each audio file, with its confidence",
            "listen": "commands in running sound: microphone, file or pipe",
            "live": "the same in a window",
            "transcribe": "text of audio files or of a microphone",
            "enroll": "add a word of your own, from a few recordings",
        },
    ),
    "Data": (
        "data",
        {
            "prepare": "find, download and extract the recordings",
            "sample": "render a small stand-in data set, offline",
            "sentences": "render spoken sentences with their transcripts, offline",
        },
    ),
    "Train": (
        "train",
        {
            "train": "train a model of the commands",
            "train-transcriber": "train a model that makes transcripts",
            "train-language-model": "count which words follow which in texts, for transcripts",
            "compare": "train several models with several seeds into one table",
            "ablate": "train a model without one part of its recipe at a time",
            "models": "list the models that come with the package, or the architectures",
        },
    ),
    "Evaluate": (
        "evaluate",
        {
            "evaluate": "accuracy on validation speakers, in noise and shifted: a report",
            "threshold": "choose the score under which a command becomes `unknown`",
            "stream-evaluate": "words found, false alarms and latency in running sound",
            "mine": "seconds of running speech that a model takes for a command",
            "evaluate-transcriber": "wrong words and characters of transcripts",
        },
    ),
    "Submit": (
        "submit",
        {
            "submit": "answer the test clips: a checked CSV",
            "probabilities": "write the probabilities of the test or validation clips",
            "merge": "make one probability file of its shards",
            "blend": "average the probability files of several models",
            "pseudo": "label test clips that models agree on, to train on",
            "diff": "count the answers that differ between two submissions",
        },
    ),
    "Share": (
        "share",
        {
            "export": "write a model for other runtimes, compared with the original",
            "publish": "copy a finished model, with a card, to hand it on",
            "page": "write a web page that recognises in any browser, without an install",
        },
    ),
}
MODULES = {command: module for module, commands in GROUPS.values() for command in commands}
EXAMPLES = ("predict yes.wav", "listen", "transcribe speech.flac", "train --data DIR --out runs/mine")


class _MainParser(argparse.ArgumentParser):
    """Parser of all commands, whose help is a table of them.

    Attributes:
        commands: name -> `CommandParser`.
    """

    commands: dict[str, CommandParser]

    def format_help(self) -> str:
        lines = [f"usage: {self.prog} COMMAND [options]", "", DESCRIPTION, ""]
        width = max(map(len, MODULES)) + 2
        for group, (_, commands) in GROUPS.items():
            lines += [group, *(f"  {command:{width}}{summary}" for command, summary in commands.items()), ""]
        lines += [
            "Options",
            f"  {'-h, --help':{width}}show this help, or after a command that of the command",
            f"  {'--version':{width}}show the version",
            *(f"  {', '.join(flags):{width}}{text}" for flags, text in GENERAL_OPTIONS.items()),
            "",
            "Examples",
            *(f"  {self.prog} {example}" for example in EXAMPLES),
        ]
        return "\n".join(lines) + "\n"

    def error(self, message: str) -> typing.NoReturn:
        self.exit(2, f"error: {message}\nSee `{self.prog} --help`.\n")


def build_parser(modules: Iterable[str] | None = None) -> _MainParser:
    """Parser of the commands.

    Args:
        modules: names of the modules whose commands are added; None for all.
    """
    parser = _MainParser(prog=program_name(), allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"kaggle_speech {kaggle_speech.__version__}")
    for flags in GENERAL_OPTIONS:
        parser.add_argument(*flags, action="store_true")
    subparsers = parser.add_subparsers(dest="command", required=True, parser_class=CommandParser)
    for module in dict.fromkeys(MODULES.values()) if modules is None else modules:
        importlib.import_module(f"kaggle_speech.cli.{module}").register(subparsers)
    parser.commands = subparsers.choices
    for command in parser.commands.values():
        command.add_general_options()
    return parser


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The parsed arguments; wrong ones end the process with status 2."""
    command = next((argument for argument in arguments if not argument.startswith("-")), None)
    parser = build_parser([MODULES[command]] if command in MODULES else [])
    if not arguments:
        parser.exit(2, parser.format_help())
    if command in MODULES:
        parser.commands[command].check_options(arguments[arguments.index(command) + 1 :])
    elif command is not None:
        parser.error(f"there is no command `{command}`.{best_match(command, MODULES)}")
    return parser.parse_args(arguments)


def _is_of_the_user(error: Exception) -> bool:
    """Whether the user can mend an error: a file, a missing package, or a check of this package.

    A check is a `raise` statement of this package; the same class of error from anywhere else is a bug.
    """
    if isinstance(error, (OSError, ImportError)):
        return True
    # TensorFlow's errors on files are recognised by name: it may not have been imported.
    if any(base.__name__ == "OpError" for base in type(error).__mro__):
        return True
    origin = error.__traceback__
    while origin is not None and origin.tb_next is not None:
        origin = origin.tb_next
    if origin is None or not isinstance(error, (ValueError, RuntimeError)):
        return False
    code = origin.tb_frame.f_code
    return _is_of_this_package(code.co_filename) and code.co_code[origin.tb_lasti] == dis.opmap["RAISE_VARARGS"]


def _is_of_this_package(path: str) -> bool:
    return Path(path).is_relative_to(Path(kaggle_speech.__file__).parent)


def _message(error: Exception) -> str:
    """Message of an error that the user can mend: one line, or a line for each file."""
    if isinstance(error, ModuleNotFoundError) and error.name and str(error) == f"No module named {error.name!r}":
        package = error.name.partition(".")[0]
        return f'the package {package} is not installed; `pip install "kaggle_speech[all]"` brings all there are'
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _show_warning(message, category, filename, lineno, file=None, line=None):
    """Show a warning of this package as a note; those of other packages are hidden."""
    if _is_of_this_package(filename):
        progress.note(f"note: {message}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    An error that the user can mend is one line on standard error; a bug keeps its traceback.

    Args:
        arguments: words of the command line; None for those of the process.

    Returns:
        Exit status: 0, or 1 after an error; 130 after Ctrl+C; 141 where the reader of the output has gone (`| head`).

    Raises:
        SystemExit: after `--help` and `--version` (0), and where the arguments are wrong (2).
    """
    if sys.stderr is None:  # closed by `2>&-`: Python would print errors to standard output
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    args = _parse(sys.argv[1:] if arguments is None else [*map(str, arguments)])
    progress.set_quiet(args.quiet)
    try:
        with warnings.catch_warnings():
            if not args.traceback:
                warnings.showwarning = _show_warning
            args.function(args)
            sys.stdout.flush()
    except BrokenPipeError:
        # Else the interpreter would complain when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if args.traceback or not _is_of_the_user(error):
            raise
        print(f"error: {_message(error)}", file=sys.stderr)
        return 1
    finally:
        progress.set_quiet(False)
    return 0
