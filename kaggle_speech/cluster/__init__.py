"""Clusters: many runs and many clips on an engine that exists, Ray, and clips that are no files.

Needs the extra `cluster`: ray, and for tar shards, Parquet and remote addresses fsspec and pyarrow. No other room knows
Ray: `compare`, `cross_validate` and `predict_to_file` take any function that is called as the built-in `map` is.
"""

from kaggle_speech.lazy import lazy_names, with_names

_NAMES = {
    "ray_map": "RayMap, map_parts, map_runs",
    "addresses": "find_recordings, read_recordings",
    "parquet": "predict_to_parquet",
}

__doc__ = with_names(__doc__, _NAMES)
__getattr__, __dir__ = lazy_names(__name__, _NAMES)
