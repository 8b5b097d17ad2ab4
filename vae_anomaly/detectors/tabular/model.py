"""From encoded rows to the fused score: one chain of views, networks, memories and surprises.

The chain is immutable once fitted. All its steps give a row the same numbers alone and in any
batch: networks and searches see fixed-size chunks, padded with zeros.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch

from vae_anomaly.arrays import Arrays, Floats, Floats32, Ints
from vae_anomaly.detectors.tabular.encode.condition import Condition
from vae_anomaly.detectors.tabular.encode.table import EncodedTable, TableEncoder
from vae_anomaly.detectors.tabular.encode.views import View, make_view
from vae_anomaly.detectors.tabular.family import FamilyNetwork
from vae_anomaly.detectors.tabular.memory.coreset import choose_exemplars
from vae_anomaly.detectors.tabular.memory.exemplars import (
    N_GROUPS,
    NEAREST,
    ExemplarMemory,
    Neighbours,
)
from vae_anomaly.detectors.tabular.network import RowNetwork, StackedNetwork
from vae_anomaly.scoring.evidence import Evidence
from vae_anomaly.scoring.fusion import Surprise
from vae_anomaly.vae.stacked import TargetLayout

CHUNK = 512  # rows that a network sees at once; always this many
SPREAD_FLOOR = 0.03
ELBO_VOTES = 4.0
EVEN_SHARE = 2  # of the exemplars in latent space every second is a uniform draw
WEIGHTS_BEFORE = {"latent": 1.0, "data": 1.0, "local": 0.5, "elbo": 1.0}  # of models that
POWER_BEFORE = 2.0  # were saved without them


@dataclass(frozen=True)
class ViewScorer:
    """One view of the rows: its VAE, its two memories, and what is usual there.

    Parameters
    ----------
    view : View
    vae : RowNetwork
    spread : ndarray of shape (Z,), float64
        Mean posterior standard deviation of each latent over training rows, at least .03.
    latents, data : ExemplarMemory
        Of posterior means in units of `spread`, and of viewed rows. Exemplar i of `latents` is
        the same row as exemplar i of `data`.
    latent_gap, data_gap, data_local : Surprise
    condition : Condition, optional
        Rows are shown relative to it.
    """

    view: View
    vae: RowNetwork
    spread: Floats
    latents: ExemplarMemory
    data: ExemplarMemory
    latent_gap: Surprise
    data_gap: Surprise
    data_local: Surprise
    condition: Condition | None = None

    @classmethod
    def fit(
        cls,
        view: View,
        vae: RowNetwork,
        viewed: Floats32,
        *,
        groups: Ints | None,
        sizes: tuple[int, int],
        nearest: int = NEAREST,
        condition: Condition | None = None,
        fresh: Floats32 | None = None,
        seed: int = 0,
    ) -> Self:
        """Fill the memories with the first rows of a random order, or with a summary of the rows.

        Parameters
        ----------
        view : View
        vae : RowNetwork
        viewed : ndarray of shape (N, D), float32
            Training rows in random order.
        groups : ndarray of shape (N,), optional
            Rows of one group do not vouch for each other.
        sizes : (int, int)
            Exemplars in latent and in data space.
        nearest : int
            Exemplars that a gap is measured to.
        condition : Condition, optional
            Under which the rows are shown.
        fresh : ndarray of shape (F, D), float32, optional
            Normal rows beside these. With them, exemplars are chosen as a summary of all rows, and
            the fresh rows tell what is usual for each term; without, the exemplars do.
        seed : int
            Of the choice.
        """
        mean, logvar = encode(vae, viewed)
        spread = np.maximum(np.exp(0.5 * logvar.astype(np.float64)).mean(axis=0), SPREAD_FLOOR)
        n_latent, n_data = sizes
        chosen = _chosen(viewed, sizes, None if fresh is None else seed)
        kept = (lambda n: None) if groups is None else (lambda n: groups[chosen[:n]])
        latent = (mean / spread).astype(np.float32)
        latents = ExemplarMemory.fit(
            latent[chosen[:n_latent]],
            groups=kept(n_latent),
            n_groups=64 if nearest <= NEAREST else N_GROUPS,
            nearest=nearest,
        )
        data = ExemplarMemory.fit(viewed[chosen], groups=kept(n_data), nearest=nearest)
        scorer = cls(
            view=view,
            vae=vae,
            spread=spread,
            latents=latents,
            data=data,
            latent_gap=Surprise.fit(latents.own_gap),
            data_gap=Surprise.fit(data.own_gap),
            data_local=Surprise.fit(data.own_local),
            condition=condition,
        )
        if fresh is None:
            return scorer
        latents.weigh(latent, n_latent // EVEN_SHARE)
        data.weigh(viewed, n_latent // EVEN_SHARE)
        return scorer._told_by(fresh)

    def _told_by(self, fresh: Floats32) -> Self:
        """Take what is usual for each term from rows that are no exemplars."""
        latent_gap, data_gap, data_local = self._statistics(fresh)
        return replace(
            self,
            latent_gap=Surprise.fit(latent_gap),
            data_gap=Surprise.fit(data_gap),
            data_local=Surprise.fit(data_local),
        )

    def look(self, values: Floats) -> Floats32:
        """Return encoded rows as this view shows them, (N, D), float32."""
        viewed = self.view.transform(values)
        return viewed if self.condition is None else self.condition.apply(viewed)

    def invert(self, feature: int, shown: Floats, like: Floats32) -> Floats:
        """Return the values of one feature that are shown so under the conditions of ``like``."""
        viewed = shown if self.condition is None else self.condition.restore(feature, shown, like)
        return self.view.invert(feature, viewed)

    def latent_vectors(self, viewed: Floats32) -> Floats32:
        """Return posterior means in units of the posterior's standard deviation, (N, Z)."""
        mean, _ = encode(self.vae, viewed)
        return (mean / self.spread).astype(np.float32)

    def neighbours(self, viewed: Floats32) -> tuple[Neighbours, Neighbours]:
        """Return the nearest exemplars in latent and in data space."""
        latents = self.latents.search(self.latent_vectors(viewed), self.latents.nearest)
        return latents, self.data.search(viewed)

    def terms(self, viewed: Floats32) -> dict[str, Floats]:
        """Return the surprise of each kind of evidence, shape (N,), nats."""
        latent_gap, data_gap, data_local = self._statistics(viewed)
        return {
            "latent": self.latent_gap(latent_gap),
            "data": self.data_gap(data_gap),
            "local": self.data_local(data_local),
        }

    def _statistics(self, viewed: Floats32) -> tuple[Floats, Floats, Floats]:
        """Return latent gap, data gap and local ratio, each of shape (N,)."""
        near_latent, near_data = self.neighbours(viewed)
        latent_gap, _ = self.latents.statistics(near_latent)
        return latent_gap, *self.data.statistics(near_data)

    def state(self) -> tuple[Arrays, Arrays]:
        """Return weights, and what calibrates the terms."""
        weights = _prefixed("vae", self.vae.weights())
        rest: Arrays = {"spread": self.spread}
        parts: dict[str, Any] = {
            "view": self.view, "latents": self.latents, "data": self.data,
            "latent_gap": self.latent_gap, "data_gap": self.data_gap, "data_local": self.data_local,
        }  # fmt: skip
        if self.condition is not None:
            parts["condition"] = self.condition
        for name, part in parts.items():
            rest |= _prefixed(name, part.state())
        return weights, rest

    @classmethod
    def from_state(cls, name: str, shape: Mapping[str, Any], weights: Arrays, rest: Arrays) -> Self:
        """Make the view again from its name, its network's shape and its arrays."""
        condition = _under("condition", rest)
        return cls(
            view=make_view(name).from_state(_under("view", rest)),
            condition=Condition.from_state(condition) if condition else None,
            vae=build_network(shape, _under("vae", weights)),
            spread=rest["spread"],
            latents=ExemplarMemory.from_state(_under("latents", rest)),
            data=ExemplarMemory.from_state(_under("data", rest)),
            latent_gap=Surprise.from_state(_under("latent_gap", rest)),
            data_gap=Surprise.from_state(_under("data_gap", rest)),
            data_local=Surprise.from_state(_under("data_local", rest)),
        )


