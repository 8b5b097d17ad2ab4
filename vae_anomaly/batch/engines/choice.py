"""The engines by name; the libraries of those for several machines are extras."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Final, Literal, get_args

from vae_anomaly.batch.engines.partition import Outcome
from vae_anomaly.batch.plan import Output, Partition, ScoringModel
from vae_anomaly.errors import ConfigError, did_you_mean

EngineName = Literal["local", "ray", "spark"]
Engine = Callable[[list[Partition], ScoringModel, Output, int], Iterator[tuple[Partition, Outcome]]]
"""Scores partitions by so many workers, each partition once, in any order."""

_HOMES: Final = {
    "local": "local:many_processes",
    "ray": "on_ray:in_actors",
    "spark": "on_spark:in_tasks",
}
_LIBRARIES: Final = {"ray": "ray", "spark": "pyspark"}


def engine_of(name: EngineName) -> Engine:
    """Return an engine for several workers.

    Raises
    ------
    ConfigError
        If there is none of this name, or its library is not installed.
    """
    require_engine(name)
    module, function = _HOMES[name].split(":")
    engine: Engine = getattr(import_module(f"vae_anomaly.batch.engines.{module}"), function)
    return engine


def require_engine(name: str) -> None:
    """Refuse an engine that cannot be had, as `engine_of`, and import nothing."""
    if name not in get_args(EngineName):
        raise ConfigError(
            f"There is no engine {name!r}{did_you_mean(name, list(_HOMES))}. "
            f"Choose {', '.join(_HOMES)}."
        )
    library = _LIBRARIES.get(name)
    if library and find_spec(library) is None:
        raise ConfigError(
            f"The engine {name} needs {library}, which is not installed. Install the extra: "
            f"pip install 'vae-anomaly[{name}]'; or leave --engine out."
        )
