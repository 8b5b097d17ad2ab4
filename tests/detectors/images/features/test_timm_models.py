"""Backbones of timm: where their weights come from, and what is stored of them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from detectors.images.features.test_backbone import SIZE, fitted, holed, plates
from pretended_timm import stages
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score

from vae_anomaly.detectors import load_detector
from vae_anomaly.detectors.images.features.timm_models import TimmFeatures
from vae_anomaly.errors import ConfigError, MissingExtraError, ModelRefusedError
from vae_anomaly.files import sha256_of

NAME = "timm:resnet18"


def test_weights_are_downloaded_when_told_and_the_saved_model_needs_no_hub(hub, tmp_path):
    hub.offer("resnet18")
    detector = fitted(NAME, download=True)
    assert hub.asked == ["timm/resnet18"]
    cached = tmp_path / "hub" / "cache" / "timm" / "resnet18" / "model.safetensors"
    assert detector.features_.endswith(f"SHA-256 of the file {sha256_of(cached)}")
    assert "downloaded as told, stored with the model (licence as timm states it: apache-2.0)" in (
        detector.features_
    )
    path, images = detector.save(tmp_path / "model"), plates(9, 5)
    (tmp_path / "hub").rename(tmp_path / "gone")
    loaded = load_detector(path)
    np.testing.assert_allclose(
        loaded.anomaly_score(images), detector.anomaly_score(images), atol=1e-5
    )
    assert (loaded.features_, hub.asked) == (detector.features_, ["timm/resnet18"])
    good = plates(20, 6)
    scores = loaded.anomaly_score(np.concatenate([good, holed(good)]))
    assert roc_auc_score(np.repeat([0, 1], 20), scores) > 0.8


def test_without_being_told_nothing_is_downloaded_and_both_ways_are_named(hub):
    hub.offer("resnet18")
    with pytest.raises(ConfigError, match=r"features_weights=FILE.*download=True \(--download\)"):
        fitted(NAME)
    assert hub.asked == []


def test_weights_in_the_cache_are_taken_without_the_network(hub):
    hub.offer("resnet18", cached=True)
    assert "weights from timm's cache" in fitted(NAME).features_
    fitted(NAME, download=True)
    assert hub.asked == []


def test_a_download_without_a_network_says_what_to_do(hub):
    hub.is_connected = False
    with pytest.raises(ConfigError, match=r"timm/resnet18.*ConnectionError.*features_weights=FILE"):
        fitted(NAME, download=True)


def test_weights_that_are_only_a_pickle_are_not_downloaded(hub):
    with pytest.raises(ConfigError, match="no safetensors weights of timm:resnet18"):
        fitted("timm:resnet18.pickled", download=True)
    assert hub.asked == []


@pytest.mark.parametrize("features", [None, "auto", "backbone.onnx"])
def test_only_a_named_model_can_be_downloaded(features):
    with pytest.raises(ConfigError, match=r"\(--download\) fetches the weights"):
        fitted(features, download=True)


def test_layers_behind_the_last_map_are_not_stored(hub, weights, tmp_path):
    path = fitted(NAME, features_weights=weights).save(tmp_path / "model")
    from safetensors.numpy import load_file

    names = [name for name in load_file(path / "weights.safetensors") if "backbone" in name]
    assert any("blocks.3" in name for name in names)
    assert not any("blocks.4" in name for name in names)


def test_a_model_that_was_saved_with_finer_maps_keeps_them():
    earlier = TimmFeatures(stages("resnet18"), SIZE, cell=8)
    assert [maps.shape[-1] for maps in earlier(torch.zeros(1, 1, SIZE, SIZE))] == [16, 8, 4]
    now = TimmFeatures(stages("resnet18"), SIZE, cell=16)
    assert [maps.shape[-1] for maps in now(torch.zeros(1, 1, SIZE, SIZE))] == [8, 4]


def test_a_timm_model_on_tiles_is_stored_once(hub, weights, tmp_path):
    detector = fitted(NAME, features_weights=weights, tile_size=SIZE)
    path, images = detector.save(tmp_path / "model"), plates(3, 5)
    from safetensors.numpy import load_file

    names = load_file(path / "weights.safetensors")
    assert len([name for name in names if name.endswith("blocks.0.weight")]) == 1
    scores = load_detector(path).anomaly_score(images)
    np.testing.assert_allclose(scores, detector.anomaly_score(images), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "words"),
    [("resnet99", "knows no model"), ("hf-hub:a/b", "knows no model"),
     ("mobilenetv2_100", "does not hold the weights")],
)  # fmt: skip
def test_a_model_that_is_not_there_or_another_is_refused(hub, weights, name, words):
    with pytest.raises(ConfigError, match=words):
        fitted(f"timm:{name}", features_weights=weights)


def test_a_pickle_of_weights_is_not_opened(hub, tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match="no safetensors file"):
        fitted(NAME, features_weights=str(tmp_path / "weights.pth"))


def test_without_timm_the_error_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'vae_anomaly\[timm\]'"):
        fitted(NAME, features_weights="w.safetensors")
    with pytest.raises(MissingExtraError, match=r"pip install 'vae_anomaly\[timm\]'"):
        fitted(NAME, download=True)


def test_a_saved_model_of_timm_needs_timm(hub, weights, tmp_path, monkeypatch):
    path = fitted(NAME, features_weights=weights).save(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises((MissingExtraError, ModelRefusedError), match="pip install"):
        load_detector(path)


def test_the_real_timm_is_stored_whole_and_comes_back_without_its_file(tmp_path):
    timm = pytest.importorskip("timm")
    path = tmp_path / "resnet10t.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_file(timm.create_model("resnet10t", pretrained=False).state_dict(), path)
    detector = fitted("timm:resnet10t", features_weights=str(path))
    model, images = detector.save(tmp_path / "model"), plates(9, 5)
    assert (model / "weights.safetensors").stat().st_size < 0.5 * path.stat().st_size
    path.unlink()
    scores = load_detector(model).anomaly_score(images)
    np.testing.assert_allclose(scores, detector.anomaly_score(images), atol=1e-5)


def test_the_real_timm_looks_into_its_cache_only(tmp_path, monkeypatch):
    timm = pytest.importorskip("timm")
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match="none lie here"):
        fitted("timm:resnet10t")
    with pytest.raises(ConfigError, match="could not be downloaded"):
        fitted("timm:resnet10t", download=True)
    repository = tmp_path / f"models--timm--{timm.get_pretrained_cfg('resnet10t').hf_hub_id[5:]}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots" / "abc").mkdir(parents=True)
    weights = timm.create_model("resnet10t", pretrained=False).state_dict()
    save_file(weights, repository / "snapshots" / "abc" / "model.safetensors")
    assert "timm's cache" in fitted("timm:resnet10t").features_
    assert "timm's cache" in fitted("timm:resnet10t", download=True).features_
