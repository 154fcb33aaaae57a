"""The notebooks that train, evaluate, submit and export run from top to bottom, in order, on the sample."""

import pytest
from notebook_runs import group_params, run_notebook

from kaggle_speech.inference.submission import check_submission


@pytest.mark.parametrize("path", group_params("models"))
def test_it_runs_on_the_sample(path, notebook_data_dir, output_dir):
    run_notebook(path, output_dir)
    if path.stem.startswith("10"):
        check_submission(output_dir / "submissions" / "10_ensemble.csv", notebook_data_dir / "sample_submission.csv")
