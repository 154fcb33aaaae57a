"""Commands that export and publish models."""

import argparse
import webbrowser

from kaggle_speech.cli.data import find_clips, read_clips, read_utterances
from kaggle_speech.cli.parser import above_zero, add_command, add_model, add_run, add_stream_options, stream_options
from kaggle_speech.inference.runtimes import FORMATS
from kaggle_speech.models import folder
from kaggle_speech.progress import note
from kaggle_speech.quiet import import_tensorflow_quietly


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the commands of this module."""
    parser = add_command(
        subparsers,
        export,
        "--data DIR --run runs/mine",
        "--data DIR --run runs/mine --formats onnx litert --precisions float32 int8",
        "--run runs/transcriber",
    )
    add_run(parser)
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="clips, or for a transcriber speech, to compare on; default: as for `train` and `train-transcriber`",
    )
    parser.add_argument("--out", metavar="DIR", help="folder to write to; default: RUN")
    parser.add_argument("--formats", nargs="+", default=["onnx"], choices=FORMATS, help="formats of the files")
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=FORMATS["onnx"][1],
        help="precisions, where the format has them; default: float32, for a transcriber float32 and float16",
    )
    parser.add_argument(
        "--num-calibration",
        type=above_zero(int),
        default=256,
        metavar="N",
        help="training clips that measure the ranges of a word recogniser for int8",
    )

    parser = add_command(
        subparsers, publish, "--run runs/mine --out mine", "--run runs/mine --out mine --to hf --name me/mine --dry-run"
    )
    add_run(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to make")
    parser.add_argument("--to", choices=("kaggle", "hf"), help="upload it to Kaggle Models or Hugging Face, too")
    parser.add_argument("--name", metavar="OWNER/MODEL", help="name there; a new model is private at first")
    parser.add_argument("--dry-run", action="store_true", help="say what would be uploaded, and upload nothing")

    parser = add_command(subparsers, page, "--run runs/mine --out mine --serve", "--out page --cdn")
    add_model(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to make, for any static server")
    add_stream_options(parser)
    parser.add_argument("--cdn", action="store_true", help="leave onnxruntime-web, 14 MB, to a content network")
    parser.add_argument("--serve", action="store_true", help="serve the page on localhost, and open it")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="port of --serve; 0: one that is free")


def _task(run_dir):
    """The task of a finished run: `words` or `transcripts`."""
    if folder.model_path(run_dir) is None:
        raise FileNotFoundError(f"{run_dir}: must be the folder of a finished run. Received: no trained model in it")
    return folder.task_of(folder.read_run(run_dir))


def export(args: argparse.Namespace) -> None:
    """Write a trained model for other runtimes, compare each file with it, and report sizes, accuracies and speeds.

    A file whose probabilities differ is an error, and is not kept.
    """
    task = _task(args.run)
    if task == "transcripts" and args.formats != ["onnx"]:
        raise ValueError(f"`--formats` must be onnx for a model that makes transcripts. Received: {args.formats}")
    precisions = args.precisions or (["float32"] if task == "words" else ["float32", "float16"])
    files = [(name, precision) for name in args.formats for precision in precisions if precision in FORMATS[name][1]]
    if not files:
        raise ValueError(f"`--precisions` must be some that {', '.join(args.formats)} has. Received: {precisions}")
    clips_dir = find_clips(args.data) if task == "words" else None
    import_tensorflow_quietly()
    from kaggle_speech.export import report

    table_df, _ = read_clips(clips_dir) if task == "words" else read_utterances(args.data)
    out_dir = args.out or args.run
    report_df = report.export_run(args.run, out_dir, table_df, files, num_calibration=args.num_calibration)
    print(report_df.to_string(index=False))
    print(f"files and model_report.csv: {out_dir}")


def publish(args: argparse.Namespace) -> None:
    """Copy a finished model, with a card of its accuracy and limits, to a folder that can be shared.

    With --to the folder is uploaded as well; for that, `pip install "kaggle_speech[hubs]"`.
    """
    _task(args.run)  # raises where there is no finished run, before TensorFlow starts
    if (args.to is None) != (args.name is None):
        raise ValueError(f"`--to` and `--name` must be given together. Received: {args.to}, {args.name}")
    import_tensorflow_quietly()
    from kaggle_speech.export import publish

    publish.publish_run(args.run, args.out)
    print(args.out)
    if args.to is not None:
        from kaggle_speech.export.upload import upload_model

        print(upload_model(args.out, args.to, args.name, dry_run=args.dry_run))


def page(args: argparse.Namespace) -> None:
    """Write a web page that recognises commands in any browser: no install, and no sound leaves the browser.

    The folder is static: put it on any server that speaks https, or see it with --serve. A folder of an earlier call is
    replaced; other folders are refused.
    """
    from kaggle_speech.inference import load
    from kaggle_speech.web import server
    from kaggle_speech.web.folder import write_page

    recogniser = load.load_recogniser(args.model, engine=args.engine)
    page_dir = write_page(recogniser, args.out, cdn=args.cdn, **stream_options(args))
    print(page_dir, flush=True)
    if args.serve:
        with server.PageServer(page_dir, args.port) as page_server:
            note(f"{page_server.url} (Ctrl+C ends it)")
            webbrowser.open(page_server.url)
            page_server.serve_forever()
