"""Outlines of defects on the grid that heatmaps are measured on, and which of them can be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import ndimage

from vae_anomaly.arrays import Bools, Floats32
from vae_anomaly.data.images.decode import ImageLimits
from vae_anomaly.data.images.folders import ImageItem
from vae_anomaly.data.images.masks import look_inverted
from vae_anomaly.data.images.outlines import outline_of
from vae_anomaly.data.images.resize import resize_image
from vae_anomaly.errors import ImageError
from vae_anomaly.thresholds.items import Outlines

if TYPE_CHECKING:
    from vae_anomaly.arrays import Objects

PIXEL_SIDE: Final = 128  # pixel figures are measured on maps and masks of this side
_CONNECTED: Final = np.ones((3, 3))


@dataclass(frozen=True)
class HeatOnGrid:
    """A heatmap (128, 128), and the shape of the map that it was made of."""

    heat: Floats32
    cells: tuple[int, int]

    @classmethod
    def of(cls, heat: Floats32) -> HeatOnGrid:
        """Bring a map (h, w) to the grid; what is hot on a larger one stays hot."""
        from vae_anomaly.detectors.images.heatmaps import resize_heat

        small = resize_heat(heat[None], (PIXEL_SIDE, PIXEL_SIDE))[0]
        return cls(np.asarray(small, np.float32), (heat.shape[0], heat.shape[1]))


def outlines_of(
    items: Sequence[ImageItem],
    maps: Sequence[HeatOnGrid],
    groups: Objects | None,
    limits: ImageLimits | None = None,
) -> Outlines | None:
    """Return outlines and heatmaps of the images that can be measured; None where none has a mask.

    Those are good images, and defective ones whose mask can be read and says where.
    """
    if not any(item.mask or item.mask_fault for item in items):
        return None
    full: dict[int, Bools] = {}
    unused: dict[str, str] = {}
    for i, item in enumerate(items):
        try:
            outline = outline_of(item, limits)
        except ImageError as err:
            unused[item.id] = str(err)
        else:
            if outline is not None:
                full[i] = outline
    n_defective = sum(bool(item.is_anomaly) for item in items)
    n_missing = sum(bool(i.is_anomaly and not i.mask and not i.mask_fault) for i in items)
    defects = {i: outline for i, outline in full.items() if items[i].is_anomaly}
    if look_inverted(defects.values()):
        return Outlines(n_defective, 0, n_missing, unused, inverted=len(defects))
    used = tuple(full)
    return Outlines(
        n_defective=n_defective,
        n_masks=len(defects),
        n_missing=n_missing,
        unused=unused,
        masks=tuple(on_grid(full[i], maps[i].cells) for i in used),
        heat=tuple(maps[i].heat for i in used),
        groups=None if groups is None else groups[list(used)],
    )


def on_grid(outline: Bools, cells: tuple[int, int] = (1, 1)) -> Bools:
    """Return an outline on the grid of pixel figures, (128, 128): no defect vanishes.

    A pixel is defective where at least half of it is, and of a smaller defect the fullest one.
    Where the heatmap has more ``cells`` than the grid that is asked of its cells, and shrunk as
    the map is.
    """
    fine = max(PIXEL_SIDE, cells[0]), max(PIXEL_SIDE, cells[1])
    covered = resize_image(outline.astype(np.uint8) * np.uint8(255), fine)
    parts, count = ndimage.label(covered > 0, structure=_CONNECTED)
    fullest = ndimage.maximum(covered, parts, np.arange(count + 1))
    defective = (covered > 0) & (covered >= np.minimum(0.5, np.asarray(fullest)[parts]))
    if fine == (PIXEL_SIDE, PIXEL_SIDE):
        return np.asarray(defective, np.bool_)
    return HeatOnGrid.of(defective.astype(np.float32)).heat > 0
