"""Properties that tell the label without a look at the surface."""

from __future__ import annotations

import pytest
from data.doctor.thumbnails import codes, look, texture

from vae_anomaly.data.doctor.looks import Look
from vae_anomaly.data.doctor.shortcuts import shortcuts

DAY_S = 86_400.0


def looks_of(kind: str, n: int = 12, level: float = 0.5, **known: object) -> list[Look]:
    seeds = range(n) if kind == "good" else range(100, 100 + n)
    name = str(known.pop("name", "{i}.png"))
    return [look(f"test/{kind}/{name.format(i=i)}", texture(i, level), **known) for i in seeds]


def test_images_taken_alike_have_no_shortcut():
    assert not codes(shortcuts([*looks_of("good"), *looks_of("crack")]))


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"size_bytes": 4000}, "file size per pixel: AUROC 1.000, medians 0.9766 and 0.434"),
        ({"level": 0.6}, "mean brightness: AUROC 1.000, medians 0.5003 and 0.599"),
        ({"sharpness": -0.3}, "sharpness: AUROC 1.000, medians 0 and -0.3"),
        ({"shape": (96, 128)}, "aspect ratio: AUROC 1.000, medians 1 and 1.333"),
    ],
    ids=["compression", "light", "focus", "shape"],
)
def test_what_alone_tells_good_from_defective_is_named_with_figures(known, told):
    found = codes(shortcuts([*looks_of("good"), *looks_of("crack", **known)]))["shortcut"]
    assert "good and defective images apart" in found.message
    assert any(item.startswith(told) for item in found.items), found.items


@pytest.mark.parametrize("known", [{"level": 0.52}, {"sharpness": 0.1}], ids=["light", "focus"])
def test_as_little_as_a_defect_itself_changes_is_no_shortcut(known):
    assert not codes(shortcuts([*looks_of("good"), *looks_of("crack", **known)]))


def test_fewer_than_ten_images_prove_nothing():
    assert not codes(shortcuts([*looks_of("good"), *looks_of("crack", 9, 0.9)]))


@pytest.mark.parametrize("where", ["name", "file"])
def test_other_days_are_a_hint_and_no_shortcut(where):
    good, crack = (
        looks_of(kind, name=f"2026-03-{day:02d}_{{i}}.png" if where == "name" else "{i}.png",
                 modified_s=DAY_S * (20_000 + (day if where == "file" else 0)))
        for kind, day in (("good", 4), ("crack", 9))
    )  # fmt: skip
    found = codes(shortcuts([*good, *crack]))
    assert set(found) == {"taken_apart"}
    dates = {"name": "2026-03-04 and 2026-03-09", "file": "2024-10-08 and 2024-10-13"}
    assert found["taken_apart"].items[0].endswith(f"medians {dates[where]}")
