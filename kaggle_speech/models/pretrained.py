"""Pretrained models: the folders that come with the package, and what their files state. Needs no Keras."""

import typing
from pathlib import Path

from kaggle_speech.files import read_json
from kaggle_speech.models import folder

#: Folder of the best model that comes with the package, a run like any other. `tc_resnet` beside it is faster.
PRETRAINED_DIR = Path(__file__).parents[1] / "pretrained" / "bc_resnet"
#: Folder of the transcriber that comes with the package.
TRANSCRIBER_DIR = PRETRAINED_DIR.parent / "resnet_ctc"


class ModelFacts(typing.NamedTuple):
    """Facts of a pretrained model.

    Attributes:
        name: for `load`.
        task: `words` or `transcripts`.
        labels: number of outputs.
        parameters: number of trainable weights; None where its `run.json` does not state it.
        accuracy: share of the validation clips labelled right, with its own labels; of a transcriber the word accuracy
            (1 minus the word error rate) on speakers that were held out.
        bytes: size of the ONNX file.
        num_clips: clips that the accuracy was measured on: figures on other clips do not compare; None of a
            transcriber.
    """

    name: str
    task: str
    labels: int
    parameters: int | None
    accuracy: float
    bytes: int
    num_clips: int | None


def model_names() -> tuple[str, ...]:
    """Names of the models that come with the package, the default first."""
    folders = [path for path in PRETRAINED_DIR.parent.iterdir() if (path / folder.RUN_NAME).is_file()]
    return tuple(path.name for path in sorted(folders, key=lambda path: (path != PRETRAINED_DIR, path.name)))


def list_models() -> list[ModelFacts]:
    """List the models that come with the package, the default first. `pandas.DataFrame` makes a table of it.

    Examples:
        >>> [model.name for model in list_models() if model.task == "words"]
        ['bc_resnet', 'bc_resnet_33', 'bc_resnet_distilled', 'bc_resnet_tiny', 'tc_resnet']
        >>> list_models()[0].accuracy > 0.95
        True
    """
    return [_facts(PRETRAINED_DIR.parent / name) for name in model_names()]


def _facts(model_dir):
    run = folder.read_run(model_dir)
    metrics = read_json(model_dir / folder.METRICS_NAME)
    task = folder.task_of(run)
    if task == "words":
        figures = metrics.get("own_labels", metrics)
        accuracy, num_clips = figures["accuracy"], figures["num_clips"]
    else:
        accuracy, num_clips = 1 - min(rates["wer"] for rates in metrics.get("test", metrics["val"]).values()), None
    num_bytes = (model_dir / "model.onnx").stat().st_size
    return ModelFacts(
        model_dir.name,
        task,
        len(run["vocabulary"]),
        run.get("num_parameters"),
        round(accuracy, 4),
        num_bytes,
        num_clips,
    )
