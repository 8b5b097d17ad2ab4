"""Training images that stand out from the others are named, with what sets them apart."""

from __future__ import annotations

import numpy as np
import pytest
from data.doctor.thumbnails import codes, look, texture

from vae_anomaly.data.doctor.looks import Look
from vae_anomaly.data.doctor.suspects import suspects


def train(n: int = 40) -> list[Look]:
    return [look(f"train/good/{i}.png", texture(i)) for i in range(n)]


def scratched(name: str = "train/good/odd.png") -> Look:
    grey = texture(900)
    grey[70:76, 20:26] = 1.0
    return look(name, grey)


def test_images_of_one_kind_hold_no_suspects():
    assert not codes(suspects(train()))


def test_a_hidden_defect_is_named_with_its_place():
    found = codes(suspects([*train(), scratched()]))["suspects"]
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
    (item,) = codes(suspects([*train(), odd]))["suspects"].items
    assert words in item


def test_defects_of_the_test_and_small_sets_are_not_judged():
    assert not codes(suspects([*train(), scratched("test/crack/odd.png")]))
    assert not codes(suspects([*train(18), scratched()]))
