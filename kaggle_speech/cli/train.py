"""Commands that train models and list them."""

import argparse
import dataclasses
import types
import typing
from pathlib import Path

from kaggle_speech.cli.data import find_clips, read_clips, read_utterances
from kaggle_speech.cli.parser import above_zero, add_command, add_data, add_overwrite, add_ray, add_speech, new_file
from kaggle_speech.data.augmentation import Augmentation
from kaggle_speech.files import listing
from kaggle_speech.labels import VOCABULARIES
from kaggle_speech.progress import progress_bar
from kaggle_speech.quiet import import_tensorflow_quietly
from kaggle_speech.training.recipe import Recipe, TranscriptRecipe, without_each

#: Title of the options of each dataclass.
OPTION_GROUPS = {Recipe: "training", TranscriptRecipe: "training", Augmentation: "changes of the training clips"}


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the commands of this module."""
    parser = add_command(
        subparsers,
        train,
        "--data DIR --out runs/mine",
        "--data DIR --out runs/mine --model bc_resnet,width=3 --seed 1",
        "--data DIR --out runs/student --teachers runs/a runs/b",
        "--data DIR --out runs/mine --speech-negatives LibriSpeech/train-clean-5",
    )
    add_data(parser)
    parser.add_argument("--out", required=True, metavar="RUN", help="folder of the training, new or of a killed one")
    parser.add_argument(
        "--teachers", nargs="+", default=[], metavar="RUN", help="finished runs whose mean probabilities are the target"
    )
    parser.add_argument("--pseudo", metavar="CSV", help="file of `pseudo`: labels for test clips, to train on as well")
    parser.add_argument(
        "--speech-negatives",
        metavar="DIR",
        help="running speech, of which random seconds are `unknown`: LibriSpeech's layout, whose sentences with one of "
        "the commands are left out, or any folder of audio files",
    )
    parser.add_argument(
        "--mined", metavar="CSV", help="file of `mine`: seconds of that speech that a model was wrong about"
    )
    parser.add_argument(
        "--initial", metavar="MODEL", help="run or published model of the same network whose weights to start from"
    )
    _add_cache(parser)
    _add_devices(parser)
    add_overwrite(parser)
    add_options(parser, Recipe)

    parser = add_command(
        subparsers,
        train_transcriber,
        "--out runs/transcriber",
        "--data speech.csv --out runs/transcriber --num-epochs 60",
    )
    add_speech(parser)
    parser.add_argument("--out", required=True, metavar="RUN", help="folder of the training, new or of a killed one")
    parser.add_argument("--initial", metavar="MODEL", help="run of the same network whose weights to start from")
    _add_devices(parser)
    add_overwrite(parser)
    add_options(parser, TranscriptRecipe)

    parser = add_command(
        subparsers,
        train_language_model,
        "books/*.txt --out runs/transcriber/words.arpa.gz",
        "books LibriSpeech/train-clean-5 --out words.arpa.gz --max-words 50000 --prune 2 --check other_book.txt",
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="texts (.txt, .txt.gz), folders of them, or folders in LibriSpeech's layout, whose transcripts count",
    )
    parser.add_argument("--out", required=True, metavar="ARPA", help="file to write, .arpa or .arpa.gz; must be new")
    parser.add_argument("--order", type=above_zero(int), default=3, metavar="N", help="length of the n-grams, in words")
    parser.add_argument(
        "--max-words", type=above_zero(int), default=20_000, metavar="N", help="number of words, the most frequent ones"
    )
    parser.add_argument(
        "--prune",
        type=float,
        default=1.0,
        metavar="NUMBER",
        help="leave out n-grams that gain less than this, occurrences times log-probability",
    )
    parser.add_argument(
        "--chapters",
        metavar="FILE",
        help="LibriSpeech's CHAPTERS.TXT: books that its dev and test sets were read from are left out",
    )
    parser.add_argument(
        "--check", nargs="+", default=[], metavar="FILE", help="other texts, of which to print the perplexity"
    )

    parser = add_command(
        subparsers, compare, "--data DIR --models tc_resnet bc_resnet,width=3 --num-seeds 3 --out runs/results.csv"
    )
    parser.add_argument(
        "--models", nargs="+", required=True, metavar="MODEL", help="architectures, each with options after commas"
    )
    _add_table(parser)
    add_options(parser, Recipe, leave_out=("model",))

    parser = add_command(subparsers, ablate, "--data DIR --model tc_resnet --num-seeds 3 --out runs/ablation.csv")
    _add_table(parser)
    add_options(parser, Recipe)

    parser = add_command(subparsers, models, "", "--architectures", "--architectures --num-classes 31")
    parser.add_argument(
        "--architectures", action="store_true", help="list the architectures instead: parameters, megabytes, MACs"
    )
    parser.add_argument(
        "--num-classes", type=int, choices=sorted(VOCABULARIES), default=12, help="outputs of each architecture"
    )


def _add_cache(parser):
    parser.add_argument("--cache", metavar="memory|DIR", help="decode the clips once, and keep them there")


def _add_devices(parser):
    parser.add_argument(
        "--devices",
        type=_devices,
        metavar="all|N",
        help="GPUs, TPU cores or hosts that share every batch, with KERAS_BACKEND=jax; default: one device",
    )


def _devices(text):
    """`all`, or a number above zero."""
    return text if text == "all" else above_zero(int)(text)


def _add_table(parser):
    """Add the options that `compare` and `ablate` share."""
    add_data(parser)
    parser.add_argument(
        "--out",
        required=True,
        metavar="CSV",
        help="table to write, a row for each run; the runs go to a folder beside it",
    )
    parser.add_argument(
        "--num-seeds",
        type=above_zero(int),
        default=3,
        metavar="N",
        help="runs of each recipe, with this seed and those after it",
    )
    _add_cache(parser)
    _add_devices(parser)
    add_overwrite(parser)
    add_ray(parser)


def add_options(parser: argparse.ArgumentParser, recipe: type, leave_out: tuple[str, ...] = ()) -> None:
    """Add an option for each field of a dataclass that has a help text, and of the dataclasses in it.

    Args:
        parser: parser of the command.
        recipe: the dataclass.
        leave_out: names of fields without an option.
    """
    group = parser.add_argument_group(OPTION_GROUPS[recipe])
    field_types = typing.get_type_hints(recipe)
    for field in dataclasses.fields(recipe):
        field_type = field_types[field.name]
        if dataclasses.is_dataclass(field_type):
            add_options(parser, typing.cast(type, field_type))
        elif field.init and "help" in field.metadata and field.name not in leave_out:
            flags = [f"--{field.name.replace('_', '-')}", *(["--epochs"] if field.name == "num_epochs" else [])]
            options = {"default": field.default, "help": field.metadata["help"].replace("%", "%%")}
            group.add_argument(*flags, **options, **_parsing(field_type))


def _parsing(field_type):
    """Arguments of `add_argument` for an option of a type."""
    if isinstance(field_type, types.UnionType):
        (field_type,) = (part for part in typing.get_args(field_type) if part is not type(None))
    if field_type is bool:
        return {"action": "store_true"}
    if (typing.get_origin(field_type) or field_type) is tuple:
        return {"nargs": "+", "metavar": "WORD"}
    return {"type": field_type, "metavar": {int: "N", float: "NUMBER"}.get(field_type, "NAME")}


def options_from(args: argparse.Namespace, recipe: type, **changes: typing.Any) -> typing.Any:
    """The dataclass that the options of `add_options` describe.

    Args:
        args: parsed arguments.
        recipe: the dataclass.
        changes: fields that have another value.
    """
    values = {}
    field_types = typing.get_type_hints(recipe)
    for field in dataclasses.fields(recipe):
        if dataclasses.is_dataclass(field_types[field.name]):
            values[field.name] = options_from(args, field_types[field.name])
        elif field.init and hasattr(args, field.name):
            value = getattr(args, field.name)
            values[field.name] = tuple(value) if isinstance(value, list) else value
    return recipe(**{**values, **changes})


def train(args: argparse.Namespace) -> None:
    """Train a model of the commands, and evaluate it on the validation speakers.

    A killed training continues where it stopped; a finished one is not repeated.
    """
    if args.mined and not args.speech_negatives:
        raise ValueError("--mined must come with --speech-negatives, the speech that was mined. Received: none")
    recipe = options_from(args, Recipe)
    data_dir = find_clips(args.data)
    import_tensorflow_quietly()
    from kaggle_speech.data import clips, negatives
    from kaggle_speech.training import words

    clips_df, bad_df = read_clips(data_dir, recipe.vocabulary)
    options = {"teachers": args.teachers, "cache": args.cache, "overwrite": args.overwrite, "bad_df": bad_df}
    options["devices"] = args.devices
    if args.pseudo:
        options["pseudo_df"] = clips.pseudo_clips(args.pseudo, data_dir, recipe.vocabulary)
    if args.initial:
        options["initial"] = args.initial
    if args.speech_negatives:
        options["speech_df"] = negatives.speech_negatives(args.speech_negatives)
    if args.mined:
        options["speech_df"] = negatives.with_mined(options["speech_df"], args.mined, recipe.mined_share)
    print_metrics(words.train(recipe, clips_df, args.out, **options))
    print(f"model and metrics: {args.out}")


def train_transcriber(args: argparse.Namespace) -> None:
    """Train a model that makes transcripts, and count its errors on the speakers that are held out.

    A killed training continues where it stopped; a finished one is not repeated.
    """
    recipe = options_from(args, TranscriptRecipe)
    utterances_df, bad_df = read_utterances(args.data)
    import_tensorflow_quietly()
    from kaggle_speech.training import transcripts

    options = {"bad_df": bad_df, "overwrite": args.overwrite, "initial": args.initial, "devices": args.devices}
    metrics = transcripts.train_transcriber(recipe, utterances_df, args.out, **options)
    left_out_path = Path(args.out) / "left_out.csv"
    if left_out_path.exists():
        print(f"utterances that were left out, each with the reason: {left_out_path}")
    for split, speakers in (("train", "training speakers"), ("val", "held-out speakers")):
        print(f"{speakers}, {metrics[split]['greedy']['num_utterances']} utterances")
        print_error_rates(metrics[split])
    print(f"model, metrics and transcripts: {args.out}")


def train_language_model(args: argparse.Namespace) -> None:
    """Count which words follow which in texts, for the beam search of `transcribe`.

    Numbers and signs that are read aloud are not spelled out: sentences with them are left out.
    """
    from kaggle_speech.text import corpus, kneser_ney, lexicon

    out_path = new_file(args.out)
    sentences = _sentences(args.files, corpus.books_of_tests(args.chapters) if args.chapters else frozenset())
    model = kneser_ney.count_words(sentences, args.order, max_words=args.max_words, prune=args.prune)
    model.write(out_path)
    num_words = sum(len(sentence.split()) for sentence in sentences)
    print(f"{num_words:,} words of {len(sentences):,} sentences")
    print(f"{model}, {out_path.stat().st_size / 1e6:.1f} MB")
    if args.check:
        others = _sentences(args.check)
        known = lexicon.Lexicon(model)
        is_known = [word in known for sentence in others for word in sentence.split()]
        print(
            f"perplexity {model.perplexity(others):.0f} of {len(is_known):,} other words, of which "
            f"{1 - sum(is_known) / len(is_known):.1%} are unknown"
        )
    print(out_path)


def _sentences(names, left_out_books=frozenset()):
    """Sentences of texts, of folders of texts, and of LibriSpeech's transcripts; says which books it leaves out."""
    from kaggle_speech.data import places, utterances
    from kaggle_speech.text import corpus

    sentences, left_out = [], []
    for path in map(Path, names):
        if path.is_dir() and places.has_speech(path):
            sentences += utterances.index_utterances(path)[0]["text"].tolist()
            continue
        paths = sorted(path.rglob("*.txt")) + sorted(path.rglob("*.txt.gz")) if path.is_dir() else [path]
        if not paths:
            raise ValueError(f"{path}: must hold .txt or .txt.gz files, or LibriSpeech's. Received: none")
        for text_path in progress_bar(paths, desc=path.name, unit="file", progress=len(paths) > 1):
            text = corpus.read_text(text_path)
            if left_out_books and corpus.is_one_of(text, left_out_books):
                left_out.append(text_path.stem)
            else:
                sentences += corpus.split_sentences(text)
    if left_out:
        print(f"left out, because LibriSpeech's dev or test sets were read from them:\n  {listing(left_out)}")
    return sentences


