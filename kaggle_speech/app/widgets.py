"""The parts of the window that show probabilities: a bar, a grid of them, the big word."""

from PySide6 import QtCore, QtGui, QtWidgets

from kaggle_speech.app import theme
from kaggle_speech.labels import COMMANDS

#: Milliseconds that the word's panel glows after a detection, and that the word stays bright.
FLASH_MS, BRIGHT_MS = 900, 2500


def percent(share):
    """Shape: 0 to 1 -> text."""
    return f"{100 * share:.0f} %"


def label_of(text="", role=None, name=None):
    """A label in one of the roles of `theme.STYLE`, with a name for screen readers."""
    label = QtWidgets.QLabel(text)
    label.setProperty("role", role)
    label.setAccessibleName(name or text)
    return label


def card_of(*rows, spacing=10):
    """Widgets and layouts, one below the other, on a surface with rounded corners."""
    card = QtWidgets.QFrame(objectName="card")
    column = QtWidgets.QVBoxLayout(card)
    column.setContentsMargins(18, 14, 18, 16)
    column.setSpacing(spacing)
    for row in rows:
        (column.addLayout if isinstance(row, QtWidgets.QLayout) else column.addWidget)(row)
    return card


def row_of(*parts, spacing=10):
    """Widgets beside each other; None takes the space that is left."""
    row = QtWidgets.QHBoxLayout()
    row.setSpacing(spacing)
    for part in parts:
        if part is None:
            row.addStretch(1)
        else:
            row.addWidget(part)
    return row


class Meter(QtWidgets.QProgressBar):
    """A thin bar with a mark at the threshold; to a screen reader, a progress bar.

    Args:
        name: what it shows, for screen readers.
        colors: below the threshold, and at it or above.
    """

    def __init__(self, name, colors=(theme.BLUE, theme.ORANGE), height=10):
        super().__init__(minimum=0, maximum=1000, textVisible=False)
        self.setAccessibleName(name)
        self.setFixedHeight(height)
        self.colors, self.threshold = colors, None

    def show_share(self, share, threshold=None):
        """Set the bar, 0 to 1, and the mark; None for no mark."""
        if self.threshold != threshold:
            self.threshold = threshold
            self.update()
        self.setValue(round(1000 * min(max(share, 0.0), 1.0)))

    @property
    def is_above(self):
        """Whether the bar reaches the mark."""
        return self.threshold is not None and self.value() >= 1000 * self.threshold

    def paintEvent(self, event):  # noqa: N802
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.setPen(QtCore.Qt.PenStyle.NoPen)
        inner = QtCore.QRectF(self.rect()).adjusted(0, 2, 0, -2)
        radius = inner.height() / 2
        painter.setBrush(QtGui.QColor(theme.BORDER))
        painter.drawRoundedRect(inner, radius, radius)
        width = inner.width() * self.value() / 1000
        if width >= 1:
            path = QtGui.QPainterPath()
            path.addRoundedRect(inner, radius, radius)
            painter.setClipPath(path)
            painter.setBrush(QtGui.QColor(self.colors[self.is_above]))
            painter.drawRoundedRect(QtCore.QRectF(inner.left(), inner.top(), width, inner.height()), radius, radius)
            painter.setClipping(False)
        if self.threshold is not None:
            painter.setBrush(QtGui.QColor(theme.TEXT))
            x = min(inner.width() * self.threshold, inner.width() - 2)
            painter.drawRect(QtCore.QRectF(x, 0, 2, self.height()))


