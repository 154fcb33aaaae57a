"""Commands that use a model: labels and text of files, microphones and pipes."""

import argparse
import functools
import glob
import itertools
import shutil
import sys
import textwrap
import typing
from collections.abc import Callable, Iterable
from pathlib import Path

from kaggle_speech.audio import SAMPLE_RATE
from kaggle_speech.cli.parser import (
    above_zero,
    add_beam_width,
    add_command,
    add_language_model,
    add_model,
    add_ray,
    add_stream_options,
    rejection_threshold,
    stream_options,
)
from kaggle_speech.cli.rows import add_rows, open_output, open_rows
from kaggle_speech.files import listing
from kaggle_speech.inference.windows import WINDOWS, audio_paths
from kaggle_speech.progress import note, progress_bar
from kaggle_speech.text import subtitles

if typing.TYPE_CHECKING:
    from kaggle_speech.streaming import sources

#: Number of files from which on a progress bar is shown.
MANY_FILES = 64


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the commands of this module."""
    parser = add_command(
        subparsers,
        predict,
        "yes.wav",
        "recordings/ --format csv --output labels.csv",
        "'clips/*.flac' --top 3 --model tc_resnet",
        "--words words.json a.wav",
    )
    _add_files(parser)
    add_model(parser)
    _add_words(parser)
    parser.add_argument(
        "--window",
        choices=WINDOWS,
        default="loudest",
        help="second of a longer recording that is used; all: the most confident command of any second",
    )
    parser.add_argument(
        "--threshold",
        type=rejection_threshold,
        metavar="NUMBER|none",
        help="score under which a command becomes `unknown`; default: what `threshold` chose for the model",
    )
    _add_top(parser)
    add_rows(parser)

    parser = add_command(
        subparsers,
        listen,
        "",
        "a.wav --format csv",
        "--microphone 2 --words words.json",
        "a.wav --model bc_resnet_33 --events marvin sheila",
        "- < sound.raw",
    )
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="audio file, or - for raw 16-bit samples from standard input"
    )
    _add_microphone(parser)
    add_model(parser)
    _add_words(parser)
    add_stream_options(parser)
    parser.add_argument("--real-time", action="store_true", help="read a file at the speed of playback")
    parser.add_argument(
        "--sample-rate", type=above_zero(int), default=SAMPLE_RATE, metavar="HZ", help="sample rate of standard input"
    )
    parser.add_argument(
        "--num-channels", type=above_zero(int), default=1, metavar="N", help="channels of standard input"
    )
    _add_top(parser)
    add_rows(parser)

    parser = add_command(subparsers, live, "", "--file words.wav", "--file words.wav --picture live.png")
    add_model(parser)
    _add_words(parser)
    parser.add_argument("--file", type=Path, help="audio file to play instead of a microphone")
    add_stream_options(parser)
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="PNG",
        help="picture of the window after the last word of --file, made without a screen",
    )

    parser = add_command(
        subparsers,
        transcribe,
        "speech.flac",
        "speech.flac --times --format csv",
        "speech.flac --top 3",
        "speech.flac --format srt --output speech.srt",
        "'shards/*.tar' --ray local --format csv --output texts.csv",
        "--live",
        "--live speech.flac",
    )
    _add_files(parser, nargs="*", more=" of any length")
    add_model(parser, "resnet_ctc")
    parser.add_argument(
        "--live", action="store_true", help="print text while it is spoken: microphone, or a file in real time"
    )
    _add_microphone(parser)
    add_beam_width(parser, "; 1: the best path, faster and without a language model")
    add_language_model(parser)
    parser.add_argument(
        "--lm-weight",
        type=float,
        metavar="NUMBER",
        help="weight of the language model; 0: without; default: that which suits it",
    )
    add_ray(parser)
    parser.add_argument("--times", action="store_true", help="a line for each word, with its start and end in seconds")
    _add_top(parser, "texts")
    add_rows(parser, ("txt", "texts alone"), ("srt", "subtitles of one file"), ("vtt", "the same for the web"))

    parser = add_command(
        subparsers,
        enroll,
        "--word lights --words words.json lights_1.wav lights_2.wav lights_3.wav",
        "--word door --words words.json recordings_of_door/",
    )
    _add_files(parser, more=" that hold the word, three to ten")
    add_model(parser, engine=False)
    parser.add_argument("--word", required=True, help="name of the word")
    parser.add_argument("--words", type=Path, required=True, metavar="JSON", help="file to write, or to add it to")
    parser.add_argument(
        "--window", choices=WINDOWS[:2], default="loudest", help="second of a longer recording that is used"
    )


def _add_files(parser, nargs="+", more=""):
    text = f"audio files {more}".strip()
    parser.add_argument(
        "files", nargs=nargs, metavar="FILE", help=f"{text}; folders of them, and patterns like '*.wav'"
    )


def _add_words(parser):
    parser.add_argument("--words", metavar="JSON", help="file of `enroll`, whose words are recognised as well")


def _add_microphone(parser):
    parser.add_argument(
        "--microphone",
        nargs="?",
        const="",
        metavar="DEVICE",
        help="number or name of a microphone; default, also where no file is named: the system's",
    )


def _add_top(parser, what="labels"):
    parser.add_argument(
        "--top", type=above_zero(int), default=1, metavar="N", help=f"a row for each of the N likeliest {what}"
    )


def audio_files(names: Iterable[str]) -> list[str]:
    """Audio files by name: files, the audio files of folders, and those that a pattern matches.

    Args:
        names: paths of files and folders, and patterns.

    Raises:
        FileNotFoundError: none of the files exists, or a pattern matches none.
        ValueError: a folder holds none.
    """
    files: list[str] = []
    for name in names:
        if Path(name).is_dir():
            files += map(str, audio_paths(name))
        elif glob.has_magic(name) and not Path(name).exists():
            matches = [match for match in sorted(glob.glob(name, recursive=True)) if Path(match).is_file()]
            if not matches:
                raise FileNotFoundError(f"{name}: must match an audio file. Received: a pattern that matches none")
            files += matches
        else:
            files.append(name)
    if files and not any(map(Path.exists, map(Path, files))):
        raise FileNotFoundError("\n  ".join(f"{file}: no such file" for file in files[:5]))
    return files


def _ranked(answer, by_label, num_labels):
    """Label and confidence of an answer or a detection, then those of the next labels, each with its rank."""
    others = sorted(by_label.items(), key=lambda item: -item[1])
    labelled = [(answer.label, answer.confidence), *(item for item in others if item[0] != answer.label)][:num_labels]
    return [(rank, *row) for rank, row in enumerate(labelled, start=1)] if num_labels > 1 else labelled


def _columns(first, num_labels):
    """Columns of rows on labels."""
    rank = {"rank": 0} if num_labels > 1 else {}
    return {**first, **rank, "label": None, "confidence": 3}


def predict(args: argparse.Namespace) -> None:
    """Recognise the word in audio files: a label of the model, with a confidence from 0 to 1.

    Prints FILE, LABEL, CONFIDENCE a line; with --top, FILE, RANK, LABEL, CONFIDENCE.
    Files that cannot be read are named at the end.
    """
    from kaggle_speech.inference import load

    files = audio_files(args.files)
    recogniser = load.load_recogniser(args.model, engine=args.engine, words=args.words).with_threshold(args.threshold)
    is_bar_in_the_way = sys.stdout.isatty() and not args.output
    errors = []
    with open_rows(_columns({"file": None}, args.top), args) as rows:
        progress = len(files) >= MANY_FILES and not is_bar_in_the_way
        for path, answer in recogniser.predict_files(files, window=args.window, progress=progress):
            if isinstance(answer, Exception):
                errors.append(str(answer))
                continue
            for row in _ranked(answer, answer.probabilities, args.top):
                rows.write(path, *row)
    if errors:
        raise ValueError(listing(errors))


def _stream(args):
    """The streaming recogniser of `listen` and `live`, and the name of its model and engine."""
    from kaggle_speech.inference import load

    recogniser = load.load_recogniser(args.model, engine=args.engine, words=args.words)
    stream = recogniser.stream(**stream_options(args))
    return stream, f"{recogniser.name}, {recogniser.settings['engine']}"


def listen(args: argparse.Namespace) -> None:
    """Print the commands in running sound as they are spoken: from the microphone, a file, or standard input (-).

    Prints SECOND, LABEL, CONFIDENCE a line; with --top, SECOND, RANK, LABEL, CONFIDENCE. Ctrl+C ends it.
    """

    source = _source(args)
    stream, _ = _stream(args)
    with open_rows(_columns({"second": 2}, args.top), args) as rows:

        def show(detection):
            for row in _ranked(detection, detection.scores, args.top):
                rows.write(detection.time_s, *row)

        run_stream(stream, source, show)


def _source(args):
    """Open the source for `listen`."""
    from kaggle_speech.streaming import sources

    if args.file is not None and args.microphone is not None:
        raise ValueError(
            f"a file or `--microphone` must be given, and not both. Received: {args.file} and --microphone"
        )
    if args.file is None:
        return microphone(args.microphone or "")
    if args.file == "-":
        return sources.StandardInput(sys.stdin.buffer, args.sample_rate, args.num_channels)
    return sources.AudioFile(args.file, real_time=args.real_time)


def microphone(device: str) -> "sources.Microphone":
    """Open a microphone by number or name; an empty string means the system's default."""
    from kaggle_speech.streaming import sources

    return sources.Microphone(int(device) if device.isdigit() else device or None)


