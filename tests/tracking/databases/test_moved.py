"""A store that was moved or copied is read where it is, and not written before it is put right."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from vae_anomaly.errors import ModelRefusedError, RegistryUnavailableError, StorageError
from vae_anomaly.tracking import (
    import_feedback,
    load_feedback,
    register_directory,
    relink_store,
    tracking_uri,
    verify,
)
from vae_anomaly.tracking.client import check_writable
from vae_anomaly.tracking.databases.moved import moved_from


@pytest.fixture
def old(tmp_path, migrated_store, table_model):
    """A store with one model and one verdict."""
    folder = tmp_path / "line 1" / "vae-anomaly-store"
    shutil.copytree(migrated_store, folder)
    register_directory(table_model, name="cards", alias="champion", uri=folder)
    verdicts = pd.DataFrame({"item": ["a"], "is_anomaly": [True], "audit": [False],
                             "who": ["Ada"], "when": [None]})  # fmt: skip
    import_feedback("cards", verdicts, uri=folder, source="v.csv")
    return folder


@pytest.fixture
def new(tmp_path):
    return tmp_path / "line?2" / "store"


def files_of(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def addresses(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        return "\n".join(connection.iterdump())


@pytest.mark.parametrize("way", [shutil.move, shutil.copytree], ids=["moved", "copied"])
def test_what_was_moved_or_copied_is_read_where_it_is(way, old, new, caplog):
    new.parent.mkdir()
    way(old, new)
    before = files_of(old)
    assert verify("models:/cards@champion", uri=new).version == 1
    assert caplog.text.count("was moved or copied from") <= 1
    assert load_feedback("cards", uri=new)["item"].tolist() == ["a"]
    assert files_of(old) == before
    assert old.exists() == (way is shutil.copytree)


@pytest.mark.parametrize("way", [shutil.move, shutil.copytree], ids=["moved", "copied"])
def test_nothing_is_written_before_it_is_put_right(way, old, new, table_model):
    new.parent.mkdir()
    way(old, new)
    before = files_of(old)
    with pytest.raises(RegistryUnavailableError, match="models relink --tracking-uri"):
        check_writable(new, ["vae-anomaly"], "cards")
    with pytest.raises(RegistryUnavailableError, match=r"line 1.*Nothing is lost"):
        register_directory(table_model, name="cards", uri=new)
    assert (files_of(old), old.exists()) == (before, way is shutil.copytree)


@pytest.mark.parametrize("way", [shutil.move, shutil.copytree], ids=["moved", "copied"])
def test_a_store_that_was_put_right_lives_on_its_own(way, old, new, table_model):
    new.parent.mkdir()
    way(old, new)
    before = files_of(old)
    done = relink_store(tracking_uri(new))
    assert (done.was, done.addresses > 5) == ((str(old),), True)
    assert "line%201" not in addresses(new)
    assert relink_store(tracking_uri(new)).addresses == 0
    assert register_directory(table_model, name="cards", uri=new).version == 2
    assert verify("models:/cards/2", uri=new).version == 2
    assert verify("models:/cards/1", uri=new).version == 1
    assert (files_of(old), old.exists()) == (before, way is shutil.copytree)
    if old.exists():
        assert verify("models:/cards@champion", uri=old).version == 1


def test_a_database_whose_files_stayed_behind_and_are_gone_is_told_so(old, new):
    new.mkdir(parents=True)
    shutil.move(old / "mlflow.db", new / "mlflow.db")
    shutil.rmtree(old)
    with pytest.raises(ModelRefusedError, match=r"are gone.*bring its folder artifacts/ along"):
        verify("models:/cards@champion", uri=new)
    with pytest.raises(RegistryUnavailableError, match="was moved or copied"):
        check_writable(new, ["vae-anomaly"])
    with pytest.raises(StorageError, match="did not come along"):
        relink_store(tracking_uri(new))


def test_a_store_that_a_link_leads_to_was_not_moved(old, tmp_path, table_model):
    (tmp_path / "link").symlink_to(old)
    assert moved_from(tracking_uri(tmp_path / "link")) == ()
    assert register_directory(table_model, name="cards", uri=tmp_path / "link").version == 2


def test_a_place_that_somebody_chose_for_an_experiment_is_no_move(old, tmp_path, table_model):
    import mlflow

    uri = tracking_uri(old)
    place = tmp_path / "big disk" / "artifacts" / "parts"
    mlflow.MlflowClient(uri, uri).create_experiment("parts", place.as_uri())
    assert moved_from(uri) == ()
    register_directory(table_model, name="parts", experiment="parts", uri=old)
    assert place.is_dir()
    assert moved_from(uri) == ()
    assert verify("models:/parts/1", uri=old).version == 1
