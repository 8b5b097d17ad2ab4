"""Verdicts are stored with the model, shown, and used to tune its threshold."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from cli.evaluation_fixtures import *  # noqa: F403 - fixtures

from vae_anomaly.tracking import load_feedback

MODEL = "models:/cards@champion"


@pytest.fixture
def at(registered, monkeypatch, call):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registered.store)  # after `call`, which clears it
    return call


def write_scores(folder) -> pd.DataFrame:
    """Write 400 scores, 40 above 2 of which half are real, 10 others missed; return the truth."""
    score = [i / 360 * 1.9 for i in range(360)] + [2.1 + i / 40 for i in range(40)]
    real = [i % 36 == 0 for i in range(360)] + [i % 2 == 0 for i in range(40)]
    frame = pd.DataFrame({"id": [f"i{i}" for i in range(400)], "score": score})
    frame["is_anomaly"] = frame["score"] > 2.0
    frame.to_csv(folder / "scores.csv", index=False)
    return frame.assign(real=real)


def decide(folder, truth: pd.DataFrame, sheet: str) -> None:
    """Fill in the verdicts of a sheet."""
    filled = pd.read_csv(folder / sheet)
    real = truth.set_index("id")["real"][filled["item"]].to_numpy()
    filled["verdict"] = ["confirmed" if yes else "false alarm" for yes in real]
    filled.to_csv(folder / sheet, index=False)


def test_a_sheet_is_drawn_reviewed_imported_and_tunes_the_threshold(at, tmp_path):
    truth = write_scores(tmp_path)
    code, out, err = at("feedback", "sample", MODEL, "--scores", "scores.csv", "--n", 120)
    assert code == 0, err
    assert "40 flagged items and 120 of the 360 others" in out
    assert "no verdict" in at("feedback", "import", MODEL, "decisions.csv")[2]
    decide(tmp_path, truth, "decisions.csv")
    code, out, _ = at("feedback", "import", MODEL, "decisions.csv", "--who", "Ada")
    assert "160 verdicts" in out
    assert "120 on items drawn at random" in out
    assert "Ada 160" in at("feedback", "show", "cards")[1]
    code, out, err = at(
        "threshold", "tune", MODEL, "--scores", "scores.csv", "--feedback", "--f-beta", 1
    )
    assert code == 0, err
    assert "40 of 40 flagged items and on 120 of 360 others" in out
    assert "> f_beta 1" in out


def test_without_an_audit_what_is_missed_is_said_to_be_unknown(at, tmp_path):
    truth = write_scores(tmp_path)
    at("feedback", "sample", MODEL, "--scores", "scores.csv", "--n", 1)
    sheet = pd.read_csv(tmp_path / "decisions.csv")
    sheet[sheet["audit"] == "no"].to_csv(tmp_path / "decisions.csv", index=False)
    decide(tmp_path, truth, "decisions.csv")
    at("feedback", "import", MODEL, "decisions.csv")
    tune = ("threshold", "tune", MODEL, "--scores", "scores.csv", "--feedback")
    code, _, err = at(*tune, "--f-beta", 1)
    assert code == 3
    assert "random sample of unflagged items" in err
    code, out, _ = at(*tune, "--min-precision", 0.5)
    assert code == 0
    assert "is unknown" in out
    assert "recall    " not in out


def test_the_last_verdict_on_an_item_wins(at, store, tmp_path):
    (tmp_path / "one.csv").write_text("item,verdict\na,confirmed\nb,no\n")
    (tmp_path / "two.csv").write_text("path,decision,who\na,False Alarm,Bo\na,confirmed,\nc,,\n")
    at("feedback", "import", "cards", "one.csv", "--who", "Ada")
    code, out, _ = at("feedback", "import", "cards", "two.csv", "--who", "Eve")
    assert code == 0
    assert "0 items are new, 0 changed" in out
    assert "1 row without a verdict" in out
    (tmp_path / "three.csv").write_text("id,label\na,0\n")
    assert "1 changed their verdict" in at("feedback", "import", "cards", "three.csv")[1]
    kept = load_feedback("cards", store).set_index("item")
    assert kept["is_anomaly"].to_dict() == {"a": False, "b": False}
    assert kept["who"]["b"] == "Ada"


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("item,verdict\na,perhaps\n", 3, "'perhaps' in row 1, which is no verdict"),
        ("item,other\na,1\n", 3, "its name with --verdict"),
        ("thing,verdict\na,1\n", 3, "its name with --item"),
        ("item,verdict\n,yes\n", 3, "without a name in row 1"),
        ("item,verdict,audit\na,yes,perhaps\n", 3, "'perhaps' in row 1 of audit"),
        ("item,verdict,when\na,yes,monday\n", 3, "'monday' in row 1 of when"),
    ],
    ids=["word", "no verdicts", "no items", "nameless", "audit", "when"],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_remedy(at, tmp_path, text, code, told):
    (tmp_path / "bad.csv").write_text(text)
    found, out, err = at("feedback", "import", "cards", "bad.csv")
    assert (found, out) == (code, "")
    assert told in err


def test_a_folder_and_an_unknown_model_are_refused(at, table_model, tmp_path):
    (tmp_path / "d.csv").write_text("item,verdict\na,yes\n")
    assert "is a folder" in at("feedback", "import", table_model, "d.csv")[2]
    assert at("feedback", "import", "nobody", "d.csv")[0] == 5


def test_verdicts_on_other_items_are_refused(at, tmp_path):
    write_scores(tmp_path)
    (tmp_path / "d.csv").write_text("item,verdict\nx1,yes\nx2,no\n")
    at("feedback", "import", MODEL, "d.csv")
    tune = ("threshold", "tune", MODEL, "--feedback")
    code, _, err = at(*tune, "--scores", "scores.csv")
    assert code == 3
    assert "None of the 400 items" in err
    assert at(*tune)[0] == 2  # the held-out normals were never reviewed


def test_verdicts_on_items_that_were_never_scored_are_refused_by_name(at, store, tmp_path):
    write_scores(tmp_path)
    (tmp_path / "d.csv").write_text("item,verdict\ni5,fraud\nI-7,legit\nnobody,yes\n")
    line = ("feedback", "import", MODEL, "d.csv")
    code, out, err = at(*line, "--scores", "scores.csv")
    assert (code, out) == (3, "")
    assert "judges 2 items that are not among the 400" in err
    assert "'I-7' (did you mean 'i7'?), 'nobody'" in err
    assert load_feedback("cards", store).empty
    (tmp_path / "d.csv").write_text("item,verdict\ni5,fraud\ni7,legit\n")
    assert at(*line, "--scores", "scores.csv")[0] == 0


def test_an_import_says_where_the_items_were_not_compared_with_scores(at, tmp_path):
    (tmp_path / "d.csv").write_text("item,verdict\ni5,yes\n")
    assert "--scores flags/ checks it" in at("feedback", "import", MODEL, "d.csv")[1]


def test_verdicts_that_do_not_count_for_a_threshold_are_named(at, tmp_path, caplog):
    truth = write_scores(tmp_path)
    at("feedback", "sample", MODEL, "--scores", "scores.csv", "--n", 120)
    decide(tmp_path, truth, "decisions.csv")
    sheet = (tmp_path / "decisions.csv").read_text() + "last week,confirmed,no\n"
    (tmp_path / "decisions.csv").write_text(sheet)
    at("feedback", "import", MODEL, "decisions.csv")
    line = ("threshold", "tune", MODEL, "--scores", "scores.csv", "--feedback", "--f-beta", 1)
    assert at(*line)[0] == 0
    assert "1 of 161 verdicts are on items that are not among the 400" in caplog.text
    assert "'last week'" in caplog.text


def test_a_withdrawn_import_counts_nowhere_and_can_be_imported_again(at, store, tmp_path):
    (tmp_path / "good.csv").write_text("item,verdict\na,confirmed\nb,no\n")
    (tmp_path / "bad.csv").write_text("item,verdict\na,no\nc,confirmed\n")
    at("feedback", "import", "cards", "good.csv", "--who", "Ada")
    bad = json.loads(at("feedback", "import", "cards", "bad.csv", "--who", "Eve", "--json")[1])[
        "run_id"
    ]
    code, out, err = at("feedback", "withdraw", "cards", bad[:8], "--who", "Bo")
    assert (code, err) == (0, "")
    assert f"Import {bad[:8]} of cards is withdrawn: 2 verdicts that Eve imported" in out
    kept = load_feedback("cards", store).set_index("item")
    assert kept["is_anomaly"].to_dict() == {"a": True, "b": False}
    shown = at("feedback", "show", "cards")[1]
    assert "2 items have a verdict" in shown
    assert "by Bo" in shown
    at("feedback", "import", "cards", "bad.csv")
    assert len(load_feedback("cards", store)) == 3


def test_an_import_that_is_not_there_is_refused_with_those_that_are(at, tmp_path):
    (tmp_path / "d.csv").write_text("item,verdict\na,yes\n")
    one = json.loads(at("feedback", "import", "cards", "d.csv", "--json")[1])["run_id"]
    code, out, err = at("feedback", "withdraw", "cards", "zzz")
    assert (code, out) == (2, "")
    assert f"cards has no import 'zzz'; it has {one[:8]}" in err


@pytest.mark.parametrize("step", ["feedback-opened", "feedback-logged"])
def test_an_import_that_broke_off_counts_nothing_and_is_made_again(at, tmp_path, step, monkeypatch):
    (tmp_path / "d.csv").write_text("item,verdict\na,yes\n")
    monkeypatch.setenv("VAE_ANOMALY_FAILPOINT", f"{step}:1:full")
    assert at("feedback", "import", "cards", "d.csv")[0] == 74
    assert "No verdicts" in at("feedback", "show", "cards")[1]
    assert "1 verdict of d.csv is stored" in at("feedback", "import", "cards", "d.csv")[1]
