"""What is sent to MLflow stays on the disk until all of it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from vae_anomaly.errors import RegistryUnavailableError
from vae_anomaly.tracking.client import experiment_id
from vae_anomaly.tracking.spool import Upload, new_record, send
from vae_anomaly.tracking.store import session


def open_and_break_off(store: str, error: Exception):
    def upload(sending: Upload) -> str:
        sending.open_run(experiment_id(sending.client, store, "tests"), "one", {})
        raise error

    return upload


def new(store: str, name: str) -> Path:
    with new_record(store, name) as record:
        return record


def statuses(store: str) -> list[str]:
    with session(store) as client:
        found = client.search_runs([experiment_id(client, store, "tests")])
        return [run.info.status for run in found]


def resend(record: Path, store: str, upload):
    return send(record, store, upload, what="the record is")


def test_what_was_sent_leaves_no_record(store):
    record = new(store, "two words")
    assert record.name.startswith("two_words-")
    assert resend(record, store, lambda sending: "done") == "done"
    assert not record.exists()


def test_a_fault_of_ours_closes_the_run_and_keeps_the_record(store):
    record = new(store, "cards")
    with pytest.raises(ValueError, match="ours"):
        resend(record, store, open_and_break_off(store, ValueError("ours")))
    assert (statuses(store), record.is_dir()) == (["FAILED"], True)


def test_runs_that_an_outage_cut_off_are_closed_when_the_record_is_sent_again(store):
    record, outage = new(store, "cards"), RegistryUnavailableError("It is away.")
    with pytest.raises(RegistryUnavailableError, match=r"It is away\. Nothing is lost: .*cards-"):
        resend(record, store, open_and_break_off(store, outage))
    assert statuses(store) == ["RUNNING"]
    assert resend(record, store, lambda sending: "done") == "done"
    assert (statuses(store), record.exists()) == (["FAILED"], False)
