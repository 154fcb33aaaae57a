"""TensorFlow Speech Recognition Challenge, from wav files to a checked submission.

A clip flows one way, and every stage is a room of its own (data down the list, imports up it):

    text        characters, CTC decoders, n-grams, alignment
    features    `FeatureSpec`, filters, ops and layers
    models      architectures, registry, the folder of a trained one, the pretrained ones
    data        find, fetch, unpack, index, split, batch, augment, render
    plots       one figure a function
    inference   a trained model and waveforms to labels, probability files and submissions
    streaming   sound that does not end: sources, words, text, their scores, the window
    evaluation  metrics, intervals, open set, noise, error rates, the report
    training    from a recipe to a run
    export      files for other programs
    cli         the commands

Importing the package imports none of them, and not TensorFlow either:
`from kaggle_speech.data import clips`.
"""

__version__ = "0.1.0"
