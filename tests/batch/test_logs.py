"""Logs for programs: one JSON object a line, and nothing of a row in it."""

from __future__ import annotations

import io
import json
import logging

import pandas as pd

from vae_anomaly.batch import score_tables
from vae_anomaly.logs import log_to_stderr


def test_every_line_parses_and_no_value_of_a_row_appears(days, table_model, tmp_path):
    rows = pd.read_parquet(days / "2026-01-01.parquet")
    rows.loc[0, ["id", "merchant", "amount"]] = ["secret-id", "secret-shop", float("inf")]
    rows.to_parquet(days / "2026-01-01.parquet")
    stream = io.StringIO()
    handler = log_to_stderr(as_json=True, stream=stream)
    try:
        score_tables(table_model, days, tmp_path / "out", id_column="id")
    finally:
        logging.getLogger("vae_anomaly").removeHandler(handler)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    events = [line["event"] for line in lines if "event" in line]
    assert events == ["started", "scored", "scored", "scored", "finished"]
    assert len({line["run"] for line in lines if "run" in line}) == 1
    assert lines[1]["partition"] == "2026-01-01"
    assert lines[1]["counts"] == {"rows_in": 60, "flagged": 0, "quarantined": 1} | {
        "flagged": lines[1]["counts"]["flagged"]
    }
    assert "secret" not in stream.getvalue()