def compare(args: argparse.Namespace) -> None:
    """Train several models with several seeds into one table.

    Finished runs are not repeated, and other rows of the table stay.
    """
    _compare(args, {model: options_from(args, Recipe, model=model) for model in args.models})


def ablate(args: argparse.Namespace) -> None:
    """Train a model with everything, then without one part of its recipe at a time, into one table.

    Finished runs are not repeated, and other rows of the table stay.
    """
    _compare(args, without_each(options_from(args, Recipe)))


def _compare(args, recipes):
    data_dir = find_clips(args.data)
    import_tensorflow_quietly()
    from kaggle_speech.training import comparison

    options = {"cache": args.cache, "devices": args.devices, "overwrite": args.overwrite}
    if args.ray is not None:
        from kaggle_speech.cluster.ray_map import map_runs

        options["map_runs"] = map_runs(args.ray)
    clips_df, _ = read_clips(data_dir, next(iter(recipes.values())).vocabulary)
    runs_df = comparison.compare(recipes, args.num_seeds, clips_df, args.out, **options)
    print(comparison.summarize_runs(runs_df).to_string(index=False))
    print(f"a row a run: {args.out}")


def models(args: argparse.Namespace) -> None:
    """List the models that come with the package: task, labels, parameters, accuracy and on how many clips, size.

    With --architectures, list the networks that can be trained, in the sizes of their sources.
    """
    if args.architectures:
        import_tensorflow_quietly()
        from kaggle_speech.models import cost

        print(cost.describe_models(num_classes=args.num_classes).to_string(index=False))
        return
    from kaggle_speech.models import pretrained

    print(f"{'name':21}{'task':13}{'labels':>6}{'parameters':>12}{'accuracy':>10}{'clips':>7}{'kB':>7}")
    for model in pretrained.list_models():
        parameters = "" if model.parameters is None else f"{model.parameters:,}"
        clips = "" if model.num_clips is None else f"{model.num_clips:,}"
        size = round(model.bytes / 1000)
        facts = f"{model.name:21}{model.task:13}{model.labels:>6}{parameters:>12}{model.accuracy:>10.1%}"
        print(f"{facts}{clips:>7}{size:>7}")


def print_metrics(metrics: dict) -> None:
    """Print accuracy, recall, and the recall of words that were left out."""
    own = [metrics["own_labels"]] if "own_labels" in metrics else []
    for figures in (*own, metrics):
        interval = ""
        if "accuracy_interval" in figures:
            interval = " ({:.4f} to {:.4f})".format(*figures["accuracy_interval"])
        print(
            f"validation accuracy {figures['accuracy']:.4f}{interval}, macro F1 {figures['macro_f1']:.4f}, "
            f"{figures['num_clips']} clips of {figures['num_labels']} labels"
        )
    print("recall:", ", ".join(f"{label} {recall:.2f}" for label, recall in metrics["recall"].items()))
    if "left_out" in metrics:
        left_out = metrics["left_out"]
        interval = f" ({left_out['low']:.4f} to {left_out['high']:.4f})" if "low" in left_out else ""  # since 0.2
        print(f"unknown among {left_out['num_clips']} clips of the words left out: {left_out['recall']:.4f}{interval}")


def print_error_rates(metrics: dict) -> None:
    """Print character and word error rates, a line for each decoder."""
    for decoder, rates in metrics.items():
        print(f"{decoder}: CER {rates['cer']:.4f}, WER {rates['wer']:.4f}")
