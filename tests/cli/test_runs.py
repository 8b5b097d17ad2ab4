"""Output folders from the command line: listed, shown, verified, gone on with."""

from __future__ import annotations

import json

from tracking.real_models import transactions, write_days


def test_the_life_of_a_night_from_the_command_line(call, call_json, table_model, tmp_path):
    days = write_days(tmp_path / "days")
    (days / "2026-01-02.parquet").rename(tmp_path / "kept")
    (days / "2026-01-02.csv").write_text("")
    score = ("score", "table", table_model, "days", "--out", "nights/flags", "--id-column", "id")
    ends = ("--no-report", "--fail-on-anomaly", "--threads", "1")
    assert call(*score, *ends)[0] == 4
    (one,) = call_json("runs", "list", "nights")["runs"]
    assert (one["folder"], one["state"], one["rows_out"]) == ("nights/flags", "failed", 120)
    code, out, _ = call("runs", "list", "nights")
    assert code == 0
    assert "Go on: vae-anomaly runs resume nights/flags" in out
    code, out, err = call("runs", "verify", "nights/flags")
    assert (code, "- 2026-01-02: it could not be scored" in out) == (3, True)
    assert "vae-anomaly runs resume nights/flags" in err
    (days / "2026-01-02.csv").unlink()
    (tmp_path / "kept").rename(days / "2026-01-02.parquet")
    transactions(30, seed=4).to_parquet(days / "2026-01-04.parquet")  # late, and scored as well
    code, out, err = call("runs", "resume", "nights/flags", "--json")
    assert (code, "--fail-on-anomaly was given" in err) == (6, True)  # as was asked for
    assert not (tmp_path / "nights" / "flags" / "report.html").exists()
    first = json.loads(out)
    assert (first["partitions"], first["skipped"]) == (4, 2)
    code, out, err = call("runs", "resume", "nights/flags", "--no-fail-on-anomaly", "--json")
    assert code == 0
    assert err.startswith("Going on with: vae-anomaly score table")
    shown = call_json("runs", "show", "nights/flags")
    assert (shown["state"], len(shown["parts"]), len(shown["runs"])) == ("complete", 4, 3)
    assert shown["asked"]["ending"] == {
        "report": False, "fail_on_anomaly": False, "fail_on_drift": False, "threads": 1,
    }  # fmt: skip
    assert shown["asked"]["options"]["id_column"] == "id"
    code, out, _ = call("runs", "show", "nights/flags")
    assert "--id-column id" in out
    assert "2026-01-04" in out
    assert call_json("runs", "verify", "nights/flags")["runs"][0]["whole"] is True


def test_what_is_no_output_folder_is_refused(call, tmp_path):
    assert call("runs", "list", ".")[:2] == (0, "No results of `vae-anomaly score` there.\n")
    for command in ("show", "verify", "resume"):
        code, _, err = call("runs", command, tmp_path)
        assert code == 3
        assert "holds no results of `vae-anomaly score`" in err
