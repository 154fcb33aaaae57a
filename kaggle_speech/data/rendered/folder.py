"""Folders of rendered data: made whole or not at all, kept while their settings stay the same."""

import numbers
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kaggle_speech.files import make_folder


def render_folder(
    out_dir: Path | str,
    settings_name: str,
    settings: dict[str, Any],
    counts: dict[str, tuple[int, int, int]],
    seed: int,
    render: Callable[..., None],
) -> Path:
    """Check the arguments of a rendering, and fill a folder with it; a finished folder of the same settings is kept.

    Args:
        out_dir: folder to write; new, empty or of an earlier call.
        settings_name: name of the JSON file in it that records the settings.
        settings: `made_by` and `version`; counts and seed are added.
        counts: name of an argument -> its value, the lowest and the highest allowed one.
        seed: of all random choices, >= 0.
        render: function of the empty folder, of the counts and of `seed`, by name.

    Returns:
        The folder, as an absolute path.

    Raises:
        ValueError: a count or `seed` is not a whole number or out of range.
        FileExistsError: `out_dir` holds something else; nothing is touched.
    """
    for name, (count, lowest, highest) in counts.items():
        if not isinstance(count, numbers.Integral) or not lowest <= count <= highest:
            raise ValueError(f"`{name}` must be a whole number, {lowest} to {highest}. Received: {count!r}")
    if not isinstance(seed, numbers.Integral) or seed < 0:
        raise ValueError(f"`seed` must be a whole number >= 0. Received: {seed!r}")
    arguments = {name: int(count) for name, (count, _, _) in counts.items()} | {"seed": int(seed)}
    return make_folder(out_dir, settings_name, settings | arguments, lambda folder: render(folder, **arguments))
