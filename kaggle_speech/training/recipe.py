"""Options of a training, as frozen dataclasses: `FitOptions`; `Recipe` and `TranscriptRecipe`, which extend it.

Their fields are also options of the command line. No TensorFlow, no Keras.
"""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from kaggle_speech.data.augmentation import Augmentation, option, require
from kaggle_speech.labels import VOCABULARIES
from kaggle_speech.models.architectures import ARCHITECTURES, architecture_names, parse_architecture

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "cosine_restarts")
#: Dtype policies of Keras that `precision` may name.
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
#: Clips of the fast mode.
NUM_FAST_CLIPS = 5000
#: Fields whose default depends on the architecture.
ARCHITECTURE_DEFAULTS = ("num_epochs", "learning_rate", "batch_size", "average_epochs")


def _with_arguments(cls: type) -> type:
    """Complete the docstring of a dataclass by its fields, each with the help of the command line."""
    fields = (field for field in dataclasses.fields(cls) if field.init and "help" in field.metadata)
    arguments = "".join(f"    {field.name}: {field.metadata['help']}.\n" for field in fields)
    # Python 3.13 takes the indentation off docstrings, older ones keep it.
    cls.__doc__ = inspect.cleandoc(cls.__doc__ or "").replace("    ARGUMENTS\n", arguments)
    return cls


def _by_architecture(name: str, task: str) -> str:
    """Defaults of a field by architecture, for its help."""
    return ", ".join(f"{model} {getattr(ARCHITECTURES[model], name)}" for model in architecture_names(task))


def _complete(recipe: Any, task: str) -> None:
    """Give fields that are None the default of the recipe's architecture."""
    name, _ = parse_architecture(recipe.model, task)
    for field_name in ARCHITECTURE_DEFAULTS:
        if getattr(recipe, field_name) is None:
            object.__setattr__(recipe, field_name, getattr(ARCHITECTURES[name], field_name))


@_with_arguments
@dataclasses.dataclass(frozen=True, kw_only=True)
class FitOptions:
    """Options of `fit`: epochs, optimizer, learning rate, regularisation, averaged weights, early stopping.

    Args:
        ARGUMENTS
    Raises:
        ValueError: a value is out of range, or no such optimizer or schedule.

    Examples:
        >>> options = FitOptions(num_epochs=20, optimizer="sgd")
        >>> options.num_epochs, options.optimizer, options.schedule
        (20, 'sgd', 'cosine')
        >>> FitOptions(patience=0)
        Traceback (most recent call last):
            ...
        ValueError: `patience` must be above 0. Received: patience=0
    """

    num_epochs: int = option(100, "passes over the training data")
    learning_rate: float = option(4e-3, "highest learning rate of the schedule")
    optimizer: str = option("adamw", "adamw, or sgd (Nesterov momentum 0.9)")
    weight_decay: float = option(0.01, "weight decay of the optimizer; biases and normalisations are left out")
    schedule: str = option(
        "cosine", "cosine (linear warm-up, then down to zero) or cosine_restarts (each cosine twice as long)"
    )
    warmup_fraction: float = option(0.05, "share of all updates with a rising learning rate, for cosine")
    restart_epochs: int = option(10, "epochs to the first restart, for cosine_restarts")
    label_smoothing: float = option(0.1, "probability spread over the other labels")
    clip_norm: float = option(1.0, "limit on the norm of each weight's gradient")
    accumulation_steps: int = option(1, "batches whose mean gradient makes one update")
    average_epochs: float = option(5.0, "epochs that the running average of the weights reaches back; 1: no average")
    patience: int = option(30, "stop after so many epochs without a lower loss on the tune data")

    def __post_init__(self) -> None:
        require(self, ("optimizer",), lambda value: value in OPTIMIZERS, f"be one of {OPTIMIZERS}")
        require(self, ("schedule",), lambda value: value in SCHEDULES, f"be one of {SCHEDULES}")
        positive = ("num_epochs", "learning_rate", "restart_epochs", "clip_norm", "accumulation_steps", "patience")
        require(self, positive, lambda value: value > 0, "be above 0")
        require(self, ("weight_decay",), lambda value: value >= 0, "not be negative")
        require(self, ("warmup_fraction",), lambda value: 0 <= value < 1, "be in [0, 1)")
        require(self, ("label_smoothing",), lambda value: 0 <= value <= 1, "be in [0, 1]")
        require(self, ("average_epochs",), lambda value: value >= 1, "be >= 1")


