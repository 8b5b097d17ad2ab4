"""Exemplar memory: how far a row lies from the nearest normal rows, and how dense it is there.

Distances are found in three steps that cost little and always come out the same:

1. one matrix product of a fixed size (rows are padded) ranks all exemplars (`ChunkProduct`);
2. the best of each of 64 or 128 groups of exemplars, and the k best of those (a miss needs two of
   the k nearest in one group; the calibration is made with the same search);
3. the distances to those k are computed again from differences, so that an exemplar itself is at
   distance 0 and a row's result does not depend on the rows beside it.

Vectors wider than `MAX_COMPONENTS` are projected on their principal directions; the squared norm of
what remains is kept: ``D^2 = |P q - P e|^2 + rest(q) + rest(e)``.

Statistics of a row, from its k nearest exemplars:

* *gap* ``G = mean distance of the nearest 3 + eps`` (or 5, where exemplars may be anomalies);
* *local ratio* ``L = (mean distance of the nearest 5 + eps) / (mean of the same over those 5)``, as
  in the local outlier factor.

Where the exemplars are a summary of more rows (`vae_anomaly.detectors.tabular.fit.memories`),
each has a weight: the rows that it is the nearest exemplar of. The gap is then the mean distance of
the nearest 3 *rows*, an exemplar standing for as many as its weight says at its own place. The
local ratio stays one of exemplars to exemplars. Weights of 1 give the same numbers as none.

Read in latent space with distances in units of the posterior's standard deviation, G is a
nearest-neighbour estimate of the aggregated posterior's density.

References
----------
Breunig, Kriegel, Ng and Sander, LOF: Identifying Density-Based Local Outliers, 2000.
Tomczak and Welling, VAE with a VampPrior, 2018 (aggregated posterior).
https://uxlfoundation.github.io/oneDNN/dev_guide_matmul.html (products).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from vae_anomaly.arrays import Arrays, Floats, Floats32, Ints
from vae_anomaly.errors import DataError, NotEnoughDataError

_CHUNK = 128  # rows a matrix product is made for; always this many
N_GROUPS = 128  # for 5 neighbours; 64 for 3
EXACT_BELOW = 512  # exemplars, under which every one is its own group
MAX_COMPONENTS = 32
PROJECTION_BUDGET = 320_000  # exemplars x components that cost nothing noticeable
NEAREST = 3
_MOST_GROUPS = 100_000
LOCAL = 5
RELATIVE_EPS = 1e-3
FAR = 1e30
FIRST_OF_ROW = np.arange(_CHUNK)[:, None]
PLACE_BITS = (1 << 29) - 1


@dataclass(frozen=True)
class Projection:
    """Principal directions of the exemplars."""

    center: Floats32  # (D,)
    basis: Floats32 | None  # (D, P), orthonormal columns; None keeps all dimensions

    @classmethod
    def fit(cls, vectors: Floats32, n_components: int) -> Self:
        """Take the mean, and the directions of the largest variance where they are fewer than D."""
        center = vectors.mean(axis=0, dtype=np.float64)
        if n_components >= vectors.shape[1]:
            return cls(center.astype(np.float32), None)
        basis = _principal_directions(vectors - center, n_components)
        return cls(center.astype(np.float32), np.ascontiguousarray(basis, dtype=np.float32))

    def apply(self, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return coordinates (N, P) and squared norms of the remainder (N,)."""
        centred = vectors - torch.from_numpy(self.center)
        if self.basis is None:
            return centred, centred.new_zeros(len(centred))
        coordinates = centred @ torch.from_numpy(self.basis)
        rest = centred.square().sum(1) - coordinates.square().sum(1)
        return coordinates, rest.clamp_(min=0.0)


@dataclass(frozen=True)
class Neighbours:
    """The k nearest exemplars of each row, nearest first."""

    distance: Floats  # (N, k)
    index: Ints  # (N, k), which exemplar

    def take(self, rows: Ints) -> Neighbours:
        """Return those of some rows."""
        return Neighbours(self.distance[rows], self.index[rows])