def run_stream(
    stream: typing.Any, source: typing.Any, show: Callable[[typing.Any], None], **options: typing.Any
) -> None:
    """Call `show` with each event of a stream, until the source ends or the user interrupts.

    Args:
        stream: `StreamingRecogniser` or `StreamingTranscriber`.
        source: one of `streaming.sources`.
        show: called with each event, in the thread of the stream.
        options: arguments of `StreamRunner`.
    """
    from kaggle_speech.streaming.runner import StreamRunner

    runner = StreamRunner(stream, source, on_event=show, **options)
    runner.start()
    try:
        while not runner.wait(0.5):
            pass
    except KeyboardInterrupt:
        runner.stop()
        if not (runner.is_running or runner.error):
            for event in stream.finish():
                show(event)
    if runner.error:
        raise runner.error
    if runner.num_dropped:
        note(f"{runner.num_dropped} chunks were dropped: the model is too slow on this machine")


def live(args: argparse.Namespace) -> None:
    """Recognise commands as they are spoken, in a window: from a microphone or a file."""
    from kaggle_speech.streaming.app import requirements

    requirements.require_qt()
    requirements.require_screen(args.file, args.picture)
    from kaggle_speech.streaming.app import launch

    stream, name = _stream(args)
    launch.run(stream, args.file, args.picture, name)
    if args.picture:
        print(args.picture)


