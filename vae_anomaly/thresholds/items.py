"""Scored items: what thresholds are chosen, compared and reviewed on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from vae_anomaly.arrays import AnyArray, Bools, Floats, Floats32, Objects
from vae_anomaly.errors import DataError
from vae_anomaly.metrics import is_flagged
from vae_anomaly.thresholds.basis import Basis

_COLUMNS = (
    "ids", "scores", "labels", "kinds", "groups", "amounts", "flagged", "raw_scores", "hottest",
    "p_combined", "surprise", "own_scores",
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
    p_combined : ndarray of shape (N,), float64, optional
        Combined p-values, of a run that learns.
    surprise : ndarray of shape (N,), float64, optional
        ``-ln(1 - P)`` of the probability that verdicts have taught; NaN where nothing was learned.
    basis : str
        What ``scores`` are now: see `on`.
    own_scores : ndarray of shape (N,), float64, optional
        The anomaly scores, where ``scores`` are something else.
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
    p_combined: Floats | None = None
    surprise: Floats | None = None
    basis: Basis = "score"
    own_scores: Floats | None = None

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
        return (
            self.basis == "score"
            and self.held_out is not None
            and np.array_equal(self.scores, self.held_out)
        )

    def flagged_by(self, value: float) -> Bools:
        """Say what was flagged: by the scoring job if known, else by this threshold."""
        own = self.scores if self.own_scores is None else self.own_scores
        return is_flagged(own, value) if self.flagged is None else self.flagged

    @property
    def is_learned(self) -> bool:
        """Whether verdicts have taught something of every item."""
        return self.surprise is not None and bool(np.isfinite(self.surprise).all())

    def learned(self) -> ScoredItems:
        """Return the items of which verdicts have taught something; count the others.

        Raises
        ------
        DataError
            If there are none.
        """
        where = self.source or "The items"
        if self.surprise is None:
            raise DataError(
                f"{where} has no columns p_combined and probability. Score with --learn COLUMN, "
                "and give that output folder with --scores; or leave out --by combined."
            )
        known = np.isfinite(self.surprise)
        if not known.any():
            raise DataError(
                f"Nothing was learned when {where} was scored: its p_combined are the model's "
                "p-values. Learn from verdicts first (vae-anomaly feedback learn), then score a "
                "night; or leave out --by combined."
            )
        before = {"scored before anything was learned": int((~known).sum())}
        rest = self.take(known)
        return rest if known.all() else replace(rest, left_out={**self.left_out, **before})

    def on(self, basis: Basis) -> ScoredItems:
        """Return the same items with other scores: higher is more anomalous on every basis."""
        if basis == self.basis:
            return self
        own = self.scores if self.own_scores is None else self.own_scores
        if basis == "score":
            return replace(self, scores=own, basis=basis, own_scores=None)
        known = self.learned()
        if len(known) < len(self) or known.p_combined is None or known.surprise is None:
            raise DataError(
                f"Of {len(self):,} items of {self.source} verdicts had taught something of "
                f"{len(known):,} when they were scored. Compare on nights after that."
            )
        scores = -np.log10(known.p_combined) if basis == "p_combined" else known.surprise
        return replace(self, scores=scores, basis=basis, own_scores=own)

    def take(self, keep: Bools) -> ScoredItems:
        """Return some of the items; outlines are not touched."""
        present = {name: getattr(self, name) for name in _COLUMNS}
        taken = {name: column[keep] for name, column in present.items() if column is not None}
        by = {name: column[keep] for name, column in self.by.items()}
        return replace(self, by=by, **taken)
