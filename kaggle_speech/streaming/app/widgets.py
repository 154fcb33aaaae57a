"""The parts of the window that show probabilities: a bar, a grid of them, the big word."""

from PySide6 import QtCore, QtGui, QtWidgets

from kaggle_speech.labels import COMMANDS
from kaggle_speech.streaming.app import palette, theme

#: Milliseconds that the word's panel glows after a detection, and that the word stays bright.
FLASH_MS, BRIGHT_MS = 900, 2500
#: What stands in the word's place before there is one.
READY = "ready"


def percent(share):
    """Shape: 0 to 1 -> text."""
    return f"{100 * share:.0f} %"


def label_of(text="", role=None, meaning=""):
    """A label in one of the roles of `theme.STYLE`; screen readers say its text, and what it means."""
    label = QtWidgets.QLabel(text, accessibleDescription=meaning)
    label.setProperty("role", role)
    return label


def card_of(heading, content, spacing=12):
    """A surface with rounded corners: a row of `row_of`, and below it a widget that takes the room there is."""
    card = QtWidgets.QFrame(objectName="card")
    column = QtWidgets.QVBoxLayout(card)
    column.setContentsMargins(18, 14, 18, 16)
    column.setSpacing(spacing)
    column.addLayout(heading)
    column.addWidget(content, 1)
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


class Meter(QtWidgets.QWidget):
    """A thin bar with a mark at the threshold.

    Args:
        name: what it shows, for screen readers.
        colors: below the threshold, and at it or above.
        height: pixels.

    Attributes:
        share: length of the bar, 0 to 1.
        threshold: where the mark is, 0 to 1; None for no mark.
    """

    def __init__(self, name, colors=(palette.BLUE, palette.ORANGE), height=12):
        super().__init__(accessibleName=name)
        self.setFixedHeight(height)
        self.colors, self.share, self.threshold = colors, 0.0, None

    def show_share(self, share, threshold=None):
        """Set the bar and the mark."""
        share = min(max(float(share), 0.0), 1.0)
        if (share, threshold) != (self.share, self.threshold):
            self.share, self.threshold = share, threshold
            self.update()

    @property
    def is_above(self):
        """Whether the bar reaches the mark."""
        return self.threshold is not None and self.share >= self.threshold

    def paintEvent(self, event):  # noqa: N802
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.setPen(QtCore.Qt.PenStyle.NoPen)
        bar = QtCore.QRectF(self.rect()).adjusted(0, 2, 0, -2)
        radius = bar.height() / 2
        painter.setBrush(QtGui.QColor(palette.BORDER))
        painter.drawRoundedRect(bar, radius, radius)
        if self.share > 0:
            painter.save()
            path = QtGui.QPainterPath()
            path.addRoundedRect(bar, radius, radius)
            painter.setClipPath(path)
            painter.setBrush(QtGui.QColor(self.colors[self.is_above]))
            painter.drawRoundedRect(bar.adjusted(0, 0, (self.share - 1) * bar.width(), 0), radius, radius)
            painter.restore()
        if self.threshold is not None:
            painter.setBrush(QtGui.QColor(palette.TEXT))
            painter.drawRect(QtCore.QRectF(min(bar.width() * self.threshold, bar.width() - 2), 0, 2, self.height()))


class Chooser(QtWidgets.QComboBox):
    """A drop-down list with an arrow in the colours of the window, which a style sheet cannot draw."""

    def paintEvent(self, event):  # noqa: N802
        super().paintEvent(event)
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.setPen(QtGui.QPen(QtGui.QColor(palette.MUTED), 1.6))
        x, y = self.width() - 18, self.height() / 2
        painter.drawPolyline([QtCore.QPointF(x + dx, y + dy) for dx, dy in ((-4, -2), (0, 2), (4, -2))])


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
            colors = (palette.BLUE, palette.ORANGE) if is_command else (palette.MUTED, palette.MUTED)
            meter, name = Meter(label, colors), label_of(label, None if is_command else "muted")
            value = label_of("0 %", "muted", f"probability of {label}")
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
            meter.show_share(share, self.threshold)
            value.setText(percent(share))
            font = name.font()
            if font.bold() != meter.is_above:
                font.setBold(meter.is_above)
                name.setFont(font)

    def show_threshold(self, threshold):
        """Move the marks. Shape: 0 to 1."""
        self.threshold = threshold
        self.show_probabilities([meter.share for meter in self.meters])


class WordPanel(QtWidgets.QFrame):
    """The last word that was heard, as large as fits; glows when it is heard and dims afterwards.

    Args:
        words: those that may be heard; all are shown in the size that the widest allows.
    """

    def __init__(self, words):
        super().__init__(objectName="card")
        self.setMinimumHeight(180)
        self.words = (*words, READY)
        self.heading = label_of("HEARD", "heading")
        self.word = label_of(meaning="the word heard last")
        self.word.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
        self.word.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Ignored)
        self.confidence = label_of(meaning="how sure, and when")
        self.confidence.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
        self.meter = Meter("confidence, as a bar", (palette.ORANGE, palette.ORANGE))
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
        self.dim.timeout.connect(lambda: self._set_color(palette.MUTED))
        self.show_hint("Press the space bar, then say a command")

    def show_hint(self, text):
        """Say what to do, where nothing has been heard yet."""
        self.dim.stop()
        self.word.setText(READY)
        self.confidence.setText(text)
        self.meter.show_share(0.0)
        self._set_color(palette.MUTED)

    def show_detection(self, detection):
        """Show a `Detection` and glow."""
        self.word.setText(detection.label)
        self.confidence.setText(f"{percent(detection.confidence)} sure, at {detection.time_s:.1f} s")
        self.meter.show_share(detection.confidence)
        self._set_color(palette.TEXT)
        self.glow.stop()
        self.glow.start()
        self.dim.start()

    def _set_color(self, color):
        self._color = color
        self._fit()

    def _fit(self):
        """Set the size as a style: the style of the application decides on fonts."""
        font, room = QtGui.QFont(self.font()), self.word.size()
        font.setWeight(QtGui.QFont.Weight.Bold)
        font.setPixelSize(100)
        widest = max(QtGui.QFontMetrics(font).horizontalAdvance(word) for word in self.words)
        size = max(20, round(100 * min(0.9 * room.width() / widest, 0.7 * room.height() / 100)))
        self.word.setStyleSheet(f"color: {self._color}; font-size: {size}px; font-weight: 700;")

    def resizeEvent(self, event):  # noqa: N802
        super().resizeEvent(event)
        self._fit()

    def paintEvent(self, event):  # noqa: N802
        share = self.glow.currentValue() if self.glow.state() == QtCore.QAbstractAnimation.State.Running else 0.0
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.setPen(QtGui.QPen(theme.blend(palette.BORDER, palette.ORANGE, share), 1 + share))
        painter.setBrush(theme.blend(palette.SURFACE, palette.ORANGE, 0.28 * share))
        painter.drawRoundedRect(QtCore.QRectF(self.rect()).adjusted(1, 1, -1, -1), theme.RADIUS, theme.RADIUS)
