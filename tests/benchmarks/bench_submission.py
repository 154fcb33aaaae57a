"""The competition at full size: clips to a checked CSV, with each engine. Clips/s, memory, and where the time goes.

`python tests/benchmarks/bench_submission.py --data DIR`: the clips of DIR (or of KAGGLE_SPEECH_DATA) are hard-linked
until there are as many as the competition has.
"""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

NUM_CLIPS = 158_538
MEMORY_PERCENTAGES = (20, 40, 60, 80, 100)
#: Stages that all cores do at the same time.
PARALLEL = ("read and decode", "features and network")


def link_clips(data_dir, folder, num_clips):
    """A competition-shaped folder of so many test clips."""
    audio_dir = Path(folder) / "test" / "audio"
    audio_dir.mkdir(parents=True)
    clips = sorted(data_dir.glob("*/audio/**/*_nohash_*.wav")) or sorted(data_dir.glob("**/*.wav"))
    clips = [clip for clip in clips if "_background_noise_" not in str(clip)]
    for number, clip in zip(range(num_clips), itertools.cycle(clips)):
        link = audio_dir / f"clip_{number:09x}.wav"
        try:
            os.link(clip, link)
        except OSError:  # another file system, or too many links
            shutil.copy(clip, link)
    return Path(folder)


def resident_megabytes():
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def run(args):
    """One pass with one engine, in a process of its own. Prints JSON."""
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"  # as `submit` does
    from kaggle_speech.data.clips import test_clips
    from kaggle_speech.inference import batches, load, predict, submission
    from kaggle_speech.inference.answers import competition_probabilities, most_probable

    clock, spent = time.perf_counter, {}

    def timed(stage, function):
        def call(*arguments, **options):
            start = clock()
            try:
                return function(*arguments, **options)
            finally:
                spent[stage] = spent.get(stage, 0) + clock() - start

        return call

    begin = clock()
    engine = timed("load", load.load_recogniser)(args.run, engine=args.engine)
    batches.read_clips = timed("read and decode", batches.read_clips)
    model = engine.model
    model.predict_on_batch = timed("features and network", model.predict_on_batch)
    memory, done = [], threading.Event()

    def watch():
        while not done.wait(0.2):
            memory.append(resident_megabytes())

    threading.Thread(target=watch, daemon=True).start()
    test_df = timed("list", test_clips)(args.data)
    out_path = Path(args.data) / f"{args.engine}.npz"
    options = {"batch_size": args.batch_size, "progress": False}
    file = predict.predict_to_file(engine, test_df, out_path, **options)
    probabilities = competition_probabilities(file.probabilities, engine.vocabulary)
    answers = timed("labels", most_probable)(probabilities)
    timed("CSV and check", submission.write_answers)(file.names, answers, out_path.with_suffix(".csv"))
    seconds = clock() - begin
    done.set()
    resident = {percent: memory[(len(memory) - 1) * percent // 100] for percent in MEMORY_PERCENTAGES}
    print(json.dumps({"seconds": seconds, "spent": spent, "resident": resident}))


def librosa_clips_per_second(paths):
    """The usual way: load and MFCC clip by clip, no network."""
    import librosa

    librosa.feature.mfcc(y=librosa.load(paths[0], sr=None)[0], sr=16_000)
    start = time.perf_counter()
    for path in paths:
        librosa.feature.mfcc(y=librosa.load(path, sr=None)[0], sr=16_000)
    return len(paths) / (time.perf_counter() - start)


def main():
    """Runs each engine and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("KAGGLE_SPEECH_DATA"))
    parser.add_argument("--num-clips", type=int, default=NUM_CLIPS)
    parser.add_argument("--run", type=Path, help="a finished run; TC-ResNet8 of the package")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--engines", nargs="+", choices=("onnxruntime", "keras"), default=["onnxruntime", "keras"])
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.engine:
        run(args)
        return
    from kaggle_speech.models import pretrained

    run_dir = args.run or pretrained.PRETRAINED_DIR.parent / "tc_resnet"
    with tempfile.TemporaryDirectory(dir=args.data.parent) as folder:
        data_dir = link_clips(args.data, folder, args.num_clips)
        some = sorted(map(str, (data_dir / "test" / "audio").iterdir()))[:1000]
        usual = librosa_clips_per_second(some)
        print(f"librosa.load + librosa.feature.mfcc, no network: {usual:,.0f} clips/s")
        for engine in args.engines:
            command = [sys.executable, __file__, "--data", data_dir, "--run", run_dir, "--engine", engine]
            command += ["--batch-size", str(args.batch_size)]
            shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found = json.loads(shown.splitlines()[-1])
            rate = args.num_clips / found["seconds"]
            print(f"\n{engine}: {rate:,.0f} clips/s, {found['seconds']:.1f} s, {rate / usual:.1f} x librosa")
            for stage, seconds in found["spent"].items():
                num_cores = os.cpu_count() if stage in PARALLEL else 1
                print(f"  {stage}: {seconds / num_cores:.1f} s, {seconds / num_cores / found['seconds']:.0%}")
            print("  memory:", ", ".join(f"{percent} %: {size:,.0f} MB" for percent, size in found["resident"].items()))


if __name__ == "__main__":
    main()
