"""The first use of a store: its tables are there, all of them, or it is as if nothing had been."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from vae_anomaly.errors import RegistryUnavailableError, StorageError
from vae_anomaly.tracking import init_store
from vae_anomaly.tracking.databases.addresses import database_of
from vae_anomaly.tracking.databases.first_use import open_sqlite

OPEN_IT = "import sys; from vae_anomaly.tracking import init_store; init_store(sys.argv[1])"


def run_sql(database: Path, *statements: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def makes(*tables: str, then: BaseException | None = None):
    """Return what opens a store as MLflow does, and may be stopped when some tables are made."""

    def make(uri: str) -> None:
        database = database_of(uri)
        assert database is not None
        run_sql(database, *(f"CREATE TABLE {name} (id INTEGER)" for name in tables))
        if then is not None:
            raise then

    return make


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(143), RuntimeError("no")])
def test_a_first_use_that_breaks_off_leaves_nothing_and_the_next_one_works(end, tmp_path):
    database = tmp_path / "mlflow.db"
    with pytest.raises((type(end), RegistryUnavailableError)):
        open_sqlite(database, makes("experiments", then=end))
    assert not list(tmp_path.iterdir())
    open_sqlite(database, makes("experiments", "runs"))
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def test_what_a_killed_first_use_has_left_is_taken_away(tmp_path):
    for name in (".mlflow.db.4711.partial", ".mlflow.db.4711.partial-journal"):
        (tmp_path / name).write_bytes(b"half")
    open_sqlite(tmp_path / "mlflow.db", makes("experiments"))
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def test_a_process_that_is_killed_when_all_tables_are_made_leaves_no_store(tmp_path, monkeypatch):
    monkeypatch.setenv("VAE_ANOMALY_FAILPOINT", "temp-written")
    command = [sys.executable, "-W", "ignore", "-c", OPEN_IT, str(tmp_path / "new")]
    killed = subprocess.run(command, check=False)
    assert killed.returncode == -9
    assert not (tmp_path / "new" / "mlflow.db").exists()
    monkeypatch.delenv("VAE_ANOMALY_FAILPOINT")
    init_store(tmp_path / "new")
    assert (tmp_path / "new" / "mlflow.db").is_file()


def test_a_full_disk_is_told_as_one(tmp_path, monkeypatch):
    monkeypatch.setenv("VAE_ANOMALY_FAILPOINT", "temp-written:1:full")
    with pytest.raises(StorageError, match="Free some space"):
        open_sqlite(tmp_path / "mlflow.db", makes("experiments"))
    assert not list(tmp_path.iterdir())


@pytest.fixture
def used(migrated_store: Path, tmp_path: Path) -> Path:
    """A folder with a store that was in use."""
    return Path(shutil.copytree(migrated_store, tmp_path / "store"))


def test_a_store_that_was_cut_is_called_damaged_with_the_remedy(used):
    content = (used / "mlflow.db").read_bytes()
    (used / "mlflow.db").write_bytes(content[: len(content) // 2])
    with pytest.raises(RegistryUnavailableError, match=r"damaged.*Put a copy of it back"):
        init_store(used)


def test_a_store_that_was_half_made_is_called_damaged(used):
    run_sql(used / "mlflow.db", "DROP TABLE registered_models", "DELETE FROM alembic_version")
    with pytest.raises(RegistryUnavailableError, match=r"damaged.*move the file away"):
        init_store(used)


def test_a_store_of_another_version_of_mlflow_is_told_how_to_be_brought_up(used):
    run_sql(used / "mlflow.db", "UPDATE alembic_version SET version_num = '451aebb31d03'")
    with pytest.raises(
        RegistryUnavailableError, match=r"another version.*mlflow db upgrade sqlite"
    ):
        init_store(used)
