"""`python -m kaggle_speech <command>`: a thin door to the functions of the package.

TensorFlow is imported by the commands that need it, so that `--help` and the others start at once.
"""

import argparse
import dataclasses
import os
import sys
from pathlib import Path

from kaggle_speech import __doc__ as package_doc
from kaggle_speech import paths
from kaggle_speech.labels import COMPETITION_LABELS, VOCABULARIES
from kaggle_speech.recipe import Augmentation, Recipe, without_each

#: Bad clips that are printed; a run lists all of them in bad_clips.csv.
MAX_LISTED = 20


def sample(args):
    """Render a small competition-shaped data set with a speech synthesiser, offline."""
    from kaggle_speech.sample import render_sample

    print(render_sample(args.out or paths.project_dir() / "data" / "sample", args.num_clips, args.seed))


def prepare(args):
    """Find the data (and download it if asked to), extract what is packed, print the folder."""
    from kaggle_speech import archives, downloads

    if args.download:
        archive_dir = Path(args.data or paths.project_dir() / "data")
        archive_path = downloads.download(args.download, archive_dir)
        out_dir = Path(args.out or paths.extraction_dir(archive_dir) / f"speech_commands_{args.download}")
        archives.extract_archive(archive_path, out_dir)
        print(out_dir)
        return
    try:
        print(archives.prepare_data(args.data, args.out))
    except paths.NoDataError:
        if not args.or_sample:
            raise
        sample(build_parser().parse_args(["sample"]))


def _read_index(data_dir, vocabulary=COMPETITION_LABELS):
    """The readable clips of a folder and the others, which are listed on standard error."""
    from kaggle_speech import archives, index

    data_dir = archives.prepare_data(data_dir)
    print(f"data: {data_dir}", file=sys.stderr)
    clips_df, bad_df = index.check_clips(index.index_clips(data_dir, vocabulary))
    if len(bad_df):
        errors = [*bad_df["error"][:MAX_LISTED], *(["..."] if len(bad_df) > MAX_LISTED else [])]
        print(f"{len(bad_df)} clips cannot be read and are left out:", *errors, sep="\n  ", file=sys.stderr)
    return clips_df, bad_df


def models(args):
    """List the architectures, in the sizes of their sources: parameters, file size, operations."""
    from kaggle_speech import models

    print(models.describe_models(num_classes=args.num_classes).to_string(index=False))


def recipe_of(args, **changes):
    """The `Recipe` that the arguments of `train` and `compare` describe."""

    def given(options):
        names = [field.name for field in dataclasses.fields(options) if hasattr(args, field.name)]
        return {name: getattr(args, name) for name in names}

    return Recipe(**{**given(Recipe), "augmentation": Augmentation(**given(Augmentation)), **changes})


def train(args):
    """Train a model; a killed run continues where it stopped, a finished one is not trained again."""
    from kaggle_speech import experiment

    recipe = recipe_of(args)
    clips_df, bad_df = _read_index(args.data, recipe.vocabulary)
    options = {"teachers": args.teachers, "cache": args.cache, "overwrite": args.overwrite, "bad_df": bad_df}
    _print_metrics(experiment.train_run(recipe, clips_df, args.out, **options))
    print(f"model and metrics: {args.out}")


def compare(args):
    """Train several models with several seeds into one table; what is finished is not done again, other rows stay."""
    _compare(args, {model: recipe_of(args, model=model) for model in args.models})


def ablate(args):
    """Train a model with everything, then without one part of its recipe at a time, and write one table."""
    _compare(args, without_each(recipe_of(args)))


def _compare(args, recipes):
    from kaggle_speech import experiment

    clips_df, _ = _read_index(args.data, next(iter(recipes.values())).vocabulary)
    options = {"cache": args.cache, "overwrite": args.overwrite}
    runs_df = experiment.compare(recipes, args.num_seeds, clips_df, args.out, **options)
    print(experiment.summarize(runs_df).to_string(index=False))
    print(f"a row a run: {args.out}")


def _draw_validation(val_df, probabilities, out_dir):
    """Confusion matrix and worst clips."""
    import matplotlib.pyplot as plt

    from kaggle_speech import decoding, evaluation, plots

    confusion_df = evaluation.confusion_matrix(val_df["label"], decoding.most_probable(probabilities))
    confusion_df.to_csv(out_dir / "confusion.csv")
    _, ax = plt.subplots(figsize=(7, 7))
    plots.plot_confusion(confusion_df, ax).figure.savefig(out_dir / "confusion.png", bbox_inches="tight")
    evaluation.worst_clips(val_df, probabilities).to_csv(out_dir / "worst_clips.csv", index=False)


def _print_metrics(metrics):
    print(
        f"validation accuracy {metrics['accuracy']:.4f}, macro F1 {metrics['macro_f1']:.4f}, "
        f"{metrics['num_clips']} clips of {metrics['num_labels']} labels"
    )
    print("recall:", ", ".join(f"{label} {recall:.2f}" for label, recall in metrics["recall"].items()))
    if "left_out" in metrics:
        left_out = metrics["left_out"]
        print(f"unknown among {left_out['num_clips']} clips of the words left out: {left_out['recall']:.4f}")


