"""What the inputs of a training looked like, in counts: what nights are compared with.

It lies in the model, a few kilobytes: for each column, or each measure of images, how many training
items lay in each bin, and how many cells were empty. No row of the training is in it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Final, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from vae_anomaly.arrays import Floats, Ints
from vae_anomaly.errors import DataError
from vae_anomaly.state import Json, from_json

QUANTILE_BINS: Final = 32
MOST_LEVELS: Final = 24
_STEPS: Final = 16
LONGEST_LEVEL: Final = 128  # characters; a longer value is one of the others

ItemCount = Annotated[int, Field(ge=0, lt=2**63)]
BinCounts = tuple[ItemCount, ...]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Shape = Literal["number", "category", "measure"]
"""A measure is a number that is taken of images."""


@dataclass(frozen=True)
class Variable:
    """A column, or a measure of images, and how training items were spread over its bins.

    Parameters
    ----------
    edges : tuple of E float
        Of a number: upper ends of the bins, rising; a last bin holds what lies above all of them.
        Quantiles of the training, so that bins have about equal shares.
    levels : tuple of L str
        Of a category: its most frequent values; a last bin holds all others.
    counts : tuple of E + 1 or L + 1 int
        Training items in each bin.
    missing : int
        Training items without a value.
    is_private : bool
        Whether its values tell of persons, and are not to be named.
    """

    name: str
    shape: Shape
    counts: BinCounts
    missing: ItemCount = 0
    edges: tuple[Finite, ...] = ()
    levels: tuple[str, ...] = ()
    is_private: bool = False

    def binned(self, numbers: ArrayLike) -> Ints:
        """Return the counts of numbers that are not missing."""
        places = np.searchsorted(np.asarray(self.edges), np.asarray(numbers, np.float64))
        return np.bincount(places, minlength=len(self.edges) + 1).astype(np.int64)

    def counted(self, values: Sequence[str]) -> Ints:
        """Return the counts of values of a category that are not missing."""
        place = {level: i for i, level in enumerate(self.levels)}
        last = len(self.levels)
        counts = np.zeros(last + 1, dtype=np.int64)
        names, numbers = np.unique(np.asarray(values, dtype=object).astype(str), return_counts=True)
        for name, number in zip(names.tolist(), numbers.tolist(), strict=True):
            counts[place.get(name, last)] += number
        return counts


@dataclass(frozen=True)
class Baseline:
    """What nights are compared with.

    Parameters
    ----------
    n : int
        Training items that were counted.
    variables : tuple of Variable
    groups : dict of str to tuple of tuple of int
        Of images: the counts of each folder, variable by variable, where training had several.
    until : str, optional
        The latest time that a training row tells, ISO 8601; of images the day of the last file.
    """

    n: ItemCount
    variables: tuple[Variable, ...]
    groups: dict[str, tuple[BinCounts, ...]] = field(default_factory=dict)
    until: str | None = None

    def to_dict(self) -> Json:
        """Return it as JSON values; `from_dict` reads them back."""
        values: Json = json.loads(json.dumps(asdict(self), allow_nan=False))
        return values

    @classmethod
    def from_dict(cls, values: Json) -> Self:
        """Read what `to_dict` gave; a DataError where counts and bins do not fit."""
        one = from_json(cls, values)
        names = [variable.name for variable in one.variables]
        if len(set(names)) < len(names):
            raise DataError("A baseline names a column twice.")
        for variable in one.variables:
            _check(variable)
        sizes = [len(variable.counts) for variable in one.variables]
        for name, counts in one.groups.items():
            if [len(row) for row in counts] != sizes:
                raise DataError(f"The counts of group {name!r} are not those of its bins.")
        return one


def number_variable(
    name: str, numbers: ArrayLike, grid: ArrayLike = (), *, is_private: bool = False
) -> Variable:
    """Describe numbers, NaN = missing: bins of about equal shares, or one for each distinct value.

    Beyond them bins grow, so that a night that lies outside can be told by its median.

    Parameters
    ----------
    numbers : array-like of shape (N,)
    grid : array-like of shape (G,), optional
        Edges in place of the growing ones, of what has a natural scale.

    Examples
    --------
    >>> [count for count in number_variable("count", [1, 2, 2, float("nan")]).counts if count]
    [1, 2]
    """
    values = np.asarray(numbers, dtype=np.float64)
    known = values[np.isfinite(values)]
    edges = np.unique(known)
    if edges.size > QUANTILE_BINS:
        edges = np.unique(np.quantile(known, np.linspace(0.0, 1.0, QUANTILE_BINS)))
    edges = np.union1d(edges, np.asarray(grid, np.float64) if np.size(grid) else _beyond(edges))
    shape: Shape = "measure" if np.size(grid) else "number"
    empty = Variable(name, shape, (), edges=tuple(edges.tolist()), is_private=is_private)
    missing = int(values.size - known.size)
    return replace(empty, counts=tuple(empty.binned(known).tolist()), missing=missing)


def _beyond(edges: Floats) -> Floats:
    """Return edges below and above all others, at distances that double."""
    if not edges.size:
        return edges
    low, high = float(edges[0]), float(edges[-1])
    steps = 0.1 * 2.0 ** np.arange(_STEPS) * (high - low or abs(high) or 1.0)
    outside: Floats = np.concatenate([low - steps, high + steps])
    return outside[np.isfinite(outside)]


def category_variable(
    name: str, values: Sequence[str], missing: int = 0, *, is_private: bool = False
) -> Variable:
    """Describe the values of a category, those that are missing only by their number."""
    names, numbers = np.unique(np.asarray(values, dtype=object).astype(str), return_counts=True)
    order = names[np.lexsort((names, -numbers))].tolist()
    levels = tuple(name for name in order if len(name) <= LONGEST_LEVEL)[:MOST_LEVELS]
    empty = Variable(name, "category", (), levels=levels)
    counts = tuple(empty.counted(values).tolist())
    return Variable(name, "category", counts, missing, levels=levels, is_private=is_private)


def _check(variable: Variable) -> None:
    n_bins = len(variable.levels if variable.shape == "category" else variable.edges)
    rising = list(variable.edges) == sorted(set(variable.edges))
    if len(variable.counts) != n_bins + 1 or not rising:
        raise DataError(f"The counts of {variable.name!r} are not those of its bins.")
