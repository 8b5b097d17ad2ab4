"""Images of more than 8 bits: nothing is lost between the camera and the heatmap."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from vae_anomaly.data.images.decode import ImageReading, decode_image
from vae_anomaly.detectors import ImageVAEDetector, load_detector
from vae_anomaly.detectors.images.image_list import ImageList, open_images
from vae_anomaly.errors import DataError, ImageError
from vae_anomaly.metrics import auroc
from vae_anomaly.persistence import read_model, write_model

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


@pytest.fixture(scope="module")
def shallow() -> ImageVAEDetector:
    """A detector of the same parts as the camera shows them in 8 bits."""
    return ImageVAEDetector(SIZE, preset="fast", random_state=0).fit(in_8_bits(camera(40, 1)))


def in_8_bits(images: np.ndarray) -> np.ndarray:
    return (images // 16).astype(np.uint8)


def told(images: object, white: int) -> ImageList:
    return open_images(images, reading=ImageReading(white=white))


def test_a_model_of_8_bits_refuses_16_unless_their_white_is_told(shallow, tmp_path):
    fresh = camera(6, 2)
    path = tmp_path / "deep.png"
    Image.fromarray(fresh[0]).save(path)
    with pytest.raises(ImageError, match=r"deep\.png has 16 bits.*--white 4095") as caught:
        shallow.anomaly_score([path])
    assert caught.value.code == "bit_depth"
    with pytest.raises(ImageError, match="6 of 6 images"):
        shallow.anomaly_score(fresh)
    assert (shallow.bits_, detector_flags(shallow, told(fresh, 4095))) == (
        8, detector_flags(shallow, in_8_bits(fresh))
    )  # fmt: skip


def detector_flags(detector: ImageVAEDetector, images: object) -> list[bool]:
    return (detector.anomaly_score(images) > detector.threshold_.value).tolist()


def test_a_model_of_16_bits_refuses_8_unless_they_are_told_to_be_its_light(detector):
    fresh = in_8_bits(camera(6, 2))
    with pytest.raises(ImageError, match=r"image 0 has 8 bits.*white at 4095.*--white 255"):
        detector.anomaly_score(fresh)
    assert np.isfinite(detector.anomaly_score(told(fresh, 255))).all()
    assert detector.bits_ == 16


def test_16_bits_that_are_filled_tell_their_white(shallow):
    fresh = in_8_bits(camera(3, 2))
    dark = fresh.astype(np.uint16) * 257
    np.testing.assert_allclose(
        shallow.anomaly_score(dark), shallow.anomaly_score(fresh), rtol=0, atol=1e-4
    )
    bright = fresh.copy()
    bright[:, 30:50, 30:50] = 250
    filled = bright.astype(np.uint16) * 256
    np.testing.assert_allclose(
        shallow.anomaly_score(filled), shallow.anomaly_score(bright), rtol=0, atol=0.2
    )


def test_8_bits_go_with_filled_16():
    good = np.clip(camera(40, 1).astype(int) * 40, 0, 65535).astype(np.uint16)
    detector = ImageVAEDetector(SIZE, preset="fast", random_state=0).fit(good)
    assert (detector.white_, detector.bits_) == (65535, 16)
    assert np.isfinite(detector.anomaly_score((good[:3] >> 8).astype(np.uint8))).all()


def test_floating_point_has_its_white_and_goes_with_both(detector, shallow):
    unit = camera(4, 2).astype(np.float32) / 4095
    np.testing.assert_allclose(
        detector.anomaly_score(unit), detector.anomaly_score(camera(4, 2)), atol=1e-2
    )
    assert np.isfinite(shallow.anomaly_score(unit)).all()


def test_both_depths_are_taken_where_training_was_told_the_white(tmp_path):
    good = camera(40, 1)
    mixed = [*in_8_bits(good[:20]), *good[20:]]
    with pytest.raises(DataError, match=r"8 bits \(0\) and of 16 \(2\d\) are mixed.*--white 4095"):
        ImageVAEDetector(SIZE, preset="fast", random_state=0).fit(mixed)
    detector = ImageVAEDetector(SIZE, preset="fast", white=4095, random_state=0).fit(mixed)
    fresh = camera(5, 3)
    assert detector_flags(detector, fresh) == detector_flags(detector, in_8_bits(fresh))
    detector.save(tmp_path / "model")
    assert load_detector(tmp_path / "model").bits_ is None
    assert load_detector(tmp_path / "model").white_ == 4095


def test_one_image_of_another_depth_is_named_by_the_training(tmp_path):
    for i, image in enumerate(in_8_bits(camera(70, 1))):
        Image.fromarray(image).save(tmp_path / f"{i:02d}.png")
    Image.fromarray(camera(1, 2)[0]).save(tmp_path / "01.png")  # not one of the 32 looked at first
    with pytest.raises(ImageError, match=r"01\.png has 16 bits, where the training images"):
        ImageVAEDetector(SIZE, preset="fast", random_state=0).fit(tmp_path)


def test_hot_pixels_do_not_decide_what_is_white():
    good = camera(60, 1)
    good[3, 50, 50] = good[9, 7, 80] = 65535
    hot = ImageVAEDetector(SIZE, preset="fast", outliers="keep", random_state=0).fit(good)
    assert hot.white_ == 4095
    assert hot.metrics_["images_above_white"] == 2


def test_a_model_saved_before_depths_were_kept_takes_both(detector, tmp_path):
    path = detector.save(tmp_path / "model")
    state = read_model(path)
    del state.preprocessing["bits"]
    write_model(state, tmp_path / "earlier")
    earlier = load_detector(tmp_path / "earlier")
    fresh = camera(4, 2)
    assert earlier.bits_ is None
    np.testing.assert_array_equal(earlier.anomaly_score(fresh), detector.anomaly_score(fresh))
    assert np.isfinite(earlier.anomaly_score(in_8_bits(fresh))).all()


def test_uint16_arrays_of_8_bit_values_score_as_uint8():
    good = (camera(20, 6) // 16).astype(np.uint8)
    deep = ImageVAEDetector(SIZE, preset="fast", random_state=0).fit(good.astype(np.uint16))
    shallow = ImageVAEDetector(SIZE, preset="fast", random_state=0).fit(good)
    assert (deep.white_, shallow.white_) == (255, 65535)
    np.testing.assert_allclose(deep.anomaly_score(good), shallow.anomaly_score(good), atol=1e-3)
    np.testing.assert_allclose(
        deep.anomaly_score(good.astype(np.uint16)), shallow.anomaly_score(good), atol=1e-3
    )
