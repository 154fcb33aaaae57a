"""What the tests of figures share."""

import matplotlib.pyplot as plt
import pytest


@pytest.fixture
def ax():
    """Axes to draw on; drawn at the end of the test, for what only then fails."""
    figure, ax = plt.subplots()
    yield ax
    figure.canvas.draw()
    plt.close(figure)
