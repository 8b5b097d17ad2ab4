from __future__ import annotations

import hashlib
import tracemalloc

import numpy as np
import numpy.typing as npt
import pytest

from vae_anomaly.data.images.resize import (
    RESIZER,
    prepare_image,
    resize_image,
)
from vae_anomaly.errors import ConfigError, DataError


def noise(*shape: int, dtype: type = np.uint8) -> npt.NDArray[np.generic]:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def test_shrinking_by_a_whole_factor_is_the_mean_of_blocks() -> None:
    array = noise(60, 80, 3)
    blocks = array.reshape(20, 3, 20, 4, 3).mean(axis=(1, 3)) / 255
    np.testing.assert_allclose(resize_image(array, (20, 20)), blocks, atol=1e-6)


@pytest.mark.parametrize(("old", "new"), [((61, 83), (20, 17)), ((30, 40), (29, 36))])
def test_shrinking_weighs_pixels_by_their_area(old: tuple[int, int], new: tuple[int, int]) -> None:
    array = noise(*old)
    every = np.repeat(np.repeat(array / 255, new[0], axis=0), new[1], axis=1)
    exact = every.reshape(new[0], old[0], new[1], old[1]).mean(axis=(1, 3))
    np.testing.assert_allclose(resize_image(array, new), exact, atol=1e-6)


def test_rows_do_not_depend_on_how_many_are_made_at_once(monkeypatch) -> None:
    array = noise(150, 130, 3)
    whole = resize_image(array, (100, 200))
    monkeypatch.setattr("vae_anomaly.data.images.resize._BLOCK", 7)
    np.testing.assert_array_equal(resize_image(array, (100, 200)), whole)


@pytest.mark.parametrize("strip", [1, 37, 500])
@pytest.mark.parametrize("size", [(100, 200), (20, 30), (160, 17)])
def test_columns_do_not_depend_on_how_many_are_made_at_once(size, strip, monkeypatch) -> None:
    array = noise(150, 130, 3)
    whole = resize_image(array, size)
    monkeypatch.setattr("vae_anomaly.data.images.resize._STRIP", strip)
    np.testing.assert_array_equal(resize_image(array, size), whole)


@pytest.mark.parametrize("shape", [(1, 500_000), (500_000, 1)])
def test_memory_grows_with_the_pixels_not_with_the_length_of_a_line(shape) -> None:
    array = np.zeros(shape, np.uint8)
    tracemalloc.start()
    resize_image(array, (32, 32))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60 * array.size  # 32 lines in float32, three times, took 384


def test_shrinking_keeps_the_mean() -> None:
    array = noise(513, 401)
    assert resize_image(array, (128, 100)).mean() == pytest.approx(array.mean() / 255, abs=1e-5)


def test_growing_is_linear_between_pixel_centres() -> None:
    grown = resize_image(np.array([[0, 255]], dtype=np.uint8), (1, 4))
    np.testing.assert_allclose(grown, [[0.0, 0.25, 0.75, 1.0]], atol=1e-6)


def test_growing_matches_torch() -> None:
    torch = pytest.importorskip("torch")
    array = noise(13, 17)
    expected = torch.nn.functional.interpolate(
        torch.tensor(array / 255.0)[None, None], size=(40, 50), mode="bilinear"
    )[0, 0].numpy()
    np.testing.assert_allclose(resize_image(array, (40, 50)), expected, atol=1e-6)


def test_one_axis_may_shrink_while_the_other_grows() -> None:
    ramp = np.tile(np.arange(0, 250, 5, dtype=np.uint8), (7, 1))
    resized = resize_image(ramp, (21, 10))
    assert resized.shape == (21, 10)
    np.testing.assert_allclose(resized[0] * 255, np.arange(10, 250, 25), atol=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (5, 5), (64, 64), (200, 3)])
@pytest.mark.parametrize("value", [0, 255])
def test_a_flat_image_stays_flat(size: tuple[int, int], value: int) -> None:
    flat = np.full((31, 47), value, dtype=np.uint8)
    np.testing.assert_allclose(resize_image(flat, size), value / 255, atol=1e-6)


def test_the_same_size_changes_nothing() -> None:
    array = noise(20, 30)
    np.testing.assert_array_equal(resize_image(array, (20, 30)), array.astype(np.float32) / 255)


def test_sixteen_bits_give_more_than_eight() -> None:
    array = noise(64, 64, dtype=np.uint16)
    array = array // 256 * 256 + np.arange(64, dtype=np.uint16)
    assert len(np.unique(resize_image(array, (64, 64)))) > 256
    assert resize_image(np.full((4, 4), 65535, np.uint16), (2, 2)).max() == 1.0


def test_turning_before_or_after_is_the_same() -> None:
    array = noise(90, 70)
    turned = resize_image(np.ascontiguousarray(array.T), (25, 32))
    np.testing.assert_allclose(resize_image(array, (32, 25)).T, turned, atol=1e-6)


def test_the_bits_are_those_that_models_were_trained_with() -> None:
    # If this fails, the resizer changed: give RESIZER a new version, models must refuse it.
    array = noise(97, 131, 3)
    content = resize_image(array, (64, 48)).tobytes() + resize_image(array, (200, 150)).tobytes()
    assert RESIZER == "area-bilinear/1"
    assert hashlib.sha256(content).hexdigest()[:16] == "a2ef065a2deb6f2c"


def test_colour_becomes_grey_by_luma_and_grey_is_repeated() -> None:
    red = np.zeros((4, 4, 3), dtype=np.uint8)
    red[..., 0] = 255
    np.testing.assert_allclose(prepare_image(red, (2, 2), 1), 0.299, atol=1e-6)
    grey = prepare_image(noise(4, 4), (4, 4), 3)
    assert grey.shape == (4, 4, 3)
    np.testing.assert_array_equal(grey[..., 0], grey[..., 2])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 4), np.uint8),
        np.zeros(4, np.uint8),
        np.full((4, 4), 2.0),
        np.full((4, 4), np.nan),
        np.full((4, 4), -0.1),
        np.zeros((4, 4), np.int64),
        np.zeros((4, 4), complex),
    ],
    ids=["empty", "line", "above", "nan", "below", "int64", "complex"],
)
def test_pixels_of_unknown_scale_are_refused(array: npt.NDArray[np.generic]) -> None:
    with pytest.raises(DataError):
        resize_image(array, (2, 2))


def test_wrong_sizes_and_channels_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1 x 1"):
        resize_image(noise(4, 4), (0, 4))
    with pytest.raises(DataError, match=r"Got \(4, 4, 5\)"):
        prepare_image(noise(4, 4, 5), (2, 2), 1)
    with pytest.raises(ConfigError, match="Got 2"):
        prepare_image(noise(4, 4), (2, 2), 2)


@pytest.mark.parametrize(
    ("pixels", "remedy"),
    [
        (np.full((4, 4), 200.0), "Divide them by what is white, the same in all images: by 255"),
        (np.full((4, 4), 3000.0), "by 65535, or by the white of the camera"),
        (np.full((4, 4), 200), "to uint8 if 255 is white in all images, else to uint16"),
        (np.full((4, 4), 3000), "Convert them to uint16"),
        (np.full((4, 4), -1), "one scale for all images"),
        (np.full((4, 4), np.nan), "Got float64 with NaN or inf"),
    ],
    ids=["floats to 255", "floats above", "whole to 255", "whole above", "negative", "NaN"],
)
def test_pixels_without_a_scale_are_refused_with_the_way_to_one(pixels, remedy) -> None:
    with pytest.raises(DataError, match=remedy):
        resize_image(pixels, (2, 2))
