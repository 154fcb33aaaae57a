"""What an assessment found, as a folder: numbers, tables, figures, and one page that holds all of them.

The page has no script and needs no network: pictures and sounds are inside (see `html_page`).
"""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from kaggle_speech import audio, files, folders
from kaggle_speech.evaluation import html_page
from kaggle_speech.evaluation.html_page import Section
from kaggle_speech.features import ops
from kaggle_speech.labels import SILENCE
from kaggle_speech.models.pretrained import PRETRAINED_DIR
from kaggle_speech.plots import clips, scores
from kaggle_speech.progress import progress_bar

#: Speakers that a figure has room for; the page and the CSV have all.
MAX_SPEAKERS = 20


def _spoken_accuracy(found):
    """Accuracy without the clips that no noise is added to."""
    return found.clips_df.loc[found.clips_df["label"] != SILENCE, "is_right"].mean()


def _speakers_with_errors(found):
    return found.speaker_df[found.speaker_df["num_wrong"] > 0].head(MAX_SPEAKERS)


def _has(found, kind):
    return (found.robustness_df["kind"] == kind).any()


#: File name: size in inches, what draws it, how to read it. A figure of what there is none of is left out.
FIGURES = {
    "labels": (
        (7, 4.5),
        lambda found, ax: scores.plot_intervals(found.label_df, ax),
        "The dot is the share of the label's clips that are answered right. The bar is where it would be, 95 times in "
        "100, had other speakers been asked: labels whose bars overlap may be equally hard. A bar without width means "
        "that there was no error to draw, not that there is none.",
    ),
    "confusion": (
        (7, 7),
        lambda found, ax: scores.plot_confusion(found.confusion_df, ax),
        "A row is what was said, a column what was answered, in percent of the row. What is off the diagonal is wrong: "
        "look for a dark cell there, which is a pair of words that are mixed up.",
    ),
    "confusion_counts": (
        (7, 7),
        lambda found, ax: scores.plot_confusion(found.confusion_df, ax, counts=True),
        "The same in clips: how much a percentage is worth.",
    ),
    "roc": (
        (7, 5),
        lambda found, ax: scores.plot_roc(found.roc, ax),
        "Each label's probability as a detector of the label, at every threshold: how many of its clips are found "
        "(up) at how many false alarms among all others (right, each step ten times as many). The nearer to the top "
        "left, the better; an area of 1 means that some threshold parts them without error.",
    ),
    "precision_recall": (
        (7, 5),
        lambda found, ax: scores.plot_precision_recall(found.precision_recall, ax),
        "The same thresholds: of the clips above one, how many are of the label (up), against how many of the label "
        "are above (right). The nearer to the top right, the better. A curve that drops early has confident errors.",
    ),
    "speakers": (
        (7, 6),
        lambda found, ax: scores.plot_intervals(_speakers_with_errors(found), ax),
        f"The speakers with most errors, {MAX_SPEAKERS} at most. A speaker has few clips, so the bars are wide "
        "(Wilson's, over clips), and the worst of many look bad by chance, too: only a bar that ends far from the "
        "accuracy over all speakers is worth a look.",
    ),
    "robustness_snr": (
        (7, 4.5),
        lambda found, ax: scores.plot_robustness(found.robustness_df, "snr_db", ax, _spoken_accuracy(found)),
        "The black line is the share of spoken clips answered right with background noise behind them, its band the "
        "95 % interval over speakers. The thin lines are the recordings it is made of, each behind clips of its own: "
        "small differences between them say nothing. At 0 dB noise and clip are equally loud. The noise is of the "
        "second halves of the recordings; training hears the first ones, so that noises of other kinds may cost more.",
    ),
    "fates_snr": (
        (7, 4),
        lambda found, ax: scores.plot_error_kinds(found.robustness_df, "snr_db", ax),
        "What becomes of the commands that are not answered right. Being missed (above) is mostly harmless: one says "
        "it again. Being taken for another command (below) is not.",
    ),
    "robustness_shift": (
        (7, 4.5),
        lambda found, ax: scores.plot_robustness(found.robustness_df, "shift_ms", ax),
        "The share of all clips answered right when they come earlier (left) or later (right); what moves out of the "
        "second is lost. A flat top as wide as a recogniser's hop means that it does not matter where a word falls.",
    ),
}
KIND_OF = {"robustness_snr": "snr_db", "fates_snr": "snr_db", "robustness_shift": "shift_ms"}


