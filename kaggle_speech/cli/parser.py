"""Parser of one command: its help, its errors, and the arguments that several commands share."""

import argparse
import difflib
import inspect
import sys
import typing
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

#: Options of every command, with their help.
GENERAL_OPTIONS = {
    ("-q", "--quiet"): "show no progress bars and no notes",
    ("--traceback",): "show where in the program an error comes from",
}


def program_name() -> str:
    """Name of the program, as the user started it."""
    return "python -m kaggle_speech" if Path(sys.argv[0]).name == "__main__.py" else "kaggle-speech"


def best_match(word: str, candidates: Iterable[str]) -> str:
    """Question for the likely spelling of a word, with a space before; an empty string without a candidate.

    Examples:
        >>> best_match("predct", ["predict", "train"])
        ' Did you mean `predict`?'
    """
    matches = difflib.get_close_matches(word, list(candidates), n=1)
    return f" Did you mean `{matches[0]}`?" if matches else ""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help formatter that shows defaults, and required arguments only in the usage line."""

    def _get_help_string(self, action):
        if action.default in (None, False, argparse.SUPPRESS) or action.default in ([], ()):
            return action.help
        values = action.default if isinstance(action.default, (list, tuple)) else [action.default]
        return f"{action.help}; default: {' '.join(map(str, values))}"

    def _format_usage(self, usage, actions, groups, prefix):
        required = [action for action in actions if action.required or not action.option_strings]
        text = super()._format_usage(usage, required, [], prefix)
        return text.replace(self._prog, f"{self._prog} [options]", 1)


class CommandParser(argparse.ArgumentParser):
    """Parser of one command."""

    def __init__(self, **options):
        super().__init__(formatter_class=_Formatter, allow_abbrev=False, **options)

    def add_general_options(self) -> None:
        """Add the options that all commands share; called after the options of the command."""
        group = self.add_argument_group("general options")
        for flags, text in GENERAL_OPTIONS.items():
            group.add_argument(*flags, action="store_true", default=argparse.SUPPRESS, help=text)

    def check_options(self, arguments: Sequence[str]) -> None:
        """End the process at an unknown option, before argparse reports missing ones.

        Args:
            arguments: words after the name of the command."""
        known = self._option_string_actions
        for argument in arguments:
            option = argument.partition("=")[0]
            if option == "--":
                return
            if option.startswith("--") and option not in known:
                self.error(f"there is no option `{option}`.{best_match(option, known)}")

    def error(self, message: str) -> typing.NoReturn:
        self.exit(2, f"error: {message}\nSee `{self.prog} --help`.\n")


def add_command(
    subparsers: argparse._SubParsersAction,
    function: Callable[[argparse.Namespace], None],
    *examples: str,
) -> CommandParser:
    """Add the parser of a command, still without arguments of its own.

    Args:
        subparsers: subparsers of the parser of all commands.
        function: runs the command; its name, with dashes, is that of the command, its docstring the description.
        examples: arguments after the name of the command.
    """
    name = function.__name__.replace("_", "-")
    lines = [f"  {program_name()} {name} {example}".rstrip() for example in examples]
    parser = subparsers.add_parser(name, description=inspect.getdoc(function), epilog="\n".join(["examples:", *lines]))
    parser.set_defaults(function=function, parser=parser)
    return parser


def above_zero(number_type: type) -> Callable[[str], float]:
    """A parser of numbers above zero."""

    def parse(text: str) -> float:
        try:
            number = number_type(text)
        except ValueError:
            kind = "a whole number" if number_type is int else "a number"
            raise argparse.ArgumentTypeError(f"must be {kind}. Received: {text}") from None
        if not number > 0:
            raise argparse.ArgumentTypeError(f"must be above 0. Received: {text}")
        return number

    return parse


def rejection_threshold(text: str) -> float:
    """A number, or `none`: minus infinity, which rejects nothing."""
    try:
        return float("-inf") if text == "none" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number or `none`. Received: {text}") from None


def add_model(parser: argparse.ArgumentParser, default: str = "bc_resnet", *, engine: bool = True) -> None:
    """Add `--model`, also known as `--run` and `--onnx`, and `--engine`."""
    parser.add_argument(
        "--model",
        "--run",
        "--onnx",
        default=default,
        metavar="MODEL",
        help="name of a model of the package (see `models`), folder of a finished training, or .onnx file",
    )
    if engine:
        from kaggle_speech.inference.load import ENGINES  # needs NumPy, which `--help` of all commands does not

        parser.add_argument(
            "--engine",
            choices=ENGINES,
            help="inference engine; default: onnxruntime, or keras where there is no exported file",
        )


def add_in_sentences(parser: argparse.ArgumentParser) -> None:
    """Add `--in-sentences`."""
    parser.add_argument(
        "--in-sentences",
        action="store_true",
        help="report commands within sentences, too; default: those that are spoken alone, with quiet around them",
    )


def add_stream_options(parser: argparse.ArgumentParser) -> None:
    """Add `--threshold` of a stream, `--in-sentences` and `--events`, which `stream_options` reads."""
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="NUMBER",
        help="lowest smoothed score of a detection, 0.10 to 0.99; default: 0.80",
    )
    add_in_sentences(parser)
    parser.add_argument(
        "--events",
        nargs="+",
        metavar="WORD",
        help="words to report, of those that the model answers; default: the ten commands and the words of `enroll`",
    )


def stream_options(args: argparse.Namespace) -> dict[str, typing.Any]:
    """Arguments of `Recogniser.stream`, from those of `add_stream_options`."""
    return {"threshold": args.threshold, "in_sentences": args.in_sentences, "events": args.events}


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add `--run`, which is required."""
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="folder of a finished training")


