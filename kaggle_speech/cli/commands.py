"""The commands of `python -m kaggle_speech`: thin, each calls the functions of the package and prints what they give.

TensorFlow is imported by the commands that need it, so that `--help` and the others start at once.
"""

import dataclasses
import sys
from pathlib import Path

from kaggle_speech.data import places
from kaggle_speech.data.augmentation import Augmentation
from kaggle_speech.inference.answers import write_rejection
from kaggle_speech.labels import COMPETITION_LABELS, word_to_label
from kaggle_speech.training.recipe import Recipe, without_each


def sample(args):
    """Render a small competition-shaped data set with a speech synthesiser, offline."""
    from kaggle_speech import folders
    from kaggle_speech.data.rendered.clips import render_sample

    print(render_sample(args.out or folders.project_dir() / "data" / "sample", args.num_clips, args.seed))


def sentences(args):
    """Render a small set of spoken sentences with their transcripts with a speech synthesiser, offline."""
    from kaggle_speech import folders
    from kaggle_speech.data.rendered.sentences import render_sentences

    print(render_sentences(args.out or folders.project_dir() / "data" / "sentences", args.num_utterances, args.seed))


def prepare(args):
    """Find the data (and download it if asked to), extract what is packed, print the folder."""
    from kaggle_speech import folders
    from kaggle_speech.data import archives, downloads
    from kaggle_speech.data.rendered.clips import render_sample

    if args.download:
        archive_dir = Path(args.data or folders.project_dir() / "data")
        archive_path = downloads.download(args.download, archive_dir)
        if archive_path.match(places.SPEECH_COMMANDS_ARCHIVES):
            out_dir = Path(args.out or places.extraction_dir(archive_dir) / archive_path.name.removesuffix(".tar.gz"))
            archives.extract_archive(archive_path, out_dir)
            print(out_dir)
        else:
            out_dir = Path(args.out or places.speech_extraction_dir())
            archives.extract_archive(archive_path, out_dir)
            print(out_dir / places.LIBRISPEECH)
        return
    try:
        print(archives.prepare_data(args.data, args.out))
    except places.NoDataError:
        if not args.or_sample:
            raise
        pass

        print(render_sample(folders.project_dir() / "data" / "sample"))


def read_index(data_dir, vocabulary=COMPETITION_LABELS):
    """The readable clips of a folder and the others, which are listed on standard error."""
    from kaggle_speech.data import clips
    from kaggle_speech.files import listing

    data_dir = _prepared(data_dir)
    clips_df, bad_df = clips.read_clips_table(data_dir, vocabulary)
    if len(bad_df):
        print(f"{len(bad_df)} clips cannot be read and are left out:", file=sys.stderr)
        print(f"  {listing(bad_df['error'])}", file=sys.stderr)
    return clips_df, bad_df


def models(args):
    """List the architectures, in the sizes of their sources: parameters, file size, operations."""
    from kaggle_speech.models import cost

    print(cost.describe_models(num_classes=args.num_classes).to_string(index=False))


def recipe_of(args, **changes):
    """The `Recipe` that the arguments of `train` and `compare` describe."""

    def given(options):
        names = [field.name for field in dataclasses.fields(options) if hasattr(args, field.name)]
        return {name: getattr(args, name) for name in names}

    return Recipe(**{**given(Recipe), "augmentation": Augmentation(**given(Augmentation)), **changes})


def train(args):
    """Train a model; a killed run continues where it stopped, a finished one is not trained again."""
    from kaggle_speech.data import archives, clips
    from kaggle_speech.training import words

    recipe = recipe_of(args)
    clips_df, bad_df = read_index(args.data, recipe.vocabulary)
    options = {"teachers": args.teachers, "cache": args.cache, "overwrite": args.overwrite, "bad_df": bad_df}
    if args.pseudo:
        options["pseudo_df"] = clips.pseudo_clips(args.pseudo, archives.prepare_data(args.data), recipe.vocabulary)
    _print_metrics(words.train(recipe, clips_df, args.out, **options))
    print(f"model and metrics: {args.out}")


def compare(args):
    """Train several models with several seeds into one table; what is finished is not done again, other rows stay."""
    _compare(args, {model: recipe_of(args, model=model) for model in args.models})


def ablate(args):
    """Train a model with everything, then without one part of its recipe at a time, and write one table."""
    _compare(args, without_each(recipe_of(args)))


