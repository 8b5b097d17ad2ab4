"""What a fitted table detector consists of: all that is saved, and all that scoring needs.

::

    TabularModel    encoder, views, weights of the terms, scale of a condition, histories
    └── ViewModel   one view of the rows: its network, its two memories, what is usual there

Both are immutable once fitted (`vae_anomaly.detectors.tabular.fit`). What they find about rows is a
`vae_anomaly.detectors.tabular.examination.TableExamination`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vae_anomaly.arrays import Floats, Floats32, Ints
from vae_anomaly.data.tables.entity_histories import EntityHistories
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.detectors.tabular.encode.condition import Condition
from vae_anomaly.detectors.tabular.encode.table import EncodedTable, TableEncoder
from vae_anomaly.detectors.tabular.encode.views import View
from vae_anomaly.detectors.tabular.exemplars import ExemplarMemory, Neighbours
from vae_anomaly.detectors.tabular.network import RowNetwork
from vae_anomaly.detectors.tabular.settings import Score
from vae_anomaly.scoring.conformal import ConditionalScale
from vae_anomaly.scoring.fusion import TermSurprise

ELBO_VOTES = 4.0


@dataclass(frozen=True)
class Neighbourhood:
    """The exemplars nearest to N rows, in latent and in data space."""

    latent: Neighbours
    data: Neighbours

    def take(self, rows: Ints) -> Neighbourhood:
        """Return those of some rows."""
        return Neighbourhood(self.latent.take(rows), self.data.take(rows))


@dataclass(frozen=True)
class ViewModel:
    """One view of the rows: its network, its two memories, and what is usual there."""

    view: View
    network: RowNetwork
    spread: Floats  # (Z,), mean posterior standard deviation over training rows, at least .03
    latents: ExemplarMemory  # of posterior means in units of `spread`
    data: ExemplarMemory  # of viewed rows; its first exemplars are those of `latents`
    latent_gap: TermSurprise
    data_gap: TermSurprise
    data_local: TermSurprise
    condition: Condition | None = None  # rows are shown relative to it

    @property
    def name(self) -> str:
        """Name of the view, ``"std"`` or ``"arg"``."""
        return self.view.name

    def look(self, values: Floats) -> Floats32:
        """Return encoded rows as this view shows them, (N, D), float32."""
        viewed = self.view.transform(values)
        return viewed if self.condition is None else self.condition.apply(viewed)

    def invert(self, feature: int, shown: Floats, like: Floats32) -> Floats:
        """Return the values of one feature that are shown so under the conditions of ``like``."""
        viewed = shown if self.condition is None else self.condition.restore(feature, shown, like)
        return self.view.invert(feature, viewed)

    def neighbours(self, means: Floats32, viewed: Floats32) -> Neighbourhood:
        """Return the exemplars nearest to rows with posterior means (N, Z), shown so (N, D)."""
        in_spreads = (means / self.spread).astype(np.float32)
        latent = self.latents.search(in_spreads, self.latents.nearest)
        return Neighbourhood(latent, self.data.search(viewed))

    def statistics(self, near: Neighbourhood) -> tuple[Floats, Floats, Floats]:
        """Return latent gap, data gap and local ratio, each of shape (N,)."""
        latent_gap, _ = self.latents.statistics(near.latent)
        return latent_gap, *self.data.statistics(near.data)

    def terms(self, near: Neighbourhood) -> dict[str, Floats]:
        """Return the surprise of each kind of evidence, shape (N,), nats."""
        latent_gap, data_gap, data_local = self.statistics(near)
        return {
            "latent": self.latent_gap(latent_gap),
            "data": self.data_gap(data_gap),
            "local": self.data_local(data_local),
        }


@dataclass(frozen=True)
class TabularModel:
    """All views of a table, and the ELBO where it joins the score.

    It does where the table is categorical or mostly discrete, and always under a condition.
    """

    schema: Schema
    encoder: TableEncoder
    views: tuple[ViewModel, ...]  # the last one is the one whose likelihood is reported
    elbo: TermSurprise | None  # of the negative ELBO; None where it stays out of the fused score
    typical_nll: Floats  # (targets,), mean over rows the network did not train on, nats
    term_weights: Mapping[str, float]  # of each kind of term in the fused score: `weights_at`
    score: Score = "fused"  # which evidence is the raw score
    power: float = 1.0  # of the terms in the fused score: `vae_anomaly.scoring.fusion.fuse`
    condition: int | None = None  # column that rows are conditioned on
    scale: ConditionalScale | None = None  # makes scores of all conditions comparable
    entities: EntityHistories | None = None  # make columns relative to an entity's own past

    @property
    def main(self) -> ViewModel:
        """The view whose likelihood is reported."""
        return self.views[-1]

    @property
    def trust(self) -> float:
        """How far the VAE is trusted beside its exemplars, 0 to 1."""
        return self.term_weights["latent"] / 2.0

    @property
    def trust_in_elbo(self) -> float:
        """How far an ELBO that joins the score is trusted, 0 to 1; 0 where it stays out."""
        return 0.0 if self.elbo is None else self.term_weights["elbo"] / ELBO_VOTES

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each term in the fused score."""
        names = [
            f"{kind}_{view.name}" for view in self.views for kind in ("latent", "data", "local")
        ]
        names += ["elbo"] if self.elbo is not None else []
        return {name: self.term_weights[name.split("_")[0]] for name in names}

    def condition_codes(self, table: EncodedTable) -> Ints:
        """Return the code of each row's condition, shape (N,); all 0 where there is none."""
        if self.condition is None:
            return np.zeros(len(table), dtype=np.int64)
        return table.codes[:, self.encoder.discrete.index(self.condition)]


def weights_at(trust: float, trust_in_elbo: float) -> dict[str, float]:
    """Return the weight of each kind of term where the VAE is trusted so much, each 0 to 1.

    In each view, latent terms and those of the rows themselves share two votes; the local ratio has
    half a vote of the latter. A trusted ELBO has as many as these in two views together.
    """
    rows = 1.0 - trust
    elbo = ELBO_VOTES * trust_in_elbo
    return {"latent": 2.0 * trust, "data": 2.0 * rows, "local": rows, "elbo": elbo}


def are_weights(weights: Mapping[str, float]) -> bool:
    """Tell whether these are what `weights_at` gives for some trust."""
    trust, trust_in_elbo = weights["latent"] / 2.0, weights["elbo"] / ELBO_VOTES
    fair = weights_at(trust, trust_in_elbo)
    return (
        0.0 <= trust <= 1.0
        and 0.0 <= trust_in_elbo <= 1.0
        and fair.keys() == weights.keys()
        and all(math.isclose(fair[name], weights[name], abs_tol=1e-9) for name in fair)
    )
