"""Training normals that calibrate a detector, as what had not seen them judged them.

The model that is saved has seen most of them, and would call them usual. So what is shown of the
strangest ones, as they may be defects among the good ones, is kept from the fit. It is there after
``fit``, and is not saved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from vae_anomaly.arrays import Floats, Ints

STRANGEST: Final = 24
"""Training items that a model's page shows."""


@dataclass(frozen=True)
class HeldOut:
    """Held-out normals and their raw scores.

    Parameters
    ----------
    places : ndarray of shape (m,), int64
        Where each stands in the training input, from 0.
    raw_score : ndarray of shape (m,), float64
        Higher = more anomalous; what calibrates the detector.
    groups : ndarray of shape (m,), int64, optional
        Group of each, where some share one.
    """

    places: Ints
    raw_score: Floats
    groups: Ints | None

    def strangest(self, n: int = STRANGEST) -> Ints:
        """Return which of the m are the strangest, the strangest first; one of each place."""
        order = np.lexsort((self.places, -self.raw_score))
        _, first = np.unique(self.places[order], return_index=True)
        return np.asarray(order[np.sort(first)][:n], dtype=np.int64)
