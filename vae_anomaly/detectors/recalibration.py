"""A calibration that was made anew, on normals that came after the training.

What turns an item into a raw score is one fixed function then, networks, memories and surprises
alike, and the new normals are items that it has not seen: the p-values are those of split conformal
prediction, exact for items that are like these normals. Scores of a training's held-out rows came
from models of other folds; here they come from the model that scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_OF_THE_OLD: Final = ("auroc", "average_precision", "recall_at_threshold", "labelled_anomalies")
_COUNTED_ANEW: Final = "self_test_found"  # by the detector itself, for the threshold in force


@dataclass(frozen=True)
class Recalibration:
    """On what, when and by whom a calibration was made anew.

    Parameters
    ----------
    of : str
        Label of the model before, such as ``tiles/3``.
    source : str
        The normals, in words.
    n_items, n_groups : int
        How many there were; 0 groups where none were told.
    sha256 : str
        Of the normals: of a table as `data.tables.read.fingerprint` has it, of images over ids and
        bytes of the files.
    target_fpr : float
        What the threshold was asked for.
    flagged_before : float
        Share of these normals above the threshold before.
    old_threshold : float
        That threshold, on the scale of the scores before.
    who, when, reason : str
        ``when`` as ISO 8601, UTC.
    """

    of: str
    source: str
    n_items: int
    n_groups: int
    sha256: str
    target_fpr: float
    flagged_before: float
    old_threshold: float
    who: str
    when: str
    reason: str = ""

    def __str__(self) -> str:
        groups = f" in {self.n_groups:,} groups" if self.n_groups else ""
        why = f": {self.reason}" if self.reason else ""
        return (
            f"calibrated anew from {self.of} on {self.n_items:,} normals{groups} "
            f"(sha256 {self.sha256[:12]}), {self.when[:10]}, by {self.who}{why}"
        )


def without_old_figures(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return metrics without those that were measured on scores before."""
    return {
        name: value
        for name, value in metrics.items()
        if name not in _OF_THE_OLD and not name.startswith(_COUNTED_ANEW)
    }
