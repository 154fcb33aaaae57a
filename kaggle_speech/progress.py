"""Progress bars: tqdm's in a terminal and in a notebook, none where tqdm is not installed."""

import sys

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None


class _NoBar:
    """What stands in for a bar: passes on what it iterates over, and ignores the rest."""

    def __init__(self, iterable):
        self.iterable = iterable

    def __iter__(self):
        return iter(self.iterable)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def update(self, count=1):
        pass

    def set_postfix(self, **shown):
        pass

    def close(self):
        pass


def progress_bar(iterable=None, *, progress=True, **options):
    """A bar over an iterable, or one that is moved by `update`.

    Args:
        iterable: passed through.
        progress: False shows nothing.
        options: of tqdm, such as `desc, total, unit`.
    """
    if tqdm is None:
        return _NoBar(iterable)
    # A log file gets a line now and then, a person sees the bar move.
    is_watched = sys.stderr.isatty() or "ipykernel" in sys.modules
    return tqdm(iterable, disable=not progress, mininterval=0.2 if is_watched else 10, **options)
