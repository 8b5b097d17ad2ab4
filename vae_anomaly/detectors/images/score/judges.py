"""Judges of the whole image: exposure, appearance and layout, each a distance from good images.

The map is blind to these by construction, because exposure and slow shading are taken out before
it, and a blank frame has no detail that could be wrong.

==============  ================================================================================
judge           sees
==============  ================================================================================
``exposure``    mean log brightness alone, in which a dark frame stands clear of all exposures
``appearance``  brightness, contrast, texture, asymmetry, still lines and colour together
``layout``      where the image is bright and dark: nothing of the part is there, or inverted
==============  ================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Protocol, Self

import numpy as np

from vae_anomaly.arrays import AnyArray, AnyFloats, AnyInts, Floats
from vae_anomaly.detectors.images.features.whole_image import N_LAYOUT

_LEAST_SPREAD: Final = 0.01  # sd of log brightness that is none: no lamp is steadier than 1 %

LEAST_LAYOUT: Final = N_LAYOUT * 0.01**2
"""Squared length that is added to that of a layout, so that noise of 1 % is alike to nothing."""

MOST_ALIKE: Final = 0.999
"""Correlation of layouts beyond which there is no difference."""


class Distance(Protocol):
    """How far statistics (N, S) are from those of normals, (N,); larger = farther.

    ``least_excess`` is the least mean, in units of the distance, that the largest distances of
    normals are taken to spread by.
    """

    least_excess: ClassVar[float]

    def __call__(self, statistics: AnyFloats) -> Floats:
        """Return the distance of each image."""

    @classmethod
    def fit(cls, statistics: AnyFloats) -> Self:
        """Learn from statistics (n, S) of normals."""

    def state(self) -> dict[str, Floats]:
        """Return all that `from_state` needs."""

    @classmethod
    def from_state(cls, state: Mapping[str, AnyArray]) -> Self:
        """Make the distance that `state` described."""


class GlobalDistance:
    """Mahalanobis distance of whole-image statistics: too dark, too bright, another colour.

    Mean (S,) and precision (S, S), the inverse of the shrunk covariance, are those of normals. Of
    longer statistics the first are read.
    """

    least_excess: ClassVar[float] = 0.0

    def __init__(self, mean: Floats, precision: Floats) -> None:
        self.mean = np.asarray(mean, np.float64)
        self.precision = np.asarray(precision, np.float64)

    @classmethod
    def fit(cls, statistics: AnyFloats) -> Self:
        """Learn mean and covariance (Ledoit-Wolf) from statistics (n, S) of normals."""
        from sklearn.covariance import LedoitWolf

        values = np.asarray(statistics, np.float64)
        spread = values.std(axis=0) + 1e-3
        fitted = LedoitWolf().fit(values / spread)
        return cls(values.mean(axis=0), fitted.precision_ / np.outer(spread, spread))

    def __call__(self, statistics: AnyFloats) -> Floats:
        """Return the distance of statistics (N, S or more), in sd, shape (N,)."""
        centred = np.asarray(statistics, np.float64)[:, : len(self.mean)] - self.mean
        squared = np.einsum("ns,st,nt->n", centred, self.precision, centred)
        return np.asarray(np.sqrt(np.maximum(squared, 0.0)), np.float64)

    def state(self) -> dict[str, Floats]:
        """Return mean and precision."""
        return {"mean": self.mean, "precision": self.precision}

    @classmethod
    def from_state(cls, state: Mapping[str, AnyArray]) -> Self:
        """Make the distance that `state` described."""
        return cls(state["mean"], state["precision"])


class AppearanceDistance(GlobalDistance):
    """`GlobalDistance` of all statistics but the layout; brightness varies by 1 % at least."""

    @classmethod
    def fit(cls, statistics: AnyFloats) -> Self:
        """Learn from statistics (n, S) of normals."""
        values = np.asarray(statistics)
        known = super().fit(values[:, :-N_LAYOUT] if has_layout(values) else values)
        of_light = known.precision[0]  # 1 % more variance of the first number, by Sherman-Morrison
        less = np.outer(of_light, of_light) / (_LEAST_SPREAD**-2 + of_light[0])
        return cls(known.mean, known.precision - less)


class ExposureDistance:
    """By how many sd of its own side the mean log brightness is from the median of normals.

    Exposures often vary more to one side. ``usual`` (3,) holds median, and sd below and above it.
    Where all normals have the same exposure, 1 % is one sd and a part of it is nothing.
    """

    least_excess: ClassVar[float] = 0.25

    def __init__(self, usual: Floats) -> None:
        self.usual = np.asarray(usual, np.float64)

    @classmethod
    def fit(cls, statistics: AnyFloats) -> Self:
        """Learn from statistics (n, S) of normals."""
        brightness = np.asarray(statistics, np.float64)[:, 0]
        median = np.median(brightness)
        change = brightness - median
        sides = [change[change < 0.0], change[change > 0.0]]
        spreads = [np.sqrt(np.mean(np.square(side))) if len(side) else 0.0 for side in sides]
        return cls(np.array([median, *(spread + _LEAST_SPREAD for spread in spreads)]))

    def __call__(self, statistics: AnyFloats) -> Floats:
        """Return the distance of statistics (N, S), in sd, shape (N,)."""
        median, below, above = self.usual
        change = np.asarray(statistics, np.float64)[:, 0] - median
        return np.asarray(np.maximum(-change / below, change / above), np.float64)

    def state(self) -> dict[str, Floats]:
        """Return what is usual."""
        return {"usual": self.usual}

    @classmethod
    def from_state(cls, state: Mapping[str, AnyArray]) -> Self:
        """Make the distance that `state` described."""
        return cls(state["usual"])


class LayoutDistance:
    """How little the layout is that of the mean normal: -atanh of their correlation.

    0 = nothing in common, positive = inverted. ``template`` (`N_LAYOUT`,) is the mean layout. Where
    parts lie anyhow it says little, and the distances of normals know that.
    """

    least_excess: ClassVar[float] = 0.0

    def __init__(self, template: Floats) -> None:
        self.template = np.asarray(template, np.float64)

    @classmethod
    def fit(cls, statistics: AnyFloats) -> Self:
        """Learn from statistics (n, S) of normals."""
        return cls(np.asarray(statistics, np.float64)[:, -N_LAYOUT:].mean(axis=0))

    @property
    def unit(self) -> Floats:
        """The template with length 1; shorter where it has hardly any relief."""
        length = np.sqrt(np.square(self.template).sum() + LEAST_LAYOUT)
        return np.asarray(self.template / length, np.float64)

    def __call__(self, statistics: AnyFloats) -> Floats:
        """Return the distance of statistics (N, S), in [-3.8, 3.8], shape (N,)."""
        layout = np.asarray(statistics, np.float64)[:, -N_LAYOUT:]
        alike = layout @ self.unit / np.sqrt(np.square(layout).sum(axis=1) + LEAST_LAYOUT)
        return np.asarray(-np.arctanh(np.clip(alike, -MOST_ALIKE, MOST_ALIKE)), np.float64)

    def state(self) -> dict[str, Floats]:
        """Return the template."""
        return {"template": self.template}

    @classmethod
    def from_state(cls, state: Mapping[str, AnyArray]) -> Self:
        """Make the distance that `state` described."""
        return cls(state["template"])


def has_layout(statistics: AnyFloats) -> bool:
    """Tell whether statistics (N, S) end with a layout: those of a conditional model do not."""
    return bool(statistics.shape[1] > N_LAYOUT)


JUDGES: Final[Mapping[str, type[Distance]]] = {
    "exposure": ExposureDistance,
    "appearance": AppearanceDistance,
    "layout": LayoutDistance,
}
"""The judges by the name of their column in the evidence."""


def out_of_fold_distances(kind: type[Distance], statistics: AnyFloats, folds: AnyInts) -> Floats:
    """Return the distance of each image from those of the other folds, (n,)."""
    distances = np.zeros(len(statistics))
    for fold in np.unique(folds):
        inside = folds == fold
        distances[inside] = kind.fit(statistics[~inside])(statistics[inside])
    return distances
