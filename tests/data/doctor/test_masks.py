"""Masks that cannot serve are told before anything is measured with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vae_anomaly.data.doctor import Report, check_images

OUTLINE = np.zeros((64, 64), np.uint8)
OUTLINE[10:20, 30:40] = 255


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for kind in ("train/good", "test/good", "test/crack"):
        for i in range(6):
            save(tmp_path / kind / f"{i}.png", rng.integers(90, 160, (64, 64)).astype(np.uint8))
    for i in range(6):
        save(tmp_path / "ground_truth/crack" / f"{i}_mask.png", OUTLINE)
    return tmp_path


def told(report: Report) -> dict[str, tuple[str, ...]]:
    return {one.code: one.items for one in report.findings if "masks" in one.code}


def test_sound_masks_are_no_finding(tiles):
    assert told(check_images(tiles)) == {}


def test_masks_that_cannot_serve_are_told_with_the_reason(tiles):
    masks = tiles / "ground_truth/crack"
    (masks / "0_mask.png").unlink()
    (masks / "1_mask.png").write_bytes(b"")
    save(masks / "2_mask.png", OUTLINE[:40])
    save(masks / "3_mask.png", OUTLINE * 0)
    save(tiles / "ground_truth/good/5.png", OUTLINE)
    found = told(check_images(tiles))["masks"]
    reasons = ["no mask", "is empty", "is 64 x 40, its image 64 x 64", "is blank", "good ones"]
    names = [f"test/crack/{i}.png" for i in range(4)] + ["test/good/5.png"]
    assert [line.partition(": ")[0] for line in found] == names
    assert all(reason in line for reason, line in zip(reasons, found, strict=True))


def test_inverted_masks_are_told(tiles):
    for path in (tiles / "ground_truth/crack").iterdir():
        save(path, 255 - OUTLINE)
    assert "inverted_masks" in told(check_images(tiles))


def test_masks_of_no_image_are_told_and_never_trained_on(tiles):
    save(tiles / "ground_truth/crack/77_mask.png", OUTLINE)
    report = check_images(tiles)
    assert told(report) == {"stray_masks": ("crack/77_mask.png",)}
    assert report.summary["images"] == 18
