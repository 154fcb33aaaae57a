"""Commands that find, download and render recordings, and functions that read data for other commands."""

import argparse
import typing
from pathlib import Path

from kaggle_speech.cli.parser import add_command, add_data, add_seed
from kaggle_speech.labels import COMPETITION_LABELS
from kaggle_speech.progress import note

if typing.TYPE_CHECKING:
    import pandas as pd


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the commands of this module."""
    parser = add_command(
        subparsers, prepare, "--data DIR", "--download v0.02", "--download dev-clean", "--or-sample --quiet"
    )
    add_data(parser)
    parser.add_argument(
        "--out", metavar="DIR", help="folder to extract to; default: a temporary one in a Kaggle kernel, else data/"
    )
    parser.add_argument("--or-sample", action="store_true", help="render the sample where there is no data")
    parser.add_argument(
        "--download",
        metavar="NAME",
        help="fetch v0.01, v0.02 or a test_set_ of Speech Commands; dev-clean, train-clean-100, ... of LibriSpeech, or "
        "its model of words, librispeech-lm, for `transcribe --language-model`",
    )

    parser = add_command(subparsers, sample, "", "--num-clips 600 --out DIR")
    parser.add_argument("--out", metavar="DIR", help="folder to make; default: data/sample")
    parser.add_argument("--num-clips", type=int, default=3000, metavar="N", help="speech clips")
    add_seed(parser)

    parser = add_command(subparsers, sentences, "", "--num-utterances 100 --out DIR")
    parser.add_argument("--out", metavar="DIR", help="folder to make; default: data/sentences")
    parser.add_argument("--num-utterances", type=int, default=400, metavar="N", help="spoken sentences")
    add_seed(parser)


def prepare(args: argparse.Namespace) -> None:
    """Find the recordings, extract them where they are packed, and print their folder.

    With --download they are fetched first; a download that was stopped continues.
    """
    from kaggle_speech.data import archives, places

    if args.download:
        print(_download(args.download, args.data, args.out))
        return
    try:
        print(archives.prepare_data(args.data, args.out))
    except places.NoDataError:
        if not args.or_sample:
            raise
        sample(argparse.Namespace(out=None, num_clips=3000, seed=0))


def _download(name, archive_dir, out_dir):
    """Download and extract an archive, and return its folder; a language model stays packed."""
    from kaggle_speech import folders
    from kaggle_speech.data import archives, downloads, places

    archive_dir = Path(archive_dir or folders.project_dir() / "data")
    archive_path = downloads.download(name, archive_dir)
    if name == downloads.LANGUAGE_MODEL:
        return archive_path
    if archive_path.match(places.SPEECH_COMMANDS_ARCHIVES):
        out_dir = Path(out_dir or places.extraction_dir(archive_dir) / archive_path.name.removesuffix(".tar.gz"))
        archives.extract_archive(archive_path, out_dir)
        return out_dir
    out_dir = Path(out_dir or places.speech_extraction_dir())
    archives.extract_archive(archive_path, out_dir)
    return out_dir / places.LIBRISPEECH


def sample(args: argparse.Namespace) -> None:
    """Render a small competition-shaped data set with a speech synthesiser, offline, and print its folder.

    It suits a trial of every command; accuracies on it mean nothing.
    """
    from kaggle_speech import folders
    from kaggle_speech.data.rendered.clips import render_sample

    print(render_sample(args.out or folders.project_dir() / "data" / "sample", args.num_clips, args.seed))


def sentences(args: argparse.Namespace) -> None:
    """Render spoken sentences and their transcripts with a speech synthesiser, offline, and print their folder."""
    from kaggle_speech import folders
    from kaggle_speech.data.rendered.sentences import render_sentences

    print(render_sentences(args.out or folders.project_dir() / "data" / "sentences", args.num_utterances, args.seed))


def find_clips(data_dir: str | None) -> Path:
    """The folder of the clips, extracted where they are packed."""
    from kaggle_speech.data import archives

    clips_dir = archives.prepare_data(data_dir)
    note(f"data: {clips_dir}")
    return clips_dir


def read_clips(
    data_dir: str | Path | None, vocabulary: tuple[str, ...] = COMPETITION_LABELS
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Tables of the clips of a folder that can be read, and of the others, which a note lists."""
    from kaggle_speech.data import clips

    clips_df, bad_df = clips.read_clips_table(data_dir, vocabulary)
    _note_left_out(bad_df, "clips")
    return clips_df, bad_df


def read_utterances(source: str | None) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Tables of the utterances that can be used, and of the others, which a note lists."""
    from kaggle_speech.data import places, utterances

    speech_path = places.find_speech(source)
    note(f"speech: {speech_path}")
    utterances_df, bad_df = utterances.index_utterances(speech_path)
    _note_left_out(bad_df, "utterances")
    return utterances_df, bad_df


def _note_left_out(bad_df, things):
    from kaggle_speech.files import listing

    if len(bad_df):
        note(f"{len(bad_df)} {things} cannot be used and are left out:\n  {listing(list(bad_df['error']))}")
