"""Ten kills at random moments; benchmarks/soak.py does hundreds, with workers and images."""

from __future__ import annotations

import signal
import time

import pytest
from batch.entity_nights import write_nights
from batch.launcher import KILLED
from tracking.real_models import write_days

from vae_anomaly.batch import read_results

ENDED = {signal.SIGKILL: {KILLED}, signal.SIGTERM: {143, -signal.SIGTERM}}


@pytest.mark.parametrize("kind", ["rows", "histories"])
def test_ten_kills_at_random_leave_what_an_undisturbed_run_leaves(
    kind, table_model, card_model, tmp_path, launch, rng, hashes
):
    model = table_model if kind == "rows" else card_model
    night = (write_days if kind == "rows" else write_nights)(tmp_path / "night")
    undisturbed = tmp_path / "undisturbed"
    began = time.monotonic()
    assert launch(model, night, undisturbed) == 0
    duration = time.monotonic() - began
    kills, out = 0, tmp_path / "out0"
    while kills < 5:
        how = (signal.SIGKILL, signal.SIGTERM)[kills % 2]
        patience = rng.uniform(0.0, duration)
        status = launch(model, night, out, patience=patience, ended_by=how)
        kills += status != 0
        assert status == 0 or status in ENDED[how]
        if status == 0 or kills == 5:
            assert status == 0 or launch(model, night, out) == 0
            assert hashes(out) == hashes(undisturbed)
            assert not list(out.rglob(".*.partial"))
            assert read_results(out)["id"].is_unique
            out = tmp_path / f"out{kills}"
