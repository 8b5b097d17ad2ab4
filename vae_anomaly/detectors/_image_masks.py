"""Heat maps cut at a level: masks and outlines at each picture's own size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from sklearn.utils.validation import check_is_fitted

from vae_anomaly.scoring.heatmaps import contours, enlarge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vae_anomaly.detectors.image import ImageVAEDetector

__all__ = ["ImageMasksMixin"]

_AT_ONCE: Final = 32  # pictures whose maps are held


class ImageMasksMixin:
    """What of a picture is too hot, for programs that go on from there."""

    def masks(self, X: Any, *, level: float | None = None) -> list[NDArray[np.bool_]]:
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

    def contours(self, X: Any, *, level: float | None = None) -> list[list[NDArray[np.float64]]]:
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

    def _bound(self, level: float | None) -> float:
        check_is_fitted(self, "network_")
        detector = cast("ImageVAEDetector", self)
        return detector.heat_level_ if level is None else level

    def _own_size(self, X: Any) -> Iterator[NDArray[np.float32]]:
        """Yield the map of each picture at the picture's own size, one at a time."""
        detector = cast("ImageVAEDetector", self)
        pictures = detector._open(X)
        for start in range(0, len(pictures), _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, len(pictures)))
            seen = detector.examine(pictures.take(rows))
            for i, heat in zip(rows.tolist(), seen.heat, strict=True):
                yield enlarge(heat[None], pictures.shape(i))[0]
