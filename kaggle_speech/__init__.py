"""TensorFlow Speech Recognition Challenge, from wav files to a checked submission.

A clip flows one way, and every stage is a module of its own:

    wav file -> waveform batch -> [ features -> model ] -> probabilities -> labels -> submission.csv
    audio       dataset             features    models     inference        decoding   submission
    archives    augment             (inside the .keras     evaluation
    sample                           file)                 plots

`paths` finds the data, `labels` holds the vocabularies, `training` fits, and
`python -m kaggle_speech --help` is the door. Importing the package imports none
of them, and not TensorFlow either: `from kaggle_speech import dataset, features`.
"""

__version__ = "0.1.0"
