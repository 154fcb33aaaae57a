"""Text: characters, CTC decoders, n-grams, lexicon, alignment and subtitles; NumPy only, no model."""

from kaggle_speech.lazy import lazy_names, with_names

_NAMES = {
    "alphabet": "ALPHABET, normalize_text, text_to_indices, indices_to_text",
    "decoders": "GreedyDecoder, BeamDecoder, decode",
    "ngram": "NGram, count_ngrams, read_ngram",
    "word_ngram": "WordNGram, read_arpa",
    "kneser_ney": "count_words",
    "lexicon": "Lexicon",
    "language_models": "read_language_model",
    "subtitles": "make_cues, subtitle_lines",
    "alignment": "align",
}

__doc__ = with_names(__doc__, _NAMES)
__getattr__, __dir__ = lazy_names(__name__, _NAMES)
