"""Images of another depth, or larger than usual: scored rightly or set aside by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tracking.real_models import surface, write_surfaces

from vae_anomaly.batch import read_quarantine, read_results, score_images
from vae_anomaly.batch.output.results import BadItem
from vae_anomaly.data.images.decode import ImageReading
from vae_anomaly.errors import TooManyBadItemsError


@pytest.fixture
def scans(tmp_path):
    """The same night in 8 bits, and as a camera of 12 bits stores it in 16."""
    shallow = write_surfaces(tmp_path / "shallow" / "night", 6, holes=(2,))
    deep = tmp_path / "deep" / "night"
    deep.mkdir(parents=True)
    for path in shallow.iterdir():
        full = np.rint(np.asarray(Image.open(path)) * (4095 / 255)).astype(np.uint16)
        Image.fromarray(full).save(deep / path.name)
    return shallow, deep


def set_aside(out: Path) -> list[BadItem]:
    return read_quarantine(next((out / "quarantine").iterdir()))


def test_a_night_of_12_bits_is_set_aside_until_its_white_is_told(image_model, scans, tmp_path):
    shallow, deep = scans
    with pytest.raises(TooManyBadItemsError, match="6 bit_depth"):
        score_images(image_model, deep, tmp_path / "out")
    bad = set_aside(tmp_path / "out")
    assert {item.code for item in bad} == {"bit_depth"}
    assert "002.png has 16 bits" in bad[2].message
    told = score_images(image_model, deep, tmp_path / "out", reading=ImageReading(white=4095))
    score_images(image_model, shallow, tmp_path / "shallow_out")
    found, expected = read_results(tmp_path / "out"), read_results(tmp_path / "shallow_out")
    assert (told.rows_out, told.skipped) == (6, 0)
    assert found["is_anomaly"].tolist() == expected["is_anomaly"].tolist()


def test_a_larger_image_is_set_aside_with_the_option_that_reads_it(image_model, tmp_path):
    night = write_surfaces(tmp_path / "night", 2)
    surface(3).resize((300, 200)).save(night / "large.png")
    small = ImageReading(max_pixels=59_999)
    with pytest.raises(TooManyBadItemsError, match="1 too_large"):
        score_images(image_model, night, tmp_path / "out", reading=small)
    message = set_aside(tmp_path / "out")[0].message
    assert "60,000 pixels (300 x 200)" in message
    assert "--max-pixels 60000" in message
    done = score_images(
        image_model, night, tmp_path / "out", reading=ImageReading(max_pixels=60_000)
    )
    assert done.rows_out == 3


def test_images_that_fill_the_memory_meant_for_them_are_scored_in_smaller_blocks(
    image_model, tmp_path, monkeypatch
):
    night = write_surfaces(tmp_path / "night", 5)
    score_images(image_model, night, tmp_path / "at_once")
    monkeypatch.setattr("vae_anomaly.detectors.judged.HELD_BYTES", 1)
    score_images(image_model, night, tmp_path / "one_by_one")
    at_once, one_by_one = (read_results(tmp_path / d) for d in ("at_once", "one_by_one"))
    np.testing.assert_allclose(one_by_one["score"], at_once["score"], rtol=1e-4)
