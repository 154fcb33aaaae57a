"""alphabet.py: whatever text comes to, it is in the alphabet, and nothing that is said is lost without a word."""

import itertools

import pytest

from kaggle_speech.text import alphabet
from kaggle_speech.text.alphabet import ALPHABET, BLANK_INDEX, normalize_text


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("", ""),
        (" \t\r\n\u00a0\u3000 ", ""),
        ("HELLO", "hello"),
        (" two\twords\n\nand  more ", "two words and more"),
        ("well-known -- so\u2014said\u2013he\u2026", "well known so said he"),
        ('Yes, "no"; (go)! why?', "yes no go why"),
        ("«go» „on” “up”", "go on up"),
        # letters with marks, in one piece and in two, and those that are spelled
        ("Café naïve Ångström", "cafe naive angstrom"),
        ("cafe\u0301 n\u0303", "cafe n"),
        ("Æsop œuvre Øre Łódź Đorđe ðe Þor \u0131 \u0130 Straße", "aesop oeuvre ore lodz dorde de thor i i strasse"),
        ("\ufb01ne \ufb02ow o\ufb03ce \u0149ow", "fine flow office 'now"),
        ("\uff27\uff2f", "go"),
        # apostrophes, whatever is typed for them
        ("it's it\u2019s it\u2018s it\u02bcs it`s it\u00b4s it\uff07s", "it's it's it's it's it's it's it's"),
        ("'tis the boys' goin'", "'tis the boys' goin'"),
        ("'OPEN' \u2018shut\u2019 `go`", "open shut go"),
        ("'it's' 'boys'", "it's boys"),
        ("' '' ''' '''' \u00b4", ""),
        ("''two words'' ``and more''", "two words and more"),
        ("'hello there' he said", "'hello there' he said"),
        # nothing that is seen or heard
        ("co\u00adop\u200ber\u200date\ufeff", "cooperate"),
        ("go\U0001f600on \u2764\ufe0f \U0001f44d\U0001f3fd up", "go on up"),
    ],
)
def test_text_becomes_words_of_the_alphabet(text, normal):
    assert normalize_text(text) == normal == normalize_text(normal) == normalize_text(normal.upper())
    assert set(normal) <= {*ALPHABET}


@pytest.mark.parametrize(
    ("text", "strange"),
    [
        ("room 12", "1 2"),
        ("½ of it", "½"),
        ("x² \u0663", "² \u0663"),
        ("Дядя", "д я"),
        ("go 走", "走"),
        ("πλπ", "π λ"),
        *((f"this {sign} that", sign) for sign in "&%+@=§$£€¥₹"),
        ("\uff05 \uff04", "\uff05 \uff04"),
    ],
)
def test_what_is_said_but_not_in_the_alphabet_is_refused(text, strange):
    with pytest.raises(ValueError, match=r"letters a to z.* numbers and signs .* spelled out. Received: ") as error:
        normalize_text(text)
    assert str(error.value).endswith(f"Received: {strange} in {text!r}")


def test_transcripts_of_librispeech_stay_as_they_are(speech_dir):
    lines = [
        line.split(maxsplit=1)[1]
        for path in speech_dir.rglob("*.trans.txt")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assert lines and [normalize_text(line) for line in lines] == [line.lower() for line in lines]


def test_a_text_is_what_its_indices_say():
    text = "".join(ALPHABET[1:]) + "hello  it's"
    indices = alphabet.text_to_indices(text)
    assert indices[:28] == [*range(1, 29)] and len(indices) == len(text)
    assert alphabet.indices_to_text(indices) == text
    assert alphabet.indices_to_text([BLANK_INDEX, *indices, BLANK_INDEX]) == text
    assert alphabet.text_to_indices("") == [] and alphabet.indices_to_text([]) == ""


@pytest.mark.parametrize(("text", "strange"), [("Go", r"\['G'\]"), ("go\n2", r"\['\\n', '2'\]"), ("é", r"\['é'\]")])
def test_other_characters_have_no_index(text, strange):
    with pytest.raises(ValueError, match=rf"`text` must be of the characters .*Received: {strange} in "):
        alphabet.text_to_indices(text)


def spelled(path):
    """What CTC makes of a path: one of each run, without the blanks."""
    return "".join(symbol for symbol, _ in itertools.groupby(path)).replace("_", "")


def test_no_shorter_path_of_blanks_and_characters_spells_a_text():
    shortest = {}
    for num_frames in range(8):
        for path in itertools.product("_ab", repeat=num_frames):
            shortest.setdefault(spelled(path), num_frames)
    for length in range(5):  # of at most seven frames, all
        for text in map("".join, itertools.product("ab", repeat=length)):
            assert alphabet.min_ctc_frames(text) == shortest[text]


def test_plain_texts_are_normalised_like_all_others(rng):
    """A character that adds nothing sends the text the other way."""
    characters = [character for character in map(chr, range(128)) if not (character.isdigit() or character in "$&%+@=")]
    for _ in range(200):
        text = "".join(rng.choice([*characters, *20 * "a'", *10 * " "], 40))
        assert normalize_text(text) == normalize_text(text + "\u200b")
