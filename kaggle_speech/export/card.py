"""Card of a published model: what it is for, how right it is, where, how it was trained, its limits."""

import dataclasses
import shlex
from collections.abc import Iterable, Iterator, Mapping

import pandas as pd

from kaggle_speech.audio import SAMPLE_RATE
from kaggle_speech.evaluation.transcripts import error_intervals
from kaggle_speech.labels import COMMANDS, SILENCE, UNKNOWN
from kaggle_speech.training.recipe import Recipe, TranscriptRecipe, recipe_of

#: Picture of the curve in running speech, as `stream-evaluate --speech` names it.
CURVE_NAME = "running_speech.png"
#: Its numbers, a row for each threshold.
CURVE_TABLE_NAME = "running_speech.csv"

TEMPLATE = """# {name}: {what}

Tells which of its labels is spoken in a second of sound (16,000 samples, 16 kHz, mono, float in [-1, 1]):
`{vocabulary}`.{num_parameters}

    import kaggle_speech as ks
    ks.load({name!r}).predict("yes.wav")

## Accuracy

**{accuracy:.1%}** {interval}of {num_clips:,} clips with {labels}, macro F1 {macro_f1:.3f}.
Their speakers were neither trained on nor used to choose the epoch.
{competition}
{by_label}
{noise}{running_speech}{files}## Training

    {command}

Data: Speech Commands (P. Warden, arXiv 1804.03209, CC BY 4.0), fingerprint `{data}`{speech}; none of it is in here.
Training took {training_minutes:.0f} minutes. {versions}.

## Limits

English command words, one at a time. {other_words}
Very quiet or distorted speech is often taken for another label. Noise of kinds that were not trained on may be taken
for a word.
"""

TRANSCRIBER_TEMPLATE = """# {name}: speech to text

Writes down read English in the letters a to z, apostrophes and spaces.{num_parameters}

    import kaggle_speech as ks
    ks.load({name!r}).transcribe("speech.flac").text

`model.onnx` takes `waveform` `(batch, samples)` (16 kHz, mono, float in [-1, 1], zeros after the end of each) and
`num_samples` `(batch,)` (int32); out come log-probabilities of a blank, a space, an apostrophe and the letters a to z,
every {step_ms:g} ms. Its weights are stored as {precision}.

## Errors

{held_out}, none of them trained on, and none chose anything about the model:

{errors}
`greedy` takes the most probable character of each frame; `beam` is a beam search; `beam_ngram` asks a model of letters,
too (`ngram.json.gz`), `beam_words` a lexicon and a model of words (`words.arpa.gz`).

## Training

    {command}

Data: LibriSpeech (V. Panayotov et al., ICASSP 2015, CC BY 4.0), fingerprint `{data}`; no recording is in here.
Training took {training_minutes:.0f} minutes. {versions}.

## Limits

Read English in quiet rooms. Names and rare words are spelled as they sound; look at the errors before you use it.
"""


def _table(rows: Iterator[tuple] | list[tuple]) -> str:
    """Markdown table; the first row is the head."""
    head, *rest = [f"| {' | '.join(map(str, row))} |" for row in rows]
    columns = head.count("|") - 1
    return "\n".join([head, "|" + columns * "---|", *rest, ""])


def train_command(settings: Mapping) -> str:
    """The command that trains with the settings of a run of words; options at their defaults are left out.

    Args:
        settings: entry `settings` of a `run.json`.

    Examples:
        >>> train_command({"model": "tc_resnet", "num_epochs": 20, "augmentation": {"gain_db": 3.0}})
        'kaggle-speech train --data DIR --out RUN --model tc_resnet --num-epochs 20 --gain-db 3.0'
    """
    chosen, default = (dataclasses.asdict(recipe) for recipe in (recipe_of(settings), Recipe(settings["model"])))
    augmentation = (settings.get("augmentation", {}), chosen.pop("augmentation"), default.pop("augmentation"))
    words = ["kaggle-speech", "train", "--data", "DIR", "--out", "RUN", "--model", settings["model"]]
    words += [*_options(settings, chosen, default), *_options(*augmentation)]
    words += ["--teachers", *["MODEL"] * len(settings["teachers"])] if settings.get("teachers") else []
    words += ["--initial", "MODEL"] if "initial" in settings else []
    words += ["--pseudo", "CSV"] if "pseudo" in settings else []
    words += ["--speech-negatives", "DIR"] if "speech" in settings else []
    words += ["--mined", "CSV"] if {"speech", "mined_share"} <= {*settings} else []
    return shlex.join(words)