class ClassGrid(QtWidgets.QWidget):
    """Every label with its bar and its percentage; labels that are never reported are grey.

    Args:
        vocabulary: labels, in the order of the probabilities.
        threshold: 0 to 1.
    """

    def __init__(self, vocabulary, threshold):
        super().__init__()
        self.meters, self.names, self.values, self.threshold = [], [], [], threshold
        grid = QtWidgets.QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(4)
        num_columns = 2 if len(vocabulary) <= 12 else 3
        num_rows = -(-len(vocabulary) // num_columns)
        for index, label in enumerate(vocabulary):
            is_command = label in COMMANDS
            colors = (theme.BLUE, theme.ORANGE) if is_command else (theme.MUTED, theme.MUTED)
            meter, name = Meter(label, colors), label_of(label, None if is_command else "muted")
            value = label_of("0 %", "muted", f"{label}, percent")
            value.setAlignment(QtCore.Qt.AlignmentFlag.AlignRight | QtCore.Qt.AlignmentFlag.AlignVCenter)
            value.setMinimumWidth(value.fontMetrics().horizontalAdvance("100 %") + 8)
            column, row = 4 * (index // num_rows), index % num_rows
            for offset, widget in enumerate((name, meter, value)):
                grid.addWidget(widget, row, column + offset)
            grid.setColumnStretch(column + 1, 1)
            if index // num_rows:
                grid.setColumnMinimumWidth(column - 1, 14)
            for cells, widget in ((self.meters, meter), (self.names, name), (self.values, value)):
                cells.append(widget)
        self.show_probabilities([0.0] * len(vocabulary))

    def show_probabilities(self, probabilities):
        """Set all bars. Shape: `(len(vocabulary),)`."""
        for share, meter, name, value in zip(probabilities, self.meters, self.names, self.values, strict=True):
            meter.show_share(float(share), self.threshold)
            value.setText(percent(share))
            font = name.font()
            if font.bold() != meter.is_above:
                font.setBold(meter.is_above)
                name.setFont(font)

    def show_threshold(self, threshold):
        """Move the marks. Shape: 0 to 1."""
        self.threshold = threshold
        self.show_probabilities([meter.value() / 1000 for meter in self.meters])


class WordPanel(QtWidgets.QFrame):
    """The last word that was heard, as large as fits; glows when it is heard and dims afterwards."""

    def __init__(self):
        super().__init__(objectName="card")
        self.setMinimumHeight(180)
        self.heading = label_of("HEARD", "heading")
        self.word = label_of(name="word heard last")
        self.word.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
        self.word.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Ignored)
        self.confidence = label_of(role="muted", name="confidence")
        self.confidence.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
        self.meter = Meter("confidence, as a bar", (theme.ORANGE, theme.ORANGE), 10)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(18, 14, 18, 18)
        column.addWidget(self.heading)
        column.addWidget(self.word, 1)
        column.addWidget(self.confidence)
        column.addWidget(self.meter)
        self.glow = QtCore.QVariantAnimation(self, startValue=1.0, endValue=0.0, duration=FLASH_MS)
        self.glow.setEasingCurve(QtCore.QEasingCurve.Type.OutQuad)
        self.glow.valueChanged.connect(self.update)
        self.dim = QtCore.QTimer(self, singleShot=True, interval=BRIGHT_MS)
        self.dim.timeout.connect(lambda: self._set_color(theme.MUTED))
        self.show_hint("ready", "Press the space bar, then say a command")

    def show_hint(self, word, text):
        """Say what to do, where nothing has been heard yet."""
        self.dim.stop()
        self.word.setText(word)
        self.confidence.setText(text)
        self.meter.show_share(0.0)
        self._set_color(theme.MUTED)

    def show_detection(self, detection):
        """Show a `Detection` and glow."""
        self.word.setText(detection.label)
        self.confidence.setText(f"{percent(detection.confidence)} sure, at {detection.time_s:.1f} s")
        self.meter.show_share(detection.confidence)
        self._set_color(theme.TEXT)
        self.glow.stop()
        self.glow.start()
        self.dim.start()

    def _set_color(self, color):
        self._color = color
        self._fit()

    def _fit(self):
        """The largest size at which the word has room, set as a style since the application's style decides on fonts."""
        font, room = QtGui.QFont(self.font()), self.word.size()
        font.setWeight(QtGui.QFont.Weight.Bold)
        font.setPixelSize(100)
        bounds = QtGui.QFontMetrics(font).boundingRect("unknown" if len(self.word.text()) < 7 else self.word.text())
        size = min(0.86 * room.width() / max(1, bounds.width()), 0.62 * room.height() / 100, 0.96)
        self.word.setStyleSheet(f"color: {self._color}; font-size: {max(20, round(100 * size))}px; font-weight: 700;")

    def resizeEvent(self, event):  # noqa: N802
        super().resizeEvent(event)
        self._fit()

    def paintEvent(self, event):  # noqa: N802
        share = self.glow.currentValue() if self.glow.state() == QtCore.QAbstractAnimation.State.Running else 0.0
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.setPen(QtGui.QPen(theme.blend(theme.BORDER, theme.ORANGE, share), 1 + share))
        painter.setBrush(theme.blend(theme.SURFACE, theme.ORANGE, 0.28 * share))
        painter.drawRoundedRect(QtCore.QRectF(self.rect()).adjusted(1, 1, -1, -1), theme.RADIUS, theme.RADIUS)
