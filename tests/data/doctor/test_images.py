"""What a stranger's folder of images may hide, and what the check says about it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scipy import ndimage

from vae_anomaly.data.doctor import Finding, Report, check_images

Pixels = npt.NDArray[np.uint8]
SIDE = 80


def part(seed: int, shift: int = 0) -> Pixels:
    """Return an L-shaped part on a bright ground with grain of its own."""
    rng = np.random.default_rng(seed)
    image = np.full((SIDE, SIDE), 0.8)
    image[16:64, 20:32] = image[52:64, 20:60] = 0.35
    image += 0.1 * ndimage.gaussian_filter(rng.normal(size=image.shape), 1.0)
    moved = np.roll(image, tuple(rng.integers(-shift, shift + 1, 2)), (0, 1))
    return np.clip(moved * 255, 0, 255).astype(np.uint8)


def save(path: Path, pixels: npt.NDArray[np.generic], **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def only(report: Report, code: str) -> Finding:
    (found,) = [found for found in report.findings if found.code == code]
    return found


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    for i in range(50):
        save(tmp_path / f"train/good/{i:03d}.png", part(i))
    for i in range(12):
        save(tmp_path / f"test/good/{i:03d}.png", part(100 + i))
        bad = part(200 + i)
        bad[20:26, 22:30] = 230
        save(tmp_path / f"test/scratch/{i:03d}.png", bad)
    return tmp_path


def test_parts_of_one_kind_have_nothing_to_complain_about(parts: Path) -> None:
    assert check_images(parts).findings == ()


def test_copies_saved_again_resized_or_brighter_are_found_in_the_test(parts: Path) -> None:
    save(parts / "test/good/again.jpg", part(0), quality=60)
    Image.fromarray(part(1)).resize((60, 60)).save(parts / "test/good/resized.png")
    brighter = np.clip(part(2) * 1.06 + 4.0, 0, 255).astype(np.uint8)
    save(parts / "test/good/brighter.png", brighter)
    found = only(check_images(parts), "near_duplicates")
    pairs = {item.split(" (")[0] for item in found.items}
    assert pairs == {
        "test/good/again.jpg ~ train/good/000.png",
        "test/good/resized.png ~ train/good/001.png",
        "test/good/brighter.png ~ train/good/002.png",
    }
    assert "--groups" in found.remedy


def test_clean_parts_that_lie_in_the_same_place_are_no_copies(tmp_path: Path) -> None:
    for i in range(60):
        save(tmp_path / f"train/good/{i}.png", part(i, shift=5))
        save(tmp_path / f"test/good/{i}.png", part(100 + i, shift=5))
    codes = check_images(tmp_path).codes()
    assert not codes & {"near_duplicates", "repeated_pieces"}


def test_a_defective_image_that_is_also_a_training_image_is_told(parts: Path) -> None:
    save(parts / "test/scratch/same.png", part(3))
    save(parts / "test/scratch/near.jpg", part(4), quality=70)
    report = check_images(parts)
    assert only(report, "contradicting_labels").items == (
        "test/scratch/same.png = train/good/003.png",
    )
    found = only(report, "near_duplicates")
    assert found.items[0].startswith("test/scratch/near.jpg ~ train/good/004.png")
    assert "hides a defect" in found.remedy


def test_pieces_taken_several_times_are_told_and_grouped(tmp_path: Path) -> None:
    for i in range(30):
        save(tmp_path / f"{3 * i:03d}.png", part(i))
        for k, gain in ((1, 0.9), (2, 1.1)):
            save(tmp_path / f"{3 * i + k:03d}.png", np.clip(part(i) * gain, 0, 255).astype("uint8"))
    report = check_images(tmp_path)
    assert "at most 30 different pieces" in only(report, "repeated_pieces").message
    assert len(set(report.groups.values())) == 30
    assert report.groups["000.png"] == report.groups["002.png"] != report.groups["003.png"]


def test_part_numbers_in_names_are_suggested_as_groups_and_may_not_cross(tmp_path: Path) -> None:
    for p in range(30):
        for cam in (1, 2):
            save(tmp_path / f"train/good/part_{p:04d}_cam{cam}.png", part(10 * p + cam))
    for p in range(27, 33):
        save(tmp_path / f"test/good/part_{p:04d}_cam3.png", part(10 * p + 3))
    report = check_images(tmp_path)
    assert "60 training images share theirs" in only(report, "groups_in_names").message
    assert "--groups" in only(report, "groups_in_names").remedy
    assert only(report, "groups_cross_split").items == ("part 0027", "part 0028", "part 0029")
    assert report.groups["train/good/part_0007_cam2.png"] == "part 0007"


@pytest.mark.parametrize("how", ["name", "file", "folder"])
def test_good_and_defective_taken_at_other_times_or_places_are_told(parts: Path, how: str) -> None:
    for kind, day in (("good", 1), ("scratch", 20)):
        for i in range(12):
            path = parts / f"test/{kind}/{i:03d}.png"
            if how == "name":
                path.rename(path.with_name(f"IMG_202405{day:02d}_{i:06d}.png"))
            elif how == "file":
                os.utime(path, (1.7e9 + 86400 * day, 1.7e9 + 86400 * day))
            else:
                save(path.parent / f"station{day}/{i:03d}.png", part(300 + i + day))
                path.unlink()
    found = only(check_images(parts), "taken_apart")
    assert "were not taken together" in found.message
    wanted = {
        "name": "date in the file name: AUROC 1.000, medians 2024-05-01 and 2024-05-20",
        "file": "day of the file's last change",
        "folder": "folder: AUROC 1.000, mostly station1 and station20",
    }
    assert wanted[how] in " ".join(found.items)


def test_transparency_and_bits_are_told(parts: Path) -> None:
    opaque = np.full((SIDE, SIDE), 255, np.uint8)
    save(parts / "train/good/alpha.png", np.dstack([part(1)] * 3 + [opaque]))
    save(parts / "train/good/deep.png", part(2).astype(np.uint16) * 16)
    report = check_images(parts)
    assert only(report, "transparency").items == ("train/good/alpha.png",)
    assert "white is taken to be 4095 (12 bits)" in only(report, "unused_bits").message
    mixed = only(report, "mixed_depths")
    assert (mixed.severity, mixed.items) == ("error", ("train/good/deep.png",))
    assert "--white 4095" in mixed.remedy
    assert "1 16-bit grey" in only(report, "mixed_modes").message


def test_defects_hidden_among_good_images_are_named_with_the_place(parts: Path) -> None:
    for i in range(2):
        bad = part(300 + i)
        bad[10:18, 60:70] = 60
        save(parts / f"train/good/hidden{i}.png", bad)
    save(parts / "train/good/night.png", (part(400) * 0.4).astype(np.uint8))
    report = check_images(parts)
    found = [f for f in report.findings if f.code in ("suspects", "outliers")]
    said = dict(item.split(": ") for finding in found for item in finding.items)
    assert len(said) == 3
    assert "much darker" in said["train/good/night.png"]
    for i in range(2):
        assert said[f"train/good/hidden{i}.png"].startswith("differs most around x 8")


def test_each_kind_of_damage_has_its_remedy(parts: Path) -> None:
    (parts / "train/good/000.png").write_bytes(b"")
    frames = [Image.fromarray(part(i)) for i in range(2)]
    frames[0].save(parts / "train/good/pages.tif", save_all=True, append_images=frames[1:])
    remedy = only(check_images(parts), "damaged").remedy
    assert "Copy empty files again" in remedy
    assert "page or frame" in remedy
