"""An hour of speech in one file, transcribed on one core: real-time factor and memory of each decoder.

`python tests/benchmarks/bench_transcribe.py --run RUN_DIR`. The hour is made of the recordings that `--data` holds, one
after the other, again and again; real-time factor: time spent on a second of sound.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from pathlib import Path

import soundfile

from kaggle_speech import audio
from kaggle_speech.data import utterances
from kaggle_speech.data.rendered import sentences
from kaggle_speech.inference import load
from kaggle_speech.models import pretrained
from kaggle_speech.streaming.sources import AudioFile
from kaggle_speech.streaming.transcripts import FILE_WINDOWS, LIVE_WINDOWS, make_stream, transcribe_source
from kaggle_speech.text.decoders import BEAM_WIDTH


def write_hour(source, path, hours):
    """The recordings of a folder, again and again."""
    utterances_df, _ = utterances.index_utterances(sentences.find_or_render_speech(source), progress=False)
    left = round(3600 * hours * audio.SAMPLE_RATE)
    with soundfile.SoundFile(path, "w", audio.SAMPLE_RATE, 1) as file:
        while left > 0:
            for recording in utterances_df["path"]:
                waveform = audio.read_audio(recording)[:left]
                file.write(waveform)
                left -= len(waveform)


def resident_megabytes():
    """Memory of this process, MB. Linux only."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def transcribe(run, path, beam_width, windows, hours):
    """In a process of its own, on one core: prints a line."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    stream = make_stream(load.load_transcriber(run), beam_width, windows=windows)
    after_fifth, process = [], stream.process

    def watch(chunk):
        process(chunk)
        if not after_fifth and stream.time_s > 0.2 * 3600 * hours:
            after_fifth.append(resident_megabytes())

    stream.process = watch
    start = time.monotonic()
    text, _ = transcribe_source(stream, AudioFile(path, chunk_ms=1000))
    seconds_spent = time.monotonic() - start
    print(
        f"beam {beam_width}, a window every {windows.hop_s:g} s: "
        f"real-time factor {seconds_spent / (3600 * hours):.4f}, "
        f"{after_fifth[0]:.0f} MB after a fifth, {resident_megabytes():.0f} MB at the end, {len(text.split())} words",
        flush=True,
    )


def main():
    """Prints a line for each decoder, and one for windows as a microphone has them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=pretrained.TRANSCRIBER_DIR)
    parser.add_argument("--data", help="folder in LibriSpeech's layout; what `data.places.find_speech` finds")
    parser.add_argument("--hours", type=float, default=1.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hour.flac"
        write_hour(args.data, path, args.hours)
        for beam_width, windows in ((1, FILE_WINDOWS), (BEAM_WIDTH, FILE_WINDOWS), (BEAM_WIDTH, LIVE_WINDOWS)):
            process = multiprocessing.get_context("spawn").Process(
                target=transcribe, args=(args.run, path, beam_width, windows, args.hours)
            )
            process.start()
            process.join()


if __name__ == "__main__":
    main()
