"""Commands from test clips to a checked submission, under `submissions/` by the name of the model."""

import argparse
import re
from pathlib import Path

from kaggle_speech.cli.data import find_clips
from kaggle_speech.cli.parser import (
    above_zero,
    add_command,
    add_data,
    add_model,
    add_overwrite,
    add_ray,
    rejection_threshold,
)
from kaggle_speech.labels import COMMANDS, COMPETITION_LABELS, word_to_label


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the commands of this module."""
    parser = add_command(
        subparsers,
        submit,
        "--data DIR --run runs/mine --out submissions/mine.csv",
        "--data DIR --probabilities blend.npz --out submissions/blend.csv",
    )
    _add_pass(parser)
    parser.add_argument("--out", metavar="CSV", help="file to write; default: submissions/MODEL.csv")
    parser.add_argument("--probabilities", type=Path, metavar="NPZ", help="probability file instead of a model")
    parser.add_argument(
        "--threshold",
        type=rejection_threshold,
        metavar="NUMBER|none",
        help="score under which a command becomes `unknown`; default: what `threshold` chose for the model",
    )
    parser.add_argument(
        "--match-label-mix",
        action="store_true",
        help="give each label to as many clips (a risk: see `match_label_mix`)",
    )

    parser = add_command(
        subparsers,
        probabilities,
        "--data DIR --run runs/a --transforms as_is shift_ms=-93.75 gain=1.2 --out a.npz",
        "--data DIR --run runs/b --shard 1/2 --out b1.npz",
        "--data DIR --run runs/a --split val --out a_val.npz",
        "--data 'shards/*.tar' --ray --out answers.parquet",
    )
    _add_pass(parser)
    parser.add_argument(
        "--out",
        required=True,
        metavar="NPZ|PARQUET",
        help="file to write; with the ending .parquet, or an address, a folder of Parquet files with labels, too",
    )
    parser.add_argument("--split", choices=("test", "val"), default="test", help="which clips")
    parser.add_argument("--shard", type=_shard, metavar="K/N", help="one of several parts only, for `merge`")

    parser = add_command(subparsers, merge, "b1.npz b2.npz --out b.npz")
    parser.add_argument("files", nargs="+", metavar="NPZ", help="all shards, in any order")
    parser.add_argument("--out", required=True, metavar="NPZ", help="file to write")

    parser = add_command(
        subparsers,
        blend,
        "a.npz b.npz --weights 2 1 --out ab.npz",
        "a.npz b.npz --fit a_val.npz b_val.npz --out ab.npz",
    )
    _add_files(parser)
    parser.add_argument("--out", required=True, metavar="NPZ", help="file to write")
    parser.add_argument(
        "--weights", nargs="+", type=float, metavar="NUMBER", help="one for each file; default: all the same"
    )
    parser.add_argument(
        "--fit", nargs="+", metavar="NPZ", help="the same models' files of validation clips, to fit weights on"
    )

    parser = add_command(subparsers, pseudo, "a.npz b.npz --out pseudo.csv")
    _add_files(parser)
    parser.add_argument("--out", required=True, metavar="CSV", help="file to write, for `train --pseudo`")
    parser.add_argument(
        "--min-probability",
        type=float,
        default=0.9,
        metavar="NUMBER",
        help="of the label in the mean of the files, 0 to 1",
    )
    parser.add_argument(
        "--max-per-label", type=above_zero(int), metavar="N", help="clips of each label; default: what the rarest has"
    )

    parser = add_command(subparsers, diff, "--before submissions/01.csv --after submissions/02.csv")
    parser.add_argument("--before", required=True, metavar="CSV", help="a submission")
    parser.add_argument("--after", required=True, metavar="CSV", help="another one")


def _add_pass(parser):
    """Add the options of a pass over clips."""
    add_model(parser)
    add_data(parser, or_listing=True)
    add_ray(parser)
    parser.add_argument(
        "--transforms",
        nargs="+",
        default=["as_is"],
        metavar="NAME",
        help="average the probabilities over as_is, shift_ms=NUMBER, gain=NUMBER",
    )
    add_overwrite(parser)


def _add_files(parser):
    parser.add_argument("files", nargs="+", metavar="NPZ", help="probability files of the same clips")


def _shard(text):
    """Shard from its text: `2/3` gives (2, 3)."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"must be K/N with K from 1 to N. Received: {text}")
    return int(match[1]), int(match[2])


def submit(args: argparse.Namespace) -> None:
    """Label the test clips: write a checked CSV, a JSON of the settings behind it, and the probabilities.

    A killed command continues where it stopped.
    """
    from kaggle_speech import folders
    from kaggle_speech.inference import ensemble, load, predictions, submission

    source = args.probabilities or load.model_location(args.model)
    name = source.absolute().name if source.is_dir() else source.stem
    out_path = Path(args.out or folders.output_dir() / "submissions" / f"{name}.csv")
    facts = {}
    if args.probabilities:
        answers = predictions.read_predictions(args.probabilities)
        data_dir = _find_clips(args.data)
    else:
        data_dir = _find_clips(args.data)
        answers, recogniser = _predict_to_file(args, data_dir, out_path.with_suffix(".npz"))
        facts = recogniser.facts
    answers = answers.with_threshold(args.threshold)
    if args.match_label_mix:
        answers = ensemble.match_label_mix(answers)
    how = {"match_label_mix": args.match_label_mix}
    names_dir = None if isinstance(data_dir, str) else data_dir  # a listing has no sample_submission.csv
    submission.write_submission(answers, out_path, names_dir, settings=facts | how)
    print(f"checked submission of {len(answers)} clips: {out_path}")


