"""Start of the live window, or a picture of it without a screen."""

import os
import signal
from pathlib import Path

from PIL import Image
from PySide6 import QtCore, QtGui, QtWidgets

from kaggle_speech.streaming.app import theme
from kaggle_speech.streaming.app.window import LiveWindow
from kaggle_speech.streaming.words import StreamingRecogniser

#: Time from a detection to its picture, so that the glow of its panel is seen.
PICTURE_DELAY_MS = 150


def application() -> QtWidgets.QApplication:
    """The `QApplication` of this process, in the style of the window."""
    running = QtWidgets.QApplication.instance()
    if not isinstance(running, QtWidgets.QApplication):
        running = QtWidgets.QApplication(["kaggle_speech"])
    theme.apply_theme(running)
    return running


def run(
    recogniser: StreamingRecogniser,
    path: Path | str | None = None,
    picture_path: Path | str | None = None,
    name: str = "",
) -> None:
    """Open the window, or save a picture of it.

    Args:
        recogniser: the recogniser.
        path: audio file to play; None for a microphone. A picture needs one.
        picture_path: PNG to write instead of opening a window; None opens the window.
        name: name of the model and of what runs it, for the title.

    Raises:
        ValueError, OSError: the file cannot be played, or the picture cannot be written.
    """
    if picture_path is None:
        open_window(recogniser, path, name)
    elif path is None:
        raise ValueError(f"`path` must name an audio file for a picture. Received: picture_path={picture_path} alone")
    else:
        save_picture(recogniser, path, picture_path, name)


def open_window(recogniser: StreamingRecogniser, path: Path | str | None = None, name: str = "") -> None:
    """Show the window until it is closed.

    Args:
        recogniser: the recogniser; the window has it to itself.
        path: audio file that is played at once; None for a microphone.
        name: name of the model and of what runs it, for the title.
    """
    running = application()
    window = LiveWindow(recogniser, path, name)
    handler = signal.signal(signal.SIGINT, lambda *_: window.close())
    window.show()
    if path is not None:
        window.start()
    try:
        running.exec()
    finally:
        signal.signal(signal.SIGINT, handler)


def save_picture(recogniser: StreamingRecogniser, path: Path | str, picture_path: Path | str, name: str = "") -> None:
    """Play a file to its end in an invisible window, and save its look after the last word, in 256 colours.

    Args:
        recogniser: the recogniser.
        path: audio file.
        picture_path: PNG to write.
        name: name of the model and of what runs it, for the title.

    Raises:
        ValueError, OSError: the file cannot be played, or the picture cannot be written.
    """
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    running = application()
    window = LiveWindow(recogniser, path, name)
    pictures: list[QtGui.QImage] = []

    def grab():
        pictures[:] = [window.grab().toImage()]

    window.detected.connect(lambda _: QtCore.QTimer.singleShot(PICTURE_DELAY_MS, grab))
    window.ended.connect(lambda: QtCore.QTimer.singleShot(2 * PICTURE_DELAY_MS, running.quit))
    window.show()
    window.start()
    if not window.is_running:
        raise ValueError(window.message.text())
    running.exec()
    window.close()
    if window.runner is not None and window.runner.error is not None:
        raise window.runner.error
    if not pictures:
        grab()
    if not pictures[0].save(str(picture_path)):
        raise OSError(f"{picture_path}: must be a PNG that can be written. Received: a picture that could not be")
    with Image.open(picture_path) as picture:
        few = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    few.save(picture_path, "PNG", optimize=True)
