"""Rows of results as TSV, CSV or JSON, to standard output or a file."""

import argparse
import contextlib
import csv
import io
import json
import sys
import typing
from collections.abc import Iterator


def add_rows(parser: argparse.ArgumentParser, *more: tuple[str, str]) -> None:
    """Add `--format` and `--output`.

    Args:
        parser: parser of the command.
        more: further formats, which the command writes itself, each with its help.
    """
    texts = {"tsv": "no header", "csv": "with a header", "json": "a list of objects", **dict(more)}
    parser.add_argument(
        "--format", choices=[*texts], default="tsv", help=", ".join(f"{name} ({text})" for name, text in texts.items())
    )
    parser.add_argument("--output", metavar="FILE", help="file to write to; default: standard output")


class Rows:
    """Writer of rows, flushed after each row.

    Args:
        columns: name -> number of decimals, None for text.
        file_format: `csv`, `json`, or another one for columns between tabs.
        file: text file to write to.
    """

    def __init__(self, columns: dict[str, int | None], file_format: str, file: typing.TextIO):
        self.columns = columns
        self.format = file_format
        self.file = file
        self.num_rows = 0
        if self.format == "csv":
            self._write(_delimited(columns, ",") + "\n")
        elif self.format == "json":
            self._write("[")

    def write(self, *values: typing.Any) -> None:
        """Write a row.

        Args:
            values: one for each column.
        """
        cells = list(zip(self.columns.items(), values, strict=True))
        if self.format == "json":
            row = {name: value if decimals is None else round(value, decimals) for (name, decimals), value in cells}
            self._write((",\n " if self.num_rows else "\n ") + json.dumps(row))
        else:
            texts = [str(value) if decimals is None else f"{value:.{decimals}f}" for (_, decimals), value in cells]
            self._write(_delimited(texts, "," if self.format == "csv" else "\t") + "\n")
        self.num_rows += 1

    def finish(self) -> None:
        """Write the end of the file."""
        if self.format == "json":
            self._write("\n]\n")

    def _write(self, text):
        self.file.write(text)
        self.file.flush()


@contextlib.contextmanager
def open_output(args: argparse.Namespace) -> Iterator[typing.TextIO]:
    """Open the file of the arguments of `add_rows`, or standard output.

    Args:
        args: parsed arguments of the command.
    """
    if args.output is None:
        yield sys.stdout
        return
    # Names of files may hold bytes that are no UTF-8.
    with open(args.output, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        yield file


@contextlib.contextmanager
def open_rows(columns: dict[str, int | None], args: argparse.Namespace) -> Iterator[Rows]:
    """Open rows in the format and the file of the arguments of `add_rows`; complete also after an error.

    Args:
        columns: name -> number of decimals, None for text.
        args: parsed arguments of the command.
    """
    with open_output(args) as file:
        rows = Rows(columns, args.format, file)
        try:
            yield rows
        finally:
            rows.finish()


def _delimited(texts, delimiter):
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, lineterminator="").writerow(texts)
    return line.getvalue()
