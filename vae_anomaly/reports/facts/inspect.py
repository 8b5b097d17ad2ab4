"""Single items as their page shows them: what the terminal's card says, with what is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vae_anomaly.reports.facts.items import ReviewItem

EVIDENCE: Final = {
    "reconstruction_nll": "reconstruction",
    "kl": "KL",
    "negative_elbo": "-ELBO",
    "iw_nll": "-log p(x)",
    "local": "the map",
    "whole_image": "whole image",
    "fused": "fused score",
    "raw_score": "fused score",
}
"""What people read of the evidence, in their words; the rest is in ``--json``."""


@dataclass(frozen=True)
class InspectedItem:
    """One item with everything that is known of it.

    Parameters
    ----------
    item : ReviewItem
        Score, p-value in words, reasons, and its image or row.
    is_extrapolated : bool
        Its score lies beyond all held-out normals.
    evidence : tuple of (str, float), nats
        What it is called in words, and how much.
    """

    item: ReviewItem
    is_extrapolated: bool = False
    evidence: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class InspectFacts:
    """Everything on the page of inspected items.

    Parameters
    ----------
    model : str
        Which model says so: ``cards/3``.
    threshold : float
        An item is an anomaly when its score lies above.
    n_held_out : int
        Normals that p-values were counted on.
    items : tuple of InspectedItem
        In the order in which they were asked for.
    """

    model: str
    threshold: float
    n_held_out: int
    items: tuple[InspectedItem, ...]
