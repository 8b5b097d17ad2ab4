"""Training images that stand out from the others are named, with what sets them apart."""

from __future__ import annotations

import numpy as np
import pytest
from data.doctor.thumbnails import codes, look, texture

from vae_anomaly.data.doctor.looks import Look
from vae_anomaly.data.doctor.suspects import suspects
from vae_anomaly.data.images.white import BrightPixels


def train(n: int = 40) -> list[Look]:
    return [look(f"train/good/{i}.png", texture(i)) for i in range(n)]


def scratched(name: str = "train/good/odd.png") -> Look:
    grey = texture(900)
    grey[70:76, 20:26] = 1.0
    return look(name, grey)


def test_images_of_one_kind_hold_no_suspects():
    assert not codes(suspects(train()))


def test_a_hidden_defect_is_named_with_its_place():
    (found,) = codes(suspects([*train(), scratched()])).values()
    assert found.n_items == 1
    assert found.items[0].startswith("train/good/odd.png: differs most around x 2")
    assert "y 7" in found.items[0]
    assert "1 of 41" in found.message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda grey: grey * 0.5, "much darker than the others"),
        (lambda grey: grey * 1.6, "much brighter than the others"),
        (lambda grey: 0.5 + (grey - 0.5) * 0.3, "of much less contrast"),
    ],
    ids=["dark", "bright", "flat"],
)
def test_another_exposure_is_told_in_words(change, words):
    odd = look("train/good/odd.png", change(texture(901)).astype(np.float16))
    found = codes(suspects([*train(), odd]))
    (item,) = [item for finding in found.values() for item in finding.items]
    assert words in item


@pytest.mark.parametrize("n_bad", [1, 2])
@pytest.mark.parametrize("level", [0.0, 1.0], ids=["black", "white"])
def test_blank_frames_are_a_warning_of_their_own_that_names_them(n_bad, level):
    grey = np.full_like(texture(0), level)
    blank = [look(f"train/good/blank{i}.png", grey) for i in range(n_bad)]
    found = codes(suspects([*train(), *blank]))
    assert found["outliers"].severity == "warning"
    named = [item.partition(":")[0] for item in found["outliers"].items]
    assert named == [f"train/good/blank{i}.png" for i in range(n_bad)]
    assert "--outliers keep" in found["outliers"].remedy
    assert "suspects" not in found


@pytest.mark.parametrize("white", [255, 4095, 65535])
def test_an_over_exposed_image_is_told_by_its_white_pixels(white):
    bright = BrightPixels(white, {})
    shares = {f"{i}": (0.0, 0.001) for i in range(60)} | {"odd": (0.06, 0.07)}
    looks = [
        look(f"train/good/{name}.png", texture(i), white={white: pair}, bright=bright)
        for i, (name, pair) in enumerate(shares.items())
    ]
    found = codes(suspects(looks))["outliers"]
    words = "6 % of its pixels are white, at most 0.1 % in the others"
    assert found.items == (f"train/good/odd.png: {words}",)
    assert "outliers" not in codes(suspects(looks[20:]))


def test_defects_of_the_test_and_small_sets_are_not_judged():
    assert not codes(suspects([*train(), scratched("test/crack/odd.png")]))
    assert not codes(suspects([*train(18), scratched()]))
