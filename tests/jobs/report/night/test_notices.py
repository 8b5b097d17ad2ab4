"""What is wrong with a night is said in words, with what to do; a sound night is not accused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vae_anomaly.jobs.report.night.notices import NightCounts, notices_of
from vae_anomaly.jobs.report.night.source import Night
from vae_anomaly.metrics import Interval
from vae_anomaly.reports.facts.night import ScoringFacts


def night(
    flagged: int = 10,
    bad: int = 0,
    n_held_out: int = 500,
    others: tuple[dict[str, Any], ...] = (),
    failed: dict[str, str] | None = None,
    notes: tuple[str, ...] = (),
    fingerprint: dict[str, Any] | None = None,
    **threshold: Any,
) -> Night:
    """A night of 1,000 scored rows, of which 2 to 20 were to be expected above 2."""
    known = {"value": 2.0, "created": "2026-05-01", **threshold}
    scoring = ScoringFacts(
        "cards/3", "d" * 64, "tabular", known, (0.0,) * n_held_out, n_held_out, fingerprint or {}
    )
    entry = {
        "key": "day", "files": {"review/day.jsonl": ""}, "model_version": "cards/3",
        "threshold": 2.0, "rows_in": 1_000 + bad, "rows_out": 1_000, "rows_flagged": flagged,
        "rows_quarantined": bad, "notes": notes,
    }  # fmt: skip
    return Night(Path("flags"), (entry,), failed or {}, others, scoring)


COUNTS = NightCounts(Interval(10.0, 2.0, 20.0), "2026-05-02T05:00:00+00:00", "models:/cards/3")


def said(night: Night, level: str = "warning") -> str:
    notices = [one for one in notices_of(night, COUNTS) if one.level == level]
    assert all(one.text.endswith(".") for one in notices)
    assert all(one.remedy for one in notices if level == "warning" and "column" not in one.text)
    return " ".join(f"{one.text} {one.remedy}" for one in notices)


def test_a_night_of_nothing_is_warned_of():
    made = night(flagged=0)
    made.entries[0].update(rows_in=0, rows_out=0)
    assert (
        said(made) == "The input holds no items. Look whether it was written in full and arrived."
    )


def test_a_night_as_expected_has_no_notice():
    assert notices_of(night(), COUNTS) == ()


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (night(flagged=1), "Fewer items are flagged than expected: 1 of 1,000"),
        (night(flagged=101), "Very many items are flagged: 101 of 1,000"),
        (night(bad=60), "60 of 1,060 items could not be scored (5.7%), more than the 5.0% allowed"),
        (night(extrapolated=True), "rests on a fitted tail"),
        (night(value=2.8), "lies beyond what the 500 held-out normals can show"),
        (night(n_held_out=40, value=1.5), "Only 40 held-out normals stand behind the threshold"),
        (night(created="2025-05-01"), "the threshold was made on 2025-05-01, 366 days before"),
        (
            night(fingerprint={"time_span": ["2024-01-01T00:00:00", "2024-06-30T10:00:00"]}),
            "the data of training end on 2024-06-30, 670 days before",
        ),
        (night(failed={"b": "b.csv has no rows."}), "1 part of the input could not be scored"),
        (night(notes=("day.csv: column 'id' lies outside",)), "day.csv: column 'id' lies outside."),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_what_may_be_wrong_is_a_warning(made, words):
    assert words in said(made)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (night(flagged=21), "More items are flagged than chance explains: 21 of 1,000"),
        (night(note="3 normals share it."), "Of the threshold: 3 normals share it."),
        (night(n_held_out=0), "scored by an earlier version"),
        (
            night(others=({"model_version": "cards/2", "threshold": 1.9},)),
            "by another model or threshold: cards/2 above 1.9; this one is by cards/3 above 2",
        ),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_what_is_worth_knowing_is_no_warning(made, words):
    assert words in said(made, "info")
    assert said(made) == ""


def test_warnings_come_first():
    notices = notices_of(night(flagged=21, bad=60), COUNTS)
    assert [notice.level for notice in notices] == ["warning", "info"]


def test_without_held_out_normals_the_flag_rate_is_not_judged():
    assert "flagged" not in said(night(flagged=900, n_held_out=0))
