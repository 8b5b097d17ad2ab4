"""The page of a comparison: which items changed sides, and how alike two rankings are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from vae_anomaly.reports.charts.ranks import legend_mark, rank_chart
from vae_anomaly.reports.facts.compare import ComparedItem, ComparedRun, CompareFacts
from vae_anomaly.reports.pages.numbers import fixed, percent, thousands
from vae_anomaly.reports.pages.page import render_page
from vae_anomaly.reports.pages.thumbnails import shrink_thumbnails
from vae_anomaly.words import names_of, number_of, verb_for

_LEGEND = (("both", "flagged by both"), ("only-a", "by A only"), ("only-b", "by B only"))


def compare_page(facts: CompareFacts, *, made: datetime | None = None) -> str:
    """Draw the page of a comparison.

    Parameters
    ----------
    facts : CompareFacts
    made : datetime, optional
        When; now, if it is not given.

    Returns
    -------
    html : str
        One file that asks for nothing else. It can be read without JavaScript.
    """
    facts = _with_small_images(facts)
    noun = "image" if facts.kind == "image" else "row"
    others = [("neither", "by neither")] if facts.ranks.is_complete else []
    return render_page(
        "compare.html",
        title=f"{facts.a.name} and {facts.b.name} compared",
        facts={},
        page_styles=("compare",),
        made=made,
        compare=facts,
        noun=noun,
        answer=_answer(facts, noun),
        lead=_lead(facts, noun),
        notes=[*facts.notes, *_alone(facts, noun)],
        chart=rank_chart(facts),
        legend=[(legend_mark(side), words) for side, words in (*_LEGEND, *others)],
        alike=_alike(facts),
        lists=[_moved(facts, side, noun) for side in "ab"],
    )


def _with_small_images(facts: CompareFacts) -> CompareFacts:
    moved = (*facts.moved_a, *facts.moved_b)
    small = shrink_thumbnails([item.thumbnail for item in moved])
    shown = tuple(replace(one, thumbnail=image) for one, image in zip(moved, small, strict=True))
    n = len(facts.moved_a)
    return replace(facts, moved_a=shown[:n], moved_b=shown[n:])


def _answer(facts: CompareFacts, noun: str) -> str:
    changed = facts.sides.only_a + facts.sides.only_b
    if not changed:
        return f"No {noun} changed sides"
    return f"{thousands(changed)} of {number_of(facts.n_common, noun)} changed sides"


def _lead(facts: CompareFacts, noun: str) -> str:
    sides = facts.sides
    flagged = sides.both + sides.only_a, sides.both + sides.only_b
    union = sides.both + sides.only_a + sides.only_b
    if not union:
        return f"Neither side flagged any of the {noun}s that both have."
    return (
        f"A flags {thousands(flagged[0])} ({percent(flagged[0] / facts.n_common)}), B "
        f"{thousands(flagged[1])} ({percent(flagged[1] / facts.n_common)}). Of the "
        f"{number_of(union, noun)} that either flags, both agree on {percent(sides.both / union)}."
    )


def _alone(facts: CompareFacts, noun: str) -> list[str]:
    """Say what only one side has."""
    return [
        f"{number_of(run.n_alone, noun)} {verb_for(run.n_alone)} only in {letter} "
        f"({thousands(run.flagged_alone)} flagged), for example {names_of(run.examples_alone, 3)}."
        for letter, run in (("A", facts.a), ("B", facts.b))
        if run.n_alone
    ]


def _alike(facts: CompareFacts) -> str:
    rho = facts.correlation
    if not math.isfinite(rho.estimate):
        return "The ranks cannot be compared: all scores of a side are equal."
    ends = f"{fixed(rho.low, 3)} to {fixed(rho.high, 3)}"
    return f"Spearman's rank correlation of all scores is {fixed(rho.estimate, 3)} ({ends})."


def _moved(facts: CompareFacts, side: str, noun: str) -> dict[str, object]:
    """Return what one list shows: what this side flagged and the other did not."""
    items: Sequence[ComparedItem] = facts.moved_a if side == "a" else facts.moved_b
    count = facts.sides.only_a if side == "a" else facts.sides.only_b
    run: ComparedRun = facts.a if side == "a" else facts.b
    here, there = ("A", "B") if side == "a" else ("B", "A")
    left_out = count - len(items)
    lead = f"{number_of(count, noun)} that {here} flags and {there} does not"
    if left_out:
        lead += f": the {thousands(len(items))} with the highest scores in {here}. "
        lead += f"{number_of(left_out, f'more {noun}')} with lower scores "
        lead += f"{verb_for(left_out)} not on this page"
    n_unseen = sum(not item.thumbnail for item in items) if facts.kind == "image" else 0
    if n_unseen:
        lead += (
            f". Of {number_of(n_unseen, noun)} no copy was kept: a run keeps one of its highest "
            "scores and of a few others"
        )
    return {
        "id": f"only-{side}",
        "title": f"Flagged by {here} only",
        "lead": f"{lead}." if count else "",
        "empty": f"{here} flags no {noun} that {there} does not flag.",
        "items": items,
        "side": side,
        "name": run.name,
    }
