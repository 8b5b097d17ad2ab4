"""What outages left on the disk is logged by one command, once, and what is damaged stays."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from vae_anomaly import load_detector
from vae_anomaly.errors import RegistryUnavailableError
from vae_anomaly.tracking import ScoredNight, log_training, sync_spool
from vae_anomaly.tracking.spool import OWNER, new_record, spool_folder
from vae_anomaly.tracking.store import session


def spool_night(store: str, number: int) -> Path:
    """Leave a night on the disk, as an outage does."""
    night = ScoredNight(
        "cards/1", "d" * 64, f"/nights/{number}", str(number) * 64, {"flag_rate": 0.01 * number}
    )
    with new_record(store, "night") as record:
        (record / "report.html").write_text("<html>")
        (record / "night.json").write_text(json.dumps(asdict(night)))
    return record


def spool_training(store: str, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a training on the disk."""
    with monkeypatch.context() as patch:

        def away(*_: object, **__: object) -> None:
            raise RegistryUnavailableError("It is away.")

        patch.setattr("vae_anomaly.tracking.spool.close_runs", away)
        with pytest.raises(RegistryUnavailableError, match="vae-anomaly runs sync --tracking-uri"):
            log_training(load_detector(model), name="cards", uri=store)


def test_nights_and_trainings_are_logged_once_and_nothing_waits_any_more(
    store, table_model, monkeypatch
):
    spool_training(store, table_model, monkeypatch)
    records = [spool_night(store, number) for number in (1, 2)]
    copy = records[0].with_name("copy")
    shutil.copytree(records[0], copy)
    synced = sync_spool(store)
    assert sorted(one.kind for one in synced) == ["night", "night", "night", "training"]
    assert len({one.run_id for one in synced}) == 3, "the same night twice is one run"
    assert list(spool_folder(store).iterdir()) == []
    assert sync_spool(store) == []
    with session(store) as client:
        (experiment,) = client.search_experiments(filter_string="name = 'vae-anomaly-scores'")
        runs = client.search_runs([experiment.experiment_id])
        assert sorted(run.data.metrics["flag_rate"] for run in runs) == [0.01, 0.02]
        assert client.get_model_version("cards", "1").version


def test_what_is_damaged_or_in_use_stays_and_is_named(store):
    half, busy = (spool_night(store, number) for number in (1, 2))
    (half / "night.json").write_text('{"model": 3')
    (busy / OWNER).write_text(f"{os.uname().nodename} {os.getppid()}")
    with new_record(store, "unfinished"):
        pass
    reasons = {one.record.name.split("-")[0]: one.reason for one in sync_spool(store)}
    assert "not written to its end" in reasons["unfinished"]
    left = {one.record: one.reason for one in sync_spool(store)}
    assert "is not the record of a night" in left[half]
    assert left[busy] == "a running process is at it"
