"""inference.py: the rows are the clips, whatever the batch size."""

import numpy as np
import pandas as pd

from kaggle_speech.audio import read_clip, write_wav
from kaggle_speech.inference import predict_probabilities
from kaggle_speech.models import build_model


def test_rows_are_the_clips_in_order(tmp_path, speech):
    paths = [tmp_path / f"{number}.wav" for number in range(10)]
    for number, path in enumerate(paths):
        write_wav(path, speech[number % 4] * (number + 1) / 10)
    clips_df = pd.DataFrame({"path": paths, "label": "yes"})
    model = build_model("tc_resnet", 12)
    expected = model.predict(np.array([read_clip(path) for path in paths]), verbose=0)
    for batch_size in (3, 10, 64):
        probabilities = predict_probabilities(model, clips_df, batch_size, progress=False)
        np.testing.assert_allclose(probabilities, expected, atol=1e-5)
