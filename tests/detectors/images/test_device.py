"""The image detector on a GPU: the same code, the same scores.

Most of it runs anywhere, on a GPU that is only pretended: `pretended_gpu` says what that proves.
Whoever has one runs the tests at the end.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from detectors.images.test_detector import surfaces, with_holes
from pretended_gpu import PLACE, PretendedGPU
from sklearn.base import clone

from vae_anomaly import ImageVAEDetector, TabularVAEDetector, devices, load_detector
from vae_anomaly.devices import device_of
from vae_anomaly.errors import ConfigError
from vae_anomaly.metrics import auroc
from vae_anomaly.persistence import read_model

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU with CUDA")
needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")

GOOD = surfaces(16, 1)
BROKEN, _ = with_holes(surfaces(5, 2))
STEPS = 3


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model that was told to take whatever device there is."""
    detector = ImageVAEDetector(64, preset="fast", device="auto", random_state=0).fit(GOOD)
    return detector.save(tmp_path_factory.mktemp("model") / "model")


@needs_no_gpu
def test_a_gpu_that_is_not_there_is_refused_before_images_are_read():
    with pytest.raises(ConfigError, match="device='cuda' was asked for"):
        ImageVAEDetector(64, device="cuda").fit("nowhere/")


def test_an_unknown_precision_is_refused():
    with pytest.raises(ConfigError, match=r"must be one of float32, bf16\. Got 'fp16'"):
        ImageVAEDetector(64, precision="fp16").fit(GOOD)


def test_the_device_is_a_parameter_like_others():
    detector = clone(ImageVAEDetector(64, device="cuda:1"))
    assert detector.get_params()["device"] == "cuda:1"


def test_a_saved_model_knows_no_device_and_loads_on_the_processor(saved):
    assert "device" not in read_model(saved).config
    again = load_detector(saved)
    assert (again.device, device_of(again.network_).type) == ("cpu", "cpu")


def test_whoever_loads_a_model_says_where_it_scores(saved):
    detector = load_detector(saved, device="auto")
    assert detector.device == "auto"
    np.testing.assert_allclose(
        detector.anomaly_score(BROKEN), load_detector(saved).anomaly_score(BROKEN), atol=1e-3
    )


@needs_no_gpu
def test_loading_on_a_gpu_that_is_not_there_blames_no_model(saved):
    with pytest.raises(ConfigError, match="device='cuda' was asked for"):
        load_detector(saved, device="cuda")


@needs_no_gpu
def test_a_detector_whose_gpu_is_gone_scores_again_on_the_processor(saved):
    detector = load_detector(saved).set_params(device="cuda")
    with pytest.raises(ConfigError, match="device='cpu'"):
        detector.anomaly_score(BROKEN)
    assert detector.set_params(device="cpu").anomaly_score(BROKEN).shape == (5,)


def test_models_of_tables_stay_on_the_processor(tmp_path):
    rows = np.random.default_rng(0).normal(size=(200, 3))
    TabularVAEDetector(max_steps=10, hidden=8, random_state=0).fit(rows).save(tmp_path / "model")
    assert load_detector(tmp_path / "model", device="auto").kind == "tabular"


def test_training_in_bf16_leaves_the_scored_map_of_the_bank_and_hardly_moves_the_rest():
    exact, rough = (
        ImageVAEDetector(64, max_steps=STEPS, precision=how, random_state=0).fit(GOOD)
        for how in ("float32", "bf16")
    )
    first, second = exact.examine(BROKEN), rough.examine(BROKEN)
    np.testing.assert_array_equal(second.score_map, first.score_map)
    np.testing.assert_allclose(second.raw_score, first.raw_score, rtol=0.02)
    np.testing.assert_allclose(second.heatmap, first.heatmap, atol=0.1)
    assert not np.array_equal(second.heatmap, first.heatmap)  # or nothing was tested


@pytest.mark.parametrize("model", ["conv", "vq", "ladder", "vamp"])
def test_members_on_pixels_train_in_bf16(model):
    detector = ImageVAEDetector(64, model=model, max_steps=STEPS, precision="bf16", random_state=0)
    assert np.isfinite(detector.fit(GOOD).examine(BROKEN).heatmap).all()


# ---------------------------------------------------------------------- on a pretended GPU


class AnyGenerator(torch.Generator):
    """One of the processor, whatever device is asked for: the same noise on both."""

    def __new__(cls, device: Any = None) -> AnyGenerator:
        return super().__new__(cls, "cpu")


@pytest.fixture
def gpu(monkeypatch) -> Iterator[None]:
    """Take the pretended GPU for "cuda"."""
    there = {"cpu": torch.device("cpu")}
    monkeypatch.setattr(devices, "_n_gpus", lambda: 1)
    monkeypatch.setattr(devices, "_opened", lambda name: there.get(name, PLACE))
    monkeypatch.setattr(torch, "Generator", AnyGenerator)
    adam = sys.modules["torch.optim.adam"]  # torch.optim has no such attribute
    monkeypatch.setattr(adam, "_device_dtype_check_for_fused", lambda *_, **__: None)
    with PretendedGPU():
        yield


def on_both(gpu_is_there: None, **parameters: Any) -> tuple[ImageVAEDetector, ImageVAEDetector]:
    """Train one detector on the processor and its twin on the GPU."""
    told = ["a", "b"] * 8 if parameters.get("model") == "conditional" else None
    here, there = (
        ImageVAEDetector(64, device=device, random_state=0, **parameters).fit(GOOD, conditions=told)
        for device in ("cpu", "cuda")
    )
    return here, there