@dataclass(frozen=True)
class RowScorer:
    """All views of a table, and the ELBO where it joins the score.

    It does where the table is categorical or mostly discrete, and always under a condition.

    Parameters
    ----------
    encoder : TableEncoder
    views : tuple of ViewScorer
        The last one is the one whose likelihood is reported.
    elbo : Surprise or None
        Of the negative ELBO; None where it stays out of the fused score.
    typical_nll : ndarray of shape (targets,), float64
        Mean negative log-likelihood of each target over rows the network did not train on, nats.
    term_weights : mapping of str to float
        Weight of each kind of term in the fused score; see `weights_at`.
    power : float
        Of the terms in the fused score; see `vae_anomaly.scoring.fusion.fuse`.
    condition : int, optional
        Column that rows are conditioned on.
    """

    encoder: TableEncoder
    views: tuple[ViewScorer, ...]
    elbo: Surprise | None
    typical_nll: Floats
    term_weights: Mapping[str, float]
    power: float = 1.0
    condition: int | None = None

    @property
    def main(self) -> ViewScorer:
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
            f"{kind}_{v.view.name}" for v in self.views for kind in ("latent", "data", "local")
        ]
        names += ["elbo"] if self.elbo is not None else []
        return {name: self.term_weights[name.split("_")[0]] for name in names}

    def terms(self, table: EncodedTable) -> dict[str, Floats]:
        """Return the surprise of every term of the fused score, shape (N,), nats."""
        found = {
            f"{kind}_{scorer.view.name}": surprise
            for scorer in self.views
            for kind, surprise in scorer.terms(scorer.look(table.numbers)).items()
        }
        if self.elbo is not None:
            found["elbo"] = self.elbo(-self.evidence(table).elbo)
        return found

    def terms_of(
        self, score: str, table: EncodedTable
    ) -> tuple[dict[str, Floats], dict[str, float], float]:
        """Return the terms of the score "fused" or "latent", their weights and their power."""
        terms = self.terms(table)
        if score == "fused":
            return terms, self.weights, self.power
        latent = {name: value for name, value in terms.items() if name.startswith("latent")}
        return latent, dict.fromkeys(latent, 1.0), self.power

    def evidence(self, table: EncodedTable, *, iw_draws: int = 0) -> Evidence:
        """Return what the reported view's VAE says, nats."""
        scorer = self.main
        viewed = scorer.look(table.numbers)
        target = targets_of(viewed, table.codes, scorer.vae.layout)
        return evidence_of(scorer.vae, viewed, target, iw_draws=iw_draws)

    def condition_codes(self, table: EncodedTable) -> Ints:
        """Return the code of each row's condition, shape (N,); all 0 where there is none."""
        if self.condition is None:
            return np.zeros(len(table), dtype=np.int64)
        return table.codes[:, self.encoder.discrete.index(self.condition)]

    def state(self) -> tuple[dict[str, Any], Arrays, Arrays]:
        """Return JSON values, weights, and what calibrates the terms."""
        weights: Arrays = {}
        rest: Arrays = {"typical_nll": self.typical_nll}
        for scorer in self.views:
            its_weights, its_rest = scorer.state()
            weights |= _prefixed(scorer.view.name, its_weights)
            rest |= _prefixed(scorer.view.name, its_rest)
        if self.elbo is not None:
            rest |= _prefixed("elbo", self.elbo.state())
        header: dict[str, Any] = {
            "encoder": self.encoder.to_dict(),
            "views": [{"name": s.view.name, "vae": s.vae.shape()} for s in self.views],
            "term_weights": dict(self.term_weights),
            "power": self.power,
        }
        if self.condition is not None:
            header["condition"] = self.condition
        return header, weights, rest

    @classmethod
    def from_state(cls, header: Mapping[str, Any], weights: Arrays, rest: Arrays) -> Self:
        """Make the chain again."""
        views = tuple(
            ViewScorer.from_state(
                view["name"], view["vae"], _under(view["name"], weights), _under(view["name"], rest)
            )
            for view in header["views"]
        )
        elbo = _under("elbo", rest)
        return cls(
            encoder=TableEncoder.from_dict(header["encoder"]),
            views=views,
            elbo=Surprise.from_state(elbo) if elbo else None,
            typical_nll=rest["typical_nll"],
            term_weights=header.get("term_weights", WEIGHTS_BEFORE),
            power=header.get("power", POWER_BEFORE),
            condition=header.get("condition"),
        )


