"""Assessment, report and page: the folder is whole, and the page needs nothing but itself."""

import base64
import html.parser
import io
import json
import re
from xml.etree import ElementTree

import chromium
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn import metrics as sklearn_metrics

from kaggle_speech.audio import read_clip
from kaggle_speech.data import clips
from kaggle_speech.data.splits import which_set
from kaggle_speech.evaluation import assess, html_page, report, robustness, verdict
from kaggle_speech.inference.recogniser import Recogniser
from kaggle_speech.labels import COMMANDS, COMPETITION_LABELS, SILENCE

TABLE = re.compile("<table.*?</table>", re.DOTALL)
#: JavaScript: cells of numbers that take more than one line.
NUM_BROKEN = """[...document.querySelectorAll("table:not(.long) td:not(:first-child)")].filter((cell) => {
    const range = document.createRange();
    range.selectNodeContents(cell);
    return new Set([...range.getClientRects()].map((box) => box.top)).size > 1;
}).length"""
VOID = {"meta", "img", "br", "hr", "link", "input"}
TABLES = ("confusion", "confusion_rates", "labels", "speakers", "worst_clips", "robustness")


class Guess:
    """Right for some clips, by what is in them; louder clips change its mind."""

    def __init__(self, offset=0.0):
        self.offset = offset

    def predict_on_batch(self, waveform):
        logits = 40 * waveform.reshape(len(waveform), 16_000)[:, 100:112] + self.offset * np.arange(12)
        return (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype("float32")


def engine(offset=0.0, vocabulary=COMPETITION_LABELS):
    settings = {"model": f"guess {offset}", "precision": "float32", "engine": "numpy"}
    return Recogniser(Guess(offset), vocabulary, settings, {})


class Parser(html.parser.HTMLParser):
    """Collects addresses and text; tags must close in order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.sources, self.links, self.ids, self.texts = [], [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.sources += [attrs[name] for name in ("src", "srcset", "poster", "data", "background") if name in attrs]
        self.links += [attrs["href"]] if "href" in attrs else []
        self.ids += [attrs["id"]] if "id" in attrs else []
        assert tag != "img" or attrs["alt"]
        assert not any(name.startswith("on") for name in attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def parse(text):
    parser = Parser()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser


@pytest.fixture
def clips_df(make_data):
    names = [f"{number:08x}" for number in range(200)]
    speakers = [name for name in names if which_set(name) == "val"][:4]
    speakers += [name for name in names if which_set(name) == "train"][:1]
    data_dir = make_data([*COMMANDS, "bed"], speakers)
    return clips.check_clips(clips.index_clips(data_dir), progress=False)[0]


@pytest.fixture
def written(clips_df, tmp_path, monkeypatch):
    monkeypatch.setattr(robustness, "NUM_ROOMS", 2)
    options = {"against": engine(0.05), "in_rooms": True, "num_resamples": 200, "progress": False}
    found = assess.assess(engine(), clips_df, **options)
    path = report.write_report(found, tmp_path / "evaluation", "<a> & b", progress=False)
    return found, path


def test_the_page_needs_nothing_but_itself(written):
    found, path = written
    text = path.read_text(encoding="utf-8")
    parser = parse(text)
    assert "://" not in text and "@import" not in text and "url(" not in text
    assert not {"script", "link", "iframe", "object"} & {*parser.tags}
    assert parser.sources and all(source.startswith("data:") for source in parser.sources)
    assert parser.links and all(link[0] == "#" and link[1:] in parser.ids for link in parser.links)
    assert "color-scheme: light dark" in text
    contents = [source.removeprefix("data:").partition(";base64,") for source in parser.sources]
    drawings, pictures, sounds = (
        [base64.b64decode(content) for kind, _, content in contents if kind == wanted]
        for wanted in ("image/svg+xml", "image/png", "audio/wav")
    )
    assert html_page.svg_bytes(report.draw_figure(found, "labels")) == drawings[0]
    assert drawings == [path.with_name(f"{name}.svg").read_bytes() for name in report.FIGURES]
    assert all(ElementTree.fromstring(drawing).tag == "{http://www.w3.org/2000/svg}svg" for drawing in drawings)
    assert len(pictures) == len(sounds) == len(found.worst_df) == 10
    assert all(plt.imread(io.BytesIO(picture))[..., :3].std() > 0.01 for picture in pictures)
    for sound, clip_path in zip(sounds, found.worst_df["path"], strict=True):
        waveform, sample_rate = soundfile.read(io.BytesIO(sound), dtype="float32")
        assert sample_rate == 16_000
        np.testing.assert_allclose(waveform, read_clip(clip_path), atol=1e-4)
    shown = " ".join(parser.texts)
    assert (
        "How well <a> & b recognises words" in shown
        and "McNemar" in shown
        and "Against the other model" in shown
        and found.metrics["settings"]["data"] in shown
    )


def table_of(text):
    """A table of HTML as texts."""
    header, *rows = ([cell.text or "" for cell in row] for row in ElementTree.fromstring(text).iter("tr"))
    return pd.DataFrame(rows, columns=header)


def test_numbers_are_shown_as_in_prose(written):
    found, path = written
    tables = {tuple(table_df.columns): table_df for table_df in map(table_of, TABLE.findall(path.read_text()))}
    label_df = tables["label", "right", "95 % interval", "clips", "speakers"].set_index("label")
    for label, row in found.label_df.iterrows():
        shown = label_df.loc[label]
        assert shown["right"] == f"{100 * row['accuracy']:.1f} %" and int(shown["clips"]) == row["num_clips"]
        assert shown["95 % interval"] == f"{100 * row['low']:.1f} to {100 * row['high']:.1f} %"
    names = {name for columns in tables for name in map(str, columns)}
    assert not {name for name in names if "_" in name or name in ("low", "high")}
    noisy_df = tables[("noise", "speech over noise", *label_df.columns[:2], "missed", "taken for another")]
    assert list(noisy_df["speech over noise"][:6]) == [f"{snr_db} dB" for snr_db in robustness.SNRS_DB]
    recall_df = tables["label", "<a> & b", "the other model", "difference"]
    points = recall_df[["<a> & b", "the other model"]].map(lambda text: float(text.removesuffix(" %")))
    differences = recall_df["difference"].str.removesuffix(" points").astype(float)
    np.testing.assert_allclose(points["<a> & b"] - points["the other model"], differences, atol=0.11)
    texts = [text.replace("\N{NO-BREAK SPACE}", " ") for text in parse(path.read_text()).texts]
    tiles = texts[texts.index("Accuracy") : texts.index("What to do")]
    said, answered = found.clips_df["label"], found.clips_df["answer"]
    wrong = found.clips_df[(said != answered) & (said != "silence")]["speaker"].nunique()
    f1 = sklearn_metrics.f1_score(said, answered, average="macro")
    noisy = found.robustness_df.query("kind == 'snr_db' and value == 10 and noise == 'all'")["accuracy"].item()
    assert tiles[:2] == ["Accuracy", f"{100 * (said == answered).mean():.1f} %"]
    assert tiles[3:5] == ["Macro F1", f"{100 * f1:.1f} %"]
    assert tiles[6:8] == ["Speakers with errors", str(wrong)]
    assert tiles[9:11] == ["Accuracy at 10 dB", f"{100 * noisy:.1f} %"]


@pytest.mark.slow
@pytest.mark.skipif(chromium.find_chromium() is None, reason="needs Chromium")
def test_the_page_fits_screens_of_any_width(written, tmp_path):
    _, path = written
    with chromium.Chromium(tmp_path / "profile") as browser:
        for width in (500, 900, 1440):
            browser.resize(width, 900)
            browser.open(path.as_uri())
            browser.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            wide = (
                "[...document.querySelectorAll('.wide')].filter((part) => part.scrollWidth > part.clientWidth).length"
            )
            assert browser.evaluate(wide) == 0
            assert browser.evaluate(NUM_BROKEN) == 0
            unloaded = "[...document.images].filter((image) => !image.naturalWidth).length"
            assert browser.evaluate(unloaded) == 0
        assert browser.errors == []


def test_the_folder_holds_what_scikit_learn_would_say(written):
    found, path = written
    metrics = json.loads((path.parent / "evaluation.json").read_text())
    said, answered = found.clips_df["label"], found.clips_df["answer"]
    assert metrics["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(said, answered))
    one_hot = said.to_numpy()[:, None] == np.array(COMPETITION_LABELS)
    for name, score in {
        "area_under_roc": sklearn_metrics.roc_auc_score,
        "average_precision": sklearn_metrics.average_precision_score,
    }.items():
        np.testing.assert_allclose(list(metrics[name].values()), score(one_hot, found.probabilities, average=None))
    counts = sklearn_metrics.confusion_matrix(said, answered, labels=COMPETITION_LABELS)
    tables = {name: pd.read_csv(path.with_name(f"{name}.csv")) for name in TABLES}
    np.testing.assert_array_equal(tables["confusion"].iloc[:, 1:], counts)
    np.testing.assert_allclose(tables["confusion_rates"].iloc[:, 1:], counts / counts.sum(axis=1, keepdims=True))
    low, high = metrics["accuracy_interval"]
    assert low < metrics["accuracy"] < high and metrics["labels"]["yes"]["num_speakers"] == 4
    assert len(tables["speakers"]) == metrics["speakers"]["num_speakers"] == 4  # recordings of noise do not speak
    assert len(tables["robustness"]) == len(metrics["robustness"]) == 6 * 3 + 3 + 7
    as_recorded = tables["robustness"].query("kind == 'shift_ms' and value == 0")["accuracy"].item()
    assert as_recorded == pytest.approx(metrics["accuracy"])
    differences_df, comparison = pd.read_csv(path.with_name("differences.csv")), metrics["comparison"]
    assert len(differences_df) == comparison["num_only_this"] + comparison["num_only_other"] > 0
    assert metrics["settings"]["against"] == "guess 0.05"
    assert {path.stem for path in path.parent.glob("*.svg")} == {*report.FIGURES}


def test_another_call_leaves_nothing_of_the_former(clips_df, tmp_path):
    for name in ("differences.csv", "robustness_snr.svg"):
        (tmp_path / name).write_text("of a report with another model and noise")
    right = Recogniser(Guess(), COMPETITION_LABELS, engine().settings, {})
    silent_df = clips_df[clips_df["split"] != "noise"]
    found = assess.assess(right, silent_df, num_resamples=50, progress=False)
    path = report.write_report(found, tmp_path, "again", progress=False)
    assert not (path.parent / "differences.csv").exists() and not (path.parent / "robustness_snr.svg").exists()
    assert report.draw_figure(found, "robustness_snr") is None
    assert "comparison" not in json.loads((path.parent / "evaluation.json").read_text())
    shown = " ".join(parse(path.read_text()).texts)
    assert "McNemar" not in shown and "When it is noisy" not in shown and "early or late" in shown


def test_a_model_without_errors_has_no_figure_of_speakers(clips_df, tmp_path):
    found = assess.assess(engine(), clips_df, num_resamples=50, progress=False)
    right_df = found.speaker_df.assign(num_wrong=0, accuracy=1.0)
    found = found._replace(speaker_df=right_df)
    assert report.draw_figure(found, "speakers") is None
    parse(report.write_report(found, tmp_path / "x", "x", progress=False).read_text())


def test_a_report_never_goes_into_the_folder_of_a_run(tmp_path):
    files = {"run.json": "{}", "metrics.json": "of the training", "labels.csv": "mine"}
    for file_name, text in files.items():
        (tmp_path / file_name).write_text(text)
    with pytest.raises(ValueError, match="`out_dir` must not be the folder of a run"):
        report.write_report(None, tmp_path, "x", progress=False)  # before anything is looked at
    assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()} == files


def test_evaluate_goes_from_a_name_to_a_report(make_data, tmp_path):
    pytest.importorskip("onnxruntime", reason="runs the pretrained model")
    speakers = [name for name in map("{:08x}".format, range(200)) if which_set(name) == "val"][:2]
    data_dir = make_data([*COMMANDS, "bed"], speakers)
    assessment = report.evaluate("tc_resnet", data_dir, tmp_path / "out", against="tc_resnet", progress=False)
    assert (
        repr(assessment)
        == f"Assessment(accuracy={assessment.metrics['accuracy']:.4f}, {len(assessment.clips_df)} clips)"
    )
    assert assessment.metrics["comparison"]["difference"] == 0 and len(assessment.differences_df) == 0
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["num_clips"] == len(assessment.clips_df)
    assert "How well tc_resnet recognises words" in (tmp_path / "out" / "report.html").read_text()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    with pytest.raises(ValueError, match="`out_dir` must not be the folder of a run"):  # before anything is loaded
        report.evaluate("no_such_model", data_dir, tmp_path / "run")


def test_a_model_of_other_labels_is_judged_on_those_too(clips_df):
    vocabulary = (*COMMANDS, "bed", SILENCE)
    found = assess.assess(engine(vocabulary=vocabulary), clips_df, num_resamples=20, progress=False)
    own, val_df = found.metrics["own_labels"], clips.validation_clips(clips_df, vocabulary=vocabulary)
    is_val = clips_df["split"] == "val"
    assert set(clips_df[is_val]["path"]) == set(val_df[val_df["label"] != SILENCE]["path"])
    answer = [vocabulary[np.argmax(read_clip(path)[100:112])] for path in val_df["path"]]
    recall = sklearn_metrics.recall_score(val_df["label"], answer, labels=vocabulary, average=None)
    np.testing.assert_allclose([own["labels"][label]["accuracy"] for label in vocabulary], recall)
    np.testing.assert_allclose(own["accuracy"], sklearn_metrics.accuracy_score(val_df["label"], answer))
    assert own["accuracy_interval"][0] <= own["accuracy"] <= own["accuracy_interval"][1]
    sentence = f"labels, with the twelve of the competition on {verdict.percent(found.metrics['accuracy'])} of"
    assert sentence in verdict.verdict(found, "other")
    assert "own_labels" not in assess.assess(engine(), clips_df, num_resamples=20, progress=False).metrics


def test_no_validation_clips(clips_df):
    with pytest.raises(ValueError, match="`split` must have clips"):
        assess.assess(engine(), clips_df[clips_df["split"] != "val"], progress=False)


def test_what_is_shown_is_text_and_never_html():
    evil = "<b onload=x>'\"&"
    frame = pd.DataFrame({evil: [evil]}, pd.Index([evil], name=evil))
    parts = [html_page.paragraph(evil), html_page.table(frame), html_page.drawing(b"p", evil, evil)]
    parts += [html_page.clip_player(np.zeros(16), b"p", evil), html_page.folded(evil, "")]
    parts += [html_page.bullets([evil]), html_page.tiles([html_page.Tile(evil, evil, evil)])]
    parser = parse(html_page.page(evil, parts[0], [html_page.Section(evil, "".join(parts))]))
    assert "b" not in parser.tags and "".join(parser.texts).count(evil) >= 12


def test_data_uri_holds_the_bytes():
    uri = html_page.data_uri(bytes(range(256)), "audio/wav")
    kind, _, content = uri.partition(",")
    assert kind == "data:audio/wav;base64" and base64.b64decode(content) == bytes(range(256))
