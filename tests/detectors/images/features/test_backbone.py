"""A user's own backbone in the place of the fixed bank, and what its model needs to come back."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from torch import nn

from vae_anomaly.detectors import ImageVAEDetector, load_detector
from vae_anomaly.detectors.images.features.backbone import weights_digest
from vae_anomaly.detectors.images.features.channels import MAX_MAPS
from vae_anomaly.errors import ConfigError, ModelRefusedError

SIZE = 64


class Layers(nn.Module):
    """Random convolutions: maps at strides 4, finer than the grid, and 16, coarser."""

    def __init__(self, seed: int = 0, width: int = 24) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.fine = nn.Sequential(nn.Conv2d(1, 12, 7, 4, 3), nn.BatchNorm2d(12), nn.ReLU())
            self.coarse = nn.Sequential(nn.Conv2d(12, width, 5, 4, 2), nn.Dropout(0.5), nn.Tanh())

    def forward(self, x):
        fine = self.fine(x)
        return [fine, self.coarse(fine)]


class Lambda(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def plates(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(n, 80, 80)), (0, 0.5, 4.0))
    return np.uint8(np.clip((0.5 + 0.2 * noise) * rng.uniform(0.9, 1.1, (n, 1, 1)) * 255, 0, 255))


def holed(images: np.ndarray) -> np.ndarray:
    broken, rng = images.copy(), np.random.default_rng(3)
    for image in broken:
        y, x = rng.integers(10, 58, 2)
        image[y : y + 12, x : x + 12] //= 2
    return broken


def pricked(images: np.ndarray, y: int, x: int) -> np.ndarray:
    """Return images with a dark spot of three pixels."""
    broken = images.copy()
    broken[:, y : y + 3, x : x + 3] = 10
    return broken


def fitted(features, **parameters) -> ImageVAEDetector:
    parameters = {"image_size": SIZE, "preset": "fast", "random_state": 0, **parameters}
    return ImageVAEDetector(features=features, **parameters).fit(plates(40, 1))


@pytest.fixture(scope="module")
def plugged() -> ImageVAEDetector:
    return fitted(Layers(), preset="default", max_steps=20)


@pytest.fixture(scope="module")
def saved(plugged, tmp_path_factory):
    return plugged.save(tmp_path_factory.mktemp("plugged") / "model")


def test_defects_rank_above_good_images_with_a_backbone_of_random_weights(plugged):
    good = plates(30, 2)
    scores = plugged.anomaly_score(np.concatenate([good, holed(good)]))
    assert roc_auc_score(np.repeat([0, 1], 30), scores) > 0.9
    assert plugged.heatmap(good[:2]).shape == (2, SIZE, SIZE)
    assert plugged.transform(good[:2]).shape[0] == 2
    seen = plugged.examine(good[:2])  # no repair VAE, whatever the preset: one map
    assert (seen.heatmap >= seen.score_map).all()  # fine detail may be drawn in


def test_a_image_has_one_score_alone_and_in_a_batch_though_the_module_drops_out(plugged):
    images = plates(11, 4)
    alone = [plugged.examine(one[None]).raw_score[0] for one in images]
    np.testing.assert_allclose(plugged.examine(images).raw_score, alone, atol=1e-4)


def test_the_users_module_is_left_as_it_was():
    module = Layers().train()
    before = weights_digest(module)
    detector = fitted(module)
    assert (weights_digest(module), module.training) == (before, True)
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert detector.features is module
    assert not any(p.requires_grad for p in detector.network_.bank.backbone.parameters())


def test_the_same_module_brings_a_saved_model_back_with_the_same_scores(plugged, saved):
    loaded, images = load_detector(saved, features=Layers()), plates(9, 5)
    again = load_detector(loaded.save(saved.parent / "again"), features=Layers())
    wanted = plugged.anomaly_score(images)
    np.testing.assert_allclose(loaded.anomaly_score(images), wanted, atol=1e-5)
    np.testing.assert_allclose(again.anomaly_score(images), wanted, atol=1e-5)


def test_a_saved_model_holds_neither_the_modules_weights_nor_its_code(saved):
    from safetensors.numpy import load_file

    kept = load_file(saved / "weights.safetensors")
    assert not [name for name in kept if "backbone" in name]
    header = json.loads((saved / "detector.json").read_text())
    assert header["config"]["features"] is None
    assert header["preprocessing"]["network"]["backbone"]["sha256"] == weights_digest(Layers())


class Changed(Layers):
    """The same weights, other code."""

    def forward(self, x):
        return super().forward(1.0 - x)


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (None, "load_detector.path, features=module."),
        (Layers(seed=1), "another module"),
        (Layers(width=8), "another module"),
        (Changed(), "its code is another version"),
        ("timm:resnet18", "needs features=, a torch.nn.Module"),
    ],
    ids=["none", "other weights", "other shape", "other code", "a name"],
)
def test_a_wrong_backbone_is_refused(saved, features, words):
    with pytest.raises(ModelRefusedError, match=words):
        load_detector(saved, features=features)


def test_a_module_for_a_model_without_is_refused(tmp_path):
    path = fitted(None).save(tmp_path / "model")
    with pytest.raises(ModelRefusedError, match="Leave it out"):
        load_detector(path, features=Layers())


def test_a_plugged_detector_can_be_cloned_and_copied_parameters_are_the_modules(plugged):
    twin = clone(plugged)
    assert weights_digest(twin.features) == weights_digest(plugged.features)
    assert plugged.get_params()["features"] is plugged.features


@pytest.mark.parametrize("width", [1, 100, 300])
def test_all_channels_are_kept_but_of_very_many(width):
    bank = fitted(nn.Conv2d(1, width, 8, 8), latent_dim=2).network_.bank
    assert bank.n_channels == min(width, MAX_MAPS)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: x.mean((2, 3)), "must return maps"),
        (lambda x: {"maps": x}, "must return maps"),
        (lambda x: [], "must return maps"),
        (lambda x: x.log() - x.log(), "NaN or infinity"),
        (lambda x: x @ torch.ones(3), "failed on images"),
    ],
    ids=["pooled", "dict", "nothing", "nan", "raises"],
)
def test_a_module_that_breaks_the_contract_is_refused_with_what_it_did(function, words):
    dark = np.zeros((10, SIZE, SIZE), np.uint8)
    dark[np.arange(10), np.arange(10), 0] = 9
    detector = ImageVAEDetector(image_size=SIZE, features=Lambda(function), random_state=0)
    with pytest.raises(ConfigError, match=words):
        detector.fit(dark)


@pytest.mark.parametrize(
    "parameters",
    [
        {"features": "resnet18"},
        {"features": Layers(), "model": "conv"},
        {"features": Layers(), "pose": "any"},
        {"features": Layers(), "features_weights": "w.safetensors"},
        {"features_weights": "w.safetensors"},
    ],
    ids=["name", "model", "pose", "weights of a module", "weights alone"],
)
def test_parameters_that_do_not_go_together_are_refused(parameters):
    with pytest.raises(ConfigError, match="features"):
        ImageVAEDetector(image_size=SIZE, **parameters).fit(plates(10, 1))


def test_maps_of_a_module_are_not_drawn_as_images(plugged):
    with pytest.raises(ConfigError, match="nothing to draw"):
        plugged.reconstruct(plates(1, 1))
    with pytest.raises(ConfigError, match="nothing to draw"):
        plugged.sample(1)


def test_a_model_with_a_module_leaves_as_one_onnx_file_that_scores_the_same(plugged, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    told = plugged.export_onnx(tmp_path / "model.onnx")
    session = runtime.InferenceSession(told.path, providers=["CPUExecutionProvider"])
    images = np.concatenate([plates(3, 8), pricked(plates(1, 9), 20, 60)])
    raw, heat = session.run(["raw_score", "heatmap"], {"images": images[..., None]})
    np.testing.assert_allclose(raw, plugged.examine(images).raw_score, atol=1e-3)
    np.testing.assert_allclose(heat, plugged.heatmap(images), atol=1e-3)


def test_a_prick_that_the_modules_cells_smooth_over_is_flagged_drawn_and_named(plugged):
    good = plates(20, 6)
    broken = pricked(good, 20, 60)
    seen = plugged.examine(broken)
    assert seen.heatmap.shape[1:] == (4, 4)
    assert (seen.evidence["fine_spots"] > 4.6).all()
    assert (seen.raw_score > np.quantile(plugged.examine(good).raw_score, 0.9)).all()
    assert (seen.heatmap[:, 1, 3] > plugged.heat_level_).all()
    assert all("spot" in " ".join(reasons) for reasons in plugged.reasons(broken))


LARGE = {"tile_size": SIZE, "max_steps": 10, "target_fpr": 0.1}


@pytest.fixture(scope="module")
def tiled() -> ImageVAEDetector:
    return fitted(Layers(), preset="default", **LARGE)


def test_large_images_are_seen_through_a_module_tile_by_tile(tiled):
    fresh = plates(20, 5)
    scores = tiled.anomaly_score(np.concatenate([fresh, holed(fresh)]))
    assert roc_auc_score(np.repeat([0, 1], 20), scores) > 0.9
    assert tiled.heatmap(fresh[:2]).shape == (2, 5, 5)
    assert tiled.network_.spec.backbone.widths == (12, 24)
    one, other = tiled.network_.halves
    assert one.bank is other.bank  # a tile goes through the module once


def test_a_tiled_model_needs_its_module_to_come_back_and_stores_no_weight_of_it(tiled, tmp_path):
    path = tiled.save(tmp_path / "model")
    with pytest.raises(ModelRefusedError, match="load_detector\\(path, features=module\\)"):
        load_detector(path)
    with pytest.raises(ModelRefusedError, match="another module"):
        load_detector(path, features=Layers(seed=1))
    seen = load_detector(path, features=Layers()).examine(plates(3, 7))
    np.testing.assert_allclose(seen.raw_score, tiled.examine(plates(3, 7)).raw_score, atol=1e-4)
    from safetensors.numpy import load_file

    names = list(load_file(path / "weights.safetensors"))
    assert not [name for name in names if "backbone" in name or name.startswith("halves.1.bank")]


def test_a_module_on_tiles_may_be_joined_by_registration_and_foreground():
    detector = fitted(Layers(), tile_size=SIZE, register="shift", foreground="auto")
    assert detector.metrics_["registered"] == 1.0
    assert np.isfinite(detector.anomaly_score(plates(2, 5))).all()