def _transcriber_command(settings: Mapping) -> str:
    """The same for a run of transcripts."""
    words = ["kaggle-speech", "train-transcriber", "--data", "DIR", "--out", "RUN", "--model", settings["model"]]
    words += _options(settings, settings, dataclasses.asdict(TranscriptRecipe(settings["model"])))
    words += ["--initial", "MODEL"] if "initial" in settings else []
    return shlex.join(words)


def _options(names: Iterable[str], values: Mapping, defaults: Mapping) -> Iterator[str]:
    """Words of the options that have another value than their default, in the order of `names`."""
    for name in names:
        if name in defaults and values[name] != defaults[name]:
            value = values[name]
            arguments = [] if value is True else value if isinstance(value, tuple) else [value]
            yield from (f"--{name.replace('_', '-')}", *map(str, arguments))


def transcriber_card(name: str, metrics: Mapping, metadata: Mapping, transcripts_df: pd.DataFrame | None = None) -> str:
    """Card of a transcriber in Markdown.

    Args:
        name: title, and what `load` takes.
        metrics: content of its `metrics.json`.
        metadata: metadata of its ONNX file.
        transcripts_df: transcripts of held-out speakers, a column for each decoder after `name, speaker, text`, as
            `evaluate-transcriber --out` writes them; None for the figures of `metrics` without intervals.
    """
    rows = [("decoder", "words wrong (WER)", "characters wrong (CER)")]
    if transcripts_df is None:
        held_out = f"{metrics['val']['greedy']['num_utterances']:,} utterances of held-out speakers"
        for decoder, rates in metrics["val"].items():
            rows.append((decoder, f"{rates['wer']:.1%}", f"{rates['cer']:.1%}"))
    else:
        num_speakers = transcripts_df["speaker"].nunique()
        held_out = f"{len(transcripts_df):,} utterances of {num_speakers} speakers (95 % intervals over speakers)"
        for decoder, row in error_intervals(transcripts_df, transcripts_df.columns[3:]).iterrows():
            cells = (
                f"{row[rate]:.1%} ({row[f'{rate}_low']:.1%} to {row[f'{rate}_high']:.1%})" for rate in ("wer", "cer")
            )
            rows.append((decoder, *cells))
    return TRANSCRIBER_TEMPLATE.format(
        name=name,
        num_parameters=f" {metrics['num_parameters']:,} parameters." if "num_parameters" in metrics else "",
        step_ms=1000 * metadata["output_step"] / SAMPLE_RATE,
        precision=metadata["precision"],
        held_out=held_out,
        errors=_table(rows),
        command=_transcriber_command(metrics["settings"]),
        data=metrics["settings"]["data"],
        training_minutes=metrics["training_minutes"],
        versions=_versions(metrics),
    )


def words_card(
    name: str,
    metrics: Mapping,
    evaluation: Mapping | None = None,
    points_df: pd.DataFrame | None = None,
    files_df: pd.DataFrame | None = None,
) -> str:
    """Card of a word recogniser in Markdown.

    Args:
        name: title, and what `load` takes.
        metrics: content of its `metrics.json`.
        evaluation: content of `evaluation.json` of `evaluate`; None leaves intervals, noise and rooms out.
        points_df: operating points in running speech, from `stream-evaluate --speech`, whose picture `CURVE_NAME` is to
            lie beside the card; None leaves them out.
        files_df: rows of the report of `export` on the files beside the card; None leaves them out.
    """
    settings, vocabulary = metrics["settings"], metrics["vocabulary"]
    others = [label for label in vocabulary if label not in (*COMMANDS, SILENCE, UNKNOWN)]
    what = "ten commands, silence, unknown" if not others else f"{len(vocabulary)} labels"
    measured = metrics if evaluation is None else evaluation
    own = measured.get("own_labels")
    return TEMPLATE.format(
        name=name,
        what=what,
        vocabulary=" ".join(vocabulary),
        num_parameters=f" {metrics['num_parameters']:,} parameters." if "num_parameters" in metrics else "",
        interval=_interval(own or measured),
        **{key: (own or measured)[key] for key in ("accuracy", "macro_f1", "num_clips")},
        labels="the twelve labels of the competition" if own is None else f"its {own['num_labels']} labels",
        competition="" if own is None else _competition_sentence(measured),
        by_label=_labels_table(own or measured),
        noise="" if evaluation is None else _noise_section(evaluation) + _rooms_section(evaluation),
        running_speech="" if points_df is None else _running_speech_section(points_df),
        files="" if files_df is None or files_df.empty else _files_section(files_df),
        command=train_command(settings),
        data=settings["data"],
        speech=", and running speech of LibriSpeech (CC BY 4.0)" if "speech" in settings else "",
        training_minutes=metrics["training_minutes"],
        versions=_versions(metrics),
        other_words="Words that were not trained on are `unknown` less reliably than those that were."
        if UNKNOWN in vocabulary
        else "It has no label for other words: it takes them for one of its own.",
    )


