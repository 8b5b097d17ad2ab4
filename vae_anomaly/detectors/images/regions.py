"""What heat maps say: maps, regions, masks and outlines, tables and words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from vae_anomaly.arrays import Bools, Floats, Floats32
from vae_anomaly.detectors.images.conditions import unseen_reason
from vae_anomaly.detectors.images.heatmaps import Region, contours, enlarge, find_regions
from vae_anomaly.detectors.images.reasons import region_table, scored_reason, words

if TYPE_CHECKING:
    from vae_anomaly.detectors.images.detector import ImageVAEDetector
    from vae_anomaly.detectors.images.image_list import Pictures

_AT_ONCE: Final = 32  # pictures whose maps are held


class ImageMapsMixin:
    """Where a picture differs from good ones, for people and for programs."""

    def heatmap(self, X: Any, *, size: tuple[int, int] | None = None) -> Floats32:
        """Return where pictures differ from good ones, on one scale for all pictures.

        Parameters
        ----------
        X : as `examine`
        size : (height, width), optional
            Defaults to the model's ``image_size``; with tiles to the map's own grid of 8-pixel
            cells, that of the first training picture.

        Returns
        -------
        ndarray of shape (N, H, W), float32
            In sd of held-out normals: 0 is usual, higher = more anomalous.
        """
        detector = cast("ImageVAEDetector", self)
        heat, side = detector.examine(X).heat, detector.image_size
        own = (side, side) if detector.tile_size is None else heat.shape[1:]
        return enlarge(heat, size or own)

    def regions(self, X: Any, *, level: float | None = None) -> list[list[Region]]:
        """Return boxes of what is too hot, in pixels of each picture itself, hottest first.

        Parameters
        ----------
        X : as `examine`
        level : float, optional
            In sd of held-out normals; ``heat_level_`` by default.
        """
        detector = cast("ImageVAEDetector", self)
        pictures = detector._open(X)
        return self._regions(pictures, detector.examine(pictures).heat, level)

    def masks(self, X: Any, *, level: float | None = None) -> list[Bools]:
        """Return which pixels of each picture are too hot.

        Parameters
        ----------
        X : as `examine`
        level : float, optional
            In sd of held-out normals; ``heat_level_`` by default.

        Returns
        -------
        list of N ndarray of shape (H, W), bool
            Each at the size of its picture; True above the level.
        """
        bound = self._bound(level)
        return [heat > bound for heat in self._own_size(X)]

    def contours(self, X: Any, *, level: float | None = None) -> list[list[Floats]]:
        """Return the outlines of what is too hot in each picture, the edges of `masks`.

        Parameters
        ----------
        X : as `examine`
        level : float, optional
            In sd of held-out normals; ``heat_level_`` by default.

        Returns
        -------
        list of N lists of ndarray of shape (K, 2), float64
            Closed polygons, x and y in pixels of the picture; 0 is the centre of the first pixel.
            Holes are polygons of their own and run the other way round.
        """
        bound = self._bound(level)
        return [contours(heat, bound) for heat in self._own_size(X)]

    def explain(self, X: Any, *, level: float | None = None) -> pd.DataFrame:
        """Return one row for each region that is too hot.

        Returns
        -------
        DataFrame
            ``id, rank, top, left, bottom, right`` in pixels of the picture itself, ``area_share``
            of the picture, ``peak`` and ``mean`` heat in sd of held-out normals. A picture without
            such a region has no row.
        """
        detector = cast("ImageVAEDetector", self)
        pictures = detector._open(X)
        return region_table(pictures.ids, self.regions(pictures, level=level))

    def reasons(self, X: Any, top: int = 3) -> list[list[str]]:
        """Say in words what is strange about each picture, the strongest first.

        Returns
        -------
        list of N lists of at most ``top`` str
            Empty for a picture of which nothing exceeds what held-out normals show; a flagged one
            always has a reason. A condition that training has not seen comes first.
        """
        detector = cast("ImageVAEDetector", self)
        pictures = detector._open(X)
        seen = detector.examine(pictures)
        unseen = [
            [] if told in detector.conditions_ else [unseen_reason(told, taken)]
            for told, taken in zip(pictures.conditions, seen.judged_as, strict=False)
        ] or [[]] * len(pictures)
        regions = self._regions(pictures, seen.heat)
        cool = [
            scored_reason(seen, i, pictures.shape(i)) if flagged and not regions[i] else []
            for i, flagged in enumerate(seen.anomaly_score > detector.threshold_.value)
        ]
        said = words(seen.evidence, regions, unseen, cool)
        return [reasons[:top] for reasons in said]

    def _regions(
        self, pictures: Pictures, heat: Floats32, level: float | None = None
    ) -> list[list[Region]]:
        bound = self._bound(level)
        return [
            find_regions(enlarge(heat[i : i + 1], pictures.shape(i))[0], bound)
            for i in range(len(pictures))
        ]

    def _bound(self, level: float | None) -> float:
        check_is_fitted(self, "network_")
        detector = cast("ImageVAEDetector", self)
        return detector.heat_level_ if level is None else level

    def _own_size(self, X: Any) -> Iterator[Floats32]:
        """Yield the map of each picture at the picture's own size, one at a time."""
        detector = cast("ImageVAEDetector", self)
        pictures = detector._open(X)
        for start in range(0, len(pictures), _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, len(pictures)))
            seen = detector.examine(pictures.take(rows))
            for i, heat in zip(rows.tolist(), seen.heat, strict=True):
                yield enlarge(heat[None], pictures.shape(i))[0]