@_with_arguments
@dataclasses.dataclass(frozen=True)
class Recipe(FitOptions):
    """Options of the training of a word recogniser: those of `fit`, and those of the model and the clips.

    Args:
        ARGUMENTS
        augmentation: `Augmentation`, the limits within which a training clip is changed.

    Raises:
        ValueError: a value is out of range, or no such model, vocabulary, precision, optimizer or schedule.

    Examples:
        >>> recipe = Recipe("bc_resnet", seed=1, augmentation=Augmentation(noise_fraction=0.8))
        >>> recipe.num_epochs, recipe.batch_size, recipe.vocabulary[:3]
        (60, 64, ('yes', 'no', 'up'))
    """

    model: str = option("tc_resnet", "architecture, options after commas: tc_resnet,num_layers=14")
    _: dataclasses.KW_ONLY
    num_classes: int = option(12, f"size of the vocabulary to train on: {', '.join(map(str, VOCABULARIES))}")
    num_epochs: int = option(None, f"passes over the training clips; {_by_architecture('num_epochs', 'words')}")
    batch_size: int = option(None, f"clips a step; {_by_architecture('batch_size', 'words')}")
    learning_rate: float = option(
        None, f"highest learning rate of the schedule; {_by_architecture('learning_rate', 'words')}"
    )
    average_epochs: float = option(
        None,
        "epochs that the running average of the weights reaches back, 1: no average; "
        f"{_by_architecture('average_epochs', 'words')}",
    )
    unknown_fraction: float = option(2.5, "`unknown` clips per clip of an average word")
    silence_fraction: float = option(2.0, "`silence` clips per clip of an average word")
    balanced: bool = option(False, "weigh clips so that every label counts the same")
    mixup_fraction: float = option(0.0, "share of the batches whose clips are blended")
    mixup_alpha: float = option(0.4, "parameter of the Beta distribution of the blend")
    teacher_share: float = option(0.9, "share of the teachers' probabilities in the targets, where there are teachers")
    pseudo_fraction: float = option(0.25, "share of pseudo-labelled clips in every batch, where there are any")
    joined_fraction: float = option(0.0, "share of joined halves of words, as `unknown`, in every batch")
    speech_fraction: float = option(0.25, "share of running speech in every batch, where there is any")
    mined_share: float = option(0.3, "share of mined seconds in the running speech, where there are any")
    made_noise_minutes: float = option(0.0, "minutes of made noise of many kinds that join the background noise")
    augment_on_device: bool = option(
        False,
        "augment where the network is computed, for GPUs that wait for clips; shift, speed, gain and noise only",
    )
    left_out_words: tuple = option((), "words, no commands, not to train on; their recall as `unknown` is measured")
    precision: str = option("float32", f"precision of the arithmetic while training: {', '.join(PRECISIONS)}")
    fast: bool = option(False, f"{NUM_FAST_CLIPS:,} clips only")
    seed: int = option(0, "the same seed gives the same result")
    augmentation: Augmentation = dataclasses.field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        _complete(self, "words")
        super().__post_init__()
        vocabularies = sorted(VOCABULARIES)
        require(self, ("num_classes",), lambda value: value in VOCABULARIES, f"be one of {vocabularies}")
        require(self, ("precision",), lambda value: value in PRECISIONS, f"be one of {PRECISIONS}")
        require(self, ("batch_size",), lambda value: value > 0, "be above 0")
        amounts = ("made_noise_minutes", "unknown_fraction", "silence_fraction")
        require(self, amounts, lambda value: value >= 0, "not be negative")
        require(self, ("mixup_alpha",), lambda value: value > 0, "be above 0")
        require(self, ("mixup_fraction", "teacher_share"), lambda value: 0 <= value <= 1, "be in [0, 1]")
        shares = ("pseudo_fraction", "joined_fraction", "speech_fraction", "mined_share")
        require(self, shares, lambda value: 0 <= value < 1, "be in [0, 1)")
        if self.augment_on_device:
            require(self, ("mixup_fraction",), lambda value: value == 0, "be 0 where the network's device augments")
            self.augmentation.require_apart()

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The labels, in the order of the model's outputs."""
        return VOCABULARIES[self.num_classes]


