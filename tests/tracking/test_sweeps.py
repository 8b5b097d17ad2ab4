"""What a sweep leaves in MLflow, and what an outage leaves on the disk."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import torch

from vae_anomaly.errors import DataError, RegistryUnavailableError
from vae_anomaly.tracking import log_sweep, log_sweep_record
from vae_anomaly.vae.sweep import SweepGrid, SweepReport, SweepSettings, sweep

DEAD = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def report() -> SweepReport:
    rows = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    settings = SweepSettings(hidden=(8,), max_steps=3)
    return sweep(rows[:40], rows[40:], SweepGrid((0.5, 1), (2,)), settings, source="noise")


def children(client: mlflow.MlflowClient, experiment: str, parent: str):
    below = f"tags.`mlflow.parentRunId` = '{parent}'"
    found = client.search_runs([experiment], below)
    return {run.info.run_id: run for run in found}


def test_a_parent_run_holds_the_table_and_a_child_run_each_model(report, store, tmp_path):
    logged = log_sweep(report, name="valves", uri=store)
    client = mlflow.MlflowClient(store)
    experiment = client.get_experiment_by_name("valves").experiment_id
    parent = client.get_run(logged.run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["vae_anomaly.kind"] == "sweep"
    assert (parent.data.params["betas"], parent.data.params["latent_dims"]) == ("0.5,1", "2")
    assert parent.data.params["source"] == "noise"
    assert parent.data.metrics["rmse_mean"] == pytest.approx(report.rmse_mean)
    kept = Path(client.download_artifacts(logged.run_id, "", str(tmp_path)))
    assert SweepReport.from_dict(json.loads((kept / "sweep.json").read_text())) == report
    assert list(pd.read_csv(kept / "sweep.csv")["rmse"]) == [c.rmse for c in report.cells]
    runs = children(client, experiment, logged.run_id)
    assert set(runs) == set(logged.child_run_ids)
    for run_id, cell in zip(logged.child_run_ids, report.cells, strict=True):
        run = runs[run_id]
        assert run.info.run_name == cell.name
        assert run.info.status == "FINISHED"
        assert run.data.params["latent_dim"] == "2"
        assert run.data.params.get("beta") == (None if cell.beta is None else str(cell.beta))
        assert run.data.metrics["rmse"] == pytest.approx(cell.rmse)
        assert run.data.metrics.get("negative_elbo") == pytest.approx(cell.negative_elbo)
    assert not list(Path(store.removeprefix("sqlite:///")).parent.glob("spool/*"))


def test_an_outage_keeps_the_sweep_and_it_can_be_logged_later(report, store, tmp_path):
    with pytest.raises(RegistryUnavailableError, match="Nothing is lost"):
        log_sweep(report, uri=DEAD)
    (record,) = (tmp_path / "vae-anomaly-store" / "spool").iterdir()
    assert len(pd.read_csv(record / "sweep.csv")) == 3
    logged = log_sweep_record(record, uri=store)
    assert len(logged.child_run_ids) == 3
    assert not record.exists()


def test_a_folder_that_is_no_record_is_refused(tmp_path, store):
    with pytest.raises(DataError, match="not the record of a sweep"):
        log_sweep_record(tmp_path, uri=store)
