"""TensorFlow Speech Recognition Challenge, from wav files to a checked submission.

A clip flows one way, and every stage is a module of its own:

    wav file -> waveform batch -> [ features -> model ] -> probabilities -> labels -> submission.csv
    audio       dataset             features    models     inference        decoding   submission
    archives    index, noise        (inside the .keras     ensemble         evaluation
    sample      augment, vocoder     and .onnx file)       probability_file plots
                                                                            rejection, open_set

`labels` holds the vocabularies and the splits' hash, `paths` finds the data,
`downloads` fetches it, `recipe` says all that a training depends on, `training` fits
(its `callbacks` keep the best), `runs` keeps what a training made, `experiment` goes
from recipes to runs and tables, `assessment` gathers all that is known of a model (its
`robustness`, too) and `report` makes a page of it (`html_page`), `convert` writes features to disk for other tools,
`export` writes models for other runtimes, `runtimes` and `engines` run them, and
`python -m kaggle_speech --help` is the door (`commands`, `live_commands`).
Sound that does not end flows from `sources` through `streaming`, which finds the
commands in it; `live` gives each a thread, `app` shows it in a window, `streams` builds
long ones of real clips, and `stream_evaluation` counts what was heard of them; `enroll` adds
words of one's own.

Speech of any length becomes text on a way of its own, through the same frontend, training and export:

    recording -> padded batch -> [ features -> resnet_ctc ] -> log-probabilities -> text
    utterances   utterance_batches                             ctc, ngram           error_rates
    sentences    utterance_dataset                             alignment            transcript_plots

`alphabet` holds the characters, `transcript_experiment` trains, `transcript_evaluation` counts errors,
`transcription` reads files and microphones window by window, `transcript_export` (with `onnx_gru`) writes ONNX files,
`transcript_commands` are the door's.
Importing the package imports none of them, and not TensorFlow either:
`from kaggle_speech import dataset, features`.
"""

__version__ = "0.1.0"
