"""The page of the last nights: their shares, and which columns had moved when."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from vae_anomaly.reports.charts.nights import rate_chart
from vae_anomaly.reports.facts.monitor import MonitorFacts, NightPoint
from vae_anomaly.reports.pages.numbers import fixed, percent, thousands
from vae_anomaly.reports.pages.page import render_page
from vae_anomaly.words import number_of, verb_for

_MOST_COLUMNS: Final = 20
_MOST_NIGHTS: Final = 15  # of the table of columns: the last ones
_MODERATE, _LARGE = 0.1, 0.25


def monitor_page(facts: MonitorFacts, *, made: datetime | None = None) -> str:
    """Draw the page of the last nights.

    Parameters
    ----------
    facts : MonitorFacts
        At least one night.
    made : datetime, optional
        When; now, if it is not given.

    Returns
    -------
    html : str
        One file that asks for nothing else. It needs no JavaScript.
    """
    nights, loud = facts.nights, [bool(night.alarms) for night in facts.nights]
    flags = rate_chart(
        [night.flag_rate for night in nights], [night.normal_rate for night in nights], loud,
        name="flags-chart", label="Share of flagged items by night", about=_about(nights),
    )  # fmt: skip
    bad = rate_chart(
        [night.quarantine_rate for night in nights], [None] * len(nights), [False] * len(nights),
        name="bad-chart", label="Share of items that were not scored by night",
        about="The table of nights has the numbers.",
    )  # fmt: skip
    return render_page(
        "monitor.html",
        title=f"{facts.source}: the last nights",
        facts={},
        page_styles=("monitor",),
        made=made,
        monitored=facts,
        answer=_answer(nights),
        lead=_lead(nights[-1]),
        last=nights[-1],
        flags=flags,
        bad=bad,
        grid=_grid(nights),
        first_of_grid=max(0, len(nights) - _MOST_NIGHTS),
        nights=list(enumerate(map(_shown, nights), start=1)),
        told=[
            (number, night.name, level, text)
            for number, night in reversed(list(enumerate(nights, start=1)))
            for level, texts in (("alarm", night.alarms), ("moved", night.moved))
            for text in texts
        ],
    )


def _answer(nights: tuple[NightPoint, ...]) -> str:
    loud = sum(bool(night.alarms) for night in nights)
    if not loud:
        return f"No alarm in {number_of(len(nights), 'night')}"
    return f"{loud} of {number_of(len(nights), 'night')} {verb_for(loud, 'has', 'have')} an alarm"


def _lead(last: NightPoint) -> str:
    if last.alarms:
        return f"The last one, {last.name}, is unlike the training: {last.alarms[0]}."
    if last.moved:
        return f"The last one, {last.name}, has moved a little: {last.moved[0]}."
    return f"The last one, {last.name}, is like the training."


def _about(nights: tuple[NightPoint, ...]) -> str:
    parts = [
        f"night {number}: {percent(night.flag_rate.estimate)}"
        for number, night in enumerate(nights, start=1)
        if night.alarms
    ]
    return f"Nights with an alarm: {'; '.join(parts) or 'none'}. The table of nights has all."


def _grid(nights: tuple[NightPoint, ...]) -> list[dict[str, object]]:
    """Return the columns that moved most, and how far on each of the last nights."""
    last = nights[-_MOST_NIGHTS:]
    most: dict[str, float] = {}
    for night in last:
        for name, size in night.stability.items():
            most[name] = max(most.get(name, 0.0), size)
    names = sorted(most, key=lambda name: (-most[name], name))[:_MOST_COLUMNS]
    return [
        {"name": name, "cells": [_cell(night.stability.get(name)) for night in last]}
        for name in names
    ]


def _cell(size: float | None) -> tuple[str, str]:
    """Return the text and the shade of a cell."""
    if size is None:
        return "-", ""
    shade = "large" if size >= _LARGE else "moderate" if size >= _MODERATE else ""
    return fixed(size, 2), shade


def _shown(night: NightPoint) -> dict[str, object]:
    usual = night.normal_rate
    return {
        "name": night.name,
        "model": night.model,
        "when": night.when,
        "read": thousands(night.n_read),
        "flagged": percent(night.flag_rate.estimate),
        "usual": "-" if usual is None else f"{percent(usual[0])} to {percent(usual[1])}",
        "bad": percent(night.quarantine_rate.estimate),
        "age": "-" if night.age_days is None else fixed(night.age_days, 0),
        "state": night.state,
    }
