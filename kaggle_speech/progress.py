"""Progress bars and notes on standard error, and the one switch that turns them off."""

import sys
import typing
from collections.abc import Iterable

if typing.TYPE_CHECKING:
    from tqdm import tqdm

_is_quiet = False


def set_quiet(quiet: bool) -> None:
    """Turn all bars and notes of this process off (True) or on (False).

    Args:
        quiet: True turns them off.
    """
    global _is_quiet
    _is_quiet = quiet


def progress_bar(iterable: Iterable | None = None, *, progress: bool = True, **options: typing.Any) -> "tqdm":
    """A bar over an iterable, or one that is moved by `update`.

    Args:
        iterable: passed through.
        progress: False shows nothing.
        options: of tqdm, such as `desc, total, unit`.
    """
    from tqdm import tqdm  # takes longer to import than a wrong argument may take to answer

    # A log file gets a line now and then, a person sees the bar move.
    is_watched = "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
    is_off = _is_quiet or not progress or sys.stderr is None
    return tqdm(iterable, disable=is_off, mininterval=0.2 if is_watched else 10, **options)


def note(text: str) -> None:
    """Print a line on standard error that a user may want to read and no program needs.

    Args:
        text: the line.
    """
    if not _is_quiet and sys.stderr is not None:
        print(text, file=sys.stderr)
