"""The self-test in words: which synthetic defects a model finds, and when it finds none.

Two figures. The older is how well held-out normals are told from copies with the defects that
repair VAEs learn from, as AUROC of the map alone. The other is a prediction: the share of defects
of each kind and size that is flagged, see `detectors.images.fit.prediction`. What both are worth
was measured on models of real, changed and made-up images (``benchmarks/self_test.py``): where less
than `HARDLY` was found of the best kind and size, no model saw real defects well (AUROC up to .66).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from vae_anomaly.detectors.images.fit.kinds import DEFECT_KINDS
from vae_anomaly.detectors.images.fit.prediction import RELIABLY, FoundShare, by_kind
from vae_anomaly.detectors.images.score.pooling import pool_maps
from vae_anomaly.metrics import auroc

if TYPE_CHECKING:
    from torch import Tensor

BLIND: Final = 0.53
"""Below, the older figure of a model without a prediction means that it sees no defects."""
HARDLY: Final = 0.15
"""Share found of the best kind and size below which a model is warned of."""
HARD: Final = 0.60
"""Below, synthetic defects say little about real ones."""
SELF_TEST: Final = "self_test_auroc"

_SAME_PIXEL: Final = 0.05  # difference from which the images' own pixels are told

logger = logging.getLogger(__name__)


def self_test(score_map: Tensor, spoiled: Tensor) -> float:
    """Return how well held-out normals are told from their copies with synthetic defects.

    AUROC of the mean of the hottest 1 % of the maps (n, G, G); 0.5 = no better than chance.
    """
    scores = np.concatenate([pool_maps(h.numpy(), (0.01,))[:, 0] for h in (score_map, spoiled)])
    return auroc(np.repeat([0, 1], len(score_map)), scores)


def found_words(found: Sequence[FoundShare]) -> str:
    """Say in a sentence which kinds are found from which size on, and what pixels are meant."""
    said = "; ".join(_kind_words(kind, rows) for kind, rows in by_kind(found))
    drawn = f"At most {max(one.n for one in found)} of each kind and size were drawn."
    return f"Found at this threshold: {said}. {drawn} {_pixel_words(found)}".strip()


def found_table(found: Sequence[FoundShare]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return a head and a row for each kind: how many of a hundred are found at each size."""
    sizes = sorted({one.size for one in found})
    rows = []
    for kind, own in by_kind(found):
        cells = {one.size: f"{100 * one.share.estimate:.0f}" for one in own}
        rows.append((DEFECT_KINDS[kind].plural, *(cells.get(size, "") for size in sizes)))
    return ("kind", *(f"{size} px" for size in sizes)), tuple(rows)


def is_blind(found: Sequence[FoundShare]) -> bool:
    """Tell whether hardly any synthetic defect is found, of whatever kind and size."""
    return bool(found) and max(one.share.estimate for one in found) < HARDLY


def warn_if_blind(found: Sequence[FoundShare]) -> None:
    """Warn of a model that finds hardly any synthetic defect."""
    if is_blind(found):
        logger.warning(
            "Self-test: this model finds hardly any defects: of synthetic ones that are plain to "
            "the eye, %s. Good parts seem to differ from each other as much as a defect would. "
            "Show them in one pose and light, crop to what they have in common, or take a larger "
            "image_size.",
            _at_best(found),
        )


def _at_best(found: Sequence[FoundShare]) -> str:
    best = max(found, key=lambda one: one.share.estimate)
    if not best.found:
        return f"none of {len(found)} kinds and sizes"
    return f"at best {best.found} of {best.n} ({DEFECT_KINDS[best.kind].plural} of {best.size} px)"


def self_test_words(visible: float) -> str:
    """Say the older figure of a self-test, and what to make of it."""
    words = (
        f"Self-test: synthetic defects rank above good images {visible:.0%} of the time "
        "(50% is chance)."
    )
    if BLIND <= visible < HARD:
        words += (
            " They are hard to see on these parts, which says little of real ones: "
            "measure on some with `vae-anomaly evaluate`."
        )
    return words


def _kind_words(kind: str, rows: Sequence[FoundShare]) -> str:
    """Say from which size on a kind is found, or how many of it are."""
    plural = DEFECT_KINDS[kind].plural
    for k, one in enumerate(rows):
        if all(larger.share.estimate >= RELIABLY for larger in rows[k:]):
            return f"{plural} from {one.size} px on: {_in_100(rows[k:])}"
    return f"{plural}: {_in_100(rows)}"


def _in_100(rows: Sequence[FoundShare]) -> str:
    return f"{100 * sum(one.found for one in rows) / sum(one.n for one in rows):.0f} in 100"


def _pixel_words(found: Sequence[FoundShare]) -> str:
    pixel = found[0].own_size / found[0].size
    if abs(pixel - 1.0) < _SAME_PIXEL:
        return ""
    return f"Pixels are those that the model sees, each {pixel:.2g} of the images' own."