def probabilities(args: argparse.Namespace) -> None:
    """Write a model's probabilities of the test or validation clips.

    A killed command continues where it stopped.
    """
    data_dir = _find_clips(args.data)
    if "://" in args.out or args.out.endswith(".parquet"):
        _write_parquet(args, data_dir)
        return
    predictions, _ = _predict_to_file(args, data_dir, args.out, args.split, args.shard)
    _print_predictions(predictions, args.out)


def _find_clips(source):
    """The folder of the clips, or the listing of them that was named."""
    from kaggle_speech.cluster.addresses import is_listing

    return source if is_listing(source) else find_clips(source)


def _pass(args, data_dir, split):
    """Recogniser, table of the clips, and options of a pass over them, on a cluster where that is asked for."""
    from kaggle_speech.inference import load

    recogniser = load.load_recogniser(args.model, engine=args.engine, num_threads=1)
    options = {"transforms": args.transforms}
    if args.ray is not None:
        from kaggle_speech.cluster.ray_map import map_parts

        options["map_parts"] = map_parts(args.ray)
    clips_df = _clips(data_dir, split)
    if isinstance(data_dir, str):
        from kaggle_speech.cluster.addresses import read_recordings

        options["read"] = read_recordings
    return recogniser, clips_df, options


def _predict_to_file(args, data_dir, out_path, split="test", shard=None):
    """The `Predictions` of a model, written to a file, and its `Recogniser`."""
    from kaggle_speech.inference.predict import predict_to_file

    recogniser, clips_df, options = _pass(args, data_dir, split)
    options |= {"shard": shard, "overwrite": args.overwrite}
    return predict_to_file(recogniser, clips_df, out_path, **options), recogniser


def _write_parquet(args, data_dir):
    from kaggle_speech.cluster.parquet import predict_to_parquet

    given = [name for name in ("shard", "overwrite") if getattr(args, name)]
    if given:
        raise ValueError(f"--{given[0]} must come with a probability file, .npz. Received: --out {args.out}")
    recogniser, clips_df, options = _pass(args, data_dir, args.split)
    predict_to_parquet(recogniser, clips_df, args.out, **options)
    print(f"answers to {len(clips_df)} clips: {args.out}")


def _clips(data_dir, split):
    """Table of the test clips, of the validation clips with their word in the name, or of a listing."""
    if isinstance(data_dir, str):
        from kaggle_speech.cluster.addresses import find_recordings

        if split != "test":
            raise ValueError(f"--split must come with a folder of clips. Received: {split} and {data_dir}")
        return find_recordings(data_dir)
    from kaggle_speech.data import clips

    if split == "test":
        return clips.test_clips(data_dir)
    clips_df, _ = clips.read_clips_table(data_dir)
    clips_df = clips.validation_clips(clips_df)
    clips_df["fname"] = clips_df["word"] + "/" + clips_df["path"].map(lambda path: Path(path).name)
    return clips_df


def _true_labels(names):
    """Labels of validation clips, whose names begin with the word; None for other clips, such as those of a tar."""
    words = [name.partition("/")[0] for name in names]
    if not all("/" in name for name in names) or not {*words} & {*COMMANDS}:
        return None
    return [word_to_label(word) for word in words]


def _print_predictions(predictions, path):
    labels = _true_labels(predictions.names)
    if labels is not None:
        print(f"validation accuracy {(predictions.labels() == labels).mean():.4f}")
    print(f"probabilities of {len(predictions)} clips: {path}")


def merge(args: argparse.Namespace) -> None:
    """Make one probability file of all its shards."""
    from kaggle_speech.inference import predictions

    merged = predictions.merge_shards(args.files)
    merged.save(args.out)
    _print_predictions(merged, args.out)


def blend(args: argparse.Namespace) -> None:
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
    blended = ensemble.blend(ensemble.read_members(args.files), weights)
    blended.save(args.out)
    for path, weight in zip(args.files, blended.settings["weights"], strict=True):
        print(f"{weight:.3f} {path}")
    _print_predictions(blended, args.out)


def pseudo(args: argparse.Namespace) -> None:
    """Write labels for test clips that models agree on, as many of each label, for `train --pseudo`."""
    from kaggle_speech.inference import ensemble

    members = ensemble.read_members(args.files)
    options = {"min_probability": args.min_probability, "max_per_label": args.max_per_label}
    labels_df = ensemble.pseudo_labels(members, **options)
    labels_df.to_csv(args.out, index=False)
    print(labels_df["label"].value_counts().reindex(COMPETITION_LABELS, fill_value=0).to_string())
    print(f"{len(labels_df)} of {len(members[0])} clips: {args.out}")


def diff(args: argparse.Namespace) -> None:
    """Count the labels that differ between two submissions."""
    from kaggle_speech.inference import submission

    changes_df = submission.compare_submissions(args.before, args.after)
    print(changes_df.to_string())
    print(f"{changes_df['left'].sum()} of {changes_df['before'].sum()} answers changed")
