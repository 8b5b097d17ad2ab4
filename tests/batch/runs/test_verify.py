"""A folder is whole only where every file, count, score and id is as its run has promised."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from vae_anomaly.batch.output.holding import held
from vae_anomaly.batch.output.ledger import Ledger
from vae_anomaly.batch.runs.verify import verify_run
from vae_anomaly.errors import LockedError
from vae_anomaly.files import sha256_of

PART = "part-2026-01-02.parquet"
QUARANTINE = "quarantine/2026-01-02.jsonl"


def test_a_folder_as_its_run_left_it_is_whole(out):
    looked = verify_run(out)
    assert looked.findings == ()
    assert looked.rows == 180
    listed = [path for path in out.rglob("*") if path.suffix in (".parquet", ".jsonl")]
    assert looked.files >= len(listed) + 1  # and the facts of the model


def relisted(out: Path, name: str) -> None:
    """Make manifest and ledger list a file as it is now, as who hides a change would."""
    manifest = json.loads((out / "manifest.json").read_text())
    for entry in manifest["partitions"]:
        if name in entry["files"]:
            entry["files"][name] = sha256_of(out / name)
    (out / "manifest.json").write_text(json.dumps(manifest))
    with Ledger(out / "ledger.sqlite") as ledger:
        for row in ledger.rows().values():
            if name in row.files:
                row.files[name] = sha256_of(out / name)
                ledger.record(row)


def rewritten(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    def act(out: Path) -> None:
        pq.write_table(change(pq.read_table(out / PART)), out / PART)
        relisted(out, PART)

    return act


def with_column(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    place = table.column_names.index(name)
    return table.set_column(place, table.field(place), values)


def shortened_quarantine(out: Path) -> None:
    lines = (out / QUARANTINE).read_text().splitlines()
    (out / QUARANTINE).write_text("\n".join(lines[1:]) + "\n")
    relisted(out, QUARANTINE)


def other_manifest(**values: object) -> Callable[[Path], None]:
    def act(out: Path) -> None:
        manifest = json.loads((out / "manifest.json").read_text())
        manifest["partitions"][1] |= values
        (out / "manifest.json").write_text(json.dumps(manifest))

    return act


def damaged(out: Path) -> None:
    content = bytearray((out / PART).read_bytes())
    content[200] ^= 1
    (out / PART).write_bytes(content)


def forgotten(out: Path) -> None:
    with Ledger(out / "ledger.sqlite") as ledger:
        ledger.forget("2026-01-03")


FAULTS = {
    "one bit": (damaged, PART, "SHA-256 differs"),
    "missing": (lambda out: (out / PART).unlink(), PART, "is missing; manifest.json lists it"),
    "unlisted part": (lambda out: (out / "part-x.parquet").touch(), "part-x.parquet", "lists it"),
    "unlisted beside": (lambda out: (out / "review/x.jsonl").touch(), "review/x.jsonl", "lists it"),
    "half-written": (lambda out: (out / ".part-x.1.partial").touch(), ".part-x.1.partial", "lists"),
    "rows taken out": (rewritten(lambda t: t.slice(1)), PART, "it holds 56 rows"),
    "id twice": (
        rewritten(lambda t: pa.concat_tables([t.slice(0, 1), t.slice(0, 1), t.slice(2)])),
        PART,
        "1 id is in it more than once",
    ),
    "flags turned": (
        rewritten(lambda t: with_column(t, "score", pc.add(t["score"], 99.0))),
        PART,
        "flagged otherwise than score and threshold say",
    ),
    "not finite": (
        rewritten(lambda t: with_column(t, "score", pc.add(t["score"], float("nan")))),
        PART,
        "not finite",
    ),
    "no part": (
        lambda out: ((out / PART).write_bytes(b"PAR1"), relisted(out, PART)), PART, "no part that",
    ),
    "quarantine shortened": (shortened_quarantine, QUARANTINE, "it holds 2 items; listed are 3"),
    "counts": (other_manifest(rows_in=61), "2026-01-02", "61 rows in are not 57 out and 3 bad"),
    "ledger": (forgotten, "out", "ledger.sqlite and manifest.json differ"),
    "unfinished": (lambda out: (out / "manifest.json").unlink(), "manifest.json", "has not fini"),
    "manifest": (
        lambda out: (out / "manifest.json").write_text('{"partitions": 1}'), "out", "no manifest",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "where", "what"), FAULTS.values(), ids=FAULTS)
def test_what_is_not_as_promised_is_named(damage, where, what, out):
    damage(out)
    findings = [one for one in verify_run(out).findings if one.where.endswith(where)]
    assert any(what in one.what for one in findings), verify_run(out).findings


def test_parts_that_failed_are_faults_unless_they_are_allowed(out):
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["failed"] = {"2026-01-04": "2026-01-04.csv is empty."}
    (out / "manifest.json").write_text(json.dumps(manifest))
    ((finding),) = verify_run(out).findings
    assert (finding.where, "is empty" in finding.what) == ("2026-01-04", True)
    assert verify_run(out, allow_failed=True).findings == ()


def test_a_folder_that_is_written_to_is_not_judged(out):
    with held(out, "theirs"), pytest.raises(LockedError, match="Wait for it"):
        verify_run(out)
