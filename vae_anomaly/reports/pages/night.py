"""The page of a night: how many, how sure, what was flagged and what the reviewer says to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from vae_anomaly.reports.facts.night import NightFacts
from vae_anomaly.reports.pages.page import render_page

_SCRIPTS: Final = ("night",)
_STYLES: Final = ("night", "items")


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
    kept = replace(facts, scoring=replace(facts.scoring, held_out=()))  # drawn, and not read again
    return render_page(
        "night.html",
        title=f"{facts.name}: {facts.n_flagged:,} flagged",
        facts=kept,
        scripts=_SCRIPTS,
        page_styles=_STYLES,
        made=made,
        night=facts,
    )
