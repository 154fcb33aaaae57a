"""Architectures by name: `build_model("bc_resnet,width=3", num_classes=12)`."""

import ast

import keras

from kaggle_speech.models.bc_resnet import build_bc_resnet
from kaggle_speech.models.cnn import build_cnn
from kaggle_speech.models.cnn_bigru import build_cnn_bigru
from kaggle_speech.models.ds_cnn import build_ds_cnn
from kaggle_speech.models.efficientnet import build_efficientnet
from kaggle_speech.models.resnet_ctc import build_resnet_ctc
from kaggle_speech.models.tc_resnet import build_tc_resnet
from kaggle_speech.models.vgg import build_vgg

#: Name on the command line -> builder.
BUILDERS = {
    "cnn": build_cnn,
    "vgg": build_vgg,
    "cnn_bigru": build_cnn_bigru,
    "efficientnet": build_efficientnet,
    "tc_resnet": build_tc_resnet,
    "bc_resnet": build_bc_resnet,
    "ds_cnn": build_ds_cnn,
}
#: The same for those that make transcripts of speech of any length.
TRANSCRIBERS = {"resnet_ctc": build_resnet_ctc}


def parse_architecture(architecture):
    """Split a builder's name from its options.

    Raises:
        ValueError: no builder has the name, or an option is not `name=value`.

    >>> parse_architecture("tc_resnet,num_layers=14,width=1.5")
    ('tc_resnet', {'num_layers': 14, 'width': 1.5})
    """
    name, *pairs = architecture.split(",")
    if name not in BUILDERS | TRANSCRIBERS:
        raise ValueError(f"a model must be one of {sorted(BUILDERS | TRANSCRIBERS)}. Received: {architecture!r}")
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


def build_model(architecture, num_classes, *, precision="float32", **options):
    """The model that goes by a name in `BUILDERS` or `TRANSCRIBERS`, options of its builder after commas.

    Args:
        architecture: for example `cnn` or `tc_resnet,num_layers=14`.
        num_classes: outputs.
        precision: Keras' dtype policy, one of `recipe.PRECISIONS`. Weights, features and probabilities are float32
            under any; under a mixed one what lies between is computed in 16 bits, faster where hardware is made for it.
        options: further arguments of the builder; they count where `architecture` has others.

    Raises:
        ValueError: no builder has the name, or it has no such option.
    """
    name, written_options = parse_architecture(architecture)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return (BUILDERS | TRANSCRIBERS)[name](num_classes, **(written_options | options))
    except TypeError as error:
        raise ValueError(f"{architecture}: {error}") from error
    finally:
        keras.config.set_dtype_policy(policy)


def build_untrained(architecture, num_classes):
    """The model that `build_model` builds, in float32 and with random weights: nothing is downloaded for it.

    Raises:
        ValueError: no builder has the name, or it has no such option.
    """
    is_pretrained = "weights" in parse_architecture(architecture)[1]
    return build_model(architecture, num_classes, **({"weights": None} if is_pretrained else {}))


def float32_copy(model, architecture, num_classes):
    """A model of any precision in float32, which runs anywhere; itself where it is. Args: as `build_model`."""
    if model.dtype_policy.name == "float32":
        return model
    copy = build_untrained(architecture, num_classes)
    copy.set_weights(model.get_weights())
    return copy