def _chosen(viewed: Floats32, sizes: tuple[int, int], seed: int | None) -> Ints:
    """Return the places of the exemplars; the first are those in latent space too.

    Without a seed they are the first rows. Else they are a summary, its uniform part first and the
    others in random order, since a search finds at most one exemplar of each run of places.
    """
    n_latent, n_data = sizes
    if seed is None:
        return np.arange(min(n_data, len(viewed)))
    rng, n_even = np.random.default_rng(seed), n_latent // EVEN_SHARE
    chosen = choose_exemplars(viewed, n_data, n_even, rng)
    middle, rest = chosen[n_even:n_latent], chosen[n_latent:]
    return np.concatenate([chosen[:n_even], rng.permutation(middle), rng.permutation(rest)])


def weights_at(trust: float, trust_in_elbo: float) -> dict[str, float]:
    """Return the weight of each kind of term where the VAE is trusted so much, each 0 to 1.

    In each view, latent terms and those of the rows themselves share two votes; the local ratio has
    half a vote of the latter. A trusted ELBO has as many as these in two views together.
    """
    rows = 1.0 - trust
    elbo = ELBO_VOTES * trust_in_elbo
    return {"latent": 2.0 * trust, "data": 2.0 * rows, "local": rows, "elbo": elbo}


def target_layout(encoder: TableEncoder, *, typed: bool) -> TargetLayout:
    """Say what a decoder is asked about.

    Parameters
    ----------
    encoder : TableEncoder
    typed : bool
        True asks for the codes of the discrete columns and the numbers of the others; False for
        every feature as a Gaussian.
    """
    if not typed:
        return TargetLayout(tuple(range(len(encoder.features))))
    coded = {j for where, _ in encoder.codebook() for j in range(where.start, where.stop)}
    gaussian = tuple(j for j in range(len(encoder.features)) if j not in coded)
    return TargetLayout(gaussian, encoder.code_sizes)


