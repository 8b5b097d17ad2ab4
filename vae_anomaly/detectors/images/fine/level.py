"""How far the extremes of an image lie from those of good images of its material.

::

    image ─ fine filters ─ extremes (C, G, G) ─ (x - mean) / sd of its material ─ peaks (C,)

Mean and sd belong to each channel and cell. What has seen what: the peak of a good image that
calibrates is taken in units of the mean *and the sd* of the images of other folds; an sd that had
seen the image itself would give many false alarms. Of few images the sd of one cell is hardly
known, and the largest of a thousand cells would be the one whose sd is too small by chance: so each
cell has a part of the mean variance of its channel, the larger the fewer images there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
import torch
from torch import Tensor, nn

from vae_anomaly.arrays import Floats, Ints
from vae_anomaly.detectors.images.features.octaves import Octaves
from vae_anomaly.detectors.images.features.smoothing import blur
from vae_anomaly.detectors.images.fine.channels import TINTS
from vae_anomaly.detectors.images.fine.filters import FineFilters, FineMaps, look
from vae_anomaly.detectors.images.fine.materials import Materials

_WORTH: Final = 10.0
"""The common variance of a channel counts at each cell as this many images over their number."""

_VARIANCE_BLUR: Final = 1.0
_LEAST: Final = 1e-5  # variance, in log brightness, of what is the same in all images: a grey level
_LEAST_TINT: Final = 6e-5  # two levels of a half-bright image: a step of JPEG's chroma is no event


@dataclass(frozen=True)
class FinePeaks:
    """The strongest cell of each channel.

    Attributes
    ----------
    height : Tensor of shape (N, C), float32
        In sd of good images of the same material.
    cell : Tensor of shape (N, C), int64
        Its number, row by row.
    material : Tensor of shape (N,), int64
    """

    height: Tensor
    cell: Tensor
    material: Tensor

    @classmethod
    def joined(cls, parts: Sequence[FinePeaks]) -> FinePeaks:
        """Return the peaks of several batches as those of one."""
        return cls(
            torch.cat([part.height for part in parts]),
            torch.cat([part.cell for part in parts]),
            torch.cat([part.material for part in parts]),
        )


class FineLevel(nn.Module):
    """Fine filters, materials, and what is normal of each.

    Parameters
    ----------
    image_size : int, pixels
    channels : {1, 3}
    n_materials : int
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, image_size: int, channels: int, n_materials: int) -> None:
        super().__init__()
        self.filters = FineFilters(image_size, channels)
        self.materials = Materials(self.filters.n_looks, n_materials)
        shape = (n_materials, self.filters.n_channels, self.filters.grid, self.filters.grid)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("spread", torch.ones(shape))

    @classmethod
    def fit(cls, filters: FineFilters, materials: Materials, maps: FineMaps) -> Self:
        """Learn what is normal of each material from good images (n, ...)."""
        level = cls(filters.image_size, filters.channels, len(materials))
        level.filters, level.materials = filters, materials
        material = materials(maps.looks)
        for k in range(len(materials)):
            own = maps.extremes[material == k]
            level.mean[k], level.spread[k] = _moments(own if len(own) > 1 else maps.extremes)
        return level

    def forward(self, octaves: Octaves) -> FinePeaks:
        """Return the peaks of images that the octaves' filters have seen."""
        extremes = self.filters.extremes(octaves)
        if len(self.materials) > 1:
            return self.peaks(FineMaps(extremes, look(octaves)))
        height, cell = _strongest(extremes, self.mean, self.spread)
        return FinePeaks(height, cell, torch.zeros_like(cell[:, 0]))

    def peaks(self, maps: FineMaps) -> FinePeaks:
        """Return the peaks of images of which the maps are known."""
        material = self.materials(maps.looks)
        usual = self.mean[material], self.spread[material]
        return FinePeaks(*_strongest(maps.extremes, *usual), material)


@dataclass(frozen=True)
class FineFit:
    """A level that has learnt from good images; nothing where fine detail is not looked for.

    Attributes
    ----------
    level : FineLevel, optional
        Fitted on all of them.
    without : mapping of int to FineLevel
        Fitted without each fold; filters and materials are those of all.
    peaks : ndarray of shape (n, C), optional
        Of each image, by the level that has not seen its fold.
    material : ndarray of shape (n,), optional
        Of each image.
    """

    level: FineLevel | None = None
    without: Mapping[int, FineLevel] = field(default_factory=dict)
    peaks: Floats | None = None
    material: Ints | None = None

    @classmethod
    def of(cls, filters: FineFilters, maps: FineMaps, folds: Ints) -> Self:
        """Fit the level on all images and without each fold."""
        materials, without = Materials.fit(maps.looks), {}
        peaks = np.zeros(maps.extremes.shape[:2])
        for fold in np.unique(folds).tolist():
            level = FineLevel.fit(filters, materials, maps.take(folds != fold)).eval()
            peaks[folds == fold] = level.peaks(maps.take(folds == fold)).height.numpy()
            without[fold] = level
        level = FineLevel.fit(filters, materials, maps)
        return cls(level, without, peaks, materials(maps.looks).numpy())

    @property
    def n_materials(self) -> int:
        """Materials that were found; 0 where fine detail is not looked for."""
        return 0 if self.level is None else len(self.level.materials)

    def peaks_of(self, rows: Ints) -> Floats | None:
        """Return the peaks of some images."""
        return None if self.peaks is None else self.peaks[rows]

    def material_of(self, rows: Ints) -> Ints | None:
        """Return the materials of some images."""
        return None if self.material is None else self.material[rows]


def _strongest(extremes: Tensor, mean: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """Return height and number of the strongest cell of extremes (N, C, G, G), (N, C) each.

    What is usual is that of each image, or of all.
    """
    height, cell = ((extremes - mean) / spread).flatten(2).max(2)
    return height, cell


def _moments(extremes: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and sd of each channel and cell over images (n, C, G, G)."""
    n = len(extremes)
    mean = extremes.mean(0)
    variance = (extremes - mean).square().sum(0) / max(n - 1, 1)
    common = variance.mean((1, 2), keepdim=True)
    least = torch.full_like(common, _LEAST)
    least[TINTS] = _LEAST_TINT
    local = blur(variance[None], _VARIANCE_BLUR)[0]
    return mean, (local + _WORTH / n * common + least).sqrt()
