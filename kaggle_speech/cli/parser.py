"""`python -m kaggle_speech <command>`: the arguments of the commands, which are in `commands`."""

import argparse
import dataclasses
import itertools
import os
import re
import sys
from pathlib import Path

from kaggle_speech import __doc__ as package_doc
from kaggle_speech.audio import SAMPLE_RATE
from kaggle_speech.cli import commands, live_commands, transcript_commands
from kaggle_speech.data import places
from kaggle_speech.data.augmentation import Augmentation
from kaggle_speech.inference.answers import SCORES
from kaggle_speech.inference.load import ENGINES
from kaggle_speech.inference.runtimes import FORMATS
from kaggle_speech.labels import VOCABULARIES
from kaggle_speech.models import pretrained
from kaggle_speech.training.recipe import Recipe, TranscriptRecipe


def _positive(number_type):
    """A parser of numbers above zero."""

    def positive(text):
        if not number_type(text) > 0:
            raise argparse.ArgumentTypeError(f"must be above 0. Received: {text}")
        return number_type(text)

    return positive


def _recipe_arguments(*recipes):
    """An argument for each field of dataclasses that has a help text."""
    arguments = {}
    for field in itertools.chain(*map(dataclasses.fields, recipes)):
        if "help" not in field.metadata:
            continue
        options = {"default": field.default, "help": field.metadata["help"]}
        if field.type is bool:
            options["action"] = "store_true"
        elif field.type is tuple:
            options["nargs"] = "+"
        else:
            options["type"] = {int | None: int, float | None: float}.get(field.type, field.type)
        arguments[field.name] = options
    return arguments


