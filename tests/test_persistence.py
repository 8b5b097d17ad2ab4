from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from vae_anomaly.errors import ConfigError, ModelRefusedError, StorageError
from vae_anomaly.persistence import (
    MODEL_FILES,
    DetectorState,
    model_digest,
    read_model,
    write_model,
)


@pytest.fixture
def state() -> DetectorState:
    return DetectorState(
        kind="tabular",
        config={"target_fpr": 0.01},
        preprocessing={"resizer": None},
        weights={"w": np.arange(6, dtype=np.float32).reshape(2, 3).T},
        calibration={"reference": np.linspace(0.0, 1.0, 5)},
        threshold={"value": 2.0},
        fingerprint={"rows": 5},
    )


def test_a_model_reads_back_as_it_was_written(state, tmp_path):
    back = read_model(write_model(state, tmp_path / "model"))
    assert back.kind == state.kind
    assert back.threshold == state.threshold
    np.testing.assert_array_equal(back.weights["w"], state.weights["w"])


def test_the_same_detector_gives_the_same_digest(state, tmp_path):
    first = write_model(state, tmp_path / "a")
    second = write_model(state, tmp_path / "b")
    assert model_digest(first) == model_digest(second)


@pytest.mark.parametrize("name", [*MODEL_FILES, "SHA256SUMS"])
def test_one_flipped_bit_in_any_file_is_refused(state, tmp_path, name):
    path = write_model(state, tmp_path / "model") / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ModelRefusedError):
        read_model(tmp_path / "model")


@pytest.mark.parametrize("name", MODEL_FILES)
def test_a_missing_file_is_named(state, tmp_path, name):
    (write_model(state, tmp_path / "model") / name).unlink()
    with pytest.raises(ModelRefusedError, match=name):
        read_model(tmp_path / "model")


def test_an_extra_file_is_refused(state, tmp_path):
    (write_model(state, tmp_path / "model") / "code.py").write_text("raise SystemExit")
    with pytest.raises(ModelRefusedError, match=r"code\.py"):
        read_model(tmp_path / "model")


def test_a_newer_format_is_refused_with_the_remedy(state, tmp_path, monkeypatch):
    monkeypatch.setattr("vae_anomaly.persistence.FORMAT_VERSION", "2.0")
    write_model(state, tmp_path / "model")
    monkeypatch.undo()
    with pytest.raises(ModelRefusedError, match=r"format 2\.0.*Install the version"):
        read_model(tmp_path / "model")


def test_a_folder_that_is_no_model_is_named(tmp_path):
    with pytest.raises(ModelRefusedError, match="no model folder"):
        read_model(tmp_path / "nowhere")


def test_saving_over_a_model_replaces_it_whole(state, tmp_path):
    write_model(state, tmp_path / "model")
    write_model(replace(state, fingerprint={"rows": 9}), tmp_path / "model")
    assert read_model(tmp_path / "model").fingerprint == {"rows": 9}
    assert [item.name for item in tmp_path.iterdir()] == ["model"]


def test_other_peoples_files_are_never_replaced(state, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds other files"):
        write_model(state, tmp_path / "model")
    assert (tmp_path / "model" / "thesis.txt").read_text() == "mine"


def test_a_full_disk_leaves_the_old_model_and_nothing_else(state, tmp_path, monkeypatch):
    write_model(state, tmp_path / "model")

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(StorageError, match="No space left"):
        write_model(replace(state, fingerprint={"rows": 9}), tmp_path / "model")
    assert read_model(tmp_path / "model").fingerprint == {"rows": 5}
    assert [item.name for item in tmp_path.iterdir()] == ["model"]


def test_a_state_that_json_cannot_hold_is_refused_before_writing(state, tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_model(replace(state, metrics={"elbo": float("nan")}), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_the_header_is_readable_by_a_person(state, tmp_path):
    header = json.loads((write_model(state, tmp_path / "model") / "detector.json").read_text())
    assert header["format_version"] == "1.0"


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "desktop.ini", "._weights.safetensors"])
def test_what_file_managers_leave_in_a_model_is_passed_over(state, tmp_path, name):
    model = write_model(state, tmp_path / "model")
    before = model_digest(model)
    (model / name).write_bytes(b"left by a file manager")
    assert read_model(model).kind == "tabular"
    assert model_digest(model) == before
    write_model(state, model)


def test_a_model_is_written_into_a_folder_that_was_looked_at(state, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / ".DS_Store").write_bytes(b"")
    assert read_model(write_model(state, tmp_path / "model")).kind == "tabular"


@pytest.mark.parametrize("name", ["extra.json", "weights.safetensors.bak", ".hidden"])
def test_any_other_file_in_a_model_is_refused_with_the_remedy(state, tmp_path, name):
    model = write_model(state, tmp_path / "model")
    (model / name).write_bytes(b"")
    with pytest.raises(ModelRefusedError, match=f"{name}.*Take away what is unknown"):
        read_model(model)
