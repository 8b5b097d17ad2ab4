"""The strangest flags of a run, and of no other days that lie in the same folder."""

from __future__ import annotations

import pytest
from tracking.real_models import transactions

from vae_anomaly.batch import plan_tables, read_results, score_tables
from vae_anomaly.batch.output.results import highest_flags
from vae_anomaly.errors import DataError


def test_the_highest_scores_of_the_days_asked_for_come_first(table_model, tmp_path):
    days = [tmp_path / f"{day}.parquet" for day in (1, 2, 3)]
    for day, path in enumerate(days, start=1):
        rows = transactions(20, seed=day)
        rows.loc[: day - 1, "amount"] = [9_000.0 * 10**k for k in range(day)]
        rows.to_parquet(path)
    with pytest.raises(DataError, match="has not finished"):
        highest_flags(tmp_path / "out", plan_tables(days))
    score_tables(table_model, days, tmp_path / "out", id_column="id")
    flags = highest_flags(tmp_path / "out", plan_tables(days[1:]), top=4)
    scores = read_results(tmp_path / "out").set_index("id")["score"]
    assert [flag.score for flag in flags] == sorted((f.score for f in flags), reverse=True)
    assert {flag.id.split("-")[0] for flag in flags} == {"t2", "t3"}
    assert [flag.score for flag in flags] == scores[[flag.id for flag in flags]].tolist()
    assert flags[0].id == "t3-2"
    assert flags[0].source.endswith("3.parquet")
    assert "amount" in flags[0].reasons[0]
    assert flags[0].heatmap is None
