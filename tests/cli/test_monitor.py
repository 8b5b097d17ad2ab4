"""``vae-anomaly monitor``: the last nights in one table, and somebody is told of an alarm."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pandas as pd
import pytest
from tracking.real_models import transactions

from vae_anomaly.batch import score_tables


@pytest.fixture(scope="module")
def scored(table_model, tmp_path_factory) -> Path:
    """Two quiet nights in one folder, and a loud one in another."""
    folder = tmp_path_factory.mktemp("nights")
    for day in (1, 2, 3):
        rows = transactions(300, seed=day)
        rows["when"] += pd.Timedelta(days=day)
        rows["amount"] *= 40 if day == 3 else 1
        rows.to_parquet(folder / f"2026-01-0{day}.parquet")
        score_tables(
            table_model,
            folder / f"2026-01-0{day}.parquet",
            folder / "out" / ("loud" if day == 3 else "quiet"),
        )
    return folder / "out"


def test_nights_are_listed_by_their_time_with_what_is_wrong(call, scored):
    code, out, _ = call("monitor", scored)
    rows = [line.split() for line in out.splitlines() if "folder:" in line]
    assert code == 0
    assert [row[0] for row in rows] == ["quiet/2026-01-01", "quiet/2026-01-02", "loud"]
    assert [row[-1] for row in rows] == ["quiet", "quiet", "alarm"]
    assert "loud: alarm: " in out
    assert "of the items are flagged" in out
    assert "Train it again with `vae-anomaly train`" in out


def test_json_has_every_night_and_a_limit_makes_alarms(call, scored):
    code, out, _ = call("monitor", scored / "quiet", "--max-flag-rate", "0", "--json")
    nights = json.loads(out)["nights"]
    assert code == 0
    assert [night["items_read"] for night in nights] == [300, 300]
    flagged = [night["items_flagged"] > 0 for night in nights]
    assert [bool(night["alarms"]) for night in nights] == flagged


def test_a_page_of_the_nights_is_drawn(call, scored, tmp_path):
    code, out, _ = call("monitor", scored, "--report", "nights.html")
    assert (code, "Report: nights.html" in out) == (0, True)
    assert "1 of 3 nights has an alarm" in (tmp_path / "nights.html").read_text(encoding="utf-8")


def test_fail_on_drift_is_exit_6_only_where_a_night_is_loud(call, scored):
    assert call("monitor", scored / "quiet", "--fail-on-drift")[0] == 0
    code, out, err = call("monitor", scored, "--fail-on-drift", "--last", "1")
    assert (code, "loud: " in err) == (6, True)
    assert "quiet" not in out


def test_an_alarm_runs_a_command_with_the_summary_and_json(call, scored, tmp_path):
    program = "import json, sys; print(sys.argv[1:], file=open('told', 'w')); json.load(sys.stdin)"
    command = shlex.join([sys.executable, "-c", program, "drift"])
    assert call("monitor", scored / "quiet", "--alarm-command", command)[0] == 0
    assert not (tmp_path / "told").exists()
    code, _, err = call("monitor", scored, "--alarm-command", command)
    assert (code, "handed on" in err) == (0, True)
    assert (tmp_path / "told").read_text() == f"{['drift', str(scored / 'loud/summary.json')]}\n"


def test_a_command_that_fails_is_exit_69_and_no_shell_reads_it(call, scored, tmp_path):
    command = shlex.join([sys.executable, "-c", "raise SystemExit(3)", "; touch owned"])
    code, _, err = call("monitor", scored, "--alarm-command", command)
    assert (code, "ended with 3" in err) == (69, True)
    assert not (tmp_path / "owned").exists()
    assert call("monitor", scored, "--alarm-command", "'open")[0] == 2


def test_no_results_and_an_unfinished_folder_are_exit_3(call, scored, tmp_path):
    code, _, err = call("monitor", tmp_path)
    assert (code, "No results of `vae-anomaly score`" in err) == (3, True)
    assert call("monitor", tmp_path / "none")[0] == 3