def evaluate(args):
    """Score a trained model on the validation speakers: metrics, confusion matrix, worst clips."""
    from kaggle_speech import experiment, index, runs

    model, vocabulary = runs.load_run(args.run)
    clips_df, _ = _read_index(args.data)
    out_dir = Path(args.out or args.run / "evaluation")
    out_dir.mkdir(parents=True, exist_ok=True)
    val_df = index.validation_clips(clips_df)
    metrics, probabilities = experiment.validate(model, vocabulary, val_df)
    _draw_validation(val_df, probabilities, out_dir)
    runs.write_json(out_dir / "metrics.json", metrics)
    _print_metrics(metrics)
    print(f"metrics, confusion matrix and worst clips: {out_dir}")


def publish(args):
    """Copy a finished run's model, with a card, to a folder that can be handed on."""
    from kaggle_speech import runs

    runs.publish_run(args.run, args.out)
    print(args.out)


def predict(args):
    """Say which of the twelve labels is spoken in audio files, and with what confidence."""
    import pandas as pd

    from kaggle_speech import decoding, experiment, index, runs

    good_df, bad_df = index.check_clips(pd.DataFrame({"path": args.files}), progress=False)
    if len(good_df):
        model, vocabulary = runs.load_run(args.run)
        probabilities = experiment.predict_competition(model, vocabulary, good_df, progress=False)
        labels, confidences = decoding.most_probable(probabilities), probabilities.max(axis=1)
        for path, label, confidence in zip(good_df["path"], labels, confidences, strict=True):
            print(f"{path}\t{label}\t{confidence:.3f}")
    if len(bad_df):
        raise ValueError("\n".join(bad_df["error"]))


def submit(args):
    """Answer the test clips: a checked CSV and a JSON of how it was made."""
    from kaggle_speech import archives, decoding, experiment, index, runs, submission

    data_dir = archives.prepare_data(args.data)
    print(f"data: {data_dir}", file=sys.stderr)
    test_df, bad_df = index.check_clips(index.index_test_clips(data_dir))
    model, vocabulary = runs.load_run(args.run)
    answers = []
    if len(test_df):
        answers = decoding.most_probable(experiment.predict_competition(model, vocabulary, test_df))
    sample_path = data_dir / "sample_submission.csv"
    out_path = Path(args.out or paths.output_dir() / "submissions" / f"{args.run.name}.csv")
    submission.write_submission(
        test_df["fname"],
        answers,
        out_path,
        sample_path if sample_path.exists() else None,
        settings=runs.read_json(args.run / "metrics.json") | {"run": str(args.run)},
        unreadable=bad_df["error"],
    )
    if not sample_path.exists():
        print(f"{sample_path} is missing: the names of the clips could not be checked", file=sys.stderr)
    print(f"checked submission of {len(answers)} clips: {out_path}")


def _positive(number_type):
    """A parser of numbers above zero."""

    def positive(text):
        if not number_type(text) > 0:
            raise argparse.ArgumentTypeError(f"must be above 0. Received: {text}")
        return number_type(text)

    return positive


def _recipe_arguments():
    """An argument for each field of the recipe and of its augmentation."""
    arguments = {}
    for field in (*dataclasses.fields(Recipe), *dataclasses.fields(Augmentation)):
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
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(function, **arguments):
        command = commands.add_parser(
            function.__name__,
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

    data = {"help": f"folder of clips or archives; else {paths.DATA_VARIABLE}, a Kaggle kernel's input, ./data"}
    seed = {"type": int, "default": 0, "help": "the same seed gives the same result"}
    run = {"type": Path, "help": "folder of a finished `train`"}
    finished_run = {**run, "required": True}
    any_run = {**run, "default": paths.PRETRAINED_DIR}
    num_classes = {"type": int, "choices": sorted(VOCABULARIES), "default": 12, "help": "size of the vocabulary"}
    add(
        sample,
        out={"help": "folder to make; data/sample"},
        num_clips={"type": int, "default": 3000, "help": "speech clips"},
        seed=seed,
    )
    add(
        prepare,
        data=data,
        out={"help": "folder to extract to; in a kernel a temporary one, else data/"},
        or_sample={"action": "store_true", "help": "render the sample where there is no data"},
        download={"help": "fetch Speech Commands: v0.01, v0.02, test_set_v0.01 or test_set_v0.02"},
    )
    add(models, num_classes=num_classes)
    cache = {"help": '"memory" or a folder: decode the clips once'}
    overwrite = {"action": "store_true", "help": "replace a run of another recipe or of other clips"}
    add(
        train,
        data=data,
        out={"required": True, "help": "folder of the run"},
        teachers={"nargs": "+", "default": [], "help": "finished runs whose mean opinion is the target"},
        cache=cache,
        overwrite=overwrite,
        **_recipe_arguments(),
    )
    table = {
        "data": data,
        "out": {"required": True, "help": "CSV to write, one row a run; the runs go to a folder beside it"},
        "num_seeds": {"type": _positive(int), "default": 3, "help": "runs of each, with this seed and those after it"},
        "cache": cache,
        "overwrite": overwrite,
    }
    architectures = {"nargs": "+", "required": True, "help": "architectures, options after commas"}
    options_but_model = {name: options for name, options in _recipe_arguments().items() if name != "model"}
    add(compare, models=architectures, **table, **options_but_model)
    add(ablate, **table, **_recipe_arguments())
    add(evaluate, run=finished_run, data=data, out={"help": "folder of the figures; RUN/evaluation"})
    add(publish, run=finished_run, out={"required": True, "help": "folder to make"})
    add(predict, run=any_run, files={"nargs": "+", "help": "audio files; the first second of each counts"})
    add(submit, run=any_run, data=data, out={"help": "CSV to write; submissions/<run>.csv"})
    return parser


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


if __name__ == "__main__":
    sys.exit(main())
