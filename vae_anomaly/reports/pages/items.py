"""What reviewers look at on the page of a night: which items, how much of each, and how many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vae_anomaly.reports.facts.items import ReviewItem, ReviewRole
from vae_anomaly.reports.facts.night import NightFacts
from vae_anomaly.reports.pages.row_texts import shrink_rows
from vae_anomaly.reports.pages.thumbnails import shrink_images
from vae_anomaly.words import number_of

_NONE: Final = "Nothing was flagged"


def shrink_items(items: Sequence[ReviewItem]) -> tuple[ReviewItem, ...]:
    """Return items as a page can hold them: images and rows within their budgets."""
    return shrink_rows(shrink_images(items))


def items_lead(night: NightFacts) -> str:
    """Say in a sentence or two what is shown, and what is left out."""
    if not night.items:
        return ""
    noun = "image" if night.scoring.kind == "image" else "row"
    shown = _count(night, "flagged")
    learned = any(item.learned is not None for item in night.items)
    first = "the likeliest by what verdicts have taught" if learned else "the strangest"
    said = [f"{number_of(shown, f'flagged {noun}')}, {first} first" if shown else _NONE]
    if others := _others(night):
        said += [f"Below {'them' if shown else 'are'} {others}"]
    text = ". ".join(said)
    if night.flagged_left_out:
        text += (
            f". {number_of(night.flagged_left_out, 'more flagged ' + noun)} with lower scores "
            f"{'is' if night.flagged_left_out == 1 else 'are'} not on this page: the parquet files "
            "of the night hold all"
        )
    return f"{text}."


def _others(night: NightFacts) -> str:
    """Name the groups that were not flagged."""
    misses, drawn = _count(night, "near_miss"), _count(night, "audit")
    groups = [f"{misses} nearest misses"] * (misses > 0) + [f"{drawn} drawn at random"] * (
        drawn > 0
    )
    return " and ".join(groups)


def _count(night: NightFacts, role: ReviewRole) -> int:
    return sum(role in item.roles for item in night.items)