def add_data(parser: argparse.ArgumentParser, *, or_listing: bool = False) -> None:
    """Add `--data`, a folder of clips.

    Args:
        parser: parser of the command.
        or_listing: whether it may also be a listing of clips (`cluster.addresses`).
    """
    listing = "; or CSV (column path), tar shards, Parquet, also at an address such as s3://clips" if or_listing else ""
    default = "default: KAGGLE_SPEECH_DATA, a Kaggle kernel's input, or ./data"
    parser.add_argument("--data", metavar="DIR", help=f"folder of clips or archives{listing}; {default}")


def add_ray(parser: argparse.ArgumentParser) -> None:
    """Add `--ray`."""
    parser.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="spread the work over a Ray cluster: host:port, auto or local; without an address "
        "RAY_ADDRESS, else this machine",
    )


def add_speech(parser: argparse.ArgumentParser) -> None:
    """Add `--data`, recordings with transcripts."""
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="folder in LibriSpeech's layout, or a CSV with the columns path, text, speaker; "
        "default: LibriSpeech in KAGGLE_SPEECH_DATA or in ./data",
    )


def new_file(name: str) -> Path:
    """Path of a file that a command is to write and that is not there yet; its folder is made.

    Raises:
        ValueError: something is there; names it.
    """
    path = Path(name)
    if path.exists():
        raise ValueError(f"{path}: must be a new file, so that no older one is lost. Received: one that is there")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def add_beam_width(parser: argparse.ArgumentParser, more: str = "") -> None:
    """Add `--beam-width`; `more` is said of it. The default is `decoders.BEAM_WIDTH`, which NumPy comes with."""
    parser.add_argument(
        "--beam-width", type=above_zero(int), default=64, metavar="N", help=f"hypotheses that are kept{more}"
    )


def add_language_model(parser: argparse.ArgumentParser) -> None:
    """Add `--language-model`."""
    parser.add_argument(
        "--language-model",
        metavar="ARPA",
        help="word n-gram model, .arpa or .arpa.gz (see `train-language-model`); default: that beside the model",
    )


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Add `--seed`."""
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same result")


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Add `--overwrite`."""
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="set aside what is of another recipe, model or folder of clips: it is renamed, not removed",
    )
