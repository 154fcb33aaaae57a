"""Report of an assessment: a folder of numbers, tables and figures, and one page that holds all of them.

The page has no script and needs no network: pictures and sounds are inside (see `html_page`).
"""

import typing
from collections.abc import Callable
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kaggle_speech import audio, files, folders
from kaggle_speech.data.clips import read_clips_table
from kaggle_speech.evaluation import html_page
from kaggle_speech.evaluation.assess import Assessment, assess
from kaggle_speech.evaluation.html_page import Section, Tile
from kaggle_speech.evaluation.verdict import (
    HEADLINE_SNR_DB,
    noisy_accuracy,
    percent,
    recommendations,
    spoken_accuracy,
    verdict,
)
from kaggle_speech.features import ops
from kaggle_speech.inference.load import load_recogniser
from kaggle_speech.models.pretrained import PRETRAINED_DIR
from kaggle_speech.plots import clips, scores
from kaggle_speech.progress import progress_bar

#: Speakers that a figure has room for; the page and the CSV have all.
MAX_SPEAKERS = 20

#: File of every number, in the folder of a report.
EVALUATION_NAME = "evaluation.json"

#: Column of a table -> its name on the page, and the form of its numbers.
COLUMNS: dict[str, tuple[str, Callable]] = {
    "accuracy": ("right", percent),
    "interval": ("95 % interval", str),
    "num_clips": ("clips", "{:,}".format),
    "num_speakers": ("speakers", "{:,}".format),
    "num_wrong": ("wrong", "{:,}".format),
    "area_under_roc": ("area under ROC curve", "{:.4f}".format),
    "average_precision": ("average precision", percent),
    "noise": ("noise", lambda name: name.replace("_", " ")),
    "snr_db": ("speech over noise", "{:g} dB".format),
    "reverberation_s": ("reverberation", "{:g} s".format),
    "shift_ms": ("shift", "{:g} ms".format),
    "missed": ("missed", percent),
    "confused": ("taken for another", percent),
    "word": ("word", str),
    "speaker": ("speaker", str),
    "label": ("said", str),
}


def _speakers_with_errors(assessment: Assessment) -> pd.DataFrame:
    return assessment.speaker_df[assessment.speaker_df["num_wrong"] > 0].head(MAX_SPEAKERS)


class ReportFigure(typing.NamedTuple):
    """A figure of the report.

    Attributes:
        size: width and height in inches.
        draw: function that draws an assessment on an axis.
        caption: explanation under the figure.
        conditions: `snr_db` or `shift_ms` where the figure needs results under noise or shifts.
    """

    size: tuple[float, float]
    draw: Callable[[Assessment, Axes], object]
    caption: str
    conditions: str | None = None