def transcribe(args: argparse.Namespace) -> None:
    """Transcribe audio files of any length, or, with --live, speech while it is spoken.

    Prints FILE, TEXT a line; with --times, FILE, START, END, WORD; with --top, FILE, RANK, TEXT. Files that cannot be
    read are named at the end.
    """
    from kaggle_speech.inference import batches, load

    _check_transcribe(args, args.files)
    files = _recordings(args.files)
    _check_transcribe(args, files)  # a name may be a folder or a list of many
    transcriber = load.load_transcriber(args.model, engine=args.engine).with_language_model(args.language_model)
    if args.live:
        _transcribe_live(args, transcriber, *files)
        return
    options = {"beam_width": args.beam_width, "lm_weight": args.lm_weight}
    transcriber.stream(**options)  # raises where the options do not fit the model
    if args.format in subtitles.FORMATS:
        transcript = _transcribe_file(transcriber, options | {"progress": True}, files[0])
        if isinstance(transcript, Exception):
            raise transcript
        with open_output(args) as file:
            file.writelines(subtitles.subtitle_lines(transcript.words, args.format))
        return
    options["num_alternatives"] = args.top - 1
    columns: dict[str, int | None] = {"file": None, "text": None}
    if args.format == "txt":
        columns = {"text": None}
    elif args.top > 1:
        columns = {"file": None, "rank": 0, "text": None}
    elif args.times:
        columns = {"file": None, "start_s": 2, "end_s": 2, "word": None}
    transcribe_each: typing.Any = map
    if args.ray is not None:
        from kaggle_speech.cluster.ray_map import RayMap

        transcribe_each = RayMap(args.ray, on_death=lambda path, death: ValueError(f"{path}: {death}"))
    options["progress"] = len(files) == 1 and args.ray is None
    transcribe = batches.sendable(functools.partial(_transcribe_file, transcriber, options), transcriber.model)
    transcripts = transcribe_each(transcribe, files)
    has_bar = not options["progress"]
    bar = progress_bar(transcripts, total=len(files), desc="transcribing", unit="file", progress=has_bar)
    errors = []
    with open_rows(columns, args) as rows:
        for path, transcript in zip(files, bar, strict=True):
            if isinstance(transcript, Exception):
                errors.append(str(transcript))
                continue
            if args.top > 1:
                for rank, text in enumerate((transcript.text, *transcript.alternatives), start=1):
                    rows.write(path, rank, text)
            elif args.times:
                for word, start_s, end_s in transcript.words:
                    rows.write(path, start_s, end_s, word)
            else:
                rows.write(*[path] * (args.format != "txt"), transcript.text)
    if errors:
        raise ValueError(listing(errors))


def _recordings(names):
    """Audio files by name, and the addresses of the recordings in CSVs, tar shards and Parquet files."""
    from kaggle_speech.cluster import addresses

    is_listing = [addresses.is_listing(name) for name in names]
    files = audio_files(name for name, is_one in zip(names, is_listing, strict=True) if not is_one)
    for name in itertools.compress(names, is_listing):
        files += addresses.find_recordings(name)["path"].tolist()
    return files


