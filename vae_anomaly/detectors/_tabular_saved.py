"""What a saved table detector carries beside its networks, as arrays with a prefix each.

::

    reference    raw scores of held-out normals, ascending
    reference_groups  their groups, where it was fitted with groups
    scorer.*     memories and marginals
    scale.*      the same scores with their conditions, where there is a condition
    entities.*   the entities' histories; their columns are in the header
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from vae_anomaly.data.histories import EntityColumns, EntityHistories
from vae_anomaly.scoring.calibration import ConditionalScale

__all__ = [
    "arrays_under",
    "calibration_arrays",
    "entities_from_state",
    "entity_header",
    "scale_from_state",
]

Arrays = dict[str, NDArray[Any]]
KEY = "entities"


def entity_header(entities: EntityHistories | None) -> dict[str, Any]:
    """Return what goes into the preprocessing; nothing without entities, as ever."""
    return {} if entities is None else {KEY: entities.columns.to_dict()}


def calibration_arrays(
    reference: NDArray[Any],
    groups: NDArray[Any] | None,
    scorer: Arrays,
    scale: ConditionalScale | None,
    entities: EntityHistories | None,
) -> Arrays:
    """Return all arrays that are no weights of networks, by name."""
    parts = {
        "scorer": scorer,
        "scale": scale.state() if scale else {},
        KEY: {} if entities is None else entities.arrays(),
    }
    named = {f"{start}.{k}": array for start, part in parts.items() for k, array in part.items()}
    own = {} if groups is None else {"reference_groups": groups}
    return {**named, **own, "reference": reference}


def arrays_under(start: str, calibration: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return the arrays of one part, without its prefix."""
    prefix = f"{start}."
    return {k[len(prefix) :]: v for k, v in calibration.items() if k.startswith(prefix)}


def scale_from_state(calibration: Mapping[str, NDArray[Any]]) -> ConditionalScale | None:
    """Return the scale of a saved detector with a condition, if it has one."""
    arrays = arrays_under("scale", calibration)
    return ConditionalScale(arrays["scores"], arrays["codes"]) if arrays else None


def entities_from_state(
    made: Mapping[str, Any], calibration: Mapping[str, NDArray[Any]]
) -> EntityHistories | None:
    """Return the histories of a saved detector, if it has any."""
    if KEY not in made:
        return None
    columns = EntityColumns.from_dict(made[KEY])
    return EntityHistories.from_arrays(columns, arrays_under(KEY, calibration))