def draw_figure(found, name):
    """One of `FIGURES`, a matplotlib figure that no window shows; None where there is nothing to draw."""
    size, draw, _ = FIGURES[name]
    if (name == "speakers" and _speakers_with_errors(found).empty) or (
        name in KIND_OF and not _has(found, KIND_OF[name])
    ):
        return None
    figure = Figure(figsize=size, layout="constrained")
    draw(found, figure.subplots())
    return figure


def _draw_clip(clip, size=(3, 2)):
    """The spectrogram of a row of `worst_df`."""
    figure = Figure(figsize=size, layout="constrained")
    clips.plot_features(ops.log_mel_spectrogram(audio.read_clip(clip.path)), figure.subplots())
    return figure


def _clip_caption(clip):
    """What was said in a row of `worst_df`, and what was answered."""
    word = "" if clip.word == clip.label else f" ({clip.word})"
    return (
        f"{clip.label}{word}, answered {clip.answer} with {clip.confidence:.0%}; {clip.label} got "
        f"{clip.label_probability:.1%}. Speaker {clip.speaker}"
    )


def refuse_run_folder(out_dir):
    """Refuse to write a report into the folder of a run, whose numbers and tables have the same names.

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


def write_report(found, out_dir, name, progress=True):
    """Write a folder: `evaluation.json`, tables as CSV, figures as PNG, and `report.html`, which holds all of it.

    Args:
        found: from `assessment.assess`.
        out_dir: folder to write to; files of an earlier call are replaced.
        name: of the model, for the title.
        progress: show a progress bar.

    Returns:
        The path of the page.

    Raises:
        ValueError: `out_dir` is the folder of a run.
    """
    out_dir = Path(out_dir)
    refuse_run_folder(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    _write_tables(found, out_dir)
    pictures = {}
    for file in progress_bar(FIGURES, desc="drawing", unit="figure", progress=progress):
        figure = draw_figure(found, file)
        (out_dir / f"{file}.png").unlink(missing_ok=True)
        if figure is not None:
            png = html_page.png_bytes(figure)
            (out_dir / f"{file}.png").write_bytes(png)
            pictures[file] = html_page.picture(png, FIGURES[file][2], file.replace("_", " "))
    files.write_json(out_dir / "evaluation.json", found.metrics)
    path = out_dir / "report.html"
    title = f"How well {name} hears"
    path.write_text(html_page.page(title, _introduction(found), _sections(found, pictures)), encoding="utf-8")
    return path


def _write_tables(found, out_dir):
    rates_df = found.confusion_df.div(found.confusion_df.sum(axis=1).clip(lower=1), axis=0)
    indexed = {"confusion": found.confusion_df, "confusion_rates": rates_df}
    indexed |= {"labels": found.label_df, "speakers": found.speaker_df}
    listed = {"worst_clips": found.worst_df, "robustness": found.robustness_df, "differences": found.differences_df}
    for file, frame in (indexed | listed).items():
        path = out_dir / f"{file}.csv"
        path.unlink(missing_ok=True)
        if frame is not None:
            frame.to_csv(path, index=file in indexed)


def _percent(share):
    return f"{100 * share:.1f} %"


def _introduction(found):
    """The page in four sentences."""
    metrics = found.metrics
    low, high = metrics["accuracy_interval"]
    recall = pd.Series(metrics["recall"])
    texts = [
        f"{_percent(metrics['accuracy'])} of {metrics['num_clips']} validation clips are answered right; were other "
        f"speakers asked, it would be {_percent(low)} to {_percent(high)} (95 % interval). Macro F1 is "
        f"{metrics['macro_f1']:.4f}. Hardest is {recall.idxmin()} with {_percent(recall.min())}."
    ]
    speakers = metrics["speakers"]
    if speakers["num_speakers"]:
        texts.append(f"{speakers['num_with_errors']} of {speakers['num_speakers']} speakers meet at least one error.")
    noisy_df = found.robustness_df[found.robustness_df["noise"] == "all"]
    if len(noisy_df):
        steps = ", ".join(f"{_percent(row.accuracy)} at {row.value} dB" for row in noisy_df.itertuples())
        texts.append(f"With background noise, spoken clips: {_percent(_spoken_accuracy(found))} as recorded, {steps}.")
    return "".join(map(html_page.paragraph, texts))


def _sections(found, pictures):
    """What the page holds, in the order in which one asks."""
    robustness_df = found.robustness_df.drop(columns="num_clips").round(4)
    noisy_df = robustness_df[robustness_df["kind"] == "snr_db"].drop(columns="kind")
    shifted_df = robustness_df[robustness_df["kind"] == "shift_ms"].drop(columns=["kind", "noise"])
    speakers = html_page.folded("All speakers", html_page.table(found.speaker_df.round(3)))
    curves_df = pd.DataFrame({name: found.metrics[name] for name in ("area_under_roc", "average_precision")}).round(4)
    content = {
        "Which words are hard": [pictures["labels"], html_page.table(found.label_df.round(4))],
        "What is taken for what": [pictures["confusion"], pictures["confusion_counts"]],
        "How well a threshold could tell": [pictures["roc"], pictures["precision_recall"], html_page.table(curves_df)],
        "Who is not understood": [pictures.get("speakers", ""), speakers],
    }
    if "robustness_snr" in pictures:
        table = html_page.folded("All numbers", html_page.table(noisy_df, index=False))
        content["When it is noisy"] = [pictures["robustness_snr"], pictures["fates_snr"], table]
    if "robustness_shift" in pictures:
        table = html_page.folded("All numbers", html_page.table(shifted_df, index=False))
        content["When the word comes early or late"] = [pictures["robustness_shift"], table]
    content["The worst clips"] = [_worst_clips(found)]
    if "comparison" in found.metrics:
        content["Against the other model"] = _comparison(found)
    content["What this is of"] = [_settings(found.metrics["settings"])]
    return [Section(title, "".join(parts)) for title, parts in content.items()]


def _worst_clips(found):
    text = (
        "The clips whose own label got the lowest probability, worst first. Listen: some are cut off or mislabelled, "
        "and no model could get those right. Time runs right, high pitch is up, bright is loud."
    )
    players = [
        html_page.clip_player(audio.read_clip(clip.path), html_page.png_bytes(_draw_clip(clip)), _clip_caption(clip))
        for clip in found.worst_df.itertuples()
    ]
    return html_page.paragraph(text) + html_page.clip_players(players)


def comparison_text(figures):
    """What a comparison says. Args: from `evaluation.compare_answers`."""
    return (
        f"This model answers {_percent(figures['accuracy'])} right, the other {_percent(figures['other_accuracy'])}: a "
        f"difference of {100 * figures['difference']:+.1f} points (95 % interval over speakers "
        f"{100 * figures['low']:+.1f} to {100 * figures['high']:+.1f}). {figures['num_only_this']} clips are answered "
        f"right by this one only and {figures['num_only_other']} by the other only; were they equally good, a split as "
        f"uneven would come up with probability {figures['p_value']:.2g} (McNemar's test, exact)."
    )


def _comparison(found):
    figures = found.metrics["comparison"]
    counts_df = pd.DataFrame(
        [
            [figures["num_both_right"], figures["num_only_this"]],
            [figures["num_only_other"], figures["num_both_wrong"]],
        ],
        ["this is right", "this is wrong"],
        ["other is right", "other is wrong"],
    )
    recall_df = pd.DataFrame({"this": found.metrics["recall"], "other": figures["other_recall"]}).round(4)
    recall_df = recall_df.reindex(list(found.metrics["recall"]))
    shown_df = found.differences_df.drop(columns="path")
    return [
        html_page.paragraph(comparison_text(figures)),
        html_page.table(counts_df),
        html_page.table(recall_df.assign(difference=(recall_df["this"] - recall_df["other"]).round(4))),
        html_page.folded("The clips that only one gets right", html_page.table(shown_df, index=False)),
    ]


def _settings(settings):
    """The settings as a table of names and values; nested ones in the form `versions: keras`."""
    rows = {}
    for name, value in settings.items():
        nested = {f"{name}: {key}": part for key, part in value.items()} if isinstance(value, dict) else {name: value}
        rows |= nested
    values = [", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value) for value in rows.values()]
    return html_page.table(pd.DataFrame({"value": values}, pd.Index(rows, name="setting")))


def evaluation_dir(model_path):
    """Where the evaluation of a model goes: into the folder of its run, or beside an exported file.

    Nothing goes into the package: the evaluations of its own models are among the runs.
    """
    model_path, own_dir = Path(model_path), PRETRAINED_DIR.parent.resolve()
    if model_path.resolve().is_relative_to(own_dir):
        return folders.output_dir() / "runs" / f"evaluation_{model_path.resolve().relative_to(own_dir).parts[0]}"
    is_file = model_path.suffix == ".onnx"
    return model_path.with_name(f"{model_path.stem}_evaluation") if is_file else model_path / "evaluation"
