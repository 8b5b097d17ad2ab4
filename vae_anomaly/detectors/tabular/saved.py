"""The fitted table detector as a `DetectorState`, and back.

What it carries beside its networks are arrays with a prefix each::

    reference    raw scores of held-out normals, ascending
    reference_groups  their groups, where it was fitted with groups
    scorer.*     memories and marginals
    scale.*      the same scores with their conditions, where there is a condition
    entities.*   the entities' histories; their columns are in the header
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from vae_anomaly.arrays import AnyArray, Arrays
from vae_anomaly.data.tables.entity_histories import EntityColumns, EntityHistories
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.detectors.tabular.model import RowScorer
from vae_anomaly.persistence import DetectorState
from vae_anomaly.scoring.conformal import ConditionalScale, ConformalCalibration
from vae_anomaly.thresholds import Threshold

if TYPE_CHECKING:
    from vae_anomaly.detectors.tabular.detector import TabularVAEDetector

KEY = "entities"


def state_of(detector: TabularVAEDetector) -> DetectorState:
    """Return everything that a model directory has to hold."""
    header, weights, rest = detector._scorer.state()
    config = detector.get_params(deep=False) | {"schema": None}
    if detector.column_kinds is not None:
        config["column_kinds"] = dict(detector.column_kinds)
    names = getattr(detector, "feature_names_in_", None)
    return DetectorState(
        kind=detector.kind,
        config=config,
        schema=detector.schema_.to_dict(),
        preprocessing={
            **header,
            "n_features_in": detector.n_features_in_,
            "feature_names_in": None if names is None else [str(name) for name in names],
            **_entity_header(detector.entities_),
        },
        weights=weights,
        calibration=_calibration_arrays(
            detector.calibration_.reference,
            detector.calibration_groups_,
            rest,
            detector._scale,
            detector.entities_,
        ),
        threshold=detector.threshold_.to_dict(),
        fingerprint=detector.fingerprint_,
        metrics=detector.metrics_,
    )


def fill_detector(detector: TabularVAEDetector, state: DetectorState) -> None:
    """Give a detector what was learned, of this version or an earlier one."""
    detector.schema_ = Schema.from_dict(state.schema or {})
    made = state.preprocessing
    detector.n_features_in_ = int(made["n_features_in"])
    if made["feature_names_in"] is not None:
        detector.feature_names_in_ = np.array(made["feature_names_in"], dtype=object)
    rest = _arrays_under("scorer", state.calibration)
    detector._scorer = RowScorer.from_state(made, state.weights, rest)
    detector._scale = _scale_from_state(state.calibration)
    detector.entities_ = _entities_from_state(made, state.calibration)
    detector.calibration_ = ConformalCalibration(state.calibration["reference"])
    if "reference_groups" in state.calibration:
        detector.calibration_groups_ = state.calibration["reference_groups"]
    detector.threshold_ = Threshold.from_dict(state.threshold or {})
    detector.fingerprint_, detector.metrics_ = state.fingerprint, state.metrics


def _entity_header(entities: EntityHistories | None) -> dict[str, Any]:
    """Return what goes into the preprocessing; nothing without entities, as ever."""
    return {} if entities is None else {KEY: entities.columns.to_dict()}


def _calibration_arrays(
    reference: AnyArray,
    groups: AnyArray | None,
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


def _arrays_under(start: str, calibration: Mapping[str, AnyArray]) -> Arrays:
    """Return the arrays of one part, without its prefix."""
    prefix = f"{start}."
    return {k[len(prefix) :]: v for k, v in calibration.items() if k.startswith(prefix)}


def _scale_from_state(calibration: Mapping[str, AnyArray]) -> ConditionalScale | None:
    """Return the scale of a saved detector with a condition, if it has one."""
    arrays = _arrays_under("scale", calibration)
    return ConditionalScale(arrays["scores"], arrays["codes"]) if arrays else None


def _entities_from_state(
    made: Mapping[str, Any], calibration: Mapping[str, AnyArray]
) -> EntityHistories | None:
    """Return the histories of a saved detector, if it has any."""
    if KEY not in made:
        return None
    columns = EntityColumns.from_dict(made[KEY])
    return EntityHistories.from_arrays(columns, _arrays_under(KEY, calibration))
