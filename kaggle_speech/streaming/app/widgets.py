"""Widgets of the window: meter, grid of meters, panel of the last word, floating note, and their layout."""

from collections.abc import Callable, Collection, Iterable, Sequence

from PySide6 import QtCore, QtGui, QtWidgets

from kaggle_speech.streaming.app import palette, theme
from kaggle_speech.streaming.words import Detection

#: Duration of the glow of the word's panel after a detection.
FLASH_MS = 900
#: Duration of a note, and the pixels that it rises in it.
NOTE_MS, NOTE_RISE = 2000, 48
#: Text in the word's place before the first detection.
READY = "ready"


def percent(fraction: float) -> str:
    """A fraction as text, such as `55 %`."""
    return f"{100 * fraction:.0f} %"


def label_of(text: str = "", role: str | None = None, meaning: str = "") -> QtWidgets.QLabel:
    """A text label.

    Args:
        text: its text.
        role: one of the roles in `theme.STYLE`; None for plain text.
        meaning: description for screen readers.
    """
    label = QtWidgets.QLabel(text)
    label.setAccessibleDescription(meaning)
    label.setProperty("role", role)
    return label


class Elided(QtWidgets.QLabel):
    """A grey text label that shortens its text where there is no room.

    Args:
        meaning: description for screen readers.
    """

    def __init__(self, meaning: str):
        super().__init__()
        self.setAccessibleDescription(meaning)

    def minimumSizeHint(self) -> QtCore.QSize:  # noqa: N802
        return QtCore.QSize(0, super().minimumSizeHint().height())

    def shown_text(self) -> str:
        """The text as far as there is room."""
        return self.fontMetrics().elidedText(self.text(), QtCore.Qt.TextElideMode.ElideRight, self.width())

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802
        painter = QtGui.QPainter(self)
        painter.setPen(QtGui.QColor(palette.MUTED))
        painter.drawText(self.rect(), QtCore.Qt.AlignmentFlag.AlignVCenter, self.shown_text())


def card_of(heading: QtWidgets.QLayout, content: QtWidgets.QWidget, spacing: int = 12) -> QtWidgets.QFrame:
    """A surface with rounded corners.

    Args:
        heading: top row, from `row_of`.
        content: widget below it that takes the remaining space.
        spacing: pixels between the two.
    """
    card = QtWidgets.QFrame()
    card.setObjectName("card")
    column = QtWidgets.QVBoxLayout(card)
    column.setContentsMargins(18, 14, 18, 16)
    column.setSpacing(spacing)
    column.addLayout(heading)
    column.addWidget(content, 1)
    return card


def row_of(*parts: QtWidgets.QWidget | None, spacing: int = 10) -> QtWidgets.QHBoxLayout:
    """Widgets beside each other.

    Args:
        parts: widgets; None takes the remaining space.
        spacing: pixels between two.
    """
    row = QtWidgets.QHBoxLayout()
    row.setSpacing(spacing)
    for part in parts:
        if part is None:
            row.addStretch(1)
        else:
            row.addWidget(part)
    return row


class Button(QtWidgets.QPushButton):
    """A button that Return presses, since the space bar starts and stops.

    Args:
        text: text on it, also its name for screen readers.
        hint: tool tip.
        clicked: called when it is pressed.
        name: name in `theme.STYLE`.
    """

    def __init__(self, text: str, hint: str, clicked: Callable[[], object], name: str = ""):
        super().__init__(text)
        self.setToolTip(hint)
        self.setAccessibleName(text.rstrip(" …"))
        self.setObjectName(name)
        self.clicked.connect(clicked)

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:  # noqa: N802
        if event.key() in (QtCore.Qt.Key.Key_Return, QtCore.Qt.Key.Key_Enter):
            self.click()
        else:
            super().keyPressEvent(event)


