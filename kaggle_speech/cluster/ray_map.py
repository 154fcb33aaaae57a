"""Ray as the engine: the results of a function for many items, on any number of machines.

The only module of the package that imports Ray.
"""

import collections
import contextlib
import functools
import logging
import os
import re
import socket
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kaggle_speech import __version__
from kaggle_speech.progress import progress_bar

#: How often an item is begun again after the process or the machine that worked on it died.
MAX_RETRIES = 3
#: Tasks for each core that wait or run; results of later items than the oldest one that is missing are kept.
TASKS_PER_CORE = 2
#: Addresses of a cluster.
ADDRESS = re.compile(r"auto|local|[^\s/:]+:\d+")
#: Environment variables of Ray where the user set none: nothing sent to its makers, no warning about a future default,
#: no traceback of a task whose error another one has already reported.
RAY_VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
}


class WorkerDiedError(RuntimeError):
    """An item that killed its worker again and again. The message names what is known of it."""


class RayMap:
    """The built-in `map` for items that Ray spreads over a cluster: results in order, each item's exactly once.

    An item whose worker dies is begun again on another one. Errors of the function are raised here, as they are. The
    function, with all that it holds, is sent to each worker once; relative paths mean there what they mean here.

    Args:
        address: `host:port` of a cluster, `auto` for the one this machine is part of, `local` for a new one on this
            machine alone; an empty string for RAY_ADDRESS, else a cluster of this machine, else a new one.
        whole_runs: whether an item is a training, which gets a GPU where there are any, else an equal share of the
            cores; False gives each item one core.
        description: text beside a bar that counts items; None for no bar.
        on_death: result for an item that killed its worker `MAX_RETRIES` + 1 times, a function of the item and of the
            error; None raises the error.

    Raises:
        ImportError: Ray is not installed; says how to install it.
        ValueError: `address` is none of these.
        ConnectionError: there is no cluster.
    """

    def __init__(
        self,
        address: str = "",
        *,
        whole_runs: bool = False,
        description: str | None = None,
        on_death: Callable[[Any, WorkerDiedError], Any] | None = None,
    ):
        self.ray = connect(address)
        self.whole_runs = whole_runs
        self.description = description
        self.on_death = on_death

    def __call__(self, function: Callable, items: Iterable) -> Iterator:
        """Results of the function for each item, in order.

        Args:
            function: takes an item; can be pickled.
            items: can be pickled.
        """
        items = list(items)
        resources = self._resources(len(items))
        task = self.ray.remote(_call).options(max_retries=MAX_RETRIES, **resources)
        facts = (__version__, os.getcwd(), resources["num_cpus"])
        # The reference goes in a list: else Ray would unpickle the function anew for each item.
        results = self._in_order(functools.partial(task.remote, [self.ray.put(function)], facts), items)
        if self.description is None:
            return results
        return iter(progress_bar(results, total=len(items), desc=self.description, unit="run"))

    def _resources(self, num_items):
        """Cores and GPUs of one item."""
        if not self.whole_runs:
            return {"num_cpus": 1}
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        if any(node.get("GPU") for node in nodes):
            return {"num_cpus": 1, "num_gpus": 1}
        cores = [int(node.get("CPU", 0)) for node in nodes]
        return {"num_cpus": max(1, min(sum(cores) // max(num_items, 1), min(filter(None, cores), default=1)))}

    def _in_order(self, start, items):
        waiting = collections.deque(enumerate(items))
        running = {}
        finished = {}
        wanted = 0
        try:
            while wanted < len(items):
                # Asked again and again: a cluster may grow.
                cores = self.ray.cluster_resources().get("CPU", 1) if waiting else 0
                while waiting and len(running) < TASKS_PER_CORE * cores + 2:
                    number, item = waiting.popleft()
                    running[start(item)] = number
                self.ray.wait([*running], num_returns=1)  # then all that have ended
                for ref in self.ray.wait([*running], num_returns=len(running), timeout=0)[0]:
                    number = running.pop(ref)
                    finished[number] = self._result(ref, items[number])
                while wanted in finished:
                    yield finished.pop(wanted)
                    wanted += 1
        finally:
            for ref in running:
                with contextlib.suppress(Exception):  # it has just ended, or the cluster is gone
                    self.ray.cancel(ref, recursive=False)

    def _result(self, ref, item):
        exceptions = self.ray.exceptions
        try:
            return self.ray.get(ref)
        except exceptions.RayTaskError as error:
            raise error.cause from error
        except (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.OutOfMemoryError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            death = WorkerDiedError(f"its worker died {MAX_RETRIES + 1} times, the last time: {reason}")
            if self.on_death is None:
                raise death from error
            return self.on_death(item, death)


def map_parts(address: str = "") -> RayMap:
    """A map for `predict_to_file` and `predict_to_parquet`: a core a part; one that kills its workers stops no other.

    Args:
        address: see `RayMap`.

    Raises:
        ImportError, ValueError, ConnectionError: see `RayMap`.
    """
    return RayMap(address, on_death=lambda part, death: [f"clips {part.rows.start} to {part.rows.stop - 1}: {death}"])


def map_runs(address: str = "") -> RayMap:
    """A map for `compare` and `cross_validate`: a task a training, and a bar that counts them.

    Args:
        address: see `RayMap`.

    Raises:
        ImportError, ValueError, ConnectionError: see `RayMap`.
    """
    return RayMap(address, whole_runs=True, description="runs")


def connect(address: str = "") -> types.ModuleType:
    """The module `ray`, connected to a cluster; a connection that this process has is used.

    Args:
        address: see `RayMap`.

    Raises:
        ImportError: Ray is not installed; says how to install it.
        ValueError: `address` is none of these.
        ConnectionError: there is no cluster.
    """
    if address and not ADDRESS.fullmatch(address):
        raise ValueError(f"`--ray` must be auto, local or host:port. Received: {address}")
    for name, value in RAY_VARIABLES.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise ImportError('`--ray` needs the package ray; `pip install "kaggle_speech[cluster]"` brings it') from error
    if not ray.is_initialized():
        ray.init(address or None, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    return ray


@functools.lru_cache(1)
def _function(function_ref):
    """The function of a map, unpickled in this process once."""
    import ray

    return ray.get(function_ref)


def _call(function_refs, facts, item):
    """The result for one item, in a worker."""
    version, folder, num_cores = facts
    if version != __version__:
        raise ValueError(
            f"workers must have kaggle_speech {version}, as the process that sends them work. Received: "
            f"{__version__} on {socket.gethostname()}"
        )
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(num_cores))
    with contextlib.suppress(OSError):
        os.chdir(folder)
    return _function(function_refs[0])(item)
