"""The page of a night: how many, how sure, what was flagged and what the reviewer says to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from markupsafe import Markup

from vae_anomaly.reports.charts.histogram import score_axis, score_histogram, score_range
from vae_anomaly.reports.facts.night import NightFacts
from vae_anomaly.reports.pages.answer import answer, noun_of
from vae_anomaly.reports.pages.items import shrink_items
from vae_anomaly.reports.pages.page import render_page
from vae_anomaly.reports.pages.threshold import in_force

_SCRIPTS: Final = ("night", "review")
_STYLES: Final = ("night", "review", "cards", "viewer", "rows")


def night_page(facts: NightFacts, *, made: datetime | None = None) -> str:
    """Draw the page of a night.

    Parameters
    ----------
    facts : NightFacts
    made : datetime, optional
        When; now, if it is not given.

    Returns
    -------
    html : str
        One file that asks for nothing else.
    """
    scoring = replace(facts.scoring, held_out=())  # drawn, and not read again
    kept = replace(facts, scoring=scoring, items=shrink_items(facts.items))
    return render_page(
        "night.html",
        title=f"{facts.name}: {facts.n_flagged:,} flagged",
        facts=kept,
        scripts=_SCRIPTS,
        page_styles=_STYLES,
        made=made,
        night=facts,
        noun=noun_of(facts),
        answer=answer(facts),
        threshold=in_force(facts),
        chart=_chart(facts),
    )


@dataclass(frozen=True)
class _Chart:
    """The histogram with its axis, and between which scores it lies."""

    drawing: Markup
    axis: Markup
    low: float
    high: float


def _chart(night: NightFacts) -> _Chart | None:
    """Draw the histogram, where there is one."""
    shown = score_range(night)
    if shown is None or not night.n_scored:
        return None
    drawing = score_histogram(night, in_force(night).record.value, noun_of(night))
    return _Chart(drawing, score_axis(shown), shown.low, shown.high)
