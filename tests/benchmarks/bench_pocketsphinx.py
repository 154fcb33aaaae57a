"""Error rates of pocketsphinx with its own models, the baseline of the transcriber, on the same speakers.

`python tests/benchmarks/bench_pocketsphinx.py --data LibriSpeech/dev-clean --out pocketsphinx.csv`

Needs `pip install pocketsphinx`, whose wheel holds its acoustic model, dictionary and language model. An utterance that
is in the table of an earlier call is not decoded again.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd

from kaggle_speech.audio import SAMPLE_RATE, read_audio
from kaggle_speech.data import splits, utterances
from kaggle_speech.evaluation.transcripts import error_intervals
from kaggle_speech.progress import progress_bar
from kaggle_speech.text.alphabet import normalize_text

DECODER = "pocketsphinx"


def main():
    """Prints the error rates with their intervals over speakers, and the real-time factor on one core."""
    import pocketsphinx

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="utterances in LibriSpeech's layout")
    parser.add_argument("--num-val-speakers", type=int, default=6, help="as of `evaluate-transcriber`")
    parser.add_argument("--out", type=Path, required=True, help="table of transcripts, which grows")
    args = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    utterances_df, _ = utterances.index_utterances(args.data, progress=False)
    utterances_df = splits.split_speakers(utterances_df, args.num_val_speakers).query("split == 'val'")
    rows = pd.read_csv(args.out, dtype=str, keep_default_na=False).to_dict("records") if args.out.exists() else []
    is_done = utterances_df["name"].isin([row["name"] for row in rows])
    decoder = pocketsphinx.Decoder(samprate=SAMPLE_RATE, loglevel="FATAL")
    seconds = sound = 0.0
    for row in progress_bar(utterances_df[~is_done].to_dict("records"), unit="utterance"):
        pcm = np.round(32767 * read_audio(row["path"])).astype("int16")
        start = time.perf_counter()
        decoder.start_utt()
        decoder.process_raw(pcm.tobytes(), full_utt=True)
        decoder.end_utt()
        seconds, sound = seconds + time.perf_counter() - start, sound + len(pcm) / SAMPLE_RATE
        text = normalize_text(decoder.hyp().hypstr) if decoder.hyp() else ""
        rows.append({"name": row["name"], "speaker": row["speaker"], "text": row["text"], DECODER: text})
        pd.DataFrame(rows).to_csv(args.out, index=False)
    transcripts_df = pd.DataFrame(rows)
    rates = error_intervals(transcripts_df, [DECODER]).loc[DECODER]
    for rate in ("wer", "cer"):
        print(f"{rate.upper()} {rates[rate]:.1%} ({rates[f'{rate}_low']:.1%} to {rates[f'{rate}_high']:.1%})")
    print(f"{len(rows)} utterances of {transcripts_df['speaker'].nunique()} speakers")
    if sound:
        print(f"real-time factor {seconds / sound:.2f}")


if __name__ == "__main__":
    main()
