"""Requirements of the live window: PySide6 and a screen."""

import importlib.util
import os
import sys

#: What Qt needs from a Linux system and does not bring along.
SYSTEM_LIBRARIES = "libegl1 libgl1 libxkbcommon0 libfontconfig1 libdbus-1-3 libxcb-cursor0"


def require_qt():
    """Import Qt, or say what is missing.

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
            f"PySide6 {PySide6.__version__} takes apart the None of Python {sys.version.split()[0]}, which ends the "
            'process after some seconds: `pip install "PySide6-Essentials<6.12"`, or take Python 3.12'
        )


def loses_references(call, num_calls=50):
    """Whether each call of a function that returns nothing takes one reference to None too many.

    PySide6 6.12 does, because it is compiled for Pythons (3.12 and later) whose None is not counted.
    """
    before = sys.getrefcount(None)
    for _ in range(num_calls):
        call()
    return sys.getrefcount(None) <= before - num_calls // 2


def require_screen(path, picture_path):
    """Say that there is no screen before Qt does, which would end the process.

    Args:
        path: audio file to play, or None.
        picture_path: picture to make of it, which needs no screen, or None.

    Raises:
        ValueError: a picture is wanted, but of no file.
        RuntimeError: Linux, without X11 and Wayland, and Qt is not told to draw elsewhere.
    """
    places = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if picture_path is not None:
        if path is None:
            raise ValueError("`--picture` must come with `--file`, which is played for it. Received: no file")
    elif sys.platform.startswith("linux") and not any(os.environ.get(name) for name in places):
        raise RuntimeError(
            f"a window needs a screen; `--picture` needs none. Received: none of {', '.join(places)} is set"
        )
