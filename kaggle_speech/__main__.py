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

#: Epochs and learning rate that suit each model (a key of `models.BUILDERS`) on 10,000 clips.
RECIPES = {"cnn": (25, 2e-3), "tc_resnet": (100, 4e-3)}
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


def train(args):
    """Train a model; a killed run continues where it stopped."""
    from kaggle_speech import augment, dataset, index, models, noise, runs, training

    vocabulary = VOCABULARIES[args.num_classes]
    clips_df, bad_df = _read_index(args.data, vocabulary)
    fractions = {"unknown_fraction": args.unknown_fraction, "silence_fraction": args.silence_fraction}
    train_df = index.select_clips(clips_df, "train", seed=args.seed, **fractions)
    tune_df = index.select_clips(clips_df, "tune", **fractions)
    val_df = index.validation_clips(clips_df)
    augmentation = augment.Augmentation()
    num_epochs, learning_rate = (
        given or usual for given, usual in zip((args.epochs, args.learning_rate), RECIPES[args.model], strict=True)
    )
    training.set_seed(args.seed)
    model = models.build_model(args.model, len(vocabulary))

    settings = {"model": args.model, "epochs": num_epochs, "batch_size": args.batch_size, "seed": args.seed}
    settings |= {"learning_rate": learning_rate, "augmentation": dataclasses.asdict(augmentation), **fractions}
    settings["data"] = index.data_fingerprint(clips_df)
    run_dir = runs.start_run(args.out, vocabulary, settings, overwrite=args.overwrite)
    if len(bad_df):
        bad_df.to_csv(run_dir / "bad_clips.csv", index=False)
    train_ds = dataset.make_dataset(
        train_df,
        vocabulary,
        args.batch_size,
        shuffle=True,
        augmentation=augmentation,
        noise=noise.background_noise(index.noise_paths(clips_df)),
        cache=args.cache,
        seed=args.seed,
    )
    tune_ds = dataset.make_dataset(tune_df, vocabulary, 256)
    history_df = training.compile_and_fit(
        model, train_ds, tune_ds, run_dir, num_epochs=num_epochs, learning_rate=learning_rate
    )
    metrics = _validate(model, vocabulary, val_df)
    metrics["training_minutes"] = round(history_df["seconds"].sum() / 60, 2)
    runs.finish_run(run_dir, model, metrics)
    _print_metrics(metrics)
    print(f"model and metrics: {run_dir}")


def _validate(model, vocabulary, val_df, out_dir=None):
    """Metrics over the competition's labels; confusion matrix and worst clips too where a folder is named."""
    from kaggle_speech import decoding, evaluation, inference

    probabilities = decoding.competition_probabilities(inference.predict_probabilities(model, val_df), vocabulary)
    answers = decoding.most_probable(probabilities)
    if out_dir is not None:
        import matplotlib.pyplot as plt

        from kaggle_speech import plots

        confusion_df = evaluation.confusion_matrix(val_df["label"], answers)
        confusion_df.to_csv(out_dir / "confusion.csv")
        _, ax = plt.subplots(figsize=(7, 7))
        plots.plot_confusion(confusion_df, ax).figure.savefig(out_dir / "confusion.png", bbox_inches="tight")
        evaluation.worst_clips(val_df, probabilities).to_csv(out_dir / "worst_clips.csv", index=False)
    return evaluation.classification_metrics(val_df["label"], answers)


def _print_metrics(metrics):
    print(
        f"validation accuracy {metrics['accuracy']:.4f}, macro F1 {metrics['macro_f1']:.4f}, "
        f"{metrics['num_clips']} clips of {metrics['num_labels']} labels"
    )
    print("recall:", ", ".join(f"{label} {recall:.2f}" for label, recall in metrics["recall"].items()))


