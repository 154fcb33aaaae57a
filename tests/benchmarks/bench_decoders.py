"""Decoders on the same outputs of a network: real-time factor on one core, and error rates.

`python tests/benchmarks/bench_decoders.py --data LibriSpeech/dev-clean --language-model words.arpa`

With pyctcdecode and kenlm installed (they need NumPy 1), their beam search is measured beside the package's, with the
same language model and the same number of hypotheses.
"""

import argparse
import functools
import importlib.util
import os
import time

import numpy as np
import pandas as pd

from kaggle_speech.audio import SAMPLE_RATE
from kaggle_speech.data import utterances
from kaggle_speech.evaluation.transcripts import transcript_metrics, utterance_log_probabilities
from kaggle_speech.inference import load
from kaggle_speech.models import pretrained
from kaggle_speech.models.resnet_ctc import num_output_frames
from kaggle_speech.text import decoders, word_ngram
from kaggle_speech.text.alphabet import ALPHABET
from kaggle_speech.text.lexicon import Lexicon


def decode(make_decoder, log_probabilities):
    """Text by a decoder of the package."""
    decoder = make_decoder()
    decoder.process(log_probabilities)
    decoder.finish()
    return " ".join(decoder.text.split())


def pyctcdecode_search(arpa_path, words, beam_width):
    """Function of log-probabilities to a text, by pyctcdecode with the weights of `Lexicon`."""
    import pyctcdecode

    # Its bonus is for each word, of five characters on average.
    options = {"kenlm_model_path": str(arpa_path), "alpha": Lexicon.weight, "beta": 5 * Lexicon.bonus}
    decoder = pyctcdecode.build_ctcdecoder([*ALPHABET], unigrams=words, **options)
    return lambda log_probabilities: decoder.decode(log_probabilities, beam_width=beam_width)


def main():
    """Prints a table, a row for each decoder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default=pretrained.TRANSCRIBER_DIR)
    parser.add_argument("--data", required=True, help="utterances in LibriSpeech's layout")
    parser.add_argument("--language-model", required=True, help="ARPA file of words, not compressed for kenlm")
    parser.add_argument("--num-utterances", type=int, default=100)
    parser.add_argument("--beam-width", type=int, default=32)
    args = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    transcriber = load.load_transcriber(args.run)
    utterances_df, _ = utterances.index_utterances(args.data, progress=False)
    utterances_df = utterances_df.sample(min(args.num_utterances, len(utterances_df)), random_state=0)
    outputs = dict(utterance_log_probabilities(transcriber.model, utterances_df))
    lattices = [
        outputs[row][: num_output_frames(num_samples)] for row, num_samples in enumerate(utterances_df["num_samples"])
    ]
    model = word_ngram.read_arpa(args.language_model)
    lexicon = Lexicon(model)
    search = functools.partial(decoders.BeamDecoder, args.beam_width)
    ways = {
        "best path": functools.partial(decode, decoders.GreedyDecoder),
        "beam": functools.partial(decode, search),
        "beam, words": functools.partial(decode, functools.partial(search, lexicon)),
    }
    if importlib.util.find_spec("pyctcdecode"):
        words = [word for word in model.words if word in lexicon]
        ways["pyctcdecode, words"] = pyctcdecode_search(args.language_model, words, args.beam_width)
    seconds_of_sound = utterances_df["num_samples"].sum() / SAMPLE_RATE
    rows = []
    for name, decode_one in ways.items():
        decode_one(lattices[0])  # caches, tables
        start = time.perf_counter()
        texts = [decode_one(np.asarray(lattice)) for lattice in lattices]
        factor = (time.perf_counter() - start) / seconds_of_sound
        metrics = transcript_metrics(utterances_df["text"], texts)
        rows.append({"decoder": name, "real-time factor": factor} | {rate: metrics[rate] for rate in ("wer", "cer")})
    print(f"{len(lattices)} utterances, {seconds_of_sound:.0f} s, {args.beam_width} hypotheses, {model}")
    print(pd.DataFrame(rows).round(4).to_string(index=False))


if __name__ == "__main__":
    main()
