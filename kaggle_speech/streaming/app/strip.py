"""Strip with the last three seconds of sound: waveform, spectrogram, and the detections in them."""

import functools
from collections.abc import Iterable

import numpy as np
from PySide6 import QtCore, QtGui, QtWidgets

from kaggle_speech.audio import SAMPLE_RATE
from kaggle_speech.features.filters import hz_to_mel, log_mel_levels
from kaggle_speech.streaming.app import palette
from kaggle_speech.streaming.app.palette import MIN_PEAK, MIN_TOP_DB, RANGE_DB, SPEC, TICKS_HZ
from kaggle_speech.streaming.chunks import BUFFER_SAMPLES
from kaggle_speech.streaming.words import Detection

DURATION_S = BUFFER_SAMPLES / SAMPLE_RATE
MARGIN = 52  # pixels on the left, for the frequencies


def envelope(waveform: np.ndarray, num_columns: int) -> np.ndarray:
    """Lowest and highest sample of each column. Shape: `(samples,)` -> `(num_columns, 2)`."""
    starts = np.linspace(0, len(waveform), num_columns, endpoint=False).astype(int)
    return np.stack([np.minimum.reduceat(waveform, starts), np.maximum.reduceat(waveform, starts)], axis=1)


@functools.cache
def _color_table() -> list[int]:
    """256 colours of Qt, dark to bright."""
    stops = np.array([[*bytes.fromhex(color[1:])] for color in palette.SPECTROGRAM_COLORS])
    places = np.linspace(0, 255, len(stops))
    colors = np.stack([np.interp(np.arange(256), places, part) for part in stops.T], axis=1).round().astype(int)
    return [QtGui.qRgb(*map(int, color)) for color in colors]


def spectrogram_image(waveform: np.ndarray) -> QtGui.QImage:
    """Spectrogram as a picture: time to the right, frequency up. Shape: `(samples,)` -> QImage `(frames, mel bins)`."""
    levels = log_mel_levels(waveform, SPEC, range_db=RANGE_DB, min_top_db=MIN_TOP_DB)
    levels = np.ascontiguousarray(np.flipud(np.round(255 * levels).astype("uint8").T))
    height, width = levels.shape
    image = QtGui.QImage(levels.data, width, height, width, QtGui.QImage.Format.Format_Indexed8)
    image.setColorTable(_color_table())
    return image.convertToFormat(QtGui.QImage.Format.Format_RGB32)  # a copy: the array goes away


class SoundStrip(QtWidgets.QWidget):
    """Strip of a waveform over its spectrogram; the right edge is the present."""

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumHeight(170)
        self.setAccessibleName("the last three seconds, waveform and spectrogram")
        self.show_sound(np.zeros(BUFFER_SAMPLES, "float32"), 0.0, [])

    def show_sound(self, waveform: np.ndarray, time_s: float, detections: Iterable[Detection]) -> None:
        """Draw a waveform and the detections in it.

        Args:
            waveform: `(BUFFER_SAMPLES,)`.
            time_s: end of the waveform, in seconds of the stream.
            detections: those outside of the waveform are left out.
        """
        self.waveform = waveform
        self.time_s = time_s
        self.detections = [detection for detection in detections if time_s - DURATION_S <= detection.time_s <= time_s]
        self.image = spectrogram_image(waveform)
        self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QtGui.QPainter.RenderHint.SmoothPixmapTransform)
        width = self.width() - MARGIN
        bottom = self.height() - 20
        split = 20 + 0.36 * (bottom - 20)
        wave = QtCore.QRectF(MARGIN, 20, width, split - 20)
        self._draw_waveform(painter, wave)
        picture = QtCore.QRectF(MARGIN, split + 6, width, bottom - split - 6)
        painter.drawImage(picture, self.image)
        self._draw_axes(painter, picture)
        self._draw_detections(painter, QtCore.QRectF(MARGIN, 0, width, bottom))

    def _draw_waveform(self, painter, area):
        painter.setPen(QtGui.QPen(QtGui.QColor(palette.BORDER), 1))
        middle = area.center().y()
        painter.drawLine(QtCore.QPointF(area.left(), middle), QtCore.QPointF(area.right(), middle))
        num_columns = max(2, int(area.width()))
        scale = area.height() / 2 / max(MIN_PEAK, float(np.abs(self.waveform).max()))
        ends = middle - scale * envelope(self.waveform, num_columns)
        painter.setPen(QtGui.QPen(QtGui.QColor(palette.BLUE), 1))
        columns = enumerate(ends.tolist(), start=int(area.left()))
        painter.drawLines([QtCore.QLineF(x + 0.5, low + 0.5, x + 0.5, high - 0.5) for x, (low, high) in columns])

    def _draw_axes(self, painter, area):
        font = painter.font()
        font.setPixelSize(11)
        painter.setFont(font)
        painter.setPen(QtGui.QColor(palette.MUTED))
        edges = hz_to_mel([SPEC.lower_edge_hz, SPEC.upper_edge_hz])
        for frequency_hz in TICKS_HZ:
            share = (hz_to_mel(frequency_hz) - edges[0]) / (edges[1] - edges[0])
            y = area.bottom() - float(share) * area.height()
            text = f"{frequency_hz / 1000:g} kHz"
            painter.drawText(QtCore.QRectF(0, y - 1 if share > 0.95 else y - 8, MARGIN - 8, 16), _RIGHT, text)
        for seconds in range(int(DURATION_S) + 1):
            x = area.left() + area.width() * seconds / DURATION_S
            text = f"\N{MINUS SIGN}{DURATION_S - seconds:.0f} s" if seconds < DURATION_S else "now"
            left = x - 20 if 0 < seconds < DURATION_S else x if seconds == 0 else x - 40
            side = _RIGHT if seconds == DURATION_S else _LEFT if seconds == 0 else _CENTER
            painter.drawText(QtCore.QRectF(left, area.bottom() + 4, 40, 16), side, text)

    def _draw_detections(self, painter, area):
        font = painter.font()
        font.setPixelSize(12)
        font.setBold(True)
        painter.setFont(font)
        for detection in self.detections:
            x = area.right() - area.width() * (self.time_s - detection.time_s) / DURATION_S
            painter.setPen(QtGui.QPen(QtGui.QColor(palette.ORANGE), 1.5))
            painter.drawLine(QtCore.QPointF(x, area.top() + 16), QtCore.QPointF(x, area.bottom()))
            width = painter.fontMetrics().horizontalAdvance(detection.label)
            left = min(max(x - width / 2, area.left()), area.right() - width)
            painter.drawText(QtCore.QRectF(left, area.top() - 2, width + 2, 16), _CENTER, detection.label)


_LEFT = QtCore.Qt.AlignmentFlag.AlignLeft | QtCore.Qt.AlignmentFlag.AlignVCenter
_RIGHT = QtCore.Qt.AlignmentFlag.AlignRight | QtCore.Qt.AlignmentFlag.AlignVCenter
_CENTER = QtCore.Qt.AlignmentFlag.AlignCenter
