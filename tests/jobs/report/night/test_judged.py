"""A verdict counts for the item that it was given on, and for no other of the same name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from jobs.report.written_runs import scored, write_run

from vae_anomaly.errors import DataError
from vae_anomaly.jobs.report.night.facts import Wanted, night_facts
from vae_anomaly.jobs.report.night.judged import verdicts_by_item
from vae_anomaly.jobs.report.night.source import nights_of

NOON = datetime(2026, 5, 2, 12, tzinfo=UTC)


def verdicts(*names: str, when: datetime = NOON) -> pd.DataFrame:
    return pd.DataFrame(
        {"item": names, "is_anomaly": True, "audit": False, "when": pd.Timestamp(when)}
    )


def test_a_verdict_on_a_name_that_two_files_have_counts_for_neither_and_that_is_said(tmp_path):
    parts = {"x": scored([3.0, 1.0]), "y": scored([3.5, 1.0, 2.5])}
    (night,) = nights_of(write_run(tmp_path / "flags", parts))
    known = verdicts_by_item(verdicts("t0", "t2"), night)
    np.testing.assert_array_equal(known.said, [np.nan, np.nan, np.nan, np.nan, 1.0])
    assert known.remark.startswith("1 verdict is on names that several items of this night have")
    (tmp_path / "decisions.csv").write_text("item,verdict\nt0,confirmed\n")
    with pytest.raises(DataError, match="name of its own"):
        night_facts(tmp_path / "flags", Wanted(verdicts=tmp_path / "decisions.csv"))


def test_an_old_verdict_is_on_a_row_with_an_id_and_not_on_one_that_only_its_place_names(tmp_path):
    frame = scored([3.0, 2.5])
    frame["id"] = ["day.csv#1", "t1"]
    (night,) = nights_of(write_run(tmp_path / "flags", {"day": frame}))
    given = verdicts("day.csv#1", "t1")
    later = verdicts_by_item(given, night, since={"day": NOON + timedelta(hours=1)})
    np.testing.assert_array_equal(later.said, [np.nan, 1.0])
    assert "before these rows were scored" in later.remark
    same = verdicts_by_item(given, night, since={"day": NOON - timedelta(hours=1)})
    assert (same.said.tolist(), same.remark) == ([1.0, 1.0], "")
    assert verdicts_by_item(given, night).said.tolist() == [1.0, 1.0]  # a file that was named


def test_of_items_of_one_name_only_those_that_are_due_are_shown(tmp_path):
    from jobs.report.written_runs import kept_image

    names = [f"n{k}.png" for k in range(40)]
    images = {name: kept_image(name, 1.0, is_anomaly=False, thumbnail="") for name in names}
    part = pd.DataFrame({"id": names, "score": 1.0})
    run = write_run(tmp_path / "flags", {"a": part, "b": part, "c": part}, images=images)
    items = night_facts(run).items
    roles = [role for item in items for role in item.roles]
    assert (roles.count("near_miss"), roles.count("audit")) == (24, 30)
