"""A reference becomes a verified directory, or a refusal that says what there is."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest

from vae_anomaly import load_detector
from vae_anomaly.errors import ConfigError, ModelRefusedError, RegistryUnavailableError
from vae_anomaly.tracking import load, log_training, promote, resolve, verify
from vae_anomaly.tracking.package import file_digests, listing_digest
from vae_anomaly.tracking.store import session
from vae_anomaly.tracking.verified import _listed

STORED = (
    "MLmodel",
    "requirements.txt",
    "data/model/SHA256SUMS",
    "data/model/detector.json",
    "data/model/threshold.json",
    "data/model/weights.safetensors",
    "data/model/calibration.safetensors",
)


def artifacts(tmp_path: Path) -> Path:
    """Where the SQLite store keeps the files of the one registered model."""
    (mlmodel,) = (tmp_path / "store" / "artifacts").rglob("MLmodel")
    return mlmodel.parent


def retag(store: str, folder: Path) -> None:
    """Make the tags agree with altered files, as one who can write to both would."""
    files = file_digests(folder)
    with session(store) as client:
        for key, value in (("files", json.dumps(files)), ("digest", listing_digest(files))):
            client.set_model_version_tag("cards", "1", f"vae_anomaly.{key}", value)


def test_folder_needs_no_registry(table_model):
    model = resolve(table_model)
    assert (model.kind, model.name, model.version) == ("tabular", None, None)
    assert model.label == f"folder:{model.digest[:12]}"


@pytest.mark.parametrize(
    ("ref", "told"),
    [
        ("models:/cards@nobody", r"no alias 'nobody'.*@champion \(version 1\)"),
        ("models:/cards/7", "no version 7.*versions 1"),
        ("models:/coins@champion", "no model 'coins'.*it holds cards"),
    ],
    ids=["alias", "version", "name"],
)
def test_what_is_missing_is_answered_with_what_there_is(ref, told, registered, store):
    with pytest.raises(ModelRefusedError, match=told):
        resolve(ref, store)


@pytest.mark.parametrize(
    "ref", ["models:/cards", "models:/a/b/c", "runs:/1234/model", "http://b/m"]
)
def test_reference_of_another_form_is_refused(ref, store):
    with pytest.raises(ConfigError, match="models:/NAME@ALIAS"):
        resolve(ref, store)


def test_missing_folder_is_refused():
    with pytest.raises(ModelRefusedError, match="no model folder"):
        resolve("nowhere/model")


@pytest.mark.parametrize("name", STORED)
def test_one_bit_flipped_in_the_store_is_refused(name, registered, store, tmp_path):
    path = artifacts(tmp_path) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelRefusedError, match=path.name):
        resolve("models:/cards@champion", store)


def test_added_and_missing_files_are_refused(registered, store, tmp_path):
    folder = artifacts(tmp_path)
    (folder / "data" / "model" / "extra.py").write_text("print()")
    (folder / "requirements.txt").unlink()
    with pytest.raises(ModelRefusedError, match=r"missing \['requirements.txt'\].*extra.py"):
        resolve("models:/cards@champion", store)


def test_files_that_are_gone_are_refused(registered, store, tmp_path):
    shutil.rmtree(artifacts(tmp_path))
    with pytest.raises(ModelRefusedError, match="cards version 1"):
        resolve("models:/cards@champion", store)


def test_model_that_we_did_not_register_is_refused(registered, store):
    with session(store) as client:
        client.delete_model_version_tag("cards", "1", "vae_anomaly.digest")
    with pytest.raises(ModelRefusedError, match=r"no vae_anomaly\.digest tag"):
        resolve("models:/cards@champion", store)


def test_tags_that_contradict_each_other_are_refused(registered, store):
    with session(store) as client:
        client.set_model_version_tag("cards", "1", "vae_anomaly.files", "{}")
    with pytest.raises(ModelRefusedError, match="contradict"):
        resolve("models:/cards@champion", store)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("loader_module: vae_anomaly.tracking", "loader_module: evil"),
        ("    data: data/model", "    data: data/model\n    code: code"),
        ("    data: data/model", "    data: data/model\n    python_model: python_model.pkl"),
        ("    data: data/model", "    data: data/model\n    model_code_path: evil.py"),
    ],
    ids=["loader", "code", "pickle", "models-from-code"],
)
def test_mlmodel_that_would_run_other_code_is_refused(old, new, registered, store, tmp_path):
    """Even when the digests were made to agree."""
    mlmodel = artifacts(tmp_path) / "MLmodel"
    assert old in mlmodel.read_text()
    mlmodel.write_text(mlmodel.read_text().replace(old, new))
    retag(store, artifacts(tmp_path))
    with pytest.raises(ModelRefusedError, match="not a model of this package"):
        resolve("models:/cards@champion", store)


class Bomb:
    """Unpickling it leaves a file behind."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self):
        return (Path.touch, (self.sentinel,))


