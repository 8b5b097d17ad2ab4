"""What verdicts have taught is registered, in force, and checked each time it is fetched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from vae_anomaly.errors import ConfigError, ModelRefusedError, RegistryUnavailableError
from vae_anomaly.tracking import (
    list_models,
    register_directory,
    register_stage,
    resolve,
    resolve_stage,
    show_model,
    withdraw_stage,
)
from vae_anomaly.tracking.learned import learned_name
from vae_anomaly.tracking.store import session
from vae_anomaly.verdicts.entities import EntityRates
from vae_anomaly.verdicts.saved import read_stage, stage_digest, write_stage
from vae_anomaly.verdicts.stage import KnownValues, SecondStage

FACTS = {"night": "2026-01-02", "verdicts": 4, "confirmed": 1}


def write(folder: Path, night: int = 739_618) -> Path:
    """Write a second stage that knows one terminal."""
    known = KnownValues(
        0.9, 3.0, ["56c6241b71da4f07"], np.array([night - 1]), np.array([0.4]), np.array([4]),
        np.array([1]),
    )  # fmt: skip
    stage = SecondStage(
        night, "abc", ("score",), 1.0, EntityRates(), None, {"terminal": known}, None, 4, 1
    )
    write_stage(stage, folder)
    return folder


@pytest.fixture
def first(tmp_path) -> Path:
    return write(tmp_path / "first")


def versions(store: str) -> list[int]:
    return [version.version for version in show_model("cards.learned", store).versions]


def test_nothing_is_in_force_until_a_stage_is_registered(store, first):
    assert resolve_stage("cards", store) is None
    made = register_stage("cards", first, FACTS, store, who="ada")
    found = resolve_stage("cards", store)
    assert found == made
    assert (found.version, found.digest) == (1, stage_digest(first))
    assert read_stage(found.path).verdicts == 4
    card = show_model("cards.learned", store)
    assert card.versions[0].kind == "second stage"
    assert [(move.who, move.new_version) for move in card.promotions] == [("ada", 1)]


def test_the_stage_in_force_makes_no_new_version(store, first, tmp_path):
    register_stage("cards", first, FACTS, store)
    register_stage("cards", first, FACTS, store)
    assert versions(store) == [1]
    assert len(show_model("cards.learned", store).promotions) == 1
    second = register_stage("cards", write(tmp_path / "second", 739_619), FACTS, store)
    assert second.version == 2
    assert register_stage("cards", first, FACTS, store).version == 1  # back, as it was
    assert versions(store) == [2, 1]


def test_switched_off_it_is_no_longer_in_force_and_who_did_it_is_known(store, first):
    assert withdraw_stage("cards", store) is None
    register_stage("cards", first, FACTS, store)
    assert withdraw_stage("cards", store, who="bob", why="a bad batch") == 1
    assert resolve_stage("cards", store) is None
    last = show_model("cards.learned", store).promotions[0]
    assert (last.who, last.old_version, last.new_version) == ("bob", 1, None)
    assert last.evidence == "a bad batch"
    assert register_stage("cards", first, FACTS, store).version == 1


@pytest.mark.parametrize("step", ["stage-logged", "stage-registered", "stage-in-force"])
def test_a_registration_that_broke_off_is_made_again(store, first, step, monkeypatch):
    monkeypatch.setenv("VAE_ANOMALY_FAILPOINT", f"{step}:1:full")
    with pytest.raises(OSError, match="space"):
        register_stage("cards", first, FACTS, store)
    monkeypatch.delenv("VAE_ANOMALY_FAILPOINT")
    made = register_stage("cards", first, FACTS, store)
    assert (made.version, made.digest) == (1, stage_digest(first))
    assert versions(store) == [1]
    assert resolve_stage("cards", store) == made


def test_a_copy_that_was_changed_is_fetched_again_and_a_changed_original_refused(store, first):
    made = register_stage("cards", first, FACTS, store)
    (made.path / "stage.safetensors").write_bytes(b"")
    assert resolve_stage("cards", store) == made
    read_stage(made.path)
    shutil.rmtree(made.path)
    (stored,) = Path(store.removeprefix("sqlite:///")).parent.rglob("stage.json")
    stored.write_text(stored.read_text().replace('"verdicts": 4', '"verdicts": 5'))
    with pytest.raises(ModelRefusedError, match="not what was registered"):
        resolve_stage("cards", store)
    stored.unlink()
    with pytest.raises(ModelRefusedError, match=r"gone.*feedback learn cards --off"):
        resolve_stage("cards", store)


def test_with_the_registry_away_the_last_one_stands_in_where_asked_for(store, first):
    made = register_stage("cards", first, FACTS, store)
    resolve_stage("cards", store)
    database = Path(store.removeprefix("sqlite:///"))
    database.write_bytes(b"no database at all, but long enough" * 50)
    os.utime(database)
    with pytest.raises(RegistryUnavailableError):
        resolve_stage("cards", store)
    assert resolve_stage("cards", store, use_cached=True) == made
    with pytest.raises(RegistryUnavailableError, match="never asked for"):
        resolve_stage("tiles", store, use_cached=True)


def test_what_was_learned_is_no_detector(registered, store, first, table_model):
    register_stage("cards", first, FACTS, store)
    assert [model.name for model in list_models(store)] == ["cards"]
    with pytest.raises(ModelRefusedError, match="models:/cards@champion"):
        resolve("models:/cards.learned@current", store)
    with pytest.raises(ConfigError, match=r"\.learned are kept"):
        register_directory(table_model, name=learned_name("cards"), uri=store)
    with session(store) as client:
        assert client.get_model_version("cards.learned", "1").tags["vae_anomaly.learned.verdicts"]
