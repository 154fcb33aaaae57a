"""Decoders on the same outputs of a network: real-time factor on one core, and error rates.

`python tests/benchmarks/bench_decoders.py --data LibriSpeech/dev-clean --language-model words.arpa`

The beam searches of pyctcdecode and flashlight-text are measured beside the package's where they are installed (`pip
install --no-deps pyctcdecode kenlm pygtrie flashlight-text`: pyctcdecode asks for NumPy 1, and runs with 2), with the
same language model. Most speakers of dev-clean trained the packaged network: the rates compare decoders, they do not
judge it.
"""

import argparse
import functools
import importlib.util
import math
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
from kaggle_speech.text.alphabet import ALPHABET, BLANK_INDEX
from kaggle_speech.text.lexicon import Lexicon
from kaggle_speech.text.ngram import BOUNDARY

#: What pyctcdecode drops: characters in a frame, and hypotheses, as differences of log-probabilities.
ITS_PRUNING = {"min_character_logp": -5.0, "max_gap": 10.0}
#: Weight of the language model and bonus of a word, the best of those tried with `resnet_ctc` on the 100 utterances.
PYCTCDECODE_WEIGHTS = {"alpha": 0.8, "beta": 3.0}
FLASHLIGHT_WEIGHTS = {"lm_weight": 1.5, "word_score": 0.0}


def decode(make_decoder, log_probabilities):
    """Text by a decoder of the package."""
    decoder = make_decoder()
    decoder.process(log_probabilities)
    decoder.finish()
    return " ".join(decoder.text.split())


def pyctcdecode_search(arpa_path, words, beam_width):
    """Function of log-probabilities to a text, by pyctcdecode."""
    import pyctcdecode

    options = {"kenlm_model_path": str(arpa_path)} | PYCTCDECODE_WEIGHTS
    decoder = pyctcdecode.build_ctcdecoder([*ALPHABET], unigrams=words, **options)
    return lambda log_probabilities: decoder.decode(log_probabilities, beam_width=beam_width)


def flashlight_search(arpa_path, words, beam_width):
    """Function of log-probabilities to a text, by flashlight-text: words of the lexicon only."""
    from flashlight.lib.text import decoder as flashlight
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

    dictionary, space = Dictionary([*words, "<unk>"]), ALPHABET.index(BOUNDARY)
    unknown = dictionary.get_index("<unk>")
    dictionary.set_default_index(unknown)
    model = KenLM(str(arpa_path), dictionary)
    trie, start = flashlight.Trie(len(ALPHABET), space), model.start(False)
    for word in words:
        number = dictionary.get_index(word)
        trie.insert([ALPHABET.index(character) for character in word] + [space], number, model.score(start, number)[1])
    trie.smear(flashlight.SmearingMode.MAX)
    options = flashlight.LexiconDecoderOptions(
        beam_size=beam_width,
        beam_size_token=len(ALPHABET),
        beam_threshold=20.0,
        unk_score=-math.inf,
        sil_score=0.0,
        log_add=True,
        criterion_type=flashlight.CriterionType.CTC,
        **FLASHLIGHT_WEIGHTS,
    )
    decoder = flashlight.LexiconDecoder(options, trie, model, space, BLANK_INDEX, unknown, [], False)

    def decode_one(log_probabilities):
        frames = np.ascontiguousarray(log_probabilities, "float32")
        best = decoder.decode(frames.ctypes.data, *frames.shape)[0]
        return " ".join(dictionary.get_entry(number) for number in best.words if number >= 0)

    return decode_one


def main():
    """Prints a table, a row for each decoder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default=pretrained.TRANSCRIBER_DIR)
    parser.add_argument("--data", required=True, help="utterances in LibriSpeech's layout")
    parser.add_argument("--language-model", required=True, help="ARPA file of words, not compressed for kenlm")
    parser.add_argument("--num-utterances", type=int, default=100)
    parser.add_argument("--beam-width", type=int, default=decoders.BEAM_WIDTH)
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
    search, beam_width = functools.partial(functools.partial, decoders.BeamDecoder), args.beam_width
    makers = {
        "best path": decoders.GreedyDecoder,
        f"beam of {beam_width}": search(beam_width),
        f"beam of {beam_width}, words": search(beam_width, lexicon),
    }
    for width in (beam_width, beam_width // 2, beam_width // 4):
        makers[f"beam of {width}, words, pruned as pyctcdecode"] = search(width, lexicon, **ITS_PRUNING)
    ways = {name: functools.partial(decode, maker) for name, maker in makers.items()}
    words = [word for word in model.words if word in lexicon]
    if importlib.util.find_spec("pyctcdecode"):
        its_search = pyctcdecode_search(args.language_model, words, beam_width)
        ways[f"pyctcdecode, beam of {beam_width}, words"] = its_search
    if importlib.util.find_spec("flashlight"):
        for width in (beam_width, 2 * beam_width, 4 * beam_width):
            ways[f"flashlight-text, beam of {width}"] = flashlight_search(args.language_model, words, width)
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
