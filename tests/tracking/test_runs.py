"""What a training leaves in MLflow, and what an outage leaves on the disk."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import mlflow
import pytest
import requests
from tracking.real_models import transactions

from vae_anomaly import TabularVAEDetector, Threshold, load_detector
from vae_anomaly.errors import ConfigError, ModelRefusedError, RegistryUnavailableError
from vae_anomaly.tracking import load, log_training, register_directory, show_model
from vae_anomaly.tracking.runs import RUN, _Run
from vae_anomaly.tracking.store import session

NOBODY = "http://127.0.0.1:9"  # the discard port: refused at once


@pytest.fixture
def fitted() -> TabularVAEDetector:
    return TabularVAEDetector(preset="fast", max_steps=20, random_state=0).fit(transactions(120, 3))


def spooled(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "vae-anomaly-store" / "spool").glob("*"))


def test_run_holds_parameters_history_and_artifacts(fitted, store):
    model = log_training(fitted, name="cards", uri=store, tags={"line": "7"})
    with session(store) as client:
        run = client.get_run(model.run_id)
        kl = client.get_metric_history(model.run_id, "train_kl")
        artifacts = {item.path for item in client.list_artifacts(model.run_id)}
        figures = {Path(item.path).stem for item in client.list_artifacts(model.run_id, "figures")}
    assert run.info.status == "FINISHED"
    assert run.data.params["max_steps"] == "20"
    assert run.data.tags["line"] == "7"
    assert run.data.tags["vae_anomaly.data_sha256"] == fitted.fingerprint_["sha256"]
    assert [point.step for point in kl] == [int(r["step"]) for r in fitted.history_.records]
    assert [point.value for point in kl] == [r["train_kl"] for r in fitted.history_.records]
    for name, value in fitted.metrics_.items():
        if math.isfinite(value):
            assert run.data.metrics[f"final_{name}"] == pytest.approx(value)
    assert {"data_fingerprint.json", "schema.json", "environment.json"} <= artifacts
    assert figures == {"loss_curves", "score_histogram"}


def test_package_holds_neither_pickle_nor_code(registered, store):
    with session(store) as client:
        version = client.get_model_version("cards", str(registered.version))
    files = json.loads(version.tags["vae_anomaly.files"])
    inner = {f"data/model/{name}" for name in ("SHA256SUMS", "detector.json", "threshold.json")}
    assert inner <= files.keys()
    endings = {Path(name).suffix for name in files if "." in Path(name).name}
    assert endings == {".json", ".safetensors", ".txt", ".yaml"}


def test_registered_model_scores_as_before(registered, store, table_model):
    detector, model = load("models:/cards@champion", store)
    rows = transactions(40, seed=5)
    expected = load_detector(table_model).anomaly_score(rows)
    assert detector.anomaly_score(rows).tolist() == expected.tolist()
    assert (model.name, model.version, model.digest) == ("cards", 1, registered.digest)


def test_input_example_is_made_up_unless_given(registered, store, own_cache):
    _, model = load("models:/cards/1", store)
    example = json.loads((model.path.parents[1] / "input_example.json").read_text())
    assert example["data"] == [[0.0, "a", True, "2026-01-01T12:00:00"]]


def test_folder_with_a_new_threshold_becomes_a_new_version(
    registered, store, tmp_path, table_model
):
    detector = load_detector(table_model)
    detector.set_threshold(Threshold(value=3.25)).save(tmp_path / "strict")
    again = register_directory(
        tmp_path / "strict", name="cards", uri=store, description="threshold 3.25"
    )
    loaded, _ = load(again.uri, store)
    assert (again.version, loaded.threshold_.value) == (2, 3.25)


def test_folder_needs_a_name(table_model, store):
    with pytest.raises(ConfigError, match="--name"):
        register_directory(table_model, uri=store)


@pytest.mark.parametrize("name", ["a/b", "", "../x", "a:b", "a@b"])
def test_name_that_cannot_be_one_is_refused_before_anything_is_written(name, table_model, tmp_path):
    with pytest.raises(ConfigError, match="name"):
        register_directory(table_model, name=name, uri=tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_outage_keeps_the_training_and_says_how_to_log_it_later(table_model, store, tmp_path):
    detector = load_detector(table_model)
    with pytest.raises(RegistryUnavailableError, match="vae-anomaly runs sync") as caught:
        log_training(detector, name="cards", uri=NOBODY, alias="champion")
    (record,) = spooled(tmp_path)
    assert str(record) in str(caught.value)
    later = register_directory(record, uri=store)
    assert later.version == 1
    assert load("models:/cards@champion", store)[1].digest == later.digest
    assert spooled(tmp_path) == []


def test_damaged_record_is_refused_and_kept(table_model, store, tmp_path):
    with pytest.raises(RegistryUnavailableError):
        log_training(load_detector(table_model), name="cards", uri=NOBODY)
    (record,) = spooled(tmp_path)
    weights = record / "package" / "data" / "model" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ModelRefusedError, match=r"weights\.safetensors"):
        register_directory(record, uri=store)
    assert record.is_dir()


def test_nothing_is_left_in_the_spool_when_all_went_well(registered, tmp_path):
    assert list((tmp_path / "store" / "spool").iterdir()) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [("[]", "pop"), ("{", "Expecting"), ('{"name": 3}', "Field required|string")],
)
def test_a_record_that_is_none_is_refused_with_the_place_of_the_model(
    text, reason, tmp_path, store
):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ModelRefusedError, match=rf"not the record of a training: .*({reason})"):
        register_directory(tmp_path, uri=store)


@pytest.mark.parametrize(
    "change",
    [{"metrics": {"final_auroc": float("nan")}}, {"history": [{"nll": 1.0}]}, {"ended_ms": -1}],
    ids=["figure", "step", "time"],
)
def test_a_record_that_nothing_of_ours_has_written_is_refused(tmp_path, change):
    whole = asdict(_Run("cards", "e", None, "", "tabular", 1, 2)) | change
    (tmp_path / RUN).write_text(json.dumps(whole))
    with pytest.raises(ModelRefusedError, match="is not the record of a training"):
        register_directory(tmp_path)


@pytest.fixture
def answers_lost(monkeypatch):
    """Lose the answers to so many requests for a version, which are done all the same."""

    def lose(number: int) -> None:
        left, create = [number], mlflow.MlflowClient.create_model_version

        def creating(client, *args, **given):
            made = create(client, *args, **given)
            if left and left[0]:
                left[0] -= 1
                raise requests.ConnectionError("the answer was lost")
            return made

        monkeypatch.setattr(mlflow.MlflowClient, "create_model_version", creating)
        monkeypatch.setattr("vae_anomaly.tracking.network.once._WAIT_S", 0.0)

    return lose


def test_a_version_whose_answer_was_lost_is_not_registered_twice(table_model, store, answers_lost):
    answers_lost(1)
    model = register_directory(table_model, name="cards", uri=store)
    (card,) = show_model("cards", store).versions
    assert (model.version, card.run_id) == (1, model.run_id)


def test_a_record_of_which_the_version_is_there_registers_no_other(
    table_model, store, answers_lost, monkeypatch, tmp_path
):
    answers_lost(1)
    with monkeypatch.context() as away:
        away.setattr(mlflow.MlflowClient, "search_model_versions", gone)
        with pytest.raises(RegistryUnavailableError, match="Log it later"):
            register_directory(table_model, name="cards", uri=store, alias="champion")
    (record,) = (tmp_path / "store" / "spool").iterdir()
    model = register_directory(record, uri=store)
    card = show_model("cards", store)
    assert ([one.version for one in card.versions], card.aliases) == ([1], {"champion": 1})
    assert card.versions[0].run_id == model.run_id
    with session(store) as client:
        assert client.get_run(model.run_id).info.status == "FINISHED"


def gone(*_: object, **__: object) -> None:
    raise requests.ConnectionError("the server is away")
