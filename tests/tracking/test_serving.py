"""`mlflow models serve` answers with scores, without our help."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from tracking.real_models import transactions
from tracking.test_server import free_port, stop, wait_until_it_answers

from vae_anomaly import load_detector
from vae_anomaly.tracking import load


def test_served_model_scores_a_table_row(registered, store, table_model, tmp_path):
    _, model = load("models:/cards@champion", store)
    port = free_port()
    command = [
        sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model.path.parents[1]),
        "--host", "127.0.0.1", "--port", str(port), "--env-manager", "local", "--workers", "1",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=tmp_path, env=environment, start_new_session=True
        )
        try:
            wait_until_it_answers(f"http://127.0.0.1:{port}/ping", process, tmp_path / "log")
            answers = ask(port)
        finally:
            stop(process)
    expected = load_detector(table_model).assess(rows_to_send())
    assert [answer["score"] for answer in answers] == expected["anomaly_score"].tolist()
    assert [answer["is_anomaly"] for answer in answers] == expected["is_anomaly"].tolist()
    assert answers[0]["status"] == answers[1]["status"] == "scored"
    assert answers[1]["is_anomaly"]
    assert "amount" in answers[1]["reason_1"]


def rows_to_send():
    """A usual row with two missing cells, and one with a strange amount in whole numbers."""
    rows = transactions(2, seed=9).drop(columns="id").astype({"merchant": object, "online": object})
    rows["amount"] = [40, 90_000]
    rows.loc[0, "merchant"] = None
    rows.loc[0, "online"] = None
    return rows


def ask(port: int):
    sent = rows_to_send()
    sent["when"] = sent["when"].dt.strftime("%Y-%m-%dT%H:%M:%S")
    body = {"dataframe_split": {"columns": list(sent.columns), "data": sent.to_numpy().tolist()}}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310 - loopback
        return json.load(reply)["predictions"]
