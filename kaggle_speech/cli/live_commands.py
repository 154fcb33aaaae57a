"""The commands of `python -m kaggle_speech` that hear streams; thin, as those of `commands`."""

import sys
from pathlib import Path

from kaggle_speech.cli.commands import read_index


def _load_recogniser(args, words_path=None):
    from kaggle_speech.inference import load

    recogniser = load.load_recogniser(args.onnx or args.run, engine=args.engine, words=words_path)
    return recogniser.stream(threshold=args.threshold)


def _source(args):
    from kaggle_speech.streaming import sources

    if (args.file is None) == (args.microphone is None):
        raise ValueError(f"`file` or `--microphone` must be given, and not both. Received: file={args.file}")
    if args.microphone is not None:
        return microphone(args.microphone)
    if args.file == "-":
        return sources.StandardInput(sys.stdin.buffer, args.sample_rate, args.num_channels)
    return sources.AudioFile(args.file, real_time=args.real_time)


def microphone(device):
    """The source of a device's number or name; of the default device where it is empty."""
    from kaggle_speech.streaming import sources

    return sources.Microphone(int(device) if device.isdigit() else device or None)


def hear(recogniser, source, show, **options):
    """Call `show` with what is heard, until the source ends or the user interrupts, which ends the stream there."""
    from kaggle_speech.streaming.runner import StreamRunner

    live = StreamRunner(recogniser, source, on_event=show, **options)
    live.start()
    try:
        while not live.wait(0.5):
            pass
    except KeyboardInterrupt:
        live.stop()
        if not (live.is_running or live.error):
            for heard in recogniser.finish():
                show(heard)
    if live.error:
        raise live.error
    if live.num_dropped:
        print(f"{live.num_dropped} chunks were dropped: the model is too slow here", file=sys.stderr)


def enroll(args):
    """Add a word of one's own to a file of words, from a few recordings of it; for `predict` and `listen`."""
    from kaggle_speech import audio
    from kaggle_speech.inference import load, personal_words

    waveform, errors = audio.read_clips(args.files)
    if errors:
        raise ValueError("\n".join(errors))
    words = personal_words.read_words(args.words) if args.words.exists() else None
    words = personal_words.enroll(load.load_embedder(args.onnx or args.run), args.word, waveform, words)
    words.write(args.words)
    print(f"{', '.join(words.words)}: {args.words}")


def listen(args):
    """Print the commands in a file, in raw sound on standard input (-) or from a microphone, as they are heard."""

    def show(detection):
        print(f"{detection.time_s:.2f}\t{detection.label}\t{detection.confidence:.3f}", flush=True)

    hear(_load_recogniser(args, args.words), _source(args), show)


def live(args):
    """Hear commands as they are said, from a microphone or a file, in a window."""
    from kaggle_speech.streaming.app import launch, requirements

    requirements.require_qt()
    requirements.require_screen(args.file, args.picture)
    pass

    launch.run(_load_recogniser(args, args.words), args.file, args.picture)
    if args.picture:
        print(args.picture)


def stream_evaluate(args):
    """Score the live recogniser on long streams of validation clips over noise: words heard, false alarms, latency."""
    import matplotlib.pyplot as plt

    from kaggle_speech.data import clips, noise
    from kaggle_speech.plots import streams
    from kaggle_speech.streaming import scores

    recogniser, (clips_df, _) = _load_recogniser(args), read_index(args.data)
    regions = noise.read_noise(clips.noise_paths(clips_df), "val")
    curve_df = scores.stream_evaluate(
        recogniser,
        clips_df[clips_df["split"] == "val"],
        regions,
        snr_db=args.snr_db,
        hours=args.hours,
        seed=args.seed,
    )
    out_dir = Path(args.out)
    out_dir.mkdir(parents=True, exist_ok=True)
    curve_df.to_csv(out_dir / "stream.csv", index=False)
    _, ax = plt.subplots(figsize=(7, 4.5))
    streams.plot_stream_curve(
        curve_df,
        ax,
        min_hit_rate=scores.MLPERF_MIN_HIT_RATE,
        max_alarms_per_hour=scores.MLPERF_MAX_ALARMS_PER_HOUR,
    ).figure.savefig(out_dir / "stream.png", bbox_inches="tight", dpi=100)
    print(
        curve_df[curve_df["is_default"]]
        .drop(columns="is_default")
        .T.to_string(header=False, float_format="{:.3f}".format)
    )
    print(f"a row a threshold and a figure: {out_dir}")
