"""What file names tell of parts, lots and days, and what they do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from data.doctor.thumbnails import codes, look, texture

from vae_anomaly.data.doctor.looks import Look
from vae_anomaly.data.doctor.names import groups_in_names, name_groups
from vae_anomaly.data.images.folders import ImageItem

GREY = texture(0)


def items(names: list[str]) -> list[ImageItem]:
    return [ImageItem(name, Path(name)) for name in names]


@pytest.mark.parametrize(
    ("names", "example", "count"),
    [
        ([f"part_{p:04d}_cam{c}.png" for p in range(20) for c in (1, 2)], "part 0000", 20),
        ([f"cam{c}/{p:04d}.png" for p in range(20) for c in (1, 2)], "0000", 20),
        ([f"{p:04d}_left.png" for p in range(9)] + [f"{p:04d}_right.png" for p in range(9)],
         "0000", 9),
        ([f"lot{n}_{i:04d}.png" for n in range(5) for i in range(100)], "lot 0", 5),
        ([f"2024-05-{d:02d}_{i:03d}.png" for d in (2, 3, 4, 6) for i in range(30)],
         "2024-05-02", 4),
    ],
    ids=["cameras", "folders", "sides", "lots", "days"],
)  # fmt: skip
def test_names_tell_what_belongs_together(names: list[str], example: str, count: int) -> None:
    found = name_groups(items(names))
    assert found is not None
    assert (found.example, len(found.sizes)) == (example, count)


@pytest.mark.parametrize(
    "names",
    [
        [f"{i:03d}.png" for i in range(90)],
        [f"exp{i % 6}_num_{i * 7}.png" for i in range(300)],
        [f"{'plate' if i % 2 else 'cloth'}_{i:04d}.png" for i in range(90)],
        [f"IMG_20240501_{100000 + i}.png" for i in range(90)],
    ],
    ids=["counter", "exposures", "kinds", "one day"],
)
def test_plain_numbering_makes_no_groups(names: list[str]) -> None:
    assert name_groups(items(names)) is None


def views(split: str, parts: range, cameras: tuple[int, ...] = (1, 2)) -> list[Look]:
    return [look(f"{split}/good/sn{p:03d}_cam{c}.png", GREY) for p in parts for c in cameras]


def test_parts_on_both_sides_of_the_split_are_named():
    found = codes(
        groups_in_names([*views("train", range(12)), *views("test", range(10, 16), (3,))])
    )
    assert "24 training images share theirs with another; 12 groups" in (
        found["groups_in_names"].message
    )
    assert found["groups_cross_split"].items == ("sn 010", "sn 011")
