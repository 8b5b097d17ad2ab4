"""Scored items: what thresholds are chosen, compared and reviewed on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from vae_anomaly.arrays import AnyArray, Bools, Floats, Floats32, Objects
from vae_anomaly.metrics import is_flagged

_COLUMNS = (
    "ids", "scores", "labels", "kinds", "groups", "amounts", "flagged", "raw_scores", "hottest",
)  # fmt: skip


@dataclass(frozen=True)
class Outlines:
    """Where images are defective, beside their heatmaps, and how many masks tell it.

    Parameters
    ----------
    n_defective : int
        Defective images that were scored.
    n_masks : int
        Those whose mask is used.
    n_missing : int
        Those for which there is none.
    unused : dict of str to str
        For images by id whose mask cannot be used: why.
    inverted : int
        Masks of a set that is taken to be drawn black on white: none of them is used.
    masks, heat : tuple of ndarray of shape (128, 128)
        Of the defective images whose mask is used, and of good ones.
    groups : ndarray of objects, optional
        Of these images.
    """

    n_defective: int
    n_masks: int
    n_missing: int = 0
    unused: dict[str, str] = field(default_factory=dict)
    inverted: int = 0
    masks: tuple[Bools, ...] = ()
    heat: tuple[Floats32, ...] = ()
    groups: Objects | None = None

    def to_dict(self) -> dict[str, object]:
        """Return the counts and what is not used as plain JSON values."""
        return {
            "defective_images": self.n_defective,
            "used": self.n_masks,
            "missing": self.n_missing,
            "inverted": self.inverted,
            "unused": self.unused,
        }


@dataclass(frozen=True)
class ScoredItems:
    """Items, their anomaly scores, and labels where there are any.

    Parameters
    ----------
    ids : ndarray of shape (N,), object
    scores : ndarray of shape (N,), float64
        Anomaly scores, -log10 p; higher = more anomalous.
    labels : ndarray of shape (N,), bool, optional
        True = anomaly.
    kinds : ndarray of shape (N,), object, optional
        "good", or the kind of anomaly.
    groups : ndarray of shape (N,), object, optional
        Part, customer or camera.
    amounts : ndarray of shape (N,), float64, optional
        What is at stake.
    by : dict of str to ndarray of shape (N,), object
        Columns whose values get a table line each: machine, shop, camera.
    flagged : ndarray of shape (N,), bool, optional
        Flagged by the scoring job that made the scores.
    left_out : dict of str to int
        Items that could not be scored or judged, by reason.
    unused_labels : int
        Labels of a file that belong to none of the items.
    outlines : Outlines, optional
        Of images, where any has a mask.
    source : str
        Where the scores are from, in words.
    held_out : ndarray of shape (M,), float64, optional
        Scores of the normals that the model was calibrated on.
    held_out_groups : ndarray of shape (M,), optional
        Their groups, where the model was trained with groups and kept them.
    raw_scores : ndarray of shape (N,), float64, optional
        What the model's calibration turned into the scores; not of scores from a file.
    hottest : ndarray of shape (N,), float64, optional
        Of images that were scored here, the greatest heat of each map, in sd of held-out normals.
    """

    ids: Objects
    scores: Floats
    labels: Bools | None = None
    kinds: Objects | None = None
    groups: Objects | None = None
    amounts: Floats | None = None
    by: dict[str, Objects] = field(default_factory=dict)
    flagged: Bools | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    unused_labels: int = 0
    outlines: Outlines | None = None
    source: str = ""
    held_out: Floats | None = None
    held_out_groups: AnyArray | None = None
    raw_scores: Floats | None = None
    hottest: Floats | None = None

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def normals(self) -> Floats:
        """Scores of the items that count as normal: all of them where there are no labels."""
        return self.scores if self.labels is None else self.scores[~self.labels]

    @property
    def normal_groups(self) -> Objects | None:
        """Groups of `normals`, where there are groups."""
        if self.groups is None or self.labels is None:
            return self.groups
        return self.groups[~self.labels]

    @property
    def are_held_out(self) -> bool:
        """Whether they are the very normals that the model was calibrated on."""
        return self.held_out is not None and np.array_equal(self.scores, self.held_out)

    def flagged_by(self, value: float) -> Bools:
        """Say what was flagged: by the scoring job if known, else by this threshold."""
        return is_flagged(self.scores, value) if self.flagged is None else self.flagged

    def take(self, keep: Bools) -> ScoredItems:
        """Return some of the items; outlines are not touched."""
        present = {name: getattr(self, name) for name in _COLUMNS}
        taken = {name: column[keep] for name, column in present.items() if column is not None}
        by = {name: column[keep] for name, column in self.by.items()}
        return replace(self, by=by, **taken)
