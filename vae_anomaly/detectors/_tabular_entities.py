"""What a saved detector carries of the entities: their columns, and their histories' state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from vae_anomaly.data.histories import EntityColumns, EntityHistories

__all__ = ["entities_from_state", "entity_arrays", "entity_header"]

KEY = "entities"
PREFIX = "entities."


def entity_header(entities: EntityHistories | None) -> dict[str, Any]:
    """Return what goes into the preprocessing; nothing without entities, as ever."""
    return {} if entities is None else {KEY: entities.columns.to_dict()}


def entity_arrays(entities: EntityHistories | None) -> dict[str, NDArray[Any]]:
    """Return what goes beside the calibration."""
    if entities is None:
        return {}
    return {f"{PREFIX}{name}": array for name, array in entities.arrays().items()}


def entities_from_state(
    made: Mapping[str, Any], calibration: Mapping[str, NDArray[Any]]
) -> EntityHistories | None:
    """Return the histories of a saved detector, if it has any."""
    if KEY not in made:
        return None
    arrays = {k[len(PREFIX) :]: v for k, v in calibration.items() if k.startswith(PREFIX)}
    return EntityHistories.from_arrays(EntityColumns.from_dict(made[KEY]), arrays)
