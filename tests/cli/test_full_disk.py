"""Whatever a command writes, a disk that takes no more of it ends the command with 74."""

from __future__ import annotations

import re
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
from tracking.real_models import transactions

from vae_anomaly.tracking import load, log_night
from vae_anomaly.tracking.nights import ScoredNight

MODEL = "models:/cards@champion"


@contextmanager
def files_end_at(size_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def at(registered, monkeypatch, call, tmp_path, table_model) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registered.store)  # after `call`, which clears it
    shutil.copytree(table_model, tmp_path / "model")
    transactions(60, seed=3).to_parquet(tmp_path / "rows.parquet")
    return call


def below(folder: Path) -> set[Path]:
    """Return the files that stay; the folders, locks and journals of SQLite are no results."""
    found = {path for path in folder.rglob("*") if path.is_file()}
    return {path for path in found if not path.name.endswith((".lock", "-wal", "-shm", "-journal"))}


@pytest.mark.parametrize(
    ("size_bytes", "words", "remedy"),
    [
        (1_000, ["score", "table", MODEL, "rows.parquet", "--out", "flags"], "VAE_ANOMALY_CACHE"),
        (1_000, ["models", "verify", MODEL], "VAE_ANOMALY_CACHE"),
        (1_000, ["threshold", "apply", "model", "limit.json"], "earlier folder .* is intact"),
        (100, ["threshold", "tune", "model", "--target-fpr", "0.05", "--out", "t.json"], "--out"),
        (100, ["data", "schema", "rows.parquet", "--out", "schema.json"], "another --out"),
        (3_000, ["report", "model", "--out", "page.html"], "another --out"),
        (3_000, ["demo", "--out", "demo"], "another --out"),
    ],
    ids=lambda part: " ".join(part[:2]) if isinstance(part, list) else "",
)
def test_it_ends_with_74_and_a_remedy_and_leaves_no_half_file(
    at, tmp_path, size_bytes, words, remedy
):
    assert at("threshold", "tune", "model", "--target-fpr", 0.02, "--out", "limit.json")[0] == 0
    before = below(tmp_path)
    with files_end_at(size_bytes):
        code, _, err = at(*words)
    assert code == 74, err
    assert re.search(remedy, err), err
    assert below(tmp_path) - before <= {tmp_path / "demo" / "demo.json"}


def test_a_store_that_takes_no_more_is_a_full_disk_and_no_outage(at, tmp_path, registered):
    load(MODEL, registered.store)  # the cache has it
    with files_end_at(4_000):
        code, _, err = at("models", "promote", "cards", "1", "--alias", "second")
    assert (code, "Free some space" in err, "disk I/O error" in err) == (74, True, True), err
    assert "second" not in at("models", "list")[1]


def test_a_full_disk_keeps_the_ledger_and_its_advice(at, tmp_path):
    with files_end_at(3_000):
        code, _, err = at("score", "table", "model", "rows.parquet", "--out", "flags")
    assert code == 74
    assert "Free some space, then run again" in err
    assert "Move it away" not in err
    assert at("score", "table", "model", "rows.parquet", "--out", "flags")[0] == 0


def test_a_record_that_cannot_be_written_leaves_nothing_in_the_spool(at, tmp_path, registered):
    (tmp_path / "page.html").write_text("x" * 5_000)
    night = ScoredNight("cards/1", "d", "out", "m")
    with files_end_at(1_000), pytest.raises(OSError, match="Free some space"):
        log_night(night, [tmp_path / "page.html"], uri=registered.store)
    assert not list(tmp_path.rglob("spool/*"))


@pytest.fixture
def sheet(at, tmp_path) -> Path:
    frame = pd.DataFrame(
        {"id": [f"i{i}" for i in range(100)], "score": [i / 20 for i in range(100)]}
    )
    frame.assign(is_anomaly=frame["score"] > 3).to_csv(tmp_path / "scores.csv", index=False)
    return tmp_path / "decisions.csv"


def draw(at) -> tuple[int, str, str]:
    return at("feedback", "sample", "model", "--scores", "scores.csv", "--n", 20)


def test_a_sheet_that_does_not_fit_is_not_written_at_all(at, sheet):
    with files_end_at(300):
        code, _, err = draw(at)
    assert (code, sheet.exists()) == (74, False), err


def test_an_empty_sheet_is_drawn_again_and_one_with_verdicts_never(at, sheet):
    assert (draw(at)[0], draw(at)[0]) == (0, 0)
    filled = pd.read_csv(sheet)
    filled["verdict"] = ["confirmed", *[None] * (len(filled) - 1)]
    filled.to_csv(sheet, index=False)
    before = sheet.read_bytes()
    code, _, err = draw(at)
    assert (code, sheet.read_bytes()) == (2, before)
    assert "decisions.csv holds 1 verdict" in err


def test_another_file_in_the_place_of_the_sheet_stays(at, sheet):
    sheet.write_text("dear diary\n")
    code, _, err = draw(at)
    assert (code, sheet.read_text()) == (2, "dear diary\n")
    assert "another --out" in err
