"""Which files are masks, and whose: as the data sets of the field and annotators lay them out."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vae_anomaly.data.images.folders import list_images, scan_images
from vae_anomaly.data.images.folders.masks import masks_among

ARRANGED = {
    "MVTec": ("test/crack/000.png", "ground_truth/crack/000_mask.png"),
    "VisA": ("Data/Images/Anomaly/000.JPG", "Data/Masks/Anomaly/000.png"),
    "BTAD": ("test/ko/0000.bmp", "ground_truth/ko/0000.png"),
    "DAGM": ("Class1/Train/0576.PNG", "Class1/Train/Label/0576_label.PNG"),
    "KolektorSDD": ("kos01/Part0.jpg", "kos01/Part0_label.bmp"),
    "KolektorSDD2": ("test/10301.png", "test/10301_GT.png"),
    "AITEX": ("Defect_images/0001_002_00.png", "Mask_images/0001_002_00_mask.png"),
    "upper case": ("Test/Crack/000.PNG", "Ground_Truth/Crack/000_MASK.PNG"),
    "beside the images": ("images/7.jpg", "masks/7.png"),
    "image and mask": ("images/image_7.jpg", "mask/mask_7.png"),
    "in the kind": ("crack/7.jpg", "crack/gt/7.png"),
    "flat": ("test/crack/7.jpg", "gt/7.png"),
    "parts of masks": ("test/crack/7.jpg", "test_masks/crack/7.png"),
    "annotations": ("images/7.jpg", "annotations/7.png"),
    "same name": ("MT_Blowhole/Imgs/exp1.jpg", "MT_Blowhole/Imgs/exp1.png"),
    "Pascal VOC": ("JPEGImages/2007_1.jpg", "SegmentationClass/2007_1.png"),
    "MVTec 3D": ("test/hole/rgb/000.png", "test/hole/gt/000.png"),
    "German": ("Bilder/7.jpg", "Masken/7.png"),
    "Russian": ("фото/7.jpg", "Маски/7.png"),
    "Chinese": ("图像/7.jpg", "掩码/7.png"),
    "gt": ("night/a.png", "night/a_gt.png"),
    "label": ("night/a.png", "night/a_label.bmp"),
    "mask": ("night/a.png", "night/a-mask.tif"),
}


def photo(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    smooth = np.linspace(30, 220, 64)[None] + rng.normal(0, 4, (48, 64))
    Image.fromarray(smooth.astype(np.uint8)).save(path)
    return path


def mask(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    outline = np.zeros((48, 64), np.uint8)
    outline[10:20, 10:20] = 255
    Image.fromarray(outline).save(path)
    return path


@pytest.mark.parametrize(("image", "drawn"), ARRANGED.values(), ids=ARRANGED)
def test_a_mask_belongs_to_its_image_and_is_none(image, drawn, tmp_path):
    photo(tmp_path / image)
    photo(tmp_path / "train/good/unlike.png")
    mask(tmp_path / drawn)
    images = [file for file in tmp_path.rglob("*") if file.is_file()]
    found = masks_among(tmp_path, images)
    assert found.files == {tmp_path / drawn}
    assert found.of == {tmp_path / image: tmp_path / drawn}


def test_several_masks_of_an_image_are_their_folder(tmp_path):
    image = photo(tmp_path / "test/logical_anomalies/000.png")
    drawn = [mask(tmp_path / f"ground_truth/logical_anomalies/000/00{i}.png") for i in range(2)]
    found = masks_among(tmp_path, [image, *drawn])
    assert found.files == set(drawn)
    assert found.of == {image: drawn[0].parent}


def test_masks_are_never_listed_as_images(tmp_path, caplog):
    for name in ("a", "b"):
        photo(tmp_path / "night" / f"{name}.png")
        mask(tmp_path / "night" / f"{name}_mask.png")
    photo(tmp_path / "night" / "c_mask.png")
    with caplog.at_level(logging.WARNING):
        items = list_images(tmp_path / "night")
    assert [item.id for item in items] == ["a.png", "b.png", "c_mask.png"]
    assert "2 files are masks of images, no images: a_mask.png, b_mask.png" in caplog.text
    named = list_images(sorted((tmp_path / "night").glob("*.png")))
    assert [item.id for item in named] == ["a.png", "b.png", "c_mask.png"]


@pytest.mark.parametrize("folder", ["label", "labels", "mask"])
def test_a_folder_of_photos_that_is_called_like_one_of_masks_is_listed(folder, tmp_path):
    photo(tmp_path / "bottle" / "cap_01.jpg")
    photo(tmp_path / folder / "front_01.jpg")
    assert len(list_images(tmp_path)) == 2


def test_a_mask_without_its_image_is_no_image_either(tmp_path):
    photo(tmp_path / "000_image_0.png")
    photo(tmp_path / "ffp2_mask.png")  # a photo of a product
    mask(tmp_path / "000_mask.png")
    assert [item.id for item in list_images(tmp_path)] == ["000_image_0.png", "ffp2_mask.png"]
    (counted,) = scan_images(tmp_path).left_out
    assert (counted.reason, counted.n_images) == ("masks", 1)


def test_an_image_of_no_class_with_two_candidates_is_not_trained_on(tmp_path):
    photo(tmp_path / "JPEGImages/1.jpg")
    photo(tmp_path / "JPEGImages/2.jpg")
    mask(tmp_path / "SegmentationClass/1.png")
    mask(tmp_path / "SegmentationObject/1.png")
    assert [item.id for item in list_images(tmp_path, split="train")] == ["JPEGImages/2.jpg"]


def test_photos_of_labels_are_no_masks(tmp_path):
    photo(tmp_path / "bottle.jpg")
    photo(tmp_path / "bottle_label.jpg", seed=1)
    assert len(list_images(tmp_path)) == 2


def test_the_same_image_in_two_formats_is_no_mask(tmp_path):
    photo(tmp_path / "a.jpg")
    photo(tmp_path / "a.png")
    assert len(list_images(tmp_path)) == 2


def test_two_candidates_are_named_and_none_is_taken(tmp_path):
    photo(tmp_path / "test/crack/000.png")
    photo(tmp_path / "test/good/000.png")
    mask(tmp_path / "ground_truth/crack/000.png")
    mask(tmp_path / "ground_truth/crack/000_mask.png")
    bad, good = scan_images(tmp_path).items
    assert bad.mask is None
    assert "000.png and 000_mask.png could both be its mask" in str(bad.mask_fault)
    assert (good.mask, good.mask_fault) == (None, None)


def test_a_mask_that_two_defects_could_own_belongs_to_none(tmp_path):
    for kind in ("crack", "hole"):
        photo(tmp_path / f"test/{kind}/000.png")
    photo(tmp_path / "test/good/000.png")
    mask(tmp_path / "masks/000.png")
    faults = {item.id: item.mask_fault for item in scan_images(tmp_path).items}
    assert faults["test/crack/000.png"] == "000.png fits 2 images"
    assert faults["test/good/000.png"] is None


@pytest.mark.parametrize(
    ("defect", "good"),
    [("test/crack", "test/good"), ("Bad parts", "Good parts"), ("fehlerhaft", "i.O.")],
)
def test_a_mask_in_no_folder_is_that_of_the_defect_and_not_of_the_good_one(defect, good, tmp_path):
    for folder in (defect, good):
        photo(tmp_path / folder / "000.png")
    owner = mask(tmp_path / "masks/000.png")
    owners = {item.id: item.mask for item in scan_images(tmp_path).items}
    assert owners == {f"{defect}/000.png": owner, f"{good}/000.png": None}


def test_a_folder_of_images_alone_finds_the_masks_beside_it(tmp_path):
    photo(tmp_path / "images" / "7.jpg")
    owner = mask(tmp_path / "masks" / "7.png")
    (item,) = scan_images(tmp_path / "images").items
    assert item.mask == owner