def _transcribe_file(transcriber, options, path):
    """The `Transcript` of a recording, or the reason why it has none; also in the worker of a cluster."""
    from kaggle_speech.cluster.addresses import read_recordings

    try:
        return transcriber.transcribe(*read_recordings([path]), **options)
    except (ValueError, OSError) as error:
        return error


def _check_transcribe(args, files):
    """Refuse options that have no meaning together."""
    if not args.live and not files:
        raise ValueError("audio files must be named, unless `--live` listens to a microphone. Received: none")
    if args.live and len(files) > 1:
        raise ValueError(f"one file at most must be named with `--live`. Received: {len(files)}")
    if args.microphone is not None and (files or not args.live):
        raise ValueError(
            "`--microphone` must be given with `--live`, and without a file. "
            f"Received: live={args.live}, {len(files)} files"
        )
    if args.live and (args.times or args.top > 1 or args.output or args.format != "tsv"):
        raise ValueError("`--times`, `--top`, `--format` and `--output` must be given without `--live`. Received: both")
    if args.format in ("txt", *subtitles.FORMATS) and (args.times or args.top > 1):
        raise ValueError(f"`--format {args.format}` must be given without `--times` and `--top`. Received: both")
    if args.ray is not None and (args.live or args.format in subtitles.FORMATS):
        raise ValueError("`--ray` must be given without `--live` and subtitles. Received: both")
    if args.format in subtitles.FORMATS and len(files) != 1:
        raise ValueError(f"`--format {args.format}` must be given with one file. Received: {len(files)}")
    if args.top > 1 and (args.times or args.beam_width < args.top):
        raise ValueError(
            "`--top` must be at most `--beam-width`, and given without `--times`. "
            f"Received: top={args.top}, beam_width={args.beam_width}, times={args.times}"
        )


def _transcribe_live(args, transcriber, file=None):
    """Print text as it comes, on a terminal also the part that may still change."""
    from kaggle_speech.streaming import sources, transcripts

    options = {"beam_width": args.beam_width, "lm_weight": args.lm_weight, "windows": transcripts.LIVE_WINDOWS}
    stream = transcriber.stream(**options)
    source = sources.AudioFile(file, real_time=True) if file else microphone(args.microphone or "")
    show = _show_on_terminal if sys.stdout.isatty() else _show_settled
    try:
        run_stream(stream, source, show(), observe=lambda observed: observed.time_s)
    finally:
        print()


def _show_settled():
    """A function that prints the new final text of a `PartialTranscript`."""
    num_shown = 0

    def show(partial):
        nonlocal num_shown
        print(partial.settled[num_shown:], end="", flush=True)
        num_shown = len(partial.settled)

    return show


def _show_on_terminal():
    """A function that shows a `PartialTranscript` on a terminal, with the part that may still change dimmed."""
    num_shown = 0
    line = ""

    def show(partial):
        nonlocal num_shown, line
        num_columns = shutil.get_terminal_size().columns
        text = line + partial.settled[num_shown:]
        num_shown = len(partial.settled)
        *full, line = textwrap.wrap(text, num_columns * 2 // 3, drop_whitespace=False) or [""]
        tentative = partial.tentative[: num_columns - len(line) - 1]
        lines = "".join(f"{part}\n" for part in full)
        print(f"\r\x1b[K{lines}{line}\x1b[2m{tentative}\x1b[0m", end="", flush=True)

    return show


def enroll(args: argparse.Namespace) -> None:
    """Add a word of your own, from a few recordings of it; for `predict`, `listen` and `live`.

    The file of words works only with the model that was used.
    """
    import numpy as np

    from kaggle_speech.inference import load, personal_words, windows

    files = audio_files(args.files)
    waveform = np.concatenate([windows.read_windows(path, args.window)[0] for path in files])
    words = personal_words.read_words(args.words) if args.words.exists() else None
    model = load.load_embedder(args.model)
    words = personal_words.enroll(model, args.word, waveform, words)
    words.write(args.words)
    _, embedding = model.predict_with_embedding(waveform)
    similarity = words.similarity(embedding)[:, words.words.index(args.word)]
    print(f"{len(files)} recordings of {args.word!r}, similarity {similarity.mean():.2f}")
    for path, value in zip(files, similarity, strict=True):
        if value < words.threshold:
            print(f"  {path}: similarity {value:.2f}, would not be recognised: that takes {words.threshold:.2f}")
    print(f"words in {args.words}: {', '.join(words.words)}")