@pytest.mark.parametrize(
    "name", ["data/model/weights.safetensors", "data/model/detector.json", "MLmodel"]
)
def test_hostile_pickle_is_never_opened(name, registered, store, tmp_path):
    """Under every name that is read, with digests that agree: no code of it runs."""
    sentinel = tmp_path / "sentinel"
    folder = artifacts(tmp_path)
    (folder / name).write_bytes(pickle.dumps(Bomb(sentinel)))
    retag(store, folder)
    with pytest.raises(ModelRefusedError):
        load("models:/cards@champion", store)
    assert not sentinel.exists()
    pickle.loads((folder / name).read_bytes())
    assert sentinel.exists(), "the bomb does not work, so the test proves nothing"


def test_damaged_cached_copy_is_fetched_again(registered, store):
    first = resolve("models:/cards@champion", store)
    (first.path / "threshold.json").write_text("{}")
    second = resolve("models:/cards@champion", store)
    assert second.path == first.path
    assert load_detector(second.path).threshold_ == load_detector(first.path).threshold_


def test_alias_is_resolved_to_the_version_that_it_names_now(registered, store, table_model):
    log_training(load_detector(table_model), name="cards", uri=store)
    assert resolve("models:/cards@champion", store).version == 1
    promote("cards", 2, uri=store)
    assert resolve("models:/cards@champion", store).version == 2
    assert resolve("models:/cards/1", store).version == 1


def test_cached_copy_is_used_only_when_asked_for(registered, store, tmp_path):
    before = resolve("models:/cards@champion", store)
    (tmp_path / "store" / "mlflow.db").write_bytes(b"damaged" * 1000)
    with pytest.raises(RegistryUnavailableError):
        resolve("models:/cards@champion", store)
    assert resolve("models:/cards@champion", store, use_cached=True) == before
    with pytest.raises(RegistryUnavailableError, match="never fetched"):
        resolve("models:/cards/2", store, use_cached=True)


def test_verify_looks_past_the_cache(registered, store, tmp_path):
    assert verify("models:/cards@champion", store).version == 1
    path = artifacts(tmp_path) / "data" / "model" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    resolve("models:/cards@champion", store)  # the good copy
    with pytest.raises(ModelRefusedError, match="changed"):
        verify("models:/cards@champion", store)


def test_the_home_of_a_user_who_is_not_there_is_a_folder_without_a_model():
    with pytest.raises(ModelRefusedError, match=r"no model folder at .*~nobody-of-that-name/x"):
        resolve("~nobody-of-that-name/x")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"files": {}}', "null"])
def test_a_damaged_note_of_the_cached_copy_is_named(text, registered, store, tmp_path):
    resolve("models:/cards@champion", store)
    (note,) = (tmp_path / "cache" / "refs").glob("*.json")
    note.write_text(text)
    (tmp_path / "store" / "mlflow.db").write_bytes(b"damaged" * 1000)
    with pytest.raises(ModelRefusedError, match=f"{note.name}.* cannot be read.* Remove it"):
        resolve("models:/cards@champion", store, use_cached=True)


def test_a_list_of_files_with_half_a_character_is_refused():
    with pytest.raises(ModelRefusedError, match="is no list of files"):
        _listed('{"\\ud800": "ab"}', "The files tag")
