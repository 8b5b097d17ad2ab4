"""An exported detector scores without Python, and says what the detector says."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from scipy import ndimage

from vae_anomaly.data.images.resize import prepare_image
from vae_anomaly.detectors import ImageVAEDetector
from vae_anomaly.detectors.images.onnx.graph import OUTPUTS, Preparation, ScoringGraph
from vae_anomaly.errors import ConfigError, MissingExtraError, ModelRefusedError

SIZE = 64
SHAPES = [(64, 64), (96, 200), (31, 64), (640, 97), (1, 5)]


def plates(n: int, seed: int, shape: tuple[int, int] = (96, 80)) -> np.ndarray:
    """Render brushed grey plates (N, H, W, 1), uint8."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(n, *shape)), (0, 0.5, 4.0))
    light = rng.uniform(0.8, 1.2, (n, 1, 1))
    return np.uint8(np.clip((0.5 + 0.2 * noise) * light * 255, 0, 255))[..., None]


def holed(images: np.ndarray) -> np.ndarray:
    broken = images.copy()
    broken[:, 30:44, 30:44] //= 3
    return broken


def detector_of(**parameters) -> ImageVAEDetector:
    parameters = {"image_size": SIZE, "random_state": 0, "max_steps": 5, **parameters}
    return ImageVAEDetector(**parameters).fit(plates(24, 1))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The default model, its file and a session."""
    runtime = pytest.importorskip("onnxruntime")
    detector = detector_of()
    path = tmp_path_factory.mktemp("onnx") / "plates.onnx"
    told = detector.export_onnx(path)
    return detector, told, runtime.InferenceSession(path, providers=["CPUExecutionProvider"])


def run(session, images: np.ndarray) -> dict[str, np.ndarray]:
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"images": images}), strict=True))


@pytest.mark.parametrize(("given", "wanted"), [(1, 1), (1, 3), (3, 1), (3, 3)])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_graph_prepares_images_of_any_size_as_the_detector_does(rng, shape, given, wanted):
    images = rng.integers(0, 256, (2, *shape, given), dtype=np.uint8)
    found = Preparation(SIZE, wanted)(torch.from_numpy(images)).permute(0, 2, 3, 1)
    expected = np.stack([prepare_image(one, (SIZE, SIZE), wanted) for one in images])
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-6)


@pytest.mark.parametrize("model", ["bank", "conv"])
def test_the_graph_says_what_the_detector_says_before_it_becomes_a_file(model):
    detector, images = detector_of(model=model), plates(4, 2)
    images = np.concatenate([images, holed(images)])
    with torch.no_grad():
        model, calibration = detector.model_, detector.calibration_
        graph = ScoringGraph(model.network, model.score, calibration, SIZE, model.heat_level).eval()
        said = graph(torch.from_numpy(images))
    found, seen = dict(zip(OUTPUTS, said, strict=True)), detector.examine(images)
    for name in ("raw_score", "anomaly_score", "p_value"):
        np.testing.assert_allclose(found[name], getattr(seen, name), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(found["heatmap"], detector.heatmap(images), atol=1e-3)


@pytest.mark.parametrize("shape", [(96, 80), (200, 130), (48, 64)], ids=str)
def test_the_file_scores_good_and_bad_images_as_the_detector_does(exported, shape):
    detector, _, session = exported
    images = plates(5, 2, shape)
    images = np.concatenate([images, holed(images)])
    found, seen = run(session, images), detector.examine(images)
    for name in ("raw_score", "anomaly_score", "p_value"):
        np.testing.assert_allclose(found[name], getattr(seen, name), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(found["heatmap"], detector.heatmap(images), atol=1e-3)
    assert found["heatmap"].shape == (10, SIZE, SIZE)


def test_the_file_says_the_same_of_a_image_alone_and_in_a_batch(exported):
    session, images = exported[2], plates(7, 3)
    together = run(session, images)["raw_score"]
    alone = [run(session, one[None])["raw_score"][0] for one in images]
    np.testing.assert_allclose(alone, together, atol=1e-4)


def test_the_file_carries_the_threshold_and_was_compared(exported):
    detector, told, session = exported
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["vae_anomaly.threshold"]) == detector.threshold_.value
    assert told.largest_difference < 1e-4
    assert told.size_bytes == told.path.stat().st_size
    assert [item.name for item in told.path.parent.iterdir()] == ["plates.onnx"]


def test_a_member_on_pixels_is_exported_and_takes_colour_where_asked(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    detector = detector_of(model="conv", image_size=96)
    told = detector.export_onnx(tmp_path / "conv.onnx", image_channels=3)
    session = runtime.InferenceSession(told.path, providers=["CPUExecutionProvider"])
    tinted = np.uint8(plates(3, 5) * np.array([1.0, 0.8, 0.6]))
    found, seen = run(session, tinted), detector.examine(tinted)
    np.testing.assert_allclose(found["anomaly_score"], seen.anomaly_score, atol=1e-4)
    assert found["heatmap"].shape == (3, 96, 96)


def test_a_conditional_model_is_refused_with_the_reason(tmp_path):
    products = np.tile(["left", "right"], 12)
    parameters = {"image_size": SIZE, "model": "conditional", "max_steps": 2, "random_state": 0}
    detector = ImageVAEDetector(**parameters).fit(plates(24, 1), conditions=products)
    with pytest.raises(ModelRefusedError, match="unknown"):
        detector.export_onnx(tmp_path / "no.onnx")
    assert not list(tmp_path.iterdir())


def test_a_model_that_shifts_images_is_refused(tmp_path):
    with pytest.raises(ModelRefusedError, match="register='off'"):
        detector_of(preset="fast", register="shift").export_onnx(tmp_path / "no.onnx")


def test_without_the_extra_the_error_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "onnx", None)
    detector = detector_of(preset="fast")
    with pytest.raises(MissingExtraError, match=r"pip install 'vae_anomaly\[onnx\]'"):
        detector.export_onnx(tmp_path / "no.onnx")


def test_other_channels_than_one_and_three_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="1 or 3"):
        detector_of(preset="fast").export_onnx(tmp_path / "no.onnx", image_channels=4)
