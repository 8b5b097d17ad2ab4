"""Images of more than 8 bits: nothing is lost between the camera and the heatmap."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from vae_anomaly.data.images.decode import decode_image
from vae_anomaly.detectors import ImageVAEDetector, load_detector
from vae_anomaly.metrics import auroc

SIZE = 64


def camera(n: int, seed: int) -> np.ndarray:
    """Return dark images of a 12-bit camera, (n, 96, 96), uint16 from 0 to about 3000."""
    rng = np.random.default_rng(seed)
    y = np.mgrid[:96, :96][0] / 96
    grain = ndimage.gaussian_filter(rng.normal(size=(n, 96, 96)), (0, 0.7, 0.7))
    light = (1000.0 + 400.0 * y + 12.0 * grain) * rng.uniform(0.9, 1.1, (n, 1, 1))
    light[:, :4, :4] = 3000.0  # a lamp in the corner
    return np.rint(light).astype(np.uint16)


def with_faint_spots(images: np.ndarray) -> np.ndarray:
    """Return images with a spot of 20: a thirteenth of an 8-bit step of the full scale."""
    faint = images.copy()
    y, x = np.mgrid[:96, :96]
    faint[:, np.hypot(y - 60, x - 40) < 8] -= 20
    return faint


@pytest.fixture(scope="module")
def detector() -> ImageVAEDetector:
    return ImageVAEDetector(SIZE, preset="fast", random_state=0).fit(camera(40, 1))


def test_a_faint_defect_in_12_of_16_bits_is_found_where_it_is(detector):
    fresh = camera(20, 2)
    spotted = with_faint_spots(fresh)
    scores = detector.anomaly_score(np.concatenate([fresh, spotted]))
    assert detector.white_ == 4095
    assert auroc(np.repeat([0, 1], 20), scores) > 0.95
    heat = detector.heatmap(spotted, size=(96, 96)).mean(axis=0)
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    assert np.hypot(y - 60, x - 40) < 12


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_files_and_arrays_have_the_same_score(detector, tmp_path, suffix):
    images = camera(3, 3)
    paths = [tmp_path / f"{i}.{suffix}" for i in range(3)]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    np.testing.assert_array_equal(decode_image(paths[0]), images[0])
    np.testing.assert_array_equal(detector.anomaly_score(paths), detector.anomaly_score(images))
    np.testing.assert_array_equal(detector.heatmap(paths), detector.heatmap(list(images)))


def test_12_bits_score_as_if_the_camera_had_filled_all_16(detector):
    wide = np.rint(camera(40, 1) * (65535 / 4095)).astype(np.uint16)
    full = ImageVAEDetector(SIZE, preset="fast", random_state=0).fit(wide)
    assert full.white_ == 65535
    fresh = camera(5, 4)
    stretched = np.rint(fresh * (65535 / 4095)).astype(np.uint16)
    np.testing.assert_allclose(
        full.anomaly_score(stretched), detector.anomaly_score(fresh), atol=1e-3
    )


def test_white_does_not_depend_on_the_image_and_is_saved(detector, tmp_path):
    image = camera(1, 5)
    lamp = image.copy()
    lamp[:, :4, :4] = 4095
    over = image.copy()
    over[:, :4, :4] = 60000
    np.testing.assert_array_equal(detector.anomaly_score(lamp), detector.anomaly_score(over))
    detector.save(tmp_path / "model")
    loaded = load_detector(tmp_path / "model")
    assert loaded.white_ == 4095
    np.testing.assert_array_equal(loaded.anomaly_score(image), detector.anomaly_score(image))


def test_uint16_arrays_of_8_bit_values_score_as_uint8():
    good = (camera(20, 6) // 16).astype(np.uint8)
    deep = ImageVAEDetector(SIZE, preset="fast", random_state=0).fit(good.astype(np.uint16))
    shallow = ImageVAEDetector(SIZE, preset="fast", random_state=0).fit(good)
    assert (deep.white_, shallow.white_) == (255, 65535)
    np.testing.assert_allclose(
        deep.anomaly_score(good.astype(np.uint16)), shallow.anomaly_score(good), atol=1e-3
    )
