"""A look at an image keeps what the checks need, and nothing is decoded twice."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vae_anomaly.data.doctor.looks import Look, look_at_all, on_one_scale, white_shares_of
from vae_anomaly.data.images.folders import ImageItem
from vae_anomaly.progress import null_progress


def looks_at(folder, **pixels: np.ndarray) -> dict[str, Look]:
    items = []
    for name, values in pixels.items():
        Image.fromarray(values).save(folder / f"{name}.png")
        items.append(ImageItem(name, folder / f"{name}.png"))
    return {look.item.id: look for look in look_at_all(items, null_progress)}


def test_a_look_says_size_brightness_and_colour(tmp_path, rng):
    grey = np.full((60, 80), 102, np.uint8)
    looks = looks_at(tmp_path, flat=grey, fake=np.dstack([grey] * 3),
                     red=np.dstack([grey, grey // 2, grey // 2]))  # fmt: skip
    assert looks["flat"].shape == (60, 80)
    assert looks["flat"].brightness == pytest.approx(0.4, abs=1e-3)
    assert looks["flat"].contrast == 0.0
    assert [looks[name].colourful for name in ("flat", "fake", "red")] == [False, False, True]


def test_the_digest_is_of_the_pixels_and_not_of_the_file(tmp_path, rng):
    pixels = rng.integers(0, 255, (32, 32), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "b.bmp")
    other = pixels.copy()
    other[0, 0] ^= 1
    looks = looks_at(tmp_path, a=pixels, c=other)
    (again,) = look_at_all([ImageItem("b", tmp_path / "b.bmp")], null_progress)
    assert looks["a"].digest == again.digest != looks["c"].digest


def test_what_cannot_be_decoded_keeps_its_place_and_its_error(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"text")
    Image.new("L", (8, 8)).save(tmp_path / "fine.png")
    items = [ImageItem(name, tmp_path / f"{name}.png") for name in ("bad", "fine")]
    told = []
    bad, fine = look_at_all(items, lambda *step: told.append(step))
    assert (bad.error.code, fine.error) == ("not_an_image", None)
    assert [step[1:] for step in told] == [(1, 2), (2, 2)]


def test_images_of_twelve_bits_are_put_on_the_scale_of_the_brightest(tmp_path):
    dark, light = np.full((8, 8), 1024, np.uint16), np.full((8, 8), 4000, np.uint16)
    looks = list(
        looks_at(tmp_path, dark=dark, light=light, byte=np.full((8, 8), 51, np.uint8)).values()
    )
    scaled = [look.brightness for look in on_one_scale(looks)]
    assert scaled == pytest.approx([1024 / 4095, 4000 / 4095, 0.2], abs=2e-3)


def test_white_pixels_are_counted_for_whatever_white_turns_out_to_be(tmp_path):
    deep = np.zeros((10, 10), np.uint16)
    deep[0, :6], deep[1, :3] = 4095, 4080
    byte = np.zeros((10, 10), np.uint8)
    byte[:2, :5], byte[2, :5] = 255, 253
    looks = list(looks_at(tmp_path, deep=deep, byte=byte).values())
    assert white_shares_of(looks, 4095).tolist() == [[0.06, 0.09], [0.1, 0.15]]
    assert white_shares_of(looks, 65535).tolist() == [[0.0, 0.0], [0.1, 0.15]]
