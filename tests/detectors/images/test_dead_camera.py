"""A dead camera is no good part: blank, dark, inverted and half-read frames are flagged."""

from __future__ import annotations

import re

import numpy as np
import pytest

from vae_anomaly.detectors import ImageVAEDetector


def plates(n: int, seed: int, size: int = 64) -> np.ndarray:
    """Render rough plates with a dark frame at exposures that differ twofold, uint8."""
    rng = np.random.default_rng(seed)
    plate = np.full((size, size), 0.5)
    plate[4:-4, 4:-4] = 0.8
    light = rng.uniform(0.5, 1.0, (n, 1, 1))
    images = light * (plate + rng.normal(0.0, 0.04, (n, size, size)))
    return np.clip(255.0 * images, 0, 255).astype(np.uint8)


def frozen(images: np.ndarray) -> np.ndarray:
    """Return images of which the lower half repeats one row."""
    broken, half = images.copy(), images.shape[1] // 2
    broken[:, half:] = broken[:, half - 1 : half]
    return broken


def half(images: np.ndarray) -> np.ndarray:
    """Return images of which the upper half was not read."""
    broken = images.copy()
    broken[:, : images.shape[1] // 2] = 0
    return broken


def sensor_noise(images: np.ndarray) -> np.ndarray:
    """Return frames of nothing but a little noise."""
    return np.random.default_rng(0).normal(128.0, 2.0, images.shape).round().astype(np.uint8)


KINDS = {
    "black": lambda images: images * 0,
    "white": lambda images: images * 0 + 255,
    "grey": lambda images: images * 0 + 128,
    "dim": lambda images: images // 10,
    "inverted": lambda images: 255 - images,
    "half": half,
    "frozen": frozen,
    "noise": sensor_noise,
}
HALF_READ = "[45].? % of its rows repeat the one before: half-read, or partly blank"
WORDS = {
    "black": "no structure: the image is blank, almost black",
    "white": "no structure: the image is blank, over-exposed",
    "grey": "no structure: the image is blank, all of it near 50 % of white",
    "dim": "darker: ",
    "inverted": "bright and dark lie the other way round: inverted, or of another lighting",
    "half": HALF_READ,
    "frozen": HALF_READ,
}


@pytest.fixture(scope="module")
def detector() -> ImageVAEDetector:
    return ImageVAEDetector(image_size=64, preset="fast", random_state=0).fit(plates(120, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_without_a_part_is_flagged(detector, kind):
    assert (detector.predict(KINDS[kind](plates(8, 2))) == -1).all()


def test_good_parts_at_every_exposure_are_not(detector):
    assert (detector.predict(plates(200, 3)) == -1).mean() <= 0.03


@pytest.mark.parametrize("kind", WORDS)
def test_the_first_reason_says_what_the_frame_is(detector, kind):
    said = detector.reasons(KINDS[kind](plates(4, 2)))
    assert all(re.match(WORDS[kind], reasons[0]) for reasons in said)


@pytest.fixture(scope="module")
def member() -> ImageVAEDetector:
    return ImageVAEDetector(model="autoencoder", max_steps=5, random_state=0).fit(plates(120, 1))


@pytest.mark.parametrize("kind", ["black", "white", "half", "inverted"])
def test_a_model_on_pixels_flags_it_as_well(member, kind):
    assert (member.predict(KINDS[kind](plates(4, 2))) == -1).all()


@pytest.fixture(scope="module")
def tiled() -> ImageVAEDetector:
    detector = ImageVAEDetector(tile_size=64, preset="fast", random_state=0)
    return detector.fit(list(plates(24, 1, 160)))


@pytest.mark.parametrize("kind", ["black", "white", "half", "frozen"])
def test_a_large_image_is_flagged_as_well(tiled, kind):
    assert (tiled.predict(list(KINDS[kind](plates(4, 2, 160)))) == -1).all()


@pytest.mark.parametrize("n", [24, 60])
def test_where_all_exposures_are_the_same_half_a_per_cent_less_is_no_alarm_and_a_tenth_is(n):
    y, x = np.mgrid[:64, :64]
    ring = np.abs(np.hypot(y - 32, x - 32) - 18) < 5

    def taken(n, seed, exposure=1.0):
        noise = np.random.default_rng(seed).normal(0, 4, (n, 64, 64))
        return np.clip((80 + 90 * ring + noise) * exposure, 0, 255).round().astype(np.uint8)

    fitted = ImageVAEDetector(64, preset="fast", random_state=0).fit(taken(n, 0))
    flagged = {
        exposure: np.mean(fitted.predict(taken(20, 1, exposure)) == -1)
        for exposure in (1.0, 0.995, 0.9)
    }
    assert flagged[0.995] <= flagged[1.0] + 0.1
    assert flagged[0.9] == 1.0


def test_nor_is_one_left_out_of_training():
    y, x = np.mgrid[:64, :64]
    part = 80.0 + 90.0 * (np.abs(np.hypot(y - 32, x - 32) - 18) < 5)
    images = part + np.random.default_rng(0).normal(0, 4, (40, 64, 64))
    images[7] *= 0.995
    fitted = ImageVAEDetector(64, preset="fast", random_state=0).fit(images.astype(np.uint8))
    assert fitted.left_out_ == ()
