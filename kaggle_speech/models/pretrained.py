"""Folders of the models that come with the package."""

from pathlib import Path

#: A run like any other: the best model that comes with the package. `tc_resnet` beside it is faster.
PRETRAINED_DIR = Path(__file__).parents[1] / "pretrained" / "bc_resnet"
#: The same for transcripts.
TRANSCRIBER_DIR = PRETRAINED_DIR.parent / "resnet_ctc"
