"""Table of the architectures: task, training defaults, sizes that the sources give. No Keras."""

import ast
import dataclasses
import difflib
import re


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Facts about an architecture, whose builder is `build_<name>` in the file `models/<name>.py`.

    Attributes:
        num_epochs, learning_rate, batch_size, average_epochs: training defaults (see `training.recipe`) that suit
            10,000 clips, or a quarter of an hour of speech.
        task: `words` or `transcripts`.
        sizes: options of the builder for each size that its source gives, written as after a comma in `build_model`.
    """

    num_epochs: int
    learning_rate: float
    batch_size: int = 64
    average_epochs: float = 5.0
    task: str = "words"
    sizes: tuple[str, ...] = ("",)


_BC_RESNET_SIZES = tuple(f"width={width}" for width in (1, 1.5, 2, 3, 6, 8))
_TC_RESNET_SIZES = ("", "width=1.5", "num_layers=14", "num_layers=14,width=1.5")

#: Every architecture by its name on the command line.
ARCHITECTURES = {
    "cnn": Architecture(30, 2e-3),
    "vgg": Architecture(10, 5e-4),
    "cnn_bigru": Architecture(20, 1e-3),
    "efficientnet": Architecture(
        30, 3e-3, batch_size=32, average_epochs=2.0, sizes=("", "backbone=mobilenet_v3_small")
    ),
    "tc_resnet": Architecture(100, 4e-3, sizes=_TC_RESNET_SIZES),
    "bc_resnet": Architecture(60, 4e-3, sizes=_BC_RESNET_SIZES),
    "ds_cnn": Architecture(60, 4e-3),
    "resnet_ctc": Architecture(180, 1.5e-3, batch_size=16, average_epochs=10.0, task="transcripts"),
}


def architecture_names(task: str | None = None) -> list[str]:
    """Names of the architectures, in the order of the table.

    Args:
        task: only those for `words` or `transcripts`; None for all.
    """
    return [name for name, architecture in ARCHITECTURES.items() if task in (None, architecture.task)]


def architecture_sizes(task: str = "words") -> list[str]:
    """Every architecture of a task in the sizes that its source gives, as `build_model` takes them.

    Args:
        task: `words` or `transcripts`.

    Examples:
        >>> architecture_sizes("transcripts")
        ['resnet_ctc']
    """
    return [
        f"{name},{size}" if size else name for name in architecture_names(task) for size in ARCHITECTURES[name].sizes
    ]


def parse_architecture(architecture: str, task: str | None = None) -> tuple[str, dict]:
    """Split the name of an architecture from its options.

    Args:
        architecture: name, then options of its builder after commas.
        task: task that the model must have, `words` or `transcripts`; None for either.

    Returns:
        the name, and a dict of the options.

    Raises:
        ValueError: no architecture of the task has the name, or an option is not `name=value`.

    Examples:
        >>> parse_architecture("tc_resnet,num_layers=14,width=1.5")
        ('tc_resnet', {'num_layers': 14, 'width': 1.5})
        >>> parse_architecture("cnn,num_filters=(4, 8)")
        ('cnn', {'num_filters': (4, 8)})
    """
    name, *pairs = re.split(r",(?![^(]*\))", architecture)  # commas, but not those of a tuple
    names = architecture_names(task)
    if name not in names:
        similar = difflib.get_close_matches(name, names, 1)
        hint = f" Did you mean {similar[0]!r}?" if similar else ""
        raise ValueError(
            f"`model` must be one of {sorted(names)}, options after commas. Received: {architecture!r}.{hint}"
        )
    options = {}
    for pair in pairs:
        option, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"an option of a model must be written name=value. Received: {pair!r} in {architecture!r}")
        try:
            options[option] = ast.literal_eval(value)
        except (SyntaxError, ValueError):  # a word
            options[option] = value
    return name, options
