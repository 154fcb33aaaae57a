"""occlusion.py: hiding what a model looks at lowers its probability, and nothing else does."""

import numpy as np

from kaggle_speech.evaluation.occlusion import occlusion_map


def test_only_the_place_that_counts_counts(rng):
    picture = rng.uniform(0.5, 1, (20, 40, 3))

    def predict(batch):  # looks at one pixel
        return np.stack([1 - batch[:, 15, 10, 0], batch[:, 15, 10, 0]], axis=1)

    drop = occlusion_map(predict, picture, 1, num_patches=4, patch_fraction=0.25, batch_size=3)
    expected = np.zeros((4, 4))
    expected[3, 1] = picture[15, 10, 0]  # rows 15 to 19, columns 10 to 19
    np.testing.assert_allclose(drop, expected)
    np.testing.assert_allclose(occlusion_map(predict, picture, 0, num_patches=4, patch_fraction=0.25), -expected)


def test_the_filling_is_what_is_seen_instead(rng):
    picture = rng.random((8, 8, 3))
    drop = occlusion_map(
        lambda batch: batch.mean(axis=(1, 2)), picture, 2, num_patches=1, patch_fraction=1, fill=[0, 0, 0.2]
    )
    np.testing.assert_allclose(drop, [[picture[..., 2].mean() - 0.2]])