#: Figures by file name; a figure without data is left out.
FIGURES: dict[str, ReportFigure] = {
    "labels": ReportFigure(
        (7, 4.5),
        lambda assessment, ax: scores.plot_intervals(assessment.label_df, ax),
        "The dot is the share of the label's clips that are recognised. The bar is where it would be, 95 times in 100, "
        "had other speakers been recorded: labels whose bars overlap may be equally hard. A bar without width "
        "means that there was no error to draw, not that there is none.",
    ),
    "confusion": ReportFigure(
        (7, 7),
        lambda assessment, ax: scores.plot_confusion(assessment.confusion_df, ax),
        "A row is what was said, a column what was answered, in percent of the row. What is off the diagonal is wrong: "
        "look for a coloured cell there, which is a pair of words that are mixed up.",
    ),
    "confusion_counts": ReportFigure(
        (7, 7),
        lambda assessment, ax: scores.plot_confusion(assessment.confusion_df, ax, counts=True),
        "The same in clips: how much a percentage is worth.",
    ),
    "roc": ReportFigure(
        (7, 5),
        lambda assessment, ax: scores.plot_roc(assessment.roc, ax),
        "Each label's probability as a detector of the label, at every threshold: how many of its clips are found "
        "(up) at how many false alarms among all others (right, each step ten times as many). The nearer to the top "
        "left, the better; an area of 1 means that some threshold parts them without error.",
    ),
    "precision_recall": ReportFigure(
        (7, 5),
        lambda assessment, ax: scores.plot_precision_recall(assessment.precision_recall, ax),
        "The same thresholds: of the clips above one, how many are of the label (up), against how many of the label "
        "are above (right). The nearer to the top right, the better. A curve that drops early has confident errors.",
    ),
    "speakers": ReportFigure(
        (7, 6),
        lambda assessment, ax: scores.plot_intervals(_speakers_with_errors(assessment), ax),
        f"The speakers with most errors, {MAX_SPEAKERS} at most. A speaker has few clips, so the bars are wide "
        "(Wilson's, over clips), and the worst of many look bad by chance, too: only a bar that ends far from the "
        "accuracy over all speakers is worth a look.",
    ),
    "robustness_snr": ReportFigure(
        (7, 4.5),
        lambda assessment, ax: scores.plot_robustness(
            assessment.robustness_df, "snr_db", ax, spoken_accuracy(assessment)
        ),
        "The thick line is the accuracy on spoken clips with background noise behind them, its band the 95 % interval "
        "over speakers. The thin lines are the recordings it is made of, each behind clips of its own: "
        "small differences between them mean nothing. At 0 dB noise and clip are equally loud. The noise is that of "
        "`--noise`; without it, of the second halves of the recordings whose first ones training uses, so that noises "
        "of other kinds may cost more.",
        conditions="snr_db",
    ),
    "fates_snr": ReportFigure(
        (7, 4),
        lambda assessment, ax: scores.plot_error_kinds(assessment.robustness_df, "snr_db", ax),
        "What becomes of the commands that are not recognised. A missed command (above) is mostly harmless: the "
        "speaker repeats it. A command taken for another one (below) is not.",
        conditions="snr_db",
    ),
    "robustness_rooms": ReportFigure(
        (7, 4.5),
        lambda assessment, ax: scores.plot_robustness(
            assessment.robustness_df, "reverberation_s", ax, spoken_accuracy(assessment)
        ),
        "The accuracy on spoken clips in made rooms, a room for each clip, against the time in which the sound of the "
        "room falls by 60 dB: 0.2 s is a furnished bedroom, 0.8 s a bare kitchen.",
        conditions="reverberation_s",
    ),
    "robustness_shift": ReportFigure(
        (7, 4.5),
        lambda assessment, ax: scores.plot_robustness(assessment.robustness_df, "shift_ms", ax),
        "The accuracy on all clips when they come earlier (left) or later (right); what moves out of the second is "
        "lost. A flat top as wide as a recogniser's hop means that it does not matter where a word falls.",
        conditions="shift_ms",
    ),
}


def draw_figure(assessment: Assessment, name: str) -> Figure | None:
    """Draw one figure of the report; no window shows it.

    Args:
        assessment: from `assess.assess`.
        name: one of `FIGURES`.

    Returns:
        The figure; None where there is nothing to draw.
    """
    report_figure = FIGURES[name]
    if name == "speakers" and _speakers_with_errors(assessment).empty:
        return None
    if report_figure.conditions and not (assessment.robustness_df["kind"] == report_figure.conditions).any():
        return None
    figure = Figure(figsize=report_figure.size, layout="constrained")
    report_figure.draw(assessment, figure.subplots())
    return figure


def _draw_clip(clip: typing.Any, size: tuple[float, float] = (3, 2)) -> Figure:
    """Spectrogram of a row of `worst_df`, its axes in a grey that shows on white and on black."""
    gray = "#808080"
    with matplotlib.rc_context(
        {"axes.edgecolor": gray, "axes.labelcolor": gray, "xtick.color": gray, "ytick.color": gray}
    ):
        figure = Figure(figsize=size, layout="constrained")
        clips.plot_features(ops.log_mel_spectrogram(audio.read_clip(clip.path)), figure.subplots())
    return figure


def _clip_caption(clip: typing.Any) -> str:
    """Caption of a row of `worst_df`: true label, answer, probabilities, speaker."""
    word = "" if clip.word == clip.label else f" ({clip.word})"
    return (
        f"{clip.label}{word}, answered {clip.answer} with {percent(clip.confidence)}; {clip.label} got "
        f"{percent(clip.label_probability)}. Speaker {clip.speaker}"
    )


def refuse_run_folder(out_dir: Path | str) -> None:
    """Refuse to write a report into the folder of a run, whose files have the same names.

    Args:
        out_dir: folder for a report.

    Raises:
        ValueError: the folder holds `run.json`.
    """
    if (Path(out_dir) / "run.json").exists():
        raise ValueError(
            f"`out_dir` must not be the folder of a run, such as its subfolder `evaluation`. Received: {out_dir}, "
            "which holds run.json"
        )


