"""Manifests that other programs wrote: their columns, and what they leave open."""

from __future__ import annotations

import pytest

from vae_anomaly.data.images.folders import ClassNames, list_images
from vae_anomaly.errors import DataError


def manifest(root, text):
    for i in range(4):
        (root / f"{i}.png").write_bytes(b"x")
    (root / "m.csv").write_text(text)
    return root / "m.csv"


def test_the_table_of_visa_is_read(tmp_path):
    file = manifest(
        tmp_path,
        "object,split,label,image,mask\ncandle,train,normal,0.png,\ncandle,test,normal,1.png,\n"
        "candle,test,anomaly,2.png,3.png\n",
    )
    assert [item.id for item in list_images(file, split="train")] == ["0.png"]
    measured = list_images(file, split="test")
    assert [(item.id, item.is_anomaly) for item in measured] == [("1.png", False), ("2.png", True)]
    assert measured[1].mask == tmp_path / "3.png"


@pytest.mark.parametrize("column", ["label", "Class", "target"])
def test_codes_in_a_manifest_are_asked_about_and_can_be_said(tmp_path, column):
    file = manifest(tmp_path, f"path,{column}\n0.png,0\n1.png,0\n2.png,1\n")
    with pytest.raises(DataError, match="--good 0 --defect 1"):
        list_images(file, split="train")
    taken = list_images(file, split="train", classes=ClassNames(good=("0",)))
    assert [item.id for item in taken] == ["0.png", "1.png"]


def test_defects_beside_a_word_that_is_not_known_are_asked_about(tmp_path):
    file = manifest(tmp_path, "path,label\n0.png,usual\n1.png,scratch\n")
    with pytest.raises(DataError, match="--good usual"):
        list_images(file, split="train")


def test_products_are_no_classes(tmp_path):
    file = manifest(tmp_path, "filename,class\n0.png,bolt\n1.png,nut\n")
    assert len(list_images(file, split="train")) == 2


def test_what_a_manifest_says_itself_stands(tmp_path):
    file = manifest(tmp_path, "path,is_anomaly,label\n0.png,0,1\n1.png,1,0\n")
    assert [item.id for item in list_images(file, split="train")] == ["0.png"]
