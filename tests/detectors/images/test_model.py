"""A fitted model without its face: what the detector shows of it, and what scoring needs of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from detectors.images.test_detector import SIZE, surfaces
from sklearn.exceptions import NotFittedError

from vae_anomaly.detectors import ImageVAEDetector
from vae_anomaly.detectors.images.examination import examine
from vae_anomaly.detectors.images.image_list import open_images
from vae_anomaly.detectors.images.networks.bank import NetworkSpec


@pytest.fixture(scope="module")
def detector() -> ImageVAEDetector:
    settings = {"image_size": SIZE, "preset": "fast", "register": "shift", "random_state": 3}
    return ImageVAEDetector(**settings).fit(surfaces(16, 1))


def test_the_fitted_attributes_are_those_of_the_model(detector):
    model = detector.model_
    assert detector.network_ is model.network
    assert detector.registration_ is model.placing.registration
    assert (detector.white_, detector.heat_level_) == (model.placing.depth.white, model.heat_level)
    assert (detector.channels_, detector.random_state_) == (1, 3)


def test_model_and_calibration_score_images_without_the_detector(detector):
    fresh = surfaces(5, 2)
    images = replace(open_images(fresh), placing=detector.model_.placing)
    seen = examine(detector.model_, detector.calibration_, images)
    np.testing.assert_array_equal(seen.raw_score, detector.examine(fresh).raw_score)
    np.testing.assert_array_equal(seen.heatmap, detector.examine(fresh).heatmap)


@pytest.mark.parametrize("method", ["examine", "masks", "contours", "regions", "transform"])
def test_a_detector_that_is_not_fitted_says_so(method):
    with pytest.raises(NotFittedError):
        getattr(ImageVAEDetector(image_size=SIZE), method)(surfaces(2, 1))


def test_a_network_saved_before_votes_were_written_down_has_those_of_its_time():
    values = NetworkSpec("bank", 64, 1, 4, 2, scored="linear").to_dict()
    assert NetworkSpec.from_dict(values).head_weight == 1.0
    for name in ("repair_weight", "head_weight", "scored"):
        del values[name]
    earlier = NetworkSpec.from_dict(values)
    assert (earlier.repair_weight, earlier.head_weight, earlier.scored) == (0.5, 0.25, "shown")
