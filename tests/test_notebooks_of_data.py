"""The notebooks on data, streams and transcripts run from top to bottom on the sample."""

import pytest
from notebook_runs import group_params, run_notebook


@pytest.mark.parametrize("path", group_params("data"))
def test_it_runs_on_the_sample(path, notebook_data_dir, output_dir):
    run_notebook(path, output_dir)
