"""Pixel figures stand on masks that can be used, and say on how many."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vae_anomaly.data.images.folders import ImageItem
from vae_anomaly.evaluation.outlines import HeatOnGrid, on_grid, outlines_of
from vae_anomaly.metrics import pixel_figures

SIDE = 64
COLD = HeatOnGrid(np.zeros((128, 128), np.float32), (8, 8))


def item(folder: Path, name: str, mask: np.ndarray | None, *, bad: bool = True) -> ImageItem:
    Image.new("L", (SIDE, SIDE), 90).save(folder / f"{name}.png")
    drawn = None
    if mask is not None:
        drawn = folder / f"{name}_mask.png"
        Image.fromarray(mask).save(drawn)
    return ImageItem(f"{name}.png", folder / f"{name}.png", is_anomaly=bad, mask=drawn)


def square(value: int = 255, ground: int = 0) -> np.ndarray:
    mask = np.full((SIDE, SIDE), ground, np.uint8)
    mask[10:20, 30:40] = value
    return mask


def test_masks_are_counted_and_those_not_used_are_named(tmp_path):
    items = [
        item(tmp_path, "good", None, bad=False),
        item(tmp_path, "blank good", square(0), bad=False),
        item(tmp_path, "outlined", square()),
        item(tmp_path, "blank", square(0)),
        item(tmp_path, "small", square()[:30]),
        item(tmp_path, "none", None),
        item(tmp_path, "good with a defect", square(), bad=False),
        ImageItem("two", tmp_path / "good.png", is_anomaly=True, mask_fault="a and b could be it"),
    ]
    groups = np.array([f"part {i}" for i in range(8)], dtype=object)
    found = outlines_of(items, [COLD] * 8, groups)
    assert (found.n_defective, found.n_masks, found.n_missing, found.inverted) == (5, 1, 1, 0)
    assert list(found.unused) == ["blank.png", "small.png", "good with a defect.png", "two"]
    assert "is blank, and its image is defective" in found.unused["blank.png"]
    assert "64 x 30, its image 64 x 64" in found.unused["small.png"]
    assert "lies among good ones" in found.unused["good with a defect.png"]
    assert found.groups.tolist() == ["part 0", "part 1", "part 2"]
    assert [mask.mean() for mask in found.masks] == [0.0, 0.0, 100 / SIDE**2]


def test_without_any_mask_there_is_nothing_to_say(tmp_path):
    assert outlines_of([item(tmp_path, "a", None)], [COLD], None) is None


def test_masks_drawn_black_on_white_are_counted_and_not_used(tmp_path):
    items = [item(tmp_path, str(i), square(0, 255)) for i in range(3)]
    found = outlines_of([*items, item(tmp_path, "right", square())], [COLD] * 4, None)
    assert (found.n_masks, found.inverted, found.masks) == (0, 4, ())


def test_a_small_defect_stays_beside_a_large_one():
    outline = np.zeros((1280, 1280), np.bool_)
    outline[100:600, 100:600] = True
    outline[1000:1004, 1003:1007] = True
    found = on_grid(outline)
    assert found[10:60, 10:60].all()
    assert found[100, 100]
    assert found.sum() == 50 * 50 + 1


@pytest.mark.parametrize("side", [8, 100, 128, 200, 256, 300])
def test_a_map_that_is_right_in_every_cell_is_right_on_the_grid(side):
    rng = np.random.default_rng(side)
    cells = rng.random((6, side, side)) < 0.002
    cells[:, 2:5, 3:6] = True
    large = [np.kron(one, np.ones((4, 4), np.bool_)) for one in cells]
    masks = [on_grid(one, (side, side)) for one in large]
    heat = [HeatOnGrid.of(one.astype(np.float32) * 9).heat for one in cells]
    if side >= 128:
        assert pixel_figures(masks, heat)["pixel_auroc"].estimate == 1.0
    else:
        assert pixel_figures(masks, heat)["pixel_auroc"].estimate > 0.99
