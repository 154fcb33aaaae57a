"""Open the window, or make a picture of it without a screen."""

import os
import signal

from PIL import Image
from PySide6 import QtCore, QtWidgets

from kaggle_speech.streaming.app import theme
from kaggle_speech.streaming.app.window import LiveWindow

#: After a detection, so that the glow of its panel is seen.
PICTURE_DELAY_MS = 150


def application():
    """The one `QApplication` of this process, dressed."""
    found = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["kaggle_speech"])
    theme.dress(found)
    return found


def run(recogniser, path=None, picture_path=None):
    """`open_window`, or `save_picture` where there is a path for it."""
    if picture_path is None:
        open_window(recogniser, path)
    else:
        save_picture(recogniser, path, picture_path)


def open_window(recogniser, path=None):
    """Show the window until it is closed. Args: as `LiveWindow`; a file is played at once."""
    running, window = application(), LiveWindow(recogniser, path)
    before = signal.signal(signal.SIGINT, lambda *_: window.close())
    window.show()
    if path is not None:
        window.start()
    try:
        running.exec()
    finally:
        signal.signal(signal.SIGINT, before)


def save_picture(recogniser, path, picture_path):
    """Play a file to its end in a window that nobody sees, and save how it looked after the last word, in 256 colours.

    Args:
        recogniser: `streaming.StreamingRecogniser`.
        path: audio file.
        picture_path: PNG to write.

    Raises:
        ValueError, OSError: the file cannot be played, or the picture not be written.
    """
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    running, window = application(), LiveWindow(recogniser, path)
    pictures = []

    def grab():
        pictures[:] = [window.grab().toImage()]

    window.heard.connect(lambda _: QtCore.QTimer.singleShot(PICTURE_DELAY_MS, grab))
    window.ended.connect(lambda: QtCore.QTimer.singleShot(2 * PICTURE_DELAY_MS, running.quit))
    window.show()
    window.start()
    if not window.is_running:
        raise ValueError(window.message.text())
    running.exec()
    window.close()
    if window.live.error is not None:
        raise window.live.error
    if not pictures:
        grab()
    if not pictures[0].save(str(picture_path)):
        raise OSError(f"{picture_path}: must be a PNG that can be written. Received: a picture that could not be")
    with Image.open(picture_path) as picture:
        few = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    few.save(picture_path, "PNG", optimize=True)
