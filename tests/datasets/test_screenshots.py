"""The images of the README are small, and keep the colours that matter."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "datasets"))

from screenshots import MOST_BYTES, small_png  # noqa: E402  # after its folder is on the path


def shot_of(pixels: np.ndarray) -> bytes:
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()


def test_a_thin_line_of_the_accent_colour_keeps_its_colour_among_many_greys() -> None:
    pixels = np.repeat(np.random.default_rng(0).integers(0, 256, (200, 200, 1)), 3, axis=2)
    pixels[:, 100] = (30, 58, 148)
    written = Image.open(io.BytesIO(small_png(shot_of(pixels.astype("uint8"))))).convert("RGB")
    assert np.abs(np.asarray(written, "int16")[:, 100] - (30, 58, 148)).max() <= 8


def test_an_image_that_cannot_be_made_small_enough_is_refused() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype="uint8")
    with pytest.raises(ValueError, match="Show less of the page"):
        small_png(shot_of(pixels), most_bytes=1000)


@pytest.mark.parametrize("name", ["report.png", "part.png"])
def test_the_images_of_the_readme_are_there_and_small(name: str) -> None:
    file = ROOT / "docs" / "images" / name
    assert f"docs/images/{name}" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert 10_000 < file.stat().st_size <= MOST_BYTES