def _interval(measured: Mapping) -> str:
    """In brackets, with a space behind; empty where none was measured."""
    if "accuracy_interval" not in measured:
        return ""
    low, high = measured["accuracy_interval"]
    return f"(95 % interval over speakers {low:.1%} to {high:.1%}) "


def _competition_sentence(measured: Mapping) -> str:
    return (
        f"With the twelve labels of the competition it is right on {measured['accuracy']:.1%} {_interval(measured)}of "
        f"{measured['num_clips']:,} clips; what follows the table is of these twelve.\n"
    )


def _versions(metrics: Mapping) -> str:
    return ", ".join(f"{library} {version}" for library, version in metrics["versions"].items())


def _files_section(files_df: pd.DataFrame) -> str:
    rows = [("file", "kB", "right", "answers as the model", "ms a clip, one thread")]
    for row in files_df.itertuples():
        rows.append(
            (
                row.file,
                f"{row.bytes / 1000:.1f}",
                f"{row.accuracy:.2%}",
                f"{row.agreement:.2%}",
                f"{row.ms_1_thread:.2f}",
            )
        )
    return f"## Files\n\n{_table(rows)}\n"


def _labels_table(measured: Mapping) -> str:
    if "labels" not in measured:
        return _table([("label", "right"), *((label, f"{recall:.1%}") for label, recall in measured["recall"].items())])
    rows = [("label", "right", "95 % interval", "clips")]
    for label, row in measured["labels"].items():
        rows.append((label, f"{row['accuracy']:.1%}", f"{row['low']:.1%} to {row['high']:.1%}", row["num_clips"]))
    return _table(rows)


def _accuracy_table(name: str, rows: list, unit: str) -> str:
    """Accuracy under the conditions of rows of the robustness."""
    head = (name, *(f"{row['value']:g} {unit}" for row in rows))
    return _table([head, ("right", *(f"{row['accuracy']:.1%}" for row in rows))])


def _noise_section(evaluation: Mapping) -> str:
    noisy = [row for row in evaluation["robustness"] if row["kind"] == "snr_db" and row["noise"] == "all"]
    if not noisy:
        return ""
    source = evaluation["settings"].get("noise", "the halves of the noise recordings that training did not use")
    table = _accuracy_table("speech over noise", noisy, "dB")
    return f"## In noise\n\nSpoken clips with noise at a ratio of mean powers over the second: {source}.\n\n{table}\n"


def _rooms_section(evaluation: Mapping) -> str:
    rooms = [row for row in evaluation["robustness"] if row["kind"] == "reverberation_s"]
    if not rooms:
        return ""
    table = _accuracy_table("reverberation time", rooms, "s")
    return f"## In rooms\n\nSpoken clips in made rooms (image sources and rays), none of them trained in.\n\n{table}\n"


def _running_speech_section(points_df: pd.DataFrame) -> str:
    num_commands, hours = points_df.iloc[0][["num_commands", "alarm_hours"]]
    rows = [("alarms an hour at most", "threshold", "commands found", "wrong label", "alarms an hour")]
    for row in points_df.itertuples():
        alarms = f"{row.alarms_per_hour:.1f} ({row.alarms_low:.1f} to {row.alarms_high:.1f})"
        rows.append(
            (f"{row.limit:g}", f"{row.threshold:.2f}", f"{row.found_rate:.1%}", f"{row.wrong_rate:.1%}", alarms)
        )
    return (
        f"## In running speech\n\n![commands found over false alarms an hour]({CURVE_NAME})\n\n"
        f"{num_commands:.0f} commands between sentences; false alarms are counted in {hours:.1f} hours of sentences "
        f"without one. A command counts where it is spoken alone.\n\n{_table(rows)}\n"
    )
