"""The model of a table detector as JSON values and arrays, and back.

JSON stands in the ``preprocessing`` of a `DetectorState`. Arrays have a prefix each::

    weights       <view>.vae.*     networks
    calibration   scorer.*         memories and what is usual there, <view>.* and elbo.*
                  scale.*          scores with their conditions, where there is a condition
                  entities.*       the entities' histories; their columns are in the header
"""

from __future__ import annotations

from collections.abc import Mapping

from vae_anomaly.arrays import Arrays
from vae_anomaly.data.tables.entity_histories import EntityColumns, EntityHistories
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.detectors.tabular.encode.condition import Condition
from vae_anomaly.detectors.tabular.encode.table import TableEncoder
from vae_anomaly.detectors.tabular.encode.views import make_view
from vae_anomaly.detectors.tabular.memory.exemplars import ExemplarMemory
from vae_anomaly.detectors.tabular.model import TabularModel, ViewModel
from vae_anomaly.detectors.tabular.network import build_network
from vae_anomaly.persistence import DetectorState, Json
from vae_anomaly.scoring.conformal import ConditionalScale
from vae_anomaly.scoring.fusion import TermSurprise

WEIGHTS_BEFORE = {"latent": 1.0, "data": 1.0, "local": 0.5, "elbo": 1.0}  # of models that
POWER_BEFORE = 2.0  # were saved without them


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
    return header


def entity_header(model: TabularModel) -> Json:
    """Return the columns of the histories; nothing without entities, as ever."""
    return {} if model.entities is None else {"entities": model.entities.columns.to_dict()}


def weights_of(model: TabularModel) -> Arrays:
    """Return the weights of all networks."""
    networks = {f"{view.name}.vae": view.network.weights() for view in model.views}
    return _named(networks)


def arrays_of(model: TabularModel) -> Arrays:
    """Return all arrays that are no weights of networks."""
    memories = _named({view.name: _view_arrays(view) for view in model.views})
    elbo = {} if model.elbo is None else _named({"elbo": model.elbo.state()})
    return _named(
        {
            "scorer": {"typical_nll": model.typical_nll, **memories, **elbo},
            "scale": {} if model.scale is None else model.scale.state(),
            "entities": {} if model.entities is None else model.entities.arrays(),
        }
    )


def model_from(state: DetectorState) -> TabularModel:
    """Make the model again, of this version or an earlier one."""
    header, arrays = state.preprocessing, _under("scorer", state.calibration)
    elbo, scale = _under("elbo", arrays), _under("scale", state.calibration)
    return TabularModel(
        schema=Schema.from_dict(state.schema or {}),
        encoder=TableEncoder.from_dict(header["encoder"]),
        views=tuple(
            _view_from(v["name"], v["vae"], _under(f"{v['name']}.vae", state.weights),
                       _under(v["name"], arrays))
            for v in header["views"]
        ),
        elbo=TermSurprise.from_state(elbo) if elbo else None,
        typical_nll=arrays["typical_nll"],
        term_weights=header.get("term_weights", WEIGHTS_BEFORE),
        score=state.config["score"],
        power=header.get("power", POWER_BEFORE),
        condition=header.get("condition"),
        scale=ConditionalScale(scale["scores"], scale["codes"]) if scale else None,
        entities=_entities_from(state),
    )  # fmt: skip


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
    return {"spread": model.spread, **_named(parts)}


def _view_from(name: str, shape: Json, weights: Arrays, arrays: Arrays) -> ViewModel:
    condition = _under("condition", arrays)
    return ViewModel(
        view=make_view(name).from_state(_under("view", arrays)),
        network=build_network(shape, weights),
        spread=arrays["spread"],
        latents=ExemplarMemory.from_state(_under("latents", arrays)),
        data=ExemplarMemory.from_state(_under("data", arrays)),
        latent_gap=TermSurprise.from_state(_under("latent_gap", arrays)),
        data_gap=TermSurprise.from_state(_under("data_gap", arrays)),
        data_local=TermSurprise.from_state(_under("data_local", arrays)),
        condition=Condition.from_state(condition) if condition else None,
    )


def _entities_from(state: DetectorState) -> EntityHistories | None:
    """Return the histories of a saved detector, if it has any."""
    if "entities" not in state.preprocessing:
        return None
    columns = EntityColumns.from_dict(state.preprocessing["entities"])
    return EntityHistories.from_arrays(columns, _under("entities", state.calibration))


def _named(parts: Mapping[str, Arrays]) -> Arrays:
    """Return the arrays of all parts under ``part.array``."""
    return {f"{part}.{name}": array for part, own in parts.items() for name, array in own.items()}


def _under(part: str, arrays: Arrays) -> Arrays:
    """Return the arrays of one part, without its prefix."""
    start = f"{part}."
    return {name[len(start) :]: v for name, v in arrays.items() if name.startswith(start)}
