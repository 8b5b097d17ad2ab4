"""What the networks of a table read and how they are built, and their weights to begin with."""

from __future__ import annotations

from collections import Counter

from vae_anomaly.detectors.tabular.encode.table import TableEncoder
from vae_anomaly.detectors.tabular.model import TabularModel
from vae_anomaly.detectors.tabular.network import FamilyNetwork, StackedNetwork
from vae_anomaly.detectors.warm_start import WarmStart, parameters_of
from vae_anomaly.words import number_of


def network_facts(
    encoder: TableEncoder, views: tuple[str, ...], model: str, condition: str | None
) -> dict[str, str]:
    """Return what has to agree between two tables, in words."""
    n_features = Counter(owner for feature in encoder.features for owner in feature.owners)
    columns = {
        f"column {column.name!r}": f"{column.kind} in {number_of(n_features[place], 'feature')}"
        for place, column in enumerate(encoder.columns)
    }
    order = ", ".join(column.name for column in encoder.columns)
    rest = {"views": ", ".join(views), "model": repr(model), "condition": repr(condition)}
    return {**columns, **rest, "order of the columns": order}


def weights_of_table(
    model: TabularModel, kind: str, condition: str | None, label: str
) -> WarmStart:
    """Return the weights of a fitted model, view by view.

    Parameters
    ----------
    kind, condition : str
        Parameters ``model`` and ``condition`` of its detector.
    """
    views = tuple(view.name for view in model.views)
    networks = []
    for view in model.views:
        network = view.network
        assert isinstance(network, StackedNetwork | FamilyNetwork)  # noqa: S101 - there are no more
        networks.append(network.vae if isinstance(network, StackedNetwork) else network.model)
    facts = network_facts(model.encoder, views, kind, condition)
    return WarmStart(label, facts, tuple(map(parameters_of, networks)))