def targets_of(viewed: Floats32, codes: Ints, layout: TargetLayout) -> Floats32:
    """Return the targets of rows, (N, n_targets), float32."""
    gaussian = viewed[:, list(layout.gaussian)]
    if not layout.classes:
        return gaussian
    return np.concatenate([gaussian, codes.astype(np.float32)], axis=1)


@torch.inference_mode()
def encode(vae: RowNetwork, viewed: Floats32) -> tuple[Floats32, Floats32]:
    """Return posterior means and log variances, each (N, Z), float32."""
    n = len(viewed)
    mean = np.empty((n, vae.latent_dim), dtype=np.float32)
    logvar = np.empty_like(mean)
    for start in range(0, n, CHUNK):
        m, v = vae.encode(_padded(viewed, start))
        stop = min(start + CHUNK, n)
        mean[start:stop], logvar[start:stop] = m[: stop - start], v[: stop - start]
    return mean, logvar


def evidence_of(
    vae: RowNetwork, viewed: Floats32, target: Floats32, *, iw_draws: int = 0
) -> Evidence:
    """Return the evidence of rows, chunk by chunk."""
    parts = [
        vae.evidence(_padded(viewed, s), _padded(target, s), iw_draws=iw_draws)
        for s in range(0, max(len(viewed), 1), CHUNK)
    ]
    n = len(viewed)
    bounds = [part.iw_nll for part in parts if part.iw_nll is not None]
    return Evidence(
        np.concatenate([part.nll_per_dim for part in parts])[:n],
        np.concatenate([part.kl_per_dim for part in parts])[:n],
        np.concatenate(bounds)[:n] if bounds else None,
    )


def build_network(shape: Mapping[str, Any], weights: Arrays) -> RowNetwork:
    """Make a network from its shape and weights; one without a description is stacked."""
    kind = FamilyNetwork if "description" in shape else StackedNetwork
    return kind.from_state(shape, weights)


def _padded(rows: Floats32, start: int) -> torch.Tensor:
    """Return one chunk as (CHUNK, D), zeros after the last row."""
    part = rows[start : start + CHUNK]
    chunk = torch.zeros(CHUNK, rows.shape[1])
    chunk[: len(part)] = torch.from_numpy(np.ascontiguousarray(part))
    return chunk


def _prefixed(name: str, arrays: Arrays) -> Arrays:
    return {f"{name}.{key}": value for key, value in arrays.items()}


def _under(name: str, arrays: Arrays) -> Arrays:
    """Return the arrays whose key begins with ``name.``, without it."""
    start = f"{name}."
    return {key[len(start) :]: v for key, v in arrays.items() if key.startswith(start)}
