"""The model of a table detector as JSON values and arrays, and back.

JSON stands in the ``preprocessing`` of a `DetectorState`. Arrays have a prefix each::

    weights       <view>.vae.*     networks
    calibration   scorer.*         memories and what is usual there, <view>.* and elbo.*
                  scale.*          scores with their conditions, where there is a condition
                  entities.*       the entities' histories; their columns are in the header
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from vae_anomaly.arrays import Arrays
from vae_anomaly.data.tables.entity_histories import EntityColumns, EntityHistories
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.detectors.tabular.encode.condition import Condition
from vae_anomaly.detectors.tabular.encode.table import TableEncoder
from vae_anomaly.detectors.tabular.encode.views import VIEWS
from vae_anomaly.detectors.tabular.exemplars import ExemplarMemory
from vae_anomaly.detectors.tabular.model import TabularModel, ViewModel, are_weights
from vae_anomaly.detectors.tabular.network import (
    FamilyNetwork,
    StackedNetwork,
    build_network,
    target_layout,
)
from vae_anomaly.errors import DataError
from vae_anomaly.persistence import DetectorState
from vae_anomaly.scoring.conformal import ConditionalScale
from vae_anomaly.scoring.fusion import TermSurprise
from vae_anomaly.state import Json, from_json, named, under

WEIGHTS_BEFORE = {"latent": 1.0, "data": 1.0, "local": 0.5, "elbo": 1.0}  # of models that
POWER_BEFORE = 2.0  # were saved without them
POWERS = (1.0, POWER_BEFORE)


@dataclass(frozen=True)
class _View:
    name: Literal["std", "arg"]
    vae: Json


@dataclass(frozen=True)
class _Header:
    """What `header_of` gives, and what the detector adds of its input."""

    encoder: Json
    views: Annotated[tuple[_View, ...], Field(min_length=1, max_length=len(VIEWS))]
    n_features_in: Annotated[int, Field(ge=1)]
    feature_names_in: tuple[str, ...] | None = None
    term_weights: dict[str, Annotated[float, Field(strict=True)]] | None = None
    power: float = POWER_BEFORE
    condition: int | None = None
    entities: Json | None = None


def header_of(model: TabularModel) -> Json:
    """Return what a model is besides its arrays, as JSON values."""
    header: Json = {
        "encoder": model.encoder.to_dict(),
        "views": [{"name": v.name, "vae": v.network.shape()} for v in model.views],
        "term_weights": dict(model.term_weights),
        "power": model.power,
    }
    if model.condition is not None:
        header["condition"] = model.condition
    if model.entities is not None:
        header["entities"] = asdict(model.entities.columns)
    return header


def weights_of(model: TabularModel) -> Arrays:
    """Return the weights of all networks."""
    return named({f"{view.name}.vae": view.network.weights() for view in model.views})


def arrays_of(model: TabularModel) -> Arrays:
    """Return all arrays that are no weights of networks."""
    memories = named({view.name: _view_arrays(view) for view in model.views})
    elbo = {} if model.elbo is None else named({"elbo": model.elbo.state()})
    return named(
        {
            "scorer": {"typical_nll": model.typical_nll, **memories, **elbo},
            "scale": {} if model.scale is None else model.scale.state(),
            "entities": {} if model.entities is None else model.entities.arrays(),
        }
    )


def model_from(state: DetectorState) -> TabularModel:
    """Make the model again, of this version or an earlier one."""
    header = from_json(_Header, state.preprocessing)
    arrays = under("scorer", state.calibration)
    elbo, scale = under("elbo", arrays), under("scale", state.calibration)
    model = TabularModel(
        schema=Schema.from_dict(state.schema or {}),
        encoder=TableEncoder.from_dict(header.encoder),
        views=tuple(
            _view_from(v.name, v.vae, under(f"{v.name}.vae", state.weights), under(v.name, arrays))
            for v in header.views
        ),
        elbo=TermSurprise.from_state(elbo) if elbo else None,
        typical_nll=arrays["typical_nll"],
        term_weights=_term_weights(header),
        score=state.config["score"],
        power=header.power,
        condition=header.condition,
        scale=ConditionalScale(scale["scores"], scale["codes"]) if scale else None,
        entities=_entities_from(state),
    )
    _check_fit(model)
    return model


def _term_weights(header: _Header) -> dict[str, float]:
    """Return the weights; a model that was saved before them has no power either."""
    if header.term_weights is None and header.power != POWER_BEFORE:
        raise DataError("The model has a power of its terms, and no term_weights.")
    return WEIGHTS_BEFORE if header.term_weights is None else header.term_weights


def _check_fit(model: TabularModel) -> None:
    """Refuse parts that were not saved together: each is sound, and they do not fit."""
    encoder, discrete = model.encoder, set(model.encoder.discrete)
    unknown = set(encoder.names) - {column.name for column in model.schema.features}
    if unknown:
        raise DataError(
            f"The encoder reads {sorted(unknown)[0]!r}, which the schema does not know."
        )
    width = len(encoder.features)
    if any(view.view.transform(np.zeros((1, width))).shape != (1, width) for view in model.views):
        raise DataError(f"A view does not show the {width} features that the encoder makes.")
    layouts = [target_layout(encoder, typed=typed) for typed in (True, False)]
    family = [v.network for v in model.views if isinstance(v.network, FamilyNetwork)]
    if any(max((*one.features, *one.condition), default=0) >= width for one in family):
        raise DataError("A network asks for features that the encoder does not make.")
    stacked = [v.network for v in model.views if isinstance(v.network, StackedNetwork)]
    if any(network.layout not in layouts for network in stacked):
        raise DataError("A network is asked about other features than the encoder makes.")
    if model.condition is not None and model.condition not in discrete:
        raise DataError(f"Column {model.condition} is no condition: it has no codes.")
    if model.power not in POWERS or not are_weights(model.term_weights):
        raise DataError(
            f"power {model.power:g} and weights {dict(model.term_weights)} are none that a model "
            "of rows has."
        )


def _view_arrays(model: ViewModel) -> Arrays:
    parts = {
        "view": model.view.state(),
        "latents": model.latents.state(),
        "data": model.data.state(),
        "latent_gap": model.latent_gap.state(),
        "data_gap": model.data_gap.state(),
        "data_local": model.data_local.state(),
        "condition": {} if model.condition is None else model.condition.state(),
    }
    return {"spread": model.spread, **named(parts)}


def _view_from(name: str, shape: Json, weights: Arrays, arrays: Arrays) -> ViewModel:
    condition = under("condition", arrays)
    return ViewModel(
        view=VIEWS[name].from_state(under("view", arrays)),
        network=build_network(shape, weights),
        spread=arrays["spread"],
        latents=ExemplarMemory.from_state(under("latents", arrays)),
        data=ExemplarMemory.from_state(under("data", arrays)),
        latent_gap=TermSurprise.from_state(under("latent_gap", arrays)),
        data_gap=TermSurprise.from_state(under("data_gap", arrays)),
        data_local=TermSurprise.from_state(under("data_local", arrays)),
        condition=Condition.from_state(condition) if condition else None,
    )


def _entities_from(state: DetectorState) -> EntityHistories | None:
    """Return the histories of a saved detector, if it has any."""
    if "entities" not in state.preprocessing:
        return None
    columns = from_json(EntityColumns, state.preprocessing["entities"])
    return EntityHistories.from_arrays(columns, under("entities", state.calibration))
