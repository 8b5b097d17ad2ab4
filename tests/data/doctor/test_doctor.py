from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image

from vae_anomaly.data.doctor import Finding, Report, check_images, check_path, check_table
from vae_anomaly.data.synthetic import simulate_transactions, write_surfaces
from vae_anomaly.errors import ConfigError, DataError


def only(report: Report, code: str) -> Finding:
    """Return the one finding of that code."""
    (found,) = [found for found in report.findings if found.code == code]
    return found


def save(path: Path, pixels: npt.NDArray[np.uint8], **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def noise(seed: int, shape: tuple[int, ...] = (64, 64), level: int = 120) -> npt.NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(level, 25, shape), 0, 255).astype(np.uint8)


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    """Make a sound set: nothing to find but that it is small."""
    for i in range(30):
        save(tmp_path / "train/good" / f"{i}.png", noise(i))
    for i in range(12):
        save(tmp_path / "test/good" / f"{i}.png", noise(100 + i))
        save(tmp_path / "test/crack" / f"{i}.png", noise(200 + i))
        save(tmp_path / "ground_truth/crack" / f"{i}_mask.png", noise(i) // 128 * 255)
    return tmp_path


@pytest.fixture(scope="module")
def payments() -> pd.DataFrame:
    return simulate_transactions(3000, 6).drop(columns="fraud_pattern")


def test_a_sound_set_of_images_is_only_small(tiles: Path) -> None:
    report = check_images(tiles)
    assert report.codes() == {"few_images"}
    assert report.summary["by_kind"] == {"test/crack": 12, "test/good": 12, "train/good": 30}
    assert not report.has_errors


def test_the_generated_surfaces_are_sound(tmp_path: Path) -> None:
    report = check_images(write_surfaces(tmp_path, 52, 12, 12, size=96))
    assert report.codes() <= {"channels", "mixed_modes", "near_duplicates"}
    assert {found.severity for found in report.findings} == {"info"}


def test_damaged_images_are_named_with_their_code(tiles: Path) -> None:
    (tiles / "train/good/0.png").write_bytes(b"")
    (tiles / "train/good/1.png").write_bytes(b"text, not an image")
    whole = (tiles / "train/good/2.png").read_bytes()
    (tiles / "train/good/2.png").write_bytes(whole[: len(whole) // 2])
    report = check_images(tiles)
    found = only(report, "damaged")
    assert report.has_errors
    assert found.items == (
        "train/good/0.png: empty",
        "train/good/1.png: not_an_image",
        "train/good/2.png: truncated",
    )
    assert report.summary["readable"] == 51


def test_images_that_repeat_are_found_across_formats_and_splits(tiles: Path) -> None:
    save(tiles / "test/good/copy.bmp", noise(3))
    found = only(check_images(tiles), "exact_duplicates")
    assert found.items == ("test/good/copy.bmp = train/good/3.png",)
    assert "in training and in test at once: 1" in found.message


def test_the_same_piece_under_other_light_is_a_near_duplicate(tiles: Path) -> None:
    brighter = np.clip(noise(3).astype(float) * 1.1 + 12, 0, 255).astype(np.uint8)
    save(tiles / "test/good/again.png", brighter)
    found = only(check_images(tiles), "near_duplicates")
    assert found.severity == "warning"
    assert found.items[0].startswith("test/good/again.png ~ train/good/3.png")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("format", "file format: AUROC 1.000, mostly PNG and JPEG"),
        ("light", "mean brightness: AUROC 1.000"),
        ("size", "image size: AUROC 1.000, mostly 64 x 64 and 80 x 80"),
        ("camera", "mean brightness: AUROC 1.000"),
    ],
)
def test_a_shortcut_to_the_label_is_told(tiles: Path, name: str, message: str) -> None:
    for i in range(12):
        path = tiles / "test/crack" / f"{i}.png"
        if name == "format":
            save(path, noise(200 + i), format="JPEG")
        elif name == "light":
            save(path, noise(200 + i, level=140))
        elif name == "size":
            save(path, noise(200 + i, (80, 80)))
        else:
            save(tiles / "test/good" / f"{i}.png", noise(100 + i, level=140))
    sets = "training and good test" if name == "camera" else "good and defective"
    found = [f for f in check_images(tiles).findings if f.code == "shortcut"]
    (wanted,) = [f for f in found if f"{sets} images apart: a model could cheat" in f.message]
    assert any(item.startswith(message) for item in wanted.items)


def test_mixed_shapes_and_modes_are_told(tiles: Path) -> None:
    save(tiles / "train/good/wide.png", noise(1, (64, 128)))
    save(tiles / "train/good/colour.png", noise(2, (64, 64, 3)))
    report = check_images(tiles)
    assert only(report, "mixed_sizes").items == ("train/good/wide.png",)
    assert only(report, "mixed_sizes").severity == "warning"
    assert only(report, "mixed_modes").items == ("train/good/colour.png",)


def test_defects_among_training_images_and_other_files_are_told(tiles: Path) -> None:
    save(tiles / "train/crack/0.png", noise(500))
    (tiles / "notes.txt").write_text("x")
    report = check_images(tiles)
    assert only(report, "defects_in_training").items == ("train/crack/0.png",)
    assert only(report, "not_images").items == ("notes.txt",)


def test_three_images_are_an_error(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / f"{i}.png", noise(i))
    assert only(check_images(tmp_path), "few_images").severity == "error"


def test_a_sound_table_has_nothing_but_information(payments: pd.DataFrame) -> None:
    report = check_table(payments, label="is_fraud")
    assert {found.severity for found in report.findings} == {"info"}
    assert report.summary["columns"]["amount"] == "numeric"
    assert report.summary["missing_share"]["device"] > 0.5


TABLE_FAULTS = [
    ("few_rows", lambda f: f.head(20), ""),
    (
        "unreadable_cells",
        lambda f: f.assign(amount=f["amount"].mask(f.index == 7, np.inf)),
        "row 8",
    ),
    ("constant", lambda f: f.assign(branch="north"), "branch"),
    ("all_missing", lambda f: f.assign(branch=None), "branch"),
    ("many_missing", lambda f: f.assign(x=f["amount"].mask(f.index > 9)), "x: 99"),
    ("identifiers", lambda f: f, "transaction_id"),
    ("elapsed_time", lambda f: f.assign(age=np.arange(len(f)) // 4 * 1.5), "age"),
    ("duplicate_rows", lambda f: pd.concat([f, f.head(100)], ignore_index=True), ""),
    ("repeated_ids", lambda f: f.assign(row_id=f["transaction_id"].mask(f.index < 9, 1)), "row_id"),
    ("label_like", lambda f: f.assign(is_anomaly=f["card_present"] * 1), "is_anomaly"),
    (
        "mixed_types",
        lambda f: f.assign(x=[f"{i}.5" if i % 9 else "n.d." for i in range(len(f))]).head(19),
        "",
    ),
    (
        "many_categories",
        lambda f: f.assign(code=[f"k{i % 1200}" for i in range(len(f))]),
        "code: 1,200 values",
    ),
]


@pytest.mark.parametrize(("code", "spoil", "item"), TABLE_FAULTS, ids=[f[0] for f in TABLE_FAULTS])
def test_each_fault_of_a_table_is_found(
    payments: pd.DataFrame, code: str, spoil: object, item: str
) -> None:
    spoilt = spoil(payments)  # type: ignore[operator]  # a parameter of the test
    if code == "mixed_types":
        values = [f"{i % 40}.5" if i % 9 else "n.d." for i in range(len(payments))]
        spoilt, item = payments.assign(x=values), "x: 88.9% numbers"
    report = check_table(spoilt, label="is_fraud")
    found = only(report, code)
    assert found.message
    assert found.remedy.endswith(".")
    assert item in " ".join(found.items)


@pytest.mark.parametrize("form", ["number", "text", "interval"])
def test_a_column_that_tells_the_label_is_a_leak(payments: pd.DataFrame, form: str) -> None:
    label = payments["is_fraud"].to_numpy()
    rng = np.random.default_rng(0)
    column = {
        "number": label * 5 + rng.random(len(label)),
        "text": np.where(label == 1, "blocked", rng.choice(["a", "b"], len(label))),
        "interval": np.where(label == 1, 0.0, rng.choice([-1, 1], len(label)) + rng.random()),
    }[form]
    found = only(check_table(payments.assign(verdict=column), label="is_fraud"), "label_leak")
    assert found.items[0].startswith("verdict: AUROC 1.0")


def test_a_column_of_many_rare_values_is_no_leak(payments: pd.DataFrame) -> None:
    many = [f"k{i % 1100}" for i in range(len(payments))]
    report = check_table(payments.assign(code=many), label="is_fraud")
    assert "label_leak" not in report.codes()


def test_a_label_left_in_is_named_with_its_share_and_the_remedy(payments: pd.DataFrame) -> None:
    renamed = payments.rename(columns={"is_fraud": "isFraud"})
    found = only(check_table(renamed), "label_like")
    assert "--labels isFraud" in found.remedy
    assert [item.split(":")[0] for item in found.items] == ["isFraud"]
    assert "anomalous in " in found.items[0]


def test_a_column_only_called_like_a_label_is_named_and_stays(payments: pd.DataFrame) -> None:
    report = check_table(payments.assign(sensor_error=payments["card_present"]), label="is_fraud")
    assert "--ignore" in only(report, "label_named").remedy
    assert report.summary["columns"]["sensor_error"] == "boolean"


def test_who_and_where_is_told_with_the_way_to_keep_it(payments: pd.DataFrame) -> None:
    zips = np.arange(len(payments)) * 37 % 900 + 10_115
    found = only(check_table(payments.assign(zip=zips), label="is_fraud"), "persons")
    assert "zip: postal codes, 900 different" in found.items
    assert "--kind NAME=categorical" in found.remedy


def test_a_label_of_one_value_is_told(payments: pd.DataFrame) -> None:
    report = check_table(payments.assign(is_fraud=0), label="is_fraud")
    assert "does not have both 0 and 1" in only(report, "label_values").message


def test_a_label_that_is_not_there_is_refused(payments: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match="did you mean 'is_fraud'"):
        check_table(payments, label="isfraud")


def test_files_are_checked_one_by_one(payments: pd.DataFrame, tmp_path: Path) -> None:
    payments.to_parquet(tmp_path / "1.parquet")
    payments.drop(columns="amount").to_parquet(tmp_path / "2.parquet")
    (tmp_path / "3.parquet").write_bytes(b"PAR1 and nothing else")
    (tmp_path / "4.csv").write_bytes(b"")
    report = check_path(tmp_path)
    assert report.kind == "table"
    assert report.summary["files"] == 4
    assert only(report, "unreadable_files").n_items == 2
    assert only(report, "differing_columns").items == ("2.parquet: amount",)


def test_check_path_tells_images_from_tables(tiles: Path, payments: pd.DataFrame) -> None:
    assert check_path(tiles).kind == "images"
    assert check_path(tiles / "train/good/0.png").kind == "images"
    (tiles / "list.csv").write_text("path,kind\ntrain/good/0.png,good\n")
    assert check_path(tiles / "list.csv").kind == "images"
    payments.to_csv(tiles / "rows.csv", index=False)
    assert check_path(tiles / "rows.csv").kind == "table"
    assert check_path(str(tiles / "rows.*")).kind == "table"


def test_check_path_refuses_what_holds_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither images nor tables"):
        check_path(tmp_path)
    with pytest.raises(DataError, match="is not a file"):
        check_path(tmp_path / "absent.csv")
    for name in ("a.parquet", "b.parquet"):
        (tmp_path / name).write_bytes(b"noise")
    with pytest.raises(DataError, match=r"^None of 2 tables can be read\. The first: .*a\.parquet"):
        check_path(tmp_path)
    with pytest.raises(DataError, match=r"^\S+a\.parquet cannot be read"):
        check_path(tmp_path / "a.parquet")


def test_the_worst_comes_first_and_the_report_is_json(tiles: Path) -> None:
    (tiles / "train/good/0.png").write_bytes(b"")
    (tiles / "notes.txt").write_text("x")
    report = check_path(tiles)
    order = ["error", "warning", "info"]
    places = [order.index(found.severity) for found in report.findings]
    assert places == sorted(places)
    assert json.loads(json.dumps(report.to_dict()))["findings"][0]["code"] == "damaged"


def test_only_the_first_items_are_kept_but_all_are_counted(tiles: Path) -> None:
    for i in range(30):
        (tiles / "train/good" / f"{i}.png").write_bytes(b"")
    found = only(check_images(tiles), "damaged")
    assert (len(found.items), found.n_items) == (20, 30)


def test_progress_is_told(tiles: Path) -> None:
    told: list[tuple[str, int, int]] = []
    check_path(tiles, progress=lambda *step: told.append(step))
    assert told[-1] == ("check images", 54, 54)
