"""Commands before a server that does not let them in, or is no MLflow server."""

from __future__ import annotations

import json

import pytest
from cli.evaluation_fixtures import labelled_transactions
from tracking.told_server import Told, told  # noqa: F401 - fixture

REF = "models:/cards@champion"
LINES = [
    ("train", "table", "rows.parquet", "--name", "cards", "--preset", "fast"),
    ("score", "table", REF, "rows.parquet", "--out", "flags"),
    ("score", "table", REF, "rows.parquet", "--out", "flags", "--cached"),
    ("inspect", REF, "rows.parquet:1"),
    ("evaluate", REF, "rows.parquet", "--labels", "is_fraud"),
    ("evaluate", REF, "rows.parquet", "--labels", "is_fraud", "--log"),
    ("models", "list"),
    ("models", "show", "cards"),
    ("models", "promote", "cards", "1"),
    ("models", "verify", REF),
    ("models", "export", REF, "m.onnx"),
    ("threshold", "tune", REF, "--target-fpr", "0.01"),
    ("threshold", "compare", REF, "models:/cards/1"),
    ("threshold", "history", "cards"),
    ("probability", "fit", REF, "rows.parquet", "--labels", "is_fraud"),
    ("feedback", "show", "cards"),
    ("feedback", "import", "cards", "verdicts.csv"),
    ("feedback", "sample", REF, "--input", "rows.parquet"),
    ("latent", "sample", REF, "--out", "latent"),
    ("sweep", "table", "rows.parquet", "--steps", "3"),
]


@pytest.fixture
def files(tmp_path):
    labelled_transactions().to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "verdicts.csv").write_text("item,verdict\nt50-1,confirmed\n")


@pytest.mark.parametrize("line", LINES, ids=" ".join)
@pytest.mark.parametrize("status", [401, 404])
def test_every_command_ends_before_its_work_in_one_line(call, files, told, tmp_path, line, status):
    url = told(lambda path: Told(status, "no entry"))
    if line[0] == "sweep" and status == 404:
        pytest.skip("a sweep goes on where the store is away: its record is kept")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = call(*line, "--tracking-uri", url, "--json")
    assert (code, json.loads(out)["error"]["exit_code"]) == (69, 69)
    errors = [text for text in err.splitlines() if text.startswith("Error: ")]
    assert len(errors) == 1
    assert "MLFLOW_TRACKING_USERNAME" in errors[0]
    assert "Traceback" not in err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_password_in_the_uri_is_in_no_output(call, files, store, told, tmp_path):
    url = told(lambda path: Told(401)).replace("//", "//ada:hunter22@")
    for line in LINES[:3]:
        code, out, err = call(*line, "--tracking-uri", url)
        assert (code, "hunter22" in out + err, "ada" in out + err) == (69, False, False)


def test_an_evaluation_that_cannot_be_logged_is_printed_all_the_same(
    call, files, told, table_model
):
    def answers(path: str) -> Told:
        if path.endswith("runs/create"):
            return Told(500, "the disk is full")
        if "get-by-name" in path:
            experiment = {"experiment_id": "1", "name": "x", "lifecycle_stage": "active"}
            return Told(200, json.dumps({"experiment": experiment}))
        return Told(200, "{}")

    code, out, err = call(
        "evaluate", table_model, "rows.parquet", "--labels", "is_fraud", "--log", "--json",
        "--tracking-uri", told(answers),
    )  # fmt: skip
    assert (code, "auroc" in json.loads(out)["figures"]) == (69, True)
    assert "is in trouble (500" in err
