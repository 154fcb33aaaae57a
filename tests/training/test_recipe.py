"""recipe.py: the usual values of each model, and what bad values get."""

import dataclasses

import pytest

from kaggle_speech.data.augmentation import Augmentation
from kaggle_speech.labels import VOCABULARIES
from kaggle_speech.models.architectures import ARCHITECTURES, architecture_names
from kaggle_speech.training.recipe import FitOptions, Recipe, TranscriptRecipe, without_each


@pytest.mark.parametrize("model", architecture_names("words"))
def test_what_is_not_given_is_the_models_own(model):
    recipe = dataclasses.asdict(Recipe(model=f"{model},dropout_rate=0.2"))
    defaults = dataclasses.asdict(ARCHITECTURES[model])
    names = ("num_epochs", "learning_rate", "batch_size", "average_epochs")
    assert [recipe[name] for name in names] == [defaults[name] for name in names]
    given = {"num_epochs": 3, "learning_rate": 0.1, "batch_size": 5, "average_epochs": 1.5}
    assert dataclasses.asdict(Recipe(model=model, **given)).items() >= given.items()


def test_both_recipes_are_options_of_fit():
    """With the same defaults where the architecture or the task has none of its own."""
    names = {field.name for field in dataclasses.fields(FitOptions)}
    for recipe, own in (
        (Recipe(), {"num_epochs", "learning_rate", "average_epochs"}),
        (TranscriptRecipe(), {"num_epochs", "learning_rate", "average_epochs", "warmup_fraction", "label_smoothing"}),
    ):
        assert isinstance(recipe, FitOptions)
        assert all(getattr(recipe, name) == getattr(FitOptions(), name) for name in names - own)
    with pytest.raises(TypeError, match="label_smoothing"):
        TranscriptRecipe(label_smoothing=0.1)


def test_every_field_is_documented():
    for cls in (FitOptions, Recipe, TranscriptRecipe):
        names = [field.name for field in dataclasses.fields(cls) if field.init]
        assert all(f"\n    {name}: " in cls.__doc__ for name in names) and "ARGUMENTS" not in cls.__doc__


def test_vocabulary_is_that_of_the_classes():
    assert Recipe(num_classes=35).vocabulary == VOCABULARIES[35]


def test_an_ablation_switches_off_one_part_at_a_time():
    augmentation = Augmentation(pitch_semitones=2.0, room_fraction=0.3)
    recipe = Recipe(mixup_fraction=0.5, joined_fraction=0.1, made_noise_minutes=5.0, augmentation=augmentation)
    recipes = without_each(recipe)
    assert recipes.pop("everything") == recipe
    parts = {"label_smoothing", "weight_decay", "mixup_fraction", "joined_fraction", "made_noise_minutes"}
    effects = {"shift_ms", "speed_fraction", "pitch_semitones", "gain_db", "noise_fraction", "room_fraction"}
    assert {*recipes} == {f"no {name}" for name in parts | effects}
    for name in parts | effects:
        changed = dataclasses.asdict(recipes[f"no {name}"])
        before = dataclasses.asdict(recipe)
        here, there = (values["augmentation"] if name in effects else values for values in (changed, before))
        assert here[name] == 0
        here[name] = there[name]
        assert changed == before


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": "resnet"}, r"`model` must be one of \['bc_resnet', .*Received: 'resnet'"),
        ({"num_classes": 10}, r"`num_classes` must be one of \[11, 12, 31, 32, 33, 35\]. Received: num_classes=10"),
        ({"num_epochs": 0}, "`num_epochs` must be above 0. Received: num_epochs=0"),
        ({"average_epochs": 0.5}, "`average_epochs` must be >= 1. Received: average_epochs=0.5"),
        ({"learning_rate": -1.0}, "`learning_rate` must be above 0. Received: learning_rate=-1.0"),
        ({"model": "resnet_ctc"}, "`model` must be one of .* Received: 'resnet_ctc'"),
        ({"model": "tc_resnt"}, "Received: 'tc_resnt'. Did you mean 'tc_resnet'?"),
        ({"optimizer": "magic"}, r"`optimizer` must be one of \('adamw', 'sgd'\). Received: optimizer='magic'"),
        ({"schedule": "magic"}, r"`schedule` must be one of \('cosine', .* Received: schedule='magic'"),
        ({"precision": "int8"}, r"`precision` must be one of \('float32', .* Received: precision='int8'"),
        ({"unknown_fraction": -1.0}, "`unknown_fraction` must not be negative. Received: unknown_fraction=-1.0"),
        ({"mixup_alpha": 0.0}, "`mixup_alpha` must be above 0. Received: mixup_alpha=0.0"),
        ({"weight_decay": -1.0}, "`weight_decay` must not be negative. Received: weight_decay=-1.0"),
        ({"warmup_fraction": 1.0}, r"`warmup_fraction` must be in \[0, 1\). Received: warmup_fraction=1.0"),
        ({"clip_norm": float("nan")}, "`clip_norm` must be above 0. Received: clip_norm=nan"),
        ({"mixup_fraction": 1.5}, r"`mixup_fraction` must be in \[0, 1\]. Received: mixup_fraction=1.5"),
    ],
)
def test_bad_recipes(values, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shift_ms": -1.0}, "`shift_ms` must not be negative. Received: shift_ms=-1.0"),
        ({"speed_fraction": 1.0}, "`speed_fraction` must be < 1"),
        ({"noise_fraction": 1.5}, "`noise_fraction` must be <= 1. Received: noise_fraction=1.5"),
        ({"tempo_fraction": 1.0}, "`tempo_fraction` must be < 1. Received: tempo_fraction=1.0"),
        ({"min_snr_db": 31.0}, "`min_snr_db` must be <= `max_snr_db`. Received: min_snr_db=31.0"),
    ],
)
def test_bad_augmentations(values, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**values)
