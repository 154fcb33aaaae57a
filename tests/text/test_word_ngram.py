"""Word n-grams: ARPA files written by hand, the textbook's Kneser-Ney, probabilities that sum to one."""

import gzip
import itertools
import math
from collections import Counter

import pytest

from kaggle_speech.text.kneser_ney import count_words
from kaggle_speech.text.word_ngram import BEGIN, END, UNKNOWN, read_arpa

SENTENCES = [
    *("the cat sat on the mat", "the cat ran", "a dog ran", "the dog sat on a cat", "a cat ran on"),
    *("the dog and the cat sat", "it sat on the mat", "the mat ran"),
]
ARPA = """\\data\\
ngram 1=5
ngram 2=3
ngram 3=1

\\1-grams:
-99\t<s>\t-0.5
-0.8\t</s>
-1.2\t<unk>
-0.4\tYES\t-0.3
-0.6\tno\t-0.2

\\2-grams:
-0.1\t<s> yes\t-0.7
-0.25 yes no -0.15
-0.35\tno </s>

\\3-grams:
-0.05\t<s> yes no

\\end\\
"""


@pytest.fixture
def arpa_path(tmp_path):
    path = tmp_path / "model.arpa"
    path.write_text(ARPA)
    return path


@pytest.mark.parametrize(
    ("context", "word", "log10"),
    [
        ([], "yes", -0.4),
        (["<s>"], "yes", -0.1),
        (["<s>", "yes"], "no", -0.05),
        (["no", "yes"], "no", -0.25),  # "no yes" was never seen
        (["<s>", "yes"], "yes", -0.7 - 0.3 - 0.4),
        (["yes", "no"], "</s>", -0.15 - 0.35),
        (["<s>", "yes", "no", "no"], "yes", -0.2 - 0.4),
        (["maybe"], "no", -0.6),
        (["yes"], "maybe", -0.3 - 1.2),
    ],
)
def test_an_arpa_file_backs_off_as_its_format_says(arpa_path, context, word, log10):
    assert read_arpa(arpa_path).log_probability(context, word) == pytest.approx(log10 * math.log(10), abs=1e-5)


@pytest.mark.parametrize("name", ["copy.arpa", "copy.arpa.gz"])
def test_files_are_read_as_written(arpa_path, tmp_path, name):
    for model in (read_arpa(arpa_path), count_words(SENTENCES, 3), count_words(SENTENCES, 3, prune=1.5)):
        model.write(tmp_path / name)
        again = read_arpa(tmp_path / name)
        assert repr(again) == repr(model)
        for context in itertools.product(["the", "cat", "yes", BEGIN, "zebra"], repeat=2):
            for word in model.words:
                assert again.log_probability(context, word) == pytest.approx(
                    model.log_probability(context, word), abs=1e-4
                )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("ngram 2=3", "ngram 2=4"), "where n-gram 4 of 4 of 2 words must be"),
        (("ngram 2=3", "ngram 2=2"), r"'no </s>'|'-0.35\\tno </s>', where .3-grams: must be"),
        (("ngram 2=3", "ngram 5=3"), "'ngram 5=3', where `ngram 2=COUNT` must be"),
        (("\\end\\", ""), r"an end before \\end"),
        (("yes no -0.15", "yes perhaps -0.15"), "'perhaps', which is not among the single words"),
        (("<s> yes no", "no yes no"), "whose first 2 are not an n-gram of their own"),
        (("yes no -0.15", "no </s> -0.15"), "an n-gram of 2 words that is there twice"),
        (("-0.25 yes", "often yes"), "line 15, 'often yes no -0.15', where n-gram 2 of 3 of 2 words must be"),
        (("\\data\\", "data"), "an end before"),
        (("<unk>", "other"), "must hold <s>, </s> and <unk>"),
        ((ARPA, ""), "an end before"),
    ],
)
def test_a_file_that_is_wrong_is_refused(arpa_path, change, message):
    arpa_path.write_text(ARPA.replace(*change))
    with pytest.raises(ValueError, match=f"model.arpa: must be an ARPA file. Received: .*({message})"):
        read_arpa(arpa_path)