class Meter(QtWidgets.QWidget):
    """A thin bar with a mark at the threshold.

    Args:
        name: name for screen readers.
        colors: colour below the threshold, and colour at the threshold or above.
        height: pixels.

    Attributes:
        fraction: length of the bar, 0 to 1.
        threshold: position of the mark, 0 to 1; None for no mark.
    """

    def __init__(self, name: str, colors: tuple[str, str] = (palette.BLUE, palette.ORANGE), height: int = 12):
        super().__init__()
        self.setAccessibleName(name)
        self.setFixedHeight(height)
        self.colors = colors
        self.fraction = 0.0
        self.threshold: float | None = None

    def show_fraction(self, fraction: float, threshold: float | None = None) -> None:
        """Set the bar and the mark.

        Args:
            fraction: length of the bar; clipped to 0 to 1.
            threshold: position of the mark, 0 to 1; None for no mark.
        """
        fraction = min(max(float(fraction), 0.0), 1.0)
        if (fraction, threshold) != (self.fraction, self.threshold):
            self.fraction = fraction
            self.threshold = threshold
            self.update()

    @property
    def is_above(self) -> bool:
        """Whether the bar reaches the mark."""
        return self.threshold is not None and self.fraction >= self.threshold

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.setPen(QtCore.Qt.PenStyle.NoPen)
        bar = QtCore.QRectF(self.rect()).adjusted(0, 2, 0, -2)
        radius = bar.height() / 2
        painter.setBrush(QtGui.QColor(palette.BORDER))
        painter.drawRoundedRect(bar, radius, radius)
        if self.fraction > 0:
            painter.save()
            path = QtGui.QPainterPath()
            path.addRoundedRect(bar, radius, radius)
            painter.setClipPath(path)
            painter.setBrush(QtGui.QColor(self.colors[self.is_above]))
            painter.drawRoundedRect(bar.adjusted(0, 0, (self.fraction - 1) * bar.width(), 0), radius, radius)
            painter.restore()
        if self.threshold is not None:
            painter.setBrush(QtGui.QColor(palette.TEXT))
            painter.drawRect(QtCore.QRectF(min(bar.width() * self.threshold, bar.width() - 2), 0, 2, self.height()))


