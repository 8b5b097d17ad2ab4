"""What is different from the night before: how many were flagged, and why."""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np
from scipy import stats

from vae_anomaly.jobs.report.night.source import Night
from vae_anomaly.metrics import proportion_interval
from vae_anomaly.reports.facts.items import ReviewItem, ShownImage
from vae_anomaly.reports.facts.night import Changes

_SURE: Final = 0.01  # what two quiet nights may seem to differ in by chance
_WHOLE: Final = 0.5  # of an image: then no part of it is named
_MOST_KINDS: Final = 8
_ROWS = ("upper", "middle", "lower")
_COLUMNS = ("left", "centre", "right")


def changes_since(night: Night, items: list[ReviewItem], before: Night, name: str) -> Changes:
    """Compare a night with an earlier one.

    Kinds of reasons are those of the flagged items that both runs kept for reviewers: the column
    that adds most to the score of a row, the part of an image where it is hottest. One is new where
    one in a hundred pairs of quiet nights would show any such: all k flags of that kind lie in this
    night, which has a share q of both nights' flags, with a chance of q^k for each kind.

    Parameters
    ----------
    items : list of ReviewItem
        Of the night.
    name : str
        What to call the earlier one.
    """
    now, then = (reason_kinds(some) for some in (items, before.items()))
    comparable = bool(now) and bool(then)
    new = _only(now, then) if comparable else ()
    gone = _only(then, now) if comparable else ()
    return Changes(
        name,
        proportion_interval(*_flags(night)),
        proportion_interval(*_flags(before)),
        _bad_rate(night),
        _bad_rate(before),
        new,
        gone,
        _sentence(night, before, new),
    )


def reason_kinds(items: list[ReviewItem]) -> Counter[str]:
    """Count flagged items by what their first reason is about."""
    kinds = (_kind(item) for item in items if item.is_anomaly)
    return Counter(kind for kind in kinds if kind)


def _kind(item: ReviewItem) -> str:
    if item.row is not None:
        return next((one.column for one in item.row.contributions if one.nats > 0), "")
    return "" if item.image is None else place_in(item.image)


def place_in(image: ShownImage) -> str:
    """Name the part of an image where it is hottest: ``upper left``.

    Examples
    --------
    >>> from vae_anomaly.reports.facts.items import ShownRegion
    >>> region = ShownRegion(0, 0, 20, 20, 0.04, 9.0, 5.0)
    >>> place_in(ShownImage("", "a.png", 100, 100, "", "", (), (region,), 4.0))
    'upper left'
    """
    if not image.regions or image.regions[0].area_share > _WHOLE:
        return "the whole image"
    region = image.regions[0]
    across = (region.left + region.right) / 2 / max(image.width, 1)
    down = (region.top + region.bottom) / 2 / max(image.height, 1)
    row, column = (min(int(3 * share), 2) for share in (down, across))
    return "centre" if row == column == 1 else f"{_ROWS[row]} {_COLUMNS[column]}"


def _only(these: Counter[str], those: Counter[str]) -> tuple[tuple[str, int], ...]:
    share = these.total() / max(these.total() + those.total(), 1)
    chance = _SURE / max(len(these | those), 1)
    found = [
        (kind, count)
        for kind, count in these.most_common()
        if kind not in those and share**count <= chance
    ]
    return tuple(found[:_MOST_KINDS])


def _flags(night: Night) -> tuple[int, int]:
    return night.count("rows_flagged"), night.count("rows_out")


def _bad_rate(night: Night) -> float:
    return night.count("rows_quarantined") / max(night.count("rows_in"), 1)


def _sentence(night: Night, before: Night, new: tuple[tuple[str, int], ...]) -> str:
    (flagged, n), (flagged_then, n_then) = _flags(night), _flags(before)
    rates = [f / max(count, 1) for f, count in ((flagged, n), (flagged_then, n_then))]
    table = np.array([[flagged, n - flagged], [flagged_then, n_then - flagged_then]])
    differs = stats.fisher_exact(table)[1] < _SURE
    way = "no clear change"
    if differs:
        way = "more than the night before" if rates[0] > rates[1] else "less than the night before"
    text = f"{rates[0]:.2%} flagged, {rates[1]:.2%} before: {way}."
    if new:
        text += f" Not seen before: {', '.join(kind for kind, _ in new[:3])}."
    if (
        old := before.scoring
    ).digest != night.scoring.digest or before.threshold != night.threshold:
        text += (
            f" The night before was scored by {old.version} above {before.threshold:.4g}: the "
            "rates are not of one model and threshold."
        )
    return text
