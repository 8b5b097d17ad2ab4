"""On Ray and on Spark a night is the same to the byte, goes on and outlives its workers.

Skipped where the extras ``ray`` and ``spark``, or Java, are missing.
"""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec

import pytest
from click.testing import CliRunner

from vae_anomaly.batch import score_tables
from vae_anomaly.cli.group import cli
from vae_anomaly.errors import LockedError, TooManyBadItemsError
from vae_anomaly.files import VARIABLE

HAS_SPARK = find_spec("pyspark") and shutil.which("java")
pytestmark = pytest.mark.filterwarnings("default")  # what these libraries warn of is theirs

ray = pytest.param(
    "ray", marks=pytest.mark.skipif(not find_spec("ray"), reason="needs the extra ray")
)
spark = pytest.param(
    "spark", marks=pytest.mark.skipif(not HAS_SPARK, reason="needs the extra spark, and Java")
)
engines = pytest.mark.parametrize("engine", [ray, spark])


@engines
def test_a_cluster_goes_on_where_one_machine_stopped_and_a_lost_worker_costs_nothing(
    engine, days, table_model, tmp_path, hashes, monkeypatch, caplog
):
    late, mark = tmp_path / "2026-01-03.parquet", tmp_path / "mark"
    out, undisturbed = tmp_path / "out", tmp_path / "undisturbed"
    (days / late.name).rename(late)
    for folder in (out, undisturbed):
        score_tables(table_model, days, folder)
    late.rename(days / late.name)
    score_tables(table_model, days, undisturbed)
    monkeypatch.setenv(VARIABLE, f"partition-started@2026-01-03::once={mark}")
    summary = score_tables(table_model, days, out, engine=engine, workers=2)
    assert mark.exists()
    assert (summary.partitions, summary.skipped, summary.rows_in) == (3, 2, 180)
    assert hashes(out) == hashes(undisturbed)
    assert [record.partition for record in caplog.records if record.levelname == "WARNING"] == [
        "2026-01-03"
    ]


@engines
def test_a_day_that_cannot_be_read_is_set_aside_and_the_command_says_so(
    engine, days, table_model, tmp_path
):
    (days / "2026-01-02.parquet").write_bytes(b"PAR1 cut off")
    words = ["score", "table", str(table_model), str(days), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(
        cli, [*words, "--engine", engine, "--workers", "2", "--json", "--no-report"]
    )
    assert isinstance(result.exception, TooManyBadItemsError), result.output
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert list(manifest["failed"]) == ["2026-01-02"]
    assert manifest["totals"]["rows_in"] == 120


@engines
def test_an_error_in_a_worker_is_the_error_of_the_run(engine, days, table_model, tmp_path):
    """A folder that a second run has taken: the workers of the first write nothing to it."""
    from vae_anomaly.batch import Output, plan_tables
    from vae_anomaly.batch.asked import pinned
    from vae_anomaly.batch.engines.choice import engine_of
    from vae_anomaly.batch.output.holding import held
    from vae_anomaly.tracking import resolve

    model, out = pinned(resolve(table_model), "tabular"), tmp_path / "out"
    with held(out, "second"), pytest.raises(LockedError, match="another has begun there"):
        list(engine_of(engine)(plan_tables(days)[:1], model, Output(str(out), run="first"), 1))
