"""The commands of `python -m kaggle_speech` that make transcripts; thin, as those of `commands`."""

import shutil
import sys
import textwrap
from pathlib import Path

from kaggle_speech.cli.live_commands import hear, microphone
from kaggle_speech.training.recipe import TranscriptRecipe


def _read_utterances(source):
    """The utterances that can be used and the others, which are listed on standard error."""
    from kaggle_speech import files
    from kaggle_speech.data import places, utterances

    source = places.find_speech(source)
    print(f"speech: {source}", file=sys.stderr)
    utterances_df, bad_df = utterances.index_utterances(source)
    if len(bad_df):
        print(f"{len(bad_df)} utterances cannot be used and are left out:", file=sys.stderr)
        print(f"  {files.listing(list(bad_df['error']))}", file=sys.stderr)
    return utterances_df, bad_df


def _print_error_rates(metrics):
    for name, found in metrics.items():
        print(f"{name}: CER {found['cer']:.4f}, WER {found['wer']:.4f}")


def train_transcriber(args):
    """Train a model that makes transcripts; a killed run continues, a finished one is not trained again."""
    from kaggle_speech.training import transcripts

    names = [name for name in TranscriptRecipe.__dataclass_fields__ if hasattr(args, name)]
    recipe = TranscriptRecipe(**{name: getattr(args, name) for name in names})
    utterances_df, bad_df = _read_utterances(args.data)
    options = {"bad_df": bad_df, "overwrite": args.overwrite}
    metrics = transcripts.train_transcriber(recipe, utterances_df, args.out, **options)
    left_out_path = Path(args.out) / "left_out.csv"
    if left_out_path.exists():
        print(f"utterances that were left out, each with the reason: {left_out_path}")
    for split, meaning in (("train", "training speakers"), ("val", "held-out speakers")):
        print(f"{meaning}, {metrics[split]['greedy']['num_utterances']} utterances")
        _print_error_rates(metrics[split])
    print(f"model, metrics and transcripts: {args.out}")


def evaluate_transcriber(args):
    """Count the words and characters that a model gets wrong on utterances whose transcripts are known."""
    from kaggle_speech.data import splits
    from kaggle_speech.evaluation import transcripts

    transcriber = _load_transcriber(args)
    utterances_df, _ = _read_utterances(args.data)
    num_speakers = transcriber.num_val_speakers if args.num_val_speakers is None else args.num_val_speakers
    if num_speakers:
        utterances_df = splits.split_speakers(utterances_df, num_speakers)
        utterances_df = utterances_df[utterances_df["split"] == "val"]
    print(f"{len(utterances_df)} utterances of {utterances_df['speaker'].nunique()} speakers")
    ways = transcripts.decoders(transcriber.language_model)
    transcripts_df = transcripts.transcribe_utterances(transcriber.model, utterances_df, ways, progress=True)
    _print_error_rates(transcripts.summarize_transcripts(transcripts_df, ways))
    if args.out:
        transcripts_df.to_csv(args.out, index=False)
        print(f"a row an utterance: {args.out}")


def export_transcriber(args):
    """Write a trained model as ONNX, which takes sound of any length and needs no TensorFlow, and compare it."""
    from kaggle_speech.export import report

    utterances_df, _ = _read_utterances(args.data)
    out_dir = Path(args.out or args.run)
    report_df = report.export_run(args.run, out_dir, utterances_df)
    print(report_df.to_string(index=False))
    print(f"files and model_report.csv: {out_dir}")


def publish_transcriber(args):
    """Copy a finished run's exported model, with a card, to a folder that can be handed on."""
    from kaggle_speech.export import publish

    publish.publish_run(args.run, args.out)
    print(args.out)


def _load_transcriber(args):
    from kaggle_speech.inference import load

    return load.load_transcriber(args.onnx or args.run, engine=args.engine)


def _stream(args, windows):
    """The recogniser that `transcribe` asks for."""
    transcriber = _load_transcriber(args)
    return transcriber.stream(beam_width=args.beam_width, lm_weight=args.lm_weight, windows=windows)


def transcribe(args):
    """Write down what is said in audio files of any length, or, with --live, while it is said."""
    from kaggle_speech.streaming import transcripts

    _check_transcribe(args)
    if args.live:
        return _transcribe_live(args, _stream(args, transcripts.LIVE_WINDOWS))
    stream, bad = _stream(args, transcripts.FILE_WINDOWS), []
    for path in args.files:
        try:
            text, words = transcripts.transcribe_file(stream, path, progress=True)
        except (ValueError, OSError) as error:
            bad.append(str(error))
            continue
        if args.times:
            for start_s, end_s, word in words:
                print(f"{path}\t{start_s:.2f}\t{end_s:.2f}\t{word}", flush=True)
        else:
            print(f"{path}\t{text}", flush=True)
    if bad:
        raise ValueError("\n".join(bad))


def _check_transcribe(args):
    """Refuse options that have no meaning together."""
    if not args.live and not args.files:
        raise ValueError("`files` must name audio files, unless `--live` listens to a microphone. Received: none")
    if args.live and len(args.files) > 1:
        raise ValueError(f"`files` must be one at most with `--live`. Received: {args.files}")
    if args.microphone is not None and (args.files or not args.live):
        raise ValueError(
            "`--microphone` must be given with `--live`, and without a file. "
            f"Received: live={args.live}, files={args.files}"
        )
    if args.times and args.live:
        raise ValueError("`--times` must be given without `--live`, for files only. Received: both")


def _transcribe_live(args, stream):
    """Text as it comes; on a terminal also what may still change."""
    from kaggle_speech.streaming import sources

    source = sources.AudioFile(args.files[0], real_time=True) if args.files else microphone(args.microphone or "")
    num_shown, line = 0, ""

    def show(heard):
        nonlocal num_shown, line
        new, num_shown = heard.settled[num_shown:], len(heard.settled)
        if not sys.stdout.isatty():
            print(new, end="", flush=True)
            return
        num_columns = shutil.get_terminal_size().columns
        *full, line = textwrap.wrap(line + new, num_columns * 2 // 3, drop_whitespace=False) or [""]
        tentative = heard.tentative[: num_columns - len(line) - 1]
        print(
            "\r\x1b[K" + "".join(f"{text}\n" for text in full) + f"{line}\x1b[2m{tentative}\x1b[0m", end="", flush=True
        )

    try:
        hear(stream, source, show, observe=lambda heard: heard.time_s)
    finally:
        print()
