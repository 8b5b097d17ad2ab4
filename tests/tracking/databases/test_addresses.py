"""A store in a folder of any name is that folder's, and is found however its address is typed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vae_anomaly.errors import ConfigError
from vae_anomaly.tracking import list_models, register_directory, tracking_uri, verify
from vae_anomaly.tracking.store import store_folder

NAMES = ["line 2", "line?2", "line#2", "100%", "Prüfstand ä", "a?b=c"]


def store_in(folder: Path, migrated: Path) -> Path:
    folder.mkdir(parents=True)
    shutil.copytree(migrated, folder / "vae-anomaly-store")
    return folder / "vae-anomaly-store"


def files_of(folder: Path) -> set[str]:
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    return {name for name in names if not name.startswith("cache")}


@pytest.mark.parametrize("name", NAMES)
def test_the_address_of_a_folder_leads_back_to_it_however_often_it_is_read(tmp_path, name):
    uri = tracking_uri(tmp_path / name)
    assert store_folder(uri) == tmp_path / name
    assert tracking_uri(uri) == uri
    (tmp_path / name).mkdir()
    assert tracking_uri(uri) == uri


@pytest.mark.parametrize("name", ["line?2", "line#2", "50% Prüfstand ä"])
def test_a_working_directory_of_any_name_has_its_own_store(
    name, tmp_path, migrated_store, table_model, monkeypatch
):
    here = store_in(tmp_path / name, migrated_store)
    before = files_of(tmp_path)
    monkeypatch.chdir(tmp_path / name)
    stored = register_directory(table_model, name="cards", alias="champion")
    assert Path("vae-anomaly-store/artifacts").is_dir()
    assert verify("models:/cards@champion").version == stored.version == 1
    added = files_of(tmp_path) - before
    assert added
    assert [f for f in sorted(added) if not f.startswith(f"{name}/vae-anomaly-store/")] == []
    monkeypatch.chdir(tmp_path)
    assert [model.name for model in list_models(here)] == ["cards"]
    assert [model.name for model in list_models(f"sqlite:///{here}/mlflow.db")] == ["cards"]
    assert [model.name for model in list_models(tracking_uri(here))] == ["cards"]


def test_the_models_of_a_folder_with_a_shorter_name_are_not_seen(
    tmp_path, migrated_store, table_model
):
    """The address was cut at the question mark, and the rest taken for a query."""
    short = store_in(tmp_path / "line", migrated_store)
    other = store_in(tmp_path / "line?2", migrated_store)
    register_directory(table_model, name="cards", uri=short)
    assert list_models(other) == []


def typed(tmp_path: Path, name: str) -> str:
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / name / "mlflow.db").touch()
    return str(tmp_path / name)


def test_what_is_quoted_in_an_address_is_decoded(tmp_path):
    typed(tmp_path, "c d")
    assert store_folder(tracking_uri(f"sqlite:///{tmp_path}/c%20d/mlflow.db")) == tmp_path / "c d"
    assert store_folder(tracking_uri(f"sqlite:///{tmp_path}/c d/mlflow.db")) == tmp_path / "c d"
    assert store_folder(tracking_uri(f"sqlite:///{tmp_path}/new%3F/m.db")) == tmp_path / "new?"


@pytest.mark.parametrize("form", ["{0}", "sqlite:///{0}/mlflow.db", "file://{0}"])
def test_a_folder_whose_name_looks_quoted_is_refused_and_no_other_is_taken(tmp_path, form):
    """MLflow decodes the paths of files, some of them twice: it would look in "a b"."""
    typed(tmp_path, "a b")
    folder = typed(tmp_path, "a%20b")
    with pytest.raises(ConfigError, match="Rename that folder, or name another"):
        tracking_uri(form.format(folder))


def test_a_working_directory_whose_name_looks_quoted_is_refused(tmp_path, monkeypatch):
    (tmp_path / "50%20off").mkdir()
    monkeypatch.chdir(tmp_path / "50%20off")
    with pytest.raises(ConfigError, match="50%20off"):
        tracking_uri()
    assert store_folder(tracking_uri(tmp_path / "store")) == tmp_path / "store"


def test_a_folder_behind_sqlite_stands_for_the_store_in_it(tmp_path):
    folder = typed(tmp_path, "store")
    assert tracking_uri(f"sqlite:///{folder}") == f"sqlite:///{folder}/mlflow.db"
    assert tracking_uri(f"sqlite:///{folder}/mlflow.db?timeout=30").endswith("mlflow.db?timeout=30")


@pytest.mark.parametrize(
    "form", ["file://{0}", "file:{0}", "file://localhost{0}", "file://{0}/mlflow.db"]
)
@pytest.mark.parametrize("name", ["my store", "a#b", "a?b"])
def test_a_file_address_of_a_store_of_ours_is_that_store(tmp_path, form, name):
    folder = typed(tmp_path, name)
    assert store_folder(tracking_uri(form.format(folder))) == Path(folder)
    quoted = Path(folder).as_uri()
    assert store_folder(tracking_uri(quoted)) == Path(folder)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("file:///data/mlruns", "sqlite:///PATH"),
        ("file://data/store", "file:///data/store"),
        ("sqlite:/data/mlflow.db", "four slashes"),
        ("sqlite://data/mlflow.db", "four slashes"),
    ],
)
def test_an_address_of_nothing_is_refused_with_the_form_that_is_meant(given, told):
    with pytest.raises(ConfigError, match=told):
        tracking_uri(given)