class ChunkProduct:
    """Multiply chunks of so many rows by one table, as fast as torch can make it here.

    ``torch.mm`` leaves half of the speed of some processors unused; oneDNN, which torch brings
    along, packs the table once and has kernels for wide registers of any maker. Its operator is not
    part of torch's public interface: where it is missing or fails, ``torch.mm`` does the same.
    """

    def __init__(self, table: torch.Tensor, n_rows: int) -> None:
        self.table, self.n_rows = table, n_rows  # (P, M), float32
        self._packed = _packed(table, n_rows)

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Return ``rows @ table``, shape (n_rows, M); the caller may write into it."""
        return rows @ self.table if self._packed is None else _linear(rows, self._packed)

    def __reduce__(self) -> tuple[type[ChunkProduct], tuple[torch.Tensor, int]]:
        """Copy and pickle the table alone: the packed one belongs to this processor."""
        return ChunkProduct, (self.table, self.n_rows)


class ExemplarMemory:
    """Search normal exemplars and turn distances into the gap and the local ratio.

    Parameters
    ----------
    vectors : ndarray of shape (M, D), float32
        Exemplars in random order.
    eps : float
        Smallest distance that counts, in the vectors' unit.
    scale : ndarray of shape (M,), float64
        Each exemplar's own mean distance to its 5 nearest others.
    n_groups : int
        Of the search where there are more than 512 exemplars; fewer miss a neighbour more often.
    nearest : int
        Exemplars in the gap, at most 5; rows where the exemplars have weights.
    weights : ndarray of shape (M,), float64, optional
        Rows that each exemplar stands for, at least 1; left out, one each.
    n_even : int, optional
        The first exemplars, so many, are a uniform draw; left out, all are.
    """

    own_gap: Floats  # leave-one-out statistics of the exemplars, (M,); only after `fit`
    own_local: Floats

    def __init__(
        self,
        vectors: Floats32,
        projection: Projection,
        eps: float,
        scale: Floats,
        n_groups: int = N_GROUPS,
        nearest: int = NEAREST,
        weights: Floats | None = None,
        n_even: int | None = None,
    ) -> None:
        self.vectors, self.projection, self.eps, self.scale = vectors, projection, eps, scale
        self.n_groups, self.nearest, self.weights = n_groups, nearest, weights
        self.n_even = len(vectors) if n_even is None else n_even
        self._index_exemplars()

    @classmethod
    def fit(
        cls,
        vectors: Floats32,
        *,
        groups: Ints | None = None,
        max_components: int = MAX_COMPONENTS,
        n_groups: int = N_GROUPS,
        nearest: int = NEAREST,
    ) -> Self:
        """Remember exemplars (M, D), in random order, and measure each against the others.

        Exemplars of one group are not neighbours of each other here. Fewer than 3 exemplars raise
        `NotEnoughDataError`.
        """
        if len(vectors) < NEAREST:
            raise NotEnoughDataError(
                f"A memory needs at least {NEAREST} exemplars; got {len(vectors)}. "
                "Train on more normal rows."
            )
        n_components = _components(vectors.shape, max_components)
        projection = Projection.fit(vectors, n_components)
        memory = cls(vectors, projection, 0.0, np.ones(len(vectors)), n_groups, nearest)
        own = memory._search_own(groups)
        near = _mean_of(own.distance, LOCAL)
        memory.eps = RELATIVE_EPS * float(np.median(near)) + 1e-9
        memory.scale = near + memory.eps
        memory.own_gap, memory.own_local = memory.statistics(own)
        return memory

    @property
    def even(self) -> Floats32:
        """Exemplars that are a uniform draw of the normal rows, in random order."""
        return self.vectors[: self.n_even]

    @property
    def n_rows(self) -> int:
        """Rows that the exemplars stand for."""
        return len(self.vectors) if self.weights is None else round(float(self.weights.sum()))

    def weigh(self, rows: Floats32, n_even: int) -> None:
        """Count for each exemplar the rows, of those it was chosen from, that it is the nearest of.

        The first exemplars, ``n_even``, are a uniform draw.
        """
        nearest = self.search(rows, 1).index[:, 0]
        counts = np.bincount(nearest, minlength=len(self.vectors))
        self.weights, self.n_even = np.maximum(counts, 1).astype(np.float64), n_even

    def statistics(self, neighbours: Neighbours) -> tuple[Floats, Floats]:
        """Return gap and local ratio of each row, shape (N,), > 0, higher = more anomalous."""
        gap = self._nearest_rows(neighbours) + self.eps
        around = self.scale[neighbours.index[:, :LOCAL]].mean(axis=1)
        local = (_mean_of(neighbours.distance, LOCAL) + self.eps) / around
        return gap, local

    def _nearest_rows(self, neighbours: Neighbours) -> Floats:
        """Return the mean distance of the nearest rows that the exemplars stand for, (N,)."""
        if self.weights is None:
            return _mean_of(neighbours.distance, self.nearest)
        rows = self.weights[neighbours.index]
        before = np.cumsum(rows, axis=1) - rows
        counted = np.clip(self.nearest - before, 0.0, rows)
        return np.asarray((counted * neighbours.distance).sum(axis=1) / counted.sum(axis=1))

    def state(self) -> Arrays:
        """Return the arrays that `from_state` needs."""
        arrays: Arrays = {
            "vectors": self.vectors,
            "center": self.projection.center,
            "eps": np.array([self.eps]),
            "scale": self.scale,
            "n_groups": np.array([self.n_groups]),
            "nearest": np.array([self.nearest]),
        }
        if self.projection.basis is not None:
            arrays["basis"] = self.projection.basis
        if self.weights is not None:
            arrays |= {"weights": self.weights, "n_even": np.array([self.n_even])}
        return arrays

    @classmethod
    def from_state(cls, arrays: Arrays) -> Self:
        """Make the memory again."""
        projection = Projection(arrays["center"], arrays.get("basis"))
        eps, n_groups = float(arrays["eps"][0]), int(arrays["n_groups"][0])
        nearest = int(arrays["nearest"][0]) if "nearest" in arrays else NEAREST
        n_even = int(arrays["n_even"][0]) if "n_even" in arrays else None
        n, width = arrays["vectors"].shape
        if not (0 < n_groups <= _MOST_GROUPS and nearest > 0 and n >= NEAREST and width):
            raise DataError(
                f"A memory of {n} exemplars with {width} features, in {n_groups} groups, of which "
                f"the {nearest} nearest are looked at, is none that training makes."
            )
        return cls(
            arrays["vectors"], projection, eps, arrays["scale"], n_groups, nearest,
            arrays.get("weights"), n_even,
        )  # fmt: skip

    def _index_exemplars(self) -> None:
        """Lay the exemplars out so that one product gives ``q . e - |e|^2 / 2`` for all of them."""
        coordinates, rest = self.projection.apply(torch.from_numpy(self.vectors))
        n, p = coordinates.shape
        self._groups = n if n <= EXACT_BELOW else self.n_groups
        padded = -(-n // self._groups) * self._groups
        table = torch.zeros(p + 1, padded)
        table[p, n:] = -FAR
        table[:p, :n] = coordinates.T
        table[p, :n] = -0.5 * (coordinates.square().sum(1) + rest)
        self._products = ChunkProduct(table, _CHUNK)
        self._coordinates, self._rest = coordinates, rest

    def _search_own(self, groups: Ints | None) -> Neighbours:
        k = min(LOCAL, len(self.vectors) - 1)
        if groups is not None and np.bincount(groups).max() > len(groups) - k:
            groups = None  # one group is nearly everything
        return self.search(
            self.vectors, k, np.arange(len(self.vectors)) if groups is None else groups
        )

    @torch.inference_mode()
    def search(self, queries: Floats32, k: int = LOCAL, own: Ints | None = None) -> Neighbours:
        """Find the k nearest exemplars of each row (N, D), or all where they are fewer.

        Where the rows are the exemplars, each is hidden from its ``own`` group, (N,).
        """
        n, k = len(queries), min(k, len(self.vectors))
        groups = None if own is None else torch.from_numpy(own)
        distance = torch.empty(n, k)
        index = torch.empty(n, k, dtype=torch.long)
        rows = torch.ones(_CHUNK, self._coordinates.shape[1] + 1)
        keys = np.empty((_CHUNK, self._groups))
        for start in range(0, n, _CHUNK):
            stop = min(start + _CHUNK, n)
            part = torch.zeros(_CHUNK, queries.shape[1])
            part[: stop - start] = torch.from_numpy(queries[start:stop])
            coordinates, rest = self.projection.apply(part)
            rows[:, :-1] = coordinates
            product = self._products(rows)
            if groups is not None:  # to the end of the ranking
                same = groups[start:stop, None] == groups[None, :]
                product[: stop - start, :n].masked_fill_(same, -FAR)
            found = self._best(product, k, keys)
            exact = self._distances(coordinates, rest, found)
            order = exact.argsort(dim=1, stable=True)
            distance[start:stop] = exact.gather(1, order)[: stop - start]
            index[start:stop] = found.gather(1, order)[: stop - start]
        return Neighbours(distance.double().numpy(), index.numpy())

    def _best(self, product: torch.Tensor, k: int, keys: Floats) -> torch.Tensor:
        """Return the numbers of the k best exemplars, at most one of each group, (_CHUNK, k)."""
        if self._groups == product.shape[1]:
            return torch.from_numpy(_largest(product.numpy(), k, keys))
        by_group = product.view(_CHUNK, self._groups, -1)
        size = by_group.shape[2]
        group = _largest(by_group.amax(2).numpy(), k, keys)
        place = torch.from_numpy(group + FIRST_OF_ROW * self._groups).view(-1)
        inside = by_group.view(-1, size).index_select(0, place).numpy().argmax(axis=1)
        return torch.from_numpy(inside.reshape(_CHUNK, k) + group * size)

    def _distances(
        self, coordinates: torch.Tensor, rest: torch.Tensor, found: torch.Tensor
    ) -> torch.Tensor:
        """Return the distances to the exemplars found, from differences, (_CHUNK, k)."""
        found = found.clamp(max=len(self._coordinates) - 1)
        near = self._coordinates.index_select(0, found.view(-1)).view(*found.shape, -1)
        apart = near.sub_(coordinates[:, None, :]).square_().sum(2)
        if self.projection.basis is not None:
            apart += rest[:, None] + self._rest[found]
        return apart.sqrt_()


@torch.inference_mode()
def _packed(table: torch.Tensor, n_rows: int) -> torch.Tensor | None:
    """Return the table as oneDNN wants it, or None where it cannot be used."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch does not type it
        return None
    try:
        packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(table.T.contiguous(), n_rows)
        _linear(torch.zeros(n_rows, len(table)), packed)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return None
    return packed


