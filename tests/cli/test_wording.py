"""What commands print about odd inputs reads well: counts, lists, stops."""

from __future__ import annotations

import pytest
from cli.evaluation_fixtures import labelled_transactions, write_labelled_surfaces
from test_words import faults_of
from tracking.real_models import surface, transactions, write_surfaces


@pytest.fixture
def told(call, caplog):
    """Run a command and return all that it says and logs, after looking how it reads."""

    def run(*words: object) -> str:
        caplog.clear()
        _, out, err = call(*words)
        said = "\n".join([out, err, *caplog.messages])
        assert faults_of(said) == []
        return said

    return run


TRAIN = ("--no-register", "--preset", "fast", "--out", "m")


def test_a_training_on_few_images_beside_one_other_file(told, tmp_path):
    parts = write_surfaces(tmp_path / "parts", 12)
    (parts / "notes.txt").write_text("lot 7")
    said = told("train", "images", parts, *TRAIN, "--size", 64)
    assert "1 file is no image by name: notes.txt" in said
    assert "12 images are few" in said


def test_many_images_that_cannot_be_read_are_named_once_and_counted(told, tmp_path):
    parts = write_surfaces(tmp_path / "parts", 12)
    for number in range(9):
        (parts / f"{number:03d}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    said = told("train", "images", parts, *TRAIN)
    assert "9 of 12 images cannot be read. " in said
    named = {f"{number:03d}.png" for number in range(9) if f"{number:03d}.png" in said}
    assert f"And {9 - len(named)} more. Repair them or take them out." in said


def test_checks_of_one_image_and_of_no_image(told, tmp_path):
    told("data", "check", write_surfaces(tmp_path / "one", 1))
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "notes.txt").write_text("lot 7")
    said = told("train", "images", tmp_path / "none", *TRAIN)
    assert "only 1 other file such as 'notes.txt'" in said


def test_a_check_of_forty_copies(told, tmp_path):
    for number in range(40):
        (tmp_path / "parts").mkdir(exist_ok=True)
        surface(0).save(tmp_path / "parts" / f"copy{number}.png")
    told("data", "check", tmp_path / "parts")


def test_a_night_of_one_image_and_one_that_is_broken(told, tmp_path, image_model):
    night = write_surfaces(tmp_path / "night", 1)
    (night / "half.png").write_bytes((night / "000.png").read_bytes()[:200])
    told("score", "images", image_model, night, "--out", "flags")
    told("score", "images", image_model, night / "half.png", "--out", "other")
    told("latent", "embed", image_model, night / "000.png", "--out", "z.parquet")


def test_an_evaluation_on_two_images(told, tmp_path, image_model):
    told("evaluate", image_model, write_labelled_surfaces(tmp_path / "set", 1, 1))
    told("threshold", "tune", image_model, "--target-fpr", "0.05")


def test_tables_of_one_row_and_one_column(told, tmp_path, table_model):
    rows = transactions(1, seed=3)
    rows.to_csv("one.csv", index=False)
    told("score", "table", table_model, "one.csv", "--out", "flags")
    told("train", "table", "one.csv", *TRAIN)
    told("data", "check", "one.csv")
    told("latent", "embed", table_model, "one.csv", "--out", "z.parquet")
    rows[["amount"]].to_csv("narrow.csv", index=False)
    told("train", "table", "narrow.csv", *TRAIN)
    told("score", "table", table_model, "narrow.csv", "--out", "n")


def test_a_table_with_forty_columns_of_one_name(told, tmp_path):
    header = ",".join(["amount"] * 40 + ["shop"])
    (tmp_path / "copies.csv").write_text(f"{header}\n" + ",".join("1" * 41) + "\n")
    assert told("data", "check", "copies.csv").count("'amount'") == 1


def test_bad_cells_of_one_row_and_of_many(told, table_model):
    rows = transactions(60, seed=5).astype({"amount": object})
    rows.loc[0, "amount"] = "much"
    rows.to_csv("bad.csv", index=False)
    assert "1 left out" in told("evaluate", table_model, "bad.csv", "--labels", "online")
    rows["amount"] = "much"
    rows.to_csv("bad.csv", index=False)
    told("score", "table", table_model, "bad.csv", "--out", "flags")


def test_an_evaluation_with_one_anomaly(told, table_model):
    labelled_transactions(60, 1).to_csv("rows.csv", index=False)
    told("evaluate", table_model, "rows.csv", "--labels", "is_fraud")
