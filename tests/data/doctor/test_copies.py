"""Images that are there twice: the same pixels, the same piece, the same piece on both sides."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from data.doctor.thumbnails import codes, look, texture

from vae_anomaly.data.doctor.copies import (
    exact_duplicates,
    near_duplicates,
    piece_groups,
    repeated_pieces,
)
from vae_anomaly.data.doctor.looks import Look
from vae_anomaly.data.images.folders import ImageItem

TRAIN = [look(f"train/good/{i}.png", texture(i)) for i in range(12)]


def test_equal_images_are_told_and_those_that_cross_to_the_test_first():
    inside = look("train/good/copy.png", texture(3))
    crossing = look("test/good/copy.png", texture(4))
    found = codes(exact_duplicates([*TRAIN, inside, crossing]))["exact_duplicates"]
    assert "repeat another exactly: 2; in training and in test at once: 1" in found.message
    assert found.items == ("train/good/4.png = test/good/copy.png",)
    assert not codes(exact_duplicates(TRAIN))


def test_one_image_with_two_labels_contradicts_itself():
    defective = look("test/crack/0.png", texture(5))
    found = codes(exact_duplicates([*TRAIN, defective]))
    assert found["contradicting_labels"].items == ("train/good/5.png = test/crack/0.png",)


@pytest.mark.parametrize("kind", ["good", "crack"])
def test_a_test_image_of_a_training_piece_is_told_with_its_partner(kind):
    others = [look(f"test/{kind}/{i}.png", texture(100 + i)) for i in range(5)]
    twin = look(f"test/{kind}/twin.png", (texture(7) * 0.9 + 0.1).astype(np.float16))
    found = codes(near_duplicates([*TRAIN, *others, twin]))["near_duplicates"]
    assert found.items[0].startswith(f"test/{kind}/twin.png ~ train/good/7.png (")
    assert found.n_items == 1
    assert ("hides a defect" in found.remedy) is (kind == "crack")
    assert not codes(near_duplicates([*TRAIN, *others]))


def test_near_copies_of_near_copies_are_one_piece():
    looks = [
        look(f"train/good/{i}-{k}.png", (texture(i) * gain).astype(np.float16))
        for i in range(6)
        for k, gain in enumerate((0.9, 1.0, 1.1))
    ]
    found = codes(repeated_pieces(looks))["repeated_pieces"]
    assert "18 of 18; they show at most 6 different pieces" in found.message
    groups = piece_groups(looks)
    assert [len({groups[f"train/good/{i}-{k}.png"] for k in range(3)}) for i in range(6)] == [1] * 6
    assert len(set(groups.values())) == 6


def test_thousands_of_images_are_compared_in_seconds() -> None:
    rng = np.random.default_rng(0)
    looks = [
        Look(
            ImageItem(f"{i}", Path(f"{i}"), split="test" if i % 5 == 4 else "train"),
            digest=f"{i}",
            thumbnail=rng.random((96, 96), np.float32).astype(np.float16),
        )
        for i in range(2000)
    ]
    started = time.process_time()
    assert list(near_duplicates(looks)) == list(repeated_pieces(looks)) == []
    assert time.process_time() - started < 10