def test_a_damaged_archive_is_refused(tmp_path):
    path = tmp_path / "model.arpa.gz"
    for content in (b"no archive", gzip.compress(ARPA.encode())[:-30]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"model.arpa.gz: must be an ARPA file"):
            read_arpa(path)


def kneser_ney(sentences, order, context, word):
    """The textbook's recursion (Chen and Goodman, 4.1.6), straight from the sentences."""
    padded = [[BEGIN, *sentence.split(), END] for sentence in sentences]
    words = {word for sentence in padded for word in sentence} - {BEGIN} | {UNKNOWN}

    def grams(length):
        return [tuple(text[at : at + length]) for text in padded for at in range(len(text) - length + 1)]

    def counts_of(length):
        counts = Counter(gram for gram in grams(length) if gram != (BEGIN,))
        if length == order:
            return counts
        longer = set(grams(length + 1))
        before = Counter(gram[1:] for gram in longer)
        return {gram: before[gram] if before[gram] else count for gram, count in counts.items()}

    def probability(context):
        length = len(context) + 1
        counts = counts_of(length)
        kinds = [list(counts.values()).count(number) for number in (1, 2, 3, 4)]
        discounts = [0.5, 1.0, 1.5]
        if all(kinds):
            share = kinds[0] / (kinds[0] + 2 * kinds[1])
            discounts = [number - (number + 1) * share * kinds[number] / kinds[number - 1] for number in (1, 2, 3)]
            discounts = [min(max(value, 0.1), limit) for value, limit in zip(discounts, (0.9, 1.9, 2.9), strict=True)]
        after = {gram: count for gram, count in counts.items() if gram[:-1] == context}
        shorter = probability(context[1:]) if context else 1 / len(words)
        if not after:
            return shorter
        left = sum(discounts[min(count, 3) - 1] for count in after.values())
        count = after.get((*context, word), 0)
        kept = count - discounts[min(count, 3) - 1] if count else 0
        return (kept + left * shorter) / sum(after.values())

    return math.log(probability(tuple(context[max(0, len(context) - order + 1) :])))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_probabilities_are_the_textbooks(order):
    model = count_words(SENTENCES, order)
    contexts = ([], [BEGIN], ["the"], ["on", "the"], [BEGIN, "the"], ["sat", "on", "the"], ["mat", "dog"])
    for context, word in itertools.product(contexts, ("the", "cat", "mat", END, UNKNOWN)):
        expected = kneser_ney(SENTENCES, order, context, word)
        assert model.log_probability(context, word) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("options", [{}, {"prune": 1.5}, {"prune": 4}, {"max_words": 4}, {"max_words": 4, "prune": 2}])
def test_probabilities_sum_to_one_after_any_context(options):
    model = count_words(SENTENCES, 3, **options)
    for context in ([], [BEGIN], ["the"], ["on", "the"], [BEGIN, "the"], ["zebra"], ["zebra", "cat"], ["cat", "sat"]):
        total = sum(math.exp(model.log_probability(context, word)) for word in model.words if word != BEGIN)
        assert total == pytest.approx(1, abs=1e-5)


def test_pruning_leaves_out_what_gains_least():
    whole, pruned, most = (count_words(SENTENCES, 3, prune=prune) for prune in (0, 2, 100))
    sizes = [[len(level.keys) for level in model.levels] for model in (whole, pruned, most)]
    assert sizes[0][0] == sizes[1][0] == sizes[2][0] and sizes[0][1] > sizes[1][1] > sizes[2][1] == 0
    assert whole.perplexity(SENTENCES) < pruned.perplexity(SENTENCES) < most.perplexity(SENTENCES)


def test_rare_words_are_unknown():
    model = count_words(SENTENCES, 2, max_words=2)
    assert set(model.words) == {BEGIN, END, UNKNOWN, "the", "cat"}
    assert model.log_probability(["the"], "mat") == model.log_probability(["the"], UNKNOWN)
    assert math.exp(model.log_probability([], UNKNOWN)) > 0.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([""],), "`sentences` must hold words. Received: none"),
        ((SENTENCES, 0), "`order` and `max_words` must be >= 1, .* Received: order=0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        count_words(*arguments)
    with pytest.raises(ValueError, match="`sentences` must hold at least one"):
        count_words(SENTENCES).perplexity([])
