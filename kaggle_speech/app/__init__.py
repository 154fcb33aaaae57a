"""The live window: what a microphone or a file says, as it is said. Needs PySide6 (the extra `live`).

`theme` holds colours and style, `widgets` the big word and the bars, `strip` the sound,
`log` the table of what was heard, `window` puts them together. Importing this imports no Qt.
"""

import importlib.util
import os
import sys

#: What Qt needs from a Linux system and does not bring along.
SYSTEM_LIBRARIES = "libegl1 libgl1 libxkbcommon0 libfontconfig1 libdbus-1-3 libxcb-cursor0"


def require_qt():
    """Import Qt, or say what is missing.

    Raises:
        ImportError: PySide6, or a library of the system that it needs, is not installed.
    """
    if importlib.util.find_spec("PySide6") is None:
        raise ImportError('the window needs PySide6: `pip install "kaggle_speech[live]"`')
    try:
        import PySide6.QtWidgets  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "PySide6 is there, but a library of the system that it needs is not "
            f"(on Debian and Ubuntu: `apt install {SYSTEM_LIBRARIES}`). Received: {error}"
        ) from error


def require_display():
    """Say that there is no screen before Qt does, which ends the process.

    Raises:
        RuntimeError: Linux, without X11 and Wayland, and Qt is not told to draw elsewhere.
    """
    places = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in places):
        raise RuntimeError(
            f"a window needs a screen; `--picture` needs none. Received: none of {', '.join(places)} is set"
        )
