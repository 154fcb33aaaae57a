"""Everything that a training depends on, as two frozen dataclasses: `Recipe`, and the `Augmentation` in it.

Their fields are also the options of `train` and `compare`. No TensorFlow, no Keras.
"""

import dataclasses

from kaggle_speech.data.augmentation import Augmentation, option
from kaggle_speech.labels import VOCABULARIES

#: What suits each model (a key of `models.BUILDERS`) on 10,000 clips, and what suits those that say nothing else.
USUAL = {
    "cnn": {"num_epochs": 30, "learning_rate": 2e-3},
    "vgg": {"num_epochs": 10, "learning_rate": 5e-4},
    "cnn_bigru": {"num_epochs": 20, "learning_rate": 1e-3},
    "efficientnet": {"num_epochs": 30, "learning_rate": 3e-3, "batch_size": 32, "average_epochs": 2.0},
    "tc_resnet": {"num_epochs": 100, "learning_rate": 4e-3},
    "bc_resnet": {"num_epochs": 60, "learning_rate": 4e-3},
    "ds_cnn": {"num_epochs": 60, "learning_rate": 4e-3},
}
COMMON = {"batch_size": 64, "average_epochs": 5.0}
#: Keras' dtype policies that `Recipe.precision` may name.
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
#: Clips of the fast mode.
NUM_FAST_CLIPS = 5000


def _usual(name):
    common = [str(COMMON[name])] if name in COMMON else []
    return ", ".join(common + [f"{model} {values[name]}" for model, values in USUAL.items() if name in values])


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The arguments of a training; each has a default that helps on real clips.

    Args: see the fields. None is what is usual for the model (`USUAL`, `COMMON`).

    Raises:
        ValueError: no such model, vocabulary, precision, or share.
    """

    model: str = option("tc_resnet", "architecture, options after commas: tc_resnet,num_layers=14")
    num_classes: int = option(12, f"size of the vocabulary to train on: {', '.join(map(str, VOCABULARIES))}")
    num_epochs: int | None = option(None, f"passes over the training clips; {_usual('num_epochs')}")
    batch_size: int | None = option(None, f"clips a step; {_usual('batch_size')}")
    optimizer: str = option("adamw", "adamw or sgd")
    learning_rate: float | None = option(None, f"highest of the schedule; {_usual('learning_rate')}")
    schedule: str = option("cosine", "cosine (with warm-up) or cosine_restarts")
    restart_epochs: int = option(10, "epochs to the first restart; each one takes twice as long as the one before")
    weight_decay: float = option(0.01, "of the optimizer")
    label_smoothing: float = option(0.1, "probability spread over the other labels")
    clip_norm: float = option(1.0, "limit on the norm of each weight's gradient")
    accumulation_steps: int = option(1, "batches whose mean gradient makes one update")
    average_epochs: float | None = option(
        None, f"epochs that the running average of the weights reaches back; {_usual('average_epochs')}; 1: no average"
    )
    patience: int = option(30, "stop after so many epochs without a lower loss on the tune speakers")
    unknown_fraction: float = option(2.5, "`unknown` clips per clip of an average word")
    silence_fraction: float = option(2.0, "`silence` clips per clip of an average word")
    balanced: bool = option(False, "weigh clips so that every label counts the same")
    mixup_fraction: float = option(0.0, "share of the batches whose clips are blended")
    mixup_alpha: float = option(0.4, "of the Beta distribution of the blend")
    teacher_share: float = option(0.9, "share of the teachers' opinion in the targets, where there are teachers")
    pseudo_fraction: float = option(0.25, "share of every batch that are pseudo-labelled clips, where there are any")
    left_out_words: tuple = option((), "words, no commands, not to train on; how often they are `unknown` is measured")
    precision: str = option("float32", f"of the arithmetic while training: {', '.join(PRECISIONS)}")
    fast: bool = option(False, f"{NUM_FAST_CLIPS:,} clips only")
    seed: int = option(0, "the same seed gives the same result")
    augmentation: Augmentation = dataclasses.field(default_factory=Augmentation)

    def __post_init__(self):
        name = self.model.split(",")[0]
        if name not in USUAL:
            raise ValueError(f"`model` must be one of {sorted(USUAL)}, options after commas. Received: {self.model!r}")
        if self.num_classes not in VOCABULARIES:
            raise ValueError(
                f"`num_classes` must be one of {sorted(VOCABULARIES)}. Received: num_classes={self.num_classes!r}"
            )
        if self.precision not in PRECISIONS:
            raise ValueError(f"`precision` must be one of {PRECISIONS}. Received: precision={self.precision!r}")
        for name_of, usual in {**COMMON, **USUAL[name]}.items():
            if getattr(self, name_of) is None:
                object.__setattr__(self, name_of, usual)
        for name_of in ("num_epochs", "batch_size", "learning_rate", "accumulation_steps", "patience"):
            if not getattr(self, name_of) > 0:
                raise ValueError(f"`{name_of}` must be above 0. Received: {name_of}={getattr(self, name_of)!r}")
        if not self.average_epochs >= 1:
            raise ValueError(f"`average_epochs` must be >= 1. Received: average_epochs={self.average_epochs!r}")
        for name_of in ("mixup_fraction", "teacher_share", "label_smoothing"):
            if not 0 <= getattr(self, name_of) <= 1:
                raise ValueError(f"`{name_of}` must be in [0, 1]. Received: {name_of}={getattr(self, name_of)!r}")
        if not 0 <= self.pseudo_fraction < 1:
            raise ValueError(f"`pseudo_fraction` must be in [0, 1). Received: pseudo_fraction={self.pseudo_fraction!r}")

    @property
    def vocabulary(self):
        """The labels, in the order of the model's outputs."""
        return VOCABULARIES[self.num_classes]


