"""recipe.py: the usual values of each model, and what bad values get."""

import dataclasses

import pytest

from kaggle_speech.data.augmentation import Augmentation
from kaggle_speech.labels import VOCABULARIES
from kaggle_speech.training.recipe import COMMON, USUAL, Recipe, without_each


@pytest.mark.parametrize("model", USUAL)
def test_what_is_not_given_is_the_models_own(model):
    recipe = dataclasses.asdict(Recipe(model=f"{model},dropout_rate=0.2"))
    assert {"num_epochs", "learning_rate"} <= {*USUAL[model]}
    assert recipe.items() >= {**COMMON, **USUAL[model]}.items()
    given = {"num_epochs": 3, "learning_rate": 0.1, "batch_size": 5, "average_epochs": 1.5}
    assert dataclasses.asdict(Recipe(model=model, **given)).items() >= given.items()


def test_vocabulary_is_that_of_the_classes():
    assert Recipe(num_classes=35).vocabulary == VOCABULARIES[35]


def test_an_ablation_switches_off_one_part_at_a_time():
    recipe = Recipe(mixup_fraction=0.5, augmentation=Augmentation(pitch_semitones=2.0))
    recipes = without_each(recipe)
    assert recipes.pop("everything") == recipe
    parts = {"label_smoothing", "weight_decay", "mixup_fraction"}
    effects = {"shift_ms", "speed_fraction", "pitch_semitones", "gain_db", "noise_fraction"}
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
        ({"num_classes": 10}, r"`num_classes` must be one of \[11, 12, 31, 32, 35\]. Received: num_classes=10"),
        ({"num_epochs": 0}, "`num_epochs` must be above 0. Received: num_epochs=0"),
        ({"average_epochs": 0.5}, "`average_epochs` must be >= 1. Received: average_epochs=0.5"),
        ({"learning_rate": -1.0}, "`learning_rate` must be above 0. Received: learning_rate=-1.0"),
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