def _linear(rows: torch.Tensor, packed: torch.Tensor) -> torch.Tensor:
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, packed, None, "none", [], "")
    return product


def _largest(values: Floats32, k: int, keys: Floats) -> Ints:
    """Return where the k largest values of each row are, the largest first, (_CHUNK, k).

    Doubles made of singles have 29 bits to spare, which take the place of each value. Then numpy's
    sort of plain numbers does it, eight times as fast as a sort that moves places along. Rows with
    equal values are left to `torch.topk`, so that the choice between these is one and the same.
    Both arrays are (_CHUNK, G); the keys are written over.
    """
    keys[:] = values
    bits = keys.view(np.int64)
    bits |= np.arange(values.shape[1])
    keys.sort(axis=1)
    places = bits[:, : -k - 1 : -1] & PLACE_BITS
    ordered = keys[:, -k - 1 :].astype(np.float32)
    equal = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    if equal.size:
        places[equal] = torch.from_numpy(values[equal]).topk(k, dim=1).indices.numpy()
    return places


def _principal_directions(centred: Floats, n_components: int) -> Floats:
    """Return orthonormal columns (D, P), P at most the rank, the largest variance first."""
    n, d = centred.shape
    if n >= d:
        return np.asarray(np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :n_components])
    sizes, left = np.linalg.eigh(centred @ centred.T)
    kept = np.flatnonzero(sizes > 1e-9 * max(sizes[-1], 1e-300))[::-1][:n_components]
    return np.asarray(centred.T @ (left[:, kept] / np.sqrt(sizes[kept])))


def _components(shape: tuple[int, ...], limit: int) -> int:
    """Return how many dimensions are kept: all where that costs little."""
    n, d = shape
    if d <= limit or n * d <= PROJECTION_BUDGET:
        return d
    return min(d, max(limit, PROJECTION_BUDGET // n))


def _mean_of(distance: Floats, k: int) -> Floats:
    return np.asarray(distance[:, :k].mean(axis=1))