class Chooser(QtWidgets.QComboBox):
    """A drop-down list with an arrow in the colours of the window, which a style sheet cannot draw."""

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802
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
        events: those that are reported.
        threshold: 0 to 1.
    """

    def __init__(self, vocabulary: Sequence[str], events: Collection[str], threshold: float):
        super().__init__()
        self.meters: list[Meter] = []
        self.names: list[QtWidgets.QLabel] = []
        self.values: list[QtWidgets.QLabel] = []
        self.threshold = threshold
        grid = QtWidgets.QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(4)
        num_columns = 2 if len(vocabulary) <= 12 else 3
        num_rows = -(-len(vocabulary) // num_columns)
        for index, label in enumerate(vocabulary):
            is_event = label in events
            colors = (palette.BLUE, palette.ORANGE) if is_event else (palette.MUTED, palette.MUTED)
            meter = Meter(label, colors)
            name = label_of(label, None if is_event else "muted")
            value = label_of("0 %", "muted", f"probability of {label}")
            value.setAlignment(QtCore.Qt.AlignmentFlag.AlignRight | QtCore.Qt.AlignmentFlag.AlignVCenter)
            value.setMinimumWidth(value.fontMetrics().horizontalAdvance("100 %") + 8)
            column = 4 * (index // num_rows)
            row = index % num_rows
            for offset, widget in enumerate((name, meter, value)):
                grid.addWidget(widget, row, column + offset)
            grid.setColumnStretch(column + 1, 1)
            if index // num_rows:
                grid.setColumnMinimumWidth(column - 1, 14)
            self.meters.append(meter)
            self.names.append(name)
            self.values.append(value)
        self.show_probabilities([0.0] * len(vocabulary))

    def show_probabilities(self, probabilities: Iterable[float]) -> None:
        """Set all bars. Shape: `(len(vocabulary),)`."""
        for probability, meter, name, value in zip(probabilities, self.meters, self.names, self.values, strict=True):
            meter.show_fraction(probability, self.threshold)
            value.setText(percent(probability))
            font = name.font()
            if font.bold() != meter.is_above:
                font.setBold(meter.is_above)
                name.setFont(font)

    def show_threshold(self, threshold: float) -> None:
        """Move the marks to a threshold, 0 to 1."""
        self.threshold = threshold
        self.show_probabilities([meter.fraction for meter in self.meters])


def legend() -> QtWidgets.QHBoxLayout:
    """Meaning of the mark and of the colours of a `Meter`, in a row."""
    below, above = Meter("bar below the threshold"), Meter("bar at the threshold or above")
    below.show_fraction(0.4, 0.7)
    above.show_fraction(1.0, 0.7)
    for meter in (below, above):
        meter.setFixedWidth(36)
    texts = [label_of(text, "muted") for text in ("white mark: threshold", "orange: a command")]
    return row_of(below, texts[0], above, texts[1], None)


class Note(QtWidgets.QLabel):
    """A text that floats up from the bottom edge of a widget, and is gone after `NOTE_MS`.

    Args:
        parent: the widget.
    """

    def __init__(self, parent: QtWidgets.QWidget):
        super().__init__(parent)
        self._parent = parent
        self.setObjectName("note")
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.rise = QtCore.QVariantAnimation(self, startValue=0.0, endValue=1.0, duration=NOTE_MS)
        self.rise.setEasingCurve(QtCore.QEasingCurve.Type.OutCubic)
        self.rise.valueChanged.connect(self._place)
        self.rise.finished.connect(self.hide)
        self.hide()

    def show_text(self, text: str) -> None:
        """Float a text up, instead of the one before."""
        self.rise.stop()
        self.setText(text)
        self.adjustSize()
        self._place(0.0)
        self.raise_()
        self.show()
        self.rise.start()

    def _place(self, share: float) -> None:
        room = self._parent.rect()
        self.move((room.width() - self.width()) // 2, room.height() - self.height() - round(NOTE_RISE * share))


class WordPanel(QtWidgets.QFrame):
    """The last detection in large letters; glows at the detection and dims afterwards.

    Args:
        words: labels that can be detected; all are shown in the size that the widest allows.
        control: widget beside the heading; None for none.
    """

    def __init__(self, words: Iterable[str], control: QtWidgets.QWidget | None = None):
        super().__init__()
        self.setObjectName("card")
        self.setMinimumHeight(180)
        self.words = (*words, READY)
        heading = row_of(label_of("HEARD", "heading"), None)
        if control is not None:
            heading.addWidget(control)
        self.word = label_of(meaning="the word heard last")
        self.word.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
        self.word.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Ignored)
        self.confidence = label_of(meaning="how sure, and when")
        self.confidence.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
        self.confidence.setWordWrap(True)
        self.choice = label_of(f"What can I say? {', '.join(self.words[:-1])}", "muted", "the commands")
        self.choice.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
        self.choice.setWordWrap(True)
        self.meter = Meter("confidence, as a bar", (palette.ORANGE, palette.ORANGE))
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(18, 14, 18, 18)
        column.addLayout(heading)
        column.addWidget(self.word, 1)
        column.addWidget(self.confidence)
        column.addWidget(self.choice)
        column.addWidget(self.meter)
        self.glow = QtCore.QVariantAnimation(self, startValue=1.0, endValue=0.0, duration=FLASH_MS)
        self.glow.setEasingCurve(QtCore.QEasingCurve.Type.OutQuad)
        self.glow.valueChanged.connect(self.update)
        self.dim = QtCore.QTimer(self, singleShot=True, interval=palette.BRIGHT_MS)
        self.dim.timeout.connect(lambda: self._set_color(palette.MUTED))
        self.show_hint("Press the space bar, then say a command")

    def show_hint(self, text: str) -> None:
        """Show an instruction, before the first detection."""
        self.dim.stop()
        self.word.setText(READY)
        self.confidence.setText(text)
        self.choice.show()
        self.meter.hide()
        self._set_color(palette.MUTED)

    def show_detection(self, detection: Detection) -> None:
        """Show a detection and glow."""
        self.word.setText(detection.label)
        self.confidence.setText(f"{percent(detection.confidence)} sure when heard, at {detection.time_s:.1f} s")
        self.choice.hide()
        self.meter.show_fraction(detection.confidence)
        self.meter.show()
        self._set_color(palette.TEXT)
        self.glow.stop()
        self.glow.start()
        self.dim.start()

    def _set_color(self, color: str) -> None:
        self._color = color
        self._fit()

    def _fit(self) -> None:
        """Set the font size in the style sheet, because that of the application overrides fonts."""
        font = QtGui.QFont(self.font())
        room = self.word.size()
        font.setWeight(QtGui.QFont.Weight.Bold)
        font.setPixelSize(100)
        widest = max(QtGui.QFontMetrics(font).horizontalAdvance(word) for word in self.words)
        size = max(20, round(100 * min(0.9 * room.width() / widest, 0.7 * room.height() / 100)))
        self.word.setStyleSheet(f"color: {self._color}; font-size: {size}px; font-weight: 700;")

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802
        is_glowing = self.glow.state() == QtCore.QAbstractAnimation.State.Running
        glow = self.glow.currentValue() if is_glowing else 0.0
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.setPen(QtGui.QPen(theme.blend(palette.BORDER, palette.ORANGE, glow), 1 + glow))
        painter.setBrush(theme.blend(palette.SURFACE, palette.ORANGE, 0.28 * glow))
        painter.drawRoundedRect(QtCore.QRectF(self.rect()).adjusted(1, 1, -1, -1), theme.RADIUS, theme.RADIUS)
