"""The page of inspected items: the terminal's card, to look at."""

from __future__ import annotations

from datetime import datetime

from vae_anomaly.reports.facts.inspect import InspectedItem, InspectFacts
from vae_anomaly.reports.pages.items import shrink_items
from vae_anomaly.reports.pages.numbers import fixed, nats
from vae_anomaly.reports.pages.page import render_page
from vae_anomaly.words import number_of


def inspect_page(facts: InspectFacts, *, made: datetime | None = None) -> str:
    """Draw the page of inspected items.

    Parameters
    ----------
    facts : InspectFacts
    made : datetime, optional
        When; now, if it is not given.

    Returns
    -------
    html : str
        One file that asks for nothing else. Verdicts, figures and reasons can be read without
        JavaScript; images and bars need it.
    """
    name = facts.items[0].item.id if len(facts.items) == 1 else number_of(len(facts.items), "item")
    shown = shrink_items([one.item for one in facts.items])
    return render_page(
        "inspect.html",
        title=f"{name}: why",
        facts={"items": shown},
        scripts=("inspect",),
        page_styles=("cards", "rows", "inspect"),
        made=made,
        inspected=facts,
        cards=[_card(one, facts.threshold) for one in facts.items],
        answer=_answer(facts),
    )


def _answer(facts: InspectFacts) -> str:
    flagged = sum(one.item.is_anomaly for one in facts.items)
    if len(facts.items) == 1:
        return "Anomaly" if flagged else "Normal"
    return f"{flagged:,} of {number_of(len(facts.items), 'item')} flagged"


def _card(one: InspectedItem, threshold: float) -> dict[str, object]:
    """Return one item in words and rounded numbers."""
    item = one.item
    side = "above" if item.is_anomaly else "not above"
    return {
        "item": item,
        "verdict": "Anomaly" if item.is_anomaly else "Normal",
        "words": f"{item.words[:1].upper()}{item.words[1:]}." if item.words else "",
        "side": f"{side} the threshold {fixed(threshold, 3)}"
        + (", extrapolated" if one.is_extrapolated else ""),
        "p_value": _p_text(item.p_value),
        "evidence": [(name, nats(value)) for name, value in one.evidence],
    }


def _p_text(p: float) -> str:
    """Return a p-value; a very small one by a power of ten."""
    if p >= 1e-4 or p <= 0.0:
        return f"{p:.2g}"
    digits, _, power = f"{p:.1e}".partition("e-")
    raised = "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(one)] for one in str(int(power)))
    return f"{digits} \N{MULTIPLICATION SIGN} 10⁻{raised}"