@dataclasses.dataclass(frozen=True)
class TranscriptRecipe:
    """The arguments of a training that makes transcripts; the defaults suit a quarter of an hour of speech.

    Args: see the fields.

    Raises:
        ValueError: no such precision, or a number that must be above 0 is not.
    """

    model: str = option("resnet_ctc", "architecture, options after commas: resnet_ctc,size=base")
    num_epochs: int = option(180, "passes over the training utterances")
    batch_size: int = option(16, "utterances a step, all of about the same length")
    learning_rate: float = option(1.5e-3, "highest of the schedule, which is a cosine with a warm-up")
    warmup_fraction: float = option(0.1, "share of all steps with a rising learning rate")
    weight_decay: float = option(0.01, "of the optimizer, AdamW")
    clip_norm: float = option(1.0, "limit on the norm of each weight's gradient")
    average_epochs: float = option(10.0, "epochs that the running average of the weights reaches back; 1: no average")
    speed_fraction: float = option(0.12, "faster or slower by up to this share (pitch moves along)")
    gain_db: float = option(6.0, "louder or quieter by up to so many decibels")
    max_seconds: float = option(17.0, "longer utterances are left out")
    num_val_speakers: int = option(6, "speakers that are held out: those with the highest ids")
    ngram_order: int = option(6, "characters that the language model of the transcripts looks at, its own among them")
    precision: str = option("float32", f"of the arithmetic while training: {', '.join(PRECISIONS)}")
    seed: int = option(0, "the same seed gives the same result")

    def __post_init__(self):
        if self.precision not in PRECISIONS:
            raise ValueError(f"`precision` must be one of {PRECISIONS}. Received: precision={self.precision!r}")
        for name in ("num_epochs", "batch_size", "learning_rate", "max_seconds", "num_val_speakers", "ngram_order"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be above 0. Received: {name}={getattr(self, name)!r}")
        for name in ("weight_decay", "gain_db"):
            if getattr(self, name) < 0:
                raise ValueError(f"`{name}` must not be negative. Received: {name}={getattr(self, name)!r}")
        for name in ("speed_fraction", "warmup_fraction"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be in [0, 1). Received: {name}={getattr(self, name)!r}")
        if not self.average_epochs >= 1:
            raise ValueError(f"`average_epochs` must be >= 1. Received: average_epochs={self.average_epochs!r}")


def without_each(recipe):
    """The recipe as it is and with one part of it switched off at a time, parts that are off already left out.

    Returns:
        dict of `Recipe`, by name: `everything`, `no shift_ms`, ...
    """
    parts = ("label_smoothing", "weight_decay", "mixup_fraction", "balanced")
    off = {name: dataclasses.replace(recipe, **{name: type(getattr(recipe, name))(0)}) for name in parts}
    for name in (
        "shift_ms",
        "speed_fraction",
        "tempo_fraction",
        "pitch_semitones",
        "gain_db",
        "noise_fraction",
        "hiss_std",
    ):
        augmentation = dataclasses.replace(recipe.augmentation, **{name: 0.0})
        off[name] = dataclasses.replace(recipe, augmentation=augmentation)
    return {"everything": recipe} | {f"no {name}": changed for name, changed in off.items() if changed != recipe}