def _compare(args, recipes):
    from kaggle_speech.training import comparison

    clips_df, _ = read_index(args.data, next(iter(recipes.values())).vocabulary)
    options = {"cache": args.cache, "overwrite": args.overwrite}
    runs_df = comparison.compare(recipes, args.num_seeds, clips_df, args.out, **options)
    print(comparison.summarize_runs(runs_df).to_string(index=False))
    print(f"a row a run: {args.out}")


def _print_metrics(metrics):
    interval = ""
    if "accuracy_interval" in metrics:
        interval = " ({:.4f} to {:.4f})".format(*metrics["accuracy_interval"])
    print(
        f"validation accuracy {metrics['accuracy']:.4f}{interval}, macro F1 {metrics['macro_f1']:.4f}, "
        f"{metrics['num_clips']} clips of {metrics['num_labels']} labels"
    )
    print("recall:", ", ".join(f"{label} {recall:.2f}" for label, recall in metrics["recall"].items()))
    if "left_out" in metrics:
        left_out = metrics["left_out"]
        print(f"unknown among {left_out['num_clips']} clips of the words left out: {left_out['recall']:.4f}")


def evaluate(args):
    """Score a model on the validation speakers, also in noise and shifted: a folder with numbers and a page to read."""
    from kaggle_speech.evaluation import assess, report
    from kaggle_speech.inference import load

    path = args.onnx or args.run
    out_dir = Path(args.out or report.evaluation_dir(path))
    report.refuse_run_folder(out_dir)  # before the minutes that an assessment takes
    engine = load.load_recogniser(path, engine=args.engine)
    against = load.load_recogniser(args.against) if args.against else None
    found = assess.assess(engine, read_index(args.data)[0], against=against, seed=args.seed)
    page_path = report.write_report(found, out_dir, path.stem)
    _print_metrics(found.metrics)
    if args.against:
        print(f"against {args.against}: {report.comparison_text(found.metrics['comparison'])}")
    print(f"open in a browser: {page_path}")


def publish(args):
    """Copy a finished run's model, with a card, to a folder that can be handed on."""
    from kaggle_speech.export.publish import publish_run

    publish_run(args.run, args.out)
    print(args.out)


def export(args):
    """Write a trained model for other runtimes, compare each file with it, and report sizes, accuracies and speeds."""
    from kaggle_speech.export import report
    from kaggle_speech.inference import load, runtimes

    files = [(name, precision) for name in args.formats for precision in args.precisions]
    files = [(name, precision) for name, precision in files if precision in runtimes.FORMATS[name][1]]
    if load.task(args.run) == "transcripts":
        raise ValueError(f"{args.run}: must recognise words. Received: a model that makes transcripts")
    clips_df, _ = read_index(args.data)
    out_dir = Path(args.out or args.run)
    report_df = report.export_run(args.run, out_dir, clips_df, files, num_calibration=args.num_calibration)
    print(report_df.to_string(index=False))
    print(f"files and model_report.csv: {out_dir}")


def threshold(args):
    """Choose on validation clips under which score a command becomes `unknown`, and keep it beside the model."""
    from kaggle_speech.data import clips
    from kaggle_speech.evaluation import calibration, open_set
    from kaggle_speech.inference import load, predict

    recogniser = load.load_recogniser(args.run)
    clips_df = clips.open_set_clips(read_index(args.data)[0])
    predictions = predict.predict(recogniser, clips_df)
    print(open_set.score_table(predictions, clips_df, None, args.false_accept_rate).round(4).to_string(index=False))
    found = calibration.choose_rejection(predictions, clips_df, args.score, args.false_accept_rate)
    print(f"{found}: {write_rejection(found, args.run, recogniser.settings['model'])}")


def predict(args):
    """Say which of the twelve labels is spoken in audio files, and with what confidence."""
    from kaggle_speech.inference import load

    recogniser = load.load_recogniser(args.onnx or args.run, engine=args.engine, words=args.words)
    recogniser = recogniser.with_threshold(args.threshold)
    errors = []
    for path, answer in recogniser.predict_files(args.files, window="loudest"):
        if isinstance(answer, Exception):
            errors.append(str(answer))
        else:
            print(f"{path}\t{answer.label}\t{answer.confidence:.3f}", flush=True)
    if errors:
        raise ValueError("\n".join(errors))


