"""Features: from waveforms to spectrograms, as NumPy, Keras operations and Keras layers."""

from kaggle_speech.lazy import lazy_names, with_names

_NAMES = {
    "filters": "FeatureSpec, hann_window, mel_matrix, dct_matrix",
    "ops": "power_spectrogram, log_mel_spectrogram, mfcc, spectrogram_image",
    "layers": "PowerSpectrogram, LogMelSpectrogram, MFCC, SpectrogramImage",
}

__doc__ = with_names(__doc__, _NAMES)
__getattr__, __dir__ = lazy_names(__name__, _NAMES)
