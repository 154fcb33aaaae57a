"""Commands that measure models."""

import argparse
import typing
from pathlib import Path

from kaggle_speech import folders
from kaggle_speech.audio import SAMPLE_RATE
from kaggle_speech.cli.data import find_clips, read_clips, read_utterances
from kaggle_speech.cli.parser import (
    above_zero,
    add_beam_width,
    add_command,
    add_data,
    add_in_sentences,
    add_language_model,
    add_model,
    add_ray,
    add_run,
    add_seed,
    add_speech,
    new_file,
)
from kaggle_speech.cli.train import print_metrics
from kaggle_speech.inference.answers import SCORES
from kaggle_speech.quiet import import_tensorflow_quietly

if typing.TYPE_CHECKING:
    import pandas as pd

#: Words and utterances that `evaluate-transcriber` prints: the worst ones.
NUM_SHOWN = 10


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the commands of this module."""
    parser = add_command(
        subparsers, evaluate, "--data DIR", "--data DIR --run runs/mine --against tc_resnet --out runs/evaluation"
    )
    add_model(parser)
    add_data(parser)
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="folder to write to; default: RUN/evaluation, with --folds and of other models one in runs/",
    )
    parser.add_argument("--against", metavar="MODEL", help="another model, to compare with")
    parser.add_argument(
        "--noise",
        metavar="DIR",
        help="recordings of noise that training never had, a folder for each kind; default: the second halves of those "
        "in the data",
    )
    parser.add_argument("--rooms", action="store_true", help="measure it in made rooms, too (needs pyroomacoustics)")
    parser.add_argument(
        "--folds",
        type=int,
        metavar="K",
        help="for small sets: train the recipe of --run K times, each time without a K-th of the speakers, and judge "
        "all clips by models that never heard their speakers",
    )
    parser.add_argument(
        "--speech-negatives", metavar="DIR", help="running speech that --run was trained on, for --folds"
    )
    add_ray(parser)
    add_seed(parser)

    parser = add_command(
        subparsers,
        threshold,
        "--data DIR --run runs/mine",
        "--data DIR --run runs/mine --score margin --false-accept-rate 0.05",
    )
    add_run(parser)
    add_data(parser)
    parser.add_argument(
        "--score", choices=SCORES, default="probability", help="score of a command that the threshold applies to"
    )
    parser.add_argument(
        "--false-accept-rate",
        type=float,
        metavar="NUMBER",
        help="share of unknown words that may be taken for a command, 0 to 1; default: that of the best accuracy",
    )

    parser = add_command(
        subparsers,
        stream_evaluate,
        "--data DIR --snr-db 20 10 --hours 1 --out runs/stream",
        "--data DIR --speech LibriSpeech/dev-clean --out runs/running_speech",
    )
    add_model(parser)
    add_data(parser)
    parser.add_argument(
        "--speech",
        metavar="DIR",
        help="sentences with transcripts in LibriSpeech's layout: count false alarms in running speech, not in noise",
    )
    parser.add_argument(
        "--snr-db", nargs="+", type=float, default=[20.0, 10.0], metavar="NUMBER", help="signal-to-noise ratios in dB"
    )
    parser.add_argument(
        "--hours",
        type=above_zero(float),
        default=1.0,
        metavar="NUMBER",
        help="length of the stream with words, and of noise alone, at each ratio",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="NUMBER",
        help="lowest smoothed score of a detection, 0.10 to 0.99; default: that of `listen`",
    )
    add_in_sentences(parser)
    add_seed(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the table and the figure")

    parser = add_command(subparsers, mine, "--run runs/mine --speech LibriSpeech/train-clean-5 --out runs/mined.csv")
    add_model(parser)
    parser.add_argument("--speech", required=True, metavar="DIR", help="running speech, as `train --speech-negatives`")
    parser.add_argument(
        "--min-confidence", type=float, default=0.3, metavar="NUMBER", help="least probability of a command, 0 to 1"
    )
    parser.add_argument("--out", required=True, metavar="CSV", help="table to write, for `train --mined`")

    parser = add_command(
        subparsers, evaluate_transcriber, "--run runs/transcriber", "--run runs/base --data DIR --num-val-speakers 0"
    )
    add_model(parser, "resnet_ctc")
    add_language_model(parser)
    add_speech(parser)
    parser.add_argument(
        "--num-val-speakers",
        type=int,
        metavar="N",
        help="count the N speakers with the highest ids only; 0: all; default: those that the training held out",
    )
    add_beam_width(parser)
    for name, what in (("--lm-weights", "weights"), ("--lm-bonuses", "bonuses for each character")):
        parser.add_argument(
            name,
            type=float,
            nargs="+",
            metavar="NUMBER",
            help=f"{what} of the language model to choose from, on speakers that are not for judging",
        )
    parser.add_argument("--out", metavar="CSV", help="table to write, a row for each utterance")


def evaluate(args: argparse.Namespace) -> None:
    """Measure a model on the validation speakers, also in noise and shifted.

    Writes a folder of tables and figures, and one page with all of them, report.html.
    """
    from kaggle_speech.inference import load

    _check_evaluate(args)
    if args.folds is not None:
        _cross_validate(args)
        return
    recogniser = load.load_recogniser(args.model, engine=args.engine)
    against = load.load_recogniser(args.against) if args.against else None
    data_dir = find_clips(args.data)
    import_tensorflow_quietly()
    from kaggle_speech.evaluation import assess, report

    path = load.model_location(args.model)
    out_dir = Path(args.out or report.evaluation_dir(path))
    report.refuse_run_folder(out_dir)  # before the minutes that an assessment takes
    options = {"against": against, "noise_dir": args.noise, "in_rooms": args.rooms, "seed": args.seed}
    assessment = assess.assess(recogniser, read_clips(data_dir)[0], **options)
    page_path = report.write_report(assessment, out_dir, recogniser.name)
    print_metrics(assessment.metrics)
    if args.against:
        print(f"against {args.against}: {report.comparison_text(assessment.metrics['comparison'])}")
    print(f"open in a browser: {page_path}")


def _check_evaluate(args):
    """Refuse options that have no meaning together."""
    for name in ("speech_negatives", "ray"):
        value = getattr(args, name)
        if args.folds is None and value is not None:
            option = "--" + name.replace("_", "-")
            raise ValueError(f"{option} must come with --folds. Received: {value or option} without it")
    given = [name for name in ("against", "noise", "rooms", "seed") if getattr(args, name)]
    if args.folds is not None and given:
        raise ValueError(f"--folds must come without --{given[0]}. Received: both")


def _cross_validate(args):
    """Accuracy over all speakers for `evaluate --folds`."""
    from kaggle_speech.inference import load
    from kaggle_speech.models.folder import read_run

    run_dir = load.model_location(args.model)
    settings = read_run(run_dir)["settings"]
    data_dir = find_clips(args.data)
    import_tensorflow_quietly()
    from kaggle_speech.data import negatives
    from kaggle_speech.training import cross_validation
    from kaggle_speech.training.recipe import recipe_of

    cross_validation.check_trains_alone(settings, args.speech_negatives is not None)
    recipe = recipe_of(settings)
    options = {}
    if args.ray is not None:
        from kaggle_speech.cluster.ray_map import map_runs

        options["map_runs"] = map_runs(args.ray)
    speech_df = negatives.speech_negatives(args.speech_negatives) if args.speech_negatives else None
    clips_df, _ = read_clips(data_dir, recipe.vocabulary)
    out_dir = Path(args.out or folders.output_dir() / "runs" / f"folds_{run_dir.name}")
    metrics = cross_validation.cross_validate(recipe, clips_df, args.folds, out_dir, speech_df=speech_df, **options)
    low, high = metrics["accuracy_interval"]
    by_fold = ", ".join(f"{accuracy:.1%}" for accuracy in metrics["fold_accuracy"])
    print_metrics(metrics)
    print(f"95 % interval over speakers {low:.1%} to {high:.1%}; folds {by_fold}")
    print(f"runs and answers: {out_dir}")


def threshold(args: argparse.Namespace) -> None:
    """Choose on validation clips the score under which a command becomes `unknown`.

    It is kept beside the model, and all commands that use the model apply it.
    """
    from kaggle_speech.inference import load, predict
    from kaggle_speech.inference.answers import write_rejection

    recogniser = load.load_recogniser(args.run, reject=False)  # an older rule may be of another model
    data_dir = find_clips(args.data)
    from kaggle_speech.data import clips
    from kaggle_speech.evaluation import calibration, open_set

    clips_df = clips.open_set_clips(read_clips(data_dir)[0])
    predictions = predict.predict(recogniser, clips_df)
    print(open_set.score_table(predictions, clips_df, None, args.false_accept_rate).round(4).to_string(index=False))
    rejection = calibration.choose_rejection(predictions, clips_df, args.score, args.false_accept_rate)
    print(f"{rejection}: {write_rejection(rejection, args.run, recogniser.settings['model'])}")


def stream_evaluate(args: argparse.Namespace) -> None:
    """Measure `listen` on long streams of validation clips: commands found, false alarms, latency.

    The clips lie over noise; with --speech they stand between sentences.
    """
    from kaggle_speech.inference import load

    recogniser = load.load_recogniser(args.model, engine=args.engine)
    stream = recogniser.stream(threshold=args.threshold, in_sentences=args.in_sentences)
    data_dir = find_clips(args.data)
    if args.speech:
        _evaluate_running_speech(args, stream, data_dir)
        return
    import matplotlib.pyplot as plt

    from kaggle_speech.data import clips, noise
    from kaggle_speech.plots import streams
    from kaggle_speech.streaming import scores

    clips_df, _ = read_clips(data_dir)
    regions = noise.read_noise(clips.noise_paths(clips_df), "val")
    curve_df = scores.stream_evaluate(
        stream, clips_df[clips_df["split"] == "val"], regions, snr_db=args.snr_db, hours=args.hours, seed=args.seed
    )
    out_dir = Path(args.out)
    out_dir.mkdir(parents=True, exist_ok=True)
    curve_df.to_csv(out_dir / "stream.csv", index=False)
    figure, ax = plt.subplots(figsize=(7, 4.5))
    limits = {
        "min_hit_rate": scores.MLPERF_MIN_HIT_RATE,
        "max_alarms_per_hour": scores.MLPERF_MAX_ALARMS_PER_HOUR,
    }
    streams.plot_stream_curve(curve_df, ax, **limits)
    figure.savefig(out_dir / "stream.png", bbox_inches="tight", dpi=100)
    plt.close(figure)
    default_df = curve_df[curve_df["is_default"]].drop(columns="is_default")
    print(default_df.T.to_string(header=False, float_format="{:.3f}".format))
    print(f"a row a threshold and a figure: {out_dir}")


def _evaluate_running_speech(args, stream, data_dir):
    """The table, the figure and the operating points of `stream-evaluate --speech`."""
    import matplotlib.pyplot as plt

    from kaggle_speech.evaluation import running_speech
    from kaggle_speech.plots import streams

    utterances_df, _ = read_utterances(args.speech)
    clips_df, _ = read_clips(data_dir)
    val_df = clips_df[clips_df["split"] == "val"]
    curve_df = running_speech.running_speech_curve(stream, utterances_df, val_df, seed=args.seed)
    out_dir = Path(args.out)
    out_dir.mkdir(parents=True, exist_ok=True)
    curve_df.to_csv(out_dir / "running_speech.csv", index=False)
    points_df = running_speech.operating_points(curve_df)
    points_df.to_csv(out_dir / "operating_points.csv", index=False)
    figure, ax = plt.subplots(figsize=(7, 4.5))
    streams.plot_running_speech(curve_df, ax)
    figure.savefig(out_dir / "running_speech.png", bbox_inches="tight", dpi=100)
    plt.close(figure)
    first = curve_df.iloc[0]
    print(
        f"{first['num_commands']:.0f} commands between {len(utterances_df)} sentences, "
        f"{first['alarm_hours']:.2f} h of them without a command"
    )
    for point in (*points_df.itertuples(), *curve_df[curve_df["is_default"]].itertuples()):
        limit = getattr(point, "limit", None)
        print(
            f"{'default' if limit is None else f'at most {limit:g} alarms an hour'}: threshold {point.threshold:.2f}, "
            f"{point.found_rate:.1%} found, {point.wrong_rate:.1%} wrong, {point.alarms_per_hour:.1f} alarms an hour "
            f"({point.alarms_low:.1f} to {point.alarms_high:.1f}), {point.spoken_rate:.0%} of the commands in "
            f"sentences, {point.latency_median_ms:.0f} ms"
        )
    print(f"a row a threshold, the operating points and a figure: {out_dir}")


def mine(args: argparse.Namespace) -> None:
    """Find the seconds of running speech that a model takes for a command, to train on them.

    Sentences with one of the commands are left out, as far as there are transcripts.
    """
    import functools

    from kaggle_speech import files
    from kaggle_speech.data import negatives
    from kaggle_speech.evaluation import mining
    from kaggle_speech.inference import load

    out_path = new_file(args.out)
    recogniser = load.load_recogniser(args.model, engine=args.engine)
    speech_df = negatives.speech_negatives(args.speech)
    mined_df = mining.mine(recogniser, speech_df, min_confidence=args.min_confidence)
    files.replace_file(out_path, functools.partial(mined_df.to_csv, index=False))
    hours = speech_df["num_samples"].sum() / SAMPLE_RATE / 3600
    print(f"{len(mined_df)} seconds in {hours:.2f} hours: {out_path}")


def evaluate_transcriber(args: argparse.Namespace) -> None:
    """Count the words and characters that a model gets wrong on utterances whose transcripts are known."""
    from kaggle_speech.inference import load

    if args.out:
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    transcriber = load.load_transcriber(args.model, engine=args.engine).with_language_model(args.language_model)
    utterances_df, _ = read_utterances(args.data)
    from kaggle_speech.data import splits
    from kaggle_speech.evaluation import transcripts

    num_speakers = transcriber.num_val_speakers if args.num_val_speakers is None else args.num_val_speakers
    if args.num_val_speakers:
        utterances_df = utterances_df.assign(split="")  # asked for, so not the split of the list
    if num_speakers:
        utterances_df = splits.split_speakers(utterances_df, num_speakers)
        utterances_df = utterances_df[utterances_df["split"] == "val"]
    print(f"{len(utterances_df)} utterances of {utterances_df['speaker'].nunique()} speakers")
    if args.lm_weights or args.lm_bonuses:
        decoders = transcripts.weighted_decoders(
            transcriber.language_model, args.lm_weights, args.lm_bonuses, args.beam_width
        )
    else:
        decoders = transcripts.decoders(transcriber.language_model, args.beam_width)
    transcripts_df = transcripts.transcribe_utterances(transcriber.model, utterances_df, decoders, progress=True)
    _print_transcript_errors(transcripts_df, list(decoders))
    if args.out:
        transcripts_df.to_csv(args.out, index=False)
        print(f"a row an utterance: {args.out}")


def _print_transcript_errors(transcripts_df: "pd.DataFrame", decoders: list[str]) -> None:
    """Error rates of each decoder with intervals; worst words and sentences of the last one, which knows most."""
    from kaggle_speech.evaluation import transcripts

    counts = transcripts.summarize_transcripts(transcripts_df, decoders)
    for decoder, row in transcripts.error_intervals(transcripts_df, decoders).iterrows():
        kinds = ", ".join(f"{counts[decoder][kind]} {kind}" for kind in transcripts.ERROR_KINDS.values())
        rates = (
            f"{name.upper()} {row[name]:.4f} ({row[f'{name}_low']:.4f} to {row[f'{name}_high']:.4f})"
            for name in ("cer", "wer")
        )
        print(f"{decoder}: {', '.join(rates)}, {kinds} in {counts[decoder]['num_words']} words")
    texts = transcripts_df["text"], transcripts_df[decoders[-1]]
    missed_df = transcripts.missed_words(*texts).head(NUM_SHOWN)
    print(f"\nwords missed most often ({decoders[-1]}):")
    for word, row in missed_df.iterrows():
        heard = f"mostly heard as {row['heard_as']}" if row["heard_as"] else "mostly left out"
        print(f"{word}: {row['num_missed']} of {row['num_said']}, {heard}")
    rates_df = transcripts.utterance_error_rates(*texts)
    worst_df = transcripts_df.iloc[rates_df["wer"].sort_values(ascending=False, kind="stable").index[:NUM_SHOWN]]
    print(f"\nutterances with the highest WER ({decoders[-1]}):")
    for row in worst_df.to_dict("records"):
        print(f"{row['name']}\n{transcripts.align_words(row['text'], row[decoders[-1]])}\n")
