"""Cells that nobody typed: megabytes, signs that a terminal obeys, formulas."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from tracking.real_models import transactions

from vae_anomaly import load_detector
from vae_anomaly.errors import DataError

RED = "\x1b[31m"
OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def score(call, frame: pd.DataFrame, model) -> tuple[int, str, str]:
    frame.to_parquet("rows.parquet")
    return call("score", "table", model, "rows.parquet", "--out", "flags", "--id-column", "id")


@pytest.mark.parametrize(
    ("column", "code"), [("id", "long_id"), ("amount", "not_a_number"), ("merchant", None)]
)
def test_of_a_huge_cell_little_is_kept_and_printed(call, table_model, tmp_path, column, code):
    frame = transactions(60, seed=7).astype({"amount": str})
    frame.loc[3, column] = "x" * 2_000_000
    exit_code, out, err = score(call, frame, table_model)
    assert exit_code in (0, 4), err
    assert len(out + err) < 5_000
    assert (f"1 {code}" in out + err) == (code is not None)
    kept = [path for path in (tmp_path / "flags").rglob("*") if path.suffix not in {".html", ""}]
    assert max(path.stat().st_size for path in kept) < 100_000
    assert (tmp_path / "flags" / "report.html").stat().st_size < 400_000


def test_a_message_tells_the_beginning_and_the_end_of_what_it_quotes():
    message = str(DataError(f"The cell {'x' * 10**6!r} is no number. Correct it."))
    assert len(message) <= 4_000
    assert message.startswith("The cell 'xxx")
    assert message.endswith("xxx' is no number. Correct it.")


def test_no_cell_speaks_to_the_terminal(call, table_model):
    frame = transactions(60, seed=7)
    frame["id"] += f"{RED}\x9b\r\0"
    frame.loc[3, ["amount", "merchant"]] = 1e6, f"new{RED}\x07"
    _, out, err = score(call, frame, table_model)
    assert "t7-3\\x1B[31m\\u009B\\x0D\\x00" in out
    assert not OBEYED.search(out + err)
    missing = score(call, frame.rename(columns={"amount": f"amount{RED}\0"}), table_model)
    assert "amount\\x1b[31m" in missing[2]
    assert not OBEYED.search(missing[2])


def test_reasons_quote_no_sign_that_a_terminal_obeys(table_model):
    frame = transactions(12, seed=7)
    frame.loc[3, "merchant"] = f"new{RED}"
    assert any("'new\\x1B[31m'" in text for text in load_detector(table_model).reasons(frame)[3])


def test_a_sheet_for_reviewers_runs_no_formula_and_is_imported_as_it_was(
    call, registered, monkeypatch, tmp_path
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registered.store)
    ids = [f"=cmd|{i}" for i in range(40)]
    scores = pd.DataFrame({"id": ids, "score": [i / 10 for i in range(40)]})
    scores.to_csv(tmp_path / "scores.csv", index=False)
    model = "models:/cards@champion"
    assert call("feedback", "sample", model, "--scores", "scores.csv", "--n", 5)[0] == 0
    sheet = pd.read_csv(tmp_path / "decisions.csv")
    assert sheet["item"].str.startswith("'=cmd|").all()
    sheet.assign(verdict="confirmed").to_csv(tmp_path / "decisions.csv", index=False)
    code, _, err = call("feedback", "import", model, "decisions.csv", "--scores", "scores.csv")
    assert code == 0, err
    assert "=cmd|39" in call("feedback", "show", model)[1]
