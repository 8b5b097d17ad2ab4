"""The benchmarks of public image sets, on tiny folders in their layouts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

OPTIONS = ["--presets", "fast", "--image-size", "64"]
CATEGORIES = ("cap", "nut")


@pytest.fixture
def images(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Steady surfaces with noise, (16, 64, 64): enough for a category."""
    surface = 120 + 20 * np.sin(np.arange(64) / 5)
    return (surface + rng.normal(0, 3, (16, 64, 64))).astype(np.uint8)


def save(image: NDArray[np.uint8], path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path.name


def scratched(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return an image with a black square, and its mask of one and zero."""
    mask = np.zeros_like(image)
    mask[24:36, 20:40] = 1
    return np.where(mask > 0, 0, image).astype(np.uint8), mask


@pytest.fixture
def mvtec_folder(tmp_path: Path, images: NDArray[np.uint8]) -> Path:
    for category in CATEGORIES:
        root = tmp_path / "mvtec" / category
        for i, image in enumerate(images[:12]):
            save(image, root / "train" / "good" / f"{i:03d}.png")
        for i, image in enumerate(images[12:14]):
            save(image, root / "test" / "good" / f"{i:03d}.png")
        for i, image in enumerate(images[14:]):
            bad, mask = scratched(image)
            save(bad, root / "test" / "scratch" / f"{i:03d}.png")
            save(mask * 255, root / "ground_truth" / "scratch" / f"{i:03d}_mask.png")
    (tmp_path / "mvtec" / "license.txt").write_text("ask the owner")
    return tmp_path / "mvtec"


@pytest.fixture
def visa_folder(tmp_path: Path, images: NDArray[np.uint8]) -> Path:
    """The layout of the archive: JPEG images, masks that are 1 where the defect is."""
    root = tmp_path / "visa"
    lines = ["object,split,label,image,mask"]
    for category in CATEGORIES:
        data = f"{category}/Data"
        for i, image in enumerate(images[:14]):
            name = f"{data}/Images/Normal/{i:04d}.JPG"
            save(image, root / name)
            lines.append(f"{category},{'train' if i < 12 else 'test'},normal,{name},")
        for i, image in enumerate(images[14:]):
            name, mask_name = f"{data}/Images/Anomaly/{i:03d}.JPG", f"Masks/Anomaly/{i:03d}.png"
            bad, mask = scratched(image)
            save(bad, root / name)
            save(mask, root / data / mask_name)
            lines.append(f"{category},test,anomaly,{name},{data}/{mask_name}")
    (root / "split_csv").mkdir()
    (root / "split_csv" / "1cls.csv").write_text("\n".join(lines))
    return root


def rows_of(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_mvtec_gives_every_category_its_figures_and_their_mean(
    script, mvtec_folder, tmp_path, capsys
) -> None:
    out = tmp_path / "mvtec.jsonl"
    script("mvtec").main([str(mvtec_folder), *OPTIONS, "--out", str(out)])
    found = {(row["category"], row["method"]) for row in rows_of(out)}
    methods = ("vae-anomaly fast", "1-NN, 48 px", "PCA residual, 64 px", "brightness")
    assert found == {(category, method) for category in CATEGORIES for method in methods}
    ours = [row for row in rows_of(out) if row["method"] == "vae-anomaly fast"]
    assert all(row["image"] == 100 and row["pixel"] > 90 and row["aupro"] > 60 for row in ours)
    told = capsys.readouterr().out
    assert all(word in told for word in ("image AUROC, %", "pixel AUROC, %", "AUPRO, %", "mean"))


def test_an_ended_run_goes_on_with_what_is_missing(script, mvtec_folder, tmp_path, capsys) -> None:
    out = tmp_path / "mvtec.jsonl"
    kept = {"category": "cap", "method": "vae-anomaly fast", "image_size": 64, "image": 12.5}
    out.write_text(json.dumps(kept) + "\n" + '{"category": "nu')
    wanted = ["--categories", "cap", "--no-floors", "--out", str(out)]
    script("mvtec").main([str(mvtec_folder), *OPTIONS, *wanted])
    assert out.read_text().startswith(json.dumps(kept))
    assert len(out.read_text().splitlines()) == 2
    assert "12.5" in capsys.readouterr().out


def test_a_single_category_is_known_by_its_own_name(script, mvtec_folder) -> None:
    mvtec = script("mvtec")
    assert mvtec.categories(mvtec_folder / "cap") == ["cap"]
    assert len(mvtec.read(mvtec_folder / "cap", "cap").test) == 4


def test_visa_follows_the_official_split_and_masks_of_ones(
    script, visa_folder, tmp_path, capsys
) -> None:
    out = tmp_path / "visa.jsonl"
    script("visa").main([str(visa_folder), *OPTIONS, "--no-floors", "--out", str(out)])
    rows = rows_of(out)
    assert [row["category"] for row in rows] == list(CATEGORIES)
    assert all((row["n_train"], row["n_test"]) == (12, 4) for row in rows)
    assert all(row["image"] == 100 and row["pixel"] > 90 for row in rows)
    assert "AUPRO, %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"), [("mvtec", "no category"), ("visa", "--split FILE")], ids=["mvtec", "visa"]
)
def test_a_folder_of_something_else_is_told_apart(script, name, message, tmp_path) -> None:
    with pytest.raises(SystemExit, match=message):
        script(name).main([str(tmp_path)])


def test_a_category_that_is_not_there_is_named_with_those_that_are(script, mvtec_folder) -> None:
    with pytest.raises(SystemExit, match="no bolt; there are cap, nut"):
        script("mvtec").main([str(mvtec_folder), "--categories", "bolt"])


def test_a_defect_smaller_than_half_a_cell_keeps_one_cell(script, tmp_path) -> None:
    mask = np.zeros((512, 512), np.uint8)
    mask[100, 100] = 255
    save(mask, tmp_path / "mask.png")
    assert script("image_methods").grid_mask(tmp_path / "mask.png", 128).sum() == 1