def test_the_pretended_gpu_refuses_what_a_gpu_refuses(gpu):
    there, here = torch.ones(3, 3).to(PLACE), torch.ones(3, 3)
    with pytest.raises(RuntimeError, match="both devices"):
        there @ here
    moved = torch.nn.Linear(3, 3).to(PLACE)
    with pytest.raises(RuntimeError, match="both devices"):
        moved(here)
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()
    np.testing.assert_array_equal((there @ there).cpu().numpy(), np.full((3, 3), 3.0))


@pytest.mark.parametrize(
    "parameters",
    [
        {"max_steps": STEPS},
        {"tile_size": 64, "preset": "fast"},
        {"model": "conv", "max_steps": STEPS},
        {"model": "denoising", "max_steps": STEPS},
        {"model": "ladder", "max_steps": STEPS},
        {"model": "vamp", "max_steps": STEPS},
    ],
    ids=lambda parameters: "-".join(map(str, parameters.values())),
)
def test_training_and_scoring_are_the_same_on_both_devices(parameters, gpu):
    here, there = on_both(gpu, **parameters)
    expected, found = here.examine(BROKEN), there.examine(BROKEN)
    assert device_of(there.network_) == PLACE
    np.testing.assert_allclose(found.raw_score, expected.raw_score, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found.heatmap, expected.heatmap, atol=1e-4)
    np.testing.assert_allclose(
        there.anomaly_score(BROKEN), here.anomaly_score(BROKEN), rtol=1e-4, atol=1e-3
    )


def test_conditions_go_to_the_device_as_well(gpu):
    here, there = on_both(gpu, model="conditional", max_steps=STEPS)
    told = ["a", "b", "unknown", "a", "b"]
    expected, found = (d.examine(BROKEN, conditions=told) for d in (here, there))
    assert found.judged_as == expected.judged_as
    np.testing.assert_allclose(found.raw_score, expected.raw_score, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(there.sample(3, random_state=0), here.sample(3, random_state=0))


@pytest.mark.parametrize("parameters", [{"preset": "fast"}, {"model": "vq", "max_steps": 2}])
def test_latents_and_images_are_the_same_on_both_devices(parameters, gpu):
    here, there = on_both(gpu, **parameters)
    for ask in (
        lambda d: d.transform(BROKEN),
        lambda d: d.reconstruct(BROKEN),
        lambda d: d.sample(3, random_state=0),
        lambda d: d.interpolate(BROKEN[0], BROKEN[1], steps=3),
        lambda d: d.examine(BROKEN).heatmap,
    ):
        np.testing.assert_allclose(ask(there), ask(here), atol=1e-4)


def test_what_a_gpu_trained_is_saved_and_copied_for_every_machine(gpu, tmp_path):
    here, there = on_both(gpu, preset="fast")
    there.examine(BROKEN)  # brings the network to the GPU
    assert device_of(copy.deepcopy(there).network_).type == "cpu"
    ours, theirs = (read_model(d.save(tmp_path / d.device)) for d in (here, there))
    assert ours.config == theirs.config
    assert ours.weights.keys() == theirs.weights.keys()
    for name, array in ours.weights.items():
        np.testing.assert_allclose(theirs.weights[name], array, atol=1e-5, err_msg=name)


def test_a_backbone_of_the_user_goes_along(gpu):
    here, there = on_both(gpu, features=torch.nn.Conv2d(1, 4, 8, 8), channels=1, max_steps=2)
    np.testing.assert_allclose(there.heatmap(BROKEN), here.heatmap(BROKEN), atol=1e-4)


# ---------------------------------------------------------------------- on a GPU


@needs_gpu
@pytest.mark.parametrize("parameters", [{}, {"model": "conv"}, {"tile_size": 64}])
def test_a_gpu_scores_as_the_processor_does(parameters, tmp_path):
    detector = ImageVAEDetector(64, max_steps=STEPS, random_state=0, **parameters).fit(GOOD)
    expected = detector.examine(BROKEN)
    found = load_detector(detector.save(tmp_path / "model"), device="cuda").examine(BROKEN)
    np.testing.assert_allclose(found.raw_score, expected.raw_score, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.heatmap, expected.heatmap, atol=1e-3)


@needs_gpu
@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("model", ["bank", "conv"])
def test_a_detector_trained_on_a_gpu_finds_the_holes(model, precision):
    detector = ImageVAEDetector(
        64, model=model, max_steps=60, device="cuda", precision=precision, random_state=0
    ).fit(surfaces(60, 1))
    good = surfaces(30, 3)
    broken, _ = with_holes(good)
    scores = np.concatenate([detector.anomaly_score(good), detector.anomaly_score(broken)])
    assert auroc(np.repeat([0, 1], 30), scores) > (0.9 if model == "bank" else 0.6)


@needs_gpu
def test_a_gpu_gives_the_same_scores_twice_in_any_batch():
    detector = ImageVAEDetector(64, max_steps=STEPS, device="cuda", random_state=0).fit(GOOD)
    whole = detector.examine(BROKEN).raw_score
    alone = [detector.examine(BROKEN[i : i + 1]).raw_score[0] for i in range(len(BROKEN))]
    np.testing.assert_array_equal(detector.examine(BROKEN).raw_score, whole)
    np.testing.assert_allclose(alone, whole, rtol=0, atol=1e-4)


@needs_gpu
def test_two_trainings_on_a_gpu_with_one_seed_are_the_same():
    first, second = (
        ImageVAEDetector(64, max_steps=STEPS, device="cuda", random_state=3).fit(GOOD)
        for _ in range(2)
    )
    np.testing.assert_allclose(first.heatmap(BROKEN), second.heatmap(BROKEN), atol=1e-3)