def probabilities(args):
    """Write what a model thinks of the test (or validation) clips; a killed command continues where it stopped."""
    data_dir = _prepared(args.data)
    file, _ = _write_probabilities(args, data_dir, args.out, args.split, args.shard)
    _print_file(file, args.out)


def _prepared(data_dir):
    from kaggle_speech.data import archives

    data_dir = archives.prepare_data(data_dir)
    print(f"data: {data_dir}", file=sys.stderr)
    return data_dir


def _write_probabilities(args, data_dir, out_path, split="test", shard=None):
    """The predictions of a model, and the model."""
    from kaggle_speech.data import clips
    from kaggle_speech.inference import load
    from kaggle_speech.inference.predict import predict_to_file

    if split == "test":
        clips_df = clips.test_clips(data_dir)
    else:
        clips_df, _ = clips.read_clips_table(data_dir)
        clips_df = clips.validation_clips(clips_df)
        clips_df["fname"] = clips_df["word"] + "/" + clips_df["path"].map(lambda path: Path(path).name)
    recogniser = load.load_recogniser(args.onnx or args.run, engine=args.engine, num_threads=1)
    options = {"transforms": args.transforms, "shard": shard, "overwrite": args.overwrite}
    return predict_to_file(recogniser, clips_df, out_path, **options), recogniser


def _true_labels(names):
    """What is said in validation clips, whose names begin with the word; None for other clips."""
    return [word_to_label(name.partition("/")[0]) for name in names] if all("/" in name for name in names) else None


def _print_file(file, path):
    labels = _true_labels(file.names)
    if labels is not None:
        print(f"validation accuracy {(file.labels() == labels).mean():.4f}")
    print(f"probabilities of {len(file)} clips: {path}")


def merge(args):
    """Make one probability file of all its shards."""
    from kaggle_speech.inference import predictions

    file = predictions.merge_shards(args.files)
    file.save(args.out)
    _print_file(file, args.out)


def blend(args):
    """Average probability files of the same clips, with given weights or with weights fitted on validation clips."""
    from kaggle_speech.inference import ensemble

    weights = args.weights
    if args.fit:
        members = ensemble.read_members(args.fit)
        labels = _true_labels(members[0].names)
        if labels is None:
            raise ValueError(
                f"{args.fit[0]}: must be of validation clips (--split val). Received: clips without a label"
            )
        weights = ensemble.fit_weights(members, labels)
    file = ensemble.blend(ensemble.read_members(args.files), weights)
    file.save(args.out)
    for path, weight in zip(args.files, file.settings["weights"], strict=True):
        print(f"{weight:.3f} {path}")
    _print_file(file, args.out)


def pseudo(args):
    """Write labels for test clips that models agree on, as many of each, for `train --pseudo`."""
    from kaggle_speech.inference import ensemble

    members = ensemble.read_members(args.files)
    options = {"min_probability": args.min_probability, "max_per_label": args.max_per_label}
    labels_df = ensemble.pseudo_labels(members, **options)
    labels_df.to_csv(args.out, index=False)
    print(labels_df["label"].value_counts().reindex(COMPETITION_LABELS, fill_value=0).to_string())
    print(f"{len(labels_df)} of {len(members[0])} clips: {args.out}")


def submit(args):
    """Answer the test clips: a checked CSV, a JSON of how it was made, and the probabilities."""
    from kaggle_speech import folders
    from kaggle_speech.inference import ensemble, predictions, submission

    data_dir = _prepared(args.data)
    facts = {}
    name = Path(args.probabilities or args.onnx or args.run)
    out_path = Path(args.out or folders.output_dir() / "submissions" / f"{name.stem}.csv")
    if args.probabilities:
        file = predictions.read_predictions(args.probabilities)
    else:
        file, recogniser = _write_probabilities(args, data_dir, out_path.with_suffix(".npz"))
        facts = recogniser.facts
    file = file.with_threshold(args.threshold)
    if args.match_label_mix:
        file = ensemble.match_label_mix(file)
    submission.write_submission(file, out_path, data_dir, settings=facts)
    print(f"checked submission of {len(file)} clips: {out_path}")


def diff(args):
    """Count the answers that differ between two submissions, label by label."""
    from kaggle_speech.inference import submission

    changes_df = submission.compare_submissions(args.before, args.after)
    print(changes_df.to_string())
    print(f"{changes_df['left'].sum()} of {changes_df['before'].sum()} answers changed")
