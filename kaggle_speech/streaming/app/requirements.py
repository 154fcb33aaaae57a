"""Requirements of the live window: PySide6 and a screen."""

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path

#: Packages of Debian and Ubuntu that Qt needs and PySide6 does not contain.
SYSTEM_LIBRARIES = "libegl1 libgl1 libxkbcommon0 libfontconfig1 libdbus-1-3 libxcb-cursor0"


def require_qt() -> None:
    """Import Qt, or raise an error that names the missing part.

    Raises:
        ImportError: PySide6, or a library of the system that it needs, is not installed; or PySide6 is one that would
            end the process.
    """
    if importlib.util.find_spec("PySide6") is None:
        raise ImportError('the window needs PySide6: `pip install "kaggle_speech[live]"`')
    try:
        import PySide6.QtWidgets
    except ImportError as error:
        raise ImportError(
            "PySide6 is there, but a library of the system that it needs is not "
            f"(on Debian and Ubuntu: `apt install {SYSTEM_LIBRARIES}`). Received: {error}"
        ) from error
    if loses_references(lambda: PySide6.QtCore.QObject().setObjectName("a")):
        raise ImportError(
            f"PySide6 {PySide6.__version__} crashes Python {sys.version.split()[0]} within seconds: it drops references"
            ' to None. `pip install "PySide6-Essentials<6.12"`, or use Python 3.12'
        )


def loses_references(call: Callable[[], None], num_calls: int = 50) -> bool:
    """Whether a function that returns None drops one reference to None per call.

    PySide6 6.12 does, because it is compiled for Pythons (3.12 and later) that do not count references to None; Python
    3.11 crashes within seconds.

    Args:
        call: the function.
        num_calls: calls to make.
    """
    before = sys.getrefcount(None)
    for _ in range(num_calls):
        call()
    return sys.getrefcount(None) <= before - num_calls // 2


def require_screen(path: Path | str | None, picture_path: Path | str | None) -> None:
    """Check that there is a screen. Qt would end the process without one.

    Args:
        path: audio file to play, or None.
        picture_path: picture to make of it, which needs no screen, or None.

    Raises:
        ValueError: a picture without a file to play.
        RuntimeError: Linux, without X11 and Wayland, and QT_QPA_PLATFORM is not set.
    """
    places = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if picture_path is not None:
        if path is None:
            raise ValueError("`--picture` must come with `--file`, which is played for it. Received: no file")
    elif sys.platform.startswith("linux") and not any(os.environ.get(name) for name in places):
        raise RuntimeError(
            f"a window needs a screen; `--picture` needs none. Received: none of {', '.join(places)} is set"
        )
