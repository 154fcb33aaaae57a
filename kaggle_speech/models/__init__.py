"""One builder per architecture: waveform in, probabilities out, the frontend inside.

model = build_model("tc_resnet", num_classes=12)
"""

from kaggle_speech.models.cnn import build_cnn
from kaggle_speech.models.tc_resnet import build_tc_resnet

#: Name on the command line -> builder.
BUILDERS = {"cnn": build_cnn, "tc_resnet": build_tc_resnet}


def build_model(name, num_classes, **options):
    """The model that goes by a name in `BUILDERS`.

    Args:
        name: a key of `BUILDERS`.
        num_classes: outputs.
        options: further arguments of the builder.

    Raises:
        ValueError: no builder has the name.
    """
    if name not in BUILDERS:
        raise ValueError(f"`name` must be one of {sorted(BUILDERS)}. Received: name={name!r}")
    return BUILDERS[name](num_classes, **options)
