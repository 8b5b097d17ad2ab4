"""``features="auto"``: a backbone whose weights are at hand, else the filters, and why."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from detectors.images.features.test_backbone import fitted, plates
from pretended_timm import stages
from safetensors.torch import save_file

from vae_anomaly.detectors import load_detector
from vae_anomaly.detectors.images.features.at_hand import BACKBONE_VARIABLE
from vae_anomaly.errors import ConfigError


@pytest.fixture(autouse=True)
def _no_backbone_is_named(monkeypatch):
    monkeypatch.delenv(BACKBONE_VARIABLE, raising=False)


def test_a_model_in_the_cache_is_taken_the_first_of_those_that_are_known(hub, tmp_path):
    hub.offer("resnet18", cached=True)
    hub.offer("mobilenetv2_100", cached=True)
    detector = fitted("auto")
    assert detector.network_.spec.backbone.name == "timm:mobilenetv2_100"
    assert "'auto' found weights in timm's cache" in detector.features_
    loaded = load_detector(detector.save(tmp_path / "model"))
    assert (loaded.features_, loaded.features) == (detector.features_, "auto")
    assert hub.asked == []


def test_with_nothing_at_hand_the_filters_are_taken_and_what_was_missing_is_said(hub, tmp_path):
    hub.offer("resnet18")  # the network would have it
    detector, plain = fitted("auto"), fitted(None)
    images = plates(5, 2)
    np.testing.assert_array_equal(detector.anomaly_score(images), plain.anomaly_score(images))
    assert detector.features_.startswith("the fixed filters: 'auto' found no weights")
    assert "none of mobilenetv2_100, resnet18" in detector.features_
    assert load_detector(detector.save(tmp_path / "model")).features_ == detector.features_
    assert (plain.features_, hub.asked) == ("the fixed filters", [])


def test_without_timm_the_filters_are_taken(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    assert "timm is not installed" in fitted("auto").features_


@pytest.mark.parametrize("way", ["parameter", "variable"])
def test_a_file_that_is_named_comes_first(hub, weights, monkeypatch, way):
    hub.offer("mobilenetv2_100", cached=True)
    if way == "variable":
        monkeypatch.setenv(BACKBONE_VARIABLE, weights)
    detector = fitted("auto", features_weights=weights if way == "parameter" else None)
    source = "features_weights" if way == "parameter" else BACKBONE_VARIABLE
    assert f"'auto' took the file resnet18.safetensors that {source} names" in detector.features_


@pytest.mark.parametrize(
    ("name", "words"),
    [("absent.onnx", "where no file is"), ("mine.safetensors", "called like no model of timm")],
)
def test_a_file_that_is_named_and_of_no_use_is_refused(hub, tmp_path, monkeypatch, name, words):
    if name == "mine.safetensors":
        save_file(stages("resnet18").state_dict(), tmp_path / name)
    monkeypatch.setenv(BACKBONE_VARIABLE, str(tmp_path / name))
    with pytest.raises(ConfigError, match=words):
        fitted("auto")


def test_parts_in_any_pose_keep_the_filters(hub):
    hub.offer("resnet18", cached=True)
    assert "only their maps can be turned" in fitted("auto", pose="any").features_


def test_an_onnx_file_is_taken_by_its_name_alone(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    from detectors.images.features.test_onnx_file import written

    monkeypatch.setenv(BACKBONE_VARIABLE, written(tmp_path / "backbone.onnx"))
    detector = fitted("auto")
    assert detector.network_.spec.backbone.name == "onnx:backbone.onnx"
    assert "'auto' took the file backbone.onnx" in detector.features_