@_with_arguments
@dataclasses.dataclass(frozen=True)
class TranscriptRecipe(FitOptions):
    """Options of the training of a transcriber: those of `fit`, and those of the model and the utterances.

    The loss is CTC, without label smoothing, and the last epoch counts, so `patience` has no effect.

    Args:
        ARGUMENTS
    Raises:
        ValueError: a value is out of range, or no such model, precision, optimizer or schedule.

    Examples:
        >>> recipe = TranscriptRecipe("resnet_ctc,size=base", num_epochs=90)
        >>> recipe.num_epochs, recipe.batch_size, recipe.ngram_order
        (90, 16, 6)
    """

    model: str = option("resnet_ctc", "architecture, options after commas: resnet_ctc,size=base")
    _: dataclasses.KW_ONLY
    num_epochs: int = option(
        None, f"passes over the training utterances; {_by_architecture('num_epochs', 'transcripts')}"
    )
    batch_size: int = option(
        None, f"utterances a step, all of about the same length; {_by_architecture('batch_size', 'transcripts')}"
    )
    learning_rate: float = option(
        None, f"highest learning rate of the schedule; {_by_architecture('learning_rate', 'transcripts')}"
    )
    warmup_fraction: float = option(0.1, "share of all updates with a rising learning rate, for cosine")
    label_smoothing: float = dataclasses.field(default=0.0, init=False)
    average_epochs: float = option(
        None,
        "epochs that the running average of the weights reaches back, 1: no average; "
        f"{_by_architecture('average_epochs', 'transcripts')}",
    )
    patience: int = dataclasses.field(default=FitOptions.patience, init=False)
    speed_fraction: float = option(0.12, "faster or slower by up to this share (pitch moves along)")
    gain_db: float = option(6.0, "louder or quieter by up to so many decibels")
    room_fraction: float = option(0.0, "share of the utterances that sound in a made room (needs pyroomacoustics)")
    noise_fraction: float = option(0.0, "share of the utterances that get made noise, babble of others included")
    min_snr_db: float = option(5.0, "least power of the utterance over that of the noise")
    max_snr_db: float = option(30.0, "greatest power of the utterance over that of the noise")
    made_noise_minutes: float = option(10.0, "minutes of made noise of many kinds, where there is noise")
    max_seconds: float = option(17.0, "longer utterances are left out")
    num_val_speakers: int = option(6, "speakers that are held out: those with the highest ids")
    ngram_order: int = option(6, "order of the language model of the transcripts, in characters")
    precision: str = option("float32", f"precision of the arithmetic while training: {', '.join(PRECISIONS)}")
    seed: int = option(0, "the same seed gives the same result")

    def __post_init__(self) -> None:
        _complete(self, "transcripts")
        super().__post_init__()
        require(self, ("precision",), lambda value: value in PRECISIONS, f"be one of {PRECISIONS}")
        positive = ("batch_size", "max_seconds", "num_val_speakers", "ngram_order", "made_noise_minutes")
        require(self, positive, lambda value: value > 0, "be above 0")
        require(self, ("gain_db",), lambda value: value >= 0, "not be negative")
        require(self, ("speed_fraction",), lambda value: 0 <= value < 1, "be in [0, 1)")
        require(self, ("room_fraction", "noise_fraction"), lambda value: 0 <= value <= 1, "be in [0, 1]")
        require(self, ("min_snr_db",), lambda value: value <= self.max_snr_db, "be at most `max_snr_db`")


def without_each(recipe: Recipe) -> dict[str, Recipe]:
    """The recipe, and copies that each lack one part of it; parts that are off already are left out.

    Args:
        recipe: the recipe with everything.

    Returns:
        dict of `Recipe`, by name: `everything`, `no shift_ms`, ...
    """
    parts = ("label_smoothing", "weight_decay", "mixup_fraction", "balanced", "joined_fraction", "made_noise_minutes")
    effects = (
        "shift_ms",
        "speed_fraction",
        "tempo_fraction",
        "pitch_semitones",
        "gain_db",
        "noise_fraction",
        "room_fraction",
        "hiss_std",
    )
    changed = {name: dataclasses.replace(recipe, **{name: type(getattr(recipe, name))(0)}) for name in parts}
    for name in effects:
        augmentation = dataclasses.replace(recipe.augmentation, **{name: 0.0})
        changed[name] = dataclasses.replace(recipe, augmentation=augmentation)
    different = {f"no {name}": other for name, other in changed.items() if other != recipe}
    return {"everything": recipe} | different


def recipe_of(settings: Mapping) -> Recipe:
    """The recipe that settings state; fields that a run of an older version lacks have their defaults.

    Args:
        settings: entry `settings` of a `run.json`.
    """
    values = {field.name: settings[field.name] for field in dataclasses.fields(Recipe) if field.name in settings}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return Recipe(**{**values, "augmentation": Augmentation(**settings.get("augmentation", {}))})
