"""What is usual of each material: a map of woven cloth is never as hot as that of brushed metal.

Poolings and peaks of an image are surprising among those of good images. Where these are of several
materials, the restless one would set the limit for all, and a hole in calm cloth would have to be
as hot as the hottest good metal. So each column is brought to the median and spread of its
material; then all share one tail, which no material alone has enough images to learn.

This is done only where the material says more of how hot a map is than all else does, and of those
columns in which materials differ much. Elsewhere nothing is won by telling them apart, and of a
material with few images the median and spread are hardly known.

References
----------
Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988: what a large difference is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from scipy import stats

from vae_anomaly.arrays import AnyArray, AnyFloats, AnyInts, Bools, Floats
from vae_anomaly.state import named, under

_LARGE: Final = 0.14
"""Share of the variance of ranks that materials explain, from which a difference is large."""

_DECISIVE: Final = 0.5
"""The same share of a pooling of the map, from which images are judged by material at all."""

_PARTS: Final = ("pools_by_material", "peaks_by_material")


@dataclass(frozen=True)
class MaterialScale:
    """Median and spread of P columns for each of K materials.

    Attributes
    ----------
    centre, spread : ndarray of shape (K, P), float64
        0 and 1 of columns that materials do not differ much in.
    """

    centre: Floats
    spread: Floats

    @classmethod
    def fit(cls, values: AnyFloats, material: AnyInts) -> Self:
        """Learn from columns (m, P) of held-out normals of several materials (m,)."""
        known, material = np.asarray(values, np.float64), np.asarray(material)
        differs = np.array([explained_by(column, material) >= _LARGE for column in known.T])
        rows = [material == k for k in range(int(material.max()) + 1)]
        usual = [_usual(known[own] if own.any() else known) for own in rows]
        centre, spread = (np.stack(part) for part in zip(*usual, strict=True))
        return cls(np.where(differs, centre, 0.0), np.where(differs, spread, 1.0))

    def __call__(self, values: AnyFloats, material: AnyInts) -> Floats:
        """Return the columns (N, P) of images of a material (N,), as those of any; others go."""
        known = np.asarray(values, np.float64)[:, : self.centre.shape[1]]
        return np.asarray((known - self.centre[material]) / self.spread[material])


@dataclass(frozen=True)
class ByMaterial:
    """The scales of poolings of maps and of peaks of fine detail."""

    pools: MaterialScale
    peaks: MaterialScale

    @classmethod
    def fit(
        cls, pooled: AnyFloats, peaks: AnyFloats | None, material: AnyInts | None
    ) -> Self | None:
        """Learn from poolings (m, P) and peaks (m, C) of held-out normals, and their material (m,).

        Returned is None where they are of one material, where nothing is known of it, or where it
        says little of how hot the maps are.
        """
        if peaks is None or material is None or np.max(material) == 0:
            return None
        if max(explained_by(column, material) for column in np.transpose(pooled)) < _DECISIVE:
            return None
        return cls(MaterialScale.fit(pooled, material), MaterialScale.fit(peaks, material))

    def __call__(
        self, pooled: AnyFloats, peaks: AnyFloats, material: AnyInts
    ) -> tuple[Floats, Floats]:
        """Return poolings (N, P) and peaks (N, C) of images as if they were of one material."""
        return self.pools(pooled, material), self.peaks(peaks, material)

    def state(self) -> dict[str, Floats]:
        """Return all that `from_state` needs, as arrays."""
        return named(dict(zip(_PARTS, map(vars, (self.pools, self.peaks)), strict=True)))

    @classmethod
    def from_state(cls, state: Mapping[str, AnyArray]) -> Self | None:
        """Make the scales that `state` described; None of models that have none."""
        parts = [under(part, state) for part in _PARTS]
        return cls(*(MaterialScale(**part) for part in parts)) if all(parts) else None


def explained_by(values: Floats, material: AnyInts) -> float:
    """Return the share of the variance of the ranks of values (m,) that their material explains."""
    ranks = stats.rankdata(values)
    all_of = float(np.square(ranks - ranks.mean()).sum())
    between = sum(_between(ranks, material == k) for k in np.unique(material))
    return between / all_of if all_of > 0.0 else 0.0


def _between(ranks: Floats, own: Bools) -> float:
    return float(own.sum() * (ranks[own].mean() - ranks.mean()) ** 2)


def _usual(values: Floats) -> tuple[Floats, Floats]:
    """Return the median of columns (m, P), and how far values lie beyond it on the average."""
    centre = np.median(values, axis=0)
    spread = np.maximum(values - centre, 0.0).mean(axis=0)
    return centre, np.where(spread > 0.0, spread, 1.0)
