from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vae_anomaly import TabularVAEDetector, load_detector
from vae_anomaly.errors import ModelRefusedError
from vae_anomaly.persistence import read_model, write_model


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    rows = np.random.default_rng(0).normal(size=(200, 3))
    detector = TabularVAEDetector(max_steps=10, hidden=8, random_state=0).fit(rows)
    return read_model(detector.save(tmp_path_factory.mktemp("model") / "model"))


def test_a_model_of_an_unknown_kind_is_refused_and_the_known_ones_named(state, tmp_path):
    write_model(replace(state, kind="audio"), tmp_path / "model")
    with pytest.raises(ModelRefusedError, match=r"'audio'.*image, tabular"):
        load_detector(tmp_path / "model")


@pytest.mark.parametrize("part", ["weights", "calibration"])
def test_a_sound_model_that_lacks_an_array_is_refused_not_a_bug(state, tmp_path, part):
    arrays = dict(getattr(state, part))
    arrays.pop(sorted(arrays)[0])
    write_model(replace(state, **{part: arrays}), tmp_path / "model")
    with pytest.raises(ModelRefusedError, match="train again"):
        load_detector(tmp_path / "model")
