"""What Ray costs on one machine, what its scheduler can do, and from both an estimate for many machines.

`python tests/benchmarks/bench_cluster.py --data DIR`: the clips of DIR (or of KAGGLE_SPEECH_DATA) are hard-linked
until there are as many as the competition has. Needs the extra `cluster`. Nothing else should run on the machine.
"""

import argparse
import os
import statistics
import sys
import tarfile
import tempfile
import time
import tracemalloc
from pathlib import Path

from bench_submission import NUM_CLIPS, link_clips

from kaggle_speech.cluster.addresses import find_recordings
from kaggle_speech.cluster.ray_map import RayMap, map_parts
from kaggle_speech.data.clips import test_clips
from kaggle_speech.inference import load
from kaggle_speech.inference.batches import num_cores
from kaggle_speech.inference.predict import PART_CLIPS, Part, predict_to_file

NUM_PARTS = 10_000
ESTIMATES = [(clips, cores) for clips in (10**6, 10**9) for cores in (10, 1_000)]
#: Clips in the shards whose listing is timed.
NUM_LISTED = 20_000


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def nothing(item):
    return []


def time_passes(recogniser, clips_df, folder, on_ray, num_passes):
    """Median seconds of a pass by this process and of one by Ray, in turn."""
    times = {"here": [], "ray": []}
    for number in range(num_passes):
        for name, map_of_parts in (("here", None), ("ray", on_ray)):
            path = Path(folder) / f"{name}_{number}.npz"
            options = {"map_parts": map_of_parts, "progress": False}
            times[name].append(seconds(lambda: predict_to_file(recogniser, clips_df, path, **options)))  # noqa: B023
            print(f"  {name}: {times[name][-1]:.1f} s", file=sys.stderr)
    first, second = ((Path(folder) / f"{name}_0.npz").read_bytes() for name in times)
    assert first == second, "the bytes must not depend on the engine"
    return {name: statistics.median(values) for name, values in times.items()}


def parts_per_second(on_ray, clips):
    """Parts a second that do nothing, each with so many addresses of clips."""
    parts = [Part(slice(0, 0), clips, "a.npy")] * NUM_PARTS
    return NUM_PARTS / seconds(lambda: list(on_ray(nothing, parts)))


def listed_per_second(clips_df, folder):
    """Members a second of a tar shard of this machine, and bytes of memory for each in the table of clips."""
    path = Path(folder) / "clips.tar"
    with tarfile.open(path, "w") as tar:
        for clip, name in zip(clips_df["path"][:NUM_LISTED], clips_df["fname"], strict=False):
            tar.add(clip, name)
    num_clips = min(len(clips_df), NUM_LISTED)
    rate = num_clips / seconds(lambda: find_recordings(path))
    tracemalloc.start()
    listed_df = find_recordings(path)
    lists = (list(listed_df["path"]), list(listed_df["fname"]))  # as `predict_to_file` makes them
    num_bytes = tracemalloc.get_traced_memory()[0] / len(lists[0])
    tracemalloc.stop()
    return rate, num_bytes


def duration(value):
    for limit, unit, name in ((600, 1, "s"), (172_800, 3600, "h")):
        if value < limit:
            return f"{value / unit:,.1f} {name}"
    return f"{value / 86_400:,.1f} d"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("KAGGLE_SPEECH_DATA"))
    parser.add_argument("--num-clips", type=int, default=NUM_CLIPS)
    parser.add_argument("--num-passes", type=int, default=3)
    parser.add_argument("--model", default="tc_resnet", help="the fastest one, for which overhead weighs most")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.data.parent) as folder:
        clips_df = test_clips(link_clips(args.data, folder, args.num_clips))
        recogniser = load.load(args.model, num_threads=1)
        start_s = seconds(lambda: map_parts("local"))
        on_ray = map_parts("local")
        warm_df = clips_df[: num_cores() * PART_CLIPS]
        begin_s = seconds(lambda: predict_to_file(recogniser, warm_df, Path(folder) / "0.npz", map_parts=on_ray))
        times = time_passes(recogniser, clips_df, folder, on_ray, args.num_passes)
        overhead = times["ray"] / times["here"] - 1
        empty_rate = parts_per_second(RayMap("local"), [])
        rate = parts_per_second(RayMap("local"), list(clips_df["path"][:PART_CLIPS]))
        list_rate, list_bytes = listed_per_second(clips_df, folder)
    clip_rate = len(clips_df) / times["ray"] / num_cores()
    print(f"{len(clips_df):,} clips, {args.model}, {num_cores()} cores; median of {args.num_passes}")
    print(f"this process {times['here']:.1f} s, Ray {times['ray']:.1f} s: overhead {overhead:.1%}")
    print(f"start of Ray {start_s:.1f} s, first {len(warm_df):,} clips, workers started, {begin_s:.1f} s")
    print(f"{NUM_PARTS:,} empty parts: {empty_rate:,.0f} a second; with {PART_CLIPS} addresses each {rate:,.0f}")
    print(f"{clip_rate:,.0f} clips a second and core; {list_rate:,.0f} listed from a tar, {list_bytes:,.0f} bytes each")
    for num_clips, cores in ESTIMATES:
        compute_s = num_clips / clip_rate / cores
        schedule_s = num_clips / PART_CLIPS / rate
        list_s = num_clips / list_rate
        memory_gb = num_clips * list_bytes / 1e9
        print(
            f"{num_clips:,} clips on {cores:,} cores: compute {duration(compute_s)}, schedule {duration(schedule_s)}, "
            f"list {duration(list_s)}, table {memory_gb:,.1f} GB"
        )


if __name__ == "__main__":
    main()
