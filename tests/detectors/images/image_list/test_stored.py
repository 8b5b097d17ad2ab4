"""Colour is kept where files have it, and what was chosen is told."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from vae_anomaly.detectors import ImageVAEDetector

SIZE = 64


def castings(n: int, seed: int) -> np.ndarray:
    """Return grey parts with grain, (n, 96, 96), float64."""
    rng = np.random.default_rng(seed)
    grain = ndimage.gaussian_filter(rng.normal(size=(n, 96, 96)), (0, 1, 1))
    y, x = np.mgrid[:96, :96]
    part = 90.0 + 50.0 * (np.hypot(y - 48, x - 48) < 30)
    return (part + 20 * grain) * rng.uniform(0.95, 1.05, (n, 1, 1))


def as_bytes(pixels: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)


def tinted(grey: np.ndarray) -> np.ndarray:
    """One level of red more, and one of blue less."""
    return as_bytes(grey[..., None] + np.array([1.0, 0.0, -1.0]))


def noisy(grey: np.ndarray) -> np.ndarray:
    """What a colour camera makes of grey parts: noise in each channel, and JPEG."""
    rng = np.random.default_rng(0)
    rgb = as_bytes(grey[..., None] + rng.normal(0, 1.5, (*grey.shape, 3)))
    out = []
    for image in rgb:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=85)
        out.append(np.asarray(Image.open(file)))
    return np.stack(out)


def stained(images: np.ndarray) -> np.ndarray:
    """Return images with a red stain of nearly the same brightness."""
    stain = images.astype(float)
    stain[:, 40:56, 40:56] += np.array([60.0, -30.0, -30.0])
    return as_bytes(stain)


def fitted(images: np.ndarray, **options: object) -> ImageVAEDetector:
    return ImageVAEDetector(SIZE, preset="fast", random_state=0, **options).fit(images)


def flagged(detector: ImageVAEDetector, images: np.ndarray) -> int:
    return int((detector.anomaly_score(images) > detector.threshold_.value).sum())


@pytest.mark.parametrize("camera", [tinted, noisy])
def test_a_red_stain_on_nearly_grey_parts_is_seen(camera):
    detector = fitted(camera(castings(48, 1)))
    fresh = camera(castings(12, 2))
    assert detector.channels_ == 3
    assert 0 < detector.metrics_["colour_share"] <= 1
    assert flagged(detector, stained(fresh)) == 12
    assert flagged(detector, fresh) <= 1


def test_colour_that_carries_nothing_costs_nothing():
    grey, fresh = castings(48, 1), castings(24, 2)
    dented = fresh[:12].copy()
    dented[:, 60:70, 30:40] *= 0.6
    images = np.concatenate([fresh, dented])
    one = fitted(noisy(grey), channels=1).anomaly_score(noisy(images))
    three = fitted(noisy(grey)).anomaly_score(noisy(images))
    assert three[24:].min() > three[:24].max()
    assert one[24:].min() > one[:24].max()


def test_grey_that_is_stored_as_colour_is_grey_unless_told():
    grey = np.repeat(as_bytes(castings(16, 1))[..., None], 3, axis=3)
    detector = fitted(grey)
    assert detector.channels_ == 1
    assert (detector.metrics_["colour_files"], detector.metrics_["colour_share"]) == (1.0, 0.0)
    assert fitted(grey, channels=3).channels_ == 3
