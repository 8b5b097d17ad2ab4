"""A fitted detector is what the rest of the package takes it for."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from typing_extensions import get_protocol_members

from vae_anomaly import ImageVAEDetector, TabularVAEDetector
from vae_anomaly.detectors.protocol import ImageDetector, TableDetector

ROWS = np.random.default_rng(0).normal(size=(60, 2))
IMAGES = np.random.default_rng(0).integers(0, 255, (12, 64, 64)).astype(np.uint8)


@pytest.fixture(scope="module", params=["tabular", "image"])
def fitted(request):
    if request.param == "tabular":
        return TableDetector, TabularVAEDetector(max_steps=5, random_state=0).fit(ROWS)
    detector = ImageVAEDetector(image_size=64, preset="fast", max_steps=5, random_state=0)
    return ImageDetector, detector.fit(IMAGES)


def test_a_fitted_detector_has_all_that_its_protocol_names(fitted):
    protocol, detector = fitted
    assert {name for name in get_protocol_members(protocol) if not hasattr(detector, name)} == set()


def test_its_methods_take_what_the_protocol_gives_them(fitted):
    protocol, detector = fitted
    for name in get_protocol_members(protocol):
        asked = getattr(protocol, name, None)
        if callable(asked):
            taken = inspect.signature(getattr(detector, name)).parameters
            missing = set(inspect.signature(asked).parameters) - {"self", *taken}
            assert not missing, f"{name} lacks {missing}"