def evaluate(args):
    """Score a trained model on the validation speakers: metrics, confusion matrix, worst clips."""
    from kaggle_speech import index, runs

    model, vocabulary = runs.load_run(args.run)
    clips_df, _ = _read_index(args.data)
    out_dir = Path(args.out or Path(args.run) / "evaluation")
    out_dir.mkdir(parents=True, exist_ok=True)
    metrics = _validate(model, vocabulary, index.validation_clips(clips_df), out_dir)
    runs.write_json(out_dir / "metrics.json", metrics)
    _print_metrics(metrics)
    print(f"metrics, confusion matrix and worst clips: {out_dir}")


def predict(args):
    """Say which of the twelve labels is spoken in audio files, and with what confidence."""
    import pandas as pd

    from kaggle_speech import decoding, index, inference, runs

    good_df, bad_df = index.check_clips(pd.DataFrame({"path": args.files}), progress=False)
    if len(good_df):
        model, vocabulary = runs.load_run(args.run)
        probabilities = inference.predict_probabilities(model, good_df, progress=False)
        probabilities = decoding.competition_probabilities(probabilities, vocabulary)
        labels, confidences = decoding.most_probable(probabilities), probabilities.max(axis=1)
        for path, label, confidence in zip(good_df["path"], labels, confidences, strict=True):
            print(f"{path}\t{label}\t{confidence:.3f}")
    if len(bad_df):
        raise ValueError("\n".join(bad_df["error"]))


def submit(args):
    """Answer the test clips: a checked CSV and a JSON of how it was made."""
    from kaggle_speech import archives, decoding, index, inference, runs, submission

    data_dir = archives.prepare_data(args.data)
    print(f"data: {data_dir}", file=sys.stderr)
    test_df, bad_df = index.check_clips(index.index_test_clips(data_dir))
    model, vocabulary = runs.load_run(args.run)
    answers = []
    if len(test_df):
        probabilities = inference.predict_probabilities(model, test_df)
        answers = decoding.most_probable(decoding.competition_probabilities(probabilities, vocabulary))
    sample_path = data_dir / "sample_submission.csv"
    out_path = Path(args.out or paths.output_dir() / "submissions" / f"{Path(args.run).name}.csv")
    submission.write_submission(
        test_df["fname"],
        answers,
        out_path,
        sample_path if sample_path.exists() else None,
        settings=runs.read_json(Path(args.run) / "metrics.json") | {"run": str(args.run)},
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
            flag = name if "nargs" in options else f"--{name.replace('_', '-')}"
            command.add_argument(flag, **options)

    data = {"help": f"folder of clips or archives; else {paths.DATA_VARIABLE}, a Kaggle kernel's input, ./data"}
    seed = {"type": int, "default": 0, "help": "the same seed gives the same result"}
    run = {"required": True, "help": "folder of a finished `train`"}
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
    add(
        train,
        data=data,
        out={"required": True, "help": "folder of the run"},
        model={"choices": sorted(RECIPES), "default": "tc_resnet", "help": "architecture"},
        num_classes={"type": int, "choices": sorted(VOCABULARIES), "default": 12, "help": "vocabulary to train on"},
        epochs={"type": _positive(int), "help": "passes over the training clips; cnn 25, tc_resnet 100"},
        batch_size={"type": _positive(int), "default": 64, "help": "clips a step"},
        learning_rate={"type": _positive(float), "help": "highest of the schedule; cnn 0.002, tc_resnet 0.004"},
        unknown_fraction={"type": float, "default": 2.5, "help": "`unknown` clips per clip of an average word"},
        silence_fraction={"type": float, "default": 2.0, "help": "`silence` clips per clip of an average word"},
        cache={"help": '"memory" or a folder: decode the clips once'},
        seed=seed,
        overwrite={"action": "store_true", "help": "replace a finished run in the folder"},
    )
    add(evaluate, run=run, data=data, out={"help": "folder of the figures; RUN/evaluation"})
    add(predict, run=run, files={"nargs": "+", "help": "audio files; the first second of each counts"})
    add(submit, run=run, data=data, out={"help": "CSV to write; submissions/<run>.csv"})
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