def write_report(assessment: Assessment, out_dir: Path | str, name: str, progress: bool = True) -> Path:
    """Write a report: `evaluation.json`, tables as CSV, figures as SVG, and `report.html`, which holds all of it.

    Args:
        assessment: from `assess.assess`.
        out_dir: folder to write to; files of an earlier report are replaced.
        name: name of the model.
        progress: show a progress bar.

    Returns:
        The path of the page.

    Raises:
        ValueError: `out_dir` is the folder of a run.
    """
    out_dir = Path(out_dir)
    refuse_run_folder(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    _write_tables(assessment, out_dir)
    pictures = {}
    for file in progress_bar(FIGURES, desc="drawing", unit="figure", progress=progress):
        figure = draw_figure(assessment, file)
        (out_dir / f"{file}.svg").unlink(missing_ok=True)
        if figure is not None:
            svg = html_page.svg_bytes(figure)
            (out_dir / f"{file}.svg").write_bytes(svg)
            pictures[file] = html_page.drawing(svg, FIGURES[file].caption, file.replace("_", " "))
    files.write_json(out_dir / EVALUATION_NAME, assessment.metrics)
    path = out_dir / "report.html"
    title = f"How well {name} recognises words"
    content = html_page.page(title, _introduction(assessment, name), _sections(assessment, name, pictures))
    path.write_text(content, encoding="utf-8")
    return path


def _write_tables(assessment: Assessment, out_dir: Path) -> None:
    counts_df = assessment.confusion_df
    with_index = {
        "confusion": counts_df,
        "confusion_rates": counts_df.div(counts_df.sum(axis=1).clip(lower=1), axis=0),
        "labels": assessment.label_df,
        "speakers": assessment.speaker_df,
    }
    without_index = {
        "worst_clips": assessment.worst_df,
        "robustness": assessment.robustness_df,
        "differences": assessment.differences_df,
    }
    for name in (*with_index, *without_index):
        (out_dir / f"{name}.csv").unlink(missing_ok=True)
    for name, indexed_df in with_index.items():
        indexed_df.to_csv(out_dir / f"{name}.csv")
    for name, table_df in without_index.items():
        if table_df is not None:
            table_df.to_csv(out_dir / f"{name}.csv", index=False)


def _introduction(assessment: Assessment, name: str) -> str:
    """Clips and models, the verdict, and the headline numbers, as HTML."""
    metrics = assessment.metrics
    texts = [f"{metrics['num_clips']:,} validation clips", f"{metrics['speakers']['num_speakers']:,} speakers"]
    if "comparison" in metrics:
        texts.append(f"against {metrics['comparison']['other_name']}")
    note = html_page.paragraph(", ".join(texts), "note")
    return note + html_page.paragraph(verdict(assessment, name), "lead") + html_page.tiles(_tiles(assessment))


def _tiles(assessment: Assessment) -> list[Tile]:
    """Accuracy, macro F1, speakers with errors, accuracy under noise: those that were measured."""
    metrics = assessment.metrics
    low, high = metrics["accuracy_interval"]
    recall = pd.Series(metrics["recall"])
    tiles = [
        Tile("Accuracy", percent(metrics["accuracy"]), f"with other speakers {_interval(low, high)} (95 % interval)"),
        Tile("Macro F1", percent(metrics["macro_f1"]), f"hardest is {recall.idxmin()}, {percent(recall.min())} right"),
    ]
    speakers = metrics["speakers"]
    if speakers["num_speakers"]:
        note = f"of {speakers['num_speakers']:,}; the mean of their accuracies is {percent(speakers['mean_accuracy'])}"
        tiles.append(Tile("Speakers with errors", f"{speakers['num_with_errors']:,}", note))
    noisy = noisy_accuracy(assessment)
    if HEADLINE_SNR_DB in noisy:
        note = f"of the spoken clips; without noise {percent(spoken_accuracy(assessment))}"
        tiles.append(Tile(f"Accuracy at {HEADLINE_SNR_DB} dB", percent(noisy[HEADLINE_SNR_DB]), note))
    return tiles


def _interval(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {percent(high)}"


def _in_words(frame: pd.DataFrame) -> pd.DataFrame:
    """A table as the page shows it: limits in one column, numbers as text, columns by their names in `COLUMNS`."""
    shown_df = frame
    if "low" in frame:
        intervals = [_interval(low, high) for low, high in zip(frame["low"], frame["high"], strict=True)]
        shown_df = frame.drop(columns=["low", "high"])
        shown_df.insert(shown_df.columns.get_loc("accuracy") + 1, "interval", intervals)
    columns = {COLUMNS[column][0]: shown_df[column].map(COLUMNS[column][1]) for column in shown_df}
    return pd.DataFrame(columns, index=shown_df.index)


def _conditions(assessment: Assessment, kind: str) -> str:
    """All numbers under noise, in rooms or under shifts, as HTML."""
    kind_df = assessment.robustness_df[assessment.robustness_df["kind"] == kind]
    kind_df = kind_df.rename(columns={"value": kind}).drop(columns=["kind", "num_clips"])
    names = ["noise"] if kind == "snr_db" else []
    shown_df = _in_words(kind_df[[*names, kind, "accuracy", "low", "high", "missed", "confused"]])
    return html_page.folded("All numbers", html_page.table(shown_df, index=False))


def _sections(assessment: Assessment, name: str, pictures: dict[str, str]) -> list[Section]:
    """Sections of the page."""
    speakers = html_page.folded("All speakers", html_page.table(_in_words(assessment.speaker_df)))
    curves_df = pd.DataFrame({column: assessment.metrics[column] for column in ("area_under_roc", "average_precision")})
    content = {
        "What to do": [html_page.bullets(recommendations(assessment, name))],
        "Which words are hard": [pictures["labels"], html_page.table(_in_words(assessment.label_df))],
        "What is taken for what": [pictures["confusion"], html_page.folded("In clips", pictures["confusion_counts"])],
        "How well a threshold could tell": [
            pictures["roc"],
            pictures["precision_recall"],
            html_page.table(_in_words(curves_df.rename_axis("label"))),
        ],
        "Who is not understood": [pictures.get("speakers", ""), speakers],
    }
    if "robustness_snr" in pictures:
        numbers = _conditions(assessment, "snr_db")
        content["When it is noisy"] = [pictures["robustness_snr"], pictures["fates_snr"], numbers]
    if "robustness_rooms" in pictures:
        numbers = _conditions(assessment, "reverberation_s")
        content["When it is spoken across a room"] = [pictures["robustness_rooms"], numbers]
    if "robustness_shift" in pictures:
        content["When the word comes early or late"] = [
            pictures["robustness_shift"],
            _conditions(assessment, "shift_ms"),
        ]
    content["The worst clips"] = [_worst_clips(assessment)]
    if assessment.differences_df is not None:
        other = assessment.metrics["comparison"]["other_name"]
        content[f"Against {other}"] = _comparison(assessment, name, assessment.differences_df)
    content["Settings"] = [_settings(assessment.metrics["settings"])]
    return [Section(title, "".join(parts)) for title, parts in content.items()]


def _worst_clips(assessment: Assessment) -> str:
    text = (
        "The clips whose own label got the lowest probability, worst first. Listen: some are cut off or mislabelled, "
        "and no model could get those right. Time runs right, high pitch is up, bright is loud."
    )
    players = [
        html_page.clip_player(audio.read_clip(clip.path), html_page.png_bytes(_draw_clip(clip)), _clip_caption(clip))
        for clip in assessment.worst_df.itertuples()
    ]
    return html_page.paragraph(text) + html_page.clip_players(players)


def comparison_text(comparison: dict, name: str = "This model") -> str:
    """A comparison of two models in words.

    Args:
        comparison: numbers of `Assessment.metrics["comparison"]`.
        name: name of the model that is compared.
    """
    return (
        f"{name} recognises {percent(comparison['accuracy'])} of the clips, {comparison['other_name']} "
        f"{percent(comparison['other_accuracy'])}: a difference of {100 * comparison['difference']:+.1f} points (95 % "
        f"interval over speakers {100 * comparison['low']:+.1f} to {100 * comparison['high']:+.1f}). Only the first "
        f"recognises {comparison['num_only_this']} clips, only the second {comparison['num_only_other']}; if both were "
        f"equally good, a split at least as uneven would have probability {comparison['p_value']:.2g} (McNemar's test, "
        "exact)."
    )


def _comparison(assessment: Assessment, name: str, differences_df: pd.DataFrame) -> list[str]:
    comparison = assessment.metrics["comparison"]
    names = name, comparison["other_name"]
    counts_df = pd.DataFrame(
        [
            [comparison["num_both_right"], comparison["num_only_this"]],
            [comparison["num_only_other"], comparison["num_both_wrong"]],
        ],
        [f"{names[0]} is right", f"{names[0]} is wrong"],
        [f"{names[1]} is right", f"{names[1]} is wrong"],
    )
    recalls = pd.DataFrame({names[0]: assessment.metrics["recall"], names[1]: comparison["other_recall"]})
    recalls = recalls.reindex([*assessment.metrics["recall"]]).rename_axis("label")
    points = 100 * (recalls[names[0]] - recalls[names[1]])
    recall_df = recalls.map(percent).assign(difference=points.map("{:+.1f} points".format))
    shown_df = _in_words(differences_df[["label", "word", "speaker"]])
    shown_df = shown_df.assign(**{names[0]: differences_df["answer"], names[1]: differences_df["other_answer"]})
    return [
        html_page.paragraph(comparison_text(comparison, name)),
        html_page.table(counts_df),
        html_page.table(recall_df),
        html_page.folded("The clips that only one gets right", html_page.table(shown_df, index=False)),
    ]


def _settings(settings: dict) -> str:
    """Settings as a table of names and values; nested ones in the form `versions: keras`."""
    rows: dict[str, typing.Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            rows |= {f"{name}: {key}": part for key, part in value.items()}
        else:
            rows[name] = value
    values = [", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value) for value in rows.values()]
    settings_df = pd.DataFrame({"value": values}, pd.Index(rows, name="setting"))
    return html_page.table(settings_df, has_long_texts=True)


def evaluation_dir(model_path: Path | str) -> Path:
    """Folder for the evaluation of a model: in the folder of its run, or beside an exported file.

    The evaluations of the package's own models go to the runs, never into the package.

    Args:
        model_path: folder of a run or a pretrained model, or an `.onnx` file.
    """
    model_path = Path(model_path)
    own_dir = PRETRAINED_DIR.parent.resolve()
    if model_path.resolve().is_relative_to(own_dir):
        return folders.output_dir() / "runs" / f"evaluation_{model_path.resolve().relative_to(own_dir).parts[0]}"
    is_file = model_path.suffix == ".onnx"
    return model_path.with_name(f"{model_path.stem}_evaluation") if is_file else model_path / "evaluation"


def evaluate(
    source: Path | str | None = None,
    data_dir: Path | str | None = None,
    out_dir: Path | str | None = None,
    against: Path | str | None = None,
    *,
    noise_dir: Path | str | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Assessment:
    """Evaluate a model on the validation speakers, also under noise and shifts.

    Args:
        source: pretrained name, folder of a run, or `.onnx` file; None for the default model.
        data_dir: folder of the recordings; None finds or unpacks them.
        out_dir: folder for a report with `report.html`; None writes none.
        against: another model to compare with: pretrained name, folder of a run, or `.onnx` file; None for none.
        noise_dir: folder of noise recordings that training never had; None for those of `data_dir`.
        seed: seed of the intervals and of the noise.
        progress: show progress bars.

    Returns:
        `Assessment`; its `metrics` hold every number.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: the model makes transcripts, there are no validation clips, or `out_dir` is the folder of a run.
        NoDataError: `data_dir` is None and there is no data in the usual places.

    Examples:
        >>> assessment = evaluate("tc_resnet", data_dir, progress=False)
        >>> assessment.metrics["accuracy"] > 0.5, len(assessment.clips_df)
        (True, 17)
    """
    if out_dir is not None:
        refuse_run_folder(out_dir)  # before the minutes that an assessment takes
    recogniser = load_recogniser(source)
    other = None if against is None else load_recogniser(against)
    clips_df, _ = read_clips_table(data_dir, progress=progress)
    assessment = assess(recogniser, clips_df, against=other, noise_dir=noise_dir, seed=seed, progress=progress)
    if out_dir is not None:
        write_report(assessment, out_dir, recogniser.name, progress)
    return assessment