def build_parser():
    """The commands and their arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m kaggle_speech", description=package_doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    subparsers = parser.add_subparsers(required=True, metavar="command")

    def add(function, **arguments):
        command = subparsers.add_parser(
            function.__name__.replace("_", "-"),
            help=function.__doc__,
            description=function.__doc__,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        command.set_defaults(function=function)
        for name, options in arguments.items():
            is_positional = "nargs" in options and "default" not in options and "required" not in options
            flags = [name] if is_positional else [f"--{name.replace('_', '-')}"]
            flags += ["--epochs"] if name == "num_epochs" else []
            command.add_argument(*flags, **options)

    data = {"help": f"folder of clips or archives; else {places.DATA_VARIABLE}, a Kaggle kernel's input, ./data"}
    seed = {"type": int, "default": 0, "help": "the same seed gives the same result"}
    finished_run = {"type": Path, "required": True, "help": "folder of a finished training"}
    num_classes = {"type": int, "choices": sorted(VOCABULARIES), "default": 12, "help": "size of the vocabulary"}
    add(
        commands.sample,
        out={"help": "folder to make; data/sample"},
        num_clips={"type": int, "default": 3000, "help": "speech clips"},
        seed=seed,
    )
    add(
        commands.sentences,
        out={"help": "folder to make; data/sentences"},
        num_utterances={"type": int, "default": 400, "help": "spoken sentences"},
        seed=seed,
    )
    add(
        commands.prepare,
        data=data,
        out={"help": "folder to extract to; in a kernel a temporary one, else data/"},
        or_sample={"action": "store_true", "help": "render the sample where there is no data"},
        download={"help": "fetch v0.01, v0.02 or a test_set_ of Speech Commands, or dev-clean, ... of LibriSpeech"},
    )
    add(commands.models, num_classes=num_classes)
    recipe = _recipe_arguments(Recipe, Augmentation)
    cache = {"help": '"memory" or a folder: decode the clips once'}
    overwrite = {
        "action": "store_true",
        "help": "replace what is of another recipe, model or folder of clips; a run is set aside, not removed",
    }
    add(
        commands.train,
        data=data,
        out={"required": True, "help": "folder of the run"},
        teachers={"nargs": "+", "default": [], "help": "finished runs whose mean opinion is the target"},
        pseudo={"help": "CSV of `pseudo`: labels for test clips, to train on as well"},
        cache=cache,
        overwrite=overwrite,
        **recipe,
    )
    table = {
        "data": data,
        "out": {"required": True, "help": "CSV to write, one row a run; the runs go to a folder beside it"},
        "num_seeds": {"type": _positive(int), "default": 3, "help": "runs of each, with this seed and those after it"},
        "cache": cache,
        "overwrite": overwrite,
    }
    architectures = {"nargs": "+", "required": True, "help": "architectures, options after commas"}
    options_but_model = {name: options for name, options in recipe.items() if name != "model"}
    add(commands.compare, models=architectures, **table, **options_but_model)
    add(commands.ablate, **table, **recipe)
    add(commands.publish, run=finished_run, out={"required": True, "help": "folder to make"})
    model = {
        "run": {"type": Path, "default": pretrained.PRETRAINED_DIR, "help": "folder of a finished `train`"},
        "onnx": {"type": Path, "help": "exported file instead of a run; needs no TensorFlow"},
        "engine": {"choices": ENGINES, "help": "what runs the model; the quicker one that is there"},
    }
    words = {"type": Path, "help": "file of `enroll`: answer with its words, too"}
    _add_inference(add, data, overwrite, seed, finished_run, model, words)
    _add_live(add, data, seed, model, words)
    _add_transcripts(add, overwrite, finished_run, model)
    return parser


def _add_transcripts(add, overwrite, finished_run, model):
    """The commands that make transcripts."""
    speech = {
        "help": "folder in LibriSpeech's layout, or a CSV with the columns path, text, speaker; "
        f"else LibriSpeech in {places.DATA_VARIABLE} or in ./data"
    }
    run = model | {
        "run": model["run"] | {"default": pretrained.TRANSCRIBER_DIR, "help": "folder of `train-transcriber`"}
    }
    add(
        transcript_commands.train_transcriber,
        data=speech,
        out={"required": True, "help": "folder of the run"},
        overwrite=overwrite,
        **_recipe_arguments(TranscriptRecipe),
    )
    add(
        transcript_commands.evaluate_transcriber,
        **run,
        data=speech,
        num_val_speakers={"type": int, "help": "speakers with the highest ids that count, 0: all; those held out"},
        out={"help": "CSV to write, a row an utterance"},
    )
    add(
        transcript_commands.export_transcriber,
        run=finished_run,
        data=speech,
        out={"help": "folder to write to; the run's own"},
    )
    add(transcript_commands.publish_transcriber, run=finished_run, out={"required": True, "help": "folder to make"})
    add(
        transcript_commands.transcribe,
        **run,
        files={"nargs": "*", "help": "audio files of any length"},
        live={"action": "store_true", "help": "write as it is said, into the microphone or in a file that is played"},
        microphone={"metavar": "DEVICE", "help": "with --live and without a file: its number or name; the default one"},
        beam_width={
            "type": _positive(int),
            "default": 16,
            "help": "texts held for possible; 1: the best path, quicker",
        },
        lm_weight={"type": float, "help": "of the language model beside the model; 0: without; BeamDecoder's own"},
        times={"action": "store_true", "help": "of files: a line a word, with the seconds at which it begins and ends"},
    )


def _add_live(add, data, seed, model, words):
    """The commands that hear streams."""
    threshold = {"type": float, "help": "that a smoothed probability must reach, 0.10 to 0.95; the recogniser's own"}
    add(
        live_commands.enroll,
        **{name: model[name] for name in ("run", "onnx")},
        word={"required": True, "help": "how it is called"},
        words={"type": Path, "required": True, "help": "file to write, or to add the word to"},
        files={"nargs": "+", "help": "recordings of the word, three to ten; the first second of each counts"},
    )
    add(
        live_commands.listen,
        **model,
        words=words,
        file={"nargs": "?", "help": "audio file, or - for raw 16-bit samples from standard input"},
        microphone={"nargs": "?", "const": "", "default": None, "metavar": "DEVICE", "help": "its number or name"},
        threshold=threshold,
        real_time={"action": "store_true", "help": "play a file at the speed at which it sounds"},
        sample_rate={"type": _positive(int), "default": SAMPLE_RATE, "help": "of standard input, Hz"},
        num_channels={"type": _positive(int), "default": 1, "help": "of standard input"},
    )
    add(
        live_commands.live,
        **model,
        words=words,
        file={"type": Path, "help": "audio file to play instead of a microphone"},
        threshold=threshold,
        picture={"type": Path, "help": "PNG of the window after the file's last word, made without a screen"},
    )
    add(
        live_commands.stream_evaluate,
        **model,
        data=data,
        snr_db={"nargs": "+", "type": float, "default": [20.0, 10.0], "help": "of words over noise"},
        hours={"type": _positive(float), "default": 1.0, "help": "of stream with words, and of noise alone, at each"},
        threshold=threshold,
        seed=seed,
        out={"required": True, "help": "folder of the table and the figure"},
    )


def _add_inference(add, data, overwrite, seed, finished_run, model, words):
    """The commands that need a trained model, or what it made."""
    transforms = {"nargs": "+", "default": ["as_is"], "help": "average over as_is, shift_ms=NUMBER, gain=NUMBER"}
    pass_over_clips = {**model, "data": data, "transforms": transforms, "overwrite": overwrite}
    files = {"nargs": "+", "help": "probability files of the same clips"}
    out = {"required": True, "help": "file to write"}
    add(
        commands.evaluate,
        **model,
        data=data,
        out={"help": "folder to write to; RUN/evaluation"},
        against={"type": Path, "help": "folder of another run, or an exported file, to compare with"},
        seed=seed,
    )
    add(
        commands.export,
        run=finished_run,
        data=data,
        out={"help": "folder to write to; the run's own"},
        formats={"nargs": "+", "default": ["onnx"], "choices": FORMATS, "help": "of the files"},
        precisions={
            "nargs": "+",
            "default": ["float32"],
            "choices": FORMATS["onnx"][1],
            "help": "each that the format has",
        },
        num_calibration={"type": _positive(int), "default": 256, "help": "training clips that int8 takes ranges from"},
    )
    add(
        commands.threshold,
        run=finished_run,
        data=data,
        score={"choices": SCORES, "default": "probability", "help": "how sure the model is of a command"},
        false_accept_rate={
            "type": float,
            "help": "share of the unknown words that may be taken for a command, 0 to 1; what gives the best accuracy",
        },
    )
    least_score = {
        "type": _threshold,
        "metavar": "NUMBER|none",
        "help": "score under which a command becomes `unknown`; what `threshold` has chosen for the run, if anything",
    }
    audio_files = {"nargs": "+", "help": "audio files; the first second of each counts"}
    add(commands.predict, **model, words=words, threshold=least_score, files=audio_files)
    add(
        commands.probabilities,
        **pass_over_clips,
        out=out,
        split={"choices": ("test", "val"), "default": "test", "help": "clips to answer"},
        shard={"type": _shard, "metavar": "K/N", "help": "only one of several parts, to be merged"},
    )
    add(commands.merge, files={**files, "help": "all shards, in any order"}, out=out)
    add(
        commands.blend,
        files=files,
        out=out,
        weights={"nargs": "+", "type": float, "default": None, "help": "one for each file; all the same"},
        fit={"nargs": "+", "default": None, "help": "the same models' files of validation clips, to fit weights on"},
    )
    add(
        commands.pseudo,
        files=files,
        out=out,
        min_probability={"type": float, "default": 0.9, "help": "of the label, in the mean of the files"},
        max_per_label={"type": _positive(int), "help": "clips of each label; as many as the rarest has"},
    )
    add(
        commands.submit,
        **pass_over_clips,
        out={"help": "CSV to write; submissions/<run>.csv"},
        probabilities={"type": Path, "help": "probability file instead of a model"},
        threshold=least_score,
        match_label_mix={"action": "store_true", "help": "as many answers of each label (a risk: see `ensemble`)"},
    )
    add(commands.diff, before={"required": True, "help": "CSV"}, after={"required": True, "help": "CSV"})


def _shard(text):
    """`2/3` to (2, 3)."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"must be K/N with K from 1 to N. Received: {text}")
    return int(found[1]), int(found[2])


def _threshold(text):
    """A number; `none` is one under every score."""
    return float("-inf") if text == "none" else float(text)


def main(arguments=None):
    """Run a command; an error that the user can mend is one line on standard error and exit status 1."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    args = build_parser().parse_args(arguments)
    try:
        args.function(args)
    except Exception as error:
        # TensorFlow's errors on files are recognised by name: it may not have been imported.
        of_tensorflow = any(base.__name__ == "OpError" for base in type(error).__mro__)
        if not of_tensorflow and not isinstance(error, (ValueError, OSError, RuntimeError, ImportError)):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
